package report

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strings"
	"unicode"
)

// Writer takes the rows of a report and writes them.
type Writer interface {
	Row(row []string) error
	Close() error
}

// NewCSV writes comma-separated values in UTF-8 (RFC 4180). A spreadsheet takes a
// cell that begins with = + - @, a tab or a line break for a formula: such cells get a
// ' in front, which spreadsheets do not show.
func NewCSV(w io.Writer, r *Report) (Writer, error) {
	out := &csvWriter{w: csv.NewWriter(w)}
	head := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		head[i] = c.Name
	}
	return out, out.w.Write(head)
}

type csvWriter struct {
	w    *csv.Writer
	line []string
}

func (c *csvWriter) Row(row []string) error {
	c.line = c.line[:0]
	for _, cell := range row {
		c.line = append(c.line, Cell(cell))
	}
	return c.w.Write(c.line)
}

func (c *csvWriter) Close() error {
	c.w.Flush()
	return c.w.Error()
}

// Cell is a text that no spreadsheet takes for a formula, without control characters
// and direction overrides.
func Cell(text string) string {
	text = Plain(text)
	if text != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(text[0])) {
		return "'" + text
	}
	// Characters of full width are folded to these by some programs.
	if r := []rune(text); len(r) > 0 && strings.ContainsRune("＝＋－＠", r[0]) {
		return "'" + text
	}
	return text
}

// Plain is a text without control characters and direction overrides: neither a
// terminal nor a reader can be led astray by it. Line breaks become blanks.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// NewJSON writes an array of objects, one per line.
func NewJSON(w io.Writer, r *Report) (Writer, error) {
	out := &jsonWriter{w: w, columns: r.Columns}
	_, err := io.WriteString(w, "[")
	return out, err
}

type jsonWriter struct {
	w       io.Writer
	columns []Column
	some    bool
}

func (j *jsonWriter) Row(row []string) error {
	object := make(map[string]any, len(row))
	for i, cell := range row {
		if j.columns[i].Number {
			object[j.columns[i].Name] = json.Number(cell)
		} else {
			object[j.columns[i].Name] = Plain(cell)
		}
	}
	line, err := json.Marshal(object)
	if err != nil {
		return err
	}
	lead := "\n"
	if j.some {
		lead = ",\n"
	}
	j.some = true
	_, err = j.w.Write(append([]byte(lead), line...))
	return err
}

func (j *jsonWriter) Close() error {
	_, err := io.WriteString(j.w, "\n]\n")
	return err
}
