package servicenow

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// acl hides records of a table (its descendants included) from everybody who
// has none of the roles. Without a query it closes the whole table.
type acl struct {
	Table string   `json:"table"`
	Query string   `json:"query"`
	Roles []string `json:"roles"`
}

type aclList struct {
	mu   sync.Mutex
	list []acl
}

func (a *aclList) set(list []acl) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = list
}

// serveACLs is POST /_sim/acls: it replaces all rules; [] removes them.
func (s *Server) serveACLs(w http.ResponseWriter, req *http.Request) {
	var list []acl
	if err := json.NewDecoder(io.LimitReader(req.Body, 1<<20)).Decode(&list); err != nil {
		writeError(w, http.StatusBadRequest, "bad acls", err.Error())
		return
	}
	s.acls.set(list)
	writeJSON(w, http.StatusOK, map[string]int{"acls": len(list)})
}

// aclsFor returns what a caller must not see of a table: the whole table, or
// the records that one of the queries matches. Other roles than the rule's and
// admin are shut out.
func (s *Server) aclsFor(req *http.Request, t *table) (closed bool, hidden []*query) {
	s.acls.mu.Lock()
	list := slices.Clone(s.acls.list)
	s.acls.mu.Unlock()
	for _, a := range list {
		base := s.store.lookupTable(a.Table)
		if base == nil || !t.isA(base) || allowedRole(req, a.Roles...) {
			continue
		}
		if a.Query == "" {
			return true, nil
		}
		hidden = append(hidden, parseQuery(a.Query))
	}
	return false, hidden
}

func (s *store) hides(hidden []*query, r *row) bool {
	return slices.ContainsFunc(hidden, func(q *query) bool { return s.matches(q, r) })
}

// permitted checks a call of the Table API for ACLs; false after the refusal.
// Hidden records look as if they did not exist.
func (s *Server) permitted(w http.ResponseWriter, req *http.Request, t *table, rest []string) bool {
	closed, hidden := s.aclsFor(req, t)
	if closed {
		writeError(w, http.StatusForbidden, "Insufficient rights to query records", nil)
		return false
	}
	if len(rest) < 2 || len(hidden) == 0 {
		return true
	}
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	if r := s.store.record(t, strings.ToLower(rest[1])); r != nil && s.store.hides(hidden, r) {
		noRecord(w)
		return false
	}
	return true
}
