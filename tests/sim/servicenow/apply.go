package servicenow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// process identifies and writes one item; its host has had its turn before.
func (r *run) process(o *outcome) {
	if o.state == 2 || o.primary >= 0 {
		return
	}
	o.state = 2
	if len(o.errors) > 0 {
		r.park(o)
		return
	}
	if o.host >= 0 {
		if host := r.primaryOf(o.host); host.failed() {
			r.abandon(o, host)
			return
		}
	}
	r.setReferences(o)
	r.mergePartial(o)
	id, ok := r.identify(o)
	if ok {
		if id.row == nil {
			r.insert(o, id)
		} else {
			r.update(o, id)
		}
	}
	if len(o.errors) > 0 {
		r.park(o)
		return
	}
	if o.stored != nil {
		r.tx.remove(o.stored)
	}
	r.writeSubs(o)
	for _, src := range o.sources {
		r.writeSource(o, src)
	}
}

// abandon marks an item whose host failed; it shares its host's fate.
func (r *run) abandon(o, host *outcome) {
	msg := issue{"ABANDONED", fmt.Sprintf("Abandoning processing payload item '%s', since its depends on payload item '%s' has errors", o.item.quoted("", r.now), host.item.quoted("", r.now))}
	if host.parked == "partial" {
		o.warnings = append(o.warnings, msg)
		r.storePartial(o)
		return
	}
	o.errors = append(o.errors, msg)
	r.park(o)
}

// setReferences fills the columns that referenceItems name.
func (r *run) setReferences(o *outcome) {
	for _, ref := range o.refs {
		row := r.targetRow(ref.to)
		if row == nil {
			r.deferred = append(r.deferred, deferredRef{o, ref.field, ref.to})
			continue
		}
		o.item = o.item.with(ref.field, row.id.String())
	}
}

// with returns a copy of the item with one more value: the parsed payload is
// never changed, a retry after a rollback reads it again.
func (it *item) with(field, value string) *item {
	c := *it
	c.values = make(map[string]string, len(it.values)+1)
	for k, v := range it.values {
		c.values[k] = v
	}
	c.values[field] = value
	return &c
}

func (r *run) targetRow(e endpoint) *row {
	o := r.items[e.main]
	if e.sub >= 0 {
		for _, s := range r.primaryOf(e.main).subs {
			if s.main == e.main && s.sub == e.sub {
				return s.row
			}
		}
		return nil
	}
	if o.primary >= 0 {
		o = r.items[o.primary]
	}
	if o.failed() {
		return nil
	}
	return o.row
}

// applyDeferred sets references that could not be known in time: circles of
// references, and references to lookup or related records.
func (r *run) applyDeferred() {
	for _, d := range r.deferred {
		target := r.targetRow(d.to)
		o := d.o
		if o.primary >= 0 {
			o = r.items[o.primary]
		}
		if target == nil || o.row == nil || o.failed() {
			continue
		}
		col := o.row.table.columns[d.field]
		if col == nil || o.row.get(col.num) == target.id.String() {
			continue
		}
		r.tx.write(o.row, o.row.table, setField(o.row.fields(), col.num, target.id.String()), true)
		if o.op == "NO_CHANGE" {
			o.op = "UPDATE"
		}
	}
}

// insert adds the CI that was not found.
func (r *run) insert(o *outcome, id identification) {
	if !id.complete {
		o.partialEligible = true
		o.fail("MISSING_MATCHING_ATTRIBUTES", "In payload missing minimum set of input values for criterion (matching) attributes from identify rule for table [%s]. Add these input values in payload item '%s'",
			o.class.name, o.item.quoted(r.source, r.now))
		return
	}
	if r.insertBlocked(o.class) {
		o.partialEligible = true
		o.fail("INSERT_NOT_ALLOWED_FOR_SOURCE", "Insert into [%s] is blocked for data source [%s] by IRE data source rule", o.class.name, r.source)
		return
	}
	values := r.columns(o, o.class)
	if r.s.flag("glide.required.attribute.enabled") {
		for _, c := range o.class.mandatory {
			if !slices.ContainsFunc(values, func(f field) bool { return f.col == c.num && f.val != "" }) {
				o.partialEligible = true
				o.fail("REQUIRED_ATTRIBUTE_EMPTY", "Missing mandatory field [%s] in table [%s]. Add input value for mandatory field in payload", c.name, o.class.name)
				return
			}
		}
	}
	now, n := r.now.UTC().Format(timeLayout), r.s.schema.nums
	values = setField(values, n["discovery_source"], r.source)
	values = setField(values, n["last_discovered"], orDefault(r.date(o, "last_discovered"), now))
	values = setField(values, n["first_discovered"], orDefault(r.date(o, "first_discovered"), now))
	o.row, o.inserted, o.op = r.tx.insert(o.class, sysID{}, values), true, "INSERT"
}

// insertBlocked reads the data source rules: a rule on the class itself stands
// above one on an ancestor.
func (r *run) insertBlocked(class *table) bool {
	rules := r.s.schema.tables["cmdb_ire_data_source_rule"].rows
	if len(rules) == 0 {
		return false
	}
	for t := class; t != nil; t = t.parent {
		for _, x := range rules {
			if r.s.value(x, "applies_to") == t.name && r.s.value(x, "active") == "true" && r.s.value(x, "data_source") == r.source {
				return r.s.value(x, "insert_not_allowed") == "true"
			}
		}
	}
	return false
}

func orDefault(v, fallback string) string {
	if v == "" {
		return fallback
	}
	return v
}

// columns turns the item's values into the columns of a class. What the class
// does not know is dropped with a warning; system columns and the columns that
// the engine keeps itself are left out silently.
func (r *run) columns(o *outcome, class *table) []field {
	out := make([]field, 0, len(o.item.values)+4)
	for _, name := range sortedKeys(o.item.values) {
		if v, ok := r.column(class, name, o.item.values[name], &o.warnings); ok {
			out = append(out, v)
		}
	}
	for _, name := range sortedKeys(o.item.display) {
		col := class.columns[name]
		if col == nil {
			o.warnings = append(o.warnings, unknownField(name, class))
			continue
		}
		v := o.item.display[name]
		if col.ref != "" {
			v = r.s.byDisplay(col.ref, v)
		}
		if v != "" {
			out = setField(out, col.num, v)
		}
	}
	return out
}

func unknownField(name string, t *table) issue {
	return issue{"UNKNOWN_FIELD", fmt.Sprintf("unknown field '%s' in table '%s'", name, t.name)}
}

// column normalises one value; ok is false when nothing is to be written. An
// empty value never overwrites.
func (r *run) column(t *table, name, value string, warnings *[]issue) (field, bool) {
	switch name {
	case "discovery_source", "last_discovered", "first_discovered", "duplicate_of":
		return field{}, false
	}
	if strings.HasPrefix(name, "sys_") && systemColumn(name) {
		return field{}, false
	}
	col := t.columns[name]
	if col == nil {
		*warnings = append(*warnings, unknownField(name, t))
		return field{}, false
	}
	v := r.s.normalise(col, value)
	return field{col.num, v}, v != ""
}

// normalise gives a value the form its column type stores; a value that the
// type cannot hold becomes empty, silently, as the platform does.
func (s *store) normalise(col *column, v string) string {
	switch col.kind {
	case "reference":
		id, ok := parseSysID(v)
		if target := s.rows[id]; !ok || target == nil {
			return ""
		}
		return id.String()
	case "boolean":
		switch strings.ToLower(v) {
		case "true", "1", "yes":
			return "true"
		case "":
			return ""
		}
		return "false"
	case "integer":
		return wholeNumber(v)
	case "glide_date_time":
		for _, layout := range []string{timeLayout, "2006-01-02"} {
			if at, err := time.Parse(layout, v); err == nil {
				return at.Format(timeLayout)
			}
		}
		return ""
	}
	return v
}

func wholeNumber(v string) string {
	whole, _, _ := strings.Cut(strings.TrimSpace(v), ".")
	if whole == "" || whole == "-" {
		return ""
	}
	for i, c := range whole {
		if (c < '0' || c > '9') && (c != '-' || i != 0) {
			return ""
		}
	}
	return whole
}

// byDisplay finds a record by the value of its table's display column.
func (s *store) byDisplay(name, value string) string {
	t := s.schema.tables[name]
	if t == nil || value == "" || t.display == "" {
		return ""
	}
	found := ""
	s.indexOn(t, []string{t.display}).find([]string{value}, func(x *row) {
		if found == "" && x.table.isA(t) { // the index may be an ancestor's
			found = x.id.String()
		}
	})
	return found
}

// update writes what differs into the CI that was found.
func (r *run) update(o *outcome, id identification) {
	class := r.reclassify(o, id.row)
	if len(o.errors) > 0 {
		return
	}
	if id.entry != nil {
		o.entryID = id.entry.SysID
	}
	o.row = id.row
	fields, changed := id.row.fields(), false
	if class != id.row.table {
		fields = slices.DeleteFunc(fields, func(f field) bool {
			c := class.columns[r.s.schema.names[f.col]]
			return c == nil
		})
	}
	incoming := append(r.columns(o, class), r.clearing(o, class)...)
	if first := r.date(o, "first_discovered"); first != "" {
		incoming = append(incoming, field{r.s.schema.nums["first_discovered"], first})
	}
	for _, f := range r.allowed(o, class, id.row, incoming) {
		if id.row.get(f.col) != f.val {
			fields, changed = setField(fields, f.col, f.val), true
		}
	}
	if main := r.s.schema.nums["duplicate_of"]; id.row.get(main) != "" {
		fields, changed = setField(fields, main, ""), true
	}
	switch {
	case o.op != "":
	case changed:
		o.op = "UPDATE"
	default:
		o.op = "NO_CHANGE"
	}
	r.tx.write(id.row, class, r.stampDiscovery(o, fields), o.op != "NO_CHANGE")
}

// date reads one of the engine's own date columns from the item.
func (r *run) date(o *outcome, name string) string {
	return r.s.normalise(o.class.columns[name], o.item.values[name])
}

// stampDiscovery takes over discovery_source and last_discovered, which happens
// with every processing, even when nothing else changes.
func (r *run) stampDiscovery(o *outcome, fields []field) []field {
	n := r.s.schema.nums
	sent, had := r.date(o, "last_discovered"), o.row.get(n["last_discovered"])
	switch {
	case sent == "" && r.opt.skipLastDiscovery:
		return fields
	case sent == "":
		sent = r.now.UTC().Format(timeLayout)
	case sent < had && r.s.engineFlag("skip_updating_source_last_discovered_if_older"):
		return fields
	}
	fields = setField(fields, n["discovery_source"], r.source)
	return setField(fields, n["last_discovered"], sent)
}

// writeSource keeps the record that ties a source's key to the CI.
func (r *run) writeSource(o *outcome, src sourceInfo) {
	n := r.s.schema.nums
	rec, _ := r.sourceRow(src)
	scan := src.recency
	if scan == "" && !r.opt.skipLastScan {
		scan = r.now.UTC().Format(timeLayout)
	}
	if rec == nil {
		r.tx.insert(r.s.schema.tables["sys_object_source"], sysID{}, []field{
			{n["name"], src.name}, {n["id"], src.key}, {n["source_feed"], src.feed}, {n["last_scan"], scan},
			{n["target_table"], o.row.table.name}, {n["target_sys_id"], o.row.id.String()}})
		return
	}
	fields := rec.fields()
	if scan > rec.get(n["last_scan"]) || scan != "" && !r.s.engineFlag("skip_updating_last_scan_if_older") {
		fields = setField(fields, n["last_scan"], scan)
	}
	if src.feed != "" {
		fields = setField(fields, n["source_feed"], src.feed)
	}
	fields = setField(fields, n["target_table"], o.row.table.name)
	fields = setField(fields, n["target_sys_id"], o.row.id.String())
	if packFields(fields) != rec.data {
		r.tx.write(rec, rec.table, fields, true)
	}
}
