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
from the worker, with one line per capability and what is blocked without it.

Of Qualys: whether it can be reached, the login, reading assets (CSAM), the modules
Asset Management & Tagging, Vulnerability Management and Certificate View, CMDB
sync, adding addresses, updating assets, the integration with ServiceNow, the
permissions for tags, limits, versions and the clock.
Of ServiceNow: the login, the discovery source, roles, identification rules of the
classes that the CI rules choose, tables, plugins, the release, settings of IRE,
reconciliation and insert rules, the user's domain, limits and the clock.

  failed    stops the runs that need it; the remedy stands below
  warning   concerns some assets or values only
  unknown   the account may not read it; the remedy names the missing right
  not used  is missing, and nothing in this configuration needs it

It stores nothing. Some permissions only show when something is written: for these
it sends requests that hold nothing to write, such as an empty list. apply and the
first run of a revision test what runs need, without these requests.

Exit codes:
  0  nothing failed; there may be warnings
  1  something failed, or the test could not be made
  2  a mistake in the configuration or the command line
-o json prints every line with the members ok, warning, unknown, unused and blocks.

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
	for i := range res.Checks {
		if res.Checks[i].Failed() {
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
	for i := range checks {
		ch := &checks[i]
		mark := ch.Status() + ": "
		switch {
		case ch.OK:
			mark = ""
		case ch.Failed():
			mark = "FAILED: "
		}
		p.Line("  %-12s %-22s %s%s", ch.Connection, ch.Capability, mark, ch.Message)
		if ch.Blocks != "" {
			p.Line("  %-12s %-22s   blocks %s", "", "", ch.Blocks)
		}
		if ch.Remedy != "" {
			p.Line("  %-12s %-22s → %s", "", "", ch.Remedy)
		}
	}
}
