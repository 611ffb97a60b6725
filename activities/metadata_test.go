package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// document is a configuration with a schedule of business metadata.
const document = `
qualys:
  - {name: corp, platform: US2, auth: {username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}"}}
servicenow:
  - {name: prod, url: "https://example.service-now.com", auth: {type: basic, username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}"}}
schedules:
  - {name: owners, direction: servicenow-to-qualys, kind: metadata, source: prod, target: corp, manual: true, select: [{table: cmdb_ci_server}]}
`

// gateway is a subscription of a few assets whose answers a test spoils.
type gateway struct {
	*httptest.Server
	mu     sync.Mutex
	owners map[string]string // by asset id
	posts  []string          // ids of every post, in order
	looks  int
	// metadata answers a post instead of the gateway when it is set: take carries the
	// post out.
	metadata func(w http.ResponseWriter, ids []string, take func())
	apps     func(w http.ResponseWriter, ids []string)
	// hides keeps what was taken from view for so many looks.
	hides int
}

func newGateway(t *testing.T, assets ...string) *gateway {
	t.Helper()
	g := &gateway{owners: map[string]string{}}
	for _, id := range assets {
		g.owners[id] = "before"
	}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/auth":
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "a.b.c")
	case "/rest/2.0/search/am/asset":
		g.search(w, body)
	case "/rest/2.0/update/am/asset/business/metadata":
		g.update(w, body)
	case qualys.BusinessAppsUpdate:
		var in struct {
			Data []struct {
				ID string `json:"businessAppId"`
			} `json:"data"`
		}
		_ = json.Unmarshal(body, &in)
		var ids []string
		for _, d := range in.Data {
			ids = append(ids, d.ID)
		}
		g.posts = append(g.posts, strings.Join(ids, " "))
		if g.apps != nil {
			g.apps(w, ids)
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (g *gateway) search(w http.ResponseWriter, body []byte) {
	g.looks++
	var filter qualys.Filter
	_ = json.Unmarshal(body, &filter)
	var list []map[string]any
	for _, id := range strings.Split(filter.Conditions[0].Value, ",") {
		owner, ok := g.owners[id]
		if g.looks <= g.hides {
			owner = "before"
		}
		if ok {
			list = append(list, map[string]any{"assetId": json.Number(id), "businessInformation": map[string]any{"ownedBy": owner}})
		}
	}
	if len(list) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"responseCode": "SUCCESS", "responseMessage": "ok", "count": len(list), "hasMore": 0, "lastSeenAssetId": 0, "assetListData": map[string]any{"asset": list}})
}

func (g *gateway) update(w http.ResponseWriter, body []byte) {
	var in struct {
		Data []struct {
			ID       string            `json:"qualysAssetId"`
			Metadata map[string]string `json:"metadata"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &in)
	var ids []string
	for _, d := range in.Data {
		ids = append(ids, d.ID)
	}
	g.posts = append(g.posts, strings.Join(ids, " "))
	take := func() {
		for _, d := range in.Data {
			if _, ok := g.owners[d.ID]; ok {
				g.owners[d.ID] = d.Metadata["ownedBy"]
			}
		}
	}
	if g.metadata != nil {
		g.metadata(w, ids, take)
		return
	}
	take()
	_, _ = io.WriteString(w, `{"responseCode":"SUCCESS","message":"ok"}`)
}

// lose ends the connection without an answer.
func lose(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = c.Close()
	}
}

// desk is the activity with a page that waits for its writer.
type desk struct {
	t     *testing.T
	store *sql.Store
	acts  *activities.Metadata
	in    contract.WritePageInput
}

// vendors hands out the gateway of a test.
type vendors struct {
	activities.Vendors
	src    *activities.Source
	target *activities.Target
}

func (v vendors) Qualys(context.Context, string, string) (*activities.Source, error) {
	return v.src, nil
}

func newDesk(t *testing.T, g *gateway, records ...store.Staging) *desk {
	t.Helper()
	ctx := t.Context()
	db, err := sql.Open(ctx, filepath.Join(t.TempDir(), "qbridge.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.SaveRevision(ctx, document, "digest", "ann")
	require.NoError(t, err)
	client, err := qualys.New(qualys.Config{Name: "corp", GatewayURL: g.URL, APIURL: g.URL, Username: "u", Password: "p", Transport: http.DefaultTransport})
	require.NoError(t, err)
	bodies, err := activities.NewBodies()
	require.NoError(t, err)
	opened, err := db.OpenRun(ctx, store.OpenRun{ID: "run-1", WorkflowID: "metadata/owners", Schedule: "owners", Source: "prod", Target: "corp", Revision: "r1", Full: true})
	require.NoError(t, err)
	page, err := db.StagePage(ctx, store.StagePage{Run: "run-1", Epoch: opened.Epoch, Enumeration: opened.Enumeration, Records: records})
	require.NoError(t, err)
	return &desk{
		t: t, store: db,
		acts: &activities.Metadata{
			Store: db, Settings: &activities.Settings{Store: db}, Bodies: bodies, Now: time.Now, Patience: []time.Duration{time.Millisecond},
			Vendors: vendors{src: &activities.Source{Name: "corp", Client: client, Gateway: client, Probe: qualys.NewProbe(client, nil)}},
		},
		in: contract.WritePageInput{Page: page.ID, Plan: contract.RunPlan{Run: "run-1", Schedule: "owners", Source: "prod", Target: "corp", Revision: "r1", Epoch: opened.Epoch, Kind: "metadata"}},
	}
}

// write is one attempt of the activity.
func (d *desk) write() error {
	d.t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(d.acts)
	_, err := env.ExecuteActivity(d.acts.QualysWriteMetadata, d.in)
	return err
}

// outcomes are those of the run, as "key outcome reason".
func (d *desk) outcomes() []string {
	d.t.Helper()
	list, err := d.store.ListOutcomes(d.t.Context(), store.OutcomeFilter{Run: "run-1", Limit: 100})
	require.NoError(d.t, err)
	var out []string
	for _, o := range list {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", o.Key, o.Outcome, o.Reason)))
	}
	return out
}

func staging(t *testing.T, key string, kind record.Kind, change any) store.Staging {
	t.Helper()
	bodies, err := activities.NewBodies()
	require.NoError(t, err)
	raw, err := json.Marshal(change)
	require.NoError(t, err)
	body, err := bodies.Encode(&activities.Body{Name: key, Parts: &record.Parts{Change: raw}})
	require.NoError(t, err)
	return store.Staging{Key: key, Kind: kind, Class: string(kind), PayloadDigest: "d-" + key, Body: body}
}

// owner gives assets an owner.
func owner(t *testing.T, ids ...string) []store.Staging {
	t.Helper()
	var out []store.Staging
	for _, id := range ids {
		out = append(out, staging(t, "corp/"+id, record.KindMetadata, export.AssetChange{Asset: id, CI: "ci" + id, Metadata: export.Metadata{Values: map[string]string{"ownedBy": "ann"}}}))
	}
	return out
}

func TestAnswersToAssetsAreTakenForWhatTheySay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil    func(*gateway)
		attempts int // that fail before one that does not
		outcomes []string
		posts    []string
	}{
		"all is well": {func(*gateway) {}, 0, []string{"corp/1 updated", "corp/2 updated", "corp/3 updated"}, []string{"1 2 3"}},
		"an answer that is lost after the write is not written again": {func(g *gateway) {
			g.metadata = func(w http.ResponseWriter, _ []string, take func()) { take(); lose(w) }
		}, 1, []string{
			"corp/1 updated recovered: the answer was lost, Qualys shows it", "corp/2 updated recovered: the answer was lost, Qualys shows it", "corp/3 updated recovered: the answer was lost, Qualys shows it",
		}, []string{"1 2 3"}},
		"an answer that is lost before the write is": {func(g *gateway) {
			g.metadata = func(w http.ResponseWriter, _ []string, take func()) {
				if len(g.posts) == 1 {
					lose(w)
					return
				}
				take()
			}
		}, 1, []string{"corp/1 updated", "corp/2 updated", "corp/3 updated"}, []string{"1 2 3", "1 2 3"}},
		"a page of a proxy says nothing": {func(g *gateway) {
			g.metadata = func(w http.ResponseWriter, _ []string, take func()) {
				take()
				_, _ = io.WriteString(w, "<html>maintenance</html>")
			}
		}, 1, []string{
			"corp/1 updated recovered: the answer was lost, Qualys shows it", "corp/2 updated recovered: the answer was lost, Qualys shows it", "corp/3 updated recovered: the answer was lost, Qualys shows it",
		}, []string{"1 2 3"}},
		"a batch that is refused as a whole is halved": {func(g *gateway) {
			g.metadata = func(w http.ResponseWriter, ids []string, take func()) {
				if slices.Contains(ids, "2") {
					w.WriteHeader(http.StatusBadRequest)
					_, _ = io.WriteString(w, `{"responseMessage":"bad owner"}`)
					return
				}
				take()
			}
		}, 0, []string{"corp/1 updated", "corp/2 failed qualys: write asset metadata: status 400: bad owner", "corp/3 updated"}, []string{"1 2 3", "1", "2 3", "2", "3"}},
		"a record that is refused leaves the others alone": {func(g *gateway) {
			g.metadata = func(w http.ResponseWriter, _ []string, take func()) {
				take()
				w.WriteHeader(http.StatusMultiStatus)
				_, _ = io.WriteString(w, `{"responseCode":"PARTIAL_SUCCESS","assetsError":{"2":"Asset is locked"}}`)
			}
		}, 0, []string{"corp/1 updated", "corp/2 failed Qualys refused it: Asset is locked", "corp/3 updated"}, []string{"1 2 3"}},
		"what is shown later counts": {func(g *gateway) { g.hides = 1 }, 0, []string{"corp/1 updated", "corp/2 updated", "corp/3 updated"}, []string{"1 2 3"}},
		"what is not shown is said, and looked for by the next run": {func(g *gateway) { g.hides = 9 }, 0, []string{
			"corp/1 updated Qualys took it and does not show it after 1ms: ownedBy", "corp/2 updated Qualys took it and does not show it after 1ms: ownedBy", "corp/3 updated Qualys took it and does not show it after 1ms: ownedBy",
		}, []string{"1 2 3"}},
		"an asset that is gone is told": {func(g *gateway) { delete(g.owners, "3") }, 0, []string{"corp/1 updated", "corp/2 updated", "corp/3 failed Qualys has no such asset any more"}, []string{"1 2 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, "1", "2", "3")
			c.spoil(g)
			d := newDesk(t, g, owner(t, "1", "2", "3")...)
			for range c.attempts {
				require.ErrorContains(t, d.write(), contract.ErrUnavailable)
				require.Empty(t, d.outcomes())
			}
			require.NoError(t, d.write())
			require.Empty(t, cmp.Diff(c.outcomes, d.outcomes()))
			require.Empty(t, cmp.Diff(c.posts, g.posts))
			run, err := d.store.CloseRun(t.Context(), store.CloseRun{ID: "run-1", Epoch: d.in.Plan.Epoch, Status: store.RunCompleted, Complete: true})
			require.NoError(t, err)
			require.True(t, run.Counters.Balanced(), "%+v", run.Counters)
		})
	}
}

func TestWhatIsNeverShownHasNotWorked(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "1")
	g.hides = 9
	d := newDesk(t, g, staging(t, "corp/1", record.KindMetadata, export.AssetChange{Asset: "1", CI: "ci", Again: true, Metadata: export.Metadata{Values: map[string]string{"ownedBy": "ann"}}}))
	require.NoError(t, d.write())
	require.Equal(t, []string{"corp/1 failed Qualys took it more than once and does not show it: ownedBy"}, d.outcomes())
}

func TestARightThatIsMissingEndsTheRunWithItsName(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "1")
	g.metadata = func(w http.ResponseWriter, _ []string, _ func()) { w.WriteHeader(http.StatusForbidden) }
	d := newDesk(t, g, owner(t, "1")...)
	err := d.write()
	require.ErrorContains(t, err, contract.ErrInvalidRequest)
	require.ErrorContains(t, err, "lacks the permission")
	require.Empty(t, d.outcomes())
	require.Equal(t, "before", g.owners["1"])
}

func TestApplicationsAreWrittenBeforeAssetsAndRefusalsFindTheirOwn(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "1")
	g.apps = func(w http.ResponseWriter, ids []string) {
		if slices.Contains(ids, "BA2") { // names nobody
			w.WriteHeader(http.StatusMultiStatus)
			_, _ = io.WriteString(w, `{"responseCode":"PARTIAL_SUCCESS","assetsError":["one record is wrong"]}`)
		}
	}
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	records := owner(t, "1")
	for i, id := range []string{"BA1", "BA2", "BA3"} {
		records = append(records, staging(t, "prod/application/"+id, record.KindApplication, export.ApplicationChange{
			SysID: id, New: i == 0, Application: export.Application{ID: id, Values: map[string]string{"name": id}, Created: day, Updated: day},
		}))
	}
	d := newDesk(t, g, records...)
	require.NoError(t, d.write())
	require.Equal(t, []string{"BA1 BA2 BA3", "BA1", "BA2 BA3", "BA2", "BA3", "1"}, g.posts)
	require.Equal(t, []string{
		"corp/1 updated", "prod/application/BA1 created", "prod/application/BA2 failed Qualys refused it: one record is wrong", "prod/application/BA3 updated",
	}, d.outcomes())
}
