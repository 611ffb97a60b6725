package qql

import (
	"slices"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/asset"
)

// Condition is one condition of the filter body of the CSAM API v2.
type Condition struct {
	Field    string `json:"field"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
}

// Plan says what the API decides and what is left. What it is pushed lets through
// everything that satisfies the filter; Rest takes out what does not.
type Plan struct {
	Pushed    []Condition
	Operation string // AND or OR, of the pushed conditions
	rest      *node
	query     *Query
}

// Plan splits the filter. With push false nothing is pushed down, for APIs that
// have no such body. now is what relative dates count from: it must be the same
// for all pages of an enumeration.
func (q *Query) Plan(push bool, now time.Time) Plan {
	p := Plan{Operation: "AND", query: q, rest: q.root}
	if !push {
		return p
	}
	if q.root.op == opOr {
		var all []Condition
		for _, n := range q.root.below {
			c := n.conditions(now)
			if len(c) != 1 { // a range is two conditions that both must hold
				return p
			}
			all = append(all, c...)
		}
		return Plan{Pushed: all, Operation: "OR", query: q}
	}
	terms := []*node{q.root}
	if q.root.op == opAnd {
		terms = q.root.below
	}
	var left []*node
	for _, n := range terms {
		if c := n.conditions(now); len(c) > 0 {
			p.Pushed = append(p.Pushed, c...)
			continue
		}
		left = append(left, n)
	}
	switch len(left) {
	case 0:
		p.rest = nil
	case 1:
		p.rest = left[0]
	default:
		p.rest = &node{op: opAnd, below: left}
	}
	return p
}

// Match reports whether an asset that the API let through satisfies the filter.
func (p Plan) Match(v *asset.View, now time.Time) bool {
	return p.rest == nil || p.rest.holds(v, -1, now)
}

// Complete reports whether the API decides all.
func (p Plan) Complete() bool { return p.rest == nil }

// Sections returns the sections of an asset that the rest looks at: they must be
// asked for, whatever else is switched off.
func (p Plan) Sections() []asset.Section {
	var out []asset.Section
	var walk func(n *node)
	walk = func(n *node) {
		if n.field != nil && n.field.in != nil && !slices.Contains(out, n.field.in.Section) {
			out = append(out, n.field.in.Section)
		}
		for _, b := range n.below {
			walk(b)
		}
	}
	if p.rest != nil {
		walk(p.rest)
	}
	return out
}

// String says in words what is pushed down and what is decided here.
func (p Plan) String() string {
	var b strings.Builder
	if len(p.Pushed) > 0 {
		b.WriteString("Qualys selects: ")
		for i, c := range p.Pushed {
			if i > 0 {
				b.WriteString(" " + strings.ToLower(p.Operation) + " ")
			}
			b.WriteString(c.Field + " " + c.Operator + " " + c.Value)
		}
	}
	if p.rest != nil {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString("decided on the asset: " + p.rest.String())
	}
	return b.String()
}

// conditions returns the conditions that express a node, or nothing when the API
// cannot, or when it is not documented that it can.
func (n *node) conditions(now time.Time) []Condition {
	negated := n.op == opNot
	if negated {
		n = n.below[0]
	}
	f := n.field
	if f == nil || f.pushed == "" {
		return nil
	}
	one := func(operator, value string) []Condition {
		return []Condition{{Field: f.pushed, Operator: operator, Value: value}}
	}
	if negated {
		// Values of lists and missing values are left to the asset: what NOT_EQUALS
		// makes of them is not documented.
		return nil
	}
	switch n.op {
	case opIs:
		return n.equals(n.values[0], now, one)
	case opIn:
		return n.oneOf(now, one)
	case opRange:
		return append(one("GREATER_THAN_EQUAL", f.wire(n.values[0].text, now)), one("LESS_THAN_EQUAL", f.wire(n.values[1].text, now))...)
	case opLess, opAtMost, opMore, opAtLeast:
		return one(map[op]string{opLess: "LESSER", opAtMost: "LESS_THAN_EQUAL", opMore: "GREATER", opAtLeast: "GREATER_THAN_EQUAL"}[n.op], f.wire(n.values[0].text, now))
	}
	return nil
}

func (n *node) equals(w value, now time.Time, one func(operator, value string) []Condition) []Condition {
	f := n.field
	switch {
	case f.kind == kindNumber:
		return one("EQUALS", w.text)
	case f.kind == kindDate:
		day, err := time.Parse(time.DateOnly, w.text)
		if err != nil {
			return one("EQUALS", f.wire(w.text, now))
		}
		return append(one("GREATER_THAN_EQUAL", f.wire(w.text, now)), one("LESSER", f.wire(day.AddDate(0, 0, 1).Format(time.DateOnly), now))...)
	case w.text == "" || w.quote == bare && strings.Contains(w.text, "*"):
		return nil
	case f.kind == kindEnum || w.quote == back:
		return one("EQUALS", w.text)
	default:
		return one("CONTAINS", w.text)
	}
}

// oneOf joins the values of a list with commas, so none may have one.
func (n *node) oneOf(now time.Time, one func(operator, value string) []Condition) []Condition {
	if n.field.kind == kindDate {
		return nil
	}
	var list []string
	for _, w := range n.values {
		exact := n.field.kind != kindText || w.quote == back || w.quote == bare
		if !exact || w.text == "" || strings.ContainsAny(w.text, ",*") || strings.TrimSpace(w.text) != w.text {
			return nil
		}
		list = append(list, n.field.wire(w.text, now))
	}
	return one("IN", strings.Join(list, ","))
}

// wire renders a value as the API takes it.
func (f *field) wire(text string, now time.Time) string {
	if f.kind != kindDate {
		return text
	}
	t, err := instantOf(text, now)
	if err != nil {
		return text // refused when it was read
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// String renders a filter; reading it again gives the same filter.
func (q *Query) String() string { return q.root.String() }

func (n *node) String() string {
	switch n.op {
	case opAnd, opOr:
		parts := make([]string, len(n.below))
		for i, b := range n.below {
			if parts[i] = b.String(); b.op == opOr || b.op == opAnd {
				parts[i] = "(" + parts[i] + ")"
			}
		}
		return strings.Join(parts, " "+string(n.op)+" ")
	case opNot:
		if b := n.below[0]; b.op == opAnd || b.op == opOr {
			return "not (" + b.String() + ")"
		}
		return "not " + n.below[0].String()
	case opElement:
		return n.field.name + ":(" + n.below[0].String() + ")"
	case opNull:
		return n.field.name + " is null"
	case opIs:
		return n.field.name + ":" + n.values[0].String()
	case opIn:
		parts := make([]string, len(n.values))
		for i, v := range n.values {
			parts[i] = v.String()
		}
		return n.field.name + ":[" + strings.Join(parts, ", ") + "]"
	case opRange:
		return n.field.name + ":[" + n.values[0].String() + " .. " + n.values[1].String() + "]"
	default:
		return n.field.name + " " + string(n.op) + " " + n.values[0].String()
	}
}

func (v value) String() string {
	if v.quote == bare {
		return v.text
	}
	q := string(rune(v.quote))
	return q + strings.NewReplacer(`\`, `\\`, q, `\`+q).Replace(v.text) + q
}

// Quote renders a text as a value that equals it exactly, whatever it holds.
func Quote(text string) string { return value{text: text, quote: back}.String() }
