package qualys

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits are those of a subscription for each API endpoint: calls at once, and calls in a rolling window. A zero
// concurrency or a zero number of calls is no limit.
type Limits struct {
	Concurrency int
	Calls       int
	Window      time.Duration
}

// ParseLimits reads a preset (none, express, standard, enterprise, premium) or concurrency/calls/seconds, for example
// 2/300/3600.
func ParseLimits(text string) (Limits, error) {
	switch text {
	case "", "none":
		return Limits{}, nil
	case "express":
		return Limits{1, 50, 24 * time.Hour}, nil
	case "standard":
		return Limits{2, 300, time.Hour}, nil
	case "enterprise":
		return Limits{5, 750, time.Hour}, nil
	case "premium":
		return Limits{10, 2000, time.Hour}, nil
	}
	parts := strings.Split(text, "/")
	var n [3]int
	for i := range n {
		var err error
		if len(parts) != 3 {
			err = strconv.ErrSyntax
		} else {
			n[i], err = strconv.Atoi(parts[i])
		}
		if err != nil || n[i] < 0 || i == 2 && n[i] == 0 {
			return Limits{}, fmt.Errorf("qualys: limits %q: want none, express, standard, enterprise, premium, or concurrency/calls/seconds such as 2/300/3600", text)
		}
	}
	return Limits{n[0], n[1], time.Duration(n[2]) * time.Second}, nil
}

// limiter checks calls: concurrency first, then the rolling window (API limits guide). Each endpoint counts apart.
type limiter struct {
	now func() time.Time

	mu     sync.Mutex
	limits Limits
	form   Choice
	gates  map[string]*gate
}

type gate struct {
	running int
	// calls are the times of the admitted calls within the window, oldest first.
	calls []time.Time
	// blocked is true after a refusal, for the form in which only the retry is told how long to wait.
	blocked bool
}

// admission is the answer for one call and what the headers say.
type admission struct {
	ok        bool
	remaining int
	wait      int
	first     bool
	// running is the number of other calls on their way, crowded that they are the reason of a refusal.
	running int
	crowded bool
}

func newLimiter(l Limits, now func() time.Time) *limiter {
	return &limiter{limits: l, now: now, gates: map[string]*gate{}}
}

// set changes the limits and the form of a 429 while calls go on.
func (l *limiter) set(limits Limits, form Choice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits, l.form = limits, form
}

func (l *limiter) settings() (Limits, Choice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limits, l.form
}

func (l *limiter) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.gates {
		g.calls, g.blocked = nil, false
	}
}

// enter admits a call or says why not. The caller calls done when an admitted call ends. Refused calls do not count.
func (l *limiter) enter(endpoint string) (done func(), a admission) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gates[endpoint]
	if g == nil {
		g = &gate{}
		l.gates[endpoint] = g
	}
	now := l.now()
	for len(g.calls) > 0 && now.Sub(g.calls[0]) >= l.limits.Window {
		g.calls = g.calls[1:]
	}
	a.running = g.running
	a.remaining = max(0, l.limits.Calls-len(g.calls))
	switch {
	case l.limits.Concurrency > 0 && g.running >= l.limits.Concurrency:
		a.wait, a.crowded = 1, true
	case l.limits.Calls > 0 && len(g.calls) >= l.limits.Calls:
		left := l.limits.Window - now.Sub(g.calls[0])
		a.wait = max(1, int((left+time.Second-1)/time.Second))
	default:
		a.ok = true
	}
	if !a.ok {
		a.first = !g.blocked
		g.blocked = true
		return nil, a
	}
	g.blocked = false
	g.running++
	if l.limits.Calls > 0 {
		g.calls = append(g.calls, now)
		a.remaining--
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		g.running--
	}, a
}

// limitHeaders writes the gateway's headers; it has none about concurrency.
func (s *Server) limitHeaders(w http.ResponseWriter, a admission) {
	l, form := s.limiter.settings()
	if l.Calls == 0 && a.ok {
		return
	}
	h := w.Header()
	if !a.ok && form == BlockedEmptyHeaders {
		h.Set("X-RateLimit-Limit", "")
		h.Set("X-RateLimit-Remaining", "")
		h.Set("X-RateLimit-Reset", strconv.Itoa(a.wait))
		return
	}
	if l.Calls > 0 {
		h.Set("X-RateLimit-Limit", strconv.Itoa(l.Calls))
		h.Set("X-RateLimit-Window-Sec", strconv.Itoa(int(l.Window/time.Second)))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(a.remaining))
	}
	if !a.ok && (form != BlockedWaitOnRetry || !a.first) {
		h.Set("X-RateLimit-ToWait-Sec", strconv.Itoa(a.wait))
	}
}

// blocked answers 429. Its body is not documented, and users report empty ones.
func (s *Server) blocked(w http.ResponseWriter, r *http.Request, _ admission) {
	if _, form := s.limiter.settings(); form != BlockedDocumented {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	s.spring(w, r, http.StatusTooManyRequests, "Rate limit exceeded")
}
