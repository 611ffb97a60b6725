package view

import "github.com/qbridge/qbridge/domain/mapping"

// Mapping prints which source fills which column.
func (p Printer) Mapping(lines []mapping.Line) {
	rows := make([][]string, 0, len(lines))
	for _, l := range lines {
		source := l.Source
		if l.List != "" {
			source = l.List + "[]: " + source
		}
		note := l.Section
		if l.Off {
			note += " (off)"
		}
		if l.Volatile {
			note += " volatile"
		}
		rows = append(rows, []string{l.Part, l.Target, l.Column, source, dash(l.Transform), dash(note)})
	}
	p.table([]string{"PART", "TARGET", "COLUMN", "SOURCE", "TRANSFORM", "SECTION"}, rows)
}
