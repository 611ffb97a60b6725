package qualys

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/goccy/go-json"
)

// amAsset is a HostAsset of the Asset Management & Tagging API v2, as far as it is
// mapped. Order of elements and unknown ones do not matter.
type amAsset struct {
	ID, HostID                           integer
	Name, Type, OS, FQDN, DNSName, Host  text
	NetBIOS, Address, Tracking, TimeZone text
	Manufacturer, Model, BIOSDesc, Cloud text
	LastUser                             text
	Created, Modified, LastBoot          moment
	Memory, Criticality                  integer
	Docker                               flag
	Agent                                amAgent
	Tags                                 amList[amTag]
	Sources                              amList[amSource]
	Ports                                amList[amPort]
	Software                             amList[amSoftware]
	Processors                           amList[amProcessor]
	Volumes                              amList[wireVolume]
	Accounts                             amList[amAccount]
	Interfaces                           amList[amInterface]
}

// fields ties the API's names to where values go. Fields with a section may be
// left out of an answer; volume, processor and the cloud never are, because
// classification asks for them.
func (w *amAsset) fields() []wireField {
	return []wireField{
		{"id", &w.ID, ""}, {"name", &w.Name, ""}, {"created", &w.Created, ""}, {"modified", &w.Modified, ""}, {"type", &w.Type, ""},
		{"qwebHostId", &w.HostID, ""}, {"lastSystemBoot", &w.LastBoot, ""}, {"lastLoggedOnUser", &w.LastUser, ""}, {"fqdn", &w.FQDN, ""},
		{"os", &w.OS, ""}, {"dnsHostName", &w.DNSName, ""}, {"hostname", &w.Host, ""}, {"netbiosName", &w.NetBIOS, ""}, {"address", &w.Address, ""},
		{"agentInfo", &w.Agent, ""}, {"trackingMethod", &w.Tracking, ""}, {"manufacturer", &w.Manufacturer, ""}, {"model", &w.Model, ""},
		{"totalMemory", &w.Memory, ""}, {"timezone", &w.TimeZone, ""}, {"biosDescription", &w.BIOSDesc, ""}, {"cloudProvider", &w.Cloud, ""},
		{"criticalityScore", &w.Criticality, ""}, {"isDockerHost", &w.Docker, ""}, {"sourceInfo", &w.Sources, ""},
		{"processor", &w.Processors, ""}, {"volume", &w.Volumes, ""},
		{"tags", &w.Tags, "tags"}, {"openPort", &w.Ports, "openPorts"}, {"software", &w.Software, "software"},
		{"account", &w.Accounts, "userAccounts"}, {"networkInterface", &w.Interfaces, "networkInterfaces"},
	}
}

// amFields returns the value of the parameter fields: what the query does not
// leave out. It is empty when everything is asked for.
func amFields(q Query) string {
	wanted := func(f wireField) bool {
		switch {
		case f.section == "":
			return true
		case len(q.IncludeFields) > 0:
			return slices.Contains(q.IncludeFields, f.section) || slices.Contains(q.IncludeFields, f.name)
		}
		return !slices.Contains(q.ExcludeFields, f.section) && !slices.Contains(q.ExcludeFields, f.name)
	}
	all := (&amAsset{}).fields()
	names := make([]string, 0, len(all))
	for _, f := range all {
		if wanted(f) {
			names = append(names, f.name)
		}
	}
	if len(names) == len(all) {
		return ""
	}
	return strings.Join(names, ",")
}

type amAgent struct {
	ID text `json:"agentId"`
}

// UnmarshalJSON takes an empty element, which is an empty text in JSON made from
// XML, for an agent that is not there.
func (a *amAgent) UnmarshalJSON(b []byte) error {
	if blank(b) {
		return nil
	}
	if b[0] != '{' {
		return &FieldError{Want: "an object", Got: shape(b)}
	}
	type plain amAgent
	return json.Unmarshal(b, (*plain)(a))
}

type amTag struct {
	ID   integer `json:"id"`
	Name text    `json:"name"`
}

type amPort struct {
	Port     integer `json:"port"`
	Protocol text    `json:"protocol"`
	Service  text    `json:"serviceName"`
}

type amSoftware struct {
	Name    text `json:"name"`
	Version text `json:"version"`
}

type amProcessor struct {
	Name  text    `json:"name"`
	Speed integer `json:"speed"`
}

type amAccount struct {
	Name text `json:"username"`
}

type amInterface struct {
	HostName text `json:"hostname"`
	Name     text `json:"interfaceName"`
	MAC      text `json:"macAddress"`
	Address  text `json:"address"`
	Gateway  text `json:"gatewayAddress"`
}

// amList is {"list":[{"Kind":{…}},…]} with the collapsed forms that converters
// from XML make of it: a list of one without brackets, an empty list as text.
type amList[T any] struct {
	Items   []T
	Kinds   []string // names of the elements, beside Items
	Present bool
}

func (l *amList[T]) UnmarshalJSON(b []byte) error {
	switch {
	case b[0] == 'n':
		return nil
	case blank(b):
		l.Present = true
		return nil
	case b[0] == '[':
		l.Present = true
		return l.elements(b)
	case b[0] != '{':
		return &FieldError{Want: "an object with a list", Got: shape(b)}
	}
	var wrapper map[string]json.RawMessage
	if err := json.Unmarshal(b, &wrapper); err != nil {
		return err
	}
	list, ok := wrapper["list"]
	list = bytes.TrimSpace(list)
	switch {
	case !ok && len(wrapper) > 0:
		return &FieldError{Want: "an object with a list", Got: "another object"}
	case ok && list[0] == 'n':
		return nil
	}
	l.Present = true
	switch {
	case !ok || blank(list):
		return nil
	case list[0] == '[':
		return within2("list", l.elements(list))
	case list[0] == '{':
		return within2("list", l.element(list))
	}
	return &FieldError{Field: "list", Want: "a list", Got: shape(list)}
}

func (l *amList[T]) elements(b []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for _, raw := range list {
		raw = bytes.TrimSpace(raw)
		switch {
		case len(raw) == 0 || raw[0] == 'n' || blank(raw):
		case raw[0] != '{':
			return &FieldError{Want: "a list of objects", Got: "a list with " + shape(raw)}
		default:
			if err := l.element(raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// element reads {"Kind":{…}}, and {"Kind":[{…},{…}]}.
func (l *amList[T]) element(b []byte) error {
	var entry map[string]json.RawMessage
	if err := json.Unmarshal(b, &entry); err != nil {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(entry)) {
		raw := bytes.TrimSpace(entry[kind])
		values := []json.RawMessage{raw}
		if raw[0] == '[' {
			if err := json.Unmarshal(raw, &values); err != nil {
				return within(kind, err)
			}
		}
		for _, v := range values {
			v = bytes.TrimSpace(v)
			if len(v) == 0 || v[0] == 'n' || blank(v) {
				continue // an empty element: a source that says nothing
			}
			if v[0] != '{' {
				return &FieldError{Field: kind, Want: "an object", Got: shape(v)}
			}
			var item T
			if err := json.Unmarshal(v, &item); err != nil {
				return within(kind, err)
			}
			l.Items, l.Kinds = append(l.Items, item), append(l.Kinds, kind)
		}
	}
	return nil
}

func within2(field string, err error) error {
	if err == nil {
		return nil
	}
	return within(field, err)
}

// blank reports a text without content: an empty element of XML.
func blank(b []byte) bool {
	if len(b) == 0 || b[0] != '"' {
		return false
	}
	var s string
	return json.Unmarshal(b, &s) == nil && strings.TrimSpace(s) == ""
}

// layOut brings the asset into the form of the other API, so that both become a
// canonical asset in one place. What this API does not say stays absent.
func (w *amAsset) layOut() *wireAsset {
	out := &wireAsset{
		ID: w.ID, HostID: w.HostID, AgentID: w.Agent.ID, Name: w.Name, DNSName: w.DNSName, NetBIOS: w.NetBIOS, FQDN: w.FQDN, Address: w.Address,
		Type: w.Type, TimeZone: w.TimeZone, Modified: w.Modified, Created: w.Created, LastBoot: w.LastBoot, BIOSDesc: w.BIOSDesc, Memory: w.Memory,
		LastUser: w.LastUser, ContainerHost: w.Docker,
		OS: wireOS{Name: w.OS}, Hardware: wireHardware{Manufacturer: w.Manufacturer, Model: w.Model},
	}
	if out.DNSName == "" {
		out.DNSName = w.Host
	}
	out.Criticality.Score = w.Criticality
	present := func(section string, is bool) {
		if is {
			out.present = append(out.present, section)
		}
	}
	present("operatingSystem", w.OS != "")
	present("hardware", w.Manufacturer != "" || w.Model != "")
	if len(w.Processors.Items) > 0 {
		p := w.Processors.Items[0]
		out.Processor = wireProcessor{Description: p.Name, Speed: p.Speed}
		present("processor", true)
	}
	w.lists(out, present)
	if s := w.source(); s != nil {
		w.cloud(&out.Cloud, s)
		present("cloud", true)
	}
	return out
}

func (w *amAsset) lists(out *wireAsset, present func(string, bool)) {
	for _, t := range w.Tags.Items {
		out.Tags.Items = append(out.Tags.Items, wireTag{ID: t.ID, Name: t.Name})
	}
	for _, p := range w.Ports.Items {
		out.Ports.Items = append(out.Ports.Items, wirePort{Port: p.Port, Protocol: p.Protocol, Service: p.Service})
	}
	for _, s := range w.Software.Items {
		out.Software.Items = append(out.Software.Items, wireSoftware{DiscoveredName: s.Name, Version: s.Version})
	}
	for _, a := range w.Accounts.Items {
		out.Accounts.Items = append(out.Accounts.Items, wireAccount(a))
	}
	out.Volumes.Items = w.Volumes.Items
	out.Interfaces.Items = w.adapters()
	out.Tags.Present, out.Ports.Present, out.Software.Present = w.Tags.Present, w.Ports.Present, w.Software.Present
	out.Accounts.Present, out.Volumes.Present, out.Interfaces.Present = w.Accounts.Present, w.Volumes.Present, w.Interfaces.Present
	present("tags", w.Tags.Present)
	present("openPorts", w.Ports.Present)
	present("software", w.Software.Present)
	present("userAccounts", w.Accounts.Present)
	present("volumes", w.Volumes.Present)
	present("networkInterfaces", w.Interfaces.Present)
}

// adapters joins the entries of an adapter: this API has one for each address.
func (w *amAsset) adapters() []wireInterface {
	type key struct{ mac, name string }
	at := map[key]int{}
	var out []wireInterface
	for _, n := range w.Interfaces.Items {
		k := key{strings.ToLower(string(n.MAC)), string(n.Name)}
		i, known := at[k]
		if !known || k.mac == "" {
			i = len(out)
			at[k] = i
			out = append(out, wireInterface{Name: n.Name, MAC: n.MAC})
		}
		one := &out[i]
		if one.HostName == "" {
			one.HostName = n.HostName
		}
		if one.Gateway == "" {
			one.Gateway = n.Gateway
		}
		into := &one.IPv4
		if ip, err := netip.ParseAddr(strings.TrimSpace(string(n.Address))); err == nil && ip.Is6() && !ip.Is4In6() {
			into = &one.IPv6
		}
		if *into != "" && n.Address != "" {
			*into += ","
		}
		*into += n.Address
	}
	return out
}
