package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE|DIRECTORY...",
		Short: "Check a configuration without applying it",
		Long: `validate checks a configuration: keys, values, references between its parts, rules.
It makes no call and needs neither Temporal nor a worker.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, _, err := load(args)
			if err != nil {
				return err
			}
			problems := cfg.Validate()
			out := struct {
				Valid    bool             `json:"valid"`
				Problems []config.Problem `json:"problems"`
			}{len(problems) == 0, append([]config.Problem{}, problems...)}
			err = a.print(out, func(p view.Printer) {
				for _, pr := range problems {
					p.Line("%s", pr)
				}
				if len(problems) == 0 {
					p.Line("valid: %d sources, %d targets, %d schedules", len(cfg.Qualys), len(cfg.ServiceNow), len(cfg.Schedules))
				}
			})
			if err == nil && len(problems) > 0 {
				return &ExitError{Code: ExitUsage}
			}
			return err
		},
	}
}

// load reads and merges configuration files; a directory stands for its *.yaml
// and *.yml files.
func load(paths []string) (*config.Config, []byte, error) {
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, nil, usage("configuration %s: %v", p, errors.Unwrap(err))
		}
		if !info.IsDir() {
			files = append(files, p)
			continue
		}
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && !d.IsDir() && (ext == ".yaml" || ext == ".yml") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, nil, usage("configuration %s: %v", p, err)
		}
	}
	if len(files) == 0 {
		return nil, nil, usage("no *.yaml file in %s", strings.Join(paths, ", "))
	}
	slices.Sort(files)
	var docs []*config.Config
	var raw []byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, nil, usage("configuration: %v", err)
		}
		doc, err := config.Decode(f, data)
		if err != nil {
			return nil, nil, &ExitError{Code: ExitUsage, Err: err}
		}
		docs, raw = append(docs, doc), data
	}
	if len(docs) == 1 { // keep the author's comments
		return docs[0], raw, nil
	}
	merged := config.Merge(docs...)
	raw, err := config.Canonical(merged)
	return merged, raw, err
}

func (a *app) applyCommand() *cobra.Command {
	var author string
	var skip bool
	cmd := &cobra.Command{
		Use:   "apply FILE|DIRECTORY...",
		Short: "Store a configuration as the active revision and its schedules in Temporal",
		Long: `apply checks a configuration, tests its connections, stores it as an immutable
revision, makes it active, and creates or updates the Temporal schedules. Workers
take it up within seconds. Nothing is stored when anything is wrong.

The same with the temporal CLI (schedules aside):
  temporal workflow execute --type ApplyConfig --task-queue qbridge --workflow-id config --input '{"document":"…"}'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, doc, err := load(args)
			if err != nil {
				return err
			}
			if problems := cfg.Validate(); len(problems) > 0 {
				for _, p := range problems {
					fmt.Fprintln(a.Stderr, "qbridge:", view.Clean(p.String()))
				}
				return &ExitError{Code: ExitUsage}
			}
			return a.apply(cmd.Context(), cfg, contract.ApplyInput{Document: string(doc), Author: author, SkipChecks: skip})
		},
	}
	cmd.Flags().StringVar(&author, "author", a.Getenv("USER"), "who applies it, for the record")
	cmd.Flags().BoolVar(&skip, "skip-checks", false, "store the revision although a connection test fails")
	return cmd
}

func (a *app) apply(ctx context.Context, cfg *config.Config, in contract.ApplyInput) error {
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.polled(ctx, c); err != nil {
		return err
	}
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: contract.ConfigWorkflowID, TaskQueue: contract.QueueMain, WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary: "apply configuration",
	}, contract.ApplyConfig, in)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return &ExitError{Code: ExitFailed, Err: errors.New("another apply is running: wait for it, or see `temporal workflow show -w config`")}
	}
	if err != nil {
		return failed("apply", err)
	}
	var res contract.ApplyResult
	if err := run.Get(ctx, &res); err != nil {
		return failed("apply", err)
	}
	if len(res.Problems) > 0 {
		return a.refused(res)
	}
	notes := []string{}
	if err := register(ctx, c); err != nil {
		notes = append(notes, "search attributes are not registered, so runs cannot be listed by them: "+err.Error())
	}
	changes, err := schedule.Apply(ctx, c.ScheduleClient(), cfg)
	if err != nil {
		return failed("apply schedules", err)
	}
	return a.print(res, func(p view.Printer) {
		for _, ch := range res.Checks {
			p.Line("  %-12s %-18s %s", ch.Connection, ch.Capability, ch.Message)
		}
		for _, ch := range changes {
			p.Line("  schedule     %-18s %s", ch.Name, ch.What)
		}
		for _, n := range notes {
			p.Line("note: %s", n)
		}
		if res.Changed {
			p.Line("revision %s is active", res.Revision)
		} else {
			p.Line("revision %s is active already: nothing changed", res.Revision)
		}
	})
}

// refused prints why a configuration was not applied.
func (a *app) refused(res contract.ApplyResult) error {
	if a.output == "json" {
		if err := view.New(a.Stdout, false).JSON(res); err != nil {
			return err
		}
		return &ExitError{Code: ExitUsage}
	}
	for _, p := range res.Problems {
		line := p.Place + ": " + p.Message
		if p.Remedy != "" {
			line += "; " + p.Remedy
		}
		fmt.Fprintln(a.Stderr, "qbridge:", view.Clean(line))
	}
	return &ExitError{Code: ExitUsage}
}

// polled fails when no worker would pick the work up.
func (a *app) polled(ctx context.Context, c client.Client) error {
	d, err := c.DescribeTaskQueue(ctx, contract.QueueMain, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return failed("ask for workers", err)
	}
	if len(d.GetPollers()) == 0 {
		return &ExitError{Code: ExitFailed, Err: fmt.Errorf("no worker polls task queue %s: start one (make run, or bin/qbridge-worker)", contract.QueueMain)}
	}
	return nil
}

// register makes our search attributes known to the namespace.
func register(ctx context.Context, c client.Client) error {
	attrs := map[string]enumspb.IndexedValueType{}
	for name, kind := range contract.SearchAttributes() {
		attrs[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
		if kind == "Int" {
			attrs[name] = enumspb.INDEXED_VALUE_TYPE_INT
		}
	}
	ns, err := namespace(ctx, c)
	if err != nil {
		return err
	}
	known, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: ns})
	if err != nil {
		return err
	}
	for name := range known.GetCustomAttributes() {
		delete(attrs, name)
	}
	if len(attrs) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: ns, SearchAttributes: attrs})
	return err
}

func failed(what string, err error) error {
	return &ExitError{Code: ExitFailed, Err: fmt.Errorf("%s: %w", what, rootCause(err))}
}
