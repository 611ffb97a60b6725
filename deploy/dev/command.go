package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Exit codes, the same as those of bin/qbridge.
const (
	exitFailed  = 1
	exitConfig  = 2
	exitPartial = 3
)

// exitError carries an exit code; what there is to say was already printed.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// options are the flags.
type options struct {
	dir, config, schedule, summary                               string
	once, fresh                                                  bool
	assets                                                       int
	seed                                                         int64
	bad                                                          int
	temporalPort, uiPort, qualysPort, serviceNowPort, workerPort int
	simArgs                                                      []string
}

func command() *cobra.Command {
	var o options
	var pageLatency, ireLatency, limits, faults, profile, others string
	cmd := &cobra.Command{
		Use:   "qbridge-dev",
		Short: "Bring up Temporal, both simulators and a worker, and run the first sync",
		Long: `qbridge-dev brings up a Temporal dev server, a Qualys simulator, a ServiceNow simulator and
a worker, applies a configuration, runs the first sync and shows what happened.
It stays up until Ctrl-C; state lives under --dir and the next start continues
from it.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 finished with failed records or an
incomplete enumeration.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for flag, value := range map[string]string{
				"--page-latency": pageLatency, "--ire-latency": ireLatency, "--limits": limits, "--faults": faults, "--profile": profile, "--other-cis": others,
			} {
				if value != "" {
					o.simArgs = append(o.simArgs, flag, value)
				}
			}
			return dev(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		fmt.Fprintf(os.Stderr, "qbridge-dev: %v; see bin/qbridge-dev --help\n", err)
		return &exitError{code: exitConfig}
	})
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "var", "directory of all state and logs")
	f.StringVar(&o.config, "config", "deploy/examples/quickstart.yaml", "configuration to apply")
	f.StringVar(&o.schedule, "schedule", "", "schedule to run (default: the first one)")
	f.BoolVar(&o.once, "once", false, "exit when the sync is done")
	f.BoolVar(&o.fresh, "fresh", false, "forget all state first")
	f.StringVar(&o.summary, "summary", "", "write the run's result to this file as JSON")
	f.IntVar(&o.assets, "assets", 2000, "assets in the simulated subscription")
	f.Int64Var(&o.seed, "seed", 1, "seed of the simulated estate")
	f.IntVar(&o.bad, "bad", 0, "malformed assets in the simulated subscription")
	f.StringVar(&others, "other-cis", "", "CIs that other sources keep in the simulated CMDB, half of them machines of the subscription")
	f.StringVar(&profile, "profile", "", "size of an asset: lean (13 KB) or full (60 KB)")
	f.StringVar(&pageLatency, "page-latency", "", "latency of a Qualys page, for example 300ms")
	f.StringVar(&ireLatency, "ire-latency", "", "latency of an IRE call and of each item, for example 40ms+4ms")
	f.StringVar(&limits, "limits", "", "Qualys limits: standard, none or concurrency/calls/seconds")
	f.StringVar(&faults, "faults", "", "faults of both simulators, see tests/sim/README.md")
	f.IntVar(&o.temporalPort, "temporal-port", 7233, "port of the Temporal server (a free one when taken)")
	f.IntVar(&o.uiPort, "ui-port", 8233, "port of the Temporal UI")
	f.IntVar(&o.qualysPort, "qualys-port", 8441, "port of the Qualys simulator")
	f.IntVar(&o.serviceNowPort, "servicenow-port", 8442, "port of the ServiceNow simulator")
	f.IntVar(&o.workerPort, "worker-port", 8086, "port of the worker's HTTP")
	return cmd
}

// dev is the whole life of the stack.
func dev(ctx context.Context, o options, out io.Writer) error {
	release, err := claim(o.dir)
	if err != nil {
		return err
	}
	defer release()
	if o.fresh {
		if err := forget(o.dir); err != nil {
			return err
		}
	}
	if err := checkConfig(o.config); err != nil {
		fmt.Fprintln(os.Stderr, "qbridge-dev:", err)
		return &exitError{code: exitConfig}
	}
	noteEstate(o, out)
	s, err := up(ctx, o, out)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer s.down()
	wctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // a part that dies ends the stack, also in the middle of a sync
		select {
		case p := <-s.died(wctx):
			cancel(p.failed())
		case <-wctx.Done():
		}
	}()
	code, err := s.firstSync(wctx)
	if cause := context.Cause(wctx); cause != nil && ctx.Err() == nil {
		return cause
	}
	if err != nil {
		return interrupted(ctx, err)
	}
	if o.once || code == exitConfig {
		return exitWith(code)
	}
	s.printNext(out)
	<-wctx.Done()
	if ctx.Err() == nil {
		return context.Cause(wctx)
	}
	fmt.Fprintln(out, "\nstopping …")
	return nil
}

// checkConfig refuses a configuration that cannot be read before anything starts.
func checkConfig(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	_, err = config.Decode(path, data)
	return err
}

// noteEstate says so when the state in the directory belongs to another estate.
func noteEstate(o options, out io.Writer) {
	path := filepath.Join(o.dir, "estate")
	now := fmt.Sprintf("%d assets, seed %d, %d malformed", o.assets, o.seed, o.bad)
	before, err := os.ReadFile(path)
	if err == nil && string(before) != now {
		fmt.Fprintf(out, "note: %s holds an estate of %s; this one of %s is added to the same CMDB (--fresh forgets it)\n", o.dir, before, now)
	}
	if err := os.WriteFile(path, []byte(now), 0o600); err != nil {
		fmt.Fprintln(out, "note:", err)
	}
}

func exitWith(code int) error {
	if code == 0 {
		return nil
	}
	return &exitError{code: code}
}

// interrupted turns an error that Ctrl-C caused into a plain end.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &exitError{code: 130}
	}
	return err
}

// codeOf is the exit code of a run.
func codeOf(r contract.RunResult) int {
	switch {
	case r.Status != "completed" && r.Status != "skipped":
		return exitFailed
	case r.Failed > 0 || r.Outcome == "incomplete":
		return exitPartial
	default:
		return 0
	}
}

// writeSummary writes the result of the run for scripts.
func writeSummary(path string, r contract.RunResult) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644) //nolint:gosec // a report, not a secret
}

// forget removes the state of earlier runs, and only what this command wrote.
func forget(dir string) error {
	var errs []error
	for _, name := range []string{
		"qbridge.db", "qbridge.db-wal", "qbridge.db-shm", "qbridge.db.lock", "temporal.db", "temporal.db-wal", "temporal.db-shm", "temporal.db-journal",
		"sim", "estate", "console-password", "temporal.log", "worker.log", "simulators.log", "dev.json",
	} {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

func (s *stack) printNext(out io.Writer) {
	fmt.Fprintf(out, "\nlogs are in %s; the stack stays up until Ctrl-C\n", filepath.Join(s.opts.dir, "*.log"))
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// stale is how long leftovers of a killed stack may take to end.
const stale = 10 * time.Second
