package sql_test

import (
	"context"
	dbsql "database/sql"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/activities/store/storetest"
	"github.com/qbridge/qbridge/domain/record"
)

// A life is three runs of one schedule: the first dies, the second takes over and
// completes, the third finds everything unchanged. Every step is what an activity
// does, so a step that was killed is simply done again.
type life struct {
	s                    store.Store
	name                 string
	first, second, third store.OpenedRun
	page                 store.Page
}

func (l *life) key(n int) string { return fmt.Sprintf("%s/%d", l.name, n) }

func (l *life) run(n int) string { return fmt.Sprintf("%s-run-%d", l.name, n) }

func (l *life) staging(n int, o record.Outcome) store.Staging {
	r := store.Staging{Key: l.key(n), Kind: record.KindAsset, Class: "cmdb_ci_server", PayloadDigest: fmt.Sprintf("d%d", n), Body: []byte("body"), Outcome: o}
	if o != "" {
		r.PayloadDigest = ""
	}
	return r
}

type step func(context.Context) error

func (l *life) open(n int, out *store.OpenedRun, takeOver *store.OpenedRun) step {
	return func(ctx context.Context) (err error) {
		in := store.OpenRun{
			ID: l.run(n), WorkflowID: "sync/" + l.name, Schedule: l.name, Source: "corp", Target: "prod", Revision: "r1", RulesDigest: "rules", Overlap: time.Hour, ResumeWithin: time.Hour,
		}
		if takeOver != nil {
			in.TakeOver = takeOver.Epoch
		}
		*out, err = l.s.OpenRun(ctx, in)
		return err
	}
}

func (l *life) stage(n int, o *store.OpenedRun, cursor int64, last bool, records ...store.Staging) step {
	return func(ctx context.Context) (err error) {
		l.page, err = l.s.StagePage(ctx, store.StagePage{
			Run: l.run(n), Epoch: o.Epoch, Enumeration: o.Enumeration, CursorIn: cursor, CursorOut: cursor + 10, Last: last,
			ServerDate: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Records: records,
		})
		return err
	}
}

func (l *life) find(n int, o *store.OpenedRun, cursor int64) step {
	return func(ctx context.Context) (err error) {
		l.page, err = l.s.FindPage(ctx, l.run(n), o.Epoch, o.Enumeration, cursor)
		return err
	}
}

func (l *life) claim(n int, o *store.OpenedRun) step {
	return func(ctx context.Context) (err error) {
		l.page, err = l.s.ClaimFailed(ctx, l.run(n), o.Epoch, 10)
		return err
	}
}

// write posts everything that waits on the page at hand; fail names keys that
// the target refuses.
func (l *life) write(n int, o *store.OpenedRun, fail ...int) step {
	return func(ctx context.Context) error {
		staged, err := l.s.Staged(ctx, l.run(n), l.page.ID)
		if err != nil {
			return err
		}
		var keys []string
		var out []store.Settlement
		for _, r := range staged {
			keys = append(keys, r.Key)
			st := store.Settlement{Key: r.Key, Outcome: record.Created, Digest: r.PayloadDigest, Fresh: true, Answer: "{}", Class: "cmdb_ci_server"}
			st.Link = &store.Link{Target: "prod", Key: r.Key, SysID: "sys", Origin: record.OriginCreated}
			for _, f := range fail {
				if r.Key == l.key(f) {
					st = store.Settlement{Key: r.Key, Outcome: record.Failed, Reason: "refused"}
				}
			}
			out = append(out, st)
		}
		if err := storetest.Begin(ctx, l.s, l.run(n), o.Epoch, l.page.ID, keys); err != nil {
			return err
		}
		return l.s.Settle(ctx, store.Writer{Run: l.run(n), Epoch: o.Epoch, Page: l.page.ID}, out)
	}
}

func (l *life) finish(n int, o *store.OpenedRun) step {
	return func(ctx context.Context) error {
		_, err := l.s.FinishPage(ctx, l.run(n), o.Epoch, l.page.ID)
		return err
	}
}

func (l *life) close(n int, o *store.OpenedRun) step {
	return func(ctx context.Context) error {
		r, err := l.s.CloseRun(ctx, store.CloseRun{ID: l.run(n), Epoch: o.Epoch, Status: store.RunCompleted, Complete: true})
		if err == nil && !r.Counters.Balanced() {
			return fmt.Errorf("run %d: %+v", n, r.Counters)
		}
		return err
	}
}

func (l *life) steps() []step {
	return []step{
		l.open(1, &l.first, nil),
		l.stage(1, &l.first, 0, false, l.staging(1, ""), l.staging(2, ""), l.staging(3, record.Skipped), l.staging(4, record.Failed)),
		l.write(1, &l.first, 2),
		l.finish(1, &l.first),
		l.stage(1, &l.first, 10, true, l.staging(2, ""), l.staging(5, ""), l.staging(6, "")),
		l.open(2, &l.second, &l.first), // the first is dead
		l.find(2, &l.second, 10),
		l.write(2, &l.second, 6),
		l.finish(2, &l.second),
		l.claim(2, &l.second),
		l.write(2, &l.second),
		l.finish(2, &l.second),
		l.close(2, &l.second),
		l.open(3, &l.third, nil),
		l.stage(3, &l.third, 0, true, l.staging(1, ""), l.staging(5, "")),
		l.finish(3, &l.third),
		l.claim(3, &l.third),
		l.write(3, &l.third),
		l.finish(3, &l.third),
		func(ctx context.Context) error { return l.s.DropLinks(ctx, "prod", []string{l.key(5)}) },
		l.close(3, &l.third),
	}
}

// left is what a life leaves in the store, without its name and times.
type left struct {
	Opened   []store.OpenedRun
	Runs     []record.Counters
	Outcomes [][]string
	Records  []string
	Links    int
}

func (l *life) left(t *testing.T) left {
	t.Helper()
	ctx := context.Background()
	var out left
	for n, o := range []store.OpenedRun{l.first, l.second, l.third} {
		o.Enumeration = 0 // numbered over all lives
		out.Opened = append(out.Opened, o)
		r, err := l.s.RunByID(ctx, l.run(n+1))
		require.NoError(t, err)
		out.Runs = append(out.Runs, r.Counters)
		rows, err := l.s.ListOutcomes(ctx, store.OutcomeFilter{Run: l.run(n + 1)})
		require.NoError(t, err)
		var list []string
		for _, row := range rows {
			list = append(list, fmt.Sprintf("%s %s %s", row.Key[len(l.name):], row.Outcome, row.Reason))
		}
		out.Outcomes = append(out.Outcomes, list)
	}
	var keys []string
	for n := 1; n <= 6; n++ {
		keys = append(keys, l.key(n))
		records, err := l.s.Records(ctx, record.KindAsset, l.key(n))
		require.NoError(t, err)
		for _, r := range records {
			out.Records = append(out.Records, fmt.Sprintf("%d %s %s %s written %q intent %q run %s", n, r.State, r.Outcome, r.PayloadDigest, r.WrittenDigest, r.Intent, r.Run[len(l.name):]))
		}
	}
	links, err := l.s.LinksOf(ctx, "prod", keys)
	require.NoError(t, err)
	out.Links = len(links)
	return out
}

// victim is a store that can be killed and started again.
type victim struct {
	t     *testing.T
	name  string // of the lives
	url   string // SQLite: moves on to a copy of the files with each kill
	copy  func(url string) string
	s     store.Store
	fault *fault
}

func newVictim(t *testing.T, url string, copyFiles func(string) string) (*victim, left) {
	t.Helper()
	v := &victim{t: t, url: url, copy: copyFiles}
	v.start()
	t.Cleanup(func() { require.NoError(t, v.s.Close()) })
	want, _ := v.live("whole", point{})
	require.Equal(t, record.Counters{Fetched: 6, Created: 1, Failed: 4, Skipped: 1}, want.Runs[0])
	return v, want
}

func (v *victim) start() {
	v.t.Helper()
	if v.s != nil {
		_ = v.s.Close() // of a killed process; its connections are dead
	}
	v.fault = &fault{onKill: func() { v.url = v.copy(v.url) }}
	s, err := sql.Open(context.Background(), v.url, sql.Options{}.WithOpener(v.fault.open))
	require.NoError(v.t, err)
	v.s = s
}

// live lives a life with one fault, and reports whether the fault came.
func (v *victim) live(name string, p point) (left, bool) {
	v.t.Helper()
	l := &life{s: v.s, name: name}
	v.fault.arm(p)
	came := false
	for i, do := range l.steps() {
		err := do(context.Background())
		if v.fault.killed() {
			require.ErrorIs(v.t, err, errKilled, "step %d hides that it was killed", i)
			came = true
			v.start()
			l.s = v.s
			err = l.steps()[i](context.Background())
		}
		require.NoError(v.t, err, "step %d, %+v", i, p)
	}
	came = came || v.fault.conflicted()
	v.fault.arm(point{})
	return l.left(v.t), came
}

// faults lives a life for every point at which a fault may come. What each
// leaves equals what an undisturbed life leaves.
func (v *victim) faults(want left, atLeast int, at func(n int) point) {
	v.t.Helper()
	for n := 1; ; n++ {
		got, came := v.live(fmt.Sprintf("%s-%d", v.name, n), at(n))
		require.Empty(v.t, cmp.Diff(want, got), "%+v", at(n))
		if !came {
			require.Greater(v.t, n, atLeast, "a life has more points than that")
			return
		}
	}
}

// kills kills a life at every statement and after every commit.
func kills(t *testing.T, url string, copyFiles func(string) string) {
	v, want := newVictim(t, url, copyFiles)
	v.name = "statement"
	v.faults(want, 100, func(n int) point { return point{Statement: n} })
	v.name = "commit"
	v.faults(want, 15, func(n int) point { return point{Commit: n} })
}

// conflicts makes every statement of a life lose once against another
// transaction; no step fails.
func conflicts(t *testing.T, url string) {
	v, want := newVictim(t, url, sameServer)
	v.name = "conflict"
	v.faults(want, 100, func(n int) point { return point{Conflict: n} })
}

// sameServer stands for copies: a server keeps what was committed.
func sameServer(url string) string { return url }

func TestALifeSurvivesAKillAtEveryStatement(t *testing.T) {
	t.Parallel()
	dir, n := t.TempDir(), 0
	kills(t, filepath.Join(dir, "0.db"), func(path string) string {
		n++
		return copyStore(t, path, filepath.Join(dir, fmt.Sprintf("%d.db", n)))
	})
}

// No statement of a life reads a whole table that grows with the estate, nor all
// records of a schedule.
func TestNoStatementReadsAWholeTable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	v, _ := newVictim(t, path, sameServer)
	db, err := dbsql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	whole := regexp.MustCompile(`SCAN (heads|outcomes|links|pages|refs|h|o)\b|(heads|h) USING .*\(schedule=\?( AND target=\?)?( AND kind=\?)?\)`)
	explained := 0
	for _, q := range v.fault.statements() {
		verb, _, _ := strings.Cut(strings.TrimSpace(q), " ")
		if !slices.Contains([]string{"SELECT", "UPDATE", "DELETE", "INSERT"}, verb) || strings.Contains(q, "sqlite_") {
			continue
		}
		rows, err := db.Query("EXPLAIN QUERY PLAN "+q, make([]any, strings.Count(q, "?"))...)
		require.NoError(t, err, q)
		for rows.Next() {
			var id, parent, unused int
			var detail string
			require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
			require.NotRegexp(t, whole, detail, q)
			explained++
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	require.Greater(t, explained, 40)
}
