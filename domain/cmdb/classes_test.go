package cmdb_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/cmdb"
)

func TestIsAFollowsTheHierarchy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, class, ancestor string
		want                  bool
	}{
		{"a class is itself", "cmdb_ci_server", "cmdb_ci_server", true},
		{"a server is a computer", "cmdb_ci_win_server", "cmdb_ci_computer", true},
		{"a hypervisor is a server", "cmdb_ci_esx_server", "cmdb_ci_server", true},
		{"a computer is no server", "cmdb_ci_computer", "cmdb_ci_server", false},
		{"a switch is hardware", "cmdb_ci_ip_switch", "cmdb_ci_hardware", true},
		{"a switch is no computer", "cmdb_ci_ip_switch", "cmdb_ci_computer", false},
		{"a phone is no hardware", "cmdb_ci_ip_phone", "cmdb_ci_hardware", false},
		{"everything is a CI", "cmdb_ci_aws_datacenter", "cmdb_ci", true},
		{"a class that is not listed is a CI", "u_my_class", "cmdb_ci", true},
		{"and nothing more", "u_my_class", "cmdb_ci_hardware", false},
		{"the root is no hardware", "cmdb_ci", "cmdb_ci_hardware", false},
		{"no class is nothing", "", "cmdb_ci", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, cmdb.IsA(c.class, c.ancestor))
		})
	}
	require.True(t, cmdb.KnownClass("cmdb_ci"))
	require.True(t, cmdb.KnownClass("cmdb_ci_printer"))
	require.False(t, cmdb.KnownClass("cmdb_ci_printr"))
}

func TestItemValueAndReferenceLookup(t *testing.T) {
	t.Parallel()
	it := cmdb.Item{Columns: []cmdb.Column{{Name: "name", Value: "web-1"}}}
	require.Equal(t, "web-1", it.Value("name"))
	require.Empty(t, it.Value("serial_number"))
	a := cmdb.Reference{Item: "corp/1", Column: "manufacturer", Table: "core_company", Name: "Dell", Create: true}
	b := cmdb.Reference{Item: "corp/2", Column: "vendor", Table: "core_company", Name: "Dell", Create: true}
	require.Equal(t, a.Lookup(), b.Lookup(), "one row is looked up once")
}
