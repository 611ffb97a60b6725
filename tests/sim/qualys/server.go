// Package qualys is a stand-in for one Qualys subscription, written from the vendor's public documents and recorded
// traffic, to be exactly as awkward as the real one. It holds no assets: it shows an estate (package estate) through the
// vendor's API.
//
//	call ─▶ recorder ─▶ fault plan ─▶ mux ─▶ bearer token ─▶ limits ─▶ endpoint ─▶ estate
//	           │                                                           │
//	      /_sim/stats                                            journal of mutations (StateDir)
//
// One handler serves both hosts of a platform, the API host and the gateway. Where the public documents disagree or are
// silent the behaviour is an option, and its default is the stricter reading; README.md of tests/sim lists them.
//
// README.md also lists what is not modelled.
package qualys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/fault"
)

// The credentials of the default user hold characters that a client must encode in a form.
const (
	DefaultUsername = "acme_ab1"
	DefaultPassword = "p%4+Qu & é=s"
)

// User is somebody who may sign in.
type User struct {
	Username string `json:"username"`
	Password string `json:"password,omitempty"`
	// NoModule makes every call on assets answer 403: the subscription or the role lacks the module.
	NoModule bool `json:"noModule,omitempty"`
	// NoTags refuses changes of tags: the role lacks the permission.
	NoTags bool `json:"noTags,omitempty"`
	// Without are the permissions that the user lacks.
	Without []Permission `json:"without,omitempty"`
	// Account is the state of the account.
	Account Account `json:"account,omitempty"`
}

// Choice picks one of the behaviours that public documents leave open.
type Choice string

// Choices for Options.PageSize, Options.UnknownField and Options.Blocked.
const (
	// PageSize400, PageSize416 and PageSizeClamp say what a pageSize outside 1…300 does. GAV v1 documents 416; for v2
	// nothing is published.
	PageSize400   Choice = "400"
	PageSize416   Choice = "416"
	PageSizeClamp Choice = "clamp"
	// FieldIgnored and FieldRejected say what an unknown token in includeFields or excludeFields does; a public client
	// reports "rejected or ignored".
	FieldIgnored  Choice = "ignored"
	FieldRejected Choice = "rejected"
	// BlockedDocumented, BlockedEmptyBody, BlockedEmptyHeaders and BlockedWaitOnRetry are the forms of a 429: as
	// documented, and the three that users reported.
	BlockedDocumented   Choice = "documented"
	BlockedEmptyBody    Choice = "empty-body"
	BlockedEmptyHeaders Choice = "empty-headers"
	BlockedWaitOnRetry  Choice = "wait-on-retry"
)

// Options describe the subscription. The zero value is ready: 600 assets, seed 1, the default user, no limits, no
// latency, no faults, memory only.
type Options struct {
	Estate estate.Options
	// StateDir keeps mutations across restarts, kill -9 included; empty is memory only.
	StateDir string
	Username string
	Password string
	// Users are further users.
	Users []User
	// Clients are further OAuth clients, and ClientToken says what they are answered.
	Clients     []Client
	ClientToken Choice
	// FO describes the VM side of the subscription.
	FO FOOptions
	// CertView describes the certificates' side of it.
	CertView CertViewOptions
	// TokenLifetime is how long a token is valid; 4 h when zero, as documented.
	TokenLifetime time.Duration
	// TagDelay is how long a new or changed tag rule takes until it has members; 5 s when zero.
	TagDelay time.Duration
	// PageLatency is how long a page of assets takes.
	PageLatency time.Duration
	// Limits are those of the subscription; the zero value has none.
	Limits   Limits
	Faults   string
	PageSize Choice
	// V1PageSize is the largest page of the API v1: 300 when zero; it was 100 at first.
	V1PageSize int
	// V1Missing leaves the members out that the API v1 lacks; they are null otherwise.
	V1Missing    bool
	UnknownField Choice
	Blocked      Choice
	Now          func() time.Time
	// ConnectorDelay is how long a published asset takes until it is in the inventory; 5 s when zero.
	ConnectorDelay time.Duration
	// NoIntegration switches the integration with ServiceNow off: writing business metadata is refused.
	NoIntegration bool
	// Warn hears what an operator should know; nil discards it.
	Warn func(string)
}

// Server is the simulator.
type Server struct {
	connectorDelay atomic.Int64 // nanoseconds
	unintegrated   atomic.Bool

	opts      Options
	estate    *estate.Estate
	recorder  *control.Recorder
	plan      *fault.Plan
	limiter   *limiter
	tokens    *tokens
	tags      *tagStore
	csam      *csamStore
	connector *connectorStore
	users     *users
	clients   map[string]Client
	fo        *foStore
	sessions  *sessions
	certPages certPages
	handler   http.Handler
	requests  atomic.Uint64
	pages     sync.Pool // buffers of finished pages: a page has up to 20 MB

	mu      sync.Mutex
	journal *control.Journal
}

// journalLine is one line of the state: the estate that the mutations belong to, or a mutation.
type journalLine struct {
	Estate *estateID   `json:"estate,omitempty"`
	Mutate int         `json:"mutate,omitempty"`
	At     *time.Time  `json:"at,omitempty"`
	Tag    *tag        `json:"tag,omitempty"`
	Untag  []int64     `json:"untag,omitempty"`
	Assign *assignment `json:"assign,omitempty"`
	FO     *foLine     `json:"fo,omitempty"`
	CSAM   *csamLine   `json:"csam,omitempty"`
	Third  *third      `json:"third,omitempty"`
}

type estateID struct {
	Assets int    `json:"assets"`
	Seed   uint64 `json:"seed"`
}

// New prepares the subscription and replays its state.
func New(o Options) (*Server, error) {
	o.fill()
	e, err := estate.New(o.Estate)
	if err != nil {
		return nil, fmt.Errorf("qualys: %w", err)
	}
	o.Estate = e.Options()
	plan, err := fault.Parse(o.Faults)
	if err != nil {
		return nil, fmt.Errorf("qualys: %w", err)
	}
	plan.SetClock(o.Now)
	if err := o.CertView.fill(); err != nil {
		return nil, err
	}
	clients, err := clientsOf(&o)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, estate: e, recorder: control.New(o.Now), plan: plan, limiter: newLimiter(o.Limits, o.Now),
		tokens: newTokens(o.Now, o.TokenLifetime, o.Estate.Seed), clients: clients,
		users: newUsers(append([]User{{Username: o.Username, Password: o.Password}}, o.Users...)),
		tags:  newTagStore(e, o.Now), fo: newFOStore(e, o.FO), csam: newCSAMStore(), connector: newConnectorStore(),
	}
	s.sessions = newSessions(s.tokens.issue)
	s.resetSettings()
	if o.StateDir != "" {
		if err := s.restore(filepath.Join(o.StateDir, "qualys.jsonl")); err != nil {
			return nil, err
		}
	}
	s.handler = s.routes()
	return s, nil
}

func (o *Options) fill() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Username == "" {
		o.Username = DefaultUsername
	}
	if o.Password == "" {
		o.Password = DefaultPassword
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = 4 * time.Hour
	}
	if o.ConnectorDelay == 0 {
		o.ConnectorDelay = 5 * time.Second
	}
	if o.TagDelay == 0 {
		o.TagDelay = 5 * time.Second
	}
	if o.V1PageSize == 0 {
		o.V1PageSize = maximumPageSize
	}
	if o.PageSize == "" {
		o.PageSize = PageSize400
	}
	if o.UnknownField == "" {
		o.UnknownField = FieldIgnored
	}
	if o.Blocked == "" {
		o.Blocked = BlockedDocumented
	}
	if o.ClientToken == "" {
		o.ClientToken = TokenBare
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
}

// restore replays the mutations of an earlier life. A journal of another estate says nothing about this one and is
// started anew.
func (s *Server) restore(path string) error {
	journal, err := control.OpenJournal(path)
	if err != nil {
		return fmt.Errorf("qualys: %w", err)
	}
	s.journal = journal
	id := estateID{s.opts.Estate.Assets, s.opts.Estate.Seed}
	known, foreign := false, false
	err = journal.Replay(func(raw json.RawMessage) error {
		var line journalLine
		if err := json.Unmarshal(raw, &line); err != nil {
			return fmt.Errorf("qualys: state %s: %w", path, err)
		}
		switch {
		case line.Estate != nil:
			known = true
			foreign = *line.Estate != id
		case !foreign && line.At != nil:
			s.estate.Mutate(line.Mutate, *line.At)
		case !foreign && line.Third != nil:
			s.connector.replay(line.Third)
		case !foreign && line.CSAM != nil:
			s.csam.replay(line.CSAM)
		case !foreign && line.FO != nil:
			return s.fo.replay(line.FO)
		case !foreign:
			return s.tags.replay(line)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if foreign {
		s.opts.Warn("qualys: " + path + " belongs to an estate of another size or seed; its mutations are forgotten")
		s.estate.Reset()
		if err := journal.Clear(); err != nil {
			return fmt.Errorf("qualys: %w", err)
		}
		known = false
	}
	if !known {
		return s.record(journalLine{Estate: &id})
	}
	return nil
}

func (s *Server) record(line journalLine) error {
	if s.journal == nil {
		return nil
	}
	if err := s.journal.Append(line); err != nil {
		return fmt.Errorf("qualys: %w", err)
	}
	return nil
}

// Handler serves the API host, the gateway host and /_sim/.
func (s *Server) Handler() http.Handler { return s.handler }

// Estate is what the subscription shows, for tests.
func (s *Server) Estate() *estate.Estate { return s.estate }

// Recorder counts the calls, for tests.
func (s *Server) Recorder() *control.Recorder { return s.recorder }

// Faults is the plan in force, for tests.
func (s *Server) Faults() *fault.Plan { return s.plan }

// Close closes the journal.
func (s *Server) Close() error {
	if s.journal == nil {
		return nil
	}
	return s.journal.Close()
}

// The names of endpoints in statistics, limits and fault rules.
const (
	endpointAuth   = "auth"
	endpointCount  = "count.asset"
	endpointSearch = "search.asset"
	endpointGet    = "get.asset"
	endpointOther  = "other"
)

// endpoint names a request.
func endpoint(r *http.Request) string {
	switch r.URL.Path {
	case pathAuth:
		return endpointAuth
	case pathCount:
		return endpointCount
	case pathSearch:
		return endpointSearch
	case pathGet:
		return endpointGet
	case pathVersion:
		return endpointPortal
	}
	if name := csamEndpoint(r.URL.Path); name != "" {
		return name
	}
	if name := v1Endpoint(r.URL.Path); name != "" {
		return name
	}
	if name := foEndpoint(r.URL.Path); name != "" {
		return name
	}
	if name := qpsEndpoint(r.URL.Path); name != "" {
		return name
	}
	return endpointOther
}

const (
	pathAuth   = "/auth"
	pathCount  = "/rest/2.0/count/am/asset"
	pathSearch = "/rest/2.0/search/am/asset"
	pathGet    = "/rest/2.0/get/am/asset"
)

// routes builds the handler. Verbs are checked by hand, because the vendor's 404 and 405 have bodies of their own.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(pathAuth, s.verbs(s.auth, http.MethodPost))
	mux.HandleFunc(pathCount, s.verbs(s.guarded(s.count), http.MethodPost))
	mux.HandleFunc(pathSearch, s.verbs(s.guarded(s.search), http.MethodPost))
	mux.HandleFunc(pathGet, s.verbs(s.guarded(s.get), http.MethodGet, http.MethodPost))
	mux.HandleFunc(pathVersion, s.verbs(s.version, http.MethodGet))
	mux.HandleFunc(pathQPS, s.qps)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.spring(w, r, http.StatusNotFound, "No static resource "+trimSlash(r.URL.Path)+".")
	})
	s.mountV1(mux)
	s.mountCSAM(mux)
	s.mountConnector(mux)
	s.mountFO(mux)
	s.mountCertView(mux)
	s.recorder.Mount(mux)
	s.plan.Mount(mux)
	mux.HandleFunc("POST "+control.Prefix+"mutate", s.mutate)
	mux.HandleFunc("POST "+control.Prefix+"reset", s.reset)
	served := s.plan.Middleware(s.endpointOf, mux)
	return s.recorder.Wrap(s.endpointOf, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The clock of the subscription, which clients take their watermarks from.
		w.Header().Set("Date", s.opts.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Server", "nginx/1.19.1")
		served.ServeHTTP(w, r)
	}))
}

func trimSlash(path string) string {
	for len(path) > 0 && path[0] == '/' {
		path = path[1:]
	}
	return path
}

func (s *Server) verbs(h http.HandlerFunc, methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, m := range methods {
			if r.Method == m {
				h(w, r)
				return
			}
		}
		w.Header().Set("Allow", methods[0])
		s.spring(w, r, http.StatusMethodNotAllowed, "Request method '"+r.Method+"' is not supported")
	}
}

// spring writes the error body of the gateway's framework.
func (s *Server) spring(w http.ResponseWriter, r *http.Request, status int, message string) {
	control.WriteJSON(w, status, struct {
		Timestamp string `json:"timestamp"`
		Path      string `json:"path"`
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Message   string `json:"message"`
		RequestID string `json:"requestId"`
	}{
		s.opts.Now().UTC().Format("2006-01-02T15:04:05.000-0700"), r.URL.Path, status, http.StatusText(status), message,
		strconv.FormatUint(0xec5fa000+s.requests.Add(1), 16),
	})
}

// mutate serves POST /_sim/mutate?k=: k assets change, some are added and removed. The journal has the mutation before
// the caller has the answer.
func (s *Server) mutate(w http.ResponseWriter, r *http.Request) {
	k, err := strconv.Atoi(r.URL.Query().Get("k"))
	if err != nil || k < 1 {
		http.Error(w, "qualys: k must be a number of assets", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.opts.Now().UTC()
	if err := s.record(journalLine{Mutate: k, At: &at}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	control.WriteJSON(w, http.StatusOK, s.estate.Mutate(k, at))
}

// reset serves POST /_sim/reset: the estate, the counters and the limits are as at the first start.
func (s *Server) reset(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal != nil {
		id := estateID{s.opts.Estate.Assets, s.opts.Estate.Seed}
		err := s.journal.Clear()
		if err == nil {
			err = s.record(journalLine{Estate: &id})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	s.estate.Reset()
	s.tags.reset()
	s.csam.reset()
	s.connector.reset()
	s.fo.reset()
	s.sessions.reset()
	s.users.reset()
	s.resetSettings()
	s.recorder.Reset()
	s.limiter.reset()
	w.WriteHeader(http.StatusNoContent)
}
