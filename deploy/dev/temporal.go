package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/qbridge/qbridge/workflows/contract"
)

// temporalModule is the newest release of the Temporal CLI that `go install`
// accepts: later ones have a replace line.
const temporalModule = "github.com/temporalio/cli/cmd/temporal@v1.5.1"

// retention is how long the local server keeps finished runs.
const retention = "720h"

// temporalBinary finds the Temporal CLI: TEMPORAL_BIN, PATH, bin/, or builds it
// once into bin/.
func temporalBinary(ctx context.Context, out io.Writer) (string, error) {
	if bin := os.Getenv("TEMPORAL_BIN"); bin != "" {
		if _, err := exec.LookPath(bin); err != nil {
			return "", fmt.Errorf("TEMPORAL_BIN: %w", err)
		}
		return bin, nil
	}
	if bin, err := exec.LookPath("temporal"); err == nil {
		return bin, nil
	}
	dir, err := filepath.Abs("bin")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "temporal")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	fmt.Fprintf(out, "building the Temporal dev server once (%s), this takes some minutes …\n", temporalModule)
	cmd := exec.CommandContext(ctx, "go", "install", temporalModule)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the Temporal dev server: %w; or install the temporal CLI and set TEMPORAL_BIN", err)
	}
	return bin, nil
}

// temporalArgs are the arguments of a dev server that keeps its state in a file
// and is tuned for many small steps: the default of one queue poll per 50 ms
// would make every step of a run cost 100 ms.
func temporalArgs(dir string, port, uiPort int) []string {
	args := []string{
		"server", "start-dev", "--ip", "127.0.0.1", "--port", fmt.Sprint(port), "--ui-port", fmt.Sprint(uiPort),
		"--db-filename", filepath.Join(dir, "temporal.db"), "--log-level", "error",
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000",
		"--dynamic-config-value", "matching.numTaskqueueReadPartitions=1",
		"--dynamic-config-value", "matching.numTaskqueueWritePartitions=1",
	}
	attrs := contract.SearchAttributes()
	names := make([]string, 0, len(attrs))
	for name := range attrs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		args = append(args, "--search-attribute", name+"="+attrs[name])
	}
	return args
}

// dialTemporal waits until the server answers.
func dialTemporal(ctx context.Context, server *process, address string) (client.Client, error) {
	deadline := time.Now().Add(90 * time.Second)
	for {
		c, err := client.DialContext(ctx, client.Options{HostPort: address, Logger: log.NewStructuredLogger(quiet())})
		if err == nil {
			return c, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no answer from the Temporal dev server at %s: %w; see %s", address, err, server.log)
		}
		select {
		case <-server.done:
			return nil, server.failed()
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// keepLonger raises the retention of the default namespace; the dev server
// would forget finished runs after a day.
func keepLonger(ctx context.Context, bin, address string) error {
	cmd := exec.CommandContext(ctx, bin, "operator", "namespace", "update", "--address", address, "--namespace", "default", "--retention", retention)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set retention: %w: %s", err, out)
	}
	return nil
}
