package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) adoptCommand() *cobra.Command {
	var in contract.AdoptInput
	cmd := &cobra.Command{
		Use:   "adopt SCHEDULE --sources NAME,…",
		Short: "Take over the CIs that another connector made of the same assets",
		Long: `adopt reads which CIs another connector made of Qualys assets (sys_object_source) and
remembers them as ours, so that the schedule updates them instead of protecting
them. Without --apply it only shows the plan. The CMDB is not changed: the next run
writes an adopted CI only if IRE's rules find that very CI, and reports it otherwise.

The same with the temporal CLI:
  temporal workflow execute --type Adopt --task-queue qbridge --workflow-id adopt/SCHEDULE --input '{"schedule":"SCHEDULE","sources":["SG-Qualys"]}'`,
		Args: one("qbridge adopt servers --sources SG-Qualys"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Schedule = args[0]
			if len(in.Sources) == 0 {
				return usage("--sources is missing: name the other connector's sources, for example SG-Qualys")
			}
			var res contract.AdoptResult
			if err := a.execute(cmd.Context(), contract.AdoptWorkflowID(in.Schedule), contract.Adopt, in, &res); err != nil {
				return err
			}
			return a.print(res, func(p view.Printer) { printAdopted(p, &res, in.Sources) })
		},
	}
	cmd.Flags().StringSliceVar(&in.Sources, "sources", nil, "names of the other connector in sys_object_source")
	cmd.Flags().StringVar(&in.Pattern, "pattern", "", "regular expression whose group is the asset id in a native key (default "+contract.AdoptPattern+")")
	cmd.Flags().BoolVar(&in.Apply, "apply", false, "remember the CIs; without it, show the plan")
	return cmd
}

func printAdopted(p view.Printer, res *contract.AdoptResult, sources []string) {
	verb := "would be adopted"
	if res.Applied {
		verb = "adopted"
	}
	p.Line("%d rows of %s: %d CIs %s, %d known already, %d assets with several CIs left alone, %d keys without an asset id",
		res.Rows, strings.Join(sources, ", "), res.Adopted, verb, res.Known, res.Ambiguous, res.Unreadable)
	rows := [][]string{}
	for _, e := range res.Examples {
		rows = append(rows, []string{e.Key, e.Class, e.SysID, e.Why})
	}
	if len(rows) > 0 {
		p.Rows([]string{"ASSET", "CLASS", "CI", "NOTE"}, rows)
	}
	if !res.Applied && res.Adopted > 0 {
		p.Line("next: the same with --apply, then %s", fmt.Sprintf("qbridge run start %s --full", res.Schedule))
	}
}
