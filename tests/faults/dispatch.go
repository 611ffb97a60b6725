//go:build faults

package faults

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/workflows/contract"
)

// environment is a test environment of Temporal.
type environment struct {
	*testsuite.TestWorkflowEnvironment
	ended chan struct{} // closed with the workflow
}

// GetDataConverter returns the converter of inputs and results.
func (*environment) GetDataConverter() converter.DataConverter {
	return converter.GetDefaultDataConverter()
}

// dispatcher is what Temporal's server does with activities: it hands every
// attempt to the process that lives and repeats what failed, in virtual time.
// The test environment would do the latter on a clock of its own.
type dispatcher struct {
	w     *world
	run   string
	ended chan struct{} // the workflow is closed
}

// The retry policy of activities.
const (
	firstRetry = time.Second
	maxRetry   = 2 * time.Minute
	giveUp     = 26 * time.Hour
)

// attempts runs an activity until it succeeds or will never do.
func attempts[I, O any](ctx context.Context, d *dispatcher, in I, do func(*process, context.Context, I) (O, error)) (O, error) {
	began, backoff := time.Now(), firstRetry
	for n := int32(1); ; n++ {
		out, err := attempt(context.WithValue(ctx, attemptKey{}, n), d, in, do)
		delay := backoff
		var app *temporal.ApplicationError
		if errors.As(err, &app) {
			if app.NonRetryable() {
				return out, err
			}
			if app.NextRetryDelay() > 0 {
				delay = app.NextRetryDelay()
			}
		}
		if err == nil || temporal.IsCanceledError(err) || time.Since(began)+delay > giveUp {
			return out, err
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return out, ctx.Err()
		case <-d.ended:
			return out, err
		}
		backoff = min(2*backoff, maxRetry)
	}
}

// attempt runs one attempt. When its process goes, Temporal hears of it no more.
func attempt[I, O any](ctx context.Context, d *dispatcher, in I, do func(*process, context.Context, I) (O, error)) (O, error) {
	type answer struct {
		out O
		err error
	}
	p := d.w.process()
	done := make(chan answer, 1)
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		out, err := do(p, crash.With(ctx, p), in)
		done <- answer{out, err}
	}()
	var none O
	select {
	case <-p.gone:
		select { // the heartbeats stay out
		case <-time.After(heartbeatTimeout):
		case <-d.ended:
		}
		return none, errLost
	case a := <-done:
		if p.lost() {
			return none, errLost
		}
		return a.out, a.err
	}
}

// heartbeatTimeout is how long Temporal waits for a silent worker.
const heartbeatTimeout = 30 * time.Second

type attemptKey struct{}

// intercept takes the retries away from the test environment and tells
// activities which attempt they are.
type intercept struct {
	interceptor.WorkerInterceptorBase
}

func (*intercept) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &workflowInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

func (*intercept) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &activityInbound{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type workflowInbound struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (i *workflowInbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&workflowOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: out}})
}

type workflowOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
}

func (o *workflowOutbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	opts := workflow.GetActivityOptions(ctx)
	opts.StartToCloseTimeout, opts.HeartbeatTimeout = opts.ScheduleToCloseTimeout, 0
	opts.RetryPolicy = &temporal.RetryPolicy{MaximumAttempts: 1}
	return o.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, opts), name, args...)
}

type activityInbound struct {
	interceptor.ActivityInboundInterceptorBase
}

func (i *activityInbound) Init(out interceptor.ActivityOutboundInterceptor) error {
	return i.Next.Init(&activityOutbound{interceptor.ActivityOutboundInterceptorBase{Next: out}})
}

type activityOutbound struct {
	interceptor.ActivityOutboundInterceptorBase
}

func (o *activityOutbound) GetInfo(ctx context.Context) activity.Info {
	info := o.Next.GetInfo(ctx)
	if n, ok := ctx.Value(attemptKey{}).(int32); ok {
		info.Attempt = n
	}
	return info
}

type (
	inventoryActs struct{ *dispatcher }
	writeActs     struct{ *dispatcher }
	ledgerActs    struct{ *dispatcher }
	configActs    struct{ *dispatcher }
)

func (a *inventoryActs) QualysCount(ctx context.Context, in contract.CountInput) (contract.CountResult, error) {
	return attempts(ctx, a.dispatcher, in, func(p *process, ctx context.Context, in contract.CountInput) (contract.CountResult, error) {
		return p.inventory.QualysCount(ctx, in)
	})
}

func (a *inventoryActs) QualysPreflight(ctx context.Context, in contract.PreflightRunInput) (contract.PreflightResult, error) {
	return attempts(ctx, a.dispatcher, in, func(p *process, ctx context.Context, in contract.PreflightRunInput) (contract.PreflightResult, error) {
		return p.inventory.QualysPreflight(ctx, in)
	})
}

func (a *writeActs) ServiceNowPreflight(ctx context.Context, in contract.PreflightRunInput) (contract.PreflightResult, error) {
	return attempts(ctx, a.dispatcher, in, func(p *process, ctx context.Context, in contract.PreflightRunInput) (contract.PreflightResult, error) {
		return p.write.ServiceNowPreflight(ctx, in)
	})
}

func (a *inventoryActs) QualysFetchPage(ctx context.Context, in contract.FetchPageInput) (contract.PageRef, error) {
	return attempts(ctx, a.dispatcher, in, func(p *process, ctx context.Context, in contract.FetchPageInput) (contract.PageRef, error) {
		return p.inventory.QualysFetchPage(ctx, in)
	})
}

func (a *writeActs) ServiceNowCheckLinks(ctx context.Context, in contract.CheckLinksInput) (contract.CheckLinksResult, error) {
	return attempts(ctx, a.dispatcher, in, func(p *process, ctx context.Context, in contract.CheckLinksInput) (contract.CheckLinksResult, error) {
		return p.write.ServiceNowCheckLinks(ctx, in)
	})
}

func (a *writeActs) ServiceNowWritePage(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	return attempts(ctx, a.dispatcher, in, func(p *process, ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
		return p.write.ServiceNowWritePage(ctx, in)
	})
}

func (a *ledgerActs) LedgerOpenRun(ctx context.Context, in contract.OpenRunInput) (contract.RunPlan, error) {
	in.Run = a.run // every environment gives its workflow the same run id
	return attempts(ctx, a.dispatcher, in, func(p *process, ctx context.Context, in contract.OpenRunInput) (contract.RunPlan, error) {
		return p.ledger.LedgerOpenRun(ctx, in)
	})
}

func (a *ledgerActs) LedgerClaimFailed(ctx context.Context, in contract.ClaimFailedInput) (contract.PageRef, error) {
	return attempts(ctx, a.dispatcher, in, func(p *process, ctx context.Context, in contract.ClaimFailedInput) (contract.PageRef, error) {
		return p.ledger.LedgerClaimFailed(ctx, in)
	})
}

func (a *ledgerActs) LedgerCloseRun(ctx context.Context, in contract.CloseRunInput) (contract.RunResult, error) {
	return attempts(ctx, a.dispatcher, in, func(p *process, ctx context.Context, in contract.CloseRunInput) (contract.RunResult, error) {
		return p.ledger.LedgerCloseRun(ctx, in)
	})
}

func (a *configActs) ConfigCheckQueue(context.Context, contract.CheckQueueInput) error { return nil }
