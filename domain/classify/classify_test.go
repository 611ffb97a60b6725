package classify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
)

func ptr[T any](v T) *T { return &v }

// named is a rule that holds for assets with a name.
func named(id string, priority int, class string) classify.Rule {
	return classify.Rule{ID: id, Priority: priority, Class: class, When: []classify.Condition{{Field: "name", Present: ptr(true)}}}
}

func off(r classify.Rule) classify.Rule {
	r.Active = ptr(false)
	return r
}

func TestOneRuleDecidesByTableThenPriorityThenPosition(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		tables classify.Tables
		want   classify.Decision
	}{
		{"the lower number wins, wherever it stands", classify.Tables{Computer: []classify.Rule{named("b", 20, "cmdb_ci_server"), named("a", 10, "cmdb_ci_computer")}},
			classify.Decision{Class: "cmdb_ci_computer", Rule: "a", Table: classify.TableComputer}},
		{"of equal numbers the first one wins", classify.Tables{Computer: []classify.Rule{named("b", 10, "cmdb_ci_server"), named("a", 10, "cmdb_ci_computer")}},
			classify.Decision{Class: "cmdb_ci_server", Rule: "b", Table: classify.TableComputer}},
		{"a negative number is lower than none", classify.Tables{Computer: []classify.Rule{named("b", 0, "cmdb_ci_server"), named("a", -1, "cmdb_ci_computer")}},
			classify.Decision{Class: "cmdb_ci_computer", Rule: "a", Table: classify.TableComputer}},
		{"the hardware table comes first, whatever the numbers", classify.Tables{Hardware: []classify.Rule{named("h", 900, "cmdb_ci_printer")}, Computer: []classify.Rule{named("c", 1, "cmdb_ci_computer")}},
			classify.Decision{Class: "cmdb_ci_printer", Rule: "h", Table: classify.TableHardware}},
		{"the fallback table comes last, whatever the numbers", classify.Tables{Fallback: []classify.Rule{named("f", 1, "cmdb_ci_hardware")}, Computer: []classify.Rule{named("c", 900, "cmdb_ci_computer")}},
			classify.Decision{Class: "cmdb_ci_computer", Rule: "c", Table: classify.TableComputer}},
		{"without the winner the runner-up decides", classify.Tables{Computer: []classify.Rule{named("b", 20, "cmdb_ci_server"), off(named("a", 10, "cmdb_ci_computer"))}},
			classify.Decision{Class: "cmdb_ci_server", Rule: "b", Table: classify.TableComputer}},
		{"without an active rule the asset is skipped", classify.Tables{Computer: []classify.Rule{off(named("a", 10, "cmdb_ci_computer"))}},
			classify.Decision{Skip: classify.NoRule}},
		{"a rule without conditions always holds", classify.Tables{Fallback: []classify.Rule{{ID: "all", Class: "cmdb_ci_hardware"}}},
			classify.Decision{Class: "cmdb_ci_hardware", Rule: "all", Table: classify.TableFallback}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := inputs()
			require.Empty(t, cmp.Diff(tt.want, mustCompile(t, tt.tables).Classify(&in, classify.Options{})))
		})
	}
}

func TestDeactivatingTheWinnerGivesTheRunnerUpThatTheTraceNamed(t *testing.T) {
	t.Parallel()
	all := mustCompile(t, classify.Default())
	for _, c := range golden {
		if c.rule == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := inputs(c.traits...)
			want := classify.Decision{Skip: classify.NoRule}
			for _, l := range all.Explain(&in, classify.Options{}).Losers {
				if strings.HasPrefix(l.Why, "it holds too") {
					want = classify.Decision{Class: l.Class, Rule: l.Rule, Table: l.Table}
					break
				}
			}
			without := classify.Default()
			winner := all.Classify(&in, classify.Options{})
			change := []classify.Rule{{ID: winner.Rule, Active: ptr(false)}}
			switch winner.Table {
			case classify.TableHardware:
				without = without.Override(classify.Tables{Hardware: change})
			case classify.TableComputer:
				without = without.Override(classify.Tables{Computer: change})
			default:
				without = without.Override(classify.Tables{Fallback: change})
			}
			require.Empty(t, cmp.Diff(want, mustCompile(t, without).Classify(&in, classify.Options{})))
		})
	}
}

func TestConditionsIgnoreCaseAndCanBeInverted(t *testing.T) {
	t.Parallel()
	const field = "operatingSystem.productName" // "Windows Server 2019"
	tests := []struct {
		cond classify.Condition
		want bool
	}{
		{classify.Condition{Equals: "windows SERVER 2019"}, true},
		{classify.Condition{Equals: "windows server"}, false},
		{classify.Condition{In: []string{"aix", "WINDOWS server 2019"}}, true},
		{classify.Condition{In: []string{"aix"}}, false},
		{classify.Condition{Contains: "SERVER"}, true},
		{classify.Condition{Contains: "servers"}, false},
		{classify.Condition{StartsWith: "WIN"}, true},
		{classify.Condition{StartsWith: "server"}, false},
		{classify.Condition{Matches: `^WINDOWS .* \d{4}$`}, true},
		{classify.Condition{Matches: `^server`}, false},
		{classify.Condition{Present: ptr(true)}, true},
		{classify.Condition{Present: ptr(false)}, false},
	}
	for _, tt := range tests {
		for _, not := range []bool{false, true} {
			c := tt.cond
			c.Field, c.Not = field, not
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				set := mustCompile(t, classify.Tables{Computer: []classify.Rule{{ID: "r", Class: "cmdb_ci_server", When: []classify.Condition{c}}}})
				in := inputs(os("Windows / Server", "Windows Server 2019"))
				require.Equal(t, tt.want != not, set.Classify(&in, classify.Options{}).Rule == "r")
			})
		}
	}
}

func TestEveryFieldCanBeAskedAndIsTheInputOfThatName(t *testing.T) {
	t.Parallel()
	a := &asset.Asset{
		FQDN: "V-name.corp", BIOSSerial: "V-serial", Address: "10.0.0.1", AgentID: "V-agentId", DomainRole: "V-domainRole",
		OS:         asset.OperatingSystem{Name: "V-operatingSystem.name", Category1: "V-operatingSystem.category1", Category2: "V-operatingSystem.category2", Publisher: "V-operatingSystem.publisher", ProductName: "V-operatingSystem.productName"},
		Hardware:   asset.Hardware{Category1: "V-hardware.category1", Category2: "V-hardware.category2", Manufacturer: "V-hardware.manufacturer", ProductName: "V-hardware.productName", Model: "V-hardware.productName V-hardware.model"},
		Cloud:      asset.Cloud{Provider: "V-cloud.provider", InstanceID: "V-cloud.instanceId"},
		Interfaces: []asset.Interface{{MAC: "00:1A:2B:3C:4D:5E"}}, Volumes: []asset.Volume{{Name: "/"}}, Processor: asset.Processor{SpeedMHz: 2500},
	}
	want := map[string]string{"ip": "10.0.0.1", "mac": "00:1A:2B:3C:4D:5E", "virtual": "true", "volumes": "true", "processor": "true", "hardware.model": "V-hardware.productName V-hardware.model"}
	in := classify.InputsOf(a, asset.Cleanse(a))
	for _, f := range classify.Fields() {
		value, special := want[f]
		if !special {
			value = "V-" + f
		}
		set := mustCompile(t, classify.Tables{Computer: []classify.Rule{{ID: "r", Class: "cmdb_ci_server", When: []classify.Condition{{Field: f, Equals: value}}}}})
		require.Equal(t, "r", set.Classify(&in, classify.Options{}).Rule, "field %s", f)
	}
}

func TestCompileNamesTablePlaceAndRemedy(t *testing.T) {
	t.Parallel()
	cond := func(c classify.Condition) classify.Tables {
		return classify.Tables{Computer: []classify.Rule{{ID: "r", Class: "cmdb_ci_server", When: []classify.Condition{c}}}}
	}
	tests := []struct {
		name   string
		tables classify.Tables
		want   []string
	}{
		{"a rule without an id", classify.Tables{Hardware: []classify.Rule{{Class: "cmdb_ci"}}}, []string{"hardware[0]", "has no id"}},
		{"a rule without a class", classify.Tables{Fallback: []classify.Rule{named("a", 1, "cmdb_ci"), {ID: "b"}}}, []string{"fallback[1]", `"b"`, "no class"}},
		{"a class that is no table name", classify.Tables{Hardware: []classify.Rule{{ID: "a", Class: "IP Router"}}}, []string{"hardware[0]", `"IP Router"`, "cmdb_ci_server"}},
		{"an id used twice in a table", classify.Tables{Hardware: []classify.Rule{named("a", 1, "cmdb_ci"), named("a", 2, "cmdb_ci")}}, []string{"hardware[1]", `"a"`, "hardware already"}},
		{"an id used in two tables", classify.Tables{Hardware: []classify.Rule{named("a", 1, "cmdb_ci")}, Fallback: []classify.Rule{named("a", 2, "cmdb_ci")}}, []string{"fallback[0]", `"a"`, "hardware already"}},
		{"an unknown field", cond(classify.Condition{Field: "operatingSystem.catagory1", Equals: "x"}), []string{`rule "r", condition 1`, `"operatingSystem.catagory1"`, `did you mean "operatingSystem.category1"`}},
		{"no operator", cond(classify.Condition{Field: "name"}), []string{"exactly one of", "it has 0"}},
		{"two operators", cond(classify.Condition{Field: "name", Equals: "a", Contains: "b"}), []string{"exactly one of", "it has 2"}},
		{"a broken regular expression", cond(classify.Condition{Field: "name", Matches: "a("}), []string{"field name", "matches", "missing closing )"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := classify.Compile(tt.tables)
			require.Error(t, err)
			require.True(t, strings.HasPrefix(err.Error(), "classify: "), err.Error())
			for _, w := range tt.want {
				require.ErrorContains(t, err, w)
			}
		})
	}
}

func TestAConfigurationChangesDefaultRulesByID(t *testing.T) {
	t.Parallel()
	router := []trait{hw("Networking Device / Router", "Cisco", "ISR")}
	tests := []struct {
		name, config string
		want         classify.Decision
	}{
		{"nothing", "{}", classify.Decision{Class: "cmdb_ci_ip_router", Rule: "router", Table: classify.TableHardware}},
		{"switch a rule off", "hardware: [{id: router, active: false}]", classify.Decision{Class: "cmdb_ci_netgear", Rule: "network-other", Table: classify.TableHardware}},
		{"change the class only", "hardware: [{id: router, class: u_router}]", classify.Decision{Class: "u_router", Rule: "router", Table: classify.TableHardware}},
		{"change the conditions only", "hardware: [{id: router, when: [{field: hardware.manufacturer, equals: Juniper Networks}]}]", classify.Decision{Class: "cmdb_ci_netgear", Rule: "network-other", Table: classify.TableHardware}},
		{"change the priority only", "hardware: [{id: network-other, priority: 1}]", classify.Decision{Class: "cmdb_ci_netgear", Rule: "network-other", Table: classify.TableHardware}},
		{"take all conditions away", "hardware: [{id: iot, priority: 1, when: []}]", classify.Decision{Class: "cmdb_ci_iot", Rule: "iot", Table: classify.TableHardware}},
		{"add a rule", "hardware: [{id: mine, priority: 5, class: u_mine, when: [{field: name, startsWith: app}]}]", classify.Decision{Class: "u_mine", Rule: "mine", Table: classify.TableHardware}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var over classify.Tables
			require.NoError(t, yaml.UnmarshalWithOptions([]byte(tt.config), &over, yaml.DisallowUnknownField()))
			in := inputs(router...)
			require.Empty(t, cmp.Diff(tt.want, mustCompile(t, classify.Default().Override(over)).Classify(&in, classify.Options{})))
		})
	}
}

func TestAnOverrideThatNamesARuleTwiceIsRefused(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"router", "brand-new"} {
		over := classify.Tables{Hardware: []classify.Rule{named(id, 1, "cmdb_ci_ip_router"), named(id, 2, "cmdb_ci_netgear")}}
		_, err := classify.Compile(classify.Default().Override(over))
		require.ErrorContains(t, err, fmt.Sprintf("rule %q: the id is used", id))
	}
}

func TestOverrideLeavesBothTablesAsTheyWere(t *testing.T) {
	t.Parallel()
	base, over := classify.Default(), classify.Tables{Hardware: []classify.Rule{off(named("router", 1, "cmdb_ci")), named("new", 2, "cmdb_ci")}}
	_ = base.Override(over)
	require.Empty(t, cmp.Diff(classify.Default(), base))
	require.Empty(t, cmp.Diff(classify.Tables{Hardware: []classify.Rule{off(named("router", 1, "cmdb_ci")), named("new", 2, "cmdb_ci")}}, over))
}

func TestTheDigestChangesWithEveryPartOfARule(t *testing.T) {
	t.Parallel()
	base := mustCompile(t, classify.Default()).Digest()
	require.Equal(t, base, mustCompile(t, classify.Default()).Digest(), "the same rules have the same digest")
	seen := map[string]string{base: "the default"}
	for name, r := range map[string]classify.Rule{
		"active":   {ID: "router", Active: ptr(false)},
		"class":    {ID: "router", Class: "u_router"},
		"priority": {ID: "router", Priority: 7},
		"when":     {ID: "router", When: []classify.Condition{{Field: "hardware.category2", Equals: "router"}}},
		"not":      {ID: "router", When: []classify.Condition{{Field: "hardware.category2", Equals: "router", Not: true}}},
		"id":       {ID: "router2", Class: "cmdb_ci_ip_router"},
	} {
		d := mustCompile(t, classify.Default().Override(classify.Tables{Hardware: []classify.Rule{r}})).Digest()
		require.Empty(t, seen[d], "a change of %s has the digest of %s", name, seen[d])
		seen[d] = name
	}
}

func TestAddressesAloneAreWrittenOnlyWhereTheScheduleSaysSo(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, classify.Default())
	onlyIP, nothing, name := inputs(anonymous), inputs(anonymous, func(a *asset.Asset) { a.Address = "" }), inputs()
	skip := classify.Decision{Skip: asset.NoIdentity}
	ip := classify.Decision{Class: classify.IncompleteIP, Rule: "ip-only", Table: classify.TableFallback}
	on, plain := classify.Options{IPOnly: true}, classify.Options{}
	require.Empty(t, cmp.Diff(skip, set.Classify(&onlyIP, plain)))
	require.Empty(t, cmp.Diff(ip, set.Classify(&onlyIP, on)))
	require.Empty(t, cmp.Diff(skip, set.Classify(&nothing, on)), "an asset without any address has nothing to write")
	require.Equal(t, "has-name", set.Classify(&name, on).Rule, "the option changes nothing for assets with an identity")
}

func TestNearestNamesTheLikelyMisspelling(t *testing.T) {
	t.Parallel()
	for wrong, want := range map[string]string{
		"hardware.Category": "hardware.category1", "os.name": "name", "operatingsystem.category2": "operatingSystem.category2", "": "ip", "agentID": "agentId",
	} {
		require.Equal(t, want, classify.Nearest(wrong, classify.Fields()), "for %q", wrong)
	}
	require.Empty(t, classify.Nearest("x", nil))
}

// hundred returns 100 rules of which only the last one holds.
func hundred() classify.Tables {
	var rules []classify.Rule
	for i := range 99 {
		rules = append(rules, classify.Rule{ID: fmt.Sprintf("r%02d", i), Priority: i, Class: "cmdb_ci_server", When: []classify.Condition{
			{Field: "operatingSystem.category1", Equals: "Windows"},
			{Field: "operatingSystem.productName", Contains: fmt.Sprintf("2019 edition %d", i)},
		}})
	}
	return classify.Tables{Computer: append(rules, named("last", 100, "cmdb_ci_computer"))}
}

func TestLookingForTheRuleAllocatesNothingPerRule(t *testing.T) {
	set := mustCompile(t, hundred())
	in := inputs(os("Windows / Server", "Windows Server 2019"))
	capitals := testing.AllocsPerRun(100, func() { set.Classify(&in, classify.Options{}) })
	require.LessOrEqual(t, capitals, 4.0, "only the values with capitals are lowered, once each")
}

func BenchmarkClassifyWith100Rules(b *testing.B) {
	set := mustCompile(b, hundred())
	in := inputs(os("Windows / Server", "Windows Server 2019"))
	b.ReportAllocs()
	for b.Loop() {
		if set.Classify(&in, classify.Options{}).Rule != "last" {
			b.Fatal("another rule decided")
		}
	}
}

func BenchmarkClassifyWithDefaultRules(b *testing.B) {
	set := mustCompile(b, classify.Default())
	in := inputs(os("Mac / Unidentified", "macOS"), hw(noHW, "", un))
	b.ReportAllocs()
	for b.Loop() {
		if set.Classify(&in, classify.Options{}).Rule != "has-os" {
			b.Fatal("another rule decided")
		}
	}
}
