package mapping_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
)

const golden = "testdata/parts.golden.json"

type goldenParts struct {
	Name   string       `json:"name"`
	Digest string       `json:"digest"`
	Parts  record.Parts `json:"parts"`
}

// TestGoldenParts shows in full what is staged for three assets. A change of the
// file is a change of what is written to every customer's CMDB, and of every
// digest: each record is written again once.
func TestGoldenParts(t *testing.T) {
	t.Parallel()
	m := mustDefault(t)
	var got []goldenParts
	for _, c := range []struct {
		name, class string
		asset       *asset.Asset
	}{
		{"Windows server", "cmdb_ci_win_server", windowsServer()},
		{"switch", "cmdb_ci_ip_switch", networkSwitch()},
		{"Linux server in AWS", "cmdb_ci_linux_server", awsLinux()},
	} {
		p := apply(m, c.asset, c.class)
		got = append(got, goldenParts{Name: c.name, Digest: record.Digest(&p), Parts: p})
	}
	text, err := json.MarshalIndent(got, "", "  ")
	require.NoError(t, err)
	if os.Getenv("QBRIDGE_UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, append(text, '\n'), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	if diff := cmp.Diff(string(want), string(text)+"\n"); diff != "" {
		t.Fatalf("what is staged has changed; if that is meant, run with QBRIDGE_UPDATE_GOLDEN=1 and review the file (-want +got):\n%s", diff)
	}
}

func TestApplyGivesServersTheirCoreColumnsSerialsAndManufacturer(t *testing.T) {
	t.Parallel()
	p := apply(mustDefault(t), windowsServer(), "cmdb_ci_win_server")

	require.Equal(t, "corp/90001", p.Native.Key)
	got := map[string]string{}
	for _, c := range p.Native.Columns {
		got[c.Name] = c.Value
	}
	want := map[string]string{
		"name": "fin-db-01", "fqdn": "fin-db-01.corp.example.org", "dns_domain": "corp.example.org", "serial_number": "CZ3214ABCD", "asset_tag": "A-1001",
		"model_number": "PowerEdge R750", "os": "Windows Server", "os_version": "10.0.20348", "os_service_pack": "KB5034129", "os_address_width": "64",
		"cpu_count": "16", "cpu_core_count": "16", "cpu_core_thread": "2", "cpu_name": "Intel(R) Xeon(R) Gold 6326 CPU @ 2.90GHz", "cpu_speed": "2900",
		"ram": "65536", "virtual": "false",
	}
	require.Empty(t, cmp.Diff(want, got))

	rows := map[string]string{}
	for _, r := range p.Native.Lookup {
		it := cmdb.Item{Columns: r.Columns}
		require.Equal(t, "cmdb_serial_number", r.Table)
		require.Equal(t, "true", it.Value("valid"), "IRE searches valid=true only")
		require.Equal(t, "false", it.Value("absent"), "IRE searches absent=false only")
		rows[it.Value("serial_number_type")] = it.Value("serial_number")
	}
	require.Empty(t, cmp.Diff(map[string]string{"system": "CZ3214ABCD", "uuid": "4c4c4544-0042-3510-8052-b4c04f4e3332"}, rows))
	require.Empty(t, cmp.Diff([]cmdb.Reference{{Item: "corp/90001", Column: "manufacturer", Table: "core_company", Name: "Dell", Create: true}}, p.References))
}

func TestApplyMergesAdaptersByMACAndTellsEqualNamesApart(t *testing.T) {
	t.Parallel()
	p := apply(mustDefault(t), windowsServer(), "cmdb_ci_win_server")

	var adapters, addresses []string
	for _, it := range ofClass(&p, "cmdb_ci_network_adapter") {
		adapters = append(adapters, it.Key+" | "+it.Value("name")+" | "+it.Value("ip_address"))
	}
	for _, it := range ofClass(&p, "cmdb_ci_ip_address") {
		addresses = append(addresses, it.Key)
	}
	require.Empty(t, cmp.Diff([]string{
		"corp/90001/nic/b4:96:91:00:00:01 | Intel(R) Ethernet | 192.0.2.17",
		"corp/90001/nic/b4:96:91:00:00:02 | Intel(R) Ethernet (b4:96:91:00:00:02) | 198.51.100.17",
	}, adapters))
	require.Empty(t, cmp.Diff([]string{"corp/90001/ip/192.0.2.17", "corp/90001/ip/198.51.100.17", "corp/90001/ip/2001:db8::17"}, addresses))
	require.Len(t, p.Relations, len(p.Dependents))
	for i, r := range p.Relations {
		require.Equal(t, cmdb.Relation{Parent: "corp/90001", Child: p.Dependents[i].Key, Type: "Owns::Owned by"}, r)
	}
}

func TestApplyKeepsAddressesOnDevicesAndLeavesComputerColumnsOut(t *testing.T) {
	t.Parallel()
	p := apply(mustDefault(t), networkSwitch(), "cmdb_ci_ip_switch")
	require.Equal(t, "203.0.113.3", p.Native.Value("ip_address"))
	require.Equal(t, "00:1b:54:aa:bb:cc", p.Native.Value("mac_address"))
	for _, column := range []string{"os", "os_version", "cpu_count", "ram", "virtual"} {
		require.Empty(t, p.Native.Value(column), "a switch has no column %s", column)
	}

	server := apply(mustDefault(t), windowsServer(), "cmdb_ci_win_server")
	require.Empty(t, server.Native.Value("ip_address"), "a server's addresses are items of their own")
	require.Empty(t, server.Native.Value("mac_address"))
}

func TestApplyLinksAnAWSServerToInstanceDatacenterAndAccountOnce(t *testing.T) {
	t.Parallel()
	p := apply(mustDefault(t), awsLinux(), "cmdb_ci_linux_server")
	var got []string
	for _, r := range p.Relations {
		if r.Type != "Owns::Owned by" {
			got = append(got, r.Parent+" "+r.Type+" "+r.Child)
		}
	}
	require.Empty(t, cmp.Diff([]string{
		"aws/123456789012/us-east-1 Hosted on::Hosts aws/123456789012",
		"corp/90003/vm Hosted on::Hosts aws/123456789012/us-east-1",
		"corp/90003 Virtualized by::Virtualizes corp/90003/vm",
	}, got))
	vm := ofClass(&p, "cmdb_ci_vm_instance")
	require.Len(t, vm, 1)
	require.Equal(t, "i-0aa11bb22cc33dd44", vm[0].Value("object_id"))
	require.Equal(t, "running", vm[0].Value("state"))
	require.Equal(t, "true", p.Native.Value("virtual"))

	var shared []string
	for _, s := range p.Shared {
		shared = append(shared, s.Key+" "+s.Class+" "+s.Value("object_id"))
	}
	require.Empty(t, cmp.Diff([]string{
		"aws/123456789012 cmdb_ci_cloud_service_account 123456789012",
		"aws/123456789012/us-east-1 cmdb_ci_aws_datacenter us-east-1",
	}, shared))
}
