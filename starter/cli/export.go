package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the active configuration to standard output",
		Long: `export writes the configuration of the active revision as it was applied, with
comments when it came from one file. Secrets are references in it, never values.
export plan shows what a schedule to Qualys would add.

  qbridge export > qbridge.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var v contract.ConfigView
			if err := a.get(cmd.Context(), contract.PathConfig, nil, &v); err != nil {
				return err
			}
			if a.output == "json" {
				return a.print(v, func(view.Printer) {})
			}
			_, err := fmt.Fprint(a.Stdout, v.Document)
			return err
		},
	}
	cmd.AddCommand(a.exportPlan())
	return cmd
}

func (a *app) exportPlan() *cobra.Command {
	return &cobra.Command{
		Use:   "plan SCHEDULE",
		Short: "Show which addresses a schedule would add to Qualys, and which not and why",
		Long: `plan shows what the last run of a schedule of kind export planned: the ranges to
add, the licence before and after, and what became of every address. Adding cannot
be undone through any API, so the plan waits for staged approve unless the schedule
has approval: auto and a ceiling. run start SCHEDULE makes a new plan.`,
		Args: one("qbridge export plan to-qualys"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var v contract.ExportView
			if err := a.get(cmd.Context(), contract.PathExports+"/"+url.PathEscape(args[0]), nil, &v); err != nil {
				return err
			}
			return a.print(v, func(p view.Printer) { p.Export(v) })
		},
	}
}
