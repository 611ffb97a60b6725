package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

const certificateColumns = "schedule, target, key, name, issuer, valid_to, hosts, seen_at, retired_by"

// scanCertificate reads a row; more are columns behind those of every query.
func scanCertificate(r *sql.Rows, more ...any) (store.Certificate, error) {
	var c store.Certificate
	var end, seen, retired int64
	err := r.Scan(append([]any{&c.Schedule, &c.Target, &c.Key, &c.Name, &c.Issuer, &end, &c.Hosts, &seen, &retired}, more...)...)
	c.ValidTo, c.SeenAt, c.Retired = instant(end), instant(seen), retired != 0
	return c, err
}

// SeeCertificates implements store.Certificates.
func (s *Store) SeeCertificates(ctx context.Context, run string, epoch, enumeration int64, list []store.Certificate) error {
	return s.inTx(ctx, "see certificates", func(t *tx) error {
		schedule, target, err := t.fence(ctx, run, epoch)
		if err != nil {
			return err
		}
		return inRounds(list, func(c store.Certificate) string { return clean(c.Key) }, func(round []store.Certificate) error {
			args := make([]any, 0, 9*len(round))
			for _, c := range round {
				args = append(args, schedule, target, c.Key, c.Name, c.Issuer, micros(c.ValidTo), c.Hosts, enumeration, t.now)
			}
			return t.insertRows(ctx, "INSERT INTO certificates (schedule, target, key, name, issuer, valid_to, hosts, enumeration, seen_at)",
				` ON CONFLICT (schedule, target, key) DO UPDATE SET name = excluded.name, issuer = excluded.issuer, valid_to = excluded.valid_to, hosts = excluded.hosts,
				enumeration = excluded.enumeration, seen_at = excluded.seen_at, retired_by = 0, retired_batch = 0`, 9, args)
		})
	})
}

// CertificatesOf implements store.Certificates.
func (s *Store) CertificatesOf(ctx context.Context, schedule, target string, keys []string) (map[string]store.Certificate, error) {
	out := map[string]store.Certificate{}
	for part := range slices.Chunk(keys, chunk) {
		list, args := in(part, schedule, target)
		if err := s.query(ctx, "certificates", func(r *sql.Rows) error {
			var missed int64
			c, err := scanCertificate(r, &missed)
			c.Missed = missed
			out[c.Key] = c
			return err
		}, "SELECT "+certificateColumns+", (SELECT COUNT(*) FROM enumerations e WHERE e.schedule = certificates.schedule AND e.id > certificates.enumeration AND e.state = 'complete') FROM certificates WHERE schedule = ? AND target = ? AND key IN "+list, args...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// errBadAfter is of a place in a list that this store did not name.
var errBadAfter = errors.New("after is none that a list named")

// ListCertificates implements store.Certificates.
func (s *Store) ListCertificates(ctx context.Context, f store.CertificateFilter) (store.CertificateList, error) {
	var out store.CertificateList
	if f.Limit <= 0 {
		f.Limit = 100
	}
	where, args := "WHERE retired_by = 0", []any{}
	and := func(cond string, values ...any) { where, args = where+" AND "+cond, append(args, values...) }
	if f.Schedule != "" {
		and("schedule = ?", f.Schedule)
	}
	if !f.Until.IsZero() {
		and("valid_to > 0 AND valid_to < ?", micros(f.Until))
	}
	if err := s.query(ctx, "count certificates", func(r *sql.Rows) error { return r.Scan(&out.Total) }, "SELECT COUNT(*) FROM certificates "+where, args...); err != nil {
		return out, err
	}
	if f.After != "" {
		end, rest, _ := strings.Cut(f.After, "|")
		key, schedule, ok := strings.Cut(rest, "|")
		n, err := strconv.ParseInt(end, 10, 64)
		if err != nil || !ok {
			return out, fmt.Errorf("list certificates: %w", errBadAfter)
		}
		and("(valid_to > ? OR valid_to = ? AND (key > ? OR key = ? AND schedule > ?))", n, n, key, key, schedule)
	}
	err := s.query(ctx, "list certificates", func(r *sql.Rows) error {
		c, err := scanCertificate(r)
		out.Certificates = append(out.Certificates, c)
		return err
	}, "SELECT "+certificateColumns+" FROM certificates "+where+" ORDER BY valid_to, key, schedule LIMIT ?", append(args, f.Limit)...)
	if n := len(out.Certificates); n == f.Limit {
		last := out.Certificates[n-1]
		out.Next = fmt.Sprintf("%d|%s|%s", micros(last.ValidTo), last.Key, last.Schedule)
	}
	return out, err
}

// CountCertificates implements store.Certificates.
func (s *Store) CountCertificates(ctx context.Context, schedule string, before []time.Time) (total int64, ending []int64, err error) {
	ending = make([]int64, len(before))
	out, sums, args := []any{&total}, "", []any{}
	for i, t := range before {
		out, args, sums = append(out, &ending[i]), append(args, micros(t)), sums+", COALESCE(SUM(CASE WHEN valid_to > 0 AND valid_to < ? THEN 1 ELSE 0 END), 0)"
	}
	err = s.query(ctx, "count certificates", func(r *sql.Rows) error { return r.Scan(out...) },
		"SELECT COUNT(*)"+sums+" FROM certificates WHERE retired_by = 0 AND schedule = ?", append(args, schedule)...)
	return total, ending, err
}

// RetireCertificates implements store.Certificates.
func (s *Store) RetireCertificates(ctx context.Context, in store.Retire) ([]string, error) {
	var keys []string
	err := s.inTx(ctx, "retire certificates", func(t *tx) error {
		schedule, target, err := t.fence(ctx, in.Run, in.Epoch)
		if err != nil {
			return err
		}
		read := func(where string, args ...any) error {
			return t.rows(ctx, func(r *sql.Rows) error {
				var key string
				err := r.Scan(&key)
				keys = append(keys, key)
				return err
			}, "SELECT key FROM certificates c WHERE schedule = ? AND target = ? AND "+where+" ORDER BY key LIMIT ?", append(append([]any{schedule, target}, args...), in.Limit)...)
		}
		keys = nil
		if err := read("retired_by = ? AND retired_batch = ?", in.Enumeration, in.Batch); err != nil || len(keys) > 0 {
			return err
		}
		if err := read(`enumeration < ? AND seen_at < ? AND retired_by <> ?
			AND EXISTS (SELECT 1 FROM enumerations e WHERE e.schedule = c.schedule AND e.id > c.enumeration AND e.id < ? AND e.state = 'complete')
			AND (retired_by = 0 OR NOT EXISTS (SELECT 1 FROM enumerations e WHERE e.id = c.retired_by AND e.state = 'complete'))`,
			in.Enumeration, micros(in.SeenBefore), in.Enumeration, in.Enumeration); err != nil || len(keys) == 0 {
			return err
		}
		list, args := marks(keys, in.Enumeration, in.Batch, schedule, target)
		_, err = t.exec(ctx, "UPDATE certificates SET retired_by = ?, retired_batch = ? WHERE schedule = ? AND target = ? AND key IN "+list, args...)
		return err
	})
	return keys, err
}

// marks is in where a value has that name.
func marks(keys []string, before ...any) (string, []any) { return in(keys, before...) }

// HeadsOf implements store.Certificates.
func (s *Store) HeadsOf(ctx context.Context, target string, kind record.Kind, keys []string) ([]store.Record, error) {
	var out []store.Record
	for part := range slices.Chunk(keys, chunk) {
		list, args := in(part, string(kind), target)
		rows, err := s.records(ctx, "heads", "WHERE kind = ? AND target = ? AND key IN "+list+" ORDER BY key, schedule", args...)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}
