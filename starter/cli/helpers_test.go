package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"

	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/starter/schedule/scheduletest"
	"github.com/qbridge/qbridge/workflows/contract"
)

// now is the time of every invocation.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fakeTemporal answers what the commands ask of Temporal. Its zero value is a
// server without workers and workflows.
type fakeTemporal struct {
	client.Client
	Workers   bool
	Running   bool            // sync/servers runs already
	Failure   error           // how the workflow ends
	Result    any             // what the workflow returns
	Attrs     map[string]bool // search attributes that the namespace knows
	Forbidden bool            // adding search attributes is refused
	Schedule  scheduletest.Client

	mu       sync.Mutex
	started  []client.StartWorkflowOptions
	inputs   []any
	canceled []string
	options  client.Options
}

func (f *fakeTemporal) Close() {}

func (f *fakeTemporal) ScheduleClient() client.ScheduleClient { return &f.Schedule }

func (f *fakeTemporal) DescribeTaskQueue(context.Context, string, enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error) {
	res := &workflowservice.DescribeTaskQueueResponse{}
	if f.Workers {
		res.Pollers = append(res.Pollers, &taskqueue.PollerInfo{Identity: "worker"})
	}
	return res, nil
}

func (f *fakeTemporal) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	if f.Running {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("running", "", "run-0")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started, f.inputs = append(f.started, o), append(f.inputs, args...)
	return &fakeRun{f: f, id: o.ID, run: "run-1"}, nil
}

func (f *fakeTemporal) GetWorkflow(_ context.Context, id, run string) client.WorkflowRun {
	return &fakeRun{f: f, id: id, run: run}
}

func (f *fakeTemporal) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if !f.Running {
		return nil, serviceerror.NewNotFound("no such workflow")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: id}, FirstRunId: "run-1", Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
	}}, nil
}

func (f *fakeTemporal) QueryWorkflow(context.Context, string, string, string, ...any) (converter.EncodedValue, error) {
	return nil, errors.New("not asked for")
}

func (f *fakeTemporal) CancelWorkflow(_ context.Context, id, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.canceled = append(f.canceled, id)
	return nil
}

func (f *fakeTemporal) OperatorService() operatorservice.OperatorServiceClient {
	return &fakeOperator{f: f}
}

type fakeRun struct {
	client.WorkflowRun
	f       *fakeTemporal
	id, run string
}

func (r *fakeRun) GetID() string    { return r.id }
func (r *fakeRun) GetRunID() string { return r.run }

func (r *fakeRun) Get(ctx context.Context, out any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.f.Failure != nil {
		return r.f.Failure
	}
	data, err := json.Marshal(r.f.Result)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

type fakeOperator struct {
	operatorservice.OperatorServiceClient
	f *fakeTemporal
}

func (o *fakeOperator) ListSearchAttributes(
	context.Context, *operatorservice.ListSearchAttributesRequest, ...grpc.CallOption,
) (*operatorservice.ListSearchAttributesResponse, error) {
	res := &operatorservice.ListSearchAttributesResponse{CustomAttributes: map[string]enumspb.IndexedValueType{}}
	for name := range o.f.Attrs {
		res.CustomAttributes[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	return res, nil
}

func (o *fakeOperator) AddSearchAttributes(
	_ context.Context, in *operatorservice.AddSearchAttributesRequest, _ ...grpc.CallOption,
) (*operatorservice.AddSearchAttributesResponse, error) {
	if o.f.Forbidden {
		return nil, serviceerror.NewPermissionDenied("not an administrator", "")
	}
	if o.f.Attrs == nil {
		o.f.Attrs = map[string]bool{}
	}
	for name := range in.GetSearchAttributes() {
		o.f.Attrs[name] = true
	}
	return &operatorservice.AddSearchAttributesResponse{}, nil
}

// world is what one invocation meets.
type world struct {
	temporal *fakeTemporal // nil: no server
	api      map[string]any
	env      map[string]string
	stdin    string
	devFile  string

	asked []string // requests to the read API
	token string   // the last one sent
}

// run executes a command line in process.
func (w *world) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return w.runWith(t, context.Background(), args...)
}

func (w *world) runWith(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	defer server.Close()
	vars := map[string]string{"QBRIDGE_URL": server.URL, "USER": "tester", "TEMPORAL_CONFIG_FILE": filepath.Join(t.TempDir(), "none.toml")}
	if w.api == nil {
		vars["QBRIDGE_URL"] = "http://127.0.0.1:1"
	}
	for k, v := range w.env {
		vars[k] = v
	}
	var out, errs bytes.Buffer
	code = cli.Main(ctx, cli.Env{
		Stdin: strings.NewReader(w.stdin), Stdout: &out, Stderr: &errs, Now: func() time.Time { return now }, HTTP: server.Client(),
		Getenv: func(k string) string { return vars[k] }, DevFile: w.devFile,
		Dial: func(_ context.Context, o client.Options) (client.Client, error) {
			if w.temporal == nil {
				return nil, errors.New("connection refused")
			}
			w.temporal.options = o
			return w.temporal, nil
		},
	}, args)
	return code, out.String(), errs.String()
}

// serve answers requests from w.api by path; what is not there is not found.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.asked = append(w.asked, r.URL.RequestURI())
	w.token = r.Header.Get("Authorization")
	v, ok := w.api[r.URL.RequestURI()]
	if !ok {
		v, ok = w.api[r.URL.Path]
	}
	if !ok {
		rw.WriteHeader(http.StatusNotFound)
		v = contract.ErrorView{Error: "there is no " + r.URL.Path, Remedy: "look elsewhere"}
	}
	if text, raw := v.(string); raw {
		_, _ = rw.Write([]byte(text))
		return
	}
	_ = json.NewEncoder(rw).Encode(v)
}

// file writes a configuration file and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// document is a configuration with one schedule that runs by itself.
const document = `qualys:
  - name: corp
    platform: US2
    auth: {username: "${env:QBRIDGE_SECRET_QUALYS_USER}", password: "${env:QBRIDGE_SECRET_QUALYS_PASSWORD}"}
servicenow:
  - name: prod
    url: https://example.service-now.com
    auth: {type: basic, username: "${env:QBRIDGE_SECRET_SN_USER}", password: "${file:sn}"}
schedules:
  - {name: servers, source: corp, target: prod, every: 1h}
`

// golden compares text with a file of testdata; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "write it with UPDATE_GOLDEN=1 go test")
	require.Equal(t, string(want), got)
}
