package classify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// RuleTest is a test of the rules, written beside them: an asset that has the
// given values and nothing else must get the class.
//
//	ruleTests:
//	  - name: our jump hosts are servers
//	    asset: {operatingSystem.category1: Windows, name: jump01}
//	    class: cmdb_ci_win_server
type RuleTest struct {
	Name string `yaml:"name" json:"name"`
	// API chooses the tables: csam (default) or am.
	API string `yaml:"api,omitzero" json:"api,omitempty"`
	// Asset holds values by the fields that conditions name (see Fields).
	Asset map[string]string `yaml:"asset" json:"asset"`
	Class string            `yaml:"class,omitzero" json:"class,omitempty"`
	// Rule, when set, is the id of the rule that must decide.
	Rule string `yaml:"rule,omitzero" json:"rule,omitempty"`
	// Skip asks that no rule matches.
	Skip bool `yaml:"skip,omitzero" json:"skip,omitempty"`
}

// TestResult is what became of a rule test. Why is empty when it passed.
type TestResult struct {
	Name  string `json:"name"`
	Class string `json:"class,omitempty"` // that the asset got
	Rule  string `json:"rule,omitempty"`  // that decided
	Why   string `json:"why,omitempty"`   // it failed
}

// Check says what is wrong with a test, or nothing.
func (t *RuleTest) Check() error {
	if t.Name == "" {
		return fmt.Errorf("has no name")
	}
	if t.Skip == (t.Class != "" || t.Rule != "") {
		return fmt.Errorf("%q needs class, rule or skip: true", t.Name)
	}
	if len(t.Asset) == 0 {
		return fmt.Errorf("%q has no asset", t.Name)
	}
	for _, f := range slices.Sorted(maps.Keys(t.Asset)) {
		if !slices.Contains(fieldNames[:], f) {
			return fmt.Errorf("%q: unknown field %q; did you mean %q?", t.Name, f, Nearest(f, Fields()))
		}
	}
	return nil
}

// Test runs rule tests in their order.
func (s *Set) Test(tests []RuleTest) []TestResult {
	out := make([]TestResult, len(tests))
	for i := range tests {
		out[i] = s.test(&tests[i])
	}
	return out
}

func (s *Set) test(t *RuleTest) TestResult {
	if err := t.Check(); err != nil {
		return TestResult{Name: t.Name, Why: err.Error()}
	}
	in := inputsFrom(t.Asset)
	d := s.Classify(&in, Options{})
	res := TestResult{Name: t.Name, Class: d.Class, Rule: d.Rule}
	got := "no rule matches"
	if d.Class != "" {
		got = fmt.Sprintf("it is %s by rule %q", d.Class, d.Rule)
	}
	switch {
	case t.Skip && d.Class != "":
		res.Why = got + ", and no rule should match"
	case t.Class != "" && d.Class != t.Class:
		res.Why = fmt.Sprintf("%s, and should be %s", got, t.Class)
	case t.Rule != "" && d.Rule != t.Rule:
		res.Why = fmt.Sprintf("%s, and rule %q should decide%s", got, t.Rule, s.lostBecause(&in, t.Rule))
	}
	return res
}

// lostBecause explains why a rule did not decide.
func (s *Set) lostBecause(in *Inputs, rule string) string {
	for _, l := range s.Explain(in, Options{}).Losers {
		if l.Rule == rule {
			return ": " + l.Why
		}
	}
	return ": there is no such rule"
}

// inputsFrom returns the inputs that have the given values. The asset can be
// identified: tests are about rules.
func inputsFrom(values map[string]string) Inputs {
	in := Inputs{Identity: true}
	texts := map[string]*string{
		"operatingSystem.name": &in.OSName, "operatingSystem.category1": &in.OSCategory1, "operatingSystem.category2": &in.OSCategory2,
		"operatingSystem.publisher": &in.OSPublisher, "operatingSystem.productName": &in.OSProductName,
		"hardware.category1": &in.HWCategory1, "hardware.category2": &in.HWCategory2, "hardware.manufacturer": &in.HWManufacturer,
		"hardware.productName": &in.HWProductName, "hardware.model": &in.HWModel, "cloud.provider": &in.CloudProvider, "cloud.instanceId": &in.CloudID,
		"domainRole": &in.DomainRole, "name": &in.Name, "mac": &in.MAC, "serial": &in.Serial, "ip": &in.IP, "agentId": &in.AgentID,
	}
	facts := map[string]*bool{"virtual": &in.Virtual, "volumes": &in.Volumes, "processor": &in.Processor}
	for f, v := range values {
		if to := texts[f]; to != nil {
			*to = v
		} else if to := facts[f]; to != nil {
			*to = strings.EqualFold(v, "true")
		}
	}
	return in
}
