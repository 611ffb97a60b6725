package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Approval decides about the staged records of a schedule: it takes decisions,
// writes what was approved in claims, and ends the wait of what nobody decided
// about. Everything that it knows is in the store; its history holds receipts and
// counters.
func Approval(ctx workflow.Context, in contract.ApprovalInput) error {
	a := &approvals{ApprovalInput: in}
	if in.Carried != nil {
		a.ApprovalState = *in.Carried
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, contract.UpdateDecide, a.decide, workflow.UpdateHandlerOptions{
		Description: "approve, reject, hold or retry staged records", Validator: func(_ workflow.Context, d approval.Decision) error { return d.Check() },
	}); err != nil {
		return err
	}
	return a.execute(ctx)
}

// approvals is the state of one approval.
type approvals struct {
	contract.ApprovalInput
	contract.ApprovalState
	waiting contract.WaitingResult
	looked  bool // what waits is known
	failed  bool // the last writing failed: it is tried again after a while, or with the next decision
	signals int  // drained since
}

// idleLook is how often an approval looks what waits although nobody told it.
const idleLook = 24 * time.Hour

// retryPause is how long approved records wait after their writing failed.
const retryPause = 10 * time.Minute

func (a *approvals) execute(ctx workflow.Context) error {
	staged, decisions := workflow.GetSignalChannel(ctx, contract.SignalStaged), workflow.GetSignalChannel(ctx, contract.SignalDecide)
	for {
		a.drain(ctx, staged, decisions)
		if err := a.write(ctx); err != nil {
			return err
		}
		if !a.looked {
			if err := a.look(ctx); err != nil {
				return err
			}
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && staged.Len() == 0 && decisions.Len() == 0 && workflow.AllHandlersFinished(ctx) {
			in := a.ApprovalInput
			state := a.ApprovalState
			in.Carried = &state
			return workflow.NewContinueAsNewError(ctx, contract.Approval, in)
		}
		woken, err := workflow.AwaitWithTimeout(ctx, a.pause(ctx), func() bool {
			return a.Work || !a.looked || staged.Len() > 0 || decisions.Len() > 0
		})
		if err != nil {
			return err
		}
		if !woken {
			a.looked, a.failed = false, false
		}
	}
}

// pause is how long to wait for news before looking by oneself.
func (a *approvals) pause(ctx workflow.Context) time.Duration {
	d := idleLook
	if a.failed {
		d = retryPause
	}
	for _, next := range []time.Time{a.waiting.Next, a.due()} {
		if !next.IsZero() {
			d = min(d, max(time.Second, next.Sub(workflow.Now(ctx))))
		}
	}
	return d
}

// decide answers the update: the decision is in the store when it returns, the
// writing follows.
func (a *approvals) decide(ctx workflow.Context, d approval.Decision) (contract.Receipt, error) {
	info := workflow.GetCurrentUpdateInfo(ctx)
	if d.ID == "" {
		d.ID = info.ID
	}
	return a.record(ctx, contract.DecideInput{Schedule: a.Schedule, Decision: d, UpdateID: info.ID})
}

func (a *approvals) record(ctx workflow.Context, in contract.DecideInput) (contract.Receipt, error) {
	var r contract.Receipt
	err := workflow.ExecuteActivity(ledger(ctx, "decide: "+in.Decision.Verdict), approving.ApprovalDecide, in).Get(ctx, &r)
	if err != nil {
		return r, err
	}
	a.looked = false
	a.Work = a.Work || r.Decided > 0 && (in.Decision.Verdict == approval.Approve || in.Decision.Verdict == approval.Retry)
	return r, nil
}

// drain takes all signals there are. A decision that is wrong is logged: nobody
// waits for an answer.
func (a *approvals) drain(ctx workflow.Context, staged, decisions workflow.ReceiveChannel) {
	for staged.ReceiveAsync(nil) {
		a.looked, a.Work = false, true // some may have been approved by a rule
	}
	for {
		var d approval.Decision
		if !decisions.ReceiveAsync(&d) {
			return
		}
		if d.ID == "" {
			d.ID = fmt.Sprintf("signal-%s-%d", workflow.GetInfo(ctx).WorkflowExecution.RunID, a.signals)
		}
		a.signals++
		if _, err := a.record(ctx, contract.DecideInput{Schedule: a.Schedule, Decision: d}); err != nil {
			workflow.GetLogger(ctx).Warn("a signalled decision was refused", "schedule", a.Schedule, "decision", d.ID, "error", err)
		}
	}
}

// write writes what was approved, claim by claim, in a run of its own.
func (a *approvals) write(ctx workflow.Context) error {
	if !a.Work {
		return nil
	}
	a.Work, a.looked = false, false
	info := workflow.GetInfo(ctx)
	a.Runs++
	run := &syncRun{RunInput: contract.RunInput{Schedule: a.Schedule}, stage: "writing what was approved"}
	err := workflow.ExecuteActivity(ledger(ctx, "open run"), approving.ApprovalOpenRun, contract.ApprovalRunInput{
		Run: fmt.Sprintf("%s-approved-%d", info.WorkflowExecution.RunID, a.Runs), WorkflowID: info.WorkflowExecution.ID, Schedule: a.Schedule,
	}).Get(ctx, &run.Plan)
	if err != nil {
		return fmt.Errorf("open approval run of %s: %w", a.Schedule, err)
	}
	workErr := a.claims(ctx, run)
	a.failed = workErr != nil
	in := contract.CloseRunInput{Plan: run.Plan, Status: "completed", Calls: callsOf(run), Events: int64(info.GetCurrentHistoryLength())}
	if workErr != nil {
		in.Status, in.Error = "failed", rootMessage(workErr)
		// What was claimed is approved still; the next decision, or tomorrow's look,
		// tries again.
		workflow.GetLogger(ctx).Error("approved records could not be written", "schedule", a.Schedule, "error", workErr)
	}
	dctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if err := workflow.ExecuteActivity(ledger(dctx, "close run"), ledgers.LedgerCloseRun, in).Get(dctx, nil); err != nil {
		return fmt.Errorf("close approval run of %s: %w", a.Schedule, err)
	}
	if temporal.IsCanceledError(workErr) {
		return workErr
	}
	return nil
}

// callsOf counts the vendor calls of a run by system.
func callsOf(run *syncRun) map[string]int64 {
	if run.Plan.Kind != "" {
		return map[string]int64{"qualys": run.QualysCalls}
	}
	return map[string]int64{"servicenow": run.ServiceNowCalls}
}

// claims writes page after page until nothing approved is left, or the history is
// long enough.
func (a *approvals) claims(ctx workflow.Context, run *syncRun) error {
	for {
		var page contract.PageRef
		if err := workflow.ExecuteActivity(ledger(ctx, "claim approved records"), approving.ApprovalClaim, contract.ClaimApprovedInput{Plan: run.Plan.OfPage()}).Get(ctx, &page); err != nil {
			return fmt.Errorf("claim approved records: %w", err)
		}
		if page.Count == 0 {
			return nil
		}
		if err := writeApproved(ctx, run, page); err != nil {
			return fmt.Errorf("write approved records: %w", err)
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			a.Work = true
			return nil
		}
	}
}

// writeApproved lets the writer of the records' kind write a page of them.
func writeApproved(ctx workflow.Context, run *syncRun, page contract.PageRef) error {
	var res contract.WritePageResult
	in, summary := contract.WritePageInput{Plan: run.Plan.OfPage(), Page: page.Page}, fmt.Sprintf("write %d approved records", page.ToWrite)
	queue, calls, start := contract.ServiceNowQueue(run.Plan.ServiceNow()), &run.ServiceNowCalls, func() workflow.Future {
		return workflow.ExecuteActivity(write(ctx, run.Plan.Target, summary), writer.ServiceNowWriteApproved, in)
	}
	if run.Plan.Kind != "" {
		queue, calls, start = contract.QualysQueue(run.Plan.Qualys()), &run.QualysCalls, func() workflow.Future {
			if run.Plan.Kind != kindMetadata {
				return workflow.ExecuteActivity(update(ctx, run.Plan.Target, summary), stepsOf(run.Plan.Kind).write, in)
			}
			return workflow.ExecuteActivity(update(ctx, run.Plan.Target, summary), business.QualysWriteApprovedMetadata, in)
		}
	}
	if err := run.patient(ctx, queue, &res, start); err != nil {
		return err
	}
	*calls += res.Calls
	run.Counters.Add(res.Counters)
	return nil
}

// look counts what waits, ends the wait of what has waited too long, and shows it.
func (a *approvals) look(ctx workflow.Context) error {
	a.looked = true
	if err := workflow.ExecuteActivity(ledger(ctx, "count what waits"), approving.ApprovalWaiting, contract.WaitingInput{Schedule: a.Schedule}).Get(ctx, &a.waiting); err != nil {
		return fmt.Errorf("count what waits: %w", err)
	}
	a.Work = a.Work || a.waiting.States[record.StateApproved] > 0 && !a.failed // left behind
	var b strings.Builder
	pending := a.waiting.States[record.StatePending]
	b.WriteString(fmt.Sprintf("**%d records wait for a decision**\n\n| state | records |\n| --- | ---: |\n", pending))
	for _, s := range []record.State{record.StatePending, record.StateHeld, record.StateApproved, record.StateRejected, record.StateFailed, record.StateExpired} {
		b.WriteString(fmt.Sprintf("| %s | %d |\n", s, a.waiting.States[s]))
	}
	b.WriteString(fmt.Sprintf("\n`qbridge staged list --schedule %s`\n\n`qbridge staged approve --schedule %s --all --snapshot N --by NAME`\n", a.Schedule, a.Schedule))
	workflow.SetCurrentDetails(ctx, b.String())
	a.remind(ctx, pending)
	return nil
}

// remindEvery is how often at most somebody is told that records wait.
const remindEvery = 24 * time.Hour

// due is when to tell that records wait; zero: never.
func (a *approvals) due() time.Time {
	due := a.waiting.Remind
	if next := a.Reminded.Add(remindEvery); !due.IsZero() && !a.Reminded.IsZero() && next.After(due) {
		return next
	}
	return due
}

// remind tells that records have waited for long. Nothing depends on its arrival.
func (a *approvals) remind(ctx workflow.Context, pending int64) {
	due := a.due()
	if pending == 0 || due.IsZero() || workflow.Now(ctx).Before(due) {
		return
	}
	a.Reminded = workflow.Now(ctx)
	in := contract.Reminder{Schedule: a.Schedule, Pending: pending, Oldest: a.waiting.Oldest}
	if err := workflow.ExecuteActivity(notify(ctx, "tell that records wait"), notifying.NotifyWaiting, in).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Warn("nobody could be told that records wait", "schedule", a.Schedule, "error", err)
	}
}
