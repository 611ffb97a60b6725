package e2e_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	_ "modernc.org/sqlite" // driver "sqlite"

	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/workflows/contract"
)

// manual makes the schedule ask for approval.
func (s *stack) manual(lines string) {
	s.t.Helper()
	code, out := s.apply(strings.Replace(s.document(), "manual: true", "manual: true\n    approval: manual\n"+lines, 1))
	require.Zero(s.t, code, out)
}

func (s *stack) stagedList(args ...string) contract.StagedList {
	s.t.Helper()
	code, out, errs := s.cli(append([]string{"staged", "list", "--schedule", "inventory", "-o", "json"}, args...)...)
	require.Zero(s.t, code, errs)
	var list contract.StagedList
	require.NoError(s.t, json.Unmarshal([]byte(out), &list))
	return list
}

func (s *stack) decide(verdict string, snapshot int64, args ...string) contract.DecisionView {
	s.t.Helper()
	args = append([]string{"staged", verdict, "--schedule", "inventory", "--snapshot", strconv.FormatInt(snapshot, 10), "--by", "ann", "-o", "json"}, args...)
	code, out, errs := s.cli(args...)
	require.Zero(s.t, code, errs)
	var d contract.DecisionView
	require.NoError(s.t, json.Unmarshal([]byte(out), &d))
	return d
}

func TestStagedRecordsWaitForAPerson(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "600", "--seed", "31")
	s.manual("")
	empty := s.digest()
	code, res := s.sync("--full")
	require.Zero(t, code)
	require.Equal(t, empty, s.digest(), "nothing is written before a decision")
	require.Positive(t, res.Pending)
	require.Zero(t, res.Created+res.Updated)

	list := s.stagedList()
	require.EqualValues(t, res.Pending, list.Total)
	some := s.stagedList("--filter", "class=cmdb_ci_win_server operation=create")
	require.Positive(t, some.Total)
	require.Less(t, some.Total, list.Total)
	code, text, errs := s.cli("staged", "show", some.Rows[0].Key, "--schedule", "inventory")
	require.Zero(t, code, errs)
	require.Contains(t, text, "create cmdb_ci_win_server")
	require.Contains(t, text, "serial_number")

	approved := s.decide("approve", list.Snapshot, "--filter", "class=cmdb_ci_win_server", "--reason", "checked")
	require.Equal(t, some.Total, approved.Decided)
	require.Equal(t, some.Total, approved.Written, "%+v", approved)
	rejected := s.stagedList("--filter", "class=cmdb_ci_printer")
	s.decide("reject", list.Snapshot, "--filter", "class=cmdb_ci_printer", "--reason", "printers are kept elsewhere")

	written := s.digest()
	code, res = s.sync("--full")
	require.Zero(t, code+0)
	require.Equal(t, written, s.digest())
	require.Equal(t, rejected.Total, res.Rejected, "rejected ones come back only after their assets change: %+v", res.Counters)
	require.Equal(t, some.Total, res.Unchanged, "%+v", res.Counters)
	require.Equal(t, list.Total-some.Total-rejected.Total, res.Pending)

	again := s.decide("approve", s.stagedList().Snapshot, "--all")
	require.Equal(t, res.Pending, again.Written)
	require.Zero(t, s.stagedList().Total)
	code, text, errs = s.cli("audit", "verify")
	require.Zero(t, code, errs)
	require.Contains(t, text, "3 entries, 0 problems")
	code, text, errs = s.cli("audit", "log", "--schedule", "inventory")
	require.Zero(t, code, errs)
	require.Contains(t, text, "printers are kept elsewhere")
	code, text, errs = s.cli("asset", "show", some.Rows[0].Key)
	require.Zero(t, code, errs)
	require.Regexp(t, `approve +ann +checked +\d+ +created`, text)
	require.Contains(t, text, "by        rule ")
	code, text, errs = s.cli("asset", "show", rejected.Rows[0].Key)
	require.Zero(t, code, errs)
	require.Regexp(t, `reject +ann +printers are kept elsewhere`, text)
	s.replayAll()
}

func TestTheAuthorOfARevisionDoesNotApproveWhatItDoes(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "20", "--seed", "36")
	doc := strings.Replace(s.document(), "manual: true", "manual: true\n    approval: manual", 1) + "\nproperties: {fourEyes: true}\n"
	code, out := s.apply(doc)
	require.Zero(t, code, out)
	code, _ = s.sync("--full")
	require.Zero(t, code)
	snapshot := strconv.FormatInt(s.stagedList().Snapshot, 10)
	try := func(verdict, by string) (int, string) {
		code, _, errs := s.cli("staged", verdict, "--schedule", "inventory", "--snapshot", snapshot, "--by", by, "--reason", "r", "--all")
		return code, errs
	}
	code, errs := try("approve", "tester") // who applied
	require.NotZero(t, code)
	require.Contains(t, errs, "fourEyes")
	require.Zero(t, s.stagedList("--state", "approved").Total)
	code, errs = try("approve", "bob")
	require.Zero(t, code, errs)
	require.Zero(t, s.stagedList().Total)
}

func TestAWebhookTellsThatRecordsWait(t *testing.T) {
	t.Parallel()
	posted := make(chan string, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- r.URL.String() + " " + string(body)
	}))
	t.Cleanup(hook.Close)
	s := newStack(t, "--assets", "20", "--seed", "37")
	s.restart("QBRIDGE_SECRET_HOOK=" + hook.URL + "/services/token?x=1")
	doc := strings.Replace(s.document(), "manual: true", "manual: true\n    approval: manual\n    approvalReminder: 1s", 1) + "\nnotify: {webhook: \"${env:QBRIDGE_SECRET_HOOK}\"}\n"
	code, out := s.apply(doc)
	require.Zero(t, code, out)
	code, _ = s.sync("--full")
	require.Zero(t, code)
	got := <-posted
	require.Contains(t, got, "/services/token?x=1 ")
	require.Contains(t, got, `"event":"approval.waiting"`)
	require.Contains(t, got, fmt.Sprintf("%d records of schedule inventory wait", s.stagedList().Total))
	require.NotContains(t, s.histories(), "services/token")
}

func TestADecisionCoversOnlyWhatWasShown(t *testing.T) {
	t.Parallel()
	h := newHandmade(t, host(10011001, "one", "SER-111", nil), host(10011002, "two", "SER-112", nil), host(10011003, "three", "SER-113", nil))
	h.insert("cmdb_ci_linux_server", thing{"name": "three", "serial_number": "SER-113", "os": "old"})
	h.manual("")
	code, _ := h.sync("--full")
	require.Zero(t, code)
	list := h.stagedList()
	require.EqualValues(t, 3, list.Total)
	h.put(host(10011002, "two-renamed", "SER-112", nil))
	code, _ = h.sync("--full")
	require.Zero(t, code)
	// Somebody else changes the CI that the third matches: other columns would change.
	h.insert("cmdb_ci_linux_server", thing{"name": "bystander"})
	h.patch("cmdb_ci_linux_server", "serial_number=SER-113", thing{"os": "Ubuntu", "os_version": ""})
	d := h.decide("approve", list.Snapshot, "--all")
	require.EqualValues(t, 3, d.Matched)
	require.EqualValues(t, 2, d.Decided)
	require.EqualValues(t, 1, d.Written, "%+v", d)
	require.EqualValues(t, 2, d.ChangedSince, "a newer payload, and a plan that moved: %+v", d)
	require.Equal(t, []string{"bystander", "one", "three"}, h.rowsOf("cmdb_ci_linux_server", "", "name"))
	left := h.stagedList()
	require.EqualValues(t, 2, left.Total)
	d = h.decide("approve", left.Snapshot, "--all")
	require.EqualValues(t, 2, d.Written)
	require.Equal(t, []string{"bystander", "one", "three", "two-renamed"}, h.rowsOf("cmdb_ci_linux_server", "", "name"))
}

// patch changes rows as somebody else would.
func (h *handmade) patch(table, query string, values thing) {
	h.t.Helper()
	for _, id := range h.rowsOf(table, query, "sys_id") {
		h.send("PATCH", table+"/"+id, values)
	}
}

func TestRulesLetRecordsPass(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "300", "--seed", "32")
	s.manual("    autoApprove: {create: [cmdb_ci_linux_server]}\n    approvalBatch: 20\n")
	code, _ := s.sync("--full")
	require.Zero(t, code)
	s.eventually("the servers are written", func() error {
		if n := s.stagedList("--state", "approved").Total; n > 0 {
			return fmt.Errorf("%d are approved and not written", n)
		}
		return nil
	})
	var d struct {
		Classes map[string]int `json:"classes"`
	}
	s.get(s.sims.ServiceNow.URL+"/_sim/digest", &d)
	require.Positive(t, d.Classes["cmdb_ci_linux_server"])
	require.Zero(t, d.Classes["cmdb_ci_win_server"])
	require.Zero(t, s.stagedList("--filter", "class=cmdb_ci_linux_server operation=create").Total)
	require.Positive(t, s.stagedList("--filter", "class=cmdb_ci_win_server").Total)
}

func TestDecisionsSurviveKillsAndConflict(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "600", "--seed", "33")
	s.manual("    approvalBatch: 40\n")
	code, _ := s.sync("--full")
	require.Zero(t, code)
	list := s.stagedList("--limit", "1000")
	d := s.decide("approve", list.Snapshot, "--all", "--no-wait", "--decision", "first")
	require.Equal(t, list.Total, d.Decided)
	s.stopWorker(syscall.SIGKILL)
	s.startWorker()

	// The same decision again, and others that come too late, side by side.
	var wg sync.WaitGroup
	receipts := make([]contract.DecisionView, 4)
	for i := range receipts {
		wg.Add(1)
		go func() {
			defer wg.Done()
			args := []string{"--all", "--decision", "first"}
			verdict := "approve"
			if i%2 == 1 {
				verdict, args = "reject", []string{"--all", "--reason", "too late", "--decision", fmt.Sprint("late-", i)}
			}
			code, out, errs := s.cli(append([]string{"staged", verdict, "--schedule", "inventory", "--snapshot", fmt.Sprint(list.Snapshot), "--by", "bob", "-o", "json"}, args...)...)
			if code != 0 {
				t.Errorf("%s: %s", verdict, errs)
			}
			_ = json.Unmarshal([]byte(out), &receipts[i])
		}()
	}
	wg.Wait()
	for i, r := range receipts {
		if i%2 == 0 {
			require.Equal(t, list.Total, r.Decided, "the same id gives the same receipt")
		} else {
			require.Zero(t, r.Decided, "every record has its decision already: %+v", r)
		}
	}
	s.eventually("all is written", func() error {
		if n := s.stagedList("--state", "approved").Total; n > 0 {
			return fmt.Errorf("%d are approved and not written", n)
		}
		return nil
	})
	require.Zero(t, s.stagedList().Total)
	require.Zero(t, s.stagedList("--state", "rejected").Total)
	code, res := s.sync("--full")
	require.Zero(t, code)
	require.Equal(t, list.Total, res.Unchanged, "%+v", res.Counters)
	require.Zero(t, res.Pending+res.Rejected+res.Failed)
	undisturbed := newStack(t, "--assets", "600", "--seed", "33")
	undisturbed.mustApply()
	code, _ = undisturbed.sync("--full")
	require.Zero(t, code)
	require.Equal(t, undisturbed.digest(), s.digest(), "nothing is written twice, nothing is missing")
}

func TestAStormOfSignalsIsDrained(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "100", "--seed", "34")
	s.manual("")
	code, _ := s.sync("--full")
	require.Zero(t, code)
	list := s.stagedList("--limit", "1000")
	for i := range 1000 {
		d := approval.Decision{ID: fmt.Sprint("signal-", i%50), Verdict: approval.Approve, Selector: approval.Selector{IDs: []string{list.Rows[i%len(list.Rows)].Key}}, Snapshot: list.Snapshot, By: "script"}
		require.NoError(t, s.client.SignalWorkflow(t.Context(), contract.ApprovalWorkflowID("inventory"), "", contract.SignalDecide, d))
	}
	want := min(int64(50), list.Total)
	s.eventually("the decisions are written", func() error {
		if left := s.stagedList().Total; left > list.Total-want {
			return fmt.Errorf("%d of %d still wait", left, list.Total)
		}
		return nil
	})
	code, text, errs := s.cli("audit", "verify")
	require.Zero(t, code, errs)
	require.Contains(t, text, "50 entries, 0 problems")
}

func TestAChangedDecisionLogIsFound(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "60", "--seed", "35")
	s.manual("")
	code, _ := s.sync("--full")
	require.Zero(t, code)
	list := s.stagedList()
	for _, class := range []string{"cmdb_ci_win_server", "cmdb_ci_linux_server", "cmdb_ci_computer"} {
		s.decide("approve", list.Snapshot, "--filter", "class="+class)
	}
	s.stopWorker(syscall.SIGTERM)
	for name, change := range map[string]string{
		"who decided":             `UPDATE decisions SET entry = REPLACE(entry, '"by":"ann"', '"by":"bob"') WHERE n = 2`,
		"an entry is missing":     `DELETE FROM decisions WHERE n = 2`,
		"the last entry":          `DELETE FROM decisions WHERE n = 3`,
		"the last one, whole":     `DELETE FROM decisions WHERE n = 3; DELETE FROM decision_records WHERE decision NOT IN (SELECT id FROM decisions)`,
		"what was decided about":  `UPDATE decision_records SET version = version + 1 WHERE decision = (SELECT id FROM decisions WHERE n = 1)`,
		"a record that was added": `INSERT INTO decision_records (decision, schedule, target, kind, key, version, payload_digest, plan_digest) SELECT id, schedule, 'dev', 'asset', 'corp/1', 1, '', '' FROM decisions WHERE n = 1`,
	} {
		db, err := sql.Open("sqlite", filepath.Join(s.dir, "qbridge.db"))
		require.NoError(t, err)
		for _, q := range []string{"CREATE TABLE d2 AS SELECT * FROM decisions", "CREATE TABLE r2 AS SELECT * FROM decision_records", change} {
			_, err = db.Exec(q)
			require.NoError(t, err, name)
		}
		require.NoError(t, db.Close())
		s.startWorker()
		code, text, _ := s.cli("audit", "verify")
		require.Equal(t, 1, code, "%s: %s", name, text)
		require.Contains(t, text, "inventory", name)
		s.stopWorker(syscall.SIGTERM)
		db, err = sql.Open("sqlite", filepath.Join(s.dir, "qbridge.db"))
		require.NoError(t, err)
		for _, q := range []string{"DELETE FROM decisions", "INSERT INTO decisions SELECT * FROM d2", "DELETE FROM decision_records", "INSERT INTO decision_records SELECT * FROM r2", "DROP TABLE d2", "DROP TABLE r2"} {
			_, err = db.Exec(q)
			require.NoError(t, err, name)
		}
		require.NoError(t, db.Close())
	}
	s.startWorker()
	code, text, errs := s.cli("audit", "verify")
	require.Zero(t, code, "%s%s", text, errs)
}

func TestADecisionThatIsMadeWhileNoWorkerLivesIsCarriedOutLater(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "60", "--seed", "39")
	s.manual("")
	code, _ := s.sync("--full")
	require.Zero(t, code)
	list := s.stagedList("--limit", "1000")
	s.stopWorker(syscall.SIGKILL)
	id := contract.ApprovalWorkflowID("inventory")
	require.NoError(t, s.client.SignalWorkflow(t.Context(), id, "", contract.SignalDecide, approval.Decision{
		ID: "while-dead", Verdict: approval.Approve, Selector: approval.Selector{IDs: []string{list.Rows[0].Key, list.Rows[1].Key}}, Snapshot: list.Snapshot, By: "script",
	}))
	updated := make(chan error, 1)
	go func() { // an update waits for a worker
		h, err := s.client.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
			WorkflowID: id, UpdateName: contract.UpdateDecide, UpdateID: "u-dead", WaitForStage: client.WorkflowUpdateStageCompleted,
			Args: []any{approval.Decision{Verdict: approval.Reject, Selector: approval.Selector{IDs: []string{list.Rows[1].Key, list.Rows[2].Key}}, Snapshot: list.Snapshot, By: "ann", Reason: "no"}},
		})
		if err == nil {
			err = h.Get(t.Context(), nil)
		}
		updated <- err
	}()
	s.startWorker()
	require.NoError(t, <-updated)
	s.eventually("what was decided is done", func() error {
		if left := s.stagedList().Total; left != list.Total-3 || s.stagedList("--state", "approved").Total > 0 {
			return fmt.Errorf("%d of %d still wait", left, list.Total)
		}
		return nil
	})
	rejected := s.stagedList("--state", "rejected").Total
	require.Contains(t, []int64{1, 2}, rejected, "whichever came first, each record has one decision")
}
