package servicenow_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// Other discovery sources: off by default; their CIs have owners, groups, locations, applications and certificates.
func TestOtherSourcesPopulateTheCMDB(t *testing.T) {
	t.Parallel()
	require.Empty(t, mustInstance(t, servicenow.Options{}).rows("cmdb_ci"))
	i := mustInstance(t, servicenow.Options{Others: servicenow.OtherSources{CIs: 60}})
	require.Len(t, i.rows("cmdb_ci_computer"), 60)
	require.Len(t, i.rows("cmdb_ci_computer?sysparm_query=discovery_source=SCCM"), 30)
	require.Len(t, i.rows("cmdb_ci_computer?sysparm_query=nameSTARTSWITHlegacy-"), 30)
	require.Len(t, i.rows("cmdb_ci_computer?sysparm_query=owned_byISNOTEMPTY^support_groupISNOTEMPTY^locationISNOTEMPTY"), 60)
	require.Len(t, i.rows("cmdb_ci_business_app"), 6)
	require.Len(t, i.rows("cmdb_ci_certificate"), 3)
	require.Len(t, i.rows("cmdb_rel_ci"), 9)
}

// Other discovery sources: a machine that another source reported is found by its serial number and updated, also after a
// restart; reset brings the first state back.
func TestOtherSourcesAreIdentifiedAndSurvive(t *testing.T) {
	t.Parallel()
	opt := servicenow.Options{StateDir: t.TempDir(), Others: servicenow.OtherSources{CIs: 20}}
	i := mustInstance(t, opt)
	before := i.digest()
	known := i.rows("cmdb_ci_computer?sysparm_query=nameSTARTSWITHlegacy-")[0]
	got := i.from(t, source, fmt.Sprintf(`"serial_number":%q,"os":"Linux"`, known["serial_number"]))
	require.Equal(t, []string{"UPDATE", known["sys_id"].(string)}, []string{got.Operation, got.SysID})
	changed := i.digest()
	require.NotEqual(t, before, changed)
	again, err := servicenow.New(opt)
	require.NoError(t, err)
	restarted := &instance{t, again, again.Handler()}
	require.Equal(t, changed, restarted.digest())
	require.Equal(t, http.StatusOK, restarted.send(http.MethodPost, "/_sim/reset", "").Code)
	require.Equal(t, before, restarted.digest())
	require.NoError(t, again.Close())
}
