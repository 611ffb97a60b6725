package sql_test

import (
	"context"
	dbsql "database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	server := storetest.Postgres(t)
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store { return mustOpen(t, storetest.Database(t, server)) })
	})
	t.Run("a life survives a kill at every statement", func(t *testing.T) {
		t.Parallel()
		kills(t, storetest.Database(t, server), sameServer)
	})
	t.Run("a life survives a serialization failure at every statement", func(t *testing.T) {
		t.Parallel()
		conflicts(t, storetest.Database(t, server))
	})
	t.Run("two workers share a database from the first migration on", func(t *testing.T) {
		t.Parallel()
		twoWorkers(t, storetest.Database(t, server))
	})
}

// twoWorkers opens a new database twice at the same time; a lease that one
// worker's run holds is seen, and taken over, by the other's.
func twoWorkers(t *testing.T, url string) {
	ctx := context.Background()
	stores, errs := make([]store.Store, 2), make([]error, 2)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Add(1)
		go func() {
			defer wg.Done()
			stores[i], errs[i] = sql.Open(ctx, url, sql.Options{})
		}()
	}
	wg.Wait()
	for i := range stores {
		require.NoError(t, errs[i])
		defer func() { require.NoError(t, stores[i].Close()) }()
	}
	in := store.OpenRun{ID: "one", WorkflowID: "w", Schedule: "s", Target: "prod", Revision: "r1", ResumeWithin: time.Hour}
	first, err := stores[0].OpenRun(ctx, in)
	require.NoError(t, err)
	in.ID = "two"
	var held *store.LeaseHeldError
	_, err = stores[1].OpenRun(ctx, in)
	require.ErrorAs(t, err, &held)
	in.TakeOver = held.Epoch
	_, err = stores[1].OpenRun(ctx, in)
	require.NoError(t, err)
	_, err = stores[0].StagePage(ctx, store.StagePage{Run: "one", Epoch: first.Epoch, Enumeration: first.Enumeration})
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	mine, err := stores[0].AcquirePoller(ctx, "qualys.corp", "a", time.Hour)
	require.NoError(t, err)
	require.True(t, mine)
	theirs, err := stores[1].AcquirePoller(ctx, "qualys.corp", "b", time.Hour)
	require.NoError(t, err)
	require.False(t, theirs)
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

func TestOldOutcomesArePurged(t *testing.T) {
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
		_, err = s.Purge(ctx, store.Keep{Successes: 30 * 24 * time.Hour, Errors: 60 * 24 * time.Hour})
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

func TestTheFileShrinksWhenOutcomesArePurged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := sql.Open(context.Background(), path, sql.Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx := context.Background()
	o, err := s.OpenRun(ctx, store.OpenRun{ID: "one", WorkflowID: "w", Schedule: "s", Revision: "r1", Full: true})
	require.NoError(t, err)
	for page := range int64(40) {
		in := store.StagePage{Run: "one", Epoch: o.Epoch, Enumeration: o.Enumeration, CursorIn: page, CursorOut: page + 1, Last: page == 39}
		for i := range 300 {
			in.Records = append(in.Records, store.Staging{Key: fmt.Sprintf("corp/%d-%d", page, i), Kind: record.KindAsset, Outcome: record.Skipped, Reason: strings.Repeat("reason ", 20)})
		}
		_, err := s.StagePage(ctx, in)
		require.NoError(t, err)
	}
	_, err = s.CloseRun(ctx, store.CloseRun{ID: "one", Epoch: o.Epoch, Status: store.RunCompleted, Complete: true})
	require.NoError(t, err)
	size := func() (pages int64) {
		db, err := dbsql.Open("sqlite", "file:"+path+"?mode=ro")
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		require.NoError(t, db.QueryRow("PRAGMA page_count").Scan(&pages))
		return pages
	}
	before := size()
	now = now.Add(24 * time.Hour)
	n, err := s.Purge(ctx, store.Keep{Successes: time.Hour, Errors: time.Hour})
	require.NoError(t, err)
	require.EqualValues(t, 12_000, n)
	require.Less(t, size(), before*3/4, "the file gives the space back")
}

func TestAnOldEnumerationIsBegunAnewAndAYoungOneResumed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := sql.Open(context.Background(), filepath.Join(t.TempDir(), "store.db"), sql.Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx := context.Background()
	open := func(id string) store.OpenedRun {
		o, err := s.OpenRun(ctx, store.OpenRun{ID: id, WorkflowID: "w", Schedule: "s", Revision: "r1", ResumeWithin: 6 * time.Hour})
		require.NoError(t, err)
		return o
	}
	stop := func(id string, o store.OpenedRun) {
		_, err := s.CloseRun(ctx, store.CloseRun{ID: id, Epoch: o.Epoch, Status: store.RunFailed})
		require.NoError(t, err)
	}
	one := open("one")
	now = now.Add(5 * time.Hour)
	page, err := s.StagePage(ctx, store.StagePage{Run: "one", Epoch: one.Epoch, Enumeration: one.Enumeration, CursorOut: 10})
	require.NoError(t, err)
	stop("one", one)
	now = now.Add(5 * time.Hour)
	two := open("two")
	require.Equal(t, one.Enumeration, two.Enumeration, "its age counts from the last progress")
	require.Zero(t, two.Cursor)
	_, err = s.FindPage(ctx, "two", two.Epoch, two.Enumeration, 0)
	require.NoError(t, err)
	_, err = s.FinishPage(ctx, "two", two.Epoch, page.ID)
	require.NoError(t, err)
	stop("two", two)
	now = now.Add(6 * time.Hour)
	three := open("three")
	require.NotEqual(t, one.Enumeration, three.Enumeration)
	require.False(t, three.Resumed)
	_, err = s.FindPage(ctx, "three", three.Epoch, three.Enumeration, 0)
	require.ErrorIs(t, err, store.ErrNotFound, "pages of an abandoned enumeration are gone")
}
