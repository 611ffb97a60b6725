package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/timing"
)

// mostLooked bounds the heads that one page looks at, mostFailures those that are
// counted by reason, mostSummed the runs that are summed up.
const (
	mostLooked   = 20_000
	mostFailures = 100_000
	mostSummed   = 200_000
)

const headRowColumns = "schedule, target, kind, key, version, state, outcome, reason, class, run, staged_at, written_at"

func scanHeadRow(scan func(...any) error) (store.HeadRow, error) {
	var h store.HeadRow
	var staged, written int64
	err := scan(&h.Schedule, &h.Target, &h.Kind, &h.Key, &h.Version, &h.State, &h.Outcome, &h.Reason, &h.Class, &h.Run, &staged, &written)
	h.StagedAt, h.WrittenAt = instant(staged), instant(written)
	return h, err
}

// headsAfter is a place among the heads of a schedule.
func headsAfter(h *store.HeadRow) string { return h.Target + "|" + string(h.Kind) + "|" + h.Key }

// ListHeads implements store.Overview. Filters without an index of their own would
// read everything to find nothing: a page looks at so many heads and no more.
func (s *Store) ListHeads(ctx context.Context, f store.HeadFilter) (store.HeadPage, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	from, args := "schedule = ?", []any{clean(f.Schedule)}
	if f.State != "" {
		from, args = from+" AND state = ?", append(args, string(f.State))
	}
	if f.After != "" {
		parts := strings.SplitN(clean(f.After), "|", 3)
		if len(parts) != 3 {
			return store.HeadPage{}, wrap("heads", errBadAfter)
		}
		from, args = from+" AND (target, kind, key) > (?, ?, ?)", append(args, parts[0], parts[1], parts[2])
	}
	inner := "SELECT " + headRowColumns + " FROM heads WHERE " + from + " ORDER BY target, kind, key LIMIT " + strconv.Itoa(mostLooked)
	where, more := filtered(f)
	if where == "" {
		inner = "SELECT " + headRowColumns + " FROM heads WHERE " + from + " ORDER BY target, kind, key LIMIT " + strconv.Itoa(f.Limit+1)
	}
	var page store.HeadPage
	err := s.query(ctx, "heads", func(r *sql.Rows) error {
		h, err := scanHeadRow(r.Scan)
		page.Heads = append(page.Heads, h)
		return err
	}, "SELECT "+headRowColumns+" FROM ("+inner+") h"+where+" ORDER BY target, kind, key LIMIT "+strconv.Itoa(f.Limit+1), append(slices.Clone(args), more...)...)
	if err != nil {
		return store.HeadPage{}, err
	}
	switch {
	case len(page.Heads) > f.Limit:
		page.Heads = page.Heads[:f.Limit]
		page.Next = headsAfter(&page.Heads[f.Limit-1])
	case where != "":
		if page.Next, err = s.lookedUpTo(ctx, from, args); err != nil {
			return store.HeadPage{}, err
		}
	}
	return page, s.name(ctx, page.Heads)
}

// filtered are the conditions of a filter that no index helps with.
func filtered(f store.HeadFilter) (where string, args []any) {
	and := func(cond string, values ...any) {
		if where == "" {
			where = " WHERE " + cond
		} else {
			where += " AND " + cond
		}
		args = append(args, values...)
	}
	if f.Outcome != "" {
		and("outcome = ?", string(f.Outcome))
	}
	if f.Class != "" {
		and("class = ?", clean(f.Class))
	}
	if f.Reason != "" {
		and("reason = ?", clean(f.Reason))
	}
	if !f.WrittenBefore.IsZero() {
		and("written_at > 0 AND written_at < ?", micros(f.WrittenBefore))
	}
	return where, args
}

// lookedUpTo is the last place that a page looked at, when it did not see the end.
func (s *Store) lookedUpTo(ctx context.Context, from string, args []any) (string, error) {
	var h store.HeadRow
	seen := false
	err := s.query(ctx, "heads", func(r *sql.Rows) error {
		seen = true
		return r.Scan(&h.Target, &h.Kind, &h.Key)
	}, "SELECT target, kind, key FROM heads WHERE "+from+" ORDER BY target, kind, key LIMIT 1 OFFSET "+strconv.Itoa(mostLooked-1), args...)
	if err != nil || !seen {
		return "", err
	}
	return headsAfter(&h), nil
}

// Names implements store.Overview. Keys of assets are "source/asset id".
func (s *Store) Names(ctx context.Context, keys []string) (map[string]string, error) {
	ids := map[string][]int64{}
	for _, key := range keys {
		if source, id, ok := assetOf(key); ok {
			ids[source] = append(ids[source], id)
		}
	}
	names := map[string]string{}
	for source, list := range ids {
		for part := range slices.Chunk(list, chunk) {
			args := make([]any, 0, len(part)+1)
			args = append(args, source)
			for _, id := range part {
				args = append(args, id)
			}
			marks := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(part)), ", ") + ")"
			if err := s.query(ctx, "names", func(r *sql.Rows) error {
				var id int64
				var name string
				err := r.Scan(&id, &name)
				names[source+"/"+strconv.FormatInt(id, 10)] = name
				return err
			}, "SELECT id, name FROM machines WHERE source = ? AND id IN "+marks, args...); err != nil {
				return nil, err
			}
		}
	}
	return names, nil
}

// name adds the names of assets to heads.
func (s *Store) name(ctx context.Context, heads []store.HeadRow) error {
	keys := make([]string, len(heads))
	for i := range heads {
		keys[i] = heads[i].Key
	}
	names, err := s.Names(ctx, keys)
	for i := range heads {
		heads[i].Name = names[heads[i].Key]
	}
	return err
}

// assetOf splits the key of an asset's first generation.
func assetOf(key string) (source string, id int64, ok bool) {
	at := strings.LastIndexByte(key, '/')
	if at < 1 {
		return "", 0, false
	}
	id, err := strconv.ParseInt(key[at+1:], 10, 64)
	return key[:at], id, err == nil
}

// FindHeads implements store.Overview. All look-ups use an index: names are found by
// their beginnings only.
func (s *Store) FindHeads(ctx context.Context, sources []string, text string, limit int) ([]store.HeadRow, error) {
	text = clean(strings.TrimSpace(text))
	if text == "" {
		return nil, nil
	}
	keys := []string{text}
	lower := strings.ToLower(text)
	for _, source := range sources {
		keys = append(keys, source+"/"+text)
		if err := s.query(ctx, "machines", func(r *sql.Rows) error {
			var id int64
			err := r.Scan(&id)
			keys = append(keys, source+"/"+strconv.FormatInt(id, 10))
			return err
		}, "SELECT id FROM machines WHERE source = ? AND name <> '' AND name >= ? AND name < ? ORDER BY name LIMIT "+strconv.Itoa(limit), source, lower, lower+"\U0010FFFF"); err != nil {
			return nil, err
		}
		for _, column := range []string{"serial", "uuid", "cloud"} {
			if err := s.query(ctx, "machines", func(r *sql.Rows) error {
				var id int64
				err := r.Scan(&id)
				keys = append(keys, source+"/"+strconv.FormatInt(id, 10))
				return err
			}, fmt.Sprintf("SELECT id FROM machines WHERE source = ? AND %s <> '' AND %s IN (?, ?, ?) LIMIT %d", column, column, limit), source, text, lower, strings.ToUpper(text)); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	var out []store.HeadRow
	for part := range slices.Chunk(keys, chunk) {
		marks, args := in(part)
		if err := s.query(ctx, "heads", func(r *sql.Rows) error {
			h, err := scanHeadRow(r.Scan)
			out = append(out, h)
			return err
		}, "SELECT "+headRowColumns+" FROM heads WHERE key IN "+marks+" ORDER BY key, schedule, target, kind LIMIT "+strconv.Itoa(limit), args...); err != nil {
			return nil, err
		}
	}
	out = out[:min(len(out), limit)]
	return out, s.name(ctx, out)
}

// CountHeads implements store.Overview.
func (s *Store) CountHeads(ctx context.Context) ([]store.HeadCount, error) {
	var out []store.HeadCount
	err := s.query(ctx, "count heads", func(r *sql.Rows) error {
		var c store.HeadCount
		err := r.Scan(&c.Schedule, &c.Target, &c.Kind, &c.State, &c.Outcome, &c.Class, &c.Heads)
		out = append(out, c)
		return err
	}, `SELECT schedule, target, kind, state, outcome, class, COUNT(*) FROM heads GROUP BY schedule, target, kind, state, outcome, class
		ORDER BY schedule, target, kind, state, outcome, class`)
	return out, err
}

// SumRuns implements store.Overview.
func (s *Store) SumRuns(ctx context.Context, schedule string, since, until time.Time) ([]store.DaySum, error) {
	where, args := "started_at >= ? AND started_at < ?", []any{micros(since), micros(until)}
	if schedule != "" {
		where, args = where+" AND schedule = ?", append(args, clean(schedule))
	}
	var out []store.DaySum
	index := map[string]int{}
	err := s.query(ctx, "sum runs", func(r *sql.Rows) error {
		var name, status, counters, calls string
		var started int64
		if err := r.Scan(&name, &status, &started, &counters, &calls); err != nil {
			return err
		}
		day := instant(started).UTC().Truncate(24 * time.Hour)
		at, ok := index[name+"|"+day.Format(time.DateOnly)]
		if !ok {
			at = len(out)
			index[name+"|"+day.Format(time.DateOnly)] = at
			out = append(out, store.DaySum{Day: day, Schedule: name, Runs: map[store.RunStatus]int64{}, Calls: map[string]int64{}})
		}
		sum := &out[at]
		sum.Runs[store.RunStatus(status)]++
		var c record.Counters
		if err := json.Unmarshal([]byte(counters), &c); err != nil {
			return err
		}
		sum.Add(c)
		var n map[string]int64
		if err := json.Unmarshal([]byte(calls), &n); err != nil {
			return err
		}
		for system, k := range n {
			sum.Calls[system] += k
		}
		return nil
	}, "SELECT schedule, status, started_at, counters, calls FROM runs WHERE "+where+" ORDER BY started_at DESC LIMIT "+strconv.Itoa(mostSummed), args...)
	slices.Reverse(out)
	return out, err
}

// Failures implements store.Overview.
func (s *Store) Failures(ctx context.Context, schedule string) ([]store.Failure, error) {
	var out []store.Failure
	err := s.query(ctx, "failures", func(r *sql.Rows) error {
		f := store.Failure{Schedule: schedule}
		var since int64
		err := r.Scan(&f.Reason, &f.Records, &since)
		f.Since = instant(since)
		out = append(out, f)
		return err
	}, `SELECT reason, COUNT(*), MIN(staged_at) FROM (SELECT reason, staged_at FROM heads WHERE schedule = ? AND state = 'failed' ORDER BY reason, staged_at LIMIT `+strconv.Itoa(mostFailures)+`) f
		GROUP BY reason ORDER BY COUNT(*) DESC, reason`, clean(schedule))
	return out, err
}

// LastComplete implements store.Overview.
func (s *Store) LastComplete(ctx context.Context) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := s.query(ctx, "last complete runs", func(r *sql.Rows) error {
		var name string
		var at int64
		err := r.Scan(&name, &at)
		out[name] = instant(at)
		return err
	}, "SELECT schedule, MAX(started_at) FROM runs WHERE status = 'completed' AND direction <> ? GROUP BY schedule", directionApproval)
	return out, err
}

// RunsEnded implements store.Overview.
func (s *Store) RunsEnded(ctx context.Context, after time.Time, id string, limit int) ([]store.Run, error) {
	var out []store.Run
	err := s.query(ctx, "ended runs", func(r *sql.Rows) error {
		run, err := scanRun(r.Scan)
		out = append(out, run)
		return err
	}, "SELECT "+runColumns+" FROM runs WHERE ended_at > 0 AND (ended_at, id) > (?, ?) ORDER BY ended_at, id LIMIT ?", micros(after), id, limit)
	return out, err
}

// Size implements store.Overview.
func (s *Store) Size(ctx context.Context) (int64, error) {
	var n int64
	err := s.read.QueryRowContext(ctx, s.dialect.size).Scan(&n)
	return n, wrap("size", err)
}

// Told implements store.Overview.
func (s *Store) Told(ctx context.Context) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := s.query(ctx, "told", func(r *sql.Rows) error {
		var name string
		var since int64
		err := r.Scan(&name, &since)
		out[name] = instant(since)
		return err
	}, "SELECT schedule, since FROM told")
	return out, err
}

// SetTold implements store.Overview.
func (s *Store) SetTold(ctx context.Context, schedule string, since time.Time) error {
	return s.inTx(ctx, "set told", func(t *tx) error {
		if since.IsZero() {
			_, err := t.exec(ctx, "DELETE FROM told WHERE schedule = ?", schedule)
			return err
		}
		_, err := t.exec(ctx, "INSERT INTO told (schedule, since) VALUES (?, ?) ON CONFLICT (schedule) DO UPDATE SET since = excluded.since", schedule, micros(since))
		return err
	})
}

// AddStages implements store.Overview.
func (s *Store) AddStages(ctx context.Context, run string, spent map[timing.Stage]time.Duration) error {
	var args []any
	for _, stage := range timing.Stages() {
		if us := spent[stage].Microseconds(); us > 0 {
			args = append(args, run, string(stage), us)
		}
	}
	if len(args) == 0 {
		return nil
	}
	return s.inTx(ctx, "add stages", func(t *tx) error {
		return t.insertRows(ctx, "INSERT INTO run_stages (run, stage, micros)", " ON CONFLICT (run, stage) DO UPDATE SET micros = run_stages.micros + excluded.micros", 3, args)
	})
}

// Stages implements store.Overview.
func (s *Store) Stages(ctx context.Context, run string) (timing.Seconds, error) {
	out := timing.Seconds{}
	err := s.query(ctx, "stages", func(r *sql.Rows) error {
		var stage timing.Stage
		var us int64
		err := r.Scan(&stage, &us)
		out[stage] = float64(us) / 1e6
		return err
	}, "SELECT stage, micros FROM run_stages WHERE run = ?", clean(run))
	return out, err
}
