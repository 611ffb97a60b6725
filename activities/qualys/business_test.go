package qualys_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/transport"
)

// published is the connector's answer to a batch that it took.
const published = `{"message":"All assets are submitted for processing.","responseCode":"SUCCESSFULLY_PUBLISHED","assetsError":{}}`

// writes are the calls of a test that write on the gateway, each with two records.
func writes(c *qualys.Client) map[string]func() (qualys.Accepted, qualys.Meta, error) {
	ctx, day := context.Background(), time.Date(2026, 2, 11, 8, 0, 0, 0, time.UTC)
	return map[string]func() (qualys.Accepted, qualys.Meta, error){
		"metadata": func() (qualys.Accepted, qualys.Meta, error) {
			return c.UpdateAssetMetadata(ctx, []qualys.AssetMetadata{{AssetID: 11}, {AssetID: 12}})
		},
		"applications": func() (qualys.Accepted, qualys.Meta, error) {
			return c.UpdateBusinessApps(ctx, []qualys.BusinessApp{{ID: "11", Created: day, Updated: day}, {ID: "12", Created: day, Updated: day}})
		},
		"connector": func() (qualys.Accepted, qualys.Meta, error) {
			return c.SyncConnector(ctx, qualys.ConnectorBatch{RequestID: "r1", ConnectorUUID: connectorUUID, Assets: []qualys.ConnectorAsset{
				{Identity: qualys.ConnectorIdentity{SourceNativeKey: "11", HostName: "same"}}, {Identity: qualys.ConnectorIdentity{SourceNativeKey: "12", HostName: "same", FQDN: "b.corp.example"}},
			}})
		},
	}
}

const connectorUUID = "b1a2c3d4-0000-4000-8000-00000000000a"

// keeping answers and keeps the last body.
func keeping(body *string, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*body = string(b)
		_, _ = io.WriteString(w, answer)
	}
}

func TestMetadataOfAnAssetIsSentInTheDocumentedShape(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	var body string
	g.search = keeping(&body, `{"responseCode":"SUCCESS","responseMessage":"ok"}`)
	got, _, err := g.client(t).UpdateAssetMetadata(context.Background(), []qualys.AssetMetadata{
		{AssetID: 20345678, Values: map[string]string{"ownedBy": "j.doe", "company": "", "assignedLocation.city": "Zürich", "assignedLocation.name": "DC-1"}, Applications: []string{"BA1", "BA2"}},
		{AssetID: 7, Applications: []string{}},
	})
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", got.Code)
	require.JSONEq(t, `{"data":[
		{"qualysAssetId":"20345678","metadata":{"ownedBy":"j.doe","company":"","businessAppIds":["BA1","BA2"],"assignedLocation":{"name":"DC-1","city":"Zürich"}}},
		{"qualysAssetId":"7","metadata":{"businessAppIds":[]}}]}`, body)
	r := <-g.requests
	require.Equal(t, "/rest/2.0/update/am/asset/business/metadata", r.URL.Path)
	require.Equal(t, "Bearer "+jwt, r.Header.Get("Authorization"))
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
}

func TestApplicationsGoToWhicheverPathTheSubscriptionKnows(t *testing.T) {
	t.Parallel()
	day := time.UnixMilli(1740909600000)
	app := []qualys.BusinessApp{{ID: "BA1", Values: map[string]string{"name": "Webshop"}, Created: day, Updated: day}}
	for first, c := range map[string]struct {
		known string
		paths []string
	}{
		"":                        {qualys.BusinessAppsUpdate, []string{qualys.BusinessAppsUpdate}},
		qualys.BusinessAppsUpsert: {qualys.BusinessAppsUpsert, []string{qualys.BusinessAppsUpsert}},
		qualys.BusinessAppsUpdate: {qualys.BusinessAppsUpsert, []string{qualys.BusinessAppsUpdate, qualys.BusinessAppsUpsert}},
	} {
		g := newGateway(t)
		var body string
		g.search = func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != c.known {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			keeping(&body, "")(w, r)
		}
		_, _, err := g.client(t, func(cfg *qualys.Config) { cfg.BusinessAppPath = first }).UpdateBusinessApps(context.Background(), app)
		require.NoError(t, err)
		require.JSONEq(t, `{"data":[{"businessAppId":"BA1","name":"Webshop","created":1740909600000,"lastUpdated":1740909600000}]}`, body)
		for _, p := range c.paths {
			require.Equal(t, p, (<-g.requests).URL.Path)
		}
	}
}

func TestABatchOfTheConnectorHasTheDocumentedShape(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	var body string
	g.search = keeping(&body, published)
	got, _, err := writes(g.client(t))["connector"]()
	require.NoError(t, err)
	require.Equal(t, "SUCCESSFULLY_PUBLISHED", got.Code)
	var sent map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &sent))
	require.Empty(t, cmp.Diff(map[string]any{"requestId": "r1", "assetCount": 2.0, "source": "WEBHOOK", "connectorUuid": connectorUUID}, sent["connectorMetaData"]))
	require.Empty(t, cmp.Diff(map[string]any{"identityAttributes": map[string]any{"sourceNativeKey": "11", "hostName": "same"}, "coreAttributes": map[string]any{}}, sent["assetData"].([]any)[0]))
	require.Equal(t, "/rest/2.0/am/connector/asset/data/sync", (<-g.requests).URL.Path)
}

func TestRefusedRecordsAreToldApartWithoutGuessing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		errors  string
		refused map[string]string
		stray   int
	}{
		"by key":                           {`{"12":"bad MAC"}`, map[string]string{"12": "bad MAC"}, 0},
		"by key, in a list of texts":       {`{"12":["bad MAC","bad IP"]}`, map[string]string{"12": "bad MAC; bad IP"}, 0},
		"an object with the record's name": {`[{"sourceNativeKey":"11","message":"bad"}]`, map[string]string{"11": "bad"}, 0},
		"a number as name":                 {`[{"qualysAssetId":12,"error":"gone"}]`, map[string]string{"12": "gone"}, 0},
		"by another of its names":          {`{"b.corp.example":"bad"}`, map[string]string{"12": "bad"}, 0},
		"a name of two records":            {`{"same":"bad"}`, nil, 1},
		"a name of none":                   {`{"0":"bad","13":"bad"}`, nil, 2},
		"both":                             {`{"11":"bad","?":"bad"}`, map[string]string{"11": "bad"}, 1},
		"nobody":                           {`{}`, nil, 0},
		"null":                             {`null`, nil, 0},
	} {
		g := newGateway(t)
		g.search = status(207, `{"message":"Some","responseCode":"PARTIAL","assetsError":`+c.errors+`}`)
		got, meta, err := writes(g.client(t))["connector"]()
		require.NoError(t, err, name)
		require.Equal(t, 207, meta.Status)
		require.Equal(t, c.refused, got.Refused, name)
		require.Len(t, got.Stray, c.stray, name)
	}
}

func TestAWriteIsAcceptedRefusedOrOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	const accepted = qualys.Kind("")
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		kind   qualys.Kind
		want   string
	}{
		"an empty 200":         {status(200, ""), accepted, ""},
		"204":                  {status(204, ""), accepted, ""},
		"202":                  {status(202, published), accepted, ""},
		"a FAILED with 200":    {status(200, `{"responseCode":"FAILED","responseMessage":"Invalid field"}`), qualys.KindInvalidRequest, "Invalid field"},
		"400":                  {status(400, `{"responseMessage":"Invalid field: owner"}`), qualys.KindInvalidRequest, "Invalid field: owner"},
		"403 without a word":   {status(403, ""), qualys.KindInvalidRequest, "feature switched off"},
		"409":                  {status(409, "", "X-RateLimit-ToWait-Sec", "90"), qualys.KindRateLimited, ""},
		"429 with an empty":    {status(429, "", "X-RateLimit-ToWait-Sec", "90"), qualys.KindRateLimited, ""},
		"503":                  {status(503, "<html>"), qualys.KindUnknownOutcome, ""},
		"HTML with 200":        {status(200, "<html>maintenance</html>"), qualys.KindUnknownOutcome, "not JSON"},
		"a cut body":           {status(200, published[:40]), qualys.KindUnknownOutcome, "cut off"},
		"a body cut by length": {status(200, published[:40], "Content-Length", "500"), qualys.KindUnknownOutcome, ""},
		"a lost answer":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, qualys.KindUnknownOutcome, ""},
		"a redirect":           {status(302, "", "Location", "https://evil.example/"), qualys.KindUnknownOutcome, ""},
		"an echoed password":   {status(400, `{"message":"`+password+` `+jwt+`"}`), qualys.KindInvalidRequest, "***"},
	} {
		g := newGateway(t)
		g.search = c.answer
		for call, do := range writes(g.client(t)) {
			_, meta, err := do()
			if c.kind == accepted {
				require.NoError(t, err, "%s %s", call, name)
				continue
			}
			var e *qualys.Error
			require.True(t, errors.As(err, &e), "%s %s: %v", call, name, err)
			require.Equal(t, c.kind, e.Kind(), "%s %s: %v", call, name, err)
			require.ErrorContains(t, err, c.want, "%s %s", call, name)
			require.NotContains(t, err.Error(), password)
			require.NotContains(t, err.Error(), jwt)
			if c.kind == qualys.KindRateLimited {
				require.Equal(t, 90*time.Second, e.RetryAfter)
				require.Equal(t, 90*time.Second, meta.Limits.Wait)
			}
		}
	}
}

// unreachable is a network in which only the log-in gets through.
type unreachable struct{ http.RoundTripper }

func (u unreachable) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/auth" {
		return u.RoundTripper.RoundTrip(r)
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

func TestAWriteThatWasNotSentIsNoDoubt(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = answer(published)
	tr, err := transport.New(transport.Options{Name: "corp"})
	require.NoError(t, err)
	c := g.client(t, func(cfg *qualys.Config) { cfg.Transport = tr })
	require.NoError(t, c.Authenticate(context.Background()))
	lease := errors.New("the lease is lost")
	ctx := transport.Before(context.Background(), func() error { return lease })
	_, _, err = c.UpdateAssetMetadata(ctx, []qualys.AssetMetadata{{AssetID: 1}})
	var unsent *transport.NotSentError
	require.ErrorAs(t, err, &unsent)
	require.ErrorIs(t, err, lease)
	require.Zero(t, g.searches.Load())

	nobody := g.client(t, func(cfg *qualys.Config) { cfg.Transport = unreachable{tr} })
	_, _, err = nobody.UpdateAssetMetadata(context.Background(), []qualys.AssetMetadata{{AssetID: 1}})
	var e *qualys.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, qualys.KindUnavailable, e.Kind(), "nobody was there to hear it")

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err = c.UpdateAssetMetadata(cancelled, []qualys.AssetMetadata{{AssetID: 1}})
	require.ErrorIs(t, err, context.Canceled)
}

func TestAnExpiredTokenIsReplacedBeforeAWriteIsRepeated(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = func(w http.ResponseWriter, _ *http.Request) {
		if g.searches.Load() == 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, published)
	}
	_, _, err := writes(g.client(t))["connector"]()
	require.NoError(t, err)
	require.EqualValues(t, 2, g.searches.Load())
	require.EqualValues(t, 2, g.auths.Load())
}

func TestAWrongBatchIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	c, ctx := g.client(t), context.Background()
	one := []qualys.ConnectorAsset{{Identity: qualys.ConnectorIdentity{SourceNativeKey: "1"}}}
	for want, do := range map[string]func() error{
		"1 to 250 records, not 0":   func() error { _, _, err := c.UpdateAssetMetadata(ctx, nil); return err },
		"1 to 250 records, not 251": func() error { _, _, err := c.UpdateBusinessApps(ctx, make([]qualys.BusinessApp, 251)); return err },
		"asset 1 of the batch has no id": func() error {
			_, _, err := c.UpdateAssetMetadata(ctx, []qualys.AssetMetadata{{}})
			return err
		},
		"lacks its id or a date": func() error { _, _, err := c.UpdateBusinessApps(ctx, []qualys.BusinessApp{{ID: "x"}}); return err },
		"UUID is missing": func() error {
			_, _, err := c.SyncConnector(ctx, qualys.ConnectorBatch{RequestID: "r", ConnectorUUID: "x", Assets: one})
			return err
		},
		"no request id": func() error {
			_, _, err := c.SyncConnector(ctx, qualys.ConnectorBatch{ConnectorUUID: connectorUUID, Assets: one})
			return err
		},
		`source "X"`: func() error {
			_, _, err := c.SyncConnector(ctx, qualys.ConnectorBatch{RequestID: "r", Source: "X", ConnectorUUID: connectorUUID, Assets: one})
			return err
		},
		"record 2 of the batch has no native key": func() error {
			_, _, err := c.SyncConnector(ctx, qualys.ConnectorBatch{RequestID: "r", ConnectorUUID: connectorUUID, Assets: append(one, one...)})
			return err
		},
	} {
		err := do()
		require.ErrorContains(t, err, want)
		var e *qualys.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, qualys.KindInvalidRequest, e.Kind())
	}
	require.Zero(t, g.auths.Load()+g.searches.Load())
}
