// Package e2e_test runs the product as it runs in production — a Temporal
// server, the simulators and a worker as processes of their own — and looks at
// it from outside: through the command line, the read API and the simulators.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/qbridge/qbridge/deploy/dev/ports"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// patience bounds every wait of these tests; a healthy stack needs a fraction.
const patience = 2 * time.Minute

// shared is what all tests of the package use: the built programs and one
// Temporal server, in which every test has a namespace of its own.
var shared struct {
	bin      string
	temporal string // address
	cli      string // the temporal CLI
}

// sideBySide is how many tests run at a time unless the command line says so.
const sideBySide = 8

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "qbridge-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	shared.bin = dir
	for name, args := range map[string][]string{
		"qbridge-worker": {"./worker"}, "qbridge-worker-faults": {"-tags", "faults", "./worker"}, "qbridge-sim": {"./tests/sim/cmd"},
	} {
		cmd := exec.Command("go", append([]string{"build", "-o", filepath.Join(dir, name)}, args...)...)
		cmd.Dir = root()
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	stop, err := startTemporal(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", strconv.Itoa(sideBySide)) // they mostly wait
	}
	return m.Run()
}

func root() string {
	wd, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Join(wd, "..", "..")
}

// startTemporal starts a dev server in memory. The binary is found as `make run`
// finds it, and built by `make test` when there is none.
func startTemporal(dir string) (func(), error) {
	bin := os.Getenv("TEMPORAL_BIN")
	if bin == "" {
		bin, _ = exec.LookPath("temporal")
	}
	if bin == "" {
		bin = filepath.Join(root(), "bin", "temporal")
	}
	if _, err := os.Stat(bin); err != nil {
		return nil, fmt.Errorf("no Temporal server binary (%w): run `make test`, which builds it, or set TEMPORAL_BIN", err)
	}
	shared.cli = bin
	var stop func()
	var err error
	for range 3 { // it takes further ports of its own choice, which somebody else may take at the same moment
		if stop, err = tryTemporal(dir, bin); err == nil {
			break
		}
	}
	return stop, err
}

func tryTemporal(dir, bin string) (func(), error) {
	port, err := ports.Reserve(0)
	if err != nil {
		return nil, err
	}
	shared.temporal = fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(bin, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", fmt.Sprint(port), "--log-level", "error",
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000",
		"--dynamic-config-value", "matching.numTaskqueueReadPartitions=1", "--dynamic-config-value", "matching.numTaskqueueWritePartitions=1",
		"--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=true")
	log, err := os.Create(filepath.Join(dir, "temporal.log"))
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop := func() { _ = cmd.Process.Kill(); <-ended; _ = log.Close() }
	for deadline := time.Now().Add(patience); ; {
		c, err := client.Dial(client.Options{HostPort: shared.temporal, Logger: quiet()})
		if err == nil {
			c.Close()
			return stop, nil
		}
		select {
		case <-ended:
			stop()
			return nil, fmt.Errorf("the Temporal server ended: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			stop()
			return nil, fmt.Errorf("the Temporal server does not come up: %w", err)
		}
	}
}

func quiet() sdklog.Logger { return sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// stack is the simulators, a worker and a namespace of one test.
type stack struct {
	t         *testing.T
	dir       string
	namespace string
	client    client.Client
	sims      simulators
	simCmd    *exec.Cmd
	env       []string // of the worker
	url       string   // of the worker
	mu        sync.Mutex
	worker    *exec.Cmd
	program   string        // of the worker
	temporal  string        // address
	more      time.Duration // beyond patience, for estates that are large
}

type simulators struct {
	Qualys struct {
		APIURL     string `json:"apiUrl"`
		GatewayURL string `json:"gatewayUrl"`
		Username   string `json:"username"`
		Password   string `json:"password"`
	} `json:"qualys"`
	ServiceNow struct {
		URL          string `json:"url"`
		Username     string `json:"username"`
		Password     string `json:"password"`
		ClientID     string `json:"clientId"`
		ClientSecret string `json:"clientSecret"`
	} `json:"servicenow"`
}

// newStack starts simulators with the given flags, a namespace, and a worker.
func newStack(t *testing.T, simFlags ...string) *stack {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir(), program: "qbridge-worker", temporal: shared.temporal, namespace: strings.ToLower(fmt.Sprintf("e2e-%d", time.Now().UnixNano()))}
	out, err := exec.Command(shared.cli, "operator", "namespace", "create", "--address", shared.temporal, "--namespace", s.namespace, "--retention", "24h").CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.startSimulators(simFlags)
	s.client = s.dial()
	t.Cleanup(s.client.Close)
	port, err := ports.Reserve(0)
	require.NoError(t, err)
	s.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	s.env = append(os.Environ(),
		"TEMPORAL_ADDRESS="+shared.temporal, "TEMPORAL_NAMESPACE="+s.namespace,
		"QBRIDGE_STORE_URL="+filepath.Join(s.dir, "qbridge.db"), "QBRIDGE_HTTP_ADDR="+strings.TrimPrefix(s.url, "http://"),
		"QBRIDGE_ALLOWED_HOSTS=127.0.0.1", "QBRIDGE_REFRESH_EVERY=1s", "QBRIDGE_LOG_FORMAT=text",
		"QBRIDGE_QUALYS_API_URL="+s.sims.Qualys.APIURL, "QBRIDGE_QUALYS_GATEWAY_URL="+s.sims.Qualys.GatewayURL,
		"QBRIDGE_SECRET_QUALYS_USER="+s.sims.Qualys.Username, "QBRIDGE_SECRET_QUALYS_PASSWORD="+s.sims.Qualys.Password,
		"QBRIDGE_SERVICENOW_URL="+s.sims.ServiceNow.URL,
		"QBRIDGE_SECRET_SN_USER="+s.sims.ServiceNow.Username, "QBRIDGE_SECRET_SN_PASSWORD="+s.sims.ServiceNow.Password,
		"QBRIDGE_SECRET_SN_ID="+s.sims.ServiceNow.ClientID, "QBRIDGE_SECRET_SN_SECRET="+s.sims.ServiceNow.ClientSecret,
		"QBRIDGE_SECRET_WRONG=wrong-password",
	)
	s.startWorker()
	t.Cleanup(func() {
		s.stopWorker(syscall.SIGTERM)
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(s.dir, "worker.log"))
			t.Logf("the end of the worker's log:\n%s", tail(string(log), 40))
		}
	})
	return s
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// dial connects to the test's namespace, which takes moments to be known.
func (s *stack) dial() client.Client {
	var c client.Client
	s.eventually("connect to the namespace", func() error {
		var err error
		c, err = client.Dial(client.Options{HostPort: s.temporal, Namespace: s.namespace, Logger: quiet()})
		return err
	})
	return c
}

func (s *stack) startSimulators(flags []string) {
	args := append([]string{"--qualys", "127.0.0.1:0", "--servicenow", "127.0.0.1:0"}, flags...)
	s.simCmd = exec.Command(filepath.Join(shared.bin, "qbridge-sim"), args...)
	stdout, err := s.simCmd.StdoutPipe()
	require.NoError(s.t, err)
	s.simCmd.Stderr = os.Stderr
	require.NoError(s.t, s.simCmd.Start())
	s.t.Cleanup(func() { _ = s.simCmd.Process.Kill(); _ = s.simCmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal([]byte(line), &s.sims))
}

// onPostgreSQL moves the stack to a database of its own, before its worker starts
// again; without a server the test is skipped.
func (s *stack) onPostgreSQL() {
	s.t.Helper()
	base := os.Getenv("QBRIDGE_TEST_POSTGRES")
	if base == "" {
		if os.Getenv("CI") != "" {
			s.t.Fatal("QBRIDGE_TEST_POSTGRES is not set, and CI must run this")
		}
		s.t.Skip("did not run: set QBRIDGE_TEST_POSTGRES to a server where databases may be created")
	}
	admin, err := sql.Open("pgx", base)
	require.NoError(s.t, err)
	name := strings.ReplaceAll(s.namespace, "-", "_")
	_, err = admin.Exec("CREATE DATABASE " + name)
	require.NoError(s.t, err)
	s.t.Cleanup(func() {
		_, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		require.NoError(s.t, err)
		require.NoError(s.t, admin.Close())
	})
	u, err := url.Parse(base)
	require.NoError(s.t, err)
	u.Path = "/" + name
	s.stopWorker(syscall.SIGTERM)
	s.env = append(s.env, "QBRIDGE_STORE_URL="+u.String())
	s.startWorker()
}

// startWorker starts the worker and waits until it is ready.
func (s *stack) startWorker() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "worker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	cmd := exec.Command(filepath.Join(shared.bin, s.program))
	cmd.Env, cmd.Stderr, cmd.Stdout = s.env, log, log
	require.NoError(s.t, cmd.Start())
	s.mu.Lock()
	s.worker = cmd
	s.mu.Unlock()
	s.eventually("the worker is ready", func() error {
		res, err := http.Get(s.url + "/readyz")
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", res.StatusCode)
		}
		return nil
	})
}

// stopWorker ends the worker with a signal and waits for its end.
func (s *stack) stopWorker(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.worker == nil {
		return
	}
	_ = s.worker.Process.Signal(sig)
	_ = s.worker.Wait()
	s.worker = nil
}

// restart starts the worker again with more environment.
func (s *stack) restart(env ...string) {
	s.t.Helper()
	s.stopWorker(syscall.SIGTERM)
	s.env = append(s.env, env...)
	s.startWorker()
}

// text reads a page.
func (s *stack) text(url string) string {
	s.t.Helper()
	res, err := http.Get(url)
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return string(data)
}

// logged fails until the worker logged a message n times.
func (s *stack) logged(message string, n int) error {
	log, err := os.ReadFile(filepath.Join(s.dir, "worker.log"))
	if got := strings.Count(string(log), message); err == nil && got < n {
		err = fmt.Errorf("%q was logged %d times", message, got)
	}
	return err
}

// eventually tries until fn succeeds or patience ends.
func (s *stack) eventually(what string, fn func() error) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			require.NoError(s.t, err, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// cli runs the command line in process.
func (s *stack) cli(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	env := cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Now: time.Now, Patience: patience, HTTP: &http.Client{Timeout: patience}, DevFile: filepath.Join(s.dir, "none"),
		Getenv: func(k string) string { return map[string]string{"QBRIDGE_URL": s.url, "USER": "tester"}[k] },
		Dial: func(ctx context.Context, _ client.Options) (client.Client, error) {
			return client.DialContext(ctx, client.Options{HostPort: s.temporal, Namespace: s.namespace, Logger: quiet()})
		},
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience+s.more)
	defer cancel()
	return cli.Main(ctx, env, args), out.String(), errs.String()
}

// document is the quick start's configuration.
func (s *stack) document() string {
	data, err := os.ReadFile(filepath.Join(root(), "deploy", "examples", "quickstart.yaml"))
	require.NoError(s.t, err)
	return sections.ReplaceAllString(string(data), "") // tests switch on what they look at
}

var sections = regexp.MustCompile(`(?m)^    sections: .*\n`)

// apply writes a document to a file and applies it.
func (s *stack) apply(document string) (code int, stderr string) {
	path := filepath.Join(s.dir, "config.yaml")
	require.NoError(s.t, os.WriteFile(path, []byte(document), 0o600))
	code, out, errs := s.cli("apply", path)
	return code, out + errs
}

func (s *stack) mustApply() {
	s.t.Helper()
	code, out := s.apply(s.document())
	require.Zero(s.t, code, out)
}

// sync runs the schedule to its end and returns exit code and result.
func (s *stack) sync(flags ...string) (int, contract.RunResult) {
	s.t.Helper()
	code, out, errs := s.cli(append([]string{"run", "start", "inventory", "--wait", "-o", "json"}, flags...)...)
	var res contract.RunResult
	if code == cli.ExitOK || code == cli.ExitPartial {
		require.NoError(s.t, json.Unmarshal([]byte(out), &res), "%s%s", out, errs)
	}
	return code, res
}

// get reads JSON from a simulator or the worker.
func (s *stack) get(url string, out any) {
	s.t.Helper()
	res, err := http.Get(url)
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, res.StatusCode, "%s", data)
	require.NoError(s.t, json.Unmarshal(data, out), "%s", data)
}

// digest is the content of the CMDB.
func (s *stack) digest() string {
	var d struct {
		Digest string `json:"digest"`
	}
	s.get(s.sims.ServiceNow.URL+"/_sim/digest", &d)
	require.NotEmpty(s.t, d.Digest)
	return d.Digest
}

// entry is one line of a simulator's request log.
type entry struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Query  string `json:"query"`
	Status int    `json:"status"`
}

func (s *stack) log(base string) []entry {
	var list []entry
	var wrapped struct {
		Entries []entry `json:"entries"`
		Log     []entry `json:"log"`
	}
	res, err := http.Get(base + "/_sim/log?n=10000")
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	if json.Unmarshal(data, &list) == nil {
		return list
	}
	require.NoError(s.t, json.Unmarshal(data, &wrapped))
	return append(wrapped.Entries, wrapped.Log...)
}

func (s *stack) calls(base, path string) int {
	n := 0
	for _, e := range s.log(base) {
		if e.Path == path {
			n++
		}
	}
	return n
}

// faults replaces the fault plan of a simulator; empty clears it.
func (s *stack) faults(base, spec string) {
	s.t.Helper()
	res, err := http.Post(base+"/_sim/faults", "text/plain", strings.NewReader(spec))
	require.NoError(s.t, err)
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	require.Less(s.t, res.StatusCode, 300, "%s", body)
}
