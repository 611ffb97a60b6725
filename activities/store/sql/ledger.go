package sql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// FindPage implements store.Ledger.
func (s *Store) FindPage(ctx context.Context, run string, epoch, enumeration, cursorIn int64) (store.Page, error) {
	var out store.Page
	err := s.inTx(ctx, "find page", func(t *tx) error {
		if _, _, err := t.fence(ctx, run, epoch); err != nil {
			return err
		}
		var id int64
		var owner string
		err := t.row(ctx, "SELECT id, run FROM pages WHERE enumeration = ? AND cursor_in = ?", enumeration, cursorIn).Scan(&id, &owner)
		if errors.Is(err, sql.ErrNoRows) {
			return store.ErrNotFound
		}
		if err != nil {
			return err
		}
		if owner != run { // adopt what its run left behind
			if _, err := t.exec(ctx, "UPDATE pages SET run = ? WHERE id = ?", run, id); err != nil {
				return err
			}
			if _, err := t.exec(ctx, "UPDATE heads SET run = ? WHERE page = ? AND state = 'staged'", run, id); err != nil {
				return err
			}
		}
		out, err = t.page(ctx, id, owner != run)
		return err
	})
	return out, err
}

// page reads a page. Outcomes of an adopted page belong to the run before.
func (t *tx) page(ctx context.Context, id int64, adopted bool) (store.Page, error) {
	p := store.Page{ID: id}
	var last int64
	var run string
	if err := t.row(ctx, "SELECT run, cursor_in, cursor_out, last, records FROM pages WHERE id = ?", id).Scan(&run, &p.CursorIn, &p.CursorOut, &last, &p.Count); err != nil {
		return p, err
	}
	p.Last = last == 1
	if err := t.row(ctx, "SELECT COUNT(*) FROM heads WHERE page = ? AND run = ? AND state = 'staged'", id, run).Scan(&p.ToWrite); err != nil {
		return p, err
	}
	if adopted {
		return p, nil
	}
	err := t.rows(ctx, func(r *sql.Rows) error { return count(r, &p.Counters) },
		"SELECT o.outcome, COUNT(*) FROM heads h JOIN outcomes o ON o.run = h.run AND o.key = h.key WHERE h.page = ? AND h.run = ? AND h.state <> 'staged' GROUP BY o.outcome", id, run)
	return p, err
}

// head is what staging needs to know of the record as it was.
type head struct {
	state, written, intent string
	payload, reason        string
	decision               string
	writtenAt              int64
	settled                bool // has an outcome in this run already
	approved               bool // an approval is writing it
}

// StagePage implements store.Ledger.
func (s *Store) StagePage(ctx context.Context, in store.StagePage) (store.Page, error) {
	var out store.Page
	err := s.inTx(ctx, "stage page", func(t *tx) error {
		schedule, target, err := t.fence(ctx, in.Run, in.Epoch)
		if err != nil {
			return err
		}
		var id int64
		err = t.row(ctx, "SELECT id FROM pages WHERE enumeration = ? AND cursor_in = ?", in.Enumeration, in.CursorIn).Scan(&id)
		if err == nil {
			out, err = t.page(ctx, id, false)
			return err
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if in.CursorIn == 0 && !in.ServerDate.IsZero() {
			if _, err := t.exec(ctx, "UPDATE enumerations SET server_date = ? WHERE id = ? AND server_date = 0", micros(in.ServerDate), in.Enumeration); err != nil {
				return err
			}
		}
		if id, err = t.next(ctx, "page", 1); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "INSERT INTO pages (id, enumeration, run, cursor_in, cursor_out, last, records, finished) VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
			id, in.Enumeration, in.Run, in.CursorIn, in.CursorOut, bit(in.Last), len(in.Records)); err != nil {
			return err
		}
		out = store.Page{ID: id, CursorIn: in.CursorIn, CursorOut: in.CursorOut, Last: in.Last, Count: int64(len(in.Records))}
		if err := t.touchEnumeration(ctx, id); err != nil {
			return err
		}
		st := &stager{tx: t, in: &in, page: id, schedule: schedule, target: target}
		return st.stage(ctx, &out)
	})
	return out, err
}

// stager stages the records of one page.
type stager struct {
	*tx
	in               *store.StagePage
	page             int64
	schedule, target string
	outcomes         []any
	heads            []any
	kinds            []string // of the page's records
	superseded       []string // keys that a person had decided about
	kept             []string // heads that wait for a person, or were decided about
	touched          []string // unchanged heads that only move to this run and page
}

func (s *stager) stage(ctx context.Context, out *store.Page) error {
	known, err := s.known(ctx)
	if err != nil {
		return err
	}
	version, err := s.next(ctx, "version/"+s.schedule, int64(max(1, len(s.in.Records))))
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range s.in.Records {
		r := &s.in.Records[i]
		k := string(r.Kind) + "\x00" + clean(r.Key)
		h, exists := known[k]
		if seen[k] || h.settled { // pages overlap: the first outcome of a run stands
			continue
		}
		seen[k] = true
		s.record(r, h, exists, version+int64(i), out)
	}
	if err := s.insertRows(ctx, "INSERT INTO heads (schedule, target, kind, key, version, state, outcome, reason, class, payload_digest, written_digest, body, answer, intent, run, page, staged_at, written_at)",
		` ON CONFLICT (schedule, target, kind, key) DO UPDATE SET version = excluded.version, state = excluded.state, outcome = excluded.outcome, reason = excluded.reason,
		class = excluded.class, prior = `+written+`, payload_digest = excluded.payload_digest, body = excluded.body, run = excluded.run, page = excluded.page, staged_at = excluded.staged_at, decision = ''`,
		18, s.heads); err != nil {
		return err
	}
	if err := s.supersede(ctx); err != nil {
		return err
	}
	if err := s.touch(ctx); err != nil {
		return err
	}
	if err := s.keep(ctx); err != nil {
		return err
	}
	return s.insertRows(ctx, "INSERT INTO outcomes (run, key, kind, outcome, reason, class, at)", " ON CONFLICT (run, key) DO NOTHING", 7, s.outcomes)
}

// record decides what becomes of one record: a final outcome at once, unchanged,
// or staged for its writer.
func (s *stager) record(r *store.Staging, h head, exists bool, version int64, out *store.Page) {
	state, outcome := record.StateStaged, r.Outcome
	// A head that is not done, or was posted without an answer: what is in the
	// target is not known, whatever was written before.
	fresh := exists && record.State(h.state) == record.StateDone && h.intent == "" && h.written != "" && h.written == r.PayloadDigest && h.writtenAt >= micros(r.RefreshBefore)
	switch {
	case outcome == record.Failed:
		state = record.StateFailed
	case outcome != "":
		state = record.StateDone
	case fresh && !s.in.Verify:
		outcome = record.Unchanged
		s.touched = append(s.touched, r.Key)
	}
	var reason string
	if kept, why := s.decidedBefore(r, h, exists); outcome == "" && kept != "" {
		outcome, reason = kept, why
	}
	if outcome == "" {
		out.ToWrite++
	} else {
		out.Counters.Count(outcome, 1)
		out.Counters.Fetched++
		s.outcomes = append(s.outcomes, s.in.Run, r.Key, string(r.Kind), string(outcome), cmp.Or(reason, r.Reason), r.Class, s.now)
	}
	if outcome == record.Unchanged && len(s.touched) > 0 && s.touched[len(s.touched)-1] == r.Key {
		return
	}
	if r.Outcome == "" && outcome != "" { // its head stays as it is
		if h.state != string(record.StateStaged) {
			s.kept = append(s.kept, r.Key)
		}
		return
	}
	if h.decision != "" {
		s.superseded = append(s.superseded, r.Key)
	}
	s.heads = append(s.heads, s.schedule, s.target, string(r.Kind), r.Key, version, string(state), string(outcome), r.Reason, r.Class,
		r.PayloadDigest, "", r.Body, "", "", s.in.Run, s.page, s.now, int64(0))
}

// written is what a head remembers of what was last written, when another body
// takes the place of its body: that body, if it is what the target has.
const written = "CASE WHEN heads.prior IS NULL AND heads.written_digest <> '' AND heads.written_digest = heads.payload_digest THEN heads.body ELSE heads.prior END"

// decidedBefore returns the outcome of a record that waits for a person or was
// decided about, as long as its payload is the same.
func (s *stager) decidedBefore(r *store.Staging, h head, exists bool) (record.Outcome, string) {
	if !s.in.Hold || !exists || h.payload != r.PayloadDigest || r.PayloadDigest == "" {
		return "", ""
	}
	switch record.State(h.state) {
	case record.StatePending, record.StateHeld, record.StateApproved:
		return record.Pending, ""
	case record.StateStaged:
		if h.approved { // it stays with its writer
			return record.Pending, ""
		}
	case record.StateRejected:
		return record.Rejected, h.reason
	case record.StateFailed:
		return record.Failed, cmp.Or(h.reason, "waits in the failed list")
	case record.StateDone:
		if h.written == r.PayloadDigest && h.intent == "" { // refreshing it would ask a person about nothing
			return record.Unchanged, ""
		}
	}
	return "", ""
}

// supersede notes that what was decided about records no longer stands: they have
// another payload now.
func (s *stager) supersede(ctx context.Context) error {
	if len(s.superseded) == 0 {
		return nil
	}
	list, args := in(s.superseded, superseded, s.schedule)
	_, err := s.exec(ctx, "UPDATE decision_records SET outcome = ? WHERE schedule = ? AND outcome = '' AND key IN "+list, args...)
	return err
}

// keep moves heads that keep their state to this run and page.
func (s *stager) keep(ctx context.Context) error {
	if len(s.kept) == 0 {
		return nil
	}
	kinds, args := in(s.kinds, s.in.Run, s.page, s.schedule, s.target)
	list, args := in(s.kept, args...)
	_, err := s.exec(ctx, "UPDATE heads SET run = ?, page = ? WHERE schedule = ? AND target = ? AND kind IN "+kinds+" AND key IN "+list, args...)
	return err
}

// known reads the heads of the page's keys.
func (s *stager) known(ctx context.Context) (map[string]head, error) {
	out := map[string]head{}
	keys := make([]string, len(s.in.Records))
	for i := range s.in.Records {
		keys[i] = s.in.Records[i].Key
		if k := string(s.in.Records[i].Kind); !slices.Contains(s.kinds, k) {
			s.kinds = append(s.kinds, k)
		}
	}
	if len(keys) == 0 {
		return out, nil
	}
	kinds, args := in(s.kinds, s.in.Run, s.schedule, s.target) // with the kind, the whole primary key is known
	list, args := in(keys, args...)
	err := s.rows(ctx, func(r *sql.Rows) error {
		var kind, key string
		var h head
		var settled sql.NullString
		if err := r.Scan(&kind, &key, &h.state, &h.written, &h.intent, &h.writtenAt, &h.payload, &h.reason, &h.decision, &settled, &h.approved); err != nil {
			return err
		}
		h.settled = settled.Valid
		out[kind+"\x00"+key] = h
		return nil
	}, `SELECT h.kind, h.key, h.state, h.written_digest, h.intent, h.written_at, h.payload_digest, h.reason, h.decision, o.outcome, COALESCE(r.direction, '') = '`+directionApproval+`' FROM heads h
		LEFT JOIN runs r ON r.id = h.run LEFT JOIN outcomes o ON o.run = ? AND o.key = h.key WHERE h.schedule = ? AND h.target = ? AND h.kind IN `+kinds+" AND h.key IN "+list, args...)
	return out, err
}

// touch moves unchanged heads to this run and page without writing their bodies.
func (s *stager) touch(ctx context.Context) error {
	if len(s.touched) == 0 {
		return nil
	}
	kinds, args := in(s.kinds, string(record.StateDone), string(record.Unchanged), s.in.Run, s.page, s.schedule, s.target)
	list, args := in(s.touched, args...)
	_, err := s.exec(ctx, "UPDATE heads SET state = ?, outcome = ?, reason = '', run = ?, page = ? WHERE schedule = ? AND target = ? AND kind IN "+kinds+" AND key IN "+list, args...)
	return err
}

// ClaimFailed implements store.Ledger.
func (s *Store) ClaimFailed(ctx context.Context, run string, epoch int64, limit int) (store.Page, error) {
	return s.claim(ctx, "claim failed records", run, epoch, limit, func(*tx, string) (string, error) {
		return "SELECT key FROM heads WHERE schedule = ? AND target = ? AND state = 'failed' AND payload_digest <> '' AND run <> ? ORDER BY key LIMIT ?", nil
	})
}

// claim moves the records that a query selects into a page of the run.
func (s *Store) claim(ctx context.Context, what, run string, epoch int64, limit int, queryOf func(t *tx, schedule string) (string, error)) (store.Page, error) {
	var out store.Page
	err := s.inTx(ctx, what, func(t *tx) error {
		schedule, target, err := t.fence(ctx, run, epoch)
		if err != nil {
			return err
		}
		var open int64
		err = t.row(ctx, "SELECT id FROM pages WHERE run = ? AND cursor_in < 0 AND finished = 0 LIMIT 1", run).Scan(&open)
		if err == nil { // claimed before, but the answer was lost
			out, err = t.page(ctx, open, false)
			return err
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		query, err := queryOf(t, schedule)
		if err != nil {
			return err
		}
		var keys []string
		if err := t.rows(ctx, func(r *sql.Rows) error {
			var k string
			err := r.Scan(&k)
			keys = append(keys, k)
			return err
		}, query, schedule, target, run, limit); err != nil {
			return err
		}
		if len(keys) == 0 {
			return store.ErrNotFound
		}
		id, err := t.next(ctx, "page", 1)
		if err != nil {
			return err
		}
		// Pages of retries have negative cursors: they are no part of the enumeration's order.
		if _, err := t.exec(ctx, "INSERT INTO pages (id, enumeration, run, cursor_in, cursor_out, last, records, finished) SELECT ?, enumeration, id, ?, ?, 0, ?, 0 FROM runs WHERE id = ?",
			id, -id, -id, len(keys), run); err != nil {
			return err
		}
		list, args := in(keys, run, id, schedule, target)
		if _, err := t.exec(ctx, "UPDATE heads SET state = 'staged', run = ?, page = ? WHERE schedule = ? AND target = ? AND key IN "+list, args...); err != nil {
			return err
		}
		out = store.Page{ID: id, Count: int64(len(keys)), ToWrite: int64(len(keys))}
		return nil
	})
	return out, err
}

// Staged implements store.Ledger.
func (s *Store) Staged(ctx context.Context, run string, page int64) ([]store.Record, error) {
	return s.records(ctx, "staged records", "WHERE page = ? AND run = ? AND state = 'staged' ORDER BY key", page, run)
}

const recordColumns = "schedule, target, kind, key, version, state, outcome, reason, class, payload_digest, written_digest, body, prior, answer, intent, run, page, staged_at, written_at"

func (s *Store) records(ctx context.Context, what, where string, args ...any) ([]store.Record, error) {
	var out []store.Record
	err := s.query(ctx, what, func(r *sql.Rows) error {
		var rec store.Record
		var kind, state, outcome string
		var staged, written int64
		if err := r.Scan(&rec.Schedule, &rec.Target, &kind, &rec.Key, &rec.Version, &state, &outcome, &rec.Reason, &rec.Class, &rec.PayloadDigest,
			&rec.WrittenDigest, &rec.Body, &rec.Prior, &rec.Answer, &rec.Intent, &rec.Run, &rec.Page, &staged, &written); err != nil {
			return err
		}
		rec.Kind, rec.State, rec.Outcome = record.Kind(kind), record.State(state), record.Outcome(outcome)
		rec.StagedAt, rec.WrittenAt = instant(staged), instant(written)
		out = append(out, rec)
		return nil
	}, "SELECT "+recordColumns+" FROM heads "+where, args...)
	return out, err
}

// touchEnumeration keeps the age of an enumeration: it counts from the last
// progress, not from the beginning.
func (t *tx) touchEnumeration(ctx context.Context, page int64) error {
	_, err := t.exec(ctx, "UPDATE enumerations SET touched_at = ? WHERE id = (SELECT enumeration FROM pages WHERE id = ?)", t.now, page)
	return err
}

// FinishPage implements store.Ledger.
func (s *Store) FinishPage(ctx context.Context, run string, epoch, page int64) (record.Counters, error) {
	var c record.Counters
	err := s.inTx(ctx, "finish page", func(t *tx) error {
		if _, _, err := t.fence(ctx, run, epoch); err != nil {
			return err
		}
		var waiting int64
		if err := t.row(ctx, "SELECT COUNT(*) FROM heads WHERE page = ? AND run = ? AND state = 'staged'", page, run).Scan(&waiting); err != nil {
			return err
		}
		if waiting > 0 {
			return fmt.Errorf("%d records of page %d still wait for their writer", waiting, page)
		}
		if _, err := t.exec(ctx, "UPDATE pages SET finished = 1 WHERE id = ?", page); err != nil {
			return err
		}
		if err := t.touchEnumeration(ctx, page); err != nil {
			return err
		}
		return t.rows(ctx, func(r *sql.Rows) error { return count(r, &c) },
			"SELECT o.outcome, COUNT(*) FROM heads h JOIN outcomes o ON o.run = h.run AND o.key = h.key WHERE h.page = ? AND h.run = ? GROUP BY o.outcome", page, run)
	})
	return c, err
}
