package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/workflows/contract"
)

// failure is what a client error means to Temporal.
type failure struct {
	kind  string        // error type of the contract
	after time.Duration // next retry, 0 for the policy's backoff
}

// temporalError is the only place where an error of a client or the store
// becomes a Temporal error. Terminal kinds are not retried; a rate limit is
// expected and therefore benign.
func temporalError(err error) error {
	if err == nil {
		return nil
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) || temporal.IsCanceledError(err) {
		return err
	}
	f, ok := classifyError(err)
	if !ok {
		return err
	}
	opts := temporal.ApplicationErrorOptions{NextRetryDelay: f.after, Cause: nil}
	switch f.kind {
	case contract.ErrRateLimited, contract.ErrLeaseLost, contract.ErrWorkerStopping:
		opts.Category = temporal.ApplicationErrorCategoryBenign
	}
	for _, t := range contract.TerminalErrors() {
		opts.NonRetryable = opts.NonRetryable || t == f.kind
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), f.kind, opts)
}

// classifyError is the retry policy of the whole product on one screen.
func classifyError(err error) (failure, bool) {
	var (
		limited *transport.RateLimitedError
		host    *transport.HostNotAllowedError
		q       *qualys.Error
		stuck   *qualys.CursorStuckError
		sn      *servicenow.Error
		user    *UserError
	)
	switch {
	case errors.Is(err, store.ErrStaleEpoch):
		return failure{kind: contract.ErrLeaseLost}, true
	case errors.As(err, &user), errors.As(err, &host):
		return failure{kind: contract.ErrInvalidRequest}, true
	case errors.As(err, &limited):
		return failure{kind: contract.ErrRateLimited, after: limited.RetryAfter}, true
	case errors.As(err, &stuck):
		return failure{kind: contract.ErrCursorStuck}, true
	case errors.As(err, &q):
		return qualysFailure(q), true
	case errors.As(err, &sn):
		return serviceNowFailure(sn), true
	case errors.Is(err, errWorkerStopping):
		return failure{kind: contract.ErrWorkerStopping, after: time.Second}, true
	}
	return failure{}, false
}

func qualysFailure(e *qualys.Error) failure {
	switch e.Kind() {
	case qualys.KindUnauthorized:
		return failure{kind: contract.ErrUnauthorized}
	case qualys.KindRateLimited:
		return failure{kind: contract.ErrRateLimited, after: e.RetryAfter}
	case qualys.KindInvalidRequest:
		return failure{kind: contract.ErrInvalidRequest}
	case qualys.KindCursorStuck:
		return failure{kind: contract.ErrCursorStuck}
	default: // unavailable, or the outcome of a write is unknown: the next attempt looks before it writes
		return failure{kind: contract.ErrUnavailable, after: e.RetryAfter}
	}
}

func serviceNowFailure(e *servicenow.Error) failure {
	switch e.Kind() {
	case servicenow.KindUnauthorized, servicenow.KindForbidden:
		return failure{kind: contract.ErrUnauthorized}
	case servicenow.KindRateLimited:
		return failure{kind: contract.ErrRateLimited, after: e.RetryAfter}
	case servicenow.KindInvalidRequest, servicenow.KindTooLarge:
		return failure{kind: contract.ErrInvalidRequest}
	default: // unavailable, or the outcome of a write is unknown: sent again, IRE recognises it
		return failure{kind: contract.ErrUnavailable, after: e.RetryAfter}
	}
}

var errWorkerStopping = errors.New("activities: the worker is stopping")

// beat heartbeats until the returned stop is called, so that a cancelled or
// superseded attempt learns it, and hands out a context that ends when the
// worker stops.
func beat(ctx context.Context, every time.Duration, progress func() any) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				activity.RecordHeartbeat(ctx, progress())
			case <-activity.GetWorkerStopChannel(ctx):
				cancel(errWorkerStopping)
				return
			case <-done:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() { close(done); cancel(nil) }
}

// stopped replaces an error that the worker's stop caused by the stop itself.
func stopped(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errWorkerStopping) {
		return errWorkerStopping
	}
	return err
}
