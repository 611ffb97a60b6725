package estate

import "strings"

// Fields is a set of top-level members of an asset's JSON.
type Fields uint64

// The members that a request may include or exclude. Members that identify the asset are not among them: they are
// always filled.
const (
	fieldTimeZone Fields = 1 << iota
	fieldBIOSDescription
	fieldLastBoot
	fieldTotalMemory
	fieldCPUCount
	fieldLastUser
	fieldDomainRole
	fieldContainerHost
	fieldOS
	fieldHardware
	fieldUsers
	fieldPorts
	fieldVolumes
	fieldInterfaces
	fieldSoftware
	fieldComponent
	fieldProvider
	fieldCloud
	fieldAgent
	fieldSensor
	fieldContainer
	fieldInventory
	fieldActivity
	fieldTags
	fieldServices
	fieldLocation
	fieldCriticality
	fieldBusiness
	fieldAssigned
	fieldApps
	fieldRisk
	fieldPassive
	fieldDomain
	fieldSubdomain
	fieldMissing
	fieldWhois
	fieldOrganization
	fieldISP
	fieldASN
	fieldEASMTags
	fieldHosting
	fieldCustom
	fieldProcessor
	fieldInventories

	// AllFields is every member above.
	AllFields Fields = 1<<iota - 1
)

// NewerFields are the members that the API v1 does not know: those of the external attack surface, of business
// metadata, and what came after it.
const NewerFields = fieldBusiness | fieldAssigned | fieldApps | fieldRisk | fieldDomain | fieldSubdomain | fieldMissing | fieldWhois |
	fieldOrganization | fieldISP | fieldASN | fieldEASMTags | fieldHosting | fieldInventories

// BusinessFields are the members that business metadata writes.
const BusinessFields = fieldBusiness | fieldAssigned | fieldApps

// FieldByToken returns the member that an includeFields or excludeFields token names, or false. Both spellings of the
// list members are accepted, since the published ones differ. A token of an identity member names nothing to hide.
func FieldByToken(token string) (Fields, bool) {
	switch strings.TrimSuffix(token, "ListData") {
	case "timeZone":
		return fieldTimeZone, true
	case "biosDescription":
		return fieldBIOSDescription, true
	case "lastBoot":
		return fieldLastBoot, true
	case "totalMemory":
		return fieldTotalMemory, true
	case "cpuCount":
		return fieldCPUCount, true
	case "lastLoggedOnUser":
		return fieldLastUser, true
	case "domainRole":
		return fieldDomainRole, true
	case "isContainerHost":
		return fieldContainerHost, true
	case "operatingSystem":
		return fieldOS, true
	case "hardware":
		return fieldHardware, true
	case "userAccount":
		return fieldUsers, true
	case "openPort":
		return fieldPorts, true
	case "volume":
		return fieldVolumes, true
	case "networkInterface":
		return fieldInterfaces, true
	case "software":
		return fieldSoftware, true
	case "softwareComponent":
		return fieldComponent, true
	case "provider":
		return fieldProvider, true
	case "cloudProvider":
		return fieldCloud | fieldProvider, true
	case "agent":
		return fieldAgent, true
	case "sensor":
		return fieldSensor, true
	case "container":
		return fieldContainer, true
	case "inventory":
		return fieldInventory | fieldInventories, true
	}
	return laterField(strings.TrimSuffix(token, "ListData"))
}

func laterField(token string) (Fields, bool) {
	switch token {
	case "activity":
		return fieldActivity, true
	case "tagList":
		return fieldTags, true
	case "service", "serviceList":
		return fieldServices, true
	case "lastLocation":
		return fieldLocation, true
	case "criticality":
		return fieldCriticality, true
	case "businessInformation":
		return fieldBusiness, true
	case "assignedLocation":
		return fieldAssigned, true
	case "businessApp":
		return fieldApps, true
	case "riskScore":
		return fieldRisk, true
	case "passiveSensor":
		return fieldPassive, true
	case "domain":
		return fieldDomain, true
	case "subdomain":
		return fieldSubdomain, true
	case "missingSoftware":
		return fieldMissing, true
	case "whois":
		return fieldWhois, true
	case "organizationName":
		return fieldOrganization, true
	case "isp":
		return fieldISP, true
	case "asn":
		return fieldASN, true
	case "easmTags":
		return fieldEASMTags, true
	case "hostingCategory1":
		return fieldHosting, true
	case "customAttributes":
		return fieldCustom, true
	case "processor":
		return fieldProcessor, true
	case "agentId", "assetName", "assetId", "assetUUID", "hostId", "address", "dnsName", "netbiosName", "assetType",
		"lastModifiedDate", "createdDate", "sensorLastUpdatedDate", "hwUUID", "biosSerialNumber", "biosAssetTag":
		return 0, true
	}
	return 0, false
}
