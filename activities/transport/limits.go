package transport

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxWait caps what a vendor may ask for: longer waits are a mistake of a header.
const maxWait = 24 * time.Hour

// shortWait is slept inside a call; longer waits go back to the caller, so that
// no activity sits on its hands.
const shortWait = 2 * time.Second

// Limits are the limits that an answer named. Negative numbers were not given.
type Limits struct {
	Limit, Remaining     int
	Window               time.Duration
	Concurrency, Running int
	// Wait is how long no further call may be made; 0 when none was asked for.
	Wait time.Duration
}

// ParseLimits reads limit headers leniently: a value that makes no sense counts
// as absent. The wait is taken from X-RateLimit-ToWait-Sec, else Retry-After
// (seconds or date), else X-RateLimit-Reset.
func ParseLimits(h http.Header, now time.Time) Limits {
	l := Limits{
		Limit: integer(h, "X-RateLimit-Limit"), Remaining: integer(h, "X-RateLimit-Remaining"),
		Concurrency: integer(h, "X-Concurrency-Limit-Limit"), Running: integer(h, "X-Concurrency-Limit-Running"),
	}
	if s := integer(h, "X-RateLimit-Window-Sec"); s > 0 {
		l.Window = time.Duration(min(s, 366*86400)) * time.Second
	}
	for _, name := range []string{"X-RateLimit-ToWait-Sec", "Retry-After", "X-RateLimit-Reset"} {
		if w := wait(h.Get(name), now); w > 0 {
			l.Wait = w
			break
		}
	}
	return l
}

func integer(h http.Header, name string) int {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get(name)))
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// Numbers in this range are instants in Unix time: no vendor asks for a wait of
// thirty years.
const (
	unixFrom = 1e9
	unixTo   = 1e11
)

func wait(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		switch {
		case s <= 0 || s != s:
			return 0
		case s > unixFrom: // an instant, as ServiceNow sends it, not a duration
			return max(0, min(time.Unix(int64(min(s, unixTo)), 0).Sub(now), maxWait))
		case s > maxWait.Seconds():
			return maxWait
		}
		return time.Duration(s * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return min(t.Sub(now), maxWait)
	}
	return 0
}

// RateLimitedError says that an endpoint is closed for a while.
type RateLimitedError struct {
	Endpoint   string
	RetryAfter time.Duration
}

func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("transport: %s is rate limited for another %s", e.Endpoint, e.RetryAfter.Round(time.Second))
}

// limiter paces the calls of one connection: a number of calls at a time, and
// endpoints that are closed until an instant.
type limiter struct {
	now     func() time.Time
	slots   chan struct{}
	reserve float64

	mu     sync.Mutex
	closed map[string]time.Time
}

func newLimiter(concurrency int, reserve float64, now func() time.Time) *limiter {
	return &limiter{now: now, reserve: reserve, slots: make(chan struct{}, concurrency), closed: map[string]time.Time{}}
}

// acquire waits for a slot. A closed endpoint is an error at once, unless it
// opens within moments.
func (l *limiter) acquire(ctx context.Context, endpoint string) (release func(), err error) {
	if left := l.left(endpoint); left > shortWait {
		return nil, &RateLimitedError{Endpoint: endpoint, RetryAfter: left}
	} else if left > 0 {
		if err := sleep(ctx, left); err != nil {
			return nil, err
		}
	}
	select {
	case l.slots <- struct{}{}:
		var once sync.Once
		return func() { once.Do(func() { <-l.slots }) }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *limiter) left(endpoint string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed[endpoint].Sub(l.now())
}

// learn closes an endpoint that asked for a wait.
func (l *limiter) learn(endpoint string, status int, lim Limits) {
	limited := status == http.StatusTooManyRequests || status == http.StatusConflict
	pause := lim.Wait
	if pause <= 0 || (!limited && lim.Remaining != 0) {
		if pause = l.kept(lim); pause <= 0 {
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := l.now().Add(pause); until.After(l.closed[endpoint]) {
		l.closed[endpoint] = until
	}
}

// kept returns how long to wait where only the reserve is left. Whoever uses the
// window meanwhile, the answer to the next call tells.
func (l *limiter) kept(lim Limits) time.Duration {
	reserved := int(l.reserve * float64(lim.Limit))
	if reserved < 1 || lim.Remaining < 0 || lim.Remaining > reserved || lim.Window <= 0 {
		return 0
	}
	return lim.Window / time.Duration(reserved)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
