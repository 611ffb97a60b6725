package servicenow_test

import (
	"encoding/json"
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// The payloads that the property tests send. A parcel is a payload in parts, so
// that it can be cut, shuffled and joined before it becomes JSON.

// entity is an item, lookup record or related record.
type entity struct {
	ClassName  string            `json:"className"`
	InternalID string            `json:"internal_id,omitempty"`
	Values     map[string]string `json:"values"`
	Lookup     []entity          `json:"lookup,omitempty"`
	Related    []entity          `json:"related,omitempty"`
	Source     *origin           `json:"sys_object_source_info,omitempty"`
}

type origin struct {
	Name string `json:"source_name"`
	Key  string `json:"source_native_key"`
}

// link is a relation between two internal ids.
type link struct{ parent, child, kind string }

type reference struct {
	Referenced     string `json:"referenced"`
	ReferencedBy   string `json:"referencedBy"`
	ReferenceField string `json:"referenceField"`
}

type parcel struct {
	items []entity
	links []link
	refs  []reference
}

func (p *parcel) add(q parcel) {
	p.items, p.links, p.refs = append(p.items, q.items...), append(p.links, q.links...), append(p.refs, q.refs...)
}

func joined(list []parcel) (p parcel) {
	for _, q := range list {
		p.add(q)
	}
	return p
}

// body is the parcel as a request, its relations by internal id or by index.
func (p parcel) body(byIndex bool) string {
	relations := make([]map[string]any, 0, len(p.links))
	for _, l := range p.links {
		if byIndex {
			relations = append(relations, map[string]any{"parent": p.position(l.parent), "child": p.position(l.child), "type": l.kind})
		} else {
			relations = append(relations, map[string]any{"parent_id": l.parent, "child_id": l.child, "type": l.kind})
		}
	}
	raw, err := json.Marshal(map[string]any{"items": p.items, "relations": relations, "referenceItems": p.refs})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// permuted draws an order of a list; drawing positions instead of the elements
// keeps the text of a failure short.
func permuted[T any](t *rapid.T, what string, list []T) []T {
	out := make([]T, 0, len(list))
	for _, at := range rapid.Permutation(positions(len(list))).Draw(t, what) {
		out = append(out, list[at])
	}
	return out
}

func positions(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func (p parcel) position(id string) int {
	return slices.IndexFunc(p.items, func(e entity) bool { return e.InternalID == id })
}

// shuffled puts the items into another order. Items with the same id keep
// theirs: they are duplicates, and of duplicates the later one wins.
func (p parcel) shuffled(t *rapid.T) parcel {
	out := parcel{items: permuted(t, "items", p.items), links: permuted(t, "relations", p.links), refs: p.refs}
	next := map[string]int{}
	for i, e := range out.items {
		for at := next[e.InternalID]; ; at++ {
			if p.items[at].InternalID == e.InternalID {
				out.items[i], next[e.InternalID] = p.items[at], at+1
				break
			}
		}
	}
	return out
}

// machine is an independent asset: a host, and dependents that can be written
// together with it or later, each in the company of the host.
type machine struct {
	host  parcel
	parts []parcel
}

func (m machine) whole() parcel { return joined(append([]parcel{m.host}, m.parts...)) }

// pieces writes the host as often as needed, each time with some of the dependents.
func (m machine) pieces(t *rapid.T) []parcel {
	out := []parcel{m.host}
	for _, part := range permuted(t, "parts", m.parts) {
		if rapid.Bool().Draw(t, "cut") {
			out = append(out, m.host)
		}
		out[len(out)-1].add(part)
	}
	// Appending must not write into what the pieces share.
	for i := range out {
		out[i] = parcel{slices.Clone(out[i].items), slices.Clone(out[i].links), slices.Clone(out[i].refs)}
	}
	return out
}

// drawMachines makes assets whose identities never overlap. Some of them are
// refused, which must not touch the others.
func drawMachines(t *rapid.T) []machine {
	out := make([]machine, rapid.IntRange(1, 8).Draw(t, "machines"))
	for n := range out {
		if kind := rapid.IntRange(0, 9).Draw(t, "kind"); kind == 0 {
			out[n] = drawCloud(n)
		} else {
			out[n] = drawHardware(t, n, kind == 1)
		}
	}
	return out
}

var hardware = []string{"cmdb_ci_server", "cmdb_ci_linux_server", "cmdb_ci_printer", "cmdb_ci_ip_switch", "cmdb_ci_computer", "cmdb_ci_esx_server"}

func drawHardware(t *rapid.T, n int, broken bool) machine {
	id, name, serial := fmt.Sprintf("a%d", n), fmt.Sprintf("host-%d", n), fmt.Sprintf("SN-%d", n)
	e := entity{ClassName: rapid.SampledFrom(hardware).Draw(t, "class"), InternalID: id, Values: map[string]string{"name": name}}
	e.Values["comments"] = rapid.StringMatching(`[a-zA-Z0-9 ^'"ü]{0,12}`).Draw(t, "comments")
	if rapid.Bool().Draw(t, "key") {
		e.Source = &origin{source, "key-" + id}
	}
	if rapid.Bool().Draw(t, "serial") {
		e.Values["serial_number"] = serial
		for _, kind := range []string{"system", "chassis"}[:rapid.IntRange(0, 2).Draw(t, "lookups")] {
			e.Lookup = append(e.Lookup, entity{ClassName: "cmdb_serial_number", Values: map[string]string{"serial_number": serial, "serial_number_type": kind}})
		}
	}
	for k := range rapid.IntRange(0, 3).Draw(t, "tags") {
		e.Related = append(e.Related, entity{ClassName: "cmdb_key_value", Values: map[string]string{"key": fmt.Sprint("tag", k%2), "value": name}})
	}
	if broken {
		switch rapid.IntRange(0, 2).Draw(t, "defect") {
		case 0:
			e.ClassName = "cmdb_ci_no_such_class"
		case 1:
			e.Values, e.Source, e.Lookup = map[string]string{"comments": "nothing that identifies"}, nil, nil
		case 2:
			e.Source = &origin{"No Such Source", id}
		}
	}
	m := machine{host: parcel{items: []entity{e}}}
	if rapid.IntRange(0, 3).Draw(t, "duplicate") == 0 && !broken {
		again := e
		again.Values = map[string]string{"name": name, "comments": "of the duplicate", "serial_number": e.Values["serial_number"]}
		m.host.items = append(m.host.items, again)
	}
	for a := range rapid.IntRange(0, 3).Draw(t, "adapters") {
		m.parts = append(m.parts, drawAdapter(t, id, n, a))
	}
	for a := range rapid.IntRange(0, 2).Draw(t, "addresses") {
		ip, text := fmt.Sprintf("%s-ip%d", id, a), fmt.Sprintf("192.0.2.%d", a)
		m.parts = append(m.parts, parcel{items: []entity{{ClassName: "cmdb_ci_ip_address", InternalID: ip, Values: map[string]string{"name": text, "ip_address": text}}},
			links: []link{{id, ip, owns}}})
	}
	return m
}

// drawAdapter makes a network adapter, perhaps with the address that refers to
// it and perhaps with a key of its own. Its MAC address is its own; its name is
// not, as is usual.
func drawAdapter(t *rapid.T, host string, n, a int) parcel {
	id := fmt.Sprintf("%s-eth%d", host, a)
	e := entity{ClassName: "cmdb_ci_network_adapter", InternalID: id,
		Values: map[string]string{"name": fmt.Sprintf("eth%d", a), "mac_address": fmt.Sprintf("02:00:00:00:%02x:%02x", n, a)}}
	if rapid.Bool().Draw(t, "adapter key") {
		e.Source = &origin{source, "key-" + id}
	}
	p := parcel{items: []entity{e}, links: []link{{host, id, owns}}, refs: []reference{{host, id, "cmdb_ci"}}}
	if rapid.Bool().Draw(t, "adapter address") {
		ip, text := id+"-ip", fmt.Sprintf("10.%d.%d.1", n, a)
		p.items = append(p.items, entity{ClassName: "cmdb_ci_ip_address", InternalID: ip, Values: map[string]string{"name": text, "ip_address": text, "netmask": "255.0.0.0"}})
		p.links = append(p.links, link{host, ip, owns})
		p.refs = append(p.refs, reference{id, ip, "nic"})
	}
	return p
}

// drawCloud makes a chain of dependents: virtual machine, datacenter, account.
func drawCloud(n int) machine {
	vm, dc, account := fmt.Sprintf("c%d-vm", n), fmt.Sprintf("c%d-dc", n), fmt.Sprintf("c%d-account", n)
	return machine{host: parcel{items: []entity{
		{ClassName: "cmdb_ci_vm_instance", InternalID: vm, Values: map[string]string{"name": vm, "object_id": vm}},
		{ClassName: "cmdb_ci_aws_datacenter", InternalID: dc, Values: map[string]string{"name": dc, "object_id": "us-east-1", "region": "us-east-1"}},
		{ClassName: "cmdb_ci_cloud_service_account", InternalID: account, Values: map[string]string{"name": account, "object_id": account, "account_id": account, "datacenter_type": "aws"}},
	}, links: []link{{vm, dc, "Hosted on::Hosts"}, {dc, account, "Hosted on::Hosts"}}}}
}

// drawTangle makes items that are perhaps the same CI by one attribute and not
// by another, with relations and references between any of them. Broken ones
// contend more, and name classes and relation types that do not exist.
func drawTangle(t *rapid.T, broken bool) parcel {
	one := func(what string, choices ...string) string { return rapid.SampledFrom(choices).Draw(t, what) }
	classes, kinds := append([]string{"cmdb_ci_business_app"}, hardware...), []string{owns, "Depends on::Used by"}
	if broken {
		classes, kinds = append(classes, "cmdb_ci_network_adapter", "cmdb_ci_ip_address", "cmdb_ci_nonsense"), append(kinds, "Nope::Epon")
	}
	var p parcel
	for n := range rapid.IntRange(1, 7).Draw(t, "items") {
		e := entity{InternalID: fmt.Sprint(n), Values: map[string]string{}, ClassName: one("class", classes...)}
		for _, column := range [][]string{{"name", "", "n1", "n2", "N1"}, {"serial_number", "", "", "s1", "s2"}, {"mac_address", "", "m1", "m2"},
			{"ip_address", "", "10.0.0.1", "10.0.0.2"}, {"comments", "", "c1", "c2"}} {
			if v := one(column[0], column[1:]...); v != "" {
				e.Values[column[0]] = v
			}
		}
		key := one("key", "", "", "k1", "k2", "k3")
		if !broken && rapid.IntRange(0, 4).Draw(t, "own") > 0 {
			e.Values["name"], key = fmt.Sprint("own", n), one("key", "", fmt.Sprint("own", n))
		}
		if key != "" {
			e.Source = &origin{source, key}
		}
		for range rapid.IntRange(0, 2).Draw(t, "lookups") {
			l := entity{ClassName: "cmdb_serial_number", Values: map[string]string{"serial_number": one("serial", "s1", "s2", "s3", "s4"), "serial_number_type": "system"}}
			if broken && rapid.Bool().Draw(t, "adapter") {
				l = entity{ClassName: "cmdb_ci_network_adapter", Values: map[string]string{"mac_address": one("mac", "m1", "m2"), "name": "eth0"}}
			}
			if broken || e.ClassName != "cmdb_ci_business_app" {
				e.Lookup = append(e.Lookup, l)
			}
		}
		p.items = append(p.items, e)
	}
	for n := range p.items { // most dependents have a host, or they would never get anywhere
		if rapid.IntRange(0, 3).Draw(t, "adapter") == 0 {
			id := fmt.Sprint("nic", n)
			p.items = append(p.items, entity{ClassName: "cmdb_ci_network_adapter", InternalID: id,
				Values: map[string]string{"name": one("name", "eth0", "eth1"), "mac_address": one("mac_address", "m1", "m2", "m3")}})
			p.links = append(p.links, link{fmt.Sprint(rapid.IntRange(0, n).Draw(t, "host")), id, owns})
		}
	}
	ids := []string{"of nothing"}
	if !broken {
		ids = nil
	}
	for _, e := range p.items {
		ids = append(ids, e.InternalID)
	}
	item := rapid.SampledFrom(ids)
	for range rapid.IntRange(0, 4).Draw(t, "relations") {
		p.links = append(p.links, link{item.Draw(t, "parent"), item.Draw(t, "child"), one("type", kinds...)})
	}
	for range rapid.IntRange(0, 2).Draw(t, "references") {
		r := reference{item.Draw(t, "referenced"), item.Draw(t, "by"), one("field", "cmdb_ci", "nic", "managed_by", "nothing")}
		if broken || len(p.refs) == 0 { // two for one column would contend
			p.refs = append(p.refs, r)
		}
	}
	return p
}
