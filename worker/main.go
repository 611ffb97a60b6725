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
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "qbridge-worker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config.FromEnvironment(os.Environ())
	if err != nil {
		return err
	}
	return app.Run(ctx, cfg, os.Stderr)
}
