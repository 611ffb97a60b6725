package mapping

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
)

// Input is one asset to map.
type Input struct {
	Connection string
	Key        string // of the main CI; empty: connection and asset id
	// DiscoverySource is the name under which the target knows us.
	DiscoverySource string
	Asset           *asset.Asset
	Clean           *asset.Clean
	Class           string
	Sections        map[string]bool // toggles; a section that is not named is as the mapping says
	// Plugins names what the instance has: "sam" is Software Asset Management.
	Plugins map[string]bool
	// Tables gives other names to tables of rows; "" says that the instance lacks
	// the table, and its rows are left out.
	Tables map[string]string
	// Listed holds the lists that "where: {listed: …}" names, for example the
	// names of tags below the parents that a schedule lists. A list that is
	// missing lets nothing through.
	Listed map[string]map[string]bool
	// Columns is what the instance says about its columns; nil: nothing is known.
	Columns cmdb.Schema
}

// plan is the part of a mapping that concerns one class.
type plan struct {
	columns    []column
	lookups    []*lookup
	references []*reference
	items      []*item
}

// plan returns the plan of a class, made once.
func (m *Map) plan(class string) *plan {
	if p, ok := m.plans.Load(class); ok {
		return p.(*plan)
	}
	p := &plan{}
	at := map[string]int{}
	for i := range m.main {
		g := &m.main[i]
		if !matches(class, g.For, g.Not) {
			continue
		}
		for _, c := range g.columns { // a later group overrides a column of an earlier one
			if k, ok := at[c.to]; ok {
				p.columns[k] = c
				continue
			}
			at[c.to] = len(p.columns)
			p.columns = append(p.columns, c)
		}
	}
	for i := range m.lookups {
		if matches(class, m.lookups[i].For, nil) {
			p.lookups = append(p.lookups, &m.lookups[i])
		}
	}
	for i := range m.references {
		if matches(class, m.references[i].For, nil) {
			p.references = append(p.references, &m.references[i])
		}
	}
	for i := range m.items {
		if matches(class, m.items[i].For, nil) {
			p.items = append(p.items, &m.items[i])
		}
	}
	actual, _ := m.plans.LoadOrStore(class, p)
	return actual.(*plan)
}

// Apply maps one asset to the parts of its record. Equal input gives equal
// parts; no two items or rows share a key.
func (m *Map) Apply(in Input) record.Parts {
	p := m.plan(in.Class)
	v := &asset.View{Asset: in.Asset, Clean: in.Clean}
	if in.Key == "" {
		in.Key = in.Connection + "/" + strconv.FormatInt(in.Asset.ID, 10)
	}
	main := &cmdb.Item{Key: in.Key, Class: in.Class}
	b := builder{in: &in, view: v, main: main.Key, native: main, seen: map[string]bool{main.Key: true}, keys: map[string]string{"main": main.Key}}
	main.Columns = b.values(main.Key, in.Class, p.columns, 0)
	for _, l := range p.lookups {
		if l.present(v) != "" {
			main.Lookup = append(main.Lookup, cmdb.Row{Table: l.Table, Columns: b.values(main.Key, l.Table, l.columns, 0)})
		}
	}
	for _, r := range p.references {
		if r.Section != "" && !m.on(r.Section, in.Sections) {
			continue
		}
		if name := first(r.get, v); name != "" {
			b.parts.References = append(b.parts.References, cmdb.Reference{Item: main.Key, Column: r.Column, Table: r.Table, Name: name, Create: r.Create})
		}
	}
	for _, it := range p.items {
		if m.on(it.Section, in.Sections) {
			b.add(it)
		}
	}
	b.parts.Native = main
	b.parts.Complete = m.complete(in)
	b.parts.UpdateOnly = slices.ContainsFunc(m.updateOnly, func(c condition) bool { return strings.EqualFold(c.get(v), c.Equals) })
	return b.parts
}

// complete lists the mapped sections that the answer carried in full, by their
// toggles.
func (m *Map) complete(in Input) []string {
	var out []string
	for _, s := range in.Asset.Present {
		for _, toggle := range m.toggles[s] {
			if m.on(toggle, in.Sections) {
				out = append(out, toggle)
			}
		}
	}
	return out
}

// builder collects the parts of one record.
type builder struct {
	in     *Input
	view   *asset.View
	main   string
	native *cmdb.Item
	parts  record.Parts
	seen   map[string]bool   // keys
	keys   map[string]string // name of a single item → key, for relations
}

func (b *builder) add(it *item) {
	table, ok := b.applies(it)
	if !ok {
		return
	}
	var taken map[string]bool // values of unique columns
	n := 1
	if it.list != nil {
		n = it.list.Len(b.view)
	}
	for i := range n {
		if !b.wanted(it, i) {
			continue
		}
		key, ok := b.key(it.key, i)
		if !ok || b.seen[key] { // without its key values an item cannot be identified
			continue
		}
		b.seen[key] = true
		if it.Table != "" {
			b.addRow(it, table, key, i)
			continue
		}
		if it.list == nil {
			b.keys[it.Name] = key
		}
		ci := cmdb.Item{Key: key, Class: it.Class, Columns: b.values(key, it.Class, it.columns, i), Section: it.Section}
		if taken == nil {
			taken = map[string]bool{}
		}
		it.tellApart(&ci, taken)
		if it.Shared {
			b.parts.Shared = append(b.parts.Shared, ci)
		} else {
			b.parts.Dependents = append(b.parts.Dependents, ci)
		}
		b.relate(it, key)
	}
}

// addRow adds a row that is not a CI. It goes with the main CI or stands alone.
func (b *builder) addRow(it *item, table, key string, i int) {
	row := cmdb.Row{Table: table, Columns: b.values(key, table, it.columns, i), Coalesce: it.By, Key: key, Section: it.Section, WithCI: it.WithCI}
	if it.Host != "" {
		row.Host, row.HostColumn = b.main, it.Host
	}
	for k := range it.links {
		if to, ok := b.key(it.links[k].key, i); ok && b.seen[to] {
			row.Links = append(row.Links, cmdb.Link{Column: it.links[k].column, Item: to})
		}
	}
	if it.Related {
		b.native.Related = append(b.native.Related, row)
		return
	}
	b.parts.Tables = append(b.parts.Tables, row)
}

// wanted reports whether an element of the item's list counts.
func (b *builder) wanted(it *item, i int) bool {
	for k := range it.where {
		w := &it.where[k]
		value := w.get.read(b.view, i)
		switch {
		case w.Listed != "" && !b.in.Listed[w.Listed][value]:
			return false
		case w.Equals != "" && !strings.EqualFold(value, w.Equals):
			return false
		case w.Not != "" && strings.EqualFold(value, w.Not):
			return false
		}
	}
	return true
}

// applies reports whether the asset has what the item is made of — its condition,
// the values that identify it and the items that it depends on — and whether the
// instance takes it; table is the name of a row's table there.
func (b *builder) applies(it *item) (table string, ok bool) {
	if it.cond != nil && !strings.EqualFold(it.cond(b.view), it.If.Equals) {
		return "", false
	}
	if (it.Plugin != "" && !b.in.Plugins[it.Plugin]) || (it.Without != "" && b.in.Plugins[it.Without]) {
		return "", false
	}
	for _, get := range it.needs {
		if get(b.view) == "" {
			return "", false
		}
	}
	for k := range it.relations {
		if b.end(it.relations[k].parent, "self") == "" || b.end(it.relations[k].child, "self") == "" {
			return "", false
		}
	}
	table = it.Table
	if name, set := b.in.Tables[table]; set && table != "" {
		return name, name != ""
	}
	return table, true
}

// tellApart makes the values of unique columns differ from those taken before,
// in any case, by appending the end of the item's key.
func (it *item) tellApart(ci *cmdb.Item, taken map[string]bool) {
	for k := range it.columns {
		if !it.columns[k].unique {
			continue
		}
		at := slices.IndexFunc(ci.Columns, func(c cmdb.Column) bool { return c.Name == it.columns[k].to })
		if at < 0 {
			continue
		}
		c := &ci.Columns[at]
		if id := c.Name + "\x00" + strings.ToLower(c.Value); taken[id] {
			suffix := " (" + ci.Key[strings.LastIndexByte(ci.Key, '/')+1:] + ")"
			if r := []rune(c.Value); len(r)+len(suffix) > maxColumn {
				c.Value = string(r[:maxColumn-len(suffix)])
			}
			c.Value += suffix
		}
		taken[c.Name+"\x00"+strings.ToLower(c.Value)] = true
	}
}

// maxColumn is the length of ServiceNow's string columns, in characters.
const maxColumn = 255

// relate adds the relations of an item.
func (b *builder) relate(it *item, self string) {
	for k := range it.relations {
		r := &it.relations[k]
		parent, child := b.end(r.parent, self), b.end(r.child, self)
		if parent != "" && child != "" {
			b.parts.Relations = append(b.parts.Relations, cmdb.Relation{Parent: parent, Child: child, Type: r.kind})
		}
	}
}

// end returns the key of the first of the named items that the record has.
func (b *builder) end(names []string, self string) string {
	for _, name := range names {
		if name == "self" {
			return self
		}
		if key := b.keys[name]; key != "" {
			return key
		}
	}
	return ""
}

// key renders a key; every value in it must be there.
func (b *builder) key(parts []keyPart, i int) (string, bool) {
	var s strings.Builder
	for k := range parts {
		p := &parts[k]
		text := p.text
		switch {
		case p.main:
			text = b.main
		case p.text == "":
			text = p.get.read(b.view, i)
		}
		if text == "" {
			return "", false
		}
		s.WriteString(text)
	}
	return s.String(), true
}

func (e elementOrAsset) read(v *asset.View, i int) string {
	if e.elem != nil {
		return e.elem(v, i)
	}
	return e.plain(v)
}

// values reads columns; those without a value are left out, because IRE never
// lets an empty value overwrite one. What does not fit the target is cut or left
// out, with a flag.
func (b *builder) values(key, class string, cols []column, i int) []cmdb.Column {
	out := make([]cmdb.Column, 0, len(cols))
	described := b.in.Columns.Has(class)
	for k := range cols {
		c := &cols[k]
		value := c.value
		if value == discoverySource {
			value = b.in.DiscoverySource
		}
		for _, g := range c.from {
			if value = g.read(b.view, i); value != "" {
				break
			}
		}
		if value != "" && c.apply != nil {
			value = c.apply(value)
		}
		if value == "" {
			continue
		}
		if value = b.fit(key, class, c, value, described); value != "" {
			out = append(out, cmdb.Column{Name: c.to, Value: value, Volatile: c.volatile})
		}
	}
	return out
}

// discoverySource is the constant that stands for the name under which the
// target knows us.
const discoverySource = "{discoverySource}"

// fit cuts a value to its column and checks it against choices.
func (b *builder) fit(key, class string, c *column, value string, described bool) string {
	field := cmdb.Field{}
	if described {
		var known bool
		if field, known = b.in.Columns.Field(class, c.to); !known {
			b.flag(key, c.to, record.FlagNoColumn)
			return ""
		}
	}
	limit := field.Length
	if limit < 1 {
		limit = maxColumn
	}
	text := asset.TextTo(value, limit)
	if len(text) < len(value) && len(value) > limit && utf8.RuneCountInString(value) > limit {
		b.flag(key, c.to, record.FlagCut)
	}
	for _, choices := range [2][]string{c.Choices, field.Choices} {
		if len(choices) == 0 || text == "" {
			continue
		}
		k := slices.IndexFunc(choices, func(s string) bool { return strings.EqualFold(s, text) })
		if k < 0 {
			b.flag(key, c.to, record.FlagNoChoice)
			return ""
		}
		text = choices[k]
	}
	return text
}

func (b *builder) flag(key, column, why string) {
	b.parts.Flags = append(b.parts.Flags, record.Flag{Item: key, Column: column, Why: why})
}

func first(get []asset.Getter, v *asset.View) string {
	for _, g := range get {
		if s := g(v); s != "" {
			return s
		}
	}
	return ""
}
