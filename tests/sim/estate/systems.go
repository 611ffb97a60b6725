package estate

// OS is an operating system as the vendor's catalogue normalises it (Qualys CSAM API v2, operatingSystem).
type OS struct {
	Raw, Full                             string
	Category1, Category2                  string
	Product, Publisher, Edition, Market   string
	Version, Update, Architecture, Family string
	GA, EOL, EOS, Stage                   string
	head, tail                            []byte
}

// Category is the two levels in one string.
func (o *OS) Category() string { return o.Category1 + " / " + o.Category2 }

// systems returns the operating systems by key. Labels that no public sample confirms are the plausible ones of the
// vendor's two-level taxonomy.
func systems() map[string]*OS {
	const na, x64 = "Not Announced", "64-Bit"
	return map[string]*OS{
		"win2012": {Raw: "Microsoft Windows Server 2012 R2 Standard 64 bit Edition", Full: "Microsoft Windows Server 2012 R2 Standard 64-bit", Category1: "Windows", Category2: "Server", Product: "Windows Server 2012 R2", Publisher: "Microsoft", Edition: "Standard", Market: "2012", Version: "6.3", Update: "R2", Architecture: x64, Family: "Windows Server", GA: "2013-11-25", EOL: "2018-10-09", EOS: "2023-10-10", Stage: "EOL/EOS"},
		"win2016": {Raw: "Microsoft Windows Server 2016 Standard 10.0.14393 64-bit", Full: "Microsoft Windows Server 2016 Standard 1607 64-bit", Category1: "Windows", Category2: "Server", Product: "Windows Server 2016", Publisher: "Microsoft", Edition: "Standard", Market: "2016", Version: "1607", Architecture: x64, Family: "Windows Server", GA: "2016-10-15", EOL: "2022-01-11", EOS: "2027-01-12", Stage: "EOL"},
		"win2019": {Raw: "Microsoft Windows Server 2019 Standard 10.0.17763 64-bit", Full: "Microsoft Windows Server 2019 Standard 1809 64-bit", Category1: "Windows", Category2: "Server", Product: "Windows Server 2019", Publisher: "Microsoft", Edition: "Standard", Market: "2019", Version: "1809", Architecture: x64, Family: "Windows Server", GA: "2018-11-13", EOL: "2024-01-09", EOS: "2029-01-09", Stage: "EOL"},
		"win2022": {Raw: "Microsoft Windows Server 2022 Datacenter 10.0.20348 64-bit", Full: "Microsoft Windows Server 2022 Datacenter 21H2 64-bit", Category1: "Windows", Category2: "Server", Product: "Windows Server 2022", Publisher: "Microsoft", Edition: "Datacenter", Market: "2022", Version: "21H2", Architecture: x64, Family: "Windows Server", GA: "2021-08-18", EOL: "2026-10-13", EOS: "2031-10-14", Stage: "GA"},
		"hyperv":  {Raw: "Microsoft Hyper-V Server 2019 10.0.17763 64-bit", Full: "Microsoft Hyper-V Server 2019 64-bit", Category1: "Virtualization", Category2: "Hypervisor", Product: "Hyper-V Server 2019", Publisher: "Microsoft", Market: "2019", Version: "1809", Architecture: x64, Family: "Hyper-V Server", GA: "2019-06-15", EOL: "2024-01-09", EOS: "2029-01-09", Stage: "EOL"},
		"win10":   {Raw: "Microsoft Windows 10 Enterprise 10.0.19045 64-bit N/A Build 19045", Full: "Microsoft Windows 10 Enterprise 22H2 64-bit", Category1: "Windows", Category2: "Client", Product: "Windows 10", Publisher: "Microsoft", Edition: "Enterprise", Market: "10", Version: "22H2", Architecture: x64, Family: "Windows", GA: "2022-10-18", EOL: "2025-10-14", EOS: "2025-10-14", Stage: "EOL/EOS"},
		"win11":   {Raw: "Microsoft Windows 11 Enterprise 10.0.22631 64-bit N/A Build 22631", Full: "Microsoft Windows 11 Enterprise 23H2 64-bit", Category1: "Windows", Category2: "Client", Product: "Windows 11", Publisher: "Microsoft", Edition: "Enterprise", Market: "11", Version: "23H2", Architecture: x64, Family: "Windows", GA: "2023-10-31", EOL: "2026-11-10", EOS: "2026-11-10", Stage: "GA"},
		"rhel7":   {Raw: "Red Hat Enterprise Linux Server 7.9", Full: "Red Hat Enterprise Linux Server 7.9", Category1: "Linux", Category2: "Server", Product: "Enterprise Linux Server 7", Publisher: "Red Hat", Market: "7", Version: "7.9", Architecture: x64, Family: "Enterprise Linux", GA: "2020-09-29", EOL: "2024-06-30", EOS: "2028-06-30", Stage: "EOL"},
		"rhel8":   {Raw: "Red Hat Enterprise Linux 8.10", Full: "Red Hat Enterprise Linux 8.10", Category1: "Linux", Category2: "Server", Product: "Enterprise Linux 8", Publisher: "Red Hat", Market: "8", Version: "8.10", Architecture: x64, Family: "Enterprise Linux", GA: "2024-05-22", EOL: "2029-05-31", EOS: "2032-05-31", Stage: "GA"},
		"rhel9":   {Raw: "Red Hat Enterprise Linux 9.4", Full: "Red Hat Enterprise Linux 9.4", Category1: "Linux", Category2: "Server", Product: "Enterprise Linux 9", Publisher: "Red Hat", Market: "9", Version: "9.4", Architecture: x64, Family: "Enterprise Linux", GA: "2024-04-30", EOL: "2032-05-31", EOS: "2035-05-31", Stage: "GA"},
		"ubuntu":  {Raw: "Ubuntu Linux 22.04.4", Full: "Canonical Ubuntu 22.04 LTS", Category1: "Linux", Category2: "Server", Product: "Ubuntu", Publisher: "Canonical", Edition: "LTS", Market: "22.04", Version: "22.04.4", Architecture: x64, Family: "Ubuntu", GA: "2022-04-21", EOL: "2027-04-01", EOS: "2032-04-01", Stage: "GA"},
		"debian":  {Raw: "Debian Linux 12.5", Full: "Debian GNU/Linux 12.5", Category1: "Linux", Category2: "Server", Product: "Debian GNU/Linux", Publisher: "Debian", Market: "12", Version: "12.5", Architecture: x64, Family: "Debian", GA: "2023-06-10", EOL: "2026-06-10", EOS: "2028-06-30", Stage: "GA"},
		"sles":    {Raw: "SUSE Linux Enterprise Server 15 SP5", Full: "SUSE Linux Enterprise Server 15 SP5", Category1: "Linux", Category2: "Server", Product: "Linux Enterprise Server 15", Publisher: "SUSE", Market: "15", Version: "15.5", Update: "SP5", Architecture: x64, Family: "Linux Enterprise", GA: "2023-06-20", EOL: "2024-12-31", EOS: "2027-12-31", Stage: "EOL"},
		"oracle":  {Raw: "Oracle Enterprise Linux 8.9", Full: "Oracle Linux 8.9", Category1: "Linux", Category2: "Server", Product: "Oracle Linux 8", Publisher: "Oracle", Market: "8", Version: "8.9", Architecture: x64, Family: "Oracle Linux", GA: "2023-11-21", EOL: "2029-07-01", EOS: na, Stage: "GA"},
		"amazon":  {Raw: "Amazon Linux 2023.4", Full: "Amazon Linux 2023", Category1: "Linux", Category2: "Server", Product: "Linux 2023", Publisher: "Amazon", Market: "2023", Version: "2023.4", Architecture: x64, Family: "Linux", GA: "2023-03-15", EOL: "2028-03-15", EOS: na, Stage: "GA"},
		"ubuntud": {Raw: "Ubuntu Linux 24.04", Full: "Canonical Ubuntu Desktop 24.04 LTS", Category1: "Linux", Category2: "Client", Product: "Ubuntu Desktop", Publisher: "Canonical", Edition: "Desktop", Market: "24.04", Version: "24.04", Architecture: x64, Family: "Ubuntu", GA: "2024-04-25", EOL: "2029-05-31", EOS: na, Stage: "GA"},
		"linux":   {Raw: "Linux 2.4-2.6 / Embedded Device / F5 Networks Big-IP", Full: "Linux", Category1: "Linux", Category2: "Unidentified", Product: "Unidentified", Publisher: "Unidentified", Stage: "Unknown"},
		"macos":   {Raw: "macOS 14.5 (23F79)", Full: "Apple macOS Sonoma 14.5", Category1: "Mac", Category2: "Client", Product: "macOS Sonoma", Publisher: "Apple", Market: "14", Version: "14.5", Architecture: x64, Family: "macOS", GA: "2024-05-13", EOL: na, EOS: na, Stage: "GA"},
		"macsrv":  {Raw: "Mac OS X Server 10.6.8", Full: "Apple Mac OS X Server 10.6.8", Category1: "Mac", Category2: "Server", Product: "Mac OS X Server", Publisher: "Apple", Edition: "Server", Market: "10.6", Version: "10.6.8", Architecture: x64, Family: "Mac OS X", GA: "2011-06-23", EOL: "2014-02-25", EOS: "2014-02-25", Stage: "EOL/EOS"},
		"aix":     {Raw: "AIX 7.2", Full: "IBM AIX 7.2 TL5", Category1: "Unix", Category2: "Server", Product: "AIX", Publisher: "IBM", Market: "7", Version: "7.2", Update: "TL5", Architecture: x64, Family: "AIX", GA: "2020-11-13", EOL: na, EOS: na, Stage: "GA"},
		"solaris": {Raw: "Oracle Solaris 11.4", Full: "Oracle Solaris 11.4", Category1: "Unix", Category2: "Server", Product: "Solaris", Publisher: "Oracle", Market: "11", Version: "11.4", Architecture: x64, Family: "Solaris", GA: "2018-08-28", EOL: "2031-11-30", EOS: "2034-11-30", Stage: "GA"},
		"hpux":    {Raw: "HP-UX B.11.31", Full: "HPE HP-UX 11i v3", Category1: "Unix", Category2: "Server", Product: "HP-UX", Publisher: "HPE", Market: "11i", Version: "11.31", Architecture: x64, Family: "HP-UX", GA: "2007-02-15", EOL: "2025-12-31", EOS: "2028-12-31", Stage: "EOL"},
		"freebsd": {Raw: "FreeBSD 13.2-RELEASE", Full: "FreeBSD 13.2", Category1: "Unix", Category2: "Server", Product: "FreeBSD", Publisher: "FreeBSD", Market: "13", Version: "13.2", Architecture: x64, Family: "FreeBSD", GA: "2023-04-11", EOL: "2024-06-30", EOS: "2024-06-30", Stage: "EOL/EOS"},
		"esxi":    {Raw: "VMware ESXi 7.0.3 build-21686933", Full: "VMware ESXi 7.0 Update 3", Category1: "Virtualization", Category2: "Hypervisor", Product: "ESXi", Publisher: "VMware", Market: "7.0", Version: "7.0.3", Update: "3", Architecture: x64, Family: "vSphere", GA: "2021-10-05", EOL: "2025-10-02", EOS: "2027-04-02", Stage: "EOL"},
		"ios":     {Raw: "Cisco IOS Version 15.2(7)E4", Full: "Cisco IOS 15.2(7)E4", Category1: "Network Operating System", Category2: "Switch/Router", Product: "IOS", Publisher: "Cisco", Market: "15", Version: "15.2(7)E4", Family: "IOS", GA: "2021-03-26", EOL: na, EOS: na, Stage: "GA"},
		"iosxe":   {Raw: "Cisco IOS-XE Version 17.09.04a", Full: "Cisco IOS XE 17.9.4a", Category1: "Network Operating System", Category2: "Switch/Router", Product: "IOS XE", Publisher: "Cisco", Market: "17", Version: "17.9.4a", Family: "IOS XE", GA: "2023-10-20", EOL: na, EOS: na, Stage: "GA"},
		"junos":   {Raw: "Juniper Networks JUNOS 21.4R3", Full: "Juniper Networks Junos OS 21.4R3", Category1: "Network Operating System", Category2: "Switch/Router", Product: "Junos OS", Publisher: "Juniper Networks", Market: "21", Version: "21.4R3", Family: "Junos", GA: "2022-09-28", EOL: "2024-12-21", EOS: "2025-06-21", Stage: "EOL/EOS"},
		"fortios": {Raw: "FortiOS 7.2.8", Full: "Fortinet FortiOS 7.2.8", Category1: "Network Operating System", Category2: "Firewall", Product: "FortiOS", Publisher: "Fortinet", Market: "7.2", Version: "7.2.8", Family: "FortiOS", GA: "2024-03-12", EOL: "2025-03-31", EOS: "2026-09-30", Stage: "EOL"},
		"panos":   {Raw: "Palo Alto Networks PAN-OS 10.2.9", Full: "Palo Alto Networks PAN-OS 10.2.9", Category1: "Network Operating System", Category2: "Firewall", Product: "PAN-OS", Publisher: "Palo Alto Networks", Market: "10.2", Version: "10.2.9", Family: "PAN-OS", GA: "2024-04-14", EOL: "2027-03-30", EOS: na, Stage: "GA"},
		"tmos":    {Raw: "F5 Networks Big-IP 16.1.4", Full: "F5 Networks BIG-IP TMOS 16.1.4", Category1: "Network Operating System", Category2: "Load Balancer", Product: "BIG-IP TMOS", Publisher: "F5 Networks", Market: "16.1", Version: "16.1.4", Family: "TMOS", GA: "2023-08-22", EOL: "2025-07-31", EOS: "2025-07-31", Stage: "EOL/EOS"},
		"android": {Raw: "Android 14", Full: "Google Android 14", Category1: "Mobile", Category2: "Phone", Product: "Android", Publisher: "Google", Market: "14", Version: "14", Family: "Android", GA: "2023-10-04", EOL: na, EOS: na, Stage: "GA"},
		"iphone":  {Raw: "iOS 17.5.1", Full: "Apple iOS 17.5.1", Category1: "Mobile", Category2: "Phone", Product: "iOS", Publisher: "Apple", Market: "17", Version: "17.5.1", Family: "iOS", GA: "2024-05-20", EOL: na, EOS: na, Stage: "GA"},
		"vxworks": {Raw: "VxWorks Based Device", Full: "Wind River VxWorks", Category1: "Embedded", Category2: "RTOS", Product: "VxWorks", Publisher: "Wind River", Family: "VxWorks", EOL: na, EOS: na, Stage: "Not Applicable"},
		"jetfw":   {Raw: "HP JetDirect / HP LaserJet", Full: "HP FutureSmart Firmware", Category1: "Firmware", Category2: "Printer", Product: "FutureSmart Firmware", Publisher: "HP", Market: "5", Version: "5.6", Family: "FutureSmart", EOL: na, EOS: na, Stage: "Not Applicable"},
		"ontap":   {Raw: "NetApp Release 9.12.1P4", Full: "NetApp ONTAP 9.12.1P4", Category1: "Storage Operating System", Category2: "NAS", Product: "ONTAP", Publisher: "NetApp", Market: "9.12", Version: "9.12.1P4", Family: "ONTAP", GA: "2023-06-08", EOL: na, EOS: na, Stage: "GA"},
		"none":    {Raw: "Unknown", Full: "Unidentified", Category1: "Unidentified", Category2: "Unidentified", Product: "Unidentified", Publisher: "Unidentified", Stage: "Unknown"},
	}
}

// Hardware is a piece of hardware as the vendor's catalogue normalises it (Qualys CSAM API v2, hardware).
type Hardware struct {
	Category1, Category2         string
	Manufacturer, Product, Model string
	BIOS, OUI, Stage             string
	whole                        []byte
}

// Category is the two levels in one string.
func (h *Hardware) Category() string { return h.Category1 + " / " + h.Category2 }

// Full is manufacturer, product and model in one string.
func (h *Hardware) Full() string {
	full := h.Manufacturer
	for _, part := range []string{h.Product, h.Model} {
		if part != "" && part != unidentified {
			full += " " + part
		}
	}
	return full
}

const unidentified = "Unidentified"

// machines returns the hardware by key.
func machines() map[string]*Hardware {
	return map[string]*Hardware{
		"r640":      {"Computers", "Server", "Dell", "PowerEdge", "R640", "Dell Inc. 2.10.2 11/02/2024", "D0:94:66", "GA", nil},
		"r740":      {"Computers", "Server", "Dell", "PowerEdge", "R740", "Dell Inc. 2.19.1 06/14/2023", "E4:43:4B", "GA", nil},
		"dl380":     {"Computers", "Server", "HPE", "ProLiant", "DL380 Gen10", "HPE U30 07/20/2023", "98:F2:B3", "GA", nil},
		"bl460":     {"Computers", "Blade Server", "HPE", "ProLiant", "BL460c Gen9", "HP I36 10/21/2019", "70:10:6F", "OBS", nil},
		"sr650":     {"Computers", "Server", "Lenovo", "ThinkSystem", "SR650", "Lenovo IVE178E 03/08/2023", "38:68:DD", "GA", nil},
		"vmware":    {"Virtualized", "Virtual Machine", "VMware", "VMware Virtual Platform", "", "Phoenix Technologies LTD 6.00 11/12/2020", "00:50:56", "Not Applicable", nil},
		"hvvm":      {"Virtualized", "Virtual Machine", "Microsoft", "Virtual Machine", "", "Microsoft Corporation Hyper-V UEFI Release v4.1", "00:15:5D", "Not Applicable", nil},
		"power":     {"Computers", "Server", "IBM", "Power Systems", "S922", "IBM FW950.70", "40:F2:E9", "GA", nil},
		"sparc":     {"Computers", "Server", "Oracle", "SPARC", "T8-2", "OpenBoot 4.43.4", "00:10:E0", "GA", nil},
		"integrity": {"Computers", "Server", "HPE", "Integrity", "rx2800 i4", "HPE 02.73", "FC:15:B4", "OBS", nil},
		"xserve":    {"Computers", "Server", "Apple", "Xserve", "Xserve3,1", "Apple XS31.88Z", "00:26:4A", "OBS", nil},
		"latitude":  {"Computers", "Notebook", "Dell", "Latitude", "7440", "Dell Inc. 1.16.0 01/22/2024", "C0:3E:BA", "GA", nil},
		"thinkpad":  {"Computers", "Notebook", "Lenovo", "ThinkPad", "T14 Gen 4", "LENOVO N3XET48W 02/19/2024", "E8:80:88", "GA", nil},
		"elitebook": {"Computers", "Notebook", "HP", "EliteBook", "840 G10", "HP V70 Ver. 01.04.00", "5C:60:BA", "GA", nil},
		"optiplex":  {"Computers", "Desktop", "Dell", "OptiPlex", "7010", "Dell Inc. A29 06/28/2018", "B0:7B:25", "OBS", nil},
		"surface":   {"Computers", "Tablet", "Microsoft", "Surface Pro", "9", "Microsoft 7.102.143", "C8:3D:D4", "GA", nil},
		"macbook":   {"Computers", "Notebook", "Apple", "MacBook Pro", "MacBookPro18,3", "Apple 10151.121.1", "F0:2F:4B", "GA", nil},
		"imac":      {"Computers", "All-in-One", "Apple", "iMac", "iMac21,1", "Apple 10151.121.1", "BC:D0:74", "GA", nil},
		"nuc":       {"Computers", "Mini PC", "Intel", "NUC", "NUC11PAHi7", "Intel Corp. PATGL357 07/18/2023", "1C:69:7A", "EOS", nil},
		"cat9300":   {"Networking Device", "Switch", "Cisco", "Catalyst", "9300-48P", "", "70:6D:15", "GA", nil},
		"cat2960":   {"Networking Device", "Switch", "Cisco", "Catalyst", "2960X-24TS-L", "", "00:A2:EE", "EOS", nil},
		"ex4300":    {"Networking Device", "Switch", "Juniper Networks", "EX Series", "EX4300-48T", "", "3C:8C:93", "GA", nil},
		"isr4331":   {"Networking Device", "Router", "Cisco", "ISR", "4331/K9", "", "00:C1:B1", "EOS", nil},
		"mx204":     {"Networking Device", "Router", "Juniper Networks", "MX Series", "MX204", "", "84:C1:C1", "GA", nil},
		"fg100f":    {"Networking Device", "Firewall Device", "Fortinet", "FortiGate", "100F", "", "E0:23:FF", "GA", nil},
		"pa3220":    {"Networking Device", "Firewall Device", "Palo Alto Networks", "PA-3200 Series", "PA-3220", "", "08:66:1F", "EOS", nil},
		"i4600":     {"Networking Device", "Load Balancer", "F5 Networks", "BIG-IP", "i4600", "", "00:23:E9", "EOS", nil},
		"air2802":   {"Networking Device", "Wireless Access Point", "Cisco", "Aironet", "AIR-AP2802I", "", "70:DB:98", "EOS", nil},
		"ap515":     {"Networking Device", "Wireless Access Point", "Aruba", "500 Series", "AP-515", "", "B8:3A:5A", "GA", nil},
		"wlc9800":   {"Networking Device", "Wireless LAN Controller", "Cisco", "Catalyst", "9800-40", "", "D4:78:9B", "GA", nil},
		"netdev":    {"Networking Device", unidentified, "Netgear", unidentified, "", "", "A0:40:A0", "Unknown", nil},
		"mfp":       {"Printers", "Multi-Function Printer (MFP)", "HP", "Color LaserJet", "MFP M577", "", "94:57:A5", "GA", nil},
		"laser":     {"Printers", "Laser Printer", "Lexmark", "MS", "MS826de", "", "00:21:B7", "GA", nil},
		"zebra":     {"Printers", "Label Printer", "Zebra", "ZT", "ZT411", "", "48:A4:93", "GA", nil},
		"cp8845":    {"Communication Device", "IP Phone", "Cisco", "IP Phone", "CP-8845", "", "2C:31:24", "GA", nil},
		"vvx":       {"Communication Device", "IP Phone", "Poly", "VVX", "VVX 450", "", "64:16:7F", "GA", nil},
		"axis":      {"Audio Visual", "IP Camera", "Axis Communications", "P Series", "P3245-LV", "", "B8:A4:4F", "GA", nil},
		"hikv":      {"Audio Visual", "IP Camera", "Hikvision", "DS-2CD", "DS-2CD2143G2", "", "44:47:CC", "GA", nil},
		"apcups":    {"Power Supply", "UPS", "APC", "Smart-UPS", "SRT 5000", "", "28:29:86", "GA", nil},
		"apcpdu":    {"Power Supply", "PDU", "APC", "Rack PDU", "AP8853", "", "00:C0:B7", "GA", nil},
		"fas":       {"Storage Devices", "NAS", "NetApp", "FAS", "FAS2750", "", "D0:39:EA", "GA", nil},
		"unity":     {"Storage Devices", "SAN", "Dell", "Unity", "XT 480", "", "00:60:48", "GA", nil},
		"iphone15":  {"Mobile", "Smartphone", "Apple", "iPhone", "iPhone15,4", "", "1C:57:DC", "GA", nil},
		"galaxy":    {"Mobile", "Smartphone", "Samsung", "Galaxy", "SM-S911B", "", "A4:75:B9", "GA", nil},
		"plc":       {"Industrial Control Systems", "PLC", "Siemens", "SIMATIC", "S7-1500", "", "8C:F3:19", "GA", nil},
		"abplc":     {"Industrial Control Systems", "PLC", "Rockwell Automation", "ControlLogix", "1756-L83E", "", "5C:88:16", "GA", nil},
		"thermo":    {"Building Automation", "Thermostat", "Honeywell", "T-Series", "T10 Pro", "", "B8:2C:A0", "GA", nil},
		"badge":     {"IoT", "Access Control", "HID Global", "VertX", "EVO V1000", "", "00:06:8E", "GA", nil},
		"pump":      {"Medical", "Infusion Pump", "B. Braun", "Infusomat", "Space", "", "00:30:1A", "GA", nil},
		"ec2":       {"Virtualized", "Cloud Instance", "Amazon Web Services", unidentified, "", "Amazon EC2 1.0 10/16/2017", "0A:58:A9", "Not Applicable", nil},
		"azurevm":   {"Virtualized", "Cloud Instance", "Microsoft", "Azure Virtual Machine", "", "Microsoft Corporation Hyper-V UEFI Release v4.1", "00:0D:3A", "Not Applicable", nil},
		"gce":       {"Virtualized", "Cloud Instance", "Google", "Google Compute Engine", "", "Google 02/27/2024", "42:01:0A", "Not Applicable", nil},
		"none":      {unidentified, unidentified, "", unidentified, "", "", "02:5E:00", "Unknown", nil},
	}
}
