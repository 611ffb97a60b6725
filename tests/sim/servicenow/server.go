package servicenow

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
)

// Options configure a simulated instance. The zero value is ready to use: an
// instance in memory with the user "qbridge" and no latency.
type Options struct {
	// StateDir keeps the CMDB in an append-only journal that survives kill -9.
	// Empty means memory only.
	StateDir string
	// Latency is the time every IRE call takes, LatencyPerItem the time that
	// each top-level item adds. Both pass while the insert locks of the call are
	// held, and no other lock.
	Latency, LatencyPerItem time.Duration
	// Username and Password authenticate basic and OAuth password grants.
	Username, Password string
	// ClientID and ClientSecret belong to the OAuth application.
	ClientID, ClientSecret string
	// DiscoverySource is a choice of cmdb_ci.discovery_source that exists from
	// the start, beside the built-in ones. Default SG-Qualys.
	DiscoverySource string
	// TokenLifetime is the life of an access token, default 1800 s.
	TokenLifetime time.Duration
	// Faults is a fault plan, empty for none.
	Faults string
	// Others are the CIs of other discovery sources, none by default.
	Others OtherSources
	// UpdateSets are update sets (exported XML) that are committed before the
	// start: the tables and columns that an application brings.
	UpdateSets []string
	// Semaphores is the number of API calls that run at the same time, the set
	// API_INT of one node; further ones wait, and when SemaphoreQueue (default 50)
	// are waiting the next is answered with 429. 0, the default, is no limit.
	Semaphores, SemaphoreQueue int
	// Seed makes sys_ids differ between instances.
	Seed uint64
	// Now is the instance's clock, default time.Now.
	Now func() time.Time
	// Settings are the behaviours that public documents leave open.
	Settings Settings
}

// Settings choose between readings of the vendor's documents where these
// disagree or are silent. The zero value is the strict reading.
type Settings struct {
	// FoldSourceCase compares sysparm_data_source without regard to case.
	FoldSourceCase bool
	// FailedOperation is the operation shown for an item that failed and was
	// not parked; default NO_CHANGE, so only errors and sysId tell the failure.
	FailedOperation string
	// MalformedStatus is the HTTP status of a body that cannot be mapped to the
	// IRE's types; default 400, the other candidate is 500.
	MalformedStatus int
	// CancelledStatus is the HTTP status of a transaction that ran into its
	// quota; default 500, which no public document confirms.
	CancelledStatus int
	// Release "older" gives the Hardware Rule's adapter entry the attributes
	// ip_address and mac_address instead of mac_address and name.
	Release string
	// MetaOfRecords lets the CMDB Meta API answer for tables of the CMDB that are
	// no classes of CIs, such as cmdb_serial_number; default 404.
	MetaOfRecords bool
	// StrictQualification rejects a dependent with two dependency relations of
	// different type to the same host.
	StrictQualification bool
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		field *string
		value string
	}{{&o.Username, "qbridge"}, {&o.Password, "qbridge-password"}, {&o.ClientID, "qbridge-client"},
		{&o.ClientSecret, "qbridge-client-secret"}, {&o.DiscoverySource, "SG-Qualys"}, {&o.Settings.FailedOperation, "NO_CHANGE"}} {
		*d.field = orDefault(*d.field, d.value)
	}
	if o.TokenLifetime <= 0 {
		o.TokenLifetime = 1800 * time.Second
	}
	if o.Settings.MalformedStatus == 0 {
		o.Settings.MalformedStatus = http.StatusBadRequest
	}
	if o.Settings.CancelledStatus == 0 {
		o.Settings.CancelledStatus = http.StatusInternalServerError
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Server is one simulated instance. All methods are safe for concurrent use.
type Server struct {
	opt     Options
	store   *store
	locks   lockTable
	auth    *authority
	handler http.Handler
	calls   atomic.Uint64 // IRE calls so far

	recorder *control.Recorder
	trouble  trouble
	sessions sessions
	slots    *semaphore
	acls     aclList
}

// New builds an instance and replays its journal. Errors: an unreadable state
// folder, a journal of an incompatible version, a malformed fault plan.
func New(opt Options) (*Server, error) {
	opt.setDefaults()
	s := &Server{opt: opt, auth: newAuthority(opt), slots: newSemaphore(opt.Semaphores, opt.SemaphoreQueue)}
	if err := s.open(); err != nil {
		return nil, err
	}
	if err := s.buildHandler(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open makes the store: built-in records first, then what the journal says
// about them and about everything else.
func (s *Server) open() error {
	st, err := newStore(s.opt.Now, s.opt.Seed)
	if err != nil {
		return err
	}
	for _, set := range s.opt.UpdateSets {
		if err := st.installUpdateSet(strings.NewReader(set)); err != nil {
			return err
		}
	}
	if err := st.seed(s.opt); err != nil {
		return err
	}
	if s.opt.StateDir != "" {
		if st.journal, err = openJournal(s.opt.StateDir, st); err != nil {
			return err
		}
	}
	st.refresh()
	s.store = st
	return nil
}

// Handler serves the instance's API and, under /_sim/, its control API.
func (s *Server) Handler() http.Handler { return s.handler }

// Close releases the journal. The handler must not be used any more.
func (s *Server) Close() error {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if s.store.journal == nil {
		return nil
	}
	err := s.store.journal.file.Close()
	s.store.journal = nil
	if err != nil {
		return fmt.Errorf("servicenow: close state: %w", err)
	}
	return nil
}

// route finds the resource of a request. The version segment (v1, v2) may be
// left out everywhere.
func route(path string) (kind string, rest []string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 2 || parts[0] != "api" || parts[1] != "now" {
		return "", nil
	}
	parts = parts[2:]
	if len(parts) > 0 && (parts[0] == "v1" || parts[0] == "v2") {
		parts = parts[1:]
	}
	if len(parts) == 0 {
		return "", nil
	}
	return parts[0], parts[1:]
}

// api dispatches an authenticated call.
func (s *Server) api(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Accept") == "" {
		writeError(w, http.StatusBadRequest, "Invalid request header", "Accept header is required")
		return
	}
	if req.Method == http.MethodHead { // what GET says, without its body
		req = req.Clone(req.Context())
		req.Method, w = http.MethodGet, bodyless{w}
	}
	kind, rest := route(req.URL.Path)
	if !inScope(req.Context(), kind) {
		if s.scopeCheck() {
			writeError(w, http.StatusForbidden, "User Not Authorized", "Missing required api access scope")
			return
		}
		writeError(w, http.StatusUnauthorized, "User Not Authorized", "Access to unscoped api is not allowed")
		return
	}
	switch {
	case kind == "identifyreconcile" && len(rest) <= 1:
		s.serveIRE(w, req, strings.Join(rest, ""))
	case kind == "table" && (len(rest) == 1 || len(rest) == 2):
		s.serveTable(w, req, rest)
	case kind == "stats" && len(rest) == 1:
		s.serveStats(w, req, rest[0])
	case kind == "cmdb" && len(rest) == 2 && rest[0] == "meta":
		s.serveMeta(w, req, rest[1])
	case kind == "cmdb" && len(rest) >= 2 && len(rest) <= 5 && rest[0] == "instance":
		s.serveInstance(w, req, rest[1:])
	case kind == "import" && (len(rest) == 1 || len(rest) == 2):
		s.serveImport(w, req, rest)
	case kind == "batch" && len(rest) == 0:
		s.serveBatch(w, req)
	default:
		writeError(w, http.StatusBadRequest, "Requested URI does not represent any resource", nil)
	}
}

// bodyless drops the body of an answer.
type bodyless struct{ http.ResponseWriter }

// Write takes the body and keeps nothing of it.
func (bodyless) Write(p []byte) (int, error) { return len(p), nil }

// writeError sends the platform's error envelope; detail may be nil.
func writeError(w http.ResponseWriter, status int, message string, detail any) {
	writeJSON(w, status, map[string]any{"error": map[string]any{"message": message, "detail": detail}, "status": "failure"})
}
