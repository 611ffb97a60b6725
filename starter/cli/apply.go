package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/schedule"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) applyCommand() *cobra.Command {
	var author string
	var skip, prune bool
	cmd := &cobra.Command{
		Use:   "apply FILE|DIRECTORY|-...",
		Short: "Store a configuration as the active revision and its schedules in Temporal",
		Long: `apply checks a configuration, tests its connections, stores it as an immutable
revision, makes it active, and creates or updates the Temporal schedules. Workers
take it up within seconds. Nothing is stored when anything is wrong.

A schedule that somebody changed by hand is mended; a pause that an operator set
stays. Schedules that left the configuration are paused; --prune deletes them.

The same with the temporal CLI (schedules aside):
  temporal workflow execute --type ApplyConfig --task-queue qbridge --workflow-id config --input '{"document":"…"}'`,
		Args: some("qbridge.yaml"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, doc, err := a.valid(args)
			if err != nil {
				return err
			}
			return a.apply(cmd.Context(), cfg, contract.ApplyInput{Document: string(doc), Author: author, SkipChecks: skip}, prune)
		},
	}
	cmd.Flags().StringVar(&author, "author", a.Getenv("USER"), "who applies it, for the record")
	cmd.Flags().BoolVar(&prune, "prune", false, "delete the schedules that left the configuration")
	cmd.Flags().BoolVar(&skip, "skip-checks", false, "store the revision although a connection test fails")
	return cmd
}

// applied is what `apply -o json` prints.
type applied struct {
	contract.ApplyResult
	Schedules []schedule.Change `json:"schedules"`
	Notes     []string          `json:"notes,omitempty"`
}

func (a *app) apply(ctx context.Context, cfg *config.Config, in contract.ApplyInput, prune bool) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.polled(ctx, c); err != nil {
		return err
	}
	res, err := applyRevision(ctx, c, in)
	if err != nil {
		return err
	}
	if len(res.Problems) > 0 {
		return a.refused(res)
	}
	out := applied{ApplyResult: res, Schedules: []schedule.Change{}}
	if err := a.register(ctx, c); err != nil {
		out.Notes = append(out.Notes, "search attributes are not registered, so Temporal cannot list runs by them: "+err.Error())
	}
	changes, err := schedule.Apply(ctx, c.ScheduleClient(), cfg, prune)
	out.Schedules = append(out.Schedules, changes...)
	if err != nil {
		return &ExitError{Code: ExitFailed, Err: fmt.Errorf("revision %s is active, but not all its schedules are in Temporal; apply it again: %w", res.Revision, err)}
	}
	return a.print(out, func(p view.Printer) { printApplied(p, out) })
}

// applyRevision runs ApplyConfig. Problems are in the result, not an error.
func applyRevision(ctx context.Context, c client.Client, in contract.ApplyInput) (contract.ApplyResult, error) {
	var res contract.ApplyResult
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: contract.ConfigWorkflowID, TaskQueue: contract.QueueMain, WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary: "apply configuration",
	}, contract.ApplyConfig, in)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return res, &ExitError{Code: ExitFailed, Err: errors.New("another apply is running: wait for it, or see `temporal workflow show -w config`")}
	}
	if err != nil {
		return res, failed("apply", err)
	}
	if err := run.Get(ctx, &res); err != nil {
		return res, failed("apply", err)
	}
	return res, nil
}

func printApplied(p view.Printer, res applied) {
	printChecks(p, res.Checks)
	for _, ch := range res.Schedules {
		p.Line("  schedule     %-18s %s", ch.Name, ch.Done())
		if ch.Held != "" {
			p.Line("               %-18s %s; let it run with: temporal schedule toggle --unpause --schedule-id %s", "", ch.Held, schedule.ID(ch.Name))
		}
	}
	for _, n := range res.Notes {
		p.Line("note: %s", n)
	}
	if res.Changed {
		p.Line("revision %s is active", res.Revision)
	} else {
		p.Line("revision %s is active already: nothing changed", res.Revision)
	}
}

// refused prints why a configuration was not applied.
func (a *app) refused(res contract.ApplyResult) error {
	if a.output == "json" {
		if err := a.print(applied{ApplyResult: res, Schedules: []schedule.Change{}}, nil); err != nil {
			return err
		}
		return &ExitError{Code: ExitUsage}
	}
	for _, p := range res.Problems {
		fmt.Fprintln(a.Stderr, "qbridge:", view.Clean(config.Problem(p).String()))
	}
	return &ExitError{Code: ExitUsage}
}

// polled fails when no worker would pick the work up.
func (a *app) polled(ctx context.Context, c client.Client) error {
	for deadline := a.Now().Add(a.Patience); ; {
		d, err := c.DescribeTaskQueue(ctx, contract.QueueMain, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
		if err != nil {
			return failed("ask for workers", err)
		}
		if len(d.GetPollers()) > 0 {
			return nil
		}
		if !a.Now().Before(deadline) {
			return &ExitError{Code: ExitFailed, Err: fmt.Errorf("no worker polls task queue %s: start one (make run, or bin/qbridge-worker)", contract.QueueMain)}
		}
		select { // a worker that has just started polls in a moment
		case <-ctx.Done():
			return failed("ask for workers", ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

// register makes our search attributes known to the namespace.
func (a *app) register(ctx context.Context, c client.Client) error {
	attrs := map[string]enumspb.IndexedValueType{}
	for name, kind := range contract.SearchAttributes() {
		attrs[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
		if kind == "Int" {
			attrs[name] = enumspb.INDEXED_VALUE_TYPE_INT
		}
	}
	opts, err := a.clientOptions()
	if err != nil {
		return err
	}
	namespace := opts.Namespace
	if namespace == "" {
		namespace = client.DefaultNamespace
	}
	known, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	for name := range known.GetCustomAttributes() {
		delete(attrs, name)
	}
	if len(attrs) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: attrs})
	return err
}

func failed(what string, err error) error {
	return &ExitError{Code: ExitFailed, Err: fmt.Errorf("%s: %w", what, rootCause(err))}
}
