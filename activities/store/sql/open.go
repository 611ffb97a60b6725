// Package sql is the run store on SQLite and PostgreSQL: one SQL implementation
// with a small dialect for what differs.
//
//	Open ─▶ dialect (sqlite | postgres) ─▶ migrations under a lock ─▶ Store
package sql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/qbridge/qbridge/activities/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options are settings of a store.
type Options struct {
	Now func() time.Time // default time.Now

	// open opens a database by driver and name; default sql.Open. Tests replace it
	// to fail at a chosen statement.
	open func(driver, dsn string) (*sql.DB, error)
}

// Store implements store.Store.
type Store struct {
	write   *sql.DB // SQLite: one connection
	read    *sql.DB
	dialect dialect
	now     func() time.Time
	release func() error // gives up the file lock
}

var _ store.Store = (*Store)(nil)

// Open opens (and creates or migrates) the store at a URL: a postgres:// URL, or
// a file name, with or without sqlite://.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.open == nil {
		o.open = sql.Open
	}
	open := openSQLite
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		open = openPostgres
	}
	s, err := open(ctx, url, o)
	if err != nil {
		return nil, err
	}
	s.now = o.Now
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// migrate brings the schema up to date; only one process does so at a time.
func (s *Store) migrate(ctx context.Context) error {
	unlock, err := s.dialect.lock(ctx, s.write)
	if err != nil {
		return fmt.Errorf("store: lock for migrations: %w", err)
	}
	defer unlock()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	p, err := goose.NewProvider(s.dialect.goose, s.write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	return nil
}

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.read.PingContext(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	errs := []error{s.write.Close()}
	if s.read != s.write {
		errs = append(errs, s.read.Close())
	}
	if s.release != nil {
		errs = append(errs, s.release())
	}
	return errors.Join(errs...)
}
