package estate

import "strconv"

func itoa(n int) string { return strconv.Itoa(n) }

func (a *Asset) writeUsers(w *encoder, profile Profile) {
	if a.AgentID == "" {
		w.null("userAccountListData")
		return
	}
	w.list("userAccountListData", "userAccount")
	names := []string{"Administrator", "Guest", "svc_backup", "svc_app"}
	if a.OS.Category1 != "Windows" {
		names = []string{"root", "daemon", "sshd", "qualys"}
	}
	if profile == Full {
		for i := range 30 {
			names = append(names, "user"+pad(a.dice.below(uint64(800+i), 5000), 4))
		}
	}
	for _, name := range names {
		w.item()
		w.text("name", name)
		w.end()
	}
	w.closeList()
}

// Port is an open port as the vendor describes it.
type Port struct {
	Number                int
	Protocol, Description string
	Service               string
}

var ports = [...]Port{
	{22, "TCP", "SSH", "ssh"}, {80, "TCP", "HTTP", "http"}, {443, "TCP", "HTTPS", "http over ssl"}, {135, "TCP", "DCE endpoint", "msrpc"},
	{445, "TCP", "SMB", "microsoft-ds"}, {3389, "TCP", "RDP", "win remote desktop"}, {161, "UDP", "SNMP", "snmp"}, {8080, "TCP", "HTTP alternate", ""},
	{1433, "TCP", "MSSQL", "mssql"}, {5432, "TCP", "PostgreSQL", "postgresql"}, {9100, "TCP", "JetDirect", "jetdirect"}, {123, "UDP", "NTP", "ntp"},
}

// Ports returns the open ports; nil when no sensor looked.
func (a *Asset) Ports() []Port {
	if a.Kind == External || a.dice.percent(80, 30) {
		return nil
	}
	start, n := a.dice.below(81, len(ports)), 2+a.dice.below(82, 3)
	out := make([]Port, 0, n)
	for i := range n {
		out = append(out, ports[(start+i*5)%len(ports)])
	}
	return out
}

func (a *Asset) writePorts(w *encoder, profile Profile) {
	open := a.Ports()
	if open == nil {
		w.null("openPortListData")
		return
	}
	if profile == Full {
		open = append(open, ports[:6]...)
	}
	w.list("openPortListData", "openPort")
	for i, p := range open {
		w.item()
		w.number("port", int64(p.Number))
		w.text("description", p.Description)
		w.text("protocol", p.Protocol)
		w.text("detectedService", p.Service)
		if i == 0 {
			// Both families of timestamps occur in this place.
			w.number("firstFound", a.Created)
		} else {
			w.iso("firstFound", a.Created)
		}
		w.iso("lastUpdated", a.SensorUpdated)
		w.null("authorization")
		w.end()
	}
	w.closeList()
}

func (a *Asset) writeVolumes(w *encoder) {
	if a.AgentID == "" {
		w.null("volumeListData")
		return
	}
	names := []string{"/", "/boot", "/var"}
	if a.OS.Category1 == "Windows" {
		names = []string{"C:", "D:"}
	}
	w.list("volumeListData", "volume")
	for i, name := range names {
		size := int64(64<<a.dice.below(uint64(90+i), 4)) << 30
		w.item()
		w.text("name", name)
		w.number("free", size/int64(3+i))
		w.number("size", size)
		w.end()
	}
	w.closeList()
}

func (a *Asset) writeAgent(w *encoder) {
	if a.AgentID == "" {
		w.null("agent")
		return
	}
	w.open("agent")
	w.text("version", "6.1.0.28")
	w.text("configurationProfile", "Default")
	if a.dice.percent(95, 10) {
		w.null("activations")
	} else {
		w.key("activations")
		w.b = append(w.b, '[')
		w.item()
		w.text("key", "a1b2c3d4-0000-4000-8000-00000000000"+itoa(a.dice.below(96, 4)))
		w.text("status", "ACTIVE")
		w.end()
		w.b = append(w.b, ']')
	}
	w.text("connectedFrom", "203.0.113."+itoa(1+a.dice.below(97, 250)))
	w.number("lastActivity", a.LastCheckedIn)
	w.number("lastCheckedIn", a.LastCheckedIn)
	w.number("lastInventory", a.LastCheckedIn)
	w.boolean("udcManifestAssigned", false)
	w.boolean("errorStatus", a.dice.percent(98, 2))
	w.end()
}

func (a *Asset) writeSensor(w *encoder) {
	w.open("sensor")
	w.key("activatedForModules")
	w.b = append(w.b, `["VM"`...)
	if a.AgentID != "" {
		w.b = append(w.b, `,"PC","GAV"`...)
	}
	w.b = append(w.b, ']')
	if a.dice.percent(100, 50) {
		w.null("pendingActivationForModules")
	} else {
		w.key("pendingActivationForModules")
		w.b = append(w.b, '[', ']')
	}
	byAgent, byScanner := int64(0), a.SensorUpdated
	if a.AgentID != "" {
		byAgent, byScanner = a.SensorUpdated, 0
	}
	w.number("lastVMScan", a.SensorUpdated)
	w.number("lastComplianceScan", int64(-a.dice.below(101, 2)))
	w.number("lastFullScan", a.SensorUpdated)
	w.number("lastVmScanDateScanner", byScanner)
	w.number("lastVmScanDateAgent", byAgent)
	w.number("lastPcScanDateScanner", 0)
	w.number("lastPcScanDateAgent", 0)
	w.number("firstEasmScanDate", 0)
	w.number("lastEasmScanDate", 0)
	w.end()
}

func (a *Asset) writeContainer(w *encoder) {
	n := a.containers()
	if n == 0 {
		w.null("container")
		return
	}
	w.open("container")
	w.text("product", "Docker")
	w.text("version", "24.0.9")
	w.number("noOfContainers", int64(n))
	w.number("noOfImages", int64(n/2+1))
	w.boolean("hasSensor", false)
	w.end()
}

func (a *Asset) writeInventory(w *encoder) {
	w.open("inventory")
	w.text("source", a.Source)
	w.number("created", a.Created)
	w.number("lastUpdated", a.SensorUpdated)
	w.end()
}

// writeInventories writes every source that knows the asset: its own sensor, then third parties.
func (a *Asset) writeInventories(w *encoder) {
	w.list("inventoryListData", "inventory")
	entry := func(source string, created, updated int64) {
		w.item()
		w.text("source", source)
		w.number("created", created)
		w.number("lastUpdated", updated)
		w.end()
	}
	if !a.Third {
		entry(a.Source, a.Created, a.SensorUpdated)
	}
	for _, p := range a.Published {
		entry(p.Source, p.First, p.Last)
	}
	w.closeList()
}

func (a *Asset) writeActivity(w *encoder) {
	w.open("activity")
	w.text("source", a.Source)
	w.number("lastScannedDate", a.SensorUpdated)
	w.end()
}

func (a *Asset) writeTags(w *encoder, profile Profile) {
	w.list("tagList", "tag")
	labels := a.Labels
	if labels == nil {
		for _, tag := range a.Tags {
			labels = append(labels, Label{TagID(tag), TagName(tag)})
		}
	}
	for _, label := range labels {
		w.item()
		w.number("tagId", label.ID)
		w.text("tagName", label.Name)
		w.number("foregroundColor", 0)
		w.number("backgroundColor", 0)
		if profile == Full {
			w.null("businessImpact")
			w.null("criticalityScore")
		}
		w.end()
	}
	w.closeList()
}

func (a *Asset) writeServices(w *encoder, profile Profile) {
	if a.AgentID == "" {
		w.null("serviceList")
		return
	}
	names := []string{"QualysAgent", "W32Time", "Spooler"}
	if a.OS.Category1 != "Windows" {
		names = []string{"qualys-cloud-agent", "sshd", "crond"}
	}
	if profile == Full {
		for i := range 50 {
			names = append(names, "service-"+itoa(i))
		}
	}
	w.list("serviceList", "service")
	for i, name := range names {
		w.item()
		w.text("description", name+" service")
		w.text("name", name)
		if i%5 == 2 {
			w.null("status")
		} else {
			w.text("status", "RUNNING")
		}
		w.end()
	}
	w.closeList()
}

func (a *Asset) writeLocation(w *encoder) {
	if a.AgentID == "" {
		w.null("lastLocation")
		return
	}
	s := sites[a.dice.below(10, len(sites))]
	w.open("lastLocation")
	w.text("city", s.city)
	w.text("state", s.state)
	w.text("country", s.country)
	w.text("name", s.city+", "+s.country)
	w.text("continent", s.continent)
	w.text("postal", s.postal)
	w.end()
}

func (a *Asset) writeCriticality(w *encoder) {
	w.open("criticality")
	w.number("score", int64(a.Criticality))
	w.boolean("isDefault", a.Criticality == 2)
	if a.Criticality == 2 {
		w.null("lastUpdated")
	} else {
		w.iso("lastUpdated", a.Created)
	}
	w.end()
}

// Department, Environment and the rest of the business information; empty when nobody filled it in.
func (a *Asset) Department() string {
	if !a.Kind.Computer() || !a.dice.percent(110, 20) {
		return ""
	}
	return []string{"Retail", "Finance", "R&D", "IT \"Ops\""}[a.dice.below(111, 4)]
}

// Environment returns the environment of the business information.
func (a *Asset) Environment() string {
	if a.Department() == "" {
		return ""
	}
	return TagName(a.environmentTag())
}

func (a *Asset) environmentTag() int { return 1 + a.dice.below(61, 3) }

func (a *Asset) writeBusiness(w *encoder) {
	if a.Department() == "" {
		w.null("businessInformation")
		return
	}
	w.open("businessInformation")
	w.text("company", "Example AG")
	w.text("department", a.Department())
	w.text("ownedBy", "j.doe")
	w.text("environment", a.Environment())
	w.text("managedBy", "it.ops")
	w.text("supportedBy", "helpdesk")
	w.text("supportGroup", "Platform L2")
	w.text("operationalStatus", "Operational")
	w.end()
}

func (a *Asset) writeAssigned(w *encoder) {
	if a.Department() == "" {
		w.null("assignedLocation")
		return
	}
	s := sites[a.dice.below(10, len(sites))]
	w.open("assignedLocation")
	w.text("name", "DC-"+s.code)
	w.text("city", s.city)
	w.text("state", s.state)
	w.text("country", s.country)
	w.end()
}

func (a *Asset) writeApps(w *encoder) {
	if a.Department() == "" || !a.dice.percent(112, 50) {
		w.null("businessAppListData")
		return
	}
	n := 1 + a.dice.below(113, 40)
	w.list("businessAppListData", "businessApp")
	w.item()
	w.text("id", "BA"+pad(n, 4))
	w.text("name", "Application "+itoa(n))
	w.text("environment", a.Environment())
	w.text("businessCriticality", "1 - Most Critical")
	w.text("managedBy", "it.ops")
	w.text("ownedBy", "j.doe")
	w.text("supportedBy", "helpdesk")
	w.text("supportGroup", "Platform L2")
	w.text("operationalStatus", "Operational")
	w.text("status", "Installed")
	w.text("usedFor", a.Environment())
	w.end()
	w.closeList()
}

func (a *Asset) writeCustom(w *encoder) {
	if !a.dice.percent(114, 5) {
		w.null("customAttributes")
		return
	}
	w.key("customAttributes")
	w.b = append(w.b, '[')
	w.item()
	w.text("key", "cost center")
	w.text("value", "CC-"+pad(a.dice.below(115, 900), 4))
	w.text("connectorName", "ServiceNow")
	w.end()
	w.b = append(w.b, ']')
}

func (a *Asset) writeProcessor(w *encoder) {
	if a.CPUs == 0 || a.AgentID == "" {
		w.null("processor")
		return
	}
	w.open("processor")
	w.text("description", "Intel(R) Xeon(R) Silver 4110 CPU @ 2.10GHz")
	w.number("speed", 2095)
	w.number("numCPUs", int64(a.CPUs))
	w.number("noOfSocket", int64(max(1, a.CPUs/16)))
	w.number("threadsPerCore", 2)
	w.number("coresPerSocket", int64(min(8, a.CPUs/2)))
	w.text("multithreadingStatus", "Enabled")
	w.end()
}

// writeExternal writes the members that the attack-surface service fills.
func (a *Asset) writeExternal(w *encoder, v View) {
	external := a.Kind == External
	words := func(f Fields, name, value string) {
		if v.Omit&f != 0 {
			return
		}
		if !external || v.Hide&f != 0 {
			w.null(name)
			return
		}
		w.key(name)
		w.b = append(w.b, '[')
		w.b = appendString(w.b, value)
		w.b = append(w.b, ']')
	}
	text := func(f Fields, name, value string) {
		if v.Omit&f != 0 {
			return
		}
		if !external || v.Hide&f != 0 {
			value = ""
		}
		w.text(name, value)
	}
	words(fieldDomain, "domain", a.Domain)
	words(fieldSubdomain, "subdomain", a.Host+"."+a.Domain)
	if v.Omit&fieldMissing == 0 {
		w.null("missingSoftware")
	}
	switch {
	case v.Omit&fieldWhois != 0:
	case external && v.Hide&fieldWhois == 0:
		w.key("whois")
		w.b = append(w.b, '[')
		w.item()
		w.text("domain", a.Domain)
		w.text("createdDate", "2009-05-04T00:00:00.000Z")
		w.text("registrar", "Example Registrar, Inc.")
		w.text("registrantCountry", "CH")
		w.end()
		w.b = append(w.b, ']')
	default:
		w.null("whois")
	}
	text(fieldOrganization, "organizationName", "Example AG")
	text(fieldISP, "isp", "Example Telecom")
	text(fieldASN, "asn", "AS64500")
	words(fieldEASMTags, "easmTags", "Confirmed")
	text(fieldHosting, "hostingCategory1", "Cloud")
}
