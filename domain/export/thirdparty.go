package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/record"
)

// coreFields are the plain core attributes of a connector record with the most
// characters that are sent. The vendor publishes no limits; 255 is what its
// business fields take. Source: CSAM API, import third-party assets.
var coreFields = map[string]int{
	"operatingSystem": 255, "osVersion": 255, "osArchitecture": 255, "hostName": 255, "address": 255, "dnsName": 255,
	"netBiosName": 255, "fqdn": 255, "domain": 255, "domainRole": 255, "lastLoggedOnUser": 255,
}

// Machine is a CI that is offered to Qualys as a third-party asset.
type Machine struct {
	SysID      string
	FromQualys bool // it came from Qualys: it is not sent back
	Values     map[string]string
	Identity   map[Identifier][]string
	// CloudProvider says whose instance id ByInstance is, as Qualys spells it.
	CloudProvider string
	Adapters      []Adapter
	// Metadata goes with the record; nil sends none.
	Metadata         *Metadata
	Custom           map[string]string
	Created, Updated time.Time
}

// Adapter is a network adapter of a machine.
type Adapter struct {
	Name    string   `json:"name,omitempty"`
	MAC     string   `json:"mac,omitempty"`
	IPs     []string `json:"ips,omitempty"`
	Gateway string   `json:"gateway,omitempty"`
}

// IdentityAttribute is one attribute by which Qualys may know the machine.
type IdentityAttribute struct {
	Name   Identifier `json:"name"`
	Values []string   `json:"values"`
}

// ConnectorRecord is a CI as the connector's data sync takes it. NativeKey is the
// CI's sys_id: the vendor's own first rule, so that a record sent again is the
// same asset. Identity follows in the order of the settings.
type ConnectorRecord struct {
	NativeKey     string              `json:"nativeKey"`
	Identity      []IdentityAttribute `json:"identity"`
	CloudProvider string              `json:"cloudProvider,omitempty"`
	Core          map[string]string   `json:"core"`
	Adapters      []Adapter           `json:"adapters,omitempty"`
	Metadata      *Metadata           `json:"metadata,omitempty"`
	Custom        map[string]string   `json:"custom,omitempty"`
	Created       time.Time           `json:"created,omitzero"`
	Updated       time.Time           `json:"updated,omitzero"`
}

// Reasons why a CI is not offered as a third-party asset.
var (
	ErrEcho       = errors.New("export: the CI came from Qualys")
	ErrNoIdentity = errors.New("export: the CI has none of the identification attributes, so Qualys could never know it for one of its assets")
)

// single are the identity attributes that take one value.
var single = []Identifier{ByInstance, ByUUID, BySerial, ByFQDN, ByNetBIOS, ByHostName}

// ThirdParty makes the connector record of a CI. order lists the identification
// attributes to offer, the most telling first; nil means DefaultIdentifiers. Of an
// attribute that takes one value the first usable one is sent. Errors: ErrEcho,
// ErrNoIdentity, an attribute or field that does not exist.
func ThirdParty(m *Machine, order []Identifier) (*ConnectorRecord, []record.Flag, error) {
	if order == nil {
		order = DefaultIdentifiers()
	}
	if err := CheckIdentifiers(order); err != nil {
		return nil, nil, err
	}
	if m.FromQualys {
		return nil, nil, ErrEcho
	}
	if strings.TrimSpace(m.SysID) == "" {
		return nil, nil, errors.New("export: a CI has no sys_id")
	}
	r := &ConnectorRecord{NativeKey: m.SysID, Metadata: m.Metadata, Created: m.Created.UTC(), Updated: m.Updated.UTC()}
	subject := Subject{Values: m.Identity}
	for _, id := range order {
		values := subject.values(id)
		if id == ByInstance && m.CloudProvider == "" {
			continue // an instance id without its cloud names nothing
		}
		if len(values) > 1 && slices.Contains(single, id) {
			values = values[:1]
		}
		if len(values) > 0 {
			r.Identity = append(r.Identity, IdentityAttribute{Name: id, Values: values})
		}
		if id == ByInstance && len(values) > 0 {
			r.CloudProvider = m.CloudProvider
		}
	}
	if len(r.Identity) == 0 {
		return nil, nil, ErrNoIdentity
	}
	core, flags, err := fit(m.SysID, m.Values, coreFields)
	if err != nil {
		return nil, nil, err
	}
	r.Core, r.Adapters = core, adapters(m.Adapters)
	for name, value := range m.Custom {
		if r.Custom == nil {
			r.Custom = map[string]string{}
		}
		r.Custom[asset.Text(name)] = asset.Text(value)
	}
	if len(r.Custom) < len(m.Custom) {
		return nil, nil, fmt.Errorf("export: custom attributes of CI %s have the same name when cleansed", m.SysID)
	}
	return r, flags, nil
}

// adapters cleanses adapters and puts them into one order; those without address
// and MAC say nothing.
func adapters(list []Adapter) []Adapter {
	var out []Adapter
	for _, in := range list {
		a := Adapter{Name: asset.Text(in.Name), MAC: asset.MAC(in.MAC), Gateway: asset.IP(in.Gateway)}
		for _, raw := range in.IPs {
			if ip := asset.IP(raw); ip != "" && !slices.Contains(a.IPs, ip) {
				a.IPs = append(a.IPs, ip)
			}
		}
		slices.Sort(a.IPs)
		if a.MAC != "" || len(a.IPs) > 0 {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b Adapter) int {
		return strings.Compare(a.MAC+"\x00"+a.Name+"\x00"+strings.Join(a.IPs, " "), b.MAC+"\x00"+b.Name+"\x00"+strings.Join(b.IPs, " "))
	})
	return out
}

// Digest stands for what the record says of the machine, without its dates.
func (r *ConnectorRecord) Digest() string {
	c := *r
	c.Created, c.Updated = time.Time{}, time.Time{}
	return digestOf(&c)
}
