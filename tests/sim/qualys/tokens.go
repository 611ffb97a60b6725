package qualys

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// value is what a token reads from an asset, in the form its class compares.
type value struct {
	text   string
	number float64
	at     time.Time
}

// filterToken is a field that a filter may name.
type filterToken struct {
	class class
	// read calls fn with each value until fn returns false; an asset without a value calls nothing.
	read func(e *estate.Estate, a *estate.Asset, fn func(value) bool)
}

// one makes a token of a single text; empty is no value.
func one(c class, get func(a *estate.Asset) string) *filterToken {
	return &filterToken{c, func(_ *estate.Estate, a *estate.Asset, fn func(value) bool) {
		if s := get(a); s != "" {
			fn(value{text: s})
		}
	}}
}

func figure(c class, get func(a *estate.Asset) float64) *filterToken {
	return &filterToken{c, func(_ *estate.Estate, a *estate.Asset, fn func(value) bool) { fn(value{number: get(a)}) }}
}

// moment makes a token of an epoch in milliseconds; 0 and -1 mean never.
func moment(get func(a *estate.Asset) int64) *filterToken {
	return &filterToken{date, func(_ *estate.Estate, a *estate.Asset, fn func(value) bool) {
		if ms := get(a); ms > 0 {
			fn(value{at: time.UnixMilli(ms).UTC()})
		}
	}}
}

func many(c class, each func(a *estate.Asset, fn func(value) bool)) *filterToken {
	return &filterToken{c, func(_ *estate.Estate, a *estate.Asset, fn func(value) bool) { each(a, fn) }}
}

// absent makes a token that is legal and that no asset of the estate has a value for.
func absent(c class) *filterToken {
	return &filterToken{c, func(*estate.Estate, *estate.Asset, func(value) bool) {}}
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// lookup returns the token of that name, or nil: the vendor answers 400 to a name it does not know. The names are those
// of the operators appendix and of working clients (group A), and the token families of the guide (group B), whose
// validity in this filter is assumed. The complete list is not public.
func lookup(name string) *filterToken {
	switch {
	case strings.HasPrefix(name, "asset."), strings.HasPrefix(name, "tags."):
		return assetToken(name)
	case strings.HasPrefix(name, "operatingSystem."):
		return systemToken(strings.TrimPrefix(name, "operatingSystem."))
	case strings.HasPrefix(name, "hardware."):
		return hardwareToken(strings.TrimPrefix(name, "hardware."))
	case strings.HasPrefix(name, "software."):
		return softwareToken(strings.TrimPrefix(name, "software."))
	case strings.HasPrefix(name, "agent."), strings.HasPrefix(name, "qualys."), strings.HasPrefix(name, "passiveSensor."):
		return sensorToken(name)
	}
	return otherToken(name)
}

func assetToken(name string) *filterToken {
	switch name {
	case "asset.name":
		return one(text, func(a *estate.Asset) string { return a.Name })
	case "asset.id", "asset.assetId":
		return figure(numeric, func(a *estate.Asset) float64 { return float64(a.ID) })
	case "asset.trackingMethod":
		return one(enumeration, func(a *estate.Asset) string { return a.Source })
	case "asset.inventory.source":
		return many(enumeration, func(a *estate.Asset, fn func(value) bool) {
			for more, i := fn(value{text: a.Source}), 0; more && i < len(a.Published); i++ {
				more = fn(value{text: a.Published[i].Source})
			}
		})
	case "asset.lastUpdatedDate":
		return moment(func(a *estate.Asset) int64 { return a.Modified })
	case "asset.createdDate", "asset.inventory.createdDate":
		return moment(func(a *estate.Asset) int64 { return a.Created })
	case "asset.truRisk":
		return figure(numeric, func(a *estate.Asset) float64 { return float64(a.RiskScore) })
	case "asset.criticalityScore":
		return figure(numeric, func(a *estate.Asset) float64 { return float64(a.Criticality) })
	case "asset.tags.name", "tags.name":
		return many(text, func(a *estate.Asset, fn func(value) bool) {
			for _, label := range a.Labels {
				if !fn(value{text: label.Name}) {
					return
				}
			}
			for _, tag := range a.Tags {
				if !fn(value{text: estate.TagName(tag)}) {
					return
				}
			}
		})
	case "asset.businessInfo.department", "asset.businessInfo.environment", "asset.businessInfo.company", "asset.businessInfo.operationalStatus":
		member := strings.TrimPrefix(name, "asset.businessInfo.")
		return &filterToken{text, func(e *estate.Estate, a *estate.Asset, fn func(value) bool) { business(e, a, member, fn) }}
	case "asset.businessInfo.ownedBy.username", "asset.businessInfo.managedBy.username":
		member := strings.TrimSuffix(strings.TrimPrefix(name, "asset.businessInfo."), ".username")
		return &filterToken{text, func(e *estate.Estate, a *estate.Asset, fn func(value) bool) { business(e, a, member, fn) }}
	case "asset.assetGroups.name":
		return absent(text)
	case "asset.hasAiCriticalityScore":
		return absent(boolean)
	case "asset.aiCriticalityScoreConfidence":
		return absent(enumeration)
	case "asset.interface.address":
		return many(ipClass, eachAddress)
	case "asset.interface.macAddress":
		return many(textNoNot, eachMAC)
	case "asset.interface.hostname", "asset.interface.dnsAddress", "asset.interface.gatewayAddress",
		"asset.interface.manufacturer", "asset.interface.name", "asset.interface.netmask":
		return absent(textNoNot)
	}
	return nil
}

// business calls fn with a text of the business information that the asset shows.
func business(e *estate.Estate, a *estate.Asset, member string, fn func(value) bool) {
	if a.Written[memberBusiness] == nil && a.Department() == "" {
		return
	}
	var shown struct {
		Business map[string]any `json:"businessInformation"`
	}
	raw := e.AppendJSON(nil, a, estate.View{Hide: estate.AllFields &^ estate.BusinessFields})
	if json.Unmarshal(raw, &shown) != nil {
		return
	}
	if v, _ := shown.Business[member].(string); v != "" {
		fn(value{text: v})
	}
}

// published calls fn with something of each connector that published the asset.
func published(get func(p *estate.Published) value) func(*estate.Asset, func(value) bool) {
	return func(a *estate.Asset, fn func(value) bool) {
		for i := range a.Published {
			if !fn(get(&a.Published[i])) {
				return
			}
		}
	}
}

func eachAddress(a *estate.Asset, fn func(value) bool) {
	for _, n := range a.NICs {
		for _, ip := range n.V4 {
			if !fn(value{text: ip.String()}) {
				return
			}
		}
	}
}

func eachMAC(a *estate.Asset, fn func(value) bool) {
	for _, n := range a.NICs {
		if !fn(value{text: n.MAC}) {
			return
		}
	}
}

func systemToken(name string) *filterToken {
	system := func(get func(o *estate.OS) string) *filterToken {
		return one(text, func(a *estate.Asset) string { return get(a.OS) })
	}
	switch name {
	case "category":
		return system(func(o *estate.OS) string { return o.Category() })
	case "category1":
		return system(func(o *estate.OS) string { return o.Category1 })
	case "category2":
		return system(func(o *estate.OS) string { return o.Category2 })
	case "name":
		return system(func(o *estate.OS) string { return o.Full })
	case "publisher":
		return system(func(o *estate.OS) string { return o.Publisher })
	case "edition":
		return system(func(o *estate.OS) string { return o.Edition })
	case "version":
		return system(func(o *estate.OS) string { return o.Version })
	case "marketVersion":
		return system(func(o *estate.OS) string { return o.Market })
	case "update":
		return system(func(o *estate.OS) string { return o.Update })
	case "architecture":
		return system(func(o *estate.OS) string { return o.Architecture })
	case "lifecycle.stage":
		return system(func(o *estate.OS) string { return o.Stage })
	case "lifecycle.ga":
		return day(func(o *estate.OS) string { return o.GA })
	case "lifecycle.eol":
		return day(func(o *estate.OS) string { return o.EOL })
	case "lifecycle.eos":
		return day(func(o *estate.OS) string { return o.EOS })
	case "installDate":
		return absent(date)
	case "lifecycle.detectionScore":
		return absent(numeric)
	}
	return nil
}

func day(get func(o *estate.OS) string) *filterToken {
	return &filterToken{date, func(_ *estate.Estate, a *estate.Asset, fn func(value) bool) {
		if at, ok := parseInstant(get(a.OS)); ok {
			fn(value{at: at})
		}
	}}
}

func hardwareToken(name string) *filterToken {
	part := func(get func(h *estate.Hardware) string) *filterToken {
		return one(text, func(a *estate.Asset) string { return get(a.Hardware) })
	}
	switch name {
	case "category":
		return part(func(h *estate.Hardware) string { return h.Category() })
	case "category1":
		return part(func(h *estate.Hardware) string { return h.Category1 })
	case "category2":
		return part(func(h *estate.Hardware) string { return h.Category2 })
	case "manufacturer":
		return part(func(h *estate.Hardware) string { return h.Manufacturer })
	case "name":
		return part(func(h *estate.Hardware) string { return h.Full() })
	case "model":
		return part(func(h *estate.Hardware) string { return h.Model })
	case "lifecycle.stage":
		return part(func(h *estate.Hardware) string { return h.Stage })
	case "lifecycle.intro", "lifecycle.ga", "lifecycle.eos", "lifecycle.obs":
		return absent(date)
	}
	return nil
}

func softwareToken(name string) *filterToken {
	pick := func(get func(name, publisher, version, category1, category2 string) string) *filterToken {
		return &filterToken{text, func(e *estate.Estate, a *estate.Asset, fn func(value) bool) {
			e.SoftwareNames(a, func(n, p, v, c1, c2 string) bool { return fn(value{text: get(n, p, v, c1, c2)}) })
		}}
	}
	switch name {
	case "name":
		return pick(func(n, p, v, _, _ string) string { return p + " " + n + " " + v })
	case "product":
		return pick(func(n, _, _, _, _ string) string { return n })
	case "publisher":
		return pick(func(_, p, _, _, _ string) string { return p })
	case "version":
		return pick(func(_, _, v, _, _ string) string { return v })
	case "category":
		return pick(func(_, _, _, c1, c2 string) string { return c1 + " / " + c2 })
	case "category1":
		return pick(func(_, _, _, c1, _ string) string { return c1 })
	case "category2":
		return pick(func(_, _, _, _, c2 string) string { return c2 })
	case "lifecycle.stage", "authorization":
		return absent(text)
	}
	return nil
}

func sensorToken(name string) *filterToken {
	switch name {
	case "agent.agentID":
		return one(uuidClass, func(a *estate.Asset) string { return a.AgentID })
	case "agent.version":
		return one(text, func(a *estate.Asset) string {
			if a.AgentID == "" {
				return ""
			}
			return "6.1.0.28"
		})
	case "qualys.agent.lastActivityDate", "qualys.agent.lastCheckedInDate":
		return moment(func(a *estate.Asset) int64 {
			if a.AgentID == "" {
				return 0
			}
			return a.LastCheckedIn
		})
	case "qualys.activatedForModules":
		return many(enumeration, func(a *estate.Asset, fn func(value) bool) {
			if fn(value{text: "VM"}) && a.AgentID != "" && fn(value{text: "PC"}) {
				fn(value{text: "GAV"})
			}
		})
	case "qualys.agent.isPassiveSensor", "qualys.caps.leader":
		return one(boolean, func(*estate.Asset) string { return yes(false) })
	case "agent.errorStatus":
		return absent(boolean)
	case "agent.connectedFrom":
		return absent(ipClass)
	case "qualys.agent.activationKey.uuid", "qualys.passiveSensor.lparId":
		return absent(uuidClass)
	case "qualys.agent.activationKey.status", "qualys.pendingActivationForModules":
		return absent(enumeration)
	case "passiveSensor.lastUpdatedDate":
		return absent(date)
	}
	return nil
}

func otherToken(name string) *filterToken {
	switch name {
	case "cloud.provider", "cloudProvider":
		return one(enumeration, func(a *estate.Asset) string {
			if a.Cloud == nil {
				return ""
			}
			return a.Cloud.Provider
		})
	case "interfaces.address":
		return many(ipClass, eachAddress)
	case "interfaces.macAddress":
		return many(textNoNot, eachMAC)
	case "openPort.port":
		return many(numericNoNot, func(a *estate.Asset, fn func(value) bool) {
			for _, p := range a.Ports() {
				if !fn(value{number: float64(p.Number)}) {
					return
				}
			}
		})
	case "openPort.protocol":
		return many(enumeration, func(a *estate.Asset, fn func(value) bool) {
			for _, p := range a.Ports() {
				if !fn(value{text: p.Protocol}) {
					return
				}
			}
		})
	case "aws.ec2.accountId", "aws.ec2.instanceId", "aws.ec2.instanceState", "aws.ec2.region.code", "aws.ec2.vpcId", "aws.ec2.subnetId", "aws.ec2.imageId", "aws.ec2.instanceType", "aws.ec2.availabilityZone":
		return cloudToken(estate.AWS, strings.TrimPrefix(name, "aws.ec2."))
	case "azure.vm.subscriptionId", "azure.vm.vmId", "azure.vm.state", "azure.vm.location":
		return cloudToken(estate.Azure, strings.TrimPrefix(name, "azure.vm."))
	case "gcp.compute.projectId", "gcp.compute.instanceId", "gcp.compute.state", "gcp.compute.zone":
		return cloudToken(estate.GCP, strings.TrimPrefix(name, "gcp.compute."))
	case "account.username", "container.product", "customAttributes.key", "customAttributes.value", "customAttributes.connectorId",
		"missingSoftware.name", "processor.description", "whoIs.domain", "whoIs.registrar", "services.name", "services.status":
		return absent(text)
	case "connector.id":
		return many(text, published(func(p *estate.Published) value { return value{text: p.Connector} }))
	case "connector.name": // the names of connectors are not part of what they publish
		return many(text, published(func(p *estate.Published) value { return value{text: p.Source} }))
	case "connector.firstFoundDate":
		return many(date, published(func(p *estate.Published) value { return value{at: time.UnixMilli(p.First).UTC()} }))
	case "connector.lastFoundDate":
		return many(date, published(func(p *estate.Published) value { return value{at: time.UnixMilli(p.Last).UTC()} }))
	}
	for _, family := range []string{"alibaba.instance.", "ibm.virtualServer.", "oci.compute."} {
		if strings.HasPrefix(name, family) && len(name) > len(family) {
			return absent(text)
		}
	}
	return nil
}

func cloudToken(kind estate.Kind, name string) *filterToken {
	return one(text, func(a *estate.Asset) string {
		if a.Kind != kind || a.Cloud == nil {
			return ""
		}
		switch name {
		case "accountId", "subscriptionId", "projectId":
			return a.Cloud.Account
		case "instanceId", "vmId":
			return a.Cloud.Instance
		case "instanceState", "state":
			return a.Cloud.State
		case "region.code", "location":
			return a.Cloud.Region
		case "vpcId":
			return a.Cloud.Network
		case "subnetId":
			return a.Cloud.Subnet
		case "imageId":
			return a.Cloud.Image
		case "instanceType":
			return a.Cloud.Type
		}
		return a.Cloud.Zone
	})
}
