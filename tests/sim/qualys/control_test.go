package qualys_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// Limits, gateway: a rolling window per endpoint; 429 with the documented headers; the sign-in is exempt.
func TestTheRollingWindowBlocksWith429AndSaysHowLongToWait(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := mustClient(t, qualys.Options{Now: now.Now, Limits: qualys.Limits{Concurrency: 2, Calls: 3, Window: 100 * time.Second}})
	for _, remaining := range []string{"2", "1", "0"} {
		w := c.post(countPath, "")
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "3", w.Header().Get("X-RateLimit-Limit"))
		require.Equal(t, "100", w.Header().Get("X-RateLimit-Window-Sec"))
		require.Equal(t, remaining, w.Header().Get("X-RateLimit-Remaining"))
		require.Empty(t, w.Header().Get("X-RateLimit-ToWait-Sec"))
		now.Add(10 * time.Second)
	}
	w := c.post(countPath, "")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "70", w.Header().Get("X-RateLimit-ToWait-Sec"))
	require.Equal(t, "0", w.Header().Get("X-RateLimit-Remaining"))
	require.Equal(t, http.StatusOK, c.post(searchPath, "").Code, "each endpoint counts apart")
	c.signIn(t)
	now.Add(69 * time.Second)
	require.Equal(t, "1", c.post(countPath, "").Header().Get("X-RateLimit-ToWait-Sec"))
	now.Add(time.Second)
	require.Equal(t, http.StatusOK, c.post(countPath, "").Code, "one call left the window, refused calls never entered it")
	require.Equal(t, http.StatusTooManyRequests, c.post(countPath, "").Code)
}

// Limits: concurrency is checked first and a refused call does not use up the window.
func TestConcurrencyIsCheckedBeforeTheWindow(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{PageLatency: time.Hour, Limits: qualys.Limits{Concurrency: 1, Calls: 100_000, Window: time.Hour}})
	srv := httptest.NewServer(c.h)
	t.Cleanup(srv.Close)
	r := c.request(http.MethodPost, srv.URL+searchPath, "")
	r.RequestURI = ""
	r = r.WithContext(t.Context())
	go func() {
		if resp, err := srv.Client().Do(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	var w *httptest.ResponseRecorder
	require.Eventually(t, func() bool {
		// pageSize is wrong, so that this call never waits: it is either refused by the limits or by the service.
		w = c.post(searchPath+"?pageSize=x", "")
		return w.Code == http.StatusTooManyRequests
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, "1", w.Header().Get("X-RateLimit-ToWait-Sec"))
	require.NotEqual(t, "0", w.Header().Get("X-RateLimit-Remaining"))
	srv.CloseClientConnections()
}

// Limits: the forms of a 429 that users reported.
func TestA429TakesTheFormsThatUsersReported(t *testing.T) {
	t.Parallel()
	blocked := func(choice qualys.Choice) (first, second *httptest.ResponseRecorder) {
		c := mustClient(t, qualys.Options{Blocked: choice, Limits: qualys.Limits{Calls: 1, Window: time.Hour}})
		require.Equal(t, http.StatusOK, c.post(countPath, "").Code)
		return c.post(countPath, ""), c.post(countPath, "")
	}
	w, _ := blocked(qualys.BlockedDocumented)
	require.Contains(t, w.Body.String(), `"status":429`)
	w, _ = blocked(qualys.BlockedEmptyBody)
	require.Zero(t, w.Body.Len())
	require.Equal(t, "3600", w.Header().Get("X-RateLimit-ToWait-Sec"))
	w, _ = blocked(qualys.BlockedEmptyHeaders)
	require.Equal(t, []string{""}, w.Header().Values("X-RateLimit-Remaining"))
	require.Equal(t, "3600", w.Header().Get("X-RateLimit-Reset"))
	require.Empty(t, w.Header().Get("X-RateLimit-ToWait-Sec"))
	w, again := blocked(qualys.BlockedWaitOnRetry)
	require.Empty(t, w.Header().Get("X-RateLimit-ToWait-Sec"))
	require.Equal(t, "3600", again.Header().Get("X-RateLimit-ToWait-Sec"))
}

func TestLimitsAreAPresetOrThreeNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]qualys.Limits{
		"none": {}, "": {}, "standard": {Concurrency: 2, Calls: 300, Window: time.Hour}, "3/40/50": {Concurrency: 3, Calls: 40, Window: 50 * time.Second},
	} {
		got, err := qualys.ParseLimits(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"gold", "1/2", "1/2/3/4", "a/b/c", "-1/2/3", "1/2/0"} {
		_, err := qualys.ParseLimits(text)
		require.ErrorContains(t, err, "such as 2/300/3600", text)
	}
}

func TestStatisticsAndLogShowWhatAClientDid(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	c.enumerate(t, 250, "", "")
	c.post(countPath, criterion("nope", "EQUALS", "x"))
	var stats control.Stats
	require.NoError(t, json.Unmarshal(c.do(c.request(http.MethodGet, "/_sim/stats", "")).Body.Bytes(), &stats))
	require.Equal(t, map[string]map[string]int64{"auth": {"201": 1}, "search.asset": {"200": 3}, "count.asset": {"400": 1}}, stats.Calls)
	require.Equal(t, map[string]int64{"search.asset": 600}, stats.Items)
	var log []control.Entry
	require.NoError(t, json.Unmarshal(c.do(c.request(http.MethodGet, "/_sim/log?n=1", "")).Body.Bytes(), &log))
	require.Equal(t, []string{"Invalid filter field: nope"}, log[0].Notes)
}

func TestMutationsSurviveAKillAndResetForgetsThem(t *testing.T) {
	t.Parallel()
	o := qualys.Options{StateDir: t.TempDir(), Now: newClock().Now, Estate: estate.Options{Assets: 200}}
	c := mustClient(t, o)
	require.Equal(t, http.StatusBadRequest, c.post("/_sim/mutate?k=0", "").Code)
	require.Equal(t, http.StatusOK, c.post("/_sim/mutate?k=20", "").Code)
	require.Equal(t, http.StatusOK, c.post("/_sim/mutate?k=7", "").Code)
	want, _ := c.enumerate(t, 300, "", "")

	// The server is not closed: that is a kill. A line that was being written is torn.
	file := filepath.Join(o.StateDir, "qualys.jsonl")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = f.WriteString(`{"mutate":9`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	c = mustClient(t, o)
	got, _ := c.enumerate(t, 300, "", "")
	require.Equal(t, want, got)

	require.Equal(t, http.StatusNoContent, c.post("/_sim/reset", "").Code)
	fresh, _ := mustClient(t, qualys.Options{Estate: o.Estate}).enumerate(t, 300, "", "")
	got, _ = c.enumerate(t, 300, "", "")
	require.Equal(t, fresh, got)
	got, _ = mustClient(t, o).enumerate(t, 300, "", "")
	require.Equal(t, fresh, got)
}

func TestStateOfAnotherEstateIsForgottenWithAWarning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := mustClient(t, qualys.Options{StateDir: dir})
	require.Equal(t, http.StatusOK, c.post("/_sim/mutate?k=20", "").Code)
	var warned string
	s := mustServer(t, qualys.Options{StateDir: dir, Estate: estate.Options{Assets: 700}, Warn: func(line string) { warned = line }})
	require.Contains(t, warned, "another size or seed")
	require.Equal(t, 700, s.Estate().Live())
	require.NoError(t, s.Close())
}

func TestNewRefusesWrongOptions(t *testing.T) {
	t.Parallel()
	_, err := qualys.New(qualys.Options{Faults: "on * do what"})
	require.ErrorContains(t, err, "column 9")
	_, err = qualys.New(qualys.Options{Estate: estate.Options{Assets: -4}})
	require.Error(t, err)
}
