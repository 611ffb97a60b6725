package qualys

import (
	"strings"

	"github.com/goccy/go-json"
)

// amSource is the cloud instance of an asset; the name of the element that held it
// says which cloud.
type amSource struct {
	LastUpdated   moment        `json:"lastUpdated"`
	InstanceID    text          `json:"instanceId"`
	InstanceType  text          `json:"instanceType"`
	InstanceState text          `json:"instanceState"`
	Created       moment        `json:"createdDate"`
	Zone          text          `json:"zone"` // "VPC" of EC2, the zone of GCP
	EC2Zone       text          `json:"availabilityZone"`
	Region        text          `json:"region"`
	AccountID     text          `json:"accountId"`
	SubnetID      text          `json:"subnetId"`
	VPCID         text          `json:"vpcId"`
	ImageID       text          `json:"imageId"`
	PrivateDNS    text          `json:"privateDnsName"`
	PublicDNS     text          `json:"publicDnsName"`
	LocalHost     text          `json:"localHostname"`
	PrivateIP     text          `json:"privateIpAddress"`
	PublicIP      text          `json:"publicIpAddress"`
	MAC           text          `json:"macAddress"`
	Spot          flag          `json:"spotInstance"`
	Name          text          `json:"name"`
	Location      text          `json:"location"`
	Size          text          `json:"vmSize"`
	VMID          text          `json:"vmId"`
	Offer         text          `json:"offer"`
	State         text          `json:"state"`
	Publisher     text          `json:"publisher"`
	Version       text          `json:"version"`
	Subnet        text          `json:"subnet"`
	Subscription  text          `json:"subscriptionId"`
	Group         text          `json:"resourceGroupName"`
	HostName      text          `json:"hostname"`
	MachineType   text          `json:"machineType"`
	ProjectID     text          `json:"projectId"`
	Network       text          `json:"network"`
	EC2Tags       amTagsOfCloud `json:"ec2InstanceTags"`
	AzureTags     amTagsOfCloud `json:"azureVmTags"`
	GCPTags       amTagsOfCloud `json:"gcpInstanceTags"`
}

// amTagsOfCloud is {"tags":{"list":[…]}}.
type amTagsOfCloud struct{ list amList[wireCloudTag] }

func (t *amTagsOfCloud) UnmarshalJSON(b []byte) error {
	if blank(b) {
		return nil
	}
	if b[0] != '{' {
		return &FieldError{Want: "an object with tags", Got: shape(b)}
	}
	var wrapper struct {
		Tags amList[wireCloudTag] `json:"tags"`
	}
	if err := json.Unmarshal(b, &wrapper); err != nil {
		return within("tags", err)
	}
	t.list = wrapper.Tags
	return nil
}

// provider names the cloud of an element or of cloudProvider.
func provider(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	for _, p := range [...][2]string{{"ec2", "aws"}, {"aws", "aws"}, {"azure", "azure"}, {"gcp", "gcp"}, {"ibm", "ibm"}, {"oci", "oci"}, {"alibaba", "alibaba"}} {
		if strings.HasPrefix(name, p[0]) {
			return p[1]
		}
	}
	return ""
}

// source returns the cloud instance that was seen last, of the clouds whose
// element the API documents; nil when there is none.
func (w *amAsset) source() *amSource {
	var best *amSource
	for i := range w.Sources.Items {
		switch w.Sources.Kinds[i] {
		case "Ec2AssetSourceSimple", "AzureAssetSourceSimple", "GcpAssetSourceSimple":
			if s := &w.Sources.Items[i]; best == nil || s.LastUpdated.After(best.LastUpdated.Time) {
				best = s
			}
		}
	}
	return best
}

// kind returns the element that held a source.
func (w *amAsset) kind(s *amSource) string {
	for i := range w.Sources.Items {
		if &w.Sources.Items[i] == s {
			return provider(w.Sources.Kinds[i])
		}
	}
	return ""
}

func (w *amAsset) cloud(c *wireCloud, s *amSource) {
	switch w.kind(s) {
	case "aws":
		aws := made(&c.AWS)
		aws.Tags = s.EC2Tags.list.Items
		aws.EC2 = &wireEC2{
			AccountID: s.AccountID, AvailabilityZone: s.EC2Zone, HostName: s.LocalHost, ImageID: s.ImageID, InstanceID: s.InstanceID, State: s.InstanceState,
			Type: s.InstanceType, LaunchDate: s.Created, PrivateDNS: s.PrivateDNS, PrivateIP: s.PrivateIP, PublicDNS: s.PublicDNS, PublicIP: s.PublicIP,
			Spot: s.Spot, SubnetID: s.SubnetID, VPCID: s.VPCID,
		}
		aws.EC2.Region.Code = s.Region
	case "azure":
		azure := made(&c.Azure)
		azure.Tags = s.AzureTags.list.Items
		azure.VM = &wireAzureVM{
			Offer: s.Offer, ImagePublisher: s.Publisher, ImageVersion: s.Version, Location: s.Location, MAC: s.MAC, Name: s.Name, PrivateIP: s.PrivateIP,
			PublicIP: s.PublicIP, ResourceGroup: s.Group, Size: s.Size, State: s.State, Subnet: s.Subnet, SubscriptionID: s.Subscription, VMID: s.VMID,
		}
	case "gcp":
		gcp := made(&c.GCP)
		gcp.Tags = s.GCPTags.list.Items
		gcp.Compute = &wireGCP{
			HostName: s.HostName, ImageID: s.ImageID, InstanceID: s.InstanceID, MAC: s.MAC, MachineType: s.MachineType, Network: s.Network,
			PrivateIP: s.PrivateIP, ProjectID: s.ProjectID, PublicIP: s.PublicIP, State: s.State, Zone: s.Zone,
		}
	}
}

func made[T any](p **T) *T {
	*p = new(T)
	return *p
}
