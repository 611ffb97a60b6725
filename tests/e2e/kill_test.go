package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/deploy/dev/ports"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// small is an estate of three pages.
var small = []string{"--assets", "120", "--seed", "21"}

// threePages makes the small estate three pages.
func (s *stack) threePages() string {
	return strings.Replace(s.document(), "- name: corp ", "- name: corp\n    pageSize: 45\n   ", 1)
}

// expected returns the digest of an undisturbed sync of the small estate.
func expected(t *testing.T) string {
	t.Helper()
	calm.Do(func() {
		s := newStack(t, small...)
		code, out := s.apply(s.threePages())
		require.Zero(t, code, out)
		code, res := s.sync("--full")
		require.Zero(t, code)
		require.EqualValues(t, 3, res.Pages)
		calm.digest = s.digest()
	})
	require.NotEmpty(t, calm.digest)
	return calm.digest
}

var calm struct {
	sync.Once
	digest string
}

// settled checks what a disturbed sync left.
func (s *stack) settled(res contract.RunResult) {
	s.t.Helper()
	require.Equal(s.t, "completed", res.Status)
	require.True(s.t, res.Balanced())
	require.Zero(s.t, res.Failed+res.Rejected, "%+v", res.Counters)
	require.Equal(s.t, expected(s.t), s.digest(), "the CMDB is the same as without the disturbance")
	posts := s.calls(s.sims.ServiceNow.URL, irePath)
	code, again := s.sync("--full")
	require.Zero(s.t, code)
	require.EqualValues(s.t, 120, again.Unchanged+again.Skipped, "%+v", again.Counters)
	require.Equal(s.t, posts, s.calls(s.sims.ServiceNow.URL, irePath), "the second run writes nothing")
	s.replayAll()
}

// doom restarts the worker as one that kills or stops itself at a point.
func (s *stack) doom(plan string) {
	s.t.Helper()
	s.stopWorker(syscall.SIGTERM)
	env, program := s.env, s.program
	s.env, s.program = append(s.env[:len(s.env):len(s.env)], "QBRIDGE_CRASH="+plan), "qbridge-worker-faults"
	s.startWorker()
	s.env, s.program = env, program
}

// perished waits until the worker killed itself.
func (s *stack) perished() {
	s.t.Helper()
	s.mu.Lock()
	w := s.worker
	s.mu.Unlock()
	stuck := time.AfterFunc(patience, func() { _ = w.Process.Signal(syscall.SIGTERM) })
	defer stuck.Stop()
	err := w.Wait()
	var exit *exec.ExitError
	require.ErrorAs(s.t, err, &exit)
	require.Equal(s.t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "%s", err)
	s.mu.Lock()
	s.worker = nil
	s.mu.Unlock()
}

func TestAWorkerKilledAtAnyPointLosesNothing(t *testing.T) {
	t.Parallel()
	for _, at := range crash.Points() {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			s := newStack(t, small...)
			if at == crash.AfterSaveRevision {
				s.doom(string(at) + "=kill")
				applied := make(chan string, 1)
				go func() {
					_, out := s.apply(s.threePages())
					applied <- out
				}()
				s.perished()
				s.startWorker()
				require.Contains(t, <-applied, "r1")
				_, res := s.sync("--full")
				s.settled(res)
				return
			}
			code, out := s.apply(s.threePages())
			require.Zero(t, code, out)
			switch at {
			case crash.AfterCheckLinks: // needs links
				code, _ = s.sync("--full")
				require.Zero(t, code)
			case crash.AfterClaimFailed: // needs failed records
				s.faults(s.sims.ServiceNow.URL, "on ire.enhanced nth 3 for 10s do lock_timeout(0)")
				code, _ = s.sync("--full")
				require.Equal(t, cli.ExitPartial, code)
				s.faults(s.sims.ServiceNow.URL, "")
			}
			asked := len(s.cursors())
			s.doom(string(at) + "=kill")
			run, err := cli.Start(context.Background(), s.client, contract.RunInput{Schedule: "inventory", Full: at != crash.AfterClaimFailed})
			require.NoError(t, err)
			s.perished()
			s.startWorker()
			res := s.result(run)
			// The next page is fetched while one is written: a kill loses one call at most.
			require.LessOrEqual(t, len(s.cursors())-asked, 3+1, "pages asked for")
			s.settled(res)
		})
	}
}

func TestAWorkerKilledAtRandomLosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(14) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 5))
			s := newStack(t, append([]string{"--page-latency", "400ms", "--ire-latency", "150ms"}, small...)...)
			code, out := s.apply(s.threePages())
			require.Zero(t, code, out)
			run := s.start()
			for range 2 {
				time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
				s.stopWorker(syscall.SIGKILL)
				s.startWorker()
			}
			s.settled(s.result(run))
		})
	}
}

func TestAStoppedWorkerThatGoesOnLaterWritesNothingTwice(t *testing.T) {
	t.Parallel()
	for _, at := range []crash.Point{crash.AfterIntent, crash.AfterPost} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			s := newStack(t, small...)
			s.onPostgreSQL()
			code, out := s.apply(s.threePages())
			require.Zero(t, code, out)
			s.eventually("a worker polls both connections", func() error { return s.logged("connection starts", 2) })
			s.doom(string(at) + ":2=stop")
			s.eventually("the first worker polls both connections", func() error { return s.logged("connection starts", 4) })
			run := s.start()
			s.eventually("the worker is stopped", func() error {
				state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.worker.Process.Pid))
				if err == nil && !strings.Contains(string(state), ") T ") {
					err = fmt.Errorf("it runs: %s", state)
				}
				return err
			})
			zombie := s.worker
			port, err := ports.Reserve(0)
			require.NoError(t, err)
			s.url = fmt.Sprintf("http://127.0.0.1:%d", port)
			s.env = append(s.env, fmt.Sprintf("QBRIDGE_HTTP_ADDR=127.0.0.1:%d", port))
			s.startWorker()
			time.Sleep(90 * time.Second)
			require.NoError(t, zombie.Process.Signal(syscall.SIGCONT))
			res := s.result(run)
			time.Sleep(2 * time.Second) // for what the zombie still does
			s.settled(res)
			_ = zombie.Process.Signal(syscall.SIGTERM)
			_ = zombie.Wait()
		})
	}
}

// temporalServer is a Temporal server that only this test uses.
type temporalServer struct {
	s    *stack
	port int
	cmd  *exec.Cmd
}

// ownTemporal moves the stack to a Temporal server of its own.
func (s *stack) ownTemporal() *temporalServer {
	s.t.Helper()
	port, err := ports.Reserve(0)
	require.NoError(s.t, err)
	server := &temporalServer{s: s, port: port}
	server.up()
	s.t.Cleanup(func() { server.kill() })
	s.stopWorker(syscall.SIGTERM)
	s.client.Close()
	s.temporal = fmt.Sprintf("127.0.0.1:%d", port)
	s.client = s.dial()
	s.env = append(s.env, "TEMPORAL_ADDRESS="+s.temporal)
	s.startWorker()
	return server
}

func (t *temporalServer) up() {
	t.cmd = exec.Command(shared.cli, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", fmt.Sprint(t.port), "--log-level", "error",
		"--dynamic-config-value", fmt.Sprint("limit.historyCount.suggestContinueAsNew=", suggested),
		"--db-filename", filepath.Join(t.s.dir, "temporal.db"), "--namespace", t.s.namespace)
	require.NoError(t.s.t, t.cmd.Start())
}

func (t *temporalServer) kill() {
	_ = t.cmd.Process.Kill()
	_ = t.cmd.Wait()
}

func TestATemporalServerThatIsKilledLosesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, append([]string{"--page-latency", "600ms", "--ire-latency", "200ms"}, small...)...)
	server := s.ownTemporal()
	code, out := s.apply(s.threePages())
	require.Zero(t, code, out)
	run := s.start()
	for _, posts := range []int{1, 6} {
		s.eventually("the run writes", func() error {
			if n := s.calls(s.sims.ServiceNow.URL, irePath); n < posts {
				return fmt.Errorf("%d posts", n)
			}
			return nil
		})
		server.kill()
		time.Sleep(2 * time.Second)
		server.up()
	}
	s.settled(s.result(run))
}

// With QBRIDGE_TEST_POSTGRES_RESTART, a command that restarts the server, the
// whole server goes away; without it, for other tests use it too, the database of
// this test.
func TestADatabaseThatGoesAwayForAWhileLosesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, append([]string{"--page-latency", "600ms", "--ire-latency", "200ms"}, small...)...)
	s.onPostgreSQL()
	code, out := s.apply(s.threePages())
	require.Zero(t, code, out)
	admin, err := sql.Open("pgx", os.Getenv("QBRIDGE_TEST_POSTGRES"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	name := strings.ReplaceAll(s.namespace, "-", "_")
	run := s.start()
	s.eventually("the run writes", func() error {
		if n := s.calls(s.sims.ServiceNow.URL, irePath); n < 2 {
			return fmt.Errorf("%d posts", n)
		}
		return nil
	})
	if restart := os.Getenv("QBRIDGE_TEST_POSTGRES_RESTART"); restart != "" {
		out, err := exec.Command("bash", "-c", restart).CombinedOutput()
		require.NoError(t, err, "%s", out)
		s.settled(s.result(run))
		return
	}
	_, err = admin.Exec("ALTER DATABASE " + name + " ALLOW_CONNECTIONS false")
	require.NoError(t, err)
	_, err = admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
	require.NoError(t, err)
	time.Sleep(5 * time.Second)
	_, err = admin.Exec("ALTER DATABASE " + name + " ALLOW_CONNECTIONS true")
	require.NoError(t, err)
	s.settled(s.result(run))
}

// Kinds of faults after which every asset is there all the same.
var survivable = []string{
	"status(500)", "status(502)", "status(503)", "status(429,1)", "status(429)", "delay(1s)", "drop_before", "drop_after_commit", "cut(900)", "close",
	"html", "hibernate", "accepted202", "gzip_bad", "slow(200000)", "null_list", "repeat_page", "quota_cancel(4)", "lock_timeout(1)",
}

func TestATenthOfFaultsOfEveryKindLosesNothing(t *testing.T) {
	t.Parallel()
	for i, kind := range survivable {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, small...)
			code, out := s.apply(s.threePages())
			require.Zero(t, code, out)
			s.faults(s.sims.Qualys.GatewayURL, fmt.Sprintf("on search.asset share 10%% seed %d do %s", i, kind))
			s.faults(s.sims.ServiceNow.URL, fmt.Sprintf("on * share 10%% seed %d do %s", i, kind))
			run := s.start()
			res := s.result(run)
			s.faults(s.sims.Qualys.GatewayURL, "")
			s.faults(s.sims.ServiceNow.URL, "")
			if res.Failed > 0 { // tried again by the next run
				_, res = s.sync()
			}
			s.settled(res)
		})
	}
}
