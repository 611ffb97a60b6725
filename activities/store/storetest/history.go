package storetest

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// history runs random histories of one schedule against a model of it: runs that
// end, die and are taken over, pages that overlap, answers that are lost, steps
// that are repeated, zombies that go on. See model for what is checked.
func history(t *testing.T, s store.Store) {
	var n atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{T: rt, s: s, name: fmt.Sprintf("h%d", n.Add(1)), model: newModel()}
		rt.Repeat(map[string]func(*rapid.T){
			"open":      m.with(m.open),
			"take over": m.with(m.takeOver),
			"fetch":     m.with(m.fetch),
			"fetch on":  m.with(m.fetch), // twice as often
			"write":     m.with(m.write),
			"write on":  m.with(m.write),
			"finish":    m.with(m.finish),
			"claim":     m.with(m.claim),
			"close":     m.with(m.close),
			"drop link": m.with(m.dropLink),
			"zombie":    m.with(m.zombie),
			"":          m.with(m.check),
		})
	})
}

// machine performs the steps. Every name that it stores begins with its own, so
// that all histories share one store.
type machine struct {
	*rapid.T
	s    store.Store
	name string
	*model
}

func (m *machine) with(step func()) func(*rapid.T) {
	return func(t *rapid.T) {
		m.T = t
		step()
	}
}

func (m *machine) chance(percent int, what string) bool {
	return rapid.IntRange(1, 100).Draw(m.T, what) > 100-percent // shrinks to no
}

// alive skips the step when no run is open.
func (m *machine) alive() *modelRun {
	if m.run == nil {
		m.Skip("no run is open")
	}
	return m.run
}

func (m *machine) open() {
	if m.run != nil {
		_, err := m.s.OpenRun(ctx, m.input(fmt.Sprintf("%s-none", m.name)))
		var held *store.LeaseHeldError
		require.ErrorAs(m, err, &held)
		require.Equal(m, m.run.id, held.RunID)
		require.Equal(m, m.run.epoch, held.Epoch)
		return
	}
	m.begin(0)
}

// takeOver finds the run dead that holds the lease.
func (m *machine) takeOver() {
	dead := m.alive()
	m.endRun(dead, false)
	m.zombies = append(m.zombies, dead)
	m.begin(dead.epoch)
	m.closedAs(dead, store.RunFailed)
}

func (m *machine) input(id string) store.OpenRun {
	in := input(id)
	in.Schedule, in.WorkflowID, in.Revision, in.RulesDigest = m.name, "sync/"+m.name, fmt.Sprintf("r%d", m.revision), fmt.Sprintf("rules-%d", m.rules)
	return in
}

func (m *machine) begin(takeOver int64) {
	if m.chance(15, "new revision") {
		m.revision++
		if m.chance(50, "new rules") {
			m.rules++
		}
	}
	in := m.input(fmt.Sprintf("%s-%d", m.name, len(m.runs)))
	in.TakeOver, in.Full, in.Verify = takeOver, m.chance(15, "full"), m.chance(15, "verify")
	want := m.openRun(in)
	got, err := m.s.OpenRun(ctx, in)
	require.NoError(m, err)
	again, err := m.s.OpenRun(ctx, in)
	require.NoError(m, err)
	require.Equal(m, got, again, "a run is opened once")
	require.Greater(m, got.Epoch, m.epoch)
	m.epoch, m.run.epoch, m.run.enumeration = got.Epoch, got.Epoch, got.Enumeration
	if m.enumeration.id == 0 {
		m.enumeration.id = got.Enumeration
	}
	want.Epoch, want.Enumeration = got.Epoch, m.enumeration.id
	require.Equal(m, want, got)
}

// fetch adopts the next page or stages a new one.
func (m *machine) fetch() {
	run, e := m.alive(), m.enumeration
	if run.ended {
		m.Skip("the enumeration is at its end")
	}
	cursor := run.cursor
	got, err := m.s.FindPage(ctx, run.id, run.epoch, e.id, cursor)
	if p := e.at(cursor); p != nil {
		require.NoError(m, err)
		require.Equal(m, p.id, got.ID)
		m.adopt(p)
		require.EqualValues(m, len(m.waiting(p)), got.ToWrite)
		run.cursor, run.ended = p.next, p.last
		return
	}
	require.ErrorIs(m, err, store.ErrNotFound)
	in := store.StagePage{
		Run: run.id, Epoch: run.epoch, Enumeration: e.id, CursorIn: cursor, CursorOut: cursor + 10, Last: m.chance(40, "last"),
		ServerDate: serverDate.Add(time.Duration(e.id) * time.Hour), Verify: run.verify,
	}
	for range rapid.IntRange(0, 4).Draw(m.T, "records") {
		in.Records = append(in.Records, m.record())
	}
	got, err = m.s.StagePage(ctx, in)
	require.NoError(m, err)
	p := m.stagePage(got.ID, in)
	m.staged(p, in, got)
	run.cursor, run.ended = p.next, p.last
	if m.chance(20, "again") {
		twice, err := m.s.StagePage(ctx, in)
		require.NoError(m, err)
		require.Equal(m, got.ID, twice.ID)
		require.Equal(m, got.ToWrite, twice.ToWrite)
	}
}

func (m *machine) record() store.Staging {
	r := rec(m.key())
	r.PayloadDigest = rapid.SampledFrom([]string{"a", "b"}).Draw(m.T, "digest")
	switch rapid.SampledFrom([]string{"asset", "asset", "asset", "skipped", "failed"}).Draw(m.T, "record") {
	case "skipped":
		r.Outcome, r.Reason, r.PayloadDigest = record.Skipped, "no identity", ""
	case "failed":
		r.Outcome, r.Reason, r.PayloadDigest = record.Failed, "field x", ""
	}
	return r
}

func (m *machine) key() string {
	return fmt.Sprintf("%s/%d", m.name, rapid.IntRange(1, 6).Draw(m.T, "key"))
}

// staged compares what staging did with what it may do: every key of the page
// that had no outcome yet either waits or has one of the outcomes allowed.
func (m *machine) staged(p *modelPage, in store.StagePage, got store.Page) {
	given := m.storedOutcomes(m.run.id)
	maps.DeleteFunc(given, func(k string, _ record.Outcome) bool { _, before := m.run.outcomes[k]; return before })
	seen := map[string]bool{}
	for _, r := range in.Records {
		if _, settled := m.run.outcomes[r.Key]; settled || seen[r.Key] {
			continue
		}
		seen[r.Key] = true
		h := m.head(r.Key)
		outcome, ended := given[r.Key]
		delete(given, r.Key)
		switch {
		case r.Outcome != "":
			require.Equal(m, r.Outcome, outcome)
		case ended:
			require.Equal(m, record.Unchanged, outcome)
			require.Equal(m, r.PayloadDigest, h.target, "unchanged, but the target may hold something else")
			require.False(m, m.run.verify, "a run that verifies trusts no digest")
		default:
			require.False(m, h.clean && h.target == r.PayloadDigest && !m.run.verify, "written again without need: %s", r.Key)
		}
		m.stage(p, r, outcome)
	}
	require.Empty(m, given, "outcomes of records that are not on the page")
	require.EqualValues(m, len(m.waiting(p)), got.ToWrite)
	require.EqualValues(m, len(in.Records), got.Count)
	require.Equal(m, got.Counters.Fetched, got.Counters.Sum())
}

// write posts some records of a page that wait; answers may be lost.
func (m *machine) write() {
	run := m.alive()
	p := m.page()
	staged, err := m.s.Staged(ctx, run.id, p.id)
	require.NoError(m, err)
	var keys []string
	for _, r := range staged {
		keys = append(keys, r.Key)
		h := m.head(r.Key)
		require.Equal(m, h.digest, r.PayloadDigest)
		require.Equal(m, "body of "+r.Key, string(r.Body))
		require.Equal(m, h.intent, r.Intent)
	}
	require.Equal(m, m.waiting(p), keys)
	if len(keys) == 0 {
		m.Skip("nothing waits")
	}
	keys = keys[:rapid.IntRange(1, len(keys)).Draw(m.T, "payload")]
	require.NoError(m, Begin(ctx, m.s, run.id, run.epoch, p.id, keys))
	m.post(keys)
	if m.chance(25, "lost answer") {
		return
	}
	var out []store.Settlement
	for _, k := range keys {
		o := rapid.SampledFrom([]record.Outcome{record.Created, record.Updated, record.Unchanged, record.Skipped, record.Failed, record.Rejected}).Draw(m.T, "outcome")
		st := store.Settlement{Key: k, Outcome: o}
		switch o {
		case record.Failed, record.Rejected, record.Skipped:
		default:
			st.Digest, st.Fresh = m.head(k).digest, true
			st.Link = &store.Link{Target: "prod", Key: k, SysID: "sys-" + k, Origin: record.OriginMatched}
		}
		out = append(out, st)
	}
	require.NoError(m, m.s.Settle(ctx, store.Writer{Run: run.id, Epoch: run.epoch, Page: p.id}, out))
	if m.chance(20, "again") { // its answer was lost, and the retry decided otherwise
		again := slices.Clone(out)
		for i := range again {
			again[i].Outcome, again[i].Digest = record.Failed, ""
		}
		require.NoError(m, m.s.Settle(ctx, store.Writer{Run: run.id, Epoch: run.epoch, Page: p.id}, again))
	}
	for _, st := range out {
		m.settle(st)
	}
}

// page draws a page that the open run may write.
func (m *machine) page() *modelPage {
	var pages []*modelPage
	for _, p := range m.pages() {
		if p.run == m.run.id {
			pages = append(pages, p)
		}
	}
	if len(pages) == 0 {
		m.Skip("no page")
	}
	return pages[rapid.IntRange(0, len(pages)-1).Draw(m.T, "page")]
}

func (m *machine) finish() {
	run := m.alive()
	p := m.page()
	_, err := m.s.FinishPage(ctx, run.id, run.epoch, p.id)
	if len(m.waiting(p)) > 0 {
		require.Error(m, err)
		return
	}
	require.NoError(m, err)
	p.finished = true
}

func (m *machine) claim() {
	run := m.alive()
	limit := rapid.IntRange(1, 4).Draw(m.T, "limit")
	got, err := m.s.ClaimFailed(ctx, run.id, run.epoch, limit)
	if p := m.openClaim(); p != nil {
		require.NoError(m, err)
		require.Equal(m, p.id, got.ID, "claimed once")
		return
	}
	failed := m.claimable()
	if len(failed) == 0 {
		require.ErrorIs(m, err, store.ErrNotFound)
		return
	}
	require.NoError(m, err)
	keys := failed[:min(limit, len(failed))]
	require.EqualValues(m, len(keys), got.ToWrite)
	m.claimed(got.ID, keys)
}

func (m *machine) close() {
	run := m.alive()
	in := store.CloseRun{ID: run.id, Epoch: run.epoch, Status: store.RunCompleted, Complete: run.ended}
	if m.chance(40, "fails") {
		in.Status, in.Complete = store.RunFailed, false
	}
	_, err := m.s.CloseRun(ctx, in)
	require.NoError(m, err)
	m.endRun(run, in.Complete)
	m.run = nil
	m.zombies = append(m.zombies, run)
	m.closedAs(run, in.Status)
	first, err := m.s.RunByID(ctx, run.id)
	require.NoError(m, err)
	again, err := m.s.CloseRun(ctx, in)
	require.NoError(m, err)
	require.Equal(m, first, again)
}

// closedAs checks the frozen counters of a run against its outcomes.
func (m *machine) closedAs(run *modelRun, status store.RunStatus) {
	r, err := m.s.RunByID(ctx, run.id)
	require.NoError(m, err)
	require.Equal(m, status, r.Status)
	want := record.Counters{Fetched: int64(len(run.outcomes))}
	for _, o := range run.outcomes {
		want.Count(o, 1)
	}
	require.Equal(m, want, r.Counters)
	require.Equal(m, run.outcomes, m.storedOutcomes(run.id))
}

func (m *machine) dropLink() {
	k := m.key()
	require.NoError(m, m.s.DropLinks(ctx, "prod", []string{k}))
	if h, ok := m.heads[k]; ok {
		h.target, h.before, h.clean = "", "", false
	}
}

// zombie lets a run that has ended go on.
func (m *machine) zombie() {
	if len(m.zombies) == 0 {
		m.Skip("no zombie")
	}
	z := m.zombies[rapid.IntRange(0, len(m.zombies)-1).Draw(m.T, "which")]
	k := m.key()
	_, err := m.s.StagePage(ctx, store.StagePage{Run: z.id, Epoch: z.epoch, Enumeration: z.enumeration, CursorIn: 990, CursorOut: 991, Records: []store.Staging{rec(k)}})
	require.ErrorIs(m, err, store.ErrStaleEpoch)
	_, err = m.s.FindPage(ctx, z.id, z.epoch, z.enumeration, 0)
	require.ErrorIs(m, err, store.ErrStaleEpoch)
	_, err = m.s.ClaimFailed(ctx, z.id, z.epoch, 5)
	require.ErrorIs(m, err, store.ErrStaleEpoch)
	for _, p := range m.pages() {
		require.ErrorIs(m, Begin(ctx, m.s, z.id, z.epoch, p.id, []string{k}), store.ErrStaleEpoch)
		require.ErrorIs(m, m.s.Settle(ctx, store.Writer{Run: z.id, Epoch: z.epoch, Page: p.id}, []store.Settlement{{Key: k, Outcome: record.Created, Digest: "z", Fresh: true}}), store.ErrStaleEpoch)
		_, err = m.s.FinishPage(ctx, z.id, z.epoch, p.id)
		require.ErrorIs(m, err, store.ErrStaleEpoch)
	}
	_, err = m.s.OpenRun(ctx, m.input(z.id))
	require.ErrorIs(m, err, store.ErrStaleEpoch)
}

// check compares the open run's outcomes after every step.
func (m *machine) check() {
	if m.run != nil {
		require.Equal(m, m.run.outcomes, m.storedOutcomes(m.run.id))
	}
}

func (m *machine) storedOutcomes(run string) map[string]record.Outcome {
	rows, err := m.s.ListOutcomes(ctx, store.OutcomeFilter{Run: run})
	require.NoError(m, err)
	out := map[string]record.Outcome{}
	for _, r := range rows {
		out[r.Key] = r.Outcome
	}
	return out
}
