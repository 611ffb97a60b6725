package servicenow_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

func escape(s string) string { return url.QueryEscape(s) }

// Platform API: the 401 envelope, with and without credentials.
func TestUnauthorized(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	for _, header := range []string{"", "Basic bm9wZTpub3Bl", "Bearer nope"} {
		w := i.send(http.MethodGet, "/api/now/table/sys_user", "", "Authorization", header)
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.JSONEq(t, `{"error":{"message":"User Not Authenticated","detail":"Required to provide Auth information"},"status":"failure"}`, w.Body.String())
	}
}

type tokenAnswer struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
}

func (i *instance) token(t *testing.T, form string) (tokenAnswer, int) {
	t.Helper()
	w := i.send(http.MethodPost, "/oauth_token.do", form, "Content-Type", "application/x-www-form-urlencoded")
	var out tokenAnswer
	if w.Code == http.StatusOK {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
	} else {
		require.JSONEq(t, `{"error_description":"access_denied","error":"server_error"}`, w.Body.String())
	}
	return out, w.Code
}

// OAuth: grants, one token per lifetime with falling expires_in, expiry, refresh, form encoding only.
func TestOAuth(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	advance := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	i := mustInstance(t, servicenow.Options{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	client := "client_id=qbridge-client&client_secret=qbridge-client-secret&grant_type="
	first, _ := i.token(t, client+"password&username=qbridge&password=qbridge-password")
	require.Equal(t, "Bearer", first.Type)
	require.Equal(t, 1800, first.Expires)
	advance(10 * time.Minute)
	second, _ := i.token(t, client+"password&username=qbridge&password=qbridge-password")
	require.Equal(t, first.Access, second.Access)
	require.Equal(t, 1200, second.Expires)
	require.Equal(t, http.StatusOK, i.send(http.MethodGet, "/api/now/table/sys_user", "", "Authorization", "Bearer "+first.Access).Code)
	advance(20 * time.Minute)
	require.Equal(t, http.StatusUnauthorized, i.send(http.MethodGet, "/api/now/table/sys_user", "", "Authorization", "Bearer "+first.Access).Code)
	third, _ := i.token(t, client+"refresh_token&refresh_token="+first.Refresh)
	require.NotEqual(t, first.Access, third.Access)
	require.Equal(t, first.Refresh, third.Refresh)
	app, _ := i.token(t, client+"client_credentials")
	require.Empty(t, app.Refresh)
	_, status := i.token(t, client+"password&username=qbridge&password=wrong")
	require.Equal(t, http.StatusUnauthorized, status)
	w := i.send(http.MethodPost, "/oauth_token.do", `{"grant_type":"password"}`)
	require.Equal(t, http.StatusUnauthorized, w.Code)
}

// IRE endpoints: the role itil or asset is needed.
func TestRoles(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	for _, c := range []struct {
		role   string
		status int
	}{{"snc_external", http.StatusForbidden}, {"asset", http.StatusOK}, {"itil", http.StatusOK}} {
		i.control("users", fmt.Sprintf(`{"username":%q,"password":"p","roles":[%q]}`, c.role, c.role))
		req := httptest.NewRequest(http.MethodPost, "/api/now/v1/identifyreconcile?sysparm_data_source=SG-Qualys", strings.NewReader(items()))
		req.SetBasicAuth(c.role, "p")
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		w := httptest.NewRecorder()
		i.handler.ServeHTTP(w, req)
		require.Equal(t, c.status, w.Code, c.role)
	}
}

// Platform API: GET needs Accept, a write also Content-Type, and JSON is the only medium.
func TestMediaHeaders(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	require.Equal(t, http.StatusBadRequest, i.send(http.MethodGet, "/api/now/table/sys_user", "", "Accept", "").Code)
	ire := "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys"
	require.Equal(t, http.StatusBadRequest, i.send(http.MethodPost, ire, items(), "Content-Type", "").Code)
	require.Equal(t, http.StatusUnsupportedMediaType, i.send(http.MethodPost, ire, items(), "Content-Type", "text/xml").Code)
	require.Equal(t, http.StatusMethodNotAllowed, i.send(http.MethodGet, ire, "").Code)
	require.Equal(t, http.StatusBadRequest, i.send(http.MethodGet, "/api/now/nothing", "").Code)
}

// Encoded query operators, one row each.
func TestEncodedQueries(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	acme := i.create("core_company", `{"name":"Acme"}`)
	i.create("cmdb_ci_server", `{"name":"alpha","os":"Linux","ram":"1024","manufacturer":"`+acme+`"}`)
	i.create("cmdb_ci_linux_server", `{"name":"beta","os":"Linux Red Hat","ram":"512"}`)
	i.create("cmdb_ci_win_server", `{"name":"gamma","os":"Windows","ram":"8192"}`)
	for _, c := range []struct{ query, want string }{
		{"name=ALPHA", "alpha"}, {"name!=alpha", "beta gamma"}, {"nameINalpha,gamma", "alpha gamma"}, {"nameNOT INalpha,gamma", "beta"},
		{"osSTARTSWITHlin", "alpha beta"}, {"osENDSWITHhat", "beta"}, {"osLIKEred", "beta"}, {"osCONTAINSred", "beta"}, {"osNOT LIKElinux", "gamma"},
		{"ram>1000", "alpha gamma"}, {"ram<=1024", "alpha beta"}, {"ramBETWEEN600@2000", "alpha"}, {"manufacturerISEMPTY", "beta gamma"},
		{"manufacturerISNOTEMPTY", "alpha"}, {"manufacturer.name=acme", "alpha"}, {"name=alpha^ORname=beta^ram<1000", "beta"},
		{"name=alpha^NQname=gamma", "alpha gamma"}, {"sys_class_name=cmdb_ci_win_server", "gamma"}, {"ORDERBYDESCram", "gamma alpha beta"},
		{"ORDERBYram^EQ", "beta alpha gamma"}, {"nope=1", "alpha beta gamma"}, {"name=alpha^nope=1", "alpha"}, {"sys_created_on>2099-01-01 00:00:00", ""},
	} {
		t.Run(c.query, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, r := range i.rows("cmdb_ci_server?sysparm_fields=name&sysparm_query=" + escape(c.query)) {
				got = append(got, r["name"].(string))
			}
			require.Empty(t, cmp.Diff(c.want, strings.Join(got, " ")))
		})
	}
}

// Table API paging: Link relations, X-Total-Count, an empty array past the end, keyset paging by sys_id.
func TestPaging(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	for n := range 5 {
		i.create("cmdb_ci_server", fmt.Sprintf(`{"name":"s%d"}`, n))
	}
	for _, c := range []struct {
		offset int
		rels   []string
	}{{0, []string{"first", "next", "last"}}, {2, []string{"first", "prev", "next", "last"}}, {4, []string{"first", "prev", "last"}}} {
		w := i.send(http.MethodGet, fmt.Sprintf("/api/now/table/cmdb_ci_server?sysparm_limit=2&sysparm_offset=%d", c.offset), "")
		require.Equal(t, "5", w.Header().Get("X-Total-Count"))
		var rels []string
		for _, part := range strings.Split(w.Header().Get("Link"), ",<") {
			_, rel, _ := strings.Cut(part, `;rel="`)
			rels = append(rels, strings.TrimSuffix(rel, `"`))
		}
		require.Equal(t, c.rels, rels)
	}
	require.Empty(t, i.rows("cmdb_ci_server?sysparm_offset=9"))
	last, seen := "", 0
	for {
		page := i.rows("cmdb_ci_server?sysparm_limit=2&sysparm_fields=sys_id&sysparm_query=" + escape("sys_id>"+last+"^ORDERBYsys_id"))
		if len(page) == 0 {
			break
		}
		require.Greater(t, page[0]["sys_id"], last)
		seen += len(page)
		last = page[len(page)-1]["sys_id"].(string)
	}
	require.Equal(t, 5, seen)
}

// Table API: display values, reference links, writes, errors.
func TestTableRecords(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	company := i.create("core_company", `{"name":"Acme"}`)
	id := i.create("cmdb_ci_server", `{"name":"a","manufacturer":"`+company+`","nope":"x"}`)
	get := func(params string) any {
		w := i.send(http.MethodGet, "/api/now/table/cmdb_ci_server/"+id+"?sysparm_fields=manufacturer&"+params, "")
		var out struct{ Result map[string]any }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
		return out.Result["manufacturer"]
	}
	link := "http://example.com/api/now/table/core_company/" + company
	require.Equal(t, map[string]any{"link": link, "value": company}, get(""))
	require.Equal(t, company, get("sysparm_exclude_reference_link=true"))
	require.Equal(t, map[string]any{"display_value": "Acme", "link": link}, get("sysparm_display_value=true"))
	require.Equal(t, map[string]any{"display_value": "Acme", "link": link, "value": company}, get("sysparm_display_value=all"))
	w := i.send(http.MethodPatch, "/api/now/table/cmdb_ci_server/"+id, `{"name":""}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `"name":""`)
	require.Equal(t, http.StatusNoContent, i.send(http.MethodDelete, "/api/now/table/cmdb_ci_server/"+id, "").Code)
	w = i.send(http.MethodGet, "/api/now/table/cmdb_ci_server/"+id, "")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Contains(t, w.Body.String(), "No Record found")
	w = i.send(http.MethodGet, "/api/now/table/nope", "")
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.JSONEq(t, `{"error":{"message":"Invalid table nope","detail":"Table nope does not exist"},"status":"failure"}`, w.Body.String())
}

// Aggregate API: ungrouped and grouped, numbers as strings.
func TestAggregate(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.create("cmdb_ci_server", `{"name":"a","os":"Linux","ram":"1024"}`)
	i.create("cmdb_ci_server", `{"name":"b","os":"Linux","ram":"2048"}`)
	i.create("cmdb_ci_server", `{"name":"c","os":"Windows","ram":"1"}`)
	w := i.send(http.MethodGet, "/api/now/stats/cmdb_ci_server?sysparm_count=true", "")
	require.JSONEq(t, `{"result":{"stats":{"count":"3"}}}`, w.Body.String())
	w = i.send(http.MethodGet, "/api/now/stats/cmdb_ci_server?sysparm_count=true&sysparm_avg_fields=ram&sysparm_group_by=os&sysparm_having="+escape("count^os^>^1"), "")
	require.JSONEq(t, `{"result":[{"stats":{"count":"2","avg":{"ram":"1536.0000"}},"groupby_fields":[{"field":"os","value":"Linux"}]}]}`, w.Body.String())
}

// Control API: calls, items and peak are counted; faults that the engine performs itself.
func TestControlAndFaults(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{Faults: "on ire.enhanced nth 2 do quota_cancel(1); on ire.enhanced nth 3 do lock_timeout(0)"})
	body := items(ci("cmdb_ci_server", "1", `"name":"a"`), ci("cmdb_ci_server", "2", `"name":"b"`))
	i.enhanced(items(ci("cmdb_ci_server", "0", `"name":"z"`)))
	w := i.send(http.MethodPost, "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys", body)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), "Transaction cancelled: maximum execution time exceeded")
	require.Len(t, i.rows("cmdb_ci_server"), 2, "the first item was committed before the cancellation")
	got := i.enhanced(body)
	require.Equal(t, "LOCK_TIMEOUT", got.Items[0].errorCode())
	require.Equal(t, "INSERT", got.Items[1].Operation)
	stats := i.send(http.MethodGet, "/_sim/stats", "").Body.String()
	require.Contains(t, stats, `"ire.enhanced":{"200":2,"500":1}`)
	require.Contains(t, stats, `"items":{"ire.enhanced":5}`)
}

// Concurrency: inserts below one host wait for each other, others do not; the wait is limited by a property. The bubble's
// clock moves only when every call waits, so the calls overlap for sure.
func TestInsertLocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := mustInstance(t, servicenow.Options{Latency: 300 * time.Millisecond})
		i.setProperty("glide.identification_engine.mutex_expiration_time", "0.02")
		below := func(host, nic string) string {
			return related([]string{ci("cmdb_ci_server", host, `"name":"h`+host+`"`), adapter(nic, nic, "")}, rel(host, nic, owns))
		}
		var wg sync.WaitGroup
		results := make([]ireResult, 3)
		for n, body := range []string{below("1", "eth0"), below("1", "eth1"), below("2", "eth0")} {
			wg.Go(func() { results[n] = i.enhanced(body) })
		}
		wg.Wait()
		timeouts := 0
		for _, r := range results[:2] {
			if r.Items[0].errorCode() == "LOCK_TIMEOUT" {
				timeouts++
				require.Contains(t, r.Items[0].Errors[0].Message, "Failed to acquire synchronization lock for")
			}
		}
		require.Equal(t, 1, timeouts)
		require.False(t, results[2].HasError)
	})
}
