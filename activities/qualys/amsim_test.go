package qualys_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/tests/sim/estate"
	sim "github.com/qbridge/qbridge/tests/sim/qualys"
)

// handler is a simulator without a network.
type handler struct{ http.Handler }

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	res := w.Result()
	res.Request = r
	return res, nil
}

// all reads all assets, by id.
func all(t *testing.T, c qualys.Reader, q qualys.Query) map[int64]*asset.Asset {
	t.Helper()
	out := map[int64]*asset.Asset{}
	for p, err := range c.Pages(context.Background(), q) {
		require.NoError(t, err)
		for _, r := range p.Results {
			require.Nil(t, r.Err)
			_, twice := out[r.ID]
			require.False(t, twice, "asset %d comes twice", r.ID)
			out[r.ID] = r.Asset
		}
	}
	return out
}

func TestASubscriptionHasTheSameAssetsInBothAPIsAndLanguages(t *testing.T) {
	t.Parallel()
	s, err := sim.New(sim.Options{Estate: estate.Options{Assets: 400, Seed: 7}})
	require.NoError(t, err)
	cfg := qualys.Config{
		Name: "corp", APIURL: "https://portal.example", GatewayURL: "https://portal.example", Username: sim.DefaultUsername, Password: sim.DefaultPassword,
		PageSize: 70, Transport: handler{s.Handler()},
	}
	csam, err := qualys.New(cfg)
	require.NoError(t, err)
	viaXML, err := qualys.NewAM(cfg, qualys.FormatXML)
	require.NoError(t, err)
	viaJSON, err := qualys.NewAM(cfg, qualys.FormatJSON)
	require.NoError(t, err)

	want := all(t, csam, qualys.Query{ExcludeFields: []string{"software"}})
	got := all(t, viaJSON, qualys.Query{})
	for id, a := range want {
		if a.TrackingMethod == "EASM" { // seen from outside only: no host asset
			delete(want, id)
		}
	}
	require.Greater(t, len(want), 350)
	require.Equal(t, len(want), len(got))
	require.Empty(t, cmp.Diff(got, all(t, viaXML, qualys.Query{})))
	lean := all(t, viaXML, qualys.Query{ExcludeFields: []string{"software", "openPorts"}})
	for id, a := range got {
		w := want[id]
		require.NotNil(t, w, "asset %d", id)
		require.Equal(t, []string{w.Name, w.DNSName, w.NetBIOS, w.Address, w.AgentID, string(w.Cloud.Provider), w.Cloud.InstanceID, w.Cloud.State},
			[]string{a.Name, a.DNSName, a.NetBIOS, a.Address, a.AgentID, string(a.Cloud.Provider), a.Cloud.InstanceID, a.Cloud.State}, "asset %d", id)
		if w.Has(asset.SectionInterfaces) {
			require.Equal(t, asset.Cleanse(w).MAC, asset.Cleanse(a).MAC, "asset %d", id)
		}
		require.Empty(t, a.BIOSSerial+a.HardwareUUID+a.OS.Category1+a.Hardware.Category1, "what the API cannot give is absent")
		require.False(t, lean[id].Has(asset.SectionSoftware) || lean[id].Has(asset.SectionOpenPorts), "what was not asked for is not known")
	}
	for _, c := range []qualys.Reader{viaXML, viaJSON} {
		require.NoError(t, c.Authenticate(context.Background()))
		n, _, err := c.Count(context.Background(), qualys.Query{})
		require.NoError(t, err)
		require.EqualValues(t, len(want), n)
		for id := range got {
			r, _, err := c.Get(context.Background(), id)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(got[id], r.Asset))
			break
		}
		_, _, err = c.Get(context.Background(), 1)
		var e *qualys.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, qualys.KindNotFound, e.Kind())
	}
	cfg.Password = "wrong password"
	wrong, err := qualys.NewAM(cfg, qualys.FormatXML)
	require.NoError(t, err)
	var e *qualys.Error
	require.ErrorAs(t, wrong.Authenticate(context.Background()), &e)
	require.Equal(t, qualys.KindUnauthorized, e.Kind())
}

func TestAClientLogsInWithItsIDAndSecret(t *testing.T) {
	t.Parallel()
	for _, form := range []sim.Choice{sim.TokenBare, sim.TokenJSON} {
		s, err := sim.New(sim.Options{Estate: estate.Options{Assets: 10, Seed: 7}, ClientToken: form})
		require.NoError(t, err)
		for _, auth := range []string{qualys.AuthOAuth, qualys.AuthOIDC} {
			cfg := qualys.Config{Name: "corp", GatewayURL: "https://gateway.example", Auth: auth, ClientID: sim.DefaultClientID, ClientSecret: sim.DefaultClientSecret, Transport: handler{s.Handler()}}
			c, err := qualys.New(cfg)
			require.NoError(t, err)
			require.Len(t, all(t, c, qualys.Query{}), 10)
			cfg.ClientSecret = "hunter2"
			c, err = qualys.New(cfg)
			require.NoError(t, err)
			err = c.Authenticate(t.Context())
			var e *qualys.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, qualys.KindUnauthorized, e.Kind())
			require.NotContains(t, err.Error(), "hunter2")
		}
	}
	_, err := qualys.New(qualys.Config{Name: "corp", GatewayURL: "https://gateway.example", Auth: qualys.AuthOIDC, ClientID: "x"})
	require.ErrorContains(t, err, "has no client id or secret")
}

func TestAllTagsAreReadWithTheirParents(t *testing.T) {
	t.Parallel()
	s, err := sim.New(sim.Options{Estate: estate.Options{Assets: 10, Seed: 7}})
	require.NoError(t, err)
	c, err := qualys.NewAM(qualys.Config{Name: "corp", APIURL: "https://portal.example", Username: sim.DefaultUsername, Password: sim.DefaultPassword, Transport: handler{s.Handler()}}, qualys.FormatJSON)
	require.NoError(t, err)
	before, err := c.Tags(t.Context())
	require.NoError(t, err)
	require.Len(t, before, estate.TagCount)
	req := httptest.NewRequest(http.MethodPost, "/qps/rest/2.0/create/am/tag", strings.NewReader(`{"ServiceRequest":{"data":{"Tag":{"name":"Sites","children":{"set":{"TagSimple":[{"name":"Zurich"}]}}}}}}`))
	req.SetBasicAuth(sim.DefaultUsername, sim.DefaultPassword)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, req)
	require.Contains(t, w.Body.String(), "SUCCESS")
	after, err := c.Tags(t.Context())
	require.NoError(t, err)
	ids := map[string]qualys.Tag{}
	for _, tag := range after {
		ids[tag.Name] = tag
	}
	require.Len(t, after, estate.TagCount+2)
	require.Equal(t, ids["Sites"].ID, ids["Zurich"].Parent)
	require.Zero(t, ids["Sites"].Parent)

	c, err = qualys.NewAM(qualys.Config{Name: "corp", APIURL: "https://portal.example", Username: sim.DefaultUsername, Password: "hunter2", Transport: handler{s.Handler()}}, qualys.FormatJSON)
	require.NoError(t, err)
	_, err = c.Tags(t.Context())
	var e *qualys.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, qualys.KindUnauthorized, e.Kind())
	require.NotContains(t, err.Error(), "hunter2")
}
