package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// result is the end of a run of ten assets.
func result(failed int64) contract.RunResult {
	return contract.RunResult{
		Run: "run-1", Status: "completed", Outcome: "ok",
		Counters:        record.Counters{Fetched: 10, Created: 6 - failed, Unchanged: 3, Skipped: 1, Failed: failed},
		Classes:         map[string]int64{"cmdb_ci_linux_server": 4, "cmdb_ci_win_server": 5},
		DurationSeconds: 12.34, Pages: 1, HistoryEvents: 40, VendorCalls: map[string]int64{"qualys": 2, "servicenow": 3},
	}
}

// stored is the same run as the read API shows it.
func stored(failed int64) contract.RunView {
	r := result(failed)
	v := contract.RunView{
		Run: r.Run, WorkflowID: "sync/servers-2026-11-23T11:00:00Z", Schedule: "servers", Source: "corp", Target: "prod", Revision: "r1", Mode: "incremental",
		Status: r.Status, StartedAt: now.Add(-time.Hour), EndedAt: now.Add(-time.Hour + 12340*time.Millisecond), Counters: r.Counters, Classes: r.Classes,
		Pages: r.Pages, Events: r.HistoryEvents, Calls: r.VendorCalls,
		Reasons: []contract.ReasonCount{{Outcome: record.Skipped, Reason: "no identity", Count: 1}},
	}
	if failed > 0 {
		v.Reasons = append(v.Reasons, contract.ReasonCount{Outcome: record.Failed, Reason: "field \x1b[31mos\u202e: not an object\nfake line", Count: failed})
	}
	return v
}

func TestRunStartStartsTheWorkflowByName(t *testing.T) {
	t.Parallel()
	f := &fakeTemporal{Workers: true}
	code, out, errs := (&world{temporal: f}).run(t, "run", "start", "servers", "--full", "--verify", "--revision", "r7")
	require.Zero(t, code, errs)
	require.Equal(t, "started sync/servers, run run-1\nnext: qbridge run watch run-1\n", out)
	require.Empty(t, cmp.Diff([]any{contract.RunInput{Schedule: "servers", Full: true, Verify: true, Revision: "r7"}}, f.inputs))
	require.Equal(t, contract.SyncWorkflowID("servers"), f.started[0].ID)
	require.Equal(t, contract.QueueMain, f.started[0].TaskQueue)
}

func TestRunStartRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		temporal *fakeTemporal
		want     string
	}{
		"a schedule that runs already": {&fakeTemporal{Workers: true, Running: true}, "a run of servers is running already: qbridge run watch servers"},
		"when nobody would run it":     {&fakeTemporal{}, "no worker polls task queue qbridge: start one (make run, or bin/qbridge-worker)"},
		"when there is no server":      {nil, "no Temporal server at"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := (&world{temporal: c.temporal}).run(t, "run", "start", "servers", "--wait")
			require.Equal(t, cli.ExitFailed, code)
			require.Empty(t, out)
			require.Contains(t, errs, c.want)
		})
	}
}

func TestTheExitCodeOfARunThatIsWatched(t *testing.T) {
	t.Parallel()
	skipped := contract.RunResult{Run: "run-1", Status: "skipped", Outcome: "skipped: sync/servers is running"}
	refused := temporal.NewNonRetryableApplicationError("Qualys refused the password; check it", contract.ErrUnauthorized, nil)
	for name, c := range map[string]struct {
		result  any
		failure error
		code    int
		stderr  string
	}{
		"is 0 when all is well":                {result: result(0), code: cli.ExitOK},
		"is 3 when records failed":             {result: result(2), code: cli.ExitPartial},
		"is 0 when another run holds the lead": {result: skipped, code: cli.ExitOK},
		"is 1 when it was cancelled":           {failure: temporal.NewCanceledError(), code: cli.ExitFailed, stderr: "the run failed: cancelled"},
		"is 1 when it failed":                  {failure: refused, code: cli.ExitFailed, stderr: "the run failed: Qualys refused the password; check it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{temporal: &fakeTemporal{Workers: true, Result: c.result, Failure: c.failure}, api: map[string]any{}}
			code, _, errs := w.run(t, "run", "start", "servers", "--wait")
			require.Equal(t, c.code, code, errs)
			require.Contains(t, errs, c.stderr)
		})
	}
}

func TestTheSummaryOfAWatchedRun(t *testing.T) {
	t.Parallel()
	w := &world{temporal: &fakeTemporal{Workers: true, Result: result(2)}, api: map[string]any{contract.PathRuns + "/run-1": stored(2)}}
	code, out, _ := w.run(t, "run", "start", "servers", "--wait")
	require.Equal(t, cli.ExitPartial, code)
	golden(t, "summary.txt", out)

	code, out, _ = w.run(t, "run", "start", "servers", "--wait", "-o", "json")
	require.Equal(t, cli.ExitPartial, code)
	var got contract.RunResult
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Empty(t, cmp.Diff(result(2), got))
}

func TestAFailedRunShowsWhatItDidBefore(t *testing.T) {
	t.Parallel()
	view := stored(0)
	view.Status, view.Error = "failed", "Qualys refused the password"
	w := &world{temporal: &fakeTemporal{Workers: true, Failure: errors.New("Qualys refused the password")}, api: map[string]any{contract.PathRuns + "/run-1": view}}
	code, out, errs := w.run(t, "run", "start", "servers", "--wait")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, out, "failed in 12.3s: 10 assets")
	require.Contains(t, errs, "the run failed: Qualys refused the password")
}

func TestWhoStopsWatchingIsToldThatTheRunGoesOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := &world{temporal: &fakeTemporal{Workers: true, Result: result(0)}, api: map[string]any{}}
	code, out, errs := w.runWith(t, ctx, "run", "start", "servers", "--wait")
	require.Equal(t, cli.ExitFailed, code)
	require.Empty(t, out)
	require.Contains(t, errs, "the run goes on: qbridge run watch run-1")
}

func TestRunListAsksTheReadAPI(t *testing.T) {
	t.Parallel()
	w := &world{api: map[string]any{contract.PathRuns: contract.RunList{Runs: []contract.RunView{stored(2)}}}, env: map[string]string{"QBRIDGE_API_TOKEN": "secret"}}
	code, out, errs := w.run(t, "run", "list", "--schedule", "servers", "--source", "corp", "--status", "completed", "--outcome", "failed",
		"--since", "7d", "--until", "2026-11-23T11:30:00+01:00", "--limit", "5")
	require.Zero(t, code, errs)
	golden(t, "run-list.txt", out)
	require.Equal(t, "Bearer secret", w.token)
	require.Equal(t, []string{
		"/api/v1/runs?limit=5&outcome=failed&schedule=servers&since=2026-11-16T12%3A00%3A00Z&source=corp&status=completed&until=2026-11-23T10%3A30%3A00Z",
	}, w.asked)
}

func TestRunShow(t *testing.T) {
	t.Parallel()
	w := &world{api: map[string]any{
		contract.PathRuns:                     contract.RunList{Runs: []contract.RunView{stored(2)}},
		contract.PathRuns + "/run-1":          stored(2),
		contract.PathRuns + "/run-1/outcomes": contract.OutcomeList{Outcomes: []contract.OutcomeView{{Run: "run-1", Key: "corp/7", Outcome: record.Failed, Reason: "field os: not an object", At: now}}, Next: "corp/7"},
	}}
	code, out, errs := w.run(t, "run", "show", "latest")
	require.Zero(t, code, errs)
	golden(t, "run-show.txt", out)

	code, out, errs = w.run(t, "run", "show", "run-1", "--outcome", "failed")
	require.Zero(t, code, errs)
	golden(t, "run-outcomes.txt", out)

	code, out, errs = w.run(t, "run", "show", "latest", "-o", "json")
	require.Zero(t, code, errs)
	var got contract.RunView
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Empty(t, cmp.Diff(stored(2), got))
}

func TestRunShowLatestBeforeTheFirstRun(t *testing.T) {
	t.Parallel()
	code, _, errs := (&world{api: map[string]any{contract.PathRuns: contract.RunList{}}}).run(t, "run", "show", "latest")
	require.Equal(t, cli.ExitFailed, code)
	require.Equal(t, "qbridge: there is no run yet: qbridge run start SCHEDULE\n", errs)
}

func TestRunWatchFindsTheRun(t *testing.T) {
	t.Parallel()
	list := contract.RunList{Runs: []contract.RunView{stored(0)}}
	for name, c := range map[string]struct {
		arg string
		api map[string]any
	}{
		"that a schedule started last": {"servers", map[string]any{
			contract.PathRuns + "?limit=1&schedule=servers": list, contract.PathRuns + "/run-1": stored(0),
		}},
		"that is the latest": {"latest", map[string]any{contract.PathRuns + "?limit=1": list, contract.PathRuns + "/run-1": stored(0)}},
		"by its id": {"run-1", map[string]any{
			contract.PathRuns + "?limit=1&schedule=run-1": contract.RunList{}, contract.PathRuns + "/run-1": stored(0),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := (&world{temporal: &fakeTemporal{Result: result(0)}, api: c.api}).run(t, "run", "watch", c.arg)
			require.Zero(t, code, errs)
			require.Contains(t, out, "completed in 12.3s: 10 assets")
		})
	}
}

func TestRunCancel(t *testing.T) {
	t.Parallel()
	w := &world{temporal: &fakeTemporal{Running: true}, api: map[string]any{}}
	code, out, errs := w.run(t, "run", "cancel", "servers")
	require.Zero(t, code, errs)
	require.Equal(t, []string{"sync/servers"}, w.temporal.canceled)
	require.Contains(t, out, "sync/servers is being cancelled")

	w = &world{temporal: &fakeTemporal{}, api: map[string]any{contract.PathRuns: contract.RunList{Runs: []contract.RunView{stored(0)}}}}
	code, _, errs = w.run(t, "run", "cancel", "latest")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "run run-1 is not running")
	require.Empty(t, w.temporal.canceled)
}

func TestWithoutAWorkerTheReadAPIIsNamedWithTheRemedy(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"run", "list"}, {"run", "show", "latest"}, {"asset", "show", "7"}, {"asset", "explain", "7"}} {
		code, _, errs := (&world{}).run(t, args...)
		require.Equal(t, cli.ExitFailed, code)
		require.Equal(t, "qbridge: no worker answers at http://127.0.0.1:1: start one (make run), or set QBRIDGE_URL\n", errs)
	}
}

func TestAnErrorOfTheReadAPIIsPrintedWithItsRemedy(t *testing.T) {
	t.Parallel()
	code, _, errs := (&world{api: map[string]any{}}).run(t, "run", "show", "nothing")
	require.Equal(t, cli.ExitFailed, code)
	require.Equal(t, "qbridge: there is no /api/v1/runs/nothing; look elsewhere\n", errs)

	code, _, errs = (&world{api: map[string]any{contract.PathRuns: "<html>"}}).run(t, "run", "list")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "cannot be read")
}

func TestTheAddressesOfALocalStackAreFound(t *testing.T) {
	t.Parallel()
	dev := filepath.Join(t.TempDir(), "dev.json")
	require.NoError(t, os.WriteFile(dev, []byte(`{"temporal":{"address":"127.0.0.1:17233","namespace":"local"},"worker":{"url":"http://127.0.0.1:1"}}`), 0o600))
	w := &world{temporal: &fakeTemporal{Workers: true}, devFile: dev, env: map[string]string{"QBRIDGE_URL": ""}}
	code, _, errs := w.run(t, "run", "start", "servers")
	require.Zero(t, code, errs)
	require.Equal(t, "127.0.0.1:17233", w.temporal.options.HostPort)
	require.Equal(t, "local", w.temporal.options.Namespace)
	_, _, errs = w.run(t, "run", "list")
	require.Contains(t, errs, "http://127.0.0.1:1:")

	w.env = map[string]string{"TEMPORAL_ADDRESS": "temporal.example:7233", "TEMPORAL_NAMESPACE": "prod"}
	code, _, errs = w.run(t, "run", "start", "servers")
	require.Zero(t, code, errs)
	require.Equal(t, "temporal.example:7233", w.temporal.options.HostPort)
	require.Equal(t, "prod", w.temporal.options.Namespace)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	code, out, errs := (&world{}).run(t, "version", "-o", "json")
	require.Zero(t, code, errs)
	var v contract.VersionView
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.Equal(t, contract.Version, v.Version)
	code, out, _ = (&world{}).run(t, "version")
	require.Zero(t, code)
	require.True(t, strings.HasPrefix(out, "qbridge "+contract.Version), out)
}
