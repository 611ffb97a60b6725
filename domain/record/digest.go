package record

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sort"

	"github.com/qbridge/qbridge/domain/cmdb"
)

// Digest returns the payload digest of the parts: 32 hex digits over the
// canonical form without volatile columns. Two records with the same digest
// would write the same thing; the order of dependents, shared items, relations,
// references and table rows does not matter.
func Digest(p *Parts) string {
	c := canonical(p)
	b, err := json.Marshal(c)
	if err != nil { // Parts holds strings and bools only; Marshal cannot fail on them.
		panic("record: digest: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

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
	sort.Slice(out.Relations, func(i, j int) bool { return relationLess(out.Relations[i], out.Relations[j]) })
	sort.Slice(out.References, func(i, j int) bool {
		a, b := out.References[i], out.References[j]
		return a.Item+"\x00"+a.Column+"\x00"+a.Name < b.Item+"\x00"+b.Column+"\x00"+b.Name
	})
	return out
}

func stableItems(items []cmdb.Item) []cmdb.Item {
	out := make([]cmdb.Item, len(items))
	for i := range items {
		out[i] = stableItem(items[i])
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
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
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// sortByJSON orders rows that have no key of their own by their encoding.
func sortByJSON(rows []cmdb.Row) {
	keys := make(map[int]string, len(rows))
	idx := make([]int, len(rows))
	for i := range rows {
		b, err := json.Marshal(rows[i])
		if err != nil {
			panic("record: digest: " + err.Error())
		}
		keys[i], idx[i] = string(b), i
	}
	sort.Slice(idx, func(a, b int) bool { return keys[idx[a]] < keys[idx[b]] })
	sorted := make([]cmdb.Row, len(rows))
	for i, k := range idx {
		sorted[i] = rows[k]
	}
	copy(rows, sorted)
}

func relationLess(a, b cmdb.Relation) bool {
	if a.Parent != b.Parent {
		return a.Parent < b.Parent
	}
	if a.Child != b.Child {
		return a.Child < b.Child
	}
	return a.Type < b.Type
}
