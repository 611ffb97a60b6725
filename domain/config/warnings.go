package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samber/lo"

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
		v.certificateSources(place, s)
		for k := range c.Schedules[:i] {
			if other := &c.Schedules[k]; overlap(s, other) {
				v.add(place, fmt.Sprintf("%s and %s may select the same assets and write them to %s twice", s.Name, other.Name, s.Target), "give them filters that exclude each other, or one schedule")
			}
		}
		for k := range c.Schedules {
			v.circle(place, s, &c.Schedules[k])
		}
	}
	return v.problems
}

// comesBack are the fields of business metadata that sections of an inventory write
// into the CMDB, where they came from.
var comesBack = map[string][]string{
	"owner": {"ownedBy", "managedBy", "supportedBy", "supportGroup"}, "location": {"assignedLocation.name"},
}

// circle warns about a schedule that writes to the CMDB what another one takes from
// there: after a change, the value from before could come back.
func (v *validator) circle(place string, s, back *Schedule) {
	if s.ToQualys() || !back.ToQualys() || back.Kind != KindMetadata || s.Source != back.Target || s.Target != back.Source {
		return
	}
	columns := back.Metadata.Columns()
	for _, section := range slices.Sorted(maps.Keys(comesBack)) {
		if fields := lo.Filter(comesBack[section], func(f string, _ int) bool { return columns[f] != "" }); s.Sections[section] && len(fields) > 0 {
			v.add(place+".sections."+section, fmt.Sprintf("writes %s from Qualys into %s, and %s writes it from there to Qualys: a change could be undone by the value before it", strings.Join(fields, ", "), s.Target, back.Name),
				"switch the section off, or leave the fields alone with an empty column in metadata.fields of "+back.Name)
		}
	}
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
