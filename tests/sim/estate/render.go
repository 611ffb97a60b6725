package estate

import (
	"strings"
)

// defects is the number of ways in which a malformed asset is malformed; each breaks one important member while the
// page stays valid JSON and the asset keeps its id.
const defects = 5

// View says how an asset is to be shown.
type View struct {
	// Hide are the members that come back as null.
	Hide Fields
	// Omit are fields whose members are left out altogether.
	Omit Fields
	// SoftwareType, when set, keeps only software of that type.
	SoftwareType string
}

// AppendJSON appends the asset as the vendor's JSON (Qualys CSAM API v2, asset object): every key is present, hidden
// members are null.
func (e *Estate) AppendJSON(dst []byte, a *Asset, v View) []byte {
	w := &encoder{b: append(dst, '{')}
	w.number("assetId", a.ID)
	w.text("assetUUID", a.UUID)
	if a.Third {
		w.null("hostId")
	} else {
		w.number("hostId", a.HostID)
	}
	if a.Defect == 5 {
		w.open("lastModifiedDate")
		w.number("epochSecond", a.Modified/1000)
		w.end()
	} else {
		w.iso("lastModifiedDate", a.Modified)
	}
	w.text("agentId", a.AgentID)
	w.iso("createdDate", a.Created)
	w.iso("sensorLastUpdatedDate", a.SensorUpdated)
	w.text("assetType", "HOST")
	if a.Third && a.Address.IsUnspecified() {
		w.null("address")
	} else {
		w.text("address", a.Address.String())
	}
	w.text("dnsName", a.DNSName)
	w.text("assetName", a.Name)
	w.text("netbiosName", a.NetBIOS)
	a.scalars(w, v)
	shown := func(f Fields, name string, write func()) {
		if v.Omit&f != 0 {
			return
		}
		if v.Hide&f != 0 {
			w.null(name)
			return
		}
		if raw := a.Written[name]; raw != nil {
			w.key(name)
			w.b = append(w.b, raw...)
			return
		}
		write()
	}
	shown(fieldOS, "operatingSystem", func() { a.writeOS(w) })
	shown(fieldHardware, "hardware", func() { a.writeHardware(w) })
	shown(fieldUsers, "userAccountListData", func() { a.writeUsers(w, e.opts.Profile) })
	shown(fieldPorts, "openPortListData", func() { a.writePorts(w, e.opts.Profile) })
	shown(fieldVolumes, "volumeListData", func() { a.writeVolumes(w) })
	shown(fieldInterfaces, "networkInterfaceListData", func() { a.writeInterfaces(w) })
	shown(fieldSoftware, "softwareListData", func() { e.writeSoftware(w, a, v) })
	w.null("softwareComponent")
	shown(fieldProvider, "provider", func() { w.text("provider", a.provider()) })
	shown(fieldCloud, "cloudProvider", func() { a.writeCloud(w) })
	shown(fieldAgent, "agent", func() { a.writeAgent(w) })
	shown(fieldSensor, "sensor", func() { a.writeSensor(w) })
	shown(fieldContainer, "container", func() { a.writeContainer(w) })
	shown(fieldInventory, "inventory", func() { a.writeInventory(w) })
	shown(fieldInventories, "inventoryListData", func() { a.writeInventories(w) })
	shown(fieldActivity, "activity", func() { a.writeActivity(w) })
	shown(fieldTags, "tagList", func() { a.writeTags(w, e.opts.Profile) })
	shown(fieldServices, "serviceList", func() { a.writeServices(w, e.opts.Profile) })
	shown(fieldLocation, "lastLocation", func() { a.writeLocation(w) })
	shown(fieldCriticality, "criticality", func() { a.writeCriticality(w) })
	shown(fieldBusiness, "businessInformation", func() { a.writeBusiness(w) })
	shown(fieldAssigned, "assignedLocation", func() { a.writeAssigned(w) })
	shown(fieldApps, "businessAppListData", func() { a.writeApps(w) })
	shown(fieldRisk, "riskScore", func() { w.number("riskScore", int64(a.RiskScore)) })
	w.null("passiveSensor")
	a.writeExternal(w, v)
	shown(fieldCustom, "customAttributes", func() { a.writeCustom(w) })
	shown(fieldProcessor, "processor", func() { a.writeProcessor(w) })
	w.end()
	return w.b
}

// scalars writes the top-level members that are neither identity nor objects.
func (a *Asset) scalars(w *encoder, v View) {
	d := a.dice
	text := func(f Fields, name, value string) {
		if v.Hide&f != 0 {
			value = ""
		}
		w.text(name, value)
	}
	computer := a.Kind.Computer() && a.Role != Interface
	zone, bios, user, role := "", "", "", ""
	if computer {
		zone, bios = sites[d.below(10, len(sites))].zone, a.Hardware.BIOS
		user = a.lastUser()
		if a.OS.Category1 == "Windows" {
			role = "Member Workstation"
			if a.OS.Category2 == "Server" {
				role = "Member Server"
			}
		}
	}
	text(fieldTimeZone, "timeZone", zone)
	text(fieldBIOSDescription, "biosDescription", bios)
	if computer && v.Hide&fieldLastBoot == 0 {
		w.iso("lastBoot", a.LastBoot)
	} else {
		w.null("lastBoot")
	}
	switch {
	case v.Hide&fieldTotalMemory != 0:
		w.null("totalMemory")
	case a.Defect == 2:
		w.open("totalMemory")
		w.number("value", 16)
		w.text("unit", "GB")
		w.end()
	default:
		w.positive("totalMemory", a.MemoryMB)
	}
	cpus := a.CPUs
	if v.Hide&fieldCPUCount != 0 {
		cpus = 0
	}
	w.positive("cpuCount", cpus)
	text(fieldLastUser, "lastLoggedOnUser", user)
	text(fieldDomainRole, "domainRole", role)
	w.text("hwUUID", a.HardwareUUID)
	w.text("biosSerialNumber", a.Serial)
	w.text("biosAssetTag", a.AssetTag)
	if v.Hide&fieldContainerHost != 0 || !computer {
		w.null("isContainerHost")
	} else {
		w.boolean("isContainerHost", a.containers() > 0)
	}
}

func (a *Asset) lastUser() string {
	names := [...]string{"j.doe", "m.müller", "svc_app", "a.o'brien", "root", "administrator", "k.tanaka", "r.patel"}
	name := names[a.dice.below(70, len(names))]
	if a.OS.Category1 == "Windows" {
		return `CORP\` + name
	}
	return name
}

func (a *Asset) containers() int {
	if a.Kind == LinuxServer && a.dice.percent(71, 12) {
		return 1 + a.dice.below(72, 40)
	}
	return 0
}

func (a *Asset) writeOS(w *encoder) {
	if a.Defect == 1 {
		w.text("operatingSystem", a.OS.Full)
		return
	}
	w.key("operatingSystem")
	w.b = append(w.b, a.OS.head...)
	if a.AgentID == "" {
		w.b = append(w.b, "null"...)
	} else {
		w.b = appendISO(w.b, a.Created-30*dayMs)
	}
	w.b = append(w.b, a.OS.tail...)
}

func (a *Asset) writeHardware(w *encoder) {
	w.key("hardware")
	if a.Defect == 4 {
		w.b = append(w.b, "17"...)
		return
	}
	w.b = append(w.b, a.Hardware.whole...)
}

func (a *Asset) writeInterfaces(w *encoder) {
	if a.Defect == 3 {
		w.key("networkInterfaceListData")
		w.b = append(w.b, `[["`...)
		w.b = append(w.b, a.Address.String()...)
		w.b = append(w.b, `"],7]`...)
		return
	}
	if len(a.NICs) == 0 || a.AgentID == "" && a.dice.permille(73, 20) && a.Role == Only {
		w.null("networkInterfaceListData")
		return
	}
	w.list("networkInterfaceListData", "networkInterface")
	for _, n := range a.NICs {
		v4 := make([]string, len(n.V4))
		for i, ip := range n.V4 {
			v4[i] = ip.String()
		}
		all := strings.Join(v4, ",")
		if n.V6 != "" {
			all += "," + n.V6
		}
		gateway := ""
		if a.AgentID != "" {
			b := n.V4[0].As4()
			gateway = "10." + itoa(int(b[1])) + "." + itoa(int(b[2])) + ".1"
		}
		w.item()
		w.text("hostname", a.DNSName)
		w.text("addressIpV4", strings.Join(v4, ", "))
		w.text("addressIpV6", n.V6)
		w.blank("macAddress", n.MAC)
		w.blank("interfaceName", n.Name)
		w.text("dnsAddress", a.whenAgent("10.255.0.53, 10.255.1.53"))
		w.blank("gatewayAddress", gateway)
		w.text("manufacturer", a.Hardware.Manufacturer)
		w.number("macVendorIntroDate", 946_684_800_000)
		w.text("netmask", a.whenAgent("255.255.255.0"))
		w.text("addresses", all)
		w.end()
	}
	w.closeList()
}

// whenAgent returns a value that only an agent can see.
func (a *Asset) whenAgent(value string) string {
	if a.AgentID == "" {
		return ""
	}
	return value
}

// writeSoftware writes the records of the catalogue that the asset carries, then what odd and generated packages it has.
func (e *Estate) writeSoftware(w *encoder, a *Asset, v View) {
	s := a.Software
	if s.Count == 0 {
		if a.Kind == Hypervisor {
			w.list("softwareListData", "software")
			w.closeList()
			return
		}
		w.null("softwareListData")
		return
	}
	w.list("softwareListData", "software")
	add := func(p *product, version int) {
		if v.SoftwareType != "" && v.SoftwareType != p.kind() {
			return
		}
		f := &p.fragments[version%len(p.fragments)]
		w.comma()
		w.b = append(w.b, f.head...)
		switch roll := a.dice.below(uint64(f.id), 40); {
		case roll == 0:
			w.b = append(w.b, "null"...)
		case roll == 1:
			w.b = append(w.b, `"1970-01-01T00:00:00.000Z"`...)
		default:
			w.b = appendISO(w.b, a.Created-int64(roll)*dayMs)
		}
		if len(f.mid) > 0 {
			w.b = append(w.b, f.mid...)
			w.b = appendISO(w.b, a.SensorUpdated)
		}
		w.b = append(w.b, f.tail...)
	}
	e.eachProduct(a, add)
	if s.Packages > 0 && (v.SoftwareType == "" || v.SoftwareType == "Application") {
		a.writePackages(w)
	}
	w.closeList()
}

func (p *product) kind() string {
	if p.category1 == "Unknown" {
		return "Unknown"
	}
	return "Application"
}

// eachProduct calls fn with each catalogue record of the asset.
func (e *Estate) eachProduct(a *Asset, fn func(p *product, version int)) {
	s := a.Software
	list := e.soft[s.Family]
	for k := range s.Count {
		at := (s.Start + k) % len(list)
		p := list[at]
		round := k / len(list)
		if round >= len(p.fragments) {
			continue
		}
		fn(p, s.Start/7+at+round)
	}
	if s.Odd >= 0 && s.Count > 0 {
		fn(e.odd[s.Odd], 0)
	}
}

// SoftwareNames calls fn with product name, publisher, version text and category of each record until it returns false.
func (e *Estate) SoftwareNames(a *Asset, fn func(name, publisher, version, category1, category2 string) bool) {
	more := true
	e.eachProduct(a, func(p *product, version int) {
		if more {
			more = fn(p.name, p.publisher, p.versions[version%len(p.versions)], p.category1, p.category2)
		}
	})
}

// writePackages writes the thousands of packages of a build host.
func (a *Asset) writePackages(w *encoder) {
	for n := range a.Software.Packages {
		name := "lib" + []string{"alpha", "gtk", "boost", "perl", "python3", "texlive", "ruby", "golang"}[n%8] + "-" + itoa(n)
		version := itoa(1+n%9) + "." + itoa(n%17) + "-" + itoa(1+n%4)
		w.item()
		w.number("id", textID(name+version))
		w.text("fullName", name+" "+version)
		w.text("softwareType", "Application")
		w.boolean("isIgnored", false)
		w.text("category1", "Operating System")
		w.text("category2", "Library")
		w.text("productName", name)
		w.text("publisher", "Red Hat")
		w.text("version", version)
		w.iso("installDate", a.Created)
		w.iso("lastUpdated", a.SensorUpdated)
		w.boolean("isPackage", true)
		w.end()
	}
}
