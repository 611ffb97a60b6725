package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Stages of a run, as shown in its status and search attributes.
const (
	stageOpening  = "opening"
	stageRetrying = "retrying"
	stageSyncing  = "syncing"
	stageClosing  = "closing"
	stageDone     = "done"
)

// SyncInventory reads the Qualys inventory of a schedule page by page and brings
// it into the CMDB. The result of a run that finishes is its RunResult; a run
// fails on authorisation, contract errors, a lost lease or too many failed
// records. A run that meets a living one of the same schedule completes as
// skipped.
func SyncInventory(ctx workflow.Context, in contract.RunInput) (contract.RunResult, error) {
	return start(ctx, &syncRun{RunInput: in, kind: contract.SyncInventory})
}

// start makes a run answer for itself and runs it.
func start(ctx workflow.Context, r *syncRun) (contract.RunResult, error) {
	r.stage = stageOpening
	if err := workflow.SetQueryHandlerWithOptions(ctx, contract.QueryStatus, r.status,
		workflow.QueryHandlerOptions{Description: "stage and counters of the run"}); err != nil {
		return contract.RunResult{}, err
	}
	return r.execute(ctx, r.work)
}

// syncRun is one run. The embedded input is what continue-as-new carries.
type syncRun struct {
	contract.RunInput
	contract.RunProgress
	kind       string // workflow type, where the plan does not say it
	stage      string
	waiting    string
	bottleneck string // of the run that ended
}

// execute does work between opening and closing the run.
func (r *syncRun) execute(ctx workflow.Context, work func(workflow.Context) error) (contract.RunResult, error) {
	if r.Continued != nil {
		r.RunProgress = *r.Continued
	} else if err := r.open(ctx); err != nil {
		return contract.RunResult{}, err
	}
	if r.Plan.SkippedFor != "" {
		return r.skipped(ctx), nil
	}
	err := work(ctx)
	if workflow.IsContinueAsNewError(err) {
		return contract.RunResult{}, err
	}
	return r.close(ctx, err)
}

// work does everything between opening and closing.
func (r *syncRun) work(ctx workflow.Context) error {
	if r.Continued == nil {
		if err := r.preflight(ctx); err != nil {
			return err
		}
		if err := r.checkLinks(ctx); err != nil {
			return err
		}
		if r.kind == contract.SyncInventory { // Certificate View does not count
			r.count(ctx)
		}
	}
	r.enter(ctx, stageSyncing)
	if err := r.pages(ctx); err != nil || r.Stopped != "" {
		return err
	}
	r.checkTotal(ctx)
	// Last, so that a record that Qualys sent again is written with its news.
	r.enter(ctx, stageRetrying)
	return r.retryFailed(ctx)
}

// open pins the revision, takes the lease and finds out where to begin.
func (r *syncRun) open(ctx workflow.Context) error {
	info := workflow.GetInfo(ctx)
	err := workflow.ExecuteActivity(ledger(ctx, "open run"), ledgers.LedgerOpenRun, contract.OpenRunInput{
		Run:        info.FirstRunID,
		WorkflowID: info.WorkflowExecution.ID,
		Schedule:   r.Schedule,
		Revision:   r.Revision,
		Full:       r.Full,
		Verify:     r.Verify,
		Sample:     r.Sample,
		Since:      r.Since,
		Workflow:   info.WorkflowType.Name,
	}).Get(ctx, &r.Plan)
	if err != nil {
		return fmt.Errorf("open run of %s: %w", r.Schedule, err)
	}
	r.Cursor = r.Plan.Cursor
	r.tag(ctx,
		attrSchedule.ValueSet(r.Plan.Schedule), attrSource.ValueSet(r.Plan.Source),
		attrDirection.ValueSet(r.workflowType()), attrMode.ValueSet(r.Plan.Mode), attrStage.ValueSet(r.stage))
	return nil
}

// workflowType is the name of the run's workflow.
func (r *syncRun) workflowType() string {
	if r.kind != "" {
		return r.kind
	}
	name, _ := contract.RunOf(r.Plan.Kind, r.Plan.Schedule)
	return name
}

// checkLinks reads a sample of linked CIs back; any missing one means that the
// store's memory cannot be trusted (a clone-back, a clean-up), so this run
// ignores digests.
func (r *syncRun) checkLinks(ctx workflow.Context) error {
	if !r.Plan.Linked || r.Plan.Verify || r.Plan.Aside {
		return nil
	}
	var res contract.CheckLinksResult
	err := r.patient(ctx, contract.ServiceNowQueue(r.Plan.Target), &res, func() workflow.Future {
		return workflow.ExecuteActivity(write(ctx, r.Plan.Target, "check linked CIs"), writer.ServiceNowCheckLinks,
			contract.CheckLinksInput{Plan: r.Plan})
	})
	if err != nil {
		return fmt.Errorf("check linked CIs: %w", err)
	}
	r.ServiceNowCalls += res.Calls
	r.Plan.Verify = res.Missing > 0
	if res.Plan != nil {
		r.Plan, r.Cursor = *res.Plan, res.Plan.Cursor
		r.tag(ctx, attrMode.ValueSet(r.Plan.Mode))
	}
	return nil
}

// count asks how many assets there are, for progress only: a run goes on
// without it.
func (r *syncRun) count(ctx workflow.Context) {
	var res contract.CountResult
	err := workflow.ExecuteActivity(glance(ctx, r.Plan.Source, "count assets"), inventory.QualysCount,
		contract.CountInput{Plan: r.Plan}).Get(ctx, &res)
	if err != nil {
		workflow.GetLogger(ctx).Warn("assets could not be counted", "schedule", r.Schedule, "error", err)
		return
	}
	r.QualysCalls += res.Calls
	r.Plan.Total, r.Plan.Forecast = res.Total, res.Forecast
}

// close settles the run in the store and turns the end of the work into the
// end of the workflow. It works on a disconnected context, so that a cancelled
// run releases its lease too.
func (r *syncRun) close(ctx workflow.Context, workErr error) (contract.RunResult, error) {
	canceled := workErr != nil && (temporal.IsCanceledError(workErr) || errors.Is(ctx.Err(), workflow.ErrCanceled))
	r.enter(ctx, stageClosing)
	dctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	in := contract.CloseRunInput{
		Plan:       r.Plan,
		Status:     "completed",
		Incomplete: r.Incomplete,
		Stopped:    r.Stopped,
		Complete:   workErr == nil && r.Incomplete == "" && r.Stopped == "" && !r.Plan.Aside,
		Calls:      map[string]int64{"qualys": r.QualysCalls, "servicenow": r.ServiceNowCalls},
		Events:     r.Events + int64(workflow.GetInfo(ctx).GetCurrentHistoryLength()),
	}
	if r.PreflightCalls > 0 {
		in.Calls["preflight"] = r.PreflightCalls
	}
	switch {
	case canceled:
		in.Status, in.Error = "cancelled", "cancelled"
	case workErr != nil:
		in.Status, in.Error = "failed", rootMessage(workErr)
	}
	var res contract.RunResult
	if err := workflow.ExecuteActivity(ledger(dctx, "close run"), ledgers.LedgerCloseRun, in).Get(dctx, &res); err != nil {
		return contract.RunResult{}, errors.Join(workErr, fmt.Errorf("close run: %w", err))
	}
	r.Counters, r.bottleneck = res.Counters, res.Bottleneck
	r.enter(dctx, stageDone)
	r.tag(dctx, attrOutcome.ValueSet(res.Outcome), attrWritten.ValueSet(res.Written()), attrFailures.ValueSet(res.Failed))
	return res, workErr
}

// skipped is the result of a run that met a living one.
func (r *syncRun) skipped(ctx workflow.Context) contract.RunResult {
	r.stage = stageDone
	res := contract.RunResult{
		Run:         workflow.GetInfo(ctx).FirstRunID,
		Status:      "skipped",
		Outcome:     "skipped: " + r.Plan.SkippedFor + " is running",
		Classes:     map[string]int64{},
		VendorCalls: map[string]int64{},
	}
	r.tag(ctx, attrOutcome.ValueSet("skipped"), attrStage.ValueSet(r.stage))
	workflow.SetCurrentDetails(ctx, res.Outcome)
	return res
}

// status answers the status query.
func (r *syncRun) status() (contract.RunStatus, error) {
	return contract.RunStatus{
		Run: r.Plan.Run, Stage: r.stage, Mode: r.Plan.Mode, Counters: r.Counters, Total: r.Plan.Total,
		Pages: r.Pages, StartedAt: r.Plan.StartedAt, Waiting: r.waiting,
	}, nil
}

// enter moves the run to a stage and shows it.
func (r *syncRun) enter(ctx workflow.Context, stage string) {
	r.stage = stage
	r.tag(ctx, attrStage.ValueSet(stage))
	r.show(ctx)
}

// show renders the run for the Temporal UI.
func (r *syncRun) show(ctx workflow.Context) {
	var b strings.Builder // Sprintf, because the determinism check cannot see through Fprintf
	b.WriteString(fmt.Sprintf("**%s** · %s · %d of %s %s · %d pages\n\n", r.stage, r.Plan.Mode, r.Counters.Fetched, orUnknown(r.Plan.Total), r.noun(), r.Pages))
	if elapsed := workflow.Now(ctx).Sub(r.Plan.StartedAt); elapsed > time.Second && r.Counters.Fetched > 0 && !r.Plan.StartedAt.IsZero() {
		rate := float64(r.Counters.Fetched) / elapsed.Seconds()
		b.WriteString(fmt.Sprintf("%.0f %s/s", rate, r.noun()))
		if left := r.Plan.Total - r.Counters.Fetched; left > 0 {
			b.WriteString(fmt.Sprintf(", about %s left", (time.Duration(float64(left)/rate) * time.Second).Round(time.Second)))
		}
		b.WriteString("\n\n")
	}
	b.WriteString("| outcome | records |\n| --- | ---: |\n")
	for _, o := range record.Outcomes() {
		b.WriteString(fmt.Sprintf("| %s | %d |\n", o, r.Counters.Of(o)))
	}
	if r.waiting != "" {
		b.WriteString(fmt.Sprintf("\nwaiting: %s\n", r.waiting))
	}
	if r.bottleneck != "" {
		b.WriteString("\n" + r.bottleneck + "\n")
	}
	b.WriteString(fmt.Sprintf("\n`qbridge run show %s`\n", r.Plan.Run))
	workflow.SetCurrentDetails(ctx, b.String())
}

func orUnknown(n int64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprint(n)
}

// rootMessage is the message of the application error at the root, without the
// layers that Temporal wraps around it.
func rootMessage(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	return err.Error()
}
