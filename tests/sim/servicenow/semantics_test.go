package servicenow_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

const owns = "Owns::Owned by"

func adapter(key, name, mac string) string {
	return fmt.Sprintf(`{"className":"cmdb_ci_network_adapter","internal_id":%q,"values":{"name":%q,"mac_address":%q}}`, key, name, mac)
}

// Identification, dependent classes: searched only below their host, found again, and one per host.
func TestDependentIsSearchedBelowItsHost(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	host := func(key string) ireResult {
		return i.enhanced(related([]string{adapter("n"+key, "eth0", ""), ci("cmdb_ci_server", key, `"name":"h`+key+`"`)}, rel(key, "n"+key, owns)))
	}
	a, b := host("1"), host("2")
	require.Equal(t, "INSERT", a.Items[0].Operation)
	require.Len(t, a.Items[0].IdentificationAttempts, 1, "below a host that was just inserted nothing is searched")
	require.NotEqual(t, a.Items[0].SysID, b.Items[0].SysID)
	again := host("1")
	require.Equal(t, "NO_CHANGE", again.Items[0].Operation)
	require.Equal(t, a.Items[0].SysID, again.Items[0].SysID)
	require.Equal(t, "NO_CHANGE", again.Relations[0].Operation)
	require.Len(t, i.rows("cmdb_rel_ci"), 2)
}

// Identification, dependent chains: virtual machine below datacenter below account.
func TestDependentChain(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := related([]string{
		ci("cmdb_ci_vm_instance", "vm", `"name":"vm","object_id":"i-1"`),
		ci("cmdb_ci_aws_datacenter", "dc", `"name":"us-east-1","object_id":"us-east-1","region":"us-east-1"`),
		ci("cmdb_ci_cloud_service_account", "acc", `"name":"acc","account_id":"123","object_id":"123","datacenter_type":"aws"`),
		ci("cmdb_ci_linux_server", "srv", `"name":"srv"`)},
		rel("vm", "dc", "Hosted on::Hosts"), rel("dc", "acc", "Hosted on::Hosts"), rel("srv", "vm", "Virtualized by::Virtualizes"))
	first := i.enhanced(body)
	require.False(t, first.HasError, "%+v", first)
	before := i.digest()
	again := i.enhanced(body)
	for _, it := range append(again.Items, again.Relations...) {
		require.Equal(t, "NO_CHANGE", it.Operation)
	}
	require.Equal(t, before, i.digest())
}

// Error catalogue, ABANDONED: what hangs on a failed item fails with it, its relation too.
func TestFailedHostAbandonsItsDependents(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := related([]string{ci("cmdb_ci_server", "1", `"os":"x"`), adapter("n1", "eth0", ""), ci("cmdb_ci_server", "2", `"name":"fine"`)}, rel("1", "n1", owns))
	got := i.enhanced(body)
	require.Equal(t, "MISSING_MATCHING_ATTRIBUTES", got.Items[0].errorCode())
	require.Equal(t, "ABANDONED", got.Items[1].errorCode())
	require.Contains(t, got.Items[1].Errors[0].Message, "since its depends on payload item")
	require.Equal(t, "INSERT", got.Items[2].Operation)
	require.Equal(t, "ABANDONED", got.Relations[0].errorCode())
	require.Equal(t, "Unknown", got.Relations[0].SysID)
}

// Error catalogue: relations that name unknown types or items, two hosts, and a circle.
func TestRelationErrors(t *testing.T) {
	t.Parallel()
	hosts := []string{ci("cmdb_ci_server", "1", `"name":"a"`), ci("cmdb_ci_server", "2", `"name":"b"`), adapter("n", "eth0", "")}
	for _, c := range []struct{ name, body, code, message string }{
		{"unknown type", related(hosts[:2], rel("1", "2", "Nope::Epon")), "INVALID_INPUT_DATA", "No such relationship with name [Nope::Epon] exist in table [cmdb_rel_type]."},
		{"unknown internal id", related(hosts[:2], rel("9", "2", "Depends on::Used by")), "INVALID_INPUT_DATA", "has invalid parent record index: [9]"},
		{"index out of range", related(hosts[:2], `{"parent":0,"child":7,"type":"Depends on::Used by"}`), "INVALID_INPUT_DATA", "has invalid child record index: [7]"},
		{"two hosts", related(hosts, rel("1", "n", owns), rel("2", "n", owns)), "MULTIPLE_DEPENDENCIES", "Found multiple dependent relation items"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := mustInstance(t, servicenow.Options{}).enhanced(c.body)
			require.True(t, got.HasError)
			for _, it := range append(got.Relations, got.Items...) {
				if it.errorCode() == c.code {
					require.Contains(t, it.Errors[0].Message, c.message)
					return
				}
			}
			t.Fatalf("no %s in %+v", c.code, got)
		})
	}
}

// Request body: relation ends may be integer indices, also as integer strings.
func TestRelationByIndex(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	got := i.enhanced(related([]string{ci("cmdb_ci_server", "1", `"name":"a"`), ci("cmdb_ci_server", "2", `"name":"b"`)}, `{"parent":"0","child":1,"type":"Depends on::Used by"}`))
	require.Equal(t, "INSERT", got.Relations[0].Operation)
}

// Request body, referenceItems: set before identification and kept as a sys_id.
func TestReferenceItems(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := `{"items":[` + adapter("n", "eth0", "") + `,` + ci("cmdb_ci_server", "1", `"name":"a"`) + `],"relations":[` + rel("1", "n", owns) + `],"referenceItems":[{"referenced":"1","referencedBy":"n","referenceField":"cmdb_ci"}]}`
	got := i.enhanced(body)
	require.Equal(t, got.Items[1].SysID, i.rows("cmdb_ci_network_adapter?sysparm_exclude_reference_link=true")[0]["cmdb_ci"])
	require.Equal(t, "NO_CHANGE", i.enhanced(body).Items[0].Operation)
}

// Reclassification: what happens for each direction, flag, property and restriction rule.
func TestReclassification(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, from, to, extra, property, value, operation, code, class string }{
		{name: "upgrade", from: "cmdb_ci_server", to: "cmdb_ci_linux_server", operation: "UPDATE_WITH_UPGRADE", class: "cmdb_ci_linux_server"},
		{name: "downgrade", from: "cmdb_ci_linux_server", to: "cmdb_ci_server", operation: "UPDATE_WITH_DOWNGRADE", class: "cmdb_ci_server"},
		{name: "switch", from: "cmdb_ci_linux_server", to: "cmdb_ci_win_server", operation: "UPDATE_WITH_SWITCH", class: "cmdb_ci_win_server"},
		{name: "update without downgrade", from: "cmdb_ci_linux_server", to: "cmdb_ci_server", extra: `"settings":{"updateWithoutDowngrade":true}`, operation: "UPDATE", code: "SKIPPED_CLASS_DOWNGRADE", class: "cmdb_ci_linux_server"},
		{name: "update without switch, as text", from: "cmdb_ci_linux_server", to: "cmdb_ci_win_server", extra: `"settings":{"updateWithoutSwitch":"true"}`, operation: "UPDATE", code: "SKIPPED_CLASS_SWITCH", class: "cmdb_ci_linux_server"},
		{name: "update without upgrade, by property", from: "cmdb_ci_server", to: "cmdb_ci_linux_server", property: "glide.identification_engine.update_without_upgrade_enabled", value: "true", operation: "UPDATE", code: "SKIPPED_CLASS_UPGRADE", class: "cmdb_ci_server"},
		{name: "switch forbidden by property", from: "cmdb_ci_linux_server", to: "cmdb_ci_win_server", property: "glide.class.switch.enabled", value: "false", operation: "error", code: "RECLASSIFICATION_NOT_ALLOWED", class: "cmdb_ci_linux_server"},
		{name: "item flag overrides the property", from: "cmdb_ci_linux_server", to: "cmdb_ci_win_server", extra: `"classSwitch":true`, property: "glide.class.switch.enabled", value: "false", operation: "UPDATE_WITH_SWITCH", class: "cmdb_ci_win_server"},
		{name: "classes with different rules", from: "cmdb_ci_ip_phone", to: "cmdb_ci_server", operation: "error", code: "RECLASSIFICATION_NOT_ALLOWED", class: "cmdb_ci_ip_phone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := mustInstance(t, servicenow.Options{})
			i.enhanced(items(ci(c.from, "1", `"name":"a"`)))
			if c.property != "" {
				i.setProperty(c.property, c.value)
			}
			extra := c.extra
			if extra == "" {
				extra = `"settings":{}`
			}
			got := i.enhanced(items(ci(c.to, "1", `"name":"a","comments":"x"`, extra))).Items[0]
			if c.operation == "error" {
				require.Equal(t, c.code, got.errorCode())
				require.Len(t, i.rows("reclassification_task"), 1)
			} else {
				require.Equal(t, c.operation, got.Operation)
				require.Equal(t, "x", i.rows("cmdb_ci")[0]["comments"], "attributes are written either way")
			}
			if c.code != "" && c.operation != "error" {
				require.Equal(t, c.code, got.Info[0].Code)
				require.Empty(t, got.Info[0].RuleSysID)
			}
			require.Equal(t, c.class, i.rows("cmdb_ci")[0]["sys_class_name"])
		})
	}
}

// Reclassification: a restriction rule skips the change and names itself, unless the item says otherwise.
func TestRestrictionRule(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	id := i.create("cmdb_ire_reclassification_restriction", `{"name":"r","source_table":"cmdb_ci_server","target_table":"cmdb_ci_server","type":"Switch"}`)
	i.enhanced(items(ci("cmdb_ci_linux_server", "1", `"name":"a"`)))
	got := i.enhanced(items(ci("cmdb_ci_win_server", "1", `"name":"a"`))).Items[0]
	require.Equal(t, "NO_CHANGE", got.Operation)
	require.Equal(t, id, got.Info[0].RuleSysID)
	require.Equal(t, "CI Reclassification not allowed from class: [cmdb_ci_linux_server] to [cmdb_ci_win_server] by a reclassification restriction rule", got.Info[0].Message)
	got = i.enhanced(items(ci("cmdb_ci_win_server", "1", `"name":"a"`, `"settings":{"skipReclassificationRestrictionRules":true}`))).Items[0]
	require.Equal(t, "UPDATE_WITH_SWITCH", got.Operation)
}

// Duplicates: below the threshold the oldest is used and the others are marked; from it on the item fails.
func TestDuplicateCIs(t *testing.T) {
	t.Parallel()
	for _, copies := range []int{2, 4, 5} {
		t.Run(fmt.Sprintf("%d copies", copies), func(t *testing.T) {
			t.Parallel()
			i := mustInstance(t, servicenow.Options{})
			oldest := ""
			for n := range copies {
				id := i.create("cmdb_ci_server", `{"name":"twin"}`)
				if n == 0 {
					oldest = id
				}
			}
			got := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"twin"`))).Items[0]
			if copies >= 5 {
				require.Equal(t, "MULTIPLE_DUPLICATE_RECORDS", got.errorCode())
				require.Equal(t, "Found duplicate records in table [cmdb_ci_hardware] using fields [name]", got.Errors[0].Message)
				return
			}
			require.Equal(t, oldest, got.SysID)
			require.Len(t, i.rows("cmdb_ci_server?sysparm_query=duplicate_of="+oldest), copies-1)
			require.Len(t, i.rows("duplicate_audit_result"), copies)
		})
	}
}

// Timestamps: discovery_source and last_discovered are taken over even when nothing changes; older ones are not.
func TestDiscoveryColumns(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_ci_server", `{"name":"a","discovery_source":"ServiceNow"}`)
	got := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`))).Items[0]
	require.Equal(t, "NO_CHANGE", got.Operation)
	row := i.rows("cmdb_ci_server")[0]
	require.Equal(t, "SG-Qualys", row["discovery_source"])
	require.Equal(t, "2026-03-01 12:00:00", row["last_discovered"])
	i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a","last_discovered":"2020-01-01 00:00:00"`)))
	require.Equal(t, "2026-03-01 12:00:00", i.rows("cmdb_ci_server")[0]["last_discovered"])
}

// Data source rules: block inserts of one source, not updates; the child class's rule stands above its parent's.
func TestDataSourceRule(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_ire_data_source_rule", `{"applies_to":"cmdb_ci_hardware","data_source":"SG-Qualys"}`)
	i.create("cmdb_ire_data_source_rule", `{"applies_to":"cmdb_ci_printer","data_source":"SG-Qualys","insert_not_allowed":"false"}`)
	got := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`), ci("cmdb_ci_printer", "2", `"name":"p"`)))
	require.Equal(t, "Insert into [cmdb_ci_server] is blocked for data source [SG-Qualys] by IRE data source rule", got.Items[0].Errors[0].Message)
	require.Equal(t, "INSERT", got.Items[1].Operation)
}

// Reconciliation: a weaker source's write is masked and reported.
func TestReconciliationMasksWeakerSource(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_reconciliation_definition", `{"applies_to":"cmdb_ci_server","discovery_source":"ServiceNow","priority":"100","attributes":"os"}`)
	i.create("cmdb_ci_server", `{"name":"a","os":"Linux","discovery_source":"ServiceNow"}`)
	got := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a","os":"Windows","comments":"c"`))).Items[0]
	require.Equal(t, []string{"os"}, got.MaskedAttributes)
	require.Equal(t, "UPDATE", got.Operation)
	require.Equal(t, "Linux", i.rows("cmdb_ci_server")[0]["os"])
}

// Control API: a rule can be removed and the class then has none.
func TestRuleCanBeRemoved(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := items(ci("cmdb_ci_ip_phone", "1", `"name":"x"`))
	require.Equal(t, "INSERT", i.enhanced(body).Items[0].Operation)
	i.control("rules", `{"remove":["cmdb_ci_ip_phone"]}`)
	require.Equal(t, "IDENTIFICATION_RULE_MISSING", i.enhanced(body).Items[0].errorCode())
	i.control("reset", "")
	require.Equal(t, "INSERT", i.enhanced(body).Items[0].Operation)
}

// Classes that a connector's default rules choose all have an identification rule.
func TestDefaultClassesHaveRules(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	for _, class := range []string{"esx_server", "hyper_v_server", "ip_router", "ip_switch", "ip_firewall", "lb", "lb_bigip", "wap_network", "netgear", "printer", "ip_phone",
		"ip_camera", "ups", "pdu", "storage_server", "handheld_computing", "iot", "win_server", "linux_server", "aix_server", "solaris_server", "hpux_server", "unix_server",
		"osx_server", "computer", "server", "unclassed_hardware", "incomplete_ip", "vm_instance"} {
		w := i.send(http.MethodGet, "/api/now/cmdb/meta/cmdb_ci_"+class, "")
		require.Equal(t, http.StatusOK, w.Code, class)
		require.Contains(t, w.Body.String(), `"identifiers":[{`, class)
	}
}
