package classify_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/classify"
)

// Which rules are asked at all is a matter of speed only: the rule that decides is the
// first of those that Explain finds to hold, which asks all of them.
func TestTheIndexFindsTheFirstRuleThatHolds(t *testing.T) {
	t.Parallel()
	words := []string{"Linux", "linux", "Windows", "", "Server", "Unix", "İ"}
	fields := []string{"operatingSystem.category1", "operatingSystem.category2", "hardware.category1", "hardware.manufacturer"}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom(words)
		some := rapid.SampledFrom([]string{"Linux", "Windows", "Server", "unix", "İ"})
		var tables classify.Tables
		for i := range rapid.IntRange(1, 12).Draw(t, "rules") {
			r := classify.Rule{ID: fmt.Sprintf("r%d", i), Priority: rapid.IntRange(1, 3).Draw(t, "priority"), Class: fmt.Sprintf("cmdb_ci_%d", i)}
			if rapid.IntRange(0, 5).Draw(t, "inactive") == 0 {
				r.Active = new(bool)
			}
			for range rapid.IntRange(0, 3).Draw(t, "conditions") {
				c := classify.Condition{Field: rapid.SampledFrom(fields).Draw(t, "field"), Not: rapid.Bool().Draw(t, "not")}
				switch rapid.IntRange(0, 3).Draw(t, "operator") {
				case 0:
					c.Equals = some.Draw(t, "equals")
				case 1:
					c.In = rapid.SliceOfN(some, 1, 3).Draw(t, "in")
				case 2:
					c.Contains = "in"
				default:
					present := rapid.Bool().Draw(t, "present")
					c.Present = &present
				}
				r.When = append(r.When, c)
			}
			if i%2 == 0 {
				tables.Hardware = append(tables.Hardware, r)
			} else {
				tables.Computer = append(tables.Computer, r)
			}
		}
		set, err := classify.Compile(tables)
		require.NoError(t, err)
		in := classify.Inputs{OSCategory1: word.Draw(t, "os1"), OSCategory2: word.Draw(t, "os2"), HWCategory1: word.Draw(t, "hw1"), HWManufacturer: word.Draw(t, "maker"), Identity: true}
		trace := set.Explain(&in, classify.Options{})
		for _, l := range trace.Losers {
			require.NotContains(t, l.Why, "it holds, but", "%+v", trace)
			if l.Why == "it holds too, but "+trace.Decision.Rule+" comes before it" {
				require.True(t, comesBefore(tables, trace.Decision, l), "%+v", trace)
			}
		}
	})
}

// comesBefore reports whether the rule that decided stands before another one.
func comesBefore(tables classify.Tables, d classify.Decision, l classify.Loser) bool {
	place := func(table, id string) (int, int, int) {
		for n, list := range [][]classify.Rule{tables.Hardware, tables.Computer} {
			for i, r := range list {
				if r.ID == id {
					return n, r.Priority, i
				}
			}
		}
		return -1, 0, 0
	}
	a1, a2, a3 := place(d.Table, d.Rule)
	b1, b2, b3 := place(l.Table, l.Rule)
	if a1 != b1 {
		return a1 < b1
	}
	if a2 != b2 {
		return a2 < b2
	}
	return a3 < b3
}
