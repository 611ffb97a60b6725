package servicenow

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Row is one row of a table: column → value. References are sys_ids, or display
// values where the query asks for them; columns without a value are "".
type Row map[string]string

// TableQuery selects rows.
type TableQuery struct {
	Query  Condition // zero: all rows
	Fields []string  // columns, sys_id is always among them; empty: all
	Limit  int       // rows per call, default 1000
	// DisplayValue asks for references, choices and dates as people see them,
	// in the language and time zone of the user.
	DisplayValue bool
}

const defaultPage = 1000

// Rows iterates over the rows of a table in the order of sys_id, which stays
// complete while rows come and go. A query whose IN list is too long for a URL
// is sent in several, one after the other; the order holds within each.
//
// An instance applies the limit before access rules, so a page may be short or
// empty although more rows follow: the end is taken from the row count, not from
// the length of a page. Rows that the user may not see are left out silently by
// the instance. The iteration ends at the first error, which is yielded with a
// nil row.
//
// Table API: GET /api/now/table/{table} with sysparm_query, sysparm_fields and
// sysparm_limit.
func (c *Client) Rows(ctx context.Context, table string, q TableQuery) iter.Seq2[Row, error] {
	return c.rowsMeta(ctx, table, q, new(Meta))
}

// rowsMeta is Rows that also hands out what the last answer said beside its rows.
func (c *Client) rowsMeta(ctx context.Context, table string, q TableQuery, meta *Meta) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if q.Limit <= 0 {
			q.Limit = defaultPage
		}
		for _, part := range q.Query.split() {
			q.Query = part
			if goOn := c.scan(ctx, table, q, meta, yield); !goOn {
				return
			}
		}
	}
}

// scan yields the rows of one query; false ends the iteration.
func (c *Client) scan(ctx context.Context, table string, q TableQuery, last *Meta, yield func(Row, error) bool) bool {
	p := page{table: table, TableQuery: q, count: true}
	for {
		rows, meta, err := c.page(ctx, p)
		*last = meta
		if err != nil {
			yield(nil, err)
			return false
		}
		for _, r := range rows {
			if !yield(r, nil) {
				return false
			}
		}
		if p.left -= q.Limit; meta.Total >= 0 {
			p.left = meta.Total - p.offset - q.Limit
		}
		switch {
		case meta.Total >= 0 && p.left <= 0:
			return true // the page covered all that was left
		case meta.Total < 0 && p.count && len(rows) < q.Limit:
			return true // this server does not count
		}
		if len(rows) == 0 { // a whole page of rows that the user may not see
			p.offset, p.count = p.offset+q.Limit, true
			continue
		}
		key := rows[len(rows)-1]["sys_id"]
		if key == "" || key == p.after {
			yield(nil, &Error{Op: "read " + table, Status: meta.Status, Message: "the pages do not advance: the table has no sys_id, or the query was ignored", kind: KindInvalidRequest})
			return false
		}
		p.after, p.offset, p.count = key, 0, len(rows) < q.Limit || p.left <= q.Limit
	}
}

// page is one page of a table: rows with a sys_id behind after, less offset.
type page struct {
	TableQuery
	table  string
	after  string
	offset int
	count  bool // ask how many rows there are, which costs the instance a count
	left   int  // rows behind the page before, as far as known
}

func (c *Client) page(ctx context.Context, p page) ([]Row, Meta, error) {
	op := "read " + p.table
	if !nameShape.MatchString(p.table) {
		return nil, Meta{}, invalid("read", "%q is not a table", cut(p.table, 40))
	}
	if i := slices.IndexFunc(p.Fields, func(f string) bool { return !nameShape.MatchString(f) }); i >= 0 {
		return nil, Meta{}, invalid(op, "%q is not a column", cut(p.Fields[i], 40))
	}
	query, err := p.Query.encode(op)
	if err != nil {
		return nil, Meta{}, err
	}
	if query != "" {
		query += "^"
	}
	if p.after != "" {
		query += "sys_id>" + p.after + "^"
	}
	v := url.Values{
		"sysparm_query":                  {query + "ORDERBYsys_id"},
		"sysparm_limit":                  {strconv.Itoa(p.Limit)},
		"sysparm_exclude_reference_link": {"true"},
	}
	if len(p.Fields) > 0 {
		v.Set("sysparm_fields", strings.Join(withSysID(p.Fields), ","))
	}
	if p.offset > 0 {
		v.Set("sysparm_offset", strconv.Itoa(p.offset))
	}
	if !p.count {
		v.Set("sysparm_no_count", "true")
	}
	if p.DisplayValue {
		v.Set("sysparm_display_value", "true")
	}
	wire, meta, err := fetch[[]map[string]text](ctx, c, request{op: op, method: http.MethodGet, path: "/api/now/table/" + p.table, query: v})
	if err != nil {
		return nil, meta, err
	}
	rows := make([]Row, len(wire))
	for i, w := range wire {
		rows[i] = rowOf(w)
	}
	return rows, meta, nil
}

func rowOf(w map[string]text) Row {
	r := make(Row, len(w))
	for k, v := range w {
		r[k] = string(v)
	}
	return r
}

func withSysID(fields []string) []string {
	if slices.Contains(fields, "sys_id") {
		return fields
	}
	return append([]string{"sys_id"}, fields...)
}

// CreateRow inserts a row of a table that is not a CI and returns its sys_id.
// The instance ignores columns that it does not know. After KindUnknownOutcome
// the row may exist: look it up before creating it again.
//
// Table API: POST /api/now/table/{table}. 201 with the row.
func (c *Client) CreateRow(ctx context.Context, table string, values map[string]string) (string, Meta, error) {
	if !nameShape.MatchString(table) {
		return "", Meta{}, invalid("create", "%q is not a table", cut(table, 40))
	}
	r, err := writeRow("create in "+table, http.MethodPost, "/api/now/table/"+table, values)
	if err != nil {
		return "", Meta{}, err
	}
	row, meta, err := fetch[map[string]text](ctx, c, r)
	if err != nil {
		return "", meta, err
	}
	id := string(row["sys_id"])
	if id == "" {
		return "", meta, r.lost(meta, CodeTruncated, "the answer has no sys_id")
	}
	return id, meta, nil
}

// sysIDShape is the form of a sys_id. Rows shipped with the platform may have
// readable ones.
var sysIDShape = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)

// UpdateRow changes columns of a row that is not a CI; an empty value clears a
// column. A row that is gone, or hidden from the user, is KindInvalidRequest with
// status 404.
//
// Table API: PATCH /api/now/table/{table}/{sys_id}. 200 with the row.
func (c *Client) UpdateRow(ctx context.Context, table, sysID string, values map[string]string) (Meta, error) {
	if !nameShape.MatchString(table) || !sysIDShape.MatchString(sysID) {
		return Meta{}, invalid("update", "%q is not a row of a table", cut(table+"/"+sysID, 80))
	}
	r, err := writeRow("update in "+table, http.MethodPatch, "/api/now/table/"+table+"/"+sysID, values)
	if err != nil {
		return Meta{}, err
	}
	_, meta, err := fetch[map[string]text](ctx, c, r)
	return meta, err
}

func writeRow(op, method, path string, values map[string]string) (request, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return request{}, invalid(op, "the values cannot be encoded")
	}
	return request{
		op: op, method: method, path: path, body: newBody(data), writes: true,
		query: url.Values{"sysparm_fields": {"sys_id"}, "sysparm_exclude_reference_link": {"true"}},
	}, nil
}
