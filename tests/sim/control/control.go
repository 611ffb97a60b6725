// Package control is what both simulators share to be watched and to survive: a recorder of every call, served under
// /_sim/, and an append-only journal.
//
// A test of a client needs to know what the client really did (how often it called, how many calls ran at once, which
// cursor came with which call), and it must not have to ask the client. So the simulator counts:
//
//	request ─▶ Recorder.Wrap ─▶ fault plan ─▶ the simulator's handler
//	               │                                │ Note(ctx, …), AddItems(…)
//	               ▼                                ▼
//	      GET /_sim/stats, /_sim/log        Journal (one JSON document per line)
//
// Calls to /_sim/ itself are never counted.
package control

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Prefix is the path under which a simulator is controlled; nothing below it is counted, delayed or faulted.
const Prefix = "/_sim/"

// logSize is how many log entries are kept: enough for a run of some thousand calls, bounded for a run of a week.
const logSize = 10_000

// Entry is one finished call. Status 0 means that the connection ended without a complete answer.
type Entry struct {
	At         time.Time `json:"at"`
	Endpoint   string    `json:"endpoint"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Query      string    `json:"query,omitempty"`
	Status     int       `json:"status"`
	DurationMs int64     `json:"durationMs"`
	Bytes      int64     `json:"bytes"`
	Caller     string    `json:"caller,omitempty"`
	RequestID  string    `json:"requestId,omitempty"`
	Notes      []string  `json:"notes,omitempty"`
}

// Stats is the answer of GET /_sim/stats.
type Stats struct {
	// Calls counts finished calls by endpoint and status; "0" counts calls whose connection ended without an answer.
	Calls map[string]map[string]int64 `json:"calls"`
	// Items counts what the calls carried: assets served, payload items received.
	Items map[string]int64 `json:"items"`
	// Peak is the largest number of calls that were in flight at once, by endpoint.
	Peak map[string]int `json:"peak"`
}

// Recorder counts calls. It is safe for concurrent use.
type Recorder struct {
	now func() time.Time

	mu       sync.Mutex
	calls    map[string]map[string]int64
	items    map[string]int64
	inFlight map[string]int
	peak     map[string]int
	ring     []Entry
	next     int
}

// New returns an empty recorder; a nil clock is the wall clock.
func New(now func() time.Time) *Recorder {
	if now == nil {
		now = time.Now
	}
	r := &Recorder{now: now, inFlight: map[string]int{}}
	r.clear()
	return r
}

func (r *Recorder) clear() {
	r.calls = map[string]map[string]int64{}
	r.items = map[string]int64{}
	r.peak = map[string]int{}
	r.ring = nil
	r.next = 0
}

// Reset forgets everything counted so far; calls in flight are counted when they finish.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
}

// AddItems adds n to the items that the endpoint carried.
func (r *Recorder) AddItems(endpoint string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items[endpoint] += int64(n)
}

// Stats returns a copy of the counters.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Stats{
		Calls: make(map[string]map[string]int64, len(r.calls)),
		Items: make(map[string]int64, len(r.items)),
		Peak:  make(map[string]int, len(r.peak)),
	}
	for endpoint, by := range r.calls {
		c := make(map[string]int64, len(by))
		for status, n := range by {
			c[status] = n
		}
		s.Calls[endpoint] = c
	}
	for k, v := range r.items {
		s.Items[k] = v
	}
	for k, v := range r.peak {
		s.Peak[k] = v
	}
	return s
}

// Log returns the last n entries, oldest first; n ≤ 0 returns all that are kept.
func (r *Recorder) Log(n int) []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := len(r.ring)
	if n <= 0 || n > size {
		n = size
	}
	out := make([]Entry, 0, n)
	for i := size - n; i < size; i++ {
		out = append(out, r.ring[(r.next+i)%size])
	}
	return out
}

type noteKey struct{}

// notes collects what a handler wants the log to say about its call; a handler may use goroutines, hence the lock.
type notes struct {
	mu    sync.Mutex
	lines []string
}

// Note adds a line to the log entry of the call that ctx belongs to; without a recorder around the handler it does nothing.
func Note(ctx context.Context, line string) {
	n, ok := ctx.Value(noteKey{}).(*notes)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

// Wrap counts the calls that reach h. endpoint names a call: a path with ids must give one name, or the counters never
// add up. Requests under Prefix pass through uncounted.
func (r *Recorder) Wrap(endpoint func(*http.Request) string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, Prefix) {
			h.ServeHTTP(w, req)
			return
		}
		name := endpoint(req)
		started := r.now()
		r.enter(name)
		collected := &notes{}
		rec := &writer{ResponseWriter: w}
		finished := false
		// A handler may abort the connection by panicking with http.ErrAbortHandler; such a call is counted too.
		defer func() {
			status := rec.status
			if finished && status == 0 {
				status = http.StatusOK
			}
			if !finished {
				status = 0
			}
			r.leave(Entry{
				At: started.UTC(), Endpoint: name, Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery,
				Status: status, DurationMs: r.now().Sub(started).Milliseconds(), Bytes: rec.bytes,
				Caller: req.RemoteAddr, RequestID: requestID(req), Notes: collected.lines,
			})
		}()
		h.ServeHTTP(rec, req.WithContext(context.WithValue(req.Context(), noteKey{}, collected)))
		finished = true
	})
}

func requestID(req *http.Request) string {
	for _, h := range []string{"X-Request-Id", "X-Request-ID", "X-Correlation-Id"} {
		if v := req.Header.Get(h); v != "" {
			return v
		}
	}
	return ""
}

func (r *Recorder) enter(endpoint string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight[endpoint]++
	r.peak[endpoint] = max(r.peak[endpoint], r.inFlight[endpoint])
}

func (r *Recorder) leave(e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight[e.Endpoint]--
	by := r.calls[e.Endpoint]
	if by == nil {
		by = map[string]int64{}
		r.calls[e.Endpoint] = by
	}
	by[strconv.Itoa(e.Status)]++
	if len(r.ring) < logSize {
		r.ring = append(r.ring, e)
		return
	}
	r.ring[r.next] = e
	r.next = (r.next + 1) % logSize
}

// Mount serves GET /_sim/stats and GET /_sim/log?n= on mux.
func (r *Recorder) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET "+Prefix+"stats", func(w http.ResponseWriter, _ *http.Request) {
		WriteJSON(w, http.StatusOK, r.Stats())
	})
	mux.HandleFunc("GET "+Prefix+"log", func(w http.ResponseWriter, req *http.Request) {
		n, err := strconv.Atoi(req.URL.Query().Get("n"))
		if err != nil {
			n = 0
		}
		WriteJSON(w, http.StatusOK, r.Log(n))
	})
}

// WriteJSON answers a control call. An encoding error can only mean that the caller has gone.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// writer remembers status and size. Unwrap lets http.ResponseController reach Flush and Hijack of the real writer.
type writer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
