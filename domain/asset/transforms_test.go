package asset_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
)

// table runs a transform over cases "raw → cleansed" and checks that cleansing
// twice changes nothing.
func table(t *testing.T, transform func(string) string, cases map[string]string) {
	t.Helper()
	for raw, want := range cases {
		got := transform(raw)
		require.Equal(t, want, got, "of %q", raw)
		require.Equal(t, got, transform(got), "of %q, cleansed twice", raw)
	}
}

func TestTextDropsWhatNobodySeesAndFitsAColumn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 300)
	table(t, asset.Text, map[string]string{
		"":                              "",
		"plain":                         "plain",
		" outer space\t":                "outer space",
		"a\x00b\r\nc\x7f":               "abc",
		"\ufeffBOM":                     "BOM",
		"zero\u200bwidth":               "zerowidth",
		"over\u202eride\u2066d":         "overrided",
		"broken \xff\xfeUTF-8":          "broken UTF-8",
		"O'Brien \"x\" ^ <script>":      "O'Brien \"x\" ^ <script>",
		"👩‍💻 laptop":                    "👩‍💻 laptop",
		long:                            long[:2*255],
		strings.Repeat("a", 254) + " b": strings.Repeat("a", 254),
		strings.Repeat("a", 255):        strings.Repeat("a", 255),
		"\u00a0non-breaking\u00a0":      "non-breaking",
	})
}

func TestSplitHostTellsShortNameFromDomain(t *testing.T) {
	t.Parallel()
	tests := []struct{ raw, short, full string }{
		{"host1", "host1", ""},
		{"HOST1", "host1", ""},
		{"HOST1.corp.local", "host1", "host1.corp.local"},
		{"host1.corp.local.", "host1", "host1.corp.local"},
		{" Host1.Corp.Local. .", "host1", "host1.corp.local"},
		{`\\HOST1`, "host1", ""},
		{"host_1-a", "host_1-a", ""},
		{"00417.corp.local", "00417", "00417.corp.local"},
		{"host1.", "host1", ""},
		{"host1..corp", "host1", ""},
		{"host1.corp..local", "host1", ""},
		{"host1.corp.local:8443", "host1", ""},
		{"HP LaserJet 4.2 in Bob's room", "hp laserjet 4.2 in bob's room", ""},
		{"Büro-PC.firma.de", "büro-pc", "büro-pc.firma.de"},
		{"<script>alert(1)</script>", "<script>alert(1)</script>", ""},
		{"app\u200b01", "app01", ""},
		{"ip-10-1-2-3.ec2.internal", "ip-10-1-2-3", "ip-10-1-2-3.ec2.internal"},

		{"00:1A:2B:3C:4D:5E", "00:1a:2b:3c:4d:5e", ""},
		{"00-1a-2b-3c-4d-5e", "00:1a:2b:3c:4d:5e", ""},
		{"001a.2b3c.4d5e", "00:1a:2b:3c:4d:5e", ""},
		{"ffff.ffff.ffff", "", ""},
		{"deadbeefcafe", "deadbeefcafe", ""},

		{"", "", ""},
		{"...", "", ""},
		{".corp.local", "", ""},
		{"10.20.30.41", "", ""},
		{"010.020.030.041", "", ""},
		{"10.20.30", "", ""},
		{"300.1.2.3", "", ""},
		{"10.20.30.41:8080", "", ""},
		{"10.20.30.0/24", "", ""},
		{"10.20.30.1-10.20.30.9", "", ""},
		{"fe80::1%eth0", "", ""},
		{"[2001:db8::1]:443", "", ""},
		{"2001:db8::/64", "", ""},
		{"localhost", "", ""},
		{"LOCALHOST.localdomain", "", ""},
		{"localhost6.localdomain6", "", ""},
		{"unknown", "", ""},
		{"(none)", "", ""},
		{"N/A", "", ""},
		{"raspberrypi.fritz.box", "", ""},
		{"Router", "", ""},
	}
	for _, tt := range tests {
		short, full := asset.SplitHost(tt.raw)
		require.Equal(t, [2]string{tt.short, tt.full}, [2]string{short, full}, "of %q", tt.raw)
	}
}

func TestSerialRefusesWhatFirmwareSaysWhenNobodySetOne(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"5B8QXM2":     "5B8QXM2",
		" 5B8QXM2 ":   "5B8QXM2",
		"PF-3X9K\x00": "PF-3X9K",
		"VMware-42 1a 5c 0e 11 22 33 44-55 66 77 88 99 aa bb cc": "VMware-42 1a 5c 0e 11 22 33 44-55 66 77 88 99 aa bb cc",
		"0000-0007-5082-8845-3377-2951-24":                       "0000-0007-5082-8845-3377-2951-24",
		"ec2f0a1b-2c3d-4e5f-6071-8293a4b5c6d7":                   "ec2f0a1b-2c3d-4e5f-6071-8293a4b5c6d7",
		"GoogleCloud-0123456789ABCDEF0123456789ABCDEF":           "GoogleCloud-0123456789ABCDEF0123456789ABCDEF",
		"0001":       "0001",
		"1234567891": "1234567891",
		"NONE4711":   "NONE4711",
	}
	for _, junk := range []string{
		"", " ", "0", "00", "1", "..", "None", "NONE", "n/a", "N.A.", "null", "Unknown", "Not Specified", "NotSpecified", "Not Available", "Not Applicable",
		"To be filled by O.E.M.", "To Be Filled By O.E.M. by More String", "ToBeFilledByOEM", "Filled By OEM", "Default string", "Default_String", "System Serial Number",
		"SystemSerialNumb", "Chassis Serial Number", "Serial Number", "O.E.M.", "OEM", "INVALID", "Undefined", "empty", "(none)", "<BAD INDEX>",
		"00000000", "0000-0000-0000", "xxxxxxx", "XXXxxx", "........", "-", "FFFFFFFF", "123456789", "1234567890", "0123456789", "12345678", "123456",
		"00000000-0000-0000-0000-000000000000", "03000200-0400-0500-0006-000700080009", "BSN12345678901234567", "\u200b\u200b\u200b\u200b",
	} {
		cases[junk] = ""
	}
	table(t, asset.Serial, cases)
}

func TestAssetTagRefusesJunkAndKeepsShortTags(t *testing.T) {
	t.Parallel()
	table(t, asset.AssetTag, map[string]string{
		"AT-00417": "AT-00417", " IT 42 ": "IT 42", "A1": "A1", "12": "12",
		"": "", "0": "", "0000": "", "No Asset Tag": "", "NoAssetTag": "", "Asset-1234567890": "", "No Asset Information": "", "To be filled by O.E.M.": "",
		"Default string": "", "Asset Tag": "", "Chassis Asset Tag": "", "N/A": "", "Not Specified": "", "1234567890": "",
	})
}

func TestUUIDIsLowerCaseAndNotABoardsDefault(t *testing.T) {
	t.Parallel()
	const set = "4c4c4544-0042-3510-8051-b4c04f4d4832"
	table(t, asset.UUID, map[string]string{
		set: set, strings.ToUpper(set): set, " " + set + " ": set, "{" + set + "}": set,
		"": "", "4c4c4544": "", "4c4c45440042351080-51b4c04f4d4832": "", "gc4c4544-0042-3510-8051-b4c04f4d4832": "",
		"00000000-0000-0000-0000-000000000000": "", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF": "",
		"03000200-0400-0500-0006-000700080009": "", "12345678-1234-5678-90AB-CDDEEFAABBCC": "",
	})
}

func TestMACIsCanonicalAndBelongsToOneMachine(t *testing.T) {
	t.Parallel()
	table(t, asset.MAC, map[string]string{
		"00:1A:2B:3C:4D:5E": "00:1a:2b:3c:4d:5e", "00-1a-2b-3c-4d-5e": "00:1a:2b:3c:4d:5e", "001a.2b3c.4d5e": "00:1a:2b:3c:4d:5e", "001A2B3C4D5E": "00:1a:2b:3c:4d:5e",
		"02:42:ac:11:00:02": "02:42:ac:11:00:02", // locally administered, yet of one machine
		"":                  "", "00:1a:2b:3c:4d": "", "00:1a:2b:3c:4d:5e:6f": "", "00:1a:2b:3c:4d:5g": "", "unknown": "",
		"00:00:00:00:00:00": "", "ff:ff:ff:ff:ff:ff": "", "01:00:5e:00:00:fb": "", "33:33:00:00:00:01": "", "80:00:00:00:00:00:00:00:00:00:00:00": "",
		"00:50:56:C0:00:08": "", "0a:00:27:00:00:00": "", "00:05:9a:3c:7a:00": "", "02-00-4C-4F-4F-50": "",
		"00:50:56:c0:00:09": "00:50:56:c0:00:09",
		"00:00:5e:00:01:0a": "", "00:00:5e:00:02:0a": "", "00:00:0c:07:ac:01": "", "00:00:0c:9f:f0:01": "", "00:07:b4:00:01:01": "",
		"00:00:0c:9f:e0:01": "00:00:0c:9f:e0:01",
	})
}

func TestIPIsCanonicalAndCanStandForAHost(t *testing.T) {
	t.Parallel()
	table(t, asset.IP, map[string]string{
		"10.20.30.41": "10.20.30.41", " 10.20.30.41 ": "10.20.30.41", "::ffff:10.20.30.41": "10.20.30.41", "203.0.113.9": "203.0.113.9",
		"2001:DB8:0:0:0:0:0:1": "2001:db8::1", "fd00::1": "fd00::1",
		"": "", "10.20.30": "", "10.20.30.256": "", "010.20.30.41": "", "host": "", "10.20.30.0/24": "", "10.0.0.1, 10.0.0.2": "",
		"0.0.0.0": "", "::": "", "127.0.0.1": "", "127.8.9.10": "", "::1": "", "169.254.10.20": "", "fe80::21a:2bff:fe3c:4d5e": "", "fe80::1%eth0": "",
		"224.0.0.251": "", "ff02::1": "", "255.255.255.255": "",
	})
}

func TestManufacturerHasOneSpellingPerMaker(t *testing.T) {
	t.Parallel()
	cases := map[string]string{"Raritan": "Raritan", "Canonical": "Canonical", "Hpx Instruments": "Hpx Instruments", "": "", "Unidentified": "", "To be filled by O.E.M.": "", "System manufacturer": "", "N/A": ""}
	for name, spellings := range map[string][]string{
		"Dell":                {"Dell", "DELL", "Dell Inc.", "Dell Computer Corporation", "Dell EMC"},
		"HP":                  {"HP", "HP Inc.", "Hewlett-Packard", "Hewlett Packard", "Hewlett-Packard Company", "hp"},
		"HPE":                 {"HPE", "Hewlett Packard Enterprise", "Hewlett-Packard Enterprise", "HP Enterprise"},
		"VMware":              {"VMware", "VMware, Inc.", "VMWARE"},
		"Lenovo":              {"LENOVO", "Lenovo Group Ltd."},
		"Cisco Systems":       {"Cisco", "Cisco Systems, Inc.", "CISCO SYSTEMS INC", "Cisco Meraki"},
		"Microsoft":           {"Microsoft Corporation", "Microsoft"},
		"IBM":                 {"IBM", "International Business Machines Corp."},
		"Amazon Web Services": {"Amazon EC2", "Amazon", "Amazon Web Services"},
		"Supermicro":          {"Supermicro", "Super Micro Computer, Inc.", "SUPERMICRO"},
		"ASUS":                {"ASUSTeK COMPUTER INC.", "ASUS"},
		"Juniper Networks":    {"Juniper", "Juniper Networks, Inc."},
		"F5 Networks":         {"F5", "F5, Inc.", "F5 Networks"},
		"Oracle":              {"Oracle Corporation", "Sun Microsystems, Inc."},
		"Parallels":           {"Parallels Software International Inc.", "Parallels"},
		"innotek GmbH":        {"innotek GmbH"},
		"APC":                 {"American Power Conversion Corp.", "APC"},
	} {
		for _, s := range spellings {
			cases[s] = name
		}
	}
	table(t, asset.Manufacturer, cases)
}

func TestOSWidthReadsWordsAndNotBuildNumbers(t *testing.T) {
	t.Parallel()
	tests := []struct{ architecture, name, want string }{
		{"64-Bit", "", "64"}, {"32-Bit", "", "32"}, {"64", "", "64"}, {"x86_64", "", "64"}, {"x86", "", "32"}, {"aarch64", "", "64"}, {"i686", "", "32"},
		{"", "Microsoft Windows Server 2019 Standard 10.0.17763 64-bit", "64"},
		{"", "Windows 10 Enterprise 64 bit Edition Version 1803", "64"},
		{"", "Microsoft Windows 7 32-bit 6.1.64", "32"},
		{"", "Windows 11 10.0.22631.6412", ""}, {"", "VMware ESXi 6.7.0 build-64", ""}, {"", "AIX 7.2", ""}, {"", "", ""},
		{"32-Bit", "Windows 10 64-bit", "32"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, asset.OSWidth(tt.architecture, tt.name), "of %q, %q", tt.architecture, tt.name)
	}
}

func TestVirtualMachinesAreToldFromHypervisorsAndMetal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		hardware asset.Hardware
		cloud    asset.CloudProvider
		want     bool
	}{
		{"a server of Dell", asset.Hardware{Category1: "Computers", Category2: "Server", Manufacturer: "Dell Inc.", ProductName: "PowerEdge", Model: "R640"}, "", false},
		{"nothing known", asset.Hardware{}, "", false},
		{"the category", asset.Hardware{Category1: "Virtualized", Category2: "Virtual Machine"}, "", true},
		{"the maker", asset.Hardware{Manufacturer: "VMware, Inc.", ProductName: "VMware7,1"}, "", true},
		{"QEMU", asset.Hardware{Manufacturer: "QEMU", ProductName: "Standard PC (Q35 + ICH9, 2009)"}, "", true},
		{"Parallels", asset.Hardware{Manufacturer: "Parallels Software International Inc."}, "", true},
		{"Hyper-V", asset.Hardware{Manufacturer: "Microsoft Corporation", ProductName: "Virtual Machine"}, "", true},
		{"a Surface", asset.Hardware{Manufacturer: "Microsoft Corporation", ProductName: "Surface Pro", Model: "9"}, "", false},
		{"VirtualBox", asset.Hardware{Manufacturer: "innotek GmbH", ProductName: "VirtualBox"}, "", true},
		{"Google", asset.Hardware{Manufacturer: "Google", ProductName: "Google Compute Engine"}, "", true},
		{"a machine on Nutanix", asset.Hardware{Manufacturer: "Nutanix", ProductName: "AHV"}, "", true},
		{"a Nutanix node", asset.Hardware{Manufacturer: "Nutanix", ProductName: "NX-3060-G7"}, "", false},
		{"a hypervisor", asset.Hardware{Category1: "Virtualized", Category2: "Hypervisor", Manufacturer: "Dell"}, "", false},
		{"a cloud", asset.Hardware{}, asset.CloudAWS, true},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, asset.Virtual(tt.hardware, asset.Cloud{Provider: tt.cloud}), tt.name)
	}
}
