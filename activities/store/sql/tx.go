package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/stage"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/timing"
)

// attempts is how often a transaction is tried that lost against another.
const attempts = 8

// tx is one transaction with the statements of its dialect.
type tx struct {
	*sql.Tx
	d   dialect
	now int64
}

// inTx runs fn in a transaction and tries again when it lost against another.
func (s *Store) inTx(ctx context.Context, what string, fn func(*tx) error) error {
	defer stage.Track(ctx, timing.Store)()
	var err error
	for n := range attempts {
		if n > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(n*n) * 5 * time.Millisecond):
			}
		}
		if err = s.once(ctx, fn); err == nil || !s.dialect.retryable(err) {
			break
		}
	}
	if err == nil || isOurs(err) {
		return err
	}
	return fmt.Errorf("store: %s: %w", what, err)
}

func isOurs(err error) bool {
	var held *store.LeaseHeldError
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrStaleEpoch) || errors.As(err, &held)
}

func (s *Store) once(ctx context.Context, fn func(*tx) error) error {
	t, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(&tx{Tx: t, d: s.dialect, now: micros(s.now())}); err != nil {
		return errors.Join(err, ignoreDone(t.Rollback()))
	}
	return t.Commit()
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

func (t *tx) exec(ctx context.Context, q string, args ...any) (int64, error) {
	res, err := t.ExecContext(ctx, t.d.rebind(q), cleaned(args)...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// clean removes what PostgreSQL takes in no text: zero bytes and invalid UTF-8.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
}

// cleaned cleans the texts among the arguments of a statement, in place.
func cleaned(args []any) []any {
	for i, a := range args {
		if text, ok := a.(string); ok {
			args[i] = clean(text)
		}
	}
	return args
}

func (t *tx) row(ctx context.Context, q string, args ...any) *sql.Row {
	return t.QueryRowContext(ctx, t.d.rebind(q), cleaned(args)...)
}

// rows calls scan for each row.
func (t *tx) rows(ctx context.Context, scan func(*sql.Rows) error, q string, args ...any) error {
	r, err := t.QueryContext(ctx, t.d.rebind(q), cleaned(args)...)
	if err != nil {
		return err
	}
	return each(r, scan)
}

// query calls scan for each row, outside a transaction.
func (s *Store) query(ctx context.Context, what string, scan func(*sql.Rows) error, q string, args ...any) error {
	defer stage.Track(ctx, timing.Store)()
	r, err := s.read.QueryContext(ctx, s.dialect.rebind(q), cleaned(args)...)
	if err == nil {
		err = each(r, scan)
	}
	if err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return nil
}

func each(r *sql.Rows, scan func(*sql.Rows) error) error {
	defer func() { _ = r.Close() }() // Err tells what went wrong
	for r.Next() {
		if err := scan(r); err != nil {
			return err
		}
	}
	return r.Err()
}

// next returns the next number of a counter; its row is locked until the end of
// the transaction, so commit order is number order.
func (t *tx) next(ctx context.Context, name string, n int64) (first int64, err error) {
	if _, err := t.exec(ctx, "INSERT INTO counters (name, n) VALUES (?, 0) ON CONFLICT (name) DO NOTHING", name); err != nil {
		return 0, err
	}
	var last int64
	if err := t.row(ctx, "UPDATE counters SET n = n + ? WHERE name = ? RETURNING n", n, name).Scan(&last); err != nil {
		return 0, err
	}
	return last - n + 1, nil
}

// insertRows inserts rows of equal width in few statements.
func (t *tx) insertRows(ctx context.Context, head, tail string, width int, args []any) error {
	const most = 12_000 // bound parameters of one statement; PostgreSQL allows 65,535, SQLite 32,766
	perStatement := most / width * width
	for len(args) > 0 {
		n := min(len(args), perStatement)
		row := "(" + strings.Repeat("?, ", width-1) + "?)"
		q := head + " VALUES " + strings.Repeat(row+", ", n/width-1) + row + tail
		if _, err := t.exec(ctx, q, args[:n]...); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

// in returns "(?, ?, …)" and the keys as arguments after the given ones.
func in(keys []string, before ...any) (string, []any) {
	args := append([]any(nil), before...)
	for _, k := range keys {
		args = append(args, k)
	}
	return "(" + strings.TrimSuffix(strings.Repeat("?, ", len(keys)), ", ") + ")", args
}

// fence fails when a run's lease was taken over. It locks the run's row, so
// that a takeover waits for the write or the write sees the takeover.
func (t *tx) fence(ctx context.Context, run string, epoch int64) (schedule, target string, err error) {
	var current int64
	var status string
	err = t.row(ctx, "SELECT schedule, target, epoch, status FROM runs WHERE id = ?"+t.d.forUpdate, run).Scan(&schedule, &target, &current, &status)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", fmt.Errorf("run %s: %w", run, store.ErrNotFound)
	}
	if err != nil {
		return "", "", err
	}
	if current != epoch || status != string(store.RunRunning) {
		return "", "", store.ErrStaleEpoch
	}
	return schedule, target, nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
