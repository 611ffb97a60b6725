package servicenow

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// aggregate computes the stats object of one group; all numbers are strings.
func (s *store) aggregate(rows []*row, params url.Values) map[string]any {
	out := map[string]any{}
	if params.Get("sysparm_count") == "true" {
		out["count"] = strconv.Itoa(len(rows))
	}
	for _, kind := range []string{"avg", "min", "max", "sum"} {
		fields := splitList(params.Get("sysparm_" + kind + "_fields"))
		if len(fields) == 0 {
			continue
		}
		values := map[string]string{}
		for _, f := range fields {
			values[f] = s.statistic(kind, rows, f)
		}
		out[kind] = values
	}
	return out
}

func (s *store) statistic(kind string, rows []*row, path string) string {
	best, sum, n := "", 0.0, 0
	for _, r := range rows {
		v := s.value(r, path)
		if v == "" {
			continue
		}
		if best == "" || kind == "min" && s.compare(r.table, path, v, best) < 0 || kind == "max" && s.compare(r.table, path, v, best) > 0 {
			best = v
		}
		if x, err := strconv.ParseFloat(v, 64); err == nil {
			sum += x
			n++
		}
	}
	switch {
	case kind == "min" || kind == "max":
		return best
	case n == 0:
		return ""
	case kind == "avg":
		return fmt.Sprintf("%.4f", sum/float64(n))
	}
	return strconv.FormatFloat(sum, 'f', -1, 64)
}

type statGroup struct {
	Stats  map[string]any      `json:"stats"`
	Fields []map[string]string `json:"groupby_fields"`
	key    string
	rows   []*row
}

// grouped computes one stats object per combination of the group-by columns.
func (s *store) grouped(_ *table, rows []*row, by []string, params url.Values) []statGroup {
	members, order := map[string][]*row{}, []string{}
	for _, r := range rows {
		parts := make([]string, len(by))
		for i, f := range by {
			parts[i] = s.value(r, f)
		}
		key := strings.Join(parts, "\x00")
		if members[key] == nil {
			order = append(order, key)
		}
		members[key] = append(members[key], r)
	}
	slices.Sort(order)
	out := make([]statGroup, 0, len(order))
	for _, key := range order {
		g := statGroup{Stats: s.aggregate(members[key], params), key: key, rows: members[key]}
		if !s.having(g, params.Get("sysparm_having")) {
			continue
		}
		for i, v := range strings.Split(key, "\x00") {
			f := map[string]string{"field": by[i], "value": v}
			if d := params.Get("sysparm_display_value"); d == "true" || d == "all" {
				f["display_value"] = s.displayOf(v)
			}
			g.Fields = append(g.Fields, f)
		}
		out = append(out, g)
	}
	s.orderGroups(out, by, params.Get("sysparm_order_by"))
	return out
}

// measure computes one aggregate of a group; ok is false for a function that
// there is not.
func (s *store) measure(g statGroup, function, field string) (value string, ok bool) {
	switch f := strings.ToLower(function); f {
	case "count":
		return strconv.Itoa(len(g.rows)), true
	case "avg", "min", "max", "sum":
		return s.statistic(f, g.rows, field), true
	}
	return "", false
}

// having evaluates a comma list of aggregate^field^operator^number. A condition
// that cannot be read is passed over.
func (s *store) having(g statGroup, text string) bool {
	for _, cond := range splitList(text) {
		parts := strings.Split(cond, "^")
		if len(parts) != 4 {
			continue
		}
		value, known := s.measure(g, parts[0], parts[1])
		want, err := strconv.ParseFloat(parts[3], 64)
		if !known || err != nil {
			continue
		}
		have, err := strconv.ParseFloat(value, 64)
		if err != nil { // nothing to compare: such a group has no such number
			return false
		}
		ok, operator := map[string]bool{">": have > want, "<": have < want, "=": have == want, ">=": have >= want, "<=": have <= want, "!=": have != want}[parts[2]]
		if operator && !ok {
			return false
		}
	}
	return true
}

// orderGroups sorts by a comma list of COUNT, AGGREGATE^field or a group-by
// field, each perhaps with ^DESC. What cannot be read is passed over.
func (s *store) orderGroups(groups []statGroup, by []string, text string) {
	keys := splitList(text)
	slices.Reverse(keys) // the sort is stable: the first key decides last
	for _, key := range keys {
		parts := strings.Split(key, "^")
		desc := strings.EqualFold(parts[len(parts)-1], "DESC")
		if desc {
			parts = parts[:len(parts)-1]
		}
		at := slices.Index(by, strings.Join(parts, "^"))
		values := map[string]string{}
		for _, g := range groups {
			field := ""
			if len(parts) > 1 {
				field = parts[1]
			}
			switch {
			case at >= 0:
				values[g.key] = strings.Split(g.key, "\x00")[at]
			case len(parts) > 0:
				values[g.key], _ = s.measure(g, parts[0], field)
			}
		}
		slices.SortStableFunc(groups, func(a, b statGroup) int {
			c := compareNumbers(values[a.key], values[b.key])
			if desc {
				return -c
			}
			return c
		})
	}
}

// compareNumbers compares numbers as such and anything else as text.
func compareNumbers(a, b string) int {
	x, errA := strconv.ParseFloat(a, 64)
	y, errB := strconv.ParseFloat(b, 64)
	if errA == nil && errB == nil {
		return cmp.Compare(x, y)
	}
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}
