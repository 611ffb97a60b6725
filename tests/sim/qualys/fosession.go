package qualys

import (
	"crypto/hmac"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
)

// sessionIdle is the default idle timeout of a session.
const sessionIdle = time.Hour

const sessionCookie = "QualysSession"

// sessions are those of FO: a cookie instead of basic credentials.
type sessions struct {
	issue func(user string) string

	mu   sync.Mutex
	open map[string]session
}

type session struct {
	user User
	used time.Time
}

func newSessions(issue func(string) string) *sessions {
	return &sessions{issue: issue, open: map[string]session{}}
}

func (s *sessions) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = map[string]session{}
}

func (s *sessions) user(r *http.Request, now time.Time) (User, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return User{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.open[cookie.Value]
	if !ok || now.Sub(x.used) >= sessionIdle {
		delete(s.open, cookie.Value)
		return User{}, false
	}
	x.used = now
	s.open[cookie.Value] = x
	return x.user, true
}

// session serves /api/2.0/fo/session/: login and logout, which no limit counts.
func (s *Server) session(w http.ResponseWriter, r *http.Request, params map[string]string) {
	now := s.opts.Now()
	action := params["action"]
	switch {
	case r.Header.Get("X-Requested-With") == "":
		s.failFO(w, r, foHeader)
		return
	case r.Method != http.MethodPost:
		s.failFO(w, r, foBad(1908, "Wrong request method: please use POST"))
		return
	case action != "login" && action != "logout":
		s.failFO(w, r, foBad(1905, "parameter action has invalid value: "+action))
		return
	case action == "logout":
		if _, ok := s.sessions.user(r, now); !ok {
			s.failFO(w, r, foLogin)
			return
		}
		cookie, _ := r.Cookie(sessionCookie)
		s.sessions.mu.Lock()
		delete(s.sessions.open, cookie.Value)
		s.sessions.mu.Unlock()
		w.Header().Set("Content-Type", "application/xml")
		_, _ = w.Write(s.simple(r, leaf("TEXT", "Logged out")))
		return
	}
	user, known := s.users.get(params["username"])
	if !known || !hmac.Equal([]byte(user.Password), []byte(params["password"])) {
		s.failFO(w, r, foLogin)
		return
	}
	id := s.sessions.issue(user.Username)
	s.sessions.mu.Lock()
	s.sessions.open[id] = session{user, now}
	s.sessions.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: id, Path: "/api", Secure: true, HttpOnly: true})
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(s.simple(r, leaf("TEXT", "Logged in")))
}

// about serves /msp/about.php, the cheap probe: it needs no X-Requested-With and has the headers of the limits.
func (s *Server) about(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Qualys")
	user, denied := s.foUser(r)
	if denied == nil && !user.Has(PermVM) {
		denied = foDenied
	}
	if denied != nil {
		s.failFO(w, r, denied)
		return
	}
	done, ok := s.enterFO(w, r)
	if !ok {
		return
	}
	defer done()
	w.Header().Set("Content-Type", "application/xml")
	root := branch("ABOUT", foNode{name: "API-VERSION", attrs: ` MAJOR="1" MINOR="4"`}, leaf("WEB-VERSION", "10.18.2.0-2"),
		leaf("SCANNER-VERSION", "12.10.24-1"), leaf("VULNSIGS-VERSION", "2.5.484-3"))
	_, _ = w.Write(document(root, "https://"+r.Host+"/about.dtd", false))
}

// maxLog bounds the activity log.
const maxLog = 1000

type activity struct {
	at                            time.Time
	user, role, api, action, text string
}

func (f *foStore) log(c *foCall) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.activities) == maxLog {
		f.activities = slices.Delete(f.activities, 0, maxLog/10)
	}
	f.activities = append(f.activities, activity{c.now, c.user.Username, c.user.role(), c.api, c.action, c.params["ips"]})
}

// activityLog serves /api/2.0/fo/activity_log/: CSV, the newest entry first. Only the call is documented publicly, as a
// probe; the columns are our reading.
func (s *Server) activityLog(w http.ResponseWriter, c *foCall) {
	limit := maxLog
	if n, err := strconv.Atoi(c.get("truncation_limit")); err == nil && n > 0 {
		limit = n
	}
	s.fo.mu.Lock()
	activities := slices.Clone(s.fo.activities) // written outside of the lock: a client may read slowly
	s.fo.mu.Unlock()
	w.Header().Set("Content-Type", "text/csv;charset=UTF-8")
	_, _ = io.WriteString(w, "----BEGIN_RESPONSE_BODY_CSV\n")
	out := csv.NewWriter(w)
	_ = out.Write([]string{"Date", "Action", "Module", "Details", "User Name", "User Role", "User IP"})
	for _, a := range slices.Backward(activities) {
		if name := c.get("username"); name != "" && name != a.user {
			continue
		}
		if limit == 0 {
			break
		}
		limit--
		_ = out.Write([]string{stampFO(a.at), a.action, a.api, a.text, a.user, a.role, "192.0.2.1"})
	}
	out.Flush()
	_, _ = io.WriteString(w, "----END_RESPONSE_BODY_CSV\n")
}

// enterFO applies the limits of an FO API: 409 with code 1960 for concurrency, which is checked first, and 1965 for the
// rolling window. The headers are there without limits as well only when some limit is set.
func (s *Server) enterFO(w http.ResponseWriter, r *http.Request) (done func(), ok bool) {
	limits, form := s.limiter.settings()
	done, a := s.limiter.enter(foEndpoint(r.URL.Path))
	h := w.Header()
	if limits.Calls > 0 {
		h.Set("X-RateLimit-Limit", strconv.Itoa(limits.Calls))
		h.Set("X-RateLimit-Window-Sec", strconv.Itoa(int(limits.Window/time.Second)))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(a.remaining))
		if a.ok || form != BlockedWaitOnRetry || !a.first {
			h.Set("X-RateLimit-ToWait-Sec", strconv.Itoa(a.wait))
		}
	}
	if limits.Concurrency > 0 {
		h.Set("X-Concurrency-Limit-Limit", strconv.Itoa(limits.Concurrency))
		h.Set("X-Concurrency-Limit-Running", strconv.Itoa(a.running))
	}
	switch {
	case a.ok:
		return done, true
	case a.crowded:
		h.Set("X-RateLimit-ToWait-Sec", "0")
		s.failFO(w, r, &foError{http.StatusConflict, 1960, "The maximum number of concurrent calls of this API has been reached."})
	default:
		s.failFO(w, r, &foError{http.StatusConflict, 1965, "This API cannot be run again for another " + strconv.Itoa(a.wait) + " seconds."})
	}
	return nil, false
}

// mountSettings adds /_sim/settings: GET shows, POST changes {"limits":"2/300/3600","blocked":"empty-body",
// "connectorDelay":"5s","integration":true}; what is left out stays.
func (s *Server) mountSettings(mux *http.ServeMux) {
	type settings struct {
		Limits  *string `json:"limits,omitempty"`
		Blocked *Choice `json:"blocked,omitempty"`
		// ConnectorDelay is how long published assets take; Integration is the switch of the integration with ServiceNow.
		ConnectorDelay *string `json:"connectorDelay,omitempty"`
		Integration    *bool   `json:"integration,omitempty"`
	}
	mux.HandleFunc("GET "+control.Prefix+"settings", func(w http.ResponseWriter, _ *http.Request) {
		l, form := s.limiter.settings()
		text := strconv.Itoa(l.Concurrency) + "/" + strconv.Itoa(l.Calls) + "/" + strconv.Itoa(int(l.Window/time.Second))
		delay, on := time.Duration(s.connectorDelay.Load()).String(), !s.unintegrated.Load()
		control.WriteJSON(w, http.StatusOK, settings{&text, &form, &delay, &on})
	})
	mux.HandleFunc("POST "+control.Prefix+"settings", func(w http.ResponseWriter, r *http.Request) {
		var in settings
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, formLimit))
		d.DisallowUnknownFields()
		err := d.Decode(&in)
		limits, form := s.limiter.settings()
		if err == nil && in.Limits != nil {
			limits, err = ParseLimits(*in.Limits)
		}
		if err != nil {
			http.Error(w, "qualys: settings: "+err.Error(), http.StatusBadRequest)
			return
		}
		if in.Blocked != nil {
			form = *in.Blocked
			if !slices.Contains([]Choice{BlockedDocumented, BlockedEmptyBody, BlockedEmptyHeaders, BlockedWaitOnRetry}, form) {
				http.Error(w, "qualys: settings: unknown form "+string(form), http.StatusBadRequest)
				return
			}
		}
		if in.ConnectorDelay != nil {
			delay, err := time.ParseDuration(*in.ConnectorDelay)
			if err != nil || delay < 0 {
				http.Error(w, "qualys: settings: connectorDelay is a duration such as 5s", http.StatusBadRequest)
				return
			}
			s.connectorDelay.Store(int64(delay))
		}
		if in.Integration != nil {
			s.unintegrated.Store(!*in.Integration)
		}
		s.limiter.set(limits, form)
		w.WriteHeader(http.StatusNoContent)
	})
}

func (s *Server) resetSettings() {
	s.limiter.set(s.opts.Limits, s.opts.Blocked)
	s.connectorDelay.Store(int64(s.opts.ConnectorDelay))
	s.unintegrated.Store(s.opts.NoIntegration)
}
