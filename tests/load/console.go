package main

import (
	"context"
	dbsql "database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/worker/console"
	"github.com/qbridge/qbridge/worker/console/access"
	"github.com/qbridge/qbridge/worker/httpapi"
	reports "github.com/qbridge/qbridge/worker/report"
	"github.com/qbridge/qbridge/workflows/contract"
)

// looks is how often a page of the console is asked for; the median counts.
const looks = 21

// large fills a store: heads of all states, a name for each asset, a year of runs.
// The statements do at once what a year of runs does.
var large = []string{
	`INSERT INTO heads (schedule, target, kind, key, version, state, outcome, reason, class, payload_digest, written_digest, body, answer, intent, run, page, staged_at, written_at)
	 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
	 SELECT 'inventory', 'dev', 'asset', 'corp/' || i, i, CASE WHEN i % 50 = 0 THEN 'failed' WHEN i % 10 = 0 THEN 'pending' ELSE 'done' END,
	  CASE WHEN i % 50 = 0 THEN 'failed' WHEN i % 10 = 0 THEN 'pending' ELSE 'unchanged' END, CASE WHEN i % 50 = 0 THEN 'reason ' || i % 7 ELSE '' END,
	  'cmdb_ci_class' || i % 40, 'd', 'd', zeroblob(1000), '', '', 'run', 1, 1700000000000000 + i, 1700000000000000 FROM n`,
	`INSERT INTO plans (schedule, target, kind, key, operation, class, rule, columns, digest, body, planned_at)
	 SELECT schedule, target, kind, key, 'create', class, 'r', ' name ', 'd', '{}', staged_at FROM heads WHERE state = 'pending'`,
	`INSERT INTO machines (source, id, name, serial, uuid, cloud, macs, agent, modified, generation, enumeration, seen_at)
	 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) SELECT 'corp', i, 'host' || i, '', '', '', '', 0, 0, 0, 1, 0 FROM n`,
	`INSERT INTO runs (id, workflow_id, schedule, source, target, direction, revision, rules_digest, mode, status, resumed, verify, enumeration, since, start_cursor, retries, epoch, started_at, ended_at, counters, pages, events, calls, error)
	 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 365 * 24)
	 SELECT 'run-' || i, 'sync/inventory', 'inventory', 'corp', 'dev', 'qualys-to-servicenow', 'r1', '', 'incremental', 'completed', 0, 0, i, 0, 0, 0, i, ?2 - i * 3600000000, ?2 - i * 3600000000 + 60000000,
	  '{"fetched":1000,"created":1,"updated":9,"unchanged":990,"skipped":0,"filtered":0,"pending":0,"rejected":0,"failed":0}', 4, 90, '{"qualys":5,"servicenow":9}', '' FROM n`,
}

// consolePages measures how long the console takes with many records in the store.
func consolePages(ctx context.Context, o *benchOptions) (rows []row, err error) {
	if o.heads == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(o.out), "console")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := fill(ctx, filepath.Join(dir, "q.db"), o.heads)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	pages, err := serve(db)
	if err != nil {
		return nil, err
	}
	for _, p := range []struct{ name, path string }{
		{"overview", "/"}, {"runs", "/runs?span=30d"}, {"assets", "/assets?schedule=inventory"}, {"assets, from the middle", "/assets?schedule=inventory&after=dev%7Casset%7Ccorp%2F5"},
		{"assets, search", "/assets?q=host77"}, {"assets of a class", "/assets?schedule=inventory&class=cmdb_ci_class7"}, {"assets that failed", "/assets?schedule=inventory&state=failed"},
		{"approvals", "/staged?schedule=inventory"}, {"errors", "/errors?schedule=inventory"},
	} {
		ms, err := median(pages, p.path)
		if err != nil {
			return nil, err
		}
		rows = append(rows, most(fmt.Sprintf("console with %d records: %s", o.heads, p.name), 300, 100, ms, "ms"))
	}
	return rows, nil
}

// fill returns a store with many records.
func fill(ctx context.Context, path string, heads int) (store.Store, error) {
	db, err := sql.Open(ctx, path, sql.Options{})
	if err != nil {
		return nil, err
	}
	document, err := os.ReadFile(filepath.Join("deploy", "examples", "quickstart.yaml"))
	if err != nil {
		return nil, err
	}
	if _, err := db.SaveRevision(ctx, string(document), "d", "bench"); err != nil {
		return nil, err
	}
	raw, err := dbsql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	defer func() { _ = raw.Close() }()
	for _, q := range large {
		if _, err := raw.ExecContext(ctx, q, heads, time.Now().UnixMicro()); err != nil {
			return nil, fmt.Errorf("fill the store: %w", err)
		}
	}
	return db, nil
}

// still is a Temporal in which nothing happens.
type still struct{}

func (still) Schedules(context.Context) (map[string]console.ScheduleState, error) { return nil, nil }
func (still) Decide(context.Context, string, approval.Decision) (contract.Receipt, error) {
	return contract.Receipt{}, nil
}
func (still) Start(context.Context, string, contract.RunInput) (string, error) { return "", nil }
func (still) Cancel(context.Context, string) error                             { return nil }
func (still) Move(context.Context, string, string, string) error               { return nil }
func (still) Doctor(context.Context) (contract.PreflightResult, error) {
	return contract.PreflightResult{}, nil
}

// benchToken lets the measurement in.
const benchToken = "bench"

// serve returns the console over a store.
func serve(db store.Store) (http.Handler, error) {
	bodies, err := activities.NewBodies()
	if err != nil {
		return nil, err
	}
	settings := &activities.Settings{Store: db}
	api := httpapi.New(httpapi.Options{Store: db, Settings: settings, Bodies: bodies, Log: zerolog.Nop()})
	source := &reports.Source{Store: db, Settings: settings, Bodies: bodies, Now: time.Now}
	c, err := console.New(console.Options{API: api.API(), Store: db, Settings: settings, Control: still{}, Source: source, Now: time.Now, Log: zerolog.Nop()})
	if err != nil {
		return nil, err
	}
	gate, err := access.New(access.Options{Store: db, Token: benchToken, Now: time.Now, Log: zerolog.Nop(), SignInPage: c.SignInPage, Refused: c.Refused})
	if err != nil {
		return nil, err
	}
	return c.Handler(gate)
}

// median is how long a page takes, in ms.
func median(pages http.Handler, path string) (float64, error) {
	var took []float64
	for range looks {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+benchToken)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		began := time.Now()
		pages.ServeHTTP(w, r)
		took = append(took, float64(time.Since(began).Microseconds())/1000)
		if w.Code != http.StatusOK {
			return 0, fmt.Errorf("console: %s answers %d", path, w.Code)
		}
	}
	slices.Sort(took)
	return took[looks/2], nil
}
