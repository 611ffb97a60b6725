package servicenow

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// serveImport is the Import Set API. rest is the staging table and perhaps a
// row's sys_id or "insertMultiple".
func (s *Server) serveImport(w http.ResponseWriter, req *http.Request, rest []string) {
	base, t := s.store.lookupTable("sys_import_set_row"), s.store.lookupTable(rest[0])
	if t == nil || !t.isA(base) {
		writeError(w, http.StatusBadRequest, "Invalid staging table "+rest[0], "Table "+rest[0]+" is no import set table")
		return
	}
	if !allowedRole(req, "import_transformer") {
		writeError(w, http.StatusForbidden, "Operation Failed", "ACL Exception Insufficient rights to access the resource")
		return
	}
	switch {
	case req.Method == http.MethodGet && len(rest) == 2:
		s.showImported(w, req, t, rest[1])
	case req.Method == http.MethodPost && len(rest) == 1:
		s.importRecords(w, req, t, false)
	case req.Method == http.MethodPost && len(rest) == 2 && rest[1] == "insertMultiple":
		s.importRecords(w, req, t, true)
	default:
		writeError(w, http.StatusMethodNotAllowed, "Method not Supported", nil)
	}
}

// importRecords stores one record or many and runs the transform maps.
func (s *Server) importRecords(w http.ResponseWriter, req *http.Request, t *table, multiple bool) {
	if !jsonMedia(w, req) {
		return
	}
	body, ok := s.readBody(w, req)
	if !ok {
		return
	}
	var many struct {
		Records []map[string]json.RawMessage `json:"records"`
	}
	var err error
	if multiple {
		err = json.Unmarshal(body, &many)
	} else {
		many.Records = make([]map[string]json.RawMessage, 1)
		err = json.Unmarshal(body, &many.Records[0])
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, "Exception while reading request", "The payload is not valid JSON.")
		return
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	st, tx := s.store, s.store.begin()
	sets := st.schema.tables["sys_import_set"]
	number := fmt.Sprintf("ISET%07d", 10001+len(sets.rows))
	multi := orDefault(req.URL.Query().Get("multi_import_set_id"), stableID("multi", number).String())
	n := st.schema.nums
	set := tx.insert(sets, sysID{}, []field{{n["number"], number}, {n["table_name"], t.name}, {n["state"], "processed"}, {n["multi_import_set_id"], multi}})
	var result []map[string]string
	for _, record := range many.Records {
		values := flat(record)
		if multiple && !st.byColumnName(t) {
			values = byLabel(t, values)
		}
		fields := st.tableFields(t, nil, values, true)
		result = st.transform(tx, tx.insert(t, sysID{}, setField(fields, n["sys_import_set"], set.id.String())), origin(req))
	}
	if err := tx.commit(); err != nil {
		tx.rollback()
		writeError(w, http.StatusInternalServerError, "Unexpected error", err.Error())
		return
	}
	if multiple {
		writeJSON(w, http.StatusCreated, map[string]string{"import_set_id": set.id.String(), "multi_import_set_id": multi})
		return
	}
	writeJSON(w, http.StatusCreated, map[string]any{"import_set": number, "staging_table": t.name, "result": result})
}

// flat turns every value into text; what is not a scalar stays JSON text, which
// is how nested objects get mangled.
func flat(in map[string]json.RawMessage) map[string]string {
	out := make(map[string]string, len(in))
	for k, raw := range in {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		out[k] = text
	}
	return out
}

// byLabel names values by column; multiple inserts use labels unless a record
// of sys_rest_insert_multiple says otherwise.
func byLabel(t *table, values map[string]string) map[string]string {
	out := map[string]string{}
	for _, c := range t.order {
		if v, ok := values[labelOf(c.name)]; ok {
			out[c.name] = v
		}
	}
	return out
}

func (s *store) byColumnName(t *table) bool {
	for _, x := range s.schema.tables["sys_rest_insert_multiple"].rows {
		if s.value(x, "source_table") == t.name && s.value(x, "column_key") == "column_name" {
			return true
		}
	}
	return false
}

// transform runs the active transform maps of a staging row, in the order of
// their creation; a map writes its target table directly, not through the IRE.
func (s *store) transform(tx *tx, staged *row, origin string) []map[string]string {
	out := []map[string]string{}
	for _, m := range s.schema.tables["sys_transform_map"].rows {
		if s.value(m, "active") != "true" || s.value(m, "source_table") != staged.table.name {
			continue
		}
		entry := map[string]string{"transform_map": s.value(m, "name"), "table": s.value(m, "target_table")}
		target, fields := s.schema.tables[entry["table"]], staged.fields()
		fields = setField(fields, s.schema.nums["sys_transform_map"], m.id.String())
		if target == nil {
			entry["status"], entry["error_message"] = "error", "No target table "+entry["table"]
		} else {
			r, status := s.transformInto(tx, m, staged, target)
			entry["status"], entry["sys_id"], entry["record_link"] = status, r.id.String(), origin+"/api/now/table/"+target.name+"/"+r.id.String()
			entry["display_name"], entry["display_value"] = target.display, s.value(r, target.display)
			fields = setField(fields, s.schema.nums["sys_target_sys_id"], r.id.String())
		}
		fields = setField(fields, s.schema.nums["sys_target_table"], entry["table"])
		fields = setField(fields, s.schema.nums["sys_import_state"], entry["status"])
		tx.write(staged, staged.table, fields, false)
		out = append(out, entry)
	}
	return out
}

// transformInto finds the target by the coalesce columns and writes it.
func (s *store) transformInto(tx *tx, m, staged *row, target *table) (*row, string) {
	values, keys, keyValues := map[string]string{}, []string{}, []string{}
	for _, e := range s.schema.tables["sys_transform_entry"].rows {
		if s.value(e, "map") != m.id.String() || target.columns[s.value(e, "target_field")] == nil {
			continue
		}
		name, v := s.value(e, "target_field"), s.value(staged, s.value(e, "source_field"))
		values[name] = v
		if s.value(e, "coalesce") == "true" && v != "" {
			keys, keyValues = append(keys, name), append(keyValues, v)
		}
	}
	var found *row
	if len(keys) > 0 {
		s.indexOn(target, keys).find(keyValues, func(x *row) {
			if x.table.isA(target) && (found == nil || x.seq < found.seq) { // the index may be an ancestor's
				found = x
			}
		})
	}
	if found == nil {
		return tx.insert(target, sysID{}, s.tableFields(target, nil, values, true)), "inserted"
	}
	fields := s.tableFields(found.table, found.fields(), values, true)
	if packFields(fields) == found.data {
		return found, "ignored"
	}
	tx.write(found, found.table, fields, true)
	return found, "updated"
}

func (s *Server) showImported(w http.ResponseWriter, req *http.Request, t *table, text string) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	st := s.store
	r := st.record(t, text)
	if r == nil {
		noRecord(w)
		return
	}
	entry := map[string]string{"transform_map": st.value(r, "sys_transform_map.name"), "table": st.value(r, "sys_target_table"), "status": st.value(r, "sys_import_state")}
	if id := st.value(r, "sys_target_sys_id"); id != "" {
		entry["sys_id"], entry["record_link"] = id, origin(req)+"/api/now/table/"+entry["table"]+"/"+id
		entry["display_name"], entry["display_value"] = st.schema.tables[entry["table"]].display, st.displayOf(id)
	}
	writeJSON(w, http.StatusOK, map[string]any{"import_set": st.value(r, "sys_import_set.number"), "staging_table": t.name, "result": []any{entry}})
}
