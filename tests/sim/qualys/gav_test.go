package qualys_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

const (
	v1Count  = "/am/v1/assets/host/count"
	v1List   = "/am/v1/assets/host/list"
	v1Filter = "/am/v1/assets/host/filter/list"
	v1Get    = "/am/v1/asset/host/id"
)

// v1 sends a filter of the query language and returns how many assets it counts, or the status.
func (c *client) v1(t *testing.T, filter string) int {
	t.Helper()
	w := c.post(v1Count+"?filter="+url.QueryEscape(filter), "")
	if w.Code != http.StatusOK {
		return -w.Code
	}
	var got struct{ Count int }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	return got.Count
}

// GAV API v1: all parameters in the query string, POST with an empty body, the envelope of v2, a cursor.
func TestV1ListsPagesWithTheEnvelopeOfV2(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	require.JSONEq(t, `{"count":600,"responseCode":"SUCCESS","responseMessage":"Valid API Access"}`, c.post(v1Count, "").Body.String())
	for _, path := range []string{v1List, v1Filter, "/am/v1/assetsfiltered/host/list"} {
		seen, cursor := 0, int64(0)
		for more := true; more; {
			e := mustEnvelope(t, c.post(path+"?lastSeenAssetId="+strconv.FormatInt(cursor, 10), "a body is not read"))
			require.Equal(t, "SUCCESS", e.ResponseCode)
			seen += len(e.AssetListData.Asset)
			require.LessOrEqual(t, len(e.AssetListData.Asset), 100, "the default page")
			cursor, more = *e.LastSeenAssetID, string(e.HasMore) == "1"
		}
		require.Equal(t, 600, seen, path)
	}
	require.Equal(t, http.StatusMethodNotAllowed, c.do(c.request(http.MethodGet, v1List, "")).Code)
}

// GAV API v1: documented statuses 204, 400, 401, 403, 416.
func TestV1StatusesAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	for target, status := range map[string]int{
		v1List + "?pageSize=300": 200, v1List + "?pageSize=301": 416, v1List + "?pageSize=0": 416, v1List + "?pageSize=x": 400,
		v1List + "?lastSeenAssetId=x": 400, v1Count + "?lastModifiedDate=yesterday": 400, v1Filter + "?filter=" + url.QueryEscape("nosuch.token:x"): 400,
		v1List + "?lastSeenAssetId=9999999999": 204, v1Filter + "?filter=" + url.QueryEscape("asset.name:`no such name`"): 204,
		v1Get + "?assetId=1": 204, v1Get: 400,
	} {
		require.Equal(t, status, c.post(target, "").Code, target)
	}
	old := mustClient(t, qualys.Options{V1PageSize: 100})
	require.Equal(t, 416, old.post(v1List+"?pageSize=101", "").Code)
	c.token = "x.y.z"
	require.Equal(t, 401, c.post(v1List, "").Code)
}

// GAV API v1: one asset by id; v1 lacks business and newer fields.
func TestV1LacksBusinessAndNewerFields(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	first := mustEnvelope(t, c.post(v1List+"?pageSize=1", "")).AssetListData.Asset[0]
	one := mustEnvelope(t, c.post(v1Get+"?assetId="+strconv.FormatInt(assetID(t, first), 10), ""))
	require.Equal(t, first, one.AssetListData.Asset[0])
	for _, name := range []string{"businessInformation", "assignedLocation", "businessAppListData", "riskScore", "missingSoftware", "whois"} {
		require.Nil(t, first[name], name)
	}
	require.NotNil(t, first["operatingSystem"])
	require.Nil(t, mustEnvelope(t, c.post(v1List+"?pageSize=1&excludeFields=operatingSystem", "")).AssetListData.Asset[0]["operatingSystem"])
}

// GAV API v1: lastModifiedDate, with and without seconds.
func TestV1TakesDatesWithoutSeconds(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	require.Equal(t, http.StatusNoContent, c.post(v1List+"?lastModifiedDate=2026-02-01T00:00Z", "").Code)
	require.Equal(t, http.StatusOK, c.post("/_sim/mutate?k=5", "").Code)
	minutes := mustEnvelope(t, c.post(v1List+"?lastModifiedDate=2026-02-01T00:00Z", ""))
	seconds := mustEnvelope(t, c.post(v1List+"?lastModifiedDate=2026-02-01T00:00:00Z", ""))
	require.Positive(t, len(minutes.AssetListData.Asset))
	require.Equal(t, len(minutes.AssetListData.Asset), len(seconds.AssetListData.Asset))
}

// Query language: token:value; back-ticks are exact, quotes contain; and, or, not, parentheses, groups, ranges, relative dates.
func TestTheQueryLanguageSelects(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := mustClient(t, qualys.Options{Estate: estate.Options{Assets: 600}, Now: func() time.Time { return now }})
	linux, windows := c.v1(t, "operatingSystem.category1:`Linux`"), c.v1(t, "operatingSystem.category1:`Windows`")
	require.Positive(t, linux)
	require.Positive(t, windows)
	require.Equal(t, c.countOf(t, "", criterion("operatingSystem.category1", "EQUALS", "Linux")), linux)
	for filter, want := range map[string]int{
		"operatingSystem.category1:`Linux` or operatingSystem.category1:`Windows`":       linux + windows,
		"operatingSystem.category1:`Linux` and operatingSystem.category1:`Windows`":      0,
		"not operatingSystem.category1:`Linux`":                                          600 - linux,
		"NOT (operatingSystem.category1:`Linux` OR operatingSystem.category1:`Windows`)": 600 - linux - windows,
		"operatingSystem:(category1:`Linux`)":                                            linux,
		"operatingSystem:(category1:`Linux` or category1:`Windows`)":                     linux + windows,
		"operatingSystem.category1:\"inu\"":                                              linux,
		"operatingSystem.category1:'inu'":                                                linux,
		"operatingSystem.category1:`inu`":                                                0,
		"asset.id:*":                                                                     600,
		"asset.name:`no such name`":                                                      0,
		"asset.lastUpdatedDate:[2020-01-01 .. now]":                                      600,
		"asset.lastUpdatedDate:[\"2020-01-01T00:00:00Z\" .. \"2020-01-02T00:00:00Z\"]":   0,
		"asset.lastUpdatedDate > now-10y":                                                -400,
		"asset.lastUpdatedDate:> now-10y":                                                600,
		"asset.lastUpdatedDate:<now-10y":                                                 0,
		"asset.lastUpdatedDate:[2020-01-01, now]":                                        -400,
		"operatingSystem:(category1:`Linux`":                                             -400,
		"asset.name:":                                                                    -400,
		"asset.name:\"x":                                                                 -400,
		"asset.nosuch:x":                                                                 -400,
		"asset.truRisk:many":                                                             -400,
		"operatingSystem.category1:`Linux` operatingSystem.category1:`Windows`":          -400,
	} {
		require.Equal(t, want, c.v1(t, filter), filter)
	}
	ids := c.v1(t, "asset.id:[10000000 .. 10000300]")
	require.Positive(t, ids)
	require.Less(t, ids, 600)
}

// GAV v1 lacks newer members (§2.7); whether as null or not at all is a setting.
func TestMembersThatV1LacksAreNullOrMissing(t *testing.T) {
	t.Parallel()
	for missing, want := range map[bool]bool{false: true, true: false} {
		c := mustClient(t, qualys.Options{V1Missing: missing})
		for _, target := range []string{"/am/v1/assets/host/list?pageSize=1", "/am/v1/asset/host/id?assetId=" + c.some(t, 1)[0]} {
			w := c.post(target, "")
			require.Equal(t, http.StatusOK, w.Code)
			a := mustEnvelope(t, w).AssetListData.Asset[0]
			for _, member := range []string{"businessInformation", "riskScore", "whois", "easmTags", "isp", "missingSoftware"} {
				_, there := a[member]
				require.Equal(t, want, there, "%s of %s", member, target)
			}
			require.Contains(t, a, "operatingSystem")
		}
	}
}
