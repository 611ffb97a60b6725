package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) runForecast() *cobra.Command {
	var in contract.ForecastInput
	cmd := &cobra.Command{
		Use:   "forecast SCHEDULE",
		Short: "Say what the next run of a schedule would cost",
		Long: `forecast counts the assets that the next run of a schedule would read, and says how
many calls, how much time and how many writes that means. It makes one call to
Qualys and changes nothing. Calls to Qualys are exact as long as nothing changes;
calls to ServiceNow and time come from earlier runs; writes and new CIs are bounds.
Each new CI may bring an asset record and count as a subscription unit of ITOM.

The same with the temporal CLI:
  temporal workflow execute --type Forecast --task-queue qbridge --workflow-id forecast/SCHEDULE --input '{"schedule":"SCHEDULE"}'`,
		Args: one("qbridge run forecast servers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Schedule = args[0]
			var res contract.ForecastResult
			if err := a.execute(cmd.Context(), contract.ForecastWorkflowID(in.Schedule), contract.Forecast, in, &res); err != nil {
				return err
			}
			return a.print(res, func(p view.Printer) { p.Forecast(res) })
		},
	}
	cmd.Flags().BoolVar(&in.Full, "full", false, "as for a run that reads all assets")
	cmd.Flags().StringVar(&in.Revision, "revision", "", "configuration revision (default: the active one)")
	return cmd
}

func (a *app) runPin(name, short string, pinned bool) *cobra.Command {
	return &cobra.Command{
		Use: name + " RUN", Short: short, Args: one("a run id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := contract.PinInput{Run: args[0], Pinned: pinned}
			if err := a.execute(cmd.Context(), contract.PinWorkflowID(args[0]), contract.PinRun, in, nil); err != nil {
				return err
			}
			return a.print(in, func(p view.Printer) { p.Line("run %s is %sned", in.Run, name) })
		},
	}
}

// execute runs a short workflow to its end.
func (a *app) execute(ctx context.Context, id, workflow string, in, out any) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.polled(ctx, c); err != nil {
		return err
	}
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: contract.QueueMain, WorkflowExecutionTimeout: 10 * time.Minute, StaticSummary: id}, workflow, in)
	if err != nil {
		return failed(id, err)
	}
	if err := run.Get(ctx, out); err != nil {
		return &ExitError{Code: ExitFailed, Err: fmt.Errorf("%s: %w", id, rootCause(err))}
	}
	return nil
}
