package servicenow

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The states of a whole instance that POST /_sim/instance sets.
const (
	stateUp          = "up"
	stateHibernating = "hibernating" // 200 with the hibernation page of a developer instance
	stateLogin       = "login"       // 200 with the login page, as behind single sign-on
	stateMaintenance = "maintenance" // 503 with a page
)

// statePage is the answer of an instance that is not up.
func statePage(state string) (status int, page string, down bool) {
	switch state {
	case stateHibernating:
		return http.StatusOK, "<html><head><title>Instance Hibernating page</title></head><body><h1>Your instance is hibernating</h1><p>Sign in to the site to wake your instance.</p></body></html>", true
	case stateLogin:
		return http.StatusOK, "<html><head><title>Log in</title></head><body><form action=\"login.do\"><input name=\"user_name\"/></form></body></html>", true
	case stateMaintenance:
		return http.StatusServiceUnavailable, "<html><head><title>Service Unavailable</title></head><body><h1>The instance is being upgraded</h1></body></html>", true
	}
	return 0, "", false
}

// trouble is the state of the instance and the calls counted for rate limits.
type trouble struct {
	mu     sync.Mutex
	state  string
	hour   int64
	counts map[string]int // by rule and user, of the present hour
}

// unavailable answers every API call while the instance is not up.
func (s *Server) unavailable(w http.ResponseWriter, req *http.Request) bool {
	s.trouble.mu.Lock()
	status, page, down := statePage(s.trouble.state)
	s.trouble.mu.Unlock()
	if !down || strings.HasPrefix(req.URL.Path, "/_sim/") {
		return false
	}
	w.Header().Set("Content-Type", "text/html;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, page) // a client that went away is no concern of the instance
	return true
}

// serveInstanceState is POST /_sim/instance {"state":"up|hibernating|login|maintenance"}.
func (s *Server) serveInstanceState(w http.ResponseWriter, req *http.Request) {
	var in struct {
		State string `json:"state"`
	}
	err := json.NewDecoder(io.LimitReader(req.Body, 1<<16)).Decode(&in)
	if _, _, known := statePage(in.State); err != nil || !known && in.State != stateUp {
		writeError(w, http.StatusBadRequest, "bad state", "want up, hibernating, login or maintenance")
		return
	}
	s.trouble.mu.Lock()
	s.trouble.state = in.State
	s.trouble.mu.Unlock()
	writeJSON(w, http.StatusOK, in)
}

func (t *trouble) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state, t.counts = stateUp, nil
}

// apiName is what the message of a 429 calls an API.
func apiName(kind string) string {
	switch kind {
	case "table":
		return "Table API"
	case "stats":
		return "Aggregate API"
	case "import":
		return "Import Set API"
	case "identifyreconcile":
		return "Identification and Reconciliation API"
	}
	return kind
}

// admit applies the inbound rate limit rules; false after the 429 was written.
// Without a matching rule no X-RateLimit header appears.
func (s *Server) admit(w http.ResponseWriter, req *http.Request) bool {
	u, _ := req.Context().Value(accountKey{}).(*account)
	kind, _ := route(req.URL.Path)
	if u == nil || kind == "" {
		return true
	}
	s.store.mu.RLock()
	id, limit := s.store.limitRule(kind, u)
	s.store.mu.RUnlock()
	if id == "" {
		return true
	}
	now := s.opt.Now().Unix()
	hour := now / 3600
	s.trouble.mu.Lock()
	if s.trouble.hour != hour || s.trouble.counts == nil {
		s.trouble.hour, s.trouble.counts = hour, map[string]int{}
	}
	s.trouble.counts[id+u.Username]++
	over := s.trouble.counts[id+u.Username] > limit
	s.trouble.mu.Unlock()
	reset := (hour + 1) * 3600
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(limit))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	w.Header().Set("X-RateLimit-Rule", id)
	if over {
		w.Header().Set("Retry-After", strconv.FormatInt(reset-now, 10))
		writeError(w, http.StatusTooManyRequests, "Rate limit exceeded", fmt.Sprintf("Rate limit of %d requests per hour for %s exceeded", limit, apiName(kind)))
	}
	return !over
}

// limitRule chooses the rule for a user: one for the user stands above one for
// a role, which stands above one for all; of several the lowest limit.
func (s *store) limitRule(api string, u *account) (id string, limit int) {
	best := 0
	for _, x := range s.schema.tables["sys_rate_limit_rules"].rows {
		n, err := strconv.Atoi(s.value(x, "request_limit"))
		if a := s.value(x, "api"); err != nil || s.value(x, "active") != "true" || a != "" && a != api {
			continue
		}
		level, user, role := 1, s.value(x, "user"), s.value(x, "role")
		switch {
		case user != "" && user != u.Username, user == "" && role != "" && !slices.Contains(u.Roles, role):
			continue
		case user != "":
			level = 3
		case role != "":
			level = 2
		}
		if level > best || level == best && n < limit {
			best, id, limit = level, x.id.String(), n
		}
	}
	return id, limit
}

// quota is the longest time that a transaction of an API may take, 0 for no
// limit. Rules live in sysrule_quota, in seconds.
func (s *store) quota(api string) time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, x := range s.schema.tables["sysrule_quota"].rows {
		n, err := strconv.Atoi(s.value(x, "max_duration"))
		if err == nil && n > 0 && s.value(x, "active") == "true" && s.value(x, "api") == api {
			return time.Duration(n) * time.Second
		}
	}
	return 0
}

// work lets the time of an IRE call pass and tells how many items are done
// before the quota ends the transaction: what is done by then stays committed.
func (s *Server) work(items int) (done int, cancelled bool) {
	wait := s.opt.Latency + time.Duration(items)*s.opt.LatencyPerItem
	limit := s.store.quota("identifyreconcile")
	if limit == 0 || wait <= limit {
		time.Sleep(wait)
		return items, false
	}
	time.Sleep(limit)
	if s.opt.LatencyPerItem > 0 && limit > s.opt.Latency {
		done = min(items, int((limit-s.opt.Latency)/s.opt.LatencyPerItem))
	}
	return done, true
}
