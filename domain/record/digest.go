package record

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/qbridge/qbridge/domain/cmdb"
)

// Digest returns the payload digest of the parts: 32 hex digits over the
// canonical form without volatile columns. Two records with the same digest
// would write the same thing; the order of dependents, shared items, relations,
// references and table rows does not matter.
func Digest(p *Parts) string {
	space := encodings.Get().(*[]byte)
	defer encodings.Put(space)
	*space = canonical(p).AppendJSON((*space)[:0])
	sum := sha256.Sum256(*space)
	return hex.EncodeToString(sum[:16])
}

// encodings are the space of encodings that are only hashed.
var encodings = sync.Pool{New: func() any { return new([]byte) }}

// canonical copies the parts without volatile columns and with every list in a
// defined order.
func canonical(p *Parts) *Parts {
	out := &Parts{
		Dependents: stableItems(p.Dependents),
		Shared:     stableItems(p.Shared),
		Relations:  append([]cmdb.Relation(nil), p.Relations...),
		References: append([]cmdb.Reference(nil), p.References...),
		Tables:     stableRows(p.Tables),
		UpdateOnly: p.UpdateOnly,
		Primary:    p.Primary,
		Change:     p.Change,
	}
	if p.Native != nil {
		n := stableItem(*p.Native)
		out.Native = &n
	}
	slices.SortFunc(out.Relations, func(a, b cmdb.Relation) int {
		return cmp.Or(strings.Compare(a.Parent, b.Parent), strings.Compare(a.Child, b.Child), strings.Compare(a.Type, b.Type))
	})
	slices.SortFunc(out.References, func(a, b cmdb.Reference) int { return joined(a.Item, a.Column, a.Name, b.Item, b.Column, b.Name) })
	return out
}

func stableItems(items []cmdb.Item) []cmdb.Item {
	out := make([]cmdb.Item, len(items))
	for i := range items {
		out[i] = stableItem(items[i])
	}
	slices.SortFunc(out, func(a, b cmdb.Item) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func stableItem(it cmdb.Item) cmdb.Item {
	it.Columns = stableColumns(it.Columns)
	it.Lookup, it.Related = stableRows(it.Lookup), stableRows(it.Related)
	return it
}

func stableRows(list []cmdb.Row) []cmdb.Row {
	rows := make([]cmdb.Row, len(list))
	for i, r := range list {
		r.Columns = stableColumns(r.Columns)
		rows[i] = r
	}
	sortByJSON(rows)
	return rows
}

func stableColumns(cols []cmdb.Column) []cmdb.Column {
	out := make([]cmdb.Column, 0, len(cols))
	for _, c := range cols {
		if !c.Volatile {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b cmdb.Column) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// sortByJSON orders rows that have no key of their own by their encoding.
func sortByJSON(rows []cmdb.Row) {
	if len(rows) < 2 {
		return
	}
	type keyed struct {
		key string
		row cmdb.Row
	}
	list := make([]keyed, len(rows))
	for i := range rows {
		e := encoder{}
		e.row(&rows[i])
		list[i] = keyed{string(e.b), rows[i]}
	}
	slices.SortFunc(list, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	for i := range list {
		rows[i] = list[i].row
	}
}

// joined compares three texts as if they were one, with a separator between them.
func joined(a1, a2, a3, b1, b2, b3 string) int {
	return strings.Compare(a1+"\x00"+a2+"\x00"+a3, b1+"\x00"+b2+"\x00"+b3)
}
