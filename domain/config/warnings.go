package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/qbridge/qbridge/domain/qql"
)

// often is the interval below which a schedule is worth a second look: every run
// asks Qualys at least three times.
const often = time.Minute

// Warnings returns what is allowed and probably not meant. The document is one
// without problems.
func (c *Config) Warnings() []Problem {
	v := &validator{config: c}
	for i := range c.Schedules {
		s := &c.Schedules[i]
		place := fmt.Sprintf("schedules[%d]", i)
		if s.Every != 0 && time.Duration(s.Every) < often {
			v.add(place+".every", fmt.Sprintf("a run every %s is at least %d calls to Qualys an hour, of 300 that many subscriptions have", s.Every, 3*time.Hour/time.Duration(s.Every)), "write 5m or more")
		}
		for k := range c.Schedules[:i] {
			if other := &c.Schedules[k]; overlap(s, other) {
				v.add(place, fmt.Sprintf("%s and %s may select the same assets and write them to %s twice", s.Name, other.Name, s.Target), "give them filters that exclude each other, or one schedule")
			}
		}
	}
	return v.problems
}

// overlap reports whether two schedules may write the same assets to the same
// instance.
func overlap(a, b *Schedule) bool {
	if a.Source != b.Source || a.Target != b.Target || a.Direction != b.Direction || orDefault(a.Kind, KindInventory) != orDefault(b.Kind, KindInventory) {
		return false
	}
	if a.ToQualys() {
		return slices.ContainsFunc(a.Select, func(x Selection) bool { return slices.Contains(b.Select, x) })
	}
	if a.Filter == "" || b.Filter == "" {
		return true
	}
	x, err := qql.Parse(a.Filter)
	y, also := qql.Parse(b.Filter)
	return err != nil || also != nil || !qql.Disjoint(x, y)
}
