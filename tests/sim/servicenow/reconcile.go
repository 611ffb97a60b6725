package servicenow

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// reconciler decides which columns of one CI a source may write, by the static
// reconciliation rules and the data refresh rules.
type reconciler struct {
	r              *run
	rules, refresh []*row
	class          *table
	ci             *row
	probe          *row // what rule conditions are evaluated on
	history        []*row
}

// reconciler returns nil when the instance has no rule: every source may write.
func (r *run) reconciler(class *table, ci *row, incoming []field) *reconciler {
	c := &reconciler{r: r, class: class, ci: ci, probe: ci, rules: r.s.schema.tables["cmdb_reconciliation_definition"].rows,
		refresh: r.s.schema.tables["cmdb_datasource_staleness"].rows}
	if len(c.rules) == 0 && len(c.refresh) == 0 {
		return nil
	}
	if !r.s.engineFlag("enable_reconciliation_filter_before_update") {
		fields := ci.fields()
		for _, f := range incoming {
			fields = setField(fields, f.col, f.val)
		}
		next := *ci
		next.table, next.data = class, packFields(fields)
		c.probe = &next
	}
	r.s.ix.lastUpdate.find([]string{ci.id.String()}, func(x *row) { c.history = append(c.history, x) })
	return c
}

// allowed keeps the columns that the call's source may write and lists the
// others as masked.
func (r *run) allowed(o *outcome, class *table, found *row, incoming []field) []field {
	c := r.reconciler(class, found, incoming)
	if c == nil {
		return incoming
	}
	out := incoming[:0]
	for _, f := range incoming {
		name := r.s.schema.names[f.col]
		if c.mayWrite(name, f.col) {
			out = append(out, f)
		} else if found.get(f.col) != f.val {
			o.masked = append(o.masked, name)
		}
	}
	c.remember(out)
	return out
}

func (c *reconciler) mayWrite(name string, col int) bool {
	owner := c.owner(name)
	if owner == c.r.source || c.ci.get(col) == "" && c.r.s.flag("glide.reconciliation.override.null") {
		return true
	}
	return c.rank(name, c.r.source) <= c.rank(name, owner) || c.stale(owner)
}

// owner is the source that wrote a column last; before the first call under
// rules, the source that the CI names.
func (c *reconciler) owner(name string) string {
	for _, x := range c.history {
		if slices.Contains(strings.Split(c.r.s.value(x, "attributes"), ","), name) {
			return c.r.s.value(x, "discovery_source")
		}
	}
	if len(c.history) > 0 {
		return ""
	}
	return c.r.s.value(c.ci, "discovery_source")
}

// rank is the priority of a source for one column: the nearest class first, and
// there an attribute rule before an all-attributes rule. No rule is weakest.
func (c *reconciler) rank(column, source string) int {
	const none = 1 << 30
	for t := c.class; t != nil; t = t.parent {
		all, one := none, none
		for _, x := range c.rules {
			p, err := strconv.Atoi(c.r.s.value(x, "priority"))
			if err != nil || !c.applies(x, t, source) {
				continue
			}
			attributes := c.r.s.value(x, "attributes")
			switch {
			case attributes == "":
				all = min(all, p)
			case slices.Contains(strings.Split(attributes, ","), column):
				one = min(one, p)
			}
		}
		if one < none {
			return one
		}
		if all < none {
			return all
		}
	}
	return none
}

func (c *reconciler) applies(x *row, t *table, source string) bool {
	s := c.r.s
	if s.value(x, "active") != "true" || s.value(x, "applies_to") != t.name || s.value(x, "discovery_source") != source {
		return false
	}
	filter := s.value(x, "condition")
	return filter == "" || s.matches(parseQuery(filter), c.probe)
}

// stale tells whether a source has not refreshed the CI for longer than its
// data refresh rule allows; 0 seconds means at once, no rule means never.
func (c *reconciler) stale(source string) bool {
	s := c.r.s
	for t := c.class; t != nil; t = t.parent {
		for _, x := range c.refresh {
			seconds, err := strconv.Atoi(s.value(x, "effective_duration"))
			if err != nil || s.value(x, "active") != "true" || s.value(x, "applies_to") != t.name || s.value(x, "discovery_source") != source {
				continue
			}
			last := s.value(c.ci, "last_discovered")
			for _, h := range c.history {
				if s.value(h, "discovery_source") == source {
					last = s.value(h, "last_update")
				}
			}
			at, err := time.Parse(timeLayout, last)
			return seconds == 0 || err == nil && c.r.now.Sub(at) >= time.Duration(seconds)*time.Second
		}
	}
	return false
}

// remember keeps in cmdb_datasource_last_update which source wrote which
// columns last. The first call under rules notes the former writer too.
func (c *reconciler) remember(written []field) {
	s, now := c.r.s, c.r.now.UTC().Format(timeLayout)
	if former := s.value(c.ci, "discovery_source"); len(c.history) == 0 && former != "" {
		var names []string
		for _, f := range c.ci.fields() {
			names = append(names, s.schema.names[f.col])
		}
		c.note(nil, former, names, s.value(c.ci, "last_discovered"))
	}
	names := make([]string, 0, len(written))
	for _, f := range written {
		names = append(names, s.schema.names[f.col])
	}
	var mine *row
	for _, x := range c.history {
		had := strings.Split(s.value(x, "attributes"), ",")
		if s.value(x, "discovery_source") == c.r.source {
			mine, names = x, append(names, had...)
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(had), func(n string) bool { return slices.Contains(names, n) })
		if len(kept) < len(had) {
			c.note(x, s.value(x, "discovery_source"), kept, s.value(x, "last_update"))
		}
	}
	c.note(mine, c.r.source, names, now)
}

func (c *reconciler) note(x *row, source string, names []string, at string) {
	n, t := c.r.s.schema.nums, c.r.s.schema.tables["cmdb_datasource_last_update"]
	names = slices.DeleteFunc(slices.Clone(names), func(v string) bool { return v == "" })
	slices.Sort(names)
	fields := []field{{n["cmdb_ci"], c.ci.id.String()}, {n["discovery_source"], source},
		{n["attributes"], strings.Join(slices.Compact(names), ",")}, {n["last_update"], at}}
	if x == nil {
		c.history = append(c.history, c.r.tx.insert(t, sysID{}, fields))
		return
	}
	c.r.tx.write(x, t, fields, true)
}

// clearing lists the columns that the item sends empty and that a rule of the
// source allows to be overwritten with nothing.
func (r *run) clearing(o *outcome, class *table) []field {
	if len(r.s.schema.tables["cmdb_reconciliation_definition"].rows) == 0 {
		return nil
	}
	var out []field
	for _, name := range sortedKeys(o.item.values) {
		col := class.columns[name]
		if o.item.values[name] != "" || col == nil {
			continue
		}
		for _, x := range r.s.schema.tables["cmdb_reconciliation_definition"].rows {
			base := r.s.schema.tables[r.s.value(x, "applies_to")]
			if base != nil && class.isA(base) && r.s.value(x, "active") == "true" && r.s.value(x, "discovery_source") == r.source &&
				slices.Contains(strings.Split(r.s.value(x, "update_with_null"), ","), name) {
				out = append(out, field{col.num, ""})
				break
			}
		}
	}
	return out
}
