package qualys

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"
)

// Qualys answers numbers as strings and the reverse, dates in three forms, and
// lists that are null. These types read what can be understood; what cannot is a
// FieldError.

// text is a string, or a number or boolean in its place.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		if plainString(b) {
			*t = text(b[1 : len(b)-1])
			return nil
		}
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case 'n':
	case '{', '[':
		return &FieldError{Want: "text", Got: shape(b)}
	default:
		*t = text(b)
	}
	return nil
}

// plainString reports whether a JSON string says what its bytes say: printable
// ASCII without escapes, which nearly all values are.
func plainString(b []byte) bool {
	if len(b) < 2 || b[len(b)-1] != '"' {
		return false
	}
	for _, c := range b[1 : len(b)-1] {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// integer is a whole number, exact to 64 bits, or one in a string.
type integer int64

func (n *integer) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] == 'n' {
		return nil
	}
	s := strings.Trim(string(b), `"`)
	if s == "null" || s == "" {
		return nil
	}
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		*n = integer(v)
		return nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		*n = integer(f)
		return nil
	}
	if b[0] == '"' && !looksNumeric(s) { // "Unknown" for a number: as good as absent
		return nil
	}
	return &FieldError{Want: "a whole number", Got: shape(b)}
}

func looksNumeric(s string) bool { return s[0] >= '0' && s[0] <= '9' || s[0] == '-' }

// flag is a boolean, 0 or 1, or one of them in a string.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true", "1", "yes":
		*f = true
	case "false", "0", "no", "null", "":
	default:
		return &FieldError{Want: "true or false", Got: shape(b)}
	}
	return nil
}

// moment is an instant: ISO 8601, epoch milliseconds, or nothing (null, 0, -1,
// free text such as "Not Announced").
type moment struct{ time.Time }

// layouts are the ISO forms that were seen.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.000-0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"}

// commonLayout is the form of nearly all dates; 0 stands for a digit.
const commonLayout = "0000-00-00T00:00:00.000Z"

func (m *moment) UnmarshalJSON(b []byte) error {
	if b[0] == '{' || b[0] == '[' {
		return &FieldError{Want: "a date", Got: shape(b)}
	}
	m.read(strings.Trim(string(b), `"`))
	return nil
}

// read reads the text of an instant. What it does not understand is no instant.
func (m *moment) read(s string) {
	s = strings.TrimSpace(s)
	if s == "" || s == "null" {
		return
	}
	if t, ok := commonTime(s); ok {
		m.set(t)
		return
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		m.millis(ms)
		return
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			m.set(t)
			return
		}
	}
}

// commonTime reads the form of nearly all dates, which a package has two of:
// time.Parse takes ten times as long.
func commonTime[T string | []byte](s T) (time.Time, bool) {
	if len(s) != len(commonLayout) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' || s[23] != 'Z' {
		return time.Time{}, false
	}
	wrong := byte(0)
	two := func(i int) int {
		tens, ones := s[i]-'0', s[i+1]-'0'
		wrong |= tens | ones | (9 - tens) | (9 - ones) // below zero the top bit is set
		return int(tens)*10 + int(ones)
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	millis := two(20)*10 + two(21)%10
	if wrong >= 0x80 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 || day > daysIn(year, month) {
		return time.Time{}, false
	}
	// Days since the epoch, of years that begin with March: leap days come last.
	if month <= 2 {
		year, month = year-1, month+12
	}
	const epoch = 719_468
	century := (year + 400) / 100
	days := 365*(year+400) + (year+400)/4 - century + century/4 + (153*(month-3)+2)/5 + day - 1 - epoch - 400*365 - 97
	return time.Unix(int64(days)*86_400+int64(hour*3600+minute*60+second), int64(millis)*int64(time.Millisecond)).UTC(), true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// set takes an instant; the epoch is how a missing date is printed.
func (m *moment) set(t time.Time) {
	if t.Unix() > 0 {
		m.Time = t.UTC()
	}
}

// millis takes milliseconds since the epoch, up to the year 9999.
func (m *moment) millis(ms int64) {
	if ms > 0 && ms < 253402300800000 {
		m.Time = time.UnixMilli(ms).UTC()
	}
}

// listOf is a list inside a wrapper object: {"software":[…]}. The wrapper may be
// null or missing, its list null, or a single element in place of a list.
type listOf[T any] struct {
	Items   []T
	Present bool
}

func (l *listOf[T]) UnmarshalJSON(b []byte) error {
	if b[0] == 'n' {
		return nil
	}
	if b[0] != '{' {
		return &FieldError{Want: "an object with a list", Got: shape(b)}
	}
	var wrapper map[string]json.RawMessage
	if err := json.Unmarshal(b, &wrapper); err != nil {
		return err
	}
	if len(wrapper) > 1 {
		return &FieldError{Want: "an object with one list", Got: fmt.Sprintf("an object with %d keys", len(wrapper))}
	}
	l.Present = true
	for key, raw := range wrapper {
		switch raw[0] {
		case 'n':
			l.Present = false
		case '{': // a list of one that lost its brackets
			var one T
			if err := json.Unmarshal(raw, &one); err != nil {
				return within(key, err)
			}
			l.Items = []T{one}
		case '[':
			if err := json.Unmarshal(raw, &l.Items); err != nil {
				return within(key, err)
			}
		default:
			return &FieldError{Field: key, Want: "a list", Got: shape(raw)}
		}
	}
	return nil
}

// within adds a step to the path of a field error.
func within(field string, err error) error {
	switch e := err.(type) { //nolint:errorlint // json returns the error of UnmarshalJSON as it is
	case *FieldError:
		path := field
		if e.Field != "" {
			path += "." + e.Field
		}
		return &FieldError{Field: path, Want: e.Want, Got: e.Got}
	case *json.UnmarshalTypeError:
		path := field
		if e.Field != "" {
			path += "." + e.Field
		}
		return &FieldError{Field: path, Want: plain(e.Type.Kind().String()), Got: e.Value}
	}
	return &FieldError{Field: field, Want: "JSON", Got: err.Error()}
}

func plain(kind string) string {
	switch kind {
	case "struct", "map":
		return "an object"
	case "slice":
		return "a list"
	}
	return kind
}

// shape names a JSON value without repeating it.
func shape(b []byte) string {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return "nothing"
	}
	switch b[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "text"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
