package servicenow_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// from sends one server with the given values for another discovery source.
func (i *instance) from(t *testing.T, name, values string) ireItem {
	t.Helper()
	w := i.send(http.MethodPost, "/api/now/identifyreconcile/enhanced?sysparm_data_source="+name, items(ci("cmdb_ci_server", "", values)))
	require.Equal(t, http.StatusOK, w.Code)
	return decodeIRE(t, w.Body.Bytes()).Items[0]
}

func (i *instance) osOf() string {
	return i.rows("cmdb_ci_server?sysparm_fields=os&sysparm_query=name=a")[0]["os"].(string)
}

const (
	strong = `{"applies_to":"cmdb_ci_server","discovery_source":"ServiceNow","priority":"10"}`
	weak   = `{"applies_to":"cmdb_ci_server","discovery_source":"SG-Qualys","priority":"20","update_with_null":"os"}`
)

// Static rules (§2.6): the weaker source stays masked however often it calls, keeps its own columns, and the stronger one writes.
func TestWeakerSourceStaysMasked(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_reconciliation_definition", strong)
	i.create("cmdb_reconciliation_definition", weak)
	i.from(t, "ServiceNow", `"name":"a","os":"Linux"`)
	for range 3 {
		got := i.from(t, source, `"name":"a","os":"Windows","os_version":"1"`)
		require.Equal(t, []string{"os"}, got.MaskedAttributes)
	}
	require.Empty(t, i.from(t, source, `"name":"a","os_version":"2"`).MaskedAttributes, "a source may change what it wrote itself")
	require.Equal(t, "Linux", i.osOf())
	require.Equal(t, "UPDATE", i.from(t, "ServiceNow", `"name":"a","os":"Linux 2","os_version":"3"`).Operation)
	require.Equal(t, []string{"os_version"}, i.from(t, source, `"name":"a","os_version":"4"`).MaskedAttributes)
}

// Data refresh rules (§2.6): a source that has been silent for its effective duration no longer protects the CI; 0 is at once.
func TestStaleSourceNoLongerMasks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, duration string
		wait           time.Duration
		masked         bool
	}{{"fresh", "86400", 23 * time.Hour, true}, {"stale", "86400", 24 * time.Hour, false}, {"zero", "0", 0, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var later atomic.Int64
			i := mustInstance(t, servicenow.Options{Now: func() time.Time {
				return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(later.Load()))
			}})
			i.create("cmdb_reconciliation_definition", strong)
			i.create("cmdb_datasource_staleness", `{"applies_to":"cmdb_ci_hardware","discovery_source":"ServiceNow","effective_duration":"`+c.duration+`"}`)
			i.from(t, "ServiceNow", `"name":"a","os":"Linux"`)
			later.Store(int64(c.wait))
			require.Equal(t, c.masked, len(i.from(t, source, `"name":"a","os":"Windows"`).MaskedAttributes) > 0)
			require.NotEmpty(t, i.rows("cmdb_datasource_last_update"))
		})
	}
}

// Update with null (§2.6): an empty value clears only the columns that the source's rule lists.
func TestUpdateWithNull(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_reconciliation_definition", weak)
	i.from(t, source, `"name":"a","os":"Linux","os_version":"1"`)
	require.Equal(t, "UPDATE", i.from(t, source, `"name":"a","os":"","os_version":""`).Operation)
	require.Empty(t, i.osOf())
	require.Len(t, i.rows("cmdb_ci_server?sysparm_query=os_version=1"), 1)
}

// Filter condition (§2.6): evaluated after the change, or before it with the property.
func TestRuleConditionIsEvaluatedAfterTheChange(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_reconciliation_definition", `{"applies_to":"cmdb_ci_server","discovery_source":"ServiceNow","priority":"10","condition":"os=Linux"}`)
	i.from(t, "ServiceNow", `"name":"a","os":"Linux"`)
	i.setProperty("glide.identification_engine.enable_reconciliation_filter_before_update", "true")
	require.Equal(t, []string{"os"}, i.from(t, source, `"name":"a","os":"Windows"`).MaskedAttributes)
	i.setProperty("glide.identification_engine.enable_reconciliation_filter_before_update", "false")
	require.Empty(t, i.from(t, source, `"name":"a","os":"Windows"`).MaskedAttributes)
}

// Duplicates (§2.7): below the threshold the oldest is used, at the threshold the item fails.
func TestDuplicateThreshold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		threshold, code string
	}{{"3", ""}, {"2", "MULTIPLE_DUPLICATE_RECORDS"}} {
		i := mustInstance(t, servicenow.Options{})
		i.create("cmdb_ci_server", `{"name":"a"}`)
		i.create("cmdb_ci_server", `{"name":"a"}`)
		i.setProperty("glide.identification_engine.skip_duplicates.threshold", c.threshold)
		require.Equal(t, c.code, i.from(t, source, `"name":"a","os":"x"`).errorCode())
		require.Len(t, i.rows("duplicate_audit_result"), 2)
	}
}

// Data source rules (§2.6): a child class's rule overrides its parent's; updates pass.
func TestDataSourceRuleOfChildClassOverrides(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_ci_server", `{"name":"old"}`)
	i.create("cmdb_ire_data_source_rule", `{"applies_to":"cmdb_ci_hardware","data_source":"SG-Qualys"}`)
	require.Equal(t, "INSERT_NOT_ALLOWED_FOR_SOURCE", i.from(t, source, `"name":"a"`).errorCode())
	require.Equal(t, "UPDATE", i.from(t, source, `"name":"old","os":"x"`).Operation)
	i.create("cmdb_ire_data_source_rule", `{"applies_to":"cmdb_ci_server","data_source":"SG-Qualys","insert_not_allowed":"false"}`)
	require.Equal(t, "INSERT", i.from(t, source, `"name":"b"`).Operation)
}
