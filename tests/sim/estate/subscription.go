package estate

import "net/netip"

// AddressRange is a range of IPv4 addresses, both ends included.
type AddressRange struct{ First, Last netip.Addr }

const (
	// licensedPart of every blockSize machines have their first address in the subscription; the others were found by
	// agents, passive sensors or connectors only.
	licensedPart = 60
	// exclusionStride is the number of machines between two that must not be scanned.
	exclusionStride = 1000
)

// Licensed returns the addresses of the subscription as the unchanged estate has them, ascending and apart: the first
// sixty machines of every hundred.
func (e *Estate) Licensed() []AddressRange {
	var all []AddressRange
	for first := 0; first < e.opts.Assets; first += blockSize {
		last := min(first+licensedPart, e.opts.Assets) - 1
		all = append(all, AddressRange{address(first, 0), address(last, 0)})
	}
	return all
}

// Excluded returns the addresses that must not be scanned, ascending; one in a thousand, all of them licensed.
func (e *Estate) Excluded() []netip.Addr {
	var all []netip.Addr
	for machine := 7; machine < e.opts.Assets; machine += exclusionStride {
		all = append(all, address(machine, 0))
	}
	return all
}

// HostIDOf returns the host id that VM knows the asset with this id by. Two neighbours may share one.
func HostIDOf(id int64) int64 { return id/3 + 900_000 }

// FirstOfHostID returns the smallest asset id whose host id is at least host.
func FirstOfHostID(host int64) int64 { return max(0, (host-900_000)*3) }

// Group is an asset group of the subscription.
type Group struct {
	ID        int64
	Title     string
	Impact    string
	Addresses []AddressRange
}

// Groups returns the asset groups: "All" with every licensed address, and three that share them.
func (e *Estate) Groups() []Group {
	all := e.Licensed()
	a, b := len(all)/3, 2*len(all)/3
	return []Group{
		{ID: 4_021_001, Title: "All", Impact: "high", Addresses: all},
		{ID: 4_021_002, Title: "Data centre Zürich", Impact: "critical", Addresses: all[:a]},
		{ID: 4_021_003, Title: "R&D <internal>", Impact: "low", Addresses: all[a:b]},
		{ID: 4_021_004, Title: "Offices", Impact: "medium", Addresses: all[b:]},
	}
}
