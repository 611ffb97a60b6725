package servicenow

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Row is one row of a table: column → value (references as sys_ids).
type Row map[string]string

// Condition is one condition of an encoded query, built safely: a value can
// never add a condition.
type Condition struct {
	text string
	bad  string // value that cannot be expressed
}

// Column names a column in a condition.
type Column string

// Where begins a condition.
func Where(column string) Column { return Column(column) }

// forbidden are what a value may not hold: "^" separates conditions, and
// "javascript:" is evaluated on the instance.
var forbidden = regexp.MustCompile(`(?i)[\^\r\n\x00]|^\s*javascript\s*:`)

func checked(values ...string) string {
	for _, v := range values {
		if forbidden.MatchString(v) {
			return v
		}
	}
	return ""
}

// Eq compares with one value.
func (c Column) Eq(value string) Condition {
	return Condition{text: string(c) + "=" + value, bad: checked(value)}
}

// In compares with a list of values, which hold no commas.
func (c Column) In(values ...string) Condition {
	bad := checked(values...)
	for _, v := range values {
		if strings.Contains(v, ",") {
			bad = v
		}
	}
	return Condition{text: string(c) + "IN" + strings.Join(values, ","), bad: bad}
}

// TableQuery selects rows.
type TableQuery struct {
	Query  Condition // zero: all rows
	Fields []string
	Limit  int // rows per call, default 1000
}

// columnShape and tableShape keep names from changing the request.
var nameShape = regexp.MustCompile(`^[a-z][a-z0-9_.]*$`)

// Rows iterates over the rows of a table in the order of sys_id, which stays
// complete while rows come and go.
//
// Table API: GET /api/now/table/{table} with sysparm_query, sysparm_fields and
// sysparm_limit.
func (c *Client) Rows(ctx context.Context, table string, q TableQuery) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		limit := q.Limit
		if limit == 0 {
			limit = 1000
		}
		last := ""
		for {
			rows, err := c.page(ctx, table, q, last, limit)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
				last = r["sys_id"]
			}
			if len(rows) < limit || last == "" {
				return
			}
		}
	}
}

func (c *Client) page(ctx context.Context, table string, q TableQuery, after string, limit int) ([]Row, error) {
	if !nameShape.MatchString(table) {
		return nil, fmt.Errorf("servicenow: %q is not a table name", table)
	}
	if q.Query.bad != "" {
		return nil, &Error{Op: "read " + table, Message: "a value of the query holds a character that encoded queries cannot express", kind: KindInvalidRequest}
	}
	query := "ORDERBYsys_id"
	if after != "" {
		query = "sys_id>" + after + "^" + query
	}
	if q.Query.text != "" {
		query = q.Query.text + "^" + query
	}
	v := url.Values{
		"sysparm_query": {query}, "sysparm_limit": {strconv.Itoa(limit)}, "sysparm_exclude_reference_link": {"true"}, "sysparm_no_count": {"true"},
		"sysparm_fields": {strings.Join(withSysID(q.Fields), ",")},
	}
	var out struct {
		Result []map[string]any `json:"result"`
	}
	r := request{op: "read " + table, method: http.MethodGet, path: "/api/now/table/" + table, query: v}
	if _, err := c.call(ctx, r, func(body io.Reader) error { return json.NewDecoder(body).Decode(&out) }); err != nil {
		return nil, err
	}
	rows := make([]Row, len(out.Result))
	for i, raw := range out.Result {
		rows[i] = make(Row, len(raw))
		for k, value := range raw {
			rows[i][k] = plain(value)
		}
	}
	return rows, nil
}

func withSysID(fields []string) []string {
	for _, f := range fields {
		if f == "sys_id" {
			return fields
		}
	}
	return append([]string{"sys_id"}, fields...)
}

// plain reads a value: a string, or {"value": …} of a reference.
func plain(v any) string {
	switch t := v.(type) {
	case string:
		return t
	case map[string]any:
		return plain(t["value"])
	case nil:
		return ""
	default:
		return fmt.Sprint(t)
	}
}

// CreateRow inserts a row of a table that is not a CI and returns its sys_id.
//
// Table API: POST /api/now/table/{table}. 201 with the row.
func (c *Client) CreateRow(ctx context.Context, table string, values map[string]string) (string, Meta, error) {
	if !nameShape.MatchString(table) {
		return "", Meta{}, fmt.Errorf("servicenow: %q is not a table name", table)
	}
	body, err := json.Marshal(values)
	if err != nil {
		return "", Meta{}, fmt.Errorf("servicenow: create in %s: %w", table, err)
	}
	var out struct {
		Result map[string]any `json:"result"`
	}
	r := request{op: "create in " + table, method: http.MethodPost, path: "/api/now/table/" + table, body: body, writes: true,
		query: url.Values{"sysparm_fields": {"sys_id"}, "sysparm_exclude_reference_link": {"true"}}}
	meta, err := c.call(ctx, r, func(body io.Reader) error { return json.NewDecoder(body).Decode(&out) })
	if err != nil {
		return "", meta, err
	}
	id := plain(out.Result["sys_id"])
	if id == "" {
		return "", meta, lost(r, "the answer has no sys_id")
	}
	return id, meta, nil
}

// namesPerCall bounds the names of one lookup, for the length of the URL.
const namesPerCall = 50

// ResolveNames returns the sys_ids of the rows of a table with the given names,
// compared without regard to case. Names that encoded queries cannot express are
// left out, like names that do not exist. Of several rows with a name the one
// with the smallest sys_id is taken.
func (c *Client) ResolveNames(ctx context.Context, table string, names []string) (map[string]string, Meta, error) {
	out := map[string]string{}
	var askable []string
	for _, n := range names {
		if checked(n) == "" && !strings.Contains(n, ",") {
			askable = append(askable, n)
			continue
		}
		if checked(n) == "" { // a comma separates values of IN: ask alone
			if err := c.collect(ctx, table, Where("name").Eq(n), names, out); err != nil {
				return nil, Meta{}, err
			}
		}
	}
	for len(askable) > 0 {
		n := min(len(askable), namesPerCall)
		if err := c.collect(ctx, table, Where("name").In(askable[:n]...), names, out); err != nil {
			return nil, Meta{}, err
		}
		askable = askable[n:]
	}
	return out, Meta{}, nil
}

func (c *Client) collect(ctx context.Context, table string, q Condition, names []string, out map[string]string) error {
	for row, err := range c.Rows(ctx, table, TableQuery{Query: q, Fields: []string{"sys_id", "name"}}) {
		if err != nil {
			return err
		}
		for _, n := range names {
			if strings.EqualFold(n, row["name"]) && out[n] == "" {
				out[n] = row["sys_id"]
			}
		}
	}
	return nil
}

// DiscoverySources returns the values that cmdb_ci.discovery_source may have.
//
// Table API on sys_choice: name=cmdb_ci, element=discovery_source, active.
func (c *Client) DiscoverySources(ctx context.Context) ([]string, Meta, error) {
	var out []string
	q := Condition{text: "name=cmdb_ci^element=discovery_source^inactive=false"}
	for row, err := range c.Rows(ctx, "sys_choice", TableQuery{Query: q, Fields: []string{"sys_id", "value"}}) {
		if err != nil {
			return nil, Meta{}, err
		}
		out = append(out, row["value"])
	}
	return out, Meta{}, nil
}
