package servicenow

import (
	"net/http"
	"strings"
)

// writeRecord inserts (POST) or changes (PUT, PATCH) one record. Unknown
// columns are ignored and an empty string clears a column. CIs written here
// bypass identification, as on an instance.
func (s *Server) writeRecord(w http.ResponseWriter, req *http.Request, t *table, rest []string) {
	if !jsonMedia(w, req) {
		return
	}
	body, ok := s.readBody(w, req)
	if !ok {
		return
	}
	values, err := decodeRecord(body)
	if err != nil {
		writeError(w, http.StatusBadRequest, "Exception while reading request", "The payload is not valid JSON.")
		return
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	tx, status := s.store.begin(), http.StatusOK
	var r *row
	if len(rest) == 1 {
		status = http.StatusCreated
		r = tx.insert(t, sysID{}, s.store.tableFields(t, nil, values, req.URL.Query().Get("sysparm_input_display_value") == "true"))
	} else {
		if r = s.store.record(t, rest[1]); r == nil {
			noRecord(w)
			return
		}
		fields := s.store.tableFields(r.table, r.fields(), values, req.URL.Query().Get("sysparm_input_display_value") == "true")
		if packFields(fields) != r.data {
			tx.write(r, r.table, fields, true)
		}
	}
	if err := tx.commit(); err != nil {
		tx.rollback()
		writeError(w, http.StatusInternalServerError, "Unexpected error", err.Error())
		return
	}
	if status == http.StatusCreated {
		w.Header().Set("Location", origin(req)+"/api/now/table/"+t.name+"/"+r.id.String())
	}
	if req.Header.Get("X-no-response-body") == "true" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeJSON(w, status, map[string]any{"result": s.shapeOf(req).record(r)})
}

// tableFields merges the values of a write into a record's columns.
func (s *store) tableFields(t *table, fields []field, values map[string]string, display bool) []field {
	for _, name := range sortedKeys(values) {
		col, v := t.columns[name], values[name]
		if col == nil {
			continue
		}
		if col.ref != "" && v != "" {
			if _, isID := parseSysID(v); display || !isID {
				v = s.byDisplay(col.ref, v)
			}
		}
		fields = setField(fields, col.num, s.normalise(col, v))
	}
	return fields
}

func (s *Server) deleteRecord(w http.ResponseWriter, _ *http.Request, t *table, text string) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	r := s.store.record(t, text)
	if r == nil {
		noRecord(w)
		return
	}
	tx := s.store.begin()
	tx.remove(r)
	if err := tx.commit(); err != nil {
		tx.rollback()
		writeError(w, http.StatusInternalServerError, "Unexpected error", err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// serveStats is the Aggregate API.
func (s *Server) serveStats(w http.ResponseWriter, req *http.Request, name string) {
	t := s.store.lookupTable(name)
	if t == nil {
		writeError(w, http.StatusBadRequest, "Invalid table "+name, "Table "+name+" does not exist")
		return
	}
	if req.Method != http.MethodGet {
		writeError(w, http.StatusMethodNotAllowed, "Method not Supported", nil)
		return
	}
	if !s.permitted(w, req, t, nil) {
		return
	}
	params := req.URL.Query()
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	rows := s.store.selectRows(t, parseQuery(params.Get("sysparm_query")))
	groupBy := splitList(params.Get("sysparm_group_by"))
	if len(groupBy) == 0 {
		writeJSON(w, http.StatusOK, map[string]any{"result": map[string]any{"stats": s.store.aggregate(rows, params)}})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"result": s.store.grouped(t, rows, groupBy, params)})
}

func splitList(text string) []string {
	var out []string
	for _, f := range strings.Split(text, ",") {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}
