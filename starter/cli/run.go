package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "run", Short: "Start, watch and list runs"}
	cmd.AddCommand(a.runStart(), a.runList(), a.runShow(), a.runWatch(), a.runCancel())
	return cmd
}

func (a *app) runStart() *cobra.Command {
	var in contract.RunInput
	var wait bool
	cmd := &cobra.Command{
		Use:   "start SCHEDULE",
		Short: "Start a run of a schedule now",
		Long: `start starts a run of a schedule. A run that meets a living one of the same
schedule completes as skipped.

The same with the temporal CLI:
  temporal workflow start --type SyncInventory --task-queue qbridge --workflow-id sync/SCHEDULE --input '{"schedule":"SCHEDULE"}'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			in.Schedule = args[0]
			c, err := a.temporal(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := a.polled(ctx, c); err != nil {
				return err
			}
			run, err := Start(ctx, c, in)
			if err != nil {
				return err
			}
			if wait {
				return a.watch(ctx, c, run.GetID(), run.GetRunID())
			}
			return a.print(map[string]string{"workflowId": run.GetID(), "run": run.GetRunID()}, func(p view.Printer) {
				p.Line("started %s, run %s", run.GetID(), run.GetRunID())
				p.Line("next: qbridge run watch %s", run.GetRunID())
			})
		},
	}
	cmd.Flags().BoolVar(&in.Full, "full", false, "read all assets, not only those changed since the last run")
	cmd.Flags().BoolVar(&in.Verify, "verify", false, "offer everything to the CMDB again, also what is unchanged")
	cmd.Flags().StringVar(&in.Revision, "revision", "", "configuration revision (default: the active one)")
	cmd.Flags().BoolVar(&wait, "wait", false, "watch the run until it ends")
	return cmd
}

// Start starts a run of a schedule. A running one is an error that names it.
func Start(ctx context.Context, c client.Client, in contract.RunInput) (client.WorkflowRun, error) {
	id := contract.SyncWorkflowID(in.Schedule)
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: contract.QueueMain, WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary: "Qualys → ServiceNow, schedule " + in.Schedule,
	}, contract.SyncInventory, in)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil, &ExitError{Code: ExitFailed, Err: fmt.Errorf("a run of %s is running already: qbridge run watch %s", in.Schedule, started.RunId)}
	}
	if err != nil {
		return nil, failed("start run", err)
	}
	return run, nil
}

func (a *app) runList() *cobra.Command {
	var schedule, source, status, outcome, since, until string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List runs, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			for name, v := range map[string]string{"schedule": schedule, "source": source, "status": status, "outcome": outcome} {
				if v != "" {
					q.Set(name, v)
				}
			}
			for name, v := range map[string]string{"since": since, "until": until} {
				if v == "" {
					continue
				}
				t, err := a.instant(v)
				if err != nil {
					return usage("--%s: %v", name, err)
				}
				q.Set(name, t.UTC().Format(time.RFC3339))
			}
			q.Set("limit", strconv.Itoa(limit))
			var list contract.RunList
			if err := a.get(cmd.Context(), contract.PathRuns, q, &list); err != nil {
				return err
			}
			return a.print(list, func(p view.Printer) { p.Runs(list.Runs) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&schedule, "schedule", "", "only runs of this schedule")
	f.StringVar(&source, "source", "", "only runs of this Qualys connection")
	f.StringVar(&status, "status", "", "running, completed, failed, cancelled or skipped")
	f.StringVar(&outcome, "outcome", "", "only runs with such a record: created, updated, failed, …")
	f.StringVar(&since, "since", "", "started at or after: 2026-01-31T08:00:00Z, or an age such as 24h or 7d")
	f.StringVar(&until, "until", "", "started before: as --since")
	f.IntVar(&limit, "limit", 20, "at most this many")
	return cmd
}

// instant parses an instant, or an age before now.
func (a *app) instant(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	age, err := parseAge(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither an instant (2026-01-31T08:00:00Z) nor an age (24h, 7d)", s)
	}
	return a.Now().Add(-age), nil
}

func (a *app) runShow() *cobra.Command {
	var outcome string
	cmd := &cobra.Command{
		Use:   "show RUN|latest",
		Short: "Show a run: outcomes, CIs by class, reasons",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			id, err := a.runID(ctx, args[0])
			if err != nil {
				return err
			}
			if outcome != "" {
				return a.listOutcomes(ctx, id, outcome)
			}
			run, err := a.fetchRun(ctx, id)
			if err != nil {
				return err
			}
			return a.print(run, func(p view.Printer) { p.Run(run) })
		},
	}
	cmd.Flags().StringVar(&outcome, "outcome", "", "list the records with this outcome instead")
	return cmd
}

// runID resolves "latest".
func (a *app) runID(ctx context.Context, arg string) (string, error) {
	if arg != "latest" {
		return arg, nil
	}
	var list contract.RunList
	if err := a.get(ctx, contract.PathRuns, url.Values{"limit": {"1"}}, &list); err != nil {
		return "", err
	}
	if len(list.Runs) == 0 {
		return "", &ExitError{Code: ExitFailed, Err: errors.New("there is no run yet: qbridge run start SCHEDULE")}
	}
	return list.Runs[0].Run, nil
}

func (a *app) fetchRun(ctx context.Context, id string) (contract.RunView, error) {
	var run contract.RunView
	err := a.get(ctx, contract.PathRuns+"/"+url.PathEscape(id), nil, &run)
	return run, err
}

// mostOutcomes bounds what one listing shows.
const mostOutcomes = 1000

func (a *app) listOutcomes(ctx context.Context, id, outcome string) error {
	if !knownOutcome(outcome) {
		return usage("--outcome is %q: use one of %v", outcome, record.Outcomes())
	}
	var list contract.OutcomeList
	q := url.Values{"outcome": {outcome}, "limit": {strconv.Itoa(mostOutcomes)}}
	if err := a.get(ctx, contract.PathRuns+"/"+url.PathEscape(id)+"/outcomes", q, &list); err != nil {
		return err
	}
	return a.print(list, func(p view.Printer) { p.Outcomes(list) })
}

func knownOutcome(s string) bool {
	for _, o := range record.Outcomes() {
		if string(o) == s {
			return true
		}
	}
	return false
}

func (a *app) runWatch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch RUN|SCHEDULE|latest",
		Short: "Show the progress of a run until it ends",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, err := a.temporal(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			if workflow := contract.SyncWorkflowID(args[0]); exists(ctx, c, workflow) {
				return a.watch(ctx, c, workflow, "")
			}
			id, err := a.runID(ctx, args[0])
			if err != nil {
				return err
			}
			run, err := a.fetchRun(ctx, id)
			if err != nil {
				return err
			}
			return a.watch(ctx, c, run.WorkflowID, run.Run)
		},
	}
}

func exists(ctx context.Context, c client.Client, workflowID string) bool {
	_, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	return err == nil
}

// watch follows a run and ends with its exit code.
func (a *app) watch(ctx context.Context, c client.Client, workflowID, runID string) error {
	res, err := Watch(ctx, c, workflowID, runID, view.New(a.Stderr, a.Terminal))
	if err != nil {
		return err
	}
	if err := a.print(res, func(p view.Printer) { p.Result(res, nil) }); err != nil {
		return err
	}
	return ExitOf(res)
}

// ExitOf is the exit error of a run's result, or nil.
func ExitOf(r contract.RunResult) error {
	switch {
	case r.Status != "completed" && r.Status != "skipped":
		return &ExitError{Code: ExitFailed}
	case r.Failed > 0:
		return &ExitError{Code: ExitPartial}
	}
	return nil
}

// pollEvery is how often the progress of a run is asked for.
const pollEvery = 500 * time.Millisecond

// Watch shows the progress of a run until it ends and returns its result. A run
// that failed is an ExitError with its root cause.
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
			if e.err != nil {
				progress.End()
				return e.res, &ExitError{Code: ExitFailed, Err: fmt.Errorf("the run failed: %w", rootCause(e.err))}
			}
			progress.Last(e.res)
			return e.res, nil
		case <-tick.C:
			status, err := Status(ctx, c, workflowID)
			if err == nil {
				progress.Show(status)
			}
		}
	}
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

func (a *app) runCancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN|SCHEDULE|latest",
		Short: "Cancel a run; the next one resumes where it ended",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, err := a.temporal(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			workflow := contract.SyncWorkflowID(args[0])
			if !running(ctx, c, workflow) {
				id, err := a.runID(ctx, args[0])
				if err != nil {
					return err
				}
				run, err := a.fetchRun(ctx, id)
				if err != nil {
					return err
				}
				workflow = run.WorkflowID
				if !running(ctx, c, workflow) {
					return &ExitError{Code: ExitFailed, Err: fmt.Errorf("run %s is not running: it is %s", id, run.Status)}
				}
			}
			if err := c.CancelWorkflow(ctx, workflow, ""); err != nil {
				return failed("cancel", err)
			}
			return a.print(map[string]string{"workflowId": workflow, "status": "cancelling"}, func(p view.Printer) {
				p.Line("%s is being cancelled; what was written stays, the next run resumes", workflow)
			})
		},
	}
}

func running(ctx context.Context, c client.Client, workflowID string) bool {
	d, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	return err == nil && d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// rootCause is the message of the application error at the root of a failure,
// without the layers around it.
func rootCause(err error) error {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return errors.New(app.Message())
	}
	if temporal.IsCanceledError(err) {
		return errors.New("cancelled")
	}
	return err
}

// namespace returns the namespace that a client uses.
func namespace(context.Context, client.Client) (string, error) {
	opts, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return "", err
	}
	if opts.Namespace == "" {
		return "default", nil
	}
	return opts.Namespace, nil
}
