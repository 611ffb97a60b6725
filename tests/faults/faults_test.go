//go:build faults

package faults

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/workflows/contract"
)

var (
	seeds = flag.Int("seeds", 300, "how many seeds to play")
	only  = flag.Uint64("seed", 0, "the only seed to play")
)

// TestNothingIsLostWhateverBreaks plays seeds.
func TestNothingIsLostWhateverBreaks(t *testing.T) {
	t.Parallel()
	first, last := uint64(1), uint64(*seeds) //nolint:gosec // small
	if *only > 0 {
		first, last = *only, *only
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				plan := NewPlan(seed)
				t.Log(plan)
				require.NoError(t, play(t, plan), "replay: make faults SEED=%d", seed)
			})
		})
	}
}

// A plan that makes a bug matter, beside the estate that all have in common.
var bugPlans = map[Bug]Plan{
	AdoptionOff:     {Blows: []Blow{{At: crash.AfterStage, Nth: 1, Do: Fail}}},
	CursorEarly:     {Target: "on ire.enhanced every 1 do status(503)", CancelAt: time.Minute},
	IntentSkipped:   {Blows: []Blow{{At: crash.AfterPost, Nth: 1, Do: Kill}}},
	NotWidened:      {Deleted: 2},
	WatermarkEarly:  {Target: "on ire.enhanced every 1 do status(503)", CancelAt: time.Minute},
	RecordDropped:   {},
	FailureHidden:   {Target: "on ire.enhanced every 1 do lock_timeout(0)"},
	OutcomeEarly:    {Blows: []Blow{{At: crash.AfterIntent, Nth: 1, Do: Kill}}},
	FailedForgotten: {Target: "on ire.enhanced every 1 do lock_timeout(0)"},
	LostCIsIgnored:  {Deleted: 2},
	StaleDigest:     {},
	TokenPerCall:    {},
	SourceKeyLost:   {},
	AnswerInvented:  {Target: "on ire.enhanced nth 2 do accepted202"},
	WaitIgnored:     {Limits: true, PageSize: 4},
}

// TestEveryBugIsCaught builds bugs in: an oracle that lets one pass is worth
// nothing. Without its bug each plan passes.
func TestEveryBugIsCaught(t *testing.T) {
	t.Parallel()
	require.Len(t, bugPlans, len(Bugs()))
	for _, bug := range Bugs() {
		plan := bugPlans[bug]
		plan.Seed, plan.Assets, plan.Runs = 7, 60, 1
		if plan.PageSize == 0 {
			plan.PageSize = 20
		}
		t.Run(string(bug), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { require.NoError(t, play(t, plan), "without the bug") })
			plan.Bug = bug
			synctest.Test(t, func(t *testing.T) {
				err := play(t, plan)
				require.Error(t, err, "no oracle noticed")
				t.Log(err)
			})
		})
	}
}

// TestEveryPointSurvivesEveryAct strikes once at each point, in each way.
func TestEveryPointSurvivesEveryAct(t *testing.T) {
	t.Parallel()
	for _, at := range crash.Points() {
		if at == crash.AfterSaveRevision {
			continue // belongs to apply: tests/e2e
		}
		for _, do := range []Act{Kill, Freeze, Fail} {
			t.Run(fmt.Sprintf("%s %s", do, at), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					plan := Plan{Seed: 11, Assets: 50, PageSize: 20, Runs: 2, Strict: true, Blows: []Blow{{At: at, Nth: 1, Do: do}}}
					if at == crash.AfterClaimFailed { // needs failed records of an earlier run
						plan.Target = "on ire.enhanced nth 1 for 1m do lock_timeout(0)"
					}
					require.NoError(t, play(t, plan))
				})
			})
		}
	}
}

// TestALostAnswerToAnyPostChangesNothing loses the answer of each call of a run
// of three pages in turn, after it was committed.
func TestALostAnswerToAnyPostChangesNothing(t *testing.T) {
	t.Parallel()
	for nth := 1; nth <= 40; nth++ {
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				require.NoError(t, play(t, Plan{
					Seed: 13, Assets: 55, PageSize: 20, Runs: 1, Target: fmt.Sprintf("on * nth %d do drop_after_commit", nth),
				}))
			})
		})
	}
}

// TestAssetsThatAreLostBetweenPagesAreNoticed lets Qualys lose assets of a page
// without an error. The run says so, and the next one reads everything again.
func TestAssetsThatAreLostBetweenPagesAreNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan := Plan{Seed: 17, Assets: 60, PageSize: 20, Qualys: "on search.asset nth 2 do shift_page"}
		want := reference(t, plan, func(w *world) string { return w.digest() })
		w := newWorld(t, plan)
		defer w.close()
		res, err := w.run(contract.RunInput{}, 0)
		require.NoError(t, err)
		require.Equal(t, "incomplete", res.Outcome)
		require.Contains(t, res.Warning, "Qualys counts 60 assets and listed")
		require.Less(t, res.Fetched, int64(60))
		w.heal()
		res, err = w.run(contract.RunInput{}, 0)
		require.NoError(t, err)
		require.Equal(t, "ok", res.Outcome)
		require.EqualValues(t, 60, res.Fetched, "the enumeration is begun anew")
		require.Equal(t, want[0], w.digest())
	})
}

// TestAFailedRunIsFinishedByTheNextOneWithoutFetchingAgain lets ServiceNow fail
// for longer than a run tries.
func TestAFailedRunIsFinishedByTheNextOneWithoutFetchingAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan := Plan{Seed: 23, Assets: 60, PageSize: 20, Target: "on ire.enhanced nth 3 for 40h do status(503)"}
		w := newWorld(t, plan)
		defer w.close()
		_, err := w.run(contract.RunInput{}, 0)
		require.ErrorContains(t, err, "status 503")
		w.heal()
		res, err := w.run(contract.RunInput{}, 0)
		require.NoError(t, err)
		require.Equal(t, "ok", res.Outcome)
		want := reference(t, plan, func(w *world) string { return w.digest() })
		require.Equal(t, want[0], w.digest())
		seen := map[string]bool{}
		for _, e := range w.log(qualysHost) {
			if e.Endpoint == "search.asset" {
				require.False(t, seen[cursorOf(e)], "%s was fetched twice", cursorOf(e))
				seen[cursorOf(e)] = true
			}
		}
		require.Len(t, seen, 3)
		require.NoError(t, w.ledger())
	})
}

// TestAPageThatIsTooLargeIsReadInSmallerOnes gives a page less room than it needs.
func TestAPageThatIsTooLargeIsReadInSmallerOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan := Plan{Seed: 29, Assets: 40, PageSize: 40, MaxBody: 150_000}
		w := newWorld(t, plan)
		defer w.close()
		res, err := w.run(contract.RunInput{}, 0)
		require.NoError(t, err)
		require.EqualValues(t, 40, res.Fetched)
		require.Greater(t, res.Pages, int64(1))
		want := reference(t, plan, func(w *world) string { return w.digest() })
		require.Equal(t, want[0], w.digest())
	})
}
