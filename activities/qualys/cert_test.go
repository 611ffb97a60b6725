package qualys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/tests/sim/estate"
	sim "github.com/qbridge/qbridge/tests/sim/qualys"
)

// certView is a small Certificate View of a test: answers by path.
type certView struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string // path?query
	asked []map[string]any
}

func newCertView(t *testing.T, answer func(path string, page, size int) (int, string)) (*certView, *qualys.Client) {
	t.Helper()
	v := &certView{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth" {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, jwt)
			return
		}
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		v.mu.Lock()
		v.calls, v.asked = append(v.calls, r.URL.Path), append(v.asked, body)
		v.mu.Unlock()
		page, _ := body["pageNumber"].(float64)
		size, _ := body["pageSize"].(float64)
		status, text := answer(r.URL.Path, int(page), int(size))
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", "Mon, 23 Nov 2026 12:00:00 GMT")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(v.Close)
	tr, err := transport.New(transport.Options{Name: "corp", MaxBody: 64 << 10})
	require.NoError(t, err)
	c, err := qualys.New(qualys.Config{Name: "corp", GatewayURL: v.URL, Username: user, Password: password, Transport: tr, Now: time.Now})
	require.NoError(t, err)
	return v, c
}

const missing = `{"timestamp":"2026-11-23","status":404,"error":"Not Found","message":"No static resource."}`

func hash(i int) string { return fmt.Sprintf("%064x", i) }

func cert(i int, members string) string {
	return fmt.Sprintf(`{"id":%d,"certhash":%q,"subject":{"name":"c%d"}%s}`, 8100+i, hash(i), i, members)
}

func TestACertificateIsReadWhateverItsMembersLookLike(t *testing.T) {
	t.Parallel()
	_, c := newCertView(t, func(string, int, int) (int, string) {
		return 200, `[
 {"id":"81","certhash":"` + strings.ToUpper(hash(1)) + `","keySize":"2048","serialNumber":1234,"validToDate":"2026-11-01T12:00:00.000+0000","validTo":1793534400000,
  "validFromDate":"2025-11-01T12:00:00Z","validFrom":null,"signatureAlgorithm":"SHA256withRSA","dn":"CN=www.example.com","selfSigned":"false","type":"Leaf",
  "subject":{"name":"www\u0000.example.com","organization":null,"organizationUnit":"IT","country":"CH"},"issuer":null,"rootissuer":{"name":"Root","organizationUnit":[],"certhash":"` + hash(9) + `"},
  "keyUsage":null,"subjectAlternativeNames":{"dnsNames":["WWW.example.com",null,{"x":1}],"ipAddress":[]},"assetCount":1,
  "assets":[{"id":20345678,"hostInstances":[{"port":"443","fqdn":null,"protocol":"tcp","service":"https","grade":"A","sslProtocols":["TLSv1.3"],
   "cipherSuites":{"TLSv1":[{"name":"DES-CBC3-SHA","category":"Weak"},{"name":"GOOD","category":"Strong"}]}}]},{"id":3,"hostInstances":null}]},
 {"id":82,"certhash":"` + hash(2) + `","subjectAlternativeNames":["b.example.com"],"assets":null},
 {"id":83,"certhash":"` + hash(3) + `","keySize":{"bits":1}},
 {"id":84},
 null,
 {"id":82,"certhash":"` + hash(2) + `","assets":[{"id":7,"hostInstances":[]}]}]`
	})
	page, meta, err := c.Certificates(context.Background(), qualys.CertificateQuery{})
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), meta.ServerDate)
	require.Equal(t, []int{5, 4}, []int{page.Listed, len(page.Results)}, "one fingerprint is one certificate")
	first := page.Results[0]
	require.Equal(t, hash(1), first.Key())
	want := []certs.Asset{
		{ID: 20345678, Services: []certs.Service{{Port: 443, Protocol: "tcp", Name: "https", Grade: "A", Protocols: []string{"TLSv1.3"}, Weak: []string{"DES-CBC3-SHA"}}}}, {ID: 3},
	}
	require.Empty(t, cmp.Diff(want, first.Certificate.Assets))
	require.Equal(t, "www.example.com", first.Certificate.Subject.CommonName)
	require.Equal(t, []string{"www.example.com"}, first.Certificate.DNSNames)
	require.Equal(t, hash(9), first.Certificate.Root.Fingerprint)
	require.Equal(t, time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), first.Certificate.ValidTo)
	require.Len(t, page.Results[1].Certificate.Assets, 1, "the assets of both are served")
	require.ErrorContains(t, page.Results[2].Err, "keySize")
	require.Equal(t, hash(3), page.Results[2].Key())
	require.ErrorIs(t, page.Results[3].Err, certs.ErrNoFingerprint)
	require.Equal(t, "id-84", page.Results[3].Key())
}

func TestTheNewestVersionThatTheGatewayKnowsIsAsked(t *testing.T) {
	t.Parallel()
	only := "/certview/v2/certificates"
	v, c := newCertView(t, func(path string, _, _ int) (int, string) {
		if path != only {
			return 404, missing
		}
		return 200, "[]"
	})
	for range 2 {
		page, _, err := c.Certificates(context.Background(), qualys.CertificateQuery{Type: "Root"})
		require.NoError(t, err)
		require.Empty(t, page.Results)
	}
	require.Equal(t, []string{"/certview/v2.2/certificates", "/certview/v2.1/certificates", "/certview/v2/certificates", "/certview/v2/certificates"}, v.calls, "what works is remembered")
	require.Empty(t, cmp.Diff(map[string]any{
		"filter":     map[string]any{"filters": []any{map[string]any{"field": "certificate.type", "operator": "EQUALS", "value": "Root"}}, "operation": "AND"},
		"pageNumber": 0.0, "pageSize": 200.0, "assetType": "ALL", "includes": []any{"EXTENSIVE_CERTIFICATE_INFO"},
	}, v.asked[0]))
	only = "/certview/v2.2/certificates" // the old one is gone, as announced
	_, _, err := c.Certificates(context.Background(), qualys.CertificateQuery{})
	require.NoError(t, err)
	_, _, err = c.Certificates(context.Background(), qualys.CertificateQuery{Version: "2.1"})
	var e *qualys.Error
	require.True(t, errors.As(err, &e))
	require.Equal(t, []any{qualys.KindInvalidRequest, 404}, []any{e.Kind(), e.Status}, "a version that is asked for by name is no choice")
}

func TestACertificateOnManyAssetsFollowsItsOwnList(t *testing.T) {
	t.Parallel()
	const total, within = 450, 3
	asset := func(i int) string {
		return fmt.Sprintf(`{"id":%d,"hostInstances":[{"port":443,"protocol":"tcp"}]}`, i+1)
	}
	list := func(from, to int) string {
		var out []string
		for i := from; i < min(to, total); i++ {
			out = append(out, asset(i))
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	v, c := newCertView(t, func(path string, page, size int) (int, string) {
		switch path {
		case "/certview/v2.2/certificates":
			return 200, "[" + cert(1, fmt.Sprintf(`,"assetCount":%d,"assets":%s`, total, list(0, within))) + "," + cert(2, `,"assetCount":0,"assets":[]`) + "]"
		case "/certview/v1/certificates/" + hash(1) + "/assets":
			return 200, list(page*size, (page+1)*size)
		}
		return 404, missing
	})
	page, _, err := c.Certificates(context.Background(), qualys.CertificateQuery{})
	require.NoError(t, err)
	require.NoError(t, page.Results[0].Err)
	require.Len(t, page.Results[0].Certificate.Assets, total)
	require.EqualValues(t, len(v.calls), page.Calls)
	require.Equal(t, 5, len(v.calls), "a page, the path that is not there, three pages of assets: %v", v.calls)

	gone, c := newCertView(t, func(path string, _, _ int) (int, string) {
		if strings.HasSuffix(path, "/assets") {
			return 404, missing
		}
		return 200, "[" + cert(1, `,"assetCount":2000,"assets":[]`) + "]"
	})
	page, _, err = c.Certificates(context.Background(), qualys.CertificateQuery{})
	require.NoError(t, err)
	require.ErrorContains(t, page.Results[0].Err, "its list of 2000 assets cannot be read", "half of its relations would look like all")
	require.Len(t, gone.calls, 3)
}

func TestAPageThatIsTooLargeIsReadInParts(t *testing.T) {
	t.Parallel()
	v, c := newCertView(t, func(_ string, page, size int) (int, string) {
		var out []string
		for i := page * size; i < min((page+1)*size, 100); i++ {
			out = append(out, cert(i+1, `,"dn":"`+strings.Repeat("x", 1000)+`"`))
		}
		return 200, "[" + strings.Join(out, ",") + "]"
	})
	page, _, err := c.Certificates(context.Background(), qualys.CertificateQuery{})
	require.NoError(t, err)
	require.Len(t, page.Results, 100)
	seen := map[string]bool{}
	for _, r := range page.Results {
		seen[r.Fingerprint] = true
	}
	require.Len(t, seen, 100)
	require.Greater(t, len(v.calls), 3)
}

func TestAnswersThatAreNoListAreErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   qualys.Kind
	}{
		"an object":       {200, `{"responseCode":"OTHER"}`, qualys.KindUnavailable},
		"nothing":         {200, "", qualys.KindUnavailable},
		"a page of HTML":  {200, "<html>", qualys.KindUnavailable},
		"a list cut off":  {200, "[" + cert(1, "") + `,{"id":2`, qualys.KindUnavailable},
		"an open list":    {200, "[" + cert(1, ""), qualys.KindUnavailable},
		"a broken filter": {400, `{"message":"bad filter"}`, qualys.KindInvalidRequest},
		"no permission":   {403, `{"message":"forbidden"}`, qualys.KindInvalidRequest},
		"a limit":         {429, "", qualys.KindRateLimited},
		"maintenance":     {503, "", qualys.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, client := newCertView(t, func(string, int, int) (int, string) { return c.status, c.body })
			_, _, err := client.Certificates(context.Background(), qualys.CertificateQuery{})
			var e *qualys.Error
			require.True(t, errors.As(err, &e), "%v", err)
			require.Equal(t, c.want, e.Kind())
			require.NotContains(t, err.Error(), jwt)
		})
	}
	_, c := newCertView(t, func(string, int, int) (int, string) { return 200, "[]" })
	_, _, err := c.Certificates(context.Background(), qualys.CertificateQuery{Size: 201})
	require.ErrorContains(t, err, "out of range")
}

// enumerate reads all certificates of a simulated subscription.
func enumerate(t *testing.T, opts sim.Options, size int) (map[string]*certs.Certificate, error) {
	t.Helper()
	s, err := sim.New(opts)
	require.NoError(t, err)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	tr, err := transport.New(transport.Options{Name: "corp", MaxBody: 16 << 20})
	require.NoError(t, err)
	c, err := qualys.New(qualys.Config{Name: "corp", GatewayURL: server.URL, Username: sim.DefaultUsername, Password: sim.DefaultPassword, Transport: tr})
	require.NoError(t, err)
	out := map[string]*certs.Certificate{}
	for page := 0; ; page++ {
		p, _, err := c.Certificates(context.Background(), qualys.CertificateQuery{Page: page, Size: size})
		if err != nil {
			return out, err
		}
		if p.Listed == 0 {
			return out, nil
		}
		for _, r := range p.Results {
			require.NoError(t, r.Err)
			out[r.Fingerprint] = r.Certificate
		}
	}
}

func TestTheSimulatedSubscriptionIsReadWhole(t *testing.T) {
	t.Parallel()
	got, err := enumerate(t, sim.Options{Estate: estate.Options{Assets: 200, Seed: 3, Certificates: 330}}, 100)
	require.NoError(t, err)
	require.Len(t, got, 330)
	kinds := map[string]int{}
	for _, c := range got {
		kinds[c.Type]++
		require.False(t, c.ValidTo.IsZero(), c.Fingerprint)
		require.NotContains(t, c.Subject.CommonName, "\x00")
	}
	require.Equal(t, []int{2, 4}, []int{kinds["Root"], kinds["Intermediate"]})
}

func TestADisturbedListIsWholeOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"status(503)", "status(429,9)", "drop_before", "drop_after_commit", "cut(2000)", "close", "html", "gzip_bad"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			got, err := enumerate(t, sim.Options{Estate: estate.Options{Assets: 60, Seed: 3, Certificates: 60}, Faults: "on certview.certificates.v2.2 nth 2 do " + fault}, 25)
			var e *qualys.Error
			require.True(t, errors.As(err, &e), "%v", err)
			require.True(t, slices.Contains([]qualys.Kind{qualys.KindUnavailable, qualys.KindRateLimited}, e.Kind()), "%v", err)
			require.Len(t, got, 25, "the page before the fault stands")
		})
	}
}
