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

const syncPath = "/rest/2.0/am/connector/asset/data/sync"

// sample is the guide's call with other identity attributes.
func sample(identity string) string {
	return `{"connectorMetaData":{"requestId":"5d2c9a0e-6f0a-4e0c-9c1e-000000000001","assetCount":1,"source":"WEBHOOK","connectorUuid":"b1a2c3d4-0000-4000-8000-00000000000a"},
 "assetData":[{"identityAttributes":` + identity + `,
  "coreAttributes":{
    "operatingSystem":"Windows Server 2019 Standard","osVersion":"10.0.17763","osArchitecture":"64-bit","hostName":"app01","address":"10.20.30.41","dnsName":"app01.corp.example",
    "netBiosName":"APP01","fqdn":"app01.corp.example","domain":"corp.example","domainRole":"Member Server","isContainer":false,"lastLoggedOnUser":"svc_app",
    "biosInfo":{},"processor":{},"ports":[],"softwares":[],"services":[],"volumes":[],"accounts":[],
    "networkInterfaces":[{"interfaceName":"Ethernet0","macAddress":"00:1A:2B:3C:4D:5E","address":"10.20.30.41","type":"PRIVATE","gatewayAddress":"10.20.30.1","dnsAddress":"10.20.0.53","hostName":"app01","ipv4Address":"10.20.30.41","ipv6Address":null,"networkUuid":null}],
    "businessMetaData":{},"assignedLocation":{},"businessApps":[],"containers":[],"customConnectorAttributes":{"cost center":"CC-7"},
    "sourceCreatedDate":"2025-03-02T10:00:00Z","sourceLastUpdatedDate":"2026-02-11T08:00:00Z"}}]}`
}

const unknownHost = `{"qualysAssetId":null,"sourceNativeKey":"a1b2c3d4e5f64718a1b2c3d4e5f64718","instanceUuid":null,"instanceUuidSource":null,
    "hostName":"app01","netBiosName":"APP01","fqdn":"app01.corp.example","macAddress":["00:1A:2B:3C:4D:5E"],"ipAddress":["10.20.30.41"],
    "serialNumber":"5B8QXM2","hardwareUuid":"4c4c4544-0042-3510-8051-b4c04f4d4832","networkUuid":null}`

// clocked is a client whose simulator's clock stands still until a test moves it.
func clocked(t *testing.T, o qualys.Options) (*client, func(time.Duration)) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	return mustClient(t, o), func(d time.Duration) { now = now.Add(d) }
}

// Connector data sync, the guide's sample: published at once, in the inventory some seconds later as an unmanaged asset.
func TestAnUnknownAssetBecomesUnmanagedSomeSecondsLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, pass := clocked(t, qualys.Options{Estate: estate.Options{Assets: 50}, StateDir: dir})
	w := c.post(syncPath, sample(unknownHost))
	require.Equal(t, http.StatusOK, w.Code)
	require.JSONEq(t, `{"message":"All assets are submitted for processing. They are displayed in the inventory after processing is completed successfully.","responseCode":"SUCCESSFULLY_PUBLISHED","assetsError":{}}`, w.Body.String())
	require.Equal(t, 50, c.countOf(t, "", ""))
	pass(5 * time.Second)
	require.Equal(t, 51, c.countOf(t, "", ""))
	find := func() map[string]any {
		list := mustEnvelope(t, c.post(searchPath, `{"filters":[`+criterionOf("asset.name", "EQUALS", "app01")+`]}`)).AssetListData.Asset
		require.Len(t, list, 1)
		return list[0]
	}
	a := find()
	require.Equal(t, "app01", a["assetName"])
	require.Equal(t, "5B8QXM2", a["biosSerialNumber"])
	require.Equal(t, "10.20.30.41", a["address"])
	require.Nil(t, a["agentId"])
	require.Nil(t, a["softwareListData"])
	require.Equal(t, "Windows Server 2019 Standard", a["operatingSystem"].(map[string]any)["osName"])
	require.Equal(t, []any{map[string]any{"key": "cost center", "value": "CC-7", "connectorName": "WEBHOOK"}}, a["customAttributes"])
	require.Equal(t, "WEBHOOK", a["inventory"].(map[string]any)["source"])
	id := strconv.FormatInt(assetID(t, a), 10)
	require.Equal(t, a, mustEnvelope(t, c.post("/rest/2.0/get/am/asset?assetId="+id, "")).AssetListData.Asset[0])
	require.Len(t, mustEnvelope(t, c.post(searchPath+"?assetLastUpdated=2026-03-01T12:00:00Z", "")).AssetListData.Asset, 1)

	// The same source record is the same asset, whatever else it says.
	again := strings.Replace(strings.Replace(unknownHost, `"hostName":"app01"`, `"hostName":"app02"`, 1), "5B8QXM2", "OTHER", 1)
	require.Equal(t, http.StatusOK, c.post(syncPath, sample(again)).Code)
	pass(5 * time.Second)
	require.Equal(t, 51, c.countOf(t, "", ""))
	c, pass = clocked(t, qualys.Options{Estate: estate.Options{Assets: 50}, StateDir: dir}) // after a restart
	pass(time.Minute)
	require.Equal(t, 51, c.countOf(t, "", ""))
	require.Equal(t, "app02", mustEnvelope(t, c.post("/rest/2.0/get/am/asset?assetId="+id, "")).AssetListData.Asset[0]["assetName"])
}

func criterionOf(field, operator, value string) string {
	return `{"field":"` + field + `","operator":"` + operator + `","value":"` + value + `"}`
}

// Asset identification rules: native key, serial number, hardware UUID, instance, MAC and host name, FQDN, NetBIOS name, host name and
// address; a rule matches with all its fields only. What matches is merged into the managed asset.
func TestRecordsAreIdentifiedByTheFirstRuleThatMatches(t *testing.T) {
	t.Parallel()
	c, pass := clocked(t, qualys.Options{})
	var one, two map[string]any
	for _, a := range mustEnvelope(t, c.post(searchPath+"?pageSize=300", "")).AssetListData.Asset {
		serial, _ := a["biosSerialNumber"].(string)
		if _, computer := a["netbiosName"].(string); !computer || len(serial) < 6 || strings.Contains(serial, " ") || a["networkInterfaceListData"] == nil {
			continue
		}
		if one == nil {
			one = a
		} else if two == nil && a["biosSerialNumber"] != one["biosSerialNumber"] {
			two = a
		}
	}
	require.NotNil(t, two)
	before := c.countOf(t, "", "")
	for name, identity := range map[string]map[string]any{
		"serial number":         {"serialNumber": one["biosSerialNumber"]},
		"serial before NetBIOS": {"serialNumber": one["biosSerialNumber"], "netBiosName": two["netbiosName"]},
		"the asset's id":        {"qualysAssetId": strconv.FormatInt(assetID(t, one), 10)},
		"NetBIOS name":          {"netBiosName": one["netbiosName"], "macAddress": []string{"0E:00:00:00:00:01"}, "hostName": "elsewhere"},
	} {
		raw, err := json.Marshal(identity)
		require.NoError(t, err)
		body := strings.Replace(sample(string(raw)), "CC-7", name, 1)
		require.Equal(t, http.StatusOK, c.post(syncPath, body).Code, name)
		pass(6 * time.Second)
		require.Equal(t, before, c.countOf(t, "", ""), name)
		got := mustEnvelope(t, c.post("/rest/2.0/get/am/asset?assetId="+strconv.FormatInt(assetID(t, one), 10), "")).AssetListData.Asset[0]
		require.Equal(t, name, got["customAttributes"].([]any)[0].(map[string]any)["value"])
		require.Equal(t, one["assetName"], got["assetName"], "its own sensors know better")
	}
}

// Connector data sync: what is refused as a whole, and records that are refused alone (207).
func TestSyncNamesWhatItRefuses(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Assets: 20}})
	good := sample(unknownHost)
	for why, body := range map[string]string{
		"no body": "", "no meta": `{"assetData":[]}`, "another source": strings.Replace(good, "WEBHOOK", "CSV", 1),
		"a connector that is no UUID": strings.Replace(good, "b1a2c3d4-0000-4000-8000-00000000000a", "x", 1),
		"another count":               strings.Replace(good, `"assetCount":1`, `"assetCount":2`, 1),
		"no request id":               strings.Replace(good, "5d2c9a0e-6f0a-4e0c-9c1e-000000000001", "", 1),
	} {
		require.Equal(t, http.StatusBadRequest, c.post(syncPath, body).Code, why)
	}
	for identity, why := range map[string]string{
		`{}`: "No identity attribute", `{"qualysAssetId":"17"}`: "Asset not found", `null`: "identityAttributes are mandatory", `{"hostName":"only"}`: "No identity attribute",
	} {
		w := c.post(syncPath, sample(identity))
		require.Equal(t, http.StatusMultiStatus, w.Code)
		require.Contains(t, w.Body.String(), why)
	}
	bad := c.post(syncPath, strings.Replace(good, "2025-03-02T10:00:00Z", "yesterday", 1))
	require.Equal(t, http.StatusMultiStatus, bad.Code)
	require.Contains(t, bad.Body.String(), "sourceCreatedDate")
	require.Equal(t, http.StatusMethodNotAllowed, c.do(c.request(http.MethodGet, syncPath, "")).Code)
}

// Connector data sync: any body.
func FuzzConnectorSync(f *testing.F) {
	for _, seed := range []string{sample(unknownHost), sample("{}"), "{}", `{"connectorMetaData":null,"assetData":[null]}`} {
		f.Add(seed)
	}
	c := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, body string) {
		c.answer(t, c.request(http.MethodPost, syncPath, body), 200, 207, 400)
		c.answer(t, c.request(http.MethodPost, searchPath+"?pageSize=300", ""), 200)
	})
}
