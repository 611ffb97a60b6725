package qualys_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

const (
	metadataPath = "/rest/2.0/update/am/asset/business/metadata"
	appsPath     = "/rest/2.0/update/am/businessapp/metadata"
)

// errorsOf returns the errors by record of a batch.
func (c *client) errorsOf(t *testing.T, path, body string, status int) map[string]string {
	t.Helper()
	w := c.post(path, body)
	require.Equal(t, status, w.Code, w.Body.String())
	var got struct {
		Message, ResponseCode string
		AssetsError           map[string]string
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.NotEmpty(t, got.Message)
	require.Equal(t, map[int]string{200: "SUCCESS", 207: "PARTIAL_SUCCESS"}[status], got.ResponseCode)
	return got.AssetsError
}

// some returns the ids of the first assets.
func (c *client) some(t *testing.T, n int) (ids []string) {
	t.Helper()
	for _, a := range mustEnvelope(t, c.post(searchPath+"?pageSize="+strconv.Itoa(n), "")).AssetListData.Asset {
		ids = append(ids, strconv.FormatInt(assetID(t, a), 10))
	}
	return ids
}

const fullMetadata = `{"operationalStatus":"Operational","environment":"Production","company":"Example AG","department":"Retail",
	"ownedBy":"j.doe","managedBy":"it.ops","supportedBy":"helpdesk","supportGroup":"Windows L2","businessAppIds":["BA-new"],
	"assignedLocation":{"name":"DC-1","street":"Main 1","city":"Zurich","state":"ZH","country":"CH"}}`

const newApp = `{"data":[{"businessAppId":"BA-new","name":"Webshop","businessCriticality":"1 - Most Critical","status":"Installed","environment":"Production","usedFor":"Production",
	"created":1740909600000,"lastUpdated":1770797000000,"operationalStatus":"Operational","ownedBy":"j.doe","managedBy":"it.ops","supportedBy":"helpdesk","supportGroup":"Windows L2"}]}`

// Import asset business metadata, the guide's sample: applications first, then assets; read back by search and get.
func TestBusinessMetadataIsReadBack(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	open := func() *client {
		return mustClient(t, qualys.Options{StateDir: dir, Now: func() time.Time { return now }})
	}
	c := open()
	id := c.some(t, 1)[0]
	body := `{"data":[{"qualysAssetId":"` + id + `","metadata":` + fullMetadata + `}]}`
	require.Contains(t, c.errorsOf(t, metadataPath, body, 207)[id], "BA-new not found")
	require.Empty(t, c.errorsOf(t, appsPath, newApp, 200))
	require.Empty(t, c.errorsOf(t, strings.Replace(appsPath, "update", "upsert", 1), newApp, 200), "the sample's path")
	require.Empty(t, c.errorsOf(t, metadataPath, body, 200))
	check := func(a map[string]any) {
		require.Equal(t, map[string]any{
			"operationalStatus": "Operational", "environment": "Production", "company": "Example AG", "department": "Retail",
			"ownedBy": "j.doe", "managedBy": "it.ops", "supportedBy": "helpdesk", "supportGroup": "Windows L2",
		}, a["businessInformation"])
		require.Equal(t, map[string]any{"name": "DC-1", "street": "Main 1", "city": "Zurich", "state": "ZH", "country": "CH"}, a["assignedLocation"])
		apps := a["businessAppListData"].(map[string]any)["businessApp"].([]any)
		require.Len(t, apps, 1)
		require.Equal(t, "Webshop", apps[0].(map[string]any)["name"])
		require.Equal(t, "BA-new", apps[0].(map[string]any)["id"])
	}
	check(mustEnvelope(t, c.post("/rest/2.0/get/am/asset?assetId="+id, "")).AssetListData.Asset[0])
	touched := mustEnvelope(t, c.post(searchPath+"?assetLastUpdated=2026-03-01T00:00:00Z", ""))
	require.Len(t, touched.AssetListData.Asset, 1, "writing moves the date of last modification")
	check(touched.AssetListData.Asset[0])

	c = open() // after a restart
	check(mustEnvelope(t, c.post(searchPath+"?pageSize=1", "")).AssetListData.Asset[0])
	require.Empty(t, c.errorsOf(t, metadataPath, `{"data":[{"qualysAssetId":`+id+`,"metadata":{"company":"","department":null,"businessAppIds":[]}}]}`, 200))
	a := mustEnvelope(t, c.post(searchPath+"?pageSize=1", "")).AssetListData.Asset[0]
	business := a["businessInformation"].(map[string]any)
	require.Nil(t, business["company"])
	require.Equal(t, "Retail", business["department"], "what is not named stays")
	require.Nil(t, a["businessAppListData"])
	require.Equal(t, http.StatusNoContent, c.do(c.request(http.MethodPost, "/_sim/reset", "")).Code)
	c.signIn(t)
	require.Equal(t, http.StatusNoContent, c.post(searchPath+"?assetLastUpdated=2026-03-01T00:00:00Z", "").Code)
}

// Import asset business metadata: maximum lengths, mandatory members; one bad record does not stop the others.
func TestBadRecordsOfABatchAreNamed(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	ids := c.some(t, 3)
	long := func(n int) string { return strings.Repeat("x", n) }
	for member, most := range map[string]int{
		"operationalStatus": 128, "environment": 128, "company": 128, "department": 128, "ownedBy": 255, "managedBy": 255, "supportedBy": 255, "supportGroup": 255,
	} {
		record := func(n int) string {
			return `{"data":[{"qualysAssetId":"` + ids[0] + `","metadata":{"` + member + `":"` + long(n) + `"}}]}`
		}
		require.Empty(t, c.errorsOf(t, metadataPath, record(most), 200), member)
		require.Contains(t, c.errorsOf(t, metadataPath, record(most+1), 207)[ids[0]], member+" exceeds the maximum length of "+strconv.Itoa(most))
	}
	for member, most := range map[string]int{"name": 255, "city": 128, "state": 128, "country": 128} {
		body := `{"data":[{"qualysAssetId":"` + ids[0] + `","metadata":{"assignedLocation":{"` + member + `":"` + long(most+1) + `"}}}]}`
		require.Contains(t, c.errorsOf(t, metadataPath, body, 207)[ids[0]], "assignedLocation."+member+" exceeds")
	}
	got := c.errorsOf(t, metadataPath, `{"data":[{"qualysAssetId":"`+ids[1]+`","metadata":{"company":"ok"}},{"qualysAssetId":"1","metadata":{}},{"metadata":{}},
		{"qualysAssetId":"`+ids[2]+`","metadata":{"businessAppIds":["`+long(41)+`"]}},{"qualysAssetId":"x","metadata":{}}]}`, 207)
	require.Len(t, got, 4)
	require.Equal(t, "Asset not found", got["1"])
	require.Contains(t, got["data[2]"], "mandatory")
	require.Contains(t, got[ids[2]], "maximum length of 40")

	for why, record := range map[string]string{
		"businessAppId is mandatory":            `{"name":"n","created":1740909600000,"lastUpdated":1740909600000}`,
		"name is mandatory":                     `{"businessAppId":"a","created":1740909600000,"lastUpdated":1740909600000}`,
		"created is mandatory":                  `{"businessAppId":"a","name":"n","lastUpdated":1740909600000}`,
		"lastUpdated is mandatory":              `{"businessAppId":"a","name":"n","created":1740909600000,"lastUpdated":"2026-01-01"}`,
		"id exceeds the maximum length of 40":   `{"businessAppId":"` + long(41) + `","name":"n","created":1740909600000,"lastUpdated":1740909600000}`,
		"usedFor exceeds the maximum length of": `{"businessAppId":"a","name":"n","usedFor":"` + long(256) + `","created":1740909600000,"lastUpdated":1740909600000}`,
	} {
		for _, e := range c.errorsOf(t, appsPath, `{"data":[`+record+`]}`, 207) {
			require.Contains(t, e, why)
		}
	}
	require.Empty(t, c.errorsOf(t, appsPath, `{"data":[{"businessAppid":"a","name":"n","created":1740909600000,"lastUpdated":1740909600000}]}`, 200), "the table's spelling")
}

// Import asset business metadata: what is wrong with a call as a whole.
func TestWritesAreRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Assets: 20}})
	for _, path := range []string{metadataPath, appsPath} {
		for body, status := range map[string]int{"": 400, "{}": 400, `{"data":[]}`: 400, `{"data":{}}`: 400, "[": 400, `{"data":[` + strings.Repeat("{},", 250) + "{}]}": 400} {
			require.Equal(t, status, c.post(path, body).Code, "%.40s", body)
		}
		require.Equal(t, http.StatusMethodNotAllowed, c.do(c.request(http.MethodGet, path, "")).Code)
		r := c.request(http.MethodPost, path, newApp)
		r.Header.Set("Content-Type", "text/xml")
		require.Equal(t, http.StatusUnsupportedMediaType, c.do(r).Code)
		r = c.request(http.MethodPost, path, newApp)
		r.Header.Set("Authorization", "Bearer x.y.z")
		require.Equal(t, http.StatusUnauthorized, c.do(r).Code)
		off := mustClient(t, qualys.Options{NoIntegration: true})
		require.Equal(t, http.StatusForbidden, off.post(path, newApp).Code)
	}
}

// Import asset business metadata: any body.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{newApp, `{"data":[{"qualysAssetId":"10000000","metadata":` + fullMetadata + `}]}`, `{"data":[{"qualysAssetId":10000000,"metadata":{"assignedLocation":[]}}]}`, "{}", `{"data":[null]}`} {
		f.Add(seed)
	}
	c := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{metadataPath, appsPath} {
			c.answer(t, c.request(http.MethodPost, path, body), 200, 207, 400)
		}
	})
}
