//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/tests/sim/estate"
	simqualys "github.com/qbridge/qbridge/tests/sim/qualys"
	simservicenow "github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/qbridge/qbridge/workflows"
	"github.com/qbridge/qbridge/workflows/contract"
)

const (
	qualysHost     = "qualys.sim"
	serviceNowHost = "servicenow.sim"
	user           = "someone"
	password       = "s0me-pass&word%"
	schedule       = "inventory"
)

// document is the configuration of every run here.
const document = `
qualys:
  - {name: corp, apiUrl: "https://qualys.example", gatewayUrl: "https://qualys.example", auth: {username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}"}}
servicenow:
  - {name: dev, url: "https://servicenow.example", auth: {type: oauth-password, username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}", clientId: "${env:QBRIDGE_SECRET_U}", clientSecret: "${env:QBRIDGE_SECRET_P}"}, discoverySource: SG-Qualys}
schedules:
  - {name: inventory, source: corp, target: dev, manual: true, existing: full}
properties: {verifySample: 500}
`

// start is when virtual time begins to count: after the estate's dates.
var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// world is both vendors, the store and the worker of one plan.
type world struct {
	t          *testing.T
	plan       Plan
	net        *network
	qualys     *simqualys.Server
	serviceNow *simservicenow.Server
	store      *sql.Store

	mu      sync.Mutex
	proc    *process
	old     []*process
	left    []Blow
	count   map[crash.Point]int
	spent   int    // Qualys calls that blows may have cost
	calm    bool   // no more blows
	current string // the open run
	cursor  int64  // end of the last page staged
	runs    []string
}

// newWorld builds everything; it must run in a bubble of virtual time.
func newWorld(t *testing.T, plan Plan) *world {
	t.Helper()
	if now := time.Now(); now.Before(start) {
		time.Sleep(start.Sub(now))
	}
	w := &world{t: t, plan: plan, net: newNetwork(), left: plan.Blows, count: map[crash.Point]int{}}
	var err error
	q := simqualys.Options{Estate: estate.Options{Assets: plan.Assets, Seed: plan.Seed, Bad: plan.Bad}, Username: user, Password: password, Now: time.Now, Faults: plan.Qualys}
	if plan.Limits {
		q.Limits = simqualys.Limits{Concurrency: 2, Calls: 10, Window: 60 * time.Second}
	}
	w.qualys, err = simqualys.New(q)
	w.check(err)
	w.serviceNow, err = simservicenow.New(simservicenow.Options{Username: user, Password: password, ClientID: user, ClientSecret: password, Now: time.Now, Faults: plan.Target})
	w.check(err)
	w.net.serve("qualys.sim", w.qualys.Handler())
	w.net.serve("servicenow.sim", w.serviceNow.Handler())
	w.store, err = sql.Open(context.Background(), filepath.Join(t.TempDir(), "store.db"), sql.Options{Now: time.Now})
	w.check(err)
	text := document
	if plan.Rich {
		text = strings.Replace(document, "existing: full", "existing: full, sections: {software: true, volumes: true, cloudDetails: true}", 1)
	}
	_, err = w.store.SaveRevision(context.Background(), text, "digest", "test")
	w.check(err)
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	require.NoError(w.t, err)
}

// close ends every goroutine of the world, zombies included.
func (w *world) close() {
	w.t.Helper()
	w.mu.Lock()
	all := w.old
	if w.proc != nil {
		all = append(all, w.proc)
	}
	w.mu.Unlock()
	if len(all) > 0 {
		time.Sleep(2 * frozenFor)
	}
	for _, p := range all {
		p.kill()
		p.running.Wait()
		p.transport.CloseIdleConnections()
	}
	w.check(errors.Join(w.net.close(), w.qualys.Close(), w.serviceNow.Close(), w.store.Close()))
}

// process returns the living process, and starts one when the last is gone.
func (w *world) process() *process {
	w.mu.Lock()
	p := w.proc
	w.mu.Unlock()
	if p != nil && !p.lost() {
		return p
	}
	next := w.newProcess()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proc != p { // somebody else was faster
		return w.proc
	}
	if p != nil {
		w.old = append(w.old, p)
	}
	w.proc = next
	return next
}

// reached counts a point and says what happens there.
func (w *world) reached(at crash.Point) Act {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[at]++
	if w.calm {
		return ""
	}
	for i, b := range w.left {
		if b.At == at && b.Nth <= w.count[at] {
			w.left = append(w.left[:i:i], w.left[i+1:]...)
			if b.Do != Fail || at == crash.AfterFetch {
				w.spent++ // a page under way is lost
			}
			return b.Do
		}
	}
	return ""
}

func (w *world) openRun() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current
}

func (w *world) staged(cursor int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cursor = max(w.cursor, cursor)
}

func (w *world) stagedUpTo() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cursor
}

// heal ends all faults.
func (w *world) heal() {
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	w.control(http.MethodPost, qualysHost, "/_sim/faults", "", nil)
	w.control(http.MethodPost, serviceNowHost, "/_sim/faults", "", nil)
}

// run executes one run of the schedule to its end, over continue-as-new.
func (w *world) run(in contract.RunInput, cancelAfter time.Duration) (contract.RunResult, error) {
	id := fmt.Sprintf("run-%d", len(w.runs)+1)
	w.mu.Lock()
	w.runs, w.current = append(w.runs, id), id
	w.mu.Unlock()
	in.Schedule = schedule
	for {
		env := w.environment(id)
		if cancelAfter > 0 {
			env.RegisterDelayedCallback(env.CancelWorkflow, cancelAfter)
		}
		env.ExecuteWorkflow(contract.SyncInventory, in)
		close(env.ended)
		require.True(w.t, env.IsWorkflowCompleted(), "the run does not end")
		err := env.GetWorkflowError()
		var next *workflow.ContinueAsNewError
		if errors.As(err, &next) {
			w.check(env.GetDataConverter().FromPayloads(next.Input, &in))
			continue
		}
		w.mu.Lock()
		w.current = ""
		w.mu.Unlock()
		var res contract.RunResult
		if err == nil {
			w.check(env.GetWorkflowResult(&res))
		}
		return res, err
	}
}

// environment is a Temporal of its own for one workflow, whose activities are
// those of whatever process lives.
func (w *world) environment(id string) *environment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(1000 * time.Hour)
	env.SetStartTime(time.Now())
	env.RegisterWorkflowWithOptions(workflows.SyncInventory, workflow.RegisterOptions{Name: contract.SyncInventory})
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&intercept{}}})
	d := &dispatcher{w: w, run: id, ended: make(chan struct{})}
	env.RegisterActivity(&inventoryActs{d})
	env.RegisterActivity(&writeActs{d})
	env.RegisterActivity(&ledgerActs{d})
	env.RegisterActivity(&configActs{d})
	return &environment{env, d.ended}
}

func silent() *log.Logger { return log.New(io.Discard, "", 0) }
