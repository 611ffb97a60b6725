package mapping

import "strings"

// Table describes a table of rows that are not CIs, as far as the mapping writes
// it.
type Table struct {
	Name    string
	Section string // toggle of the item that is written into it
	Columns []TableColumn
	By      []string // columns that identify a row, the host's first
}

// TableColumn is one column of a table.
type TableColumn struct {
	Name      string
	Type      string // ServiceNow's internal type: string, glide_date_time, glide_date, reference
	Reference string // table that a reference points to
}

// ownPrefix marks tables that qbridge brings itself: an instance has them only
// when the update set was installed.
const ownPrefix = "u_qbridge_"

// OwnTables lists the tables that qbridge brings, in the order of the mapping:
// what an update set must create, and what an instance may lack.
func (m *Map) OwnTables() []Table {
	var out []Table
	for i := range m.items {
		it := &m.items[i]
		if !strings.HasPrefix(it.Table, ownPrefix) {
			continue
		}
		t := Table{Name: it.Table, Section: it.Section}
		if it.Host != "" {
			t.By = append(t.By, it.Host)
			t.Columns = append(t.Columns, TableColumn{Name: it.Host, Type: "reference", Reference: "cmdb_ci"})
		}
		t.By = append(t.By, it.By...)
		for k := range it.columns {
			c := &it.columns[k]
			kind := "string"
			switch c.Transform {
			case "datetime":
				kind = "glide_date_time"
			case "day":
				kind = "glide_date"
			}
			t.Columns = append(t.Columns, TableColumn{Name: c.to, Type: kind})
		}
		out = append(out, t)
	}
	return out
}
