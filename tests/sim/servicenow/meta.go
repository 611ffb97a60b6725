package servicenow

import (
	"net/http"
	"strconv"
	"strings"
)

type metaAttribute struct {
	Element     string `json:"element"`
	Label       string `json:"label"`
	Type        string `json:"type"`
	MaxLength   string `json:"max_length"`
	Default     any    `json:"default_value"`
	IsInherited string `json:"is_inherited"`
	IsMandatory string `json:"is_mandatory"`
	IsReadOnly  string `json:"is_read_only"`
	IsDisplay   string `json:"is_display"`
}

type metaEntry struct {
	Order           int    `json:"order"`
	Table           any    `json:"table"`
	Attributes      string `json:"attributes"`
	Condition       any    `json:"condition"`
	ReferencedField any    `json:"referenced_field"`
	ExactCountMatch bool   `json:"exact_count_match"`
	AllowFallback   bool   `json:"allow_fallback"`
	AllowNull       bool   `json:"allow_null_attribute"`
	Active          bool   `json:"active"`
}

// serveMeta is GET /api/now/cmdb/meta/{class}: hierarchy, columns, containment
// and identification rules of a class.
func (s *Server) serveMeta(w http.ResponseWriter, req *http.Request, class string) {
	if req.Method != http.MethodGet {
		writeError(w, http.StatusMethodNotAllowed, "Method not Supported", nil)
		return
	}
	if !allowedRole(req, "itil") {
		writeError(w, http.StatusForbidden, "Operation Failed", "ACL Exception Insufficient rights to access the resource")
		return
	}
	t := s.store.lookupTable(class)
	if t == nil || !t.isCI && t.name != "cmdb" && (!s.opt.Settings.MetaOfRecords || !strings.HasPrefix(t.name, "cmdb_")) {
		noRecord(w)
		return
	}
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	parent := ""
	if t.parent != nil {
		parent = t.parent.name
	}
	children := []string{}
	for _, c := range t.children {
		children = append(children, c.name)
	}
	out := map[string]any{"name": t.name, "label": t.label, "parent": parent, "children": children, "icon": "", "icon_url": "",
		"is_extendable": true, "attributes": t.metaAttributes(), "relationship_rules": s.store.metaRelations(t),
		"identification_rules": metaRule(s.store.rules.forClass(t))}
	writeJSON(w, http.StatusOK, map[string]any{"result": out})
}

func (t *table) metaAttributes() []metaAttribute {
	out := make([]metaAttribute, 0, len(t.order))
	for _, c := range t.order {
		fallback := any(nil)
		if c.fallback != "" {
			fallback = c.fallback
		}
		out = append(out, metaAttribute{c.name, labelOf(c.name), c.kind, strconv.Itoa(c.maxLength()), fallback,
			strconv.FormatBool(c.owner != t), strconv.FormatBool(c.mandatory), "false", strconv.FormatBool(c.name == t.display)})
	}
	return out
}

// maxLength is the length of a column, its type's when it has none of its own.
func (c *column) maxLength() int {
	switch {
	case c.length > 0:
		return c.length
	case c.kind == "reference":
		return 32
	case c.kind == "glide_list":
		return 4000
	case c.kind != "string":
		return 40
	}
	return 255
}

func labelOf(element string) string {
	words := strings.Split(element, "_")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}

func (s *store) metaRelations(t *table) []map[string]string {
	out := []map[string]string{}
	for _, d := range s.rules.dependencies {
		kind := s.relType[d.Type]
		if kind == nil || !t.isA(d.parent) && !t.isA(d.child) {
			continue
		}
		out = append(out, map[string]string{"parent": d.Parent, "child": d.Child, "relation_type": kind.id.String()})
	}
	return out
}

func metaRule(r *rule) any {
	if r == nil {
		return map[string]any{}
	}
	entries := func(list []*ruleEntry) []metaEntry {
		out := make([]metaEntry, 0, len(list))
		for _, e := range list {
			m := metaEntry{Order: e.Priority, Attributes: strings.Join(append(append([]string{}, e.Attributes...), e.Hybrid...), ","),
				ExactCountMatch: e.Exact, AllowFallback: e.AllowFallback, AllowNull: e.AllowNull, Active: !e.Inactive}
			if e.Table != "" {
				m.Table, m.ReferencedField = e.Table, e.Reference
			}
			if e.Condition != "" {
				m.Condition = e.Condition
			}
			out = append(out, m)
		}
		return out
	}
	return map[string]any{"name": r.Name, "description": "", "active": true, "is_independent": !r.Dependent, "applies_to": r.Class,
		"identifiers": entries(r.Entries), "related_rules": entries(r.Related)}
}
