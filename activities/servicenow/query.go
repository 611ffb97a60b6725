package servicenow

import (
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Column is one column in a condition; "manufacturer.name" walks a reference.
type Column string

// Where begins a condition.
func Where(column string) Column { return Column(column) }

// Condition is a condition of an encoded query, built so that a value can never
// add a condition: "^" would (and "^NQ" would even lift all others), and the
// instance evaluates values with "javascript:". Encoded queries have no escape
// character, so a condition with such a value makes the call fail with
// KindInvalidRequest before it is sent. So does an empty value or list, because
// an instance ignores conditions that it does not understand and answers with
// too many rows. The zero Condition selects all rows.
//
// Filter and query operators; Table API, sysparm_query.
type Condition struct {
	column Column
	op     string
	values []string
	parts  []Condition
	or     bool
}

// Eq compares with one value; databases usually ignore case.
func (c Column) Eq(value string) Condition { return c.is("=", value) }

// NotEq compares with one value.
func (c Column) NotEq(value string) Condition { return c.is("!=", value) }

// In compares with a list of values, which hold no commas. Rows sends as many
// calls as a long list needs.
func (c Column) In(values ...string) Condition { return c.is("IN", values...) }

// StartsWith compares with the beginning.
func (c Column) StartsWith(value string) Condition { return c.is("STARTSWITH", value) }

// Contains looks for a part.
func (c Column) Contains(value string) Condition { return c.is("LIKE", value) }

// Empty selects rows without a value.
func (c Column) Empty() Condition { return c.is("ISEMPTY") }

// NotEmpty selects rows with a value.
func (c Column) NotEmpty() Condition { return c.is("ISNOTEMPTY") }

// Since selects instants from t on.
func (c Column) Since(t time.Time) Condition { return c.is(">=", t.UTC().Format(timeLayout)) }

// Before selects instants before t.
func (c Column) Before(t time.Time) Condition { return c.is("<", t.UTC().Format(timeLayout)) }

func (c Column) is(op string, values ...string) Condition {
	return Condition{column: c, op: op, values: values}
}

// And selects rows that satisfy all conditions.
func And(parts ...Condition) Condition { return Condition{parts: parts} }

// Encoded is an encoded query as an operator wrote it, "" for all rows. It is sent as
// it is: it must hold neither a second set of conditions (^NQ) nor an order, or
// paging by key would read it in part.
func Encoded(query string) Condition {
	if query = strings.TrimSuffix(strings.Trim(query, "^"), "^EQ"); query == "" {
		return Condition{}
	}
	return Condition{op: opEncoded, values: []string{query}}
}

// opEncoded marks a condition that is a whole encoded query.
const opEncoded = "encoded"

// AnyOf selects rows that satisfy one of some single conditions: an encoded
// query binds OR to the condition before, so an And cannot be a part.
func AnyOf(parts ...Condition) Condition { return Condition{parts: parts, or: true} }

// nameShape keeps names of tables and columns from changing a request.
var nameShape = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)

// safeValue reports whether a value can be expressed in an encoded query.
func safeValue(op, v string) bool {
	if v == "" || v == "NULL" || !utf8.ValidString(v) { // "=NULL" asks for rows without a value
		return false
	}
	if strings.ContainsFunc(v, func(r rune) bool {
		return r == '^' || unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	}) {
		return false
	}
	dense := strings.ToLower(strings.Join(strings.Fields(v), ""))
	if strings.Contains(dense, "javascript:") {
		return false
	}
	// What would make another operator of IN: IN_HIERARCHY, INSTANCEOF.
	return op != "IN" || !strings.Contains(v, ",") && !strings.HasPrefix(v, "_HIERARCHY") && !strings.HasPrefix(v, "STANCEOF")
}

// apart are the parts of an encoded query that conditions after it would not bind to.
var apart = regexp.MustCompile(`(^|\^)(NQ|ORDERBY|GROUPBY|ENDQUERY)`)

// flat returns the conditions that are joined by AND.
func (q Condition) flat() []Condition {
	if q.op != "" || q.or {
		return []Condition{q}
	}
	var out []Condition
	for _, p := range q.parts {
		out = append(out, p.flat()...)
	}
	return out
}

// encode returns the encoded query, "" for all rows.
func (q Condition) encode(op string) (string, error) {
	parts := q.flat()
	out := make([]string, len(parts))
	for i, p := range parts {
		var err error
		if out[i], err = p.single(op); err != nil {
			return "", err
		}
	}
	return strings.Join(out, "^"), nil
}

// single encodes a condition that holds no And.
func (q Condition) single(op string) (string, error) {
	if q.or {
		out := make([]string, len(q.parts))
		for i, p := range q.parts {
			if p.op == "" {
				return "", invalid(op, "AnyOf takes only single conditions")
			}
			var err error
			if out[i], err = p.single(op); err != nil {
				return "", err
			}
		}
		if len(out) == 0 {
			return "", invalid(op, "AnyOf without conditions")
		}
		return strings.Join(out, "^OR"), nil
	}
	if q.op == opEncoded {
		if apart.MatchString(q.values[0]) || strings.ContainsFunc(q.values[0], unicode.IsControl) {
			return "", invalid(op, "the encoded query holds a second set of conditions, an order or control characters")
		}
		return q.values[0], nil
	}
	if !nameShape.MatchString(string(q.column)) {
		return "", invalid(op, "%q is not a column", cut(string(q.column), 40))
	}
	if q.op == "ISEMPTY" || q.op == "ISNOTEMPTY" {
		return string(q.column) + q.op, nil
	}
	if len(q.values) == 0 {
		return "", invalid(op, "no value for column %s", q.column)
	}
	for _, v := range q.values {
		if !safeValue(q.op, v) {
			return "", invalid(op, "a value for column %s is empty or holds what an encoded query cannot express", q.column)
		}
	}
	return string(q.column) + q.op + strings.Join(q.values, ","), nil
}

// maxQuery bounds an encoded query in a URL, in bytes. Instances and the proxies
// before them take URLs of about 2,000 characters.
const maxQuery = 1600

// split cuts a query whose longest IN list makes it too long into several that
// together select the same rows. Values that differ only in case stay together,
// so that no row is selected twice.
func (q Condition) split() []Condition {
	parts := q.flat()
	longest, room := -1, maxQuery
	for i, p := range parts {
		n := p.weight()
		room -= n
		if p.op == "IN" && (longest < 0 || n > parts[longest].weight()) {
			longest = i
		}
	}
	if longest < 0 || room >= 0 {
		return []Condition{q}
	}
	room += parts[longest].weight()
	var out []Condition
	var chunk []string
	flush := func() {
		next := append([]Condition(nil), parts...)
		next[longest] = parts[longest].column.In(chunk...)
		out, chunk = append(out, And(next...)), nil
	}
	size := 0
	for _, group := range byFold(parts[longest].values) {
		n := 0
		for _, v := range group {
			n += len(url.QueryEscape(v)) + len("%2C")
		}
		if len(chunk) > 0 && size+n > room {
			flush()
			size = 0
		}
		chunk, size = append(chunk, group...), size+n
	}
	flush()
	return out
}

// weight is the length of a condition in a URL.
func (q Condition) weight() int {
	n := len(q.column) + len(q.op) + len("%5E")
	for _, v := range q.values {
		n += len(url.QueryEscape(v)) + len("%2C")
	}
	for _, p := range q.parts {
		n += p.weight()
	}
	return n
}

// byFold groups values that differ only in case, in order, without repeats.
func byFold(values []string) [][]string {
	var out [][]string
	at := map[string]int{}
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v] {
			continue
		}
		seen[v] = true
		k, ok := at[strings.ToLower(v)]
		if !ok {
			k = len(out)
			at[strings.ToLower(v)] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], v)
	}
	return out
}
