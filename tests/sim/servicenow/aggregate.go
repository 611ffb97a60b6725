package servicenow

import (
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
		g := statGroup{Stats: s.aggregate(members[key], params), key: key}
		if !having(g, len(members[key]), params.Get("sysparm_having")) {
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
	return out
}

// having evaluates count^field^op^number conditions; other aggregates are not
// modelled and let the group pass.
func having(_ statGroup, count int, text string) bool {
	for _, cond := range splitList(text) {
		parts := strings.Split(cond, "^")
		if len(parts) != 4 || !strings.EqualFold(parts[0], "count") {
			continue
		}
		n, err := strconv.Atoi(parts[3])
		if err != nil {
			continue
		}
		ok := map[string]bool{">": count > n, "<": count < n, "=": count == n, ">=": count >= n, "<=": count <= n, "!=": count != n}[parts[2]]
		if !ok {
			return false
		}
	}
	return true
}
