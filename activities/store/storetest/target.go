package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

func links(t *testing.T, s store.Store) {
	l := store.Link{Target: "prod", Key: "corp/1", SysID: "a", Class: "cmdb_ci_server", Origin: record.OriginCreated}
	put := func(sysID string, o record.Origin) store.Link {
		l.SysID, l.Origin = sysID, o
		require.NoError(t, s.PutLinks(ctx, []store.Link{l}))
		got, err := s.LinksOf(ctx, "prod", []string{"corp/1", "corp/2"})
		require.NoError(t, err)
		require.Len(t, got, 1)
		return got["corp/1"]
	}
	require.Equal(t, record.OriginCreated, put("a", record.OriginCreated).Origin)
	require.Equal(t, record.OriginCreated, put("a", record.OriginMatched).Origin, "our CI stays ours")
	require.Equal(t, record.OriginMatched, put("b", record.OriginMatched).Origin, "another CI has another origin")
	other, err := s.LinksOf(ctx, "other", []string{"corp/1"})
	require.NoError(t, err)
	require.Empty(t, other)
}

func dropLinks(t *testing.T, s store.Store) {
	written(t, s)
	require.NoError(t, s.PutLinks(ctx, []store.Link{{Target: "prod", Key: "corp/2", SysID: "theirs", Origin: record.OriginMatched}}))
	require.NoError(t, s.DropLinks(ctx, "prod", []string{"corp/1", "corp/2"}))
	got, err := s.LinksOf(ctx, "prod", []string{"corp/1", "corp/2"})
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, record.OriginCreated, got["corp/1"].Origin)
	in := input("run-2")
	in.Full = true
	run := open(t, s, in)
	require.EqualValues(t, 2, run.stage(0, 10, true, rec("corp/1"), rec("corp/2")).ToWrite, "both are written again")
}

func sample(t *testing.T, s store.Store) {
	run := open(t, s, input("run-1"))
	var recs []store.Staging
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprintf("corp/%03d", i))
		recs = append(recs, rec(keys[i]))
	}
	last := rec("corp/999") // written, but its CI is another record's
	page := run.stage(0, 10, true, append(recs, last)...)
	run.settle(page, record.Created, keys...)
	require.NoError(t, s.Settle(ctx, store.Writer{Run: run.id, Epoch: run.Epoch, Page: page.ID}, []store.Settlement{{Key: last.Key, Outcome: record.Updated, Digest: last.PayloadDigest}}))
	for n, want := range map[int]int{0: 0, 1: 1, 10: 10, 1000: 100} {
		got, err := s.SampleLinks(ctx, "servers", n)
		require.NoError(t, err)
		require.Len(t, got, want)
	}
	got, err := s.SampleLinks(ctx, "servers", 10)
	require.NoError(t, err)
	require.Greater(t, got[9].Key, "corp/080", "it reaches the end")
	none, err := s.SampleLinks(ctx, "other", 10)
	require.NoError(t, err)
	require.Empty(t, none)
}

func references(t *testing.T, s store.Store) {
	refs := []store.Reference{{Table: "core_company", Name: "Dell", SysID: "1", ResolvedAt: serverDate}, {Table: "core_company", Name: "Nobody", Missing: true, ResolvedAt: serverDate}}
	require.NoError(t, s.PutReferences(ctx, "prod", refs))
	got, err := s.CachedReferences(ctx, "prod", "core_company", []string{"Dell", "Nobody", "HP"})
	require.NoError(t, err)
	require.Equal(t, map[string]store.Reference{"Dell": refs[0], "Nobody": refs[1]}, got)
	other, err := s.CachedReferences(ctx, "dev", "core_company", []string{"Dell"})
	require.NoError(t, err)
	require.Empty(t, other)
}

func pollers(t *testing.T, s store.Store) {
	acquire := func(owner string, ttl time.Duration) bool {
		ok, err := s.AcquirePoller(ctx, "qualys.corp", owner, ttl)
		require.NoError(t, err)
		return ok
	}
	polled := func() bool {
		ok, err := s.Polled(ctx, "qualys.corp")
		require.NoError(t, err)
		return ok
	}
	require.False(t, polled())
	require.True(t, acquire("a", time.Hour))
	require.True(t, polled())
	require.True(t, acquire("a", time.Hour), "the owner renews")
	require.False(t, acquire("b", time.Hour))
	require.NoError(t, s.ReleasePoller(ctx, "qualys.corp", "b"))
	require.False(t, acquire("b", time.Hour), "only the owner gives it up")
	require.NoError(t, s.ReleasePoller(ctx, "qualys.corp", "a"))
	require.True(t, acquire("b", -time.Second), "and this one expires at once")
	require.False(t, polled())
	require.True(t, acquire("a", time.Hour))
}

func reading(t *testing.T, s store.Store) {
	written(t, s)
	second := open(t, s, input("run-2"))
	skipped := rec("corp/3")
	skipped.Outcome, skipped.Reason = record.Skipped, "no identity"
	second.stage(0, 10, true, rec("corp/1"), skipped)
	second.close(store.RunFailed, false)
	for name, c := range map[string]struct {
		f    store.RunFilter
		want []string
	}{
		"all, newest first": {store.RunFilter{}, []string{"run-2", "run-1"}},
		"by status":         {store.RunFilter{Status: store.RunFailed}, []string{"run-2"}},
		"by outcome":        {store.RunFilter{Outcome: record.Created}, []string{"run-1"}},
		"by source":         {store.RunFilter{Source: "corp", Limit: 1}, []string{"run-2"}},
		"by schedule":       {store.RunFilter{Schedule: "other"}, nil},
		"by time":           {store.RunFilter{Until: time.Now().Add(-time.Hour)}, nil},
	} {
		runs, err := s.ListRuns(ctx, c.f)
		require.NoError(t, err, name)
		var got []string
		for _, r := range runs {
			got = append(got, r.ID)
		}
		require.Equal(t, c.want, got, name)
	}
	r, err := s.RunByID(ctx, "sync/servers")
	require.NoError(t, err)
	require.Equal(t, "run-2", r.ID, "the newest of a workflow id")
	require.EqualValues(t, 9, r.Events)
	require.Equal(t, map[string]int64{"qualys": 2}, r.Calls)
	rows, err := s.ListOutcomes(ctx, store.OutcomeFilter{Run: "run-2", After: "corp/1"})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, "no identity", rows[0].Reason)
	classes, err := s.Classes(ctx, "run-1")
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"cmdb_ci_server": 2}, classes)
	history, err := s.History(ctx, "corp/1", 10)
	require.NoError(t, err)
	require.Equal(t, record.Unchanged, history[0].Outcome)
	require.Equal(t, record.Created, history[1].Outcome)
	_, err = s.RunByID(ctx, "none")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func concurrency(t *testing.T, s store.Store) {
	const schedules, pages = 4, 5
	var wg sync.WaitGroup
	for n := range schedules {
		wg.Add(1)
		go func() {
			defer wg.Done()
			in := input(fmt.Sprintf("run-%d", n))
			in.Schedule, in.WorkflowID = fmt.Sprintf("s%d", n), fmt.Sprintf("sync/s%d", n)
			o, err := s.OpenRun(ctx, in)
			if !assertNoError(t, err) {
				return
			}
			for p := range int64(pages) {
				key := fmt.Sprintf("corp/%d-%d", n, p)
				page, err := s.StagePage(ctx, store.StagePage{Run: in.ID, Epoch: o.Epoch, Enumeration: o.Enumeration, CursorIn: p, CursorOut: p + 1, Records: []store.Staging{rec(key)}})
				if !assertNoError(t, err) {
					return
				}
				assertNoError(t, Begin(ctx, s, in.ID, o.Epoch, page.ID, []string{key}))
				assertNoError(t, s.Settle(ctx, store.Writer{Run: in.ID, Epoch: o.Epoch, Page: page.ID}, []store.Settlement{{Key: key, Outcome: record.Created, Digest: "d", Fresh: true}}))
				_, err = s.FinishPage(ctx, in.ID, o.Epoch, page.ID)
				assertNoError(t, err)
			}
			r, err := s.CloseRun(ctx, store.CloseRun{ID: in.ID, Epoch: o.Epoch, Status: store.RunCompleted, Complete: true})
			if assertNoError(t, err) && r.Counters.Created != pages {
				t.Errorf("run %d: %+v", n, r.Counters)
			}
		}()
	}
	wg.Wait()
}

// assertNoError reports from any goroutine.
func assertNoError(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

func badText(t *testing.T, s store.Store) {
	run := open(t, s, input("run-1"))
	r := rec("corp/1")
	r.Outcome, r.Reason = record.Failed, "nul \x00 and \xff\xfe"
	run.stage(0, 10, true, r)
	rows, err := s.ListOutcomes(ctx, store.OutcomeFilter{Run: "run-1"})
	require.NoError(t, err)
	require.Equal(t, "nul  and ", rows[0].Reason)
}

func longPage(t *testing.T, s store.Store) {
	run := open(t, s, input("run-1"))
	var recs []store.Staging
	var keys []string
	for i := range 3000 {
		keys = append(keys, fmt.Sprintf("corp/%05d", i))
		recs = append(recs, rec(keys[i]))
	}
	p := run.stage(0, 10, true, recs...)
	require.EqualValues(t, 3000, p.ToWrite)
	require.NoError(t, Begin(ctx, s, run.id, run.Epoch, p.ID, keys))
	run.settle(p, record.Created, keys...)
	require.EqualValues(t, 3000, run.finish(p).Created)
}
