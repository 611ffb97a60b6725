package e2e_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// A connector that went before has written the CIs; its successor knows nothing of
// them but what the CMDB says.
func TestTheCIsOfAnotherConnectorAreAdoptedAndWrittenAgain(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "80", "--seed", "91")
	document := strings.Replace(s.document(), "existing: full", "existing: metadata-only", 1)
	code, out := s.apply(document)
	require.Zero(t, code, out)
	code, before := s.sync()
	require.Zero(t, code)
	s.restart("QBRIDGE_STORE_URL=" + filepath.Join(s.dir, "fresh.db"))
	code, out = s.apply(document)
	require.Zero(t, code, out)
	code, res := s.sync()
	require.Zero(t, code)
	require.Zero(t, res.Created+res.Updated, "all are protected: %+v", res.Counters)
	untouched := s.digest()

	adopt := func(flags ...string) contract.AdoptResult {
		code, out, errs := s.cli(append([]string{"adopt", "inventory", "--sources", "SG-Qualys", "-o", "json"}, flags...)...)
		require.Zero(t, code, errs)
		var r contract.AdoptResult
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		return r
	}
	plan := adopt()
	require.False(t, plan.Applied)
	require.GreaterOrEqual(t, plan.Adopted+plan.Known, before.Created, "%+v", plan)
	require.NotEmpty(t, plan.Examples)
	require.Equal(t, plan.Adopted, adopt("--apply").Adopted, "what was shown is what is done")
	again := adopt("--apply")
	require.Zero(t, again.Adopted, "a second time changes nothing")
	require.Equal(t, untouched, s.digest(), "the CMDB is not changed")

	deleted := plan.Examples[0] // by a person, after the plan
	s.table(http.MethodDelete, deleted.Class+"/"+deleted.SysID, "")
	require.NotContains(t, s.rows(deleted.Class), deleted.SysID)
	_, err := postForm(s.sims.Qualys.GatewayURL+"/_sim/mutate?k=80", "")
	require.NoError(t, err)
	code, res = s.sync("--full")
	require.Zero(t, code)
	require.Positive(t, res.Updated)
	require.Greater(t, res.Updated+res.Unchanged, before.Created*3/4, "IRE finds them: %+v", res.Counters)
	code, text, errs := s.cli("run", "show", "latest", "--outcome", "skipped")
	require.Zero(t, code, errs)
	require.NotContains(t, text, "existing CI is protected")
	require.NotContains(t, text, "conflict")
	_, text, _ = s.cli("asset", "show", strings.TrimPrefix(deleted.Key, "corp/"))
	require.NotContains(t, text, deleted.SysID, "what a person deleted comes back as another CI")
	require.Contains(t, text, deleted.Class)

	s.replayAll()
	code, _, errs = s.cli("adopt", "inventory")
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, "--sources is missing")
	code, _, errs = s.cli("adopt", "inventory", "--sources", "X", "--pattern", "(")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "is not a regular expression")
}
