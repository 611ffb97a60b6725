package payload

import (
	"strings"

	"github.com/qbridge/qbridge/domain/record"
)

// groupByIdentity returns for every record the index of the first record of its
// group: records that share an identifying value, directly or through others.
func groupByIdentity(records []Input) []int {
	parent := make([]int, len(records))
	for i := range parent {
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	owner := map[string]int{}
	for i := range records {
		for _, token := range identities(records[i].Parts) {
			k, seen := owner[token]
			if !seen {
				owner[token] = i
				continue
			}
			a, b := root(k), root(i)
			parent[max(a, b)] = min(a, b)
		}
	}
	for i := range parent {
		parent[i] = root(i)
	}
	return parent
}

// identities lists the values by which IRE could take a record for another.
func identities(p *record.Parts) []string {
	var out []string
	add := func(kind, value string) {
		if value != "" {
			out = append(out, kind+"\x00"+strings.ToLower(value))
		}
	}
	if n := p.Native; n != nil && n.Value("fingerprint") != "" {
		add("fingerprint", n.Value("fingerprint")) // nothing else identifies a certificate
	} else if n != nil {
		add("name", n.Value("name"))
		add("serial", n.Value("serial_number"))
		add("mac", n.Value("mac_address"))
		add("ip", n.Value("ip_address")) // what identifies a device that only an address describes
		for _, row := range n.Lookup {
			for _, c := range row.Columns {
				if c.Name == "serial_number" {
					add("serial", c.Value)
				}
			}
		}
	}
	for i := range p.Dependents {
		d := &p.Dependents[i]
		add("mac", d.Value("mac_address"))
		add("object", d.Value("object_id"))
	}
	return out
}
