package golden_test

import (
	"fmt"
	"strings"
)

// members are the members of an asset that the CSAM API v2 documents, by the path
// of their object. A fixture that misspells one would test nothing. Objects that
// are not listed are not looked into.
var members = map[string]string{
	"asset": `assetId assetUUID hostId lastModifiedDate agentId createdDate sensorLastUpdatedDate assetType address dnsName assetName netbiosName
		fqdn qwebHostId networkUuid timeZone biosDescription biosSerialNumber biosAssetTag hwUUID lastBoot totalMemory cpuCount lastLoggedOnUser domainRole
		isContainerHost operatingSystem hardware userAccountListData openPortListData volumeListData networkInterfaceListData softwareListData
		softwareComponent provider cloudProvider agent sensor container inventory inventoryListData activity tagList serviceList lastLocation criticality
		businessInformation assignedLocation businessAppListData riskScore passiveSensor domain subdomain easmTags missingSoftware whois organizationName isp
		asn hostingCategory1 customAttributes processor lparId`,
	"asset.operatingSystem": `osName fullName category category1 category2 productName publisher edition marketVersion version update architecture
		lifecycle taxonomy productUrl productFamily installDate release cpeId cpe cpeType`,
	"asset.operatingSystem.lifecycle":                 `gaDate eolDate eosDate stage lifeCycleConfidence eolSupportStage eosSupportStage detectionScore`,
	"asset.hardware":                                  `fullName category category1 category2 manufacturer productName model lifecycle taxonomy productUrl productFamily`,
	"asset.hardware.lifecycle":                        `introDate gaDate eosDate obsoleteDate stage lifeCycleConfidence`,
	"asset.userAccountListData":                       `userAccount`,
	"asset.userAccountListData.userAccount":           `name`,
	"asset.openPortListData":                          `openPort`,
	"asset.openPortListData.openPort":                 `port description protocol detectedService firstFound lastUpdated authorization detectionScore discoverySources`,
	"asset.volumeListData":                            `volume`,
	"asset.volumeListData.volume":                     `name free size`,
	"asset.networkInterfaceListData":                  `networkInterface`,
	"asset.networkInterfaceListData.networkInterface": `hostname addressIpV4 addressIpV6 macAddress interfaceName dnsAddress gatewayAddress manufacturer macVendorIntroDate netmask addresses`,
	"asset.softwareListData":                          `software`,
	"asset.softwareListData.software":                 software,
	"asset.softwareListData.software.lifecycle":       `gaDate eolDate eosDate stage lifeCycleConfidence eolSupportStage eosSupportStage detectionScore`,
	"asset.softwareListData.software.license":         `category subcategory`,
	"asset.cloudProvider":                             `aws azure gcp ibm oci alibaba`,
	"asset.cloudProvider.aws":                         `ec2 tags`,
	"asset.cloudProvider.aws.ec2":                     `accountId availabilityZone hasAgent hostname imageId instanceId instanceState instanceType qualysScanner kernelId launchdate privateDNS privateIpAddress publicDNS publicIpAddress region spotInstance subnetId vpcId`,
	"asset.cloudProvider.aws.ec2.region":              `code name`,
	"asset.cloudProvider.aws.tags":                    `key value`,
	"asset.cloudProvider.azure":                       `vm tags`,
	"asset.cloudProvider.azure.vm":                    `imageOffer offer imagePublisher imageVersion location macAddress name platform privateIpAddress publicIpAddress resourceGroupName size state subnet subscriptionId virtualNetwork vmId`,
	"asset.cloudProvider.azure.tags":                  `name value`,
	"asset.cloudProvider.gcp":                         `compute tags`,
	"asset.cloudProvider.gcp.compute":                 `hostname imageId instanceId macAddress machineType network privateIpAddress projectId projectNumber publicIpAddress state zone`,
	"asset.cloudProvider.gcp.tags":                    `key value`,
	"asset.cloudProvider.ibm":                         `virtualServer tags`,
	"asset.cloudProvider.ibm.virtualServer":           `datacenterId deviceName domain ibmId location privateIp privateVlan publicIp publicVlan state`,
	"asset.cloudProvider.ibm.tags":                    `name value`,
	"asset.cloudProvider.oci":                         `compute tags`,
	"asset.cloudProvider.oci.compute":                 `ociId tenantId tenantName compartmentId compartmentName image shape state region availabilityDomain faultDomain creationDate hasAgent qualysScanner`,
	"asset.cloudProvider.oci.tags":                    `key value type nameSpace`,
	"asset.cloudProvider.alibaba":                     `instance tags`,
	"asset.inventory":                                 `source created lastUpdated`,
	"asset.inventoryListData":                         `inventory`,
	"asset.inventoryListData.inventory":               `source created lastUpdated`,
	"asset.tagList":                                   `tag`,
	"asset.tagList.tag":                               `tagId tagName foregroundColor backgroundColor businessImpact criticalityScore`,
	"asset.serviceList":                               `service`,
	"asset.serviceList.service":                       `name status description`,
	"asset.lastLocation":                              `city state country name continent postal`,
	"asset.assignedLocation":                          `name city state country`,
	"asset.businessInformation":                       `company department ownedBy environment managedBy supportedBy supportGroup operationalStatus`,
	"asset.businessAppListData":                       `businessApp`,
	"asset.criticality":                               `score isDefault lastUpdated hasAiCriticalityScore aiCriticalityScoreConfidence`,
	"asset.processor":                                 `description speed numCPUs noOfSocket threadsPerCore coresPerSocket multithreadingStatus`,
	"asset.agent":                                     `version configurationProfile activations connectedFrom lastActivity lastCheckedIn lastInventory udcManifestAssigned errorStatus agentId platform status chirpStatus`,
	"asset.container":                                 `product version noOfContainers noOfImages hasSensor`,
	"asset.activity":                                  `source lastScannedDate`,
}

const software = `id fullName softwareType isIgnored ignoredReason category category1 category2 productName component publisher edition marketVersion version
	update architecture installDate installPath lastUpdated lastUseDate language formerlyKnownAs isPackage isPackageComponent packageName productUrl lifecycle
	supportStageDesc license authorization authorizationDetectionScore discoveredPublisher discoveredName discoveredVersion discoverySources cpeId cpe cpeType
	softwareInstances`

// documented reports a member of an object that the vendor does not document.
func documented(path string, v any) error {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			if err := documented(path, e); err != nil {
				return err
			}
		}
	case map[string]any:
		names, listed := members[path]
		known := map[string]bool{}
		for _, n := range strings.Fields(names) {
			known[n] = true
		}
		for name, value := range x {
			if listed && !known[name] {
				return fmt.Errorf("%s has no documented member %q", path, name)
			}
			if err := documented(path+"."+name, value); err != nil {
				return err
			}
		}
	}
	return nil
}
