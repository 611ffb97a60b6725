package classify_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/cmdb"
)

// trait is one fact about a golden asset.
type trait func(*asset.Asset)

// os sets the operating system: "category 1 / category 2" and the product.
func os(category, product string) trait {
	return func(a *asset.Asset) {
		a.OS.Category = category
		a.OS.Category1, a.OS.Category2, _ = strings.Cut(category, " / ")
		a.OS.ProductName = product
	}
}

// raw sets the name that a sensor reported.
func raw(name string) trait { return func(a *asset.Asset) { a.OS.Name = name } }

// hw sets the hardware: "category 1 / category 2", maker and product.
func hw(category, maker, product string) trait {
	return func(a *asset.Asset) {
		a.Hardware.Category = category
		a.Hardware.Category1, a.Hardware.Category2, _ = strings.Cut(category, " / ")
		a.Hardware.Manufacturer, a.Hardware.ProductName = maker, product
	}
}

func cloud(p asset.CloudProvider) trait {
	return func(a *asset.Asset) { a.Cloud = asset.Cloud{Provider: p, InstanceID: "i-0aa11bb22cc33dd44"} }
}

func role(r string) trait { return func(a *asset.Asset) { a.DomainRole = r } }

// anonymous takes the name away that golden assets have.
func anonymous(a *asset.Asset) { a.Name, a.Address = "", "10.9.8.7" }

func mac(s string) trait {
	return func(a *asset.Asset) { a.Interfaces = []asset.Interface{{MAC: s, IPv4: []string{"10.9.8.7"}}} }
}

func serial(s string) trait { return func(a *asset.Asset) { a.BIOSSerial = s } }

const (
	noOS = "Unidentified / Unidentified"
	noHW = "Unidentified / Unidentified"
	un   = "Unidentified"
)

type goldenCase struct {
	name, class, rule string
	traits            []trait
}

func of(name, class, rule string, traits ...trait) goldenCase {
	return goldenCase{name, class, rule, traits}
}

// golden holds assets of every kind that an estate has, with the class and the
// rule that must decide. Category strings are those of Qualys CSAM API v2.
var golden = append([]goldenCase{
	of("a Dell with ESXi is an ESX server", "cmdb_ci_esx_server", "esxi", os("Virtualization / Hypervisor", "ESXi"), raw("VMware ESXi 7.0.3 build-21686933"), hw("Computers / Server", "Dell", "PowerEdge")),
	of("the vSphere hypervisor is an ESX server", "cmdb_ci_esx_server", "esxi", os("Virtualization / Hypervisor", "VMware vSphere Hypervisor"), hw(noHW, "", un)),
	of("an old ESX is an ESX server", "cmdb_ci_esx_server", "esxi", os("Virtualization / Hypervisor", "VMware ESX"), hw("Computers / Blade Server", "HPE", "ProLiant")),
	of("ESXi known by its raw name only is an ESX server", "cmdb_ci_esx_server", "esxi-os-name", raw("ESXi 6.7.0")),
	of("a Hyper-V server is one", "cmdb_ci_hyper_v_server", "hyper-v", os("Virtualization / Hypervisor", "Hyper-V Server 2019"), hw("Computers / Server", "HPE", "ProLiant")),
	of("a Hyper-V server of the Windows family is one", "cmdb_ci_hyper_v_server", "hyper-v", os("Windows / Server", "Microsoft Hyper-V Server 2016"), hw("Computers / Server", "Dell", "PowerEdge")),
	of("Hyper-V known by its raw name only is a Hyper-V server", "cmdb_ci_hyper_v_server", "hyper-v-os-name", raw("Microsoft Hyper-V Server 2019 10.0.17763 64-bit")),
	of("another hypervisor is a virtualization server", "cmdb_ci_virtualization_server", "hypervisor-other", os("Virtualization / Hypervisor", "XenServer"), hw("Computers / Server", "Dell", "PowerEdge")),
	of("hypervisor hardware without a system is a virtualization server", "cmdb_ci_virtualization_server", "hypervisor-hardware", os(noOS, un), hw("Virtualized / Hypervisor", "VMware", un)),

	of("a router is a router", "cmdb_ci_ip_router", "router", os("Network Operating System / Switch/Router", "IOS XE"), hw("Networking Device / Router", "Cisco", "ISR")),
	of("a wireless router is a router", "cmdb_ci_ip_router", "router", os(noOS, un), hw("Networking Device / Wireless Router", "Netgear", "Nighthawk")),
	of("a switch is a switch", "cmdb_ci_ip_switch", "switch", os("Network Operating System / Switch/Router", "IOS"), hw("Networking Device / Switch", "Cisco", "Catalyst")),
	of("a switch in capitals is a switch", "cmdb_ci_ip_switch", "switch", os(noOS, un), hw("NETWORKING DEVICE / SWITCH", "JUNIPER", "EX")),
	of("a KVM switch is not a network switch", "cmdb_ci_unclassed_hardware", "has-name", os(noOS, un), hw("Peripherals / KVM Switch", "Raritan", "Dominion")),
	of("a Fortinet firewall is a firewall", "cmdb_ci_ip_firewall", "firewall", os("Network Operating System / Firewall", "FortiOS"), hw("Networking Device / Firewall Device", "Fortinet", "FortiGate")),
	of("a Palo Alto firewall is a firewall", "cmdb_ci_ip_firewall", "firewall", os("Network Operating System / Firewall", "PAN-OS"), hw("Networking Device / Firewall Device", "Palo Alto Networks", "PA-3200")),
	of("an F5 load balancer is a BIG-IP", "cmdb_ci_lb_bigip", "load-balancer-f5", os("Network Operating System / Load Balancer", "BIG-IP TMOS"), hw("Networking Device / Load Balancer", "F5 Networks", "BIG-IP")),
	of("an unidentified device of F5 is a BIG-IP", "cmdb_ci_lb_bigip", "load-balancer-f5", os("Linux / Unidentified", un), hw("Networking Device / Unidentified", "F5, Inc.", un)),
	of("another load balancer is a load balancer", "cmdb_ci_lb", "load-balancer", os(noOS, un), hw("Networking Device / Load Balancer", "Citrix", "NetScaler MPX")),
	of("an access point is one", "cmdb_ci_wap_network", "wireless-access-point", os(noOS, un), hw("Networking Device / Wireless Access Point", "Aruba", "500 Series")),
	of("a wireless controller is network gear", "cmdb_ci_netgear", "network-other", os("Network Operating System / Wireless", "IOS XE"), hw("Networking Device / Wireless LAN Controller", "Cisco", "Catalyst")),
	of("a VPN gateway is network gear", "cmdb_ci_netgear", "network-other", os("Linux / Server", "Linux"), hw("Networking Device / VPN Gateway", "Pulse Secure", "PSA")),
	of("a terminal server is network gear", "cmdb_ci_netgear", "network-other", os(noOS, un), hw("Networking Device / Terminal Server", "Lantronix", "SLC")),
	of("an unidentified network device is network gear", "cmdb_ci_netgear", "network-other", os(noOS, un), hw("Networking Device / Unidentified", "Juniper Networks", un)),
	of("a network system on unknown hardware is network gear", "cmdb_ci_netgear", "network-os", os("Network Operating System / Switch/Router", "Junos OS"), hw(noHW, "", un)),
	of("Cisco IOS known by its raw name only is network gear", "cmdb_ci_netgear", "network-os-name", os(noOS, un), raw("Cisco IOS Version 15.2(7)E4"), hw(noHW, "", un)),

	of("a multi-function printer is a printer", "cmdb_ci_printer", "printer", os("Firmware / Printer", "FutureSmart Firmware"), hw("Printers / Multi-Function Printer (MFP)", "HP", "Color LaserJet")),
	of("a laser printer is a printer", "cmdb_ci_printer", "printer", os(noOS, un), hw("Printers / Laser Printer", "Lexmark", "MS")),
	of("a label printer is a printer", "cmdb_ci_printer", "printer", os("Linux / Unidentified", un), hw("Printers / Label Printer", "Zebra", "ZT")),
	of("printer firmware on unknown hardware is a printer", "cmdb_ci_printer", "printer-os", os("Firmware / Printer", "FutureSmart Firmware"), hw(noHW, "", un)),
	of("a printer known by its raw name only is a printer", "cmdb_ci_printer", "printer-os-name", raw("HP JetDirect / HP LaserJet")),
	of("a desk phone is an IP phone", "cmdb_ci_ip_phone", "ip-phone", os(noOS, un), hw("Communication Device / IP Phone", "Cisco", "IP Phone")),
	of("a VoIP phone is an IP phone", "cmdb_ci_ip_phone", "ip-phone", os(noOS, un), hw("Communication Device / VoIP Phone", "Poly", "VVX")),
	of("a camera is an IP camera, not another audio-visual thing", "cmdb_ci_ip_camera", "ip-camera", os("Linux / Unidentified", un), hw("Audio Visual / IP Camera", "Axis Communications", "P Series")),
	of("a UPS is a UPS", "cmdb_ci_ups", "ups", os(noOS, un), hw("Power Supply / UPS", "APC", "Smart-UPS")),
	of("an uninterruptible power supply is a UPS", "cmdb_ci_ups", "ups", os(noOS, un), hw("Power / Uninterruptible Power Supply", "Eaton", "5PX")),
	of("a rack PDU is a PDU", "cmdb_ci_pdu", "pdu", os(noOS, un), hw("Power Supply / PDU", "APC", "Rack PDU")),
	of("a filer is a storage server", "cmdb_ci_storage_server", "storage", os("Storage Operating System / NAS", "ONTAP"), hw("Storage Devices / NAS", "NetApp", "FAS")),
	of("an array is a storage server", "cmdb_ci_storage_server", "storage", os("Linux / Server", "Linux"), hw("Storage Devices / SAN", "Dell", "Unity")),
	of("a storage system on unknown hardware is a storage server", "cmdb_ci_storage_server", "storage-os", os("Storage Operating System / NAS", "ONTAP"), hw(noHW, "", un)),
	of("an iPhone is a handheld", "cmdb_ci_handheld_computing", "mobile", os("Mobile / Phone", "iOS"), hw("Mobile / Smartphone", "Apple", "iPhone")),
	of("a Galaxy is a handheld", "cmdb_ci_handheld_computing", "mobile", os("Mobile / Phone", "Android"), hw("Mobile / Smartphone", "Samsung", "Galaxy")),
	of("an Android tablet is a handheld", "cmdb_ci_handheld_computing", "tablet", os("Mobile / Tablet", "Android"), hw("Computers / Tablet", "Samsung", "Galaxy Tab")),
	of("Android on unknown hardware is a handheld", "cmdb_ci_handheld_computing", "mobile-os", os("Mobile / Phone", "Android"), hw(noHW, "", un)),
	of("a thermostat is a thing", "cmdb_ci_iot", "iot", os("Embedded / RTOS", "VxWorks"), hw("Building Automation / Thermostat", "Honeywell", "T10")),
	of("a badge reader is a thing", "cmdb_ci_iot", "iot", os("Linux / Unidentified", un), hw("IoT / Access Control", "HID Global", "VertX")),
	of("a thing with the long category is a thing", "cmdb_ci_iot", "iot", os(noOS, un), hw("Internet of Things (IoT) / Sensor", "Bosch", un)),
	of("an infusion pump is a thing", "cmdb_ci_iot", "iot", os("Embedded / RTOS", "VxWorks"), hw("Medical / Infusion Pump", "B. Braun", "Infusomat")),
	of("a projector is a thing", "cmdb_ci_iot", "iot", os(noOS, un), hw("Audio Visual / Projector", "Epson", "EB")),
	of("a controller of a plant is a thing", "cmdb_ci_iot", "ot", os("Embedded / RTOS", "VxWorks"), hw("Industrial Control Systems / PLC", "Siemens", "SIMATIC")),
	of("operational technology with Windows is a thing", "cmdb_ci_iot", "ot", os("Windows / Client", "Windows 10"), hw("Operational Technology / HMI", "Siemens", "SIMATIC IPC")),
}, goldenHosts...)

var goldenHosts = []goldenCase{
	of("a Windows server is one", "cmdb_ci_win_server", "windows-server", os("Windows / Server", "Windows Server 2019"), hw("Computers / Server", "Dell", "PowerEdge")),
	of("a virtual Windows server is one", "cmdb_ci_win_server", "windows-server", os("Windows / Server", "Windows Server 2016"), hw("Virtualized / Virtual Machine", "VMware", "VMware Virtual Platform")),
	of("a Windows server in Azure is one", "cmdb_ci_win_server", "windows-server", os("Windows / Server", "Windows Server 2022"), hw("Virtualized / Cloud Instance", "Microsoft", "Azure Virtual Machine"), cloud(asset.CloudAzure)),
	of("a Windows server on a notebook is a server", "cmdb_ci_win_server", "windows-server", os("Windows / Server", "Windows Server 2012 R2"), hw("Computers / Notebook", "Lenovo", "ThinkPad")),
	of("a Windows server on unknown hardware is a server", "cmdb_ci_win_server", "windows-server", os("Windows / Server", "Windows Server 2003"), hw(noHW, "", un)),
	of("a Windows of unknown kind with a server's role is a server", "cmdb_ci_win_server", "windows-domain-server", os("Windows / Unidentified", "Windows"), role("Member Server"), hw(noHW, "", un)),
	of("a domain controller is a server", "cmdb_ci_win_server", "windows-domain-server", os("Windows / Unidentified", un), role("Primary Domain Controller"), hw(noHW, "", un)),
	of("a raw Windows Server is a server", "cmdb_ci_win_server", "windows-name-server", raw("Microsoft Windows Server 2019 Standard 10.0.17763 64-bit")),
	of("a raw Windows of a server year is a server", "cmdb_ci_win_server", "windows-name-server", os(noOS, un), raw("Windows 2008 R2 Enterprise Service Pack 1"), hw(noHW, "", un)),
	of("a raw Windows 10 is a computer", "cmdb_ci_computer", "windows-client-name", raw("Microsoft Windows 10 Enterprise 10.0.19045 64-bit N/A Build 19045")),
	of("a raw Windows XP is a computer", "cmdb_ci_computer", "windows-client-name", os(noOS, un), raw("Windows XP Service Pack 2-3"), hw(noHW, "", un)),

	of("a Linux server is one", "cmdb_ci_linux_server", "linux-server", os("Linux / Server", "Enterprise Linux 9"), hw("Computers / Server", "HPE", "ProLiant")),
	of("a Linux server in AWS is one", "cmdb_ci_linux_server", "linux-server", os("Linux / Server", "Linux 2023"), hw("Virtualized / Cloud Instance", "Amazon Web Services", un), cloud(asset.CloudAWS)),
	of("an unidentified Linux in AWS is a server", "cmdb_ci_linux_server", "linux-cloud", os("Linux / Unidentified", un), hw("Virtualized / Cloud Instance", "Amazon Web Services", un), cloud(asset.CloudAWS)),
	of("a Linux desktop system in GCP is a server", "cmdb_ci_linux_server", "linux-cloud", os("Linux / Client", "Ubuntu Desktop"), hw("Virtualized / Cloud Instance", "Google", "Google Compute Engine"), cloud(asset.CloudGCP)),
	of("an unidentified Linux on server hardware is a server", "cmdb_ci_linux_server", "linux-on-server-hardware", os("Linux / Unidentified", un), hw("Computers / Blade Server", "HPE", "ProLiant")),
	of("an unidentified Linux on a cloud instance is a server", "cmdb_ci_linux_server", "linux-unidentified", os("Linux / Unidentified", un), hw("Virtualized / Cloud Instance", "Amazon Web Services", un)),
	of("an unidentified Linux on unknown hardware is a server", "cmdb_ci_linux_server", "linux-unidentified", os("Linux / Unidentified", un), hw(noHW, "", un)),
	of("an unidentified Linux on a notebook is a computer", "cmdb_ci_computer", "client-hardware", os("Linux / Unidentified", un), hw("Computers / Notebook", "Dell", "Latitude")),
	of("a Linux desktop is a computer", "cmdb_ci_computer", "client", os("Linux / Client", "Ubuntu Desktop"), hw("Computers / Desktop", "Dell", "OptiPlex")),
	of("a raw Linux is a server", "cmdb_ci_linux_server", "linux-name", raw("Amazon Linux 2"), hw("", "Xen", "HVM domU")),
	of("a raw CentOS is a server", "cmdb_ci_linux_server", "linux-name", raw("CentOS 7.9.2009")),

	of("AIX is an AIX server", "cmdb_ci_aix_server", "aix", os("Unix / Server", "AIX"), hw("Computers / Server", "IBM", "Power Systems")),
	of("a raw AIX is an AIX server", "cmdb_ci_aix_server", "aix-name", raw("AIX 7.2")),
	of("Solaris is a Solaris server", "cmdb_ci_solaris_server", "solaris", os("Unix / Server", "Solaris"), hw("Computers / Server", "Oracle", "SPARC")),
	of("SunOS is a Solaris server", "cmdb_ci_solaris_server", "solaris", os("Unix / Server", "SunOS"), hw(noHW, "", un)),
	of("a raw Solaris is a Solaris server", "cmdb_ci_solaris_server", "solaris-name", raw("Oracle Solaris 11.4")),
	of("HP-UX is an HP-UX server", "cmdb_ci_hpux_server", "hp-ux", os("Unix / Server", "HP-UX"), hw("Computers / Server", "HPE", "Integrity")),
	of("a raw HP-UX is an HP-UX server", "cmdb_ci_hpux_server", "hp-ux-name", raw("HP-UX B.11.31")),
	of("FreeBSD is a Unix server", "cmdb_ci_unix_server", "unix-server", os("Unix / Server", "FreeBSD"), hw("Computers / Server", "Supermicro", un)),
	of("an unidentified Unix is a Unix server", "cmdb_ci_unix_server", "unix-server", os("Unix / Unidentified", un), hw(noHW, "", un)),
	of("a raw FreeBSD is a Unix server", "cmdb_ci_unix_server", "unix-name", raw("FreeBSD 13.2-RELEASE")),
	of("a Mac server is one", "cmdb_ci_osx_server", "macos-server", os("Mac / Server", "Mac OS X Server"), hw("Computers / Server", "Apple", "Xserve")),
	of("a raw macOS is a computer", "cmdb_ci_computer", "macos-name", raw("macOS 14.5 (23F79)")),

	of("a Windows notebook is a computer", "cmdb_ci_computer", "client", os("Windows / Client", "Windows 11"), hw("Computers / Notebook", "Dell", "Latitude")),
	of("a workstation in a domain is a computer", "cmdb_ci_computer", "client", os("Windows / Client", "Windows 10"), role("Member Workstation"), hw("Computers / Desktop", "HP", "EliteDesk")),
	of("a Windows tablet is a computer", "cmdb_ci_computer", "client", os("Windows / Client", "Windows 11"), hw("Computers / Tablet", "Microsoft", "Surface Pro")),
	of("a Windows client on server hardware is a computer", "cmdb_ci_computer", "client", os("Windows / Client", "Windows 10"), hw("Computers / Server", "Dell", "PowerEdge")),
	of("a MacBook is a computer", "cmdb_ci_computer", "client", os("Mac / Client", "macOS Sonoma"), hw("Computers / Notebook", "Apple", "MacBook Pro")),
	of("a thin client without a known system is a computer", "cmdb_ci_computer", "client-hardware", os(noOS, un), hw("Computers / Thin Client", "Dell", "Wyse")),
	of("a mini PC without a known system is a computer", "cmdb_ci_computer", "client-hardware", os("Not Applicable / Not Applicable", un), hw("Computers / Mini PC", "Intel", "NUC")),
	of("an all-in-one without a known system is a computer", "cmdb_ci_computer", "client-hardware", os(noOS, un), hw("Computers / All-in-One", "Apple", "iMac")),

	of("server hardware without a known system is a server", "cmdb_ci_server", "server-hardware", os(noOS, un), hw("Computers / Server", "Dell", "PowerEdge")),
	of("a chassis is a server", "cmdb_ci_server", "server-hardware", os(noOS, un), hw("Computers / Chassis", "HPE", "BladeSystem")),
	of("a server's role without a known system is a server", "cmdb_ci_server", "server-role", os(noOS, un), role("Member Server"), hw(noHW, "", un)),
	of("a cloud instance without a known system is a server", "cmdb_ci_server", "cloud-instance", os(noOS, un), hw("Virtualized / Cloud Instance", "Amazon Web Services", un), cloud(asset.CloudAWS)),
	of("an unidentified computer is a computer", "cmdb_ci_computer", "computer-hardware", os(noOS, un), hw("Computers / Unidentified", "Acer", un)),
	of("a virtual machine without a known system is a computer", "cmdb_ci_computer", "computer-hardware", os(noOS, un), hw("Virtualized / Virtual Machine", "VMware", "VMware Virtual Platform")),
	of("a Windows of unknown kind is a computer", "cmdb_ci_computer", "has-os", os("Windows / Unidentified", "Windows"), hw(noHW, "", un)),
	of("a Mac of unknown kind is a computer", "cmdb_ci_computer", "has-os", os("Mac / Unidentified", "macOS"), hw(noHW, "", un)),
	of("a mainframe known by its raw name is a computer", "cmdb_ci_computer", "has-os-name", raw("IBM z/OS 02.04.00")),

	of("an embedded system alone is no computer", "cmdb_ci_unclassed_hardware", "has-name", os("Embedded / RTOS", "VxWorks"), hw(noHW, "", un)),
	of("firmware alone is no computer", "cmdb_ci_unclassed_hardware", "has-name", os("Firmware / Controller", "iLO 5"), hw(noHW, "HPE", un)),
	of("a thing that has a name only is unclassed", "cmdb_ci_unclassed_hardware", "has-name"),
	of("hardware that does not apply is unclassed", "cmdb_ci_unclassed_hardware", "has-name", os("Not Applicable / Not Applicable", un), hw("Not Applicable / Not Applicable", "", un)),
	of("a thing that has a MAC only is unclassed", "cmdb_ci_unclassed_hardware", "has-mac", anonymous, mac("00:1A:2B:3C:4D:5E"), os(noOS, un), hw(noHW, "", un)),
	of("a thing that has a serial number only is unclassed", "cmdb_ci_unclassed_hardware", "has-serial", anonymous, serial("5B8QXM2")),
	of("a thing that has a cloud id only is unclassed", "cmdb_ci_unclassed_hardware", "has-cloud-id", anonymous, cloud(asset.CloudNone)),
	of("an address alone is skipped", "", "", anonymous, os(noOS, un), hw(noHW, "", un)),
	of("an address with a junk serial and a zero MAC is skipped", "", "", anonymous, serial("To be filled by O.E.M."), mac("00:00:00:00:00:00")),
	of("a Windows server known by its address only is skipped", "", "", anonymous, os("Windows / Server", "Windows Server 2019"), hw("Computers / Server", "Dell", "PowerEdge")),
}

// inputs builds what the rules see of a golden asset.
func inputs(traits ...trait) classify.Inputs {
	a := &asset.Asset{ID: 20345678, Name: "APP01"}
	for _, t := range traits {
		t(a)
	}
	return classify.InputsOf(a, asset.Cleanse(a))
}

func mustCompile(t testing.TB, tables classify.Tables) *classify.Set {
	t.Helper()
	s, err := classify.Compile(tables)
	require.NoError(t, err)
	return s
}

func TestGoldenAssetsGetTheExpectedClassFromTheExpectedRule(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, classify.Default())
	require.GreaterOrEqual(t, len(golden), 100)
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := inputs(c.traits...)
			got := set.Classify(&in, classify.Options{})
			want := classify.Decision{Class: c.class, Rule: c.rule, Table: got.Table}
			if c.class == "" {
				want = classify.Decision{Skip: asset.NoIdentity}
			}
			require.Empty(t, cmp.Diff(want, got))
		})
	}
}

func TestEveryDefaultRuleDecidesAGoldenAssetAndNamesAKnownClass(t *testing.T) {
	t.Parallel()
	decided := map[string]bool{}
	for _, c := range golden {
		decided[c.rule] = true
	}
	d := classify.Default()
	for _, rules := range [][]classify.Rule{d.Hardware, d.Computer, d.Fallback} {
		for _, r := range rules {
			require.True(t, decided[r.ID], "no golden asset is decided by rule %s: add one, or delete the rule that nothing reaches", r.ID)
			require.True(t, cmdb.KnownClass(r.Class), "rule %s: class %s is not in the class hierarchy", r.ID, r.Class)
		}
	}
}
