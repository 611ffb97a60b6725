package servicenow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// reclassify decides about the class of a matched CI and sets the operation
// when the class changes. A refused change is an error; a skipped one leaves
// the class and lets the attributes through.
func (r *run) reclassify(o *outcome, found *row) *table {
	from, to := found.table, o.class
	if from == to {
		return to
	}
	kind := "switch"
	switch {
	case to.isA(from):
		kind = "upgrade"
	case from.isA(to):
		kind = "downgrade"
	}
	if !sameRule(r.s.rules.forClass(from), o.rule) {
		r.refuse(o, found, from, to)
		return from
	}
	if ruleID := r.restriction(o, kind, from, to); ruleID != "" {
		o.info = append(o.info, infoEntry{"SKIPPED_CLASS_" + strings.ToUpper(kind),
			fmt.Sprintf("CI Reclassification not allowed from class: [%s] to [%s] by a reclassification restriction rule", from.name, to.name), ruleID})
		return from
	}
	without := map[string]bool{"upgrade": o.item.settings.withoutUpgrade, "downgrade": o.item.settings.withoutDowngrade, "switch": o.item.settings.withoutSwitch}
	if without[kind] || r.s.engineFlag("update_without_"+kind+"_enabled") {
		o.info = append(o.info, infoEntry{"SKIPPED_CLASS_" + strings.ToUpper(kind),
			fmt.Sprintf("CI Reclassification not allowed from class: [%s] to [%s]", from.name, to.name), ""})
		return from
	}
	allowed, sent := o.item.classFlags[kind]
	if !sent {
		allowed = r.s.flag("glide.class." + kind + ".enabled")
	}
	if !allowed {
		r.refuse(o, found, from, to)
		return from
	}
	o.op = "UPDATE_WITH_" + strings.ToUpper(kind)
	return to
}

// sameRule compares rules by content: some classes of the platform carry a copy
// of their parent's rule.
func sameRule(a, b *rule) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Dependent != b.Dependent || len(a.Entries) != len(b.Entries) {
		return false
	}
	for i := range a.Entries {
		x, y := a.Entries[i], b.Entries[i]
		if x.Priority != y.Priority || x.Table != y.Table || x.Condition != y.Condition || !slices.Equal(x.Attributes, y.Attributes) || !slices.Equal(x.Hybrid, y.Hybrid) {
			return false
		}
	}
	return true
}

func (r *run) refuse(o *outcome, found *row, from, to *table) {
	o.fail("RECLASSIFICATION_NOT_ALLOWED", "CI Reclassification not allowed from class: [%s] to [%s]", from.name, to.name)
	n := r.s.schema
	r.tx.insert(n.tables["reclassification_task"], sysID{}, []field{
		{n.nums["cmdb_ci"], found.id.String()}, {n.nums["from_class"], from.name}, {n.nums["to_class"], to.name},
		{n.nums["discovery_source"], r.source}, {n.nums["short_description"], "Reclassify " + from.name + " to " + to.name}})
}

// restriction returns the sys_id of the restriction rule that forbids a change.
func (r *run) restriction(o *outcome, kind string, from, to *table) string {
	rows := r.s.schema.tables["cmdb_ire_reclassification_restriction"].rows
	if len(rows) == 0 || kind == "upgrade" || o.item.settings.skipRestrictions || !r.s.engineFlag("reclassification_restriction_rules_enabled") {
		return ""
	}
	covers := func(x *row, side string, class *table) bool {
		name := r.s.value(x, side+"_table")
		if r.s.value(x, side+"_inheritance") != "true" {
			return class.name == name
		}
		base := r.s.schema.tables[name]
		return base != nil && class.isA(base)
	}
	for _, x := range rows {
		if r.s.value(x, "active") == "true" && strings.EqualFold(r.s.value(x, "type"), kind) && covers(x, "source", from) && covers(x, "target", to) {
			return x.id.String()
		}
	}
	return ""
}

// resolveDuplicates chooses among several CIs that match one regular entry: the
// oldest is used and the others are marked, unless there are too many.
func (r *run) resolveDuplicates(o *outcome, e *ruleEntry, hits []*row) (*row, string, bool) {
	slices.SortFunc(hits, func(a, b *row) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	if o.rule.Dependent {
		host := r.primaryOf(o.host)
		o.fail("MULTI_MATCH", "Duplicate dependent records found having relationship [%s] with same CI (className:[%s], sysId:[%s])", o.hostRel.kind, host.row.table.name, host.row.id)
		return nil, "MULTI_MATCH", false
	}
	threshold, err := strconv.Atoi(r.s.property(enginePrefix + "skip_duplicates.threshold"))
	if err != nil {
		threshold = 5
	}
	n := r.s.schema
	task := r.tx.insert(n.tables["reconcile_duplicate_task"], sysID{}, []field{{n.nums["short_description"], "Duplicate records in " + e.table.name}, {n.nums["state"], "1"}})
	for _, x := range hits {
		r.tx.insert(n.tables["duplicate_audit_result"], sysID{}, []field{{n.nums["duplicate_ci"], x.id.String()}, {n.nums["follow_on_task"], task.id.String()}})
	}
	if !r.s.engineFlag("skip_duplicates") || len(hits) >= threshold {
		o.fail("MULTIPLE_DUPLICATE_RECORDS", "Found duplicate records in table [%s] using fields [%s]", e.table.name, strings.Join(e.Attributes, ", "))
		return nil, "MULTI_MATCH", false
	}
	for _, x := range hits[1:] {
		r.tx.write(x, x.table, setField(x.fields(), n.nums["duplicate_of"], hits[0].id.String()), true)
	}
	return hits[0], "MATCHED", true
}
