package storetest

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/stretchr/testify/require"
)

// Postgres returns the URL of a PostgreSQL server on which tests may create
// databases: the one that QBRIDGE_TEST_POSTGRES names, else a throw-away server
// that ends with the test, from local binaries. Without either the test is
// skipped, and with CI set it fails.
func Postgres(t *testing.T) string {
	t.Helper()
	if server := os.Getenv("QBRIDGE_TEST_POSTGRES"); server != "" {
		return server
	}
	if bin := postgresBinaries(); bin != "" {
		return startPostgres(t, bin)
	}
	const missing = "the PostgreSQL suite did not run: install PostgreSQL, or set QBRIDGE_TEST_POSTGRES to a server where databases may be created"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// databases numbers the databases of this process.
var databases atomic.Int64

// Database creates an empty database on a server and returns its URL. The
// database goes with the test.
func Database(t *testing.T, server string) string {
	t.Helper()
	admin, err := sql.Open("pgx", server)
	require.NoError(t, err)
	name := fmt.Sprintf("qbridge_test_%d_%d", os.Getpid(), databases.Add(1))
	_, err = admin.ExecContext(ctx, "CREATE DATABASE "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, err)
		require.NoError(t, admin.Close())
	})
	u, err := url.Parse(server)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

// postgresBinaries returns the folder of the newest server binaries, or "".
func postgresBinaries() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well formed
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return major(a) - major(b) })
		return filepath.Dir(found[len(found)-1])
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

// major reads the version from …/postgresql/<version>/bin/initdb.
func major(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // an odd name sorts first
	return n
}

// serve runs a server until its standard input closes, which also happens when
// the test process is killed, and leaves no file behind.
const serve = `"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=300 >"$2/log" 2>&1 &
cat >/dev/null
kill -QUIT $!
wait $!
rm -rf "$2"/*`

// startPostgres starts a server that listens on a socket in a folder of its own
// only, so that no port is taken. The server refuses to run as root; then it
// runs as the user postgres that its package made.
func startPostgres(t *testing.T, bin string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qbridge-pg-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 {
		attr.Credential = postgresUser(t)
		require.NoError(t, os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid)))
	}
	command := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(name, args...)
		c.Dir, c.SysProcAttr = dir, attr
		return c
	}
	out, err := command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput()
	require.NoError(t, err, string(out))
	server := command("/bin/sh", "-c", serve, "sh", bin, dir)
	stop, err := server.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = stop.Close()
		_ = server.Wait() // the exit code of a server that was told to quit says nothing
	})
	address := (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: url.Values{"host": {dir}}.Encode()}).String()
	awaitPostgres(t, address, filepath.Join(dir, "log"))
	return address
}

func postgresUser(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	require.NoError(t, err, "PostgreSQL does not run as root, and its package made no user")
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// awaitPostgres returns when the server answers.
func awaitPostgres(t *testing.T, address, log string) {
	t.Helper()
	db, err := sql.Open("pgx", address)
	require.NoError(t, err)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		if err = db.PingContext(ctx); err == nil {
			require.NoError(t, db.Close())
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log) // only for the message
			t.Fatalf("PostgreSQL does not start: %v\n%s", err, text)
		}
	}
}
