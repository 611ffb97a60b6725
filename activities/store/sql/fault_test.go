package sql_test

import (
	"context"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

var errKilled = errors.New("killed")

// fault kills the process between the store and its database at a chosen point:
// before the n-th statement (begin and commit count too), or after the n-th
// commit, so that its answer is lost. Nothing reaches the database afterwards.
// Or it only fails that statement, as PostgreSQL fails a transaction that lost
// against another; a read outside a transaction never does.
type fault struct {
	mu     sync.Mutex
	point  point
	dead   bool
	lost   bool            // the serialization failure happened
	onKill func()          // sees the disk as the kill leaves it
	seen   map[string]bool // statements
}

// point is where the fault comes; zero fields never do.
type point struct {
	Statement int // the process is killed before it
	Commit    int // the process is killed after it
	Conflict  int // the statement that loses against another transaction
}

// arm begins to count.
func (f *fault) arm(p point) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.point, f.lost = p, false
}

// killed reports whether the kill came.
func (f *fault) killed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// conflicted reports whether the serialization failure came.
func (f *fault) conflicted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// statements returns every statement so far.
func (f *fault) statements() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.seen))
}

// before counts a statement.
func (f *fault) before(q string, inTx bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	f.seen[q] = true
	if inTx && reached(&f.point.Conflict) {
		f.lost = true
		return &pgconn.PgError{Code: "40001", Message: "could not serialize access"}
	}
	return f.killAt(&f.point.Statement)
}

// after counts a commit.
func (f *fault) after() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.killAt(&f.point.Commit)
}

func (f *fault) killAt(left *int) error {
	if f.dead {
		return errKilled
	}
	if !reached(left) {
		return nil
	}
	f.dead = true
	if f.onKill != nil {
		f.onKill()
	}
	return errKilled
}

// reached counts down and reports whether this was the one.
func reached(left *int) bool {
	if *left == 0 {
		return false
	}
	*left--
	return *left == 0
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
	return &conn{Conn: inner, f: c.f}, err
}

// conn is a connection with what both drivers offer.
type conn struct {
	driver.Conn
	f    *fault
	inTx bool
}

func (c *conn) IsValid() bool { return !c.f.killed() }

func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.f.before("BEGIN", false); err != nil {
		return nil, err
	}
	inner, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	c.inTx = err == nil
	return &transaction{inner, c}, err
}

func (c *conn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.f.before(q, c.inTx); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
}

func (c *conn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.f.before(q, c.inTx); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
}

type transaction struct {
	driver.Tx
	c *conn
}

func (t *transaction) Commit() error {
	if err := t.c.f.before("COMMIT", true); err != nil {
		return errors.Join(err, t.Rollback()) // as the database does when the connection breaks
	}
	t.c.inTx = false
	return errors.Join(t.Tx.Commit(), t.c.f.after())
}

func (t *transaction) Rollback() error {
	t.c.inTx = false
	return t.Tx.Rollback()
}
