package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) runCommand() *cobra.Command {
	return group(&cobra.Command{Use: "run", Short: "Start, watch and list runs"},
		a.runStart(), a.runList(), a.runShow(), a.runWatch(), a.runCancel(), a.runForecast(), a.runPin("pin", "Keep the outcomes of a run for good", true), a.runPin("unpin", "Let the outcomes of a run go when their time is over", false))
}

func (a *app) runStart() *cobra.Command {
	var in contract.RunInput
	var wait bool
	var since string
	cmd := &cobra.Command{
		Use:   "start SCHEDULE",
		Short: "Start a run of a schedule now",
		Long: `start starts a run of a schedule. A run that meets a living one of the same
schedule completes as skipped.

The same with the temporal CLI:
  temporal workflow start --type SyncInventory --task-queue qbridge --workflow-id sync/SCHEDULE --input '{"schedule":"SCHEDULE"}'
For a schedule of kind certificates the type is SyncCertificates and the id
certificates/SCHEDULE.`,
		Args: one("qbridge run start servers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			in.Schedule = args[0]
			if since != "" {
				at, err := time.Parse(time.RFC3339, since)
				if err != nil {
					return usage("--since %q is not an instant such as 2026-11-01T00:00:00Z", since)
				}
				in.Since = at
			}
			if in.Sample < 0 || in.Sample > 300 {
				return usage("--sample %d is out of range: use 1 to 300", in.Sample)
			}
			c, err := a.temporal(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := a.polled(ctx, c); err != nil {
				return err
			}
			kind, err := a.known(ctx, in.Schedule)
			if err != nil {
				return err
			}
			run, err := start(ctx, c, kind, in)
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
	cmd.Flags().IntVar(&in.Sample, "sample", 0, "look at so many assets (1 to 300) and write nothing: staged list --schedule NAME/sample shows what would become of them")
	cmd.Flags().StringVar(&since, "since", "", "only assets that changed after an instant (2026-11-01T00:00:00Z); nothing else of the schedule moves")
	cmd.Flags().BoolVar(&in.Verify, "verify", false, "offer everything to the CMDB again, also what is unchanged")
	cmd.Flags().StringVar(&in.Revision, "revision", "", "configuration revision (default: the active one)")
	cmd.Flags().BoolVar(&wait, "wait", false, "watch the run until it ends")
	return cmd
}

// Start starts a run of a schedule to ServiceNow. A running one is an error that
// names it.
func Start(ctx context.Context, c client.Client, in contract.RunInput) (client.WorkflowRun, error) {
	return start(ctx, c, "", in)
}

// start starts a run of a schedule of a kind.
func start(ctx context.Context, c client.Client, kind string, in contract.RunInput) (client.WorkflowRun, error) {
	workflow, id := contract.RunOf(kind, in.Schedule)
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: contract.QueueMain, WorkflowExecutionErrorWhenAlreadyStarted: true, StaticSummary: contract.SummaryOf(kind, in.Schedule),
	}, workflow, in)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil, &ExitError{Code: ExitFailed, Err: fmt.Errorf("a run of %s is running already: qbridge run watch %s", in.Schedule, in.Schedule)}
	}
	if err != nil {
		return nil, failed("start run", err)
	}
	return run, nil
}

func (a *app) runWatch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch RUN|SCHEDULE|latest",
		Short: "Show the progress of a run until it ends",
		Args:  one("latest, a run id, or a schedule"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, err := a.temporal(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			workflow, run, err := a.target(ctx, c, args[0])
			if err != nil {
				return err
			}
			return a.watch(ctx, c, workflow, run)
		},
	}
}

// target finds the workflow and run that RUN|SCHEDULE|latest stands for: the
// manual run of a schedule while it lives, else the newest run of the schedule
// (Temporal's schedules give their runs ids of their own), else the run.
func (a *app) target(ctx context.Context, c client.Client, arg string) (workflow, run string, err error) {
	var manual, first string
	for _, id := range contract.RunIDs(arg) {
		run, status := describe(ctx, c, id)
		if status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return id, run, nil
		}
		if run != "" {
			manual, first = id, run
		}
	}
	q := url.Values{"limit": {"1"}}
	if arg != "latest" {
		q.Set("schedule", arg)
	}
	var list contract.RunList
	if err := a.get(ctx, contract.PathRuns, q, &list); err != nil {
		return "", "", err
	}
	if len(list.Runs) > 0 {
		return list.Runs[0].WorkflowID, list.Runs[0].Run, nil
	}
	if arg == "latest" {
		return "", "", errNoRun
	}
	v, err := a.fetchRun(ctx, arg)
	if notFound(err) && first != "" { // a run that ended before it was opened
		return manual, first, nil
	}
	return v.WorkflowID, v.Run, err
}

// describe returns the first run id of a workflow's chain, by which the store
// knows it, and its status; nothing when there is no such workflow.
func describe(ctx context.Context, c client.Client, workflowID string) (string, enumspb.WorkflowExecutionStatus) {
	d, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return "", enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	}
	info := d.GetWorkflowExecutionInfo()
	return info.GetFirstRunId(), info.GetStatus()
}

func (a *app) runCancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN|SCHEDULE|latest",
		Short: "Cancel a run; the next one resumes where it ended",
		Args:  one("latest, a run id, or a schedule"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, err := a.temporal(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			workflow, run, err := a.target(ctx, c, args[0])
			if err != nil {
				return err
			}
			if _, status := describe(ctx, c, workflow); status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
				return &ExitError{Code: ExitFailed, Err: fmt.Errorf("run %s is not running", run)}
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

// rootCause is the message of the application error at the root of a failure,
// without the layers around it.
func rootCause(err error) error {
	var app, root *temporal.ApplicationError
	for next := err; errors.As(next, &app); next = errors.Unwrap(app) {
		root = app
	}
	if root != nil {
		return errors.New(root.Message())
	}
	if temporal.IsCanceledError(err) {
		return errors.New("cancelled")
	}
	return err
}
