package asset

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// View is an asset together with its cleansed values: what a path reads.
type View struct {
	Asset *Asset
	Clean *Clean
}

// Getter reads one value of a view as text: numbers in decimal, booleans as
// "true" or "false", times as RFC 3339 in UTC, nothing as "".
type Getter func(v *View) string

// ElementGetter reads one value of element i of a list.
type ElementGetter func(v *View, i int) string

// List is a list of an asset that a mapping can walk.
type List struct {
	Name    string
	Section Section // what must be present for the list to be complete
	Len     func(v *View) int
	fields  map[string]ElementGetter
}

// Lookup returns the getter of an element's path.
func (l List) Lookup(path string) (ElementGetter, bool) {
	g, ok := l.fields[path]
	return g, ok
}

// Paths returns the element paths, sorted.
func (l List) Paths() []string { return sortedKeys(l.fields) }

// Lookup returns the getter of a path: Qualys' own JSON names for what was
// reported, "clean.…" for cleansed values, "cloud.…" for the cloud instance.
func Lookup(path string) (Getter, bool) {
	g, ok := fields()[path]
	return g, ok
}

// Paths returns all paths, sorted.
func Paths() []string { return sortedKeys(fields()) }

// LookupList returns a list by name.
func LookupList(name string) (List, bool) {
	l, ok := lists()[name]
	return l, ok
}

// ListNames returns the names of all lists, sorted.
func ListNames() []string { return sortedKeys(lists()) }

// fields is the registry of paths. It is built when a mapping or filter is
// compiled, never while assets are processed.
func fields() map[string]Getter {
	m := map[string]Getter{
		"assetId":               func(v *View) string { return number(v.Asset.ID) },
		"assetUUID":             func(v *View) string { return v.Asset.UUID },
		"hostId":                func(v *View) string { return number(v.Asset.HostID) },
		"agentId":               func(v *View) string { return v.Asset.AgentID },
		"assetName":             func(v *View) string { return v.Asset.Name },
		"dnsName":               func(v *View) string { return v.Asset.DNSName },
		"netbiosName":           func(v *View) string { return v.Asset.NetBIOS },
		"fqdn":                  func(v *View) string { return v.Asset.FQDN },
		"address":               func(v *View) string { return v.Asset.Address },
		"timeZone":              func(v *View) string { return v.Asset.TimeZone },
		"lastModifiedDate":      func(v *View) string { return instant(v.Asset.Modified) },
		"createdDate":           func(v *View) string { return instant(v.Asset.Created) },
		"sensorLastUpdatedDate": func(v *View) string { return instant(v.Asset.SensorUpdated) },
		"lastBoot":              func(v *View) string { return instant(v.Asset.LastBoot) },
		"biosDescription":       func(v *View) string { return v.Asset.BIOSDescription },
		"biosSerialNumber":      func(v *View) string { return v.Asset.BIOSSerial },
		"biosAssetTag":          func(v *View) string { return v.Asset.BIOSAssetTag },
		"hwUUID":                func(v *View) string { return v.Asset.HardwareUUID },
		"totalMemory":           func(v *View) string { return number(v.Asset.TotalMemoryMB) },
		"cpuCount":              func(v *View) string { return number(v.Asset.CPUCount) },
		"lastLoggedOnUser":      func(v *View) string { return v.Asset.LastUser },
		"domainRole":            func(v *View) string { return v.Asset.DomainRole },
		"trackingMethod":        func(v *View) string { return v.Asset.TrackingMethod },
		"riskScore":             func(v *View) string { return number(v.Asset.RiskScore) },
		"criticality.score":     func(v *View) string { return number(v.Asset.CriticalityScore) },

		"operatingSystem.osName":        func(v *View) string { return v.Asset.OS.Name },
		"operatingSystem.fullName":      func(v *View) string { return v.Asset.OS.FullName },
		"operatingSystem.category":      func(v *View) string { return v.Asset.OS.Category },
		"operatingSystem.category1":     func(v *View) string { return v.Asset.OS.Category1 },
		"operatingSystem.category2":     func(v *View) string { return v.Asset.OS.Category2 },
		"operatingSystem.productName":   func(v *View) string { return v.Asset.OS.ProductName },
		"operatingSystem.productFamily": func(v *View) string { return v.Asset.OS.ProductFamily },
		"operatingSystem.publisher":     func(v *View) string { return v.Asset.OS.Publisher },
		"operatingSystem.edition":       func(v *View) string { return v.Asset.OS.Edition },
		"operatingSystem.marketVersion": func(v *View) string { return v.Asset.OS.MarketVersion },
		"operatingSystem.version":       func(v *View) string { return v.Asset.OS.Version },
		"operatingSystem.update":        func(v *View) string { return v.Asset.OS.Update },
		"operatingSystem.architecture":  func(v *View) string { return v.Asset.OS.Architecture },

		"hardware.fullName":      func(v *View) string { return v.Asset.Hardware.FullName },
		"hardware.category":      func(v *View) string { return v.Asset.Hardware.Category },
		"hardware.category1":     func(v *View) string { return v.Asset.Hardware.Category1 },
		"hardware.category2":     func(v *View) string { return v.Asset.Hardware.Category2 },
		"hardware.manufacturer":  func(v *View) string { return v.Asset.Hardware.Manufacturer },
		"hardware.productName":   func(v *View) string { return v.Asset.Hardware.ProductName },
		"hardware.productFamily": func(v *View) string { return v.Asset.Hardware.ProductFamily },
		"hardware.model":         func(v *View) string { return v.Asset.Hardware.Model },

		"processor.description":    func(v *View) string { return v.Asset.Processor.Description },
		"processor.speed":          func(v *View) string { return number(v.Asset.Processor.SpeedMHz) },
		"processor.numCPUs":        func(v *View) string { return number(v.Asset.Processor.CPUs) },
		"processor.noOfSocket":     func(v *View) string { return number(v.Asset.Processor.Sockets) },
		"processor.coresPerSocket": func(v *View) string { return number(v.Asset.Processor.CoresPerSocket) },
		"processor.threadsPerCore": func(v *View) string { return number(v.Asset.Processor.ThreadsPerCore) },
	}
	cloudFields(m)
	detailFields(m)
	cleanFields(m)
	return m
}

func cloudFields(m map[string]Getter) {
	m["cloud.provider"] = func(v *View) string { return string(v.Asset.Cloud.Provider) }
	m["cloud.instanceId"] = func(v *View) string { return v.Asset.Cloud.InstanceID }
	m["cloud.name"] = func(v *View) string { return v.Asset.Cloud.Name }
	m["cloud.accountId"] = func(v *View) string { return v.Asset.Cloud.AccountID }
	m["cloud.region"] = func(v *View) string { return v.Asset.Cloud.Region }
	m["cloud.regionName"] = func(v *View) string { return v.Asset.Cloud.RegionName }
	m["cloud.zone"] = func(v *View) string { return v.Asset.Cloud.Zone }
	m["cloud.state"] = func(v *View) string { return v.Asset.Cloud.State }
	m["cloud.instanceType"] = func(v *View) string { return v.Asset.Cloud.InstanceType }
	m["cloud.imageId"] = func(v *View) string { return v.Asset.Cloud.ImageID }
	m["cloud.networkId"] = func(v *View) string { return v.Asset.Cloud.NetworkID }
	m["cloud.subnetId"] = func(v *View) string { return v.Asset.Cloud.SubnetID }
	m["cloud.resourceGroup"] = func(v *View) string { return v.Asset.Cloud.ResourceGroup }
	m["cloud.privateIp"] = func(v *View) string { return v.Asset.Cloud.PrivateIP }
	m["cloud.publicIp"] = func(v *View) string { return v.Asset.Cloud.PublicIP }
	m["cloud.privateDns"] = func(v *View) string { return v.Asset.Cloud.PrivateDNS }
	m["cloud.publicDns"] = func(v *View) string { return v.Asset.Cloud.PublicDNS }
}

func cleanFields(m map[string]Getter) {
	m["clean.name"] = func(v *View) string { return v.Clean.Name }
	m["clean.fqdn"] = func(v *View) string { return v.Clean.FQDN }
	m["clean.domain"] = func(v *View) string { return v.Clean.Domain }
	m["clean.serial"] = func(v *View) string { return v.Clean.Serial }
	m["clean.uuid"] = func(v *View) string { return v.Clean.UUID }
	m["clean.assetTag"] = func(v *View) string { return v.Clean.AssetTag }
	m["clean.manufacturer"] = func(v *View) string { return v.Clean.Manufacturer }
	m["clean.model"] = func(v *View) string { return v.Clean.Model }
	m["clean.os"] = func(v *View) string { return v.Clean.OS }
	m["clean.osVersion"] = func(v *View) string { return v.Clean.OSVersion }
	m["clean.osWidth"] = func(v *View) string { return v.Clean.OSWidth }
	m["clean.ip"] = func(v *View) string { return v.Clean.IP }
	m["clean.mac"] = func(v *View) string { return v.Clean.MAC }
	m["clean.virtual"] = func(v *View) string {
		if !v.Clean.Virtual && !hardwareKnown(v) {
			return "" // nothing was reported that could tell
		}
		return strconv.FormatBool(v.Clean.Virtual)
	}
}

// hardwareKnown says whether anything was reported about the hardware.
func hardwareKnown(v *View) bool {
	category := strings.ToLower(v.Asset.Hardware.Category1)
	return v.Clean.Manufacturer != "" || v.Clean.Model != "" || category != "" && category != "unidentified" && category != "unknown"
}

// lists is the registry of lists, built like fields.
func lists() map[string]List {
	m := map[string]List{
		"adapters": {Name: "adapters", Section: SectionInterfaces,
			Len: func(v *View) int { return len(v.Clean.Adapters) },
			fields: map[string]ElementGetter{
				"name":    func(v *View, i int) string { return v.Clean.Adapters[i].Name },
				"mac":     func(v *View, i int) string { return v.Clean.Adapters[i].MAC },
				"ip":      func(v *View, i int) string { return v.Clean.Adapters[i].IP },
				"netmask": func(v *View, i int) string { return v.Clean.Adapters[i].Netmask },
				"gateway": func(v *View, i int) string { return v.Clean.Adapters[i].Gateway },
			}},
		"addresses": {Name: "addresses", Section: SectionInterfaces,
			Len: func(v *View) int { return len(v.Clean.Addresses) },
			fields: map[string]ElementGetter{
				"ip":      func(v *View, i int) string { return v.Clean.Addresses[i].IP },
				"version": func(v *View, i int) string { return v.Clean.Addresses[i].Version },
				"netmask": func(v *View, i int) string { return v.Clean.Addresses[i].Netmask },
				"mac":     func(v *View, i int) string { return v.Clean.Addresses[i].MAC },
			}},
		"volumes": {Name: "volumes", Section: SectionVolumes,
			Len: func(v *View) int { return len(v.Asset.Volumes) },
			fields: map[string]ElementGetter{
				"name": func(v *View, i int) string { return v.Asset.Volumes[i].Name },
				"free": func(v *View, i int) string { return number(v.Asset.Volumes[i].Free) },
				"size": func(v *View, i int) string { return number(v.Asset.Volumes[i].Size) },
			}},
	}
	detailLists(m)
	return m
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
