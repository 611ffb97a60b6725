package servicenow_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/servicenow"
)

// table is a table in the order of sys_id, as the Table API shows it: the limit
// is applied before rows that the user may not see are taken out.
type table struct {
	rows     []map[string]string
	hidden   map[string]bool
	noCounts bool
	ignores  bool // the query
	onPage   func(*table)
}

func numbered(n int) []map[string]string {
	var out []map[string]string
	for i := range n {
		out = append(out, map[string]string{"sys_id": fmt.Sprintf("%032x", i+1), "name": fmt.Sprint("ci-", i+1)})
	}
	return out
}

// ServeHTTP understands "sys_id>", "nameIN", "name=" and "nameLIKE".
func (tb *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var match []map[string]string
	for _, row := range tb.rows {
		if tb.ignores || tb.matches(row, q.Get("sysparm_query")) {
			match = append(match, row)
		}
	}
	if q.Get("sysparm_no_count") != "true" && !tb.noCounts {
		w.Header().Set("X-Total-Count", strconv.Itoa(len(match)))
	}
	limit, _ := strconv.Atoi(q.Get("sysparm_limit"))
	offset, _ := strconv.Atoi(q.Get("sysparm_offset"))
	match = match[min(offset, len(match)):]
	match = match[:min(limit, len(match))]
	match = slices.DeleteFunc(slices.Clone(match), func(row map[string]string) bool { return tb.hidden[row["sys_id"]] })
	body, _ := json.Marshal(map[string]any{"result": append([]map[string]string{}, match...)})
	jsonAnswer(200, string(body))(w, r)
	if tb.onPage != nil {
		tb.onPage(tb)
	}
}

func (tb *table) matches(row map[string]string, query string) bool {
	for c := range strings.SplitSeq(query, "^") {
		if v, ok := strings.CutPrefix(c, "sys_id>"); ok && row["sys_id"] <= v {
			return false
		}
		if v, ok := strings.CutPrefix(c, "nameIN"); ok && !slices.ContainsFunc(strings.Split(v, ","), func(n string) bool { return strings.EqualFold(n, row["name"]) }) {
			return false
		}
		if v, ok := strings.CutPrefix(c, "name="); ok && !strings.EqualFold(v, row["name"]) {
			return false
		}
		if v, ok := strings.CutPrefix(c, "nameLIKE"); ok && !strings.Contains(strings.ToLower(row["name"]), strings.ToLower(v)) {
			return false
		}
	}
	return true
}

func names(t *testing.T, c *servicenow.Client, q servicenow.TableQuery) ([]string, error) {
	t.Helper()
	var out []string
	for row, err := range c.Rows(t.Context(), "cmdb_ci", q) {
		if err != nil {
			return out, err
		}
		out = append(out, row["name"])
	}
	return out, nil
}

func ci(from, to int) []string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprint("ci-", i))
	}
	return out
}

func hide(from, to int) map[string]bool {
	out := map[string]bool{}
	for i := from; i <= to; i++ {
		out[fmt.Sprintf("%032x", i)] = true
	}
	return out
}

func TestRows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		table table
		want  []string
		calls int
	}{
		"one page needs one call":                         {table{rows: numbered(7)}, ci(1, 7), 1},
		"an empty table needs one call":                   {table{}, nil, 1},
		"full pages":                                      {table{rows: numbered(30)}, ci(1, 30), 3},
		"a last page that is short":                       {table{rows: numbered(25)}, ci(1, 25), 3},
		"a short page in the middle does not end it":      {table{rows: numbered(25), hidden: hide(12, 13)}, append(ci(1, 11), ci(14, 25)...), 4},
		"pages without a visible row do not end it":       {table{rows: numbered(55), hidden: hide(11, 45)}, append(ci(1, 10), ci(46, 55)...), 6},
		"a first page without a visible row":              {table{rows: numbered(25), hidden: hide(1, 20)}, ci(21, 25), 3},
		"nothing is visible":                              {table{rows: numbered(25), hidden: hide(1, 25)}, nil, 3},
		"a server that does not count ends at short page": {table{rows: numbered(25), noCounts: true}, ci(1, 25), 4},
		"rows that vanish do not shift the pages": {table{rows: numbered(30), onPage: func(tb *table) {
			if len(tb.rows) == 30 {
				tb.rows = tb.rows[5:]
			}
		}}, ci(1, 30), 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, tc.table.ServeHTTP)
			got, err := names(t, basic(t, in.URL), servicenow.TableQuery{Limit: 10, Fields: []string{"name"}})
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(tc.want, got))
			require.LessOrEqual(t, len(in.requests()), tc.calls)
		})
	}
}

func TestRowsAsksForWhatIsNeeded(t *testing.T) {
	t.Parallel()
	tb := table{rows: numbered(5)}
	in := newInstance(t, tb.ServeHTTP)
	_, err := names(t, basic(t, in.URL), servicenow.TableQuery{Limit: 2, Fields: []string{"name", "manufacturer.name"}, DisplayValue: true})
	require.NoError(t, err)
	first, second := in.requests()[0], in.requests()[1]
	require.Equal(t, "/api/now/table/cmdb_ci", first.Path)
	require.Equal(t, "sys_id,name,manufacturer.name", first.Query.Get("sysparm_fields"))
	require.Equal(t, "true", first.Query.Get("sysparm_exclude_reference_link"))
	require.Equal(t, "true", first.Query.Get("sysparm_display_value"))
	require.Equal(t, "ORDERBYsys_id", first.Query.Get("sysparm_query"))
	require.Equal(t, "sys_id>"+fmt.Sprintf("%032x", 2)+"^ORDERBYsys_id", second.Query.Get("sysparm_query"))
	require.Equal(t, "true", second.Query.Get("sysparm_no_count"))
}

func TestRowsReadsAllFormsOfValues(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(200, `{"result":[{"sys_id":"1","n":7,"big":123456789012,"f":1.50,"b":true,"nil":null,"ref":{"link":"https://x","value":"r1"},"shown":{"display_value":"Lenovo"},"both":{"display_value":"D","value":"V"},"list":[1]}]}`, "X-Total-Count", "1"))
	for row, err := range basic(t, in.URL).Rows(t.Context(), "cmdb_ci", servicenow.TableQuery{}) {
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(servicenow.Row{"sys_id": "1", "n": "7", "big": "123456789012", "f": "1.50", "b": "true", "nil": "", "ref": "r1", "shown": "Lenovo", "both": "V", "list": ""}, row))
	}
}

func TestRowsEndsAtTheFirstError(t *testing.T) {
	t.Parallel()
	tb := table{rows: numbered(20)}
	in := newInstance(t, tb.ServeHTTP, answer(503, "text/html", ""))
	got, err := names(t, basic(t, in.URL), servicenow.TableQuery{Limit: 10})
	require.Equal(t, servicenow.KindUnavailable, mustError(t, err).Kind())
	require.Equal(t, ci(1, 10), got)
}

func TestRowsNoticesPagesThatDoNotAdvance(t *testing.T) {
	t.Parallel()
	for name, tb := range map[string]*table{
		"the query is ignored": {rows: numbered(20), ignores: true},
		"rows without sys_id":  {rows: []map[string]string{{"name": "a"}, {"name": "b"}, {"name": "c"}}},
	} {
		tb.noCounts = true
		_, err := names(t, basic(t, newInstance(t, tb.ServeHTTP).URL), servicenow.TableQuery{Limit: 2})
		require.ErrorContains(t, err, "do not advance", name)
		require.Equal(t, servicenow.KindInvalidRequest, mustError(t, err).Kind())
	}
}

func TestRowsStopsWhenTheCallerStops(t *testing.T) {
	t.Parallel()
	tb := table{rows: numbered(20)}
	in := newInstance(t, tb.ServeHTTP)
	for _, err := range basic(t, in.URL).Rows(t.Context(), "cmdb_ci", servicenow.TableQuery{Limit: 5}) {
		require.NoError(t, err)
		break
	}
	require.Len(t, in.requests(), 1)
}

func TestNamesOfTablesAndColumnsAreChecked(t *testing.T) {
	t.Parallel()
	in := newInstance(t, users)
	c := basic(t, in.URL)
	rows := func(table string, fields ...string) error {
		for _, err := range c.Rows(t.Context(), table, servicenow.TableQuery{Fields: fields}) {
			return err
		}
		return nil
	}
	_, _, create := c.CreateRow(t.Context(), "../oauth", nil)
	_, update := c.UpdateRow(t.Context(), "core_company", "1/../2", nil)
	_, _, class := c.ClassMeta(t.Context(), "cmdb_ci?x")
	for _, err := range []error{rows("a/b"), rows("cmdb_ci", "name&sysparm_limit=1"), rows("cmdb_ci", "a,b"), rows(""), create, update, class} {
		require.Equal(t, servicenow.KindInvalidRequest, mustError(t, err).Kind())
	}
	require.Empty(t, in.requests())
}

func TestCreateRow(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(201, `{"result":{"sys_id":"77","name":"Acme"}}`))
	id, meta, err := basic(t, in.URL).CreateRow(t.Context(), "core_company", map[string]string{"name": "Acme \"1\""})
	require.NoError(t, err)
	require.Equal(t, "77", id)
	require.Equal(t, 201, meta.Status)
	got := in.requests()[0]
	require.Equal(t, []string{"POST", "/api/now/table/core_company", `{"name":"Acme \"1\""}`}, []string{got.Method, got.Path, got.Body})

	in = newInstance(t, jsonAnswer(201, `{"result":{}}`))
	_, _, err = basic(t, in.URL).CreateRow(t.Context(), "core_company", nil)
	require.Equal(t, servicenow.KindUnknownOutcome, mustError(t, err).Kind())
}

func TestUpdateRow(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(200, `{"result":{"sys_id":"77"}}`), jsonAnswer(404, `{"error":{"message":"No Record found","detail":null},"status":"failure"}`))
	c := basic(t, in.URL)
	_, err := c.UpdateRow(t.Context(), "core_company", "77", map[string]string{"notes": ""})
	require.NoError(t, err)
	got := in.requests()[0]
	require.Equal(t, []string{"PATCH", "/api/now/table/core_company/77", `{"notes":""}`}, []string{got.Method, got.Path, got.Body})
	_, err = c.UpdateRow(t.Context(), "core_company", "77", nil)
	require.Equal(t, 404, mustError(t, err).Status)
	require.Equal(t, servicenow.KindInvalidRequest, mustError(t, err).Kind())
}
