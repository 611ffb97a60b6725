package servicenow

import (
	"context"
	"net/http"
	"net/url"
	"slices"
)

// ClassMeta describes a CI class of the instance.
type ClassMeta struct {
	Name, Label, Parent string
	Children            []string
	Extendable          bool
	Columns             []ColumnMeta
	// Rules are the identification rules that apply to the class, its own or
	// those of the nearest ancestor. None: IRE refuses every item of the class
	// with IDENTIFICATION_RULE_MISSING.
	Rules []IdentificationRule
}

// Column returns the description of a column.
func (m *ClassMeta) Column(name string) (ColumnMeta, bool) {
	i := slices.IndexFunc(m.Columns, func(c ColumnMeta) bool { return c.Name == name })
	if i < 0 {
		return ColumnMeta{}, false
	}
	return m.Columns[i], true
}

// ColumnMeta describes a column of a class.
type ColumnMeta struct {
	Name, Label, Type              string
	MaxLength                      int // characters, 0 when the instance names none
	Default                        string
	Inherited, Mandatory, ReadOnly bool
}

// IdentificationRule says how IRE recognises a CI of a class.
type IdentificationRule struct {
	Name, AppliesTo     string
	Active, Independent bool
	Entries             []IdentifierEntry
	Related             []IdentifierEntry
}

// IdentifierEntry is one criterion of a rule; the smallest Order is tried first.
type IdentifierEntry struct {
	Order                                        int
	Table                                        string // lookup or related table; empty: the class itself
	Attributes                                   []string
	Condition                                    string
	Reference                                    string // column of Table that refers to the CI
	ExactCount, AllowFallback, AllowNull, Active bool
}

type wireClass struct {
	Name       text  `json:"name"`
	Label      text  `json:"label"`
	Parent     text  `json:"parent"`
	Children   names `json:"children"`
	Extendable text  `json:"is_extendable"`
	Attributes list[struct {
		Element   text `json:"element"`
		Label     text `json:"label"`
		Type      text `json:"type"`
		MaxLength text `json:"max_length"`
		Default   text `json:"default_value"`
		Inherited text `json:"is_inherited"`
		Mandatory text `json:"is_mandatory"`
		ReadOnly  text `json:"is_read_only"`
	}] `json:"attributes"`
	Rules list[wireRule] `json:"identification_rules"`
}

type wireRule struct {
	Name        text            `json:"name"`
	AppliesTo   text            `json:"applies_to"`
	Active      text            `json:"active"`
	Independent text            `json:"is_independent"`
	Entries     list[wireEntry] `json:"identifiers"`
	Related     list[wireEntry] `json:"related_rules"`
}

type wireEntry struct {
	Order         text  `json:"order"`
	Table         text  `json:"table"`
	Attributes    names `json:"attributes"`
	Condition     text  `json:"condition"`
	Reference     text  `json:"referenced_field"`
	ExactCount    text  `json:"exact_count_match"`
	AllowFallback text  `json:"allow_fallback"`
	AllowNull     text  `json:"allow_null_attribute"`
	Active        text  `json:"active"`
}

// ClassMeta describes a class: its columns and how IRE identifies its CIs. A
// class that does not exist is KindInvalidRequest, usually with status 404. The
// user needs the role itil.
//
// CMDB Meta API: GET /api/now/cmdb/meta/{class}.
func (c *Client) ClassMeta(ctx context.Context, class string) (ClassMeta, Meta, error) {
	if !nameShape.MatchString(class) {
		return ClassMeta{}, Meta{}, invalid("read the class", "%q is not a class", cut(class, 40))
	}
	w, meta, err := fetch[wireClass](ctx, c, request{op: "read the class " + class, method: http.MethodGet, path: "/api/now/cmdb/meta/" + class})
	if err != nil {
		return ClassMeta{}, meta, err
	}
	out := ClassMeta{Name: string(w.Name), Label: string(w.Label), Parent: string(w.Parent), Children: w.Children, Extendable: w.Extendable.bool()}
	for _, a := range w.Attributes {
		out.Columns = append(out.Columns, ColumnMeta{
			Name: string(a.Element), Label: string(a.Label), Type: string(a.Type), MaxLength: a.MaxLength.int(), Default: string(a.Default),
			Inherited: a.Inherited.bool(), Mandatory: a.Mandatory.bool(), ReadOnly: a.ReadOnly.bool(),
		})
	}
	for _, r := range w.Rules {
		out.Rules = append(out.Rules, IdentificationRule{
			Name: string(r.Name), AppliesTo: string(r.AppliesTo), Active: r.Active.bool(), Independent: r.Independent.bool(),
			Entries: entries(r.Entries), Related: entries(r.Related),
		})
	}
	return out, meta, nil
}

func entries(list []wireEntry) []IdentifierEntry {
	var out []IdentifierEntry
	for _, e := range list {
		out = append(out, IdentifierEntry{
			Order: e.Order.int(), Table: string(e.Table), Attributes: e.Attributes, Condition: string(e.Condition), Reference: string(e.Reference),
			ExactCount: e.ExactCount.bool(), AllowFallback: e.AllowFallback.bool(), AllowNull: e.AllowNull.bool(), Active: e.Active.bool(),
		})
	}
	slices.SortStableFunc(out, func(a, b IdentifierEntry) int { return a.Order - b.Order })
	return out
}

// Authenticate checks address and credentials with the cheapest authenticated
// call there is. KindForbidden means that the login is good, but the user may not
// read users.
//
// Table API: GET /api/now/table/sys_user with sysparm_limit=1.
func (c *Client) Authenticate(ctx context.Context) error {
	_, _, err := fetch[list[map[string]text]](ctx, c, request{
		op: "log in", method: http.MethodGet, path: "/api/now/table/sys_user",
		query: url.Values{"sysparm_limit": {"1"}, "sysparm_fields": {"sys_id"}},
	})
	return err
}
