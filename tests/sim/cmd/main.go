// Command cmd runs both simulators: a Qualys subscription over an invented estate and a ServiceNow instance. When both
// listen it prints one line of JSON with their addresses and credentials on stdout; everything else goes to stderr.
// SIGINT and SIGTERM stop it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/qbridge/qbridge/tests/sim/cmd/run"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
