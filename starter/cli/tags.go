package cli

import (
	"net/url"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) tagsCommand() *cobra.Command {
	return group(&cobra.Command{Use: "tags", Short: "See what a schedule does to tags in Qualys"}, a.tagsPlan())
}

func (a *app) tagsPlan() *cobra.Command {
	return &cobra.Command{
		Use:   "plan SCHEDULE",
		Short: "Show the tags that a schedule makes, changes or leaves alone, and why",
		Long: `plan shows what the last run of a schedule of kind tags planned or did: tags to
create, rename, recolour, give another rule or retire, drift, values that are refused,
and tags of others in the way. With approval: manual the changes wait for staged
approve. run start SCHEDULE compares again.`,
		Args: one("qbridge tags plan groups"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var v contract.TagPlan
			if err := a.get(cmd.Context(), contract.PathTags+"/"+url.PathEscape(args[0]), nil, &v); err != nil {
				return err
			}
			return a.print(v, func(p view.Printer) { p.Tags(v) })
		},
	}
}
