package mapping

import "slices"

// merge makes one document of several. An entry of a later document whose name
// (for a reference: its column) an earlier one has changes it: columns of the
// same target are replaced, others added, and every other key that it gives
// replaces the earlier one. "drop: true" takes the entry, or the column, out.
// Entries with new names are added. Within one document names are not merged, so
// that a name used twice is still refused.
func merge(docs []*Document) (*Document, error) {
	out := &Document{}
	for _, d := range docs {
		out.Main = mergeList(out.Main, d.Main, func(g *Group) (string, bool) { return g.Name, g.Drop }, mergeGroup)
		out.Lookups = mergeList(out.Lookups, d.Lookups, func(l *Lookup) (string, bool) { return l.Name, l.Drop }, mergeLookup)
		out.References = mergeList(out.References, d.References, func(r *Reference) (string, bool) { return r.Column, r.Drop }, mergeReference)
		out.Items = mergeList(out.Items, d.Items, func(i *Item) (string, bool) { return i.Name, i.Drop }, mergeItem)
		out.UpdateOnly = append(out.UpdateOnly, d.UpdateOnly...)
		for _, s := range d.Off {
			if !slices.Contains(out.Off, s) {
				out.Off = append(out.Off, s)
			}
		}
		out.Off = slices.DeleteFunc(out.Off, func(s string) bool { return slices.Contains(d.On, s) })
	}
	return out, nil
}

// mergeList merges the entries of a later document into those before it.
func mergeList[T any](before, later []T, id func(*T) (name string, drop bool), change func(old, fresh T) T) []T {
	out := slices.Clone(before)
	for i := range later {
		name, drop := id(&later[i])
		k := -1
		for j := range out[:min(len(before), len(out))] {
			if n, _ := id(&out[j]); n == name && name != "" {
				k = j
			}
		}
		switch {
		case k < 0:
			if !drop {
				out = append(out, later[i])
			}
		case drop:
			out = slices.Delete(out, k, k+1)
			before = before[:len(before)-1]
		default:
			out[k] = change(out[k], later[i])
		}
	}
	return out
}

func mergeGroup(old, fresh Group) Group {
	old.For, old.Not = given(old.For, fresh.For), given(old.Not, fresh.Not)
	old.Columns = mergeColumns(old.Columns, fresh.Columns)
	return old
}

func mergeLookup(old, fresh Lookup) Lookup {
	old.For = given(old.For, fresh.For)
	old.Table, old.If = text(old.Table, fresh.Table), text(old.If, fresh.If)
	old.Columns = mergeColumns(old.Columns, fresh.Columns)
	return old
}

// mergeReference replaces the policy of creation always: it is a decision.
func mergeReference(old, fresh Reference) Reference {
	old.For, old.From = given(old.For, fresh.For), given(old.From, fresh.From)
	old.Table, old.Section = text(old.Table, fresh.Table), text(old.Section, fresh.Section)
	old.Create = fresh.Create
	return old
}

func mergeItem(old, fresh Item) Item {
	old.For, old.Needs, old.By = given(old.For, fresh.For), given(old.Needs, fresh.Needs), given(old.By, fresh.By)
	old.Section, old.List, old.Class, old.Key = text(old.Section, fresh.Section), text(old.List, fresh.List), text(old.Class, fresh.Class), text(old.Key, fresh.Key)
	old.Table, old.Host = text(old.Table, fresh.Table), text(old.Host, fresh.Host)
	old.Plugin, old.Without = text(old.Plugin, fresh.Plugin), text(old.Without, fresh.Without)
	old.Shared, old.Related = old.Shared || fresh.Shared, old.Related || fresh.Related
	old.Where, old.Links, old.Relations = given(old.Where, fresh.Where), given(old.Links, fresh.Links), given(old.Relations, fresh.Relations)
	if fresh.If != nil {
		old.If = fresh.If
	}
	old.Columns = mergeColumns(old.Columns, fresh.Columns)
	return old
}

func mergeColumns(old, fresh []Column) []Column {
	return mergeList(old, fresh, func(c *Column) (string, bool) { return c.To, c.Drop }, func(_, f Column) Column { return f })
}

func given[T any](old, fresh []T) []T {
	if len(fresh) > 0 {
		return fresh
	}
	return old
}

func text(old, fresh string) string {
	if fresh != "" {
		return fresh
	}
	return old
}
