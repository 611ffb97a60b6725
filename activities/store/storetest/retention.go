package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// retention: with no time to keep, everything goes but what is pinned, and what
// the next run needs.
func retention(t *testing.T, s store.Store) {
	for _, id := range []string{"kept", "gone"} {
		o := open(t, s, input(id))
		p := o.stage(0, 1, true, rec("corp/1"), rec("corp/2"), store.Staging{Key: "corp/3", Kind: record.KindAsset, Outcome: record.Skipped}, store.Staging{Key: "corp/4", Kind: record.KindAsset, Outcome: record.Failed})
		if id == "kept" {
			o.settle(p, record.Created, "corp/1")
		}
		o.settle(p, record.Failed, "corp/2")
		o.finish(p)
		o.close(store.RunCompleted, true)
	}
	require.NoError(t, s.Pin(ctx, "kept", true))
	require.ErrorIs(t, s.Pin(ctx, "nobody", true), store.ErrNotFound)
	left := func(run string) (outcomes []record.Outcome) {
		rows, err := s.ListOutcomes(ctx, store.OutcomeFilter{Run: run})
		require.NoError(t, err)
		for _, r := range rows {
			outcomes = append(outcomes, r.Outcome)
		}
		return outcomes
	}
	n, err := s.Purge(ctx, store.Keep{Successes: 24 * time.Hour, Errors: 24 * time.Hour})
	require.NoError(t, err)
	require.Zero(t, n, "all are young")
	_, err = s.Purge(ctx, store.Keep{Successes: -time.Hour, Errors: 24 * time.Hour})
	require.NoError(t, err)
	require.NotContains(t, left("gone"), record.Skipped)
	require.Contains(t, left("gone"), record.Failed, "errors are kept longer")
	_, err = s.Purge(ctx, store.Keep{Successes: -time.Hour, Errors: -time.Hour})
	require.NoError(t, err)
	require.Empty(t, left("gone"))
	require.Len(t, left("kept"), 4)
	run, err := s.RunByID(ctx, "gone")
	require.NoError(t, err)
	require.EqualValues(t, 4, run.Counters.Fetched, "the counters of a closed run are frozen")
	next := open(t, s, input("next"))
	require.Equal(t, store.ModeIncremental, next.Mode)
	require.Positive(t, next.Retries, "what failed is still tried again")
	next.close(store.RunCompleted, true)
	known, err := s.Known(ctx, "servers", "prod")
	require.NoError(t, err)
	require.EqualValues(t, 1, known)

	require.NoError(t, s.Pin(ctx, "kept", false))
	_, err = s.Purge(ctx, store.Keep{Successes: -time.Hour, Errors: -time.Hour})
	require.NoError(t, err)
	require.Empty(t, left("kept"))
}

func peek(t *testing.T, s store.Store) {
	in := input("")
	seen, err := s.Peek(ctx, in)
	require.NoError(t, err)
	require.Equal(t, store.ModeFull, seen.Mode)
	o := open(t, s, input("run-1"))
	p := o.stage(0, 10, false, rec("corp/1"))
	o.settle(p, record.Created, "corp/1")
	o.finish(p)
	o.close(store.RunCompleted, false)
	for range 2 {
		seen, err = s.Peek(ctx, in)
		require.NoError(t, err)
		require.True(t, seen.Resumed)
		require.EqualValues(t, 10, seen.Cursor)
	}
	o = open(t, s, input("run-2"))
	require.True(t, o.Resumed, "the enumeration is still there")
	require.EqualValues(t, 10, o.Cursor)
}
