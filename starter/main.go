// Command qbridge is the command line of qbridge: it applies configurations,
// starts and watches runs, and explains what happened to an asset.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/qbridge/qbridge/starter/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Main(ctx, cli.System(), os.Args[1:]))
}
