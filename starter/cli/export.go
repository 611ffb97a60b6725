package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Write the active configuration to standard output",
		Long: `export writes the configuration of the active revision as it was applied, with
comments when it came from one file. Secrets are references in it, never values.

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
}
