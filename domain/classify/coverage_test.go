package classify_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/classify"
)

func compiled(t require.TestingT, tables classify.Tables) *classify.Set {
	s, err := classify.Compile(tables)
	require.NoError(t, err)
	return s
}

func TestRuleTestsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := compiled(t, classify.Default())
	windows := map[string]string{"operatingSystem.category1": "Windows", "operatingSystem.category2": "Server"}
	for why, c := range map[string]classify.RuleTest{
		"":             {Name: "n", Asset: windows, Class: "cmdb_ci_win_server"},
		"has no name":  {Asset: windows, Class: "x"},
		"needs class":  {Name: "n", Asset: windows},
		"has no asset": {Name: "n", Class: "x"},
		`did you mean "operatingSystem.category1"?`:            {Name: "n", Asset: map[string]string{"operatingsystem.category": "x"}, Class: "x"},
		"and should be cmdb_ci_printer":                        {Name: "n", Asset: windows, Class: "cmdb_ci_printer"},
		`and rule "router" should decide: hardware.category2`:  {Name: "n", Asset: windows, Rule: "router"},
		`and rule "gone" should decide: there is no such rule`: {Name: "n", Asset: windows, Rule: "gone"},
		"and no rule should match":                             {Name: "n", Asset: windows, Skip: true},
	} {
		got := s.Test([]classify.RuleTest{c})[0].Why
		if why == "" {
			require.Empty(t, got)
			continue
		}
		require.Contains(t, got, why)
	}
}

func TestCoverageCountsByRuleAndPair(t *testing.T) {
	t.Parallel()
	c := classify.NewCounter(compiled(t, classify.Default()), classify.Options{})
	for range 3 {
		c.Add(&classify.Inputs{Identity: true, OSCategory1: "Windows", OSCategory2: "Server"})
	}
	c.Add(&classify.Inputs{Identity: true, OSCategory1: "Toaster", HWCategory1: "Kitchen", HWCategory2: "Toaster"})
	c.Add(&classify.Inputs{IP: "10.0.0.1"})
	c.Add(&classify.Inputs{Identity: true, Name: "x", OSCategory1: "Unidentified", HWCategory1: "Unidentified", HWCategory2: "Unidentified"})
	got := c.Coverage()
	require.EqualValues(t, 6, got.Assets)
	require.EqualValues(t, 1, got.Skipped)
	require.EqualValues(t, 4, got.Categorised)
	require.EqualValues(t, 3, got.Known)
	require.InDelta(t, 0.75, got.Share(), 1e-9)
	require.Len(t, got.Unknown, 1)
	require.Equal(t, "Toaster", got.Unknown[0].OS)
	require.Equal(t, "Kitchen / Toaster", got.Unknown[0].Hardware)
	var decided int64
	for _, r := range got.Rules {
		decided += r.Decided
		require.LessOrEqual(t, r.Decided, r.Holds, r.Rule)
	}
	require.LessOrEqual(t, decided, got.Assets-got.Skipped)
}

func TestARuleThatCanNeverDecideIsFound(t *testing.T) {
	t.Parallel()
	rule := func(id string, prio int, when ...classify.Condition) classify.Rule {
		return classify.Rule{ID: id, Priority: prio, When: when, Class: "cmdb_ci_computer"}
	}
	yes := true
	for _, c := range []struct {
		name   string
		before []classify.Condition
		after  []classify.Condition
		shadow bool
	}{
		{"the same", []classify.Condition{{Field: "name", Contains: "a"}}, []classify.Condition{{Field: "name", Contains: "a"}}, true},
		{"one condition more", []classify.Condition{{Field: "name", Contains: "a"}}, []classify.Condition{{Field: "name", Contains: "a"}, {Field: "mac", Present: &yes}}, true},
		{"one condition less", []classify.Condition{{Field: "name", Contains: "a"}, {Field: "mac", Present: &yes}}, []classify.Condition{{Field: "name", Contains: "a"}}, false},
		{"a value within", []classify.Condition{{Field: "name", Contains: "eb"}}, []classify.Condition{{Field: "name", Equals: "WEB1"}}, true},
		{"values within", []classify.Condition{{Field: "name", Matches: "^web"}}, []classify.Condition{{Field: "name", In: []string{"web1", "web2"}}}, true},
		{"values not all within", []classify.Condition{{Field: "name", Matches: "^web"}}, []classify.Condition{{Field: "name", In: []string{"web1", "db2"}}}, false},
		{"a longer prefix", []classify.Condition{{Field: "name", StartsWith: "we"}}, []classify.Condition{{Field: "name", StartsWith: "web"}}, true},
		{"a part is no prefix", []classify.Condition{{Field: "name", StartsWith: "we"}}, []classify.Condition{{Field: "name", Contains: "web"}}, false},
		{"present", []classify.Condition{{Field: "name", Present: &yes}}, []classify.Condition{{Field: "name", Contains: "web"}}, true},
		{"another field", []classify.Condition{{Field: "mac", Present: &yes}}, []classify.Condition{{Field: "name", Contains: "web"}}, false},
		{"not", []classify.Condition{{Field: "name", Contains: "w", Not: true}}, []classify.Condition{{Field: "name", Contains: "web"}}, false},
	} {
		s := compiled(t, classify.Tables{Computer: []classify.Rule{rule("before", 1, c.before...), rule("after", 2, c.after...)}})
		got := classify.NewCounter(s, classify.Options{}).Coverage().Rules[1].ShadowedBy
		require.Equal(t, c.shadow, got == "before", c.name)
	}
	for _, tables := range []classify.Tables{classify.For("csam", classify.Tables{}), classify.For("am", classify.Tables{})} {
		for _, r := range classify.NewCounter(compiled(t, tables), classify.Options{}).Coverage().Rules {
			require.Empty(t, r.ShadowedBy, "default rule %s can never decide", r.Rule)
		}
	}
}

// What is called shadowed never decides, whatever the asset.
func TestAShadowedRuleNeverDecides(t *testing.T) {
	t.Parallel()
	word := rapid.SampledFrom([]string{"a", "b", "ab", "ba", "abc"})
	yes, no := true, false
	rapid.Check(t, func(rt *rapid.T) {
		condition := rapid.Custom(func(t *rapid.T) classify.Condition {
			c := classify.Condition{Field: rapid.SampledFrom([]string{"name", "mac"}).Draw(t, "field"), Not: rapid.Bool().Draw(t, "not")}
			switch rapid.IntRange(0, 5).Draw(t, "operator") {
			case 0:
				c.Equals = word.Draw(t, "v")
			case 1:
				c.Contains = word.Draw(t, "v")
			case 2:
				c.StartsWith = word.Draw(t, "v")
			case 3:
				c.In = rapid.SliceOfN(word, 1, 3).Draw(t, "v")
			case 4:
				c.Present = rapid.SampledFrom([]*bool{&yes, &no}).Draw(t, "v")
			default:
				c.Matches = "^" + word.Draw(t, "v")
			}
			return c
		})
		var rules []classify.Rule
		for _, id := range strings.Split("r1 r2 r3", " ") {
			rules = append(rules, classify.Rule{ID: id, Priority: 1, Class: "cmdb_ci_computer", When: rapid.SliceOfN(condition, 0, 2).Draw(rt, "when")})
		}
		c := classify.NewCounter(compiled(rt, classify.Tables{Computer: rules}), classify.Options{})
		values := append([]string{""}, "a", "b", "ab", "ba", "abc", "c", "xabx")
		for _, name := range values {
			for _, mac := range values {
				c.Add(&classify.Inputs{Identity: true, Name: name, MAC: mac})
			}
		}
		for _, r := range c.Coverage().Rules {
			if r.ShadowedBy != "" {
				require.Zero(rt, r.Decided, "%s", r.Rule)
			}
		}
	})
}
