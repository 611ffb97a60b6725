package servicenow

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// An update set as an instance exports and imports it ("Export to XML" of a
// retrieved update set): an unload of sys_update_xml records, each with a payload
// that is a document of its own. Only tables (sys_db_object) and columns
// (sys_dictionary) are taken from it; everything else in it is passed over.
type (
	unload struct {
		Updates []struct {
			Action  string `xml:"action"`
			Payload string `xml:"payload"`
		} `xml:"sys_update_xml"`
	}
	recordUpdate struct {
		Tables []struct {
			Name  string `xml:"name"`
			Label string `xml:"label"`
			Super struct {
				Name string `xml:"display_value,attr"`
			} `xml:"super_class"`
		} `xml:"sys_db_object"`
		Columns []dictionaryEntry `xml:"sys_dictionary"`
	}
	dictionaryEntry struct {
		Table     string `xml:"name"`
		Element   string `xml:"element"`
		Kind      string `xml:"internal_type"`
		Length    string `xml:"max_length"`
		Reference string `xml:"reference"`
		Default   string `xml:"default_value"`
		Mandatory string `xml:"mandatory"`
		Display   string `xml:"display"`
	}
)

// installUpdateSet commits an update set: tables and columns that are there
// already stay as they are.
func (s *store) installUpdateSet(in io.Reader) error {
	var doc unload
	if err := xml.NewDecoder(in).Decode(&doc); err != nil {
		return fmt.Errorf("servicenow: update set: %w", err)
	}
	var columns []dictionaryEntry
	tables := 0
	for i, u := range doc.Updates {
		if u.Action == "DELETE" {
			continue
		}
		var r recordUpdate
		if err := xml.Unmarshal([]byte(u.Payload), &r); err != nil {
			return fmt.Errorf("servicenow: update set: record %d: %w", i+1, err)
		}
		for _, d := range r.Tables {
			if err := s.schema.addTable(d.Name, d.Label, d.Super.Name); err != nil {
				return err
			}
			tables++
		}
		columns = append(columns, r.Columns...)
	}
	if tables == 0 && len(columns) == 0 {
		return errors.New("servicenow: update set: it holds neither tables nor columns")
	}
	for _, c := range columns {
		if err := s.addDictionaryEntry(c); err != nil {
			return err
		}
	}
	return nil
}

// addTable adds an empty table.
func (s *schema) addTable(name, label, parent string) error {
	switch {
	case name == "":
		return errors.New("servicenow: update set: a table has no name")
	case s.tables[name] != nil:
		return nil
	}
	t := &table{name: name, label: label, columns: map[string]*column{}}
	if parent != "" {
		p := s.tables[parent]
		if p == nil {
			return fmt.Errorf("servicenow: update set: table %s extends %s, which is not there", name, parent)
		}
		t.inherit(p)
	}
	t.finish()
	s.tables[name] = t
	return nil
}

// addDictionaryEntry adds a column to its table and to all that extend it.
func (s *store) addDictionaryEntry(d dictionaryEntry) error {
	t := s.schema.tables[d.Table]
	if t == nil {
		return fmt.Errorf("servicenow: update set: column %s of table %s, which is not there", d.Element, d.Table)
	}
	if d.Element == "" || t.columns[d.Element] != nil { // the entry of the table itself
		return nil
	}
	spec := d.Element
	if d.Kind != "" && d.Kind != "string" && d.Kind != "reference" {
		spec += ":" + d.Kind
	}
	if d.Reference != "" {
		if s.schema.tables[d.Reference] == nil {
			return fmt.Errorf("servicenow: update set: column %s of %s refers to table %s, which is not there", d.Element, d.Table, d.Reference)
		}
		spec += ">" + d.Reference
	}
	if d.Default != "" {
		spec += "=" + d.Default
	}
	if on, _ := strconv.ParseBool(d.Mandatory); on {
		spec += "!"
	}
	if strings.ContainsAny(d.Element, ":>=!") {
		return fmt.Errorf("servicenow: update set: %q is not a column", d.Element)
	}
	t.addColumn(s.schema, spec)
	if on, _ := strconv.ParseBool(d.Display); on {
		t.display = d.Element
	}
	c := t.columns[d.Element]
	if n, err := strconv.Atoi(d.Length); err == nil && n > 0 {
		c.length = n
	}
	t.each(func(x *table) {
		if x != t && x.columns[c.name] == nil {
			x.columns[c.name] = c
			x.order = append(x.order, c)
		}
		x.finish()
	})
	if c.ref != "" {
		s.indexOn(t, []string{c.name})
	}
	return nil
}
