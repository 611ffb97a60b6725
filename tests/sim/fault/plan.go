// Package fault breaks answers on purpose, the way vendors' systems and networks do. A plan is a text of rules:
//
//	on search.asset share 5% seed 7 do cut(20000)
//	on * nth 3 for 30s do status(503); on search.asset where cursor=0 do repeat_page
//
// A rule names an endpoint of the simulator (or *), when it fires (always; the nth matching call; every kth; a share of
// them, chosen by the seed), an optional condition on the request, an optional length of time, and the kind of fault.
// The first rule that fires decides; a call has one fault at most. The same seed and the same sequence of calls give
// the same faults.
//
// Kinds that concern the transport happen in Plan.Middleware. Kinds that need to know what the answer means (which page
// came before, which item of a payload) reach the handler through From(ctx).
package fault

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// specLimit bounds the text of a plan that arrives over HTTP.
const specLimit = 1 << 20

// Plan is a set of rules with their counters. It is safe for concurrent use; a nil plan and the zero value break nothing.
type Plan struct {
	mu    sync.Mutex
	rules []*rule
	spec  string
	now   func() time.Time
}

// Parse reads the text of a plan; the empty text is a plan without faults. An error names line and column.
func Parse(spec string) (*Plan, error) {
	rules, err := parse(spec)
	if err != nil {
		return nil, err
	}
	return &Plan{rules: rules, spec: spec}, nil
}

// SetClock sets the clock that "for" is measured with; the wall clock otherwise.
func (p *Plan) SetClock(now func() time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
}

// Replace takes other rules and starts counting anew. On an error the plan stays as it was.
func (p *Plan) Replace(spec string) error {
	rules, err := parse(spec)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.spec = rules, spec
	return nil
}

// Spec returns the text of the rules in force.
func (p *Plan) Spec() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spec
}

// Mount serves POST /_sim/faults (the body is the plan's text; an empty body clears it; a malformed one is answered with
// 400 and the reason, and changes nothing) and GET /_sim/faults.
func (p *Plan) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, p.Spec())
	})
	mux.HandleFunc("POST /_sim/faults", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, specLimit))
		if err == nil {
			err = p.Replace(string(body))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

type faultKey struct{}

// From returns the fault that the handler must perform itself, or nil.
func From(ctx context.Context) *Fault {
	f, _ := ctx.Value(faultKey{}).(*Fault)
	return f
}

// With returns a context that carries f, for tests of handlers.
func With(ctx context.Context, f *Fault) context.Context {
	return context.WithValue(ctx, faultKey{}, f)
}

// Pick returns the fault for one call, or nil, and counts the call.
func (p *Plan) Pick(endpoint string, r *http.Request) *Fault {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now
	if p.now != nil {
		now = p.now
	}
	var picked *Fault
	// Every rule counts every call that matches it, also when an earlier rule decides, so that adding a rule does not
	// shift the others.
	for i, rule := range p.rules {
		if !rule.matches(endpoint, r) {
			continue
		}
		rule.seen++
		roll := mix(rule.seed ^ mix(uint64(i)+1) ^ mix(uint64(rule.seen)<<17))
		if rule.fires(roll, now()) && picked == nil {
			f := rule.fault
			f.Roll = mix(roll)
			picked = &f
		}
	}
	return picked
}

func (r *rule) matches(endpoint string, req *http.Request) bool {
	if r.endpoint != "*" && r.endpoint != endpoint {
		return false
	}
	if r.key == "" {
		return true
	}
	query := req.URL.Query()
	switch {
	case r.key == "method":
		return req.Method == r.value
	case r.key == "path":
		return req.URL.Path == r.value
	case strings.HasPrefix(r.key, "header."):
		return req.Header.Get(strings.TrimPrefix(r.key, "header.")) == r.value
	case r.key == "cursor":
		// The word that fits every paged API: the first page has no cursor or 0.
		for _, name := range []string{"lastSeenAssetId", "sysparm_offset", "pageNumber"} {
			if v := query.Get(name); v != "" {
				return v == r.value
			}
		}
		return r.value == "0" || r.value == ""
	default:
		return query.Get(r.key) == r.value
	}
}

// fires decides for the call that was just counted. A time window starts with the first call at which the rule would
// fire; within it, "nth k" goes on firing on each call, which is how an outage that begins at call k is written.
func (r *rule) fires(roll uint64, now time.Time) bool {
	fire := false
	switch r.trigger {
	case always:
		fire = true
	case nth:
		fire = r.seen == r.k || (r.window > 0 && r.seen > r.k)
	case every:
		fire = r.seen%r.k == 0
	case share:
		fire = float64(roll>>11)/(1<<53)*100 < r.percent
	}
	if !fire || r.window == 0 {
		return fire
	}
	if r.since.IsZero() {
		r.since = now
	}
	return now.Sub(r.since) < r.window
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
