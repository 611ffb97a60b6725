package mapping_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/record"
)

func TestApplyLeavesOutItemsThatIRECouldNotIdentify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*asset.Asset)
		want   []string // classes of the cloud items
	}{
		{"all known", func(*asset.Asset) {}, []string{"cmdb_ci_vm_instance", "cmdb_ci_cloud_service_account", "cmdb_ci_aws_datacenter"}},
		{"no instance id leaves the instance out", func(a *asset.Asset) { a.Cloud.InstanceID = "" }, []string{"cmdb_ci_cloud_service_account", "cmdb_ci_aws_datacenter"}},
		{"no region leaves the instance out, which needs a datacenter", func(a *asset.Asset) { a.Cloud.Region = "" }, []string{"cmdb_ci_cloud_service_account"}},
		{"no account leaves everything out", func(a *asset.Asset) { a.Cloud.AccountID = "" }, nil},
		{"another provider", func(a *asset.Asset) { a.Cloud.Provider = asset.CloudAzure }, []string{"cmdb_ci_vm_instance", "cmdb_ci_cloud_service_account", "cmdb_ci_azure_datacenter"}},
		{"a provider without classes", func(a *asset.Asset) { a.Cloud.Provider = asset.CloudAlibaba }, nil},
		{"no cloud", func(a *asset.Asset) { a.Cloud = asset.Cloud{} }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := awsLinux()
			c.change(a)
			p := apply(mustDefault(t), a, "cmdb_ci_linux_server")
			var got []string
			for _, it := range items(&p) {
				if it.Section == "cloud" {
					got = append(got, it.Class)
				}
			}
			require.Empty(t, cmp.Diff(c.want, got))
			requireSound(t, &p)
		})
	}
}

func TestApplyNamesACIByTheBestValueThereIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		asset asset.Asset
		want  string
	}{
		{"host name", asset.Asset{Name: "Web-1", BIOSSerial: "SN-4711A", Address: "192.0.2.1"}, "web-1"},
		{"MAC before serial", asset.Asset{BIOSSerial: "SN-4711A", Interfaces: []asset.Interface{{MAC: "00:1b:54:aa:bb:cc"}}}, "00:1b:54:aa:bb:cc"},
		{"serial before instance", asset.Asset{BIOSSerial: "SN-4711A", Cloud: asset.Cloud{InstanceID: "i-1"}}, "SN-4711A"},
		{"instance before address", asset.Asset{Address: "192.0.2.1", Cloud: asset.Cloud{InstanceID: "i-1"}}, "i-1"},
		{"address", asset.Asset{Address: "192.0.2.1"}, "192.0.2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := c.asset
			p := apply(mustDefault(t), &a, "cmdb_ci_unclassed_hardware")
			require.Equal(t, c.want, p.Native.Value("name"))
		})
	}
}

func TestApplyHonoursSectionTogglesAndReportsWhatIsComplete(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		present  []asset.Section
		toggles  map[string]bool
		adapters int
		vms      int
		complete []string
	}{
		{"all on by default", []asset.Section{asset.SectionInterfaces, asset.SectionCloud}, nil, 1, 1, []string{"networkInterfaces"}},
		{"interfaces switched off", []asset.Section{asset.SectionInterfaces}, map[string]bool{"networkInterfaces": false}, 0, 1, nil},
		{"cloud switched off", []asset.Section{asset.SectionInterfaces}, map[string]bool{"cloud": false}, 1, 0, []string{"networkInterfaces"}},
		{"switched on by name", []asset.Section{asset.SectionInterfaces}, map[string]bool{"networkInterfaces": true}, 1, 1, []string{"networkInterfaces"}},
		{"a section that Qualys left out is not complete", nil, nil, 1, 1, nil},
		{"a section that nothing maps is not complete", []asset.Section{asset.SectionVolumes}, nil, 1, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := awsLinux()
			a.Present = c.present
			p := mustDefault(t).Apply(mapping.Input{Connection: "corp", Asset: a, Clean: asset.Cleanse(a), Class: "cmdb_ci_linux_server", Sections: c.toggles})
			require.Len(t, ofClass(&p, "cmdb_ci_network_adapter"), c.adapters)
			require.Len(t, ofClass(&p, "cmdb_ci_vm_instance"), c.vms)
			require.Empty(t, cmp.Diff(c.complete, p.Complete))
		})
	}
}

func TestASectionIsAddedByData(t *testing.T) {
	t.Parallel()
	m := mustCompile(t, `
main:
  - {name: all, for: [cmdb_ci], columns: [{to: name, from: [clean.name]}]}
  - name: servers
    for: [cmdb_ci_server]
    not: [cmdb_ci_esx_server]
    columns:
      - {to: name, from: [clean.name], transform: upper}
      - {to: last_discovered, from: [lastModifiedDate], transform: datetime, volatile: true}
items:
  - name: volume
    section: volumes
    for: [cmdb_ci_computer]
    list: volumes
    class: cmdb_ci_file_system
    key: "{main}/vol/{name}"
    columns: [{to: name, from: [name]}, {to: size_bytes, from: [size]}, {to: label, from: [clean.name]}]
    relations: [{type: "Contains::Contained by", parent: main, child: self}]
`)
	p := apply(m, windowsServer(), "cmdb_ci_win_server")
	require.Equal(t, "FIN-DB-01", p.Native.Value("name"), "a later group overrides an earlier one")
	require.Equal(t, "2026-03-01 04:05:06", p.Native.Value("last_discovered"))
	require.Len(t, p.Dependents, 1)
	require.Equal(t, "corp/90001/vol/C:", p.Dependents[0].Key)
	require.Equal(t, "500107862016", p.Dependents[0].Value("size_bytes"))
	require.Equal(t, "fin-db-01", p.Dependents[0].Value("label"), "an element may read a path of the asset")
	require.Equal(t, []string{"volumes"}, p.Complete)

	esx := apply(m, windowsServer(), "cmdb_ci_esx_server")
	require.Equal(t, "fin-db-01", esx.Native.Value("name"), "an excluded class keeps the earlier group")

	later := windowsServer()
	later.Modified = later.Modified.AddDate(0, 0, 1)
	q := apply(m, later, "cmdb_ci_win_server")
	require.NotEqual(t, p.Native.Value("last_discovered"), q.Native.Value("last_discovered"))
	require.Equal(t, record.Digest(&p), record.Digest(&q), "a volatile column makes no change")
	later.Name, later.DNSName, later.NetBIOS = "other", "", ""
	r := apply(m, later, "cmdb_ci_win_server")
	require.NotEqual(t, record.Digest(&p), record.Digest(&r))
}

func TestElementsThatWouldShareAKeyOrANameAreToldApart(t *testing.T) {
	t.Parallel()
	m := mustCompile(t, `
items:
  - name: volume
    section: volumes
    for: [cmdb_ci]
    list: volumes
    class: cmdb_ci_network_adapter
    key: "{main}/vol/{size}"
    columns: [{to: name, from: [name], unique: true}]
    relations: [{type: "Contains::Contained by", parent: main, child: self}]
`)
	long := strings.Repeat("ü", 255)
	a := &asset.Asset{ID: 1, Volumes: []asset.Volume{{Name: "data", Size: 1}, {Name: "again", Size: 1}, {Name: "DATA", Size: 2}, {Name: "no key"}, {Name: long, Size: 4}, {Name: long, Size: 5}}}
	p := apply(m, a, "cmdb_ci_server")
	var got []string
	for _, it := range p.Dependents {
		got = append(got, it.Key+" "+it.Value("name"))
	}
	require.Empty(t, cmp.Diff([]string{
		"corp/1/vol/1 data", "corp/1/vol/2 DATA (2)", "corp/1/vol/4 " + long, "corp/1/vol/5 " + strings.Repeat("ü", 251) + " (5)",
	}, got))
	require.Len(t, p.Relations, len(p.Dependents))
	requireSound(t, &p)
}

func TestUnusedSectionsAreNotAskedFor(t *testing.T) {
	t.Parallel()
	m := mustDefault(t)
	require.NotContains(t, m.Unused(nil), asset.SectionInterfaces)
	require.Contains(t, m.Unused(nil), asset.SectionSoftware, "software is off until a schedule asks for it")
	require.Contains(t, m.Unused(map[string]bool{"networkInterfaces": false}), asset.SectionInterfaces)
}

func TestDigestFollowsTheMapping(t *testing.T) {
	t.Parallel()
	doc := "main:\n  - {name: all, for: [cmdb_ci], columns: [{to: name, from: [clean.name]}]}\n"
	require.Equal(t, mustDefault(t).Digest(), mustDefault(t).Digest())
	require.Equal(t, mustCompile(t, doc).Digest(), mustCompile(t, "# a comment\n"+doc).Digest())
	require.NotEqual(t, mustCompile(t, doc).Digest(), mustCompile(t, strings.Replace(doc, "clean.name", "assetName", 1)).Digest())
}

func TestDefaultMappingNamesOnlyKnownClasses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("default.yaml")
	require.NoError(t, err)
	d, err := mapping.Parse("default.yaml", text)
	require.NoError(t, err)
	var classes []string
	for _, g := range d.Main {
		classes = append(append(classes, g.For...), g.Not...)
	}
	for _, l := range d.Lookups {
		classes = append(classes, l.For...)
	}
	for _, r := range d.References {
		classes = append(classes, r.For...)
	}
	for _, it := range d.Items {
		classes = append(classes, it.For...)
	}
	require.NotEmpty(t, classes)
	for _, class := range classes {
		require.True(t, cmdb.KnownClass(class), class)
	}
}

// requireSound checks what must hold for every record.
func requireSound(t require.TestingT, p *record.Parts) {
	keys := map[string]bool{}
	names := map[string]bool{}
	for _, it := range items(p) {
		require.False(t, keys[it.Key], "two items share the key %q", it.Key)
		keys[it.Key] = true
		seen := map[string]bool{}
		for _, c := range it.Columns {
			require.False(t, seen[c.Name], "column %s stands twice", c.Name)
			seen[c.Name] = true
			require.NotEmpty(t, c.Value, "column %s is empty", c.Name)
			require.True(t, utf8.ValidString(c.Value))
			require.LessOrEqual(t, utf8.RuneCountInString(c.Value), 255)
		}
		if it.Class == "cmdb_ci_network_adapter" {
			name := strings.ToLower(it.Value("name"))
			require.False(t, names[name], "two adapters have the name %q", name)
			names[name] = true
		}
	}
	for i, r := range p.Relations {
		require.True(t, keys[r.Parent] && keys[r.Child], "relation %v leads nowhere", r)
		require.False(t, slices.Contains(p.Relations[:i], r), "relation %v stands twice", r)
	}
	for i := range p.Dependents {
		require.True(t, strings.HasPrefix(p.Dependents[i].Key, p.Native.Key+"/"))
	}
}

// randomAsset draws assets with the overlaps and junk that real ones have.
func randomAsset(t *rapid.T) *asset.Asset {
	text := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
	a := &asset.Asset{
		ID: rapid.Int64Range(1, 1<<40).Draw(t, "id"), Name: text("name", "", "web-1", "WEB-1.corp.example.org", "n\x00ul\u200b", strings.Repeat("ä", 400)),
		BIOSSerial: text("serial", "", "To be filled by O.E.M.", "SN-1234Z", strings.Repeat("9A", 200)), Address: text("address", "", "192.0.2.1", "::1", "junk"),
		HardwareUUID: text("uuid", "", "4c4c4544-0042-3510-8052-b4c04f4e3332"),
		Cloud: asset.Cloud{Provider: rapid.SampledFrom([]asset.CloudProvider{"", asset.CloudAWS, asset.CloudGCP}).Draw(t, "provider"),
			InstanceID: text("instance", "", "i-1"), AccountID: text("account", "", "123456789012"), Region: text("region", "", "us-east-1")},
		Present: []asset.Section{asset.SectionInterfaces},
	}
	for range rapid.IntRange(0, 6).Draw(t, "interfaces") {
		a.Interfaces = append(a.Interfaces, asset.Interface{
			Name:    text("interface", "", "eth0", "ETH0", "eth1", strings.Repeat("long ", 60)),
			MAC:     text("mac", "", "00:1b:54:aa:bb:01", "001B.54AA.BB01", "00-1b-54-aa-bb-02", "00:1b:54:aa:bb:03", "ff:ff:ff:ff:ff:ff"),
			IPv4:    rapid.SliceOfN(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "127.0.0.1", "192.0.2.300"}), 0, 3).Draw(t, "v4"),
			IPv6:    rapid.SliceOfN(rapid.SampledFrom([]string{"2001:db8::1", "2001:DB8:0::1", "fe80::1"}), 0, 2).Draw(t, "v6"),
			Netmask: text("mask", "", "255.255.255.0", "255.0.0.0"),
		})
	}
	return a
}

func TestEveryRecordIsSoundAndIndependentOfOrder(t *testing.T) {
	t.Parallel()
	m := mustDefault(t)
	rapid.Check(t, func(t *rapid.T) {
		a := randomAsset(t)
		class := rapid.SampledFrom([]string{"cmdb_ci_win_server", "cmdb_ci_ip_switch", "cmdb_ci_incomplete_ip", "cmdb_ci_printer", "u_my_class"}).Draw(t, "class")
		p := apply(m, a, class)
		requireSound(t, &p)
		if again := apply(m, a, class); !cmp.Equal(p, again) {
			t.Fatalf("the same asset gave something else:\n%s", cmp.Diff(p, again))
		}
		shuffled := *a
		shuffled.Interfaces = rapid.Permutation(a.Interfaces).Draw(t, "order")
		if q := apply(m, &shuffled, class); record.Digest(&p) != record.Digest(&q) {
			t.Fatalf("the order of interfaces made a change:\n%s", cmp.Diff(p, q))
		}
	})
}

func BenchmarkApply(b *testing.B) {
	m := mustDefault(b)
	assets := estate(300)
	clean := make([]*asset.Clean, len(assets))
	for i, a := range assets {
		clean[i] = asset.Cleanse(a)
	}
	b.ReportAllocs()
	for b.Loop() {
		for i, a := range assets {
			p := m.Apply(mapping.Input{Connection: "corp", Asset: a, Clean: clean[i], Class: "cmdb_ci_linux_server"})
			if len(p.Dependents) == 0 {
				b.Fatal("nothing mapped")
			}
		}
	}
}
