package qualys

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/tagging"
)

// convert turns a wire asset into the canonical one.
func (w *wireAsset) convert() *asset.Asset {
	a := &asset.Asset{
		ID: int64(w.ID), UUID: string(w.UUID), HostID: int64(w.HostID), AgentID: string(w.AgentID), Name: string(w.Name), DNSName: string(w.DNSName),
		NetBIOS: string(w.NetBIOS), FQDN: string(w.FQDN), Address: string(w.Address), Type: string(w.Type), TimeZone: string(w.TimeZone),
		Modified: w.Modified.Time, Created: w.Created.Time, SensorUpdated: w.SensorUpdated.Time, LastBoot: w.LastBoot.Time,
		BIOSDescription: string(w.BIOSDesc), BIOSSerial: string(w.BIOSSerial), BIOSAssetTag: string(w.BIOSTag), HardwareUUID: string(w.HWUUID),
		TotalMemoryMB: int64(w.Memory), CPUCount: int64(w.CPUs), LastUser: string(w.LastUser), DomainRole: string(w.DomainRole), ContainerHost: bool(w.ContainerHost),
		RiskScore: int64(w.Risk), CriticalityScore: int64(w.Criticality.Score),
		OS: w.OS.convert(), Hardware: w.Hardware.convert(),
		Processor: asset.Processor{
			Description: string(w.Processor.Description), SpeedMHz: int64(w.Processor.Speed), CPUs: int64(w.Processor.CPUs), Sockets: int64(w.Processor.Sockets),
			ThreadsPerCore: int64(w.Processor.ThreadsPerCore), CoresPerSocket: int64(w.Processor.CoresPerSocket), Multithreading: string(w.Processor.Multithreading),
		},
		Cloud: w.Cloud.convert(), LastLocation: w.LastLocation.convert(), AssignedLocation: w.Assigned.convert(),
		Business: asset.BusinessInformation{
			Company: string(w.Business.Company), Department: string(w.Business.Department), OwnedBy: string(w.Business.OwnedBy), Environment: string(w.Business.Environment),
			ManagedBy: string(w.Business.ManagedBy), SupportedBy: string(w.Business.SupportedBy), SupportGroup: string(w.Business.SupportGroup),
			OperationalStatus: string(w.Business.OperationalStatus),
		},
	}
	a.Applications, a.ApplicationDetails = w.Apps.convert()
	w.lists(a)
	for _, s := range w.present {
		if section := asset.Section(s); w.carried(section) {
			a.Present = append(a.Present, section)
		}
	}
	a.TrackingMethod = newestSource(a.Inventory)
	return a
}

// convert returns the ids of applications, and the applications as they are shown.
func (w wireApps) convert() ([]string, []asset.BusinessApplication) {
	if w == nil {
		return nil, nil
	}
	ids, out := make([]string, len(w)), make([]asset.BusinessApplication, len(w))
	for i, a := range w {
		ids[i] = string(a.ID)
		out[i] = asset.BusinessApplication{
			ID: string(a.ID), Name: string(a.Name), Criticality: string(a.Criticality), Status: string(a.Status), Environment: string(a.Environment), UsedFor: string(a.UsedFor),
			OperationalStatus: string(a.OperationalStatus), OwnedBy: string(a.OwnedBy), ManagedBy: string(a.ManagedBy), SupportedBy: string(a.SupportedBy), SupportGroup: string(a.SupportGroup),
		}
	}
	return ids, out
}

// carried reports whether a section that was not null really held its list.
func (w *wireAsset) carried(s asset.Section) bool {
	switch s {
	case asset.SectionInterfaces:
		return w.Interfaces.Present
	case asset.SectionSoftware:
		return w.Software.Present
	case asset.SectionOpenPorts:
		return w.Ports.Present
	case asset.SectionVolumes:
		return w.Volumes.Present
	case asset.SectionServices:
		return w.Services.Present
	case asset.SectionAccounts:
		return w.Accounts.Present
	case asset.SectionTags:
		return w.Tags.Present
	}
	return true
}

func (w *wireAsset) lists(a *asset.Asset) {
	for i := range w.Interfaces.Items {
		n := &w.Interfaces.Items[i]
		a.Interfaces = append(a.Interfaces, asset.Interface{
			Name: string(n.Name), HostName: string(n.HostName), MAC: string(n.MAC), IPv4: split(n.IPv4), IPv6: split(n.IPv6),
			Netmask: string(n.Netmask), Gateway: string(n.Gateway), DNS: string(n.DNS), Manufacturer: string(n.Manufacturer),
		})
	}
	a.Software = slices.Grow(a.Software, len(w.Software.Items)) // packages are large values
	for i := range w.Software.Items {
		a.Software = append(a.Software, w.Software.Items[i].convert())
	}
	for _, p := range w.Ports.Items {
		a.OpenPorts = append(a.OpenPorts, asset.OpenPort{
			Port: int64(p.Port), Protocol: string(p.Protocol), Description: string(p.Description), Service: string(p.Service),
			FirstFound: p.FirstFound.Time, LastUpdated: p.LastUpdated.Time,
		})
	}
	for _, v := range w.Volumes.Items {
		a.Volumes = append(a.Volumes, asset.Volume{Name: string(v.Name), Free: int64(v.Free), Size: int64(v.Size)})
	}
	for _, s := range w.Services.Items {
		a.Services = append(a.Services, asset.Service{Name: string(s.Name), Status: string(s.Status), Description: string(s.Description)})
	}
	for _, u := range w.Accounts.Items {
		a.Accounts = append(a.Accounts, string(u.Name))
	}
	for _, t := range w.Tags.Items {
		a.Tags = append(a.Tags, asset.Tag{ID: int64(t.ID), Name: string(t.Name), CriticalityScore: int64(t.CriticalityScore)})
	}
	for _, in := range append(w.InventoryList.Items, w.Inventory) {
		known := slices.ContainsFunc(a.Inventory, func(has asset.InventorySource) bool { return has.Source == string(in.Source) })
		if in.Source != "" && !known {
			a.Inventory = append(a.Inventory, asset.InventorySource{Source: string(in.Source), Created: in.Created.Time, LastUpdated: in.LastUpdated.Time})
		}
	}
}

// newestSource is the sensor that saw the asset last.
func newestSource(list []asset.InventorySource) string {
	best := asset.InventorySource{}
	for _, s := range list {
		if best.Source == "" || s.LastUpdated.After(best.LastUpdated) {
			best = s
		}
	}
	return best.Source
}

func (l *wireLifecycle) convert() asset.Lifecycle {
	if l == nil {
		return asset.Lifecycle{}
	}
	return asset.Lifecycle{
		Intro: day(l.Intro), GA: day(l.GA), EOL: day(l.EOL), EOS: day(l.EOS), Obsolete: day(l.Obsolete),
		Stage: string(l.Stage), Confidence: string(l.Confidence), EOLSupport: string(l.EOLSupport), EOSSupport: string(l.EOSSupport),
	}
}

// day cuts a date to its day and keeps free text as it is.
func day(t text) string {
	s := string(t)
	if d, clock, ok := strings.Cut(s, "T"); ok && len(d) == len("2006-01-02") && strings.Contains(clock, ":") {
		return d
	}
	return s
}

func (o *wireOS) convert() asset.OperatingSystem {
	return asset.OperatingSystem{
		Name: string(o.Name), FullName: string(o.FullName), Category: string(o.Category), Category1: string(o.Category1), Category2: string(o.Category2),
		ProductName: string(o.ProductName), ProductFamily: string(o.ProductFamily), Publisher: string(o.Publisher), Edition: string(o.Edition),
		MarketVersion: string(o.MarketVersion), Version: string(o.Version), Update: string(o.Update), Architecture: string(o.Architecture),
		Release: string(o.Release), InstallDate: o.InstallDate.Time, Lifecycle: o.Lifecycle.convert(),
	}
}

func (h *wireHardware) convert() asset.Hardware {
	return asset.Hardware{
		FullName: string(h.FullName), Category: string(h.Category), Category1: string(h.Category1), Category2: string(h.Category2),
		Manufacturer: string(h.Manufacturer), ProductName: string(h.ProductName), ProductFamily: string(h.ProductFamily), Model: string(h.Model),
		Lifecycle: h.Lifecycle.convert(),
	}
}

func (s *wireSoftware) convert() asset.Software {
	out := asset.Software{
		ID: int64(s.ID), FullName: string(s.FullName), Type: string(s.Type), Ignored: bool(s.Ignored), Category1: string(s.Category1), Category2: string(s.Category2),
		ProductName: string(s.ProductName), Component: string(s.Component), Publisher: string(s.Publisher), Edition: string(s.Edition),
		MarketVersion: string(s.MarketVersion), Version: string(s.Version), Update: string(s.Update), Architecture: string(s.Architecture),
		InstallPath: string(s.InstallPath), InstallDate: s.InstallDate.Time, LastUsed: s.LastUsed.Time, Package: bool(s.Package), PackageName: string(s.PackageName),
		Lifecycle: s.Lifecycle.convert(), SupportStage: string(s.SupportStage), Authorization: string(s.Authorization), DiscoveredName: string(s.DiscoveredName),
	}
	if s.License != nil {
		out.LicenseKind, out.LicenseDetail = string(s.License.Category), string(s.License.Subcategory)
	}
	return out
}

func (l wireLocation) convert() asset.Location {
	return asset.Location{
		Name: string(l.Name), City: string(l.City), State: string(l.State), Country: string(l.Country), Continent: string(l.Continent), Postal: string(l.Postal),
	}
}

// split splits a comma-separated list of addresses.
func split(t text) []string {
	if t == "" {
		return nil
	}
	var out []string
	for part := range strings.SplitSeq(string(t), ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func (c *wireCloud) convert() asset.Cloud {
	switch {
	case c.AWS != nil && c.AWS.EC2 != nil:
		e := c.AWS.EC2
		return asset.Cloud{
			Provider: asset.CloudAWS, InstanceID: string(e.InstanceID), Name: string(e.HostName), AccountID: string(e.AccountID), Region: string(e.Region.Code),
			RegionName: string(e.Region.Name), Zone: string(e.AvailabilityZone), State: string(e.State), InstanceType: string(e.Type), ImageID: string(e.ImageID),
			NetworkID: string(e.VPCID), SubnetID: string(e.SubnetID), PrivateIP: string(e.PrivateIP), PublicIP: string(e.PublicIP), PrivateDNS: string(e.PrivateDNS),
			PublicDNS: string(e.PublicDNS), LaunchDate: e.LaunchDate.Time, Spot: bool(e.Spot), QualysScanner: bool(e.Scanner), Tags: cloudTags(c.AWS.Tags),
		}
	case c.Azure != nil && c.Azure.VM != nil:
		v := c.Azure.VM
		offer := v.ImageOffer
		if offer == "" {
			offer = v.Offer
		}
		return asset.Cloud{
			Provider: asset.CloudAzure, InstanceID: string(v.VMID), Name: string(v.Name), AccountID: string(v.SubscriptionID), Region: string(v.Location),
			State: string(v.State), InstanceType: string(v.Size), ImagePublisher: string(v.ImagePublisher), ImageOffer: string(offer), ImageVersion: string(v.ImageVersion),
			NetworkID: string(v.VirtualNetwork), SubnetID: string(v.Subnet), ResourceGroup: string(v.ResourceGroup), PrivateIP: string(v.PrivateIP),
			PublicIP: string(v.PublicIP), MAC: string(v.MAC), Tags: cloudTags(c.Azure.Tags),
		}
	case c.GCP != nil && c.GCP.Compute != nil:
		g := c.GCP.Compute
		region := string(g.Zone)
		if i := strings.LastIndex(region, "-"); i > 0 {
			region = region[:i]
		}
		return asset.Cloud{
			Provider: asset.CloudGCP, InstanceID: string(g.InstanceID), Name: string(g.HostName), AccountID: string(g.ProjectID), Region: region, Zone: string(g.Zone),
			State: googleState(string(g.State)), InstanceType: string(g.MachineType), ImageID: string(g.ImageID), NetworkID: string(g.Network), PrivateIP: string(g.PrivateIP),
			PublicIP: string(g.PublicIP), MAC: string(g.MAC), Tags: cloudTags(c.GCP.Tags),
		}
	case c.IBM != nil && c.IBM.Server != nil:
		s := c.IBM.Server
		return asset.Cloud{Provider: asset.CloudIBM, InstanceID: string(s.ID), Name: string(s.DeviceName), Region: string(s.Location), State: string(s.State),
			PrivateIP: string(s.PrivateIP), PublicIP: string(s.PublicIP), Tags: cloudTags(c.IBM.Tags)}
	case c.OCI != nil && c.OCI.Compute != nil:
		o := c.OCI.Compute
		return asset.Cloud{Provider: asset.CloudOCI, InstanceID: string(o.ID), AccountID: string(o.TenantID), AccountName: string(o.TenantName), Region: string(o.Region),
			Zone: string(o.Domain), State: string(o.State), InstanceType: string(o.Shape), ImageID: string(o.Image), Tags: cloudTags(c.OCI.Tags)}
	}
	return asset.Cloud{}
}

func cloudTags(list []wireCloudTag) []asset.CloudTag {
	var out []asset.CloudTag
	for _, t := range list {
		key := t.Key
		if key == "" {
			key = t.Name
		}
		out = append(out, asset.CloudTag{Key: string(key), Value: string(t.Value)})
	}
	return out
}

// fieldTokens are the API's names of sections for includeFields and
// excludeFields.
var fieldTokens = map[string]string{
	string(asset.SectionSoftware): "software", string(asset.SectionOpenPorts): "openPort", string(asset.SectionVolumes): "volume",
	string(asset.SectionServices): "service", string(asset.SectionAccounts): "userAccount", string(asset.SectionInterfaces): "networkInterface",
	string(asset.SectionTags): "tagList", string(asset.SectionProcessor): "processor", string(asset.SectionCloud): "cloudProvider",
}

// Result is one asset of a page: the asset, or why it cannot be understood.
type Result struct {
	ID    int64
	Asset *asset.Asset
	Err   *FieldError
}

// googleState returns the state of an instance of Google in the words of the other
// clouds: there, TERMINATED is an instance that was stopped and can be started
// again; one that is deleted is not listed any more.
//
// Compute Engine, instance life cycle.
func googleState(s string) string {
	if strings.EqualFold(s, "TERMINATED") {
		return "STOPPED"
	}
	return s
}

// Scopes turns listed addresses into scopes by network. An entry that is no range is
// an error: a plan made from the rest would add what is there.
func Scopes(list []IPRange) ([]export.Scope, error) {
	ranges := map[string][]export.Range{}
	var networks []string
	for _, r := range list {
		parsed, err := export.ParseRange(r.Text)
		if err != nil {
			return nil, fmt.Errorf("qualys: listed address: %w", err)
		}
		if _, seen := ranges[r.Network]; !seen {
			networks = append(networks, r.Network)
		}
		ranges[r.Network] = append(ranges[r.Network], parsed)
	}
	out := make([]export.Scope, 0, len(networks))
	for _, n := range networks {
		set := export.NewSet(ranges[n]...)
		out = append(out, export.Scope{Network: n, Ranges: set.Ranges(), Addresses: set.Count()})
	}
	return out, nil
}

// AddIPsOf returns the call that adds planned addresses.
func AddIPsOf(call export.IPCall, r export.Registration) AddIPs {
	out := AddIPs{
		Network: call.Network, VM: r.VM, PC: r.PC, SCA: r.SCA, CertView: r.CertView, Tracking: r.Tracking,
		Owner: r.Owner, Comment: r.Comment, AssetGroup: r.AssetGroup,
	}
	copy(out.UserFields[:], r.UserFields)
	for _, x := range call.Ranges {
		out.Ranges = append(out.Ranges, x.String())
	}
	return out
}

// AssetMetadataOf returns business metadata as it is sent for an asset.
func AssetMetadataOf(assetID int64, m export.Metadata) AssetMetadata {
	return AssetMetadata{AssetID: assetID, Values: m.Values, Applications: m.Applications}
}

// BusinessAppOf returns a business application as it is sent.
func BusinessAppOf(a export.Application) BusinessApp {
	return BusinessApp{ID: a.ID, Values: a.Values, Created: a.Created, Updated: a.Updated}
}

// ConnectorAssetOf returns a connector record as it is published.
func ConnectorAssetOf(r *export.ConnectorRecord) ConnectorAsset {
	out := ConnectorAsset{Identity: ConnectorIdentity{SourceNativeKey: r.NativeKey, InstanceUUIDSource: r.CloudProvider}}
	id := &out.Identity
	single := map[export.Identifier]*string{
		export.ByInstance: &id.InstanceUUID, export.ByUUID: &id.HardwareUUID, export.BySerial: &id.SerialNumber, export.ByFQDN: &id.FQDN,
		export.ByNetBIOS: &id.NetBIOSName, export.ByHostName: &id.HostName,
	}
	for _, a := range r.Identity {
		switch to := single[a.Name]; {
		case to != nil:
			*to = a.Values[0]
		case a.Name == export.ByMAC:
			id.MACAddress = a.Values
		case a.Name == export.ByIP:
			id.IPAddress = a.Values
		}
	}
	v := r.Core
	out.Core = ConnectorCore{
		OperatingSystem: v["operatingSystem"], OSVersion: v["osVersion"], OSArchitecture: v["osArchitecture"], HostName: v["hostName"], Address: v["address"],
		DNSName: v["dnsName"], NetBIOSName: v["netBiosName"], FQDN: v["fqdn"], Domain: v["domain"], DomainRole: v["domainRole"], LastLoggedOnUser: v["lastLoggedOnUser"],
		Custom: r.Custom, Created: date(r.Created), Updated: date(r.Updated),
	}
	for _, a := range r.Adapters {
		out.Core.NetworkInterfaces = append(out.Core.NetworkInterfaces, connectorInterfaces(a.Name, a.MAC, a.Gateway, a.IPs)...)
	}
	if r.Metadata != nil {
		for field, value := range r.Metadata.Values {
			to, name := &out.Core.BusinessMetadata, field
			if inner, ok := strings.CutPrefix(field, "assignedLocation."); ok {
				to, name = &out.Core.AssignedLocation, inner
			}
			if *to == nil {
				*to = map[string]string{}
			}
			(*to)[name] = value
		}
	}
	return out
}

// ActualTags returns the tags of a subscription as the difference reads them.
func ActualTags(list []Tag) []tagging.Actual {
	out := make([]tagging.Actual, len(list))
	for i, t := range list {
		out[i] = tagging.Actual{ID: t.ID, Parent: t.Parent, Description: t.Description, Face: tagging.Face{
			Name: t.Name, RuleType: t.RuleType, RuleText: t.RuleText, Provider: t.Provider, Color: t.Color, Criticality: t.Criticality,
		}}
	}
	return out
}

// TagOf returns the tag that a creation makes below a parent.
func TagOf(c tagging.Change, parent int64) Tag {
	f := c.Face
	return Tag{
		Parent: parent, Name: f.Name, RuleType: f.RuleType, RuleText: f.RuleText, Provider: f.Provider, Color: f.Color,
		Criticality: f.Criticality, Description: c.Description,
	}
}

// TagUpdateOf returns what a change of a tag that is there sends.
func TagUpdateOf(c tagging.Change) TagUpdate {
	switch c.Op {
	case tagging.OpRename:
		return TagUpdate{Name: c.Face.Name}
	case tagging.OpRule, tagging.OpRetire:
		return TagUpdate{RuleType: c.Face.RuleType, RuleText: c.Face.RuleText, Provider: c.Face.Provider}
	case tagging.OpRecolour:
		return TagUpdate{Color: c.Face.Color}
	case tagging.OpScore:
		return TagUpdate{Criticality: c.Face.Criticality}
	}
	return TagUpdate{}
}
