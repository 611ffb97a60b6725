package sql_test

import (
	"context"
	dbsql "database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/activities/store/storetest"
	"github.com/qbridge/qbridge/domain/record"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return mustOpen(t, filepath.Join(t.TempDir(), "store.db")) })
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	base := os.Getenv("QBRIDGE_TEST_POSTGRES")
	if base == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("QBRIDGE_TEST_POSTGRES is not set, and CI must run the PostgreSQL suite")
		}
		t.Skip("the PostgreSQL suite did not run: set QBRIDGE_TEST_POSTGRES to a server where databases may be created")
	}
	var n atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store { return mustOpen(t, newDatabase(t, base, n.Add(1))) })
}

// newDatabase creates a database for one test.
func newDatabase(t *testing.T, base string, n int64) string {
	t.Helper()
	admin, err := dbsql.Open("pgx", base)
	require.NoError(t, err)
	name := fmt.Sprintf("qbridge_test_%d_%d", os.Getpid(), n)
	_, err = admin.Exec("CREATE DATABASE " + name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		require.NoError(t, err)
		require.NoError(t, admin.Close())
	})
	u, err := url.Parse(base)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

func mustOpen(t *testing.T, url string) store.Store {
	t.Helper()
	s, err := sql.Open(context.Background(), url, sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Ping(context.Background()))
	return s
}

func TestASecondWorkerOnAFileIsRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "store.db")
	first, err := sql.Open(context.Background(), path, sql.Options{})
	require.NoError(t, err)
	_, err = sql.Open(context.Background(), "sqlite://"+path, sql.Options{})
	require.ErrorContains(t, err, fmt.Sprintf("(pid %d)", os.Getpid()))
	require.ErrorContains(t, err, "use PostgreSQL")
	require.NoError(t, first.Close())
	again, err := sql.Open(context.Background(), path, sql.Options{})
	require.NoError(t, err, "the lock goes with its holder")
	require.NoError(t, again.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestAPasswordIsNeverInAnError(t *testing.T) {
	t.Parallel()
	_, err := sql.Open(context.Background(), "postgres://user:s3cretpw@127.0.0.1:1/db?connect_timeout=1", sql.Options{})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cretpw")
	require.ErrorContains(t, err, "QBRIDGE_STORE_URL")
}

func TestWhatWasCommittedSurvivesReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := sql.Open(context.Background(), path, sql.Options{})
	require.NoError(t, err)
	_, err = s.SaveRevision(context.Background(), "a: 1", "d", "ann")
	require.NoError(t, err)
	require.NoError(t, s.Close())
	again := mustOpen(t, path)
	r, err := again.ActiveRevision(context.Background())
	require.NoError(t, err)
	require.Equal(t, "a: 1", r.Document)
}

func TestOldOutcomesArePurgedWhenARunCloses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := sql.Open(context.Background(), filepath.Join(t.TempDir(), "store.db"), sql.Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx := context.Background()
	run := func(id string) {
		o, err := s.OpenRun(ctx, store.OpenRun{ID: id, WorkflowID: "w", Schedule: "s", Revision: "r1", Full: true})
		require.NoError(t, err)
		_, err = s.StagePage(ctx, store.StagePage{Run: id, Epoch: o.Epoch, Enumeration: o.Enumeration, Last: true, Records: []store.Staging{
			{Key: "corp/1", Kind: record.KindAsset, Outcome: record.Skipped}, {Key: "corp/2", Kind: record.KindAsset, Outcome: record.Failed},
		}})
		require.NoError(t, err)
		_, err = s.CloseRun(ctx, store.CloseRun{ID: id, Epoch: o.Epoch, Status: store.RunCompleted, Complete: true})
		require.NoError(t, err)
	}
	left := func(id string) int {
		rows, err := s.ListOutcomes(ctx, store.OutcomeFilter{Run: id})
		require.NoError(t, err)
		return len(rows)
	}
	run("one")
	require.Equal(t, 2, left("one"))
	now = now.Add(31 * 24 * time.Hour)
	run("two")
	require.Equal(t, 1, left("one"), "successes are kept for 30 days")
	now = now.Add(30 * 24 * time.Hour)
	run("three")
	require.Zero(t, left("one"), "failures for 60")
	r, err := s.RunByID(ctx, "one")
	require.NoError(t, err)
	require.EqualValues(t, 2, r.Counters.Fetched, "the counters of a closed run are frozen")
}

func BenchmarkStagePage(b *testing.B) {
	s, err := sql.Open(context.Background(), filepath.Join(b.TempDir(), "store.db"), sql.Options{})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Close()) }()
	ctx := context.Background()
	o, err := s.OpenRun(ctx, store.OpenRun{ID: "r", WorkflowID: "w", Schedule: "s", Source: "corp", Target: "prod", Revision: "r1"})
	require.NoError(b, err)
	body := make([]byte, 1200)
	cursor := int64(0)
	for b.Loop() {
		page := store.StagePage{Run: "r", Epoch: o.Epoch, Enumeration: o.Enumeration, CursorIn: cursor, CursorOut: cursor + 300}
		for i := range int64(300) {
			page.Records = append(page.Records, store.Staging{Key: fmt.Sprintf("corp/%d", cursor+i), Kind: record.KindAsset, PayloadDigest: "d", Body: body})
		}
		if _, err := s.StagePage(ctx, page); err != nil {
			b.Fatal(err)
		}
		cursor += 300
	}
}
