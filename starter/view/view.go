// Package view prints: tables, JSON, progress and summaries. Text that comes
// from assets is stripped of control characters, so that a host name cannot
// drive a terminal.
package view

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Printer prints to one writer.
type Printer struct {
	w        io.Writer
	terminal bool
	now      func() time.Time
}

// New returns a printer. terminal allows a progress line that rewrites itself.
func New(w io.Writer, terminal bool) Printer { return Printer{w: w, terminal: terminal, now: time.Now} }

// WithClock returns a printer that measures progress by another clock.
func (p Printer) WithClock(now func() time.Time) Printer {
	p.now = now
	return p
}

// Clean removes control characters and direction overrides; line breaks stay.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
}

// flat is clean text on one line.
func flat(s string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(Clean(s))
}

// Line prints a formatted line, and one only: a line break in a host name cannot
// forge another.
func (p Printer) Line(format string, args ...any) {
	fmt.Fprintln(p.w, strings.TrimRight(flat(fmt.Sprintf(format, args...)), " "))
}

// JSON prints a value as indented JSON.
func (p Printer) JSON(v any) error {
	enc := json.NewEncoder(p.w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Rows prints a table.
func (p Printer) Rows(header []string, rows [][]string) { p.table(header, rows) }

// table prints rows under a header.
func (p Printer) table(header []string, rows [][]string) {
	tw := tabwriter.NewWriter(p.w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(header, "\t"))
	for _, r := range rows {
		for i := range r {
			r[i] = flat(r[i])
		}
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	_ = tw.Flush() // a closed pipe is the reader's choice
}
