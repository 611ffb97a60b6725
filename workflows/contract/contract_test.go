package contract_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/workflows/contract"
)

func TestIdsParseBackToWhatTheyWereBuiltFrom(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?`)
	rapid.Check(t, func(rt *rapid.T) {
		n := name.Draw(rt, "name")
		for system, queue := range map[string]string{"qualys": contract.QualysQueue(n), "servicenow": contract.ServiceNowQueue(n)} {
			s, c, ok := contract.ParseQueue(queue)
			require.True(t, ok)
			require.Equal(t, system, s)
			require.Equal(t, n, c)
		}
		for _, suffix := range []string{"", "-2026-11-22T01:00:00Z"} { // a Temporal schedule appends its nominal time
			for _, id := range contract.RunIDs(n) {
				got, ok := contract.ScheduleOfSyncID(id + suffix)
				require.True(t, ok)
				require.Equal(t, n, got)
			}
		}
	})
}

func TestEveryKindOfScheduleHasItsWorkflow(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"": "SyncInventory sync/x", "inventory": "SyncInventory sync/x", "software-catalogue": "SyncInventory sync/x", "metadata": "ExportMetadata metadata/x", "export": "ExportAssets export/x"} {
		workflow, id := contract.RunOf(kind, "x")
		require.Equal(t, want, workflow+" "+id)
		require.Contains(t, contract.RunIDs("x"), id)
		require.Contains(t, contract.SummaryOf(kind, "x"), "schedule x")
	}
}

func TestOtherIdsAreNotOurs(t *testing.T) {
	t.Parallel()
	for _, q := range []string{"", contract.QueueMain, "qualys.", "jira.corp"} {
		_, _, ok := contract.ParseQueue(q)
		require.False(t, ok, q)
	}
	for _, id := range []string{"", "sync/", "approval/x", contract.ConfigWorkflowID} {
		_, ok := contract.ScheduleOfSyncID(id)
		require.False(t, ok, id)
	}
}

func TestSQLVisibilityHasRoomForOurSearchAttributes(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	for _, kind := range contract.SearchAttributes() {
		kinds[kind]++
	}
	require.LessOrEqual(t, kinds["Keyword"], 10)
	require.LessOrEqual(t, kinds["Int"], 3)
	require.Len(t, kinds, 2)
}
