//go:build faults

package crash

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Plan decides what happens at a point. An error is what the activity returns.
type Plan interface {
	Reach(ctx context.Context, p Point) error
}

type key struct{}

// With returns a context whose points ask a plan.
func With(ctx context.Context, p Plan) context.Context { return context.WithValue(ctx, key{}, p) }

// At asks the plan of the context, if it has one.
func At(ctx context.Context, p Point) error {
	if plan, ok := ctx.Value(key{}).(Plan); ok {
		return plan.Reach(ctx, p)
	}
	return nil
}

// Variable holds the plan of a process: POINT[:N]=kill|stop, the N-th time the
// point is reached (1 when left out) the process kills or stops itself.
const Variable = "QBRIDGE_CRASH"

// Background returns the context that activities of this process start from.
func Background() (context.Context, error) {
	text := os.Getenv(Variable)
	if text == "" {
		return context.Background(), nil
	}
	where, how, _ := strings.Cut(text, "=")
	name, nth, counted := strings.Cut(where, ":")
	p := &suicide{point: Point(name), signal: syscall.SIGKILL}
	p.left.Store(1)
	if counted {
		n, err := strconv.ParseInt(nth, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("crash: %s: %q is no number", Variable, nth)
		}
		p.left.Store(n)
	}
	if how == "stop" {
		p.signal = syscall.SIGSTOP
	}
	if !slices.Contains(Points(), p.point) || (how != "stop" && how != "kill") {
		return nil, fmt.Errorf("crash: %s is %q: want POINT[:N]=kill or POINT[:N]=stop", Variable, text)
	}
	return With(context.Background(), p), nil
}

// suicide signals the process itself at a point.
type suicide struct {
	point  Point
	signal syscall.Signal
	left   atomic.Int64
}

func (s *suicide) Reach(_ context.Context, p Point) error {
	if p == s.point && s.left.Add(-1) == 0 {
		return syscall.Kill(os.Getpid(), s.signal)
	}
	return nil
}
