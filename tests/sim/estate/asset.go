package estate

import (
	"net/netip"
	"strconv"
	"strings"
)

// Asset is one record of the inventory before it becomes JSON. Strings that are empty are null in the vendor's answer.
type Asset struct {
	Index, Machine int
	Generation     int
	Role           Role
	Kind           Kind
	Added          bool
	Defect         int

	ID, HostID    int64
	UUID, AgentID string
	OS            *OS
	Hardware      *Hardware

	Name, Host, DNSName, NetBIOS, Domain string
	Address                              netip.Addr
	Serial, AssetTag, HardwareUUID       string
	NICs                                 []NIC
	Cloud                                *Cloud
	Tags                                 []int
	// Labels are tags that the estate does not know of itself; whoever shows an asset may set them.
	Labels []Label
	// Written are members, as JSON by name, that somebody wrote through the API: they stand in place of the estate's.
	Written map[string][]byte
	// Published are the connectors that published something about the asset, oldest first.
	Published []Published
	// Third marks an asset that only a third party knows.
	Third  bool
	Source string

	// Times in epoch milliseconds; 0 and -1 mean never.
	Created, Modified, SensorUpdated, LastBoot, LastCheckedIn int64
	MemoryMB, CPUs                                            int
	Software                                                  SoftwareSet
	RiskScore, Criticality                                    int

	dice dice
	arch *archetype
}

// Published says which connector published something about an asset, first and last in epoch milliseconds.
type Published struct {
	Connector, Source string
	First, Last       int64
}

// NIC is a network interface.
type NIC struct {
	Name, MAC string
	V4        []netip.Addr
	V6        string
}

// Cloud is what a cloud provider knows about an instance.
type Cloud struct {
	Provider, Account, Region, Zone, Instance, Image, Type, Network, Subnet, State, PublicIP string
}

// SoftwareSet says which records of the catalogue an asset carries.
type SoftwareSet struct {
	Family   string
	Count    int
	Start    int
	Packages int
	Odd      int
}

// tagNames are the tags of the subscription; a tag's id is firstTag plus its position.
var tagNames = [...]string{
	"Cloud Agent", "Production", "Test", "Development", "CMDB", "Lab", "DMZ", "Internet Facing Assets", "Business Units",
	"Unassigned Business Unit", "Zürich", "Frankfurt", "Austin", "Pune", "PCI \"scope\"", "Windows Server", "Linux Server",
	"Workstations", "🔥 critical", "R&D <internal>", "Network", "EC2", "Do^Not^Scan", "Owner: O'Brien",
}

const firstTag = 15_939_720

// TagCount is the number of tags that the estate hands out: positions 0 to TagCount-1.
const TagCount = len(tagNames)

// Label is a tag by its id and name.
type Label struct {
	ID   int64
	Name string
}

// TagName and TagID describe the tag at a position of Asset.Tags.
func TagName(tag int) string { return tagNames[tag] }

// TagID returns the tag's id.
func TagID(tag int) int64 { return firstTag + int64(tag) }

// site is a place of the company.
type site struct{ code, city, state, country, continent, postal, zone string }

var sites = [...]site{
	{"zrh", "Zurich", "Zurich", "Switzerland", "Europe", "8001", "+01:00"},
	{"fra", "Frankfurt am Main", "Hessen", "Germany", "Europe", "60311", "+01:00"},
	{"aus", "Austin", "Texas", "United States", "North America", "78701", "-06:00"},
	{"pun", "Pune", "Maharashtra", "India", "Asia", "411001", "+05:30"},
	{"lon", "London", "England", "United Kingdom", "Europe", "EC2A", "+00:00"},
	{"sin", "Singapore", "", "Singapore", "Asia", "018956", "+08:00"},
}

// Reader computes assets one after the other and keeps the layout of the last block, so reading in order is cheap.
// A Reader belongs to one goroutine.
type Reader struct {
	e     *Estate
	block int
	plan  *layout
}

// Reader returns a reader.
func (e *Estate) Reader() *Reader { return &Reader{e: e, block: -1} }

// Asset computes the asset at an index; false when there is none.
func (r *Reader) Asset(index int) (*Asset, bool) {
	c, ok := r.e.state(index)
	if !ok {
		return nil, false
	}
	if b := index / blockSize; b != r.block {
		r.block, r.plan = b, r.e.plan(b)
	}
	p := r.plan.places[index%blockSize]
	a := r.e.describe(index, index/blockSize*blockSize+int(p.owner), p.role, c)
	if index%blockSize == r.plan.heavy {
		a.Software.Packages = packages - a.Software.Count
	}
	return a, true
}

// describe draws everything about an asset. d is the machine's, own is this asset's.
func (e *Estate) describe(index, machine int, role Role, c change) *Asset {
	d := dice(mix(e.opts.Seed) ^ mix(uint64(machine)<<8))
	own := dice(mix(e.opts.Seed+0x5eed) ^ mix(uint64(index)<<8))
	arch := &e.archs[e.archetypeOf(machine)]
	a := &Asset{
		Index: index, Machine: machine, Generation: c.generation, Role: role, Kind: arch.kind, Added: c.added,
		Defect: e.malformed(index), ID: e.IDAt(index), UUID: uuid(own.roll(2), own.roll(3)), dice: d, arch: arch,
		OS:       e.osOf[arch.os[d.below(4, len(arch.os))]],
		Hardware: e.hwOf[arch.hardware[d.below(5, len(arch.hardware))]],
	}
	a.HostID = a.ID/3 + 900_000
	agent := d.percent(6, arch.agent) || role == Agent || role == Former || role == Returned
	if agent && role != Scanned && role != Interface {
		a.AgentID = uuid(own.roll(7), own.roll(8))
	}
	a.names(d)
	a.interfaces(d, e.opts.Seed)
	a.identity(d, e.opts.Seed)
	a.cloud(d)
	a.times(own, e.asOf, c)
	a.figures(d, own)
	a.view(e.hwOf["none"])
	return a
}

// names draws host names: short, in upper case or fully qualified, and now and then with what nobody expects in a name.
func (a *Asset) names(d dice) {
	s := sites[d.below(10, len(sites))]
	a.Host = s.code + "-" + a.arch.prefix + "-" + pad(a.Machine, 6)
	a.Domain = s.code + ".corp.example"
	switch a.Kind {
	case BareIP:
		a.Host = ""
		return
	case External:
		a.Host, a.Domain = "www"+strconv.Itoa(a.Machine), "example-shop.test"
	}
	fqdn := a.Host + "." + a.Domain
	a.DNSName = fqdn
	switch style := d.below(11, 10); {
	case a.Kind == WindowsServer || a.Kind == WindowsClient || style < 3:
		a.Name = strings.ToUpper(a.Host)
		a.NetBIOS = a.Name
	case style < 6:
		a.Name = fqdn
	default:
		a.Name = a.Host
	}
	if a.arch.agent == 0 && d.percent(12, 30) {
		a.DNSName = ""
	}
	if a.Kind.Computer() && d.permille(13, 20) {
		switch d.below(14, 6) {
		case 0:
			a.Name = `"` + a.Host + `" (O'Brien's)`
		case 1:
			a.Name = "🖥️ " + a.Host
		case 2:
			a.Name = a.Host + "^ORsys_idISNOTEMPTY"
		case 3:
			a.Name = "<script>alert('" + a.Host + "')</script>"
		case 4:
			a.Name = a.Host + "-" + strings.Repeat("very-long-", 26) + "name"
		case 5:
			a.Name = "Zürich 東京 " + a.Host
		}
	}
}

func pad(n, width int) string {
	s := strconv.Itoa(n)
	for len(s) < width {
		s = "0" + s
	}
	return s
}

// address returns the k-th address of a machine, k < 4; no two machines share one.
func address(machine, k int) netip.Addr {
	n := uint32(machine + k*MaxAssets + 256)
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

// interfaces draws one to three network interfaces; a machine that is seen from several sides has three.
func (a *Asset) interfaces(d dice, seed uint64) {
	count := 1
	switch {
	case a.Role != Only:
		count = 3
	case a.Kind == Hypervisor || a.Kind == Router || a.Kind == Firewall:
		count = 3
	case a.Kind.Computer() && d.percent(15, 35):
		count = 2
	}
	for n := range count {
		suffix := permute(24, uint64(a.Machine*4+n), seed^0xacce55)
		mac := a.Hardware.OUI + ":" + hexOf(suffix>>16, 2) + ":" + hexOf(suffix>>8&255, 2) + ":" + hexOf(suffix&255, 2)
		if d.percent(16, 70) {
			mac = strings.ToUpper(mac)
		} else {
			mac = strings.ToLower(mac)
		}
		nic := NIC{Name: nicName(a.OS, n), MAC: mac, V4: []netip.Addr{address(a.Machine, n)}}
		if n == 0 && a.Kind.Computer() && d.percent(17, 20) {
			nic.V4 = append(nic.V4, address(a.Machine, 3))
		}
		if d.percent(18, 50) {
			nic.V6 = "fe80:0:0:0:" + hexOf(suffix>>8, 4) + ":" + hexOf(suffix, 4) + ":" + hexOf(uint64(a.Machine)>>16, 4) + ":" + hexOf(uint64(a.Machine), 4)
		}
		a.NICs = append(a.NICs, nic)
	}
	a.Address = a.NICs[0].V4[0]
	// One machine in five that changed was moved to another address.
	if a.Generation > 0 && !a.Added && len(a.NICs[0].V4) == 1 && (a.Generation+a.Machine)%5 == 0 {
		a.Address = address(a.Machine, 3)
		a.NICs[0].V4[0] = a.Address
	}
	if a.Kind == BareIP || a.Kind == External {
		a.NICs = nil
	}
	if a.Kind == BareIP {
		a.Name = a.Address.String()
	}
}

func nicName(o *OS, n int) string {
	switch o.Category1 {
	case "Windows":
		return "Ethernet" + strconv.Itoa(n)
	case "Linux":
		return "eth" + strconv.Itoa(n)
	case "Mac":
		return "en" + strconv.Itoa(n)
	}
	return "if" + strconv.Itoa(n)
}

// junkSerials are what manufacturers and people leave in the field.
var junkSerials = [...]string{
	"None", "To be filled by O.E.M.", "00000000", "0", "System Serial Number", "Default string", "N/A", "Not Specified",
	"123456789", "................", "Not Available",
}

// identity draws serial number, asset tag and hardware UUID.
func (a *Asset) identity(d dice, seed uint64) {
	number := permute(35, uint64(a.Machine), seed^0x5e71a1)
	a.HardwareUUID = uuid(d.roll(20), d.roll(21))
	switch {
	case a.Kind == AWS:
		a.HardwareUUID = "ec2" + a.HardwareUUID[3:]
		a.Serial = a.HardwareUUID
	case a.Hardware.Manufacturer == "VMware":
		a.Serial = vmwareSerial(a.HardwareUUID)
	case a.Kind == Azure:
		a.Serial = "0000-00" + pad(int(number%100), 2) + "-" + code(number, 7)
	case a.Kind == GCP:
		a.Serial = "GoogleCloud-" + strings.ToUpper(hexOf(number, 9)) + "00"
	case a.Hardware.Manufacturer == "HPE" || a.Hardware.Manufacturer == "HP":
		a.Serial = "CZ" + code(number, 8)
	case a.Hardware.Manufacturer == "Lenovo":
		a.Serial = "PF" + code(number, 7)
	case a.Hardware.Manufacturer == "Apple":
		a.Serial = "C0" + code(number, 10)
	case a.Hardware.Manufacturer == "Cisco":
		a.Serial = "FOC" + code(number, 8)
	default:
		a.Serial = code(number, 7)
	}
	scannedOnly := a.arch.agent == 0
	if scannedOnly {
		a.HardwareUUID = ""
		if a.Kind != Hypervisor && d.percent(22, 55) || a.Kind == UnknownMachine || a.Kind == UnknownLinux || a.Kind == BareIP || a.Kind == External {
			a.Serial = ""
		}
	} else if a.Role == Only && d.percent(23, 8) {
		a.Serial = junkSerials[d.below(24, len(junkSerials))]
		if d.percent(25, 15) {
			a.HardwareUUID = "00000000-0000-0000-0000-000000000000"
		}
	}
	if a.Kind.Computer() && a.Hardware.Category1 == "Computers" {
		a.AssetTag = "AT-" + pad(a.Machine, 6)
		if d.percent(26, 40) {
			a.AssetTag = []string{"None", "No Asset Tag", "To be filled by O.E.M.", "0"}[d.below(27, 4)]
		}
	}
}

func vmwareSerial(id string) string {
	hex := strings.ReplaceAll(id, "-", "")
	var b strings.Builder
	b.WriteString("VMware-")
	for i := 0; i < len(hex); i += 2 {
		switch {
		case i == 16:
			b.WriteByte('-')
		case i > 0:
			b.WriteByte(' ')
		}
		b.WriteString(hex[i : i+2])
	}
	return b.String()
}
