package activities

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/workflows/contract"
)

// temporalClient is the part of the SDK's client that activities use.
type temporalClient interface {
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
	OperatorService() operatorservice.OperatorServiceClient
	SignalWithStartWorkflow(ctx context.Context, workflowID string, signalName string, signalArg any, options client.StartWorkflowOptions, workflow any, workflowArgs ...any) (client.WorkflowRun, error)
}

// TemporalServer implements Temporal with the SDK's client.
type TemporalServer struct {
	Client    temporalClient
	Namespace string

	known atomic.Bool // attributes once seen stay
}

// Running implements Temporal.
func (t *TemporalServer) Running(ctx context.Context, workflowID, firstRunID string) (bool, error) {
	d, err := t.Client.DescribeWorkflowExecution(ctx, workflowID, "")
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("activities: describe %s: %w", workflowID, err)
	}
	info := d.GetWorkflowExecutionInfo()
	return info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && info.GetFirstRunId() == firstRunID, nil
}

// Staged implements Temporal.
func (t *TemporalServer) Staged(ctx context.Context, schedule string) error {
	id := contract.ApprovalWorkflowID(schedule)
	_, err := t.Client.SignalWithStartWorkflow(ctx, id, contract.SignalStaged, nil, client.StartWorkflowOptions{
		ID: id, TaskQueue: contract.QueueMain, StaticSummary: "decisions about schedule " + schedule,
	}, contract.Approval, contract.ApprovalInput{Schedule: schedule})
	if err != nil {
		return fmt.Errorf("activities: tell %s: %w", id, err)
	}
	return nil
}

// HasAttributes implements Temporal. A namespace that does not let us look has
// none.
func (t *TemporalServer) HasAttributes(ctx context.Context) (bool, error) {
	if t.known.Load() {
		return true, nil
	}
	res, err := t.Client.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: t.Namespace})
	if err != nil {
		return false, nil //nolint:nilerr // runs go without attributes where they may not be read
	}
	for name := range contract.SearchAttributes() {
		if _, ok := res.GetCustomAttributes()[name]; !ok {
			return false, nil
		}
	}
	t.known.Store(true)
	return true, nil
}
