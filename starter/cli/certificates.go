package cli

import (
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) certificatesCommand() *cobra.Command {
	return group(&cobra.Command{Use: "certificates", Short: "List certificates and what expires"}, a.certificatesList())
}

func (a *app) certificatesList() *cobra.Command {
	var schedule, expiring, after string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List certificates, those that end first before the others",
		Long: `list shows the certificates that schedules of kind certificates have seen, in the
order of their ends. --expiring 30d shows those that end within 30 days, and those
that have ended. "asset show" takes the key of a certificate, too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > mostRows {
				return usage("--limit is %d: use 1 to %d", limit, mostRows)
			}
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			if expiring != "" {
				d, err := config.ParseDuration(expiring)
				if err != nil {
					return usage("--expiring: %v", err)
				}
				q.Set("until", a.Now().Add(d).UTC().Format(time.RFC3339))
			}
			for name, v := range map[string]string{"schedule": schedule, "after": after} {
				if v != "" {
					q.Set(name, v)
				}
			}
			var list contract.CertificateList
			if err := a.get(cmd.Context(), contract.PathCertificates, q, &list); err != nil {
				return err
			}
			return a.print(list, func(p view.Printer) { p.Certificates(list, a.Now()) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&schedule, "schedule", "", "only those of this schedule")
	f.StringVar(&expiring, "expiring", "", "only those that end within a time, such as 30d")
	f.StringVar(&after, "after", "", "go on behind a list that named this")
	f.IntVar(&limit, "limit", 100, "at most this many")
	return cmd
}
