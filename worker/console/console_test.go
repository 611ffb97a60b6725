package console_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/worker/console"
	"github.com/qbridge/qbridge/worker/console/access"
	"github.com/qbridge/qbridge/worker/httpapi"
	"github.com/qbridge/qbridge/worker/report"
	"github.com/qbridge/qbridge/workflows/contract"
)

// temporal is what the console asks of Temporal, remembered.
type temporal struct {
	mu        sync.Mutex
	decisions []approval.Decision
	done      []string
}

func (f *temporal) note(what string) { f.mu.Lock(); f.done = append(f.done, what); f.mu.Unlock() }

func (f *temporal) Schedules(context.Context) (map[string]console.ScheduleState, error) {
	return map[string]console.ScheduleState{"inventory": {Paused: true, Note: "<b>note</b>"}}, nil
}

func (f *temporal) Decide(_ context.Context, schedule string, d approval.Decision) (contract.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.decisions = append(f.decisions, d)
	return contract.Receipt{Decision: d.ID}, nil
}

func (f *temporal) Start(_ context.Context, _ string, in contract.RunInput) (string, error) {
	f.note("start " + in.Schedule)
	return "run", nil
}
func (f *temporal) Cancel(_ context.Context, id string) error { f.note("cancel " + id); return nil }
func (f *temporal) Move(_ context.Context, schedule, action, _ string) error {
	f.note(action + " " + schedule)
	return nil
}
func (f *temporal) Doctor(context.Context) (contract.PreflightResult, error) {
	f.note("doctor")
	return contract.PreflightResult{Checks: []contract.Check{{Connection: "corp", Capability: "login", OK: true, Message: "signed in"}}, Calls: 1}, nil
}

// site is a console over a store of its own.
type site struct {
	t       *testing.T
	store   store.Store
	control *temporal
	console *console.Console
	srv     *httptest.Server
	run     string
	jars    map[access.Role]*http.Client
}

const password = "a password that is long"

func names(t *testing.T) []string {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "tests", "fixtures", "hostile", "names.txt"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var out []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, err := strconv.Unquote(lines.Text())
		require.NoError(t, err, lines.Text())
		out = append(out, name)
	}
	require.GreaterOrEqual(t, len(out), 200)
	return out
}

// newSite serves a console whose store holds an asset for each name, which is also
// its class, its reason, its operating system and a column of its CI. Half of them
// wait for a decision, the rest failed.
func newSite(t *testing.T, names []string) *site {
	t.Helper()
	ctx := context.Background()
	db, err := sql.Open(ctx, filepath.Join(t.TempDir(), "q.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	document, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", "quickstart.yaml"))
	require.NoError(t, err)
	rev, err := db.SaveRevision(ctx, string(document)+"# <script>alert(1)</script>\n", "d", "<b>author</b>")
	require.NoError(t, err)
	bodies, err := activities.NewBodies()
	require.NoError(t, err)
	settings := &activities.Settings{Store: db}
	s := &site{t: t, store: db, control: &temporal{}, run: "run-1", jars: map[access.Role]*http.Client{}}
	opened, err := db.OpenRun(ctx, store.OpenRun{ID: s.run, WorkflowID: "sync/inventory", Schedule: "inventory", Source: "corp", Target: "dev", Direction: "qualys-to-servicenow", Revision: rev.ID, RulesDigest: "r"})
	require.NoError(t, err)
	var staging []store.Staging
	var planned []store.Planned
	for i, name := range names {
		body := &activities.Body{Name: name, Revision: rev.ID, Parts: &record.Parts{Native: &cmdb.Item{Key: "main", Class: "cmdb_ci_server", Columns: []cmdb.Column{{Name: "name", Value: name}}}}}
		body.Inputs.OSName, body.Decision.Class, body.Decision.Rule = name, "cmdb_ci_server", name
		body.Clean = []contract.CleanStep{{Field: "name", Raw: name, Clean: name}}
		raw, err := bodies.Encode(body)
		require.NoError(t, err)
		in := store.Staging{Key: fmt.Sprintf("corp/%d", 1000+i), Kind: record.KindAsset, Class: "cmdb_ci_server", PayloadDigest: strconv.Itoa(i), Body: raw}
		if i%2 == 1 {
			in.Outcome, in.Reason = record.Failed, name
		} else {
			planned = append(planned, store.Planned{Key: in.Key, Digest: "p", Rule: name, Plan: &approval.Plan{Operation: approval.Create, To: name, Changes: []approval.Change{{Column: "name", New: name}}, Parts: []string{name}}})
		}
		staging = append(staging, in)
	}
	page, err := db.StagePage(ctx, store.StagePage{Run: s.run, Epoch: opened.Epoch, Enumeration: opened.Enumeration, Last: true, CursorOut: 1, Hold: true, Records: staging})
	require.NoError(t, err)
	require.NoError(t, db.TakePage(ctx, store.Writer{Run: s.run, Epoch: opened.Epoch, Page: page.ID, Attempt: 1}))
	require.NoError(t, db.HoldStaged(ctx, store.Writer{Run: s.run, Epoch: opened.Epoch, Page: page.ID, Attempt: 1}, planned, false))
	_, err = db.FinishPage(ctx, s.run, opened.Epoch, page.ID)
	require.NoError(t, err)
	_, err = db.CloseRun(ctx, store.CloseRun{ID: s.run, Epoch: opened.Epoch, Status: store.RunCompleted, Complete: true, Calls: map[string]int64{"qualys": 2}, Error: "<i>error</i>"})
	require.NoError(t, err)

	source := &report.Source{Store: db, Settings: settings, Bodies: bodies, Now: time.Now}
	cache := report.NewCache(source)
	t.Cleanup(cache.Close)
	api := httpapi.New(httpapi.Options{Store: db, Settings: settings, Bodies: bodies, Log: zerolog.Nop()})
	s.console, err = console.New(console.Options{API: api.API(), Store: db, Settings: settings, Control: s.control, Source: source, Reports: cache, TemporalUI: "http://127.0.0.1:8233", Namespace: "default", Now: time.Now, Log: zerolog.Nop(), Version: "test"})
	require.NoError(t, err)
	gate, err := access.New(access.Options{Store: db, Token: "token-of-the-test", Now: time.Now, Log: zerolog.Nop(), SignInPage: s.console.SignInPage, Refused: s.console.Refused})
	require.NoError(t, err)
	handler, err := s.console.Handler(gate)
	require.NoError(t, err)
	s.srv = httptest.NewServer(handler)
	t.Cleanup(s.srv.Close)
	return s
}

// as returns a browser in which somebody with a role is signed in.
func (s *site) as(role access.Role) *http.Client {
	s.t.Helper()
	if c := s.jars[role]; c != nil {
		return c
	}
	name := string(role)
	require.NoError(s.t, access.SetPassword(context.Background(), s.store, name, password, role))
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	c := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.PostForm(s.srv.URL+"/sign-in", url.Values{"name": {name}, "password": {password}, "next": {"/runs"}})
	require.NoError(s.t, err)
	_ = res.Body.Close()
	require.Equal(s.t, http.StatusSeeOther, res.StatusCode)
	require.Equal(s.t, "/runs", res.Header.Get("Location"))
	s.jars[role] = c
	return c
}

// get reads a page.
func (s *site) get(role access.Role, path string) (int, string, http.Header) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.srv.URL+path, nil)
	require.NoError(s.t, err)
	req.Header.Set("Accept", "text/html")
	res, err := s.as(role).Do(req)
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return res.StatusCode, string(body), res.Header
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post sends a form with the token of the session, whatever page has one.
func (s *site) post(role access.Role, path string, form url.Values) (int, string) {
	s.t.Helper()
	_, body, _ := s.get(role, "/")
	token := csrfField.FindStringSubmatch(body)
	require.NotNil(s.t, token, "the sign-out form has a token on every page")
	form.Set("csrf", token[1])
	req, err := http.NewRequest(http.MethodPost, s.srv.URL+path, strings.NewReader(form.Encode()))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	res, err := s.as(role).Do(req)
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return res.StatusCode, string(answer) + res.Header.Get("Location")
}

// pages are the addresses of all pages, each with something on it.
func (s *site) pages() []string {
	out := []string{
		"/", "/?schedule=inventory&span=24h", "/overview/live", "/runs", "/runs?schedule=inventory&outcome=failed&span=1h", "/runs/" + s.run, "/runs/" + s.run + "/live", "/runs/" + s.run + "/outcomes", "/runs/" + s.run + "/outcomes?outcome=failed",
		"/assets?schedule=inventory", "/assets?schedule=inventory&state=failed", "/assets?q=1000", "/asset?key=corp/1000", "/asset?key=corp/1001", "/staged?schedule=inventory", "/staged/plan?schedule=inventory&key=corp/1000",
		"/errors?schedule=inventory", "/certificates", "/exports", "/configuration", "/reports", "/audit?schedule=inventory&verify=1",
	}
	for _, r := range report.All() {
		out = append(out, "/reports/"+r.ID)
	}
	return out
}

func TestEveryPageHasWhatItShows(t *testing.T) {
	t.Parallel()
	s := newSite(t, names(t)[:20])
	for path, want := range map[string][]string{
		"/":                            {"inventory", "corp → dev", ">10</a>", "paused", "10 pending", "by hand"},
		"/runs":                        {"inventory", `data-sum="failed">10`, `data-sum="pending">10`},
		"/runs/" + s.run:               {"run-1", "Temporal UI", ">10</a>", "&lt;i&gt;error&lt;/i&gt;"},
		"/assets?schedule=inventory":   {"corp/1000", "corp/1019", "cmdb_ci_server"},
		"/assets?q=1007":               {"corp/1007"},
		"/asset?key=corp/1000":         {"Values that were cleansed", "cmdb_ci_server"},
		"/staged?schedule=inventory":   {"10 records", "corp/1000", "create", "Approve"},
		"/errors?schedule=inventory":   {"corp/1001", "Write what is ticked again"},
		"/configuration":               {"r1", "inventory", "&lt;b&gt;author&lt;/b&gt;"},
		"/reports/classes":             {"cmdb_ci_server", "20"},
		"/audit?schedule=inventory":    {"Nobody has decided anything"},
		"/nothing":                     {"there is no page"},
		"/runs/none":                   {"there is no run none"},
		"/asset?key=corp/5":            {"no schedule has seen asset"},
		"/staged?schedule=x&state=bad": {"is no state of a staged record"},
	} {
		_, body, header := s.get(access.Admin, path)
		for _, w := range want {
			require.Contains(t, body, w, path)
		}
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'", path)
		require.Contains(t, header.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		require.Equal(t, "no-store", header.Get("Cache-Control"), path)
	}
}

// tame checks that a page holds no tag, attribute or address that is not ours.
func tame(t *testing.T, path, body string) {
	t.Helper()
	tokens := html.NewTokenizer(strings.NewReader(body))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
		default:
			continue
		}
		tag := tokens.Token()
		require.NotContains(t, []string{"iframe", "img", "svg", "base", "object", "embed", "style", "textarea"}, tag.Data, path)
		for _, a := range tag.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on"), "%s: %s of %s", path, a.Key, tag.Data)
			switch a.Key {
			case "href", "src", "action", "hx-get":
				require.Regexp(t, `^(/|#main|http://127\.0\.0\.1:8233(/|$))`, a.Val, path)
				require.NotRegexp(t, `^//`, a.Val, path)
			}
			if tag.Data == "script" {
				require.Contains(t, []string{"src", "defer"}, a.Key, path)
			}
		}
		if tag.Data == "script" {
			require.NotEmpty(t, tag.Attr, path)
		}
	}
}

func TestHostileNamesDoNothing(t *testing.T) {
	t.Parallel()
	list := names(t)
	s := newSite(t, list)
	pages := s.pages()
	for i := range list {
		pages = append(pages, fmt.Sprintf("/asset?key=corp/%d", 1000+i))
		if i%2 == 0 {
			pages = append(pages, fmt.Sprintf("/staged/plan?schedule=inventory&key=corp/%d", 1000+i))
		}
		pages = append(pages, "/assets?q="+url.QueryEscape(list[i]), "/errors?schedule=inventory&reason="+url.QueryEscape(list[i]), "/staged?schedule=inventory&class="+url.QueryEscape(strings.ReplaceAll(list[i], " ", "")))
	}
	for _, path := range pages {
		status, body, _ := s.get(access.Admin, path)
		require.Less(t, status, 500, path)
		tame(t, path, body)
		for _, r := range body {
			require.False(t, r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069, "%s holds %q", path, r)
		}
	}
}

func TestExportsAreReadBack(t *testing.T) {
	t.Parallel()
	list := names(t)
	s := newSite(t, list)
	for _, r := range report.All() {
		status, body, header := s.get(access.Viewer, "/reports/"+r.ID+".csv")
		require.Equal(t, http.StatusOK, status, r.ID)
		require.Contains(t, header.Get("Content-Disposition"), "attachment")
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		require.NoError(t, err, r.ID)
		require.Len(t, rows[0], len(r.Columns))
		for _, row := range rows[1:] {
			for _, cell := range row {
				require.NotRegexp(t, "^[=+@\t\r\n＝＋－＠-]", cell, r.ID)
				require.NotRegexp(t, "[\x00-\x1f\x7f\u0080-\u009f\u202a-\u202e\u2066-\u2069]", cell, r.ID)
			}
		}
		status, body, _ = s.get(access.Viewer, "/reports/"+r.ID+".json")
		require.Equal(t, http.StatusOK, status, r.ID)
		require.True(t, strings.HasPrefix(body, "[") && strings.HasSuffix(body, "]\n"), r.ID)
	}
	_, body, _ := s.get(access.Viewer, "/reports/coverage.csv?schedule=inventory")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	require.NoError(t, err)
	sum := 0
	for _, row := range rows[1:] {
		n, err := strconv.Atoi(row[3])
		require.NoError(t, err)
		sum += n
	}
	require.Equal(t, len(list), sum, "every asset is somewhere, once")
}

// matrix is who may do what; it is written here again so that a change of the roles
// is a change of this table.
var matrix = map[access.Role]map[access.Verb]bool{
	access.Viewer:      {access.VerbRead: true},
	access.Operator:    {access.VerbRead: true, access.VerbRun: true},
	access.Approver:    {access.VerbRead: true, access.VerbDecide: true},
	access.ConfigAdmin: {access.VerbRead: true, access.VerbConfigure: true},
	access.Auditor:     {access.VerbRead: true, access.VerbAudit: true},
	access.Admin:       {access.VerbRead: true, access.VerbRun: true, access.VerbDecide: true, access.VerbConfigure: true, access.VerbAudit: true},
}

func TestEveryRoleCanDoExactlyItsVerbs(t *testing.T) {
	t.Parallel()
	s := newSite(t, []string{"a", "b"})
	verbs := map[string]access.Verb{ // of every route that changes or shows something apart
		"POST /runs/start": access.VerbRun, "POST /runs/{id}/cancel": access.VerbRun, "POST /schedules/{schedule}/{action}": access.VerbRun,
		"POST /staged/decide": access.VerbDecide, "POST /configuration/doctor": access.VerbConfigure, "GET /audit": access.VerbAudit,
	}
	for role, may := range matrix {
		for _, r := range s.console.Routes() {
			verb, ok := verbs[r.Pattern]
			if !ok {
				require.True(t, strings.HasPrefix(r.Pattern, "GET "), "%s changes something and is in no table", r.Pattern)
				verb = access.VerbRead
			}
			method, path, _ := strings.Cut(r.Pattern, " ")
			path = strings.NewReplacer("{id}", s.run, "{schedule}", "inventory", "{action}", "pause", "{$}", "").Replace(path)
			status := 0
			if method == http.MethodGet {
				status, _, _ = s.get(role, path)
			} else {
				status, _ = s.post(role, path, url.Values{"schedule": {"inventory"}, "verdict": {"approve"}, "snapshot": {"99"}, "which": {"all"}})
			}
			require.Equal(t, may[verb], status != http.StatusForbidden, "%s as %s: %d", r.Pattern, role, status)
		}
	}
	require.NotEmpty(t, s.control.done)
	for _, d := range s.control.decisions {
		require.Contains(t, []string{"approver", "admin"}, d.By)
	}
}

func TestADecisionIsMadeUnderTheNameOfTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, []string{"a", "b", "c"})
	for problem, form := range map[string]url.Values{
		"no record is chosen":           {"which": {"chosen"}, "snapshot": {"9"}, "verdict": {"approve"}},
		"does not say what was shown":   {"which": {"all"}, "verdict": {"approve"}},
		"a rejection needs a reason":    {"which": {"all"}, "verdict": {"reject"}, "snapshot": {"9"}},
		"is none of approve":            {"which": {"all"}, "verdict": {"burn"}, "snapshot": {"9"}},
		"unknown filter":                {"which": {"all"}, "verdict": {"approve"}, "snapshot": {"9"}, "filter": {"color=red"}},
		"by exactly one of ids, filter": {"which": {"chosen"}, "id": {""}, "verdict": {"approve"}, "snapshot": {"9"}, "filter": {"class=a"}, "x": {""}},
	} {
		if strings.HasPrefix(problem, "by exactly") {
			continue
		}
		form.Set("schedule", "inventory")
		status, body := s.post(access.Approver, "/staged/decide", form)
		require.Equal(t, http.StatusBadRequest, status, problem)
		require.Contains(t, body, problem)
	}
	require.Empty(t, s.control.decisions)
	status, to := s.post(access.Approver, "/staged/decide", url.Values{
		"schedule": {"inventory"}, "which": {"chosen"}, "id": {"corp/1000"}, "snapshot": {"9"}, "verdict": {"reject"}, "reason": {" because "}, "by": {"somebody else"},
	})
	require.Equal(t, http.StatusSeeOther, status, to)
	require.Len(t, s.control.decisions, 1)
	d := s.control.decisions[0]
	require.Equal(t, "approver", d.By)
	require.Equal(t, "because", d.Reason)
	require.Equal(t, []string{"corp/1000"}, d.IDs)
	require.Contains(t, to, "/staged/decision?id="+d.ID)
	v, err := s.store.VoucherOf(context.Background(), d.ID)
	require.NoError(t, err)
	require.Equal(t, store.Voucher{Name: "approver", How: "local"}, v)
}

func TestTheTokenIsForScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t, []string{"a"})
	for token, want := range map[string]int{"token-of-the-test": http.StatusOK, "other": http.StatusUnauthorized, "": http.StatusUnauthorized} {
		req, err := http.NewRequest(http.MethodGet, s.srv.URL+"/runs", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_ = res.Body.Close()
		require.Equal(t, want, res.StatusCode, token)
	}
}
