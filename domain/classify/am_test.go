package classify_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/cmdb"
)

func volumes(a *asset.Asset) { a.Volumes = []asset.Volume{{Name: "/", Size: 1 << 30}} }

func processor(a *asset.Asset) { a.Processor.Description = "Intel(R) Xeon(R) Platinum 8259CL" }

// goldenAM holds assets as the Asset Management & Tagging API knows them.
var goldenAM = []goldenCase{
	of("ESXi is an ESX server", "cmdb_ci_esx_server", "am-esxi", raw("VMware ESXi 7.0 Update 3")),
	of("a Hyper-V server is one", "cmdb_ci_hyper_v_server", "am-hyper-v", raw("Microsoft Hyper-V Server 2019 10.0.17763 64-bit")),
	of("XenServer is a virtualization server", "cmdb_ci_virtualization_server", "am-hypervisor", raw("Citrix XenServer 7.6")),
	of("FortiOS runs firewalls", "cmdb_ci_ip_firewall", "am-firewall", raw("Fortinet FortiOS 7.2.5")),
	of("a Cisco ASA is a firewall", "cmdb_ci_ip_firewall", "am-firewall", raw("Cisco ASA 9.16")),
	of("TMOS runs BIG-IP", "cmdb_ci_lb_bigip", "am-load-balancer-f5", raw("F5 Networks BIG-IP TMOS 16.1.4")),
	of("NetScaler is a load balancer", "cmdb_ci_lb", "am-load-balancer", raw("Citrix NetScaler NS13.0")),
	of("NX-OS runs switches", "cmdb_ci_ip_switch", "am-switch", raw("Cisco NX-OS 9.3(8)")),
	of("an Aironet is an access point", "cmdb_ci_wap_network", "am-access-point", raw("Cisco Aironet 2800")),
	of("IOS XR runs routers", "cmdb_ci_ip_router", "am-router", raw("Cisco IOS XR 7.3.2")),
	of("IOS runs routers and switches", "cmdb_ci_netgear", "am-network", raw("Cisco IOS 15.2(7)E4")),
	of("IOS XE runs routers and switches", "cmdb_ci_netgear", "am-network", raw("Cisco IOS XE 17.9.4a")),
	of("FutureSmart runs printers", "cmdb_ci_printer", "am-printer", raw("HP FutureSmart Firmware")),
	of("an IP phone is one", "cmdb_ci_ip_phone", "am-ip-phone", raw("Cisco IP Phone 8841")),
	of("a camera is one", "cmdb_ci_ip_camera", "am-ip-camera", raw("AXIS M3045 Network Camera")),
	of("a UPS is one", "cmdb_ci_ups", "am-ups", raw("APC Smart-UPS Network Management Card")),
	of("a PDU is one", "cmdb_ci_pdu", "am-pdu", raw("Raritan PDU 3.5")),
	of("ONTAP runs storage", "cmdb_ci_storage_server", "am-storage", raw("NetApp Data ONTAP 9.8")),
	of("Android runs handhelds", "cmdb_ci_handheld_computing", "am-mobile", raw("Google Android 14")),
	of("VxWorks runs devices", "cmdb_ci_iot", "am-iot", raw("VxWorks 6.9")),

	of("a guess between client and server is a computer", "cmdb_ci_computer", "am-windows-ambiguous", raw("Windows Server 2008 R2 / Windows 7")),
	of("a guess between servers is a server", "cmdb_ci_win_server", "am-windows-server", raw("Windows Server 2016/2019")),
	of("Windows 11 is a client", "cmdb_ci_computer", "am-windows-client", raw("Microsoft Windows 11 Enterprise 23H2 64-bit")),
	of("a long-term version of a client names a year", "cmdb_ci_computer", "am-windows-client", raw("Windows 10 Enterprise 2016 LTSB 64 bit Edition")),
	of("Windows 2000 Professional is a client", "cmdb_ci_computer", "am-windows-client", raw("Windows 2000 Professional Service Pack 4")),
	of("Windows Server is a server", "cmdb_ci_win_server", "am-windows-server", raw("Microsoft Windows Server 2022 Datacenter 21H2 64-bit")),
	of("a Windows server without the word is a server", "cmdb_ci_win_server", "am-windows-server", raw("Windows 2012 R2 Standard")),
	of("another Windows is a computer", "cmdb_ci_computer", "am-windows", raw("Windows NT 4.0")),
	of("Linux in a cloud is a server", "cmdb_ci_linux_server", "am-linux-cloud", raw("Amazon Linux 2"), cloud(asset.CloudAWS)),
	of("Windows in a cloud keeps its class", "cmdb_ci_win_server", "am-windows-server", raw("Windows Server 2019"), cloud(asset.CloudAzure)),
	of("a Linux workstation is a computer", "cmdb_ci_computer", "am-linux-client", raw("Red Hat Enterprise Linux Workstation 7.9")),
	of("a distribution is a server", "cmdb_ci_linux_server", "am-linux-distribution", raw("Canonical Ubuntu 22.04 LTS")),
	of("Linux with volumes is a server", "cmdb_ci_linux_server", "am-linux-volumes", raw("Linux 5.10"), volumes),
	of("Linux with a processor is a server", "cmdb_ci_linux_server", "am-linux-processor", raw("Linux 5.10"), processor),
	of("Linux that nobody logged in to may be a phone", "cmdb_ci_unclassed_hardware", "has-name", raw("Linux 2.4-2.6/3.x")),
	of("Linux without a version may be a camera", "cmdb_ci_unclassed_hardware", "has-name", raw("Linux")),
	of("AIX is AIX", "cmdb_ci_aix_server", "am-aix", raw("IBM AIX 7.2")),
	of("Solaris is Solaris", "cmdb_ci_solaris_server", "am-solaris", raw("Oracle Solaris 11.4")),
	of("HP-UX is HP-UX", "cmdb_ci_hpux_server", "am-hp-ux", raw("HPE HP-UX 11i v3")),
	of("FreeBSD is a Unix server", "cmdb_ci_unix_server", "am-unix", raw("FreeBSD 13.2")),
	of("a Mac server is one", "cmdb_ci_osx_server", "am-macos-server", raw("Mac OS X Server 10.6")),
	of("a Mac is a computer", "cmdb_ci_computer", "am-macos", raw("Apple macOS Sonoma 14.5")),
	of("an unknown system in a cloud is a server", "cmdb_ci_server", "am-cloud-instance", cloud(asset.CloudGCP)),
	of("volumes without a system are a computer's", "cmdb_ci_computer", "am-volumes", volumes),
	of("a processor without a system is a computer's", "cmdb_ci_computer", "am-processor", processor),
	of("another system is a computer's", "cmdb_ci_computer", "am-has-os", raw("Haiku R1")),
	of("an unidentified system says nothing", "cmdb_ci_unclassed_hardware", "has-name", raw(un)),
	of("firmware alone says nothing", "cmdb_ci_unclassed_hardware", "has-name", raw("Acme Firmware 1.0")),
	of("a name alone is unclassed hardware", "cmdb_ci_unclassed_hardware", "has-name"),
	of("a MAC address alone is unclassed hardware", "cmdb_ci_unclassed_hardware", "has-mac", anonymous, mac("00:50:56:aa:bb:01")),
	of("a serial number alone is unclassed hardware", "cmdb_ci_unclassed_hardware", "has-serial", anonymous, serial("VMware-42 1a 2b")),
}

func TestAssetsOfAssetManagementGetTheirClassByNameVolumesProcessorAndCloud(t *testing.T) {
	t.Parallel()
	rules := mustCompile(t, classify.DefaultAM())
	for _, c := range goldenAM {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := &asset.Asset{ID: 1, Name: "golden"}
			for _, f := range c.traits {
				f(a)
			}
			in := classify.InputsOf(a, asset.Cleanse(a))
			got := rules.Classify(&in, classify.Options{})
			require.Equal(t, [2]string{c.class, c.rule}, [2]string{got.Class, got.Rule})
		})
	}
}

func TestEveryRuleOfAssetManagementDecidesAGoldenAssetAndNamesAKnownClass(t *testing.T) {
	t.Parallel()
	decided := map[string]bool{"has-cloud-id": true} // a provider comes with the id; the rule is for sources that forget it
	for _, c := range goldenAM {
		decided[c.rule] = true
	}
	d := classify.DefaultAM()
	for _, rules := range [][]classify.Rule{d.Hardware, d.Computer, d.Fallback} {
		for _, r := range rules {
			require.True(t, decided[r.ID], "no golden asset is decided by rule %s", r.ID)
			require.True(t, cmdb.KnownClass(r.Class), "rule %s: class %s is not in the class hierarchy", r.ID, r.Class)
		}
	}
}

func TestRulesOfAssetManagementAskOnlyForWhatItGives(t *testing.T) {
	t.Parallel()
	given := map[string]bool{"operatingSystem.name": true, "volumes": true, "processor": true, "cloud.provider": true}
	d := classify.DefaultAM()
	for _, r := range append(d.Hardware, d.Computer...) {
		for _, c := range r.When {
			require.True(t, given[c.Field], "rule %s asks for %s", r.ID, c.Field)
		}
	}
}

func TestOneConfigurationChangesTheRulesOfBothAPIs(t *testing.T) {
	t.Parallel()
	over := classify.Tables{
		Hardware: []classify.Rule{{ID: "router", Active: ptr(false)}, {ID: "am-router", Active: ptr(false)}, named("mine", 1, "cmdb_ci_printer")},
		Fallback: []classify.Rule{{ID: "has-name", Class: "cmdb_ci_hardware"}},
	}
	active := func(rules []classify.Rule) map[string]bool {
		out := map[string]bool{}
		for _, r := range rules {
			if r.ID == "router" || r.ID == "am-router" || r.ID == "mine" {
				out[r.ID] = r.Active == nil || *r.Active
			}
		}
		return out
	}
	for api, want := range map[string]map[string]bool{
		"":             {"router": false, "mine": true},
		"csam":         {"router": false, "mine": true},
		classify.APIAM: {"am-router": false, "mine": true},
	} {
		got := classify.For(api, over)
		_, err := classify.Compile(got)
		require.NoError(t, err, api)
		require.Empty(t, cmp.Diff(want, active(got.Hardware)), api)
		require.Equal(t, "cmdb_ci_hardware", got.Fallback[0].Class, api)
	}
	require.Len(t, over.Hardware, 3, "the configuration itself stays as it is")
}
