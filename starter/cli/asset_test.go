package cli_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

func explained() contract.ExplainList {
	return contract.ExplainList{Explanations: []contract.ExplainView{
		{
			Key: "corp/7", Schedule: "servers", Target: "prod", Name: "evil\x1b[2J\u202e", Revision: "r3", Class: "cmdb_ci_linux_server",
			Cleansing: []contract.CleanStep{{Field: "name", Raw: "EVIL\x1b[2J.corp\tx", Clean: "evil"}, {Field: "serial number", Raw: "None"}},
			Trace: classify.Trace{
				Decision: classify.Decision{Class: "cmdb_ci_linux_server", Rule: "linux-server", Table: "computer"},
				Because:  []string{`operatingSystem.category1 is "Linux"`},
				Losers: []classify.Loser{
					{Rule: "router", Table: "hardware", Priority: 20, Class: "cmdb_ci_ip_router", Why: `hardware.category2 contains "router"; it is "Server"`},
					{Rule: "has-os", Table: "fallback", Priority: 80, Class: "cmdb_ci_computer", Why: "it holds too, but linux-server comes before it"},
				},
			},
			Outcome: record.Updated, SysID: "0123456789abcdef0123456789abcdef", Origin: record.OriginMatched, Operation: "UPDATE",
			Identification: []payload.Attempt{
				{Result: "NO_MATCH", Attributes: []string{"source_name", "source_native_key"}, Table: "sys_object_source"},
				{Identifier: "Hardware Rule", Result: "MATCHED", Attributes: []string{"name"}, Table: "cmdb_ci_hardware"},
			},
		},
		{
			Key: "corp/7", Schedule: "nightly", Target: "dev", Name: "", Revision: "r3", Outcome: record.Skipped, Reason: "no identity",
			Trace: classify.Trace{Decision: classify.Decision{Skip: "no identity"}},
		},
	}}
}

func TestAssetExplainTellsTheStoryFromValuesToOutcome(t *testing.T) {
	t.Parallel()
	w := &world{api: map[string]any{contract.PathAssets + "/7/explain": explained()}}
	code, out, errs := w.run(t, "asset", "explain", "7")
	require.Zero(t, code, errs)
	golden(t, "explain.txt", out)
	require.NotContains(t, out, "\x1b", "a host name cannot drive a terminal")

	code, out, errs = w.run(t, "asset", "explain", "7", "--source", "corp", "-o", "json")
	require.Zero(t, code, errs)
	require.Equal(t, "/api/v1/assets/7/explain?source=corp", w.asked[1])
	var got contract.ExplainList
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Empty(t, cmp.Diff(explained(), got))
}

func TestAssetShowPrintsTheCIItsPartsAndItsHistory(t *testing.T) {
	t.Parallel()
	w := &world{api: map[string]any{contract.PathAssets + "/7": contract.AssetList{Assets: []contract.AssetView{{
		Key: "corp/7", Schedule: "servers", Target: "prod", Name: "web1", Class: "cmdb_ci_linux_server", State: record.StateDone, Outcome: record.Created,
		SysID: "0123456789abcdef0123456789abcdef", Origin: record.OriginCreated, Version: 2, StagedAt: now, WrittenAt: now.Add(time.Second),
		Parts: &record.Parts{
			Native: &cmdb.Item{Key: "corp/7", Class: "cmdb_ci_linux_server", Columns: []cmdb.Column{{Name: "name", Value: "web1"}}, Lookup: []cmdb.Row{
				{Table: "cmdb_serial_number", Columns: []cmdb.Column{{Name: "serial_number", Value: "X\n1"}}},
			}},
			Dependents: []cmdb.Item{{Key: "corp/7/nic/00:01", Class: "cmdb_ci_network_adapter"}},
			Shared:     []cmdb.Item{{Key: "aws/1/eu", Class: "cmdb_ci_aws_datacenter"}},
			Relations:  []cmdb.Relation{{Parent: "corp/7", Child: "corp/7/nic/00:01", Type: "Owns::Owned by"}},
			References: []cmdb.Reference{{Column: "manufacturer", Table: "core_company", Name: "HPE"}},
		},
		History: []contract.OutcomeView{{Run: "run-1", Key: "corp/7", Outcome: record.Created, At: now}},
	}}}}}
	code, out, errs := w.run(t, "asset", "show", "7")
	require.Zero(t, code, errs)
	golden(t, "asset-show.txt", out)
}

func TestAnAssetIDCannotLeaveItsPath(t *testing.T) {
	t.Parallel()
	w := &world{api: map[string]any{}}
	w.run(t, "asset", "show", "../runs?x=1")
	require.Equal(t, []string{"/api/v1/assets/..%2Fruns%3Fx=1"}, w.asked)
}
