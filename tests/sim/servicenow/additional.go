package servicenow

import (
	"encoding/json"
	"strconv"
)

// Stored partial payloads that a call completes without sending them again: a
// dependent CI that was parked with its host is committed as soon as the host
// is. The answer lists it under additionalCommittedItems and its relation under
// additionalCommittedRelations.

// awaitedHost is what a stored partial payload remembers of the parked host that
// it depends on: the host's key, the type of the relation and the host's side.
func (r *run) awaitedHost(o *outcome, old *row) []field {
	n := r.s.schema.nums
	names := []string{"host_source", "host_key", "relation_type", "host_side"}
	out := make([]field, 0, len(names))
	if o.host < 0 {
		if old != nil { // sent again alone, it still waits for the same host
			for _, name := range names {
				out = append(out, field{n[name], old.get(n[name])})
			}
		}
		return out
	}
	host := r.primaryOf(o.host)
	source, key, ok := r.partialKey(host)
	if !ok {
		return nil
	}
	side := "child"
	if r.primaryOf(o.hostRel.parentRef.main) == host {
		side = "parent"
	}
	for i, v := range []string{source, key, o.hostRel.kind, side} {
		out = append(out, field{n[names[i]], v})
	}
	return out
}

// completePartials commits the stored partial payloads whose hosts this call has
// committed, and those that wait for these in turn, up to the limit of one call.
func (r *run) completePartials() {
	if !r.opt.enhanced || !r.opt.partialPayloads || len(r.s.schema.tables["cmdb_ire_partial_payloads"].rows) == 0 {
		return
	}
	left, err := strconv.Atoi(r.s.property(enginePrefix + "partial_items_process_limit"))
	if err != nil {
		left = 2000
	}
	for i := 0; i < len(r.items); i++ { // it grows
		o := r.items[i]
		if o.failed() || o.primary >= 0 || o.row == nil {
			continue
		}
		for _, stored := range r.waitingFor(o) {
			if left--; left < 0 {
				return
			}
			r.completePartial(o, stored)
		}
	}
}

// waitingFor are the stored partial payloads that name an item as their host.
func (r *run) waitingFor(o *outcome) []*row {
	keys := make([][]string, 0, 1)
	for _, s := range o.sources {
		keys = append(keys, []string{s.name, s.key})
	}
	if source, key, ok := r.partialKey(o); ok && len(keys) == 0 {
		keys = append(keys, []string{source, key})
	}
	var out []*row
	n := r.s.schema.nums
	for _, k := range keys {
		r.s.ix.partialHost.find(k, func(x *row) {
			if x.get(n["host_source"]) == k[0] && x.get(n["host_key"]) == k[1] && r.fresh(x) {
				out = append(out, x)
			}
		})
	}
	return out
}

// completePartial commits one stored partial payload below its host. When that
// fails nothing happens: it goes on waiting.
func (r *run) completePartial(host *outcome, stored *row) {
	n := r.s.schema.nums
	raw := json.RawMessage(stored.get(n["payload"]))
	it, err := parseItem(raw, true)
	if err != nil {
		return
	}
	o := &outcome{index: len(r.items), item: it, class: r.s.schema.tables[it.className], host: host.index, primary: -1, entryID: unknownID, additional: true}
	rel := &relation{kind: stored.get(n["relation_type"]), raw: raw}
	if o.class == nil || r.s.relType[rel.kind] == nil {
		return
	}
	if o.rule = r.s.rules.forClass(o.class); o.rule == nil {
		return
	}
	rel.parentRef, rel.childRef = endpoint{host.index, -1, true}, endpoint{o.index, -1, true}
	if stored.get(n["host_side"]) == "child" {
		rel.parentRef, rel.childRef = rel.childRef, rel.parentRef
	}
	o.hostRel = rel
	if it.source.complete() {
		o.sources = []sourceInfo{it.source}
	}
	r.items = append(r.items, o)
	before := len(r.tx.undo)
	if r.process(o); o.failed() || o.row == nil {
		r.tx.rollbackTo(before)
		r.items = r.items[:o.index]
		return
	}
	r.rels = append(r.rels, &relOutcome{rel: rel, index: -1})
}
