package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
)

// row is a figure: what it must be, what it should be, and what was measured. A
// figure is smaller the better unless it is a ratio against others, which are
// Least.
type row struct {
	Figure   string   `json:"figure"`
	Must     *float64 `json:"must,omitempty"` // nil: nothing is asked
	Aim      *float64 `json:"aim,omitempty"`
	Measured *float64 `json:"measured"` // nil: not measured, and Note says why
	Unit     string   `json:"unit,omitempty"`
	Least    bool     `json:"least,omitempty"` // must and aim are the least, not the most
	Met      bool     `json:"met"`
	Note     string   `json:"note,omitempty"`
}

// plain is a figure of which nothing is asked.
func plain(figure string, measured float64, unit string) row {
	return row{Figure: figure, Measured: &measured, Unit: unit}
}

// most is a figure that must not be larger than must.
func most(figure string, must, aim, measured float64, unit string) row {
	return row{Figure: figure, Must: &must, Aim: &aim, Measured: &measured, Unit: unit}
}

// least is a figure that must not be smaller than must.
func least(figure string, must, aim, measured float64, unit string) row {
	return row{Figure: figure, Must: &must, Aim: &aim, Measured: &measured, Unit: unit, Least: true}
}

// unmeasured is a figure that this machine cannot measure; note says why.
func unmeasured(figure string, must, aim float64, note string) row {
	return row{Figure: figure, Must: &must, Aim: &aim, Note: note}
}

// judge says which figures are as they must be. What was not measured is not met.
func judge(rows []row) {
	for i := range rows {
		r := &rows[i]
		switch {
		case r.Measured == nil:
			r.Met = false
		case r.Must == nil:
			r.Met = true
		case r.Least:
			r.Met = *r.Measured >= *r.Must
		default:
			r.Met = *r.Measured <= *r.Must
		}
	}
}

// report prints the figures as a table and writes them to a file as JSON.
func report(to io.Writer, path string, about map[string]any, rows []row) error {
	judge(rows)
	w := tabwriter.NewWriter(to, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tMUST\tAIM\tMEASURED\tUNIT\tMET")
	for _, r := range rows {
		measured := number(r.Measured)
		if r.Measured == nil {
			measured = r.Note
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Figure, bound(r.Must, r.Least), bound(r.Aim, r.Least), measured, r.Unit, verdict(r))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	about["rows"] = rows
	data, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func verdict(r row) string {
	switch {
	case r.Must == nil:
		return ""
	case r.Met:
		return "yes"
	default:
		return "no"
	}
}

func bound(f *float64, least bool) string {
	switch {
	case f == nil:
		return "–"
	case least:
		return "≥ " + number(f)
	default:
		return "≤ " + number(f)
	}
}

// number shows a figure with three digits that count.
func number(f *float64) string {
	if f == nil {
		return "–"
	}
	switch {
	case *f >= 100 || *f == float64(int64(*f)):
		return strconv.FormatFloat(*f, 'f', 0, 64)
	case *f >= 1:
		return strconv.FormatFloat(*f, 'f', 2, 64)
	default:
		return strconv.FormatFloat(*f, 'g', 3, 64)
	}
}
