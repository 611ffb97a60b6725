package servicenow_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// Identification rules, allow fallback: when no entry of the class's own
// dependent rule matches, those of its parent's rule are tried below the same
// host, and are listed as attempts. Without the option they are not.
func TestAllowFallbackTriesTheParentsRule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allow     bool
		operation string
		attempts  []string
	}{{true, "UPDATE", []string{"", "Tomcat Rule", "Application Rule"}}, {false, "INSERT", []string{"", "Tomcat Rule"}}} {
		i := mustInstance(t, servicenow.Options{})
		i.control("rules", fmt.Sprintf(`{"put":[{"class":"cmdb_ci_app_server_tomcat","name":"Tomcat Rule","dependent":true,"entries":[{"priority":100,"attributes":["install_directory"],"allowFallback":%t}]}]}`, c.allow))
		send := func(directory string) ireItem {
			return i.ire("", "", related([]string{ci("cmdb_ci_linux_server", "h", `"name":"h"`),
				`{"className":"cmdb_ci_app_server_tomcat","internal_id":"t","values":{"name":"t","cl_port":"8080","install_directory":"` + directory + `"}}`}, rel("t", "h", "Runs on::Runs"))).Items[1]
		}
		first, second := send("/opt/a"), send("/opt/b")
		require.Equal(t, "INSERT", first.Operation)
		require.Equal(t, c.operation, second.Operation)
		var names []string
		for _, a := range second.IdentificationAttempts {
			names = append(names, a["identifierName"].(string))
		}
		require.Equal(t, c.attempts, names)
		require.Equal(t, c.allow, first.SysID == second.SysID)
		var meta struct {
			Result struct {
				Rules struct {
					Identifiers []struct {
						AllowFallback bool `json:"allow_fallback"`
					}
				} `json:"identification_rules"`
			}
		}
		require.NoError(t, json.Unmarshal(i.send(http.MethodGet, "/api/now/cmdb/meta/cmdb_ci_app_server_tomcat", "").Body.Bytes(), &meta))
		require.Equal(t, c.allow, meta.Result.Rules.Identifiers[0].AllowFallback)
	}
}

// Identification rules, allow fallback: a CI of the parent class is not taken
// for one of the class that falls back.
func TestFallbackFindsNoCIOfAnotherClass(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.control("rules", `{"put":[{"class":"cmdb_ci_appl","name":"Application Rule","dependent":true,"entries":[{"priority":1,"attributes":["name"]}]},
		{"class":"cmdb_ci_app_server_tomcat","name":"Tomcat Rule","dependent":true,"entries":[{"priority":1,"attributes":["install_directory"],"allowFallback":true}]}]}`)
	send := func(class string) ireItem {
		return i.ire("", "", related([]string{ci("cmdb_ci_linux_server", "h", `"name":"h"`), `{"className":"` + class + `","internal_id":"t","values":{"name":"x","install_directory":"/opt/` + class + `"}}`}, rel("t", "h", "Runs on::Runs"))).Items[1]
	}
	require.Equal(t, "INSERT", send("cmdb_ci_appl").Operation)
	require.Equal(t, "INSERT", send("cmdb_ci_app_server_tomcat").Operation)
	require.Equal(t, "NO_CHANGE", send("cmdb_ci_app_server_tomcat").Operation)
}

// additional is the part of an IRE answer about stored partial payloads.
type additional struct {
	Result struct {
		Items     []ireItem `json:"additionalCommittedItems"`
		Relations []ireItem `json:"additionalCommittedRelations"`
		Summary   map[string]map[string]int
	}
}

func (i *instance) additional(variant, body string) (out additional) {
	w := i.send(http.MethodPost, "/api/now/identifyreconcile/"+variant+"?sysparm_data_source="+source+"&options=generate_summary:true", body)
	require.Equal(i.t, http.StatusOK, w.Code)
	require.NoError(i.t, json.Unmarshal(w.Body.Bytes(), &out))
	return out
}

// Identification and Reconciliation API, additionalCommittedItems: dependents
// that were parked with their host are committed with the payload that completes
// the host, though that payload does not name them; so are those that hang on them.
func TestCompletedHostCommitsItsParkedDependents(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	account := func(values string) string { return ci("cmdb_ci_cloud_service_account", "acc", values) }
	chain := []string{account(`"comments":"c"`), ci("cmdb_ci_aws_datacenter", "dc", `"name":"dc","object_id":"eu-1"`), ci("cmdb_ci_vm_instance", "vm", `"name":"vm","object_id":"i-1"`)}
	links := []string{rel("dc", "acc", "Hosted on::Hosts"), rel("vm", "dc", "Hosted on::Hosts")}
	for _, it := range i.ire("/enhanced", "", related(chain, links...)).Items {
		require.Equal(t, "INSERT_AS_PARTIAL", it.Operation)
	}
	require.Len(t, i.rows("cmdb_ire_partial_payloads"), 3)
	whole := items(account(`"name":"a","object_id":"a","datacenter_type":"cmdb_ci_aws_datacenter"`))
	before := i.digest()
	require.Len(t, i.additional("queryEnhanced", whole).Result.Items, 2)
	require.Equal(t, before, i.digest())
	require.Len(t, i.rows("cmdb_ire_partial_payloads"), 3)
	got := i.additional("enhanced", whole).Result
	require.Len(t, got.Items, 2)
	for n, class := range []string{"cmdb_ci_aws_datacenter", "cmdb_ci_vm_instance"} {
		it := got.Items[n]
		require.Equal(t, []any{class, "INSERT", 1, 0}, []any{it.ClassName, it.Operation, len(it.MergedPayloadIDs), len(it.InputIndices)})
		require.Equal(t, it.SysID, i.rows(class)[0]["sys_id"])
		require.Equal(t, []int{1, 0}, []int{got.Summary[class]["additionalInserted"], got.Summary[class]["inserted"]})
		require.Equal(t, "INSERT", got.Relations[n].Operation)
	}
	require.Empty(t, i.rows("cmdb_ire_partial_payloads"))
	require.Len(t, i.rows("cmdb_rel_ci"), 2)
	again := i.additional("enhanced", whole).Result
	require.Empty(t, append(again.Items, again.Relations...))
	require.False(t, i.ire("/enhanced", "", related(append([]string{account(`"name":"a"`)}, chain[1:]...), links...)).HasError)
	require.Len(t, i.rows("cmdb_rel_ci"), 2)
}

// Identification and Reconciliation API, additionalCommittedItems: a parked
// dependent that still cannot be committed goes on waiting, without a trace.
func TestParkedDependentThatFailsGoesOnWaiting(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.ire("/enhanced", "", related([]string{ci("cmdb_ci_server", "h", `"os":"Linux"`), ci("cmdb_ci_network_adapter", "n", `"name":"eth0"`)}, rel("h", "n", owns)))
	i.control("rules", `{"remove":["cmdb_ci_network_adapter"]}`)
	require.Empty(t, i.additional("enhanced", items(ci("cmdb_ci_server", "h", `"name":"h"`))).Result.Items)
	require.Len(t, i.rows("cmdb_ire_partial_payloads"), 1)
	require.Empty(t, i.rows("cmdb_ire_incomplete_payloads"))
	i.control("rules", `{"put":[{"class":"cmdb_ci_network_adapter","name":"N","dependent":true,"entries":[{"priority":1,"attributes":["name"]}]}]}`)
	require.Len(t, i.additional("enhanced", items(ci("cmdb_ci_server", "h", `"name":"h"`))).Result.Items, 1)
	require.Len(t, i.rows("cmdb_rel_ci?sysparm_query="+escape("parent.name=h^child.name=eth0")), 1, "the host stands where it stood")
}

// IRE, partial payloads: they are kept for ninety days.
func TestPartialPayloadsExpire(t *testing.T) {
	t.Parallel()
	for days, merged := range map[int]int{89: 1, 91: 0} {
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		i := mustInstance(t, servicenow.Options{Now: func() time.Time { return now }})
		i.ire("/enhanced", "", items(ci("cmdb_ci_server", "1", `"os":"Linux"`)))
		now = now.AddDate(0, 0, days)
		require.Len(t, i.ire("/enhanced", "", items(ci("cmdb_ci_server", "1", `"name":"a"`))).Items[0].MergedPayloadIDs, merged)
	}
}

// IRE, partial payloads: of two values the one with the more recent
// source_recency_timestamp wins; without one it is the payload's.
func TestPartialPayloadsMergeByRecency(t *testing.T) {
	t.Parallel()
	item := func(recency, values string) string {
		return items(`{"className":"cmdb_ci_server","values":{` + values + `},"sys_object_source_info":{"source_name":"SG-Qualys","source_native_key":"1","source_recency_timestamp":"` + recency + `"}}`)
	}
	for recency, os := range map[string]string{"2026-01-01 00:00:00": "stored", "2026-03-01 00:00:00": "sent", "": "sent"} {
		i := mustInstance(t, servicenow.Options{})
		i.ire("/enhanced", "", item("2026-02-01 00:00:00", `"os":"stored","comments":"kept"`))
		i.ire("/enhanced", "", item(recency, `"os":"sent","name":"a"`))
		row := i.rows("cmdb_ci_server")[0]
		require.Equal(t, []any{os, "kept"}, []any{row["os"], row["comments"]})
	}
}

// crowd sends n equal calls at once and counts the answers' statuses.
func (i *instance) crowd(n int, call func() *httptest.ResponseRecorder) map[int]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[int]int{}
	for range n {
		wg.Go(func() {
			w := call()
			mu.Lock()
			defer mu.Unlock()
			out[w.Code]++
			if w.Code != http.StatusOK {
				require.Empty(i.t, w.Body.String())
			}
		})
	}
	wg.Wait()
	return out
}

// REST API, session cookies: calls of one session run one after the other; ten
// may wait, further ones are answered with 202 and not processed. Calls without
// a cookie have a session each.
func TestSessionQueueDropsWith202(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := mustInstance(t, servicenow.Options{Latency: time.Second})
		ire := func(cookie ...string) *httptest.ResponseRecorder {
			return i.send(http.MethodPost, plainURL, items(ci("cmdb_ci_server", "", `"name":"a"`)), cookie...)
		}
		cookie := ire().Header().Get("Set-Cookie")
		require.Regexp(t, `^JSESSIONID=[0-9a-f]{32}; Path=/; HttpOnly$`, cookie)
		begin := time.Now()
		require.Equal(t, map[int]int{200: 11, 202: 4}, i.crowd(15, func() *httptest.ResponseRecorder { return ire("Cookie", cookie) }))
		require.Equal(t, 11*time.Second, time.Since(begin))
		begin = time.Now()
		require.Equal(t, map[int]int{200: 15}, i.crowd(15, func() *httptest.ResponseRecorder { return ire() }))
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, http.StatusOK, ire("Cookie", cookie).Code)
	})
}

// Semaphores, API_INT: so many calls run, so many wait, the next is answered
// with 429; without the option there is no limit.
func TestSemaphoreOverflowsWith429(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			slots, queue int
			want         map[int]int
			seconds      int
		}{{4, 0, map[int]int{200: 54, 429: 6}, 14}, {2, 3, map[int]int{200: 5, 429: 55}, 3}, {0, 0, map[int]int{200: 60}, 1}} {
			i := mustInstance(t, servicenow.Options{Latency: time.Second, Semaphores: c.slots, SemaphoreQueue: c.queue})
			begin := time.Now()
			got := i.crowd(60, func() *httptest.ResponseRecorder {
				return i.send(http.MethodPost, plainURL, items(ci("cmdb_ci_server", "", `"name":"a"`)))
			})
			require.Equal(t, c.want, got)
			require.Equal(t, time.Duration(c.seconds)*time.Second, time.Since(begin))
		}
	})
}

// REST API Auth Scope: with the check enabled, a token without the scope of an
// API is refused with 403; basic credentials are not checked.
func TestMissingAccessScopeIsForbidden(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.control("oauth", `{"clientId":"narrow","clientSecret":"s","apis":["identifyreconcile"]}`)
	tok, _ := i.token(t, "grant_type=client_credentials&client_id=narrow&client_secret=s")
	call := func(headers ...string) *httptest.ResponseRecorder {
		return i.send(http.MethodGet, "/api/now/table/sys_user", "", headers...)
	}
	require.Equal(t, http.StatusUnauthorized, call("Authorization", "Bearer "+tok.Access).Code)
	i.setProperty("com.glide.rest.api.auth.scope.check.enable", "true")
	w := call("Authorization", "Bearer "+tok.Access)
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Contains(t, w.Body.String(), `"detail":"Missing required api access scope"`)
	require.Equal(t, http.StatusOK, call().Code)
	require.Equal(t, http.StatusOK, i.send(http.MethodPost, plainURL, items(), "Authorization", "Bearer "+tok.Access).Code)
}

// Aggregate API, sysparm_having and sysparm_order_by: any aggregate, several conditions, several keys.
func TestAggregateHavingAndOrder(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	for n, c := range []string{"Linux 1024", "Linux 3072", "Windows 512", "AIX 4096", "AIX 8192", "Solaris 512"} {
		var os string
		var ram int
		_, err := fmt.Sscan(c, &os, &ram)
		require.NoError(t, err)
		i.create("cmdb_ci_server", fmt.Sprintf(`{"name":"s%d","os":%q,"ram":"%d"}`, n, os, ram))
	}
	for _, c := range []struct {
		having, order string
		want          []string
	}{
		{"", "", []string{"AIX", "Linux", "Solaris", "Windows"}},
		{"sum^ram^>^1000", "", []string{"AIX", "Linux"}},
		{"AVG^ram^<=^2048", "", []string{"Linux", "Solaris", "Windows"}},
		{"max^ram^!=^512,count^os^=^2", "", []string{"AIX", "Linux"}},
		{"min^ram^>=^1024,sum^ram^<^5000", "", []string{"Linux"}},
		{"sum^name^>^0", "", []string{}},
		{"nonsense^ram^>^1,sum^ram", "", []string{"AIX", "Linux", "Solaris", "Windows"}},
		{"", "os^DESC", []string{"Windows", "Solaris", "Linux", "AIX"}},
		{"", "AVG^ram", []string{"Solaris", "Windows", "Linux", "AIX"}},
		{"", "SUM^ram^DESC", []string{"AIX", "Linux", "Solaris", "Windows"}},
		{"", "COUNT,os^DESC", []string{"Windows", "Solaris", "Linux", "AIX"}},
		{"", "COUNT^DESC,os^DESC", []string{"Linux", "AIX", "Windows", "Solaris"}},
		{"", "^,DESC,nonsense", []string{"AIX", "Linux", "Solaris", "Windows"}},
	} {
		w := i.send(http.MethodGet, "/api/now/stats/cmdb_ci_server?sysparm_count=true&sysparm_group_by=os&sysparm_having="+escape(c.having)+"&sysparm_order_by="+escape(c.order), "")
		var out struct {
			Result []struct {
				Fields []struct{ Value string } `json:"groupby_fields"`
			}
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
		got := []string{}
		for _, g := range out.Result {
			got = append(got, g.Fields[0].Value)
		}
		require.Equal(t, c.want, got, c.having+" | "+c.order)
	}
}

// Aggregate API: no parameter makes the call fail.
func FuzzAggregate(f *testing.F) {
	f.Add("count^os^>^1", "COUNT^DESC,os", "os")
	f.Add("avg^ram^<^x,^^^,max^", "^,DESC,AVG^,AVG^ram^DESC", "os,nonsense,manufacturer.name")
	i := mustInstance(f, servicenow.Options{})
	i.create("cmdb_ci_server", `{"name":"a","os":"Linux","ram":"1"}`)
	i.create("cmdb_ci_server", `{"name":"b","os":"AIX","ram":"x"}`)
	f.Fuzz(func(t *testing.T, having, order, group string) {
		w := i.send(http.MethodGet, "/api/now/stats/cmdb_ci_server?sysparm_count=true&sysparm_having="+escape(having)+"&sysparm_order_by="+escape(order)+"&sysparm_group_by="+escape(group), "")
		require.Equal(t, http.StatusOK, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()))
	})
}
