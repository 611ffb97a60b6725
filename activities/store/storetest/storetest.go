// Package storetest is the conformance suite of the run store: every
// implementation runs it, so that what holds on SQLite holds on PostgreSQL.
package storetest

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// Open opens an empty store that is closed with the test.
type Open func(t *testing.T) store.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	all := cases()
	maps.Copy(all, fences())
	maps.Copy(all, machines())
	maps.Copy(all, approvals())
	maps.Copy(all, certificates())
	maps.Copy(all, accounts())
	maps.Copy(all, overviews())
	for name, test := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func cases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"revisions are immutable and one is active":                    revisions,
		"a run is opened once, however often it is asked":              openTwice,
		"a lease is held until its run closes or is taken over":        leases,
		"a zombie writes nothing":                                      zombie,
		"every fetched record ends in exactly one outcome":             accounting,
		"an equal digest is unchanged, anything else is staged":        unchanged,
		"pages overlap and the first outcome stands":                   overlap,
		"a dead run's page is adopted and its records are not lost":    adoption,
		"a failed record is tried again by the next run":               retries,
		"claimed records of a dead run are claimed again":              claimedAgain,
		"the watermark moves only after a complete enumeration":        watermark,
		"a change of rules makes the next run a full one":              rulesChange,
		"a trial leaves everything else as it is":                      aside,
		"an unanswered intent survives another enumeration":            intents,
		"an unanswered post is never unchanged":                        postedIsNotUnchanged,
		"staging a page twice changes nothing":                         stageTwice,
		"a link keeps its origin until its CI is another one":          links,
		"dropped links of matched CIs are forgotten, ours are kept":    dropLinks,
		"a sample spreads over the links of a schedule":                sample,
		"references are cached per target":                             references,
		"one process polls a queue":                                    pollers,
		"runs and outcomes are found by filter":                        reading,
		"writers side by side lose nothing":                            concurrency,
		"text that a database refuses is stored without its bad bytes": badText,
		"a long page is stored whole":                                  longPage,
		"any history of runs keeps the promises":                       history,
		"old outcomes are purged, those of pinned runs are kept":       retention,
		"peeking changes nothing":                                      peek,
		"drafts are kept until the run closes":                         drafts,
	}
}

var ctx = context.Background()

func input(id string) store.OpenRun {
	return store.OpenRun{
		ID: id, WorkflowID: "sync/servers", Schedule: "servers", Source: "corp", Target: "prod", Direction: "qualys-to-servicenow", Revision: "r1",
		RulesDigest: "rules-1", Overlap: time.Hour, ResumeWithin: time.Hour,
	}
}

// opened is an open run with its steps.
type opened struct {
	store.OpenedRun
	t  *testing.T
	s  store.Store
	id string
}

// Begin announces a payload and drops the unanswered posts.
func Begin(ctx context.Context, s store.Store, run string, epoch, page int64, keys []string) error {
	_, err := s.BeginPayload(ctx, store.Writer{Run: run, Epoch: epoch, Page: page}, keys)
	return err
}

func open(t *testing.T, s store.Store, in store.OpenRun) *opened {
	t.Helper()
	o, err := s.OpenRun(ctx, in)
	require.NoError(t, err)
	return &opened{OpenedRun: o, t: t, s: s, id: in.ID}
}

var serverDate = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (o *opened) stage(cursor, next int64, last bool, records ...store.Staging) store.Page {
	o.t.Helper()
	p, err := o.s.StagePage(ctx, store.StagePage{
		Run: o.id, Epoch: o.Epoch, Enumeration: o.Enumeration, CursorIn: cursor, CursorOut: next, Last: last, ServerDate: serverDate, Verify: o.Verify, Records: records,
	})
	require.NoError(o.t, err)
	return p
}

func (o *opened) settle(p store.Page, outcome record.Outcome, keys ...string) {
	o.t.Helper()
	var list []store.Settlement
	for _, k := range keys {
		s := store.Settlement{Key: k, Outcome: outcome, Fresh: true, Class: "cmdb_ci_server", Digest: "d-" + k, Answer: `{"operation":"INSERT"}`}
		if outcome == record.Created {
			s.Link = &store.Link{Target: "prod", Key: k, SysID: "sys-" + k, Class: "cmdb_ci_server", Origin: record.OriginCreated}
		} else {
			s.Digest = ""
		}
		list = append(list, s)
	}
	require.NoError(o.t, o.s.Settle(ctx, store.Writer{Run: o.id, Epoch: o.Epoch, Page: p.ID}, list))
}

func (o *opened) finish(p store.Page) record.Counters {
	o.t.Helper()
	c, err := o.s.FinishPage(ctx, o.id, o.Epoch, p.ID)
	require.NoError(o.t, err)
	return c
}

func (o *opened) close(status store.RunStatus, complete bool) store.Run {
	o.t.Helper()
	r, err := o.s.CloseRun(ctx, store.CloseRun{ID: o.id, Epoch: o.Epoch, Status: status, Complete: complete, Calls: map[string]int64{"qualys": 2}, Events: 9})
	require.NoError(o.t, err)
	require.True(o.t, r.Counters.Balanced(), "%+v", r.Counters)
	return r
}

// rec is a record whose payload digest is "d-" and its key.
func rec(key string) store.Staging {
	return store.Staging{Key: key, Kind: record.KindAsset, Class: "cmdb_ci_server", PayloadDigest: "d-" + key, Body: []byte("body of " + key)}
}

func changed(key string) store.Staging {
	r := rec(key)
	r.PayloadDigest = "other-" + key
	return r
}

func revisions(t *testing.T, s store.Store) {
	_, err := s.ActiveRevision(ctx)
	require.ErrorIs(t, err, store.ErrNotFound)
	first, err := s.SaveRevision(ctx, "a: 1", "digest-1", "ann")
	require.NoError(t, err)
	require.Equal(t, "r1", first.ID)
	again, err := s.SaveRevision(ctx, "a: 1 # comment", "digest-1", "bob")
	require.NoError(t, err)
	require.Equal(t, "r1", again.ID, "the same meaning is the same revision")
	require.Equal(t, "a: 1", again.Document)
	second, err := s.SaveRevision(ctx, "a: 2", "digest-2", "ann")
	require.NoError(t, err)
	require.Equal(t, "r2", second.ID)
	active, err := s.ActiveRevision(ctx)
	require.NoError(t, err)
	require.Equal(t, "r2", active.ID)
	old, err := s.Revision(ctx, "r1")
	require.NoError(t, err)
	require.Equal(t, "a: 1", old.Document)
	require.False(t, old.Active)
	for _, id := range []string{"r3", "", "x"} {
		_, err = s.Revision(ctx, id)
		require.ErrorIs(t, err, store.ErrNotFound, id)
	}
	run := open(t, s, input("run-1")) // pins r1
	inUse, err := s.RevisionsInUse(ctx)
	require.NoError(t, err)
	require.Len(t, inUse, 2)
	run.close(store.RunCompleted, true)
	inUse, err = s.RevisionsInUse(ctx)
	require.NoError(t, err)
	require.Len(t, inUse, 1)
}

func openTwice(t *testing.T, s store.Store) {
	first := open(t, s, input("run-1"))
	require.Equal(t, store.ModeFull, first.Mode)
	require.Equal(t, first.OpenedRun, open(t, s, input("run-1")).OpenedRun)
}

func leases(t *testing.T, s store.Store) {
	first := open(t, s, input("run-1"))
	_, err := s.OpenRun(ctx, input("run-2"))
	var held *store.LeaseHeldError
	require.ErrorAs(t, err, &held)
	require.Equal(t, "run-1", held.RunID)
	require.Equal(t, "sync/servers", held.WorkflowID)
	stale := input("run-2")
	stale.TakeOver = held.Epoch + 5
	_, err = s.OpenRun(ctx, stale)
	require.ErrorAs(t, err, &held, "only the holder that was seen dead is taken over")
	first.close(store.RunCompleted, true)
	second := open(t, s, input("run-2"))
	require.Greater(t, second.Epoch, first.Epoch)
}

func takeOver(t *testing.T, s store.Store, id string, epoch int64) *opened {
	t.Helper()
	in := input(id)
	in.TakeOver = epoch
	return open(t, s, in)
}

func zombie(t *testing.T, s store.Store) {
	dead := open(t, s, input("run-1"))
	p := dead.stage(0, 10, false, rec("corp/1"))
	alive := takeOver(t, s, "run-2", dead.Epoch)
	_, err := s.StagePage(ctx, store.StagePage{Run: "run-1", Epoch: dead.Epoch, Enumeration: dead.Enumeration, CursorIn: 10})
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	require.ErrorIs(t, Begin(ctx, s, "run-1", dead.Epoch, p.ID, []string{"corp/1"}), store.ErrStaleEpoch)
	require.ErrorIs(t, s.Settle(ctx, store.Writer{Run: "run-1", Epoch: dead.Epoch, Page: p.ID}, []store.Settlement{{Key: "corp/1", Outcome: record.Created}}), store.ErrStaleEpoch)
	_, err = s.FinishPage(ctx, "run-1", dead.Epoch, p.ID)
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	_, err = s.CloseRun(ctx, store.CloseRun{ID: "run-1", Epoch: dead.Epoch, Status: store.RunCompleted, Complete: true})
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	_, err = s.OpenRun(ctx, input("run-1"))
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	alive.close(store.RunCompleted, false)
}

func accounting(t *testing.T, s store.Store) {
	run := open(t, s, input("run-1"))
	skipped, failed := rec("corp/3"), rec("corp/4")
	skipped.Outcome, skipped.Reason = record.Skipped, "no identity"
	failed.Outcome, failed.Reason = record.Failed, "field x"
	p := run.stage(0, 10, true, rec("corp/1"), rec("corp/2"), skipped, failed, rec("corp/5"))
	require.EqualValues(t, 5, p.Count)
	require.EqualValues(t, 3, p.ToWrite)
	require.EqualValues(t, 1, p.Counters.Skipped)
	_, err := s.FinishPage(ctx, run.id, run.Epoch, p.ID)
	require.Error(t, err, "a page with waiting records is not finished")
	staged, err := s.Staged(ctx, run.id, p.ID)
	require.NoError(t, err)
	require.Len(t, staged, 3)
	require.Equal(t, "body of corp/1", string(staged[0].Body))
	run.settle(p, record.Created, "corp/1", "corp/2")
	run.settle(p, record.Failed, "corp/1") // an outcome that was given stands
	r := run.close(store.RunCompleted, false)
	require.Equal(t, record.Counters{Fetched: 5, Created: 2, Skipped: 1, Failed: 2}, r.Counters)
	reasons, err := s.Reasons(ctx, run.id, record.Failed)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"run ended": 1, "field x": 1}, reasons)
	again, err := s.CloseRun(ctx, store.CloseRun{ID: run.id, Epoch: run.Epoch, Status: store.RunCompleted})
	require.NoError(t, err, "closing twice is no error")
	require.Equal(t, r, again)
}

// written makes corp/1 and corp/2 written by a complete run.
func written(t *testing.T, s store.Store) {
	t.Helper()
	run := open(t, s, input("run-1"))
	p := run.stage(0, 10, true, rec("corp/1"), rec("corp/2"))
	run.settle(p, record.Created, "corp/1", "corp/2")
	require.EqualValues(t, 2, run.finish(p).Created)
	run.close(store.RunCompleted, true)
}

func unchanged(t *testing.T, s store.Store) {
	written(t, s)
	run := open(t, s, input("run-2"))
	stale := rec("corp/2")
	stale.RefreshBefore = time.Now().Add(time.Hour)
	p := run.stage(0, 10, false, rec("corp/1"), stale)
	require.EqualValues(t, 1, p.Counters.Unchanged)
	require.EqualValues(t, 1, p.ToWrite, "an old digest is written again")
	q := run.stage(10, 20, true, changed("corp/3"))
	require.EqualValues(t, 1, q.ToWrite)
	run.close(store.RunFailed, false)
	verify := input("run-3")
	verify.Verify, verify.Full, verify.Revision = true, true, "r2"
	v := open(t, s, verify)
	require.True(t, v.Verify)
	require.EqualValues(t, 1, v.stage(0, 10, true, rec("corp/1")).ToWrite, "a run that verifies trusts no digest")
}

func overlap(t *testing.T, s store.Store) {
	run := open(t, s, input("run-1"))
	p := run.stage(0, 10, false, rec("corp/1"), rec("corp/1"))
	require.EqualValues(t, 1, p.ToWrite, "a key twice on a page is one record")
	run.settle(p, record.Created, "corp/1")
	run.finish(p)
	q := run.stage(10, 20, true, changed("corp/1"), rec("corp/2"))
	require.EqualValues(t, 1, q.ToWrite)
	run.settle(q, record.Created, "corp/2")
	r := run.close(store.RunCompleted, true)
	require.EqualValues(t, 2, r.Counters.Fetched)
}

func adoption(t *testing.T, s store.Store) {
	dead := open(t, s, input("run-1"))
	one := dead.stage(0, 10, false, rec("corp/1"), rec("corp/2"))
	dead.settle(one, record.Created, "corp/1")
	dead.stage(10, 20, false, rec("corp/3"))
	next := takeOver(t, s, "run-2", dead.Epoch)
	require.True(t, next.Resumed)
	require.Zero(t, next.Cursor, "the first page that is not finished")
	require.Equal(t, dead.Enumeration, next.Enumeration)
	r, err := s.RunByID(ctx, "run-1")
	require.NoError(t, err)
	require.Equal(t, store.RunFailed, r.Status)
	require.Equal(t, record.Counters{Fetched: 3, Created: 1, Failed: 2}, r.Counters)

	p, err := s.FindPage(ctx, next.id, next.Epoch, next.Enumeration, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, p.ToWrite, "only what was not written")
	staged, err := s.Staged(ctx, next.id, p.ID)
	require.NoError(t, err)
	require.Equal(t, "corp/2", staged[0].Key)
	next.settle(p, record.Created, "corp/2")
	next.finish(p)
	q, err := s.FindPage(ctx, next.id, next.Epoch, next.Enumeration, 10)
	require.NoError(t, err)
	next.settle(q, record.Created, "corp/3")
	next.finish(q)
	_, err = s.FindPage(ctx, next.id, next.Epoch, next.Enumeration, 20)
	require.ErrorIs(t, err, store.ErrNotFound)
	next.stage(20, 30, true)
	require.Equal(t, record.Counters{Fetched: 2, Created: 2}, next.close(store.RunCompleted, true).Counters)
}

func retries(t *testing.T, s store.Store) {
	first := open(t, s, input("run-1"))
	p := first.stage(0, 10, true, rec("corp/1"), rec("corp/2"))
	first.settle(p, record.Failed, "corp/1")
	first.settle(p, record.Rejected, "corp/2")
	first.finish(p)
	first.close(store.RunCompleted, true)
	second := open(t, s, input("run-2"))
	require.Equal(t, store.ModeIncremental, second.Mode)
	require.EqualValues(t, 2, second.Retries)
	claimed, err := s.ClaimFailed(ctx, second.id, second.Epoch, 300)
	require.NoError(t, err)
	require.EqualValues(t, 2, claimed.ToWrite)
	again, err := s.ClaimFailed(ctx, second.id, second.Epoch, 300)
	require.NoError(t, err)
	require.Equal(t, claimed.ID, again.ID, "a lost answer claims the same page again")
	second.settle(claimed, record.Created, "corp/1", "corp/2")
	second.finish(claimed)
	_, err = s.ClaimFailed(ctx, second.id, second.Epoch, 300)
	require.ErrorIs(t, err, store.ErrNotFound)
	second.close(store.RunCompleted, true)
}

func claimedAgain(t *testing.T, s store.Store) {
	first := open(t, s, input("run-1"))
	p := first.stage(0, 10, true, rec("corp/1"))
	first.settle(p, record.Failed, "corp/1")
	first.finish(p)
	first.close(store.RunCompleted, true)
	second := open(t, s, input("run-2"))
	_, err := s.ClaimFailed(ctx, second.id, second.Epoch, 300)
	require.NoError(t, err)
	second.close(store.RunFailed, false) // it dies before it writes
	third := open(t, s, input("run-3"))
	require.EqualValues(t, 1, third.Retries)
	claimed, err := s.ClaimFailed(ctx, third.id, third.Epoch, 300)
	require.NoError(t, err)
	require.EqualValues(t, 1, claimed.ToWrite)
}

func watermark(t *testing.T, s store.Store) {
	failed := open(t, s, input("run-1"))
	failed.finish(failed.stage(0, 10, false))
	failed.close(store.RunFailed, false)
	second := open(t, s, input("run-2"))
	require.Equal(t, store.ModeFull, second.Mode, "nothing was completed")
	require.True(t, second.Resumed)
	require.EqualValues(t, 10, second.Cursor)
	second.finish(second.stage(10, 20, true))
	second.close(store.RunCompleted, true)
	third := open(t, s, input("run-3"))
	require.Equal(t, store.ModeIncremental, third.Mode)
	require.Equal(t, serverDate.Add(-time.Hour), third.Since, "the vendor's date of the first page of the first segment, less the overlap")
	third.close(store.RunCompleted, true)
	full := input("run-4")
	full.Full = true
	require.Equal(t, store.ModeFull, open(t, s, full).Mode)
}

func aside(t *testing.T, s store.Store) {
	o := open(t, s, input("run-1"))
	first := o.stage(0, 10, false, rec("corp/1"))
	o.settle(first, record.Created, "corp/1")
	o.finish(first)
	o.close(store.RunFailed, false) // in the middle
	in := input("trial")
	in.Aside = true
	trial := open(t, s, in)
	require.Zero(t, trial.Cursor)
	require.False(t, trial.Resumed)
	require.NotEqual(t, o.Enumeration, trial.Enumeration)
	p := trial.stage(0, 5, false, rec("corp/1"), rec("corp/2"), rec("corp/3"))
	require.EqualValues(t, 1, p.Counters.Unchanged)
	trial.settle(p, record.Created, "corp/2")
	run := trial.close(store.RunFailed, false) // with a record that nobody adopts
	require.EqualValues(t, 1, run.Counters.Failed)

	o = open(t, s, input("run-2"))
	require.True(t, o.Resumed, "the enumeration that was not finished goes on")
	require.EqualValues(t, 10, o.Cursor)
	require.EqualValues(t, 1, o.Retries, "what the trial left behind is tried again")
	last := o.stage(10, 20, true, rec("corp/4"))
	o.settle(last, record.Created, "corp/4")
	o.finish(last)
	o.close(store.RunCompleted, true)
	in = input("since")
	in.Aside, in.Since = true, serverDate.Add(-48*time.Hour)
	trial = open(t, s, in)
	require.Equal(t, store.ModeIncremental, trial.Mode)
	require.True(t, in.Since.Equal(trial.Since))
	p = trial.stage(0, 20, true, changed("corp/4"))
	trial.settle(p, record.Updated, "corp/4")
	trial.finish(p)
	trial.close(store.RunCompleted, false)
	o = open(t, s, input("run-3"))
	require.Equal(t, store.ModeIncremental, o.Mode)
	require.True(t, serverDate.Add(-input("x").Overlap).Equal(o.Since), "the watermark is that of the run before")
	o.close(store.RunCompleted, false)
}

func rulesChange(t *testing.T, s store.Store) {
	written(t, s)
	in := input("run-2")
	in.RulesDigest, in.Revision = "rules-2", "r2"
	require.Equal(t, store.ModeFull, open(t, s, in).Mode)
}

func intents(t *testing.T, s store.Store) {
	first := open(t, s, input("run-1"))
	p := first.stage(0, 10, true, rec("corp/1"), rec("corp/2"))
	require.NoError(t, Begin(ctx, s, first.id, first.Epoch, p.ID, []string{"corp/1", "corp/2"}))
	first.settle(p, record.Created, "corp/2")
	first.close(store.RunFailed, false)
	in := input("run-2")
	in.Revision = "r2" // another revision: another enumeration, another page
	second := open(t, s, in)
	require.NotEqual(t, first.Enumeration, second.Enumeration)
	q := second.stage(0, 10, true, changed("corp/1"), changed("corp/2"))
	staged, err := s.Staged(ctx, second.id, q.ID)
	require.NoError(t, err)
	require.Len(t, staged, 2)
	require.Equal(t, "d-corp/1", staged[0].Intent, "it may be in the target")
	require.Empty(t, staged[1].Intent, "its answer came")
	second.settle(q, record.Created, "corp/1", "corp/2")
	records, err := s.Records(ctx, record.KindAsset, "corp/1")
	require.NoError(t, err)
	require.Empty(t, records[0].Intent)
}

func postedIsNotUnchanged(t *testing.T, s store.Store) {
	written(t, s)
	second := open(t, s, input("run-2"))
	p := second.stage(0, 10, true, changed("corp/1"))
	require.NoError(t, Begin(ctx, s, second.id, second.Epoch, p.ID, []string{"corp/1"}))
	second.close(store.RunFailed, false) // nobody knows what is in the target
	in := input("run-3")
	in.Full, in.Revision = true, "r2"
	third := open(t, s, in)
	require.EqualValues(t, 1, third.stage(0, 10, true, rec("corp/1")).ToWrite)
}

func stageTwice(t *testing.T, s store.Store) {
	run := open(t, s, input("run-1"))
	skipped := rec("corp/2")
	skipped.Outcome = record.Skipped
	first := run.stage(0, 10, true, rec("corp/1"), skipped)
	require.Equal(t, first, run.stage(0, 10, true, rec("corp/1"), skipped))
}
