package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/worker/httpapi"
	"github.com/qbridge/qbridge/workflows/contract"
)

const document = `qualys: [{name: corp, platform: US2, auth: {username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}"}}]
servicenow: [{name: prod, url: "https://x.service-now.com", auth: {username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}"}}]
schedules: [{name: servers, source: corp, target: prod, manual: true}]
`

// server is a read API over a store with one finished run.
type server struct {
	*httptest.Server
	store store.Store
	ready error
}

func newServer(t *testing.T, token string) *server {
	t.Helper()
	ctx := context.Background()
	db, err := sql.Open(ctx, filepath.Join(t.TempDir(), "store.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	bodies, err := activities.NewBodies()
	require.NoError(t, err)
	_, err = db.SaveRevision(ctx, document, "d", "tester")
	require.NoError(t, err)
	fill(t, db, bodies)
	s := &server{store: db}
	h := httpapi.New(httpapi.Options{
		Token: token, Store: db, Settings: &activities.Settings{Store: db}, Bodies: bodies, Metrics: prometheus.NewRegistry(),
		Ready: func(context.Context) error { return s.ready }, Log: zerolog.New(io.Discard),
	})
	s.Server = httptest.NewServer(h.Handler())
	t.Cleanup(s.Close)
	return s
}

// fill stores a run with a skipped and a failed asset.
func fill(t *testing.T, db store.Store, bodies *activities.Bodies) {
	t.Helper()
	ctx := context.Background()
	opened, err := db.OpenRun(ctx, store.OpenRun{ID: "run-1", WorkflowID: "sync/servers", Schedule: "servers", Source: "corp", Target: "prod", Revision: "r1", ResumeWithin: time.Hour})
	require.NoError(t, err)
	body, err := bodies.Encode(&activities.Body{Name: "web-01", Revision: "r1"})
	require.NoError(t, err)
	_, err = db.StagePage(ctx, store.StagePage{
		Run: "run-1", Epoch: opened.Epoch, Enumeration: opened.Enumeration, CursorOut: 2, Last: true,
		Records: []store.Staging{
			{Key: "corp/1", Kind: record.KindAsset, Body: body, Outcome: record.Skipped, Reason: "no identity"},
			{Key: "corp/2", Kind: record.KindAsset, Body: body, Outcome: record.Failed, Reason: "field hardware: want an object, got a number"},
		},
	})
	require.NoError(t, err)
	_, err = db.CloseRun(ctx, store.CloseRun{ID: "run-1", Epoch: opened.Epoch, Status: store.RunCompleted, Complete: true})
	require.NoError(t, err)
}

func (s *server) get(t *testing.T, path string, out any) int {
	t.Helper()
	res, err := http.Get(s.URL + path)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.NoError(t, json.NewDecoder(res.Body).Decode(out))
	return res.StatusCode
}

func TestARunIsShownWithItsReasons(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	for _, id := range []string{"run-1", "sync%2Fservers"} {
		var run contract.RunView
		require.Equal(t, http.StatusOK, s.get(t, contract.PathRuns+"/"+id, &run))
		require.EqualValues(t, 2, run.Counters.Fetched)
		require.True(t, run.Counters.Balanced())
		require.Equal(t, []contract.ReasonCount{
			{Outcome: record.Failed, Reason: "field hardware: want an object, got a number", Count: 1},
			{Outcome: record.Skipped, Reason: "no identity", Count: 1},
		}, run.Reasons)
	}
}

func TestRunsAreListedByFilter(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	for query, n := range map[string]int{
		"": 1, "?schedule=servers": 1, "?schedule=other": 0, "?source=corp": 1, "?status=completed": 1, "?status=failed": 0, "?outcome=failed": 1, "?outcome=created": 0,
		"?since=2000-01-01T00:00:00Z": 1, "?until=2000-01-01T00:00:00Z": 0,
	} {
		var list contract.RunList
		require.Equal(t, http.StatusOK, s.get(t, contract.PathRuns+query, &list), query)
		require.Len(t, list.Runs, n, query)
	}
}

func TestEveryNumberOpensItsList(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	var list contract.OutcomeList
	require.Equal(t, http.StatusOK, s.get(t, contract.PathRuns+"/run-1/outcomes?limit=1", &list))
	require.Equal(t, "corp/1", list.Outcomes[0].Key)
	require.Equal(t, "corp/1", list.Next)
	require.Equal(t, http.StatusOK, s.get(t, contract.PathRuns+"/run-1/outcomes?limit=1&after=corp/1", &list))
	require.Equal(t, "corp/2", list.Outcomes[0].Key)
}

func TestAnAssetIsFoundByItsIdInEverySource(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	var list contract.AssetList
	require.Equal(t, http.StatusOK, s.get(t, contract.PathAssets+"/1", &list))
	require.Equal(t, "web-01", list.Assets[0].Name)
	require.Len(t, list.Assets[0].History, 1)
	var explain contract.ExplainList
	require.Equal(t, http.StatusOK, s.get(t, contract.PathAssets+"/2/explain?source=corp", &explain))
	require.Equal(t, record.Failed, explain.Explanations[0].Outcome)
}

func TestWhatIsAskedWronglyGetsAMessageWithTheRemedy(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	for path, want := range map[string]int{
		contract.PathRuns + "/none": http.StatusNotFound, contract.PathRuns + "/none/outcomes": http.StatusNotFound, contract.PathAssets + "/99": http.StatusNotFound,
		contract.PathRuns + "?limit=0": http.StatusBadRequest, contract.PathRuns + "?limit=x": http.StatusBadRequest, contract.PathRuns + "?since=yesterday": http.StatusBadRequest,
	} {
		var e contract.ErrorView
		require.Equal(t, want, s.get(t, path, &e), path)
		require.NotEmpty(t, e.Error, path)
	}
}

func TestTheTokenIsAskedOfEverythingButHealth(t *testing.T) {
	t.Parallel()
	s := newServer(t, "secret-token")
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, contract.PathRuns: 401, contract.PathVersion: 401, "/metrics": 401,
	} {
		res, err := http.Get(s.URL + path)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.StatusCode, path)
	}
	req, err := http.NewRequest(http.MethodGet, s.URL+contract.PathRuns, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer secret-token")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode)
}

func TestAWorkerThatCannotWorkIsNotReady(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.ready = errors.New("temporal: connection refused")
	var e contract.ErrorView
	require.Equal(t, http.StatusServiceUnavailable, s.get(t, "/readyz", &e))
	require.Contains(t, e.Error, "temporal")
}

func TestNothingCanBeChangedThroughTheReadAPI(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		req, err := http.NewRequest(method, s.URL+contract.PathRuns+"/run-1", nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, method)
	}
}
