package e2e_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/qbridge/qbridge/workflows/contract"
)

// staged is how many assets TestManyStagedRecords stages. It logs its figures:
//
//	go test ./tests/e2e -run TestManyStagedRecords -staged 100000 -v -timeout 60m
var staged = flag.Int("staged", 800, "assets that TestManyStagedRecords stages")

// Half of the estate is approved by class, twenty records are refused, the rest is
// approved in one decision that outlives its worker and the Temporal server.
func TestManyStagedRecords(t *testing.T) {
	t.Parallel()
	n := *staged
	s := newStack(t, "--assets", fmt.Sprint(n), "--seed", "38")
	s.more = time.Duration(n) * 10 * time.Millisecond
	server := s.ownTemporal()
	s.manual("")
	timed := func(what string, fn func()) {
		began := time.Now()
		fn()
		t.Logf("%-44s %8.1f s", what, time.Since(began).Seconds())
	}
	var res contract.RunResult
	sync := func() {
		code := 0
		code, res = s.sync("--full")
		require.Zero(t, code)
	}
	posts := func() int { return s.calls(s.sims.ServiceNow.URL, irePath) }
	empty := s.digest()
	timed(fmt.Sprintf("%d assets staged and planned", n), sync)
	require.Equal(t, empty, s.digest(), "nothing is written before a decision")
	require.Zero(t, posts(), "not even a post")
	waiting := res.Pending
	require.Greater(t, waiting, int64(n)*8/10)

	var list, some contract.StagedList
	timed("a page of the list", func() { list = s.stagedList("--limit", "100") })
	require.Equal(t, waiting, list.Total)
	some = s.stagedList("--filter", "class=cmdb_ci_win_server", "--limit", "1")
	var d contract.DecisionView
	timed(fmt.Sprintf("%d approved by filter and written", some.Total), func() { d = s.decide("approve", list.Snapshot, "--filter", "class=cmdb_ci_win_server") })
	require.Equal(t, []int64{some.Total, some.Total, 0, 0}, []int64{d.Decided, d.Written, d.Failed, d.ChangedSince})
	require.Equal(t, waiting-some.Total, s.stagedList("--limit", "1").Total, "no other record moves")

	var refused []string
	for _, r := range s.stagedList("--limit", "20").Rows {
		refused = append(refused, r.Key)
	}
	d = s.decide("reject", list.Snapshot, "--reason", "not ours", "--id", strings.Join(refused, ","))
	require.EqualValues(t, 20, d.Decided)
	sync()
	require.EqualValues(t, []int64{20, some.Total, waiting - some.Total - 20}, []int64{res.Rejected, res.Unchanged, res.Pending})
	code, err := postForm(fmt.Sprintf("%s/_sim/mutate?k=%d", s.sims.Qualys.GatewayURL, n/2), "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, code)
	sync()
	require.Less(t, res.Rejected, int64(20), "what changed comes back")
	require.Positive(t, res.Rejected, "what did not change does not")

	list = s.stagedList("--limit", "1")
	waiting = list.Total
	before := posts()
	timed(fmt.Sprintf("decision about %d records", waiting), func() {
		d = s.decide("approve", list.Snapshot, "--all", "--no-wait", "--decision", "all")
	})
	require.Equal(t, waiting, d.Decided)
	timed("written, through kill -9 and a dead Temporal", func() {
		s.writing(before + 1)
		s.stopWorker(syscall.SIGKILL)
		s.startWorker()
		s.writing(before + 3)
		server.kill()
		server.up()
		s.dial().Close()
		timed("a decision meanwhile", func() { s.decide("hold", 1, "--all") })
		for deadline := time.Now().Add(time.Duration(n) * 20 * time.Millisecond); ; {
			// The same decision again only waits, at most as long as a command may take.
			code, out, errs := s.cli("staged", "approve", "--schedule", "inventory", "--snapshot", fmt.Sprint(list.Snapshot), "--by", "ann", "--all", "--decision", "all", "-o", "json")
			if code == 0 {
				require.NoError(t, json.Unmarshal([]byte(out), &d))
				break
			}
			require.True(t, time.Now().Before(deadline), "approved records are still not written: %s", errs)
		}
	})
	// What was written of one asset may move the plan of another.
	require.Equal(t, []int64{waiting, 0, 0}, []int64{d.Written + d.ChangedSince, d.Failed, d.Waiting}, "%+v", d)
	require.Less(t, d.ChangedSince, waiting/1000+2)
	left := s.stagedList("--limit", "1").Total
	wasRefused := res.Rejected
	timed("a run afterwards", sync)
	require.Equal(t, []int64{0, 0, 0, wasRefused}, []int64{res.Created, res.Updated, res.Failed, res.Rejected}, "%+v", res.Counters)
	require.LessOrEqual(t, res.Pending, left, "but for assets that turned out to be the same machine")
	s.logHistories(contract.ApprovalWorkflowID("inventory"))
	exit, text, errs := s.cli("audit", "verify")
	require.Zero(t, exit, text+errs)
}

// writing waits until ServiceNow has been posted to so often.
func (s *stack) writing(posts int) {
	s.t.Helper()
	s.eventually("approved records are written", func() error {
		if n := s.calls(s.sims.ServiceNow.URL, irePath); n < posts {
			return fmt.Errorf("%d of %d posts", n, posts)
		}
		return nil
	})
}

// suggested is the number of events from which a server of a test's own suggests to
// continue as new: a tenth of the usual, so that small runs cross it.
const suggested = 400

// logHistories checks that no run of a workflow has grown beyond what the server
// suggests, give or take a claim.
func (s *stack) logHistories(id string) {
	s.t.Helper()
	s.eventually("histories are listed", func() error {
		list, err := s.client.ListWorkflow(s.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: s.namespace, Query: fmt.Sprintf("WorkflowId = %q", id)})
		if err != nil || len(list.GetExecutions()) == 0 {
			return fmt.Errorf("%d runs: %w", len(list.GetExecutions()), err)
		}
		var lengths []string
		for _, e := range list.GetExecutions() {
			d, err := s.client.DescribeWorkflowExecution(s.t.Context(), id, e.GetExecution().GetRunId())
			if err != nil {
				return err
			}
			length := d.GetWorkflowExecutionInfo().GetHistoryLength()
			require.Less(s.t, length, int64(suggested+100))
			lengths = append(lengths, fmt.Sprint(length))
		}
		s.t.Logf("%s: events by run: %s", id, strings.Join(lengths, ", "))
		return nil
	})
}
