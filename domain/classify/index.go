package classify

import (
	"math/bits"
	"strings"
)

// index tells which rules can hold for an asset, so that most are not asked. A rule
// that wants a field to be one of some values stands under each of them; rules that
// want nothing of the kind are always asked.
//
//	field ─▶ value ─▶ rules that want it
type index struct {
	always ruleSet
	fields []keyed
}

// keyed are the rules that want values of a field.
type keyed struct {
	field  int
	values map[string]ruleSet
}

// ruleSet is a set of rules by their place.
type ruleSet []uint64

// indexed is how many rules an index can be for: the set of an asset's rules lives on
// the stack. More are asked one after the other.
const indexed = 4096

func newRuleSet(rules int) ruleSet { return make(ruleSet, (rules+63)/64) }

func (r ruleSet) add(i int) { r[i/64] |= 1 << (i % 64) }

// wanted are the values that a condition wants, nil when it wants none by name.
func (t *test) wanted() []string {
	switch {
	case t.cond.Not:
		return nil
	case t.cond.Equals != "":
		return []string{strings.ToLower(t.cond.Equals)}
	}
	out := make([]string, len(t.cond.In))
	for i, v := range t.cond.In {
		out[i] = strings.ToLower(v)
	}
	return out
}

// newIndex returns the index of rules; nil when there are too many.
func newIndex(rules []rule) *index {
	if len(rules) > indexed {
		return nil
	}
	x := &index{always: newRuleSet(len(rules))}
	places := map[int]int{} // of fields in x.fields
	for i := range rules {
		if !rules[i].active {
			continue
		}
		field, values := rules[i].key()
		if values == nil {
			x.always.add(i)
			continue
		}
		at, ok := places[field]
		if !ok {
			at = len(x.fields)
			places[field] = at
			x.fields = append(x.fields, keyed{field: field, values: map[string]ruleSet{}})
		}
		for _, v := range values {
			set := x.fields[at].values[v]
			if set == nil {
				set = newRuleSet(len(rules))
				x.fields[at].values[v] = set
			}
			set.add(i)
		}
	}
	return x
}

// key is the condition with the fewest values that a rule wants.
func (r *rule) key() (field int, values []string) {
	for i := range r.when {
		if w := r.when[i].wanted(); len(w) > 0 && (values == nil || len(w) < len(values)) {
			field, values = r.when[i].field, w
		}
	}
	return field, values
}

// first returns the place of the first rule that holds, or -1.
func (x *index) first(rules []rule, v *lowered) int {
	var room [indexed / 64]uint64
	may := room[:len(x.always)]
	copy(may, x.always)
	for i := range x.fields {
		for w, set := range x.fields[i].values[v[x.fields[i].field]] {
			may[w] |= set
		}
	}
	for w, set := range may {
		for ; set != 0; set &= set - 1 {
			if i := w*64 + bits.TrailingZeros64(set); rules[i].failed(v) < 0 {
				return i
			}
		}
	}
	return -1
}
