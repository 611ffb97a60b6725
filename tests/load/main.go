// Command load brings up the local stack with an estate of a given size and prints
// what its first load and an unchanged second run cost: time, calls, history,
// memory. `make load ASSETS=100000` runs it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/qbridge/qbridge/workflows/contract"
)

// row is a figure: what it must be, what it should be, and what was measured.
type row struct {
	Figure   string  `json:"figure"`
	Must     float64 `json:"must,omitempty"` // 0: nothing is asked
	Aim      float64 `json:"aim,omitempty"`
	Measured float64 `json:"measured"`
	Unit     string  `json:"unit"`
	Met      bool    `json:"met"`
}

func main() {
	assets := flag.Int("assets", 100_000, "assets in the simulated subscription")
	config := flag.String("config", "deploy/examples/quickstart.yaml", "configuration to apply")
	dir := flag.String("dir", "var/load", "directory of state and logs; its contents are forgotten")
	out := flag.String("out", "var/bench/load.json", "file that the figures are written to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := load(ctx, *assets, *config, *dir, *out); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func load(ctx context.Context, assets int, config, dir, out string) error {
	var rows []row
	for _, again := range []bool{false, true} {
		r, err := measure(ctx, assets, config, dir, again)
		if err != nil {
			return err
		}
		rows = append(rows, r...)
	}
	for i := range rows {
		rows[i].Met = rows[i].Must == 0 || rows[i].Measured <= rows[i].Must
	}
	show(os.Stdout, rows)
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(map[string]any{"assets": assets, "rows": rows}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(data, '\n'), 0o644)
}

func show(to io.Writer, rows []row) {
	w := tabwriter.NewWriter(to, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tMUST\tAIM\tMEASURED\tUNIT")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Figure, number(r.Must), number(r.Aim), strconv.FormatFloat(r.Measured, 'f', -1, 64), r.Unit)
	}
	_ = w.Flush() // a terminal that is gone
}

func number(f float64) string {
	if f == 0 {
		return "–"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// measure runs the local stack once. again keeps its state: nothing has changed.
func measure(ctx context.Context, assets int, config, dir string, again bool) ([]row, error) {
	summary := filepath.Join(dir, "summary.json")
	args := []string{"--once", "--assets", strconv.Itoa(assets), "--dir", dir, "--summary", summary, "--config", config,
		"--temporal-port", "0", "--ui-port", "0", "--qualys-port", "0", "--servicenow-port", "0", "--worker-port", "0"}
	name := "second run"
	if !again {
		name, args = "first load", append(args, "--fresh")
	}
	cmd := exec.CommandContext(ctx, "bin/qbridge-dev", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: run `make load`, which builds the programs", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	peak := 0.0
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			running = false
		case <-time.After(100 * time.Millisecond):
			peak = max(peak, peakOf(filepath.Join(dir, "dev.json")))
		}
	}
	data, err := os.ReadFile(summary)
	if err != nil {
		return nil, err
	}
	var res contract.RunResult
	if err := json.Unmarshal(data, &res); err != nil {
		return nil, err
	}
	if !res.Balanced() {
		return nil, fmt.Errorf("%s: the counters do not add up: %+v", name, res.Counters)
	}
	return figures(name, res, peak, again), nil
}

// figures are those of one run.
func figures(name string, res contract.RunResult, peak float64, again bool) []row {
	seconds := res.DurationSeconds
	thousands := float64(res.Fetched) / 1000
	pages := float64((res.Fetched + 299) / 300)
	rows := []row{
		{Figure: name + ": wall time", Measured: tenth(seconds), Unit: "s"},
		{Figure: name + ": assets per second", Measured: tenth(float64(res.Fetched) / seconds), Unit: "1/s"},
		{Figure: name + ": peak memory of the worker", Must: 200, Aim: 120, Measured: tenth(peak), Unit: "MB"},
		{Figure: name + ": history events per 1,000 assets", Must: 70, Aim: 20, Measured: tenth(float64(res.HistoryEvents) / thousands), Unit: ""},
		{Figure: name + ": calls to Qualys", Must: pages + 2, Aim: pages + 1, Measured: float64(res.VendorCalls["qualys"]), Unit: ""},
		{Figure: name + ": calls to ServiceNow", Measured: float64(res.VendorCalls["servicenow"]), Unit: ""},
		{Figure: name + ": failed assets", Measured: float64(res.Failed), Unit: ""},
	}
	if again {
		rows = append(rows, row{Figure: name + ": assets written", Measured: float64(res.Created + res.Updated), Unit: ""})
	}
	return rows
}

func tenth(f float64) float64 { return float64(int64(f*10+0.5)) / 10 }

// peakOf returns the peak resident memory of the stack's worker in MB, or 0 while
// it is not there. It reads what Linux says.
func peakOf(devFile string) float64 {
	data, err := os.ReadFile(devFile)
	if err != nil {
		return 0
	}
	var dev struct {
		Worker struct {
			PID int `json:"pid"`
		} `json:"worker"`
	}
	if json.Unmarshal(data, &dev) != nil || dev.Worker.PID == 0 {
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", dev.Worker.PID))
	if errors.Is(err, os.ErrNotExist) {
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
