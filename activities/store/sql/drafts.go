package sql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/qbridge/qbridge/activities/store"
)

// PutDraft implements store.Drafts.
func (s *Store) PutDraft(ctx context.Context, run string, epoch int64, name string, part int64, body []byte) error {
	return s.inTx(ctx, "store draft", func(t *tx) error {
		if _, _, err := t.fence(ctx, run, epoch); err != nil {
			return err
		}
		_, err := t.exec(ctx, "INSERT INTO drafts (run, name, part, body) VALUES (?, ?, ?, ?) ON CONFLICT (run, name, part) DO UPDATE SET body = excluded.body", run, name, part, body)
		return err
	})
}

// Draft implements store.Drafts.
func (s *Store) Draft(ctx context.Context, run, name string, part int64) ([]byte, error) {
	var body []byte
	found := false
	err := s.query(ctx, "draft", func(r *sql.Rows) error { found = true; return r.Scan(&body) }, "SELECT body FROM drafts WHERE run = ? AND name = ? AND part = ?", run, name, part)
	if err == nil && !found || errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	return body, err
}
