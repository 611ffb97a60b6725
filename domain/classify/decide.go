package classify

import (
	"fmt"
	"strings"

	"github.com/qbridge/qbridge/domain/asset"
)

// IncompleteIP is the class of an asset that nothing but an address describes.
const IncompleteIP = "cmdb_ci_incomplete_ip"

// NoRule is the reason for skipping an asset that no active rule describes.
const NoRule = "no rule matches"

// Options are settings of a schedule that change decisions.
type Options struct {
	// IPOnly writes assets that only an address describes as
	// cmdb_ci_incomplete_ip instead of skipping them.
	IPOnly bool
}

// Decision is what the rules chose. Skip is the reason when there is no class.
type Decision struct {
	Class string `json:"class,omitempty"`
	Rule  string `json:"rule,omitempty"`
	Table string `json:"table,omitempty"`
	Skip  string `json:"skip,omitempty"`
}

// Classify returns the class of an asset. It does not allocate while it looks
// for the rule, apart from lowering values that hold capitals.
func (s *Set) Classify(in *Inputs, o Options) Decision {
	if d, done := withoutIdentity(in, o); done {
		return d
	}
	v := in.lowered()
	if i := s.first(&v); i >= 0 {
		r := &s.rules[i]
		return Decision{Class: r.Class, Rule: r.ID, Table: r.table}
	}
	return Decision{Skip: NoRule}
}

// first returns the place of the first active rule that holds, or -1.
func (s *Set) first(v *lowered) int {
	if s.index != nil {
		return s.index.first(s.rules, v)
	}
	for i := range s.rules {
		if s.rules[i].active && s.rules[i].failed(v) < 0 {
			return i
		}
	}
	return -1
}

// withoutIdentity decides assets that only an address describes: the address
// may belong to another machine tomorrow.
func withoutIdentity(in *Inputs, o Options) (Decision, bool) {
	switch {
	case in.Identity:
		return Decision{}, false
	case o.IPOnly && in.IP != "":
		return Decision{Class: IncompleteIP, Rule: "ip-only", Table: TableFallback}, true
	default:
		return Decision{Skip: asset.NoIdentity}, true
	}
}

// failed returns the index of the first condition that does not hold, or -1.
func (r *rule) failed(v *lowered) int {
	for i := range r.when {
		if !r.when[i].holds(v) {
			return i
		}
	}
	return -1
}

// Loser is a rule that did not decide, with the reason.
type Loser struct {
	Rule     string `json:"rule"`
	Table    string `json:"table"`
	Priority int    `json:"priority"`
	Class    string `json:"class"`
	// Why is "inactive", the first condition that failed with the value it saw,
	// what came before the rule, or why no rule was asked.
	Why   string `json:"why"`
	Field string `json:"field,omitempty"`
	Value string `json:"value,omitempty"`
}

// Trace explains a decision.
type Trace struct {
	Decision Decision `json:"decision"`
	Inputs   Inputs   `json:"inputs"`
	// Because holds the conditions of the winner, in words.
	Because []string `json:"because,omitempty"`
	Losers  []Loser  `json:"losers"`
}

// Explain returns the decision with every rule's reason, in the order of
// evaluation.
func (s *Set) Explain(in *Inputs, o Options) Trace {
	t := Trace{Decision: s.Classify(in, o), Inputs: *in, Losers: []Loser{}}
	if t.Decision.Class == IncompleteIP && !in.Identity {
		t.Because = []string{"nothing but the address " + in.IP + " identifies it, and the schedule writes such assets"}
	}
	v, raw := in.lowered(), in.values()
	won := false
	for i := range s.rules {
		r := &s.rules[i]
		l := Loser{Rule: r.ID, Table: r.table, Priority: r.Priority, Class: r.Class}
		f := r.failed(&v)
		switch {
		case !won && r.ID == t.Decision.Rule && r.table == t.Decision.Table:
			won = true
			for k := range r.when {
				t.Because = append(t.Because, r.when[k].cond.String())
			}
			continue
		case !r.active:
			l.Why = "inactive"
		case f >= 0:
			c := &r.when[f]
			l.Field, l.Value = c.cond.Field, raw[c.field]
			l.Why = fmt.Sprintf("%s; it is %s", c.cond, quoted(l.Value))
		case t.Decision.Skip != "":
			l.Why = "it holds, but the asset has " + t.Decision.Skip
		default:
			l.Why = "it holds too, but " + t.Decision.Rule + " comes before it"
		}
		t.Losers = append(t.Losers, l)
	}
	return t
}

// String returns the condition in words.
func (c Condition) String() string {
	not := ""
	if c.Not {
		not = "not "
	}
	switch {
	case c.Equals != "":
		return fmt.Sprintf("%s is %s%q", c.Field, not, c.Equals)
	case len(c.In) > 0:
		return fmt.Sprintf("%s is %sone of %s", c.Field, not, strings.Join(c.In, ", "))
	case c.Contains != "":
		return fmt.Sprintf("%s %scontains %q", c.Field, not, c.Contains)
	case c.StartsWith != "":
		return fmt.Sprintf("%s %sstarts with %q", c.Field, not, c.StartsWith)
	case c.Matches != "":
		return fmt.Sprintf("%s %smatches /%s/", c.Field, not, c.Matches)
	case c.Present != nil && *c.Present != c.Not:
		return c.Field + " is present"
	default:
		return c.Field + " is absent"
	}
}

func quoted(v string) string {
	if v == "" {
		return "empty"
	}
	return fmt.Sprintf("%q", v)
}
