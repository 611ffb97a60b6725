package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [FILE|DIRECTORY|-...]",
		Short: "Test connections, permissions and clocks",
		Long: `doctor tests every connection of the active configuration, or of the given one,
from the worker: whether it can be reached, the login, reading assets, modules and
permissions with what they block, roles, plugins, the release, the discovery
source, identification and reconciliation rules, and the clocks. It stores and
writes nothing. apply and the first run of a revision test what they need.

Exit code 0 when nothing failed (a warning blocks only what it names), 1 when
something did, 2 for a mistake in the configuration.

The same with the temporal CLI, for the active configuration:
  temporal workflow execute --type Preflight --task-queue qbridge --workflow-id preflight/doctor --input '{}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in contract.PreflightInput
			if len(args) > 0 {
				_, doc, err := a.valid(args)
				if err != nil {
					return err
				}
				in.Document = string(doc)
			}
			return a.doctor(cmd.Context(), in)
		},
	}
}

func (a *app) doctor(ctx context.Context, in contract.PreflightInput) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.polled(ctx, c); err != nil {
		return err
	}
	var res contract.PreflightResult
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: contract.PreflightWorkflowID("doctor"), TaskQueue: contract.QueueMain, StaticSummary: "test connections",
	}, contract.Preflight, in)
	if err != nil {
		return failed("doctor", err)
	}
	if err := run.Get(ctx, &res); err != nil {
		return failed("doctor", err)
	}
	for _, p := range res.Problems {
		fmt.Fprintln(a.Stderr, "qbridge:", view.Clean(config.Problem(p).String()))
	}
	if len(res.Problems) > 0 {
		return &ExitError{Code: ExitUsage}
	}
	if err := a.print(res, func(p view.Printer) { printDoctor(p, &res) }); err != nil {
		return err
	}
	for _, ch := range res.Checks {
		if !ch.OK && !ch.Warning {
			return &ExitError{Code: ExitFailed, Err: errors.New("doctor: something failed: see above for what mends it")}
		}
	}
	return nil
}

func printDoctor(p view.Printer, res *contract.PreflightResult) {
	printChecks(p, res.Checks)
	if res.Revision != "" {
		p.Line("tested revision %s with %d calls", res.Revision, res.Calls)
	}
}

// printChecks prints a line per capability, and what mends it below.
func printChecks(p view.Printer, checks []contract.Check) {
	for _, ch := range checks {
		mark := "FAILED: "
		switch {
		case ch.OK:
			mark = ""
		case ch.Warning:
			mark = "warning: "
		}
		p.Line("  %-12s %-18s %s%s", ch.Connection, ch.Capability, mark, ch.Message)
		if ch.Blocks != "" {
			p.Line("  %-12s %-18s blocks %s", "", "", ch.Blocks)
		}
		if ch.Remedy != "" {
			p.Line("  %-12s %-18s → %s", "", "", ch.Remedy)
		}
	}
}
