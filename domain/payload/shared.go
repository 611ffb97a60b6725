package payload

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"github.com/qbridge/qbridge/domain/cmdb"
)

// SharedPayload returns one payload with all shared items of the records that
// the target does not know yet, together with what they depend on: parents that
// are known go in as stubs. It returns nil when all are known. Where records
// disagree about a shared item, the record with the smallest key is taken.
func SharedPayload(records []Input, known SharedIDs) *Payload {
	records = byKey(records)
	p := &Payload{ID: "shared"}
	at, seen := map[string]int{}, map[string]bool{}
	var items []cmdb.Item
	relations := map[cmdb.Relation]bool{}
	missing := false
	for i := range records {
		keys := map[string]bool{}
		for _, s := range records[i].Parts.Shared {
			keys[s.Key] = true
			if !seen[s.Key] {
				seen[s.Key] = true
				items = append(items, s)
				missing = missing || known[s.Key] == ""
			}
		}
		for _, r := range records[i].Parts.Relations {
			if keys[r.Parent] && keys[r.Child] {
				relations[r] = true
			}
		}
	}
	if !missing {
		return nil
	}
	sort.Slice(items, func(i, j int) bool { return items[i].Key < items[j].Key })
	for _, it := range items {
		at[it.Key] = len(p.Items)
		if id := known[it.Key]; id != "" {
			p.Items = append(p.Items, Item{Item: cmdb.Item{Key: it.Key, Class: it.Class}, SysID: id, Role: RoleShared})
			continue
		}
		p.Items = append(p.Items, Item{Item: it, Role: RoleShared})
	}
	for r := range relations {
		p.Relations = append(p.Relations, Relation{Parent: at[r.Parent], Child: at[r.Child], Type: r.Type})
	}
	sort.Slice(p.Relations, func(i, j int) bool {
		a, b := p.Relations[i], p.Relations[j]
		return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Child, b.Child), cmp.Compare(a.Type, b.Type)) < 0
	})
	return p
}

// SharedPayloads is SharedPayload cut at a number of items: items with relations
// stay together in the first payload, the others (packages) fill the rest. Items
// that are known and that nothing needs are left out.
func SharedPayloads(records []Input, known SharedIDs, limit int) []Payload {
	p := SharedPayload(records, known)
	if p == nil {
		return nil
	}
	related := map[int]bool{}
	for _, r := range p.Relations {
		related[r.Parent], related[r.Child] = true, true
	}
	first := Payload{ID: "shared"}
	var lone []Item
	at := map[int]int{}
	for i := range p.Items {
		switch {
		case related[i]:
			at[i] = len(first.Items)
			first.Items = append(first.Items, p.Items[i])
		case p.Items[i].SysID == "":
			lone = append(lone, p.Items[i])
		}
	}
	for _, r := range p.Relations {
		r.Parent, r.Child = at[r.Parent], at[r.Child]
		first.Relations = append(first.Relations, r)
	}
	room := min(len(lone), max(0, limit-len(first.Items)))
	first.Items = append(first.Items, lone[:room]...)
	var out []Payload
	if slices.ContainsFunc(first.Items, func(it Item) bool { return it.SysID == "" }) {
		out = append(out, first)
	}
	for batch := range slices.Chunk(lone[room:], max(limit, 1)) {
		out = append(out, Payload{ID: fmt.Sprintf("shared-%d", len(out)), Items: batch})
	}
	return out
}

// Link resolves a row's links to columns. A link to an item without a sys_id is
// left out, and the row is written without it.
func Link(r cmdb.Row, ids SharedIDs) cmdb.Row {
	r.Columns, r.Links = linked(slices.Clip(r.Columns), r.Links, ids), nil
	return r
}

// linked returns columns with those that hold the sys_ids of other items.
func linked(cols []cmdb.Column, links []cmdb.Link, ids SharedIDs) []cmdb.Column {
	for _, l := range links {
		if id := ids[l.Item]; id != "" {
			cols = append(slices.Clip(cols), cmdb.Column{Name: l.Column, Value: id})
		}
	}
	return cols
}

// Waves orders records so that one whose CI names the CIs of others comes after
// them: the records of a wave name only those of earlier waves. Records that name
// each other in a circle come in the last wave.
func Waves(records []Input) [][]Input {
	left := map[string]bool{}
	for i := range records {
		left[records[i].Key] = true
	}
	var out [][]Input
	for len(records) > 0 {
		var wave, rest []Input
		for _, r := range records {
			waits := r.Parts.Native != nil && slices.ContainsFunc(r.Parts.Native.Links, func(l cmdb.Link) bool { return l.Item != r.Key && left[l.Item] })
			if waits {
				rest = append(rest, r)
			} else {
				wave = append(wave, r)
			}
		}
		if len(wave) == 0 {
			return append(out, rest)
		}
		for i := range wave {
			delete(left, wave[i].Key)
		}
		out, records = append(out, wave), rest
	}
	return out
}

// withLinks returns the rows with their links as columns.
func withLinks(rows []cmdb.Row, ids SharedIDs) []cmdb.Row {
	if !slices.ContainsFunc(rows, func(r cmdb.Row) bool { return len(r.Links) > 0 }) {
		return rows
	}
	out := make([]cmdb.Row, len(rows))
	for i := range rows {
		out[i] = Link(rows[i], ids)
	}
	return out
}
