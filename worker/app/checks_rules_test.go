package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/workflows/contract"
)

// line returns the line of a capability of the instance.
func (w *world) line(capability string) contract.Check {
	w.t.Helper()
	for _, c := range w.doctor() {
		if c.Connection == "dev" && c.Capability == capability {
			return c
		}
	}
	require.Fail(w.t, "no line", capability)
	return contract.Check{}
}

func TestOnlyRulesThatMaskOursAreWarnedOf(t *testing.T) {
	t.Parallel()
	rule := func(class, source, priority, active string) map[string]string {
		return map[string]string{"applies_to": class, "discovery_source": source, "priority": priority, "attributes": "ram", "active": active}
	}
	for name, c := range map[string]struct {
		rules  []map[string]string
		status string
		text   string
	}{
		"none":                        {nil, "ok", "the last source to write a value wins"},
		"another source alone":        {[]map[string]string{rule("cmdb_ci_hardware", "ServiceNow", "100", "true")}, "warning", "ram of cmdb_ci_hardware go to ServiceNow"},
		"an inactive rule":            {[]map[string]string{rule("cmdb_ci_hardware", "ServiceNow", "100", "false")}, "ok", "the last source"},
		"a class that we never write": {[]map[string]string{rule("cmdb_ci_certificate", "ServiceNow", "100", "true")}, "ok", "the last source"},
		"ours alone":                  {[]map[string]string{rule("cmdb_ci_hardware", "SG-Qualys", "300", "true")}, "ok", "none of 1 masks SG-Qualys"},
		"ours is stronger": {[]map[string]string{rule("cmdb_ci_hardware", "SG-Qualys", "50", "true"), rule("cmdb_ci_hardware", "SCCM", "100", "true")},
			"ok", "none of 2 masks"},
		"ours is as strong": {[]map[string]string{rule("cmdb_ci_hardware", "SG-Qualys", "100", "true"), rule("cmdb_ci_hardware", "SCCM", "100", "true")},
			"ok", "none of 2 masks"},
		"ours is weaker": {[]map[string]string{rule("cmdb_ci_linux_server", "SG-Qualys", "200", "true"), rule("cmdb_ci_linux_server", "SCCM", "100", "true"), rule("cmdb_ci_linux_server", "ServiceNow", "150", "true")},
			"warning", "cmdb_ci_linux_server go to SCCM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, r := range c.rules {
				w.record("cmdb_reconciliation_definition", r)
			}
			line := w.line("reconciliation rules")
			require.Equal(t, c.status, line.Status(), "%+v", line)
			require.Contains(t, line.Message, c.text)
		})
	}
}

func TestSettingsOfIREThatDifferAndAReleaseThatIsNotTestedAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remove("sys_properties", "name=glide.war")
	w.record("sys_properties", map[string]string{"name": "glide.war", "value": "glide-zurich-07-01-2025__patch4.zip"})
	w.remove("sys_properties", "name=glide.class.downgrade.enabled")
	w.record("sys_properties", map[string]string{"name": "glide.class.downgrade.enabled", "value": "false"})
	require.Equal(t, "zurich (glide-zurich-07-01-2025__patch4.zip): not tested with qbridge", w.line("release").Message)
	require.Equal(t, "differ from what ServiceNow ships: glide.class.downgrade.enabled=false", w.line("IRE settings").Message)

	w.remove("sys_properties", "name=glide.war")
	hidden := w.line("release")
	require.Equal(t, "unknown", hidden.Status())
	require.Contains(t, hidden.Remedy, "glide.war")
}

func TestTheLimitsOfAUserAreShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record("sys_rate_limit_rules", map[string]string{"api": "table", "user": servicenowUser, "request_limit": "5000"})
	limits := w.line("limits")
	require.True(t, limits.OK)
	require.Contains(t, limits.Message, "5000 calls")
	w.post(w.qualys.URL+"/_sim/settings", map[string]string{"limits": "2/300/3600"})
	for _, c := range w.doctor() {
		if c.Connection == "corp" && c.Capability == "limits" {
			require.Equal(t, "300 calls in 1h0m0s, 299 left", c.Message)
		}
	}
}
