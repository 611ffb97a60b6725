package golden_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
)

// A runner that lets everything pass would look like a golden set that holds.

func TestCasesThatCannotBeJudgedAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key of a case":          {"- {name: a, asset: {assetId: 1}, want: {class: x}, setcions: []}", "setcions"},
		"an unknown key of an expectation":  {"- {name: a, asset: {assetId: 1}, want: {class: x, columns: {}}}", "columns"},
		"an undocumented member":            {"- {name: a, asset: {assetid: 1}, want: {class: x}}", `"assetid"`},
		"an undocumented member in a list":  {"- {name: a, asset: {volumeListData: {volume: [{name: C, bytes: 1}]}}, want: {class: x}}", `"bytes"`},
		"no name":                           {"- {asset: {assetId: 1}, want: {class: x}}", "no name"},
		"no asset":                          {"- {name: a, want: {class: x}}", "no asset"},
		"no expectation":                    {"- {name: a, asset: {assetId: 1}}", "either a class or a skip"},
		"a class of what is skipped":        {"- {name: a, asset: {assetId: 1}, want: {class: x, skip: y}}", "either a class or a skip"},
		"attributes of what is skipped":     {"- {name: a, asset: {assetId: 1}, want: {skip: y, attributes: {name: a}}}", "what is skipped"},
		"a number that YAML spells anew":    {"- {name: a, asset: {assetId: 1}, want: {class: x, attributes: {os_version: 10.0}}}", "quotes"},
		"a number in an item":               {"- {name: a, asset: {assetId: 1}, want: {class: x, item: {y: [{v: 1.50}]}}}", "quotes"},
		"a key that is there twice in YAML": {"- {name: a, name: b, asset: {assetId: 1}, want: {class: x}}", "name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decode([]byte(c.text))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestEveryKindOfDifferenceIsFound(t *testing.T) {
	t.Parallel()
	got := outcome{rule: "r", parts: record.Parts{
		Native: &cmdb.Item{Key: "corp/1", Class: "cmdb_ci_server", Columns: []cmdb.Column{{Name: "name", Value: "web"}},
			Lookup: []cmdb.Row{{Table: "cmdb_serial_number", Columns: []cmdb.Column{{Name: "serial_number", Value: "S1"}}}}},
		Dependents: []cmdb.Item{{Key: "corp/1/nic", Class: "cmdb_ci_network_adapter", Columns: []cmdb.Column{{Name: "mac_address", Value: "m"}}}},
		Relations:  []cmdb.Relation{{Parent: "corp/1", Child: "corp/1/nic", Type: "Owns::Owned by"}},
		References: []cmdb.Reference{{Item: "corp/1", Column: "manufacturer", Name: "Dell"}},
	}}
	same := expectation{
		Class: "cmdb_ci_server", Attributes: map[string]any{"name": "web", "manufacturer": "Dell", "ram": nil},
		Items: map[string]int{"cmdb_ci_network_adapter": 1, "cmdb_ci_disk": 0}, Tables: map[string]int{"cmdb_serial_number": 1},
		Item:      map[string][]map[string]any{"cmdb_ci_network_adapter": {{"mac_address": "m", "netmask": nil}}, "cmdb_serial_number": {{"serial_number": "S1"}}},
		Relations: []string{"cmdb_ci_server Owns::Owned by cmdb_ci_network_adapter"},
	}
	require.Empty(t, got.differences(&same))
	for name, want := range map[string]expectation{
		"skip":        {Skip: "identity"},
		"class":       {Class: "cmdb_ci_computer"},
		"update only": {Class: "cmdb_ci_server", UpdateOnly: true},
		"value":       {Class: "cmdb_ci_server", Attributes: map[string]any{"name": "db"}},
		"absent":      {Class: "cmdb_ci_server", Attributes: map[string]any{"ram": "1"}},
		"present":     {Class: "cmdb_ci_server", Attributes: map[string]any{"name": nil}},
		"reference":   {Class: "cmdb_ci_server", Attributes: map[string]any{"manufacturer": "HP"}},
		"count":       {Class: "cmdb_ci_server", Items: map[string]int{"cmdb_ci_network_adapter": 2}},
		"no item":     {Class: "cmdb_ci_server", Items: map[string]int{"cmdb_ci_disk": 1}},
		"item":        {Class: "cmdb_ci_server", Item: map[string][]map[string]any{"cmdb_ci_network_adapter": {{"mac_address": "n"}}}},
		"rows":        {Class: "cmdb_ci_server", Tables: map[string]int{"cmdb_serial_number": 0}},
		"direction":   {Class: "cmdb_ci_server", Relations: []string{"cmdb_ci_network_adapter Owns::Owned by cmdb_ci_server"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Len(t, got.differences(&want), 1)
		})
	}
	skipped := outcome{reason: "no identity"}
	require.Empty(t, skipped.differences(&expectation{Skip: "identity"}))
	require.Len(t, skipped.differences(&expectation{Skip: "other"}), 1)
	require.Len(t, skipped.differences(&expectation{Class: "cmdb_ci_server"}), 1)
}

func TestACaseThatIsMarkedMustFail(t *testing.T) {
	t.Parallel()
	plain, marked := goldenCase{Name: "a"}, goldenCase{Name: "a", Todo: "why"}
	require.Equal(t, []string{"class"}, plain.judge([]string{"class"}))
	require.Empty(t, plain.judge(nil))
	require.Empty(t, marked.judge([]string{"class"}))
	require.Len(t, marked.judge(nil), 1)
}

func TestANameIsUsedOnce(t *testing.T) {
	t.Parallel()
	require.NoError(t, distinct([]goldenCase{{Name: "a"}, {Name: "b"}}))
	require.ErrorContains(t, distinct([]goldenCase{{Name: "a", file: "x.yaml"}, {Name: "a", file: "y.yaml"}}), `y.yaml: the name "a" is used in x.yaml too`)
}
