// Command load measures what the product costs, alone and against what people use
// instead, and prints what was asked for beside what came out. `make load
// ASSETS=100000` measures the whole stack, `make bench` the pipeline and its
// competitors. Figures are reported, never asserted: what can be counted exactly is
// asserted by tests.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	switch {
	case len(args) > 1 && args[0] == "-child":
		return child(ctx, args[1], args[2:])
	case len(args) > 0 && args[0] == "bench":
		return benchCommand(ctx, args[1:])
	}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	o := loadOptions{}
	f.IntVar(&o.assets, "assets", 100_000, "assets in the simulated subscription")
	f.StringVar(&o.config, "config", "deploy/examples/quickstart.yaml", "configuration of the runs without latency")
	f.StringVar(&o.dir, "dir", "var/load", "directory of state and logs; its contents are forgotten")
	f.StringVar(&o.out, "out", "var/bench/load.json", "file that the figures are written to")
	slowServers(f, &o)
	if err := f.Parse(args); err != nil {
		return err
	}
	return load(ctx, o)
}

// slowServers are the flags of runs against servers that take their time.
func slowServers(f *flag.FlagSet, o *loadOptions) {
	f.StringVar(&o.lean, "lean", "tests/load/lean.yaml", "configuration of the runs with latency")
	f.IntVar(&o.page, "page-ms", 300, "latency of a page")
	f.IntVar(&o.ire, "ire-ms", 40, "latency of an IRE call")
	f.IntVar(&o.per, "item-ms", 4, "latency of an item of an IRE call, added to that of the call")
}
