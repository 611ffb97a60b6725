// Package cost counts what a workflow costs on a Temporal server: events, bytes,
// billable actions and the largest payload, over all runs of a chain of
// continue-as-new. The rules of billing are those of Temporal's page about actions
// (docs.temporal.io/cloud/actions).
package cost

import (
	"context"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Cost is what a chain of runs cost. Heartbeats are not in histories: Actions
// leaves them out.
type Cost struct {
	Runs    int64
	Events  int64
	Bytes   int64 // as the server counts them
	Actions int64
	Payload int64 // bytes of the largest payload
}

// Of reads the histories of a workflow's run and of those that it continued as.
func Of(ctx context.Context, c client.Client, workflowID, runID string) (Cost, error) {
	var out Cost
	for runID != "" {
		d, err := c.DescribeWorkflowExecution(ctx, workflowID, runID)
		if err != nil {
			return out, fmt.Errorf("cost: describe %s: %w", workflowID, err)
		}
		out.Runs++
		out.Bytes += d.GetWorkflowExecutionInfo().GetHistorySizeBytes()
		events := c.GetWorkflowHistory(ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		runID = ""
		marked := map[int64]bool{} // workflow tasks that recorded markers: a batch is one action
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				return out, fmt.Errorf("cost: history of %s: %w", workflowID, err)
			}
			out.Events++
			if m := e.GetMarkerRecordedEventAttributes(); m != nil && !marked[m.GetWorkflowTaskCompletedEventId()] {
				marked[m.GetWorkflowTaskCompletedEventId()] = true
				out.Actions++
			}
			out.Actions += actions(e)
			largest, err := payload(e)
			if err != nil {
				return out, err
			}
			out.Payload = max(out.Payload, largest)
			runID = e.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		}
	}
	return out, nil
}

// actions are the billable actions of an event, markers left out.
func actions(e *historypb.HistoryEvent) int64 {
	switch e.GetEventType() {
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, enumspb.EVENT_TYPE_TIMER_STARTED,
		enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
		enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, enumspb.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
		enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: // a child's own start counts in the child
		return 1
	case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED: // retries
		return int64(e.GetActivityTaskStartedEventAttributes().GetAttempt()) - 1
	default:
		return 0
	}
}

// payload is the size of the largest payload in an event.
func payload(e *historypb.HistoryEvent) (int64, error) {
	var largest int64
	err := protorange.Range(e.ProtoReflect(), func(v protopath.Values) error {
		if m, ok := v.Index(-1).Value.Interface().(protoreflect.Message); ok {
			if p, ok := m.Interface().(*commonpb.Payload); ok {
				largest = max(largest, int64(proto.Size(p)))
			}
		}
		return nil
	})
	return largest, err
}
