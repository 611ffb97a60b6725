package qualys_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// GAV API v1 and CSAM API v2: the sample requests of the guides, as they stand there, are answered in the documented
// shape: count has three members, search and get the envelope, nothing found has no body.
func TestSampleRequestsAreAnsweredInTheDocumentedShape(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	id := strconv.FormatInt(assetID(t, mustEnvelope(t, c.post(v1List+"?pageSize=1", "")).AssetListData.Asset[0]), 10)
	const (
		filters = `{"filters":[{"field":"operatingSystem.category1","operator":"EQUALS","value":"Linux"},
			{"field":"asset.lastUpdatedDate","operator":"GREATER_THAN_EQUAL","value":"2026-01-15T00:00:00Z"}],"operation":"AND"}`
		document = `<FilterRequest><filters><Criteria field="operatingSystem.category1" operator="EQUALS"><value>Linux</value></Criteria></filters><operation>AND</operation></FilterRequest>`
		tagged   = `{"filters":[{"field":"tags.name","operator":"EQUALS","value":"CMDB"}]}`
	)
	for _, tc := range []struct{ name, method, target, media, body, shape string }{
		{"v2 count without a body", "POST", countPath, "application/json", "", "count"},
		{"v2 count with an empty filter", "POST", countPath, "application/json", "{}", "count"},
		{"v2 count with a filter", "POST", countPath, "application/json", filters, "count"},
		{"v2 search without a body", "POST", searchPath, "application/json", "", "assets"},
		{"v2 search with a filter that nothing matches", "POST", searchPath + "?assetLastUpdated=2026-02-10T00:00:00Z", "application/json", filters, "nothing"},
		{"v2 search with an XML filter", "POST", searchPath, "text/xml", document, "assets"},
		{"v2 search with the query language is not filtered", "POST", searchPath, "application/json", `{"filter":"asset.name:x"}`, "assets"},
		{"v2 search as the guide shows it", "POST", searchPath + "?pageSize=300&lastSeenAssetId=14063323&assetLastUpdated=2026-02-10T00:00:00Z&excludeFields=softwareListData", "application/json", tagged, "nothing"},
		{"v2 search with an unknown field", "POST", searchPath, "application/json", `{"filters":[{"field":"asset.lastSeen","operator":"EQUALS","value":"1"}]}`, "refused"},
		{"v2 get", "GET", getPath + "?assetId=" + id, "", "", "asset"},
		{"v2 get of older guides", "POST", getPath + "?assetId=" + id, "application/json", "", "asset"},
		{"v1 count", "POST", v1Count, "application/json", "", "count"},
		{"v1 count with a filter", "POST", v1Count + "?filter=operatingSystem.category1:%60Linux%60", "application/json", "", "count"},
		{"v1 list", "POST", v1List + "?pageSize=50&lastSeenAssetId=0", "", "", "assets"},
		{"v1 filter list", "POST", v1Filter + "?filter=operatingSystem.category1:%60Linux%60", "application/json", "", "assets"},
		{"v1 filter list, older name", "POST", "/am/v1/assetsfiltered/host/list?filter=operatingSystem.category1:%27Linux%27", "application/json", "", "assets"},
		{"v1 filter list of a tag rule", "POST", v1Filter + "?filter=operatingSystem:Windows%20and%20hardware.category:Server", "application/json", "", "assets"},
		{"v1 filter list of a stage", "POST", v1Filter + "?filter=operatingSystem.lifecycle.stage:%60EOL%60", "application/json", "", "assets"},
		{"v1 filter list of a cloud state", "POST", v1Filter + "?filter=aws.ec2.instanceState:%22RUNNING%22", "application/json", "", "assets"},
		{"v1 filter list of a cloud without assets", "POST", v1Filter + "?filter=ibm.virtualServer.location:%22wac07%22", "application/json", "", "nothing"},
		{"v1 filter list with an unknown token", "POST", v1Filter + "?filter=asset.lastSeen:1", "application/json", "", "refused"},
		{"v1 list of a page too large", "POST", v1List + "?pageSize=301", "application/json", "", "range"},
		{"v1 get", "POST", v1Get + "?assetId=" + id, "", "", "asset"},
	} {
		r := httptest.NewRequest(tc.method, tc.target, strings.NewReader(tc.body))
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Accept", "application/json")
		if tc.media != "" {
			r.Header.Set("Content-Type", tc.media)
		}
		w := c.do(r)
		if tc.shape == "nothing" {
			require.Equal(t, http.StatusNoContent, w.Code, tc.name)
			require.Empty(t, w.Body.Bytes(), tc.name)
			continue
		}
		status := map[string]int{"refused": http.StatusBadRequest, "range": http.StatusRequestedRangeNotSatisfiable}[tc.shape]
		if status == 0 {
			status = http.StatusOK
		}
		require.Equal(t, status, w.Code, tc.name+": "+w.Body.String())
		shaped(t, tc.name, tc.shape, w.Body.Bytes())
	}
}

func shaped(t *testing.T, name, shape string, body []byte) {
	t.Helper()
	var got map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(body, &got), name)
	if shape == "count" {
		require.Len(t, got, 3, name)
	} else {
		require.Len(t, got, 6, name)
	}
	for _, member := range []string{"count", "responseCode", "responseMessage"} {
		require.Contains(t, got, member, name)
	}
	if shape == "refused" || shape == "range" {
		require.Equal(t, `"FAILED"`, string(got["responseCode"]), name)
		require.Equal(t, "null", string(got["assetListData"]), name)
		require.Equal(t, "0", string(got["hasMore"]), name)
		return
	}
	require.Equal(t, `"SUCCESS"`, string(got["responseCode"]), name)
	require.Equal(t, `"Valid API Access"`, string(got["responseMessage"]), name)
	if shape == "count" {
		return
	}
	var list struct{ Asset []json.RawMessage }
	require.NoError(t, json.Unmarshal(got["assetListData"], &list), name)
	require.NotEmpty(t, list.Asset, name)
	require.Equal(t, strconv.Itoa(len(list.Asset)), string(got["count"]), name)
	require.Contains(t, []string{"0", "1"}, string(got["hasMore"]), name)
	if shape == "asset" {
		require.Equal(t, "null", string(got["lastSeenAssetId"]), name)
	}
}

// GAV API v1: 401 without a token, 403 without the module, and 429 in a window of its own for each endpoint (API limits
// guide).
func TestV1HasPermissionsAndLimits(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := mustClient(t, qualys.Options{Now: clock.Now, Limits: qualys.Limits{Calls: 1, Window: time.Hour}, Users: []qualys.User{{Username: "poor", Password: "p", NoModule: true}}})
	for _, target := range []string{v1Count, v1List, v1Filter} {
		require.Equal(t, http.StatusOK, c.post(target, "").Code, target)
		w := c.post(target, "")
		require.Equal(t, http.StatusTooManyRequests, w.Code, target)
		require.Equal(t, "3600", w.Header().Get("X-RateLimit-ToWait-Sec"), target)
	}
	poor := &client{h: c.h}
	poor.token = poor.auth("poor", "p").Body.String()
	for _, target := range []string{v1Count, v1List, v1Filter, "/am/v1/assetsfiltered/host/list", v1Get} {
		require.Equal(t, http.StatusForbidden, poor.post(target, "").Code, target)
		require.Equal(t, http.StatusUnauthorized, (&client{h: c.h}).post(target, "").Code, target)
	}
}

// Endpoints that one client only names, without a published answer, are not there.
func TestEndpointsWithoutAPublishedAnswerAreNotFound(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	require.Equal(t, http.StatusNotFound, c.post("/rest/2.0/am/asset/component", "").Code)
	require.Equal(t, http.StatusNotFound, c.post("/rest/2.0/am/asset/component/1", "").Code)
	require.Equal(t, http.StatusNotFound, c.do(c.request(http.MethodGet, "/am/v2/sn/assets/host/1", "")).Code)
}
