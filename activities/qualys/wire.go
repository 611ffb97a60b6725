package qualys

import "encoding/json"

// wireAsset is the asset as the CSAM API v2 sends it, as far as it is mapped.
// Fields that are not named here are skipped.
type wireAsset struct {
	ID            integer
	UUID          text
	HostID        integer
	Modified      moment
	AgentID       text
	Created       moment
	SensorUpdated moment
	Type          text
	Address       text
	DNSName       text
	Name          text
	NetBIOS       text
	FQDN          text
	TimeZone      text
	BIOSDesc      text
	BIOSSerial    text
	BIOSTag       text
	HWUUID        text
	LastBoot      moment
	Memory        integer
	CPUs          integer
	LastUser      text
	DomainRole    text
	ContainerHost flag
	Risk          integer
	Provider      text
	OS            wireOS
	Hardware      wireHardware
	Processor     wireProcessor
	Cloud         wireCloud
	Criticality   struct {
		Score integer `json:"score"`
	}
	Interfaces    listOf[wireInterface]
	Software      listOf[wireSoftware]
	Ports         listOf[wirePort]
	Volumes       listOf[wireVolume]
	Services      listOf[wireService]
	Accounts      listOf[wireAccount]
	Tags          listOf[wireTag]
	Inventory     wireInventory
	InventoryList listOf[wireInventory]
	LastLocation  wireLocation
	Assigned      wireLocation
	Business      wireBusiness
	Apps          wireApps

	present []string
}

// wireField ties a JSON name to where its value goes.
type wireField struct {
	name    string
	into    any
	section string
}

// emptied is the list without its elements, whose space stays.
func (l *listOf[T]) emptied() listOf[T] {
	clear(l.Items)
	return listOf[T]{Items: l.Items[:0]}
}

// forget empties a field that was half read.
func (w *wireAsset) forget(field any) {
	switch p := field.(type) {
	case *wireOS:
		*p = wireOS{}
	case *wireHardware:
		*p = wireHardware{}
	case *wireProcessor:
		*p = wireProcessor{}
	case *wireInventory:
		*p = wireInventory{}
	case *wireLocation:
		*p = wireLocation{}
	case *listOf[wireSoftware]:
		*p = listOf[wireSoftware]{}
	case *listOf[wireInterface]:
		*p = listOf[wireInterface]{}
	case *listOf[wirePort]:
		*p = listOf[wirePort]{}
	case *listOf[wireVolume]:
		*p = listOf[wireVolume]{}
	case *listOf[wireTag]:
		*p = listOf[wireTag]{}
	case *listOf[wireInventory]:
		*p = listOf[wireInventory]{}
	}
}

func (w *wireAsset) fields() []wireField {
	return []wireField{
		{"assetId", &w.ID, ""}, {"assetUUID", &w.UUID, ""}, {"hostId", &w.HostID, ""}, {"lastModifiedDate", &w.Modified, ""}, {"agentId", &w.AgentID, ""},
		{"createdDate", &w.Created, ""}, {"sensorLastUpdatedDate", &w.SensorUpdated, ""}, {"assetType", &w.Type, ""}, {"address", &w.Address, ""},
		{"dnsName", &w.DNSName, ""}, {"assetName", &w.Name, ""}, {"netbiosName", &w.NetBIOS, ""}, {"fqdn", &w.FQDN, ""}, {"timeZone", &w.TimeZone, ""},
		{"biosDescription", &w.BIOSDesc, ""}, {"biosSerialNumber", &w.BIOSSerial, ""}, {"biosAssetTag", &w.BIOSTag, ""}, {"hwUUID", &w.HWUUID, ""},
		{"lastBoot", &w.LastBoot, ""}, {"totalMemory", &w.Memory, ""}, {"cpuCount", &w.CPUs, ""}, {"lastLoggedOnUser", &w.LastUser, ""},
		{"domainRole", &w.DomainRole, ""}, {"isContainerHost", &w.ContainerHost, ""}, {"riskScore", &w.Risk, ""}, {"provider", &w.Provider, ""},
		{"operatingSystem", &w.OS, "operatingSystem"}, {"hardware", &w.Hardware, "hardware"}, {"processor", &w.Processor, "processor"},
		{"cloudProvider", &w.Cloud, "cloud"}, {"criticality", &w.Criticality, ""},
		{"networkInterfaceListData", &w.Interfaces, "networkInterfaces"}, {"softwareListData", &w.Software, "software"},
		{"openPortListData", &w.Ports, "openPorts"}, {"volumeListData", &w.Volumes, "volumes"},
		{"serviceList", &w.Services, "services"}, {"userAccountListData", &w.Accounts, "userAccounts"}, {"tagList", &w.Tags, "tags"},
		{"inventory", &w.Inventory, ""}, {"inventoryListData", &w.InventoryList, ""}, {"lastLocation", &w.LastLocation, ""}, {"assignedLocation", &w.Assigned, ""},
		{"businessInformation", &w.Business, ""}, {"businessAppListData", &w.Apps, ""},
	}
}

// wireBusiness is what a CMDB wrote into Qualys earlier. The member was seen as
// null and as text too: then nothing is known.
type wireBusiness struct {
	Company, Department, OwnedBy, Environment, ManagedBy, SupportedBy, SupportGroup, OperationalStatus text
}

func (w *wireBusiness) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, &struct {
		Company           *text `json:"company"`
		Department        *text `json:"department"`
		OwnedBy           *text `json:"ownedBy"`
		Environment       *text `json:"environment"`
		ManagedBy         *text `json:"managedBy"`
		SupportedBy       *text `json:"supportedBy"`
		SupportGroup      *text `json:"supportGroup"`
		OperationalStatus *text `json:"operationalStatus"`
	}{&w.Company, &w.Department, &w.OwnedBy, &w.Environment, &w.ManagedBy, &w.SupportedBy, &w.SupportGroup, &w.OperationalStatus})
}

// wireApps are the business applications that a CMDB gave the asset. nil means that
// nothing is known: what has another shape must not fail an asset.
type wireApps []wireApp

type wireApp struct {
	ID                text `json:"id"`
	Name              text `json:"name"`
	Criticality       text `json:"businessCriticality"`
	Status            text `json:"status"`
	Environment       text `json:"environment"`
	UsedFor           text `json:"usedFor"`
	OperationalStatus text `json:"operationalStatus"`
	OwnedBy           text `json:"ownedBy"`
	ManagedBy         text `json:"managedBy"`
	SupportedBy       text `json:"supportedBy"`
	SupportGroup      text `json:"supportGroup"`
}

func (w *wireApps) UnmarshalJSON(b []byte) error {
	var list listOf[wireApp]
	wrapper := struct {
		Apps *json.RawMessage `json:"businessApp"`
	}{}
	if b[0] == '{' && json.Unmarshal(b, &wrapper) == nil && wrapper.Apps != nil && list.UnmarshalJSON(b) == nil && list.Present {
		*w = append(wireApps{}, list.Items...)
	}
	return nil
}

type wireLifecycle struct {
	Intro      text `json:"introDate"`
	GA         text `json:"gaDate"`
	EOL        text `json:"eolDate"`
	EOS        text `json:"eosDate"`
	Obsolete   text `json:"obsoleteDate"`
	Stage      text `json:"stage"`
	Confidence text `json:"lifeCycleConfidence"`
	EOLSupport text `json:"eolSupportStage"`
	EOSSupport text `json:"eosSupportStage"`
}

type wireOS struct {
	Name          text           `json:"osName"`
	FullName      text           `json:"fullName"`
	Category      text           `json:"category"`
	Category1     text           `json:"category1"`
	Category2     text           `json:"category2"`
	ProductName   text           `json:"productName"`
	ProductFamily text           `json:"productFamily"`
	Publisher     text           `json:"publisher"`
	Edition       text           `json:"edition"`
	MarketVersion text           `json:"marketVersion"`
	Version       text           `json:"version"`
	Update        text           `json:"update"`
	Architecture  text           `json:"architecture"`
	Release       text           `json:"release"`
	InstallDate   moment         `json:"installDate"`
	Lifecycle     *wireLifecycle `json:"lifecycle"`
}

type wireHardware struct {
	FullName      text           `json:"fullName"`
	Category      text           `json:"category"`
	Category1     text           `json:"category1"`
	Category2     text           `json:"category2"`
	Manufacturer  text           `json:"manufacturer"`
	ProductName   text           `json:"productName"`
	ProductFamily text           `json:"productFamily"`
	Model         text           `json:"model"`
	Lifecycle     *wireLifecycle `json:"lifecycle"`
}

type wireProcessor struct {
	Description    text    `json:"description"`
	Speed          integer `json:"speed"`
	CPUs           integer `json:"numCPUs"`
	Sockets        integer `json:"noOfSocket"`
	ThreadsPerCore integer `json:"threadsPerCore"`
	CoresPerSocket integer `json:"coresPerSocket"`
	Multithreading text    `json:"multithreadingStatus"`
}

type wireInterface struct {
	HostName     text `json:"hostname"`
	IPv4         text `json:"addressIpV4"`
	IPv6         text `json:"addressIpV6"`
	MAC          text `json:"macAddress"`
	Name         text `json:"interfaceName"`
	DNS          text `json:"dnsAddress"`
	Gateway      text `json:"gatewayAddress"`
	Manufacturer text `json:"manufacturer"`
	Netmask      text `json:"netmask"`
}

type wireSoftware struct {
	ID             integer        `json:"id"`
	FullName       text           `json:"fullName"`
	Type           text           `json:"softwareType"`
	Ignored        flag           `json:"isIgnored"`
	Category1      text           `json:"category1"`
	Category2      text           `json:"category2"`
	ProductName    text           `json:"productName"`
	Component      text           `json:"component"`
	Publisher      text           `json:"publisher"`
	Edition        text           `json:"edition"`
	MarketVersion  text           `json:"marketVersion"`
	Version        text           `json:"version"`
	Update         text           `json:"update"`
	Architecture   text           `json:"architecture"`
	InstallPath    text           `json:"installPath"`
	InstallDate    moment         `json:"installDate"`
	LastUsed       moment         `json:"lastUseDate"`
	Package        flag           `json:"isPackage"`
	PackageName    text           `json:"packageName"`
	Lifecycle      *wireLifecycle `json:"lifecycle"`
	SupportStage   text           `json:"supportStageDesc"`
	Authorization  text           `json:"authorization"`
	DiscoveredName text           `json:"discoveredName"`
	License        *wireLicense   `json:"license"`
}

type wireLicense struct {
	Category    text `json:"category"`
	Subcategory text `json:"subcategory"`
}

type wirePort struct {
	Port        integer `json:"port"`
	Protocol    text    `json:"protocol"`
	Description text    `json:"description"`
	Service     text    `json:"detectedService"`
	FirstFound  moment  `json:"firstFound"`
	LastUpdated moment  `json:"lastUpdated"`
}

type wireVolume struct {
	Name text    `json:"name"`
	Free integer `json:"free"`
	Size integer `json:"size"`
}

type wireService struct {
	Name        text `json:"name"`
	Status      text `json:"status"`
	Description text `json:"description"`
}

type wireAccount struct {
	Name text `json:"name"`
}

type wireTag struct {
	ID               integer `json:"tagId"`
	Name             text    `json:"tagName"`
	CriticalityScore integer `json:"criticalityScore"`
}

type wireInventory struct {
	Source      text   `json:"source"`
	Created     moment `json:"created"`
	LastUpdated moment `json:"lastUpdated"`
}

type wireLocation struct {
	Name      text `json:"name"`
	City      text `json:"city"`
	State     text `json:"state"`
	Country   text `json:"country"`
	Continent text `json:"continent"`
	Postal    text `json:"postal"`
}

type wireCloud struct {
	AWS *struct {
		EC2  *wireEC2       `json:"ec2"`
		Tags []wireCloudTag `json:"tags"`
	} `json:"aws"`
	Azure *struct {
		VM   *wireAzureVM   `json:"vm"`
		Tags []wireCloudTag `json:"tags"`
	} `json:"azure"`
	GCP *struct {
		Compute *wireGCP       `json:"compute"`
		Tags    []wireCloudTag `json:"tags"`
	} `json:"gcp"`
	IBM *struct {
		Server *wireIBM       `json:"virtualServer"`
		Tags   []wireCloudTag `json:"tags"`
	} `json:"ibm"`
	OCI *struct {
		Compute *wireOCI       `json:"compute"`
		Tags    []wireCloudTag `json:"tags"`
	} `json:"oci"`
}

// wireCloudTag has "key" in most clouds and "name" in Azure and IBM.
type wireCloudTag struct {
	Key   text `json:"key"`
	Name  text `json:"name"`
	Value text `json:"value"`
}

type wireEC2 struct {
	AccountID        text   `json:"accountId"`
	AvailabilityZone text   `json:"availabilityZone"`
	HostName         text   `json:"hostname"`
	ImageID          text   `json:"imageId"`
	InstanceID       text   `json:"instanceId"`
	State            text   `json:"instanceState"`
	Type             text   `json:"instanceType"`
	Scanner          flag   `json:"qualysScanner"`
	LaunchDate       moment `json:"launchdate"`
	PrivateDNS       text   `json:"privateDNS"`
	PrivateIP        text   `json:"privateIpAddress"`
	PublicDNS        text   `json:"publicDNS"`
	PublicIP         text   `json:"publicIpAddress"`
	Region           struct {
		Code text `json:"code"`
		Name text `json:"name"`
	} `json:"region"`
	Spot     flag `json:"spotInstance"`
	SubnetID text `json:"subnetId"`
	VPCID    text `json:"vpcId"`
}

type wireAzureVM struct {
	ImageOffer     text `json:"imageOffer"`
	Offer          text `json:"offer"`
	ImagePublisher text `json:"imagePublisher"`
	ImageVersion   text `json:"imageVersion"`
	Location       text `json:"location"`
	MAC            text `json:"macAddress"`
	Name           text `json:"name"`
	PrivateIP      text `json:"privateIpAddress"`
	PublicIP       text `json:"publicIpAddress"`
	ResourceGroup  text `json:"resourceGroupName"`
	Size           text `json:"size"`
	State          text `json:"state"`
	Subnet         text `json:"subnet"`
	SubscriptionID text `json:"subscriptionId"`
	VirtualNetwork text `json:"virtualNetwork"`
	VMID           text `json:"vmId"`
}

type wireGCP struct {
	HostName    text `json:"hostname"`
	ImageID     text `json:"imageId"`
	InstanceID  text `json:"instanceId"`
	MAC         text `json:"macAddress"`
	MachineType text `json:"machineType"`
	Network     text `json:"network"`
	PrivateIP   text `json:"privateIpAddress"`
	ProjectID   text `json:"projectId"`
	PublicIP    text `json:"publicIpAddress"`
	State       text `json:"state"`
	Zone        text `json:"zone"`
}

type wireIBM struct {
	ID         text `json:"ibmId"`
	DeviceName text `json:"deviceName"`
	Location   text `json:"location"`
	PrivateIP  text `json:"privateIp"`
	PublicIP   text `json:"publicIp"`
	State      text `json:"state"`
}

type wireOCI struct {
	ID         text `json:"ociId"`
	TenantID   text `json:"tenantId"`
	TenantName text `json:"tenantName"`
	Image      text `json:"image"`
	Shape      text `json:"shape"`
	State      text `json:"state"`
	Region     text `json:"region"`
	Domain     text `json:"availabilityDomain"`
}
