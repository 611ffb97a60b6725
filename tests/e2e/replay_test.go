package e2e_test

import (
	"context"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/qbridge/qbridge/workflows"
)

// record, when set, stores the histories of the runs as replay fixtures:
//
//	go test ./tests/e2e -run TestTheInventoryLands -record v0.1.0-first-sync
var record = flag.String("record", "", "store histories as tests/replay/testdata/<workflow>/<name>.json")

// replayAll replays every history of the test's namespace with the workflow code
// of this tree: a difference is a change that would break running workflows.
func (s *stack) replayAll() {
	s.t.Helper()
	ctx := context.Background()
	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer)
	n := 0
	s.eventually("runs are listed", func() error {
		res, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: s.namespace})
		if err != nil {
			return err
		}
		n = 0
		for _, e := range res.GetExecutions() {
			h := &historypb.History{}
			it := s.client.GetWorkflowHistory(ctx, e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for it.HasNext() {
				ev, err := it.Next()
				require.NoError(s.t, err)
				h.Events = append(h.Events, ev)
			}
			require.NoError(s.t, replayer.ReplayWorkflowHistory(quiet(), h), "%s", e.GetExecution().GetWorkflowId())
			s.store(e.GetType().GetName(), h)
			n++
		}
		if n == 0 {
			return http.ErrNoLocation
		}
		return nil
	})
}

func (s *stack) store(workflowType string, h *historypb.History) {
	if *record == "" {
		return
	}
	dir := filepath.Join(root(), "tests", "replay", "testdata", workflowType)
	require.NoError(s.t, os.MkdirAll(dir, 0o755))
	data, err := protojson.MarshalOptions{Indent: " "}.Marshal(h)
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(filepath.Join(dir, *record+".json"), data, 0o644))
}

func postForm(url, body string) (int, error) {
	res, err := http.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// histories returns the histories of all workflows as they are exported.
func (s *stack) histories() string {
	s.t.Helper()
	ctx := context.Background()
	res, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: s.namespace})
	require.NoError(s.t, err)
	var out strings.Builder
	for _, e := range res.GetExecutions() {
		it := s.client.GetWorkflowHistory(ctx, e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for it.HasNext() {
			ev, err := it.Next()
			require.NoError(s.t, err)
			text, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(ev) // payloads in the clear
			require.NoError(s.t, err)
			out.Write(text)
		}
	}
	return out.String()
}
