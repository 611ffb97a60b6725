package e2e_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/deploy/dev/ports"
)

func TestASecondWorkerOnPostgreSQLTakesOverWhenThePollingOneIsKilled(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "900", "--seed", "12", "--page-latency", "300ms", "--ire-latency", "200ms")
	s.onPostgreSQL()
	s.mustApply()
	s.eventually("the first worker polls both connections", func() error {
		return s.logged("connection starts", 2)
	})
	port, err := ports.Reserve(0)
	require.NoError(t, err)
	second := exec.Command(filepath.Join(shared.bin, "qbridge-worker"))
	second.Env = append(s.env, fmt.Sprintf("QBRIDGE_HTTP_ADDR=127.0.0.1:%d", port))
	require.NoError(t, second.Start())
	t.Cleanup(func() { _ = second.Process.Signal(syscall.SIGTERM); _ = second.Wait() })
	s.eventually("the second worker is up", func() error {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", port))
		if err == nil {
			err = res.Body.Close()
		}
		return err
	})

	run := s.start()
	s.eventually("the run writes", func() error {
		if n := s.calls(s.sims.ServiceNow.URL, irePath); n < 3 {
			return fmt.Errorf("%d posts", n)
		}
		return nil
	})
	s.stopWorker(syscall.SIGKILL)
	res := s.result(run)
	require.Equal(t, "completed", res.Status)
	require.EqualValues(t, 900, res.Fetched)
	require.True(t, res.Balanced())
	require.Zero(t, res.Failed)
	var stats struct {
		Peak map[string]int `json:"peak"`
	}
	s.get(s.sims.Qualys.GatewayURL+"/_sim/stats", &stats)
	for endpoint, peak := range stats.Peak {
		require.LessOrEqual(t, peak, 2, "calls at a time to %s", endpoint)
	}
}
