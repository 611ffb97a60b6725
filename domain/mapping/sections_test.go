package mapping_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/record"
)

// richServer is an Azure server with something in every section.
func richServer() *asset.Asset {
	a := windowsServer()
	a.AgentID, a.RiskScore, a.CriticalityScore, a.Accounts = "agent-1", 512, 4, []string{"svc_backup"}
	a.OS.Lifecycle = asset.Lifecycle{GA: "2021-08-18", EOL: "2031-10-14", EOS: "Not Announced", Stage: "GA"}
	a.Cloud = asset.Cloud{Provider: asset.CloudAzure, InstanceID: "0f1e2d3c-0000-4444-8888-aaaabbbbcccc", Name: "fin-db-01", AccountID: "sub-1", Region: "westeurope",
		State: "PowerState/running", InstanceType: "Standard_D4s_v5", ImagePublisher: "MicrosoftWindowsServer", ImageOffer: "WindowsServer", ImageVersion: "latest",
		NetworkID: "vnet-1", SubnetID: "snet-1", ResourceGroup: "fin", PrivateIP: "192.0.2.17", Tags: []asset.CloudTag{{Key: "env", Value: "prod"}}}
	a.Software = []asset.Software{
		{ID: -7, FullName: "Mozilla Firefox 121.0", Publisher: "Mozilla", Version: "121.0", InstallDate: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), SupportStage: "GA", LicenseKind: "Open Source",
			Lifecycle: asset.Lifecycle{EOL: "2026-06-01"}},
		{FullName: "mozilla firefox 121.0", Version: "121.0"}, // the same package in other letters
		{FullName: "libc", Version: "2", PackageName: "glibc"},
		{FullName: "Ignored", Ignored: true}, {Version: "1"},
	}
	a.OpenPorts = []asset.OpenPort{{Port: 443, Protocol: "TCP", Service: "https"}, {Port: 443, Protocol: "tcp"}, {Port: 443, Protocol: "UDP"}}
	a.Services = []asset.Service{{Name: "Spooler", Status: "running"}}
	a.Tags = []asset.Tag{{ID: 1, Name: "Finance"}, {ID: 2, Name: "Everything"}}
	a.Present = append(a.Present, asset.SectionSoftware, asset.SectionOpenPorts, asset.SectionServices, asset.SectionAccounts, asset.SectionTags, asset.SectionCloud)
	return a
}

// everything switches all sections on.
func everything(m *mapping.Map) map[string]bool {
	on := m.Sections()
	for s := range on {
		on[s] = true
	}
	return on
}

func mapAll(m *mapping.Map, a *asset.Asset, class string, change func(*mapping.Input)) record.Parts {
	in := mapping.Input{Connection: "corp", Asset: a, Clean: asset.Cleanse(a), Class: class, Sections: everything(m),
		Listed: map[string]map[string]bool{"tags": {"Finance": true}}}
	if change != nil {
		change(&in)
	}
	return m.Apply(in)
}

func TestGoldenPartsWithEverySection(t *testing.T) {
	t.Parallel()
	const file = "testdata/sections.golden.json"
	p := mapAll(mustDefault(t), richServer(), "cmdb_ci_win_server", nil)
	text, err := json.MarshalIndent(goldenParts{Name: "Azure server", Digest: record.Digest(&p), Parts: p}, "", "  ")
	require.NoError(t, err)
	if os.Getenv("QBRIDGE_UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(file, append(text, '\n'), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), string(text)+"\n"), "if that is meant, run with QBRIDGE_UPDATE_GOLDEN=1 and review the file")
}

func rows(p *record.Parts, table string) []string {
	var out []string
	for _, list := range [][]cmdb.Row{p.Native.Related, p.Tables} {
		for _, r := range list {
			if r.Table == table {
				out = append(out, r.Key)
			}
		}
	}
	return out
}

func TestRowsFollowSectionsPluginsTablesAndLists(t *testing.T) {
	t.Parallel()
	const firefox = "mozilla firefox 121.0_:::_121.0"
	for _, c := range []struct {
		name   string
		table  string
		change func(*mapping.Input)
		want   []string
	}{
		{"a package is installed once, parts of packages never", "cmdb_software_instance", nil, []string{"corp/90001/sw/" + firefox}},
		{"with the SAM plugin there is no instance", "cmdb_software_instance", func(in *mapping.Input) { in.Plugins = map[string]bool{"sam": true} }, nil},
		{"with the SAM plugin there is an install", "cmdb_sam_sw_install", func(in *mapping.Input) { in.Plugins = map[string]bool{"sam": true} }, []string{"corp/90001/sam/" + firefox}},
		{"without it there is none", "cmdb_sam_sw_install", nil, nil},
		{"software switched off", "cmdb_software_instance", func(in *mapping.Input) { in.Sections["software"] = false }, nil},
		{"a port is a number and a protocol", "u_qbridge_open_port", nil, []string{"corp/90001/port/tcp/443", "corp/90001/port/udp/443"}},
		{"a table under another name", "x_acme_port", func(in *mapping.Input) { in.Tables = map[string]string{"u_qbridge_open_port": "x_acme_port"} }, []string{"corp/90001/port/tcp/443", "corp/90001/port/udp/443"}},
		{"a table that the instance lacks", "u_qbridge_open_port", func(in *mapping.Input) { in.Tables = map[string]string{"u_qbridge_open_port": ""} }, nil},
		{"only listed tags", "u_qbridge_tag", nil, []string{"corp/90001/tag/1"}},
		{"no list, no tags", "u_qbridge_tag", func(in *mapping.Input) { in.Listed = nil }, nil},
		{"users and the like are off by default", "u_qbridge_user_account", func(in *mapping.Input) { in.Sections = nil }, nil},
		{"one metadata row", "u_qbridge_asset", nil, []string{"corp/90001/meta"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := mapAll(mustDefault(t), richServer(), "cmdb_ci_win_server", c.change)
			require.Empty(t, cmp.Diff(c.want, rows(&p, c.table)))
			requireSound(t, &p)
		})
	}
}

func TestASoftwareInstanceLinksToItsSharedPackage(t *testing.T) {
	t.Parallel()
	p := mapAll(mustDefault(t), richServer(), "cmdb_ci_win_server", nil)
	require.Equal(t, []cmdb.Link{{Column: "software", Item: "spkg/mozilla firefox 121.0_:::_121.0"}}, p.Native.Related[0].Links)
	require.Equal(t, "2026-01-02 03:04:05", p.Native.Related[0].Value("install_date"))
	meta := p.Tables[len(p.Tables)-1]
	require.Equal(t, "2031-10-14", meta.Value("u_os_eol_date"))
	require.Empty(t, meta.Value("u_os_eos_date"), "free text is no date")
}

func TestEveryCloudHasItsDatacenterAndTerminatedInstancesCreateNothing(t *testing.T) {
	t.Parallel()
	for provider, class := range map[asset.CloudProvider]string{
		asset.CloudAWS: "cmdb_ci_aws_datacenter", asset.CloudAzure: "cmdb_ci_azure_datacenter",
		asset.CloudGCP: "cmdb_ci_google_datacenter", asset.CloudOCI: "cmdb_ci_logical_datacenter",
	} {
		a := richServer()
		a.Cloud.Provider, a.Cloud.State, a.Cloud.Zone = provider, "TERMINATED", "z1"
		p := mapAll(mustDefault(t), a, "cmdb_ci_win_server", nil)
		classes := map[string]int{}
		for _, s := range p.Shared {
			classes[s.Class]++
		}
		require.Equal(t, 1, classes[class], provider)
		for _, shared := range []string{"cmdb_ci_cloud_service_account", "cmdb_ci_availability_zone", "cmdb_ci_network", "cmdb_ci_cloud_subnet", "cmdb_ci_os_template", "cmdb_ci_compute_template"} {
			require.Equal(t, 1, classes[shared], "%s: %s", provider, shared)
		}
		vm := ofClass(&p, "cmdb_ci_vm_instance")[0]
		require.Equal(t, "terminated", vm.Value("state"))
		require.Equal(t, "7", vm.Value("install_status"))
		require.True(t, p.UpdateOnly)
		requireSound(t, &p)
	}
	running := mapAll(mustDefault(t), richServer(), "cmdb_ci_win_server", nil)
	require.False(t, running.UpdateOnly)
	require.Empty(t, ofClass(&running, "cmdb_ci_vm_instance")[0].Value("install_status"))
}

func TestValuesAreFittedToTheInstancesColumnsAndFlagged(t *testing.T) {
	t.Parallel()
	m := mustCompile(t, "main: [{name: all, for: [cmdb_ci], columns: [{to: name, from: [assetName]}, {to: comments, value: abc}, {to: environment, value: PROD}, {to: category, value: x, choices: [y]}, {to: subcategory, value: Z}]}]")
	a := &asset.Asset{ID: 1, Name: "ääääää"}
	p := mapAll(m, a, "cmdb_ci_server", func(in *mapping.Input) {
		in.Columns = cmdb.Schema{"cmdb_ci_server": {"name": {Length: 3}, "environment": {Choices: []string{"Prod"}}, "category": {}, "subcategory": {Choices: []string{"A"}}}}
	})
	require.Empty(t, cmp.Diff([]cmdb.Column{{Name: "name", Value: "äää"}, {Name: "environment", Value: "Prod"}}, p.Native.Columns))
	require.Empty(t, cmp.Diff([]record.Flag{
		{Item: "corp/1", Column: "name", Why: record.FlagCut}, {Item: "corp/1", Column: "comments", Why: record.FlagNoColumn},
		{Item: "corp/1", Column: "category", Why: record.FlagNoChoice}, {Item: "corp/1", Column: "subcategory", Why: record.FlagNoChoice},
	}, p.Flags))
}

func TestALaterDocumentOverridesByName(t *testing.T) {
	t.Parallel()
	base := "off: [volumes, tags]\nmain: [{name: all, for: [cmdb_ci], columns: [{to: name, from: [clean.name]}, {to: fqdn, from: [clean.fqdn]}]}]\n" +
		"references: [{column: manufacturer, for: [cmdb_ci], table: core_company, from: [clean.manufacturer], create: true}]\n"
	own := "on: [volumes]\nmain: [{name: all, columns: [{to: name, from: [assetName]}, {to: fqdn, drop: true}, {to: u_own, value: x}]}]\nreferences: [{column: manufacturer, drop: true}]\n"
	var docs []*mapping.Document
	for _, text := range []string{base, own} {
		d, err := mapping.Parse("test", []byte(text))
		require.NoError(t, err)
		docs = append(docs, d)
	}
	m, err := mapping.Compile(docs...)
	require.NoError(t, err)
	p := mapAll(m, windowsServer(), "cmdb_ci_server", nil)
	require.Empty(t, cmp.Diff([]cmdb.Column{{Name: "name", Value: "FIN-DB-01"}, {Name: "u_own", Value: "x"}}, p.Native.Columns))
	require.Empty(t, p.References)
	require.NotEqual(t, mustCompile(t, base).Digest(), m.Digest())
}

func TestShowListsTargetsSourcesAndTransforms(t *testing.T) {
	t.Parallel()
	lines := mustDefault(t).Show("cmdb_ci_win_server")
	require.Contains(t, lines, mapping.Line{Part: "main", Target: "cmdb_ci_win_server", Column: "name", Source: "clean.name, clean.mac, clean.serial, cloud.instanceId, clean.ip"})
	require.Contains(t, lines, mapping.Line{Part: "instance", Target: "cmdb_ci_vm_instance", Column: "state", Source: "cloud.state", Transform: "vmState", Section: "cloud"})
	require.Contains(t, lines, mapping.Line{Part: "software-instance", Target: "cmdb_software_instance", Column: "software", Source: "spkg/{id.key}", List: "software", Transform: "sys_id of the item", Section: "software", Off: true})
}

func TestSectionsDecideWhatQualysIsAskedFor(t *testing.T) {
	t.Parallel()
	m := mustDefault(t)
	require.Equal(t, []asset.Section{asset.SectionSoftware, asset.SectionOpenPorts, asset.SectionInterfaces},
		m.Needed(map[string]bool{"software": true, "openPorts": true, "volumes": false}))
	require.NotContains(t, m.Needed(map[string]bool{"software": false, "softwareDetails": true}), asset.SectionSoftware)
}

func TestTransforms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"vmState", "PowerState/deallocated", "stopped"}, {"vmState", " RUNNING ", "running"}, {"vmState", "VM running", "running"}, {"vmState", "Deleted", "terminated"},
		{"gone", "TERMINATED", "7"}, {"gone", "RUNNING", ""}, {"day", "2031-10-14", "2031-10-14"}, {"day", "Not Announced", ""}, {"day", "1970-01-01T00:00:00Z", ""}, {"day", "2026-01-01T23:30:00-02:00", "2026-01-02"},
		{"datetime", "2026-01-01T23:30:00-02:00", "2026-01-02 01:30:00"}, {"datetime", "soon", ""}, {"gigabyte", "1610612736", "2"}, {"gigabyte", "-1", ""}, {"gigabyte", "x", ""},
		{"gigabyte", "9223372036854775807", "8589934592"}, {"upper", "a", "A"}, {"lower", "A", "a"}, {"ipv", "4", "IPv4"},
	} {
		got, ok := mapping.Transform(c.name, c.in)
		require.True(t, ok)
		require.Equal(t, c.want, got, "%s(%q)", c.name, c.in)
	}
	_, ok := mapping.Transform("no such", "x")
	require.False(t, ok)
}

func FuzzTransforms(f *testing.F) {
	f.Add("2031-10-14")
	f.Add("PowerState/running")
	f.Fuzz(func(t *testing.T, s string) {
		for _, name := range []string{"day", "vmState", "gone", "gigabyte", "datetime"} {
			out, _ := mapping.Transform(name, s)
			if again, _ := mapping.Transform(name, out); (name == "day") && again != out {
				t.Fatalf("%s is not stable: %q, %q", name, out, again)
			}
			if name == "gone" && out != "" && out != "7" {
				t.Fatalf("gone gave %q", out)
			}
		}
	})
}

func BenchmarkApplyEverySection(b *testing.B) {
	m, a := mustDefault(b), richServer()
	for i := range 40 {
		a.Software = append(a.Software, asset.Software{FullName: fmt.Sprintf("Package %02d", i), Version: "1"})
	}
	in := mapping.Input{Connection: "corp", Asset: a, Clean: asset.Cleanse(a), Class: "cmdb_ci_win_server", Sections: everything(m)}
	b.ReportAllocs()
	for b.Loop() {
		if p := m.Apply(in); len(p.Native.Related) != 41 {
			b.Fatal("packages are missing")
		}
	}
}
