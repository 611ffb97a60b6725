// Package classify chooses the CI class of an asset from three rule tables, as
// security and CMDB teams know them: hardware rules decide devices, computer
// rules decide hosts by operating system, fallback rules decide what is left.
//
//	Inputs ─▶ hardware rules ─▶ computer rules ─▶ fallback rules ─▶ Decision
//	             (within a table, the lowest priority that matches wins)
//
// Rules are data: the defaults are embedded YAML, a configuration overrides
// them by id, as a whole or in part. Explain tells for every rule why it did not decide.
package classify

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed rules.yaml
var defaultRules []byte

// Names of the rule tables, in the order of precedence.
const (
	TableHardware = "hardware"
	TableComputer = "computer"
	TableFallback = "fallback"
)

// Tables are the three rule tables.
type Tables struct {
	Hardware []Rule `yaml:"hardware,omitzero" json:"hardware,omitempty"`
	Computer []Rule `yaml:"computer,omitzero" json:"computer,omitempty"`
	Fallback []Rule `yaml:"fallback,omitzero" json:"fallback,omitempty"`
}

// Rule is one classification rule: when all conditions hold, the asset gets the
// class; of two such rules of a table the lower priority wins, then the one that
// stands first. In a configuration, a rule with the id of a default rule changes
// it: see Override.
type Rule struct {
	ID       string      `yaml:"id" json:"id"`
	Priority int         `yaml:"priority,omitzero" json:"priority"`
	Active   *bool       `yaml:"active,omitzero" json:"active,omitempty"` // default true
	When     []Condition `yaml:"when,omitzero" json:"when,omitempty"`
	Class    string      `yaml:"class,omitzero" json:"class"`
}

// Condition is one predicate on a field; exactly one operator is set. Comparison
// ignores case. Not inverts the predicate.
type Condition struct {
	Field      string   `yaml:"field" json:"field"`
	Equals     string   `yaml:"equals,omitzero" json:"equals,omitempty"`
	In         []string `yaml:"in,omitzero" json:"in,omitempty"`
	Contains   string   `yaml:"contains,omitzero" json:"contains,omitempty"`
	StartsWith string   `yaml:"startsWith,omitzero" json:"startsWith,omitempty"`
	Matches    string   `yaml:"matches,omitzero" json:"matches,omitempty"` // RE2
	Present    *bool    `yaml:"present,omitzero" json:"present,omitempty"`
	Not        bool     `yaml:"not,omitzero" json:"not,omitempty"`
}

// Default returns the default rules.
func Default() Tables {
	var t Tables
	if err := yaml.UnmarshalWithOptions(defaultRules, &t, yaml.DisallowUnknownField()); err != nil {
		panic("classify: default rules: " + err.Error()) // embedded and tested
	}
	return t
}

// Override returns the tables with those of other laid over them. A rule with a
// known id changes that rule where it stands; what it leaves out (priority,
// active, when, class) stays, so "{id: router, active: false}" is enough to
// switch a rule off. A rule with a new id is added. An id that other uses twice
// in a table is kept twice, for Compile to refuse.
func (t Tables) Override(other Tables) Tables {
	return Tables{
		Hardware: overlay(t.Hardware, other.Hardware),
		Computer: overlay(t.Computer, other.Computer),
		Fallback: overlay(t.Fallback, other.Fallback),
	}
}

func overlay(base, over []Rule) []Rule {
	out := slices.Clone(base)
	for k, r := range over {
		i := slices.IndexFunc(base, func(b Rule) bool { return b.ID == r.ID })
		if i < 0 || slices.ContainsFunc(over[:k], func(o Rule) bool { return o.ID == r.ID }) {
			out = append(out, r)
			continue
		}
		out[i] = r.inherit(base[i])
	}
	return out
}

// inherit returns the rule with what it leaves out taken from a base.
func (r Rule) inherit(base Rule) Rule {
	if r.Priority == 0 {
		r.Priority = base.Priority
	}
	if r.Active == nil {
		r.Active = base.Active
	}
	if r.When == nil {
		r.When = base.When
	}
	if r.Class == "" {
		r.Class = base.Class
	}
	return r
}

// Set is a compiled set of rules. It is safe for concurrent use.
type Set struct {
	rules  []rule // in the order of evaluation, inactive ones included
	digest string
	index  *index // nil: there are more rules than it takes
}

type rule struct {
	Rule
	table  string
	active bool
	when   []test
}

// test is one compiled condition.
type test struct {
	cond  Condition
	field int // index in fieldNames
	ok    func(lower string) bool
}

// Compile checks and compiles rules. The error names table, rule and field, and
// the nearest valid field.
func Compile(t Tables) (*Set, error) {
	s := &Set{}
	seen := map[string]string{}
	h := sha256.New()
	for _, table := range []struct {
		name  string
		rules []Rule
	}{{TableHardware, t.Hardware}, {TableComputer, t.Computer}, {TableFallback, t.Fallback}} {
		start := len(s.rules)
		for i, r := range table.rules {
			c, err := compileRule(table.name, r)
			if err != nil {
				return nil, fmt.Errorf("classify: %s[%d] %w", table.name, i, err)
			}
			if other, dup := seen[r.ID]; dup {
				return nil, fmt.Errorf("classify: %s[%d] rule %q: the id is used in table %s already", table.name, i, r.ID, other)
			}
			seen[r.ID] = table.name
			s.rules = append(s.rules, c)
		}
		sort.SliceStable(s.rules[start:], func(i, j int) bool { return s.rules[start+i].Priority < s.rules[start+j].Priority })
	}
	for i := range s.rules {
		b, err := yaml.Marshal(s.rules[i].Rule)
		if err != nil {
			return nil, fmt.Errorf("classify: digest: %w", err)
		}
		fmt.Fprintf(h, "%s\n%s\n", s.rules[i].table, b)
	}
	s.digest, s.index = hex.EncodeToString(h.Sum(nil)[:16]), newIndex(s.rules)
	return s, nil
}

// Digest changes when any rule changes.
func (s *Set) Digest() string { return s.digest }

func compileRule(table string, r Rule) (rule, error) {
	c := rule{Rule: r, table: table, active: r.Active == nil || *r.Active}
	switch {
	case r.ID == "":
		return c, fmt.Errorf("has no id")
	case r.Class == "":
		return c, fmt.Errorf("rule %q has no class", r.ID)
	case !classShape.MatchString(r.Class):
		return c, fmt.Errorf("rule %q: class %q is not a table name such as cmdb_ci_server", r.ID, r.Class)
	}
	for i, cond := range r.When {
		t, err := compileCondition(cond)
		if err != nil {
			return c, fmt.Errorf("rule %q, condition %d: %w", r.ID, i+1, err)
		}
		c.when = append(c.when, t)
	}
	return c, nil
}

var classShape = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)

func compileCondition(c Condition) (test, error) {
	field := slices.Index(fieldNames[:], c.Field)
	if field < 0 {
		return test{}, fmt.Errorf("unknown field %q; did you mean %q? Fields: %s", c.Field, Nearest(c.Field, Fields()), strings.Join(Fields(), ", "))
	}
	t := test{cond: c, field: field}
	operators := 0
	set := func(present bool, f func(string) bool) {
		if present {
			operators++
			t.ok = f
		}
	}
	equals, contains, prefix := strings.ToLower(c.Equals), strings.ToLower(c.Contains), strings.ToLower(c.StartsWith)
	set(c.Equals != "", func(v string) bool { return v == equals })
	set(c.Contains != "", func(v string) bool { return strings.Contains(v, contains) })
	set(c.StartsWith != "", func(v string) bool { return strings.HasPrefix(v, prefix) })
	in := make([]string, len(c.In))
	for i, s := range c.In {
		in[i] = strings.ToLower(s)
	}
	set(len(c.In) > 0, func(v string) bool { return slices.Contains(in, v) })
	if c.Present != nil {
		want := *c.Present
		set(true, func(v string) bool { return (v != "") == want })
	}
	if c.Matches != "" {
		re, err := regexp.Compile("(?i)" + c.Matches)
		if err != nil {
			return test{}, fmt.Errorf("field %s: matches: %w", c.Field, err)
		}
		set(true, matcher(re))
	}
	if operators != 1 {
		return test{}, fmt.Errorf("field %s needs exactly one of equals, in, contains, startsWith, matches, present; it has %d", c.Field, operators)
	}
	return t, nil
}

// holds reports whether the condition holds.
func (t *test) holds(v *lowered) bool { return t.ok(v[t.field]) != t.cond.Not }

// Nearest returns the name with the smallest edit distance.
func Nearest(name string, names []string) string {
	best, dist := "", 1<<30
	for _, n := range names {
		if d := editDistance(strings.ToLower(name), strings.ToLower(n)); d < dist {
			best, dist = n, d
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
