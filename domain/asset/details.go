package asset

import (
	"strings"
)

// detailFields are the paths that describe an asset without identifying it:
// life cycles, places, business information, what the cloud says.
func detailFields(m map[string]Getter) {
	m["assetType"] = func(v *View) string { return v.Asset.Type }
	m["isContainerHost"] = func(v *View) string { return yes(v.Asset.ContainerHost) }
	m["inventory.sources"] = func(v *View) string { return inventorySources(v.Asset.Inventory) }
	m["operatingSystem.release"] = func(v *View) string { return v.Asset.OS.Release }
	m["operatingSystem.installDate"] = func(v *View) string { return instant(v.Asset.OS.InstallDate) }
	m["processor.multithreadingStatus"] = func(v *View) string { return v.Asset.Processor.Multithreading }
	lifecycle(m, "operatingSystem", func(v *View) *Lifecycle { return &v.Asset.OS.Lifecycle })
	lifecycle(m, "hardware", func(v *View) *Lifecycle { return &v.Asset.Hardware.Lifecycle })
	location(m, "lastLocation", func(v *View) *Location { return &v.Asset.LastLocation })
	location(m, "assignedLocation", func(v *View) *Location { return &v.Asset.AssignedLocation })

	m["business.company"] = func(v *View) string { return v.Asset.Business.Company }
	m["business.department"] = func(v *View) string { return v.Asset.Business.Department }
	m["business.ownedBy"] = func(v *View) string { return v.Asset.Business.OwnedBy }
	m["business.environment"] = func(v *View) string { return v.Asset.Business.Environment }
	m["business.managedBy"] = func(v *View) string { return v.Asset.Business.ManagedBy }
	m["business.supportedBy"] = func(v *View) string { return v.Asset.Business.SupportedBy }
	m["business.supportGroup"] = func(v *View) string { return v.Asset.Business.SupportGroup }
	m["business.operationalStatus"] = func(v *View) string { return v.Asset.Business.OperationalStatus }

	m["cloud.imagePublisher"] = func(v *View) string { return v.Asset.Cloud.ImagePublisher }
	m["cloud.imageOffer"] = func(v *View) string { return v.Asset.Cloud.ImageOffer }
	m["cloud.imageVersion"] = func(v *View) string { return v.Asset.Cloud.ImageVersion }
	m["cloud.launchDate"] = func(v *View) string { return instant(v.Asset.Cloud.LaunchDate) }
	m["cloud.spot"] = func(v *View) string { return yes(v.Asset.Cloud.Spot) }
	m["cloud.qualysScanner"] = func(v *View) string { return yes(v.Asset.Cloud.QualysScanner) }
	m["cloud.mac"] = func(v *View) string { return MAC(v.Asset.Cloud.MAC) }
	m["cloud.prefix"] = func(v *View) string { return cloudPrefix(v.Asset.Cloud.Provider) }
	m["cloud.resourceId"] = func(v *View) string { return AzureResourceID(&v.Asset.Cloud) }
	// What names an image: its id, else publisher, offer and version together.
	m["cloud.image"] = func(v *View) string { return Image(&v.Asset.Cloud) }
}

// Image returns the id of the image that an instance was made from. Azure names
// images by publisher, offer and version; an image without an offer is unknown.
func Image(c *Cloud) string {
	switch {
	case c.ImageID != "":
		return c.ImageID
	case c.ImageOffer == "":
		return ""
	}
	parts := make([]string, 0, 3)
	for _, s := range []string{c.ImagePublisher, c.ImageOffer, c.ImageVersion} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ":")
}

// AzureResourceID returns the full Azure Resource Manager id of a virtual machine,
// which some discovery sources write as object_id instead of the vmId, or "".
func AzureResourceID(c *Cloud) string {
	if c.Provider != CloudAzure || c.AccountID == "" || c.ResourceGroup == "" || c.Name == "" {
		return ""
	}
	return "/subscriptions/" + c.AccountID + "/resourceGroups/" + c.ResourceGroup + "/providers/Microsoft.Compute/virtualMachines/" + c.Name
}

// cloudPrefix begins the keys of a provider's shared items.
func cloudPrefix(p CloudProvider) string {
	switch p {
	case CloudAWS:
		return "aws"
	case CloudAzure:
		return "azure"
	case CloudGCP:
		return "gcp"
	default:
		return strings.ToLower(string(p))
	}
}

func lifecycle(m map[string]Getter, of string, get func(v *View) *Lifecycle) {
	m[of+".lifecycle.introDate"] = func(v *View) string { return get(v).Intro }
	m[of+".lifecycle.gaDate"] = func(v *View) string { return get(v).GA }
	m[of+".lifecycle.eolDate"] = func(v *View) string { return get(v).EOL }
	m[of+".lifecycle.eosDate"] = func(v *View) string { return get(v).EOS }
	m[of+".lifecycle.obsoleteDate"] = func(v *View) string { return get(v).Obsolete }
	m[of+".lifecycle.stage"] = func(v *View) string { return get(v).Stage }
	m[of+".lifecycle.confidence"] = func(v *View) string { return get(v).Confidence }
	m[of+".lifecycle.eolSupportStage"] = func(v *View) string { return get(v).EOLSupport }
	m[of+".lifecycle.eosSupportStage"] = func(v *View) string { return get(v).EOSSupport }
}

func location(m map[string]Getter, of string, get func(v *View) *Location) {
	m[of+".name"] = func(v *View) string { return get(v).Name }
	m[of+".city"] = func(v *View) string { return get(v).City }
	m[of+".state"] = func(v *View) string { return get(v).State }
	m[of+".country"] = func(v *View) string { return get(v).Country }
	m[of+".continent"] = func(v *View) string { return get(v).Continent }
	m[of+".postal"] = func(v *View) string { return get(v).Postal }
}

// detailLists are the lists beside adapters, addresses and volumes.
func detailLists(m map[string]List) {
	m["software"] = softwareList()
	m["openPorts"] = List{Name: "openPorts", Section: SectionOpenPorts,
		Len: func(v *View) int { return len(v.Asset.OpenPorts) },
		fields: map[string]ElementGetter{
			"port":            func(v *View, i int) string { return number(v.Asset.OpenPorts[i].Port) },
			"protocol":        func(v *View, i int) string { return strings.ToLower(v.Asset.OpenPorts[i].Protocol) },
			"description":     func(v *View, i int) string { return v.Asset.OpenPorts[i].Description },
			"detectedService": func(v *View, i int) string { return v.Asset.OpenPorts[i].Service },
			"firstFound":      func(v *View, i int) string { return instant(v.Asset.OpenPorts[i].FirstFound) },
			"lastUpdated":     func(v *View, i int) string { return instant(v.Asset.OpenPorts[i].LastUpdated) },
		}}
	m["services"] = List{Name: "services", Section: SectionServices,
		Len: func(v *View) int { return len(v.Asset.Services) },
		fields: map[string]ElementGetter{
			"id.name":     func(v *View, i int) string { return strings.ToLower(Text(v.Asset.Services[i].Name)) },
			"name":        func(v *View, i int) string { return v.Asset.Services[i].Name },
			"status":      func(v *View, i int) string { return v.Asset.Services[i].Status },
			"description": func(v *View, i int) string { return v.Asset.Services[i].Description },
		}}
	m["userAccounts"] = List{Name: "userAccounts", Section: SectionAccounts,
		Len: func(v *View) int { return len(v.Asset.Accounts) },
		fields: map[string]ElementGetter{
			"id.name": func(v *View, i int) string { return strings.ToLower(Text(v.Asset.Accounts[i])) },
			"name":    func(v *View, i int) string { return v.Asset.Accounts[i] },
		}}
	m["tags"] = List{Name: "tags", Section: SectionTags,
		Len: func(v *View) int { return len(v.Asset.Tags) },
		fields: map[string]ElementGetter{
			"id":               func(v *View, i int) string { return number(v.Asset.Tags[i].ID) },
			"name":             func(v *View, i int) string { return v.Asset.Tags[i].Name },
			"criticalityScore": func(v *View, i int) string { return number(v.Asset.Tags[i].CriticalityScore) },
		}}
	m["cloudTags"] = List{Name: "cloudTags", Section: SectionCloud,
		Len: func(v *View) int { return len(v.Asset.Cloud.Tags) },
		fields: map[string]ElementGetter{
			"key":   func(v *View, i int) string { return v.Asset.Cloud.Tags[i].Key },
			"value": func(v *View, i int) string { return v.Asset.Cloud.Tags[i].Value },
		}}
}

func softwareList() List {
	of := func(get func(s *Software) string) ElementGetter {
		return func(v *View, i int) string { return get(&v.Asset.Software[i]) }
	}
	return List{Name: "software", Section: SectionSoftware,
		Len: func(v *View) int { return len(v.Asset.Software) },
		fields: map[string]ElementGetter{
			"id":                        of(func(s *Software) string { return number(s.ID) }),
			"key":                       of(SoftwareKey),
			"id.key":                    of(func(s *Software) string { return strings.ToLower(SoftwareKey(s)) }),
			"name":                      of(SoftwareName),
			"version":                   of(SoftwareVersion),
			"fullName":                  of(func(s *Software) string { return s.FullName }),
			"productName":               of(func(s *Software) string { return s.ProductName }),
			"publisher":                 of(func(s *Software) string { return Manufacturer(s.Publisher) }),
			"edition":                   of(func(s *Software) string { return s.Edition }),
			"update":                    of(func(s *Software) string { return s.Update }),
			"architecture":              of(func(s *Software) string { return s.Architecture }),
			"category1":                 of(func(s *Software) string { return s.Category1 }),
			"category2":                 of(func(s *Software) string { return s.Category2 }),
			"type":                      of(func(s *Software) string { return s.Type }),
			"installPath":               of(func(s *Software) string { return s.InstallPath }),
			"installDate":               of(func(s *Software) string { return instant(s.InstallDate) }),
			"lastUseDate":               of(func(s *Software) string { return instant(s.LastUsed) }),
			"ignored":                   of(func(s *Software) string { return yes(s.Ignored) }),
			"component":                 of(func(s *Software) string { return yes(PackageComponent(s)) }),
			"supportStage":              of(func(s *Software) string { return s.SupportStage }),
			"license.category":          of(func(s *Software) string { return s.LicenseKind }),
			"license.subcategory":       of(func(s *Software) string { return s.LicenseDetail }),
			"authorization":             of(func(s *Software) string { return s.Authorization }),
			"lifecycle.gaDate":          of(func(s *Software) string { return s.Lifecycle.GA }),
			"lifecycle.eolDate":         of(func(s *Software) string { return s.Lifecycle.EOL }),
			"lifecycle.eosDate":         of(func(s *Software) string { return s.Lifecycle.EOS }),
			"lifecycle.stage":           of(func(s *Software) string { return s.Lifecycle.Stage }),
			"lifecycle.confidence":      of(func(s *Software) string { return s.Lifecycle.Confidence }),
			"lifecycle.eolSupportStage": of(func(s *Software) string { return s.Lifecycle.EOLSupport }),
			"lifecycle.eosSupportStage": of(func(s *Software) string { return s.Lifecycle.EOSSupport }),
		}}
}

// SoftwareName returns the name under which a package is shown: the normalised
// full name, else what the sensor discovered.
func SoftwareName(s *Software) string {
	for _, raw := range [...]string{s.FullName, s.DiscoveredName, s.PackageName, s.ProductName} {
		if n := known(raw); n != "" {
			return n
		}
	}
	return ""
}

// SoftwareVersion returns the exact version, else the market version.
func SoftwareVersion(s *Software) string {
	if v := Text(s.Version); v != "" && !strings.EqualFold(v, "unknown") {
		return v
	}
	return Text(s.MarketVersion)
}

// SoftwareKey returns the key of a software package as ServiceNow's own imports
// make it, "<name>_:::_<version or NULL>", or "" for a package without a name. A
// long name is cut so that the version stays.
func SoftwareKey(s *Software) string {
	name, version := SoftwareName(s), SoftwareVersion(s)
	if name == "" {
		return ""
	}
	if version == "" {
		version = "NULL"
	}
	const between = "_:::_"
	version = TextTo(version, maxText/2)
	return TextTo(name, maxText-len(between)-len([]rune(version))) + between + version
}

// PackageComponent reports whether the entry is a part of another package: a
// library of a distribution's package, say. A machine has thousands of them.
func PackageComponent(s *Software) bool {
	return s.PackageName != "" && !s.Package && !strings.EqualFold(s.PackageName, s.ProductName)
}

// inventorySources lists the sensors that know an asset, in the order reported.
func inventorySources(list []InventorySource) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0].Source
	}
	names := make([]string, 0, len(list))
	for i := range list {
		if list[i].Source != "" {
			names = append(names, list[i].Source)
		}
	}
	return strings.Join(names, ", ")
}

// yes prints a flag; false is no value, because Qualys leaves flags out.
func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}
