package servicenow

import (
	"slices"
	"strings"
)

// writeSubs inserts or updates the lookup and related records of an item.
func (r *run) writeSubs(o *outcome) {
	for _, s := range o.subs {
		if s.duplicate || s.entry == nil {
			continue
		}
		r.writeSub(o, s)
	}
}

func (r *run) writeSub(o *outcome, s *subOutcome) {
	t, e := s.entry.table, s.entry
	var fields []field
	for _, name := range sortedKeys(s.item.values) {
		if name == e.Reference {
			continue
		}
		if f, ok := r.column(t, name, s.item.values[name], &s.unknownMsg); ok {
			fields = append(fields, f)
		}
	}
	fields = append(fields, field{e.refCol, o.row.id.String()})
	found := r.findSub(o, s)
	if found == nil {
		if t.isCI {
			fields = r.discoveryOf(fields)
		}
		s.row, s.op = r.tx.insert(t, sysID{}, fields), "INSERT"
		return
	}
	s.row, s.op = found, "NO_CHANGE"
	merged := found.fields()
	for _, f := range fields {
		if found.get(f.col) != f.val {
			merged, s.op = setField(merged, f.col, f.val), "UPDATE"
		}
	}
	if s.op == "UPDATE" {
		r.tx.write(found, t, merged, true)
	}
}

func (r *run) discoveryOf(fields []field) []field {
	now, n := r.now.UTC().Format(timeLayout), r.s.schema.nums
	fields = setField(fields, n["discovery_source"], r.source)
	fields = setField(fields, n["last_discovered"], now)
	return setField(fields, n["first_discovered"], now)
}

// findSub looks for the record of this CI with the same criterion values. Below
// a CI that was just inserted there can only be what a merged duplicate of the
// item brought along.
func (r *run) findSub(o *outcome, s *subOutcome) (found *row) {
	if o.inserted && len(o.indices) == 1 {
		return nil
	}
	values := make([]string, 0, len(s.entry.Attributes)+1)
	for _, a := range s.entry.Attributes {
		if a != "sys_class_name" {
			values = append(values, strings.TrimSpace(s.item.values[a]))
		}
	}
	s.entry.owned.find(append(values, o.row.id.String()), func(x *row) {
		if found == nil || x.seq < found.seq {
			found = x
		}
	})
	return found
}

// relate writes one relation once its ends are known.
func (r *run) relate(rel *relOutcome) {
	in := rel.rel
	if len(r.items) > 0 && rel.errors == nil && (in.parentRef.main >= len(r.items) || in.childRef.main >= len(r.items)) {
		return
	}
	if len(rel.errors) > 0 {
		rel.op = "NO_CHANGE"
		if r.opt.enhanced && r.opt.partialPayloads {
			rel.op = "INSERT_AS_INCOMPLETE"
		}
		return
	}
	for _, end := range []endpoint{in.parentRef, in.childRef} {
		if o := r.primaryOfEnd(end); o.failed() {
			r.abandonRelation(rel, o)
			return
		}
	}
	parent, child := r.targetRow(in.parentRef), r.targetRow(in.childRef)
	if parent == nil || child == nil {
		rel.errors = append(rel.errors, issue{"ABANDONED", "While processing relations encountered errors in payload item: " + string(in.raw)})
		return
	}
	n, s := r.s.schema.nums, r.s
	ends := []string{parent.id.String(), child.id.String(), s.relType[in.kind].id.String()}
	s.ix.relTriple.find(ends, func(x *row) { rel.row = x })
	rel.op = "NO_CHANGE"
	if rel.row == nil {
		rel.op = "INSERT"
		rel.row = r.tx.insert(s.schema.tables["cmdb_rel_ci"], sysID{}, []field{{n["parent"], ends[0]}, {n["child"], ends[1]}, {n["type"], ends[2]}})
	}
	r.relationSource(rel)
}

func (r *run) primaryOfEnd(e endpoint) *outcome {
	if len(r.items) == 0 {
		return nil
	}
	return r.primaryOf(e.main)
}

// relationSource keeps sys_rel_source for relations that carry the information
// and are not the dependency of one of their ends.
func (r *run) relationSource(rel *relOutcome) {
	if rel.rel.sourceName == "" && rel.rel.feed == "" {
		return
	}
	if slices.ContainsFunc(r.items, func(o *outcome) bool { return o.hostRel == rel.rel }) {
		return
	}
	n, id := r.s.schema.nums, rel.row.id.String()
	name, feed := orDefault(rel.rel.sourceName, r.source), orDefault(rel.rel.feed, "UNKNOWN")
	known := false
	r.s.ix.relSource.find([]string{id}, func(x *row) {
		known = known || x.get(n["name"]) == name && x.get(n["source_feed"]) == feed
	})
	if !known {
		r.tx.insert(r.s.schema.tables["sys_rel_source"], sysID{}, []field{{n["name"], name}, {n["source_feed"], feed},
			{n["target_sys_id"], id}, {n["last_scan"], r.now.UTC().Format(timeLayout)}})
	}
}

func (r *run) abandonRelation(rel *relOutcome, bad *outcome) {
	msg := issue{"ABANDONED", "While processing relations encountered errors in payload item: " + bad.item.quoted("", r.now)}
	switch bad.parked {
	case "partial":
		rel.op, rel.parked, rel.partials = "INSERT_AS_PARTIAL", "partial", bad.partials
		return
	case "incomplete":
		rel.op, rel.parked, rel.incompl = "INSERT_AS_INCOMPLETE", "incomplete", bad.incompl
	default:
		rel.op = "NO_CHANGE"
	}
	rel.errors = append(rel.errors, msg)
}
