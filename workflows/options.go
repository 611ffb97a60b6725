package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// Timeouts of the three classes of activities. Vendor calls have their own,
// shorter ones inside the clients.
const (
	fetchTimeout     = 7 * time.Minute
	writeTimeout     = 20 * time.Minute
	ledgerTimeout    = 2 * time.Minute
	heartbeatTimeout = 30 * time.Second
	// overallTimeout bounds an activity with all its retries: a vendor may close
	// an endpoint for up to a day.
	overallTimeout = 26 * time.Hour
	// pickupTimeout is how long a queue may leave work lying before we look
	// whether anybody polls it.
	pickupTimeout = 2 * time.Minute
)

// fetch returns a context for activities of a Qualys connection.
func fetch(ctx workflow.Context, connection, summary string) workflow.Context {
	return vendor(ctx, contract.QualysQueue(connection), fetchTimeout, summary)
}

// glance returns a context for a Qualys call that a run can do without: it gives
// up early.
func glance(ctx workflow.Context, connection, summary string) workflow.Context {
	ctx = fetch(ctx, connection, summary)
	o := workflow.GetActivityOptions(ctx)
	o.ScheduleToCloseTimeout = fetchTimeout
	o.RetryPolicy.MaximumAttempts = 2
	return workflow.WithActivityOptions(ctx, o)
}

// write returns a context for activities of a ServiceNow connection.
func write(ctx workflow.Context, connection, summary string) workflow.Context {
	return vendor(ctx, contract.ServiceNowQueue(connection), writeTimeout, summary)
}

// update returns a context for activities that write to a Qualys connection.
func update(ctx workflow.Context, connection, summary string) workflow.Context {
	return vendor(ctx, contract.QualysQueue(connection), writeTimeout, summary)
}

// compute returns a context for activities of the run store that work on much of
// what it holds.
func compute(ctx workflow.Context, summary string) workflow.Context {
	ctx = ledger(ctx, summary)
	o := workflow.GetActivityOptions(ctx)
	o.StartToCloseTimeout = writeTimeout
	return workflow.WithActivityOptions(ctx, o)
}

func vendor(ctx workflow.Context, queue string, timeout time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		StartToCloseTimeout:    timeout,
		ScheduleToStartTimeout: pickupTimeout,
		ScheduleToCloseTimeout: overallTimeout,
		HeartbeatTimeout:       heartbeatTimeout,
		WaitForCancellation:    true,
		Summary:                summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:        time.Second,
			BackoffCoefficient:     2,
			MaximumInterval:        2 * time.Minute,
			NonRetryableErrorTypes: contract.TerminalErrors(),
		},
	})
}

// notify options a post to a webhook: nothing waits for it for long.
func notify(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              contract.QueueMain,
		StartToCloseTimeout:    notifyTimeout,
		ScheduleToCloseTimeout: time.Hour,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 10 * time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Minute, MaximumAttempts: 6, NonRetryableErrorTypes: contract.TerminalErrors()},
	})
}

// notifyTimeout bounds one post to a webhook.
const notifyTimeout = time.Minute

// ledger returns a context for activities of the run store and configuration.
func ledger(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              contract.QueueMain,
		StartToCloseTimeout:    ledgerTimeout,
		ScheduleToCloseTimeout: overallTimeout,
		HeartbeatTimeout:       heartbeatTimeout,
		Summary:                summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:        200 * time.Millisecond,
			BackoffCoefficient:     2,
			MaximumInterval:        10 * time.Second,
			NonRetryableErrorTypes: contract.TerminalErrors(),
		},
	})
}
