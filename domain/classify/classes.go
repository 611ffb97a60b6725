package classify

import "slices"

// Classes returns the classes that active rules can choose, sorted.
func (s *Set) Classes() []string {
	var out []string
	for i := range s.rules {
		if s.rules[i].active && s.rules[i].Class != "" {
			out = append(out, s.rules[i].Class)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
