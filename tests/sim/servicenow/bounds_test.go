package servicenow_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// A payload whose items quote each other in their errors is answered in
// proportion to its size, not to its square.
func TestErrorsQuoteLargeItemsInPart(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	list, relations := []string{ci("cmdb_ci_server", "host", `"comments":"`+strings.Repeat("x", 1<<20)+`"`)}, []string{}
	for n := range 500 {
		id := fmt.Sprint("n", n)
		list, relations = append(list, adapter(id, id, "")), append(relations, rel("host", id, owns))
	}
	body := related(list, relations...)
	w := i.send(http.MethodPost, "/api/now/identifyreconcile/enhanced?sysparm_data_source="+source+"&options=partial_payloads:false", body)
	require.Equal(t, http.StatusOK, w.Code)
	require.Less(t, w.Body.Len(), 20*len(body))
	require.Equal(t, "ABANDONED", decodeIRE(t, w.Body.Bytes()).Items[1].errorCode())
}

// Payload de-duplication: lookup and related records that two merged items both
// bring along are written once, as if the items had come one after the other.
func TestMergedDuplicatesWriteEqualRelatedRecordsOnce(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	more := []string{`"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"S","serial_number_type":"system"}}]`,
		`"related":[{"className":"cmdb_key_value","values":{"key":"env","value":"prod"}}]`}
	body := items(ci("cmdb_ci_server", "1", `"name":"a"`, more...), ci("cmdb_ci_server", "1", `"comments":"again"`, more...))
	first := i.enhanced(body)
	require.False(t, first.HasError)
	require.Equal(t, []int{0, 1}, first.Items[0].InputIndices)
	require.Len(t, i.rows("cmdb_serial_number"), 1)
	require.Len(t, i.rows("cmdb_key_value"), 1)
	before := i.digest()
	require.Equal(t, "NO_CHANGE", i.enhanced(body).Items[0].Operation)
	require.Equal(t, before, i.digest())
}

// Table API, Link header: the largest possible limit leads to no next page.
func TestTheLargestLimitHasNoNextPage(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`), ci("cmdb_ci_server", "2", `"name":"b"`)))
	w := i.send(http.MethodGet, "/api/now/table/cmdb_ci_server?sysparm_limit=9223372036854775807&sysparm_offset=1", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.NotContains(t, w.Header().Get("Link"), `rel="next"`)
	require.Contains(t, w.Header().Get("Link"), `rel="first"`)
}

// Table API, encoded queries: paging by sys_id meets every record once, in the
// order of sys_id, whatever other conditions and spellings stand beside it.
func TestPagingBySysIDMeetsEveryRecordOnce(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	list := make([]string, 23)
	for n := range list {
		list[n] = ci("cmdb_ci_server", fmt.Sprint(n), fmt.Sprintf(`"name":"host-%d"`, n))
	}
	i.enhanced(items(list...))
	var ids []string
	for last := ""; ; last = ids[len(ids)-1] {
		page := i.rows("cmdb_ci_server?sysparm_fields=sys_id&sysparm_limit=5&sysparm_query=" + escape("nameSTARTSWITHhost^sys_id>"+last+"^ORDERBYsys_id"))
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			ids = append(ids, r["sys_id"].(string))
		}
	}
	require.Len(t, ids, len(list))
	require.IsIncreasing(t, ids)
	count := func(query string) int { return len(i.rows("cmdb_ci_server?sysparm_query=" + escape(query))) }
	require.Equal(t, 13, count("sys_id>="+ids[10]))
	require.Equal(t, 23, count("sys_id>"+ids[10]+"^ORsys_id<="+ids[10]))
	require.Equal(t, 23, count("sys_id>"+ids[10]+"^NQnameISNOTEMPTY"))
	require.Equal(t, 2, count("sys_id>"+ids[10]+"^sys_id>"+ids[20]))
}
