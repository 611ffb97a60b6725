package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/record"
)

// decisionHistory runs random histories of one schedule whose records wait for
// people, against a model: runs that stage and die, decisions about old and new
// snapshots, the same decision twice, approvals that write, die and are taken
// over, plans that move, waits that end. It checks that
//
//   - every record is in exactly one state, with the decision that gave it;
//   - nothing is written but what a decision, or a rule, covers as it was shown;
//   - nothing that was written is written again before it changes or is retried;
//   - a decision tells what became of each record that it covers;
//   - the log of decisions is whole.
func decisionHistory(t *testing.T, s store.Store) {
	var n atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		m := &deciders{T: rt, s: s, name: fmt.Sprintf("d%d", n.Add(1)), records: map[string]*waiter{}, decided: map[string]*decisionMade{}}
		rt.Repeat(map[string]func(*rapid.T){
			"sync":           m.with(m.sync),
			"sync again":     m.with(m.sync),
			"decide":         m.with(m.decide),
			"approve":        m.with(m.approveAll),
			"decide twice":   m.with(m.decideTwice),
			"expire":         m.with(m.expire),
			"open approval":  m.with(m.openApproval),
			"claim":          m.with(m.claim),
			"write":          m.with(m.write),
			"write on":       m.with(m.write),
			"close approval": m.with(m.closeApproval),
			"":               m.with(m.check),
		})
	})
}

// deciders performs the steps. All histories share one store.
type deciders struct {
	*rapid.T
	s       store.Store
	name    string
	runs    int
	epoch   int64                    // of the sync run that died
	dead    string                   // the sync run that died
	records map[string]*waiter       // by key
	decided map[string]*decisionMade // by id
	open    *approvalModel
	log     int64
}

// waiter is a record.
type waiter struct {
	payload, plan string
	op            string
	version       int64
	state         record.State
	decision      string // that gave the state; "" nobody
	byRule        bool
	run           string
	written       string // payload that was written last and is in the target
}

// decisionMade is a decision and what it covered.
type decisionMade struct {
	store.Decide
	receipt store.Receipt
	covers  map[string]waiter
	outcome map[string]string
}

// approvalModel is a run that writes, and the records of its open page.
type approvalModel struct {
	id      string
	epoch   int64
	page    int64
	claimed map[string]string // payload by key
	settled map[string]bool   // has an outcome
}

func (m *deciders) with(step func()) func(*rapid.T) {
	return func(t *rapid.T) {
		m.T = t
		step()
	}
}

func (m *deciders) chance(percent int, what string) bool {
	return rapid.IntRange(1, 100).Draw(m.T, what) > 100-percent
}

func (m *deciders) nextRun() string {
	m.runs++
	return fmt.Sprintf("%s-%d", m.name, m.runs)
}

// sync stages a page and gives what waits its plan; or dies before or after that,
// and is adopted by the next.
func (m *deciders) sync() {
	id := m.nextRun()
	o, err := m.s.OpenRun(ctx, store.OpenRun{ID: id, WorkflowID: "sync/" + m.name, Schedule: m.name, Source: "corp", Target: "prod", Direction: "qualys-to-servicenow",
		RulesDigest: "r", Full: true, ResumeWithin: time.Hour, TakeOver: m.epoch})
	require.NoError(m, err)
	var page store.Page
	if m.dead != "" {
		page, err = m.s.FindPage(ctx, id, o.Epoch, o.Enumeration, 0)
	} else {
		page, err = m.s.StagePage(ctx, store.StagePage{Run: id, Epoch: o.Epoch, Enumeration: o.Enumeration, CursorOut: 9, Last: true, ServerDate: serverDate, Hold: true, Records: m.draw(id)})
	}
	require.NoError(m, err)
	m.dead, m.epoch = "", 0
	if m.chance(15, "die before plans") {
		m.dead, m.epoch = id, o.Epoch
		return
	}
	rows, err := m.s.Staged(ctx, id, page.ID)
	require.NoError(m, err)
	var plans []store.Planned
	for _, r := range rows {
		w := m.records[r.Key]
		require.Equal(m, record.StateStaged, w.state, r.Key)
		require.Equal(m, w.payload, r.PayloadDigest)
		p := m.plan(r.Key, r.PayloadDigest)
		w.plan, w.op, w.version, w.decision, w.run = p.Digest, p.Plan.Operation, r.Version, "", id
		w.state, w.byRule = record.StatePending, p.Approve
		if p.Approve {
			w.state = record.StateApproved
		}
		plans = append(plans, p)
	}
	require.NoError(m, m.s.HoldStaged(ctx, store.Writer{Run: id, Epoch: o.Epoch, Page: page.ID}, plans, false))
	if m.chance(15, "die after plans") {
		m.dead, m.epoch = id, o.Epoch
		return
	}
	_, err = m.s.FinishPage(ctx, id, o.Epoch, page.ID)
	require.NoError(m, err)
	_, err = m.s.CloseRun(ctx, store.CloseRun{ID: id, Epoch: o.Epoch, Status: store.RunCompleted, Complete: true})
	require.NoError(m, err)
}

func (m *deciders) plan(key, payload string) store.Planned {
	p := &approval.Plan{Operation: approval.Create, To: "cmdb_ci_server", Changes: []approval.Change{{Column: "name", New: key}}}
	if m.chance(40, "update") {
		p.Operation, p.SysID = approval.Update, "s-"+key
	}
	return store.Planned{Key: key, Plan: p, Digest: p.Digest(payload), Approve: m.chance(10, "by rule")}
}

// draw returns the records of a page, and stages them in the model.
func (m *deciders) draw(run string) []store.Staging {
	var out []store.Staging
	for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(1, 5), 1, 5, func(i int) int { return i }).Draw(m.T, "records") {
		r := rec(fmt.Sprintf("%s/%d", m.name, k))
		r.PayloadDigest = rapid.SampledFrom([]string{"a", "b"}).Draw(m.T, "payload")
		out = append(out, r)
		w := m.records[r.Key]
		if w == nil {
			w = &waiter{}
			m.records[r.Key] = w
		}
		if w.payload == r.PayloadDigest {
			switch w.state {
			case record.StateDone:
				if w.written == w.payload {
					w.run = run
					continue
				}
			case record.StateStaged: // it is being written
				if m.writing(r.Key) {
					continue
				}
			case record.StateExpired, "": // comes back with its asset
			default:
				w.run = run
				continue
			}
		}
		w.payload, w.state, w.run, w.decision = r.PayloadDigest, record.StateStaged, run, ""
	}
	return out
}

// writing says whether an approval holds a record.
func (m *deciders) writing(key string) bool {
	return m.open != nil && m.open.claimed[key] != "" && m.records[key].run == m.open.id && m.records[key].state == record.StateStaged
}

func (m *deciders) snapshot() int64 {
	out, err := m.s.ListStaged(ctx, store.StagedFilter{Schedule: m.name, Limit: 1})
	require.NoError(m, err)
	return out.Snapshot
}

func (m *deciders) decide() {
	in := store.Decide{Schedule: m.name, Decision: approval.Decision{Verdict: rapid.SampledFrom(approval.Verdicts()).Draw(m.T, "verdict"), By: "ann", Reason: "because"}}
	in.Snapshot = m.snapshot()
	if m.chance(30, "old snapshot") {
		in.Snapshot = rapid.Int64Range(0, in.Snapshot).Draw(m.T, "snapshot")
	}
	switch rapid.IntRange(0, 2).Draw(m.T, "selector") {
	case 0:
		in.All = true
	case 1:
		in.Filter = "operation=" + rapid.SampledFrom([]string{approval.Create, approval.Update}).Draw(m.T, "operation")
	default:
		for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(1, 6), 1, 3, func(i int) int { return i }).Draw(m.T, "ids") {
			in.IDs = append(in.IDs, fmt.Sprintf("%s/%d", m.name, k))
		}
	}
	m.doDecide(in)
}

func (m *deciders) approveAll() {
	m.doDecide(store.Decide{Schedule: m.name, Decision: approval.Decision{Verdict: approval.Approve, By: "bob", Selector: everything, Snapshot: m.snapshot()}})
}

func (m *deciders) doDecide(in store.Decide) {
	in.ID = fmt.Sprintf("d%d", len(m.decided))
	from, to := statesOf(in.Verdict)
	made := &decisionMade{Decide: in, receipt: store.Receipt{Decision: in.ID}, covers: map[string]waiter{}, outcome: map[string]string{}}
	m.decided[in.ID] = made
	for key, w := range m.records {
		named := in.All || slices.Contains(in.IDs, key) || in.Filter != "" && in.Filter == "operation="+w.op
		if !named || !slices.Contains(from, w.state) {
			continue
		}
		made.receipt.Matched++
		if w.version > in.Snapshot {
			made.receipt.ChangedSince++
			continue
		}
		made.receipt.Decided++
		w.state, w.decision, w.byRule = to, in.ID, false
		made.covers[key] = *w
	}
	got, err := m.s.Decide(ctx, in)
	require.NoError(m, err)
	require.Equal(m, made.receipt, got)
	m.log++
}

func statesOf(verdict string) (from []record.State, to record.State) {
	switch verdict {
	case approval.Approve:
		return []record.State{record.StatePending, record.StateHeld}, record.StateApproved
	case approval.Reject:
		return []record.State{record.StatePending, record.StateHeld}, record.StateRejected
	case approval.Hold:
		return []record.State{record.StatePending}, record.StateHeld
	default:
		return []record.State{record.StateFailed}, record.StateApproved
	}
}

// decideTwice sends a decision again, as a client does that got no answer.
func (m *deciders) decideTwice() {
	if len(m.decided) == 0 {
		m.Skip("nothing was decided")
	}
	d := m.decided[fmt.Sprintf("d%d", rapid.IntRange(0, len(m.decided)-1).Draw(m.T, "which"))]
	got, err := m.s.Decide(ctx, d.Decide)
	require.NoError(m, err)
	require.Equal(m, d.receipt, got)
}

func (m *deciders) expire() {
	before := time.Now().Add(-time.Hour)
	var want int64
	if m.chance(50, "now") {
		before = before.Add(2 * time.Hour)
		for _, w := range m.records {
			if w.state == record.StatePending || w.state == record.StateHeld {
				want++
				w.state, w.decision = record.StateExpired, "expire-"+before.UTC().Format(time.RFC3339Nano)
			}
		}
	}
	got, err := m.s.Expire(ctx, m.name, before)
	require.NoError(m, err)
	require.Equal(m, want, got.Decided)
	if want > 0 {
		m.log++
	}
}

// openApproval opens a run that writes; one that is open has died.
func (m *deciders) openApproval() {
	in := store.OpenRun{ID: m.nextRun(), WorkflowID: "approval/" + m.name, Schedule: m.name, Source: "corp", Target: "prod"}
	dead := m.open
	if dead != nil {
		_, err := m.s.OpenApproval(ctx, in)
		var held *store.LeaseHeldError
		require.ErrorAs(m, err, &held)
		in.TakeOver = held.Epoch
		m.release()
	}
	o, err := m.s.OpenApproval(ctx, in)
	require.NoError(m, err)
	m.open = &approvalModel{id: in.ID, epoch: o.Epoch, settled: map[string]bool{}}
	if dead != nil {
		_, err := m.s.ClaimApproved(ctx, dead.id, dead.epoch, 9)
		require.ErrorIs(m, err, store.ErrStaleEpoch)
	}
}

// release makes what an approval claimed and did not write wait for the next.
func (m *deciders) release() {
	for key := range m.open.claimed {
		if m.writing(key) {
			m.records[key].state = record.StateApproved
		}
	}
	m.open = nil
}

func (m *deciders) claim() {
	if m.open == nil {
		m.Skip("no approval is open")
	}
	page, err := m.s.ClaimApproved(ctx, m.open.id, m.open.epoch, 2)
	if m.open.claimed != nil { // the answer was lost
		require.NoError(m, err)
		require.Equal(m, m.open.page, page.ID)
		return
	}
	var want []string
	for _, key := range slices.Sorted(maps.Keys(m.records)) {
		if w := m.records[key]; w.state == record.StateApproved && !m.open.settled[key] && len(want) < 2 {
			want = append(want, key)
		}
	}
	if len(want) == 0 {
		require.ErrorIs(m, err, store.ErrNotFound)
		return
	}
	require.NoError(m, err)
	require.EqualValues(m, len(want), page.ToWrite)
	m.open.page, m.open.claimed = page.ID, map[string]string{}
	for _, key := range want {
		w := m.records[key]
		w.state, w.run = record.StateStaged, m.open.id
		m.open.claimed[key] = w.payload
	}
}

// write writes the open page, or a part of it before it dies.
func (m *deciders) write() {
	if m.open == nil || m.open.claimed == nil {
		m.Skip("nothing is claimed")
	}
	by := store.Writer{Run: m.open.id, Epoch: m.open.epoch, Page: m.open.page}
	rows, err := m.s.Staged(ctx, by.Run, by.Page)
	require.NoError(m, err)
	for _, r := range rows {
		require.True(m, m.writing(r.Key), "%s is not ours", r.Key)
		m.writeOne(by, r)
	}
	if m.chance(20, "die before the page is finished") {
		return
	}
	_, err = m.s.FinishPage(ctx, by.Run, by.Epoch, by.Page)
	require.NoError(m, err)
	m.open.claimed = nil
}

func (m *deciders) writeOne(by store.Writer, r store.Record) {
	w := m.records[r.Key]
	d := m.decided[w.decision]
	if !w.byRule {
		require.NotNil(m, d, "%s: nobody approved it", r.Key)
		was := d.covers[r.Key]
		require.Equal(m, []string{was.payload, was.plan}, []string{r.PayloadDigest, w.plan}, "%s: not what was shown", r.Key)
		require.LessOrEqual(m, r.Version, d.Snapshot)
	}
	note := func(o record.Outcome) {
		if d != nil {
			d.outcome[r.Key] = string(o)
		}
	}
	m.open.settled[r.Key] = true
	what := rapid.SampledFrom([]string{"write", "write", "fail", "move"}).Draw(m.T, "what")
	if what == "move" {
		p := m.plan(r.Key, r.PayloadDigest)
		before := m.snapshot()
		require.NoError(m, m.s.HoldStaged(ctx, by, []store.Planned{p}, true))
		w.state, w.plan, w.op, w.byRule, w.decision = record.StatePending, p.Digest, p.Plan.Operation, false, ""
		w.version = before + 1
		note(record.Pending)
		return
	}
	st := store.Settlement{Key: r.Key, Outcome: record.Created, Digest: r.PayloadDigest, Fresh: true}
	w.state, w.written = record.StateDone, r.PayloadDigest
	if what == "fail" {
		st.Outcome, st.Digest, st.Reason = record.Failed, "", "IRE said no"
		w.state, w.written = record.StateFailed, ""
	}
	_, err := m.s.BeginPayload(ctx, by, []string{r.Key})
	require.NoError(m, err)
	require.NoError(m, m.s.Settle(ctx, by, []store.Settlement{st}))
	note(st.Outcome)
}

func (m *deciders) closeApproval() {
	if m.open == nil {
		m.Skip("no approval is open")
	}
	_, err := m.s.CloseRun(ctx, store.CloseRun{ID: m.open.id, Epoch: m.open.epoch, Status: store.RunCompleted})
	require.NoError(m, err)
	m.release()
}

// check compares everything with the model.
func (m *deciders) check() {
	out, err := m.s.ListStaged(ctx, store.StagedFilter{Schedule: m.name})
	require.NoError(m, err)
	got, want := map[string]string{}, map[string]string{}
	counts := map[record.State]int64{}
	for _, r := range out.Rows {
		got[r.Key] = fmt.Sprint(r.State, " ", r.Decision)
		if w := m.records[r.Key]; w != nil && r.State != record.StateStaged {
			require.Equal(m, w.version, r.Version, r.Key)
		}
	}
	for key, w := range m.records {
		want[key] = fmt.Sprint(w.state, " ", w.decision)
		if !slices.Contains([]record.State{record.StateStaged, record.StateDone}, w.state) {
			counts[w.state]++
		}
	}
	require.Equal(m, want, got)
	states, _, err := m.s.Waiting(ctx, m.name)
	require.NoError(m, err)
	require.Equal(m, counts, states)
	for id, d := range m.decided {
		m.checkDecision(id, d)
	}
	lines, err := m.s.DecisionLog(ctx, m.name, 0, 1000)
	require.NoError(m, err)
	require.Len(m, lines, int(m.log))
}

func (m *deciders) checkDecision(id string, d *decisionMade) {
	got, err := m.s.DecisionStatus(ctx, m.name, id)
	require.NoError(m, err)
	want := store.DecisionStatus{Receipt: d.receipt}
	for key := range d.covers {
		w := m.records[key]
		switch cmp.Or(d.outcome[key], "none") {
		case string(record.Created):
			want.Written++
		case string(record.Failed):
			want.Failed++
		case string(record.Pending):
			want.Moved++
		default:
			if w.decision == id && (w.state == record.StateApproved || w.state == record.StateStaged && m.writing(key)) {
				want.Waiting++
			}
		}
	}
	require.Equal(m, want, got, id)
}
