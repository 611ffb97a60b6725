package tagging_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/tagging"
)

// world is a subscription's tags as the test sees them, and what the caller keeps.
type world struct {
	tags  map[int64]tagging.Actual
	owned map[int64]tagging.Owned
	next  int64
}

func (w *world) list() []tagging.Actual {
	var out []tagging.Actual
	for _, id := range slices.Sorted(maps.Keys(w.tags)) {
		out = append(out, w.tags[id])
	}
	return out
}

func (w *world) idOf(name string) int64 {
	for id, a := range w.tags {
		if a.Name == name {
			return id
		}
	}
	return 0
}

func (w *world) edit(name string, change func(*tagging.Actual)) {
	a := w.tags[w.idOf(name)]
	change(&a)
	w.tags[a.ID] = a
}

func (w *world) diff(want *tagging.Desired, s tagging.Settings) *tagging.Difference {
	return tagging.Diff(want, w.list(), w.owned, s)
}

// apply takes a difference and applies it change by change, as strictly as the
// vendor: siblings differ in more than case, parents are there, and what is deleted
// takes along what stands below.
func (w *world) apply(t require.TestingT, want *tagging.Desired, s tagging.Settings) *tagging.Difference {
	d := w.diff(want, s)
	if w.tags == nil {
		w.tags = map[int64]tagging.Actual{}
	}
	w.owned = maps.Clone(d.Owned)
	made := map[string]int64{}
	for _, c := range d.Changes {
		before, mine := w.owned[c.ID]
		a := w.tags[c.ID]
		switch c.Op {
		case tagging.OpCreate:
			parent := c.ParentID
			if c.ParentKey != "" && parent == 0 {
				parent = made[c.ParentKey]
				require.NotZero(t, parent, "the parent of %s is made first", c.Key)
			}
			w.next++
			a = tagging.Actual{ID: w.next, Parent: parent, Description: c.Description, Face: c.Face}
			if a.Color == "" {
				a.Color = "#FFFFFF"
			}
			made[c.Key] = a.ID
			if c.ParentKey != "" && c.ParentID != 0 {
				require.Contains(t, w.tags, c.ParentID)
			}
		case tagging.OpRename:
			a.Name = c.Face.Name
		case tagging.OpRule, tagging.OpRetire:
			a.RuleType, a.RuleText, a.Provider = c.Face.RuleType, c.Face.RuleText, c.Face.Provider
		case tagging.OpRecolour:
			a.Color = c.Face.Color
		case tagging.OpScore:
			a.Criticality = c.Face.Criticality
		}
		if c.Op != tagging.OpCreate {
			require.True(t, mine, "%s %d is a tag of others", c.Op, c.ID)
		}
		w.put(t, c, a)
		owned, ok := c.After(before, a.ID, a.Parent)
		if delete(w.owned, a.ID); ok {
			w.owned[a.ID] = owned
		}
	}
	return d
}

func (w *world) put(t require.TestingT, c tagging.Change, a tagging.Actual) {
	if c.Op == tagging.OpDelete {
		for id, other := range w.tags {
			require.NotEqual(t, a.ID, other.Parent, "tag %d goes with its parent", id)
		}
		delete(w.tags, a.ID)
		return
	}
	for id, other := range w.tags {
		require.False(t, id != a.ID && other.Parent == a.Parent && strings.EqualFold(other.Name, a.Name), "%s: siblings %d and %d are both named %q", c.Op, id, a.ID, a.Name)
	}
	w.tags[a.ID] = a
}

// drawAttributes draws an attribute list and the values of each.
func drawAttributes(t *rapid.T) ([]tagging.Attribute, map[string][]tagging.Value) {
	var list []tagging.Attribute
	vals := map[string][]tagging.Value{}
	for _, name := range []string{"one", "two", "three"} {
		if rapid.IntRange(0, 3).Draw(t, "absent") == 0 {
			continue
		}
		a := tagging.Attribute{
			Name: name, Table: "cmdb_ci", Column: name, Parent: rapid.SampledFrom([]string{"P", "Q"}).Draw(t, "parent"),
			Child: rapid.SampledFrom([]string{"{{value}}", "T {{value}}", "{{value}} T"}).Draw(t, "child"), Rule: rapid.SampledFrom([]string{"x:{{value}}", "y:{{value}}"}).Draw(t, "rule"),
			Color: rapid.SampledFrom([]string{"", "#123456", "#abc"}).Draw(t, "color"), Criticality: rapid.IntRange(0, 5).Draw(t, "criticality"),
			MaxChildren: rapid.IntRange(0, 5).Draw(t, "max"), OnGone: rapid.SampledFrom([]string{"", "keep", "deactivate", "delete", "delete"}).Draw(t, "gone"),
			Retire: rapid.IntRange(0, 5).Draw(t, "retire") == 0,
		}
		list = append(list, a)
		for range rapid.IntRange(0, 6).Draw(t, "values") {
			vals[name] = append(vals[name], tagging.Value{Text: rapid.SampledFrom([]string{"a", "b", "B", "T a", "a T", "T T a", "T a T", "c`d", "e"}).Draw(t, "value"), CIs: 1})
		}
	}
	return list, vals
}

// meddle does what people do by hand.
func meddle(t *rapid.T, w *world) {
	for _, id := range slices.Sorted(maps.Keys(w.tags)) {
		if rapid.IntRange(0, 4).Draw(t, "meddle") > 0 {
			continue
		}
		a := w.tags[id]
		switch rapid.IntRange(0, 5).Draw(t, "how") {
		case 0:
			name := rapid.SampledFrom([]string{"a", "b", "T a", "z"}).Draw(t, "name")
			for _, other := range w.tags {
				if other.Parent == a.Parent && strings.EqualFold(other.Name, name) {
					name = a.Name
				}
			}
			a.Name = name
		case 1:
			a.RuleText = "asset.name:x"
		case 2:
			a.Color, a.Criticality = "#000000", 1
		case 3:
			w.next++
			if name := fmt.Sprint("theirs ", w.next); rapid.Bool().Draw(t, "below") {
				w.tags[w.next] = tagging.Actual{ID: w.next, Parent: id, Face: tagging.Face{Name: name}}
			}
		case 4:
			gone := map[int64]bool{id: true}
			for kid, k := range w.tags {
				if k.Parent == id {
					gone[kid] = true
				}
			}
			for kid, k := range w.tags {
				if gone[kid] || gone[k.Parent] {
					delete(w.tags, kid)
				}
			}
			continue
		}
		w.tags[id] = a
	}
}

func TestApplyingADifferenceGivesTheDesiredTreeAndNoSecondOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{next: 100, tags: map[int64]tagging.Actual{}}
		for i, name := range []string{"P", "theirs", "x"} {
			if rapid.Bool().Draw(t, "foreign") {
				w.tags[int64(i+1)] = tagging.Actual{ID: int64(i + 1), Face: tagging.Face{Name: name}}
			}
		}
		s := tagging.Settings{Drift: rapid.SampledFrom([]string{"", tagging.DriftRepair, tagging.DriftReport}).Draw(t, "drift")}
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			list, vals := drawAttributes(t)
			has := func(key string) bool {
				return slices.ContainsFunc(slices.Collect(maps.Values(w.owned)), func(o tagging.Owned) bool { return o.Key == key })
			}
			want, err := tagging.Desire(list, vals, has)
			require.NoError(t, err)
			theirs := map[int64]tagging.Actual{}
			for id, a := range w.tags {
				if _, ours := w.owned[id]; !ours {
					theirs[id] = a
				}
			}
			d := w.apply(t, want, s)
			for id, a := range theirs {
				require.Equal(t, a, w.tags[id], "a tag of others")
			}
			again := w.diff(want, s)
			require.Empty(t, again.Changes, "after %v", ops(d))
			checkTree(t, w, want, again)
			meddle(t, w)
		}
	})
}

// checkTree checks that every desired tag is there, unless a report says why not.
func checkTree(t *rapid.T, w *world, want *tagging.Desired, d *tagging.Difference) {
	reported := map[string]bool{}
	for _, r := range d.Reports {
		reported[r.Key] = true
	}
	byKey := map[string]tagging.Actual{}
	for id, o := range w.owned {
		if a, there := w.tags[id]; there {
			byKey[o.Key] = a
		}
	}
	for _, tag := range want.Tags {
		if reported[tag.Key] {
			continue
		}
		a, there := byKey[tag.Key]
		if !there {
			require.Empty(t, tag.ParentKey, "tag %s is missing", tag.Key)
			require.NotZero(t, w.idOf(tag.Name), "somebody's parent %s", tag.Key)
			continue
		}
		require.Equal(t, tag.Name, a.Name)
		require.Equal(t, tag.RuleText, a.RuleText)
		require.Equal(t, tag.RuleType, a.RuleType)
		require.Equal(t, tag.Criticality, a.Criticality)
		if tag.Color == "#123456" {
			require.Equal(t, tag.Color, a.Color)
		}
	}
}
