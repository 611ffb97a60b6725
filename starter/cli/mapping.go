package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/starter/view"
)

func (a *app) mappingCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "mapping", Short: "Show which source value fills which column"}
	cmd.AddCommand(a.mappingShowCommand())
	return cmd
}

func (a *app) mappingShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show CLASS [FILE|DIRECTORY|-...]",
		Short: "Show the mapping of a class",
		Long: `show lists every column that a CI of a class and what belongs to it can get: target,
source paths in order of preference, transform, and the section that has to be on.
With files, the mappings of that configuration are laid over the default ones.
It makes no call.

  qbridge mapping show cmdb_ci_win_server
  qbridge mapping show cmdb_ci_linux_server qbridge.yaml -o json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var docs []*mapping.Document
			if len(args) > 1 {
				cfg, _, err := a.valid(args[1:])
				if err != nil {
					return err
				}
				docs = cfg.Mappings
			}
			return a.showMapping(args[0], docs)
		},
	}
}

func (a *app) showMapping(class string, docs []*mapping.Document) error {
	if !cmdb.KnownClass(class) && !strings.HasPrefix(class, "u_") && !strings.HasPrefix(class, "x_") {
		return &ExitError{Code: ExitUsage, Err: fmt.Errorf("class %q is not known; did you mean %q?", class, classify.Nearest(class, cmdb.Classes()))}
	}
	m, err := mapping.Extended(docs...)
	if err != nil {
		return &ExitError{Code: ExitUsage, Err: err}
	}
	lines := m.Show(class)
	return a.print(lines, func(p view.Printer) { p.Mapping(lines) })
}
