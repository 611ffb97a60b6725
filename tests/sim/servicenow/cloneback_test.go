package servicenow_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
)

// Clone-back: the instance is restored to what it was. Records that came since are gone, changed and deleted ones are
// as before, and it outlives a restart.
func TestACloneBackMakesTheInstanceWhatItWas(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	opt := servicenow.Options{StateDir: t.TempDir(), Now: func() time.Time { return start.Add(time.Duration(later.Load())) }}
	i := mustInstance(t, opt)
	require.False(t, i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`), ci("cmdb_ci_server", "2", `"name":"b"`))).HasError)
	deleted := i.create("sys_user_group", `{"name":"kept"}`)
	before := i.digest()

	later.Store(int64(2 * time.Hour))
	require.False(t, i.enhanced(items(ci("cmdb_ci_linux_server", "1", `"name":"a","ram":"9"`), ci("cmdb_ci_server", "3", `"name":"c"`))).HasError)
	require.Equal(t, http.StatusNoContent, i.send(http.MethodDelete, "/api/now/table/sys_user_group/"+deleted, "").Code)
	require.NotEqual(t, before, i.digest())

	require.Less(t, i.send(http.MethodPost, "/_sim/faults", "on table.get nth 1 do clone_back(1h)").Code, 300)
	rows := i.rows("cmdb_ci_server")
	require.Len(t, rows, 2)
	require.Equal(t, "cmdb_ci_server", rows[0]["sys_class_name"], "the class too")
	require.Equal(t, before, i.digest())
	require.Equal(t, http.StatusOK, i.send(http.MethodGet, "/api/now/table/sys_user_group/"+deleted, "").Code)
	require.False(t, i.enhanced(items(ci("cmdb_ci_server", "3", `"name":"c"`))).HasError, "and lives on")
	after := i.digest()

	require.NoError(t, i.server.Close())
	require.Equal(t, after, mustInstance(t, opt).digest(), "the journal knows")
}
