package estate

// Kind is what a machine is to the people who run it.
type Kind string

// The kinds, one for each sort of CI that a CMDB tells apart.
const (
	WindowsServer  Kind = "windows-server"
	LinuxServer    Kind = "linux-server"
	UnixServer     Kind = "unix-server"
	MacServer      Kind = "mac-server"
	WindowsClient  Kind = "windows-client"
	MacClient      Kind = "mac-client"
	LinuxClient    Kind = "linux-client"
	Hypervisor     Kind = "hypervisor"
	Switch         Kind = "switch"
	Router         Kind = "router"
	Firewall       Kind = "firewall"
	LoadBalancer   Kind = "load-balancer"
	AccessPoint    Kind = "access-point"
	NetworkDevice  Kind = "network-device"
	Printer        Kind = "printer"
	Phone          Kind = "ip-phone"
	Camera         Kind = "ip-camera"
	UPS            Kind = "ups"
	PDU            Kind = "pdu"
	Storage        Kind = "storage"
	Mobile         Kind = "mobile"
	IoT            Kind = "iot"
	AWS            Kind = "aws"
	Azure          Kind = "azure"
	GCP            Kind = "gcp"
	UnknownLinux   Kind = "unknown-linux"
	UnknownMachine Kind = "unknown-machine"
	BareIP         Kind = "bare-ip"
	External       Kind = "external"
)

// Computer reports whether the kind carries an operating system that software is installed on.
func (k Kind) Computer() bool {
	switch k {
	case WindowsServer, LinuxServer, UnixServer, MacServer, WindowsClient, MacClient, LinuxClient, AWS, Azure, GCP:
		return true
	}
	return false
}

// archetype is one line of the company's make-up: of a thousand machines, weight are of this sort.
type archetype struct {
	kind     Kind
	weight   int
	prefix   string
	agent    int // percent that run the agent
	software string
	os       []string
	hardware []string
}

// archetypes is the make-up of the company; the weights add up to 1,000.
func archetypes() []archetype {
	return []archetype{
		{WindowsServer, 115, "srv", 92, "windows", []string{"win2012", "win2016", "win2019", "win2019", "win2022", "win2022"}, []string{"vmware", "vmware", "vmware", "hvvm", "r640", "r740", "dl380", "sr650"}},
		{LinuxServer, 155, "lnx", 90, "linux", []string{"rhel7", "rhel8", "rhel8", "rhel9", "ubuntu", "ubuntu", "debian", "sles", "oracle"}, []string{"vmware", "vmware", "vmware", "dl380", "bl460", "r640", "sr650"}},
		{UnixServer, 24, "unx", 60, "unix", []string{"aix", "solaris", "hpux", "freebsd"}, []string{"power", "sparc", "integrity", "r640"}},
		{MacServer, 3, "mcs", 50, "mac", []string{"macsrv"}, []string{"xserve"}},
		{WindowsClient, 260, "pc", 96, "windows", []string{"win10", "win11", "win11"}, []string{"latitude", "latitude", "thinkpad", "elitebook", "optiplex", "surface"}},
		{MacClient, 48, "mac", 95, "mac", []string{"macos"}, []string{"macbook", "macbook", "imac"}},
		{LinuxClient, 16, "wks", 90, "linux", []string{"ubuntud"}, []string{"thinkpad", "nuc", "optiplex"}},
		{Hypervisor, 20, "esx", 0, "", []string{"esxi", "esxi", "esxi", "hyperv"}, []string{"r640", "r740", "dl380"}},
		{Switch, 46, "sw", 0, "", []string{"ios", "iosxe", "junos"}, []string{"cat2960", "cat9300", "ex4300"}},
		{Router, 14, "rtr", 0, "", []string{"iosxe", "junos"}, []string{"isr4331", "mx204"}},
		{Firewall, 14, "fw", 0, "", []string{"fortios", "panos"}, []string{"fg100f", "pa3220"}},
		{LoadBalancer, 6, "lb", 0, "", []string{"tmos"}, []string{"i4600"}},
		{AccessPoint, 26, "ap", 0, "", []string{"none", "iosxe"}, []string{"ap515", "air2802"}},
		{NetworkDevice, 8, "net", 0, "", []string{"iosxe", "none"}, []string{"wlc9800", "netdev"}},
		{Printer, 40, "prn", 0, "", []string{"jetfw", "none", "none"}, []string{"mfp", "laser", "zebra"}},
		{Phone, 34, "tel", 0, "", []string{"none", "linux"}, []string{"cp8845", "vvx"}},
		{Camera, 18, "cam", 0, "", []string{"linux", "none"}, []string{"axis", "hikv"}},
		{UPS, 8, "ups", 0, "", []string{"none"}, []string{"apcups"}},
		{PDU, 4, "pdu", 0, "", []string{"none"}, []string{"apcpdu"}},
		{Storage, 10, "nas", 0, "", []string{"ontap", "none"}, []string{"fas", "unity"}},
		{Mobile, 14, "mob", 0, "", []string{"iphone", "android"}, []string{"iphone15", "galaxy"}},
		{IoT, 18, "ot", 0, "", []string{"vxworks", "none", "none", "linux", "none"}, []string{"plc", "abplc", "thermo", "badge", "pump"}},
		{AWS, 36, "aws", 80, "linux", []string{"amazon", "amazon", "ubuntu", "rhel9", "win2022"}, []string{"ec2"}},
		{Azure, 18, "azr", 80, "linux", []string{"win2022", "win2019", "ubuntu", "rhel8"}, []string{"azurevm"}},
		{GCP, 8, "gcp", 75, "linux", []string{"debian", "ubuntu"}, []string{"gce"}},
		{UnknownLinux, 9, "dev", 0, "", []string{"linux"}, []string{"none"}},
		{UnknownMachine, 12, "unk", 0, "", []string{"none"}, []string{"none"}},
		{BareIP, 12, "", 0, "", []string{"none"}, []string{"none"}},
		{External, 4, "www", 0, "", []string{"none"}, []string{"none"}},
	}
}

// kindTable turns a number below its length into an archetype.
func kindTable(all []archetype) []uint8 {
	var out []uint8
	for i, a := range all {
		for range a.weight {
			out = append(out, uint8(i))
		}
	}
	return out
}
