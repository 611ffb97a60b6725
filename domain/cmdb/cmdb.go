// Package cmdb describes configuration items the way ServiceNow's
// Identification and Reconciliation Engine (IRE) sees them: items with columns,
// relations between items and references to other tables.
package cmdb

// Column is one column of an item. Columns are kept in a slice in the order of
// the mapping, so that encoding is deterministic without sorting.
type Column struct {
	Name  string `json:"n"`
	Value string `json:"v"`
	// Volatile columns (recency, last seen) are written but never make a
	// record count as changed.
	Volatile bool `json:"vo,omitempty"`
}

// Item is one configuration item as it is offered to IRE.
type Item struct {
	// Key is the source native key: "<connection>/<assetId>" for a main CI,
	// "<connection>/<assetId>/nic/<mac>" for its parts, and a key made of what
	// it is for shared items ("aws/<account>/<region>"). Unique per target.
	Key     string   `json:"k"`
	Class   string   `json:"c"`
	Columns []Column `json:"cols,omitempty"`
	// Lookup rows identify the item (serial numbers); they have no key.
	Lookup []Row `json:"lookup,omitempty"`
	// Related rows go with the item without identifying it (software instances);
	// IRE fills their reference to the item.
	Related []Row `json:"related,omitempty"`
	// Section is the asset section this item came from; empty for the main CI.
	Section string `json:"s,omitempty"`
	// Links are columns that hold the sys_id of other records' CIs, by their keys.
	Links []Link `json:"links,omitempty"`
}

// Value returns the value of a column, or "".
func (i *Item) Value(column string) string {
	for k := range i.Columns {
		if i.Columns[k].Name == column {
			return i.Columns[k].Value
		}
	}
	return ""
}

// Row is a row of a table that is not a CI (serial numbers, extension rows).
type Row struct {
	Table   string   `json:"t"`
	Columns []Column `json:"cols"`
	// Coalesce names the columns that identify the row; looked up before insert.
	Coalesce []string `json:"by,omitempty"`
	// Host is the key of the item whose sys_id goes into HostColumn.
	Host       string `json:"host,omitempty"`
	HostColumn string `json:"hostCol,omitempty"`
	// Key names the row within its record, so that one that vanished is known;
	// lookup rows have none.
	Key string `json:"k,omitempty"`
	// Section is the toggle under which the row was mapped.
	Section string `json:"s,omitempty"`
	// WithCI says that the row is part of what the CI is: where the CI is
	// protected, it is not written either.
	WithCI bool `json:"ci,omitempty"`
	// Links are columns that hold the sys_id of other items of the record.
	Links []Link `json:"links,omitempty"`
}

// Link asks for a column to be filled with the sys_id of an item, by the item's
// key.
type Link struct {
	Column string `json:"col"`
	Item   string `json:"i"`
}

// Value returns the value of a column, or "".
func (r *Row) Value(column string) string {
	for k := range r.Columns {
		if r.Columns[k].Name == column {
			return r.Columns[k].Value
		}
	}
	return ""
}

// Relation connects two items by their keys. Type is the exact cmdb_rel_type
// name, parent side first, for example "Owns::Owned by".
type Relation struct {
	Parent string `json:"p"`
	Child  string `json:"c"`
	Type   string `json:"t"`
}

// Reference asks for a column of an item to be filled with the sys_id of a row
// of another table, found by name.
type Reference struct {
	Item   string `json:"i"`   // key of the item that gets the column
	Column string `json:"col"` // for example "manufacturer"
	Table  string `json:"t"`   // for example "core_company"
	Name   string `json:"n"`   // display name to look up
	// Create says whether a missing row may be created; otherwise the column
	// is left out and the reason is recorded.
	Create bool `json:"create,omitempty"`
	// List says that the column holds a list: several references fill it together.
	List bool `json:"list,omitempty"`
}

// Lookup returns the part of a reference that is looked up: equal for every item
// that refers to the same row.
func (r Reference) Lookup() Reference {
	return Reference{Table: r.Table, Name: r.Name, Create: r.Create}
}
