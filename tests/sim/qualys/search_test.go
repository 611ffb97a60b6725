package qualys_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// Response envelope of count.
func TestCountAnswersTheTotal(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	require.JSONEq(t, `{"count":600,"responseCode":"SUCCESS","responseMessage":"Valid API Access"}`, c.post(countPath, "").Body.String())
	require.Equal(t, 0, c.countOf(t, "", criterion("asset.name", "EQUALS", "no such name")))
}

// Response envelope of search: hasMore is an int, count is that of the page, the default page has 100 assets.
func TestSearchAnswersPagesOfAHundredUnlessAsked(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	for _, body := range []string{"", "{}", "  "} {
		w := c.post(searchPath, body)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		e := mustEnvelope(t, w)
		require.Equal(t, "SUCCESS", e.ResponseCode)
		require.Equal(t, "Valid API Access", e.ResponseMessage)
		require.Equal(t, "100", e.Count.String())
		require.Equal(t, "1", string(e.HasMore))
		require.Len(t, e.AssetListData.Asset, 100)
		require.Equal(t, assetID(t, e.AssetListData.Asset[99]), *e.LastSeenAssetID)
	}
}

// Request parameters: the cursor is exclusive and the order ascending; any page size enumerates each asset once.
func TestAnyPageSizeEnumeratesEachAssetOnceInAscendingOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(rt, "assets")
		size := rapid.IntRange(1, 70).Draw(rt, "pageSize")
		s := mustServer(rt, qualys.Options{Estate: estate.Options{Assets: n}})
		c := &client{h: s.Handler()}
		c.signIn(rt)
		if rapid.Bool().Draw(rt, "mutated") {
			require.Equal(rt, http.StatusOK, c.post("/_sim/mutate?k=5", "").Code)
		}
		assets, calls := c.enumerate(rt, size, "", "")
		require.Len(rt, assets, s.Estate().Live())
		require.Equal(rt, (len(assets)+size-1)/size, calls)
		last := int64(0)
		for _, a := range assets {
			require.Greater(rt, assetID(rt, a), last)
			last = assetID(rt, a)
		}
	})
}

// Request parameters: parameters stand in the query string even on POST; unknown body keys are ignored in silence, which
// gives the unfiltered first page for ever.
func TestParametersInTheBodyAreIgnored(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	first := mustEnvelope(t, c.post(searchPath, ""))
	for _, body := range []string{
		`{"lastSeenAssetId":99999999,"pageSize":5}`,
		`{"filter":"operatingSystem.category1:` + "`Linux`" + `"}`,
		`{"ServiceRequest":{"preferences":{"startFromId":5,"limitResults":10}}}`,
	} {
		again := mustEnvelope(t, c.post(searchPath, body))
		require.Equal(t, "100", again.Count.String(), body)
		require.Equal(t, *first.LastSeenAssetID, *again.LastSeenAssetID, body)
	}
}

// Request parameters: values outside their limits.
func TestSearchRefusesParametersItCannotRead(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	for query, want := range map[string]int{
		"?pageSize=300":                                  200,
		"?pageSize=1":                                    200,
		"?pageSize=301":                                  400,
		"?pageSize=0":                                    400,
		"?pageSize=ten":                                  400,
		"?lastSeenAssetId=abc":                           400,
		"?lastSeenAssetId=-1":                            400,
		"?lastSeenAssetId=1e9":                           400,
		"?assetLastUpdated=2025-12-20T00:00:00Z":         200,
		"?assetLastUpdated=2025-12-20":                   400,
		"?assetLastUpdated=2025-12-20T00:00:00.000Z":     400,
		"?includeFields=hardware&excludeFields=software": 400,
		"?someFutureParameter=1":                         200,
		"?pageSize=%zz":                                  400,
	} {
		w := c.post(searchPath+query, "")
		require.Equal(t, want, w.Code, query)
		if want == 400 {
			var e map[string]any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
			require.Equal(t, "FAILED", e["responseCode"])
			require.Equal(t, float64(0), e["hasMore"])
			require.Nil(t, e["assetListData"])
		}
	}
}

// Request parameters, pageSize above 300: the documents disagree, so it is a setting.
func TestAPageSizeOutOfRangeIsRefusedOrClampedAsSet(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{PageSize: qualys.PageSize416})
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, c.post(searchPath+"?pageSize=1000", "").Code)
	c = mustClient(t, qualys.Options{PageSize: qualys.PageSizeClamp})
	require.Equal(t, "300", mustEnvelope(t, c.post(searchPath+"?pageSize=1000&excludeFields=software", "")).Count.String())
}

// Response envelope: nothing matches is 204 with an empty body, in search and in get.
func TestNothingMatchingIs204WithoutABody(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	for _, target := range []string{searchPath + "?lastSeenAssetId=999999999999", getPath + "?assetId=1"} {
		w := c.post(target, "")
		require.Equal(t, http.StatusNoContent, w.Code)
		require.Zero(t, w.Body.Len())
	}
	require.Equal(t, http.StatusNoContent, c.post(searchPath, criterion("asset.name", "EQUALS", "no such name")).Code)
}

// Response envelope: get answers the same envelope with one asset, by GET and by POST; assetId is required.
func TestGetAnswersOneAssetInTheSameEnvelope(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	listed := mustEnvelope(t, c.post(searchPath+"?pageSize=3", "")).AssetListData.Asset[2]
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		e := mustEnvelope(t, c.do(c.request(method, getPath+"?assetId="+strconv.FormatInt(assetID(t, listed), 10), "")))
		require.Equal(t, "1", e.Count.String())
		require.Equal(t, "0", string(e.HasMore))
		require.Nil(t, e.LastSeenAssetID)
		require.Equal(t, []map[string]any{listed}, e.AssetListData.Asset)
	}
	require.Equal(t, http.StatusBadRequest, c.post(getPath, "").Code)
	require.Equal(t, http.StatusBadRequest, c.post(getPath+"?assetId=x", "").Code)
}

// Request parameters: includeFields and excludeFields leave nulls, the keys stay, identity is always filled.
func TestIncludeAndExcludeFieldsLeaveNulls(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	all := mustEnvelope(t, c.post(searchPath, "")).AssetListData.Asset
	included := mustEnvelope(t, c.post(searchPath+"?includeFields=operatingSystem,tagList", "")).AssetListData.Asset
	excluded := mustEnvelope(t, c.post(searchPath+"?excludeFields=softwareListData,openPort,hardware", "")).AssetListData.Asset
	for i := range all {
		require.Len(t, included[i], len(all[i]))
		require.Len(t, excluded[i], len(all[i]))
		for _, key := range []string{"assetId", "assetName", "agentId", "address", "lastModifiedDate"} {
			require.Equal(t, all[i][key], included[i][key])
		}
		require.Equal(t, all[i]["operatingSystem"], included[i]["operatingSystem"])
		require.Equal(t, all[i]["tagList"], included[i]["tagList"])
		for _, key := range []string{"hardware", "softwareListData", "networkInterfaceListData", "totalMemory", "riskScore"} {
			require.Nil(t, included[i][key], key)
		}
		for _, key := range []string{"softwareListData", "openPortListData", "hardware"} {
			require.Nil(t, excluded[i][key], key)
		}
		require.Equal(t, all[i]["operatingSystem"], excluded[i]["operatingSystem"])
	}
	// The token of tags is tagList; tags gives nothing, or is refused when the setting says so.
	require.Nil(t, mustEnvelope(t, c.post(searchPath+"?includeFields=tags", "")).AssetListData.Asset[0]["tagList"])
	c = mustClient(t, qualys.Options{UnknownField: qualys.FieldRejected})
	require.Equal(t, http.StatusBadRequest, c.post(searchPath+"?includeFields=tags", "").Code)
}

// Request parameters: softwareType restricts the list of software.
func TestSoftwareTypeRestrictsTheListOfSoftware(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	for _, a := range mustEnvelope(t, c.post(searchPath+"?pageSize=300&softwareType=Unknown", "")).AssetListData.Asset {
		list, _ := a["softwareListData"].(map[string]any)
		items, _ := list["software"].([]any)
		for _, item := range items {
			require.Equal(t, "Unknown", item.(map[string]any)["softwareType"])
		}
	}
}

// Request parameters: assetLastUpdated keeps assets updated on or after the instant, in search and count.
func TestAssetLastUpdatedFindsWhatMutateTouched(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := mustClient(t, qualys.Options{Now: now.Now})
	since := "assetLastUpdated=" + now.Now().Format("2006-01-02T15:04:05Z")
	require.Equal(t, 0, c.countOf(t, "?"+since, ""))
	now.Add(time.Hour)
	require.Equal(t, http.StatusOK, c.post("/_sim/mutate?k=50", "").Code)
	assets, _ := c.enumerate(t, 7, "&"+since, "")
	require.Len(t, assets, 55)
	require.Equal(t, 55, c.countOf(t, "?"+since, ""))
	for _, a := range assets {
		require.Equal(t, "2026-03-01T13:00:00.000Z", a["lastModifiedDate"])
	}
	after := "assetLastUpdated=" + now.Now().Add(time.Second).Format("2006-01-02T15:04:05Z")
	require.Equal(t, 0, c.countOf(t, "?"+after, ""))
	all := "assetLastUpdated=2020-01-01T00:00:00Z"
	require.Equal(t, c.countOf(t, "", ""), c.countOf(t, "?"+all, ""))
}

// HTTP codes: unknown paths, wrong verbs, wrong media types; Spring's body.
func TestUnknownPathsVerbsAndMediaTypesAreRefused(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	w := c.post("/certview/v2/cas", "")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Contains(t, w.Body.String(), "No static resource certview/v2/cas.")
	require.Equal(t, http.StatusMethodNotAllowed, c.do(c.request(http.MethodGet, searchPath, "")).Code)
	require.Equal(t, http.StatusMethodNotAllowed, c.do(c.request(http.MethodDelete, getPath, "")).Code)
	require.Equal(t, http.StatusMethodNotAllowed, c.do(c.request(http.MethodGet, "/auth", "")).Code)
	r := c.request(http.MethodPost, searchPath, "a=b")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusUnsupportedMediaType, c.do(r).Code)
	require.Equal(t, http.StatusRequestEntityTooLarge, c.post(searchPath, `{"x":"`+strings.Repeat("y", 2<<20)+`"}`).Code)
}

// Every answer has the server's Date, which clients take their watermark from.
func TestEveryAnswerHasTheDateOfTheServersClock(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Now: newClock().Now})
	for _, w := range []interface{ Header() http.Header }{c.post(searchPath, ""), c.post("/nowhere", ""), c.post(countPath, "")} {
		require.Equal(t, "Sun, 01 Mar 2026 12:00:00 GMT", w.Header().Get("Date"))
	}
}

// Pitfalls: hasMore 1 with an empty list, repeated pages, pages that lost assets.
func TestSemanticFaultsOfPages(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Faults: "on search.asset where lastSeenAssetId=1 do null_list; on search.asset where pageSize=10 do repeat_page; on search.asset where pageSize=20 do shift_page"})
	e := mustEnvelope(t, c.post(searchPath+"?lastSeenAssetId=1", ""))
	require.Nil(t, e.AssetListData)
	require.Equal(t, "1", string(e.HasMore))

	plain := mustEnvelope(t, c.post(searchPath+"?pageSize=30", "")).AssetListData.Asset
	cursor := strconv.FormatInt(assetID(t, plain[19]), 10)
	again := mustEnvelope(t, c.post(searchPath+"?pageSize=10&lastSeenAssetId="+cursor, ""))
	require.Equal(t, plain[10:20], again.AssetListData.Asset)

	shifted := mustEnvelope(t, c.post(searchPath+"?pageSize=20", "")).AssetListData.Asset
	require.Less(t, len(shifted), 20)
	require.Equal(t, plain[20-len(shifted):20], shifted)
}
