package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/record"
)

func approvals() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"records wait for a person and are found by filter":           waitingRecords,
		"a decision covers what was shown, once":                      decisions,
		"a record keeps its state until its payload changes":          keptStates,
		"approved records are claimed, and again when their run died": claimApproved,
		"a plan that moved waits again, under no earlier decision":    movedPlans,
		"nobody decides for ever":                                     expiry,
		"the decision log is a chain":                                 auditLog,
		"random histories of decisions agree with a model":            decisionHistory,
	}
}

// held stages records for a person, with a plan each.
func held(t *testing.T, s store.Store, run string, records ...store.Staging) *opened {
	t.Helper()
	o := open(t, s, store.OpenRun{ID: run, WorkflowID: "sync/servers", Schedule: "servers", Source: "corp", Target: "prod", Direction: "qualys-to-servicenow", RulesDigest: "r", Full: true, ResumeWithin: time.Hour})
	p, err := s.StagePage(ctx, store.StagePage{Run: run, Epoch: o.Epoch, Enumeration: o.Enumeration, CursorOut: 9, Last: true, ServerDate: serverDate, Hold: true, Records: records})
	require.NoError(t, err)
	rows, err := s.Staged(ctx, run, p.ID)
	require.NoError(t, err)
	w := store.Writer{Run: run, Epoch: o.Epoch, Page: p.ID}
	var list []store.Planned
	for _, r := range rows {
		list = append(list, planOf(r.Key, r.PayloadDigest))
	}
	require.NoError(t, s.HoldStaged(ctx, w, list, false))
	o.finish(p)
	return o
}

func planOf(key, payload string) store.Planned {
	p := &approval.Plan{Operation: approval.Create, To: "cmdb_ci_server", Changes: []approval.Change{{Column: "name", New: key}, {Column: "os_version", New: "1"}}}
	if key == "corp/2" {
		p.Operation, p.SysID, p.From, p.To = approval.Update, "s2", "cmdb_ci_computer", "cmdb_ci_computer"
		p.Changes = p.Changes[1:]
	}
	return store.Planned{Key: key, Plan: p, Digest: p.Digest(payload), Rule: "rule-" + key}
}

func list(t *testing.T, s store.Store, f store.StagedFilter) (keys []string, out store.StagedList) {
	t.Helper()
	f.Schedule = "servers"
	out, err := s.ListStaged(ctx, f)
	require.NoError(t, err)
	for _, r := range out.Rows {
		keys = append(keys, r.Key)
	}
	return keys, out
}

func decide(t *testing.T, s store.Store, id, verdict string, snapshot int64, sel approval.Selector) store.Receipt {
	t.Helper()
	r, err := s.Decide(ctx, store.Decide{Schedule: "servers", Decision: approval.Decision{ID: id, Verdict: verdict, Selector: sel, Snapshot: snapshot, By: "ann", Reason: "because"}, Identity: "cli", UpdateID: id})
	require.NoError(t, err)
	return r
}

var everything = approval.Selector{All: true}

func waitingRecords(t *testing.T, s store.Store) {
	run := held(t, s, "run-1", rec("corp/1"), rec("corp/2"), rec("branch/3"))
	require.EqualValues(t, 3, run.close(store.RunCompleted, true).Counters.Pending)
	for name, c := range map[string]struct {
		f    store.StagedFilter
		want []string
	}{
		"all":       {store.StagedFilter{}, []string{"branch/3", "corp/1", "corp/2"}},
		"pending":   {store.StagedFilter{States: []record.State{record.StatePending}}, []string{"branch/3", "corp/1", "corp/2"}},
		"held":      {store.StagedFilter{States: []record.State{record.StateHeld}}, nil},
		"class":     {store.StagedFilter{Filter: approval.Filter{Class: "cmdb_ci_computer"}}, []string{"corp/2"}},
		"operation": {store.StagedFilter{Filter: approval.Filter{Operation: "create"}}, []string{"branch/3", "corp/1"}},
		"column":    {store.StagedFilter{Filter: approval.Filter{Column: "name"}}, []string{"branch/3", "corp/1"}},
		"no column": {store.StagedFilter{Filter: approval.Filter{Column: "os%version"}}, nil},
		"part":      {store.StagedFilter{Filter: approval.Filter{Column: "os_versio"}}, nil},
		"rule":      {store.StagedFilter{Filter: approval.Filter{Rule: "rule-corp/1"}}, []string{"corp/1"}},
		"source":    {store.StagedFilter{Filter: approval.Filter{Source: "corp"}}, []string{"corp/1", "corp/2"}},
		"no source": {store.StagedFilter{Filter: approval.Filter{Source: "cor_"}}, nil},
		"keys":      {store.StagedFilter{Keys: []string{"corp/2", "x"}}, []string{"corp/2"}},
		"after":     {store.StagedFilter{After: "corp/1"}, []string{"corp/2"}},
		"limit":     {store.StagedFilter{Limit: 1}, []string{"branch/3"}},
	} {
		keys, out := list(t, s, c.f)
		require.Equal(t, c.want, keys, name)
		require.EqualValues(t, 3, out.Snapshot)
	}
	_, out := list(t, s, store.StagedFilter{Keys: []string{"corp/2"}, Plans: true})
	require.Equal(t, []string{"os_version"}, out.Rows[0].Columns)
	require.Contains(t, string(out.Rows[0].Plan), `"operation":"update"`)
	states, oldest, err := s.Waiting(ctx, "servers")
	require.NoError(t, err)
	require.EqualValues(t, 3, states[record.StatePending])
	require.False(t, oldest.IsZero())
}

func decisions(t *testing.T, s store.Store) {
	held(t, s, "run-1", rec("corp/1"), rec("corp/2")).close(store.RunCompleted, true)
	_, shown := list(t, s, store.StagedFilter{})
	held(t, s, "run-2", changed("corp/1"), rec("corp/2"), rec("corp/3")).close(store.RunCompleted, true)
	r := decide(t, s, "d1", approval.Approve, shown.Snapshot, everything)
	require.Equal(t, store.Receipt{Decision: "d1", Matched: 3, Decided: 1, ChangedSince: 2}, r)
	require.Equal(t, r, decide(t, s, "d1", approval.Reject, 99, everything), "the same id is the same decision")
	keys, out := list(t, s, store.StagedFilter{States: []record.State{record.StateApproved}})
	require.Equal(t, []string{"corp/2"}, keys)
	require.Equal(t, "d1", out.Rows[0].Decision)
	r = decide(t, s, "d2", approval.Reject, 99, approval.Selector{IDs: []string{"corp/1", "corp/2"}})
	require.EqualValues(t, 1, r.Decided, "what is approved is approved")
	_, out = list(t, s, store.StagedFilter{States: []record.State{record.StateRejected}})
	require.Equal(t, "because", out.Rows[0].Reason)
	about, err := s.DecisionsAbout(ctx, "servers", "corp/2", 9)
	require.NoError(t, err)
	require.Len(t, about, 1)
	require.EqualValues(t, 2, about[0].Version, "its payload is the same since the first run")
	require.Contains(t, about[0].Entry, `"decision":"d1"`)
	require.EqualValues(t, 1, decide(t, s, "d3", approval.Hold, 99, approval.Selector{Filter: "operation=create"}).Decided)
	require.EqualValues(t, 1, decide(t, s, "d4", approval.Approve, 99, everything).Decided, "what is held can be approved")
	require.Zero(t, decide(t, s, "d5", approval.Retry, 99, everything).Decided)
}

func keptStates(t *testing.T, s store.Store) {
	held(t, s, "run-1", rec("corp/1"), rec("corp/2"), rec("corp/3")).close(store.RunCompleted, true)
	decide(t, s, "d1", approval.Reject, 99, approval.Selector{IDs: []string{"corp/2"}})
	decide(t, s, "d2", approval.Hold, 99, approval.Selector{IDs: []string{"corp/3"}})
	_, before := list(t, s, store.StagedFilter{})
	r := held(t, s, "run-2", rec("corp/1"), rec("corp/2"), rec("corp/3")).close(store.RunCompleted, true)
	require.EqualValues(t, 2, r.Counters.Pending)
	require.EqualValues(t, 1, r.Counters.Rejected)
	_, after := list(t, s, store.StagedFilter{})
	require.Equal(t, before.Rows, after.Rows, "neither version nor state moves")
	r = held(t, s, "run-3", changed("corp/2"), changed("corp/3")).close(store.RunCompleted, true)
	require.EqualValues(t, 2, r.Counters.Pending)
	keys, _ := list(t, s, store.StagedFilter{States: []record.State{record.StatePending}})
	require.Equal(t, []string{"corp/1", "corp/2", "corp/3"}, keys, "another payload wants another decision")
}

// approvalRun opens a run that writes what was approved.
func approvalRun(t *testing.T, s store.Store, id string) store.OpenedRun {
	t.Helper()
	in := store.OpenRun{ID: id, WorkflowID: "approval/servers", Schedule: "servers", Source: "corp", Target: "prod"}
	o, err := s.OpenApproval(ctx, in)
	var lease *store.LeaseHeldError
	if errors.As(err, &lease) {
		in.TakeOver = lease.Epoch
		o, err = s.OpenApproval(ctx, in)
	}
	require.NoError(t, err)
	return o
}

func claimApproved(t *testing.T, s store.Store) {
	sync := held(t, s, "run-1", rec("corp/1"), rec("corp/2"), rec("corp/3"), rec("corp/4")) // goes on beside the writing
	decide(t, s, "d1", approval.Approve, 99, approval.Selector{IDs: []string{"corp/1", "corp/2", "corp/3"}})
	first := approvalRun(t, s, "approved-1")
	page, err := s.ClaimApproved(ctx, "approved-1", first.Epoch, 2)
	require.NoError(t, err)
	require.EqualValues(t, 2, page.ToWrite)
	again, err := s.ClaimApproved(ctx, "approved-1", first.Epoch, 2)
	require.NoError(t, err)
	require.Equal(t, page.ID, again.ID, "an answer that was lost")
	second := approvalRun(t, s, "approved-2") // the first died
	_, err = s.ClaimApproved(ctx, "approved-1", first.Epoch, 2)
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	status, err := s.DecisionStatus(ctx, "servers", "d1")
	require.NoError(t, err)
	require.EqualValues(t, 3, status.Waiting)
	var written []string
	for {
		page, err := s.ClaimApproved(ctx, "approved-2", second.Epoch, 2)
		if err != nil {
			require.ErrorIs(t, err, store.ErrNotFound)
			break
		}
		rows, err := s.Staged(ctx, "approved-2", page.ID)
		require.NoError(t, err)
		var out []store.Settlement
		for _, r := range rows {
			written = append(written, r.Key)
			st := store.Settlement{Key: r.Key, Outcome: record.Created, Digest: r.PayloadDigest, Fresh: true}
			if r.Key == "corp/3" {
				st.Outcome, st.Digest, st.Reason = record.Failed, "", "IRE said no"
			}
			out = append(out, st)
		}
		require.NoError(t, s.Settle(ctx, store.Writer{Run: "approved-2", Epoch: second.Epoch, Page: page.ID}, out))
		_, err = s.FinishPage(ctx, "approved-2", second.Epoch, page.ID)
		require.NoError(t, err)
	}
	slices.Sort(written)
	require.Equal(t, []string{"corp/1", "corp/2", "corp/3"}, written)
	run, err := s.CloseRun(ctx, store.CloseRun{ID: "approved-2", Epoch: second.Epoch, Status: store.RunCompleted})
	require.NoError(t, err)
	require.EqualValues(t, 2, run.Counters.Created)
	status, err = s.DecisionStatus(ctx, "servers", "d1")
	require.NoError(t, err)
	require.Equal(t, []int64{0, 2, 1}, []int64{status.Waiting, status.Written, status.Failed})
	require.EqualValues(t, 4, sync.close(store.RunCompleted, true).Counters.Pending, "the outcomes of the run that staged them are frozen")

	r := held(t, s, "run-2", rec("corp/1"), rec("corp/3"), rec("corp/4")).close(store.RunCompleted, true)
	require.EqualValues(t, 1, r.Counters.Unchanged)
	require.EqualValues(t, 1, r.Counters.Failed, "it waits in the failed list")
	require.EqualValues(t, 1, r.Counters.Pending)
	require.EqualValues(t, 1, decide(t, s, "d2", approval.Retry, 99, everything).Decided)
}

func movedPlans(t *testing.T, s store.Store) {
	held(t, s, "run-1", rec("corp/1")).close(store.RunCompleted, true)
	decide(t, s, "d1", approval.Approve, 99, everything)
	o := approvalRun(t, s, "approved-1")
	page, err := s.ClaimApproved(ctx, "approved-1", o.Epoch, 9)
	require.NoError(t, err)
	p := planOf("corp/1", "d-corp/1")
	digests, err := s.PlanDigests(ctx, "servers", "prod", []string{"corp/1"})
	require.NoError(t, err)
	require.Equal(t, p.Digest, digests["corp/1"])
	p.Plan.Changes = p.Plan.Changes[:1]
	p.Digest = p.Plan.Digest("d-corp/1")
	p.Approve = true // a rule lets nothing pass that was shown otherwise
	require.NoError(t, s.HoldStaged(ctx, store.Writer{Run: "approved-1", Epoch: o.Epoch, Page: page.ID}, []store.Planned{p}, true))
	_, err = s.FinishPage(ctx, "approved-1", o.Epoch, page.ID)
	require.NoError(t, err)
	keys, out := list(t, s, store.StagedFilter{States: []record.State{record.StatePending}})
	require.Equal(t, []string{"corp/1"}, keys)
	require.Empty(t, out.Rows[0].Decision)
	require.EqualValues(t, 2, out.Rows[0].Version)
	require.Zero(t, decide(t, s, "d2", approval.Approve, 1, everything).Decided)
	status, err := s.DecisionStatus(ctx, "servers", "d1")
	require.NoError(t, err)
	require.Equal(t, []int64{0, 0, 1}, []int64{status.Waiting, status.Written, status.Moved})
}

func expiry(t *testing.T, s store.Store) {
	held(t, s, "run-1", rec("corp/1"), rec("corp/2")).close(store.RunCompleted, true)
	decide(t, s, "d1", approval.Approve, 99, approval.Selector{IDs: []string{"corp/2"}})
	r, err := s.Expire(ctx, "servers", time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, r.Decided)
	r, err = s.Expire(ctx, "servers", time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Decided, "what is approved does not expire")
	require.Zero(t, decide(t, s, "d2", approval.Approve, 99, everything).Decided)
	require.EqualValues(t, 1, held(t, s, "run-2", rec("corp/1")).close(store.RunCompleted, true).Counters.Pending, "it comes back with its asset")
	entries, problems, err := s.VerifyLog(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 3, entries)
	require.Empty(t, problems)
}

func auditLog(t *testing.T, s store.Store) {
	for i := range 5 {
		held(t, s, fmt.Sprint("run-", i), rec(fmt.Sprint("corp/", i))).close(store.RunCompleted, true)
		decide(t, s, fmt.Sprint("d", i), approval.Hold, 99, everything)
	}
	lines, err := s.DecisionLog(ctx, "servers", 2, 2)
	require.NoError(t, err)
	require.Len(t, lines, 2)
	require.EqualValues(t, 3, lines[0].N)
	require.Contains(t, lines[0].Entry, `"by":"ann"`)
	entries, problems, err := s.VerifyLog(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 5, entries)
	require.Empty(t, problems)
}
