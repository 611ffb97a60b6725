package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

const runColumns = "id, workflow_id, schedule, source, target, direction, revision, mode, status, resumed, started_at, ended_at, counters, pages, events, calls, error, pinned, forecast"

func scanRun(scan func(...any) error) (store.Run, error) {
	var r store.Run
	var mode, status, counters, calls string
	var resumed, started, ended, pinned int64
	err := scan(&r.ID, &r.WorkflowID, &r.Schedule, &r.Source, &r.Target, &r.Direction, &r.Revision, &mode, &status, &resumed, &started, &ended, &counters, &r.Pages, &r.Events, &calls, &r.Error, &pinned, &r.Forecast)
	if errors.Is(err, sql.ErrNoRows) {
		return r, store.ErrNotFound
	}
	if err != nil {
		return r, err
	}
	r.Mode, r.Status, r.Resumed, r.StartedAt, r.EndedAt, r.Pinned = store.RunMode(mode), store.RunStatus(status), resumed == 1, instant(started), instant(ended), pinned == 1
	return r, errors.Join(json.Unmarshal([]byte(counters), &r.Counters), json.Unmarshal([]byte(calls), &r.Calls))
}

// RunByID implements store.Reader.
func (s *Store) RunByID(ctx context.Context, id string) (store.Run, error) {
	r, err := scanRun(s.read.QueryRowContext(ctx, s.dialect.rebind("SELECT "+runColumns+" FROM runs WHERE id = ? OR workflow_id = ? ORDER BY started_at DESC LIMIT 1"), id, id).Scan)
	return r, wrap("run", err)
}

// ListRuns implements store.Reader.
func (s *Store) ListRuns(ctx context.Context, f store.RunFilter) ([]store.Run, error) {
	var where []string
	var args []any
	and := func(cond string, arg any) { where, args = append(where, cond), append(args, arg) }
	if f.Schedule != "" {
		and("schedule = ?", f.Schedule)
	}
	if f.Source != "" {
		and("source = ?", f.Source)
	}
	if f.Status != "" {
		and("status = ?", string(f.Status))
	}
	if f.Outcome != "" {
		and("EXISTS (SELECT 1 FROM outcomes o WHERE o.run = runs.id AND o.outcome = ?)", string(f.Outcome))
	}
	if !f.Since.IsZero() {
		and("started_at >= ?", micros(f.Since))
	}
	if !f.Until.IsZero() {
		and("started_at < ?", micros(f.Until))
	}
	q := "SELECT " + runColumns + " FROM runs"
	if len(where) > 0 {
		q += " WHERE " + strings.Join(where, " AND ")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	var out []store.Run
	err := s.query(ctx, "runs", func(r *sql.Rows) error {
		run, err := scanRun(r.Scan)
		out = append(out, run)
		return err
	}, q+" ORDER BY started_at DESC, id LIMIT ?", append(args, limit)...)
	return out, err
}

const outcomeColumns = "run, key, kind, outcome, reason, class, at"

func (s *Store) outcomes(ctx context.Context, what, where string, args ...any) ([]store.OutcomeRow, error) {
	var out []store.OutcomeRow
	err := s.query(ctx, what, func(r *sql.Rows) error {
		var o store.OutcomeRow
		var kind, outcome string
		var at int64
		err := r.Scan(&o.Run, &o.Key, &kind, &outcome, &o.Reason, &o.Class, &at)
		o.Kind, o.Outcome, o.At = record.Kind(kind), record.Outcome(outcome), instant(at)
		out = append(out, o)
		return err
	}, "SELECT "+outcomeColumns+" FROM outcomes "+where, args...)
	return out, err
}

// ListOutcomes implements store.Reader.
func (s *Store) ListOutcomes(ctx context.Context, f store.OutcomeFilter) ([]store.OutcomeRow, error) {
	where, args := "WHERE run = ? AND key > ?", []any{f.Run, f.After}
	if f.Outcome != "" {
		where, args = where+" AND outcome = ?", append(args, string(f.Outcome))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	return s.outcomes(ctx, "outcomes", where+" ORDER BY key LIMIT ?", append(args, limit)...)
}

// Known implements store.Reader.
func (s *Store) Known(ctx context.Context, schedule, target string) (int64, error) {
	var n int64
	err := s.query(ctx, "known", func(r *sql.Rows) error { return r.Scan(&n) }, "SELECT COUNT(*) FROM heads WHERE schedule = ? AND target = ? AND written_digest <> ''", schedule, target)
	return n, err
}

// Classes implements store.Reader.
func (s *Store) Classes(ctx context.Context, run string) (map[string]int64, error) {
	return s.counts(ctx, "classes", "SELECT class, COUNT(*) FROM outcomes WHERE run = ? AND outcome IN ('created', 'updated', 'unchanged') AND class <> '' GROUP BY class", run)
}

// Reasons implements store.Reader.
func (s *Store) Reasons(ctx context.Context, run string, o record.Outcome) (map[string]int64, error) {
	return s.counts(ctx, "reasons", "SELECT reason, COUNT(*) FROM outcomes WHERE run = ? AND outcome = ? GROUP BY reason ORDER BY COUNT(*) DESC LIMIT 100", run, string(o))
}

func (s *Store) counts(ctx context.Context, what, q string, args ...any) (map[string]int64, error) {
	out := map[string]int64{}
	err := s.query(ctx, what, func(r *sql.Rows) error {
		var k string
		var n int64
		err := r.Scan(&k, &n)
		out[k] = n
		return err
	}, q, args...)
	return out, err
}

// Records implements store.Reader.
func (s *Store) Records(ctx context.Context, kind record.Kind, key string) ([]store.Record, error) {
	return s.records(ctx, "records", "WHERE kind = ? AND key = ? ORDER BY schedule", string(kind), key)
}

// Snapshot implements store.Reader.
func (s *Store) Snapshot(ctx context.Context, schedule, target string, kind record.Kind, after string, limit int) ([]store.Record, error) {
	return s.records(ctx, "snapshot", "WHERE schedule = ? AND target = ? AND kind = ? AND key > ? ORDER BY key LIMIT ?", schedule, target, string(kind), after, limit)
}

// History implements store.Reader.
func (s *Store) History(ctx context.Context, key string, limit int) ([]store.OutcomeRow, error) {
	return s.outcomes(ctx, "history", "WHERE key = ? ORDER BY at DESC LIMIT ?", key, limit)
}
