package servicenow

import (
	"iter"
	"slices"
)

// entries visits the active identifier entries that an item of a rule is tried
// with, each with the rule it belongs to: the rule's own and, where a dependent
// rule allows fallback, those of the parent class's rule after them.
func (b *rulebook) entries(own *rule) iter.Seq2[*rule, *ruleEntry] {
	return func(yield func(*rule, *ruleEntry) bool) {
		for rl := own; rl != nil; rl = b.fallback(rl) {
			for _, e := range rl.Entries {
				if !e.Inactive && !yield(rl, e) {
					return
				}
			}
		}
	}
}

// fallback is the rule that takes over when no entry of a rule matched: the one
// of the parent class, nil when no entry allows that. Both rules are dependent:
// the option exists for dependent classes only.
func (b *rulebook) fallback(rl *rule) *rule {
	allowed := slices.ContainsFunc(rl.Entries, func(e *ruleEntry) bool { return e.AllowFallback && !e.Inactive })
	if !allowed || !rl.Dependent || rl.table.parent == nil {
		return nil
	}
	if up := b.forClass(rl.table.parent); up != nil && up.Dependent {
		return up
	}
	return nil
}
