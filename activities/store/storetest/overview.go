package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/timing"
)

func overviews() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"heads are paged by key, whatever filters them":   headsPaged,
		"an asset is found by its id, its key and itself": headsFound,
		"sums of runs are the sums of their counters":     runsSummed,
		"failures are counted by reason":                  failuresCounted,
		"ended runs are read on from one of them":         endedRuns,
		"what was told is known until it is taken back":   told,
		"stages of a run add up over its attempts":        stages,
	}
}

// estate is a run with two pages: assets 1 to n, of which every third fails.
func estate(t *testing.T, s store.Store, n int) *opened {
	o := open(t, s, input("a"))
	var list []store.Staging
	var good, bad []string
	for i := 1; i <= n; i++ {
		key := fmt.Sprintf("corp/%04d", i)
		list = append(list, store.Staging{Key: key, Kind: record.KindAsset, Class: "cmdb_ci_server", PayloadDigest: "d", Body: []byte("b")})
		if i%3 == 0 {
			bad = append(bad, key)
		} else {
			good = append(good, key)
		}
	}
	p := o.stage(0, 1, true, list...)
	o.settle(p, record.Created, good...)
	o.settle(p, record.Failed, bad...)
	o.finish(p)
	return o
}

func headsPaged(t *testing.T, s store.Store) {
	o := estate(t, s, 25)
	o.close(store.RunCompleted, true)
	for name, c := range map[string]struct {
		filter store.HeadFilter
		want   int
	}{
		"all":               {store.HeadFilter{}, 25},
		"by state":          {store.HeadFilter{State: record.StateFailed}, 8},
		"by outcome":        {store.HeadFilter{Outcome: record.Created}, 17},
		"by class":          {store.HeadFilter{Class: "cmdb_ci_server"}, 25},
		"by no class":       {store.HeadFilter{Class: "cmdb_ci_computer"}, 0},
		"by outcome, class": {store.HeadFilter{Outcome: record.Failed, Class: "cmdb_ci_server"}, 8},
		"old":               {store.HeadFilter{WrittenBefore: time.Now().Add(time.Hour)}, 25},
		"older":             {store.HeadFilter{WrittenBefore: time.Now().Add(-time.Hour)}, 0},
		"of another":        {store.HeadFilter{Schedule: "other"}, 0},
	} {
		f := c.filter
		if f.Schedule == "" {
			f.Schedule = "servers"
		}
		f.Limit = 7
		var keys []string
		for {
			page, err := s.ListHeads(ctx, f)
			require.NoError(t, err, name)
			require.LessOrEqual(t, len(page.Heads), 7, name)
			for _, h := range page.Heads {
				keys = append(keys, h.Key)
			}
			if page.Next == "" {
				break
			}
			f.After = page.Next
		}
		require.Len(t, keys, c.want, name)
		require.IsIncreasing(t, append([]string{""}, keys...), name)
	}
	_, err := s.ListHeads(ctx, store.HeadFilter{Schedule: "servers", After: "nonsense"})
	require.Error(t, err)
	counts, err := s.CountHeads(ctx)
	require.NoError(t, err)
	var sum int64
	for _, c := range counts {
		require.Equal(t, "servers", c.Schedule)
		sum += c.Heads
	}
	require.EqualValues(t, 25, sum)
}

func headsFound(t *testing.T, s store.Store) {
	o := open(t, s, input("a"))
	p := o.stage(0, 1, true, store.Staging{Key: "corp/17", Kind: record.KindAsset, Class: "cmdb_ci_server", PayloadDigest: "d", Body: []byte("b")},
		store.Staging{Key: "corp/18", Kind: record.KindAsset, Class: "cmdb_ci_server", PayloadDigest: "d", Body: []byte("b")})
	o.settle(p, record.Created, "corp/17", "corp/18")
	mustIdentify(t, s, o.Enumeration, seenAs(17, "Web01", "SER-17"), seenAs(18, "web02", "SER-18"))
	for text, want := range map[string][]string{
		"17": {"corp/17"}, "corp/17": {"corp/17"}, " 17 ": {"corp/17"}, "web": {"corp/17", "corp/18"}, "WEB02": {"corp/18"}, "ser-17": {"corp/17"},
		"nobody": nil, "": nil, "%": nil, "eb0": nil,
	} {
		rows, err := s.FindHeads(ctx, []string{"corp", "other"}, text, 10)
		require.NoError(t, err, text)
		var keys []string
		for _, h := range rows {
			keys = append(keys, h.Key)
		}
		require.Equal(t, want, keys, "looking for %q", text)
	}
	rows, err := s.FindHeads(ctx, []string{"corp"}, "web", 1)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, "web01", rows[0].Name)
}

func runsSummed(t *testing.T, s store.Store) {
	before, err := s.LastComplete(ctx)
	require.NoError(t, err)
	require.Empty(t, before)
	o := estate(t, s, 12)
	run := o.close(store.RunCompleted, true)
	in := input("b")
	o = open(t, s, in)
	o.finish(o.stage(0, 1, true))
	o.close(store.RunFailed, false)
	sums, err := s.SumRuns(ctx, "servers", run.StartedAt.Add(-time.Hour), run.StartedAt.Add(time.Hour))
	require.NoError(t, err)
	var all record.Counters
	runs := map[store.RunStatus]int64{}
	var calls int64
	for _, d := range sums {
		all.Add(d.Counters)
		for status, n := range d.Runs {
			runs[status] += n
		}
		calls += d.Calls["qualys"]
	}
	require.EqualValues(t, 12, all.Fetched)
	require.EqualValues(t, 8, all.Created)
	require.EqualValues(t, 4, all.Failed)
	require.Equal(t, map[store.RunStatus]int64{store.RunCompleted: 1, store.RunFailed: 1}, runs)
	require.EqualValues(t, 4, calls)
	none, err := s.SumRuns(ctx, "servers", run.StartedAt.Add(time.Hour), run.StartedAt.Add(2*time.Hour))
	require.NoError(t, err)
	require.Empty(t, none)
	last, err := s.LastComplete(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]time.Time{"servers": run.StartedAt}, last)
}

func failuresCounted(t *testing.T, s store.Store) {
	o := open(t, s, input("a"))
	p := o.stage(0, 1, true,
		store.Staging{Key: "corp/1", Kind: record.KindAsset, PayloadDigest: "d", Outcome: record.Failed, Reason: "x"},
		store.Staging{Key: "corp/2", Kind: record.KindAsset, PayloadDigest: "d", Outcome: record.Failed, Reason: "y"},
		store.Staging{Key: "corp/3", Kind: record.KindAsset, PayloadDigest: "d", Outcome: record.Failed, Reason: "y"})
	o.finish(p)
	list, err := s.Failures(ctx, "servers")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "y", list[0].Reason)
	require.EqualValues(t, 2, list[0].Records)
	require.Equal(t, "x", list[1].Reason)
	require.False(t, list[0].Since.IsZero())
	other, err := s.Failures(ctx, "other")
	require.NoError(t, err)
	require.Empty(t, other)
}

func endedRuns(t *testing.T, s store.Store) {
	for _, id := range []string{"a", "b", "c"} {
		o := open(t, s, input(id))
		o.finish(o.stage(0, 1, true))
		o.close(store.RunCompleted, true)
	}
	open(t, s, input("still running"))
	var ids []string
	var after store.Run
	for {
		list, err := s.RunsEnded(ctx, after.EndedAt, after.ID, 2)
		require.NoError(t, err)
		for _, r := range list {
			ids = append(ids, r.ID)
			after = r
		}
		if len(list) == 0 {
			break
		}
	}
	require.ElementsMatch(t, []string{"a", "b", "c"}, ids)
	size, err := s.Size(ctx)
	require.NoError(t, err)
	require.Positive(t, size)
}

func told(t *testing.T, s store.Store) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, s.SetTold(ctx, "servers", at))
	require.NoError(t, s.SetTold(ctx, "servers", at.Add(time.Hour)))
	require.NoError(t, s.SetTold(ctx, "others", at))
	require.NoError(t, s.SetTold(ctx, "others", time.Time{}))
	list, err := s.Told(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]time.Time{"servers": at.Add(time.Hour)}, list)
}

func stages(t *testing.T, s store.Store) {
	require.NoError(t, s.AddStages(ctx, "a", nil))
	require.NoError(t, s.AddStages(ctx, "a", map[timing.Stage]time.Duration{timing.IRE: 2 * time.Second, timing.Store: 500 * time.Millisecond, timing.Qualys: 0}))
	require.NoError(t, s.AddStages(ctx, "a", map[timing.Stage]time.Duration{timing.IRE: time.Second}))
	require.NoError(t, s.AddStages(ctx, "b", map[timing.Stage]time.Duration{timing.IRE: time.Second}))
	got, err := s.Stages(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, timing.Seconds{timing.IRE: 3, timing.Store: 0.5}, got)
	got, err = s.Stages(ctx, "c")
	require.NoError(t, err)
	require.Empty(t, got)
}
