package qql

import (
	"reflect"
	"slices"
	"strings"
)

// Disjoint reports whether two filters evidently select no asset in common: both
// ask, beside anything else, for different values of one field, or one excludes
// what the other asks for. A word counts as a value of its own when it is no part
// of the other: category1:Linux and category1:Windows are disjoint, although a
// value that holds both words would satisfy both. It is meant for advice, not for
// decisions.
func Disjoint(a, b *Query) bool {
	for _, x := range a.terms() {
		for _, y := range b.terms() {
			if exclude(x, y) || exclude(y, x) || x.differs(y) {
				return true
			}
		}
	}
	return false
}

// terms are what an asset must satisfy, each for itself.
func (q *Query) terms() []*node {
	if q.root.op == opAnd {
		return q.root.below
	}
	return []*node{q.root}
}

// exclude reports whether one term is the negation of the other.
func exclude(not, n *node) bool {
	if not.op == opNot {
		return same(not.below[0], n)
	}
	return not.op == opNull && sameField(not, n) && n.op != opNull && n.op != opNot
}

// same reports whether two terms ask for the same, wherever they stand.
func same(a, b *node) bool {
	return a.op == b.op && sameField(a, b) && reflect.DeepEqual(a.values, b.values) && slices.EqualFunc(a.below, b.below, same)
}

// sameField reports whether two terms are about one field; parsing makes each a
// description of its own.
func sameField(a, b *node) bool {
	if a.field == nil || b.field == nil {
		return a.field == b.field
	}
	return a.field.path == b.field.path && a.field.list == b.field.list && a.field.only == b.field.only
}

// differs reports whether two terms ask for different values of one field that has
// a single value.
func (n *node) differs(other *node) bool {
	if n.field == nil || !sameField(n, other) || n.field.in != nil || !n.lists() || !other.lists() {
		return false
	}
	for _, v := range n.values {
		for _, w := range other.values {
			x, y := strings.ToLower(v.text), strings.ToLower(w.text)
			if strings.Contains(x+y, "*") || strings.Contains(x, y) || strings.Contains(y, x) {
				return false
			}
		}
	}
	return true
}

// lists reports whether a term lists values, as against ranges and conditions.
func (n *node) lists() bool { return n.op == opIs || n.op == opIn }
