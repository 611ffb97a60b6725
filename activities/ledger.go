package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// maxSample bounds a trial run: it is one page.
const maxSample = 300

// claimSize is how many failed records of earlier runs one page retries.
const claimSize = 300

// Temporal is what activities ask the Temporal server about.
type Temporal interface {
	// Running reports whether the chain of runs that began with firstRunID under
	// the workflow id is still open.
	Running(ctx context.Context, workflowID, firstRunID string) (bool, error)
	// Staged tells the approval of a schedule that records were staged, and starts
	// it when it is not there.
	Staged(ctx context.Context, schedule string) error
	// HasAttributes reports whether the namespace knows our search attributes.
	HasAttributes(ctx context.Context) (bool, error)
}

// Ledger opens and closes runs in the store.
type Ledger struct {
	Store    store.Store
	Settings *Settings
	Temporal Temporal
	Now      func() time.Time
}

// LedgerOpenRun pins the revision, takes the lease of the schedule and finds out
// where the run begins. A living holder makes the plan say so (SkippedFor); a
// dead one is taken over.
func (l *Ledger) LedgerOpenRun(ctx context.Context, in contract.OpenRunInput) (contract.RunPlan, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	setup, err := l.Settings.Of(ctx, in.Revision, in.Schedule)
	if err != nil {
		return contract.RunPlan{}, temporalError(err)
	}
	if in.Sample < 0 || in.Sample > maxSample {
		return contract.RunPlan{}, temporalError(&UserError{Message: fmt.Sprintf("a sample of %d is out of range: use 1 to %d", in.Sample, maxSample)})
	}
	if !in.Since.IsZero() && setup.Schedule.Kind == config.KindCertificates {
		return contract.RunPlan{}, temporalError(&UserError{Message: "certificates are always read whole: leave --since out"})
	}
	scope := in.Schedule
	if in.Sample > 0 {
		scope = contract.TrialOf(in.Schedule)
	}
	open := store.OpenRun{
		Aside: in.Sample > 0 || !in.Since.IsZero(), Sample: in.Sample > 0, Since: in.Since,
		ID: in.Run, WorkflowID: in.WorkflowID,
		Schedule: scope, Source: setup.Schedule.Source, Target: setup.Schedule.Target, Direction: setup.Schedule.Direction,
		Revision: setup.Revision, Full: in.Full || in.Verify || setup.whole(), Verify: in.Verify, RulesDigest: setup.RulesDigest,
		Overlap: time.Duration(setup.Properties.Overlap), ResumeWithin: time.Duration(setup.Properties.ResumeWithin),
	}
	toQualys := setup.Schedule.ToQualys()
	if workflow, id := contract.RunOf(setup.Schedule.Kind, in.Schedule); in.Workflow != "" && workflow != in.Workflow {
		return contract.RunPlan{}, temporalError(&UserError{Message: fmt.Sprintf("schedule %s is of kind %s: start the workflow %s with the id %s", in.Schedule, cmp.Or(setup.Schedule.Kind, config.KindInventory), workflow, id)})
	}
	if toQualys { // everything is read and compared anew: there is nothing to go on with
		if in.Sample > 0 || !in.Since.IsZero() {
			return contract.RunPlan{}, temporalError(&UserError{Message: "a schedule to Qualys takes neither a sample nor since: set approval: manual to see what a run would write"})
		}
		open.Full, open.ResumeWithin = true, 0
	}
	plan := contract.RunPlan{
		Run: in.Run, Schedule: scope, Source: open.Source, Target: open.Target, Revision: setup.Revision,
		StartedAt: l.Now().UTC(), FailureRatio: setup.Properties.FailureRatio, Approval: in.Sample > 0 || setup.Schedule.Approval == config.ApprovalManual,
	}
	if toQualys {
		plan.Kind = setup.Schedule.Kind
	}
	if plan.Attributes, err = l.Temporal.HasAttributes(ctx); err != nil {
		return contract.RunPlan{}, temporalError(err)
	}
	opened, err := l.Store.OpenRun(ctx, open)
	var held *store.LeaseHeldError
	if errors.As(err, &held) {
		alive, aerr := l.Temporal.Running(ctx, held.WorkflowID, held.RunID)
		if aerr != nil {
			return contract.RunPlan{}, temporalError(aerr)
		}
		if alive {
			plan.SkippedFor = held.WorkflowID
			return plan, nil
		}
		open.TakeOver = held.Epoch
		opened, err = l.Store.OpenRun(ctx, open)
	}
	if err != nil {
		return contract.RunPlan{}, temporalError(err)
	}
	if err := crash.At(ctx, crash.AfterOpenRun); err != nil {
		return contract.RunPlan{}, err
	}
	plan.Mode, plan.Since, plan.Cursor = string(opened.Mode), setup.after(opened.Since), opened.Cursor
	plan.Enumeration, plan.Epoch, plan.Resumed, plan.Verify = opened.Enumeration, opened.Epoch, opened.Resumed, opened.Verify
	plan.CheckTotal = !opened.Resumed
	plan.Aside, plan.Sample = open.Aside, int64(in.Sample)
	if plan.Sample > 0 {
		plan.Mode = "sample"
	}
	// A full run from the start fetches them anyway, but for certificates that end:
	// Qualys has stopped to list those.
	if opened.Mode == store.ModeIncremental || opened.Resumed || setup.Schedule.Kind == config.KindCertificates {
		plan.Retries = opened.Retries
	}
	if plan.Approval || toQualys { // what failed waits in the failed list, or is planned anew
		plan.Retries = 0
	}
	if plan.Preflight, err = l.untested(ctx, in.Run, &plan); err != nil {
		return contract.RunPlan{}, temporalError(err)
	}
	links, err := l.Store.SampleLinks(ctx, scope, 1)
	if err != nil {
		return contract.RunPlan{}, temporalError(err)
	}
	plan.Linked = len(links) > 0
	return plan, nil
}

// untested reports whether the run is the first of its revision, or follows one
// that failed.
func (l *Ledger) untested(ctx context.Context, run string, plan *contract.RunPlan) (bool, error) {
	runs, err := l.Store.ListRuns(ctx, store.RunFilter{Schedule: plan.Schedule, Limit: 2})
	if err != nil {
		return false, err
	}
	for _, r := range runs {
		if r.ID != run {
			return r.Revision != plan.Revision || r.Status == store.RunFailed, nil
		}
	}
	return true, nil
}

// LedgerClaimFailed moves failed records of earlier runs into a page of this
// run. A page without records means that none are left.
func (l *Ledger) LedgerClaimFailed(ctx context.Context, in contract.ClaimFailedInput) (contract.PageRef, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	page, err := l.Store.ClaimFailed(ctx, in.Plan.Run, in.Plan.Epoch, claimSize)
	if errors.Is(err, store.ErrNotFound) {
		return contract.PageRef{Last: true}, nil
	}
	if err != nil {
		return contract.PageRef{}, temporalError(err)
	}
	return pageRef(page), crash.At(ctx, crash.AfterClaimFailed)
}

// LedgerCloseRun settles a run and returns its result.
func (l *Ledger) LedgerCloseRun(ctx context.Context, in contract.CloseRunInput) (contract.RunResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	run, err := l.Store.CloseRun(ctx, store.CloseRun{
		ID: in.Plan.Run, Epoch: in.Plan.Epoch, Status: store.RunStatus(in.Status), Error: cmp.Or(in.Error, in.Incomplete, in.Stopped),
		Complete: in.Complete, Abandon: in.Incomplete != "", Calls: in.Calls, Events: in.Events, Forecast: forecastText(in.Plan.Forecast),
	})
	if err != nil {
		return contract.RunResult{}, temporalError(err)
	}
	if err := crash.At(ctx, crash.AfterCloseRun); err != nil {
		return contract.RunResult{}, err
	}
	if in.Plan.Approval && in.Plan.Sample == 0 {
		if err := l.Temporal.Staged(ctx, in.Plan.Schedule); err != nil {
			return contract.RunResult{}, temporalError(err)
		}
	}
	if err := l.purge(ctx, &in.Plan); err != nil {
		return contract.RunResult{}, temporalError(err)
	}
	classes, err := l.Store.Classes(ctx, run.ID)
	if err != nil {
		return contract.RunResult{}, temporalError(err)
	}
	expiring, err := l.expiring(ctx, &in.Plan)
	if err != nil {
		return contract.RunResult{}, temporalError(err)
	}
	spent, err := l.Store.Stages(ctx, run.ID)
	if err != nil {
		return contract.RunResult{}, temporalError(err)
	}
	_, _, bottleneck, _ := spent.Bottleneck()
	return contract.RunResult{
		Certificates: expiring, Stages: spent, Bottleneck: bottleneck,
		Run: run.ID, Status: string(run.Status), Outcome: outcomeOf(run), Warning: cmp.Or(in.Incomplete, in.Stopped), Forecast: in.Plan.Forecast, Counters: run.Counters, Classes: classes,
		DurationSeconds: run.EndedAt.Sub(run.StartedAt).Seconds(), Pages: run.Pages, HistoryEvents: run.Events, VendorCalls: run.Calls,
	}, nil
}

// purge removes outcomes that are older than their retention.
func (l *Ledger) purge(ctx context.Context, plan *contract.RunPlan) error {
	setup, err := l.Settings.Of(ctx, plan.Revision, plan.Schedule)
	if err != nil {
		return err
	}
	p := setup.Properties
	_, err = l.Store.Purge(ctx, store.Keep{Successes: time.Duration(p.KeepSuccesses), Errors: time.Duration(p.KeepErrors)})
	return err
}

// LedgerPin keeps the outcomes of a run for good, or lets them go.
func (l *Ledger) LedgerPin(ctx context.Context, in contract.PinInput) error {
	err := l.Store.Pin(ctx, in.Run, in.Pinned)
	if isNotFound(err) {
		err = &UserError{Message: fmt.Sprintf("there is no run %q: see `qbridge run list`", in.Run)}
	}
	return temporalError(err)
}

// LedgerPeek says how the next run of a schedule would begin, for a forecast. It
// takes no lease and changes nothing.
func (l *Ledger) LedgerPeek(ctx context.Context, in contract.ForecastInput) (contract.RunPlan, error) {
	setup, err := l.Settings.Of(ctx, in.Revision, in.Schedule)
	if err != nil {
		return contract.RunPlan{}, temporalError(err)
	}
	s := setup.Schedule
	if s.ToQualys() {
		return contract.RunPlan{}, temporalError(&UserError{Message: fmt.Sprintf("schedule %s writes to Qualys: this is for schedules to ServiceNow", s.Name)})
	}
	opened, err := l.Store.Peek(ctx, store.OpenRun{
		Schedule: s.Name, Source: s.Source, Target: s.Target, Direction: s.Direction, Revision: setup.Revision, RulesDigest: setup.RulesDigest,
		Full: in.Full || setup.whole(), Overlap: time.Duration(setup.Properties.Overlap), ResumeWithin: time.Duration(setup.Properties.ResumeWithin),
	})
	if err != nil {
		return contract.RunPlan{}, temporalError(err)
	}
	return contract.RunPlan{
		Schedule: s.Name, Source: s.Source, Target: s.Target, Revision: setup.Revision, Mode: string(opened.Mode), Since: setup.after(opened.Since),
		Cursor: opened.Cursor, Resumed: opened.Resumed, StartedAt: l.Now().UTC(),
	}, nil
}

// outcomeOf says in a word how a run ended.
func outcomeOf(run store.Run) string {
	switch {
	case run.Status != store.RunCompleted:
		return string(run.Status)
	case run.Error != "":
		return "incomplete"
	case run.Counters.Failed+run.Counters.Rejected > 0:
		return "partial"
	default:
		return "ok"
	}
}

// pageRef is the small value that stands for a page in workflow history.
func pageRef(p store.Page) contract.PageRef {
	c := p.Counters
	c.Fetched = c.Sum()
	return contract.PageRef{Page: p.ID, Count: p.Count, ToWrite: p.ToWrite, Next: p.CursorOut, Last: p.Last, Counters: c}
}

// fetchedCounters returns counters whose Fetched is their sum, so that adding
// them up keeps a run's progress balanced.
func fetchedCounters(c record.Counters) record.Counters {
	c.Fetched = c.Sum()
	return c
}

// errNoConfig tells what to do when nothing was ever applied.
func errNoConfig() error {
	return temporal.NewNonRetryableApplicationError(
		"no configuration is active: run `qbridge apply FILE` first", contract.ErrInvalidRequest, nil)
}
