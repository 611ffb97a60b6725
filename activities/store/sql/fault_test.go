package sql_test

import (
	"context"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"sync"
)

var errKilled = errors.New("killed")

// fault kills the process between the store and its database at a chosen point:
// before the n-th statement (begin and commit count too), or after the n-th
// commit, so that its answer is lost. Nothing reaches the database afterwards.
type fault struct {
	mu         sync.Mutex
	statements int // until the kill; 0: never
	commits    int
	dead       bool
	onKill     func() // sees the disk as the kill leaves it
}

// arm begins to count.
func (f *fault) arm(statements, commits int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statements, f.commits = statements, commits
}

// fired reports whether the kill happened.
func (f *fault) fired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// before counts a statement.
func (f *fault) before() error { return f.count(&f.statements) }

// after counts a commit.
func (f *fault) after() error { return f.count(&f.commits) }

func (f *fault) count(left *int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errKilled
	}
	if *left == 0 {
		return nil
	}
	if *left--; *left > 0 {
		return nil
	}
	f.dead = true
	if f.onKill != nil {
		f.onKill()
	}
	return errKilled
}

// open opens a database whose statements pass through the fault.
func (f *fault) open(name, dsn string) (*dbsql.DB, error) {
	db, err := dbsql.Open(name, dsn)
	if err != nil {
		return nil, err
	}
	d := db.Driver()
	return dbsql.OpenDB(connector{d, dsn, f}), db.Close()
}

type connector struct {
	inner driver.Driver
	dsn   string
	f     *fault
}

func (c connector) Driver() driver.Driver { return c.inner }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	inner, err := c.inner.Open(c.dsn)
	return &conn{inner, c.f}, err
}

// conn is a connection with what both drivers offer.
type conn struct {
	driver.Conn
	f *fault
}

func (c *conn) IsValid() bool { return !c.f.fired() }

func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.f.before(); err != nil {
		return nil, err
	}
	inner, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return &transaction{inner, c.f}, err
}

func (c *conn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.f.before(); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
}

func (c *conn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.f.before(); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
}

type transaction struct {
	driver.Tx
	f *fault
}

func (t *transaction) Commit() error {
	if err := t.f.before(); err != nil {
		return errors.Join(err, t.Rollback()) // as the database does when the connection breaks
	}
	return errors.Join(t.Tx.Commit(), t.f.after())
}
