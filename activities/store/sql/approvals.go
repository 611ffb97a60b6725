package sql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/record"
)

// directionApproval marks runs that write what was approved.
const directionApproval = "approval"

// approvalLease is the lease of a schedule's approval runs: one beside that of
// its inventory runs, which never wait for a person.
func approvalLease(schedule string) string { return "approval/" + schedule }

// HoldStaged implements store.Approvals.
func (s *Store) HoldStaged(ctx context.Context, w store.Writer, list []store.Planned, again bool) error {
	if len(list) == 0 {
		return nil
	}
	return s.inTx(ctx, "hold records", func(t *tx) error {
		schedule, target, err := t.writer(ctx, w)
		if err != nil {
			return err
		}
		st := &settler{tx: t, schedule: schedule, target: target, run: w.Run, page: w.Page}
		kinds, err := st.kinds(ctx, settlements(list))
		if err != nil {
			return err
		}
		var version int64
		if again {
			if version, err = t.next(ctx, "version/"+schedule, int64(len(list))); err != nil {
				return err
			}
		}
		var outcomes, plans []any
		var held []string
		for i := range list {
			p := &list[i]
			kind, ok := kinds[clean(p.Key)]
			if !ok {
				continue
			}
			held = append(held, p.Key)
			body, err := json.Marshal(p.Plan)
			if err != nil {
				return err
			}
			state := record.StatePending
			if p.Approve && !again {
				state = record.StateApproved
			}
			outcomes = append(outcomes, w.Run, p.Key, kind, string(record.Pending), "", p.Plan.To, t.now)
			plans = append(plans, schedule, target, kind, p.Key, p.Plan.Operation, p.Plan.To, p.Rule, " "+strings.Join(p.Plan.Columns(), " ")+" ", p.Digest, body, t.now)
			set, args := "state = ?, outcome = ?, reason = '', intent = ''", []any{string(state), string(record.Pending)}
			if again {
				set, args = set+", version = ?", append(args, version+int64(i))
			}
			if _, err := t.exec(ctx, "UPDATE heads SET "+set+" WHERE schedule = ? AND target = ? AND kind = ? AND key = ? AND page = ? AND run = ? AND state = 'staged'",
				append(args, schedule, target, kind, p.Key, w.Page, w.Run)...); err != nil {
				return err
			}
		}
		if err := t.insertRows(ctx, "INSERT INTO outcomes (run, key, kind, outcome, reason, class, at)", " ON CONFLICT (run, key) DO NOTHING", 7, outcomes); err != nil {
			return err
		}
		if again {
			if err := st.decided(ctx, held); err != nil {
				return err
			}
		}
		keys, args := in(held, schedule, target, w.Page, w.Run)
		if _, err := t.exec(ctx, "UPDATE heads SET decision = '' WHERE schedule = ? AND target = ? AND page = ? AND run = ? AND state IN ('pending', 'approved') AND key IN "+keys, args...); err != nil {
			return err
		}
		return t.insertRows(ctx, "INSERT INTO plans (schedule, target, kind, key, operation, class, rule, columns, digest, body, planned_at)",
			` ON CONFLICT (schedule, target, kind, key) DO UPDATE SET operation = excluded.operation, class = excluded.class, rule = excluded.rule,
			columns = excluded.columns, digest = excluded.digest, body = excluded.body, planned_at = excluded.planned_at`, 11, plans)
	})
}

func settlements(list []store.Planned) []store.Settlement {
	out := make([]store.Settlement, len(list))
	for i := range list {
		out[i].Key = list[i].Key
	}
	return out
}

// PlanDigests implements store.Approvals.
func (s *Store) PlanDigests(ctx context.Context, schedule, target string, keys []string) (map[string]string, error) {
	out := map[string]string{}
	for part := range slices.Chunk(keys, chunk) {
		list, args := in(part, schedule, target)
		if err := s.query(ctx, "plans", func(r *sql.Rows) error {
			var key, digest string
			err := r.Scan(&key, &digest)
			out[key] = digest
			return err
		}, "SELECT key, digest FROM plans WHERE schedule = ? AND target = ? AND key IN "+list, args...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decided maps a verdict to the states that it covers and the one that it gives.
var decided = map[string]struct {
	from []record.State
	to   record.State
}{
	approval.Approve: {[]record.State{record.StatePending, record.StateHeld}, record.StateApproved},
	approval.Reject:  {[]record.State{record.StatePending, record.StateHeld}, record.StateRejected},
	approval.Hold:    {[]record.State{record.StatePending}, record.StateHeld},
	approval.Retry:   {[]record.State{record.StateFailed}, record.StateApproved},
	verdictExpire:    {[]record.State{record.StatePending, record.StateHeld}, record.StateExpired},
}

const verdictExpire = "expire"

// Decide implements store.Approvals.
func (s *Store) Decide(ctx context.Context, in store.Decide) (store.Receipt, error) {
	filter, err := approval.ParseFilter(in.Filter)
	if err != nil {
		return store.Receipt{}, err
	}
	where, args := waiting(store.StagedFilter{Schedule: in.Schedule, States: decided[in.Verdict].from, Keys: in.IDs, Filter: filter})
	return s.decide(ctx, in, where, args)
}

// Expire implements store.Approvals.
func (s *Store) Expire(ctx context.Context, schedule string, before time.Time) (store.Receipt, error) {
	where, args := waiting(store.StagedFilter{Schedule: schedule, States: decided[verdictExpire].from})
	in := store.Decide{Schedule: schedule, Decision: approval.Decision{
		ID: "expire-" + before.UTC().Format(time.RFC3339Nano), Verdict: verdictExpire, By: "qbridge", Reason: "nobody decided in time", Snapshot: 1 << 62,
	}}
	return s.decide(ctx, in, where+" AND h.staged_at < ?", append(args, micros(before)))
}

// decide records a decision about records. A decision that covers nothing leaves
// no trace unless a person made it.
func (s *Store) decide(ctx context.Context, in store.Decide, where string, args []any) (store.Receipt, error) {
	var out store.Receipt
	err := s.inTx(ctx, "decide", func(t *tx) error {
		out = store.Receipt{Decision: in.ID}
		// The counter is what staging draws versions from: holding it, every version
		// that was given is committed, and decisions come one after the other.
		if _, err := t.exec(ctx, "INSERT INTO counters (name, n) VALUES (?, 0) ON CONFLICT (name) DO NOTHING", "version/"+in.Schedule); err != nil {
			return err
		}
		var current int64
		if err := t.row(ctx, "SELECT n FROM counters WHERE name = ?"+t.d.forUpdate, "version/"+in.Schedule).Scan(&current); err != nil {
			return err
		}
		var receipt string
		err := t.row(ctx, "SELECT receipt FROM decisions WHERE schedule = ? AND id = ?", in.Schedule, in.ID).Scan(&receipt)
		if err == nil {
			return json.Unmarshal([]byte(receipt), &out)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := t.row(ctx, countStaged(where), args...).Scan(&out.Matched); err != nil {
			return err
		}
		n, err := t.exec(ctx, `INSERT INTO decision_records (decision, schedule, target, kind, key, version, payload_digest, plan_digest)
			SELECT CAST(? AS TEXT), h.schedule, h.target, h.kind, h.key, h.version, h.payload_digest, COALESCE(p.digest, '') FROM heads h
			LEFT JOIN plans p ON p.schedule = h.schedule AND p.target = h.target AND p.kind = h.kind AND p.key = h.key WHERE `+where+" AND h.version <= ?",
			append(append([]any{in.ID}, args...), in.Snapshot)...)
		if err != nil {
			return err
		}
		out.Decided, out.ChangedSince = n, out.Matched-n
		if n == 0 && in.Verdict == verdictExpire {
			return nil
		}
		reason := in.Reason
		if in.Verdict == approval.Approve || in.Verdict == approval.Retry {
			reason = ""
		}
		if _, err := t.exec(ctx, `UPDATE heads SET state = ?, decision = ?, reason = ? WHERE schedule = ? AND EXISTS (SELECT 1 FROM decision_records d
			WHERE d.schedule = heads.schedule AND d.decision = ? AND d.target = heads.target AND d.kind = heads.kind AND d.key = heads.key)`,
			string(decided[in.Verdict].to), in.ID, reason, in.Schedule, in.ID); err != nil {
			return err
		}
		return t.logDecision(ctx, in, out)
	})
	return out, err
}

// entry is a line of the decision log.
type entry struct {
	Decision string `json:"decision"`
	At       string `json:"at"`
	Verdict  string `json:"verdict"`
	By       string `json:"by"`
	Identity string `json:"identity,omitempty"` // of the Temporal client
	UpdateID string `json:"updateId,omitempty"`
	// Authenticated says how By had signed in; left out where it is asserted.
	Authenticated string   `json:"authenticated,omitempty"`
	Reason        string   `json:"reason,omitempty"`
	IDs           []string `json:"ids,omitempty"`
	All           bool     `json:"all,omitempty"`
	Filter        string   `json:"filter,omitempty"`
	Snapshot      int64    `json:"snapshot"`
	Matched       int64    `json:"matched"`
	Decided       int64    `json:"decided"`
	// Records is a hash over key, version and what was shown of every record.
	Records string `json:"records"`
}

// logDecision appends a decision to the chain of its schedule.
func (t *tx) logDecision(ctx context.Context, in store.Decide, r store.Receipt) error {
	records, err := t.recordsHash(ctx, in.Schedule, in.ID)
	if err != nil {
		return err
	}
	n, err := t.next(ctx, decisionCounter+in.Schedule, 1) // it tells when the last entries are cut off
	if err != nil {
		return err
	}
	var prev string
	err = t.row(ctx, "SELECT hash FROM decisions WHERE schedule = ? ORDER BY n DESC LIMIT 1", in.Schedule).Scan(&prev)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	raw, err := json.Marshal(entry{
		Decision: in.ID, At: instant(t.now).Format(time.RFC3339Nano), Verdict: in.Verdict, By: in.By, Identity: in.Identity, UpdateID: in.UpdateID, Authenticated: in.Authenticated, Reason: in.Reason,
		IDs: in.IDs, All: in.All, Filter: in.Filter, Snapshot: in.Snapshot, Matched: r.Matched, Decided: r.Decided, Records: records,
	})
	if err != nil {
		return err
	}
	receipt, err := json.Marshal(r)
	if err != nil {
		return err
	}
	text := clean(string(raw)) // as the database keeps it
	_, err = t.exec(ctx, "INSERT INTO decisions (schedule, n, id, entry, receipt, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
		in.Schedule, n, in.ID, text, string(receipt), prev, chainHash(prev, in.Schedule, n, text))
	return err
}

// decisionCounter and the name of a schedule is the counter of its decisions.
const decisionCounter = "decisions/"

func chainHash(prev, schedule string, n int64, entry string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d\n%s", prev, schedule, n, entry))
	return hex.EncodeToString(sum[:])
}

// recordsHash hashes what a decision covered and what had been shown of it.
func (t *tx) recordsHash(ctx context.Context, schedule, decision string) (string, error) {
	h := sha256.New()
	err := t.rows(ctx, func(r *sql.Rows) error {
		var kind, key, payload, plan string
		var version int64
		if err := r.Scan(&kind, &key, &version, &payload, &plan); err != nil {
			return err
		}
		_, err := fmt.Fprintf(h, "%s\t%s\t%d\t%s\t%s\n", kind, key, version, payload, plan)
		return err
	}, "SELECT kind, key, version, payload_digest, plan_digest FROM decision_records WHERE schedule = ? AND decision = ? ORDER BY "+t.d.byBytes("key")+", kind", schedule, decision)
	return hex.EncodeToString(h.Sum(nil)), err
}

// OpenApproval implements store.Approvals.
func (s *Store) OpenApproval(ctx context.Context, in store.OpenRun) (store.OpenedRun, error) {
	var out store.OpenedRun
	in.Direction = directionApproval
	err := s.inTx(ctx, "open approval run", func(t *tx) error {
		held, err := t.lockLeaseOf(ctx, approvalLease(in.Schedule))
		if err != nil {
			return err
		}
		if out, err = t.reopen(ctx, in.ID); err == nil || !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if out.Epoch, err = t.takeLease(ctx, in, held); err != nil {
			return err
		}
		if err := t.closeDead(ctx, in.Schedule, in.ID, true); err != nil {
			return err
		}
		out.Mode = store.ModeFull
		return t.insertRun(ctx, in, out)
	})
	return out, err
}

// ClaimApproved implements store.Approvals. What this run has given an outcome and
// was approved again waits for the next: an outcome is given once.
func (s *Store) ClaimApproved(ctx context.Context, run string, epoch int64, limit int) (store.Page, error) {
	return s.claim(ctx, "claim approved records", run, epoch, limit, func(t *tx, schedule string) (string, error) {
		order, kind := "key", ""
		err := t.row(ctx, "SELECT kind FROM heads WHERE schedule = ? AND state = 'approved' LIMIT 1", schedule).Scan(&kind)
		if record.Kind(kind) == record.KindCertificate { // as they were staged: whoever issued one comes before it
			order = "version"
		}
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return "SELECT key FROM heads h WHERE schedule = ? AND target = ? AND state = 'approved' AND NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.run = ? AND o.key = h.key) ORDER BY " + order + " LIMIT ?", err
	})
}

// Waiting implements store.Approvals.
func (s *Store) Waiting(ctx context.Context, schedule string) (map[record.State]int64, time.Time, error) {
	out := map[record.State]int64{}
	var oldest int64
	err := s.query(ctx, "count waiting records", func(r *sql.Rows) error {
		var state string
		var n int64
		err := r.Scan(&state, &n)
		out[record.State(state)] = n
		return err
	}, "SELECT state, COUNT(*) FROM heads WHERE schedule = ? AND "+waitingIndex+" GROUP BY state", schedule)
	if err != nil || out[record.StatePending] == 0 {
		return out, instant(oldest), err
	}
	err = s.query(ctx, "oldest waiting record", func(r *sql.Rows) error { return r.Scan(&oldest) },
		"SELECT staged_at FROM heads WHERE schedule = ? AND state = 'pending' ORDER BY staged_at LIMIT 1", schedule)
	return out, instant(oldest), err
}

// waiting is the condition of a filter over heads h and plans p.
func waiting(f store.StagedFilter) (string, []any) {
	where, args := "h.schedule = ?", []any{f.Schedule}
	if len(f.States) > 0 {
		states := make([]string, len(f.States))
		for i, s := range f.States {
			states[i] = "'" + string(waitingStates[s]) + "'" // none for a state that no record waits in
		}
		where += " AND h.state IN (" + strings.Join(states, ", ") + ") AND h." + waitingIndex
	}
	if len(f.Keys) > 0 {
		list, more := in(f.Keys)
		where, args = where+" AND h.key IN "+list, append(args, more...)
	}
	for _, c := range []struct{ column, value string }{{"p.class", f.Class}, {"p.operation", f.Operation}, {"p.rule", f.Rule}} {
		if c.value != "" {
			where, args = where+" AND "+c.column+" = ?", append(args, c.value)
		}
	}
	if f.Column != "" {
		where, args = where+" AND p.columns LIKE ?", append(args, "% "+likeEscape.Replace(f.Column)+" %")
		where += " ESCAPE '!'"
	}
	if f.Source != "" {
		where, args = where+" AND h.key LIKE ? ESCAPE '!'", append(args, likeEscape.Replace(f.Source)+"/%")
	}
	return where, args
}

var likeEscape = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// countStaged counts without the plans where the condition does not need them.
func countStaged(where string) string {
	if !strings.Contains(where, "p.") {
		return "SELECT COUNT(*) FROM heads h WHERE " + where
	}
	return "SELECT COUNT(*)" + stagedFrom + where
}

const stagedFrom = " FROM heads h LEFT JOIN plans p ON p.schedule = h.schedule AND p.target = h.target AND p.kind = h.kind AND p.key = h.key WHERE "

// ListStaged implements store.Approvals.
func (s *Store) ListStaged(ctx context.Context, f store.StagedFilter) (store.StagedList, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	var out store.StagedList
	where, args := waiting(f)
	if err := s.query(ctx, "count staged records", func(r *sql.Rows) error { return r.Scan(&out.Total) }, countStaged(where), args...); err != nil {
		return out, err
	}
	if err := s.query(ctx, "snapshot", func(r *sql.Rows) error { return r.Scan(&out.Snapshot) }, "SELECT n FROM counters WHERE name = ?", "version/"+f.Schedule); err != nil {
		return out, err
	}
	from, fromArgs := stagedFrom+where+" AND h.key > ?", append(args, f.After)
	if f.Filter == (approval.Filter{}) && len(f.Keys) == 0 && len(f.States) > 0 {
		from, fromArgs = firstByState(f)
	}
	err := s.query(ctx, "list staged records", func(r *sql.Rows) error {
		var row store.StagedRow
		var state, columns string
		var at int64
		var body []byte
		if err := r.Scan(&row.Key, &state, &row.Version, &row.Operation, &row.Class, &row.Rule, &columns, &row.Reason, &row.Decision, &at, &body); err != nil {
			return err
		}
		row.State, row.Columns, row.StagedAt = record.State(state), strings.Fields(columns), instant(at)
		if f.Plans {
			row.Plan = body
		}
		out.Rows = append(out.Rows, row)
		return nil
	}, "SELECT h.key, h.state, h.version, COALESCE(p.operation, ''), COALESCE(p.class, h.class), COALESCE(p.rule, ''), COALESCE(p.columns, ''), h.reason, h.decision, h.staged_at, "+
		map[bool]string{true: "p.body", false: "NULL"}[f.Plans]+from+" ORDER BY h.key LIMIT ?", append(fromArgs, f.Limit)...)
	return out, err
}

// firstByState reads the first heads of each state from the index, so that what waits
// need not be sorted as a whole.
func firstByState(f store.StagedFilter) (from string, args []any) {
	const columns = "schedule, target, kind, key, state, version, class, reason, decision, staged_at"
	states := lo.Uniq(f.States)
	parts := make([]string, len(states))
	for i, state := range states {
		parts[i] = "SELECT * FROM (SELECT " + columns + " FROM heads WHERE schedule = ? AND state = '" + string(waitingStates[state]) + "' AND " + waitingIndex + " AND key > ? ORDER BY key LIMIT ?) s" + strconv.Itoa(i)
		args = append(args, f.Schedule, f.After, f.Limit)
	}
	return strings.Replace(stagedFrom, "heads h", "("+strings.Join(parts, " UNION ALL ")+") h", 1) + "1 = 1", args
}

// waitingIndex is the condition of the index over waiting records. SQLite uses such an
// index only where its condition stands in the statement, word for word.
const waitingIndex = "state IN ('pending', 'held', 'approved', 'rejected', 'failed', 'expired')"

// waitingStates are the states that the index over waiting records has; they stand in
// statements by name.
var waitingStates = map[record.State]record.State{
	record.StatePending: record.StatePending, record.StateHeld: record.StateHeld, record.StateApproved: record.StateApproved,
	record.StateRejected: record.StateRejected, record.StateFailed: record.StateFailed, record.StateExpired: record.StateExpired,
}

// DecisionStatus implements store.Approvals.
func (s *Store) DecisionStatus(ctx context.Context, schedule, id string) (store.DecisionStatus, error) {
	var out store.DecisionStatus
	var verdict string
	found := false
	if err := s.query(ctx, "decision", func(r *sql.Rows) error {
		var receipt, line string
		found = true
		if err := r.Scan(&receipt, &line); err != nil {
			return err
		}
		var e entry
		err := errors.Join(json.Unmarshal([]byte(receipt), &out.Receipt), json.Unmarshal([]byte(line), &e))
		verdict = e.Verdict
		return err
	}, "SELECT receipt, entry FROM decisions WHERE schedule = ? AND id = ?", schedule, id); err != nil {
		return out, err
	}
	if !found {
		return out, store.ErrNotFound
	}
	err := s.query(ctx, "decision's records", func(r *sql.Rows) error {
		var outcome string
		var n int64
		if err := r.Scan(&outcome, &n); err != nil {
			return err
		}
		switch outcome {
		case string(record.Failed), string(record.Rejected):
			out.Failed += n
		case string(record.Pending):
			out.Moved += n
		case superseded:
		case "":
			if verdict == approval.Approve || verdict == approval.Retry {
				out.Waiting += n
			}
		default:
			out.Written += n
		}
		return nil
	}, "SELECT outcome, COUNT(*) FROM decision_records WHERE schedule = ? AND decision = ? GROUP BY outcome", schedule, id)
	return out, err
}

// superseded is the outcome of a record that was approved and got a newer payload
// before it was written.
const superseded = "superseded"

// DecisionsAbout implements store.Approvals.
func (s *Store) DecisionsAbout(ctx context.Context, schedule, key string, limit int) ([]store.RecordDecision, error) {
	var out []store.RecordDecision
	err := s.query(ctx, "decisions about a record", func(r *sql.Rows) error {
		var d store.RecordDecision
		var outcome string
		err := r.Scan(&d.Entry, &d.Version, &outcome, &d.Run)
		d.Outcome = record.Outcome(outcome)
		out = append(out, d)
		return err
	}, `SELECT x.entry, d.version, d.outcome, d.run FROM decision_records d JOIN decisions x ON x.schedule = d.schedule AND x.id = d.decision
		WHERE d.schedule = ? AND d.key = ? ORDER BY x.n DESC LIMIT ?`, schedule, key, limit)
	return out, err
}

// DecisionLog implements store.Approvals.
func (s *Store) DecisionLog(ctx context.Context, schedule string, after int64, limit int) ([]store.LogEntry, error) {
	var out []store.LogEntry
	err := s.query(ctx, "decision log", func(r *sql.Rows) error {
		var e store.LogEntry
		err := r.Scan(&e.Schedule, &e.N, &e.Entry, &e.Hash)
		out = append(out, e)
		return err
	}, "SELECT schedule, n, entry, hash FROM decisions WHERE schedule = ? AND n > ? ORDER BY n LIMIT ?", schedule, after, limit)
	return out, err
}

// VerifyLog implements store.Approvals.
func (s *Store) VerifyLog(ctx context.Context) (int64, []string, error) {
	var entries int64
	var problems []string
	err := s.inTx(ctx, "verify the decision log", func(t *tx) error {
		entries, problems = 0, nil
		type line struct {
			schedule, id, entry, prev, hash string
			n                               int64
		}
		var lines []line
		if err := t.rows(ctx, func(r *sql.Rows) error {
			var l line
			err := r.Scan(&l.schedule, &l.n, &l.id, &l.entry, &l.prev, &l.hash)
			lines = append(lines, l)
			return err
		}, "SELECT schedule, n, id, entry, prev, hash FROM decisions ORDER BY schedule, n"); err != nil {
			return err
		}
		last := map[string]line{}
		for _, l := range lines {
			entries++
			before := last[l.schedule]
			last[l.schedule] = l
			wrong := func(format string, args ...any) {
				problems = append(problems, fmt.Sprintf("%s, entry %d: ", l.schedule, l.n)+fmt.Sprintf(format, args...))
			}
			if l.n != before.n+1 {
				wrong("%d entries before it are missing", l.n-before.n-1)
			}
			if l.prev != before.hash || l.hash != chainHash(l.prev, l.schedule, l.n, l.entry) {
				wrong("it is not what was written, or the entry before it is not")
			}
			var e entry
			if err := json.Unmarshal([]byte(l.entry), &e); err != nil {
				wrong("it cannot be read")
				continue
			}
			records, err := t.recordsHash(ctx, l.schedule, l.id)
			if err != nil {
				return err
			}
			if records != e.Records {
				wrong("the records of decision %s are not those that were decided about", l.id)
			}
		}
		if err := t.rows(ctx, func(r *sql.Rows) error {
			var schedule string
			var n int64
			err := r.Scan(&schedule, &n)
			if schedule = strings.TrimPrefix(schedule, decisionCounter); n > last[schedule].n {
				problems = append(problems, fmt.Sprintf("%s: the last %d of %d entries are missing", schedule, n-last[schedule].n, n))
			}
			return err
		}, "SELECT name, n FROM counters WHERE name LIKE '"+decisionCounter+"%' ORDER BY name"); err != nil {
			return err
		}
		return t.rows(ctx, func(r *sql.Rows) error {
			var schedule, id string
			err := r.Scan(&schedule, &id)
			problems = append(problems, fmt.Sprintf("%s: decision %s has records and no entry", schedule, id))
			return err
		}, "SELECT DISTINCT d.schedule, d.decision FROM decision_records d WHERE NOT EXISTS (SELECT 1 FROM decisions x WHERE x.schedule = d.schedule AND x.id = d.decision)")
	})
	return entries, problems, err
}
