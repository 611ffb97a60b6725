package control_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/tests/sim/control"
)

func path(r *http.Request) string { return r.URL.Path }

func call(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestRecorderCountsByEndpointAndStatusAndLeavesOutItsOwnCalls(t *testing.T) {
	t.Parallel()
	rec := control.New(nil)
	mux := http.NewServeMux()
	rec.Mount(mux)
	mux.HandleFunc("/a", func(w http.ResponseWriter, r *http.Request) {
		control.Note(r.Context(), "cursor "+r.URL.Query().Get("c"))
		rec.AddItems("/a", 3)
		if r.URL.Query().Get("c") == "2" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	h := rec.Wrap(path, mux)
	call(h, http.MethodGet, "/a?c=1")
	call(h, http.MethodGet, "/a?c=2")
	call(h, http.MethodPost, "/missing")

	var got control.Stats
	require.NoError(t, json.Unmarshal(call(h, http.MethodGet, "/_sim/stats").Body.Bytes(), &got))
	want := control.Stats{
		Calls: map[string]map[string]int64{"/a": {"200": 1, "418": 1}, "/missing": {"404": 1}},
		Items: map[string]int64{"/a": 6},
		Peak:  map[string]int{"/a": 1, "/missing": 1},
	}
	require.Empty(t, cmp.Diff(want, got))

	var log []control.Entry
	require.NoError(t, json.Unmarshal(call(h, http.MethodGet, "/_sim/log?n=2").Body.Bytes(), &log))
	require.Len(t, log, 2)
	require.Equal(t, []string{"cursor 2"}, log[0].Notes)
	require.Equal(t, "c=2", log[0].Query)
	require.Equal(t, "/missing", log[1].Path)

	rec.Reset()
	require.Empty(t, rec.Stats().Calls)
}

func TestRecorderCountsAnAbortedConnectionAsStatusZero(t *testing.T) {
	t.Parallel()
	rec := control.New(nil)
	h := rec.Wrap(path, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	require.Panics(t, func() { call(h, http.MethodGet, "/x") })
	require.Equal(t, int64(1), rec.Stats().Calls["/x"]["0"])
}

func TestRecorderKeepsThePeakOfCallsInFlight(t *testing.T) {
	t.Parallel()
	rec := control.New(nil)
	var inside sync.WaitGroup
	inside.Add(3)
	release := make(chan struct{})
	h := rec.Wrap(path, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside.Done()
		<-release
	}))
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { call(h, http.MethodGet, "/x") })
	}
	inside.Wait()
	close(release)
	all.Wait()
	require.Equal(t, 3, rec.Stats().Peak["/x"])
}

func TestRecorderKeepsTheLastTenThousandEntries(t *testing.T) {
	t.Parallel()
	rec := control.New(func() time.Time { return time.Unix(0, 0) })
	h := rec.Wrap(path, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for i := range 10_005 {
		call(h, http.MethodGet, "/x?i="+strconv.Itoa(i))
	}
	log := rec.Log(0)
	require.Len(t, log, 10_000)
	require.Equal(t, "i=5", log[0].Query)
	require.Equal(t, "i=10004", log[len(log)-1].Query)
}

type line struct{ N int }

func replay(t require.TestingT, j *control.Journal) []int {
	var got []int
	require.NoError(t, j.Replay(func(raw json.RawMessage) error {
		var l line
		if err := json.Unmarshal(raw, &l); err != nil {
			return err
		}
		got = append(got, l.N)
		return nil
	}))
	return got
}

func TestJournalCutAnywhereKeepsEveryCompleteLineAndAcceptsMore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		file := filepath.Join(dir, "j"+strconv.Itoa(rapid.IntRange(0, 1<<30).Draw(rt, "name")), "state.jsonl")
		j, err := control.OpenJournal(file)
		require.NoError(rt, err)
		require.NoError(rt, j.Clear())
		n := rapid.IntRange(0, 20).Draw(rt, "lines")
		for i := range n {
			require.NoError(rt, j.Append(line{i}))
		}
		require.NoError(rt, j.Close())
		whole, err := os.ReadFile(file)
		require.NoError(rt, err)
		cut := rapid.IntRange(0, len(whole)).Draw(rt, "cut")
		require.NoError(rt, os.Truncate(file, int64(cut)))
		complete := 0
		for _, b := range whole[:cut] {
			if b == '\n' {
				complete++
			}
		}

		j, err = control.OpenJournal(file)
		require.NoError(rt, err)
		require.Len(rt, replay(rt, j), complete)
		require.NoError(rt, j.Append(line{99}))
		require.NoError(rt, j.Close())
		j, err = control.OpenJournal(file)
		require.NoError(rt, err)
		got := replay(rt, j)
		require.Len(rt, got, complete+1)
		require.Equal(rt, 99, got[complete])
		require.NoError(rt, j.Close())
	})
}

func TestJournalDropsATailOfGarbageThatEndsWithANewline(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.jsonl")
	require.NoError(t, os.WriteFile(file, []byte("{\"N\":1}\n\x00\x00\x00\n{\"N\":"), 0o600))
	j, err := control.OpenJournal(file)
	require.NoError(t, err)
	require.Equal(t, []int{1}, replay(t, j))
	require.NoError(t, j.Close())
}
