package servicenow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/fault"
)

// serveIRE answers the four identification and reconciliation calls. variant is
// the last path segment: "", "enhanced", "query" or "queryEnhanced".
func (s *Server) serveIRE(w http.ResponseWriter, req *http.Request, variant string) {
	opt := ireOptions{}
	switch variant {
	case "":
	case "enhanced":
		opt.enhanced = true
	case "query":
		opt.dryRun = true
	case "queryEnhanced":
		opt.enhanced, opt.dryRun = true, true
	default:
		writeError(w, http.StatusBadRequest, "Requested URI does not represent any resource", nil)
		return
	}
	if req.Method != http.MethodPost {
		writeError(w, http.StatusMethodNotAllowed, "Method not Supported", nil)
		return
	}
	if !allowedRole(req, "itil", "asset") {
		writeError(w, http.StatusForbidden, "Operation Failed", "ACL Exception Insufficient rights to access the resource")
		return
	}
	if !jsonMedia(w, req) {
		return
	}
	body, ok := s.readBody(w, req)
	if !ok {
		return
	}
	if err := s.parseOptions(&opt, req.URL.Query().Get("options")); err != nil {
		writeError(w, http.StatusInternalServerError, "Unexpected error", err.Error())
		return
	}
	p, err := parsePayload(body)
	if err != nil {
		s.malformed(w, err)
		return
	}
	s.runIRE(w, req, p, opt)
}

// malformed answers a body that is not JSON or does not fit the IRE's types.
func (s *Server) malformed(w http.ResponseWriter, err error) {
	var typeErr *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errPayload):
		writeError(w, s.opt.Settings.MalformedStatus, strings.TrimPrefix(err.Error(), errPayload.Error()+": "), nil)
	case errors.As(err, &typeErr):
		writeError(w, s.opt.Settings.MalformedStatus, fmt.Sprintf("Cannot deserialize value of field `%s` from %s", typeErr.Field, typeErr.Value), nil)
	default:
		writeError(w, http.StatusBadRequest, "Exception while reading request", "The payload is not valid JSON.")
	}
}

// parseOptions reads the options string of the enhanced calls: name:true|false,
// comma separated. The plain calls take no notice of it.
func (s *Server) parseOptions(opt *ireOptions, text string) error {
	s.store.mu.RLock()
	opt.skipLastScan = s.store.engineFlag("skip_updating_last_scan_to_now")
	opt.skipLastDiscovery = s.store.engineFlag("skip_updating_source_last_discovered_to_now")
	s.store.mu.RUnlock()
	if !opt.enhanced {
		return nil
	}
	opt.partialPayloads, opt.partialCommits, opt.dedupe = true, true, true
	for _, chunk := range strings.Split(text, ",") {
		if text == "" {
			break
		}
		name, value, ok := strings.Cut(chunk, ":")
		if !ok {
			return fmt.Errorf("Chunk [%s] is not a valid entry", chunk) //nolint:staticcheck // the vendor's text
		}
		on := strings.EqualFold(strings.TrimSpace(value), "true")
		switch strings.TrimSpace(name) {
		case "partial_payloads":
			opt.partialPayloads = on
		case "partial_commits":
			opt.partialCommits = on
		case "deduplicate_payloads":
			opt.dedupe = on
		case "generate_summary":
			opt.summary = on
		case "skip_updating_last_scan_to_now", "skip_updating_source_last_scan_to_now":
			opt.skipLastScan = on
		case "skip_updating_source_last_discovered_to_now":
			opt.skipLastDiscovery = on
		}
	}
	if opt.partialPayloads {
		opt.partialCommits, opt.dedupe = true, true
	}
	return nil
}

// runIRE takes the insert locks, lets the configured time pass and does the
// work as one atomic transaction.
func (s *Server) runIRE(w http.ResponseWriter, req *http.Request, p *payload, opt ireOptions) {
	s.recorder.AddItems(Endpoint(req), len(p.items))
	broken := fault.From(req.Context())
	if broken != nil && broken.Kind == fault.LockTimeout && broken.N < int64(len(p.items)) {
		p.lockedItem = int(broken.N)
	}
	var keys []string
	if !opt.dryRun {
		keys = s.store.insertLocks(p)
		if len(keys) > 0 && !s.granular() {
			keys = []string{"all inserts"}
		}
	}
	release, blocked := s.locks.acquire(keys, s.lockLimit())
	if release == nil {
		s.answerLockTimeout(w, p, opt, blocked)
		return
	}
	defer release()
	// An instance does not notice that its client gave up: the call goes on and
	// commits, which is why the request's context plays no part here.
	done, cancelled := s.work(len(p.items))
	if broken != nil && broken.Kind == fault.QuotaCancel {
		done, cancelled = int(broken.N), true
	}
	if cancelled {
		p = p.head(done)
	}
	answer, err := s.identifyAndReconcile(req.URL.Query().Get("sysparm_data_source"), p, opt)
	if err != nil {
		writeError(w, http.StatusInternalServerError, "Unexpected error", err.Error())
		return
	}
	if cancelled {
		const text = "Transaction cancelled: maximum execution time exceeded"
		writeError(w, s.opt.Settings.CancelledStatus, text, text)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// identifyAndReconcile is the call itself, without transport and waiting.
func (s *Server) identifyAndReconcile(source string, p *payload, opt ireOptions) (ireAnswer, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	r := &run{s: s.store, tx: s.store.begin(), opt: opt, settings: s.opt.Settings, source: source, now: s.opt.Now(), call: s.calls.Add(1), p: p}
	r.execute()
	answer := r.answer()
	if opt.dryRun {
		r.tx.rollback()
		return answer, nil
	}
	if err := r.tx.commit(); err != nil {
		r.tx.rollback()
		return answer, err
	}
	return answer, nil
}

func (s *Server) granular() bool {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	return s.store.engineFlag("granular_insert_locking")
}

func (s *Server) lockLimit() time.Duration {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	seconds, err := strconv.ParseFloat(s.store.property(enginePrefix+"mutex_expiration_time"), 64)
	if err != nil || seconds <= 0 {
		seconds = 900
	}
	return time.Duration(seconds * float64(time.Second))
}

func (s *Server) answerLockTimeout(w http.ResponseWriter, p *payload, opt ireOptions, key string) {
	r := &run{s: s.store, opt: opt, settings: s.opt.Settings, now: s.opt.Now(), call: s.calls.Add(1), p: p}
	for i, it := range p.items {
		o := &outcome{index: i, item: it, host: -1, primary: -1, indices: []int{i}, entryID: unknownID}
		o.fail("LOCK_TIMEOUT", "Failed to acquire synchronization lock for %s", key)
		r.items = append(r.items, o)
	}
	for i, rel := range p.relations {
		r.rels = append(r.rels, &relOutcome{rel: rel, index: i, errors: []issue{{"ABANDONED", "While processing relations encountered errors in payload item: " + string(rel.raw)}}})
	}
	writeJSON(w, http.StatusOK, r.answer())
}

// readBody reads at most glide.rest.max_content_length megabytes.
func (s *Server) readBody(w http.ResponseWriter, req *http.Request) ([]byte, bool) {
	s.store.mu.RLock()
	mb, err := strconv.Atoi(s.store.property("glide.rest.max_content_length"))
	s.store.mu.RUnlock()
	if err != nil || mb <= 0 {
		mb = 10
	}
	limit := int64(min(mb, 25)) << 20
	body, err := io.ReadAll(io.LimitReader(req.Body, limit+1))
	if err != nil {
		writeError(w, http.StatusBadRequest, "Exception while reading request", nil)
		return nil, false
	}
	if int64(len(body)) > limit {
		writeError(w, http.StatusBadRequest, "Exception while reading request", "Request body exceeds the maximum content length")
		return nil, false
	}
	return body, true
}

// jsonMedia demands JSON in both directions; a missing header is accepted as
// any other client library's default would be.
func jsonMedia(w http.ResponseWriter, req *http.Request) bool {
	if ct := req.Header.Get("Content-Type"); ct != "" && !strings.Contains(ct, "json") {
		writeError(w, http.StatusUnsupportedMediaType, "Unsupported Media Type", nil)
		return false
	}
	if req.Header.Get("Content-Type") == "" && req.ContentLength != 0 {
		writeError(w, http.StatusBadRequest, "Exception while reading request", "Content-Type header is required")
		return false
	}
	if a := req.Header.Get("Accept"); a != "" && !strings.Contains(a, "json") && !strings.Contains(a, "*/*") {
		writeError(w, http.StatusNotAcceptable, "Not Acceptable", nil)
		return false
	}
	return true
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is no concern of the instance
}
