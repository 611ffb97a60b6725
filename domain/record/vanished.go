package record

import (
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/cmdb"
)

// Gone says how a part that vanished is retired.
type Gone string

// Ways to retire a part.
const (
	// GoneItem is a CI of its own (adapter, file system): its relations end and a
	// status says that it is retired. It is never deleted.
	GoneItem Gone = "item"
	// GoneRelation is the relation to an item that other records share: the item stays.
	GoneRelation Gone = "relation"
	// GoneRow is a row that is not a CI (software instance, open port): deleted.
	GoneRow Gone = "row"
)

// Item is one part of a record that vanished.
type Item struct {
	Gone     Gone           `json:"gone"`
	Section  string         `json:"section"`
	Key      string         `json:"key"`             // of the item or row; of the shared item for a relation
	Class    string         `json:"class,omitempty"` // class or table
	Relation *cmdb.Relation `json:"relation,omitempty"`
	Row      *cmdb.Row      `json:"row,omitempty"` // as last written, with what identifies it
}

// Vanished returns the parts that were written before and are gone now: only
// from sections that the current answer carried in full, so never because a
// section was null, excluded, switched off or failed to arrive. A record without
// a main CI, before or now, or of another key loses nothing. Items come first,
// then relations, then rows, each sorted by key.
func Vanished(prior, current Parts) []Item {
	if prior.Native == nil || current.Native == nil || prior.Native.Key != current.Native.Key {
		return nil
	}
	complete := func(section string) bool { return section != "" && slices.Contains(current.Complete, section) }
	var out []Item
	now := keysOf(&current)
	for i := range prior.Dependents {
		if d := &prior.Dependents[i]; complete(d.Section) && !now[d.Key] {
			out = append(out, Item{Gone: GoneItem, Section: d.Section, Key: d.Key, Class: d.Class})
		}
	}
	sortByKey(out)
	out = append(out, goneRelations(&prior, &current, complete)...)
	var rows []Item
	for _, list := range [][]cmdb.Row{prior.Native.Related, prior.Tables} {
		for i := range list {
			if r := &list[i]; r.Key != "" && complete(r.Section) && !now[r.Key] {
				rows = append(rows, Item{Gone: GoneRow, Section: r.Section, Key: r.Key, Class: r.Table, Row: r})
			}
		}
	}
	sortByKey(rows)
	return append(out, rows...)
}

// Carry returns what must be remembered as written when current is written over
// prior: current, and the parts of prior in sections that current does not carry
// in full. They may still be in the target, and vanish only when their section
// comes complete without them. It returns nil when that is nothing but current.
func Carry(prior, current *Parts) *Parts {
	if prior == nil || prior.Native == nil || current.Native == nil || prior.Native.Key != current.Native.Key {
		return nil
	}
	out, main := *current, *current.Native
	now, some := keysOf(current), false
	keep := func(section, key string) bool {
		carried := section != "" && key != "" && !now[key] && !slices.Contains(current.Complete, section)
		some = some || carried
		return carried
	}
	kept := map[string]bool{}
	for i := range prior.Dependents {
		if d := &prior.Dependents[i]; keep(d.Section, d.Key) {
			kept[d.Key], out.Dependents = true, append(slices.Clip(out.Dependents), *d)
		}
	}
	here := map[string]bool{}
	for i := range current.Shared {
		here[current.Shared[i].Key] = true
	}
	for i := range prior.Shared {
		if s := &prior.Shared[i]; !here[s.Key] && keep(s.Section, s.Key) {
			kept[s.Key], out.Shared = true, append(slices.Clip(out.Shared), *s)
		}
	}
	for _, r := range prior.Relations {
		if kept[r.Parent] || kept[r.Child] {
			out.Relations = append(slices.Clip(out.Relations), r)
		}
	}
	for i := range prior.Native.Related {
		if r := &prior.Native.Related[i]; keep(r.Section, r.Key) {
			main.Related = append(slices.Clip(main.Related), *r)
		}
	}
	for i := range prior.Tables {
		if r := &prior.Tables[i]; keep(r.Section, r.Key) {
			out.Tables = append(slices.Clip(out.Tables), *r)
		}
	}
	if !some {
		return nil
	}
	out.Native = &main
	return &out
}

// goneRelations returns relations between the record's remaining items and
// shared items that no longer hold. Relations of vanished items end with them.
func goneRelations(prior, current *Parts, complete func(string) bool) []Item {
	if len(prior.Shared) == 0 {
		return nil
	}
	shared := make(map[string]*cmdb.Item, len(prior.Shared))
	for i := range prior.Shared {
		shared[prior.Shared[i].Key] = &prior.Shared[i]
	}
	holds := make(map[cmdb.Relation]bool, len(current.Relations))
	for _, r := range current.Relations {
		holds[r] = true
	}
	now := keysOf(current)
	var out []Item
	for _, r := range prior.Relations {
		s, own := shared[r.Child], r.Parent
		if s == nil {
			s, own = shared[r.Parent], r.Child
		}
		if s == nil || shared[own] != nil || holds[r] || !now[own] || !complete(s.Section) {
			continue
		}
		out = append(out, Item{Gone: GoneRelation, Section: s.Section, Key: s.Key, Class: s.Class, Relation: &r})
	}
	sortByKey(out)
	return out
}

// keysOf returns the keys of a record's own items and rows.
func keysOf(p *Parts) map[string]bool {
	out := make(map[string]bool, 1+len(p.Dependents)+len(p.Tables)+len(p.Native.Related))
	out[p.Native.Key] = true
	for i := range p.Dependents {
		out[p.Dependents[i].Key] = true
	}
	for _, list := range [][]cmdb.Row{p.Native.Related, p.Tables} {
		for i := range list {
			out[list[i].Key] = true
		}
	}
	return out
}

func sortByKey(list []Item) {
	slices.SortStableFunc(list, func(a, b Item) int { return strings.Compare(a.Key, b.Key) })
}
