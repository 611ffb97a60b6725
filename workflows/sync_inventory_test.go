package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows"
	"github.com/qbridge/qbridge/workflows/contract"
)

// run is a workflow environment with a run of three pages.
type run struct {
	*testsuite.TestWorkflowEnvironment
	plan   contract.RunPlan
	closed contract.CloseRunInput
}

// newRun returns an environment whose activities succeed; tests override some.
func newRun(t *testing.T) *run {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	r := &run{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment()}
	r.RegisterWorkflowWithOptions(workflows.SyncInventory, workflow.RegisterOptions{Name: contract.SyncInventory})
	r.RegisterWorkflowWithOptions(workflows.ExportMetadata, workflow.RegisterOptions{Name: contract.ExportMetadata})
	for _, a := range []any{&activities.Inventory{}, &activities.Write{}, &activities.Ledger{}, &activities.Config{}, &activities.Metadata{}} {
		r.RegisterActivityWithOptions(a, activity.RegisterOptions{})
	}
	r.plan = contract.RunPlan{Run: "run-1", Schedule: "servers", Source: "corp", Target: "prod", Revision: "r1", Mode: "full", FailureRatio: 0.2}
	r.OnActivity("QualysCount", mock.Anything, mock.Anything).Return(contract.CountResult{Total: 900, Calls: 1}, nil).Maybe()
	r.OnActivity("LedgerOpenRun", mock.Anything, mock.Anything).Return(func(context.Context, contract.OpenRunInput) (contract.RunPlan, error) { return r.plan, nil }).Maybe()
	r.OnActivity("LedgerCloseRun", mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.CloseRunInput) (contract.RunResult, error) {
		r.closed = in
		return contract.RunResult{Run: in.Plan.Run, Status: in.Status, Outcome: "ok"}, nil
	}).Maybe()
	return r
}

// fetches makes page n reach from asset 100n to 100(n+1), the third being the last.
func (r *run) fetches() {
	r.OnActivity("QualysFetchPage", mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.FetchPageInput) (contract.PageRef, error) {
		return contract.PageRef{Page: in.Cursor + 1, Count: 300, ToWrite: 300, Next: in.Cursor + 100, Last: in.Cursor >= 200, Calls: 1}, nil
	})
}

func (r *run) writes(result func(contract.WritePageInput) (contract.WritePageResult, error)) {
	r.OnActivity("ServiceNowWritePage", mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
		return result(in)
	})
}

func created(n int64) contract.WritePageResult {
	return contract.WritePageResult{Counters: record.Counters{Fetched: n, Created: n}, Calls: 2}
}

func (r *run) execute() {
	r.ExecuteWorkflow(contract.SyncInventory, contract.RunInput{Schedule: "servers"})
}

func TestARunReadsAllPagesAndMovesTheWatermark(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.fetches()
	var pages []int64
	r.writes(func(in contract.WritePageInput) (contract.WritePageResult, error) {
		pages = append(pages, in.Page)
		return created(300), nil
	})
	r.execute()
	require.NoError(t, r.GetWorkflowError())
	require.Equal(t, []int64{1, 101, 201}, pages, "pages are written in order")
	require.True(t, r.closed.Complete)
	require.Equal(t, map[string]int64{"qualys": 4, "servicenow": 6}, r.closed.Calls)
	v, err := r.QueryWorkflow(contract.QueryStatus)
	require.NoError(t, err)
	var status contract.RunStatus
	require.NoError(t, v.Get(&status))
	require.Equal(t, "done", status.Stage)
	require.EqualValues(t, 900, status.Total)
}

func TestAFailedWriteClosesTheRunWithoutMovingTheWatermark(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.fetches()
	r.writes(func(in contract.WritePageInput) (contract.WritePageResult, error) {
		if in.Page == 1 {
			return created(300), nil
		}
		return contract.WritePageResult{}, temporal.NewNonRetryableApplicationError("no role itil", contract.ErrUnauthorized, nil)
	})
	r.execute()
	require.ErrorContains(t, r.GetWorkflowError(), "no role itil")
	require.Equal(t, "failed", r.closed.Status)
	require.Equal(t, "no role itil", r.closed.Error)
	require.False(t, r.closed.Complete)
}

func TestTooManyFailedRecordsStopTheRun(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.fetches()
	n := 0
	r.writes(func(contract.WritePageInput) (contract.WritePageResult, error) {
		n++
		return contract.WritePageResult{Counters: record.Counters{Fetched: 300, Created: 200, Failed: 100}}, nil
	})
	r.execute()
	require.ErrorContains(t, r.GetWorkflowError(), "more than the threshold of 20 %")
	require.Equal(t, 1, n, "nothing is written after the first bad page")
	require.Equal(t, "failed", r.closed.Status)
}

func TestACancelledRunReleasesItsLease(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.fetches()
	r.OnActivity("ServiceNowWritePage", mock.Anything, mock.Anything).Return(func(ctx context.Context, _ contract.WritePageInput) (contract.WritePageResult, error) {
		return contract.WritePageResult{}, nil
	}).After(time.Hour)
	r.RegisterDelayedCallback(r.CancelWorkflow, time.Minute)
	r.execute()
	require.Error(t, r.GetWorkflowError())
	require.Equal(t, "cancelled", r.closed.Status)
	require.False(t, r.closed.Complete)
}

func TestALivingHolderMakesTheRunSkipped(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.plan.SkippedFor = "sync/servers"
	r.execute()
	require.NoError(t, r.GetWorkflowError())
	var res contract.RunResult
	require.NoError(t, r.GetWorkflowResult(&res))
	require.Equal(t, "skipped", res.Status)
	require.Equal(t, "skipped: sync/servers is running", res.Outcome)
	require.Empty(t, r.closed.Plan.Run, "a run without the lease closes nothing")
}

func TestAPageWithNothingToWriteIsNotWritten(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.OnActivity("QualysFetchPage", mock.Anything, mock.Anything).Return(contract.PageRef{
		Page: 1, Count: 300, Last: true, Counters: record.Counters{Fetched: 300, Unchanged: 300},
	}, nil)
	r.execute()
	require.NoError(t, r.GetWorkflowError())
	r.AssertNotCalled(t, "ServiceNowWritePage", mock.Anything, mock.Anything)
	require.True(t, r.closed.Complete)
}

func TestMissingCIsMakeTheRunVerifyEverything(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.plan.Linked = true
	r.OnActivity("ServiceNowCheckLinks", mock.Anything, mock.Anything).Return(contract.CheckLinksResult{Sampled: 20, Missing: 1, Calls: 1}, nil)
	verify := false
	r.OnActivity("QualysFetchPage", mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.FetchPageInput) (contract.PageRef, error) {
		verify = in.Plan.Verify
		return contract.PageRef{Last: true}, nil
	})
	r.execute()
	require.NoError(t, r.GetWorkflowError())
	require.True(t, verify)
}

func TestWorkThatNobodyPicksUpFailsWithTheRemedyInsteadOfHanging(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.OnActivity("QualysFetchPage", mock.Anything, mock.Anything).Return(contract.PageRef{},
		temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil))
	r.OnActivity("ConfigCheckQueue", mock.Anything, contract.CheckQueueInput{Queue: "qualys.corp"}).Return(
		temporal.NewNonRetryableApplicationError("no worker polls queue qualys.corp: start one", contract.ErrNoPoller, nil))
	r.execute()
	require.ErrorContains(t, r.GetWorkflowError(), "start one")
	require.Equal(t, "failed", r.closed.Status)
}

func TestFailedRecordsOfEarlierRunsAreTriedAgainFirst(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.plan.Retries, r.plan.Mode = 2, "incremental"
	claims := 0
	r.OnActivity("LedgerClaimFailed", mock.Anything, mock.Anything).Return(func(context.Context, contract.ClaimFailedInput) (contract.PageRef, error) {
		claims++
		return contract.PageRef{Page: 77, Count: 2, ToWrite: 2}, nil
	})
	r.OnActivity("QualysFetchPage", mock.Anything, mock.Anything).Return(contract.PageRef{Last: true}, nil)
	var pages []int64
	r.writes(func(in contract.WritePageInput) (contract.WritePageResult, error) {
		pages = append(pages, in.Page)
		return created(2), nil
	})
	r.execute()
	require.NoError(t, r.GetWorkflowError())
	require.Equal(t, 1, claims)
	require.Equal(t, []int64{77}, pages)
}

func TestACountThatFailsDoesNotStopTheRun(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	r := &run{TestWorkflowEnvironment: env, plan: contract.RunPlan{Run: "run-1", Schedule: "servers", Source: "corp", Target: "prod"}}
	r.RegisterWorkflowWithOptions(workflows.SyncInventory, workflow.RegisterOptions{Name: contract.SyncInventory})
	for _, a := range []any{&activities.Inventory{}, &activities.Write{}, &activities.Ledger{}, &activities.Config{}} {
		r.RegisterActivityWithOptions(a, activity.RegisterOptions{})
	}
	r.OnActivity("LedgerOpenRun", mock.Anything, mock.Anything).Return(r.plan, nil)
	r.OnActivity("QualysCount", mock.Anything, mock.Anything).Return(contract.CountResult{}, temporal.NewNonRetryableApplicationError("no", "InvalidRequest", errors.New("x")))
	r.OnActivity("QualysFetchPage", mock.Anything, mock.Anything).Return(contract.PageRef{Last: true}, nil)
	r.OnActivity("LedgerCloseRun", mock.Anything, mock.Anything).Return(contract.RunResult{Status: "completed"}, nil)
	r.execute()
	require.NoError(t, r.GetWorkflowError())
}
