package payload_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

// column is shorthand for one column.
func column(name, value string) cmdb.Column { return cmdb.Column{Name: name, Value: value} }

// rec makes a record with the given main columns ("name=web-1") and n addresses.
func rec(key string, n int, columns ...string) payload.Input {
	main := &cmdb.Item{Key: key, Class: "cmdb_ci_linux_server"}
	for _, c := range columns {
		name, value, _ := strings.Cut(c, "=")
		main.Columns = append(main.Columns, column(name, value))
	}
	p := &record.Parts{Native: main}
	for i := range n {
		part(p, fmt.Sprintf("%s/ip/10.0.0.%d", key, i), "cmdb_ci_ip_address", column("ip_address", fmt.Sprintf("10.0.0.%d", i)))
	}
	return payload.Input{Key: key, Parts: p}
}

// part adds a dependent that the main CI owns.
func part(p *record.Parts, key, class string, columns ...cmdb.Column) {
	p.Dependents = append(p.Dependents, cmdb.Item{Key: key, Class: class, Columns: columns})
	p.Relations = append(p.Relations, cmdb.Relation{Parent: p.Native.Key, Child: key, Type: "Owns::Owned by"})
}

// inCloud adds an instance, its datacenter and account.
func inCloud(p *record.Parts, account, region, instance string) {
	acct, dc, vm := "aws/"+account, "aws/"+account+"/"+region, p.Native.Key+"/vm"
	p.Shared = append(p.Shared,
		cmdb.Item{Key: acct, Class: "cmdb_ci_cloud_service_account", Columns: []cmdb.Column{column("object_id", account)}},
		cmdb.Item{Key: dc, Class: "cmdb_ci_aws_datacenter", Columns: []cmdb.Column{column("object_id", region)}})
	p.Dependents = append(p.Dependents, cmdb.Item{Key: vm, Class: "cmdb_ci_vm_instance", Columns: []cmdb.Column{column("object_id", instance)}})
	p.Relations = append(p.Relations,
		cmdb.Relation{Parent: dc, Child: acct, Type: "Hosted on::Hosts"},
		cmdb.Relation{Parent: vm, Child: dc, Type: "Hosted on::Hosts"},
		cmdb.Relation{Parent: p.Native.Key, Child: vm, Type: "Virtualized by::Virtualizes"})
}

// randomRecords draws records whose names, serials, MACs, addresses and instances
// overlap now and then.
func randomRecords(t *rapid.T) []payload.Input {
	pick := func(label, prefix string) string {
		if n := rapid.IntRange(-20, 12).Draw(t, label); n > 0 {
			return fmt.Sprint(prefix, n)
		}
		return ""
	}
	var out []payload.Input
	for i := range rapid.IntRange(0, 40).Draw(t, "records") {
		r := rec(fmt.Sprintf("c/%d", i), rapid.IntRange(0, 9).Draw(t, "addresses"), "fqdn=host-"+fmt.Sprint(i))
		p := r.Parts
		for _, c := range []cmdb.Column{column("name", pick("name", "Name-")), column("serial_number", pick("serial", "SN")), column("ip_address", pick("ip", "192.0.2."))} {
			if c.Value != "" {
				p.Native.Columns = append(p.Native.Columns, c)
			}
		}
		if uuid := pick("lookup", "sn"); uuid != "" {
			p.Native.Lookup = []cmdb.Row{{Table: "cmdb_serial_number", Columns: []cmdb.Column{column("serial_number", uuid), column("serial_number_type", "uuid")}}}
		}
		if mac := pick("mac", "02:00:00:00:00:"); mac != "" {
			part(p, r.Key+"/nic/"+mac, "cmdb_ci_network_adapter", column("mac_address", mac))
		}
		if rapid.Bool().Draw(t, "cloud") {
			inCloud(p, rapid.SampledFrom([]string{"a1", "a2"}).Draw(t, "account"), rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "region"), fmt.Sprintf("i-%d", i))
		}
		p.References = []cmdb.Reference{{Item: r.Key, Column: "manufacturer", Table: "core_company", Name: rapid.SampledFrom([]string{"Dell", "HP"}).Draw(t, "maker")}}
		out = append(out, r)
	}
	return out
}

// identities is what the test, apart from the code under test, takes for the
// values by which IRE may take a record for another.
func identities(r *payload.Input) map[string]bool {
	out := map[string]bool{}
	note := func(columns []cmdb.Column, names ...string) {
		for _, c := range columns {
			for _, n := range names {
				if c.Name == n && c.Value != "" {
					out[n+"="+strings.ToLower(c.Value)] = true
				}
			}
		}
	}
	note(r.Parts.Native.Columns, "name", "serial_number", "mac_address", "ip_address")
	for _, row := range r.Parts.Native.Lookup {
		note(row.Columns, "serial_number")
	}
	for _, d := range r.Parts.Dependents {
		note(d.Columns, "mac_address", "object_id")
	}
	return out
}

// encodedSize is the size of a payload in the documented form of an IRE call.
func encodedSize(p *payload.Payload) int {
	n := len(`{"items":[],"relations":[]}`)
	for i := range p.Items {
		it := &p.Items[i]
		n += len(`{"className":"","values":{},"sys_object_source_info":{"source_name":"SG-Qualys","source_native_key":""},"lookup":[],` +
			`"settings":{"updateWithoutUpgrade":false,"updateWithoutDowngrade":false,"updateWithoutSwitch":false}},`)
		n += len(it.Class) + len(it.Key) + len(it.SysID)
		for _, c := range it.Columns {
			n += len(c.Name) + len(c.Value) + len(`"":"",`)
		}
		for _, row := range it.Lookup {
			n += len(`{"className":"","values":{}},`) + len(row.Table)
			for _, c := range row.Columns {
				n += len(c.Name) + len(c.Value) + len(`"":"",`)
			}
		}
	}
	for _, r := range p.Relations {
		n += len(`{"parent":1000,"child":1000,"type":""},`) + len(r.Type)
	}
	return n
}

// text renders payloads for comparison.
func text(p []payload.Payload) string {
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		panic(err)
	}
	return string(b)
}
