package classify

import (
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/asset"
)

// Inputs is what rules see of an asset. It is kept with the record, so that a
// decision can be explained later with the rules of that time or others.
type Inputs struct {
	OSName         string `json:"osName,omitempty"`
	OSCategory1    string `json:"osCategory1,omitempty"`
	OSCategory2    string `json:"osCategory2,omitempty"`
	OSPublisher    string `json:"osPublisher,omitempty"`
	OSProductName  string `json:"osProductName,omitempty"`
	HWCategory1    string `json:"hwCategory1,omitempty"`
	HWCategory2    string `json:"hwCategory2,omitempty"`
	HWManufacturer string `json:"hwManufacturer,omitempty"`
	HWProductName  string `json:"hwProductName,omitempty"`
	HWModel        string `json:"hwModel,omitempty"`
	CloudProvider  string `json:"cloudProvider,omitempty"`
	CloudID        string `json:"cloudId,omitempty"`
	DomainRole     string `json:"domainRole,omitempty"`
	Name           string `json:"name,omitempty"`
	MAC            string `json:"mac,omitempty"`
	Serial         string `json:"serial,omitempty"`
	IP             string `json:"ip,omitempty"`
	AgentID        string `json:"agentId,omitempty"`
	Virtual        bool   `json:"virtual,omitempty"`
	Volumes        bool   `json:"volumes,omitempty"`   // at least one was reported
	Processor      bool   `json:"processor,omitempty"` // a processor was reported
	Identity       bool   `json:"identity,omitempty"`  // something other than an address identifies it
}

// lowered holds the lower-case values that conditions compare, in the order of
// fieldNames. It lives on the stack of one decision.
type lowered [len(fieldNames)]string

// InputsOf returns the inputs of an asset.
func InputsOf(a *asset.Asset, c *asset.Clean) Inputs {
	return Inputs{
		OSName: asset.Text(a.OS.Name), OSCategory1: asset.Text(a.OS.Category1), OSCategory2: asset.Text(a.OS.Category2),
		OSPublisher: asset.Text(a.OS.Publisher), OSProductName: asset.Text(a.OS.ProductName),
		HWCategory1: asset.Text(a.Hardware.Category1), HWCategory2: asset.Text(a.Hardware.Category2), HWManufacturer: c.Manufacturer,
		HWProductName: asset.Text(a.Hardware.ProductName), HWModel: c.Model, CloudProvider: string(a.Cloud.Provider), CloudID: asset.Text(a.Cloud.InstanceID), DomainRole: asset.Text(a.DomainRole),
		Name: c.Name, MAC: c.MAC, Serial: c.Serial, IP: c.IP, AgentID: asset.Text(a.AgentID), Virtual: c.Virtual,
		Volumes: len(a.Volumes) > 0, Processor: a.Processor != (asset.Processor{}), Identity: asset.HasIdentity(a, c),
	}
}

// fieldNames are the fields that conditions may name, in the order of Inputs.
var fieldNames = [...]string{
	"operatingSystem.name", "operatingSystem.category1", "operatingSystem.category2", "operatingSystem.publisher", "operatingSystem.productName",
	"hardware.category1", "hardware.category2", "hardware.manufacturer", "hardware.productName", "hardware.model",
	"cloud.provider", "cloud.instanceId", "domainRole", "name", "mac", "serial", "ip", "agentId", "virtual", "volumes", "processor",
}

// Fields returns the fields that conditions may name, sorted.
func Fields() []string {
	out := slices.Clone(fieldNames[:])
	slices.Sort(out)
	return out
}

// values returns the inputs in the order of fieldNames.
func (in *Inputs) values() [len(fieldNames)]string {
	return [...]string{
		in.OSName, in.OSCategory1, in.OSCategory2, in.OSPublisher, in.OSProductName,
		in.HWCategory1, in.HWCategory2, in.HWManufacturer, in.HWProductName, in.HWModel,
		in.CloudProvider, in.CloudID, in.DomainRole, in.Name, in.MAC, in.Serial, in.IP, in.AgentID, truth(in.Virtual), truth(in.Volumes), truth(in.Processor),
	}
}

// truth is the text of a fact: "true", or nothing, so that "present" asks for it.
func truth(is bool) string {
	if is {
		return "true"
	}
	return ""
}

// lowered returns the values in lower case, once for all rules.
func (in *Inputs) lowered() lowered {
	v := lowered(in.values())
	for i := range v {
		v[i] = strings.ToLower(v[i])
	}
	return v
}
