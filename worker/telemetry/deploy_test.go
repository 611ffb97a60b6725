package telemetry_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/worker/telemetry"
)

const document = `qualys: [{name: corp, platform: US2, auth: {username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}"}}]
servicenow: [{name: prod, url: "https://x.service-now.com", auth: {type: basic, username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}"}}]
schedules:
  - {name: servers, direction: qualys-to-servicenow, source: corp, target: prod, every: 1h}
  - {name: certs, kind: certificates, direction: qualys-to-servicenow, source: corp, target: prod, every: 1h}
`

// filled is a store with a run that ended.
func filled(t *testing.T) store.Store {
	t.Helper()
	ctx := context.Background()
	db, err := sql.Open(ctx, filepath.Join(t.TempDir(), "q.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.SaveRevision(ctx, document, "d", "tester")
	require.NoError(t, err)
	run(t, db, "a")
	return db
}

// run is a run of two assets, one of which fails.
func run(t *testing.T, db store.Store, id string) {
	t.Helper()
	ctx := context.Background()
	o, err := db.OpenRun(ctx, store.OpenRun{ID: id, WorkflowID: "sync/servers", Schedule: "servers", Source: "corp", Target: "prod", Direction: "qualys-to-servicenow", Revision: "r1", RulesDigest: "r", Full: true})
	require.NoError(t, err)
	p, err := db.StagePage(ctx, store.StagePage{Run: id, Epoch: o.Epoch, Enumeration: o.Enumeration, CursorOut: 1, Last: true, Records: []store.Staging{
		{Key: "corp/1", Kind: record.KindAsset, PayloadDigest: "d", Outcome: record.Failed, Reason: "x"},
		{Key: "corp/2", Kind: record.KindAsset, PayloadDigest: "d", Outcome: record.Skipped, Reason: "x"},
	}})
	require.NoError(t, err)
	_, err = db.FinishPage(ctx, id, o.Epoch, p.ID)
	require.NoError(t, err)
	_, err = db.CloseRun(ctx, store.CloseRun{ID: id, Epoch: o.Epoch, Status: store.RunCompleted, Complete: true, Calls: map[string]int64{"qualys": 3}})
	require.NoError(t, err)
}

func nothingPaused(context.Context) (map[string]bool, error) { return nil, nil }

// exposed are the metrics that a worker exposes after it has done something.
func exposed(t *testing.T) map[string]bool {
	t.Helper()
	m, err := telemetry.NewMetrics(zerolog.Nop())
	require.NoError(t, err)
	db := filled(t)
	m.Registry.MustRegister(telemetry.NewState(db, &activities.Settings{Store: db}, nothingPaused, time.Now, zerolog.Nop()))
	m.Observe("corp")(transport.Call{Method: http.MethodGet, Status: 200, Limits: transport.Limits{Limit: 300, Remaining: 299}})
	families, err := m.Registry.Gather()
	require.NoError(t, err)
	out := map[string]bool{}
	for _, f := range families {
		out[f.GetName()] = true
		if f.GetType() == dto.MetricType_HISTOGRAM {
			out[f.GetName()+"_bucket"] = true
		}
	}
	// What the Temporal SDK exposes is named in its source.
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "go.temporal.io/sdk").Output()
	require.NoError(t, err)
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal", "common", "metrics", "constants.go"))
	require.NoError(t, err)
	for _, name := range regexp.MustCompile(`TemporalMetricsPrefix \+ "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		out["temporal_"+name[1]] = true
		if strings.HasSuffix(name[1], "_latency") {
			out["temporal_"+name[1]+"_seconds"] = true
			out["temporal_"+name[1]+"_seconds_bucket"] = true
		}
	}
	for _, name := range regexp.MustCompile(`(TemporalRequest|TemporalLongRequest)Failure += \w+ \+ "([a-z_]+)"|Failure += TemporalRequest \+ "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		out["temporal_request"+name[2]+name[3]] = true
	}
	require.True(t, out["temporal_num_pollers"], "the names of the SDK's metrics were not found in its source")
	return out
}

var metricName = regexp.MustCompile(`\b(qbridge|temporal|process|go)_[a-z_]+\b`)

func TestEveryMetricThatSomebodyWatchesIsExposed(t *testing.T) {
	t.Parallel()
	known := exposed(t)
	deploy := filepath.Join("..", "..", "deploy")
	var alerts struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(deploy, "prometheus", "alerts.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, &alerts))
	require.NotEmpty(t, alerts.Groups[0].Rules)
	runbooks := map[string]bool{}
	for _, r := range alerts.Groups[0].Rules {
		names := metricName.FindAllString(r.Expr, -1)
		require.NotEmpty(t, names, r.Alert)
		for _, n := range names {
			require.True(t, known[n], "alert %s asks for %s, which no worker exposes", r.Alert, n)
		}
		book := r.Annotations["runbook"]
		require.FileExists(t, filepath.Join("..", "..", book), r.Alert)
		runbooks[filepath.Base(book)] = true
	}
	books, err := os.ReadDir(filepath.Join(deploy, "runbooks"))
	require.NoError(t, err)
	for _, b := range books {
		require.True(t, runbooks[b.Name()], "no alert leads to %s", b.Name())
	}
	boards, err := filepath.Glob(filepath.Join(deploy, "grafana", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, boards)
	for _, path := range boards {
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &board), path)
		for _, p := range board.Panels {
			require.NotEmpty(t, p.Targets, p.Title)
			for _, target := range p.Targets {
				names := metricName.FindAllString(target.Expr, -1)
				require.NotEmpty(t, names, p.Title)
				for _, n := range names {
					require.True(t, known[n], "%s, panel %s asks for %s, which no worker exposes", path, p.Title, n)
				}
			}
		}
	}
}

func TestRunsAreCountedOnceHoweverOftenSomebodyLooks(t *testing.T) {
	t.Parallel()
	db := filled(t)
	look := func(state *telemetry.State) map[string]float64 {
		reg := prometheus.NewRegistry()
		reg.MustRegister(state)
		families, err := reg.Gather()
		require.NoError(t, err)
		out := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		return out
	}
	state := telemetry.NewState(db, &activities.Settings{Store: db}, nothingPaused, time.Now, zerolog.Nop())
	for range 3 {
		got := look(state)
		require.InDelta(t, 1, got["qbridge_runs_total servers completed"], 0)
		require.InDelta(t, 1, got["qbridge_records_total failed servers"], 0)
		require.InDelta(t, 3, got["qbridge_run_calls_total servers qualys"], 0)
		require.InDelta(t, 1, got["qbridge_store_up"], 0)
	}
	run(t, db, "b")
	got := look(state)
	require.InDelta(t, 2, got["qbridge_runs_total servers completed"], 0)
	require.InDelta(t, 2, got["qbridge_records_total failed servers"], 0)
	require.Equal(t, got["qbridge_runs_total servers completed"], look(telemetry.NewState(db, &activities.Settings{Store: db}, nothingPaused, time.Now, zerolog.Nop()))["qbridge_runs_total servers completed"], "another worker tells the same")
	late := telemetry.NewState(db, &activities.Settings{Store: db}, nothingPaused, func() time.Time { return time.Now().Add(5 * time.Hour) }, zerolog.Nop())
	require.InDelta(t, (3 * time.Hour).Seconds(), look(late)["qbridge_freshness_late_seconds servers"], 60)
	require.NoError(t, db.Close())
	require.InDelta(t, 0, look(state)["qbridge_store_up"], 0)
}
