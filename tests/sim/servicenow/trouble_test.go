package servicenow_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// Inbound rate limiting (§5.5): headers only with a rule, user before role before all, the lowest of several, 429 with
// Retry-After and the envelope, a new hour starts anew.
func TestRateLimitRules(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	start := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	i := mustInstance(t, servicenow.Options{Now: func() time.Time { return start.Add(time.Duration(later.Load())) }})
	get := func() http.Header {
		w := i.send(http.MethodGet, "/api/now/stats/sys_user?sysparm_count=true", "")
		require.Equal(t, http.StatusOK, w.Code)
		return w.Header()
	}
	require.Empty(t, get().Get("X-RateLimit-Limit"))
	i.create("sys_rate_limit_rules", `{"name":"all","api":"stats","request_limit":"1"}`)
	require.Equal(t, "1", get().Get("X-RateLimit-Limit"))
	i.create("sys_rate_limit_rules", `{"name":"role","api":"stats","role":"itil","request_limit":"7"}`)
	i.create("sys_rate_limit_rules", `{"name":"role","api":"stats","role":"asset","request_limit":"6"}`)
	require.Equal(t, "6", get().Get("X-RateLimit-Limit"))
	rule := i.create("sys_rate_limit_rules", `{"name":"user","api":"stats","user":"qbridge","request_limit":"2"}`)
	h := get()
	require.Equal(t, []string{"2", fmt.Sprint(start.Add(30 * time.Minute).Unix()), rule},
		[]string{h.Get("X-RateLimit-Limit"), h.Get("X-RateLimit-Reset"), h.Get("X-RateLimit-Rule")})
	get()
	w := i.send(http.MethodGet, "/api/now/stats/sys_user", "")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "1800", w.Header().Get("Retry-After"))
	require.JSONEq(t, `{"error":{"message":"Rate limit exceeded","detail":"Rate limit of 2 requests per hour for Aggregate API exceeded"},"status":"failure"}`, w.Body.String())
	later.Store(int64(30 * time.Minute))
	get()
}

// Transaction quota (§5.6): what was done before the quota ended stays, the answer says cancelled.
func TestQuotaCommitsAndThenTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := mustInstance(t, servicenow.Options{Latency: time.Second, LatencyPerItem: time.Second})
		i.create("sysrule_quota", `{"name":"IRE","api":"identifyreconcile","max_duration":"3"}`)
		body := items(ci("cmdb_ci_server", "1", `"name":"a"`), ci("cmdb_ci_server", "2", `"name":"b"`), ci("cmdb_ci_server", "3", `"name":"c"`))
		w := i.send(http.MethodPost, "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys", body)
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.Contains(t, w.Body.String(), "Transaction cancelled: maximum execution time exceeded")
		require.Len(t, i.rows("cmdb_ci_server"), 2)
		require.False(t, i.enhanced(items(ci("cmdb_ci_server", "3", `"name":"c"`))).HasError)
	})
}

// Hibernation and login answer 200 with HTML, an upgrade 503 (§5.6); the control API goes on.
func TestInstanceStates(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	for _, c := range []struct {
		state  string
		status int
		text   string
	}{{"hibernating", 200, "Instance Hibernating page"}, {"login", 200, "Log in"}, {"maintenance", 503, "Service Unavailable"}} {
		i.control("instance", `{"state":"`+c.state+`"}`)
		w := i.send(http.MethodGet, "/api/now/table/sys_user", "")
		require.Equal(t, c.status, w.Code)
		require.Contains(t, w.Header().Get("Content-Type"), "text/html")
		require.Contains(t, w.Body.String(), c.text)
	}
	i.control("instance", `{"state":"up"}`)
	require.Equal(t, http.StatusOK, i.send(http.MethodGet, "/api/now/table/sys_user", "").Code)
	require.Equal(t, http.StatusBadRequest, i.send(http.MethodPost, "/_sim/instance", `{"state":"asleep"}`).Code)
}

// Session semaphore (§5.6): 202 without a body, and nothing was done.
func TestDroppedRequest(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{Faults: "on ire.enhanced nth 1 do accepted202"})
	w := i.send(http.MethodPost, "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys", items(ci("cmdb_ci_server", "1", `"name":"a"`)))
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Empty(t, w.Body.String())
	require.Empty(t, i.rows("cmdb_ci_server"))
}

type batchResult struct {
	ID       string `json:"batch_request_id"`
	Serviced []struct {
		ID      string
		Status  int `json:"status_code"`
		Body    string
		Headers []struct{ Name, Value string }
		Error   string `json:"error_message"`
	} `json:"serviced_requests"`
	Unserviced []string `json:"unserviced_requests"`
}

func (i *instance) batch(requests string, headers ...string) batchResult {
	w := i.send(http.MethodPost, "/api/now/v1/batch", `{"batch_request_id":"7","rest_requests":[`+requests+`]}`, headers...)
	require.Equal(i.t, http.StatusOK, w.Code, w.Body.String())
	var out batchResult
	require.NoError(i.t, json.Unmarshal(w.Body.Bytes(), &out))
	return out
}

func inBatch(id, method, url, body string) string {
	return fmt.Sprintf(`{"id":%q,"method":%q,"url":%q,"headers":[{"name":"Accept","value":"application/json"},{"name":"Content-Type","value":"application/json"}],"body":%q}`,
		id, method, url, base64.StdEncoding.EncodeToString([]byte(body)))
}

// Batch API (§4.4): in order, not transactional, base64 bodies, the version is required, output limit.
func TestBatch(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	got := i.batch(inBatch("1", "POST", "/api/now/table/core_company", `{"name":"Acme"}`) + "," + inBatch("2", "GET", "/api/now/table/nope", "") +
		"," + inBatch("3", "GET", "/api/now/table/core_company?sysparm_query=name=Acme&sysparm_fields=name", ""))
	require.Equal(t, "7", got.ID)
	require.Empty(t, got.Unserviced)
	require.Equal(t, []int{201, 400, 200}, []int{got.Serviced[0].Status, got.Serviced[1].Status, got.Serviced[2].Status})
	body, err := base64.StdEncoding.DecodeString(got.Serviced[2].Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"result":[{"name":"Acme"}]}`, string(body))
	require.NotEmpty(t, got.Serviced[0].Headers)
	small := i.batch(inBatch("1", "GET", "/api/now/table/core_company", ""), "X-BATCHREQUEST-MAX-OUTPUT-SIZE", "10")
	require.Contains(t, small.Serviced[0].Error, "maximum output size")
	require.Equal(t, http.StatusBadRequest, i.send(http.MethodPost, "/api/now/batch", `{}`).Code)
}

// Batch API (§4.4): after 30 seconds the rest is listed in unserviced_requests and was not done.
func TestBatchLeavesRequestsUnserviced(t *testing.T) {
	t.Parallel()
	three := inBatch("a", "POST", "/api/now/table/cmn_department", `{"name":"x"}`) + "," + inBatch("b", "POST", "/api/now/table/cmn_department", `{"name":"y"}`) +
		"," + inBatch("c", "POST", "/api/now/table/cmn_department", `{"name":"z"}`)
	var ticks atomic.Int64
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	i := mustInstance(t, servicenow.Options{Now: func() time.Time { return start.Add(time.Duration(ticks.Add(1)) * 6 * time.Second) }})
	got := i.batch(three)
	require.NotEmpty(t, got.Unserviced)
	require.Len(t, i.rows("cmn_department"), 3-len(got.Unserviced))
	faulty := mustInstance(t, servicenow.Options{Faults: "on batch nth 1 do quota_cancel(1)"})
	require.Equal(t, []string{"b", "c"}, faulty.batch(three).Unserviced)
}
