package asset

import (
	"slices"
	"strings"
)

// Clean holds the cleansed values of an asset: what identification and mapping
// use. An empty value means that Qualys reported nothing usable.
type Clean struct {
	Name         string // short host name, lower case; see hostName
	FQDN         string // full name, lower case, without a trailing dot
	Domain       string // the FQDN without its first label
	Serial       string // BIOS serial number, never vendor junk
	UUID         string // hardware UUID, lower case, never vendor junk
	AssetTag     string
	Manufacturer string // one spelling for each maker
	Model        string
	OS           string // normalised product name, else the raw name
	OSVersion    string
	OSWidth      string // "32" or "64"
	IP           string // primary address
	MAC          string // of the adapter with the primary address, else the first one
	Virtual      bool
	Adapters     []Adapter
	Addresses    []Address
}

// Adapter is one network adapter: one per MAC, its addresses merged.
type Adapter struct {
	Name    string
	MAC     string // lower case, colon separated
	IP      string // first usable IPv4 address, else IPv6
	Netmask string
	Gateway string
}

// Address is one IP address: one per address, however many adapters report it.
type Address struct {
	IP      string
	Version string // "4" or "6"
	Netmask string
	MAC     string // of the adapter that reported it
}

// Cleanse returns the cleansed values of an asset. It never changes the asset,
// and cleansing the same asset twice gives the same values.
func Cleanse(a *Asset) *Clean {
	c := &Clean{
		Serial:       Serial(a.BIOSSerial),
		UUID:         UUID(a.HardwareUUID),
		AssetTag:     AssetTag(a.BIOSAssetTag),
		Manufacturer: Manufacturer(a.Hardware.Manufacturer),
		Model:        model(a.Hardware),
		OS:           osName(a.OS),
		OSVersion:    osVersion(a.OS),
		OSWidth:      OSWidth(a.OS.Architecture, a.OS.Name),
	}
	c.Name, c.FQDN, c.Domain = hostName(a)
	c.Adapters, c.Addresses = interfaces(a.Interfaces)
	c.IP = primaryIP(a, c.Addresses)
	c.MAC = primaryMAC(c)
	c.Virtual = Virtual(a.Hardware, a.Cloud)
	return c
}

// NoIdentity is the reason for skipping an asset that nothing but an address
// describes: the next machine with that address would become the same CI.
const NoIdentity = "no identity"

// HasIdentity reports whether anything identifies the asset beyond an address:
// a serial number, a name, a MAC or a cloud id.
func HasIdentity(a *Asset, c *Clean) bool {
	return c.Serial != "" || c.Name != "" || c.MAC != "" || a.Cloud.InstanceID != ""
}

// hostName chooses the CI's name: the first label of the fully qualified name,
// else the DNS, NetBIOS and asset name, in lower case. The DNS name comes first
// because NetBIOS cuts names at 15 characters, and a cut name gives way to an
// asset name that continues it; the short lower-case form makes
// HOST1.corp.local and host1 one CI. Names that are addresses or vendor
// defaults are not names.
func hostName(a *Asset) (name, fqdn, domain string) {
	candidates := [...]string{a.FQDN, a.DNSName, a.NetBIOS, a.Name}
	if truncates(a.NetBIOS, a.Name) {
		candidates[2] = a.Name
	}
	for _, raw := range candidates {
		short, full := SplitHost(raw)
		if name == "" {
			name = short
		}
		if full != "" && short == name {
			fqdn = full
			break
		}
	}
	if fqdn != "" {
		_, domain, _ = strings.Cut(fqdn, ".")
	}
	return name, fqdn, domain
}

// interfaces merges adapters by MAC and addresses by address. Adapters without
// a usable MAC keep only their addresses.
func interfaces(list []Interface) ([]Adapter, []Address) {
	var adapters []Adapter
	var addresses []Address
	for i := range list {
		in := &list[i]
		mac := MAC(in.MAC)
		ips := usableIPs(in)
		if mac != "" {
			adapters = mergeAdapter(adapters, in, mac, ips)
		}
		for _, ip := range ips {
			addresses = mergeAddress(addresses, Address{IP: ip, Version: ipVersion(ip), Netmask: netmaskFor(ip, in.Netmask), MAC: mac})
		}
	}
	for i := range adapters { // an adapter needs a name
		if adapters[i].Name == "" {
			adapters[i].Name = adapters[i].MAC
		}
	}
	slices.SortFunc(adapters, func(a, b Adapter) int { return strings.Compare(a.MAC, b.MAC) })
	slices.SortFunc(addresses, func(a, b Address) int { return strings.Compare(a.IP, b.IP) })
	return adapters, addresses
}

func mergeAdapter(adapters []Adapter, in *Interface, mac string, ips []string) []Adapter {
	first := ""
	if len(ips) > 0 {
		first = ips[0]
	}
	fresh := Adapter{Name: Text(in.Name), MAC: mac, IP: first, Netmask: netmaskFor(first, in.Netmask), Gateway: firstIP(in.Gateway)}
	k := slices.IndexFunc(adapters, func(a Adapter) bool { return a.MAC == mac })
	if k < 0 {
		return append(adapters, fresh)
	}
	// The same adapter twice: keep the smaller values, whatever the order.
	old := &adapters[k]
	old.Name = smaller(old.Name, fresh.Name)
	switch {
	case fresh.IP == old.IP:
		old.Netmask = smaller(old.Netmask, fresh.Netmask)
	case precedes(fresh.IP, old.IP):
		old.IP, old.Netmask = fresh.IP, fresh.Netmask
	}
	old.Gateway = smaller(old.Gateway, fresh.Gateway)
	return adapters
}

// precedes reports whether address a is to be preferred to another one, b: some
// address to none, IPv4 to IPv6, then the smaller text.
func precedes(a, b string) bool {
	switch {
	case a == "" || b == "":
		return a != ""
	case ipVersion(a) != ipVersion(b):
		return ipVersion(a) == "4"
	default:
		return a < b
	}
}

// mergeAddress adds an address once. When adapters disagree about it, the
// smaller values stay, whatever the order.
func mergeAddress(addresses []Address, fresh Address) []Address {
	k := slices.IndexFunc(addresses, func(a Address) bool { return a.IP == fresh.IP })
	if k < 0 {
		return append(addresses, fresh)
	}
	old := &addresses[k]
	old.MAC, old.Netmask = smaller(old.MAC, fresh.MAC), smaller(old.Netmask, fresh.Netmask)
	return addresses
}

// primaryMAC is the MAC of the adapter with the primary address, else the first.
func primaryMAC(c *Clean) string {
	for _, a := range c.Addresses {
		if a.IP == c.IP && a.MAC != "" {
			return a.MAC
		}
	}
	if len(c.Adapters) > 0 {
		return c.Adapters[0].MAC
	}
	return ""
}

// usableIPs returns the addresses of an interface that can stand for a host, in
// order: IPv4 before IPv6, no loopback, link-local or unspecified ones.
func usableIPs(in *Interface) []string {
	out := make([]string, 0, len(in.IPv4)+len(in.IPv6))
	for _, list := range [][]string{in.IPv4, in.IPv6} {
		for _, raw := range list {
			if ip := IP(raw); ip != "" && !slices.Contains(out, ip) {
				out = append(out, ip)
			}
		}
	}
	return out
}

// primaryIP is the asset's own address, else the first IPv4 of its interfaces.
func primaryIP(a *Asset, addresses []Address) string {
	if ip := IP(a.Address); ip != "" {
		return ip
	}
	for _, ad := range addresses {
		if ad.Version == "4" {
			return ad.IP
		}
	}
	if len(addresses) > 0 {
		return addresses[0].IP
	}
	return ""
}

func smaller(a, b string) string {
	if a == "" || (b != "" && b < a) {
		return b
	}
	return a
}
