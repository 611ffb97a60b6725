// Command dev is the local stack: a Temporal dev server, both simulators and a
// worker, each a process of its own, and the first sync through them. It is
// what `make run` starts.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command().ExecuteContext(ctx)
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.code)
	case err != nil:
		fmt.Fprintln(os.Stderr, "qbridge-dev:", err)
		os.Exit(exitFailed)
	}
}
