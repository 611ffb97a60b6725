// Package asset holds the canonical Qualys asset.
//
// Both Qualys APIs (Global AssetView/CSAM v2 and Asset Management & Tagging
// v2) convert into this one shape, so classification, mapping, filters and
// explain are written once. Values are what Qualys reported: cleansing (see
// clean.go) reads them and never changes them, so that a trace can show both.
//
//	Qualys CSAM v2 ─┐
//	                ├─▶ Asset ─▶ Cleanse ─▶ classify ─▶ mapping ─▶ record.Parts
//	Qualys AM&T v2 ─┘
package asset

import (
	"slices"
	"strings"
	"time"
)

// Section names one list or object of an asset that Qualys may leave out
// (null, excluded by includeFields/excludeFields, or not offered by the API).
// Only a section that was present and complete may retire what is missing from it.
type Section string

// The sections that mappings and toggles refer to.
const (
	SectionOS         Section = "operatingSystem"
	SectionHardware   Section = "hardware"
	SectionInterfaces Section = "networkInterfaces"
	SectionSoftware   Section = "software"
	SectionOpenPorts  Section = "openPorts"
	SectionVolumes    Section = "volumes"
	SectionServices   Section = "services"
	SectionAccounts   Section = "userAccounts"
	SectionTags       Section = "tags"
	SectionCloud      Section = "cloud"
	SectionProcessor  Section = "processor"
)

// Asset is one Qualys asset. Zero values mean "not reported"; times are UTC and
// zero when Qualys sent null, 0, -1 or free text such as "Not Announced".
type Asset struct {
	ID       int64  // assetId, the cursor and primary key of a subscription
	UUID     string // assetUUID
	HostID   int64  // hostId, the id used by the VM APIs
	AgentID  string // agentId
	Name     string // assetName
	DNSName  string // dnsName
	NetBIOS  string // netbiosName
	FQDN     string // fqdn (newer releases only)
	Address  string // address: the primary IPv4 or IPv6 address
	Type     string // assetType, "HOST" or empty
	TimeZone string // timeZone, for example "+05:30"

	Modified      time.Time // lastModifiedDate
	Created       time.Time // createdDate
	SensorUpdated time.Time // sensorLastUpdatedDate
	LastBoot      time.Time // lastBoot

	BIOSDescription string // biosDescription
	BIOSSerial      string // biosSerialNumber, may be vendor junk
	BIOSAssetTag    string // biosAssetTag, may be vendor junk
	HardwareUUID    string // hwUUID
	TotalMemoryMB   int64  // totalMemory, MB
	CPUCount        int64  // cpuCount
	LastUser        string // lastLoggedOnUser
	DomainRole      string // domainRole
	ContainerHost   bool   // isContainerHost
	TrackingMethod  string // asset.trackingMethod or the newest inventory source

	OS        OperatingSystem
	Hardware  Hardware
	Processor Processor
	Cloud     Cloud

	Interfaces []Interface
	Software   []Software
	OpenPorts  []OpenPort
	Volumes    []Volume
	Services   []Service
	Accounts   []string
	Tags       []Tag

	RiskScore        int64
	CriticalityScore int64
	Inventory        []InventorySource
	LastLocation     Location
	AssignedLocation Location
	Business         BusinessInformation
	// Applications are the ids of business applications that a CMDB gave the asset;
	// nil means that the answer did not say.
	Applications []string
	// ApplicationDetails are the same applications with what is known of them.
	ApplicationDetails []BusinessApplication

	// Present holds the sections that this answer really carried (not null,
	// not excluded). Order is not significant.
	Present []Section
}

// Has reports whether the answer carried the section, so that an empty list
// means "none" and not "unknown".
func (a *Asset) Has(s Section) bool {
	for _, p := range a.Present {
		if p == s {
			return true
		}
	}
	return false
}

// OperatingSystem is the normalised operating system.
type OperatingSystem struct {
	Name          string // osName: the raw string of the sensor
	FullName      string // normalised full name
	Category      string // "L1 / L2"
	Category1     string
	Category2     string
	ProductName   string
	ProductFamily string
	Publisher     string
	Edition       string
	MarketVersion string
	Version       string
	Update        string
	Architecture  string
	Release       string
	InstallDate   time.Time
	Lifecycle     Lifecycle
}

// Hardware is the normalised hardware product.
type Hardware struct {
	FullName      string
	Category      string
	Category1     string
	Category2     string
	Manufacturer  string
	ProductName   string
	ProductFamily string
	Model         string
	Lifecycle     Lifecycle
}

// Lifecycle holds the vendor's life-cycle facts as Qualys prints them: either a
// day ("2026-01-31") or free text such as "Not Announced".
type Lifecycle struct {
	Intro, GA, EOL, EOS, Obsolete string
	Stage, Confidence             string
	EOLSupport, EOSSupport        string
}

// Processor describes the CPUs of a machine.
type Processor struct {
	Description    string
	SpeedMHz       int64
	CPUs           int64
	Sockets        int64
	ThreadsPerCore int64
	CoresPerSocket int64
	Multithreading string
}

// Interface is one network interface. Addresses that Qualys joined with commas
// are already split.
type Interface struct {
	Name         string
	HostName     string
	MAC          string // as reported; cleansing normalises it
	IPv4         []string
	IPv6         []string
	Netmask      string
	Gateway      string
	DNS          string
	Manufacturer string
}

// Software is one installed product or package.
type Software struct {
	ID             int64 // signed 64 bit, may be negative
	FullName       string
	Type           string
	Ignored        bool
	Category1      string
	Category2      string
	ProductName    string
	Component      string
	Publisher      string
	Edition        string
	MarketVersion  string
	Version        string
	Update         string
	Architecture   string
	InstallPath    string
	InstallDate    time.Time
	LastUsed       time.Time
	Package        bool
	PackageName    string
	Lifecycle      Lifecycle
	SupportStage   string
	LicenseKind    string // license.category
	LicenseDetail  string // license.subcategory
	Authorization  string
	DiscoveredName string
}

// OpenPort is one listening port.
type OpenPort struct {
	Port        int64
	Protocol    string
	Description string
	Service     string // detectedService
	FirstFound  time.Time
	LastUpdated time.Time
}

// Volume is one disk volume; sizes are bytes.
type Volume struct {
	Name string
	Free int64
	Size int64
}

// Service is one operating-system service.
type Service struct {
	Name, Status, Description string
}

// Tag is one Qualys tag on the asset.
type Tag struct {
	ID               int64
	Name             string
	CriticalityScore int64
}

// InventorySource says which sensor knows the asset and since when.
type InventorySource struct {
	Source               string
	Created, LastUpdated time.Time
}

// scanning are the sources by which Qualys itself examines an asset: agent,
// scans by address or name, cloud connectors. What only others report — passive
// sensors, a CMDB, a directory, attack surface discovery — is unmanaged.
var scanning = []string{"QAGENT", "IP", "DNSNAME", "NETBIOS", "INSTANCE_ID", "VIRTUAL_MACHINE_ID"}

// Unmanaged returns the sources of an asset that no source of Qualys' own
// examines, joined by commas, and "" for all others. An asset that tells no source
// is taken by its tracking method, and counts as managed when it has none.
func (a *Asset) Unmanaged() string {
	var sources []string
	for _, in := range a.Inventory {
		if in.Source != "" {
			sources = append(sources, in.Source)
		}
	}
	if len(sources) == 0 && a.TrackingMethod != "" {
		sources = []string{a.TrackingMethod}
	}
	for _, s := range sources {
		if slices.Contains(scanning, strings.ToUpper(s)) {
			return ""
		}
	}
	return strings.Join(sources, ", ")
}

// Location is a place as Qualys reports it.
type Location struct {
	Name, City, State, Country, Continent, Postal string
}

// BusinessInformation is what a CMDB wrote into Qualys earlier.
type BusinessInformation struct {
	Company, Department, OwnedBy, Environment, ManagedBy, SupportedBy, SupportGroup, OperationalStatus string
}

// BusinessApplication is an application that a CMDB gave an asset.
type BusinessApplication struct {
	ID, Name, Criticality, Status, Environment, UsedFor, OperationalStatus string
	OwnedBy, ManagedBy, SupportedBy, SupportGroup                          string
}

// CloudProvider names a cloud; the empty string means none.
type CloudProvider string

// Providers that the canonical asset distinguishes.
const (
	CloudNone    CloudProvider = ""
	CloudAWS     CloudProvider = "AWS"
	CloudAzure   CloudProvider = "Azure"
	CloudGCP     CloudProvider = "GCP"
	CloudIBM     CloudProvider = "IBM"
	CloudOCI     CloudProvider = "OCI"
	CloudAlibaba CloudProvider = "Alibaba"
)

// Cloud is the cloud instance behind the asset, in one shape for all providers.
type Cloud struct {
	Provider       CloudProvider
	InstanceID     string // AWS instanceId, Azure vmId, GCP instanceId, OCI ociId
	Name           string // Azure VM name, GCP hostname
	AccountID      string // AWS account, Azure subscription, GCP project, OCI tenant
	AccountName    string
	Region         string // AWS region code, Azure location, GCP region derived from zone
	RegionName     string
	Zone           string
	State          string // RUNNING, STOPPED, TERMINATED …
	InstanceType   string // AWS instanceType, Azure size, GCP machineType
	ImageID        string
	ImagePublisher string
	ImageOffer     string
	ImageVersion   string
	NetworkID      string // VPC, virtual network, network
	SubnetID       string
	ResourceGroup  string // Azure
	PrivateIP      string
	PublicIP       string
	PrivateDNS     string
	PublicDNS      string
	MAC            string
	LaunchDate     time.Time
	Spot           bool
	QualysScanner  bool
	Tags           []CloudTag
}

// CloudTag is one provider tag.
type CloudTag struct{ Key, Value string }
