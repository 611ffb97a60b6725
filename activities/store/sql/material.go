package sql

import (
	"context"
	"database/sql"

	"github.com/qbridge/qbridge/activities/store"
)

var _ store.Materials = (*Store)(nil)

// PutMaterial implements store.Materials.
func (s *Store) PutMaterial(ctx context.Context, run string, epoch, part int64, body []byte) error {
	return s.inTx(ctx, "put material", func(t *tx) error {
		if _, _, err := t.fence(ctx, run, epoch); err != nil {
			return err
		}
		if part == 0 {
			if _, err := t.exec(ctx, "DELETE FROM material WHERE run = ?", run); err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, "INSERT INTO material (run, part, body) VALUES (?, ?, ?) ON CONFLICT (run, part) DO UPDATE SET body = excluded.body", run, part, body)
		return err
	})
}

// Material implements store.Materials. A part is read at a time: together they may
// be large, and each may do something that takes its time.
func (s *Store) Material(ctx context.Context, run string, each func(body []byte) error) error {
	for part := int64(0); ; part++ {
		var body []byte
		found := false
		err := s.query(ctx, "material", func(r *sql.Rows) error {
			found = true
			return r.Scan(&body)
		}, "SELECT body FROM material WHERE run = ? AND part = ?", run, part)
		if err != nil || !found {
			return err
		}
		if err := each(body); err != nil {
			return err
		}
	}
}
