package servicenow_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// Dry runs: an update, a class change and a new name are taken back too, in the indexes as well.
func TestQueryTakesBackUpdates(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	id := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`))).Items[0].SysID
	before := i.digest()
	got := i.ire("/query", "", items(ci("cmdb_ci_linux_server", "1", `"name":"b","os":"x"`))).Items[0]
	require.Equal(t, "UPDATE_WITH_UPGRADE", got.Operation)
	require.Equal(t, id, got.SysID)
	require.Equal(t, "UPDATE", i.ire("/query", "", items(ci("cmdb_ci_server", "1", `"name":"c"`))).Items[0].Operation)
	require.Equal(t, before, i.digest())
	require.Equal(t, id, i.enhanced(items(ci("cmdb_ci_server", "2", `"name":"a"`))).Items[0].SysID, "found by the old name")
	require.Equal(t, "INSERT", i.enhanced(items(ci("cmdb_ci_server", "3", `"name":"b"`))).Items[0].Operation, "not found by the new one")
}

// Identification: of several CIs with one value, the ones that remain after a rename and a deletion are still found.
func TestIndexFollowsRenamesAndDeletions(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	var ids []string
	for range 3 {
		ids = append(ids, i.create("cmdb_ci_server", `{"name":"twin"}`))
	}
	require.Equal(t, 200, i.send("PATCH", "/api/now/table/cmdb_ci_server/"+ids[0], `{"name":"other"}`).Code)
	require.Equal(t, 204, i.send("DELETE", "/api/now/table/cmdb_ci_server/"+ids[1], "").Code)
	require.Equal(t, ids[2], i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"twin"`))).Items[0].SysID)
	require.Equal(t, ids[0], i.enhanced(items(ci("cmdb_ci_server", "2", `"name":"other"`))).Items[0].SysID)
	require.Empty(t, i.rows("reconcile_duplicate_task"))
}

// State: a frame whose bytes were changed ends the replay before it.
func TestDamagedFrameIsCutAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := mustInstance(t, servicenow.Options{StateDir: dir})
	first.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`)))
	want := first.digest()
	first.enhanced(items(ci("cmdb_ci_server", "2", `"name":"marker-value"`)))
	path := filepath.Join(dir, "servicenow.journal")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	raw[len(raw)-1] ^= 1
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	require.Equal(t, want, mustInstance(t, servicenow.Options{StateDir: dir}).digest())
}

// Request body, referenceItems: circles of references are set after both items exist, and a host may refer to its own dependent.
func TestReferenceCircles(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := `{"items":[` + ci("cmdb_ci_server", "1", `"name":"a"`) + `,` + ci("cmdb_ci_server", "2", `"name":"b"`) + `,` + adapter("n", "eth0", "") + `],"relations":[` + rel("1", "n", owns) + `],` +
		`"referenceItems":[{"referenced":"2","referencedBy":"1","referenceField":"dr_backup"},{"referenced":"1","referencedBy":"2","referenceField":"dr_backup"},{"referenced":"n","referencedBy":"1","referenceField":"asset"},{"referenced":"1","referencedBy":"n","referenceField":"cmdb_ci"}]}`
	got := i.enhanced(body)
	require.False(t, got.HasError, "%+v", got)
	rows := i.rows("cmdb_ci_server?sysparm_exclude_reference_link=true&sysparm_query=ORDERBYname")
	require.Equal(t, rows[1]["sys_id"], rows[0]["dr_backup"])
	require.Equal(t, rows[0]["sys_id"], rows[1]["dr_backup"])
	require.Equal(t, got.Items[2].SysID, rows[0]["asset"])
	before := i.digest()
	for _, it := range i.enhanced(body).Items {
		require.Equal(t, "NO_CHANGE", it.Operation)
	}
	require.Equal(t, before, i.digest())
}

// Error catalogue: hosts in a circle.
func TestQualificationLoop(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.control("rules", `{"putDependencies":[{"parent":"cmdb_ci_cloud_subnet","type":"Contains::Contained by","child":"cmdb_ci_network","host":"parent"}]}`)
	got := i.enhanced(related([]string{ci("cmdb_ci_network", "a", `"object_id":"a"`), ci("cmdb_ci_cloud_subnet", "b", `"object_id":"b"`)},
		rel("a", "b", "Contains::Contained by"), rel("b", "a", "Contains::Contained by")))
	require.Equal(t, "QUALIFICATION_LOOP", got.Items[0].errorCode())
	require.Equal(t, "QUALIFICATION_LOOP", got.Items[1].errorCode())
}
