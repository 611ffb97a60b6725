package servicenow

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Group is a value of a column and how many rows have it.
type Group struct {
	Value string // as people see it
	Rows  int
}

// maxGroups bounds how many values a column may have before it is no attribute.
const maxGroups = 100_000

// Groups counts the rows of a table by the values of a column, in one call. Rows
// that the user may not see are left out silently by the instance.
//
// Aggregate API: GET /api/now/stats/{table}, sysparm_group_by.
func (c *Client) Groups(ctx context.Context, table string, query Condition, column string) ([]Group, error) {
	op := "count " + table + " by " + column
	if !nameShape.MatchString(table) || !nameShape.MatchString(column) {
		return nil, invalid("count", "%q by %q is not a column of a table", cut(table, 40), cut(column, 40))
	}
	q, err := query.encode(op)
	if err != nil {
		return nil, err
	}
	v := url.Values{"sysparm_count": {"true"}, "sysparm_group_by": {column}, "sysparm_display_value": {"true"}}
	if q != "" {
		v.Set("sysparm_query", q)
	}
	wire, meta, err := fetch[[]struct {
		Stats struct {
			Count text `json:"count"`
		} `json:"stats"`
		Fields []struct {
			Value   text  `json:"value"`
			Display *text `json:"display_value"`
		} `json:"groupby_fields"`
	}](ctx, c, request{op: op, method: http.MethodGet, path: "/api/now/stats/" + table, query: v})
	if err != nil {
		return nil, err
	}
	if len(wire) > maxGroups {
		return nil, &Error{Op: op, Status: meta.Status, Message: "the column has more than " + strconv.Itoa(maxGroups) + " values", kind: KindInvalidRequest}
	}
	out := make([]Group, 0, len(wire))
	for _, w := range wire {
		n, err := strconv.Atoi(string(w.Stats.Count))
		if err != nil || len(w.Fields) != 1 {
			return nil, &Error{Op: op, Status: meta.Status, Message: "the answer is not what the API documents", kind: KindUnavailable}
		}
		value := string(w.Fields[0].Value)
		if d := w.Fields[0].Display; d != nil && *d != "" {
			value = string(*d)
		}
		if strings.TrimSpace(value) != "" {
			out = append(out, Group{Value: value, Rows: n})
		}
	}
	return out, nil
}
