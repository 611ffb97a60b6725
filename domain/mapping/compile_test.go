package mapping_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/mapping"
)

func TestMistakesInAMappingAreRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	item := func(rest string) string {
		return "items:\n  - name: x\n    for: [cmdb_ci]\n    class: cmdb_ci_ip_address\n" + rest
	}
	for _, c := range []struct{ name, doc, want string }{
		{"unknown key", "main:\n  - name: all\n    columms: []\n", `columms`},
		{"unknown key says the line", "main:\n  - name: all\n    columms: []\n", `[3:5]`},
		{"unknown section of the document", "mains: []\n", `mains`},
		{"not YAML", "main: [\n", `test mapping`},
		{"unknown path", "main: [{name: all, for: [cmdb_ci], columns: [{to: name, from: [clean.nam]}]}]", `unknown path "clean.nam"; did you mean "clean.name"?`},
		{"unknown transform", "main: [{name: all, for: [cmdb_ci], columns: [{to: name, from: [clean.name], transform: uper}]}]", `unknown transform "uper"; did you mean "upper"?`},
		{"column without a source", "main: [{name: all, for: [cmdb_ci], columns: [{to: name}]}]", `column "name" needs either from or value`},
		{"column with two sources", "main: [{name: all, for: [cmdb_ci], columns: [{to: name, from: [clean.name], value: x}]}]", `needs either from or value`},
		{"column without a name", "main: [{name: all, for: [cmdb_ci], columns: [{from: [clean.name]}]}]", `needs either from or value`},
		{"unique outside a list", "main: [{name: all, for: [cmdb_ci], columns: [{to: name, from: [clean.name], unique: true}]}]", `only columns of a list can be unique`},
		{"group without classes", "main: [{name: all, columns: []}]", `main[0] all: needs classes`},
		{"lookup with an unknown condition", "lookups: [{name: s, for: [cmdb_ci], table: t, if: clean.serail}]", `lookups[0] s: unknown path "clean.serail"; did you mean "clean.serial"?`},
		{"lookup without classes", "lookups: [{name: s, table: t, if: clean.serial}]", `lookups[0] s: needs classes`},
		{"reference with an unknown path", "references: [{column: manufacturer, for: [cmdb_ci], table: core_company, from: [clean.maker]}]", `references[0] manufacturer: unknown path "clean.maker"`},
		{"reference without classes", "references: [{column: manufacturer, table: core_company, from: [clean.manufacturer]}]", `references[0] manufacturer: needs classes`},
		{"item without classes", "items: [{name: x, class: cmdb_ci_ip_address, key: '{main}/x'}]", `items[0] x: needs classes`},
		{"item without a name", "items: [{for: [cmdb_ci], class: cmdb_ci_ip_address, key: '{main}/x'}]", `needs a name of its own`},
		{"item named like the main CI", "items: [{name: main, for: [cmdb_ci], class: cmdb_ci_ip_address, key: '{main}/x'}]", `needs a name of its own`},
		{"item of an unknown class", "items: [{name: x, for: [cmdb_ci], class: cmdb_ci_ip_addresses, key: '{main}/x'}]", `unknown class "cmdb_ci_ip_addresses"`},
		{"unknown list", item("    list: adapter\n    key: '{main}/{mac}'\n"), `unknown list "adapter"; did you mean "adapters"?`},
		{"path that the list does not have", item("    list: adapters\n    key: '{main}/{mak}'\n"), `paths of adapters: gateway, ip, mac, name, netmask`},
		{"no key", item(""), `has no key`},
		{"brace not closed", item("    key: '{main}/{assetId'\n"), `a brace is not closed`},
		{"part whose key another asset could have", item("    key: 'vm/{cloud.instanceId}'\n"), `the key of a part begins with {main}`},
		{"shared item with the asset's key", item("    shared: true\n    key: '{main}/x'\n"), `the key of a shared item does not`},
		{"unknown condition", item("    if: {path: cloud.provder, equals: AWS}\n    key: '{main}/x'\n"), `did you mean "cloud.provider"?`},
		{"unknown need", item("    needs: [cloud.instanceID]\n    key: '{main}/x'\n"), `did you mean "cloud.instanceId"?`},
		{"relation to an unknown item", item("    key: '{main}/x'\n    relations: [{type: 'A::B', parent: y, child: self}]\n"), `names "y", which no single item before it has`},
		{"relation type without its halves", item("    key: '{main}/x'\n    relations: [{type: Owns, parent: main, child: self}]\n"), `is not of the form A::B`},
		{"relation to a list", "items:\n  - {name: nic, for: [cmdb_ci], list: adapters, class: cmdb_ci_network_adapter, key: '{main}/{mac}'}\n" +
			"  - {name: x, for: [cmdb_ci], class: cmdb_ci_ip_address, key: '{main}/x', relations: [{type: 'A::B', parent: nic, child: self}]}\n", `names "nic", which no single item`},
		{"unknown column", "main: [{name: all, for: [cmdb_ci_server], columns: [{to: os_verson, from: [clean.os]}]}]", `cmdb_ci_server has no column "os_verson"; did you mean "os_version"?`},
		{"reference with an unknown column", "references: [{column: manufacturr, for: [cmdb_ci], table: core_company, from: [clean.manufacturer]}]", `did you mean "manufacturer"?`},
		{"item with an unknown column", item("    key: '{main}/x'\n    columns: [{to: netmusk, value: x}]\n"), `cmdb_ci_ip_address has no column "netmusk"; did you mean "netmask"?`},
		{"choice outside a list", item("    key: '{main}/x'\n    where: [{path: clean.name, equals: x}]\n"), `only elements of a list can be chosen`},
		{"choice with two conditions", item("    list: volumes\n    key: '{main}/{name}'\n    where: [{path: name, equals: x, not: y}]\n"), `needs one of equals, not and listed`},
		{"row with a class", "items: [{name: x, for: [cmdb_ci], class: cmdb_ci_ip_address, table: u_t, key: '{main}/x', by: [u_a]}]", `a row of table u_t has no class`},
		{"row that cannot be looked up", "items: [{name: x, for: [cmdb_ci], table: u_t, key: '{main}/x'}]", `needs host or by`},
		{"row found by a column that it lacks", "items: [{name: x, for: [cmdb_ci], table: u_t, key: '{main}/x', by: [u_a]}]", `the row has no column "u_a"`},
		{"links on a CI", item("    key: '{main}/x'\n    links: [{column: a, key: b}]\n"), `are for rows`},
		{"link to an unknown column", "items: [{name: x, for: [cmdb_ci], table: cmdb_software_instance, host: installed_on, key: '{main}/x', links: [{column: softwar, key: 'a/b'}]}]", `did you mean "software"?`},
		{"unknown path for updates only", "updateOnly: [{path: cloud.stat, equals: x}]", `updateOnly[0]: unknown path "cloud.stat"; did you mean "cloud.state"?`},
		{"two items with one name", "items:\n  - {name: x, for: [cmdb_ci], class: cmdb_ci_ip_address, key: '{main}/x'}\n" +
			"  - {name: x, for: [cmdb_ci], class: cmdb_ci_ip_address, key: '{main}/y'}\n", `items[1] x: needs a name of its own`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := mapping.Parse("test mapping", []byte(c.doc))
			if err == nil {
				_, err = mapping.Compile(d)
			}
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "mapping: ")
		})
	}
}

func TestAnEmptyMappingWritesOnlyTheKey(t *testing.T) {
	t.Parallel()
	p := apply(mustCompile(t, ""), windowsServer(), "cmdb_ci_win_server")
	require.Equal(t, "corp/90001", p.Native.Key)
	require.Equal(t, "cmdb_ci_win_server", p.Native.Class)
	require.Empty(t, p.Native.Columns)
	require.Empty(t, p.Dependents)
	require.Empty(t, p.Complete)
}
