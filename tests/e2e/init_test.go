package e2e_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestANewUserGetsToTheFirstSyncWithoutEditingAFile is the transcript of the README.
func TestANewUserGetsToTheFirstSyncWithoutEditingAFile(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "120", "--seed", "81")
	path := filepath.Join(s.dir, "first.yaml")
	must := func(args ...string) string {
		code, out, errs := s.cli(args...)
		require.Zero(t, code, "%v: %s%s", args, out, errs)
		return out
	}
	out := must("init", path, "--yes", "--platform", "private", "--api-url", "${env:QBRIDGE_QUALYS_API_URL}", "--gateway-url", "${env:QBRIDGE_QUALYS_GATEWAY_URL}",
		"--servicenow-url", "${env:QBRIDGE_SERVICENOW_URL}", "--every", "6h", "--existing", "full")
	require.Regexp(t, `corp +log in +ok`, out, "the connections are tested")
	require.Contains(t, must("validate", path), "valid: 1 source, 1 target, 1 schedule")
	require.Regexp(t, `prod +discovery source +SG-Qualys`, must("doctor", path))
	require.Contains(t, must("apply", path), "created")
	require.Contains(t, must("run", "start", "inventory", "--sample", "20", "--wait"), "20")
	require.Contains(t, must("run", "start", "inventory", "--wait"), "created")
	require.Contains(t, must("run", "list"), "completed")
}
