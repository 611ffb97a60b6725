package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// ReasonRunEnded is the reason of records whose run ended before they were
// written; they keep their parts and are adopted by the next run.
const ReasonRunEnded = "run ended"

// OpenRun implements store.Runs.
func (s *Store) OpenRun(ctx context.Context, in store.OpenRun) (store.OpenedRun, error) {
	var out store.OpenedRun
	err := s.inTx(ctx, "open run", func(t *tx) error {
		held, err := t.lockLease(ctx, in.Schedule)
		if err != nil {
			return err
		}
		// Only now: another attempt may have opened the run while this one waited.
		if out, err = t.reopen(ctx, in.ID); err == nil || !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if out.Epoch, err = t.takeLease(ctx, in, held); err != nil {
			return err
		}
		if err := t.closeDead(ctx, in.Schedule, in.ID, false); err != nil {
			return err
		}
		if err := t.enumerate(ctx, in, &out); err != nil {
			return err
		}
		return t.insertRun(ctx, in, out)
	})
	return out, err
}

// Widen implements store.Runs.
func (s *Store) Widen(ctx context.Context, run string, epoch int64) (store.OpenedRun, error) {
	var out store.OpenedRun
	err := s.inTx(ctx, "widen run", func(t *tx) error {
		out = store.OpenedRun{Epoch: epoch}
		in := store.OpenRun{ID: run, Full: true, Verify: true}
		var err error
		if in.Schedule, _, err = t.fence(ctx, run, epoch); err != nil {
			return err
		}
		if err := t.row(ctx, "SELECT revision FROM runs WHERE id = ?", run).Scan(&in.Revision); err != nil {
			return err
		}
		if err := t.begin(ctx, in, &out); err != nil {
			return err
		}
		_, err = t.exec(ctx, "UPDATE runs SET enumeration = ?, mode = ?, since = ?, start_cursor = 0, verify = 1, resumed = 0 WHERE id = ?",
			out.Enumeration, string(out.Mode), micros(out.Since), run)
		return err
	})
	return out, err
}

// reopen returns what an open run was told when it was opened.
func (t *tx) reopen(ctx context.Context, id string) (store.OpenedRun, error) {
	var o store.OpenedRun
	var since, resumed, verify int64
	var mode, status string
	err := t.row(ctx, "SELECT epoch, enumeration, mode, since, start_cursor, resumed, verify, retries, status FROM runs WHERE id = ?", id).
		Scan(&o.Epoch, &o.Enumeration, &mode, &since, &o.Cursor, &resumed, &verify, &o.Retries, &status)
	if errors.Is(err, sql.ErrNoRows) {
		return o, store.ErrNotFound
	}
	if err == nil && status != string(store.RunRunning) {
		return o, store.ErrStaleEpoch // it was closed as dead by the run that took over
	}
	o.Mode, o.Since, o.Resumed, o.Verify = store.RunMode(mode), instant(since), resumed == 1, verify == 1
	return o, err
}

// lockLease locks the schedule's lease and returns its holder.
func (t *tx) lockLease(ctx context.Context, schedule string) (store.LeaseHeldError, error) {
	return t.lockLeaseOf(ctx, contract.InventoryLease(schedule))
}

func (t *tx) lockLeaseOf(ctx context.Context, name string) (store.LeaseHeldError, error) {
	held := store.LeaseHeldError{Key: name}
	if _, err := t.exec(ctx, "INSERT INTO leases (name, workflow_id, run, epoch) VALUES (?, '', '', 0) ON CONFLICT (name) DO NOTHING", held.Key); err != nil {
		return held, err
	}
	err := t.row(ctx, "SELECT workflow_id, run, epoch FROM leases WHERE name = ?"+t.d.forUpdate, held.Key).Scan(&held.WorkflowID, &held.RunID, &held.Epoch)
	return held, err
}

// takeLease takes the schedule's lease, which is locked, and returns the new epoch.
func (t *tx) takeLease(ctx context.Context, in store.OpenRun, held store.LeaseHeldError) (int64, error) {
	if held.RunID != "" && held.RunID != in.ID && in.TakeOver != held.Epoch {
		return 0, &held
	}
	_, err := t.exec(ctx, "UPDATE leases SET workflow_id = ?, run = ?, epoch = ? WHERE name = ?", in.WorkflowID, in.ID, held.Epoch+1, held.Key)
	return held.Epoch + 1, err
}

// closeDead closes runs of the schedule that never closed themselves. It locks
// them first: a page that a zombie is staging is then either counted or refused.
func (t *tx) closeDead(ctx context.Context, schedule, except string, approvals bool) error {
	var dead []string
	of := " AND direction <> '" + directionApproval + "'"
	if approvals {
		of = " AND direction = '" + directionApproval + "'"
	}
	err := t.rows(ctx, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		dead = append(dead, id)
		return err
	}, "SELECT id FROM runs WHERE schedule = ? AND status = ? AND id <> ?"+of+t.d.forUpdate, schedule, string(store.RunRunning), except)
	if err != nil {
		return err
	}
	for _, id := range dead {
		if err := t.settleUnfinished(ctx, id); err != nil {
			return err
		}
		if err := t.freeze(ctx, store.CloseRun{ID: id, Status: store.RunFailed, Error: ReasonRunEnded}); err != nil {
			return err
		}
	}
	return nil
}

// enumerate resumes the unfinished enumeration of the schedule, or begins one.
func (t *tx) enumerate(ctx context.Context, in store.OpenRun, out *store.OpenedRun) error {
	if in.Aside {
		return t.beginAside(ctx, in, out)
	}
	var since, verify int64
	var mode string
	err := t.row(ctx, "SELECT id, mode, since, verify FROM enumerations WHERE schedule = ? AND state = 'open' AND revision = ? AND touched_at > ? ORDER BY id DESC LIMIT 1",
		in.Schedule, in.Revision, t.now-in.ResumeWithin.Microseconds()).Scan(&out.Enumeration, &mode, &since, &verify)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && in.Full && mode != string(store.ModeFull):
		return t.begin(ctx, in, out)
	case err != nil:
		return err
	}
	out.Mode, out.Since, out.Verify = store.RunMode(mode), instant(since), in.Verify || verify == 1
	if out.Cursor, out.Resumed, err = t.resumeAt(ctx, out.Enumeration); err != nil {
		return err
	}
	return t.countFailed(ctx, in.Schedule, out)
}

// resumeAt returns the first cursor that is not finished: that of the first
// page still to be written, else the end of what was fetched.
func (t *tx) resumeAt(ctx context.Context, enumeration int64) (cursor int64, any bool, err error) {
	var open, end sql.NullInt64
	err = t.row(ctx, "SELECT MIN(CASE WHEN finished = 0 THEN cursor_in END), MAX(cursor_out) FROM pages WHERE enumeration = ? AND cursor_in >= 0", enumeration).Scan(&open, &end)
	if open.Valid {
		return open.Int64, true, err
	}
	return end.Int64, end.Valid, err
}

// startOver makes the next run read again what this one should have read.
func (t *tx) startOver(ctx context.Context, run, schedule string) error {
	if err := t.abandon(ctx, schedule); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "UPDATE heads SET state = 'failed' WHERE run = ? AND state = 'staged'", run); err != nil {
		return err
	}
	_, err := t.exec(ctx, "DELETE FROM watermarks WHERE schedule = ? AND EXISTS (SELECT 1 FROM runs WHERE id = ? AND mode = ?)", schedule, run, string(store.ModeFull))
	return err
}

// abandon gives up the open enumeration of a schedule.
func (t *tx) abandon(ctx context.Context, schedule string) error {
	if _, err := t.exec(ctx, "UPDATE enumerations SET state = 'abandoned' WHERE schedule = ? AND state = 'open'", schedule); err != nil {
		return err
	}
	_, err := t.exec(ctx, "DELETE FROM pages WHERE enumeration IN (SELECT id FROM enumerations WHERE schedule = ? AND state = 'abandoned')", schedule)
	return err
}

// stateAside is the state of an enumeration that no other run goes on with.
const stateAside = "aside"

func (t *tx) beginAside(ctx context.Context, in store.OpenRun, out *store.OpenedRun) error {
	out.Mode, out.Since, out.Verify = store.ModeFull, in.Since, in.Verify
	if !in.Since.IsZero() {
		out.Mode = store.ModeIncremental
	}
	if in.Sample {
		if _, err := t.exec(ctx, "DELETE FROM heads WHERE schedule = ?", in.Schedule); err != nil {
			return err
		}
	}
	return t.insertEnumeration(ctx, in, out, stateAside)
}

func (t *tx) insertEnumeration(ctx context.Context, in store.OpenRun, out *store.OpenedRun, state string) (err error) {
	if out.Enumeration, err = t.next(ctx, "enumeration", 1); err != nil {
		return err
	}
	_, err = t.exec(ctx, "INSERT INTO enumerations (id, schedule, revision, mode, since, verify, touched_at, server_date, state) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
		out.Enumeration, in.Schedule, in.Revision, string(out.Mode), micros(out.Since), bit(out.Verify), t.now, state)
	return err
}

// begin starts an enumeration: a full one without a watermark, when asked for,
// or when rules, mapping, sections or filter changed since.
func (t *tx) begin(ctx context.Context, in store.OpenRun, out *store.OpenedRun) error {
	if err := t.abandon(ctx, in.Schedule); err != nil {
		return err
	}
	var at int64
	var digest string
	err := t.row(ctx, "SELECT at, rules_digest FROM watermarks WHERE schedule = ?", in.Schedule).Scan(&at, &digest)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	out.Mode, out.Verify = store.ModeFull, in.Verify
	if err == nil && !in.Full && digest == in.RulesDigest {
		out.Mode, out.Since = store.ModeIncremental, instant(at).Add(-in.Overlap)
	}
	if err := t.insertEnumeration(ctx, in, out, "open"); err != nil {
		return err
	}
	return t.countFailed(ctx, in.Schedule, out)
}

func (t *tx) countFailed(ctx context.Context, schedule string, out *store.OpenedRun) error {
	return t.row(ctx, "SELECT COUNT(*) FROM heads WHERE schedule = ? AND state = 'failed' AND payload_digest <> ''", schedule).Scan(&out.Retries)
}

func (t *tx) insertRun(ctx context.Context, in store.OpenRun, o store.OpenedRun) error {
	_, err := t.exec(ctx, `INSERT INTO runs (id, workflow_id, schedule, source, target, direction, revision, rules_digest, mode, status, resumed, verify,
		enumeration, since, start_cursor, retries, epoch, started_at, ended_at, counters, pages, events, calls, error)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '{}', 0, 0, '{}', '')`,
		in.ID, in.WorkflowID, in.Schedule, in.Source, in.Target, in.Direction, in.Revision, in.RulesDigest, string(o.Mode), string(store.RunRunning),
		bit(o.Resumed), bit(o.Verify), o.Enumeration, micros(o.Since), o.Cursor, o.Retries, o.Epoch, t.now)
	return err
}

// CloseRun implements store.Runs.
func (s *Store) CloseRun(ctx context.Context, in store.CloseRun) (store.Run, error) {
	err := s.inTx(ctx, "close run", func(t *tx) error {
		// In the order in which a taker locks them: the lease, then the run.
		if err := t.rows(ctx, func(*sql.Rows) error { return nil }, "SELECT name FROM leases WHERE run = ?"+t.d.forUpdate, in.ID); err != nil {
			return err
		}
		schedule, _, err := t.fence(ctx, in.ID, in.Epoch)
		if errors.Is(err, store.ErrStaleEpoch) {
			return t.closedBy(ctx, in)
		}
		if err != nil {
			return err
		}
		if err := t.settleUnfinished(ctx, in.ID); err != nil {
			return err
		}
		if in.Complete {
			if err := t.complete(ctx, in.ID, schedule); err != nil {
				return err
			}
		}
		if err := t.freeze(ctx, in); err != nil {
			return err
		}
		if in.Abandon {
			if err := t.startOver(ctx, in.ID, schedule); err != nil {
				return err
			}
		}
		_, err = t.exec(ctx, "UPDATE leases SET workflow_id = '', run = '' WHERE run = ?", in.ID)
		return err
	})
	if err != nil {
		return store.Run{}, err
	}
	return s.RunByID(ctx, in.ID)
}

// closedBy tells a repeated close from that of a zombie.
func (t *tx) closedBy(ctx context.Context, in store.CloseRun) error {
	var epoch int64
	var status string
	if err := t.row(ctx, "SELECT epoch, status FROM runs WHERE id = ?", in.ID).Scan(&epoch, &status); err != nil {
		return err
	}
	if epoch == in.Epoch && status == string(in.Status) {
		return nil
	}
	return store.ErrStaleEpoch
}

// settleUnfinished gives records without an outcome the outcome failed, "run
// ended". They stay staged, so that the next run adopts them.
func (t *tx) settleUnfinished(ctx context.Context, run string) error {
	if _, err := t.exec(ctx, `INSERT INTO outcomes (run, key, kind, outcome, reason, class, at)
		SELECT run, key, kind, ?, ?, class, ? FROM heads WHERE run = ? AND state = 'staged' ON CONFLICT (run, key) DO NOTHING`,
		string(record.Failed), ReasonRunEnded, t.now, run); err != nil {
		return err
	}
	// A page of retries, or of an enumeration aside, is adopted by nobody: its
	// records are failed again, to be claimed by the next run. What was approved
	// still is.
	_, err := t.exec(ctx, "UPDATE heads SET state = CASE WHEN EXISTS (SELECT 1 FROM runs r WHERE r.id = heads.run AND r.direction = '"+directionApproval+"') THEN 'approved' ELSE 'failed' END WHERE run = ? AND state = 'staged'"+
		" AND page IN (SELECT p.id FROM pages p WHERE p.run = ? AND (p.cursor_in < 0 OR EXISTS (SELECT 1 FROM enumerations e WHERE e.id = p.enumeration AND e.state = '"+stateAside+"')))", run, run)
	return err
}

// complete ends the enumeration of a run and moves the watermark to the vendor's
// date of its first page.
func (t *tx) complete(ctx context.Context, run, schedule string) error {
	var enumeration, date int64
	var digest string
	err := t.row(ctx, "SELECT e.id, e.server_date, r.rules_digest FROM runs r JOIN enumerations e ON e.id = r.enumeration WHERE r.id = ?", run).Scan(&enumeration, &date, &digest)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "UPDATE enumerations SET state = 'complete' WHERE id = ?", enumeration); err != nil {
		return err
	}
	// Nobody adopts a page of a complete enumeration: what still waits on one has
	// failed, and is claimed by the next run.
	if _, err := t.exec(ctx, "UPDATE heads SET state = 'failed' WHERE run = ? AND state = 'staged'", run); err != nil {
		return err
	}
	if date == 0 {
		return nil // nothing was fetched; the next run begins where this one did
	}
	_, err = t.exec(ctx, "INSERT INTO watermarks (schedule, at, rules_digest) VALUES (?, ?, ?) ON CONFLICT (schedule) DO UPDATE SET at = excluded.at, rules_digest = excluded.rules_digest",
		schedule, date, digest)
	return err
}

// freeze computes and keeps the counters of a run and removes the pages that
// are done with.
func (t *tx) freeze(ctx context.Context, in store.CloseRun) error {
	c, err := t.progress(ctx, in.ID)
	if err != nil {
		return err
	}
	counters, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if in.Calls == nil {
		in.Calls = map[string]int64{}
	}
	calls, err := json.Marshal(in.Calls)
	if err != nil {
		return err
	}
	var pages int64
	if err := t.row(ctx, "SELECT COUNT(*) FROM pages WHERE run = ?", in.ID).Scan(&pages); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "UPDATE runs SET status = ?, ended_at = ?, counters = ?, pages = ?, events = ?, calls = ?, error = ?, forecast = ? WHERE id = ?",
		string(in.Status), t.now, string(counters), pages, in.Events, string(calls), in.Error, in.Forecast, in.ID); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "DELETE FROM drafts WHERE run = ?", in.ID); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "DELETE FROM pages WHERE run = ? AND enumeration = 0", in.ID); err != nil { // of an approval run
		return err
	}
	_, err = t.exec(ctx, "DELETE FROM pages WHERE enumeration IN (SELECT e.id FROM enumerations e JOIN runs r ON r.enumeration = e.id WHERE r.id = ? AND e.state IN ('complete', '"+stateAside+"'))", in.ID)
	return err
}

func (t *tx) progress(ctx context.Context, run string) (record.Counters, error) {
	var c record.Counters
	err := t.rows(ctx, func(r *sql.Rows) error { return count(r, &c) }, "SELECT outcome, COUNT(*) FROM outcomes WHERE run = ? GROUP BY outcome", run)
	return c, err
}

// count adds a row of (outcome, number).
func count(r *sql.Rows, c *record.Counters) error {
	var o string
	var n int64
	if err := r.Scan(&o, &n); err != nil {
		return err
	}
	if !c.Count(record.Outcome(o), n) {
		return fmt.Errorf("unknown outcome %q", o)
	}
	c.Fetched += n
	return nil
}

// Progress implements store.Ledger.
func (s *Store) Progress(ctx context.Context, run string) (record.Counters, error) {
	var c record.Counters
	err := s.query(ctx, "progress", func(r *sql.Rows) error { return count(r, &c) }, "SELECT outcome, COUNT(*) FROM outcomes WHERE run = ? GROUP BY outcome", run)
	return c, err
}

// AcquirePoller implements store.Pollers.
func (s *Store) AcquirePoller(ctx context.Context, queue, owner string, ttl time.Duration) (bool, error) {
	var mine bool
	err := s.inTx(ctx, "acquire poller", func(t *tx) error {
		now, err := t.clock(ctx)
		if err != nil {
			return err
		}
		n, err := t.exec(ctx, `INSERT INTO pollers (queue, owner, until) VALUES (?, ?, ?)
			ON CONFLICT (queue) DO UPDATE SET owner = excluded.owner, until = excluded.until WHERE pollers.owner = excluded.owner OR pollers.until < ?`,
			queue, owner, now+ttl.Microseconds(), now)
		mine = n > 0
		return err
	})
	return mine, err
}

// ReleasePoller implements store.Pollers.
func (s *Store) ReleasePoller(ctx context.Context, queue, owner string) error {
	return s.inTx(ctx, "release poller", func(t *tx) error {
		_, err := t.exec(ctx, "DELETE FROM pollers WHERE queue = ? AND owner = ?", queue, owner)
		return err
	})
}

// clock is the time by which pollers expire: several machines share their rows
// on PostgreSQL, so the database's clock decides there.
func (t *tx) clock(ctx context.Context) (int64, error) {
	if !t.d.numbered {
		return t.now, nil
	}
	var now int64
	err := t.row(ctx, "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)").Scan(&now)
	return now, err
}

// Polled implements store.Pollers.
func (s *Store) Polled(ctx context.Context, queue string) (bool, error) {
	var n int64
	err := s.inTx(ctx, "ask for pollers", func(t *tx) error {
		now, err := t.clock(ctx)
		if err != nil {
			return err
		}
		return t.row(ctx, "SELECT COUNT(*) FROM pollers WHERE queue = ? AND until >= ?", queue, now).Scan(&n)
	})
	return n > 0, err
}
