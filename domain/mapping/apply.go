package mapping

import (
	"slices"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
)

// Input is one asset to map.
type Input struct {
	Connection string
	Asset      *asset.Asset
	Clean      *asset.Clean
	Class      string
	Sections   map[string]bool // toggles; a section that is not named is on
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
// parts; no two items share a key.
func (m *Map) Apply(in Input) record.Parts {
	p := m.plan(in.Class)
	v := &asset.View{Asset: in.Asset, Clean: in.Clean}
	main := cmdb.Item{
		Key:   in.Connection + "/" + strconv.FormatInt(in.Asset.ID, 10),
		Class: in.Class, Columns: values(p.columns, v, 0),
	}
	for _, l := range p.lookups {
		if l.present(v) != "" {
			main.Lookup = append(main.Lookup, cmdb.Row{Table: l.Table, Columns: values(l.columns, v, 0)})
		}
	}
	b := builder{view: v, main: main.Key, seen: map[string]bool{main.Key: true}, keys: map[string]string{"main": main.Key}}
	for _, r := range p.references {
		if name := first(r.get, v); name != "" {
			b.parts.References = append(b.parts.References, cmdb.Reference{Item: main.Key, Column: r.Column, Table: r.Table, Name: name, Create: r.Create})
		}
	}
	for _, it := range p.items {
		if on, set := in.Sections[it.Section]; set && !on {
			continue
		}
		b.add(it)
	}
	b.parts.Native = &main
	b.parts.Complete = m.complete(in)
	return b.parts
}

// complete lists the mapped sections that the answer carried in full.
func (m *Map) complete(in Input) []string {
	var out []string
	for _, s := range in.Asset.Present {
		if on, set := in.Sections[string(s)]; m.sections[s] && (!set || on) {
			out = append(out, string(s))
		}
	}
	return out
}

// builder collects the items of one record.
type builder struct {
	view  *asset.View
	main  string
	parts record.Parts
	seen  map[string]bool   // keys
	keys  map[string]string // name of a single item → key, for relations
}

func (b *builder) add(it *item) {
	if !b.applies(it) {
		return
	}
	taken := map[string]bool{} // values of unique columns
	n := 1
	if it.list != nil {
		n = it.list.Len(b.view)
	}
	for i := range n {
		key, ok := b.key(it, i)
		if !ok || b.seen[key] { // without its key values an item cannot be identified
			continue
		}
		b.seen[key] = true
		if it.list == nil {
			b.keys[it.Name] = key
		}
		ci := cmdb.Item{Key: key, Class: it.Class, Columns: values(it.columns, b.view, i), Section: it.Section}
		it.tellApart(&ci, taken)
		if it.Shared {
			b.parts.Shared = append(b.parts.Shared, ci)
		} else {
			b.parts.Dependents = append(b.parts.Dependents, ci)
		}
		b.relate(it, key)
	}
}

// applies reports whether the asset has what the item is made of: its condition,
// the values that identify it and the items that it depends on.
func (b *builder) applies(it *item) bool {
	if it.cond != nil && !strings.EqualFold(it.cond(b.view), it.If.Equals) {
		return false
	}
	for _, get := range it.needs {
		if get(b.view) == "" {
			return false
		}
	}
	for _, r := range it.Relations {
		if b.end(r.Parent, "self") == "" || b.end(r.Child, "self") == "" {
			return false
		}
	}
	return true
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

func (b *builder) relate(it *item, self string) {
	for _, r := range it.Relations {
		parent, child := b.end(r.Parent, self), b.end(r.Child, self)
		if parent != "" && child != "" {
			b.parts.Relations = append(b.parts.Relations, cmdb.Relation{Parent: parent, Child: child, Type: r.Type})
		}
	}
}

func (b *builder) end(name, self string) string {
	if name == "self" {
		return self
	}
	return b.keys[name]
}

// key renders an item's key; every value in it must be there.
func (b *builder) key(it *item, i int) (string, bool) {
	var s strings.Builder
	for _, p := range it.key {
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
// lets an empty value overwrite one.
func values(cols []column, v *asset.View, i int) []cmdb.Column {
	out := make([]cmdb.Column, 0, len(cols))
	for k := range cols {
		c := &cols[k]
		value := c.value
		for _, g := range c.from {
			if value = g.read(v, i); value != "" {
				break
			}
		}
		if value != "" && c.apply != nil {
			value = c.apply(value)
		}
		if value = asset.Text(value); value != "" {
			out = append(out, cmdb.Column{Name: c.to, Value: value, Volatile: c.volatile})
		}
	}
	return out
}

func first(get []asset.Getter, v *asset.View) string {
	for _, g := range get {
		if s := g(v); s != "" {
			return s
		}
	}
	return ""
}
