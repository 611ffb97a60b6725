package mapping

import (
	"strings"
)

// Line is one line of what a mapping does for a class.
type Line struct {
	Part      string `json:"part"`   // "main", or the name of the lookup, reference or item
	Target    string `json:"target"` // class or table
	Column    string `json:"column"` // target column
	Source    string `json:"source"` // paths in order, or the constant in quotes
	List      string `json:"list,omitempty"`
	Transform string `json:"transform,omitempty"`
	Section   string `json:"section,omitempty"`
	Off       bool   `json:"off,omitempty"` // unless a schedule switches the section on
	Volatile  bool   `json:"volatile,omitempty"`
}

// Show lists every column that records of a class can get, in the order in which
// they are filled.
func (m *Map) Show(class string) []Line {
	p := m.plan(class)
	out := lines(Line{Part: "main", Target: class}, p.columns)
	for _, l := range p.lookups {
		out = append(out, lines(Line{Part: l.Name, Target: l.Table}, l.columns)...)
	}
	for _, r := range p.references {
		out = append(out, Line{Part: "main", Target: class, Column: r.Column, Source: strings.Join(r.From, ", "), Section: r.Section,
			Off: m.off[r.Section], Transform: "sys_id of " + r.Table})
	}
	for _, it := range p.items {
		l := Line{Part: it.Name, Target: it.Class + it.Table, List: it.List, Section: it.Section, Off: m.off[it.Section]}
		out = append(out, lines(l, it.columns)...)
		for _, k := range it.Links {
			l.Column, l.Source, l.Transform = k.Column, k.Key, "sys_id of the item"
			out = append(out, l)
		}
		if it.Host != "" {
			l.Column, l.Source, l.Transform = it.Host, "{main}", "sys_id of the item"
			out = append(out, l)
		}
	}
	return out
}

func lines(like Line, cols []column) []Line {
	out := make([]Line, 0, len(cols))
	for i := range cols {
		c := &cols[i]
		l := like
		l.Column, l.Transform, l.Volatile, l.Source = c.to, c.Transform, c.volatile, strings.Join(c.From, ", ")
		if c.value != "" {
			l.Source = `"` + c.value + `"`
		}
		out = append(out, l)
	}
	return out
}
