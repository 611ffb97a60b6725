package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // driver "sqlite"
)

// dialect is what differs between the two databases.
type dialect struct {
	goose     goose.Dialect
	numbered  bool   // $1 instead of ?
	forUpdate string // locks the rows of a SELECT
	size      string // asks for the bytes of the database
	retryable func(error) bool
	lock      func(ctx context.Context, db *sql.DB) (func(), error)
}

// rebind rewrites "?" placeholders for the dialect. No statement of ours has a
// question mark in a literal.
func (d dialect) rebind(q string) string {
	if !d.numbered {
		return q
	}
	var b strings.Builder
	n := 0
	for i := 0; i < len(q); i++ {
		if q[i] != '?' {
			b.WriteByte(q[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// byBytes orders a text column alike in both databases, whatever the locale.
func (d dialect) byBytes(column string) string {
	if d.numbered {
		return column + ` COLLATE "C"`
	}
	return column
}

var sqliteDialect = dialect{
	goose:     goose.DialectSQLite3,
	size:      "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
	retryable: func(error) bool { return false }, // one writer, with a busy timeout
	lock:      func(context.Context, *sql.DB) (func(), error) { return func() {}, nil },
}

// migrationLock is the advisory lock that guards migrations on PostgreSQL.
const migrationLock = 7103498172364

var postgresDialect = dialect{
	goose:     goose.DialectPostgres,
	numbered:  true,
	size:      "SELECT pg_database_size(current_database())",
	forUpdate: " FOR UPDATE",
	retryable: func(err error) bool {
		var pg *pgconn.PgError
		return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
	},
	lock: func(ctx context.Context, db *sql.DB) (func(), error) {
		conn, err := db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(migrationLock)) // closing frees it too
			_ = conn.Close()
		}, nil
	},
}

func openPostgres(ctx context.Context, url string, o Options) (*Store, error) {
	db, err := o.open("pgx", url)
	if err != nil {
		return nil, fmt.Errorf("store: QBRIDGE_STORE_URL is not a PostgreSQL URL: %w", redacted(err, url))
	}
	db.SetMaxOpenConns(16)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: PostgreSQL does not answer: %w; check QBRIDGE_STORE_URL", redacted(err, url)), db.Close())
	}
	return &Store{write: db, read: db, dialect: postgresDialect}, nil
}

// redacted removes the password of a URL from an error.
func redacted(err error, raw string) error {
	u, perr := url.Parse(raw)
	if perr != nil || u.User == nil {
		return err
	}
	pw, _ := u.User.Password()
	if pw == "" || !strings.Contains(err.Error(), pw) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), pw, "***"))
}

// openSQLite opens a file for one process: a lock on a file beside it keeps a
// second worker out. One connection writes; readers have their own.
func openSQLite(ctx context.Context, path string, o Options) (*Store, error) {
	path = strings.TrimPrefix(path, "sqlite://")
	if dir := filepath.Dir(path); dir != "." {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	release, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), release())
	}
	if err := f.Close(); err != nil {
		return nil, errors.Join(err, release())
	}
	dsn := func(extra string) string {
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=auto_vacuum(INCREMENTAL)&_pragma=journal_mode(WAL)" +
			"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-16000)" + extra
	}
	w, err := o.open("sqlite", dsn("&_txlock=immediate"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), release())
	}
	w.SetMaxOpenConns(1)
	r, err := o.open("sqlite", dsn("&_pragma=query_only(1)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), w.Close(), release())
	}
	r.SetMaxOpenConns(max(2, runtime.NumCPU()))
	if err := w.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", path, err), w.Close(), r.Close(), release())
	}
	return &Store{write: w, read: r, dialect: sqliteDialect, release: release}, nil
}

// lockFile takes the exclusive lock of a SQLite store. The file names the holder.
func lockFile(path string) (func() error, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path) // only for the message
		return nil, errors.Join(fmt.Errorf("store: %s is used by another process (pid %s): SQLite means one worker; use PostgreSQL (QBRIDGE_STORE_URL=postgres://…) for more",
			strings.TrimSuffix(path, ".lock"), strings.TrimSpace(string(holder))), f.Close())
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), f.Close())
	}
	return f.Close, nil
}

func writePID(f *os.File) error {
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}
