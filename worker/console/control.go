package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Control is what the console does, and sees of schedules, through Temporal.
type Control interface {
	// Schedules returns the schedules that Temporal knows, by name.
	Schedules(ctx context.Context) (map[string]ScheduleState, error)
	// Decide records a decision. It is written in the background.
	Decide(ctx context.Context, schedule string, d approval.Decision) (contract.Receipt, error)
	// Start starts a run of a schedule and returns its id; one that runs already is
	// an error.
	Start(ctx context.Context, kind string, in contract.RunInput) (run string, err error)
	Cancel(ctx context.Context, workflowID string) error
	// Move pauses, resumes or triggers a schedule.
	Move(ctx context.Context, schedule, action, note string) error
	// Doctor tests the connections of the active revision.
	Doctor(ctx context.Context) (contract.PreflightResult, error)
}

// ScheduleState is what Temporal tells about a schedule.
type ScheduleState struct {
	Paused  bool
	Note    string
	Running int
	Next    time.Time
}

// Actions of Control.Move.
const (
	actionPause   = "pause"
	actionResume  = "resume"
	actionTrigger = "trigger"
)

// Temporal is Control over a Temporal client.
type Temporal struct{ Client client.Client }

// callTimeout bounds what a page waits for.
const callTimeout = 20 * time.Second

// Schedules implements Control. The list of Temporal is enough for it, so that a
// page costs one call, however many schedules there are.
func (t *Temporal) Schedules(ctx context.Context) (map[string]ScheduleState, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	it, err := t.Client.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return nil, fmt.Errorf("console: list schedules: %w", err)
	}
	out := map[string]ScheduleState{}
	for it.HasNext() {
		e, err := it.Next()
		if err != nil {
			return nil, fmt.Errorf("console: list schedules: %w", err)
		}
		name, ours := contract.ScheduleOfTemporalID(e.ID)
		if !ours {
			continue
		}
		s := ScheduleState{Paused: e.Paused, Note: e.Note}
		if len(e.NextActionTimes) > 0 && !e.Paused {
			s.Next = e.NextActionTimes[0]
		}
		out[name] = s
	}
	return out, nil
}

// Decide implements Control. The approval is started when it is not there.
func (t *Temporal) Decide(ctx context.Context, schedule string, d approval.Decision) (contract.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	id := contract.ApprovalWorkflowID(schedule)
	start := t.Client.NewWithStartWorkflowOperation(client.StartWorkflowOptions{
		ID: id, TaskQueue: contract.QueueMain, WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, StaticSummary: "decisions about schedule " + schedule,
	}, contract.Approval, contract.ApprovalInput{Schedule: schedule})
	var receipt contract.Receipt
	handle, err := t.Client.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions:          client.UpdateWorkflowOptions{UpdateID: d.ID, WorkflowID: id, UpdateName: contract.UpdateDecide, Args: []any{d}, WaitForStage: client.WorkflowUpdateStageCompleted},
	})
	if err == nil {
		err = handle.Get(ctx, &receipt)
	}
	return receipt, refused(err)
}

// Start implements Control.
func (t *Temporal) Start(ctx context.Context, kind string, in contract.RunInput) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	workflow, id := contract.RunOf(kind, in.Schedule)
	run, err := t.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: contract.QueueMain, WorkflowExecutionErrorWhenAlreadyStarted: true, StaticSummary: contract.SummaryOf(kind, in.Schedule),
	}, workflow, in)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return "", &apiError{Status: http.StatusConflict, Message: "a run of " + in.Schedule + " is running already", Remedy: "wait for its end, or cancel it"}
	}
	if err != nil {
		return "", refused(err)
	}
	return run.GetRunID(), nil
}

// Cancel implements Control.
func (t *Temporal) Cancel(ctx context.Context, workflowID string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return refused(t.Client.CancelWorkflow(ctx, workflowID, ""))
}

// Move implements Control.
func (t *Temporal) Move(ctx context.Context, schedule, action, note string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	h := t.Client.ScheduleClient().GetHandle(ctx, contract.TemporalScheduleID(schedule))
	switch action {
	case actionPause:
		return refused(h.Pause(ctx, client.SchedulePauseOptions{Note: note}))
	case actionResume:
		return refused(h.Unpause(ctx, client.ScheduleUnpauseOptions{Note: note}))
	case actionTrigger:
		return refused(h.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP}))
	}
	return &apiError{Status: http.StatusNotFound, Message: "a schedule cannot " + action, Remedy: "it can be paused, resumed and triggered"}
}

// doctorTimeout bounds a test of all connections.
const doctorTimeout = 50 * time.Second

// Doctor implements Control.
func (t *Temporal) Doctor(ctx context.Context) (contract.PreflightResult, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	var out contract.PreflightResult
	run, err := t.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: contract.PreflightWorkflowID("doctor"), TaskQueue: contract.QueueMain, StaticSummary: "test connections",
	}, contract.Preflight, contract.PreflightInput{})
	if err == nil {
		err = run.Get(ctx, &out)
	}
	return out, refused(err)
}

// refused tells mistakes of the caller, which carry their own words, from the rest.
func refused(err error) error {
	if err == nil {
		return nil
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() == contract.ErrInvalidRequest {
		return &apiError{Status: http.StatusConflict, Message: strings.TrimPrefix(app.Message(), "approval: ")}
	}
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return &apiError{Status: http.StatusNotFound, Message: "Temporal does not know it", Remedy: "`qbridge apply` creates the schedules; a run that has ended cannot be cancelled"}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &apiError{Status: http.StatusGatewayTimeout, Message: "Temporal did not answer in time", Remedy: "look at the runs before you try again: it may have been done"}
	}
	return fmt.Errorf("console: temporal: %w", err)
}
