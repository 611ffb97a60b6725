package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

// firstSync applies the configuration, runs the schedule and prints what
// happened. It returns the exit code.
func (s *stack) firstSync(ctx context.Context) (int, error) {
	env := cli.System()
	env.Stdout, env.Stderr = s.out, os.Stderr
	env.DevFile = filepath.Join(s.opts.dir, "dev.json")
	if code := cli.Main(ctx, env, []string{"apply", s.opts.config, "--author", "dev"}); code != 0 {
		return code, nil
	}
	schedule, err := s.schedule()
	if err != nil || schedule == "" {
		return 0, err
	}
	run, err := s.startRun(ctx, schedule)
	if err != nil {
		return 0, err
	}
	p := view.New(s.out, isatty.IsTerminal(os.Stdout.Fd()))
	res, err := cli.Watch(ctx, s.client, run.GetID(), run.GetRunID(), p)
	if ctx.Err() != nil {
		fmt.Fprintf(s.out, "\nstopping …; run %s goes on at the next make run\n", run.GetRunID())
		return 0, ctx.Err()
	}
	var exit *cli.ExitError
	if errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "qbridge-dev:", view.Clean(exit.Error()))
	} else if err != nil {
		return 0, err
	}
	stored := s.runView(ctx, run.GetRunID())
	if exit != nil && stored != nil { // a failed workflow has no result: the store has
		res = cli.ResultOf(*stored)
	}
	var reasons []contract.ReasonCount
	if stored != nil {
		reasons = stored.Reasons
	}
	if res.Run == "" { // it failed before it began
		return cli.ExitFailed, nil
	}
	fmt.Fprintln(s.out)
	p.Result(res, reasons)
	s.printRun(res)
	if s.opts.summary != "" {
		if err := writeSummary(s.opts.summary, res); err != nil {
			return 0, err
		}
	}
	return codeOf(res), nil
}

// startRun starts a run, or finds the one that an interrupted stack left behind.
func (s *stack) startRun(ctx context.Context, schedule string) (client.WorkflowRun, error) {
	run, err := cli.Start(ctx, s.client, contract.RunInput{Schedule: schedule, Full: true})
	if err == nil {
		fmt.Fprintf(s.out, "run %s of schedule %s\n", run.GetRunID(), schedule)
		return run, nil
	}
	d, derr := s.client.DescribeWorkflowExecution(ctx, contract.SyncWorkflowID(schedule), "")
	if derr != nil || d.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, err
	}
	id := d.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	fmt.Fprintf(s.out, "run %s of schedule %s is still running from last time; going on with it\n", id, schedule)
	return s.client.GetWorkflow(ctx, contract.SyncWorkflowID(schedule), id), nil
}

// schedule is the one to run: that of the flag, else the first one.
func (s *stack) schedule() (string, error) {
	if s.opts.schedule != "" {
		return s.opts.schedule, nil
	}
	data, err := os.ReadFile(s.opts.config)
	if err != nil {
		return "", err
	}
	cfg, err := config.Decode(s.opts.config, data)
	if err != nil || len(cfg.Schedules) == 0 {
		return "", err
	}
	return cfg.Schedules[0].Name, nil
}

// runView reads the run from the worker's read API, for its reasons.
func (s *stack) runView(ctx context.Context, run string) *contract.RunView {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var v contract.RunView
	if !s.ask(ctx, contract.PathRuns+"/"+run, &v) {
		return nil
	}
	return &v
}

func (s *stack) printRun(r contract.RunResult) {
	if s.opts.once { // the stack is gone in a moment
		return
	}
	fmt.Fprintf(s.out, "\nconsole       %s (sign in as admin with %s)\n", s.addr.Worker.URL, s.password)
	fmt.Fprintf(s.out, "Temporal UI   %s\n", s.addr.Temporal.UI)
	fmt.Fprintf(s.out, "this run      %s/namespaces/default/workflows/%s/%s\n", s.addr.Temporal.UI, "sync%2F"+s.scheduleName(), r.Run)
	fmt.Fprintln(s.out, "\ntry next, in another terminal:")
	if filepath.Clean(s.opts.dir) != "var" {
		fmt.Fprintf(s.out, "  export QBRIDGE_URL=%s TEMPORAL_ADDRESS=%s\n", s.addr.Worker.URL, s.addr.Temporal.Address)
	}
	fmt.Fprintln(s.out, "  bin/qbridge run show latest")
	fmt.Fprintf(s.out, "  bin/qbridge asset explain %s\n", s.someAsset(r.Run))
	fmt.Fprintf(s.out, "  bin/qbridge run start %s --wait\n", s.scheduleName())
}

func (s *stack) scheduleName() string {
	name, err := s.schedule()
	if err != nil {
		return ""
	}
	return name
}

// someAsset is the id of an asset that the run wrote, for an example to try.
func (s *stack) someAsset(run string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var list contract.OutcomeList
	if !s.ask(ctx, contract.PathRuns+"/"+run+"/outcomes?limit=20", &list) {
		return "ASSET-ID"
	}
	for _, o := range list.Outcomes {
		if o.Class != "" {
			_, id, _ := strings.Cut(o.Key, "/")
			return id
		}
	}
	return "ASSET-ID"
}

// ask reads one answer of the worker's read API.
func (s *stack) ask(ctx context.Context, path string, out any) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.addr.Worker.URL+path, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(out) == nil
}
