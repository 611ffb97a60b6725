package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/qbridge/qbridge/tests/load/pipeline"
)

// benchOptions are the flags of `make bench`.
type benchOptions struct {
	loadOptions
	models int // assets of the runs against models
	heads  int // records in the store of the console
	rounds int
	self   string // this binary
}

// ciOnly switches off what the scripts do not map either, so that all do the same.
const ciOnly = "networkInterfaces,cloud"

func benchCommand(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	o := benchOptions{}
	f.IntVar(&o.assets, "assets", 3000, "assets of the measurements of processor time")
	f.IntVar(&o.models, "models", 1000, "assets of the runs against the models; the targets are for 10,000")
	f.IntVar(&o.heads, "heads", 0, "records in the store that the console is measured with; 0: it is not")
	f.IntVar(&o.rounds, "rounds", 5, "rounds of the measurements of processor time; the least of them counts")
	f.StringVar(&o.dir, "dir", "var/bench/stack", "directory of state and logs; its contents are forgotten")
	f.StringVar(&o.out, "out", "var/bench/bench.json", "file that the figures are written to")
	slowServers(f, &o.loadOptions)
	err := f.Parse(args)
	if err == nil {
		o.self, err = os.Executable()
	}
	if err != nil {
		return err
	}
	var rows []row
	for _, part := range []func(context.Context, *benchOptions) ([]row, error){processorTime, instructions, consolePages, throughput, models} {
		r, err := part(ctx, &o)
		if err != nil {
			return err
		}
		rows = append(rows, r...)
	}
	return report(os.Stdout, o.out, map[string]any{"assets": o.assets, "models": o.models, "rounds": o.rounds, "heads": o.heads}, rows)
}

// measured is a child that ended: what it said and what it cost.
type measured struct {
	result
	cpu  float64 // seconds of processor time
	peak float64 // MB
}

// measure runs a program with the simulators' line on its standard input. env is
// added to the environment.
func measure(ctx context.Context, stdin string, env []string, program string, args ...string) (measured, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = strings.NewReader(stdin), &out, &errs, append(os.Environ(), env...)
	if err := cmd.Run(); err != nil {
		return measured{}, fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, errs.String())
	}
	m := measured{cpu: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		m.peak = float64(usage.Maxrss) / 1000 * 1.024
	}
	return m, json.Unmarshal(out.Bytes(), &m.result)
}

// oneCore makes a Go program run its collector beside nothing: idle workers of the
// collector on another core would count as its processor time.
var oneCore = []string{"GOMAXPROCS=1"}

// contender is a program whose processor time is measured.
type contender struct {
	name    string
	program string
	args    func(limit int) []string
	least   map[int]float64 // limit → least processor time of all rounds
	halves  [2]float64      // the least of the whole estate in the first and the second half of the rounds
	peak    float64
}

// perAsset is the processor time of an asset in µs. That of a single page is taken
// off: it holds what starting costs.
func (c *contender) perAsset(n int) float64 {
	return (c.least[n] - c.least[onePage]) / float64(n-onePage) * 1e6
}

// unsteady says so when the halves of the rounds disagree.
func (c *contender) unsteady() string {
	a, b := c.halves[0], c.halves[1]
	if a == 0 || b == 0 || max(a, b) <= 1.1*min(a, b) {
		return ""
	}
	return fmt.Sprintf("; %s is unsteady: %.0f %% between the rounds", c.name, 100*(max(a, b)/min(a, b)-1))
}

// onePage is the number of assets of the small runs.
const onePage = 300

// contenders do the same: read all pages, map the CI, post it.
func contenders(o *benchOptions) []*contender {
	self := func(name string, more ...string) func(int) []string {
		return func(limit int) []string {
			return append([]string{"-child", name, "-limit", strconv.Itoa(limit), "-off", ciOnly}, more...)
		}
	}
	list := []*contender{
		{name: "HTTP floor, pages only", program: o.self, args: self(childFloor)},
		{name: "Python requests", program: "python3", args: func(limit int) []string { return []string{"tests/load/python_requests.py", strconv.Itoa(limit)} }},
		{name: "pipeline, whole pages", program: o.self, args: self(pipeline.FlowOverlap, "-whole")},
		{name: "pipeline, as the product asks", program: o.self, args: self(pipeline.FlowOverlap)},
	}
	if exec.Command("python3", "-c", "import requests").Run() != nil {
		list = slices.Delete(list, 1, 2)
	}
	for _, c := range list {
		c.least = map[int]float64{}
	}
	return list
}

// processorTime compares the pipeline with its competitors, one after the other in
// every round.
func processorTime(ctx context.Context, o *benchOptions) ([]row, error) {
	s, err := startSimulators(ctx, o.assets)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	list := contenders(o)
	for round := range o.rounds {
		for _, c := range list {
			for _, limit := range []int{onePage, o.assets} {
				if err := s.reset(ctx); err != nil {
					return nil, err
				}
				m, err := measure(ctx, s.line, oneCore, c.program, c.args(limit)...)
				if err != nil {
					return nil, err
				}
				if m.Failed > 0 || m.Assets < int64(limit) {
					return nil, fmt.Errorf("%s did not do its work: %+v", c.name, m.result)
				}
				c.take(limit, m, limit == o.assets, 2*round < o.rounds)
			}
		}
	}
	return compared(list, o.assets), nil
}

func (c *contender) take(limit int, m measured, whole, early bool) {
	if old, ok := c.least[limit]; !ok || m.cpu < old {
		c.least[limit] = m.cpu
	}
	c.peak = max(c.peak, m.peak)
	half := &c.halves[0]
	if !early {
		half = &c.halves[1]
	}
	if whole && (*half == 0 || m.cpu < *half) {
		*half = m.cpu
	}
}

func compared(list []*contender, assets int) []row {
	var rows []row
	cost := map[string]float64{}
	note := ""
	for _, c := range list {
		cost[c.name] = c.perAsset(assets)
		note += c.unsteady()
		rows = append(rows, plain("processor time per asset: "+c.name, cost[c.name], "µs"), plain("peak memory: "+c.name, c.peak, "MB"))
	}
	const figure = "processor time against Python requests, the same work"
	python, ok := cost["Python requests"]
	if !ok {
		return append(rows, unmeasured(figure, 1.0/2, 1/3.5, "not measured here: install python3 and its package requests"))
	}
	ratio := most(figure, 1.0/2, 1/3.5, cost["pipeline, whole pages"]/python, "×")
	ratio.Note = strings.TrimPrefix(note, "; ")
	return append(rows, ratio, plain("processor time against Python requests, asking only for what is mapped", cost["pipeline, as the product asks"]/python, "×"))
}
