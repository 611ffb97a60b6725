//go:build faults

package faults

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// errLost is what Temporal knows about an attempt whose worker is gone: it was
// not heard of any more.
var errLost = errors.New("the worker was not heard of any more")

// process is one worker: clients, caches and activities of its own over the
// common store and network. A killed one does nothing any more; a frozen one
// does nothing until it thaws, and does not know that time has passed.
type process struct {
	w    *world
	bug  Bug
	gone chan struct{} // closed when killed or frozen

	mu     sync.Mutex
	killed bool
	thawed chan struct{} // not nil: frozen

	inventory *activities.Inventory
	write     *activities.Write
	ledger    *activities.Ledger
	transport *http.Transport
	running   sync.WaitGroup
}

// concurrency of the clients; the subscription allows two calls at a time.
const (
	qualysCalls     = 2
	serviceNowCalls = 8
)

func (w *world) newProcess() *process {
	p := &process{w: w, bug: w.plan.Bug, gone: make(chan struct{}), transport: w.net.transport()}
	s := &gatedStore{Store: w.store, p: p}
	settings := &activities.Settings{Store: s}
	v := &vendors{p: p}
	bodies, err := activities.NewBodies()
	w.check(err)
	p.inventory = &activities.Inventory{Store: s, Settings: settings, Vendors: v, Bodies: bodies, Now: time.Now}
	p.write = &activities.Write{Store: s, Settings: settings, Vendors: v, Bodies: bodies, Now: time.Now}
	p.ledger = &activities.Ledger{Store: s, Settings: settings, Temporal: temporalServer{w}, Now: time.Now}
	_, cfg, err := settings.Config(context.Background(), "")
	w.check(err)
	v.make(cfg)
	return p
}

// alive stops the goroutines of a killed process and holds those of a frozen one.
func (p *process) alive() error {
	p.mu.Lock()
	killed, thawed := p.killed, p.thawed
	p.mu.Unlock()
	if thawed != nil {
		<-thawed
	}
	if killed {
		return errLost
	}
	return nil
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed {
		p.killed = true
		p.leave()
	}
}

// freeze stops the process for a time.
func (p *process) freeze(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed || p.thawed != nil {
		return
	}
	thawed := make(chan struct{})
	p.thawed = thawed
	p.leave()
	time.AfterFunc(d, func() { close(thawed) })
}

// leave makes the world start another process. Callers hold mu.
func (p *process) leave() {
	select {
	case <-p.gone:
	default:
		close(p.gone)
	}
}

func (p *process) lost() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// Reach implements crash.Plan.
func (p *process) Reach(_ context.Context, at crash.Point) error {
	if err := p.alive(); err != nil {
		return err
	}
	switch p.w.reached(at) {
	case Kill:
		p.kill()
	case Freeze:
		p.freeze(frozenFor)
	case Fail:
		return errors.New("a fault at " + string(at))
	}
	return p.alive()
}

// gate holds the calls of a frozen process before the transport looks at the
// time; what is on its way goes on.
func (p *process) gate(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if err := p.alive(); err != nil {
			return nil, err
		}
		return next.RoundTrip(req)
	})
}

// RoundTrip is the process's way to the network. What a killed or frozen process
// had sent arrives; it does not see the answer, or later.
func (p *process) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := p.transport.RoundTrip(req)
	if err == nil {
		p.bug.below(res)
	}
	if dead := p.alive(); dead != nil {
		if err == nil {
			_ = res.Body.Close()
		}
		return nil, dead
	}
	return res, err
}

// vendors hands out the clients of a process.
type vendors struct {
	p      *process
	source *activities.Source
	target *activities.Target
}

func (v *vendors) make(cfg *config.Config) {
	q, s, w := cfg.Qualys[0], cfg.ServiceNow[0], v.p.w
	qt, err := transport.New(transport.Options{Name: q.Name, Base: v.p, Concurrency: qualysCalls, MaxBody: w.plan.MaxBody, Secrets: []string{password}})
	w.check(err)
	qc, err := qualys.New(qualys.Config{
		Name: q.Name, APIURL: "http://" + qualysHost, GatewayURL: "http://" + qualysHost, Username: user, Password: password,
		PageSize: w.plan.PageSize, Transport: v.p.gate(v.p.bug.qualys(qt)),
	})
	w.check(err)
	st, err := transport.New(transport.Options{Name: s.Name, Base: v.p, Concurrency: serviceNowCalls, Secrets: []string{password}})
	w.check(err)
	sc, err := servicenow.New(servicenow.Config{
		Name: s.Name, URL: "http://" + serviceNowHost, DiscoverySource: s.DiscoverySource, Retries: 3, Transport: v.p.gate(v.p.bug.serviceNow(st)),
		Auth: servicenow.Auth{Type: servicenow.AuthPassword, Username: user, Password: password, ClientID: user, ClientSecret: password},
	})
	w.check(err)
	v.source = &activities.Source{Name: q.Name, Client: qc}
	v.target = &activities.Target{Name: s.Name, Config: s, Client: sc, Shared: activities.NewLock(), Lengths: activities.NewLengths()}
}

func (v *vendors) Qualys(context.Context, string, string) (*activities.Source, error) {
	return v.source, nil
}

func (v *vendors) ServiceNow(context.Context, string, string) (*activities.Target, error) {
	return v.target, nil
}

func (v *vendors) CheckQualys(context.Context, config.Qualys, activities.SourceNeeds) []contract.Check {
	return nil
}

func (v *vendors) CheckServiceNow(context.Context, config.ServiceNow, activities.Needs) []contract.Check {
	return nil
}

// temporalServer answers whether a run still is open.
type temporalServer struct{ w *world }

func (s temporalServer) Running(_ context.Context, _, firstRunID string) (bool, error) {
	return s.w.openRun() == firstRunID, nil
}

func (s temporalServer) Staged(context.Context, string) error { return nil }

func (s temporalServer) HasAttributes(context.Context) (bool, error) { return false, nil }
