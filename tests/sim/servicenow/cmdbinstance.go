package servicenow

import (
	"encoding/json"
	"net/http"
)

// instanceBody is what the CMDB Instance API takes; relations and targets are
// named by sys_id.
type instanceBody struct {
	Attributes map[string]string  `json:"attributes"`
	Source     string             `json:"source"`
	Inbound    []instanceRelation `json:"inbound_relations"`
	Outbound   []instanceRelation `json:"outbound_relations"`
}

type instanceRelation struct {
	Type   string `json:"type"`
	Target string `json:"target"`
}

// serveInstance is the CMDB Instance API: one CI per call, written through the
// IRE. rest is class, perhaps sys_id, "relation" and the relation's sys_id.
func (s *Server) serveInstance(w http.ResponseWriter, req *http.Request, rest []string) {
	if !allowedRole(req, "itil") {
		writeError(w, http.StatusForbidden, "Operation Failed", "ACL Exception Insufficient rights to access the resource")
		return
	}
	t := s.store.lookupTable(rest[0])
	if t == nil || !t.isCI {
		writeError(w, http.StatusBadRequest, "Invalid table "+rest[0], "Table "+rest[0]+" does not exist")
		return
	}
	method, depth := req.Method, len(rest)
	relations := depth > 2 && rest[2] == "relation"
	switch {
	case method == http.MethodGet && depth == 1:
		s.listInstances(w, req, t)
	case method == http.MethodGet && depth == 2:
		s.showInstance(w, req, t, rest[1])
	case method == http.MethodPost && (depth == 1 || depth == 3 && relations),
		(method == http.MethodPut || method == http.MethodPatch) && depth == 2:
		s.writeInstance(w, req, t, rest)
	case method == http.MethodDelete && depth == 4 && relations:
		s.removeRelation(w, t, rest[1], rest[3])
	default:
		writeError(w, http.StatusMethodNotAllowed, "Method not Supported", nil)
	}
}

func (s *Server) listInstances(w http.ResponseWriter, req *http.Request, t *table) {
	p := req.URL.Query()
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	rows := s.store.selectRows(t, parseQuery(p.Get("sysparm_query")))
	rows = rows[min(nonNegative(p, "sysparm_offset", 0), len(rows)):]
	out := []map[string]string{}
	for _, r := range rows[:min(nonNegative(p, "sysparm_limit", 1000), len(rows))] {
		out = append(out, map[string]string{"sys_id": r.id.String(), "name": s.store.value(r, "name")})
	}
	writeJSON(w, http.StatusOK, map[string]any{"result": out})
}

func (s *Server) showInstance(w http.ResponseWriter, req *http.Request, t *table, text string) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	r := s.store.record(t, text)
	if r == nil {
		noRecord(w)
		return
	}
	sh, attributes := shape{s: s.store, display: "all", origin: origin(req)}, map[string]any{}
	for _, c := range r.table.order {
		attributes[c.name] = s.store.value(r, c.name)
		if c.ref != "" && attributes[c.name] != "" {
			attributes[c.name] = sh.cell(r, c.name)
		}
	}
	for _, c := range systemColumns() {
		attributes[c] = s.store.value(r, c)
	}
	side := func(x *index, other string) []map[string]any {
		out := []map[string]any{}
		x.find([]string{r.id.String()}, func(rel *row) {
			out = append(out, map[string]any{"sys_id": rel.id.String(), "type": sh.cell(rel, "type"), "target": sh.cell(rel, other)})
		})
		return out
	}
	writeJSON(w, http.StatusOK, map[string]any{"result": map[string]any{"attributes": attributes,
		"outbound_relations": side(s.store.ix.relParent, "child"), "inbound_relations": side(s.store.ix.relChild, "parent")}})
}

// writeInstance sends one CI, and the targets of its relations, through the IRE.
func (s *Server) writeInstance(w http.ResponseWriter, req *http.Request, t *table, rest []string) {
	if !jsonMedia(w, req) {
		return
	}
	body, ok := s.readBody(w, req)
	if !ok {
		return
	}
	var in instanceBody
	if err := json.Unmarshal(body, &in); err != nil {
		writeError(w, http.StatusBadRequest, "Exception while reading request", "The payload is not valid JSON.")
		return
	}
	if in.Source == "" {
		writeError(w, http.StatusBadRequest, "Invalid request", "Missing required field: source")
		return
	}
	values, class := in.Attributes, t.name
	if len(rest) > 1 {
		s.store.mu.RLock()
		r := s.store.record(t, rest[1])
		s.store.mu.RUnlock()
		if r == nil {
			noRecord(w)
			return
		}
		values, class = map[string]string{"sys_id": rest[1]}, r.table.name
		if len(rest) == 2 {
			for k, v := range in.Attributes {
				if k != "sys_id" {
					values[k] = v
				}
			}
		}
	}
	raw, err := s.instancePayload(class, values, in)
	var p *payload
	if err == nil {
		p, err = parsePayload(raw)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, "Invalid request", err.Error())
		return
	}
	answer, err := s.identifyAndReconcile(in.Source, p, ireOptions{})
	switch {
	case err != nil:
		writeError(w, http.StatusInternalServerError, "Unexpected error", err.Error())
	case answer.Result.HasError:
		writeJSON(w, http.StatusBadRequest, answer)
	default:
		s.showInstance(w, req, s.store.lookupTable("cmdb_ci"), answer.Result.Items[0].SysID)
	}
}

// instancePayload writes the IRE payload: item 0 is the CI, the others are the
// targets, known by sys_id.
func (s *Server) instancePayload(class string, values map[string]string, in instanceBody) ([]byte, error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	items := []map[string]any{{"className": class, "values": values}}
	relations := []map[string]any{}
	for n, rel := range append(append([]instanceRelation{}, in.Outbound...), in.Inbound...) {
		target, kind := s.store.record(s.store.schema.tables["cmdb_ci"], rel.Target), rel.Type
		if r := s.store.record(s.store.schema.tables["cmdb_rel_type"], rel.Type); r != nil {
			kind = s.store.value(r, "name")
		}
		targetClass := "cmdb_ci"
		if target != nil {
			targetClass = target.table.name
		}
		items = append(items, map[string]any{"className": targetClass, "values": map[string]string{"sys_id": rel.Target}})
		parent, child := 0, n+1
		if n >= len(in.Outbound) {
			parent, child = child, parent
		}
		relations = append(relations, map[string]any{"parent": parent, "child": child, "type": kind})
	}
	return json.Marshal(map[string]any{"items": items, "relations": relations})
}

func (s *Server) removeRelation(w http.ResponseWriter, t *table, text, relation string) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	ci, rel := s.store.record(t, text), s.store.record(s.store.schema.tables["cmdb_rel_ci"], relation)
	if ci == nil || rel == nil || s.store.value(rel, "parent") != text && s.store.value(rel, "child") != text {
		noRecord(w)
		return
	}
	tx := s.store.begin()
	tx.remove(rel)
	if err := tx.commit(); err != nil {
		tx.rollback()
		writeError(w, http.StatusInternalServerError, "Unexpected error", err.Error())
		return
	}
	w.WriteHeader(http.StatusOK)
}
