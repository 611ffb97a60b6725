package qql

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/asset"
)

// Match reports whether an asset satisfies the filter. A value that the asset does
// not have satisfies only "is null"; with not it satisfies anything. now is what
// relative dates count from.
func (q *Query) Match(v *asset.View, now time.Time) bool { return q.root.holds(v, -1, now) }

// holds evaluates a node; at is the element of the list that is asked about.
func (n *node) holds(v *asset.View, at int, now time.Time) bool {
	switch n.op {
	case opAnd:
		return !slices.ContainsFunc(n.below, func(b *node) bool { return !b.holds(v, at, now) })
	case opOr:
		return slices.ContainsFunc(n.below, func(b *node) bool { return b.holds(v, at, now) })
	case opNot:
		return !n.below[0].holds(v, at, now)
	case opElement:
		for i := range n.field.in.Len(v) {
			if n.below[0].holds(v, i, now) {
				return true
			}
		}
		return false
	case opNull:
		return !n.some(v, at, func(string) bool { return true })
	default:
		return n.some(v, at, func(s string) bool { return n.compare(s, now) })
	}
}

// some reports whether a value of the field satisfies a test. Empty values are
// none.
func (n *node) some(v *asset.View, at int, test func(string) bool) bool {
	f := n.field
	switch {
	case f.only != "" && v.Asset.Cloud.Provider != f.only:
		return false
	case f.in == nil:
		s := f.get(v)
		return s != "" && test(s)
	case f.element == nil: // the list itself
		return f.in.Len(v) > 0 && test("")
	case at >= 0:
		s := f.element(v, at)
		return s != "" && test(s)
	}
	for i := range f.in.Len(v) {
		if s := f.element(v, i); s != "" && test(s) {
			return true
		}
	}
	return false
}

// compare compares a value of the asset with those of the filter.
func (n *node) compare(s string, now time.Time) bool {
	switch n.op {
	case opIs:
		return n.field.is(s, n.values[0], now)
	case opIn:
		return slices.ContainsFunc(n.values, func(w value) bool {
			if w.quote == bare && !strings.Contains(w.text, "*") {
				w.quote = back // words of a list are whole values
			}
			return n.field.is(s, w, now)
		})
	case opRange:
		low, ok := n.field.order(s, n.values[0].text, now)
		high, also := n.field.order(s, n.values[1].text, now)
		return ok && also && low >= 0 && high <= 0
	}
	c, ok := n.field.order(s, n.values[0].text, now)
	if !ok {
		return false
	}
	switch n.op {
	case opLess:
		return c < 0
	case opAtMost:
		return c <= 0
	case opMore:
		return c > 0
	default:
		return c >= 0
	}
}

// is compares a value of the asset with one of the filter by the field's kind.
func (f *field) is(s string, w value, now time.Time) bool {
	switch f.kind {
	case kindNumber:
		c, ok := f.order(s, w.text, now)
		return ok && c == 0
	case kindDate:
		if day, err := time.Parse(time.DateOnly, w.text); err == nil { // the whole day
			t, err := instantOf(s, now)
			return err == nil && !t.Before(day) && t.Before(day.AddDate(0, 0, 1))
		}
		c, ok := f.order(s, w.text, now)
		return ok && c == 0
	case kindAddress:
		if p, err := netip.ParsePrefix(w.text); err == nil {
			a, err := netip.ParseAddr(s)
			return err == nil && p.Contains(a)
		}
		return wildcard(strings.ToLower(w.text), strings.ToLower(s))
	case kindEnum, kindBool:
		return wildcardOrEqual(w, s)
	}
	low, text := strings.ToLower(s), strings.ToLower(w.text)
	switch {
	case w.quote == back:
		return low == text
	case w.quote == bare && strings.Contains(text, "*"):
		return wildcard(text, low)
	default:
		return strings.Contains(low, text)
	}
}

func wildcardOrEqual(w value, s string) bool {
	if w.quote == bare {
		return wildcard(strings.ToLower(w.text), strings.ToLower(s))
	}
	return strings.EqualFold(w.text, s)
}

// order compares numbers and dates; ok is false for what is neither.
func (f *field) order(s, text string, now time.Time) (c int, ok bool) {
	if f.kind == kindNumber {
		a, err := strconv.ParseInt(s, 10, 64)
		b, err2 := strconv.ParseInt(text, 10, 64)
		if err != nil || err2 != nil {
			return 0, false
		}
		return compareOrdered(a, b), true
	}
	a, err := instantOf(s, now)
	b, err2 := instantOf(text, now)
	if err != nil || err2 != nil {
		return 0, false
	}
	return a.Compare(b), true
}

func compareOrdered(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// wildcard matches a whole text against a pattern in which * stands for anything.
// It takes time in proportion to both, whatever the pattern.
func wildcard(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark, p = p, t, p+1
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
