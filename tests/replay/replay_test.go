// Package replay_test replays recorded histories of released workflows with the
// code of this tree. When it fails, a change would break runs that are under way:
// version the change (workflow.GetVersion), do not change the fixture.
package replay_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/qbridge/qbridge/workflows"
	"github.com/qbridge/qbridge/workflows/contract"
)

func TestRecordedHistoriesReplay(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Glob("testdata/*/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, fixtures, "no fixtures: record some with `go test ./tests/e2e -record <release>-<case>`")
	seen := map[string]bool{}
	for _, f := range fixtures {
		seen[filepath.Base(filepath.Dir(f))] = true
		t.Run(f, func(t *testing.T) {
			t.Parallel()
			r := worker.NewWorkflowReplayer()
			workflows.Register(r)
			require.NoError(t, r.ReplayWorkflowHistoryFromJSONFile(nil, f),
				"the workflow no longer replays a history of an earlier release: guard the change with workflow.GetVersion")
		})
	}
	for _, w := range []string{contract.SyncInventory, contract.ApplyConfig, contract.Approval, contract.Preflight, contract.Forecast, contract.PinRun, contract.Adopt, contract.SyncCertificates, contract.ExportAssets, contract.ExportMetadata, contract.ApplyTags} {
		require.True(t, seen[w], "workflow %s has no fixture", w)
	}
}
