package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/crash"
)

// business is what Qualys shows of all assets that a CMDB may write.
func (b *bridge) business() map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for id, a := range b.inventory() {
		data, err := json.Marshal([]any{a["businessInformation"], a["assignedLocation"], a["businessAppListData"]})
		require.NoError(b.t, err)
		out[id] = string(data)
	}
	return out
}

// owned is a bridge whose CIs have owners, groups and applications, by their names.
func owned(t *testing.T) *bridge {
	t.Helper()
	b := newBridge(t, "    metadata: {applications: {id: number}}\n", "--assets", "120")
	names := b.rowsOf("cmdb_ci_server", "serial_numberISNOTEMPTY", "name", "sys_id")
	require.Greater(t, len(names), 20)
	for n := range 3 {
		app := b.row("cmdb_ci_business_app", thing{"name": fmt.Sprint("Application ", n), "number": fmt.Sprint("APM", n)})
		user := b.row("sys_user", thing{"user_name": fmt.Sprint("u", n), "name": fmt.Sprint("User ", n)})
		for i, line := range names {
			_, ci, _ := strings.Cut(line, "|")
			if i%3 == n {
				b.own(thing{"owned_by": user}, ci)
				b.relate(app, ci)
			}
		}
	}
	return b
}

// tenPercent is a plan of faults for either vendor.
const tenPercent = "on * share 3% seed 5 do drop_before; on * share 4% seed 7 do drop_after_commit; on * share 3% seed 9 do status(503,1)"

func TestFaultsAndKilledWorkersLeaveTheSameBusinessMetadata(t *testing.T) {
	t.Parallel()
	calm := owned(t)
	code, _, errs := calm.write()
	require.Zero(t, code, errs)
	want := calm.business()
	for _, at := range []crash.Point{crash.AfterOpenRun, crash.AfterIntent, crash.AfterPost, crash.AfterSettle, crash.BeforeFinish} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			b := owned(t)
			b.faults(b.sims.Qualys.APIURL, tenPercent)
			b.faults(b.sims.ServiceNow.URL, tenPercent)
			b.doom(string(at) + ":2=kill")
			if at == crash.AfterOpenRun {
				b.doom(string(at) + "=kill")
			}
			code, _, errs := b.cli("run", "start", "owners")
			require.Zero(t, code, errs)
			b.perished()
			b.startWorker()
			b.cli("run", "watch", "owners")
			b.faults(b.sims.Qualys.APIURL, "")
			b.faults(b.sims.ServiceNow.URL, "")
			require.Empty(t, cmp.Diff(want, b.business()))
			calls := b.posted()
			code, res, errs := b.write()
			require.Zero(t, code, errs)
			require.Zero(t, res.Written(), "%+v", res.Counters)
			require.Equal(t, calls, b.posted())
			b.replayAll()
		})
	}
}

func TestBothDirectionsComeToRest(t *testing.T) {
	t.Parallel()
	b := owned(t)
	settle := func() (int64, int64) {
		t.Helper()
		code, out, errs := b.write()
		require.Zero(t, code, errs)
		code, in := b.sync()
		require.Zero(t, code)
		require.Zero(t, in.Failed+in.Rejected, "%+v", in.Counters)
		return out.Written(), in.Written()
	}
	out, _ := settle()
	require.Positive(t, out)
	settle() // what Qualys shows now is in the CMDB
	digest, shown, calls := b.digest(), b.business(), b.posted()
	for range 5 {
		out, in := settle()
		require.Zero(t, out)
		require.Zero(t, in)
	}
	require.Equal(t, digest, b.digest())
	require.Empty(t, cmp.Diff(shown, b.business()))
	require.Equal(t, calls, b.posted())
}

func TestAnInventoryOfWhichAssetsAreMissingIsNotCompared(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "", "--assets", "120")
	b.applied(strings.Replace(b.owners(""), "- name: corp ", "- name: corp\n    pageSize: 45\n   ", 1))
	ann := b.row("sys_user", thing{"user_name": "ann", "name": "Ann Example"})
	b.own(thing{"owned_by": ann}, b.cis...)
	b.faults(b.sims.Qualys.APIURL, "on search.asset every 3 do shift_page")
	_, res, errs := b.write()
	require.Equal(t, "incomplete", res.Outcome, errs)
	require.Contains(t, res.Warning, "Qualys counts 120 assets and listed 11")
	require.Zero(t, b.taken())
	b.faults(b.sims.Qualys.APIURL, "")
	code, res, errs := b.write()
	require.Zero(t, code, errs)
	require.Positive(t, res.Updated)
}
