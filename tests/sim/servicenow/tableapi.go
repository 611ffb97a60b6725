package servicenow

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// serveTable is the Table API. rest holds the table and perhaps a sys_id.
func (s *Server) serveTable(w http.ResponseWriter, req *http.Request, rest []string) {
	t := s.store.lookupTable(rest[0])
	if t == nil {
		writeError(w, http.StatusBadRequest, "Invalid table "+rest[0], "Table "+rest[0]+" does not exist")
		return
	}
	method := req.Method
	if o := req.Header.Get("X-HTTP-Method-Override"); o != "" {
		method = o
	}
	if !s.permitted(w, req, t, rest) {
		return
	}
	switch {
	case method == http.MethodGet && len(rest) == 1:
		s.listRecords(w, req, t)
	case method == http.MethodGet:
		s.getRecord(w, req, t, rest[1])
	case method == http.MethodPost && len(rest) == 1, (method == http.MethodPatch || method == http.MethodPut) && len(rest) == 2:
		s.writeRecord(w, req, t, rest)
	case method == http.MethodDelete && len(rest) == 2:
		s.deleteRecord(w, req, t, rest[1])
	default:
		writeError(w, http.StatusMethodNotAllowed, "Method not Supported", nil)
	}
}

func noRecord(w http.ResponseWriter) {
	writeError(w, http.StatusNotFound, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
}

// listQuery turns request parameters into a query: sysparm_query, or plain
// field=value parameters, which the former excludes.
func listQuery(t *table, params url.Values) *query {
	text := params.Get("sysparm_query")
	if text == "" {
		var parts []string
		for name, v := range params {
			if _, known := t.columns[name]; known || systemColumn(name) {
				parts = append(parts, name+"="+v[0])
			}
		}
		slices.Sort(parts)
		text = strings.Join(parts, "^")
	}
	return parseQuery(text)
}

// selectRows returns the matching rows in the order asked for. The caller holds
// the read lock.
func (s *store) selectRows(t *table, q *query) []*row {
	var out []*row
	floor := q.floor()
	s.scan(t, q, func(r *row) {
		if bytes.Compare(r.id[:], floor[:]) >= 0 && s.matches(q, r) {
			out = append(out, r)
		}
	})
	if len(q.order) == 0 {
		sortRows(out, func(r *row) uint64 { return r.seq })
		return out
	}
	if q.order[0] == (orderKey{path: "sys_id"}) { // keyset paging over a whole table
		sortRows(out, func(r *row) uint64 { return binary.BigEndian.Uint64(r.id[:]) })
		return out
	}
	type keyed struct {
		r    *row
		keys []string
	}
	rows := make([]keyed, len(out))
	for i, r := range out {
		rows[i].r = r
		for _, k := range q.order {
			rows[i].keys = append(rows[i].keys, s.value(r, k.path))
		}
	}
	slices.SortStableFunc(rows, func(a, b keyed) int {
		for i, k := range q.order {
			c := s.compare(t, k.path, a.keys[i], b.keys[i])
			if k.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return cmp.Compare(a.r.seq, b.r.seq)
	})
	for i := range rows {
		out[i] = rows[i].r
	}
	return out
}

// floor is a sys_id below which no record can match: that of the condition by
// which a client pages through a table. Records below it are left out without
// a look at their columns.
func (q *query) floor() (least sysID) {
	if len(q.groups) != 1 {
		return least
	}
	for _, alternatives := range q.groups[0] {
		c := alternatives[0]
		id, ok := parseSysID(c.value)
		if len(alternatives) == 1 && c.path == "sys_id" && (c.op == ">" || c.op == ">=") && ok && id.String() == c.value && bytes.Compare(id[:], least[:]) > 0 {
			least = id
		}
	}
	return least
}

// sortRows sorts by a number, then by sys_id. The numbers are laid out side by
// side: following a pointer for each of the comparisons that a million rows
// need takes seconds.
func sortRows(rows []*row, key func(*row) uint64) {
	type keyed struct {
		key uint64
		r   *row
	}
	list := make([]keyed, len(rows))
	for i, r := range rows {
		list[i] = keyed{key(r), r}
	}
	slices.SortFunc(list, func(a, b keyed) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return bytes.Compare(a.r.id[:], b.r.id[:])
	})
	for i := range list {
		rows[i] = list[i].r
	}
}

// scan visits the rows a query may match: by sys_id or by an index when the
// query is one conjunction that names an indexed column, all rows otherwise.
func (s *store) scan(t *table, q *query, visit func(*row)) {
	if len(q.groups) == 1 {
		for _, alternatives := range q.groups[0] {
			c := alternatives[0]
			if len(alternatives) > 1 || c.op != "=" && c.op != "IN" || c.value == "" || c.value == "NULL" || strings.HasPrefix(c.value, "javascript:") {
				continue
			}
			values := []string{c.value}
			if c.op == "IN" {
				values = strings.Split(c.value, ",")
			}
			if s.scanIndexed(t, c.path, values, visit) {
				return
			}
		}
	}
	t.each(func(d *table) {
		for _, r := range d.rows {
			visit(r)
		}
	})
}

func (s *store) scanIndexed(t *table, path string, values []string, visit func(*row)) bool {
	if slices.Contains(values, "") {
		return false
	}
	seen := map[*row]bool{}
	once := func(r *row) {
		if r != nil && !seen[r] && r.table.isA(t) {
			seen[r] = true
			visit(r)
		}
	}
	if path == "sys_id" {
		for _, v := range values {
			if id, ok := parseSysID(strings.ToLower(v)); ok {
				once(s.rows[id])
			}
		}
		return true
	}
	col := t.columns[path]
	if col == nil {
		return false
	}
	x := s.bestIndex(t, col.num)
	if x == nil {
		return false
	}
	for _, v := range values {
		x.find([]string{v}, once)
	}
	return true
}

func nonNegative(params url.Values, name string, fallback int) int {
	n, err := strconv.Atoi(params.Get(name))
	if err != nil || n < 0 {
		return fallback
	}
	return n
}

func (s *Server) listRecords(w http.ResponseWriter, req *http.Request, t *table) {
	params := req.URL.Query()
	_, hidden := s.aclsFor(req, t)
	s.store.mu.RLock()
	q := listQuery(t, params)
	rows := s.store.selectRows(t, q)
	total := len(rows)
	limit, offset := nonNegative(params, "sysparm_limit", 10000), nonNegative(params, "sysparm_offset", 0)
	rows = rows[min(offset, total):]
	rows = rows[:min(limit, len(rows))]
	shape := s.shapeOf(req)
	out := make([]map[string]any, 0, len(rows))
	for _, r := range rows { // ACLs count after the limit: a page may be short
		if !s.store.hides(hidden, r) {
			out = append(out, shape.record(r))
		}
	}
	s.store.mu.RUnlock()
	if params.Get("sysparm_no_count") != "true" {
		w.Header().Set("X-Total-Count", strconv.Itoa(total))
	}
	if params.Get("sysparm_suppress_pagination_header") != "true" && limit > 0 {
		if link := pageLinks(req, limit, offset, total); link != "" {
			w.Header().Set("Link", link)
		}
	}
	if len(out) == 0 && strings.HasPrefix(req.URL.Path, "/api/now/v1/") { // the first version knows no empty list
		noRecord(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"result": out})
}

// pageLinks builds the Link header: first and last always, prev and next where
// there is such a page.
func pageLinks(req *http.Request, limit, offset, total int) string {
	if total <= limit && offset == 0 {
		return ""
	}
	link := func(rel string, at int) string {
		u := *req.URL
		q := u.Query()
		q.Set("sysparm_limit", strconv.Itoa(limit))
		q.Set("sysparm_offset", strconv.Itoa(at))
		u.RawQuery = q.Encode()
		return "<" + origin(req) + u.RequestURI() + `>;rel="` + rel + `"`
	}
	links := []string{link("first", 0)}
	if offset > 0 {
		links = append(links, link("prev", max(0, offset-limit)))
	}
	if limit < total-offset {
		links = append(links, link("next", offset+limit))
	}
	last := 0
	if total > 0 {
		last = (total - 1) / limit * limit
	}
	return strings.Join(append(links, link("last", last)), ",")
}

func origin(req *http.Request) string {
	scheme := "http"
	if req.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + req.Host
}

func (s *Server) getRecord(w http.ResponseWriter, req *http.Request, t *table, text string) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	r := s.store.record(t, text)
	if r == nil {
		noRecord(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"result": s.shapeOf(req).record(r)})
}

func (s *store) record(t *table, text string) *row {
	id, ok := parseSysID(text)
	r := s.rows[id]
	if !ok || r == nil || !r.table.isA(t) {
		return nil
	}
	return r
}

// shape is how records are shown: which columns, raw or display values.
type shape struct {
	s       *store
	fields  []string
	display string
	noLink  bool
	origin  string
}

func (s *Server) shapeOf(req *http.Request) shape {
	p := req.URL.Query()
	sh := shape{s: s.store, display: p.Get("sysparm_display_value"), noLink: p.Get("sysparm_exclude_reference_link") == "true", origin: origin(req)}
	for _, f := range strings.Split(p.Get("sysparm_fields"), ",") {
		if f = strings.TrimSpace(f); f != "" {
			sh.fields = append(sh.fields, f)
		}
	}
	return sh
}

// record shows one row; every value is a string or, for references, an object.
func (sh shape) record(r *row) map[string]any {
	out := map[string]any{}
	fields := sh.fields
	if fields == nil {
		fields = systemColumns()
		for _, c := range r.table.order {
			fields = append(fields, c.name)
		}
	}
	for _, f := range fields {
		if sh.s.validPath(r.table, f) {
			out[f] = sh.cell(r, f)
		}
	}
	return out
}

func (sh shape) cell(r *row, path string) any {
	v := sh.s.value(r, path)
	col := sh.s.columnAt(r.table, path)
	show := v
	if col != nil && col.ref != "" && v != "" {
		show = sh.s.displayOf(v)
	} else if sh.display == "true" || sh.display == "all" {
		show = sh.s.choiceLabel(col, v)
	}
	if sh.display == "all" {
		out := map[string]any{"display_value": show, "value": v}
		if col != nil && col.ref != "" && v != "" && !sh.noLink {
			out["link"] = sh.link(col.ref, v)
		}
		return out
	}
	if col == nil || col.ref == "" || v == "" {
		return show
	}
	if sh.display == "true" {
		if sh.noLink {
			return show
		}
		return map[string]any{"display_value": show, "link": sh.link(col.ref, v)}
	}
	if sh.noLink {
		return v
	}
	return map[string]any{"link": sh.link(col.ref, v), "value": v}
}

func (sh shape) link(table, id string) string {
	return sh.origin + "/api/now/table/" + table + "/" + id
}

func (s *store) columnAt(t *table, path string) *column {
	head, rest, walk := strings.Cut(path, ".")
	col := t.columns[head]
	if !walk || col == nil {
		return col
	}
	if ref := s.schema.tables[col.ref]; ref != nil {
		return s.columnAt(ref, rest)
	}
	return nil
}

func (s *store) displayOf(text string) string {
	id, ok := parseSysID(text)
	r := s.rows[id]
	if !ok || r == nil || r.table.display == "" {
		return text
	}
	return s.value(r, r.table.display)
}

// decodeRecord reads the flat object of a write; scalars of any type count.
func decodeRecord(body []byte) (map[string]string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, err
	}
	return scalars(raw)
}
