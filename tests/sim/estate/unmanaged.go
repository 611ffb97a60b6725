package estate

import "net/netip"

// Unmanaged returns an asset that no sensor of the subscription has seen: a third party published it. Nothing is known
// of it but what the caller sets; every other member is null.
func (e *Estate) Unmanaged(id int64) *Asset {
	a := &Asset{
		ID: id, Role: Interface, Kind: UnknownMachine, OS: e.osOf["none"], Hardware: e.hwOf["none"], Address: netip.IPv4Unspecified(),
		Third: true, Tags: []int{}, LastBoot: -1, LastCheckedIn: -1, arch: &e.archs[0], Written: map[string][]byte{},
	}
	for _, name := range []string{
		"operatingSystem", "hardware", "userAccountListData", "openPortListData", "volumeListData", "networkInterfaceListData", "softwareListData",
		"provider", "cloudProvider", "agent", "sensor", "container", "activity", "serviceList", "lastLocation", "criticality",
		"businessInformation", "assignedLocation", "businessAppListData", "riskScore", "customAttributes", "processor",
	} {
		a.Written[name] = []byte("null")
	}
	return a
}
