package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) stagedCommand() *cobra.Command {
	return group(&cobra.Command{Use: "staged", Short: "Look at staged records and decide about them"},
		a.stagedList(), a.stagedShow(),
		a.stagedDecide(approval.Approve, "Approve records: they are written"),
		a.stagedDecide(approval.Reject, "Reject records: they come back when their payload changes"),
		a.stagedDecide(approval.Hold, "Hold records: they wait until somebody decides otherwise"),
		a.stagedDecide(approval.Retry, "Write records of the failed list again"))
}

// selection are the flags that choose staged records.
type selection struct {
	schedule, filter string
	ids              []string
	all              bool
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.schedule, "schedule", "", "schedule whose records are meant")
	cmd.Flags().StringVar(&s.filter, "filter", "", "class=… operation=create|update|metadata column=… rule=… source=…")
	cmd.Flags().StringSliceVar(&s.ids, "id", nil, "keys of records: source/asset-id, at most 1,000")
	_ = cmd.MarkFlagRequired("schedule")
}

// keys are the ids; a bare asset id is refused by nobody, so it is told here.
func (s *selection) keys() ([]string, error) {
	for _, id := range s.ids {
		if !strings.Contains(id, "/") {
			return nil, usage("%q is not the key of a record: write source/%s, as `qbridge staged list` prints it", id, id)
		}
	}
	return s.ids, nil
}

func (s *selection) query() (url.Values, error) {
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	if _, err := approval.ParseFilter(s.filter); err != nil {
		return nil, usage("%s", strings.TrimPrefix(err.Error(), "approval: "))
	}
	q := url.Values{"schedule": {s.schedule}, "id": keys}
	if s.filter != "" {
		q.Set("filter", s.filter)
	}
	return q, nil
}

func (a *app) stagedList() *cobra.Command {
	var sel selection
	var state, after string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List records that wait for a decision",
		Long: `list prints the staged records of a schedule that wait, or that are in another
state, with what writing them would do. The snapshot that it prints is what a
decision names: it covers what was shown and nothing newer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := sel.query()
			if err != nil {
				return err
			}
			q.Set("limit", strconv.Itoa(limit))
			for name, value := range map[string]string{"state": state, "after": after} {
				if value != "" {
					q.Set(name, value)
				}
			}
			var list contract.StagedList
			if err := a.get(cmd.Context(), contract.PathStaged, q, &list); err != nil {
				return err
			}
			return a.print(list, func(p view.Printer) { p.Staged(list, sel.schedule) })
		},
	}
	sel.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "pending and held (default), or one of pending, held, approved, rejected, failed, expired")
	cmd.Flags().IntVar(&limit, "limit", 50, "rows")
	cmd.Flags().StringVar(&after, "after", "", "only keys after this one: the next page")
	return cmd
}

func (a *app) stagedShow() *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use:   "show SOURCE/ASSET-ID",
		Short: "Show what writing a record would change",
		Args:  one("the key of a record, as `qbridge staged list` prints it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sel.ids = args
			keys, err := sel.keys()
			if err != nil {
				return err
			}
			for _, state := range []string{"", "approved", "rejected", "failed", "expired"} {
				var list contract.StagedList
				q := url.Values{"schedule": {sel.schedule}, "id": keys, "plans": {"true"}}
				if state != "" {
					q.Set("state", state)
				}
				if err := a.get(cmd.Context(), contract.PathStaged, q, &list); err != nil {
					return err
				}
				if len(list.Rows) > 0 {
					return a.print(list.Rows[0], func(p view.Printer) { p.Plan(list.Rows[0]) })
				}
			}
			return &ExitError{Code: ExitFailed, Err: fmt.Errorf("%s does not wait in schedule %s: qbridge asset show %s tells its life", args[0], sel.schedule, args[0])}
		},
	}
	cmd.Flags().StringVar(&sel.schedule, "schedule", "", "schedule whose record is meant")
	_ = cmd.MarkFlagRequired("schedule")
	return cmd
}

func (a *app) stagedDecide(verdict, short string) *cobra.Command {
	var sel selection
	var d approval.Decision
	var noWait, dryRun bool
	cmd := &cobra.Command{
		Use:   verdict,
		Short: short,
		Long: short + `. The snapshot is the one that "staged list" printed: what changed
since is not covered. The decision is in the log before anything is written.

The same with the temporal CLI:
  temporal workflow update execute --workflow-id approval/SCHEDULE --name decide --input '{"verdict":"` + verdict + `","filter":"class=cmdb_ci_server","snapshot":N,"by":"NAME","reason":"TEXT"}'
  temporal workflow signal --workflow-id approval/SCHEDULE --name decide --input '{"id":"UNIQUE","verdict":"` + verdict + `","all":true,"snapshot":N,"by":"NAME","reason":"TEXT"}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			keys, err := sel.keys()
			if err != nil {
				return err
			}
			d.Verdict, d.Selector = verdict, approval.Selector{IDs: keys, All: sel.all, Filter: sel.filter}
			if err := d.Check(); err != nil {
				return usage("%s", strings.TrimPrefix(err.Error(), "approval: "))
			}
			if dryRun {
				return a.dryDecision(ctx, &sel, verdict)
			}
			c, err := a.temporal(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := a.polled(ctx, c); err != nil {
				return err
			}
			if _, err := a.known(ctx, sel.schedule); err != nil {
				return err
			}
			view, err := a.decide(ctx, c, sel.schedule, d, !noWait && (verdict == approval.Approve || verdict == approval.Retry))
			if err != nil {
				return err
			}
			return a.printDecision(view, verdict)
		},
	}
	sel.flags(cmd)
	cmd.Flags().BoolVar(&sel.all, "all", false, "all records that wait")
	cmd.Flags().Int64Var(&d.Snapshot, "snapshot", 0, "what `staged list` printed")
	cmd.Flags().StringVar(&d.By, "by", "", "who decides")
	cmd.Flags().StringVar(&d.Reason, "reason", "", "why")
	cmd.Flags().StringVar(&d.ID, "decision", "", "id of the decision, which makes it safe to repeat (default: a new one)")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the records are written")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count what the decision would cover")
	return cmd
}

// dryDecision counts what a decision would cover.
func (a *app) dryDecision(ctx context.Context, sel *selection, verdict string) error {
	q, err := sel.query()
	if err != nil {
		return err
	}
	if q.Set("limit", "1"); verdict == approval.Retry {
		q.Set("state", "failed")
	}
	var list contract.StagedList
	if err := a.get(ctx, contract.PathStaged, q, &list); err != nil {
		return err
	}
	out := contract.DecisionView{Receipt: contract.Receipt{Matched: list.Total}}
	return a.print(out, func(p view.Printer) { p.Line("%s would cover up to %d records", verdict, list.Total) })
}

// decide sends a decision and, where asked for, waits until its records are
// written. The approval is started when it is not there.
func (a *app) decide(ctx context.Context, c client.Client, schedule string, d approval.Decision, wait bool) (contract.DecisionView, error) {
	id := contract.ApprovalWorkflowID(schedule)
	start := c.NewWithStartWorkflowOperation(client.StartWorkflowOptions{
		ID: id, TaskQueue: contract.QueueMain, WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, StaticSummary: "decisions about schedule " + schedule,
	}, contract.Approval, contract.ApprovalInput{Schedule: schedule})
	var out contract.DecisionView
	handle, err := c.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions:          client.UpdateWorkflowOptions{UpdateID: d.ID, WorkflowID: id, UpdateName: contract.UpdateDecide, Args: []any{d}, WaitForStage: client.WorkflowUpdateStageCompleted},
	})
	if err == nil {
		err = handle.Get(ctx, &out.Receipt)
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() == contract.ErrInvalidRequest {
		return out, usage("%s", strings.TrimPrefix(app.Message(), "approval: "))
	}
	if err != nil {
		return out, failed("decide", err)
	}
	if !wait {
		return out, nil
	}
	return out, a.awaitDecision(ctx, schedule, &out)
}

// awaitDecision waits until the records of a decision are written. A worker that is
// away for a while is waited for.
func (a *app) awaitDecision(ctx context.Context, schedule string, out *contract.DecisionView) error {
	q := url.Values{"schedule": {schedule}, "id": {out.Decision}}
	pause, unanswered := decisionPoll, 0
	for {
		err := a.get(ctx, contract.PathStaged+"/decisions", q, out)
		switch {
		case err == nil && out.Waiting == 0:
			return nil
		case err == nil:
			unanswered = 0
		case unanswered == decisionPatience:
			return fmt.Errorf("decision %s is recorded and goes on by itself, but how far it is cannot be told: %w", out.Decision, err)
		default:
			unanswered++
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, decisionPollMax)
	}
}

// How often the writing of a decision is looked at, and how many looks in a row
// may fail.
const (
	decisionPoll     = 200 * time.Millisecond
	decisionPollMax  = 3 * time.Second
	decisionPatience = 20
)

func (a *app) printDecision(d contract.DecisionView, verdict string) error {
	err := a.print(d, func(p view.Printer) {
		p.Line("decision %s: %s covers %d of %d records", d.Decision, verdict, d.Decided, d.Matched)
		if d.ChangedSince > 0 {
			p.Line("%d changed since the snapshot and wait for another look", d.ChangedSince)
		}
		if d.Written+d.Failed > 0 {
			p.Line("written %d, failed %d", d.Written, d.Failed)
		}
		if d.Waiting > 0 {
			p.Line("%d still to be written", d.Waiting)
		}
	})
	if err == nil && d.Failed > 0 {
		return &ExitError{Code: ExitPartial}
	}
	return err
}

func (a *app) auditCommand() *cobra.Command {
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Check that nobody changed the decision log",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var v contract.AuditView
			if err := a.get(cmd.Context(), contract.PathAudit+"/verify", nil, &v); err != nil {
				return err
			}
			err := a.print(v, func(p view.Printer) {
				for _, problem := range v.Problems {
					p.Line("%s", problem)
				}
				p.Line("%d entries, %d problems", v.Entries, len(v.Problems))
			})
			if err == nil && len(v.Problems) > 0 {
				return &ExitError{Code: ExitFailed}
			}
			return err
		},
	}
	var schedule string
	var after int64
	show := &cobra.Command{
		Use:   "log",
		Short: "Print the decision log of a schedule",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var v contract.LogView
			q := url.Values{"schedule": {schedule}, "after": {strconv.FormatInt(after, 10)}}
			if err := a.get(cmd.Context(), contract.PathAudit+"/log", q, &v); err != nil {
				return err
			}
			return a.print(v, func(p view.Printer) {
				for _, l := range v.Lines {
					p.Line("%d %s %s", l.N, l.Hash[:12], l.Entry)
				}
			})
		},
	}
	show.Flags().StringVar(&schedule, "schedule", "", "schedule whose decisions are meant")
	show.Flags().Int64Var(&after, "after", 0, "only entries after this number")
	_ = show.MarkFlagRequired("schedule")
	return group(&cobra.Command{Use: "audit", Short: "Show and check the decision log"}, verify, show)
}
