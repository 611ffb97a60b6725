package servicenow

import (
	"encoding/json"
	"slices"
	"strings"
)

// mergePartial completes an item with the stored partial payload of the same
// key: what the item itself does not say is taken from there, and what it says
// differently too when the stored payload's data are more recent. The stored
// record goes when the item is committed and is rewritten when it still is not
// complete.
func (r *run) mergePartial(o *outcome) {
	if !r.opt.enhanced || !r.opt.partialPayloads {
		return
	}
	n := r.s.schema.nums
	stored := r.storedPartial(o)
	if stored == nil || stored.get(n["class_name"]) != o.item.className {
		return
	}
	old, err := parseItem(json.RawMessage(stored.get(n["payload"])), false)
	if err != nil {
		return
	}
	newer := o.item.source.recency != "" && old.source.recency > o.item.source.recency
	for name, v := range old.values {
		if v != "" && (newer || o.item.values[name] == "") {
			o.item = o.item.with(name, v)
		}
	}
	o.merged = append(o.merged, stored.id.String())
	o.stored = stored
}

// partialKey is the identifier key of an item: its source key, else the values
// of its first complete identifier entry. ok is false when it has neither, and
// such an item cannot be kept as partial.
func (r *run) partialKey(o *outcome) (source, key string, ok bool) {
	if o.item.source.complete() {
		return o.item.source.name, o.item.source.key, true
	}
	if o.rule == nil {
		return "", "", false
	}
	for _, e := range r.s.rules.entries(o.rule) {
		if e.Table != "" {
			continue
		}
		if values, complete := r.criterion(o, e); complete {
			return "", stableID(o.item.className, e.key, strings.ToLower(strings.Join(values, "\x00"))).String(), true
		}
	}
	return "", "", false
}

func (r *run) storedPartial(o *outcome) (found *row) {
	source, key, ok := r.partialKey(o)
	if !ok {
		return nil
	}
	n := r.s.schema.nums
	r.s.ix.partial.find([]string{source, key}, func(x *row) {
		if x.get(n["source_native_key"]) == key && r.fresh(x) {
			found = x
		}
	})
	return found
}

// park decides what becomes of an item with errors. In the enhanced call with
// partial payloads it is stored: as partial when it carries a key that a later
// payload can complete, as incomplete otherwise.
func (r *run) park(o *outcome) {
	if !r.opt.enhanced || !r.opt.partialPayloads {
		return
	}
	if _, _, keyed := r.partialKey(o); o.partialEligible && keyed {
		o.warnings = append(o.warnings, o.errors...)
		o.errors = nil
		r.storePartial(o)
		return
	}
	o.parked, o.op = "incomplete", "INSERT_AS_INCOMPLETE"
	if r.opt.dryRun {
		return
	}
	n := r.s.schema.nums
	x := r.tx.insert(r.s.schema.tables["cmdb_ire_incomplete_payloads"], sysID{}, []field{
		{n["source_name"], r.source}, {n["class_name"], o.item.className}, {n["payload"], o.item.encoded(r.source, r.now)}, {n["error"], o.errors[0].Error}})
	o.incompl = []string{x.id.String()}
}

// fresh tells whether a stored partial payload still counts: it is deleted after
// ninety days.
func (r *run) fresh(stored *row) bool { return r.now.Unix()-stored.updated < 90*24*3600 }

// storePartial keeps the item under its key, with the host it waits for; a
// former partial of the same key is rewritten, not multiplied.
func (r *run) storePartial(o *outcome) {
	o.parked, o.op = "partial", "INSERT_AS_PARTIAL"
	if r.opt.dryRun {
		return
	}
	source, key, _ := r.partialKey(o)
	n := r.s.schema.nums
	fields := []field{{n["source_name"], source}, {n["source_native_key"], key},
		{n["class_name"], o.item.className}, {n["payload"], o.item.encoded("", r.now)}, {n["status"], "partial"}}
	old := r.storedPartial(o)
	fields = append(fields, r.awaitedHost(o, old)...)
	if old == nil {
		old = r.tx.insert(r.s.schema.tables["cmdb_ire_partial_payloads"], sysID{}, fields)
	} else {
		r.tx.write(old, old.table, fields, true)
		if !slices.Contains(o.merged, old.id.String()) {
			o.merged = append(o.merged, old.id.String())
		}
	}
	o.partials = []string{old.id.String()}
}
