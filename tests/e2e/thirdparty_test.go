package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// publishing is a stack whose CMDB knows machines that no sensor of Qualys has seen.
type publishing struct {
	*bridge
	before int // assets of the subscription
}

const unseenMachines = 7

func (s *stack) publisher(lines string) string {
	return s.owners("") + `
  - name: unseen
    direction: servicenow-to-qualys
    kind: third-party
    source: dev
    target: corp
    manual: true
    select: [{table: cmdb_ci_linux_server, query: nameSTARTSWITHcrane^ORnameSTARTSWITHnameless}, {table: cmdb_ci_server, query: discovery_source=SG-Qualys}]
    thirdParty: {connectorUuid: 0d3f6a52-6a1c-4a8e-9d53-2b1f0c7e9a11}
` + lines
}

func newPublishing(t *testing.T, lines string) *publishing {
	t.Helper()
	p := &publishing{bridge: newBridge(t, "")}
	p.before = len(p.search())
	for i := range unseenMachines {
		p.insert("cmdb_ci_linux_server", thing{"name": fmt.Sprintf("crane-%02d", i), "serial_number": fmt.Sprintf("CRANE-7-%02d", i), "os": "Linux", "ip_address": fmt.Sprintf("10.250.9.%d", i+1)})
	}
	p.insert("cmdb_ci_linux_server", thing{"name": "nameless unit", "short_description": "no identity"})
	p.applied(p.publisher(lines))
	return p
}

func (p *publishing) start() (int, contract.RunResult, string) {
	p.t.Helper()
	var res contract.RunResult
	code, out, errs := p.cli("run", "start", "unseen", "--wait", "-o", "json")
	if code == cli.ExitOK || code == cli.ExitPartial {
		require.NoError(p.t, json.Unmarshal([]byte(out), &res), "%s%s", out, errs)
		require.True(p.t, res.Balanced(), "%+v", res.Counters)
	}
	return code, res, errs
}

func TestMachinesOfTheCMDBBecomeAssetsAndDoNotComeBack(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, "")
	code, res, errs := p.start()
	require.Zero(t, code, errs)
	require.GreaterOrEqual(t, res.Created, int64(unseenMachines), "%+v", res.Counters)
	require.Positive(t, res.Filtered, "what came from Qualys is not sent back: %+v", res.Counters)
	published := res.Created
	p.eventually("they are assets", func() error {
		if n := len(p.search()); n != p.before+int(published) {
			return fmt.Errorf("%d assets, %d before", n, p.before)
		}
		return nil
	})
	cmdb := p.digest()
	for range 5 {
		code, res, _ = p.start()
		require.Zero(t, code)
		require.EqualValues(t, published, res.Unchanged, "%+v", res.Counters)
		code, back := p.sync("--full")
		require.Zero(t, code)
		require.EqualValues(t, published, back.Filtered, "no echo: %+v", back.Counters)
		require.Zero(t, back.Written(), "%+v", back.Counters)
	}
	require.Equal(t, cmdb, p.digest(), "ten runs of both directions write nothing after the first")
	_, text, _ := p.cli("run", "show", "latest", "--outcome", "filtered")
	require.Contains(t, text, "ours: Qualys knows it from the CMDB only")

	id := p.rowsOf("cmdb_ci_linux_server", "name=crane-03", "sys_id")[0]
	p.send(http.MethodPatch, "cmdb_ci_linux_server/"+id, thing{"os_version": "9.4"})
	code, res, _ = p.start()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Updated, "%+v", res.Counters)
	p.replayAll()
}

func TestAMachineThatQualysKnowsIsMerged(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, "")
	serial := p.rowsOf("cmdb_ci_server", "sys_id="+p.cis[0], "serial_number")[0]
	p.insert("cmdb_ci_linux_server", thing{"name": "crane-merge", "serial_number": serial, "os": "Linux"})
	code, res, errs := p.start()
	require.Zero(t, code, errs)
	p.eventually("all but the one that is known are new assets", func() error {
		if n := len(p.search()); n != p.before+int(res.Created)-1 {
			return fmt.Errorf("%d assets, %d before, %d published", n, p.before, res.Created)
		}
		return nil
	})
	code, back := p.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, res.Created-1, back.Filtered, "what sensors of Qualys know is no echo: %+v", back.Counters)
}

func TestMachinesWaitForApproval(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, "    approval: manual\n")
	code, res, errs := p.start()
	require.Zero(t, code, errs)
	require.Positive(t, res.Pending, "%+v", res.Counters)
	require.Len(t, p.search(), p.before)
	var list contract.StagedList
	_, out, _ := p.cli("staged", "list", "--schedule", "unseen", "-o", "json")
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	code, text, errs := p.cli("staged", "approve", "--schedule", "unseen", "--all", "--snapshot", fmt.Sprint(list.Snapshot), "--by", "ann")
	require.Zero(t, code, "%s%s", text, errs)
	p.eventually("they are assets", func() error {
		if n := len(p.search()); n != p.before+int(res.Pending) {
			return fmt.Errorf("%d assets, %d before", n, p.before)
		}
		return nil
	})
}

func TestMachinesArePublishedOnceWhateverBreaks(t *testing.T) {
	t.Parallel()
	for _, at := range []crash.Point{crash.AfterIntent, crash.AfterPost, crash.AfterSettle} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			p := newPublishing(t, "")
			p.faults(p.sims.Qualys.APIURL, "on connector.sync share 30% do drop_after_commit; on search.asset share 10% do status(503)")
			p.doom(string(at) + "=kill")
			code, out, errs := p.cli("run", "start", "unseen")
			require.Zero(t, code, "%s%s", out, errs)
			p.perished()
			p.startWorker()
			code, out, errs = p.cli("run", "watch", "unseen")
			require.Zero(t, code, "%s%s", out, errs)
			p.faults(p.sims.Qualys.APIURL, "")
			code, res, _ := p.start()
			require.Zero(t, code)
			require.Zero(t, res.Written(), "%+v", res.Counters)
			p.eventually("they are assets", func() error {
				if n := len(p.search()); n != p.before+int(res.Unchanged) {
					return fmt.Errorf("%d assets, %d before, %d published", n, p.before, res.Unchanged)
				}
				return nil
			})
		})
	}
}

func TestWithoutTheSwitchNothingIsPublished(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, "")
	user, err := json.Marshal(thing{"username": p.sims.Qualys.Username, "without": []string{"cmdb-sync"}})
	require.NoError(t, err)
	res, err := http.Post(p.sims.Qualys.APIURL+"/_sim/users", "application/json", strings.NewReader(string(user)))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	p.stopWorker(syscall.SIGTERM) // a new login has the new rights
	p.startWorker()
	code, out, errs := p.cli("run", "start", "unseen", "--wait")
	require.Equal(t, cli.ExitFailed, code, "%s%s", out, errs)
	require.Contains(t, out+errs, "CMDB Sync")
	require.Len(t, p.search(), p.before)
}
