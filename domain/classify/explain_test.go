package classify_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/classify"
)

func TestExplainGivesTheReasonOfEveryRule(t *testing.T) {
	t.Parallel()
	is := func(field, value string) []classify.Condition {
		return []classify.Condition{{Field: field, Equals: value}}
	}
	tables := classify.Tables{
		Hardware: []classify.Rule{
			{ID: "switch", Priority: 10, Class: "cmdb_ci_ip_switch", When: []classify.Condition{{Field: "hardware.category1", StartsWith: "comp"}, {Field: "hardware.category2", Contains: "switch"}}},
			{ID: "no-model", Priority: 11, Class: "cmdb_ci_hardware", When: is("hardware.model", "X")},
		},
		Computer: []classify.Rule{
			{ID: "windows", Priority: 50, Class: "cmdb_ci_win_server", When: []classify.Condition{{Field: "operatingSystem.category1", Equals: "windows"}, {Field: "cloud.provider", Present: ptr(false)}}},
			off(classify.Rule{ID: "sleeping", Priority: 40, Class: "cmdb_ci_server", When: is("operatingSystem.category1", "windows")}),
			{ID: "late", Priority: 60, Class: "cmdb_ci_server", When: is("operatingSystem.category1", "windows")},
		},
	}
	in := inputs(os("Windows / Server", "Windows Server 2019"), hw("Computers / Server", "Dell", ""))
	got := mustCompile(t, tables).Explain(&in, classify.Options{})
	want := classify.Trace{
		Decision: classify.Decision{Class: "cmdb_ci_win_server", Rule: "windows", Table: classify.TableComputer},
		Inputs:   in,
		Because:  []string{`operatingSystem.category1 is "windows"`, "cloud.provider is absent"},
		Losers: []classify.Loser{
			{Rule: "switch", Table: classify.TableHardware, Priority: 10, Class: "cmdb_ci_ip_switch", Why: `hardware.category2 contains "switch"; it is "Server"`, Field: "hardware.category2", Value: "Server"},
			{Rule: "no-model", Table: classify.TableHardware, Priority: 11, Class: "cmdb_ci_hardware", Why: `hardware.model is "X"; it is empty`, Field: "hardware.model"},
			{Rule: "sleeping", Table: classify.TableComputer, Priority: 40, Class: "cmdb_ci_server", Why: "inactive"},
			{Rule: "late", Table: classify.TableComputer, Priority: 60, Class: "cmdb_ci_server", Why: "it holds too, but windows comes before it"},
		},
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestExplainAgreesWithClassifyAndLeavesNoRuleOut(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, classify.Default())
	d := classify.Default()
	rules := len(d.Hardware) + len(d.Computer) + len(d.Fallback)
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := inputs(c.traits...)
			trace := set.Explain(&in, classify.Options{})
			require.Empty(t, cmp.Diff(set.Classify(&in, classify.Options{}), trace.Decision))
			want := rules
			if c.rule != "" {
				want--
				require.NotEmpty(t, trace.Because)
			}
			require.Len(t, trace.Losers, want)
			for _, l := range trace.Losers {
				require.NotEmpty(t, l.Why, "rule %s has no reason", l.Rule)
			}
		})
	}
}

func TestExplainOfAnAssetWithoutIdentitySaysSoForRulesThatHold(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, classify.Tables{Computer: []classify.Rule{{ID: "r", Class: "cmdb_ci_win_server", When: []classify.Condition{{Field: "operatingSystem.category1", Equals: "Windows"}}}}})
	in := inputs(anonymous, os("Windows / Server", "Windows Server 2019"))
	trace := set.Explain(&in, classify.Options{})
	require.Equal(t, "it holds, but the asset has no identity", trace.Losers[0].Why)
	trace = set.Explain(&in, classify.Options{IPOnly: true})
	require.Equal(t, []string{"nothing but the address 10.9.8.7 identifies it, and the schedule writes such assets"}, trace.Because)
	require.Equal(t, "it holds too, but ip-only comes before it", trace.Losers[0].Why)
}

func TestInputsAndTracesSurviveJSON(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, classify.Default())
	for _, c := range golden {
		in := inputs(c.traits...)
		want := set.Explain(&in, classify.Options{})
		b, err := json.Marshal(want)
		require.NoError(t, err)
		var got classify.Trace
		require.NoError(t, json.Unmarshal(b, &got))
		require.Empty(t, cmp.Diff(want, got))
		again := got.Inputs
		require.Empty(t, cmp.Diff(want, set.Explain(&again, classify.Options{})), "stored inputs explain the same decision")
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("Windows", "Server", "Windows Server 2019", "Computers", "Server", "Dell", "app01")
	f.Add("", "", "ESXi 6.7.0", "", "", "", "")
	f.Add("Network Operating System", "\xff", "İOS", "Networking Device", "Switch", "ſ", "\u202e")
	set, err := classify.Compile(classify.Default())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, os1, os2, product, hw1, hw2, maker, name string) {
		in := inputs(os(os1+" / "+os2, product), raw(product), hw(hw1+" / "+hw2, maker, product), serial(name), role(name))
		d := set.Classify(&in, classify.Options{})
		require.NotEmpty(t, d.Class, "an asset with a name has a class")
		require.Equal(t, d, set.Explain(&in, classify.Options{}).Decision)
		b, err := json.Marshal(in)
		require.NoError(t, err)
		var stored classify.Inputs
		require.NoError(t, json.Unmarshal(b, &stored))
		require.Equal(t, d, set.Classify(&stored, classify.Options{}), "stored inputs give the same class")
	})
}
