package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

// watch follows a run, prints its summary and ends with its exit code. Reasons
// come from the read API; without it the summary has none.
func (a *app) watch(ctx context.Context, c client.Client, workflowID, runID string) error {
	res, err := Watch(ctx, c, workflowID, runID, view.New(a.Stderr, a.Terminal).WithClock(a.Now))
	if err != nil && (ctx.Err() != nil || runID == "") {
		return err
	}
	if res.Run == "" {
		res.Run = runID
	}
	var reasons []contract.ReasonCount
	stored, missing := a.fetchRun(ctx, res.Run)
	switch {
	case missing == nil && err != nil: // a failed workflow has no result: the store has
		res, reasons = ResultOf(stored), stored.Reasons
	case missing == nil:
		reasons = stored.Reasons
	case err != nil:
		return err
	}
	if perr := a.print(res, func(p view.Printer) {
		p.Result(res, reasons)
		p.Next(res)
	}); perr != nil {
		return perr
	}
	if err != nil && res.Status != "completed" && res.Status != "skipped" { // Temporal may have forgotten a run that the store still knows
		return err
	}
	return ExitOf(res)
}

// ResultOf is the result of a run as the store knows it.
func ResultOf(v contract.RunView) contract.RunResult {
	return contract.RunResult{
		Run: v.Run, Status: v.Status, Outcome: v.Status, Counters: v.Counters, Classes: v.Classes,
		DurationSeconds: v.EndedAt.Sub(v.StartedAt).Seconds(), Pages: v.Pages, HistoryEvents: v.Events, VendorCalls: v.Calls,
	}
}

// ExitOf is the exit error of a run's result, or nil.
func ExitOf(r contract.RunResult) error {
	switch {
	case r.Status != "completed" && r.Status != "skipped":
		return &ExitError{Code: ExitFailed}
	case r.Failed > 0 || r.Outcome == "incomplete":
		return &ExitError{Code: ExitPartial}
	}
	return nil
}

// pollEvery is how often the progress of a run is asked for.
const pollEvery = 500 * time.Millisecond

// Watch shows the progress of a run until it ends and returns its result. A run
// that failed is an ExitError with its root cause; the run goes on when ctx ends
// before it.
func Watch(ctx context.Context, c client.Client, workflowID, runID string, p view.Printer) (contract.RunResult, error) {
	type end struct {
		res contract.RunResult
		err error
	}
	done := make(chan end, 1)
	go func() {
		var e end
		e.err = c.GetWorkflow(ctx, workflowID, runID).Get(ctx, &e.res) // follows continue-as-new
		done <- e
	}()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	progress := p.Progress()
	defer progress.End()
	for {
		select {
		case e := <-done:
			switch {
			case e.err == nil:
				progress.Last(e.res)
				return e.res, nil
			case ctx.Err() != nil:
				progress.End()
				return e.res, &ExitError{Code: ExitFailed, Err: fmt.Errorf("stopped watching; the run goes on: qbridge run watch %s", watchable(workflowID, runID))}
			}
			progress.End()
			return e.res, &ExitError{Code: ExitFailed, Err: fmt.Errorf("the run failed: %w", rootCause(e.err))}
		case <-tick.C:
			status, err := Status(ctx, c, workflowID)
			switch {
			case err == nil:
				progress.Show(status)
			case noAnswer(err):
				progress.Waiting("no worker answers: the run waits until one starts (make run, or bin/qbridge-worker)")
			}
		}
	}
}

// watchable is what `run watch` takes for a run.
func watchable(workflowID, runID string) string {
	if runID != "" {
		return runID
	}
	if schedule, ok := contract.ScheduleOfSyncID(workflowID); ok {
		return schedule
	}
	return "latest"
}

// noAnswer reports whether a query failed because nobody answers it.
func noAnswer(err error) bool {
	var late *serviceerror.DeadlineExceeded
	return errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)
}

// Status asks a run for its live status.
func Status(ctx context.Context, c client.Client, workflowID string) (contract.RunStatus, error) {
	var s contract.RunStatus
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	v, err := c.QueryWorkflow(ctx, workflowID, "", contract.QueryStatus)
	if err != nil {
		return s, err
	}
	return s, v.Get(&s)
}
