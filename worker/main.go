// Command qbridge-worker runs the workflows and activities of qbridge.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/qbridge/qbridge/worker/app"
	"github.com/qbridge/qbridge/worker/config"
)

func main() {
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
