package qualys

import (
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// assetCriteria are the fields that hostasset can be searched by (Cloud Agent API guide, "list agents"); the generic
// asset knows the few that do not concern a host.
func assetCriteria(host bool) map[string]qpsClass {
	out := map[string]qpsClass{
		"id": qpsInteger, "name": qpsText, "type": qpsText, "created": qpsDate, "updated": qpsDate, "tagId": qpsInteger, "tagName": qpsText,
	}
	if !host {
		return out
	}
	for _, f := range []string{"qwebHostId", "port", "agentConfigurationId"} {
		out[f] = qpsInteger
	}
	for _, f := range []string{
		"os", "dnsHostName", "address", "netbiosName", "installedSoftware", "agentVersion", "agentConfigurationName",
		"netbiosNetworkID", "networkGuid", "activationKey",
	} {
		out[f] = qpsText
	}
	for _, f := range []string{"lastVulnScan", "lastComplianceScan", "informationGatheredUpdated", "vulnsUpdated", "lastCheckedIn"} {
		out[f] = qpsDate
	}
	out["trackingMethod"] = qpsKeyword
	return out
}

// isHost leaves out what is known from the internet side only.
func isHost(a *estate.Asset) bool { return a.Kind != estate.External }

func moments(ms int64) []string {
	if ms <= 0 {
		return nil
	}
	return []string{stamp(time.UnixMilli(ms))}
}

func trackingMethod(a *estate.Asset) string {
	if a.AgentID != "" {
		return "QAGENT"
	}
	return "IP"
}

func (s *Server) assetRecord(a *estate.Asset, object string) qpsRecord {
	rec := qpsRecord{id: a.ID, elem: func() elem { return s.hostElem(a) }, field: func(name string) []string { return s.assetField(a, name) }}
	if object == "asset" {
		rec.elem = func() elem { return s.assetElem("Asset", a) }
	}
	return rec
}

func (s *Server) assetField(a *estate.Asset, name string) (out []string) {
	switch name {
	case "id":
		return []string{strconv.FormatInt(a.ID, 10)}
	case "qwebHostId":
		return []string{strconv.FormatInt(a.HostID, 10)}
	case "name":
		return []string{a.Name}
	case "type":
		return []string{assetType(a)}
	case "os":
		return []string{a.OS.Full}
	case "dnsHostName":
		return []string{a.DNSName}
	case "netbiosName":
		return []string{a.NetBIOS}
	case "address":
		return []string{a.Address.String()}
	case "trackingMethod":
		return []string{trackingMethod(a)}
	case "created":
		return moments(a.Created)
	case "updated":
		return moments(a.Modified)
	case "lastVulnScan":
		return moments(a.SensorUpdated)
	case "lastCheckedIn":
		return moments(a.LastCheckedIn)
	case "port":
		for _, p := range a.Ports() {
			out = append(out, strconv.Itoa(p.Number))
		}
	case "installedSoftware":
		s.estate.SoftwareNames(a, func(n, _, _, _, _ string) bool { out = append(out, n); return true })
	case "tagId", "tagName":
		for _, t := range s.tags.of(a) {
			if name == "tagId" {
				out = append(out, strconv.FormatInt(t.ID, 10))
			} else {
				out = append(out, t.Name)
			}
		}
	}
	return out
}

func assetType(a *estate.Asset) string {
	if isHost(a) {
		return "HOST"
	}
	return "UNKNOWN"
}

// assetElem has what every asset has.
func (s *Server) assetElem(name string, a *estate.Asset) elem {
	e := objectElem(name, numberElem("id", strconv.FormatInt(a.ID, 10)), textElem("name", a.Name))
	for _, m := range []struct {
		name string
		ms   int64
	}{{"created", a.Created}, {"modified", a.Modified}} {
		for _, text := range moments(m.ms) {
			e.addText(m.name, text)
		}
	}
	e.add(textElem("type", assetType(a)))
	var tags []elem
	for _, t := range s.tags.of(a) {
		tags = append(tags, simple(t.ID, t.Name))
	}
	e.add(listOf("tags", tags...), listOf("sourceInfo", sourceElem(a)))
	return e
}

func sourceElem(a *estate.Asset) elem {
	c := a.Cloud
	if c == nil {
		return objectElem("AssetSource")
	}
	name, kind := "GcpAssetSourceSimple", "GCP"
	members := [][2]string{{"instanceId", c.Instance}, {"machineType", c.Type}, {"imageId", c.Image}, {"zone", c.Zone}, {"projectId", c.Account}, {"state", c.State}, {"network", c.Network}}
	switch c.Provider {
	case "AWS":
		name, kind = "Ec2AssetSourceSimple", "EC_2"
		members = [][2]string{{"availabilityZone", c.Zone}, {"instanceId", c.Instance}, {"instanceType", c.Type}, {"instanceState", c.State}, {"spotInstance", "false"}, {"accountId", c.Account}, {"subnetId", c.Subnet}, {"vpcId", c.Network}, {"region", c.Region}, {"zone", "VPC"}, {"imageId", c.Image}}
	case "Azure":
		name, kind = "AzureAssetSourceSimple", "AZURE"
		members = [][2]string{{"name", a.Host}, {"location", c.Region}, {"vmSize", c.Type}, {"vmId", c.Instance}, {"offer", c.Image}, {"state", c.State}, {"subnet", c.Subnet}, {"subscriptionId", c.Account}}
	}
	e := objectElem(name, numberElem("assetId", strconv.FormatInt(a.ID, 10)), textElem("type", kind))
	for _, m := range append(members, [2]string{"publicIpAddress", c.PublicIP}, [2]string{"privateIpAddress", a.Address.String()}) {
		e.addText(m[0], m[1])
	}
	return e
}

func (s *Server) hostElem(a *estate.Asset) elem {
	e := s.assetElem("HostAsset", a)
	e.add(numberElem("qwebHostId", strconv.FormatInt(a.HostID, 10)))
	for _, text := range moments(a.SensorUpdated) {
		e.addText("lastVulnScan", text)
	}
	for _, text := range moments(a.LastBoot) {
		e.addText("lastSystemBoot", text)
	}
	for _, m := range [][2]string{
		{"fqdn", a.DNSName}, {"os", a.OS.Full}, {"dnsHostName", a.DNSName}, {"netbiosName", a.NetBIOS}, {"address", a.Address.String()},
		{"trackingMethod", trackingMethod(a)}, {"manufacturer", a.Hardware.Manufacturer}, {"model", a.Hardware.Model},
	} {
		e.addText(m[0], m[1])
	}
	if a.AgentID != "" {
		agent := objectElem("agentInfo", textElem("agentId", a.AgentID), textElem("status", "STATUS_ACTIVE"))
		for _, text := range moments(a.LastCheckedIn) {
			agent.addText("lastCheckedIn", text)
		}
		agent.add(textElem("activatedModule", "AGENT_VM,AGENT_SCA"))
		e.add(agent)
	}
	if a.MemoryMB > 0 {
		e.add(numberElem("totalMemory", strconv.Itoa(a.MemoryMB)))
	}
	if a.Cloud != nil {
		e.add(textElem("cloudProvider", strings.ToUpper(a.Cloud.Provider)))
	}
	if a.Criticality > 0 {
		e.add(numberElem("criticalityScore", strconv.Itoa(a.Criticality)))
	}
	var ports, software, interfaces []elem
	for _, p := range a.Ports() {
		ports = append(ports, objectElem("HostAssetOpenPort", numberElem("port", strconv.Itoa(p.Number)), textElem("protocol", p.Protocol), textElem("serviceName", p.Service)))
	}
	s.estate.SoftwareNames(a, func(n, _, v, _, _ string) bool {
		software = append(software, objectElem("HostAssetSoftware", textElem("name", n), textElem("version", v)))
		return true
	})
	for _, n := range a.NICs {
		for _, ip := range n.V4 {
			interfaces = append(interfaces, objectElem("HostAssetInterface", textElem("hostname", a.DNSName), textElem("interfaceName", n.Name),
				textElem("macAddress", n.MAC), textElem("type", "LOCAL"), textElem("address", ip.String())))
		}
	}
	e.add(listOf("openPort", ports...), listOf("software", software...), listOf("networkInterface", interfaces...), textElem("isDockerHost", "false"))
	return e
}
