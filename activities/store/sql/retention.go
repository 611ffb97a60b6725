package sql

import (
	"context"
	"errors"

	"github.com/qbridge/qbridge/activities/store"
)

// Bounds of one purge: short transactions, and not all at once after a long rest.
const (
	purgeBatch   = 5000
	purgeBatches = 40
)

// Purge implements store.Runs.
func (s *Store) Purge(ctx context.Context, keep store.Keep) (int64, error) {
	now := s.now()
	var removed int64
	for range purgeBatches {
		var n int64
		err := s.inTx(ctx, "purge outcomes", func(t *tx) error {
			var err error
			n, err = t.exec(ctx, `DELETE FROM outcomes WHERE (run, key) IN (SELECT run, key FROM outcomes
				WHERE (at < ? AND outcome NOT IN ('failed', 'rejected') OR at < ?) AND run NOT IN (SELECT id FROM runs WHERE pinned = 1) LIMIT ?)`,
				micros(now.Add(-keep.Successes)), micros(now.Add(-max(keep.Errors, keep.Successes))), purgeBatch)
			return err
		})
		removed += n
		if err != nil {
			return removed, err
		}
		if n < purgeBatch {
			break
		}
	}
	if removed == 0 || s.dialect.numbered { // PostgreSQL has its own way
		return removed, nil
	}
	return removed, s.shrink(ctx)
}

// shrink gives free pages of a SQLite file back, a number at a time.
func (s *Store) shrink(ctx context.Context) error {
	for range purgeBatches {
		var before, after int64
		err := s.inTx(ctx, "shrink", func(t *tx) error { return t.row(ctx, "PRAGMA freelist_count").Scan(&before) })
		if err != nil || before == 0 {
			return err
		}
		if _, err := s.write.ExecContext(ctx, "PRAGMA incremental_vacuum(2000)"); err != nil {
			return wrap("shrink", err)
		}
		if err := s.inTx(ctx, "shrink", func(t *tx) error { return t.row(ctx, "PRAGMA freelist_count").Scan(&after) }); err != nil {
			return err
		}
		if after >= before || after == 0 {
			return nil
		}
	}
	return nil
}

// Pin implements store.Runs.
func (s *Store) Pin(ctx context.Context, run string, pinned bool) error {
	return s.inTx(ctx, "pin run", func(t *tx) error {
		n, err := t.exec(ctx, "UPDATE runs SET pinned = ? WHERE id = ?", bit(pinned), run)
		if err == nil && n == 0 {
			return store.ErrNotFound
		}
		return err
	})
}

// errPeeked takes back what Peek did.
var errPeeked = errors.New("store: peeked")

// Peek implements store.Runs.
func (s *Store) Peek(ctx context.Context, in store.OpenRun) (store.OpenedRun, error) {
	var out store.OpenedRun
	err := s.inTx(ctx, "peek", func(t *tx) error {
		if err := t.enumerate(ctx, in, &out); err != nil {
			return err
		}
		return errPeeked
	})
	if errors.Is(err, errPeeked) {
		err = nil
	}
	return out, err
}
