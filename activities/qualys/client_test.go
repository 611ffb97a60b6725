package qualys_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/asset"
)

const (
	user     = "acme_api1"
	password = "S3cr%+et#"
	jwt      = "aGVhZA.Ym9keQ.c2ln"
)

// gateway is a small Qualys gateway of a test.
type gateway struct {
	*httptest.Server
	auths, searches atomic.Int64
	auth            http.HandlerFunc // default: 201 with a token
	search          http.HandlerFunc
	requests        chan *http.Request
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{requests: make(chan *http.Request, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		g.auths.Add(1)
		if g.auth != nil {
			g.auth(w, r)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, jwt)
	})
	mux.HandleFunc("/rest/2.0/", func(w http.ResponseWriter, r *http.Request) {
		g.searches.Add(1)
		g.requests <- r
		g.search(w, r)
	})
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) client(t *testing.T, opts ...func(*qualys.Config)) *qualys.Client {
	t.Helper()
	cfg := qualys.Config{Name: "corp", APIURL: g.URL, GatewayURL: g.URL, Username: user, Password: password, Transport: g.Server.Client().Transport}
	for _, o := range opts {
		o(&cfg)
	}
	c, err := qualys.New(cfg)
	require.NoError(t, err)
	return c
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func status(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// page renders an answer of search.
func page(more int, last int64, assets ...string) string {
	return fmt.Sprintf(`{"responseMessage":"Valid API Access","count":%d,"responseCode":"SUCCESS","lastSeenAssetId":%d,"hasMore":%d,"assetListData":{"asset":[%s]}}`,
		len(assets), last, more, strings.Join(assets, ","))
}

func TestCredentialsAreSentFormEncodedAndTheTokenIsReused(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.auth = func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("username") != user || r.FormValue("password") != password || r.FormValue("token") != "true" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "\""+jwt+"\"\n") // some gateways quote it
	}
	g.search = answer(page(0, 1, `{"assetId":1}`))
	c := g.client(t)
	for range 3 {
		_, _, err := c.Search(context.Background(), qualys.Query{})
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, g.auths.Load())
	require.Equal(t, "Bearer "+jwt, (<-g.requests).Header.Get("Authorization"))
}

func TestOneRefreshServesAllCallersAndASecondRefusalIsFinal(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = status(http.StatusUnauthorized, `{"status":401,"error":"Unauthorized","message":"JWT expired"}`)
	c := g.client(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, _, err := c.Search(context.Background(), qualys.Query{})
			var e *qualys.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, qualys.KindUnauthorized, e.Kind())
			require.Contains(t, err.Error(), "JWT expired")
		}()
	}
	wg.Wait()
	require.LessOrEqual(t, g.auths.Load(), int64(9), "a refused token is replaced once per refusal, never again for the same call")
	require.LessOrEqual(t, g.searches.Load(), int64(16))
}

func TestAnExpiredTokenIsReplacedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = answer(page(0, 1, `{"assetId":1}`))
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := g.client(t, func(cfg *qualys.Config) { cfg.Now = func() time.Time { return clock } })
	for _, after := range []time.Duration{0, 3 * time.Hour, 54 * time.Minute, time.Minute} {
		clock = clock.Add(after)
		_, _, err := c.Search(context.Background(), qualys.Query{})
		require.NoError(t, err)
	}
	require.EqualValues(t, 2, g.auths.Load(), "a token lives four hours, less five minutes")
}

func TestARefusedLoginIsNotRepeatedByEveryCaller(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.auth = status(401, `{"authentication_exceptions":[]}`)
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := g.client(t, func(cfg *qualys.Config) { cfg.Now = func() time.Time { return clock } })
	for range 10 {
		require.Error(t, c.Authenticate(context.Background()))
	}
	require.EqualValues(t, 1, g.auths.Load())
	clock = clock.Add(time.Minute)
	require.Error(t, c.Authenticate(context.Background()))
	require.EqualValues(t, 2, g.auths.Load(), "a corrected password is tried after a while")
}

func TestAWrongLoginIsOneErrorWithoutSecrets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		auth http.HandlerFunc
		kind qualys.Kind
	}{
		"wrong password":    {status(401, `{"authentication_exceptions":[["Authentication Failure: 1 errors"]]}`), qualys.KindUnauthorized},
		"echoed password":   {status(401, `{"message":"bad password `+password+`"}`), qualys.KindUnauthorized},
		"HTML with 200":     {status(200, "<html>maintenance</html>"), qualys.KindUnavailable},
		"an empty 201":      {status(201, ""), qualys.KindUnavailable},
		"a down backend":    {status(503, "<html>"), qualys.KindUnavailable},
		"a redirected host": {status(302, "", "Location", "https://evil.example/"), qualys.KindUnavailable},
	} {
		g := newGateway(t)
		g.auth = c.auth
		err := g.client(t).Authenticate(context.Background())
		var e *qualys.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, c.kind, e.Kind(), name)
		require.NotContains(t, err.Error(), password, name)
		require.EqualValues(t, 1, g.auths.Load(), name)
	}
}

func TestParametersGoIntoTheQueryString(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = answer(page(0, 9, `{"assetId":9}`))
	_, _, err := g.client(t).Search(context.Background(), qualys.Query{
		Cursor: 7, UpdatedSince: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), ExcludeFields: []string{"software", "openPorts"},
		Filter: &qualys.Filter{Operation: "AND", Conditions: []qualys.Condition{{Field: "operatingSystem.category1", Operator: "EQUALS", Value: "Linux"}}},
	})
	require.NoError(t, err)
	r := <-g.requests
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, "/rest/2.0/search/am/asset", r.URL.Path)
	q := r.URL.Query()
	require.Equal(t, "300", q.Get("pageSize"))
	require.Equal(t, "7", q.Get("lastSeenAssetId"))
	require.Equal(t, "2026-01-02T02:04:05Z", q.Get("assetLastUpdated"))
	require.Equal(t, "software,openPort", q.Get("excludeFields"))
	require.False(t, q.Has("includeFields"))
}

func TestErrorsHaveAKindAndTheHeadersTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		search http.HandlerFunc
		kind   qualys.Kind
		after  time.Duration
	}{
		"limit with an empty body":      {status(429, "", "X-RateLimit-ToWait-Sec", "1800"), qualys.KindRateLimited, 30 * time.Minute},
		"limit without any header":      {status(429, ""), qualys.KindRateLimited, 0},
		"concurrency":                   {status(409, "<SIMPLE_RETURN><CODE>1960</CODE></SIMPLE_RETURN>", "Retry-After", "10"), qualys.KindRateLimited, 10 * time.Second},
		"registration incomplete":       {status(409, "<SIMPLE_RETURN><CODE>2003</CODE></SIMPLE_RETURN>"), qualys.KindInvalidRequest, 0},
		"a bad filter":                  {status(400, `{"responseMessage":"Invalid filter field: x","responseCode":"FAILED"}`), qualys.KindInvalidRequest, 0},
		"no permission":                 {status(403, ""), qualys.KindInvalidRequest, 0},
		"page size out of range":        {status(416, ""), qualys.KindInvalidRequest, 0},
		"backend overload":              {status(502, "<html>"), qualys.KindUnavailable, 0},
		"FAILED with status 200":        {answer(`{"responseCode":"FAILED","responseMessage":"no module"}`), qualys.KindInvalidRequest, 0},
		"limit in the body":             {answer(`{"responseCode":"LIMIT_EXCEEDED","responseMessage":"later"}`), qualys.KindRateLimited, 0},
		"a maintenance page with 200":   {answer("<!DOCTYPE html><title>Maintenance</title>"), qualys.KindUnavailable, 0},
		"an empty answer with 200":      {answer(""), qualys.KindUnavailable, 0},
		"something else altogether":     {answer(`{"hello":"world"}`), qualys.KindUnavailable, 0},
		"an asset without an id":        {answer(page(0, 1, `{"assetName":"x"}`)), qualys.KindUnavailable, 0},
		"assets that are not a list":    {answer(`{"responseCode":"SUCCESS","assetListData":{"asset":7}}`), qualys.KindUnavailable, 0},
		"a body shorter than announced": {cutBody, qualys.KindUnavailable, 0},
	} {
		g := newGateway(t)
		g.search = c.search
		_, _, err := g.client(t).Search(context.Background(), qualys.Query{})
		var e *qualys.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, c.kind, e.Kind(), "%s: %v", name, err)
		require.Equal(t, c.after, e.RetryAfter, name)
	}
}

func cutBody(w http.ResponseWriter, _ *http.Request) {
	body := page(0, 2, `{"assetId":1}`, `{"assetId":2}`)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = io.WriteString(w, body[:len(body)-10])
}

func TestAnyPrefixOfAPageIsAnError(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	full := page(1, 2, `{"assetId":1,"assetName":"a"}`, `{"assetId":2,"operatingSystem":{"osName":"b"}}`)
	n := 0
	g.search = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, full[:n]) }
	c := g.client(t)
	for n = range len(full) {
		_, _, err := c.Search(context.Background(), qualys.Query{})
		require.Error(t, err, "prefix of %d bytes", n)
		<-g.requests
	}
}

func TestNothingMatchesIsAnEmptyPage(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, h := range []http.HandlerFunc{
		status(http.StatusNoContent, ""),
		answer(`{"responseCode":"SUCCESS","count":0,"lastSeenAssetId":null,"hasMore":0,"assetListData":null}`),
		answer(`{"responseCode":"SUCCESS","count":0,"hasMore":0,"assetListData":{"asset":null}}`),
		answer(page(0, 0)),
	} {
		g.search = h
		p, _, err := g.client(t).Search(context.Background(), qualys.Query{Cursor: 5})
		require.NoError(t, err)
		require.Empty(t, p.Results)
		require.False(t, p.HasMore)
		require.EqualValues(t, 5, p.Next)
	}
}

func TestPagesGoOnAfterAnEmptyPageOnlyWhenTheCursorMoves(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = func(w http.ResponseWriter, r *http.Request) {
		bodies := map[string]string{"": page(1, 1, `{"assetId":1}`), "1": page(1, 5), "5": page(0, 6, `{"assetId":6}`)}
		_, _ = io.WriteString(w, bodies[r.URL.Query().Get("lastSeenAssetId")])
	}
	var ids []int64
	for p, err := range g.client(t).Pages(context.Background(), qualys.Query{}) {
		require.NoError(t, err)
		for _, r := range p.Results {
			ids = append(ids, r.ID)
		}
	}
	require.Equal(t, []int64{1, 6}, ids)

	stuck := newGateway(t)
	stuck.search = answer(page(1, 4, `{"assetId":4}`)) // the parameters are ignored: the same page for ever
	var last error
	for _, err := range stuck.client(t).Pages(context.Background(), qualys.Query{}) {
		last = err
	}
	var e *qualys.CursorStuckError
	require.ErrorAs(t, last, &e)
	require.LessOrEqual(t, stuck.searches.Load(), int64(4))
}

func TestAMalformedAssetNamesItsFieldAndSparesItsNeighbours(t *testing.T) {
	t.Parallel()
	for field, bad := range map[string]string{
		"operatingSystem":                           `{"assetId":2,"operatingSystem":"Windows"}`,
		"totalMemory":                               `{"assetId":2,"totalMemory":{}}`,
		"networkInterfaceListData":                  `{"assetId":2,"networkInterfaceListData":[]}`,
		"networkInterfaceListData.networkInterface": `{"assetId":2,"networkInterfaceListData":{"networkInterface":[{"macAddress":[]}]}}`,
		"softwareListData.software":                 `{"assetId":2,"softwareListData":{"software":"many"}}`,
		"lastModifiedDate":                          `{"assetId":2,"lastModifiedDate":{}}`,
		"hardware":                                  `{"assetId":2,"hardware":7}`,
		"assetName":                                 `{"assetId":2,"assetName":["a"]}`,
	} {
		g := newGateway(t)
		g.search = answer(page(0, 3, `{"assetId":1}`, bad, `{"assetId":3}`))
		p, _, err := g.client(t).Search(context.Background(), qualys.Query{})
		require.NoError(t, err, field)
		require.Len(t, p.Results, 3, field)
		require.Nil(t, p.Results[0].Err)
		require.NotNil(t, p.Results[1].Err, field)
		require.Equal(t, field, p.Results[1].Err.Field)
		require.EqualValues(t, 2, p.Results[1].ID)
		require.Nil(t, p.Results[2].Err)
	}
}

func TestWhatRealTenantsSendIsUnderstood(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = answer(page(0, 9007199254740993, `{
		"assetId":"9007199254740993","hostId":null,"assetName":"APP01","dnsName":null,"lastModifiedDate":"2026-02-11T08:14:22.000Z","createdDate":1735689600000,
		"sensorLastUpdatedDate":-1,"lastBoot":0,"totalMemory":"32767","cpuCount":8.0,"isContainerHost":"false","riskScore":null,"fresh":{"unknown":[1]},
		"operatingSystem":{"osName":"Windows","version":1809,"lifecycle":{"gaDate":"2018-11-13T00:00:00.000Z","eosDate":"Not Announced"},"taxonomy":null},
		"hardware":{"manufacturer":"Dell","lifecycle":null},
		"networkInterfaceListData":{"networkInterface":[{"addressIpV4":"10.0.0.1, 10.0.0.2","macAddress":"","interfaceName":"eth0"}]},
		"softwareListData":{"software":{"id":-2432392843928159632,"fullName":"one that lost its brackets"}},
		"openPortListData":null,"tagList":{"tag":null},"businessInformation":"text","missingSoftware":["x"],"customAttributes":{},
		"cloudProvider":{"aws":null,"azure":{"vm":{"vmId":"v1","offer":"o","location":"westeurope"},"tags":[{"name":"env","value":"prod"}]},"gcp":null},
		"inventoryListData":{"inventory":[{"source":"IP","lastUpdated":1},{"source":"QAGENT","lastUpdated":1735689600000}]}
	}`))
	p, _, err := g.client(t).Search(context.Background(), qualys.Query{})
	require.NoError(t, err)
	require.Nil(t, p.Results[0].Err)
	want := &asset.Asset{
		ID: 9007199254740993, Name: "APP01", Modified: time.Date(2026, 2, 11, 8, 14, 22, 0, time.UTC), Created: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
		TotalMemoryMB: 32767, CPUCount: 8, TrackingMethod: "QAGENT",
		OS:         asset.OperatingSystem{Name: "Windows", Version: "1809", Lifecycle: asset.Lifecycle{GA: "2018-11-13", EOS: "Not Announced"}},
		Hardware:   asset.Hardware{Manufacturer: "Dell"},
		Interfaces: []asset.Interface{{Name: "eth0", IPv4: []string{"10.0.0.1", "10.0.0.2"}}},
		Software:   []asset.Software{{ID: -2432392843928159632, FullName: "one that lost its brackets"}},
		Cloud: asset.Cloud{Provider: asset.CloudAzure, InstanceID: "v1", Region: "westeurope", ImageOffer: "o",
			Tags: []asset.CloudTag{{Key: "env", Value: "prod"}}},
		Inventory: []asset.InventorySource{{Source: "IP", LastUpdated: time.UnixMilli(1).UTC()}, {Source: "QAGENT", LastUpdated: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)}},
		Present:   []asset.Section{asset.SectionOS, asset.SectionHardware, asset.SectionCloud, asset.SectionInterfaces, asset.SectionSoftware},
	}
	require.Empty(t, cmp.Diff(want, p.Results[0].Asset))
	require.True(t, p.Results[0].Asset.Has(asset.SectionSoftware))
	require.False(t, p.Results[0].Asset.Has(asset.SectionOpenPorts), "a null list says nothing about ports")
}

func TestBusinessInformationComesBack(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = answer(page(0, 3, `{"assetId":1,"businessInformation":{"company":"Example AG","department":"Retail","ownedBy":"j.doe","environment":"Production","managedBy":"it.ops","supportedBy":"helpdesk","supportGroup":"Windows L2","operationalStatus":"Operational"}}`,
		`{"assetId":2,"businessInformation":null}`, `{"assetId":3,"businessInformation":"text"}`))
	p, _, err := g.client(t).Search(context.Background(), qualys.Query{})
	require.NoError(t, err)
	require.Equal(t, asset.BusinessInformation{
		Company: "Example AG", Department: "Retail", OwnedBy: "j.doe", Environment: "Production", ManagedBy: "it.ops", SupportedBy: "helpdesk", SupportGroup: "Windows L2",
		OperationalStatus: "Operational",
	}, p.Results[0].Asset.Business)
	for _, r := range p.Results[1:] {
		require.Nil(t, r.Err)
		require.Zero(t, r.Asset.Business)
	}
}

func TestApplicationsOfAnAssetComeBackInAnyShape(t *testing.T) {
	t.Parallel()
	for shape, want := range map[string][]string{
		`{"businessApp":[{"id":"BA1","name":"Webshop"},{"id":2}]}`: {"BA1", "2"},
		`{"businessApp":{"id":"BA1"}}`:                             {"BA1"},
		`{"businessApp":[]}`:                                       {},
		`{"businessApp":null}`:                                     nil,
		`null`:                                                     nil,
		`"text"`:                                                   nil,
		`[]`:                                                       nil,
		`{"businessApp":"text"}`:                                   nil,
	} {
		g := newGateway(t)
		g.search = answer(page(0, 1, `{"assetId":1,"businessAppListData":`+shape+`}`))
		p, _, err := g.client(t).Search(context.Background(), qualys.Query{})
		require.NoError(t, err)
		require.Nil(t, p.Results[0].Err, shape)
		require.Equal(t, want, p.Results[0].Asset.Applications, shape)
	}
}

func TestCountAndGet(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/rest/2.0/count/am/asset":
			_, _ = io.WriteString(w, `{"count":84211,"responseCode":"SUCCESS","responseMessage":"Valid API Access"}`)
		default:
			if r.URL.Query().Get("assetId") == "404" {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			_, _ = io.WriteString(w, `{"responseCode":"SUCCESS","count":1,"lastSeenAssetId":null,"hasMore":0,"assetListData":{"asset":[{"assetId":5}]}}`)
		}
	}
	c := g.client(t)
	n, _, err := c.Count(context.Background(), qualys.Query{})
	require.NoError(t, err)
	require.EqualValues(t, 84211, n)
	r, _, err := c.Get(context.Background(), 5)
	require.NoError(t, err)
	require.EqualValues(t, 5, r.ID)
	_, _, err = c.Get(context.Background(), 404)
	var e *qualys.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, qualys.KindNotFound, e.Kind())
}

func TestEveryPlatformHasBothHosts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"US1", "US2", "US3", "US4", "EU1", "EU2", "EU3", "IN1", "CA1", "AE1", "UK1", "AU1", "KSA1"} {
		api, gw, ok := qualys.Platform(name)
		require.True(t, ok, name)
		require.True(t, strings.HasPrefix(api, "https://qualysapi."), name)
		require.True(t, strings.HasPrefix(gw, "https://gateway."), name)
	}
	_, _, ok := qualys.Platform("MARS1")
	require.False(t, ok)
}

func FuzzSearch(f *testing.F) {
	f.Add(page(1, 2, `{"assetId":1,"softwareListData":{"software":[{"id":1}]}}`, `{"assetId":2}`))
	f.Add(`{"assetListData":{"asset":[{"assetId":1,"operatingSystem":{"lifecycle":[]}}]}}`)
	f.Add(`{"responseCode":"FAILED"}`)
	body := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth" {
			_, _ = io.WriteString(w, jwt)
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	f.Cleanup(server.Close)
	c, err := qualys.New(qualys.Config{Name: "corp", GatewayURL: server.URL, Username: user, Password: password, Transport: server.Client().Transport})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		body = text
		p, _, err := c.Search(context.Background(), qualys.Query{})
		if err != nil {
			return
		}
		for _, r := range p.Results {
			require.NotZero(t, r.ID)
			require.True(t, (r.Asset == nil) != (r.Err == nil))
		}
	})
}

func BenchmarkSearch(b *testing.B) {
	software := strings.Repeat(`{"id":-2432392843928159632,"fullName":"Mozilla Firefox 115.0","softwareType":"Application","publisher":"Mozilla","version":"115.0","installDate":"2025-03-02T09:00:00.000Z"},`, 40)
	one := `{"assetId":%d,"assetName":"APP01","lastModifiedDate":"2026-02-11T08:14:22.000Z","operatingSystem":{"osName":"Windows","category1":"Windows","category2":"Server"},` +
		`"networkInterfaceListData":{"networkInterface":[{"addressIpV4":"10.0.0.1","macAddress":"00:50:56:aa:bb:cc"}]},"softwareListData":{"software":[` + strings.TrimSuffix(software, ",") + `]}}`
	var assets []string
	for i := range 300 {
		assets = append(assets, fmt.Sprintf(one, i+1))
	}
	body := page(0, 300, assets...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth" {
			_, _ = io.WriteString(w, jwt)
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	c, err := qualys.New(qualys.Config{Name: "corp", GatewayURL: server.URL, Username: user, Password: password, Transport: server.Client().Transport})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, _, err := c.Search(context.Background(), qualys.Query{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/300, "µs/asset")
}

func TestAWrongChecksumSpoilsThePage(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	sum := 0
	g.search = func(w http.ResponseWriter, _ *http.Request) {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		_, _ = z.Write([]byte(page(0, 1, `{"assetId":1}`)))
		_ = z.Close()
		data := zipped.Bytes()
		data[len(data)-8] ^= byte(sum) // the checksum is in the last eight bytes
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(data)
	}
	tr, err := transport.New(transport.Options{Name: "corp"})
	require.NoError(t, err)
	c := g.client(t, func(cfg *qualys.Config) { cfg.Transport = tr })
	_, _, err = c.Search(context.Background(), qualys.Query{})
	require.NoError(t, err)
	sum = 1
	_, _, err = c.Search(context.Background(), qualys.Query{})
	var e *qualys.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, qualys.KindUnavailable, e.Kind())
}
