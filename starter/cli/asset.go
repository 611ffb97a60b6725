package cli

import (
	"net/url"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) assetCommand() *cobra.Command {
	return group(&cobra.Command{Use: "asset", Short: "Show and explain what became of an asset"},
		a.assetSub("show", "Show the CI, the parts and the history of an asset", "", func(q url.Values, cmd *cobra.Command, id string) error {
			var list contract.AssetList
			if err := a.get(cmd.Context(), contract.PathAssets+"/"+url.PathEscape(id), q, &list); err != nil {
				return err
			}
			return a.print(list, func(p view.Printer) { p.Assets(list) })
		}),
		a.assetSub("explain", "Explain class and identification of an asset", `explain prints, for every schedule that saw the asset: the values from Qualys and
what cleansing made of them, the rule that chose the class, every other rule with
the first condition that failed, how IRE identified the CI, and the outcome.`, func(q url.Values, cmd *cobra.Command, id string) error {
			var list contract.ExplainList
			if err := a.get(cmd.Context(), contract.PathAssets+"/"+url.PathEscape(id)+"/explain", q, &list); err != nil {
				return err
			}
			return a.print(list, func(p view.Printer) { p.Explain(list) })
		}))
}

func (a *app) assetSub(name, short, long string, run func(url.Values, *cobra.Command, string) error) *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use: name + " ASSET-ID", Short: short, Long: long, Args: one("the Qualys asset id, or source/id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{}
			if source != "" {
				q.Set("source", source)
			}
			return run(q, cmd, args[0])
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "Qualys connection (default: all)")
	return cmd
}
