package estate

import (
	"strconv"
	"time"
)

// encoder appends JSON to a buffer. Writing the members by hand is what lets one core serve thousands of assets a
// second; encoding/json on maps is ten times slower. A member's comma is decided by the byte before it.
type encoder struct{ b []byte }

func (w *encoder) comma() {
	if n := len(w.b); n > 0 {
		switch w.b[n-1] {
		case '{', '[', ':':
		default:
			w.b = append(w.b, ',')
		}
	}
}

func (w *encoder) key(name string) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *encoder) open(name string) {
	w.key(name)
	w.b = append(w.b, '{')
}

func (w *encoder) item() {
	w.comma()
	w.b = append(w.b, '{')
}

func (w *encoder) end() { w.b = append(w.b, '}') }

// list opens {"name":{"inner":[ and closeList ends it: the wrapper of every list in the vendor's format.
func (w *encoder) list(name, inner string) {
	w.open(name)
	w.key(inner)
	w.b = append(w.b, '[')
}

func (w *encoder) closeList() { w.b = append(w.b, ']', '}') }

func (w *encoder) null(name string) {
	w.key(name)
	w.b = append(w.b, "null"...)
}

// text writes a string, null when it is empty.
func (w *encoder) text(name, value string) {
	if value == "" {
		w.null(name)
		return
	}
	w.key(name)
	w.b = appendString(w.b, value)
}

// blank writes a string, "" when it is empty.
func (w *encoder) blank(name, value string) {
	w.key(name)
	w.b = appendString(w.b, value)
}

func (w *encoder) number(name string, value int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, value, 10)
}

// positive writes a number, null when it is zero.
func (w *encoder) positive(name string, value int) {
	if value == 0 {
		w.null(name)
		return
	}
	w.number(name, int64(value))
}

func (w *encoder) boolean(name string, value bool) {
	w.key(name)
	w.b = strconv.AppendBool(w.b, value)
}

// iso writes an instant in the vendor's form with milliseconds.
func (w *encoder) iso(name string, ms int64) {
	w.key(name)
	w.b = appendISO(w.b, ms)
}

func appendISO(b []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(b, `"2006-01-02T15:04:05.000Z"`)
}

// day writes a date of the catalogue: a day, or the text that stands in its place, or null.
func (w *encoder) day(name, value string) {
	if len(value) == 10 && value[4] == '-' {
		value += "T00:00:00.000Z"
	}
	w.text(name, value)
}

// appendString quotes and escapes as the vendor does: control characters, quotes and backslashes, nothing else.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
