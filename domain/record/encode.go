package record

import (
	"encoding/json"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/jsontext"
)

// AppendJSON appends the JSON of the parts, byte for byte what encoding/json makes of
// them, at a quarter of its price: every record is encoded for its digest and for the
// store.
func (p *Parts) AppendJSON(b []byte) []byte {
	e := encoder{b: append(b, '{')}
	if p.Native != nil {
		e.name("native")
		e.item(p.Native)
	}
	items(&e, "dependents", p.Dependents, (*encoder).item)
	items(&e, "shared", p.Shared, (*encoder).item)
	items(&e, "relations", p.Relations, (*encoder).relation)
	items(&e, "references", p.References, (*encoder).reference)
	items(&e, "tables", p.Tables, (*encoder).row)
	e.texts("complete", p.Complete)
	e.flag("updateOnly", p.UpdateOnly)
	e.optional("primary", p.Primary)
	e.flag("sharedName", p.SharedName)
	if len(p.Change) > 0 {
		e.name("change")
		e.other(p.Change)
	}
	items(&e, "flags", p.Flags, (*encoder).mark)
	return append(e.b, '}')
}

// encoder appends JSON.
type encoder struct{ b []byte }

// name appends the name of a member, with a comma where one came before it.
func (e *encoder) name(name string) {
	if e.b[len(e.b)-1] != '{' {
		e.b = append(e.b, ',')
	}
	e.b = append(e.b, '"')
	e.b = append(e.b, name...)
	e.b = append(e.b, '"', ':')
}

func (e *encoder) member(name, value string) {
	e.name(name)
	e.text(value)
}

func (e *encoder) optional(name, value string) {
	if value != "" {
		e.member(name, value)
	}
}

func (e *encoder) flag(name string, value bool) {
	if value {
		e.name(name)
		e.b = append(e.b, "true"...)
	}
}

// text appends a text. What is not plain is left to encoding/json, which escapes more
// than it must.
func (e *encoder) text(s string) {
	start := len(e.b)
	e.b = append(append(e.b, '"'), s...)
	if jsontext.PlainHTML(e.b[start+1:]) == len(s) {
		e.b = append(e.b, '"')
		return
	}
	e.b = e.b[:start]
	e.other(s)
}

// other appends what encoding/json makes of a text, or of JSON.
func (e *encoder) other(v any) {
	b, err := json.Marshal(v)
	if err != nil { // of a text it cannot fail; a Change was marshalled before
		panic("record: encode: " + err.Error())
	}
	e.b = append(e.b, b...)
}

func (e *encoder) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	e.name(name)
	e.b = append(e.b, '[')
	for i, s := range list {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.text(s)
	}
	e.b = append(e.b, ']')
}

// items appends a list if it is not empty.
func items[T any](e *encoder, name string, list []T, one func(*encoder, *T)) {
	if len(list) > 0 {
		e.name(name)
		all(e, list, one)
	}
}

func all[T any](e *encoder, list []T, one func(*encoder, *T)) {
	e.b = append(e.b, '[')
	for i := range list {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		one(e, &list[i])
	}
	e.b = append(e.b, ']')
}

func (e *encoder) open()  { e.b = append(e.b, '{') }
func (e *encoder) close() { e.b = append(e.b, '}') }

func (e *encoder) item(it *cmdb.Item) {
	e.open()
	e.member("k", it.Key)
	e.member("c", it.Class)
	items(e, "cols", it.Columns, (*encoder).column)
	items(e, "lookup", it.Lookup, (*encoder).row)
	items(e, "related", it.Related, (*encoder).row)
	e.optional("s", it.Section)
	items(e, "links", it.Links, (*encoder).link)
	e.close()
}

func (e *encoder) row(r *cmdb.Row) {
	e.open()
	e.member("t", r.Table)
	e.name("cols")
	if r.Columns == nil {
		e.b = append(e.b, "null"...)
	} else {
		all(e, r.Columns, (*encoder).column)
	}
	e.texts("by", r.Coalesce)
	e.optional("host", r.Host)
	e.optional("hostCol", r.HostColumn)
	e.optional("k", r.Key)
	e.optional("s", r.Section)
	e.flag("ci", r.WithCI)
	items(e, "links", r.Links, (*encoder).link)
	e.close()
}

func (e *encoder) column(c *cmdb.Column) {
	e.open()
	e.member("n", c.Name)
	e.member("v", c.Value)
	e.flag("vo", c.Volatile)
	e.close()
}

func (e *encoder) link(l *cmdb.Link) {
	e.open()
	e.member("col", l.Column)
	e.member("i", l.Item)
	e.close()
}

func (e *encoder) relation(r *cmdb.Relation) {
	e.open()
	e.member("p", r.Parent)
	e.member("c", r.Child)
	e.member("t", r.Type)
	e.close()
}

func (e *encoder) reference(r *cmdb.Reference) {
	e.open()
	e.member("i", r.Item)
	e.member("col", r.Column)
	e.member("t", r.Table)
	e.member("n", r.Name)
	e.flag("create", r.Create)
	e.flag("list", r.List)
	e.close()
}

func (e *encoder) mark(f *Flag) {
	e.open()
	e.member("i", f.Item)
	e.member("col", f.Column)
	e.member("why", f.Why)
	e.close()
}
