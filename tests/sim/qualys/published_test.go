package qualys_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// world is a subscription of a hundred assets whose clock the test moves.
type world struct {
	*client
	server *qualys.Server
	now    *clock
}

func published(t *testing.T) *world {
	t.Helper()
	now := newClock()
	s := mustServer(t, qualys.Options{Now: now.Now, Estate: estate.Options{Assets: 100}})
	w := &world{&client{h: s.Handler()}, s, now}
	w.signIn(t)
	return w
}

const connectorUUID = "b1a2c3d4-0000-4000-8000-00000000000a"

// sync publishes records and waits until they have been processed.
func (w *world) sync(t *testing.T, records ...string) {
	t.Helper()
	require.Equal(t, http.StatusOK, w.send(records...).Code)
	w.now.Add(time.Minute)
}

func (w *world) send(records ...string) *httptest.ResponseRecorder {
	return w.post(syncPath, fmt.Sprintf(`{"connectorMetaData":{"requestId":"r1","assetCount":%d,"source":"SNOW","connectorUuid":%q},"assetData":[%s]}`,
		len(records), connectorUUID, strings.Join(records, ",")))
}

// foreign is a machine that the subscription does not know.
const foreign = `{"identityAttributes":{"sourceNativeKey":"k1","hostName":"zz9","serialNumber":"ZZSER9"},"coreAttributes":{"hostName":"zz9"}}`

// third returns the unmanaged asset of that machine, nil when it is not shown.
func (w *world) third(t *testing.T) map[string]any {
	t.Helper()
	res := w.post(searchPath, criterion("asset.name", "EQUALS", "zz9"))
	if res.Code == http.StatusNoContent {
		return nil
	}
	return mustEnvelope(t, res).AssetListData.Asset[0]
}

func (w *world) first(t *testing.T) *estate.Asset {
	t.Helper()
	a, ok := w.server.Estate().Reader().Asset(3)
	require.True(t, ok)
	return a
}

func (w *world) read(t *testing.T, id int64) map[string]any {
	t.Helper()
	res := w.post(getPath+"?assetId="+strconv.FormatInt(id, 10), "")
	require.Equal(t, http.StatusOK, res.Code)
	return mustEnvelope(t, res).AssetListData.Asset[0]
}

func (w *world) metadata(t *testing.T, id int64, members string) {
	t.Helper()
	res := w.post(metadataPath, fmt.Sprintf(`{"data":[{"qualysAssetId":"%d","metadata":%s}]}`, id, members))
	require.Equal(t, http.StatusOK, res.Code, res.Body.String())
}

func texts(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// CSAM API v2, connector data sync: processing is asynchronous, so what is shown stays until the record that replaces
// it has been processed, and an asset is created once.
func TestARecordThatIsSentAgainHidesNothingAndKeepsItsDate(t *testing.T) {
	t.Parallel()
	w := published(t)
	w.sync(t, foreign)
	created := w.third(t)["createdDate"]
	require.Equal(t, http.StatusOK, w.send(strings.Replace(foreign, `"hostName":"zz9"}`, `"hostName":"zz9","operatingSystem":"Plan 9"}`, 1)).Code)
	require.NotNil(t, w.third(t), "not hidden while the new record is processed")
	require.NotContains(t, texts(t, w.third(t)), "Plan 9", "nor shown too early")
	w.now.Add(time.Minute)
	require.Contains(t, texts(t, w.third(t)), "Plan 9")
	require.Equal(t, created, w.third(t)["createdDate"])
}

// CSAM API v2, business metadata and connector data sync write the same members: the later word counts.
func TestTheLaterWordCountsWhoeverSaidIt(t *testing.T) {
	t.Parallel()
	w := published(t)
	id := w.first(t).ID
	record := fmt.Sprintf(`{"identityAttributes":{"qualysAssetId":%d,"sourceNativeKey":"m"},"coreAttributes":{"businessMetaData":{"company":"Published"}}}`, id)
	company := func() any { return w.read(t, id)["businessInformation"].(map[string]any)["company"] }
	w.sync(t, record)
	require.Equal(t, "Published", company())
	w.metadata(t, id, `{"company":"Written"}`)
	require.Equal(t, "Written", company())
	w.sync(t, record)
	require.Equal(t, "Published", company())
}

// CSAM API v2, supported operators: asset.businessInfo tokens ask for what the inventory shows.
func TestFiltersSeeWrittenBusinessInformation(t *testing.T) {
	t.Parallel()
	w := published(t)
	w.metadata(t, w.first(t).ID, `{"department":"Quux","company":"Quux","environment":"Quux","operationalStatus":"Quux","ownedBy":"Quux","managedBy":"Quux"}`)
	for _, token := range []string{"department", "company", "environment", "operationalStatus", "ownedBy.username", "managedBy.username"} {
		require.Equal(t, 1, w.countOf(t, "", criterion("asset.businessInfo."+token, "EQUALS", "Quux")), token)
	}
	require.Positive(t, w.countOf(t, "", criterion("asset.businessInfo.company", "EQUALS", "Example AG")), "and what was there before")
}

// CSAM API v2, business applications: an application that is written again shows on the assets that name it.
func TestAnApplicationThatIsWrittenAgainShowsOnItsAssets(t *testing.T) {
	t.Parallel()
	w := published(t)
	id := w.first(t).ID
	app := `{"data":[{"businessAppId":"X1","name":"%s","created":1740909600000,"lastUpdated":1770797000000}]}`
	require.Equal(t, http.StatusOK, w.post(appsPath, fmt.Sprintf(app, "One")).Code)
	w.metadata(t, id, `{"businessAppIds":["X1"]}`)
	require.Equal(t, http.StatusOK, w.post(appsPath, fmt.Sprintf(app, "Two")).Code)
	require.Contains(t, texts(t, w.read(t, id)["businessAppListData"]), "Two")
}

// CSAM API v2, business metadata: unmanaged assets have it too.
func TestUnmanagedAssetsTakeBusinessMetadata(t *testing.T) {
	t.Parallel()
	w := published(t)
	w.sync(t, foreign)
	w.metadata(t, assetID(t, w.third(t)), `{"company":"New"}`)
	require.Equal(t, "New", w.third(t)["businessInformation"].(map[string]any)["company"])
}

// CSAM, third-party asset identification: rules compare with the assets that are there now.
func TestARecordOfAMachineThatIsGoneBecomesUnmanaged(t *testing.T) {
	t.Parallel()
	w := published(t)
	w.sync(t, foreign) // the keys of the estate are known from here on
	before := map[string]*estate.Asset{}
	for i := range 100 {
		if a, ok := w.server.Estate().Reader().Asset(i); ok && a.Role == estate.Only && len(a.Serial) > 8 {
			before[a.Serial] = a
		}
	}
	var gone string
	for range 40 {
		w.server.Estate().Mutate(20, w.now.Now())
	}
	for serial, a := range before {
		if _, lives := w.server.Estate().Reader().Asset(a.Index); !lives {
			gone = serial
		}
	}
	require.NotEmpty(t, gone)
	w.sync(t, fmt.Sprintf(`{"identityAttributes":{"sourceNativeKey":"gone","serialNumber":%q},"coreAttributes":{}}`, gone))
	require.Equal(t, 2, w.countOf(t, "", criterion("asset.id", "GREATER_THAN_EQUAL", "9000000000")))
}

// CSAM API v2, connector data sync, 207: a record that cannot be read is named, and the others are taken.
func TestARecordThatCannotBeReadIsNamedAndTheOthersAreTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ record, want string }{
		"a text for a list":           {`{"identityAttributes":{"sourceNativeKey":"k2","macAddress":"00:11:22:33:44:55"},"coreAttributes":{}}`, "macAddress"},
		"an address that is none":     {`{"identityAttributes":{"sourceNativeKey":"k2","ipAddress":["300.1.1.1"]},"coreAttributes":{}}`, "ipAddress"},
		"an unknown interface type":   {`{"identityAttributes":{"sourceNativeKey":"k2"},"coreAttributes":{"networkInterfaces":[{"type":"WEIRD"}]}}`, "networkInterfaces.type"},
		"interfaces that are no list": {`{"identityAttributes":{"sourceNativeKey":"k2"},"coreAttributes":{"networkInterfaces":7}}`, "networkInterfaces"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := published(t)
			res := w.send(foreign, c.record)
			require.Equal(t, http.StatusMultiStatus, res.Code, res.Body.String())
			require.Contains(t, res.Body.String(), `"k2":"Invalid value for`)
			require.Contains(t, res.Body.String(), c.want)
			w.now.Add(time.Minute)
			require.NotNil(t, w.third(t))
		})
	}
	w := published(t)
	res := w.post(metadataPath, fmt.Sprintf(`{"data":[{"qualysAssetId":%d,"metadata":7},{"qualysAssetId":%d,"metadata":{"company":"A"}}]}`, w.first(t).ID, w.first(t).ID))
	require.Equal(t, http.StatusMultiStatus, res.Code, res.Body.String())
}

// CSAM API v2: several sources know an asset (inventoryListData), and connector tokens find what a connector published.
func TestSourcesAndConnectorsOfAnAssetAreReadBack(t *testing.T) {
	t.Parallel()
	w := published(t)
	id := w.first(t).ID
	w.sync(t, fmt.Sprintf(`{"identityAttributes":{"qualysAssetId":%d,"sourceNativeKey":"m"},"coreAttributes":{"businessApps":[{"businessAppId":"BA0001","name":"x"}]}}`, id), foreign)
	a := w.read(t, id)
	list := a["inventoryListData"].(map[string]any)["inventory"].([]any)
	require.Len(t, list, 2, "the sensor's and the connector's")
	require.Equal(t, "SERVICENOW", list[1].(map[string]any)["source"])
	require.Contains(t, texts(t, a["businessAppListData"]), `"id":"BA0001"`)
	require.Equal(t, 2, w.countOf(t, "", criterion("connector.id", "EQUALS", connectorUUID)))
	require.Equal(t, 2, w.countOf(t, "", criterion("asset.inventory.source", "EQUALS", "SERVICENOW")))
}

// CSAM, third-party asset identification: a MAC address is one, however it is written.
func TestAMACAddressIsOneHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	w := published(t)
	a := w.first(t)
	require.NotEmpty(t, a.NICs)
	for _, mac := range []string{strings.ReplaceAll(a.NICs[0].MAC, ":", "-"), strings.ToLower(strings.ReplaceAll(a.NICs[0].MAC, ":", ""))} {
		w.sync(t, fmt.Sprintf(`{"identityAttributes":{"hostName":%q,"macAddress":[%q]},"coreAttributes":{}}`, a.Host, mac))
	}
	require.Equal(t, 100, w.countOf(t, "", ""))
}

// CSAM, source native key rule: always first; the same record of a source is the same asset.
func TestTheNativeKeyGoesBeforeTheAssetID(t *testing.T) {
	t.Parallel()
	w := published(t)
	w.sync(t, foreign)
	a := w.first(t)
	was := w.read(t, a.ID)["lastModifiedDate"]
	w.sync(t, fmt.Sprintf(`{"identityAttributes":{"qualysAssetId":%d,"sourceNativeKey":"k1"},"coreAttributes":{}}`, a.ID))
	require.Equal(t, was, w.read(t, a.ID)["lastModifiedDate"])
}

// The simulator's settings: how long processing takes, and the switch of the integration.
func TestTheDelayAndTheIntegrationAreSettings(t *testing.T) {
	t.Parallel()
	w := published(t)
	require.Equal(t, http.StatusNoContent, w.post("/_sim/settings", `{"connectorDelay":"1h","integration":true}`).Code)
	w.sync(t, foreign)
	require.Nil(t, w.third(t))
	w.now.Add(time.Hour)
	require.NotNil(t, w.third(t))
	require.Equal(t, http.StatusNoContent, w.post("/_sim/settings", `{"integration":false}`).Code)
	require.Equal(t, http.StatusForbidden, w.send(foreign).Code)
	require.Equal(t, http.StatusBadRequest, w.post("/_sim/settings", `{"connectorDelay":"soon"}`).Code)
}

// Tag rules on business information see what was written, in every API that shows tags.
func TestATagByWrittenBusinessInformationHasTheSameMembersInBothAPIs(t *testing.T) {
	t.Parallel()
	w := published(t)
	w.metadata(t, w.first(t).ID, `{"department":"Quux"}`)
	require.Equal(t, "SUCCESS", w.qps(t, "create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"Q","ruleType":"GLOBAL_ASSET_VIEW","ruleText":"asset.businessInfo.department:`+"`Quux`"+`"}}}}`).Code)
	w.now.Add(time.Minute)
	require.Equal(t, 1, w.countOf(t, "", criterion("tags.name", "EQUALS", "Q")))
	require.EqualValues(t, 1, *w.qps(t, "count/am/hostasset", `{"ServiceRequest":{"filters":{"Criteria":[{"field":"tagName","operator":"EQUALS","value":"Q"}]}}}`).Count)
}
