package payload

import (
	"fmt"
	"slices"
	"sort"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
)

// Limits bound payloads.
type Limits struct {
	Lanes int // payloads sent side by side
	Items int // top-level items of a payload
	Bytes int // estimated size of a payload
}

// Input is one record to write.
type Input struct {
	Key   string
	Parts *record.Parts
}

// Resolved maps a reference to the sys_id it was resolved to.
type Resolved map[cmdb.Reference]string

// SharedIDs maps the key of a shared item to its sys_id in the target.
type SharedIDs map[string]string

// Cut cuts records into payloads for lanes. A record stays whole. Records that
// may be the same machine — they share a serial number, cloud id, name or MAC —
// go to one lane, each in a payload after the other, because two inserts of one
// machine side by side would make two CIs. As far as whole records allow, the
// number of payloads is a multiple of the lanes and they are of equal size. Equal
// input in any order gives equal payloads. A limit below one counts as one.
func Cut(records []Input, shared SharedIDs, refs Resolved, l Limits) []Payload {
	l = Limits{Lanes: max(l.Lanes, 1), Items: max(l.Items, 1), Bytes: max(l.Bytes, 1)}
	records = byKey(records)
	groups := groupByIdentity(records)
	lanes := spread(records, groups, l.Lanes)
	target := payloadSize(records, l)
	var out []Payload
	for lane, members := range lanes {
		for n, batch := range fill(records, members, groups, target, l) {
			p := Payload{ID: fmt.Sprintf("%d-%d", lane, n), Lane: lane}
			for _, i := range batch {
				p.add(&records[i], shared, refs)
			}
			out = append(out, p)
		}
	}
	return out
}

// byKey returns the records sorted by key: the order they came in must not matter.
func byKey(records []Input) []Input {
	records = slices.Clone(records)
	sort.SliceStable(records, func(i, j int) bool { return records[i].Key < records[j].Key })
	return records
}

// payloadSize is the number of items per payload that makes the number of
// payloads a multiple of the lanes.
func payloadSize(records []Input, l Limits) int {
	total := 0
	for i := range records {
		total += size(&records[i])
	}
	rounds := (total + l.Lanes*l.Items - 1) / (l.Lanes * l.Items)
	if rounds == 0 {
		return l.Items
	}
	return max(1, (total+rounds*l.Lanes-1)/(rounds*l.Lanes))
}

// size counts the items that a record brings into a payload; stubs of shared
// items count once per record, which errs on the safe side.
func size(r *Input) int {
	// A shared item that only a row's link names has no stub: each stub has a relation.
	return 1 + len(r.Parts.Dependents) + min(len(r.Parts.Shared), len(r.Parts.Relations))
}

// weight estimates the bytes of a record in a payload.
func weight(r *Input) int {
	n := itemWeight(r.Parts.Native) + 120*min(len(r.Parts.Shared), len(r.Parts.Relations)) + 90*len(r.Parts.Relations)
	for i := range r.Parts.Dependents {
		n += itemWeight(&r.Parts.Dependents[i])
	}
	return n
}

func itemWeight(it *cmdb.Item) int {
	if it == nil {
		return 0
	}
	n := 220 + len(it.Class) + 2*len(it.Key)
	for _, c := range it.Columns {
		n += len(c.Name) + len(c.Value) + 8
	}
	return n + rowsWeight(it.Lookup) + rowsWeight(it.Related)
}

func rowsWeight(rows []cmdb.Row) int {
	n := 0
	for i := range rows {
		n += 60 + len(rows[i].Table) + 50*len(rows[i].Links)
		for _, c := range rows[i].Columns {
			n += len(c.Name) + len(c.Value) + 8
		}
	}
	return n
}

// spread gives whole groups to lanes, the largest first, each to the lane with
// the fewest items.
func spread(records []Input, groups []int, lanes int) [][]int {
	members := map[int][]int{}
	items := map[int]int{}
	for i, g := range groups {
		members[g] = append(members[g], i)
		items[g] += size(&records[i])
	}
	order := make([]int, 0, len(members))
	for g := range members {
		order = append(order, g)
	}
	sort.Slice(order, func(a, b int) bool {
		if items[order[a]] != items[order[b]] {
			return items[order[a]] > items[order[b]]
		}
		return order[a] < order[b]
	})
	out := make([][]int, lanes)
	load := make([]int, lanes)
	for _, g := range order {
		lane := 0
		for l := range load {
			if load[l] < load[lane] {
				lane = l
			}
		}
		out[lane] = append(out[lane], members[g]...)
		load[lane] += items[g]
	}
	for l := range out {
		sort.Ints(out[l])
	}
	return out
}

// fill packs the records of a lane into payloads in order. A record goes into
// the first payload with room after the one that holds its group's last record;
// a record larger than a payload stands alone.
func fill(records []Input, members, groups []int, target int, l Limits) [][]int {
	var out [][]int
	var items, bytes []int
	next := map[int]int{} // group → first payload its next record may go to
	open := 0             // payloads before it are full
	for _, i := range members {
		n, w := size(&records[i]), weight(&records[i])
		k := max(next[groups[i]], open)
		for k < len(out) && (items[k]+n > max(target, 1)+target/10 || items[k]+n > l.Items || bytes[k]+w > l.Bytes) {
			if k == open && items[k] >= target {
				open++
			}
			k++
		}
		if k == len(out) {
			out, items, bytes = append(out, nil), append(items, 0), append(bytes, 0)
		}
		out[k], items[k], bytes[k] = append(out[k], i), items[k]+n, bytes[k]+w
		next[groups[i]] = k + 1
	}
	return out
}

// add appends a record's items and relations to the payload. Shared items go in
// as stubs that name their sys_id, once per payload.
func (p *Payload) add(r *Input, shared SharedIDs, refs Resolved) {
	at := map[string]int{}
	put := func(it Item) {
		at[it.Key] = len(p.Items)
		p.Items = append(p.Items, it)
	}
	main := withReferences(*r.Parts.Native, r.Parts.References, refs)
	main.Related = withLinks(main.Related, shared)
	main.Columns = linked(main.Columns, main.Links, shared)
	put(Item{Item: main, Owner: r.Key, Role: RoleMain})
	touched := touchedShared(r.Parts)
	for i := range r.Parts.Shared {
		s := &r.Parts.Shared[i]
		if !touched[s.Key] {
			continue // only another shared item refers to it
		}
		k := slices.IndexFunc(p.Items, func(it Item) bool { return it.Role == RoleShared && it.Key == s.Key })
		if k >= 0 {
			at[s.Key] = k
			continue
		}
		put(Item{Item: cmdb.Item{Key: s.Key, Class: s.Class}, SysID: shared[s.Key], Role: RoleShared})
	}
	for i := range r.Parts.Dependents {
		put(Item{Item: withReferences(r.Parts.Dependents[i], r.Parts.References, refs), Owner: r.Key, Role: RoleDependent})
	}
	for _, rel := range r.Parts.Relations {
		parent, okP := at[rel.Parent]
		child, okC := at[rel.Child]
		if !okP || !okC {
			continue
		}
		if p.Items[parent].Role == RoleShared && p.Items[child].Role == RoleShared {
			continue // written with the shared items
		}
		p.Relations = append(p.Relations, Relation{Parent: parent, Child: child, Type: rel.Type, Owner: r.Key})
	}
}

// touchedShared returns the keys of the shared items that the record's own items
// are related to.
func touchedShared(p *record.Parts) map[string]bool {
	if len(p.Shared) == 0 {
		return nil
	}
	shared := make(map[string]bool, len(p.Shared))
	for i := range p.Shared {
		shared[p.Shared[i].Key] = true
	}
	out := map[string]bool{}
	for _, r := range p.Relations {
		switch {
		case shared[r.Parent] && !shared[r.Child]:
			out[r.Parent] = true
		case shared[r.Child] && !shared[r.Parent]:
			out[r.Child] = true
		}
	}
	return out
}

// withReferences returns the item with the resolved references as columns.
func withReferences(it cmdb.Item, list []cmdb.Reference, refs Resolved) cmdb.Item {
	cols := it.Columns
	for _, ref := range list {
		id := refs[ref.Lookup()]
		if ref.Item != it.Key || id == "" {
			continue
		}
		if n := len(cols) - 1; ref.List && n >= len(it.Columns) && cols[n].Name == ref.Column {
			cols[n].Value += "," + id
			continue
		}
		cols = append(slices.Clip(cols), cmdb.Column{Name: ref.Column, Value: id})
	}
	it.Columns = cols
	return it
}

// Records returns the keys of the records in the payload, in order.
func (p *Payload) Records() []string {
	var out []string
	for i := range p.Items {
		if p.Items[i].Role == RoleMain {
			out = append(out, p.Items[i].Owner)
		}
	}
	return out
}

// Halve splits a payload that was rejected as a whole into two by records. ok is
// false for a lone record.
func Halve(p *Payload) (a, b Payload, ok bool) {
	owners := p.Records()
	if len(owners) < 2 {
		return Payload{}, Payload{}, false
	}
	left := map[string]bool{}
	for _, o := range owners[:len(owners)/2] {
		left[o] = true
	}
	a = p.only(p.ID+"a", func(owner string) bool { return left[owner] })
	b = p.only(p.ID+"b", func(owner string) bool { return !left[owner] })
	return a, b, true
}

// Only returns the part of the payload that belongs to some records, with the
// shared items that they need.
func (p *Payload) Only(id string, owners map[string]bool) Payload {
	return p.only(id, func(o string) bool { return owners[o] })
}

func (p *Payload) only(id string, keep func(owner string) bool) Payload {
	out := Payload{ID: id, Lane: p.Lane}
	needed := map[int]bool{}
	for _, r := range p.Relations {
		if keep(r.Owner) {
			needed[r.Parent], needed[r.Child] = true, true
		}
	}
	at := map[int]int{}
	for i := range p.Items {
		it := &p.Items[i]
		if (it.Role == RoleShared && needed[i]) || (it.Role != RoleShared && keep(it.Owner)) {
			at[i] = len(out.Items)
			out.Items = append(out.Items, *it)
		}
	}
	for _, r := range p.Relations {
		if keep(r.Owner) {
			out.Relations = append(out.Relations, Relation{Parent: at[r.Parent], Child: at[r.Child], Type: r.Type, Owner: r.Owner})
		}
	}
	return out
}

// WithoutNames returns the payload with the names of some records' CIs taken out,
// so that IRE does not identify them by name.
func (p *Payload) WithoutNames(owners map[string]bool) *Payload {
	if len(owners) == 0 {
		return p
	}
	out := *p
	out.Items = slices.Clone(p.Items)
	for i := range out.Items {
		it := &out.Items[i]
		if it.Role == RoleMain && owners[it.Owner] {
			it.Columns = slices.DeleteFunc(slices.Clone(it.Columns), func(c cmdb.Column) bool { return c.Name == "name" })
		}
	}
	return &out
}
