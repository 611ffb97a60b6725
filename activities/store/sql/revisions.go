package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/activities/store"
)

const revisionColumns = "n, digest, document, author, created_at, active"

func scanRevision(scan func(...any) error) (store.Revision, error) {
	var r store.Revision
	var n, created, active int64
	err := scan(&n, &r.Digest, &r.Document, &r.Author, &created, &active)
	if errors.Is(err, sql.ErrNoRows) {
		return r, store.ErrNotFound
	}
	r.ID, r.CreatedAt, r.Active = "r"+strconv.FormatInt(n, 10), instant(created), active == 1
	return r, err
}

// SaveRevision implements store.Revisions.
func (s *Store) SaveRevision(ctx context.Context, document, digest, author string) (store.Revision, error) {
	var out store.Revision
	err := s.inTx(ctx, "save revision", func(t *tx) error {
		var err error
		n, err := t.next(ctx, "revision", 1) // its row lock makes applies wait for each other
		if err != nil {
			return err
		}
		out, err = scanRevision(t.row(ctx, "SELECT "+revisionColumns+" FROM revisions WHERE active = 1").Scan)
		if err == nil && out.Digest == digest {
			_, err = t.exec(ctx, "UPDATE counters SET n = n - 1 WHERE name = 'revision'")
			return err
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if _, err := t.exec(ctx, "UPDATE revisions SET active = 0 WHERE active = 1"); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "INSERT INTO revisions ("+revisionColumns+") VALUES (?, ?, ?, ?, ?, 1)", n, digest, document, author, t.now); err != nil {
			return err
		}
		out = store.Revision{ID: "r" + strconv.FormatInt(n, 10), Digest: digest, Document: document, Author: author, CreatedAt: instant(t.now), Active: true}
		return nil
	})
	return out, err
}

// ActiveRevision implements store.Revisions.
func (s *Store) ActiveRevision(ctx context.Context) (store.Revision, error) {
	r, err := scanRevision(s.read.QueryRowContext(ctx, "SELECT "+revisionColumns+" FROM revisions WHERE active = 1").Scan)
	return r, wrap("active revision", err)
}

// Revision implements store.Revisions.
func (s *Store) Revision(ctx context.Context, id string) (store.Revision, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(id, "r"), 10, 64)
	if err != nil {
		return store.Revision{}, store.ErrNotFound
	}
	r, err := scanRevision(s.read.QueryRowContext(ctx, s.dialect.rebind("SELECT "+revisionColumns+" FROM revisions WHERE n = ?"), n).Scan)
	return r, wrap("revision", err)
}

// RevisionsInUse implements store.Revisions.
func (s *Store) RevisionsInUse(ctx context.Context) ([]store.Revision, error) {
	var out []store.Revision
	err := s.query(ctx, "revisions in use", func(r *sql.Rows) error {
		rev, err := scanRevision(r.Scan)
		out = append(out, rev)
		return err
	}, "SELECT "+revisionColumns+" FROM revisions WHERE active = 1 OR 'r' || n IN (SELECT revision FROM runs WHERE status = ?) ORDER BY n", string(store.RunRunning))
	return out, err
}

func wrap(what string, err error) error {
	if err == nil || isOurs(err) {
		return err
	}
	return fmt.Errorf("store: %s: %w", what, err)
}
