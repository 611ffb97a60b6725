package qql

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/asset"
)

type kind int

const (
	kindText kind = iota
	kindNumber
	kindDate
	kindEnum
	kindAddress
	kindBool
)

// field is a token of the language, and where an asset has its value.
type field struct {
	name string
	kind kind
	path string // of the asset, or of the list's elements
	list string // name of a list of the asset; "": a plain value
	// pushed is the name in the filter body of the API, for fields that the vendor
	// names there; "": the filter is decided on the asset.
	pushed string
	only   asset.CloudProvider // value of this cloud only

	get     asset.Getter
	element asset.ElementGetter
	in      *asset.List
}

// table lists the tokens: name, kind, path, list, name in the API's filter body,
// cloud. Only tokens that the appendix of supported operators names, or that
// recorded calls use, are pushed down.
var table = []field{
	{name: "asset.name", path: "assetName", pushed: "asset.name"},
	{name: "asset.id", kind: kindNumber, path: "assetId", pushed: "asset.id"},
	{name: "asset.assetId", kind: kindNumber, path: "assetId", pushed: "asset.id"},
	{name: "asset.trackingMethod", kind: kindEnum, path: "trackingMethod", pushed: "asset.trackingMethod"},
	{name: "asset.lastUpdatedDate", kind: kindDate, path: "lastModifiedDate", pushed: "asset.lastUpdatedDate"},
	{name: "asset.truRisk", kind: kindNumber, path: "riskScore", pushed: "asset.truRisk"},
	{name: "asset.tags.name", path: "name", list: "tags", pushed: "tags.name"},
	{name: "tags.name", path: "name", list: "tags", pushed: "tags.name"},
	{name: "agent.agentID", kind: kindEnum, path: "agentId", pushed: "agent.agentID"},
	{name: "operatingSystem.category", path: "operatingSystem.category", pushed: "operatingSystem.category"},
	{name: "operatingSystem.category1", path: "operatingSystem.category1", pushed: "operatingSystem.category1"},
	{name: "operatingSystem.category2", path: "operatingSystem.category2", pushed: "operatingSystem.category2"},

	{name: "asset.type", kind: kindEnum, path: "assetType"},
	{name: "asset.criticalityScore", kind: kindNumber, path: "criticality.score"},
	{name: "asset.createdDate", kind: kindDate, path: "createdDate"},
	{name: "asset.inventory.source", path: "inventory.sources"},
	{name: "inventory.source", path: "inventory.sources"},
	{name: "asset.businessInfo.company", path: "business.company"},
	{name: "asset.businessInfo.department", path: "business.department"},
	{name: "asset.businessInfo.environment", path: "business.environment"},
	{name: "asset.businessInfo.operationalStatus", path: "business.operationalStatus"},
	{name: "asset.businessInfo.ownedBy.username", path: "business.ownedBy"},
	{name: "asset.businessInfo.managedBy.username", path: "business.managedBy"},
	{name: "operatingSystem.name", path: "operatingSystem.osName"},
	{name: "operatingSystem.publisher", path: "operatingSystem.publisher"},
	{name: "operatingSystem.edition", path: "operatingSystem.edition"},
	{name: "operatingSystem.version", path: "operatingSystem.version"},
	{name: "operatingSystem.marketVersion", path: "operatingSystem.marketVersion"},
	{name: "operatingSystem.update", path: "operatingSystem.update"},
	{name: "operatingSystem.architecture", path: "operatingSystem.architecture"},
	{name: "operatingSystem.installDate", kind: kindDate, path: "operatingSystem.installDate"},
	{name: "operatingSystem.lifecycle.stage", path: "operatingSystem.lifecycle.stage"},
	{name: "operatingSystem.lifecycle.eol", kind: kindDate, path: "operatingSystem.lifecycle.eolDate"},
	{name: "operatingSystem.lifecycle.eos", kind: kindDate, path: "operatingSystem.lifecycle.eosDate"},
	{name: "hardware.category", path: "hardware.category"},
	{name: "hardware.category1", path: "hardware.category1"},
	{name: "hardware.category2", path: "hardware.category2"},
	{name: "hardware.manufacturer", path: "hardware.manufacturer"},
	{name: "hardware.name", path: "hardware.productName"},
	{name: "hardware.model", path: "hardware.model"},
	{name: "hardware.lifecycle.stage", path: "hardware.lifecycle.stage"},
	{name: "software", list: "software"},
	{name: "software.name", path: "name", list: "software"},
	{name: "software.publisher", path: "publisher", list: "software"},
	{name: "software.category1", path: "category1", list: "software"},
	{name: "software.category2", path: "category2", list: "software"},
	{name: "software.version", path: "version", list: "software"},
	{name: "software.lifecycle.stage", path: "lifecycle.stage", list: "software"},
	{name: "software.authorization", path: "authorization", list: "software"},
	{name: "openPort", list: "openPorts"},
	{name: "openPort.port", kind: kindNumber, path: "port", list: "openPorts"},
	{name: "openPort.protocol", kind: kindEnum, path: "protocol", list: "openPorts"},
	{name: "interfaces", list: "adapters"},
	{name: "interfaces.address", kind: kindAddress, path: "ip", list: "addresses"},
	{name: "interfaces.macAddress", path: "mac", list: "adapters"},
	{name: "interfaces.name", path: "name", list: "adapters"},
	{name: "services", list: "services"},
	{name: "services.name", path: "name", list: "services"},
	{name: "services.status", path: "status", list: "services"},
	{name: "cloud.provider", kind: kindEnum, path: "cloud.provider"},
	{name: "aws.ec2.accountId", path: "cloud.accountId", only: asset.CloudAWS},
	{name: "aws.ec2.instanceId", path: "cloud.instanceId", only: asset.CloudAWS},
	{name: "aws.ec2.instanceState", kind: kindEnum, path: "cloud.state", only: asset.CloudAWS},
	{name: "aws.ec2.instanceType", path: "cloud.instanceType", only: asset.CloudAWS},
	{name: "aws.ec2.region.code", path: "cloud.region", only: asset.CloudAWS},
	{name: "aws.ec2.vpcId", path: "cloud.networkId", only: asset.CloudAWS},
	{name: "azure.vm.subscriptionId", path: "cloud.accountId", only: asset.CloudAzure},
	{name: "azure.vm.vmId", path: "cloud.instanceId", only: asset.CloudAzure},
	{name: "azure.vm.state", kind: kindEnum, path: "cloud.state", only: asset.CloudAzure},
	{name: "azure.vm.location", path: "cloud.region", only: asset.CloudAzure},
	{name: "azure.vm.resourceGroupName", path: "cloud.resourceGroup", only: asset.CloudAzure},
	{name: "gcp.compute.projectId", path: "cloud.accountId", only: asset.CloudGCP},
	{name: "gcp.compute.instanceId", path: "cloud.instanceId", only: asset.CloudGCP},
	{name: "gcp.compute.state", kind: kindEnum, path: "cloud.state", only: asset.CloudGCP},
	{name: "gcp.compute.zone", path: "cloud.zone", only: asset.CloudGCP},
}

// elements are the members that a list may be asked about in parentheses, by the
// name they have there.
var elements = map[string][]field{
	"software":  {{name: "name", path: "name"}, {name: "publisher", path: "publisher"}, {name: "version", path: "version"}, {name: "category1", path: "category1"}, {name: "category2", path: "category2"}, {name: "lifecycle.stage", path: "lifecycle.stage"}},
	"openPorts": {{name: "port", kind: kindNumber, path: "port"}, {name: "protocol", kind: kindEnum, path: "protocol"}, {name: "description", path: "description"}},
	"adapters":  {{name: "address", kind: kindAddress, path: "ip"}, {name: "macAddress", path: "mac"}, {name: "name", path: "name"}, {name: "netmask", path: "netmask"}, {name: "gatewayAddress", path: "gateway"}},
	"services":  {{name: "name", path: "name"}, {name: "status", path: "status"}},
	"tags":      {{name: "name", path: "name"}},
}

// Fields lists the names of all fields.
func Fields() []string {
	out := make([]string, len(table))
	for i := range table {
		out[i] = table[i].name
	}
	return out
}

// fieldOf finds a field by name, in any case; within is the list whose element is
// asked about. It returns the names there are when there is none.
func fieldOf(name string, within *field) (*field, []string) {
	list := table
	if within != nil {
		list = elements[within.list]
	}
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].name
		if strings.EqualFold(names[i], name) {
			f := list[i]
			if within != nil {
				f.list = within.list
			}
			f.resolve()
			return &f, nil
		}
	}
	return nil, names
}

// resolve finds where an asset has the value. The table is tested to name only
// what there is.
func (f *field) resolve() {
	if f.list == "" {
		f.get, _ = asset.Lookup(f.path)
		return
	}
	l, _ := asset.LookupList(f.list)
	f.in = &l
	if f.path != "" {
		f.element, _ = l.Lookup(f.path)
	}
}

// refuses says why a value is none of the field's kind, or "".
func (f *field) refuses(text string) (msg, hint string) {
	switch f.kind {
	case kindNumber:
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Sprintf("%q is not a number", text), ""
		}
	case kindDate:
		if _, err := instantOf(text, time.Unix(0, 0)); err != nil {
			return fmt.Sprintf("%q is not a date", text), "write 2026-01-31, 2026-01-31T12:00:00Z or now-30d"
		}
	case kindAddress:
		if !strings.Contains(text, "*") {
			if _, err := netip.ParsePrefix(text); err == nil {
				return "", ""
			}
			if _, err := netip.ParseAddr(text); err != nil {
				return fmt.Sprintf("%q is not an address", text), "write 10.0.0.1 or 10.0.0.0/24"
			}
		}
	}
	return "", ""
}

// units of relative dates.
var units = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// instantOf reads a date: a day, an instant, now, or an offset from now.
func instantOf(text string, now time.Time) (time.Time, error) {
	if rest, ok := strings.CutPrefix(strings.ToLower(text), "now"); ok {
		if rest == "" {
			return now, nil
		}
		n, err := strconv.ParseInt(rest[:len(rest)-1], 10, 32)
		unit := units[rest[len(rest)-1]]
		if err != nil || unit == 0 || (rest[0] != '-' && rest[0] != '+') {
			return time.Time{}, fmt.Errorf("qql: %q is not a date", text)
		}
		if d := time.Duration(n) * unit; d/unit == time.Duration(n) {
			return now.Add(d), nil
		}
		return time.Time{}, fmt.Errorf("qql: %q is too far away", text)
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("qql: %q is not a date", text)
}
