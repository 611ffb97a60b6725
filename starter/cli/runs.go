package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

// mostRows bounds what one listing shows; the read API has the same bound.
const mostRows = 1000

var errNoRun = &ExitError{Code: ExitFailed, Err: errors.New("there is no run yet: qbridge run start SCHEDULE")}

// statuses of a run.
var statuses = []string{"running", "completed", "failed", "cancelled", "skipped"}

func (a *app) runList() *cobra.Command {
	var schedule, source, status, outcome, since, until string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List runs, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if status != "" && !slices.Contains(statuses, status) {
				return usage("--status is %q: use one of %s", status, strings.Join(statuses, ", "))
			}
			if outcome != "" && !slices.Contains(record.Outcomes(), record.Outcome(outcome)) {
				return usage("--outcome is %q: use one of %v", outcome, record.Outcomes())
			}
			if limit < 1 || limit > mostRows {
				return usage("--limit is %d: use 1 to %d", limit, mostRows)
			}
			q := url.Values{}
			for name, v := range map[string]string{"schedule": schedule, "source": source, "status": status, "outcome": outcome} {
				if v != "" {
					q.Set(name, v)
				}
			}
			for name, v := range map[string]string{"since": since, "until": until} {
				if v == "" {
					continue
				}
				t, err := a.instant(v)
				if err != nil {
					return usage("--%s: %v", name, err)
				}
				q.Set(name, t.UTC().Format(time.RFC3339))
			}
			q.Set("limit", strconv.Itoa(limit))
			var list contract.RunList
			if err := a.get(cmd.Context(), contract.PathRuns, q, &list); err != nil {
				return err
			}
			return a.print(list, func(p view.Printer) { p.Runs(list.Runs) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&schedule, "schedule", "", "only runs of this schedule")
	f.StringVar(&source, "source", "", "only runs of this Qualys connection")
	f.StringVar(&status, "status", "", strings.Join(statuses, ", "))
	f.StringVar(&outcome, "outcome", "", "only runs with such a record: created, updated, failed, …")
	f.StringVar(&since, "since", "", "started at or after: 2026-01-31T08:00:00Z, or an age such as 24h or 7d")
	f.StringVar(&until, "until", "", "started before: as --since")
	f.IntVar(&limit, "limit", 20, "at most this many")
	return cmd
}

// instant parses an instant, or an age before now.
func (a *app) instant(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	age, err := config.ParseDuration(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither an instant (2026-01-31T08:00:00Z) nor an age (24h, 7d)", s)
	}
	return a.Now().Add(-age), nil
}

func (a *app) runShow() *cobra.Command {
	var outcome string
	cmd := &cobra.Command{
		Use:   "show RUN|latest",
		Short: "Show a run: outcomes, CIs by class, reasons",
		Args:  one("latest, or a run id of `qbridge run list`"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			id, err := a.runID(ctx, args[0])
			if err != nil {
				return err
			}
			if outcome != "" {
				return a.listOutcomes(ctx, id, outcome)
			}
			run, err := a.fetchRun(ctx, id)
			if err != nil {
				return err
			}
			return a.print(run, func(p view.Printer) { p.Run(run) })
		},
	}
	cmd.Flags().StringVar(&outcome, "outcome", "", "list the records with this outcome instead")
	return cmd
}

// runID resolves "latest".
func (a *app) runID(ctx context.Context, arg string) (string, error) {
	if arg != "latest" {
		return arg, nil
	}
	var list contract.RunList
	if err := a.get(ctx, contract.PathRuns, url.Values{"limit": {"1"}}, &list); err != nil {
		return "", err
	}
	if len(list.Runs) == 0 {
		return "", errNoRun
	}
	return list.Runs[0].Run, nil
}

func (a *app) fetchRun(ctx context.Context, id string) (contract.RunView, error) {
	var run contract.RunView
	err := a.get(ctx, contract.PathRuns+"/"+url.PathEscape(id), nil, &run)
	return run, err
}

func (a *app) listOutcomes(ctx context.Context, id, outcome string) error {
	if !slices.Contains(record.Outcomes(), record.Outcome(outcome)) {
		return usage("--outcome is %q: use one of %v", outcome, record.Outcomes())
	}
	var list contract.OutcomeList
	q := url.Values{"outcome": {outcome}, "limit": {strconv.Itoa(mostRows)}}
	if err := a.get(ctx, contract.PathRuns+"/"+url.PathEscape(id)+"/outcomes", q, &list); err != nil {
		return err
	}
	return a.print(list, func(p view.Printer) { p.Outcomes(list) })
}
