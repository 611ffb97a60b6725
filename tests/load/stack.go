package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/tests/load/cost"
	"github.com/qbridge/qbridge/workflows/contract"
)

// stack is what to run: the local stack with an estate of a size.
type stack struct {
	assets int
	config string
	dir    string
	fresh  bool     // forget all state first
	flags  []string // of the simulators
}

// addresses are what the stack says about itself.
type addresses struct {
	Temporal struct {
		Address   string `json:"address"`
		Namespace string `json:"namespace"`
	} `json:"temporal"`
	Worker struct {
		PID int `json:"pid"`
	} `json:"worker"`
	Simulators struct {
		Qualys     string `json:"qualys"`
		ServiceNow string `json:"servicenow"`
	} `json:"simulators"`
}

// live is a stack whose first sync is done.
type live struct {
	addresses
	first    contract.RunResult
	peak     float64 // MB of the worker's memory so far
	schedule string
	temporal client.Client
}

// run brings the stack up, waits for its first sync, lets look have a look, and
// takes it down.
func (s stack) run(ctx context.Context, look func(context.Context, *live) error) (err error) {
	summary, devFile := filepath.Join(s.dir, "summary.json"), filepath.Join(s.dir, "dev.json")
	if err := os.Remove(summary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l := &live{}
	if l.schedule, err = scheduleOf(s.config); err != nil {
		return err
	}
	args := append([]string{"--assets", strconv.Itoa(s.assets), "--dir", s.dir, "--summary", summary, "--config", s.config,
		"--temporal-port", "0", "--ui-port", "0", "--qualys-port", "0", "--servicenow-port", "0", "--worker-port", "0"}, s.flags...)
	if s.fresh {
		args = append(args, "--fresh")
	}
	cmd := exec.CommandContext(ctx, "bin/qbridge-dev", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: use the make targets, which build the programs", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("the stack ended before its sync: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
		l.peak = max(l.peak, peakOf(l.Worker.PID))
		if read(devFile, &l.addresses) == nil && read(summary, &l.first) == nil {
			break
		}
	}
	err = s.look(ctx, l, look)
	_ = cmd.Process.Signal(os.Interrupt)
	return errors.Join(err, <-ended)
}

func (s stack) look(ctx context.Context, l *live, look func(context.Context, *live) error) error {
	if l.first.Status != "completed" || !l.first.Balanced() {
		return fmt.Errorf("the first sync is %s: %+v", l.first.Status, l.first.Counters)
	}
	var err error
	if l.temporal, err = client.DialContext(ctx, client.Options{
		HostPort: l.Temporal.Address, Namespace: l.Temporal.Namespace, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	}); err != nil {
		return err
	}
	defer l.temporal.Close()
	return look(ctx, l)
}

// sync runs the schedule again and waits for it.
func (l *live) sync(ctx context.Context, in contract.RunInput) (contract.RunResult, error) {
	in.Schedule = l.schedule
	var res contract.RunResult
	run, err := l.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: contract.SyncWorkflowID(l.schedule), TaskQueue: contract.QueueMain}, contract.SyncInventory, in)
	if err == nil {
		err = run.Get(ctx, &res)
	}
	if err == nil && (res.Status != "completed" || !res.Balanced()) {
		err = fmt.Errorf("the sync is %s: %+v", res.Status, res.Counters)
	}
	return res, err
}

// cost of a run on the Temporal server.
func (l *live) cost(ctx context.Context, res *contract.RunResult) (cost.Cost, error) {
	return cost.Of(ctx, l.temporal, contract.SyncWorkflowID(l.schedule), res.Run)
}

// calls are the counters of both simulators.
func (l *live) calls(ctx context.Context) (qualys, serviceNow stats, err error) {
	if qualys, err = statsOf(ctx, l.Simulators.Qualys); err == nil {
		serviceNow, err = statsOf(ctx, l.Simulators.ServiceNow)
	}
	return qualys, serviceNow, err
}

func scheduleOf(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	cfg, err := config.Decode(path, data)
	if err == nil && len(cfg.Schedules) == 0 {
		err = fmt.Errorf("%s has no schedule", path)
	}
	if err != nil {
		return "", err
	}
	return cfg.Schedules[0].Name, nil
}

func read(path string, out any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// peakOf returns the peak resident memory of a process in MB, or 0 while it is not
// there. It reads what Linux says.
func peakOf(pid int) float64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	status, err := io.ReadAll(f)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(kib), " kB"), 64)
			if err != nil {
				return 0
			}
			return n / 1000 * 1.024
		}
	}
	return 0
}
