package servicenow

import (
	"fmt"
	"strings"
)

// mergeDuplicates finds items of the payload that are the same CI by source key
// or by any complete identifier entry. The enhanced call merges them, later
// values over earlier ones as if they had been sent one after the other; the
// plain call rejects them.
func (r *run) mergeDuplicates(order []*outcome) {
	seen := map[string]*outcome{}
	for _, o := range order {
		if len(o.errors) > 0 || o.rule == nil {
			continue
		}
		var first *outcome
		fields := ""
		keys := r.duplicateKeys(o, o.sources)
		for _, k := range keys {
			if p := seen[k.key]; p != nil {
				first, fields = p, k.fields
				break
			}
		}
		if first == nil {
			for _, k := range keys {
				seen[k.key] = o
			}
			continue
		}
		if !r.opt.dedupe {
			for _, x := range []*outcome{first, o} {
				x.fail("DUPLICATE_PAYLOAD_RECORDS", "Found duplicate items in the payload (index %d and %d), using className [%s] and fields [%s]. Remove duplicate items from payload",
					first.index, o.index, o.class.name, fields)
			}
			continue
		}
		first.absorb(o)
		for _, k := range r.duplicateKeys(first, o.sources) { // those of its earlier sources are there
			seen[k.key] = first
		}
	}
}

type duplicateKey struct{ key, fields string }

// duplicateKeys are what an item with these sources is compared by.
func (r *run) duplicateKeys(o *outcome, sources []sourceInfo) []duplicateKey {
	var out []duplicateKey
	for _, s := range sources {
		out = append(out, duplicateKey{"source\x00" + o.class.name + "\x00" + s.name + "\x00" + s.key, "source_name, source_native_key"})
	}
	if id := o.item.values["sys_id"]; id != "" {
		return append(out, duplicateKey{"id\x00" + id, "sys_id"})
	}
	host := ""
	if o.rule.Dependent {
		if o.host < 0 {
			return out
		}
		h := r.items[o.host]
		if h.primary >= 0 {
			h = r.items[h.primary]
		}
		host = fmt.Sprint(h.index)
	}
	for _, e := range r.s.rules.entries(o.rule) {
		if e.Table != "" {
			continue
		}
		values, complete := r.criterion(o, e)
		if !complete {
			continue
		}
		key := "entry\x00" + o.class.name + "\x00" + e.key + "\x00" + host
		for _, v := range values {
			key += "\x00" + strings.ToLower(v)
		}
		out = append(out, duplicateKey{key, strings.Join(e.Attributes, ", ")})
	}
	return out
}

// absorb merges a duplicate into the first item of its kind.
func (o *outcome) absorb(dup *outcome) {
	dup.primary = o.index
	o.indices = append(o.indices, dup.index)
	merged := *o.item
	if len(o.indices) == 2 { // the values are the payload's; from now on they are a copy
		merged.values = make(map[string]string, len(o.item.values)+len(dup.item.values))
		copyFilled(merged.values, o.item.values)
	}
	copyFilled(merged.values, dup.item.values)
	if len(dup.item.display) > 0 && len(merged.display) == 0 {
		merged.display = dup.item.display
	}
	o.item = &merged
	o.sources = append(o.sources, dup.sources...)
	o.refs = append(o.refs, dup.refs...)
	o.subs = append(o.subs, dup.subs...)
}

func copyFilled(to, from map[string]string) {
	for k, v := range from {
		if v != "" {
			to[k] = v
		}
	}
}
