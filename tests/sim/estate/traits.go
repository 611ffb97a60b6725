package estate

import (
	"net/netip"
	"strconv"
)

// cloud draws the instance's data for the three providers.
func (a *Asset) cloud(d dice) {
	account := d.below(30, 6)
	switch a.Kind {
	case AWS:
		region := []string{"eu-central-1", "us-east-1", "ap-south-1"}[d.below(31, 3)]
		a.Cloud = &Cloud{
			Provider: "AWS", Account: "4120000000" + pad(account, 2), Region: region,
			Zone: region + []string{"a", "b", "c"}[d.below(32, 3)], Instance: "i-0" + hexOf(d.roll(33), 16),
			Image: "ami-0" + hexOf(mix(uint64(d.below(34, 12))), 16), Type: []string{"t3.medium", "m5.large", "c6i.xlarge"}[d.below(35, 3)],
			Network: "vpc-0" + hexOf(mix(uint64(account)+90), 16), Subnet: "subnet-0" + hexOf(mix(uint64(d.below(36, 18))+300), 16),
			State: state(d, "RUNNING", "STOPPED", "TERMINATED"),
		}
	case Azure:
		a.Cloud = &Cloud{
			Provider: "Azure", Account: uuid(mix(uint64(account)+11), mix(uint64(account)+12)),
			Region: []string{"westeurope", "eastus", "centralindia"}[d.below(31, 3)], Instance: uuid(d.roll(33), d.roll(37)),
			Image: []string{"WindowsServer", "0001-com-ubuntu-server-jammy", "RHEL"}[d.below(34, 3)], Type: "Standard_D4s_v5",
			Network: "vnet-" + pad(account, 2), Subnet: "snet-" + pad(d.below(36, 18), 2), State: state(d, "RUNNING", "STOPPED", "DEALLOCATED"),
		}
	case GCP:
		region := []string{"europe-west6", "us-central1"}[d.below(31, 2)]
		a.Cloud = &Cloud{
			Provider: "GCP", Account: "corp-prod-" + pad(account, 3), Region: region, Zone: region + "-" + []string{"a", "b"}[d.below(32, 2)],
			Instance: strconv.FormatUint(d.roll(33)>>2|1<<61, 10), Image: "debian-12-bookworm-v20240415", Type: "e2-standard-4",
			Network: "default", State: state(d, "RUNNING", "STOPPED", "TERMINATED"),
		}
	default:
		return
	}
	if d.percent(38, 25) {
		// Public addresses of the documentation and benchmark ranges, unique by the machine's number.
		n := uint32(a.Machine) & 0x1ffff
		a.Cloud.PublicIP = netip.AddrFrom4([4]byte{198, 18 + byte(n>>16), byte(n >> 8), byte(n)}).String()
	}
}

func state(d dice, running, stopped, gone string) string {
	switch n := d.below(39, 100); {
	case n < 86:
		return running
	case n < 97:
		return stopped
	}
	return gone
}

// times draws when the asset was made and seen. The former asset of a machine that came back is older and silent.
func (a *Asset) times(own dice, asOf int64, c change) {
	a.Modified = asOf - int64(own.below(40, 30*dayMs)) - 1000
	a.Created = asOf - 60*dayMs - int64(own.below(41, 900))*dayMs - int64(own.below(42, dayMs))
	switch a.Role {
	case Former:
		a.Modified = asOf - 40*dayMs - int64(own.below(40, 20*dayMs))
	case Returned:
		a.Created = asOf - 35*dayMs - int64(own.below(42, dayMs))
	}
	if c.added {
		a.Created = c.at
	}
	if c.generation > 0 {
		a.Modified = c.at
	}
	// The vendor's instants have milliseconds in their form, and whole seconds in practice.
	a.Modified -= a.Modified % 1000
	a.Created -= a.Created % 1000
	a.SensorUpdated = a.Modified - 240_000
	a.LastBoot = a.Modified - int64(own.below(43, 40))*dayMs - 7_200_000
	a.LastCheckedIn = a.Modified - 300_000
	if own.percent(44, 3) {
		a.LastCheckedIn = []int64{0, -1}[own.below(45, 2)]
	}
}

// figures draws sizes, tags and software, and what a mutation did to them.
func (a *Asset) figures(d, own dice) {
	a.Source = "IP"
	switch {
	case a.AgentID != "":
		a.Source = "QAGENT"
	case a.Cloud != nil:
		a.Source = "INSTANCE_ID"
	case a.Kind == External:
		a.Source = "EASM"
	case a.DNSName != "" && own.percent(50, 40):
		a.Source = "DNSNAME"
	}
	a.RiskScore = d.below(51, 1000)
	a.Criticality = 1 + d.below(52, 5)
	if a.Kind.Computer() || a.Kind == Hypervisor {
		a.CPUs = 2 << d.below(53, 5)
		// A little is missing from the round figure, as the systems report it.
		a.MemoryMB = 4096<<d.below(54, 6) - d.below(55, 2)
	}
	if a.Kind.Computer() {
		a.Software = SoftwareSet{Family: a.softwareFamily(), Count: 22 + d.below(56, 29), Start: d.below(57, 1000), Odd: -1}
		if d.percent(58, 6) {
			a.Software.Odd = d.below(59, 7)
		}
	}
	a.tag(d)
	if g := a.Generation; g > 0 && !a.Added {
		a.RiskScore = (a.RiskScore + 37*g) % 1000
		if a.MemoryMB > 0 && (g+a.Machine)%3 == 0 {
			a.MemoryMB *= 2
		}
		if a.Software.Count > 0 {
			a.Software.Start += g
		}
	}
}

func (a *Asset) softwareFamily() string {
	switch a.OS.Category1 {
	case "Windows":
		return "windows"
	case "Mac":
		return "mac"
	case "Unix":
		return "unix"
	}
	return "linux"
}

// packages is how many packages the few hosts carry that hold every library of their distribution.
const packages = 3000

func (a *Asset) tag(d dice) {
	add := func(tag int) { a.Tags = append(a.Tags, tag) }
	if a.AgentID != "" {
		add(0)
	}
	add(1 + d.below(61, 3))
	add(10 + d.below(10, 4))
	switch a.Kind {
	case WindowsServer:
		add(15)
	case LinuxServer:
		add(16)
	case WindowsClient, MacClient, LinuxClient:
		add(17)
	case Switch, Router, Firewall, LoadBalancer, AccessPoint, NetworkDevice:
		add(20)
	case AWS:
		add(21)
	case External:
		add(7)
	}
	if d.percent(62, 60) {
		add(4)
	}
	if d.percent(63, 6) {
		add([]int{5, 6, 14, 18, 19, 22, 23}[d.below(64, 7)])
	}
}

// view takes away what the asset's sensor cannot see; bare is the hardware of which nothing is known.
func (a *Asset) view(bare *Hardware) {
	switch a.Role {
	case Scanned:
		a.Source = "IP"
		a.Name = a.DNSName
		if a.Name == "" {
			a.Name = a.Host
		}
		a.NICs = a.NICs[1:2]
		a.Address = a.NICs[0].V4[0]
		a.Software.Count = a.Software.Count * 2 / 3
		a.Software.Packages = 0
	case Interface:
		a.Source = "IP"
		a.NICs = a.NICs[2:3]
		a.Address = a.NICs[0].V4[0]
		a.Name = a.Address.String()
		a.DNSName, a.NetBIOS = "", ""
		a.Serial, a.HardwareUUID, a.AssetTag = "", "", ""
		a.MemoryMB, a.CPUs = 0, 0
		a.Hardware = bare
		a.Software = SoftwareSet{}
	}
}
