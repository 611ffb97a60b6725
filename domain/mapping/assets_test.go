package mapping_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/record"
)

func mustDefault(t testing.TB) *mapping.Map {
	t.Helper()
	m, err := mapping.Default()
	require.NoError(t, err)
	return m
}

// mustCompile compiles a document that a test wrote.
func mustCompile(t testing.TB, doc string) *mapping.Map {
	t.Helper()
	d, err := mapping.Parse("test mapping", []byte(doc))
	require.NoError(t, err)
	m, err := mapping.Compile(d)
	require.NoError(t, err)
	return m
}

// apply maps an asset of the connection "corp" with all sections on.
func apply(m *mapping.Map, a *asset.Asset, class string) record.Parts {
	return m.Apply(mapping.Input{Connection: "corp", Asset: a, Clean: asset.Cleanse(a), Class: class})
}

// windowsServer is a physical server with two adapters, one of them reported twice.
func windowsServer() *asset.Asset {
	return &asset.Asset{
		ID: 90001, Name: "FIN-DB-01", DNSName: "fin-db-01.corp.example.org", NetBIOS: "FIN-DB-01", Address: "192.0.2.17", Type: "HOST",
		BIOSSerial: "CZ3214ABCD", BIOSAssetTag: "A-1001", HardwareUUID: "4C4C4544-0042-3510-8052-B4C04F4E3332", TotalMemoryMB: 65536, CPUCount: 16,
		Modified: time.Date(2026, 3, 1, 4, 5, 6, 0, time.UTC),
		OS: asset.OperatingSystem{Name: "Microsoft Windows Server 2022 Datacenter 10.0.20348 64-Bit", Category1: "Windows", Category2: "Server",
			ProductName: "Windows Server", MarketVersion: "2022", Version: "10.0.20348", Update: "KB5034129", Architecture: "64-Bit"},
		Hardware:  asset.Hardware{Category1: "Computers", Category2: "Server", Manufacturer: "Dell Inc.", ProductName: "PowerEdge", Model: "R750"},
		Processor: asset.Processor{Description: "Intel(R) Xeon(R) Gold 6326 CPU @ 2.90GHz", SpeedMHz: 2900, CPUs: 32, CoresPerSocket: 16, ThreadsPerCore: 2},
		Interfaces: []asset.Interface{
			{Name: "Intel(R) Ethernet", MAC: "B4-96-91-00-00-01", IPv4: []string{"192.0.2.17"}, Netmask: "255.255.255.0", Gateway: "192.0.2.1"},
			{Name: "Intel(R) Ethernet", MAC: "b4:96:91:00:00:02", IPv4: []string{"198.51.100.17"}, IPv6: []string{"2001:db8::17", "fe80::1"}, Netmask: "255.255.255.0"},
			{Name: "Intel(R) Ethernet", MAC: "B4:96:91:00:00:01", IPv4: []string{"192.0.2.17"}},
		},
		Volumes: []asset.Volume{{Name: "C:", Size: 500107862016, Free: 120034123776}},
		Present: []asset.Section{asset.SectionOS, asset.SectionHardware, asset.SectionInterfaces, asset.SectionVolumes},
	}
}

func networkSwitch() *asset.Asset {
	return &asset.Asset{
		ID: 90002, Name: "sw-core-3", Address: "203.0.113.3", BIOSSerial: "FOC1234X0YZ",
		OS:         asset.OperatingSystem{Category1: "Network Operating System", ProductName: "Cisco IOS", Version: "15.2"},
		Hardware:   asset.Hardware{Category1: "Networking Device", Category2: "Switch", Manufacturer: "Cisco", ProductName: "Catalyst", Model: "9300"},
		Interfaces: []asset.Interface{{Name: "Vlan1", MAC: "00:1b:54:aa:bb:cc", IPv4: []string{"203.0.113.3"}, Netmask: "255.255.255.0"}},
		Present:    []asset.Section{asset.SectionInterfaces},
	}
}

func awsLinux() *asset.Asset {
	return &asset.Asset{
		ID: 90003, Name: "ip-10-0-1-7", DNSName: "ip-10-0-1-7.ec2.internal", Address: "10.0.1.7", BIOSSerial: "ec2f1a2b-0000-1111-2222-333344445555",
		OS:         asset.OperatingSystem{Category1: "Linux", Category2: "Server", ProductName: "Amazon Linux", Version: "2023", Architecture: "x86_64"},
		Hardware:   asset.Hardware{Category1: "Virtualized", Category2: "Virtual Machine", Manufacturer: "Amazon EC2", ProductName: "t3.large"},
		Interfaces: []asset.Interface{{Name: "eth0", MAC: "0a:ff:c1:00:00:07", IPv4: []string{"10.0.1.7"}, Netmask: "255.255.255.0"}},
		Cloud: asset.Cloud{Provider: asset.CloudAWS, InstanceID: "i-0aa11bb22cc33dd44", AccountID: "123456789012", Region: "us-east-1", Zone: "us-east-1a",
			State: "RUNNING", InstanceType: "t3.large", PrivateIP: "10.0.1.7"},
		Present: []asset.Section{asset.SectionCloud, asset.SectionInterfaces},
	}
}

// estate makes n servers with adapters; every fourth one runs in AWS.
func estate(n int) []*asset.Asset {
	out := make([]*asset.Asset, n)
	for i := range out {
		a := windowsServer()
		if i%4 == 0 {
			a = awsLinux()
			a.Cloud.InstanceID = fmt.Sprintf("i-%017d", i)
		}
		a.ID, a.Name, a.DNSName, a.NetBIOS = int64(1000+i), fmt.Sprintf("host-%04d", i), fmt.Sprintf("host-%04d.corp.example.org", i), ""
		a.BIOSSerial, a.HardwareUUID = fmt.Sprintf("SN%06dX", i), ""
		for k := range a.Interfaces {
			a.Interfaces[k].MAC = fmt.Sprintf("b4:96:91:%02x:%02x:%02x", k, i/256, i%256)
			a.Interfaces[k].IPv4 = []string{fmt.Sprintf("10.%d.%d.%d", k+1, i/250, i%250+1)}
		}
		out[i] = a
	}
	return out
}

// items returns all items of a record.
func items(p *record.Parts) []cmdb.Item {
	out := []cmdb.Item{*p.Native}
	out = append(out, p.Dependents...)
	return append(out, p.Shared...)
}

// ofClass returns the dependents of a class.
func ofClass(p *record.Parts, class string) []cmdb.Item {
	var out []cmdb.Item
	for _, it := range p.Dependents {
		if it.Class == class {
			out = append(out, it)
		}
	}
	return out
}
