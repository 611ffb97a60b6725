package servicenow

import (
	"cmp"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// query is a parsed encoded query: groups joined by ^NQ, each a conjunction of
// disjunctions (^OR binds to the condition before it), plus ordering.
type query struct {
	groups [][][]condition
	order  []orderKey
}

type orderKey struct {
	path string
	desc bool
}

// condition is one "field OPERATOR value" part. A part that cannot be read has
// op "" and is ignored, or empties the result, as the instance's property
// glide.invalid_query.returns_no_rows says.
type condition struct {
	path, op, value string
}

// operators in the order they are tried: longer spellings first.
var operators = [...]string{
	"DOES NOT CONTAIN", "ISNOTEMPTY", "EMPTYSTRING", "RELATIVEGT", "RELATIVELT", "RELATIVEGE", "RELATIVELE", "STARTSWITH", "ENDSWITH",
	"GT_FIELD", "LT_FIELD", "NOT LIKE", "CONTAINS", "ANYTHING", "NSAMEAS", "BETWEEN", "ISEMPTY", "NOT IN", "SAMEAS",
	"NOTON", "LIKE", "ON", "IN", "!=", "<=", ">=", "!*", "=", "<", ">", "*", "%",
}

// parseQuery reads an encoded query. It never fails: what it cannot read
// becomes an invalid condition.
func parseQuery(text string) *query {
	q := &query{}
	group := [][]condition{}
	for i, part := range strings.Split(text, "^") {
		switch {
		case part == "" || part == "EQ":
		case strings.HasPrefix(part, "ORDERBYDESC"):
			q.order = append(q.order, orderKey{strings.TrimPrefix(part, "ORDERBYDESC"), true})
		case strings.HasPrefix(part, "ORDERBY"):
			q.order = append(q.order, orderKey{strings.TrimPrefix(part, "ORDERBY"), false})
		case i > 0 && strings.HasPrefix(part, "NQ"):
			q.groups = append(q.groups, group)
			group = [][]condition{{parseCondition(part[2:])}}
		case i > 0 && strings.HasPrefix(part, "OR") && len(group) > 0:
			group[len(group)-1] = append(group[len(group)-1], parseCondition(part[2:]))
		default:
			group = append(group, []condition{parseCondition(part)})
		}
	}
	q.groups = append(q.groups, group)
	return q
}

func parseCondition(part string) condition {
	end := 0
	for end < len(part) {
		c := part[end]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			break
		}
		end++
	}
	field, rest := part[:end], part[end:]
	if field == "" {
		return condition{}
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			return condition{path: field, op: op, value: rest[len(op):]}
		}
	}
	return condition{}
}

// valid tells whether the condition can be evaluated on the table.
func (s *store) valid(t *table, c condition) bool {
	if c.op == "" || !s.validPath(t, c.path) {
		return false
	}
	if strings.HasPrefix(c.value, "javascript:") {
		_, ok := s.evalScript(c.value)
		return ok
	}
	return true
}

func (s *store) validPath(t *table, path string) bool {
	head, rest, walk := strings.Cut(path, ".")
	if strings.HasPrefix(head, "sys_") && systemColumn(head) {
		return !walk
	}
	col := t.columns[head]
	if col == nil {
		return false
	}
	if !walk {
		return true
	}
	ref := s.schema.tables[col.ref]
	return ref != nil && s.validPath(ref, rest)
}

// systemColumn tells the columns that every record has without storing them.
func systemColumn(name string) bool { return slices.Contains(systemColumns(), name) }

func systemColumns() []string {
	return []string{"sys_id", "sys_class_name", "sys_created_on", "sys_updated_on", "sys_mod_count", "sys_created_by", "sys_updated_by",
		"sys_domain", "sys_domain_path", "sys_class_path", "sys_tags"}
}

const timeLayout = "2006-01-02 15:04:05"

// value reads a column of a row, following reference columns along a dot-walk.
func (s *store) value(r *row, path string) string {
	head, rest, walk := strings.Cut(path, ".")
	var v string
	switch head {
	case "sys_id":
		v = r.id.String()
	case "sys_class_name":
		v = r.table.name
	case "sys_created_on":
		v = time.Unix(r.created, 0).UTC().Format(timeLayout)
	case "sys_updated_on":
		v = time.Unix(r.updated, 0).UTC().Format(timeLayout)
	case "sys_mod_count":
		v = strconv.Itoa(int(r.mods))
	case "sys_created_by", "sys_updated_by":
		v = "system"
	case "sys_domain":
		v = "global"
	case "sys_domain_path":
		v = "/"
	case "sys_class_path", "sys_tags":
		v = ""
	default:
		num, ok := s.schema.nums[head]
		if !ok {
			return ""
		}
		v = r.get(num)
	}
	if !walk {
		return v
	}
	id, ok := parseSysID(v)
	if target := s.rows[id]; ok && target != nil {
		return s.value(target, rest)
	}
	return ""
}

// matches evaluates a query on a row.
func (s *store) matches(q *query, r *row) bool {
	if q == nil {
		return true
	}
	strict := s.flag("glide.invalid_query.returns_no_rows")
	for _, group := range q.groups {
		ok := true
		for _, alternatives := range group {
			ok = ok && s.anyOf(alternatives, r, strict)
		}
		if ok {
			return true
		}
	}
	return false
}

func (s *store) anyOf(alternatives []condition, r *row, strict bool) bool {
	ignored := 0
	for _, c := range alternatives {
		if !s.valid(r.table, c) {
			ignored++
			continue
		}
		if s.holds(c, r) {
			return true
		}
	}
	return ignored == len(alternatives) && !strict
}

// listed says whether a value is in a list of values between commas, which is
// not taken apart: it is asked of every row.
func listed(list, value string) bool {
	for {
		v, rest, more := strings.Cut(list, ",")
		if foldEqual(v, value) {
			return true
		}
		if !more {
			return false
		}
		list = rest
	}
}

// holds evaluates one valid condition.
func (s *store) holds(c condition, r *row) bool {
	if sign, ok := c.besideID(r); ok {
		return strings.HasPrefix(c.op, "<") && sign < 0 || strings.HasPrefix(c.op, ">") && sign > 0 || len(c.op) == 2 && sign == 0
	}
	have, want := s.value(r, c.path), c.value
	if strings.HasPrefix(want, "javascript:") {
		want, _ = s.evalScript(want)
	}
	switch c.op {
	case "=":
		return want == "NULL" && have == "" || foldEqual(have, want)
	case "!=":
		if want == "NULL" {
			return have != ""
		}
		return !foldEqual(have, want)
	case "STARTSWITH":
		return len(have) >= len(want) && foldEqual(have[:len(want)], want)
	case "ENDSWITH", "%":
		return len(have) >= len(want) && foldEqual(have[len(have)-len(want):], want)
	case "LIKE", "*", "CONTAINS":
		return strings.Contains(strings.ToLower(have), strings.ToLower(want))
	case "NOT LIKE", "!*", "DOES NOT CONTAIN":
		return !strings.Contains(strings.ToLower(have), strings.ToLower(want))
	case "IN", "NOT IN":
		in := listed(want, have)
		return in == (c.op == "IN")
	case "ISEMPTY", "EMPTYSTRING":
		return have == ""
	case "ISNOTEMPTY":
		return have != ""
	case "ANYTHING":
		return true
	case "SAMEAS":
		return foldEqual(have, s.value(r, want))
	case "NSAMEAS":
		return !foldEqual(have, s.value(r, want))
	case "GT_FIELD":
		return s.compare(r.table, c.path, have, s.value(r, want)) > 0
	case "LT_FIELD":
		return s.compare(r.table, c.path, have, s.value(r, want)) < 0
	}
	return have != "" && s.ordered(c, r.table, have, want)
}

// besideID compares a record's sys_id with the condition's value, for the order
// operators: a client that pages through a large table has that done for every
// record, so it happens without garbage.
func (c condition) besideID(r *row) (sign int, ok bool) {
	if c.path != "sys_id" || c.op != "<" && c.op != ">" && c.op != "<=" && c.op != ">=" || strings.HasPrefix(c.value, "javascript:") {
		return 0, false
	}
	var text [32]byte
	hex.Encode(text[:], r.id[:])
	switch { // a comparison makes no string of the bytes
	case string(text[:]) < c.value:
		return -1, true
	case string(text[:]) > c.value:
		return 1, true
	}
	return 0, true
}

// ordered evaluates the comparisons that an empty value never satisfies.
func (s *store) ordered(c condition, t *table, have, want string) bool {
	low, high, isRange := strings.Cut(want, "@")
	than := func(v string) int { return s.compare(t, c.path, have, s.dateOr(v)) }
	switch c.op {
	case "<":
		return than(want) < 0
	case ">":
		return than(want) > 0
	case "<=":
		return than(want) <= 0
	case ">=":
		return than(want) >= 0
	case "BETWEEN":
		return isRange && than(low) >= 0 && than(high) <= 0
	case "ON", "NOTON":
		parts := strings.Split(want, "@")
		if len(parts) != 3 {
			return false
		}
		on := than(parts[1]) >= 0 && than(parts[2]) <= 0
		return on == (c.op == "ON")
	case "RELATIVEGT", "RELATIVEGE", "RELATIVELT", "RELATIVELE":
		return s.relative(c.op, have, want)
	}
	return false
}

func (s *store) dateOr(v string) string {
	if d, ok := s.evalScript(v); ok {
		return d
	}
	return v
}

// relative reads unit@ago|ahead@n.
func (s *store) relative(op, have, want string) bool {
	parts := strings.Split(want, "@")
	if len(parts) != 3 {
		return false
	}
	units := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "dayofweek": 24 * time.Hour, "day": 24 * time.Hour,
		"week": 7 * 24 * time.Hour, "month": 30 * 24 * time.Hour, "year": 365 * 24 * time.Hour}
	n, err := strconv.Atoi(parts[2])
	if err != nil || units[parts[0]] == 0 || n < 0 || n > 100000 {
		return false
	}
	if parts[1] == "ago" {
		n = -n
	}
	bound := s.now().UTC().Add(time.Duration(n) * units[parts[0]]).Format(timeLayout)
	if strings.HasPrefix(op, "RELATIVEG") {
		return have >= bound
	}
	return have <= bound
}

var (
	dateGenerate = regexp.MustCompile(`^javascript:\s*gs\.dateGenerate\(\s*['"]([0-9-]+)['"]\s*,\s*['"]([0-9:]+|start|end)['"]\s*\)$`)
	timeAgo      = regexp.MustCompile(`^javascript:\s*gs\.(days|hours|minutes)Ago\(\s*(\d{1,6})\s*\)$`)
)

// evalScript evaluates the few date scripts that integrations send.
func (s *store) evalScript(v string) (string, bool) {
	if !strings.HasPrefix(v, "javascript:") { // what nearly every value of every row is
		return "", false
	}
	if m := dateGenerate.FindStringSubmatch(v); m != nil {
		clock := map[string]string{"start": "00:00:00", "end": "23:59:59"}[m[2]]
		if clock == "" {
			clock = m[2]
		}
		return m[1] + " " + clock, true
	}
	if m := timeAgo.FindStringSubmatch(v); m != nil {
		n, _ := strconv.Atoi(m[2])
		unit := map[string]time.Duration{"days": 24 * time.Hour, "hours": time.Hour, "minutes": time.Minute}[m[1]]
		return s.now().UTC().Add(-time.Duration(n) * unit).Format(timeLayout), true
	}
	return "", false
}

// compare orders two values the way the column's type does: numbers as numbers,
// everything else as text, where a sys_id that looks like a number stays text.
func (s *store) compare(t *table, path, a, b string) int {
	if path == "sys_id" {
		return strings.Compare(a, b)
	}
	if col := s.columnAt(t, path); path == "sys_mod_count" || col != nil && (col.kind == "integer" || col.kind == "decimal") {
		x, errA := strconv.ParseFloat(a, 64)
		y, errB := strconv.ParseFloat(b, 64)
		if errA == nil && errB == nil {
			return cmp.Compare(x, y)
		}
	}
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}
