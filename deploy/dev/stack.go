package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/deploy/dev/ports"
)

// simulators is the line that the simulators print when they are up.
type simulators struct {
	Qualys struct {
		APIURL     string `json:"apiUrl"`
		GatewayURL string `json:"gatewayUrl"`
		Username   string `json:"username"`
		Password   string `json:"password"`
	} `json:"qualys"`
	ServiceNow struct {
		URL             string `json:"url"`
		Username        string `json:"username"`
		Password        string `json:"password"`
		ClientID        string `json:"clientId"`
		ClientSecret    string `json:"clientSecret"`
		DiscoverySource string `json:"discoverySource"`
	} `json:"servicenow"`
}

// addresses is var/dev.json: where everything listens and which process it is.
type addresses struct {
	PID      int `json:"pid"`
	Temporal struct {
		Address   string `json:"address"`
		Namespace string `json:"namespace"`
		UI        string `json:"ui"`
		PID       int    `json:"pid"`
	} `json:"temporal"`
	Worker struct {
		URL string `json:"url"`
		PID int    `json:"pid"`
	} `json:"worker"`
	Simulators struct {
		PID        int    `json:"pid"`
		Qualys     string `json:"qualys"`
		ServiceNow string `json:"servicenow"`
	} `json:"simulators"`
}

// stack is everything that runs.
type stack struct {
	opts     options
	out      io.Writer
	children []*process // in order of starting
	client   client.Client
	sims     simulators
	addr     addresses
	worker   *process
	password string // of the console's admin
}

// up starts the Temporal server, the simulators and the worker, in this order.
func up(ctx context.Context, o options, out io.Writer) (_ *stack, err error) {
	s := &stack{opts: o, out: out}
	defer func() {
		if err != nil {
			s.down()
		}
	}()
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, err
	}
	bin, err := temporalBinary(ctx, out)
	if err != nil {
		return nil, err
	}
	if err := build(ctx); err != nil {
		return nil, err
	}
	if err := s.startTemporal(ctx, bin); err != nil {
		return nil, err
	}
	if err := s.startSimulators(ctx); err != nil {
		return nil, err
	}
	if err := s.startWorker(ctx); err != nil {
		return nil, err
	}
	return s, s.writeAddresses()
}

// build compiles the programs of the stack into bin/.
func build(ctx context.Context) error {
	for name, pkg := range map[string]string{"qbridge": "./starter", "qbridge-worker": "./worker", "qbridge-sim": "./tests/sim/cmd"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join("bin", name), pkg)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// temporalTries is how often the Temporal server is started: it takes further
// ports of its own choice, which somebody else may take at the same moment.
const temporalTries = 3

func (s *stack) startTemporal(ctx context.Context, bin string) error {
	var err error
	for range temporalTries {
		err = s.tryTemporal(ctx, bin)
		var ended *endedError
		if !errors.As(err, &ended) {
			return err
		}
	}
	return err
}

func (s *stack) tryTemporal(ctx context.Context, bin string) error {
	port, err := ports.Reserve(s.opts.temporalPort)
	if err != nil {
		return err
	}
	ui, err := ports.Reserve(s.opts.uiPort)
	if err != nil {
		return err
	}
	p, _, err := start(ctx, "temporal", s.opts.dir, nil, false, bin, temporalArgs(s.opts.dir, port, ui)...)
	if err != nil {
		return err
	}
	t := &s.addr.Temporal
	t.Address, t.Namespace, t.UI, t.PID = fmt.Sprintf("127.0.0.1:%d", port), "default", fmt.Sprintf("http://127.0.0.1:%d", ui), p.cmd.Process.Pid
	if s.client, err = dialTemporal(ctx, p, t.Address); err != nil {
		p.stop()
		return err
	}
	s.children = append(s.children, p)
	return keepLonger(ctx, bin, t.Address)
}

func (s *stack) startSimulators(ctx context.Context) error {
	q, err := ports.Reserve(s.opts.qualysPort)
	if err != nil {
		return err
	}
	sn, err := ports.Reserve(s.opts.serviceNowPort)
	if err != nil {
		return err
	}
	args := []string{
		"--assets", fmt.Sprint(s.opts.assets), "--seed", fmt.Sprint(s.opts.seed), "--bad", fmt.Sprint(s.opts.bad),
		"--qualys", fmt.Sprintf("127.0.0.1:%d", q), "--servicenow", fmt.Sprintf("127.0.0.1:%d", sn),
		"--state", filepath.Join(s.opts.dir, "sim"), "--update-set", filepath.Join("deploy", "servicenow", "qbridge-tables.xml"),
	}
	args = append(args, s.opts.simArgs...)
	p, line, err := start(ctx, "simulators", s.opts.dir, nil, true, filepath.Join("bin", "qbridge-sim"), args...)
	if err != nil {
		return err
	}
	s.children = append(s.children, p)
	if err := json.Unmarshal([]byte(line), &s.sims); err != nil {
		return fmt.Errorf("the simulators said %q: %w", line, err)
	}
	s.addr.Simulators.PID, s.addr.Simulators.Qualys, s.addr.Simulators.ServiceNow = p.cmd.Process.Pid, s.sims.Qualys.GatewayURL, s.sims.ServiceNow.URL
	return nil
}

func (s *stack) startWorker(ctx context.Context) error {
	port, err := ports.Reserve(s.opts.workerPort)
	if err != nil {
		return err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	if s.password, err = adminPassword(s.opts.dir); err != nil {
		return err
	}
	env := append(s.environment(),
		"TEMPORAL_ADDRESS="+s.addr.Temporal.Address,
		"TEMPORAL_NAMESPACE=default",
		"QBRIDGE_STORE_URL="+filepath.Join(s.opts.dir, "qbridge.db"),
		"QBRIDGE_HTTP_ADDR="+addr,
		"QBRIDGE_ALLOWED_HOSTS=127.0.0.1,localhost",
		"QBRIDGE_REFRESH_EVERY=1s",
		"QBRIDGE_TEMPORAL_UI="+s.addr.Temporal.UI,
		"QBRIDGE_ADMIN_PASSWORD="+s.password,
	)
	p, _, err := start(ctx, "worker", s.opts.dir, env, false, filepath.Join("bin", "qbridge-worker"))
	if err != nil {
		return err
	}
	s.children = append(s.children, p)
	s.worker = p
	s.addr.Worker.URL, s.addr.Worker.PID = "http://"+addr, p.cmd.Process.Pid
	return waitReady(ctx, p, s.addr.Worker.URL+"/readyz")
}

// adminPassword is the password of the console's admin: made up once, and kept as
// long as the rest of the state.
func adminPassword(dir string) (string, error) {
	name := filepath.Join(dir, "console-password")
	known, err := os.ReadFile(name)
	if err == nil {
		return strings.TrimSpace(string(known)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	password := rand.Text()
	return password, os.WriteFile(name, []byte(password+"\n"), 0o600)
}

// environment is how the simulators' addresses and credentials reach the
// configuration: as the references of the quick start.
func (s *stack) environment() []string {
	q, sn := s.sims.Qualys, s.sims.ServiceNow
	return []string{
		"QBRIDGE_QUALYS_API_URL=" + q.APIURL, "QBRIDGE_QUALYS_GATEWAY_URL=" + q.GatewayURL,
		"QBRIDGE_SECRET_QUALYS_USER=" + q.Username, "QBRIDGE_SECRET_QUALYS_PASSWORD=" + q.Password,
		"QBRIDGE_SERVICENOW_URL=" + sn.URL,
		"QBRIDGE_SECRET_SN_USER=" + sn.Username, "QBRIDGE_SECRET_SN_PASSWORD=" + sn.Password,
		"QBRIDGE_SECRET_SN_ID=" + sn.ClientID, "QBRIDGE_SECRET_SN_SECRET=" + sn.ClientSecret,
	}
}

// writeAddresses writes dev.json, through which bin/qbridge finds the stack.
func (s *stack) writeAddresses() error {
	s.addr.PID = os.Getpid()
	data, err := json.MarshalIndent(s.addr, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.opts.dir, "dev.json"), append(data, '\n'), 0o600)
}

// down stops every child, the last one first.
func (s *stack) down() {
	if s.client != nil {
		s.client.Close()
	}
	for i := len(s.children) - 1; i >= 0; i-- {
		s.children[i].stop()
	}
	if err := os.Remove(filepath.Join(s.opts.dir, "dev.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(s.out, "dev.json not removed:", err)
	}
}

// died returns a channel that closes when any child ends by itself.
func (s *stack) died(ctx context.Context) <-chan *process {
	gone := make(chan *process, len(s.children))
	for _, p := range s.children {
		go func() {
			select {
			case <-p.done:
				gone <- p
			case <-ctx.Done():
			}
		}()
	}
	return gone
}

func waitReady(ctx context.Context, p *process, url string) error {
	deadline := time.Now().Add(60 * time.Second)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not become ready: see %s", p.name, p.log)
		}
		select {
		case <-p.done:
			return p.failed()
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
