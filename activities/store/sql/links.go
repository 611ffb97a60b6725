package sql

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// chunk bounds the keys of one IN list.
const chunk = 5000

// LinksOf implements store.Links.
func (s *Store) LinksOf(ctx context.Context, target string, keys []string) (map[string]store.Link, error) {
	out := map[string]store.Link{}
	for len(keys) > 0 {
		n := min(len(keys), chunk)
		list, args := in(keys[:n], target)
		keys = keys[n:]
		if err := s.query(ctx, "links", func(r *sql.Rows) error {
			l, err := scanLink(r)
			out[l.Key] = l
			return err
		}, "SELECT target, key, sys_id, class, origin FROM links WHERE target = ? AND key IN "+list, args...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func scanLink(r *sql.Rows) (store.Link, error) {
	var l store.Link
	var origin string
	err := r.Scan(&l.Target, &l.Key, &l.SysID, &l.Class, &origin)
	l.Origin = record.Origin(origin)
	return l, err
}

// PutLinks implements store.Links.
func (s *Store) PutLinks(ctx context.Context, links []store.Link) error {
	return s.inTx(ctx, "store links", func(t *tx) error { return t.putLinks(ctx, links) })
}

func (t *tx) putLinks(ctx context.Context, links []store.Link) error {
	return inRounds(links, func(l store.Link) string { return clean(l.Target) + "\x00" + clean(l.Key) }, func(round []store.Link) error {
		args := make([]any, 0, 5*len(round))
		for _, l := range round {
			args = append(args, l.Target, l.Key, l.SysID, l.Class, string(l.Origin))
		}
		return t.insertRows(ctx, "INSERT INTO links (target, key, sys_id, class, origin)", ` ON CONFLICT (target, key) DO UPDATE SET
			origin = CASE WHEN links.sys_id = excluded.sys_id THEN links.origin ELSE excluded.origin END, sys_id = excluded.sys_id, class = excluded.class`, 5, args)
	})
}

// inRounds stores rows that may share a key as if one after the other: PostgreSQL
// refuses to touch a row twice in one statement. Within a round they are ordered
// by key, so that writers side by side lock rows in one order.
func inRounds[T any](rows []T, key func(T) string, put func([]T) error) error {
	for len(rows) > 0 {
		round := make([]T, 0, len(rows))
		seen := make(map[string]bool, len(rows))
		var rest []T
		for _, r := range rows {
			if k := key(r); seen[k] {
				rest = append(rest, r)
			} else {
				seen[k] = true
				round = append(round, r)
			}
		}
		slices.SortFunc(round, func(a, b T) int { return strings.Compare(key(a), key(b)) })
		if err := put(round); err != nil {
			return err
		}
		rows = rest
	}
	return nil
}

// DropLinks implements store.Links.
func (s *Store) DropLinks(ctx context.Context, target string, keys []string) error {
	return s.inTx(ctx, "drop links", func(t *tx) error {
		for part := range slices.Chunk(keys, chunk) {
			list, args := in(part, target)
			if _, err := t.exec(ctx, "DELETE FROM links WHERE target = ? AND origin = 'matched' AND key IN "+list, args...); err != nil {
				return err
			}
			if _, err := t.exec(ctx, "UPDATE heads SET written_digest = '' WHERE target = ? AND key IN "+list, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// SampleLinks implements store.Links. It takes every k-th written head, so that
// the sample spreads over the whole key space.
func (s *Store) SampleLinks(ctx context.Context, schedule string, n int) ([]store.Link, error) {
	if n <= 0 {
		return nil, nil
	}
	var out []store.Link
	err := s.query(ctx, "sample links", func(r *sql.Rows) error {
		l, err := scanLink(r)
		out = append(out, l)
		return err
	}, `SELECT target, key, sys_id, class, origin FROM (
			SELECT l.target, l.key, l.sys_id, l.class, l.origin, ROW_NUMBER() OVER (ORDER BY l.key) AS n, COUNT(*) OVER () AS total
			FROM heads h JOIN links l ON l.target = h.target AND l.key = h.key WHERE h.schedule = ? AND h.written_digest <> ''
		) x WHERE n % (CASE WHEN total < ? THEN 1 ELSE total / ? END) = 0 ORDER BY key LIMIT ?`, schedule, n, n, n)
	return out, err
}

// CachedReferences implements store.References.
func (s *Store) CachedReferences(ctx context.Context, target, table string, names []string) (map[string]store.Reference, error) {
	out := map[string]store.Reference{}
	if len(names) == 0 {
		return out, nil
	}
	list, args := in(names, target, table)
	err := s.query(ctx, "references", func(r *sql.Rows) error {
		ref := store.Reference{Table: table}
		var missing, at int64
		err := r.Scan(&ref.Name, &ref.SysID, &missing, &at)
		ref.Missing, ref.ResolvedAt = missing == 1, instant(at)
		out[ref.Name] = ref
		return err
	}, "SELECT name, sys_id, missing, resolved_at FROM refs WHERE target = ? AND tbl = ? AND name IN "+list, args...)
	return out, err
}

// PutReferences implements store.References.
func (s *Store) PutReferences(ctx context.Context, target string, refs []store.Reference) error {
	return s.inTx(ctx, "store references", func(t *tx) error {
		return inRounds(refs, func(r store.Reference) string { return clean(r.Table) + "\x00" + clean(r.Name) }, func(round []store.Reference) error {
			args := make([]any, 0, 6*len(round))
			for _, r := range round {
				args = append(args, target, r.Table, r.Name, r.SysID, bit(r.Missing), micros(r.ResolvedAt))
			}
			return t.insertRows(ctx, "INSERT INTO refs (target, tbl, name, sys_id, missing, resolved_at)",
				" ON CONFLICT (target, tbl, name) DO UPDATE SET sys_id = excluded.sys_id, missing = excluded.missing, resolved_at = excluded.resolved_at", 6, args)
		})
	})
}
