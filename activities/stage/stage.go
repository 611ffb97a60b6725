// Package stage measures what the time of an activity goes to.
//
//	interceptor ─With▶ context ─▶ transport, store, locks ─Add▶ sums ─▶ store, per run
package stage

import (
	"context"
	"sync"
	"time"

	"github.com/qbridge/qbridge/domain/timing"
)

type key struct{}

// sums are those of one activity.
type sums struct {
	mu sync.Mutex
	of map[timing.Stage]time.Duration
}

// With returns a context whose time is measured.
func With(ctx context.Context) context.Context {
	return context.WithValue(ctx, key{}, &sums{of: map[timing.Stage]time.Duration{}})
}

// Add adds time to a stage. Nothing happens in a context that is not measured.
func Add(ctx context.Context, s timing.Stage, d time.Duration) {
	m, ok := ctx.Value(key{}).(*sums)
	if !ok || d <= 0 {
		return
	}
	m.mu.Lock()
	m.of[s] += d
	m.mu.Unlock()
}

// Track measures until the function that it returns is called.
func Track(ctx context.Context, s timing.Stage) func() {
	if _, ok := ctx.Value(key{}).(*sums); !ok {
		return func() {}
	}
	began := time.Now()
	return func() { Add(ctx, s, time.Since(began)) }
}

// Sums returns what was measured so far.
func Sums(ctx context.Context) map[timing.Stage]time.Duration {
	out := map[timing.Stage]time.Duration{}
	if m, ok := ctx.Value(key{}).(*sums); ok {
		m.mu.Lock()
		for s, d := range m.of {
			out[s] = d
		}
		m.mu.Unlock()
	}
	return out
}
