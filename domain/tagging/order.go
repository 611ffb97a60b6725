package tagging

import (
	"fmt"
	"slices"
	"strings"
)

// compare notes what must change of a tag of ours. What was changed by hand is
// undone or reported.
func (x *differ) compare(t *Tag, id int64) {
	a, o := x.actual[id], x.ours[id]
	want := Face{Name: t.Name, RuleType: t.RuleType, RuleText: t.RuleText, Provider: t.Provider, Color: t.Color, Criticality: t.Criticality}.normal()
	if want.Color == "" {
		want.Color = a.Color
	}
	base := Change{Key: t.Key, ID: id}
	note := func(op Op, same, byHand bool, was string, face Face) {
		switch {
		case same:
		case byHand && x.settings.Drift == DriftReport:
			x.report(ReportDrift, t.Key, id, "its %s was changed by hand to %q", op, was)
		default:
			c := base
			c.Op, c.Face, c.Was, c.Drift = op, face, was, byHand
			if op == OpRename {
				x.renames[id] = c
			} else {
				x.others = append(x.others, c)
			}
		}
	}
	w := &o.Written
	note(OpRename, a.Name == want.Name, a.Name != w.Name, a.Name, Face{Name: want.Name})
	rule := Face{RuleType: want.RuleType, RuleText: want.RuleText, Provider: want.Provider}
	if sameRule := rule == a.rule(); !sameRule && want.RuleType == RuleStatic {
		x.report(ReportDrift, t.Key, id, "it has a rule, which static tags of ours have not: remove it by hand")
	} else {
		note(OpRule, sameRule, a.rule() != w.rule(), a.RuleText, rule)
	}
	note(OpRecolour, a.Color == want.Color, a.Color != w.Color && w.Color != "", a.Color, Face{Color: want.Color})
	note(OpScore, a.Criticality == want.Criticality, a.Criticality != w.Criticality, fmt.Sprint(a.Criticality), Face{Criticality: want.Criticality})
	x.learn(id, want)
}

// rule is the part of a face that a change of the rule changes.
func (f Face) rule() Face {
	return Face{RuleType: f.RuleType, RuleText: f.RuleText, Provider: f.Provider}
}

// learn takes what is as it should be for written, whoever wrote it.
func (x *differ) learn(id int64, want Face) {
	a, o := x.actual[id], x.ours[id]
	w := &o.Written
	if a.Name == want.Name {
		w.Name = a.Name
	}
	if a.rule() == want.rule() {
		w.RuleType, w.RuleText, w.Provider = a.RuleType, a.RuleText, a.Provider
	}
	if a.Color == want.Color {
		w.Color = a.Color
	}
	if a.Criticality == want.Criticality {
		w.Criticality = a.Criticality
	}
	x.ours[id] = o
}

// gone decides about tags of ours that nobody wants any more, children first.
func (x *differ) gone() {
	var parents []int64
	for _, id := range x.ids {
		o, ours := x.ours[id]
		switch {
		case !ours || x.seen[o.Key] || x.want.keep[o.Key] || x.byKey[o.Key] != id:
		case strings.HasPrefix(o.Key, "^"):
			parents = append(parents, id)
		default:
			x.retire(id, o)
		}
	}
	for _, id := range parents {
		o := x.ours[id]
		ends := false
		for _, a := range x.want.attributes {
			ends = ends || a.Retire && a.OnGone == GoneDelete && parentKey(a.Parent) == o.Key
		}
		if ends {
			x.remove(id, o)
		} else {
			x.report(ReportOrphan, o.Key, id, "no attribute names it as parent any more: delete it by hand")
		}
	}
}

// retire applies the policy of the attribute to a tag whose value is gone.
func (x *differ) retire(id int64, o Owned) {
	name, _, _ := strings.Cut(o.Key, "/")
	a, known := x.want.attributes[name]
	there := x.actual[id]
	switch {
	case !known:
		x.report(ReportOrphan, o.Key, id, "attribute %s is not configured any more: bring it back with retire: true to end it, or delete the tag by hand", name)
	case !a.Retire && x.want.values[name] == 0:
		x.report(ReportHeld, o.Key, id, "no value of attribute %s was read, which looks like a mistake: nothing is retired; set retire: true if it is none", name)
	case a.OnGone == GoneKeep, a.OnGone == GoneDeactivate && a.RuleType == RuleStatic:
		x.report(ReportKept, o.Key, id, "its value is gone")
	case a.OnGone == GoneDelete:
		x.remove(id, o)
	default:
		rule := Face{RuleType: a.RuleType, RuleText: a.GoneRule, Provider: a.Provider}.normal().rule()
		byHand := there.rule() != o.Written.rule()
		switch {
		case there.rule() == rule:
			o.Written.RuleType, o.Written.RuleText, o.Written.Provider = rule.RuleType, rule.RuleText, rule.Provider
			x.ours[id] = o
		case byHand && x.settings.Drift == DriftReport:
			x.report(ReportDrift, o.Key, id, "its value is gone and its rule was changed by hand to %q", there.RuleText)
		default:
			x.retires = append(x.retires, Change{Op: OpRetire, Key: o.Key, ID: id, Face: rule, Was: there.RuleText, Drift: byHand})
		}
	}
}

// remove deletes a tag, unless something of others would go with it: one that was
// changed by hand may serve another purpose now, and the vendor deletes what stands
// below.
func (x *differ) remove(id int64, o Owned) {
	a := x.actual[id]
	switch {
	case a.Parent != o.Parent:
		x.report(ReportMoved, o.Key, id, "its value is gone, but it was moved by hand: delete it by hand")
	case a.Name != o.Written.Name || a.rule() != o.Written.rule():
		x.report(ReportDrift, o.Key, id, "its value is gone, but it was changed by hand: delete it by hand")
	case slices.ContainsFunc(x.kids[id], func(kid int64) bool { _, also := x.deletes[kid]; return !also }):
		x.report(ReportForeign, o.Key, id, "its value is gone, but tags stand below it: delete it by hand")
	default:
		x.deletes[id] = Change{Op: OpDelete, Key: o.Key, ID: id, Face: Face{Name: a.Name}, Was: a.Name}
	}
}

// names are the siblings by name: parent and name in lower case → id.
type names map[string]int64

func nameKey(parent int64, name string) string {
	return fmt.Sprintf("%d\n%s", parent, strings.ToLower(name))
}

// order puts the changes into an order in which no call finds a sibling of the same
// name: parents, deletions that free a name, renames, new tags, the rest, and
// deletions at the end, so that a refused call has destroyed as little as possible.
func (x *differ) order() {
	taken := names{}
	for _, id := range x.ids {
		taken[nameKey(x.actual[id].Parent, x.actual[id].Name)] = id
	}
	early := x.unblock(taken)
	var parents, children []Change
	for _, c := range x.creates {
		if c.ParentKey == "" {
			parents = append(parents, c)
		} else {
			children = append(children, c)
		}
	}
	var before, after, roots []Change
	for _, id := range x.ids {
		c, ok := x.deletes[id]
		switch {
		case !ok:
		case early[id]:
			before = append(before, c)
		case strings.HasPrefix(c.Key, "^"):
			roots = append(roots, c)
		default:
			after = append(after, c)
		}
	}
	for _, c := range before {
		delete(taken, nameKey(x.actual[c.ID].Parent, x.actual[c.ID].Name))
	}
	rank := []Op{OpRule, OpRecolour, OpScore}
	slices.SortStableFunc(x.others, func(a, b Change) int { return slices.Index(rank, a.Op) - slices.Index(rank, b.Op) })
	x.out.Changes = slices.Concat(before, x.renamed(taken), parents, children, x.others, x.retires, after, roots)
}

// unblock drops what would need the name of a sibling that keeps it, and returns
// the deletions that must come first.
func (x *differ) unblock(taken names) (early map[int64]bool) {
	early = map[int64]bool{}
	stays := func(parent int64, name string, self int64) int64 {
		id := taken[nameKey(parent, name)]
		_, moves := x.renames[id]
		if _, goes := x.deletes[id]; goes {
			early[id] = true
			return 0
		}
		if id == self || moves {
			return 0
		}
		return id
	}
	for again := true; again; {
		again = false
		for _, id := range x.ids {
			c, ok := x.renames[id]
			if !ok {
				continue
			}
			if other := stays(x.actual[id].Parent, c.Face.Name, id); other != 0 {
				x.report(ReportForeign, c.Key, other, "a sibling has the name %q that tag %d should have", c.Face.Name, id)
				delete(x.renames, id)
				again = true
			}
		}
	}
	x.creates = slices.DeleteFunc(x.creates, func(c Change) bool {
		if c.ParentKey != "" && c.ParentID == 0 {
			return false // below a tag that is new itself
		}
		other := stays(c.ParentID, c.Face.Name, 0)
		if other != 0 {
			x.report(ReportForeign, c.Key, other, "a tag that is not ours has the name %q in the same place", c.Face.Name)
		}
		return other != 0
	})
	x.creates = slices.DeleteFunc(x.creates, func(c Change) bool {
		orphan := c.ParentKey != "" && c.ParentID == 0 && !slices.ContainsFunc(x.creates, func(p Change) bool { return p.Key == c.ParentKey })
		if orphan {
			x.out.Reports = append(x.out.Reports, Report{Kind: ReportWaits, Key: c.Key, Name: c.Face.Name, Why: "the parent tag cannot be made"})
		}
		return orphan
	})
	return early
}

// renamed orders the renames so that each finds its name free; a circle is opened
// by a name in between.
func (x *differ) renamed(taken names) []Change {
	var out []Change
	pending := slices.DeleteFunc(slices.Clone(x.ids), func(id int64) bool { _, ok := x.renames[id]; return !ok })
	current := map[int64]string{}
	move := func(id int64, to string) {
		parent := x.actual[id].Parent
		if now, ok := current[id]; ok {
			delete(taken, nameKey(parent, now))
		} else {
			delete(taken, nameKey(parent, x.actual[id].Name))
		}
		taken[nameKey(parent, to)], current[id] = id, to
	}
	for len(pending) > 0 {
		free := slices.IndexFunc(pending, func(id int64) bool {
			other := taken[nameKey(x.actual[id].Parent, x.renames[id].Face.Name)]
			return other == 0 || other == id
		})
		if free >= 0 {
			id := pending[free]
			out = append(out, x.renames[id])
			move(id, x.renames[id].Face.Name)
			pending = slices.Delete(pending, free, free+1)
			continue
		}
		id := pending[0]
		c := x.renames[id]
		suffix := fmt.Sprintf(" ~%d", id)
		runes := []rune(c.Face.Name)
		c.Face.Name = string(runes[:min(len(runes), maxName-len(suffix))]) + suffix
		out = append(out, c)
		move(id, c.Face.Name)
	}
	return out
}
