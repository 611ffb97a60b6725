package classify

import (
	"cmp"
	"slices"
	"strings"
)

// Coverage tells what a set of rules makes of a snapshot of assets.
type Coverage struct {
	Assets int64 `json:"assets"`
	// Skipped assets have nothing but an address that identifies them.
	Skipped int64 `json:"skipped"`
	// Categorised assets have a category of their operating system or hardware
	// ("Unidentified" is none);
	// Known of them got their class from a rule that looks at a value: neither from
	// a fallback nor from one that only asks whether there is any.
	Categorised int64          `json:"categorised"`
	Known       int64          `json:"known"`
	Rules       []RuleCoverage `json:"rules"`
	// Unknown lists the pairs of categories that no rule knows.
	Unknown []Pair `json:"unknown"`
}

// Share is the part of the categorised assets that a rule knows.
func (c *Coverage) Share() float64 {
	if c.Categorised == 0 {
		return 1
	}
	return float64(c.Known) / float64(c.Categorised)
}

// RuleCoverage is what one rule did.
type RuleCoverage struct {
	Rule     string `json:"rule"`
	Table    string `json:"table"`
	Priority int    `json:"priority"`
	Class    string `json:"class"`
	Active   bool   `json:"active"`
	// Decided counts the assets whose class it chose, Holds those whose values its
	// conditions accept, whichever rule decided.
	Decided int64 `json:"decided"`
	Holds   int64 `json:"holds"`
	// ShadowedBy is a rule that comes before and accepts whatever this one accepts:
	// it can never decide.
	ShadowedBy string `json:"shadowedBy,omitempty"`
}

// Pair is a pair of categories: "Windows / Server" of the operating system,
// "Computers / Server" of the hardware.
type Pair struct {
	OS       string `json:"os"`
	Hardware string `json:"hardware"`
	Class    string `json:"class,omitempty"` // that they got all the same
	Rule     string `json:"rule,omitempty"`
	Assets   int64  `json:"assets"`
}

// Counter counts the coverage of rules, one asset after the other.
type Counter struct {
	set   *Set
	opts  Options
	out   Coverage
	pairs map[Pair]int64
}

// NewCounter returns a counter for a set of rules.
func NewCounter(s *Set, o Options) *Counter {
	c := &Counter{set: s, opts: o, pairs: map[Pair]int64{}}
	for i := range s.rules {
		r := &s.rules[i]
		c.out.Rules = append(c.out.Rules, RuleCoverage{Rule: r.ID, Table: r.table, Priority: r.Priority, Class: r.Class, Active: r.active, ShadowedBy: s.shadow(i)})
	}
	return c
}

// Add counts an asset.
func (c *Counter) Add(in *Inputs) {
	c.out.Assets++
	v := in.lowered()
	for i := range c.set.rules {
		if c.set.rules[i].failed(&v) < 0 {
			c.out.Rules[i].Holds++
		}
	}
	d := c.set.Classify(in, c.opts)
	if !in.Identity {
		c.out.Skipped++
		return
	}
	decider := slices.IndexFunc(c.out.Rules, func(r RuleCoverage) bool { return r.Rule == d.Rule && r.Table == d.Table })
	if decider >= 0 {
		c.out.Rules[decider].Decided++
	}
	p := Pair{OS: categories(in.OSCategory1, in.OSCategory2), Hardware: categories(in.HWCategory1, in.HWCategory2), Class: d.Class, Rule: d.Rule}
	if p.OS == "" && p.Hardware == "" {
		return
	}
	c.out.Categorised++
	if decider >= 0 && c.set.rules[decider].knows() {
		c.out.Known++
		return
	}
	c.pairs[p]++
}

// Coverage returns what was counted so far.
func (c *Counter) Coverage() Coverage {
	out := c.out
	out.Rules = slices.Clone(out.Rules)
	out.Unknown = []Pair{}
	for p, n := range c.pairs {
		p.Assets = n
		out.Unknown = append(out.Unknown, p)
	}
	slices.SortFunc(out.Unknown, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.Assets, a.Assets), cmp.Compare(a.OS, b.OS), cmp.Compare(a.Hardware, b.Hardware))
	})
	return out
}

// knows says whether a rule asks for a value, and not only for any or for others.
func (r *rule) knows() bool {
	return r.table != TableFallback && slices.ContainsFunc(r.When, func(c Condition) bool { return c.Present == nil && !c.Not })
}

// noCategory is what Qualys says when it has no category.
var noCategory = []string{"", "unidentified", "unknown", "not applicable"}

func categories(one, two string) string {
	if slices.Contains(noCategory, strings.ToLower(one)) {
		one = ""
	}
	if slices.Contains(noCategory, strings.ToLower(two)) {
		two = ""
	}
	switch {
	case one == "" || two == "":
		return one + two
	}
	return one + " / " + two
}

// shadow returns the first rule before the i-th that accepts whatever that one
// accepts, or "". What it finds is certain; it does not find all.
func (s *Set) shadow(i int) string {
	for k := range i {
		if !s.rules[k].active {
			continue
		}
		if covers(s.rules[k].When, s.rules[i].When) {
			return s.rules[k].ID
		}
	}
	return ""
}

// covers says whether every asset that meets conditions b meets conditions a.
func covers(a, b []Condition) bool {
	for _, want := range a {
		if !slices.ContainsFunc(b, func(have Condition) bool { return implies(have, want) }) {
			return false
		}
	}
	return true
}

// implies says whether a value that meets have always meets want.
func implies(have, want Condition) bool {
	if !strings.EqualFold(have.Field, want.Field) {
		return false
	}
	if have.String() == want.String() {
		return true
	}
	if have.Not || want.Not {
		return false
	}
	if values := valuesOf(have); len(values) > 0 { // these values and no other
		t, err := compileCondition(want)
		return err == nil && !slices.ContainsFunc(values, func(v string) bool { return !t.ok(strings.ToLower(v)) })
	}
	prefix, part := strings.ToLower(have.StartsWith), strings.ToLower(have.StartsWith+have.Contains)
	switch {
	case part == "":
		return false
	case want.Present != nil:
		return *want.Present
	case want.Contains != "":
		return strings.Contains(part, strings.ToLower(want.Contains))
	case want.StartsWith != "":
		return prefix != "" && strings.HasPrefix(prefix, strings.ToLower(want.StartsWith))
	}
	return false
}

func valuesOf(c Condition) []string {
	if c.Equals != "" {
		return []string{c.Equals}
	}
	return c.In
}
