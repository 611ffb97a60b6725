package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// output is what a process printed so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// localStack starts the local stack as `make run` does.
func localStack(t *testing.T, dir string, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	bin := filepath.Join(shared.bin, "qbridge-dev")
	cmd := exec.Command("go", "build", "-o", bin, "./deploy/dev")
	cmd.Dir = root()
	built, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", built)
	run := exec.Command(bin, append([]string{
		"--dir", dir, "--temporal-port", "0", "--ui-port", "0", "--qualys-port", "0", "--servicenow-port", "0", "--worker-port", "0",
	}, args...)...)
	run.Dir = root()
	run.Env = append(os.Environ(), "TEMPORAL_BIN="+shared.cli)
	out := &output{}
	run.Stdout, run.Stderr = out, out
	require.NoError(t, run.Start())
	t.Cleanup(func() {
		if run.ProcessState == nil {
			_ = run.Process.Signal(syscall.SIGTERM)
			_ = run.Wait()
		}
	})
	return run, out
}

func TestTheLocalStackGoesOnAfterAnInterruption(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"--assets", "900", "--page-latency", "1s", "--ire-latency", "100ms"}
	first, out := localStack(t, dir, args...)
	waitFor(t, "the first page", func() bool { return strings.Contains(out.String(), "syncing") })
	require.NoError(t, first.Process.Signal(syscall.SIGINT))
	_ = first.Wait()
	require.Contains(t, out.String(), "goes on at the next make run")
	require.NotContains(t, out.String(), "the run failed")

	summary := filepath.Join(dir, "out.json")
	second, out := localStack(t, dir, append(args, "--once", "--summary", summary)...)
	require.NoError(t, second.Wait(), out.String())
	require.Contains(t, out.String(), "going on with it")
	data, err := os.ReadFile(summary)
	require.NoError(t, err)
	var res struct {
		Status  string `json:"status"`
		Fetched int    `json:"fetched"`
	}
	require.NoError(t, json.Unmarshal(data, &res))
	require.Equal(t, "completed", res.Status)
	require.Equal(t, 900, res.Fetched)
	_, err = os.Stat(filepath.Join(dir, "dev.json"))
	require.ErrorIs(t, err, os.ErrNotExist, "nothing is left that says a stack is up")
}

func TestTheLocalStackSaysWhenAPartOfItDies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run, out := localStack(t, dir, "--assets", "900", "--page-latency", "1s", "--ire-latency", "100ms")
	waitFor(t, "the first page", func() bool { return strings.Contains(out.String(), "syncing") })
	data, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	require.NoError(t, err)
	var addr struct {
		Worker struct {
			PID int `json:"pid"`
		} `json:"worker"`
	}
	require.NoError(t, json.Unmarshal(data, &addr))
	require.NoError(t, syscall.Kill(addr.Worker.PID, syscall.SIGKILL))
	require.Error(t, run.Wait())
	require.Equal(t, 1, run.ProcessState.ExitCode())
	require.Contains(t, out.String(), "worker ended (signal: killed); run make run again")
}

func TestAMalformedAssetMakesTheExitCodeThree(t *testing.T) {
	t.Parallel()
	run, out := localStack(t, t.TempDir(), "--once", "--assets", "300", "--seed", "7", "--bad", "5")
	require.Error(t, run.Wait())
	require.Equal(t, 3, run.ProcessState.ExitCode(), out.String())
	require.Contains(t, out.String(), "field ")
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), what)
	}
}
