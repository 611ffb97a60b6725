package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/qbridge/qbridge/tests/load/pipeline"
)

// simulators are both ends in a process of their own, so that what they cost is
// not counted with those who use them.
type simulators struct {
	ends pipeline.Ends
	line string // as the process printed it
	cmd  *exec.Cmd
}

// startSimulators starts bin/qbridge-sim with an estate.
func startSimulators(ctx context.Context, assets int, flags ...string) (*simulators, error) {
	args := append([]string{"--assets", strconv.Itoa(assets), "--qualys", "127.0.0.1:0", "--servicenow", "127.0.0.1:0"}, flags...)
	s := &simulators{cmd: exec.CommandContext(ctx, "bin/qbridge-sim", args...)}
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: use the make targets, which build the programs", err)
	}
	if s.line, err = bufio.NewReader(out).ReadString('\n'); err == nil {
		s.ends, err = endsOf(s.line)
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("simulators: %w", err)
	}
	return s, nil
}

// endsOf reads the line that the simulators print when they are up.
func endsOf(line string) (pipeline.Ends, error) {
	var v struct {
		Qualys struct {
			GatewayURL string `json:"gatewayUrl"`
			Username   string `json:"username"`
			Password   string `json:"password"`
		} `json:"qualys"`
		ServiceNow struct {
			URL             string `json:"url"`
			Username        string `json:"username"`
			Password        string `json:"password"`
			DiscoverySource string `json:"discoverySource"`
		} `json:"servicenow"`
	}
	err := json.Unmarshal([]byte(line), &v)
	return pipeline.Ends{
		GatewayURL: v.Qualys.GatewayURL, QualysUser: v.Qualys.Username, QualysPassword: v.Qualys.Password,
		ServiceNowURL: v.ServiceNow.URL, ServiceNowUser: v.ServiceNow.Username, ServiceNowPassword: v.ServiceNow.Password,
		DiscoverySource: v.ServiceNow.DiscoverySource,
	}, err
}

func (s *simulators) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// reset empties the CMDB and the counters.
func (s *simulators) reset(ctx context.Context) error {
	for _, base := range []string{s.ends.GatewayURL, s.ends.ServiceNowURL} {
		if err := control(ctx, http.MethodPost, base+"/_sim/reset", nil); err != nil {
			return err
		}
	}
	return nil
}

// stats are the counters of a simulator.
type stats struct {
	Calls map[string]map[string]int64 `json:"calls"`
	Items map[string]int64            `json:"items"`
}

func statsOf(ctx context.Context, base string) (stats, error) {
	var s stats
	err := control(ctx, http.MethodGet, base+"/_sim/stats", &s)
	return s, err
}

// of is the number of calls of endpoints, whatever became of them.
func (s stats) of(endpoints ...string) float64 {
	var n int64
	for _, e := range endpoints {
		for _, k := range s.Calls[e] {
			n += k
		}
	}
	return float64(n)
}

// controlTimeout bounds a call to a simulator's own interface: emptying a large
// CMDB takes a while.
const controlTimeout = 2 * time.Minute

// control calls a simulator's own interface.
func control(ctx context.Context, method, url string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	data, err := bodyOf(req, 16<<20)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// bodyOf makes a call and returns at most limit bytes of its answer.
func bodyOf(req *http.Request, limit int64) ([]byte, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, limit))
	if err == nil && res.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s: status %d: %.200s", req.URL.Path, res.StatusCode, data)
	}
	return data, err
}
