package servicenow

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/fault"
)

// buildHandler puts the parts of the instance together: recorder, fault plan,
// control API, token endpoint and the authenticated API.
func (s *Server) buildHandler() error {
	plan, err := fault.Parse(s.opt.Faults)
	if err != nil {
		return fmt.Errorf("servicenow: faults: %w", err)
	}
	plan.SetClock(s.opt.Now)
	s.recorder = control.New(s.opt.Now)
	mux := http.NewServeMux()
	s.recorder.Mount(mux)
	plan.Mount(mux)
	mux.HandleFunc("GET /_sim/digest", s.serveDigest)
	mux.HandleFunc("POST /_sim/reset", s.serveReset)
	mux.HandleFunc("GET /_sim/rules", s.serveRuleList)
	mux.HandleFunc("POST /_sim/rules", s.serveRuleChange)
	mux.HandleFunc("POST /_sim/users", s.serveUser)
	mux.HandleFunc("POST /_sim/oauth", s.serveClient)
	mux.HandleFunc("POST /_sim/acls", s.serveACLs)
	mux.HandleFunc("POST /_sim/instance", s.serveInstanceState)
	mux.HandleFunc("POST /_sim/expire-tokens", func(w http.ResponseWriter, _ *http.Request) {
		s.auth.expire()
		writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	})
	mux.HandleFunc("/oauth_token.do", s.serveToken)
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		if f := fault.From(req.Context()); f != nil && f.Kind == fault.ExpireJWT {
			s.auth.expire()
		}
		if authed, ok := s.authenticate(w, req); ok && s.admit(w, authed) {
			s.queued(w, authed, func() { s.api(w, authed) })
		}
	})
	dated := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Date", s.opt.Now().UTC().Format(http.TimeFormat))
		if !s.unavailable(w, req) {
			answer := held{ResponseWriter: w}
			mux.ServeHTTP(&answer, req)
			answer.send()
		}
	})
	s.handler = s.recorder.Wrap(Endpoint, plan.Middleware(Endpoint, s.clonedBack(dated)))
	return nil
}

// Endpoint names a call for counters and fault plans: "ire", "ire.enhanced",
// "ire.query", "ire.queryEnhanced", "table.get" (and post, put, patch, delete),
// "stats", "batch", "import", "instance", "meta", "oauth", "other".
func Endpoint(req *http.Request) string {
	if req.URL.Path == "/oauth_token.do" {
		return "oauth"
	}
	kind, rest := route(req.URL.Path)
	switch kind {
	case "identifyreconcile":
		if len(rest) == 0 {
			return "ire"
		}
		for _, v := range []string{"enhanced", "query", "queryEnhanced"} {
			if rest[0] == v {
				return "ire." + v
			}
		}
	case "table":
		return "table." + strings.ToLower(req.Method)
	case "stats", "batch", "import":
		return kind
	case "cmdb":
		if len(rest) > 0 && (rest[0] == "meta" || rest[0] == "instance") {
			return rest[0]
		}
	}
	return "other"
}

// serveReset empties the instance: records, journal and rules are as at the
// first start.
func (s *Server) serveReset(w http.ResponseWriter, _ *http.Request) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	fresh, err := newStore(s.opt.Now, s.opt.Seed)
	if err == nil {
		err = fresh.seed(s.opt)
	}
	if err == nil && s.store.journal != nil {
		err = s.store.journal.reset()
	}
	if err != nil {
		writeError(w, http.StatusInternalServerError, "reset failed", err.Error())
		return
	}
	st := s.store
	st.schema, st.rules, st.relType, st.rows, st.ix = fresh.schema, fresh.rules, fresh.relType, fresh.rows, fresh.ix
	st.seq = fresh.seq
	st.refresh()
	s.recorder.Reset()
	s.trouble.reset()
	s.acls.set(nil)
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
}

// serveRuleList shows the active rules with their evidence grades.
func (s *Server) serveRuleList(w http.ResponseWriter, _ *http.Request) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	writeJSON(w, http.StatusOK, map[string]any{"rules": s.store.rules.rules, "dependencies": s.store.rules.dependencies})
}

// ruleChange is the body of POST /_sim/rules: remove the rules of classes, put
// rules, and replace the containment rules of dependent classes.
type ruleChange struct {
	Remove             []string      `json:"remove"`
	Put                []*rule       `json:"put"`
	RemoveDependencies []string      `json:"removeDependencies"` // dependent classes
	PutDependencies    []*dependency `json:"putDependencies"`
}

func (s *Server) serveRuleChange(w http.ResponseWriter, req *http.Request) {
	var change ruleChange
	if err := json.NewDecoder(io.LimitReader(req.Body, 1<<20)).Decode(&change); err != nil {
		writeError(w, http.StatusBadRequest, "bad rules", err.Error())
		return
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if err := s.store.changeRules(change); err != nil {
		writeError(w, http.StatusBadRequest, "bad rules", err.Error())
		return
	}
	writeJSON(w, http.StatusOK, map[string]int{"rules": len(s.store.rules.rules), "dependencies": len(s.store.rules.dependencies)})
}

func (s *store) changeRules(c ruleChange) error {
	for _, class := range c.Remove {
		if s.rules.rules[class] == nil {
			return fmt.Errorf("servicenow: class %s has no rule of its own", class)
		}
		delete(s.rules.rules, class)
	}
	for _, r := range c.Put {
		if err := s.setRule(r); err != nil {
			return err
		}
	}
	for _, class := range c.RemoveDependencies {
		kept := s.rules.dependencies[:0]
		for _, d := range s.rules.dependencies {
			if d.dependent().name != class {
				kept = append(kept, d)
			}
		}
		s.rules.dependencies = kept
	}
	for _, d := range c.PutDependencies {
		if err := s.addDependency(d); err != nil {
			return err
		}
	}
	return nil
}

// serveUser adds or replaces a user, for tests of roles and credentials.
func (s *Server) serveUser(w http.ResponseWriter, req *http.Request) {
	var u account
	if err := json.NewDecoder(io.LimitReader(req.Body, 1<<20)).Decode(&u); err != nil || u.Username == "" {
		writeError(w, http.StatusBadRequest, "bad user", "username, password and roles are needed")
		return
	}
	s.auth.put(u)
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
}
