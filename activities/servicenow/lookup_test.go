package servicenow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/servicenow"
)

func TestResolveNames(t *testing.T) {
	t.Parallel()
	tb := table{rows: []map[string]string{
		{"sys_id": "1", "name": "Dell Inc."}, {"sys_id": "2", "name": "LENOVO"}, {"sys_id": "3", "name": "lenovo"},
		{"sys_id": "4", "name": "Foo, Bar"}, {"sys_id": "5", "name": "A^Better^Name"}, {"sys_id": "6", "name": "Better"}, {"sys_id": "7", "name": ""},
		{"sys_id": "8", "name": "Script javascript:alert"},
	}}
	in := newInstance(t, tb.ServeHTTP)
	got, meta, err := basic(t, in.URL).ResolveNames(t.Context(), "core_company",
		[]string{"Dell Inc.", "dell inc.", "Lenovo", "Foo, Bar", "A^Better^Name", "^", "", "Nobody", "Script javascript:alert", "Dell Inc."})
	require.NoError(t, err)
	require.Equal(t, 200, meta.Status)
	require.Empty(t, cmp.Diff(map[string]string{
		"Dell Inc.": "1", "dell inc.": "1", "Lenovo": "2", "Foo, Bar": "4", "A^Better^Name": "5", "Script javascript:alert": "8",
	}, got))
	for _, r := range in.requests() {
		require.NotContains(t, r.Query.Get("sysparm_query"), "javascript:")
	}
}

func TestResolveNamesInBatches(t *testing.T) {
	t.Parallel()
	tb := table{}
	var asked []string
	want := map[string]string{}
	for i := range 300 {
		n := fmt.Sprintf("Company %d %s", i, strings.Repeat("ä", 20))
		id := fmt.Sprintf("%032x", i)
		tb.rows = append(tb.rows, map[string]string{"sys_id": id, "name": strings.ToUpper(n)})
		asked, want[n] = append(asked, n), id
	}
	in := newInstance(t, tb.ServeHTTP)
	got, _, err := basic(t, in.URL).ResolveNames(t.Context(), "core_company", asked)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
	for _, r := range in.requests() {
		require.Less(t, len(r.Query.Encode()), 2000)
	}
}

func TestResolveNamesFails(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(403, `{"error":{"message":"Insufficient rights to query records","detail":null}}`))
	got, meta, err := basic(t, in.URL).ResolveNames(t.Context(), "core_company", []string{"x"})
	require.Equal(t, servicenow.KindForbidden, mustError(t, err).Kind())
	require.Equal(t, 403, meta.Status)
	require.Nil(t, got)

	in = emptyTable(t)
	got, _, err = basic(t, in.URL).ResolveNames(t.Context(), "core_company", nil)
	require.NoError(t, err)
	require.Empty(t, got)
	require.Empty(t, in.requests(), "nothing to ask")
}

func TestDiscoverySources(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(200, `{"result":[{"sys_id":"1","value":"SG-Qualys"},{"sys_id":"2","value":"Other Automated"},{"sys_id":"3","value":"SG-Qualys"},{"sys_id":"4","value":""}]}`, "X-Total-Count", "4"))
	got, _, err := basic(t, in.URL).DiscoverySources(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"Other Automated", "SG-Qualys"}, got)
	r := in.requests()[0]
	require.Equal(t, "/api/now/table/sys_choice", r.Path)
	require.Equal(t, "name=cmdb_ci^element=discovery_source^inactive=false^ORDERBYsys_id", r.Query.Get("sysparm_query"))
}

func TestCheckUser(t *testing.T) {
	t.Parallel()
	me := jsonAnswer(200, `{"result":[{"sys_id":"9","user_name":"QBridge","name":"q bridge","active":"true"}]}`, "X-Total-Count", "1")
	in := newInstance(t, me, jsonAnswer(200, `{"result":[{"sys_id":"1","role.name":"itil"},{"sys_id":"2","role.name":"asset"},{"sys_id":"3","role.name":"itil"}]}`, "X-Total-Count", "3"))
	u, _, err := basic(t, in.URL).CheckUser(t.Context())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(servicenow.User{SysID: "9", UserName: "QBridge", Name: "q bridge", Active: true, Roles: []string{"asset", "itil"}}, u))

	in = newInstance(t, me, jsonAnswer(403, `{}`))
	u, _, err = basic(t, in.URL).CheckUser(t.Context())
	require.NoError(t, err, "roles that cannot be read are unknown, not an error")
	require.Empty(t, u.Roles)

	_, _, err = basic(t, emptyTable(t).URL).CheckUser(t.Context())
	require.Equal(t, servicenow.KindForbidden, mustError(t, err).Kind())
	_, _, err = oauth(t, emptyTable(t).URL).CheckUser(t.Context())
	require.Equal(t, servicenow.KindInvalidRequest, mustError(t, err).Kind())
}

func TestClassMeta(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(200, `{"result":{"name":"cmdb_ci_linux_server","label":"Linux Server","parent":"cmdb_ci_server","children":[],"icon":"x","is_extendable":true,
 "attributes":[{"element":"name","label":"Name","type":"string","max_length":"255","default_value":null,"is_inherited":"true","is_mandatory":"true","is_read_only":"false","is_display":"true"}],
 "relationship_rules":[{"parent":"a","child":"b","relation_type":"c"}],
 "identification_rules":{"name":"Hardware Rule","description":"","active":true,"is_independent":true,"applies_to":"cmdb_ci_hardware",
  "identifiers":[{"order":"200","table":null,"attributes":"serial_number","condition":null,"referenced_field":null,"exact_count_match":false,"allow_fallback":false,"allow_null_attribute":false,"active":true},
   {"order":100,"table":"cmdb_serial_number","attributes":"serial_number,serial_number_type","condition":"valid=true^absent=false","referenced_field":"cmdb_ci","exact_count_match":true,"allow_fallback":false,"allow_null_attribute":false,"active":true}],
  "related_rules":[{"table":"cmdb_print_queue_instance","attributes":"name","referenced_field":"installed_on","active":true}]}}}`),
		jsonAnswer(200, `{"result":{"name":"cmdb_ci_ip_phone","identification_rules":{}}}`),
		jsonAnswer(404, `{"error":{"message":"No Record found","detail":"x"}}`))
	c := basic(t, in.URL)
	got, _, err := c.ClassMeta(t.Context(), "cmdb_ci_linux_server")
	require.NoError(t, err)
	want := servicenow.ClassMeta{
		Name: "cmdb_ci_linux_server", Label: "Linux Server", Parent: "cmdb_ci_server", Extendable: true,
		Columns: []servicenow.ColumnMeta{{Name: "name", Label: "Name", Type: "string", MaxLength: 255, Inherited: true, Mandatory: true}},
		Rules: []servicenow.IdentificationRule{{
			Name: "Hardware Rule", AppliesTo: "cmdb_ci_hardware", Active: true, Independent: true,
			Entries: []servicenow.IdentifierEntry{
				{Order: 100, Table: "cmdb_serial_number", Attributes: []string{"serial_number", "serial_number_type"}, Condition: "valid=true^absent=false", Reference: "cmdb_ci", ExactCount: true, Active: true},
				{Order: 200, Attributes: []string{"serial_number"}, Active: true},
			},
			Related: []servicenow.IdentifierEntry{{Table: "cmdb_print_queue_instance", Attributes: []string{"name"}, Reference: "installed_on", Active: true}},
		}},
	}
	require.Empty(t, cmp.Diff(want, got))
	col, ok := got.Column("name")
	require.True(t, ok)
	require.Equal(t, 255, col.MaxLength)
	_, ok = got.Column("nope")
	require.False(t, ok)

	got, _, err = c.ClassMeta(t.Context(), "cmdb_ci_ip_phone")
	require.NoError(t, err)
	require.Empty(t, got.Rules, "a class without rules")

	_, _, err = c.ClassMeta(t.Context(), "cmdb_ci_nope")
	require.Equal(t, 404, mustError(t, err).Status)
}
