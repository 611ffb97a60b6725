package asset_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/asset"
)

func TestOneMachineHasOneNameHoweverItIsReported(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                string
		asset               asset.Asset
		short, fqdn, domain string
	}{
		{"a full name in capitals", asset.Asset{Name: "HOST1.corp.local"}, "host1", "host1.corp.local", "corp.local"},
		{"a short name", asset.Asset{Name: "host1"}, "host1", "", ""},
		{"a full name ending in a dot", asset.Asset{DNSName: "host1.corp.local."}, "host1", "host1.corp.local", "corp.local"},
		{"NetBIOS and DNS", asset.Asset{NetBIOS: "HOST1", DNSName: "host1.corp.local", Name: "HOST1"}, "host1", "host1.corp.local", "corp.local"},
		{"DNS short, asset name full", asset.Asset{DNSName: "host1", Name: "Host1.Corp.Local"}, "host1", "host1.corp.local", "corp.local"},
		{"the FQDN field before the others", asset.Asset{FQDN: "real.corp.local", DNSName: "alias.corp.local", Name: "OTHER"}, "real", "real.corp.local", "corp.local"},
		{"an address as asset name", asset.Asset{Name: "10.20.30.41", NetBIOS: "HOST1"}, "host1", "", ""},
		{"localhost as DNS name", asset.Asset{DNSName: "localhost.localdomain", Name: "host1"}, "host1", "", ""},
		{"a cut NetBIOS name gives way to the whole one", asset.Asset{NetBIOS: "LONGCOMPUTERNAM", Name: "LongComputerName01.corp.local"}, "longcomputername01", "longcomputername01.corp.local", "corp.local"},
		{"a cut NetBIOS name is better than none", asset.Asset{NetBIOS: "LONGCOMPUTERNAM"}, "longcomputernam", "", ""},
		{"a short NetBIOS name does not take another machine's domain", asset.Asset{NetBIOS: "WEB", Name: "web-2.corp.local"}, "web", "", ""},
		{"a MAC as asset name", asset.Asset{Name: "00-1A-2B-3C-4D-5E"}, "00:1a:2b:3c:4d:5e", "", ""},
		{"no name at all", asset.Asset{Name: "10.20.30.41", DNSName: "localhost"}, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := asset.Cleanse(&tt.asset)
			require.Equal(t, []string{tt.short, tt.fqdn, tt.domain}, []string{c.Name, c.FQDN, c.Domain})
		})
	}
}

func TestInterfacesBecomeOneAdapterPerMACAndOneAddressPerIP(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		interfaces []asset.Interface
		adapters   []asset.Adapter
		addresses  []asset.Address
	}{
		{"none", nil, nil, nil},
		{"two addresses on one adapter, link-local ones dropped",
			[]asset.Interface{{Name: "Ethernet0", MAC: "00:1A:2B:3C:4D:5E", IPv4: []string{"10.20.30.41", "10.20.30.42"}, IPv6: []string{"fe80:0:0:0:21a:2bff:fe3c:4d5e", "2001:DB8::1"}, Netmask: "255.255.255.0", Gateway: "fe80::1,10.20.30.1"}},
			[]asset.Adapter{{Name: "Ethernet0", MAC: "00:1a:2b:3c:4d:5e", IP: "10.20.30.41", Netmask: "255.255.255.0", Gateway: "10.20.30.1"}},
			[]asset.Address{
				{IP: "10.20.30.41", Version: "4", Netmask: "255.255.255.0", MAC: "00:1a:2b:3c:4d:5e"},
				{IP: "10.20.30.42", Version: "4", Netmask: "255.255.255.0", MAC: "00:1a:2b:3c:4d:5e"},
				{IP: "2001:db8::1", Version: "6", MAC: "00:1a:2b:3c:4d:5e"},
			}},
		{"the same adapter twice, in two spellings, once without a name",
			[]asset.Interface{{MAC: "00-1A-2B-3C-4D-5E", IPv6: []string{"2001:db8::1"}}, {Name: "eth0", MAC: "00:1a:2b:3c:4d:5e", IPv4: []string{"203.0.113.9"}, Netmask: "255.255.255.0"}},
			[]asset.Adapter{{Name: "eth0", MAC: "00:1a:2b:3c:4d:5e", IP: "203.0.113.9", Netmask: "255.255.255.0"}},
			[]asset.Address{{IP: "2001:db8::1", Version: "6", MAC: "00:1a:2b:3c:4d:5e"}, {IP: "203.0.113.9", Version: "4", Netmask: "255.255.255.0", MAC: "00:1a:2b:3c:4d:5e"}}},
		{"the same address on two adapters belongs to the smaller one",
			[]asset.Interface{{Name: "b", MAC: "00:1a:2b:00:00:02", IPv4: []string{"10.0.0.1"}}, {Name: "a", MAC: "00:1a:2b:00:00:01", IPv4: []string{"10.0.0.1"}}},
			[]asset.Adapter{{Name: "a", MAC: "00:1a:2b:00:00:01", IP: "10.0.0.1"}, {Name: "b", MAC: "00:1a:2b:00:00:02", IP: "10.0.0.1"}},
			[]asset.Address{{IP: "10.0.0.1", Version: "4", MAC: "00:1a:2b:00:00:01"}}},
		{"no usable MAC keeps the address, a nameless adapter is named by its MAC",
			[]asset.Interface{{Name: "lo", MAC: "00:00:00:00:00:00", IPv4: []string{"127.0.0.1", "10.0.0.7"}}, {MAC: "00:1a:2b:00:00:09"}},
			[]asset.Adapter{{Name: "00:1a:2b:00:00:09", MAC: "00:1a:2b:00:00:09"}},
			[]asset.Address{{IP: "10.0.0.7", Version: "4"}}},
		{"rubbish", []asset.Interface{{Name: "x", MAC: "rubbish", IPv4: []string{"", "a.b", "10.0.0.300"}, Netmask: "/24", Gateway: ","}}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := asset.Cleanse(&asset.Asset{Interfaces: tt.interfaces})
			require.Empty(t, cmp.Diff(tt.adapters, c.Adapters), "adapters")
			require.Empty(t, cmp.Diff(tt.addresses, c.Addresses), "addresses")
		})
	}
}

func TestThePrimaryAddressAndItsAdapterStandForTheAsset(t *testing.T) {
	t.Parallel()
	docker := asset.Interface{Name: "docker0", MAC: "00:00:11:00:00:01", IPv4: []string{"172.17.0.1"}}
	eth := asset.Interface{Name: "eth0", MAC: "d0:94:66:00:00:01", IPv4: []string{"192.168.1.5"}, IPv6: []string{"2001:db8::5"}}
	tests := []struct {
		name    string
		asset   asset.Asset
		ip, mac string
	}{
		{"the asset's own address", asset.Asset{Address: "192.168.1.5", Interfaces: []asset.Interface{docker, eth}}, "192.168.1.5", "d0:94:66:00:00:01"},
		{"an address of no adapter", asset.Asset{Address: "203.0.113.7", Interfaces: []asset.Interface{docker, eth}}, "203.0.113.7", "00:00:11:00:00:01"},
		{"a loopback address is none", asset.Asset{Address: "127.0.0.1", Interfaces: []asset.Interface{eth}}, "192.168.1.5", "d0:94:66:00:00:01"},
		{"IPv6 only", asset.Asset{Interfaces: []asset.Interface{{IPv6: []string{"2001:db8::7"}}}}, "2001:db8::7", ""},
		{"nothing", asset.Asset{}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := asset.Cleanse(&tt.asset)
			require.Equal(t, []string{tt.ip, tt.mac}, []string{c.IP, c.MAC})
		})
	}
}

func TestOnlyAnAddressIsNoIdentity(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		asset asset.Asset
		want  bool
	}{
		{"a serial number", asset.Asset{BIOSSerial: "5B8QXM2"}, true},
		{"a name", asset.Asset{DNSName: "host1"}, true},
		{"a MAC", asset.Asset{Interfaces: []asset.Interface{{MAC: "00:1a:2b:3c:4d:5e"}}}, true},
		{"a cloud id", asset.Asset{Cloud: asset.Cloud{InstanceID: "i-1"}}, true},
		{"an address only", asset.Asset{Address: "10.0.0.1", Name: "10.0.0.1"}, false},
		{"junk only", asset.Asset{Address: "10.0.0.1", Name: "localhost", BIOSSerial: "None", Interfaces: []asset.Interface{{MAC: "ff:ff:ff:ff:ff:ff", IPv4: []string{"10.0.0.1"}}}}, false},
		{"a MAC that every VPN client has", asset.Asset{Address: "10.0.0.1", Interfaces: []asset.Interface{{MAC: "00:05:9a:3c:7a:00"}}}, false},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, asset.HasIdentity(&tt.asset, asset.Cleanse(&tt.asset)), tt.name)
	}
}

func TestModelAndSystemNamesSkipWhatQualysDoesNotKnow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		asset asset.Asset
		want  asset.Clean
	}{
		{"product and model", asset.Asset{Hardware: asset.Hardware{Manufacturer: "Dell Inc.", ProductName: "PowerEdge", Model: "R640"}}, asset.Clean{Manufacturer: "Dell", Model: "PowerEdge R640"}},
		{"a model that names the product", asset.Asset{Hardware: asset.Hardware{ProductName: "Latitude", Model: "latitude 7440"}}, asset.Clean{Model: "latitude 7440"}},
		{"a model of an unidentified product", asset.Asset{Hardware: asset.Hardware{ProductName: "Unidentified", Model: "X1"}}, asset.Clean{Model: "X1"}},
		{"nothing identified", asset.Asset{Hardware: asset.Hardware{Manufacturer: "Unidentified", ProductName: "Unidentified", Model: "System Product Name"}}, asset.Clean{}},
		{"a normalised system", asset.Asset{OS: asset.OperatingSystem{Name: "raw", FullName: "full", ProductName: "Windows Server 2019", Version: "1809", MarketVersion: "2019", Architecture: "64-Bit"}}, asset.Clean{OS: "Windows Server 2019", OSVersion: "1809", OSWidth: "64"}},
		{"an unidentified system", asset.Asset{OS: asset.OperatingSystem{Name: "Linux 2.6", FullName: "Unknown", ProductName: "Unidentified", MarketVersion: "2"}}, asset.Clean{OS: "Linux 2.6", OSVersion: "2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(tt.want, *asset.Cleanse(&tt.asset)))
		})
	}
}

// anyAsset draws assets from small pools of values, so that collisions occur.
func anyAsset(t *rapid.T) asset.Asset {
	pick := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
	name := func(label string) string {
		return pick(label, "", "HOST1", "host1.corp.local", "LONGCOMPUTERNAM", "longcomputername01.corp", "10.0.0.1", "localhost", " a b ", `\\x..`)
	}
	nic := rapid.Custom(func(t *rapid.T) asset.Interface {
		ip := rapid.SampledFrom([]string{"", "10.0.0.1", "10.0.0.2", "203.0.113.9", "127.0.0.1", "2001:db8::1", "2001:DB8:0::1", "fe80::1"})
		return asset.Interface{
			Name: rapid.SampledFrom([]string{"", "eth0", "eth1"}).Draw(t, "nic"), MAC: rapid.SampledFrom([]string{"", "00:1A:2B:00:00:01", "00-1a-2b-00-00-01", "00:1a:2b:00:00:02", "00:00:00:00:00:00"}).Draw(t, "mac"),
			IPv4: rapid.SliceOfN(ip, 0, 1).Draw(t, "v4"), IPv6: rapid.SliceOfN(ip, 0, 1).Draw(t, "v6"),
			Netmask: rapid.SampledFrom([]string{"", "255.255.255.0", "255.255.0.0", "x"}).Draw(t, "mask"), Gateway: rapid.SampledFrom([]string{"", "10.0.0.254", "10.0.0.253"}).Draw(t, "gw"),
		}
	})
	return asset.Asset{
		FQDN: name("fqdn"), DNSName: name("dns"), NetBIOS: name("netbios"), Name: name("name"), Address: pick("ip", "", "10.0.0.1", "10.0.0.2", "::1"),
		BIOSSerial: pick("serial", "", "None", " 5B8QXM2 "), Interfaces: rapid.SliceOfN(nic, 0, 6).Draw(t, "interfaces"),
	}
}

func TestCleansingDoesNotDependOnTheOrderOfInterfaces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyAsset(t)
		b := a
		b.Interfaces = rapid.Permutation(a.Interfaces).Draw(t, "order")
		if diff := cmp.Diff(asset.Cleanse(&a), asset.Cleanse(&b)); diff != "" {
			t.Fatalf("another order gives other values:\n%s", diff)
		}
	})
}

func TestCleansingCleansedValuesChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyAsset(t)
		before := a
		before.Interfaces = slices.Clone(a.Interfaces)
		first := asset.Cleanse(&a)
		if diff := cmp.Diff(before, a); diff != "" {
			t.Fatalf("cleansing changed the asset:\n%s", diff)
		}
		again := asset.Asset{Name: first.Name, DNSName: first.FQDN, Address: first.IP, BIOSSerial: first.Serial}
		for _, ad := range first.Adapters {
			in := asset.Interface{Name: ad.Name, MAC: ad.MAC, Netmask: ad.Netmask, Gateway: ad.Gateway}
			if strings.Contains(ad.IP, ":") {
				in.IPv6 = []string{ad.IP}
			} else {
				in.IPv4 = []string{ad.IP}
			}
			again.Interfaces = append(again.Interfaces, in)
		}
		second := asset.Cleanse(&again)
		want, got := *first, *second
		want.Addresses, got.Addresses = nil, nil // second addresses of an adapter were left out
		want.MAC, got.MAC = "", ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("cleansed twice:\n%s", diff)
		}
	})
}
