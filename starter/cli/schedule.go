package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/starter/schedule"
	"github.com/qbridge/qbridge/starter/view"
)

func (a *app) scheduleCommand() *cobra.Command {
	return group(&cobra.Command{Use: "schedule", Short: "See, pause and trigger the schedules in Temporal"},
		a.scheduleList(), a.schedulePause(), a.scheduleResume(), a.scheduleTrigger(), a.scheduleBackfill())
}

// scheduleView is a schedule as `schedule list -o json` prints it.
type scheduleView struct {
	Name    string      `json:"name"`
	Paused  bool        `json:"paused"`
	Note    string      `json:"note,omitempty"`
	Running int         `json:"running"`
	Next    []time.Time `json:"next"`
	Last    time.Time   `json:"last,omitzero"`
	Skipped int         `json:"skippedOverlap"`
	Missed  int         `json:"missedCatchup"`
}

func (a *app) scheduleList() *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use: "list", Short: "List the schedules with their next times", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.temporal(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			list, err := scheduleViews(cmd.Context(), c.ScheduleClient(), n)
			if err != nil {
				return failed("list schedules", err)
			}
			return a.print(list, func(p view.Printer) { printSchedules(p, list) })
		},
	}
	cmd.Flags().IntVar(&n, "next", 1, "how many times to come are shown")
	return cmd
}

func scheduleViews(ctx context.Context, c client.ScheduleClient, n int) ([]scheduleView, error) {
	it, err := c.List(ctx, client.ScheduleListOptions{})
	if err != nil {
		return nil, err
	}
	out := []scheduleView{}
	for it.HasNext() {
		e, err := it.Next()
		if err != nil {
			return nil, err
		}
		name, ours := schedule.Name(e.ID)
		if !ours {
			continue
		}
		d, err := c.GetHandle(ctx, e.ID).Describe(ctx)
		if err != nil {
			return nil, err
		}
		v := scheduleView{Name: name, Next: d.Info.NextActionTimes, Running: len(d.Info.RunningWorkflows), Skipped: d.Info.NumActionsSkippedOverlap, Missed: d.Info.NumActionsMissedCatchupWindow}
		if s := d.Schedule.State; s != nil {
			v.Paused, v.Note = s.Paused, s.Note
		}
		if v.Paused {
			v.Next = nil
		}
		if k := len(d.Info.RecentActions); k > 0 {
			v.Last = d.Info.RecentActions[k-1].ActualTime
		}
		v.Next = append([]time.Time{}, v.Next[:min(n, len(v.Next))]...)
		out = append(out, v)
	}
	return out, nil
}

func printSchedules(p view.Printer, list []scheduleView) {
	rows := make([][]string, 0, len(list))
	for _, s := range list {
		state, note := "active", ""
		if s.Running > 0 {
			state = "running"
		}
		if s.Paused {
			state, note = "paused", s.Note
		}
		var next []string
		for _, t := range s.Next {
			next = append(next, t.Local().Format(time.DateTime))
		}
		rows = append(rows, []string{s.Name, state, strings.Join(next, ", "), seen(s.Last), fmt.Sprint(s.Skipped), fmt.Sprint(s.Missed), note})
	}
	p.Rows([]string{"SCHEDULE", "STATE", "NEXT", "LAST", "SKIPPED", "MISSED", "NOTE"}, rows)
	if len(list) == 0 {
		p.Line("no schedule is in Temporal: qbridge apply creates those of a configuration (manual ones have none)")
	}
}

// onSchedule is a command that does something to one schedule.
func (a *app) onSchedule(name, short, done string, do func(context.Context, client.ScheduleHandle) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " SCHEDULE", Short: short, Args: one("the name of a schedule"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.temporal(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			err = do(cmd.Context(), c.ScheduleClient().GetHandle(cmd.Context(), schedule.ID(args[0])))
			var missing *serviceerror.NotFound
			var exit *ExitError
			if errors.As(err, &exit) {
				return err
			}
			if errors.As(err, &missing) {
				return usage("schedule %s is not in Temporal: `qbridge schedule list` shows those that are; a manual one is run by `qbridge run start %s`", args[0], args[0])
			}
			if err != nil {
				return failed(name, err)
			}
			return a.print(map[string]string{"schedule": args[0], "done": done}, func(p view.Printer) { p.Line("schedule %s: %s", args[0], done) })
		},
	}
}

func (a *app) schedulePause() *cobra.Command {
	var note string
	cmd := a.onSchedule("pause", "Pause a schedule; apply leaves it paused", "paused", func(ctx context.Context, h client.ScheduleHandle) error {
		return h.Pause(ctx, client.SchedulePauseOptions{Note: note})
	})
	cmd.Flags().StringVar(&note, "note", "paused by "+a.user(), "why, for whoever looks next")
	return cmd
}

func (a *app) scheduleResume() *cobra.Command {
	var note string
	cmd := a.onSchedule("resume", "Let a paused schedule run again", "active", func(ctx context.Context, h client.ScheduleHandle) error {
		return h.Unpause(ctx, client.ScheduleUnpauseOptions{Note: note})
	})
	cmd.Flags().StringVar(&note, "note", "resumed by "+a.user(), "why, for whoever looks next")
	return cmd
}

func (a *app) scheduleTrigger() *cobra.Command {
	return a.onSchedule("trigger", "Run a schedule now, unless it runs already", "triggered", func(ctx context.Context, h client.ScheduleHandle) error {
		return h.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP})
	})
}

func (a *app) scheduleBackfill() *cobra.Command {
	var from, to string
	cmd := a.onSchedule("backfill", "Run the times of a schedule that lie between two instants, one after the other", "times between are run, one after the other",
		func(ctx context.Context, h client.ScheduleHandle) error {
			start, err := time.Parse(time.RFC3339, from)
			if err != nil {
				return usage("--from %q is not an instant such as 2026-11-23T08:00:00Z", from)
			}
			end := a.Now()
			if to != "" {
				if end, err = time.Parse(time.RFC3339, to); err != nil {
					return usage("--to %q is not an instant such as 2026-11-23T08:00:00Z", to)
				}
			}
			if !start.Before(end) {
				return usage("--from is not before --to")
			}
			return h.Backfill(ctx, client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{{Start: start, End: end, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL}}})
		})
	cmd.Flags().StringVar(&from, "from", "", "first instant")
	cmd.Flags().StringVar(&to, "to", "", "last instant (default: now)")
	return cmd
}

// user names whoever sits before the terminal.
func (a *app) user() string { return cmp.Or(a.Getenv("USER"), "an operator") }

func seen(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}
