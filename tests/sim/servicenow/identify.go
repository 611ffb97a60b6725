package servicenow

import (
	"strings"
)

// identification is the result of looking for one item's CI.
type identification struct {
	row      *row
	entry    *ruleEntry
	complete bool // at least one entry had all its values
}

// identify looks for the CI: by sys_id, by source key, then entry by entry.
// It reports false when an error was recorded.
func (r *run) identify(o *outcome) (identification, bool) {
	if text := o.item.values["sys_id"]; text != "" {
		id, ok := parseSysID(text)
		found := r.s.rows[id]
		if !ok || found == nil || !found.table.isCI || found.get(r.s.schema.nums["duplicate_of"]) != "" {
			o.fail("INVALID_INPUT_DATA", "Found invalid sys_id in payload. No record with sys_id [%s] exist in table [%s] or is a duplicate record with [duplicate_of] field set to a main CI", text, o.class.name)
			return identification{}, false
		}
		return identification{row: found, complete: true}, true
	}
	complete := r.anyComplete(o)
	if found := r.bySource(o, complete); found != nil {
		return identification{row: found, complete: complete}, true
	}
	if o.rule.Dependent && !r.checkDependency(o) {
		return identification{}, false
	}
	out := identification{complete: complete}
	if o.rule.Dependent && o.host >= 0 && r.primaryOf(o.host).inserted {
		return out, true // nothing can hang on a host that is seconds old
	}
	for rl, e := range r.s.rules.entries(o.rule) {
		found, result, ok := r.tryEntry(o, e)
		o.attempts = append(o.attempts, describe(rl, e, result))
		if !ok {
			return out, false
		}
		if found != nil {
			out.row, out.entry = found, e
			return out, true
		}
	}
	return out, true
}

func (r *run) primaryOf(i int) *outcome {
	if p := r.items[i].primary; p >= 0 {
		return r.items[p]
	}
	return r.items[i]
}

func describe(rl *rule, e *ruleEntry, result string) attempt {
	hybrid := e.Hybrid
	if hybrid == nil {
		hybrid = []string{}
	}
	return attempt{IdentifierName: rl.Name, AttemptResult: result, Attributes: e.Attributes, SearchOnTable: e.table.name, HybridAttributes: hybrid}
}

// bySource matches on sys_object_source and records the pseudo attempt that
// always comes first.
func (r *run) bySource(o *outcome, complete bool) *row {
	result := "SKIPPED"
	var found *row
	if !r.s.engineFlag("skip_sys_object_source_matching") || !complete {
		for _, src := range o.sources {
			if result == "SKIPPED" {
				result = "NO_MATCH"
			}
			if _, target := r.sourceRow(src); target != nil {
				found, result = target, "MATCHED"
				break
			}
		}
	}
	o.attempts = append(o.attempts, attempt{Info: "sys_object_source " + result, AttemptResult: result,
		Attributes: []string{"source_name", "source_native_key"}, SearchOnTable: "sys_object_source", HybridAttributes: []string{}})
	return found
}

// sourceRow finds the source record of a key and the CI it names; a CI marked
// as a duplicate stands for its main CI.
func (r *run) sourceRow(src sourceInfo) (rec, target *row) {
	name, key := r.s.schema.nums["name"], r.s.schema.nums["id"]
	r.s.ix.source.find([]string{src.name, src.key}, func(x *row) {
		if rec == nil && x.get(name) == src.name && x.get(key) == src.key {
			rec = x
		}
	})
	if rec == nil {
		return nil, nil
	}
	id, ok := parseSysID(rec.get(r.s.schema.nums["target_sys_id"]))
	target = r.s.rows[id]
	if !ok || target == nil {
		return rec, nil
	}
	if main, ok := parseSysID(target.get(r.s.schema.nums["duplicate_of"])); ok {
		return rec, r.s.rows[main]
	}
	return rec, target
}

// criterion returns an entry's values of the item and whether they suffice.
func (r *run) criterion(o *outcome, e *ruleEntry) (values []string, complete bool) {
	return entryValues(o.item.values, e.Attributes, o.class.name, e.AllowNull)
}

func entryValues(have map[string]string, attributes []string, class string, allowNull bool) (values []string, complete bool) {
	filled := 0
	for _, a := range attributes {
		if a == "sys_class_name" {
			continue
		}
		v := strings.TrimSpace(have[a])
		if v != "" {
			filled++
		}
		values = append(values, v)
	}
	if allowNull {
		return values, filled > 0
	}
	return values, filled == len(values) && (filled > 0 || class != "")
}

func (r *run) anyComplete(o *outcome) bool {
	for _, e := range r.s.rules.entries(o.rule) {
		if e.Table != "" {
			if len(r.usableLookups(o, e)) > 0 && r.hybridComplete(o, e) {
				return true
			}
			continue
		}
		if _, ok := r.criterion(o, e); ok {
			return true
		}
	}
	return false
}

func (r *run) hybridComplete(o *outcome, e *ruleEntry) bool {
	if len(e.Hybrid) == 0 {
		return true
	}
	_, ok := entryValues(o.item.values, e.Hybrid, o.class.name, false)
	return ok
}

// tryEntry evaluates one identifier entry. ok is false when an error was recorded.
func (r *run) tryEntry(o *outcome, e *ruleEntry) (found *row, result string, ok bool) {
	if e.Table != "" {
		return r.tryLookup(o, e)
	}
	values, complete := r.criterion(o, e)
	if !complete {
		return nil, "SKIPPED", true
	}
	var hits []*row
	r.candidates(o, e, values, func(x *row) {
		if x.get(r.s.schema.nums["duplicate_of"]) == "" && (!hasClassAttribute(e) || x.table == o.class) {
			hits = append(hits, x)
		}
	})
	if len(hits) == 0 {
		return nil, "NO_MATCH", true
	}
	if len(hits) == 1 {
		return hits[0], "MATCHED", true
	}
	return r.resolveDuplicates(o, e, hits)
}

func hasClassAttribute(e *ruleEntry) bool {
	for _, a := range e.Attributes {
		if a == "sys_class_name" {
			return true
		}
	}
	return false
}

// candidates visits the CIs an entry may match. A dependent CI is searched for
// only below its host; whichever side offers fewer candidates is walked. An
// index may belong to an ancestor of the rule's table and hold other classes;
// the entry of a parent's rule finds CIs of the rule's own class, too.
func (r *run) candidates(o *outcome, e *ruleEntry, values []string, found func(*row)) {
	visit := func(x *row) {
		if x.table.isA(o.rule.table) {
			found(x)
		}
	}
	if !o.rule.Dependent {
		e.index.find(values, visit)
		return
	}
	host := r.primaryOf(o.host).row
	if host == nil {
		return
	}
	hostID, kind := host.id.String(), r.s.relType[o.hostRel.kind].id.String()
	hostIsParent := r.primaryOf(o.hostRel.parentRef.main) == r.primaryOf(o.host)
	side, other := r.s.ix.relParent, r.s.schema.nums["child"]
	if !hostIsParent {
		side, other = r.s.ix.relChild, r.s.schema.nums["parent"]
	}
	if e.index.size(values) <= side.size([]string{hostID}) {
		e.index.find(values, func(x *row) {
			ends := []string{hostID, x.id.String(), kind}
			if !hostIsParent {
				ends[0], ends[1] = ends[1], ends[0]
			}
			related := false
			r.s.ix.relTriple.find(ends, func(*row) { related = true })
			if related {
				visit(x)
			}
		})
		return
	}
	typeCol := r.s.schema.nums["type"]
	side.find([]string{hostID}, func(rel *row) {
		id, ok := parseSysID(rel.get(other))
		x := r.s.rows[id]
		if ok && x != nil && rel.get(typeCol) == kind && x.table.isA(o.rule.table) && e.index.holds(x, values) {
			visit(x)
		}
	})
}

// checkDependency demands the relation to a host that a dependent class needs.
func (r *run) checkDependency(o *outcome) bool {
	if o.host >= 0 {
		return true
	}
	var rules []string
	for _, d := range r.s.rules.dependencies {
		if o.class.isA(d.dependent()) {
			half, _, _ := strings.Cut(d.Type, "::")
			rules = append(rules, d.Parent+" >> "+half+" >> "+d.Child)
		}
	}
	quoted := o.item.quoted(r.source, r.now)
	if len(rules) == 0 {
		o.fail("METADATA_RULE_MISSING", "No containment or hosting rules defined for dependent class [%s]. Add containment/hosting rules for '%s'", o.class.name, quoted)
		return false
	}
	o.partialEligible = true
	o.fail("MISSING_DEPENDENCY", "In payload no relations defined for dependent class [%s] that matches any containment/hosting rules: [%s]. Add appropriate relations in payload for '%s'",
		o.class.name, strings.Join(rules, ","), quoted)
	return false
}

// usableLookups are the item's lookup records that an entry can search with.
func (r *run) usableLookups(o *outcome, e *ruleEntry) [][]string {
	var out [][]string
	for _, s := range o.subs {
		if !s.isLookup || s.duplicate || s.entry == nil || s.item.className != e.Table || !meetsCondition(s.item.values, e) {
			continue
		}
		if values, ok := entryValues(s.item.values, e.Attributes, "", e.AllowNull); ok {
			out = append(out, values)
		}
	}
	return out
}

// meetsCondition leaves out records that the entry's condition would not find
// again: equalities and inequalities on values that the payload does send.
func meetsCondition(values map[string]string, e *ruleEntry) bool {
	for _, group := range e.filter.groups {
		for _, alternatives := range group {
			for _, c := range alternatives {
				v, sent := values[c.path]
				if sent && (c.op == "=" && !foldEqual(v, c.value) || c.op == "!=" && foldEqual(v, c.value)) {
					return false
				}
			}
		}
	}
	return true
}

// tryLookup evaluates a lookup or hybrid entry. With exact count match every
// lookup record must point at the same CI; without it the CI with most hits
// wins. Ties go to the oldest CI.
func (r *run) tryLookup(o *outcome, e *ruleEntry) (*row, string, bool) {
	lookups := r.usableLookups(o, e)
	if len(lookups) == 0 || !r.hybridComplete(o, e) {
		return nil, "SKIPPED", true
	}
	hits := map[*row]int{}
	for _, values := range lookups {
		once := map[*row]bool{}
		e.index.find(values, func(x *row) {
			id, ok := parseSysID(x.get(e.refCol))
			ci := r.s.rows[id]
			if !ok || ci == nil || once[ci] || !ci.table.isA(o.rule.table) || ci.get(r.s.schema.nums["duplicate_of"]) != "" || !r.s.matches(e.filter, x) || !r.hybridHolds(o, e, ci) {
				return
			}
			once[ci] = true
			hits[ci]++
		})
	}
	var best *row
	for ci, n := range hits {
		if e.Exact && n < len(lookups) {
			continue
		}
		if best == nil || !e.Exact && n > hits[best] || (e.Exact || n == hits[best]) && ci.seq < best.seq {
			best = ci
		}
	}
	if best == nil {
		return nil, "NO_MATCH", true
	}
	return best, "MATCHED", true
}

func (r *run) hybridHolds(o *outcome, e *ruleEntry, ci *row) bool {
	if len(e.Hybrid) == 0 {
		return true
	}
	values, _ := entryValues(o.item.values, e.Hybrid, o.class.name, false)
	return e.hybrid.holds(ci, values)
}
