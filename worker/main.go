// Command qbridge-worker runs the workflows and activities of qbridge.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/qbridge/qbridge/worker/app"
	"github.com/qbridge/qbridge/worker/config"
)

// gcPercent is how far the heap may grow between collections: memory matters more
// here than the little that collecting costs beside waiting for vendors. GOGC
// overrides it.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := config.FromCommand(os.Args[1:], os.Environ())
	if err == nil {
		err = app.Run(ctx, cfg, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "qbridge-worker:", err)
		os.Exit(config.ExitCode(err))
	}
}
