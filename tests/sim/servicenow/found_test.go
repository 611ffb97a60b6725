package servicenow_test

import (
	"net/http"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// CMDB, identification rules: a regular entry searches the table that the rule
// is defined on. A CI of another class with the same serial number is no match
// and no duplicate.
func TestARegularEntrySearchesOnlyTheRulesTable(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := items(ci("cmdb_ci_server", "", `"serial_number":"s1"`), ci("cmdb_ci_business_app", "", `"name":"n1","serial_number":"s1"`))
	first, again := i.ire("", "", body), i.ire("", "", body)
	for n := range first.Items {
		require.Equal(t, "INSERT", first.Items[n].Operation)
		require.Equal(t, "NO_CHANGE", again.Items[n].Operation)
		require.Equal(t, first.Items[n].SysID, again.Items[n].SysID)
	}
	require.Empty(t, i.rows("cmdb_ci?sysparm_query=duplicate_ofISNOTEMPTY"))
}

// Import Set API: a transform map coalesces within its target table only; a
// printer is no computer, though both are hardware.
func TestATransformMapCoalescesWithinItsTargetTable(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_ci_printer", `{"name":"x1"}`)
	require.Equal(t, http.StatusCreated, i.send(http.MethodPost, "/api/now/import/imp_computer", `{"name":"x1","os":"Linux"}`).Code)
	require.Len(t, i.rows("cmdb_ci_computer?sysparm_query=name=x1"), 1)
	require.Len(t, i.rows("cmdb_ci_printer"), 1)
}

// Table API, sysparm_input_display_value: a display value names a record of the
// referenced table; one of another class leaves the reference blank.
func TestADisplayValueOfAnotherClassLeavesTheReferenceBlank(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_ci_printer", `{"name":"x1"}`)
	i.create("cmdb_ci_disk", `{"name":"sda","computer":"x1"}`)
	require.Empty(t, i.rows("cmdb_ci_disk")[0]["computer"])
}

// REST API, methods: HEAD is answered like GET, without a body.
func TestHeadAnswersLikeGetWithoutABody(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	w := i.send(http.MethodHead, "/api/now/table/cmdb_rel_type?sysparm_limit=1", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.NotEmpty(t, w.Header().Get("X-Total-Count"))
	require.Empty(t, w.Body.String())
	require.Equal(t, http.StatusNotFound, i.send(http.MethodHead, "/api/now/table/cmdb_rel_type/00000000000000000000000000000000", "").Code)
}

// Aggregate API, status codes: 403 for a table that the caller may not read.
func TestStatsOfAClosedTableAreForbidden(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.control("users", `{"username":"u","password":"p","roles":["itil"]}`)
	i.control("acls", `[{"table":"sys_user","roles":["admin"]}]`)
	w := i.send(http.MethodGet, "/api/now/stats/sys_user?sysparm_count=true", "", "Authorization", "Basic dTpw")
	require.Equal(t, http.StatusForbidden, w.Code)
}
