package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows"
	"github.com/qbridge/qbridge/workflows/contract"
)

// approvalEnv is an approval with a store of one number: what is approved and not
// written yet.
type approvalEnv struct {
	*testsuite.TestWorkflowEnvironment
	approved, written int64
	decided           map[string]int
	looks             []time.Time
	expiry            time.Duration
	staged            time.Time
	fail              int
	remind            time.Duration
	reminders         []contract.Reminder
}

func newApprovalEnv(t *testing.T) *approvalEnv {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	e := &approvalEnv{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), decided: map[string]int{}, expiry: 14 * 24 * time.Hour}
	e.staged = e.Now()
	e.RegisterWorkflowWithOptions(workflows.Approval, workflow.RegisterOptions{Name: contract.Approval})
	var a *activities.Approvals
	var w *activities.Write
	var l *activities.Ledger
	e.OnActivity(a.ApprovalDecide, mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.DecideInput) (contract.Receipt, error) {
		if in.Decision.Check() != nil {
			return contract.Receipt{}, errors.New("refused")
		}
		e.decided[in.Decision.ID]++
		if in.Decision.Verdict == approval.Approve && e.decided[in.Decision.ID] == 1 {
			e.approved += 700
		}
		return contract.Receipt{Decision: in.Decision.ID, Matched: 700, Decided: 700}, nil
	})
	e.OnActivity(a.ApprovalWaiting, mock.Anything, mock.Anything).Return(func(context.Context, contract.WaitingInput) (contract.WaitingResult, error) {
		e.looks = append(e.looks, e.Now())
		return contract.WaitingResult{States: map[record.State]int64{record.StatePending: 1, record.StateApproved: e.approved}, Oldest: e.staged, Next: e.staged.Add(e.expiry), Manual: true, Remind: e.remindAt()}, nil
	})
	var n *activities.Notify
	e.OnActivity(n.NotifyWaiting, mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.Reminder) error {
		e.reminders = append(e.reminders, in)
		return errors.New("the webhook is down")
	})
	e.OnActivity(a.ApprovalOpenRun, mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.ApprovalRunInput) (contract.RunPlan, error) {
		return contract.RunPlan{Run: in.Run, Schedule: in.Schedule, Target: "prod", Epoch: 1}, nil
	})
	e.OnActivity(a.ApprovalClaim, mock.Anything, mock.Anything).Return(func(context.Context, contract.ClaimApprovedInput) (contract.PageRef, error) {
		n := min(300, e.approved)
		return contract.PageRef{Page: 1, Count: n, ToWrite: n, Last: n == 0}, nil
	})
	e.OnActivity(w.ServiceNowWriteApproved, mock.Anything, mock.Anything).Return(func(context.Context, contract.WritePageInput) (contract.WritePageResult, error) {
		if e.fail > 0 {
			e.fail--
			return contract.WritePageResult{}, errors.New("down")
		}
		n := min(300, e.approved)
		e.approved, e.written = e.approved-n, e.written+n
		return contract.WritePageResult{Counters: record.Counters{Fetched: n, Created: n}}, nil
	})
	e.OnActivity(l.LedgerCloseRun, mock.Anything, mock.Anything).Return(contract.RunResult{}, nil)
	return e
}

func decision(id, verdict string) approval.Decision {
	return approval.Decision{ID: id, Verdict: verdict, Selector: approval.Selector{All: true}, Snapshot: 9, By: "ann", Reason: "r"}
}

func (e *approvalEnv) run() {
	e.ExecuteWorkflow(contract.Approval, contract.ApprovalInput{Schedule: "servers"})
}

func TestAnApprovalIsWrittenInClaimsAMonthLater(t *testing.T) {
	t.Parallel()
	e := newApprovalEnv(t)
	e.expiry = 60 * 24 * time.Hour
	var receipt contract.Receipt
	e.RegisterDelayedCallback(func() {
		e.UpdateWorkflow(contract.UpdateDecide, "u1", &testsuite.TestUpdateCallback{
			OnReject: func(err error) { t.Error(err) }, OnAccept: func() {},
			OnComplete: func(r any, err error) {
				require.NoError(t, err)
				receipt = r.(contract.Receipt)
			},
		}, decision("", approval.Approve))
	}, 30*24*time.Hour)
	e.RegisterDelayedCallback(func() { e.CancelWorkflow() }, 31*24*time.Hour)
	e.run()
	require.EqualValues(t, 700, receipt.Decided)
	require.Equal(t, "u1", receipt.Decision, "the update's id is the decision's")
	require.EqualValues(t, 700, e.written)
	require.GreaterOrEqual(t, len(e.looks), 30, "it looks every day by itself")
}

func TestAWrongDecisionIsRefusedBeforeItIsInTheHistory(t *testing.T) {
	t.Parallel()
	e := newApprovalEnv(t)
	var rejected error
	e.RegisterDelayedCallback(func() {
		d := decision("x", approval.Reject)
		d.Reason = ""
		e.UpdateWorkflow(contract.UpdateDecide, "u1", &testsuite.TestUpdateCallback{
			OnReject: func(err error) { rejected = err }, OnAccept: func() { t.Error("accepted") }, OnComplete: func(any, error) {},
		}, d)
		e.SignalWorkflow(contract.SignalDecide, d) // only logged
	}, time.Minute)
	e.RegisterDelayedCallback(func() { e.CancelWorkflow() }, time.Hour)
	e.run()
	require.ErrorContains(t, rejected, "needs a reason")
	require.Empty(t, e.decided)
}

func TestSignalledDecisionsAreWrittenToo(t *testing.T) {
	t.Parallel()
	e := newApprovalEnv(t)
	e.RegisterDelayedCallback(func() {
		for range 3 {
			e.SignalWorkflow(contract.SignalDecide, decision("same", approval.Approve))
		}
		e.SignalWorkflow(contract.SignalDecide, decision("", approval.Hold))
		e.SignalWorkflow(contract.SignalStaged, nil)
	}, time.Minute)
	e.RegisterDelayedCallback(func() { e.CancelWorkflow() }, time.Hour)
	e.run()
	require.EqualValues(t, 700, e.written)
	require.Len(t, e.decided, 2, "one without an id gets its own: %v", e.decided)
}

func TestWhatCouldNotBeWrittenIsTriedAgain(t *testing.T) {
	t.Parallel()
	e := newApprovalEnv(t)
	e.fail = 15 // more often than the environment retries an activity
	e.RegisterDelayedCallback(func() { e.SignalWorkflow(contract.SignalDecide, decision("d", approval.Approve)) }, time.Minute)
	e.RegisterDelayedCallback(func() { e.CancelWorkflow() }, 60*time.Hour)
	e.run()
	require.EqualValues(t, 700, e.written)
}

func TestAnApprovalContinuesAsNewWithItsWork(t *testing.T) {
	t.Parallel()
	e := newApprovalEnv(t)
	e.SetContinueAsNewSuggested(true)
	e.RegisterDelayedCallback(func() { e.SignalWorkflow(contract.SignalDecide, decision("d", approval.Approve)) }, 0)
	e.run()
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, e.GetWorkflowError(), &again)
}

func (e *approvalEnv) remindAt() time.Time {
	if e.remind == 0 {
		return time.Time{}
	}
	return e.staged.Add(e.remind)
}

func TestSomebodyIsToldOnceADayThatRecordsWait(t *testing.T) {
	t.Parallel()
	e := newApprovalEnv(t)
	e.remind = 2 * 24 * time.Hour
	e.RegisterDelayedCallback(func() { require.Empty(t, e.reminders) }, 47*time.Hour)
	e.RegisterDelayedCallback(func() { e.CancelWorkflow() }, 5*24*time.Hour-time.Hour)
	e.run()
	for _, r := range e.reminders {
		require.Equal(t, "servers", r.Schedule)
		require.EqualValues(t, 1, r.Pending)
	}
	require.Len(t, e.reminders, 3*6, "after two, three and four days, six attempts each")
}
