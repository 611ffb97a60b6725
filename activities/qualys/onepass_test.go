package qualys_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/tests/sim/estate"
	sim "github.com/qbridge/qbridge/tests/sim/qualys"
)

// rawAssets are assets as the gateway prints them.
func rawAssets(t testing.TB) []json.RawMessage {
	s, err := sim.New(sim.Options{Username: "someone", Password: "something", Estate: estate.Options{Assets: 60, Seed: 11}})
	require.NoError(t, err)
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	ask := func(path, token string, form url.Values) []byte {
		req, err := http.NewRequest(http.MethodPost, srv.URL+path, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		} else {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Less(t, res.StatusCode, 300, "%s", body)
		return body
	}
	token := ask("/auth", "", url.Values{"username": {"someone"}, "password": {"something"}, "token": {"true"}})
	var page struct {
		List struct{ Asset []json.RawMessage } `json:"assetListData"`
	}
	require.NoError(t, json.Unmarshal(ask("/rest/2.0/search/am/asset?pageSize=60", string(token), nil), &page))
	require.Len(t, page.List.Asset, 60)
	return page.List.Asset
}

// agree reports whether an asset was read in one pass. What is read so is what a
// careful reading makes of it, and JSON for the standard library.
func agree(t *testing.T, raw []byte) bool {
	t.Helper()
	quickly, end, carefully, err := qualys.TwoReadings(raw)
	if quickly == nil {
		return false
	}
	require.True(t, json.Valid(raw[:end]), "%q", raw)
	if end < len(raw) { // others read what stands behind it
		_, _, carefully, err = qualys.TwoReadings(raw[:end])
	}
	require.NoError(t, err, "%q", raw)
	require.Nil(t, carefully.Err, "%q", raw)
	require.Empty(t, cmp.Diff(carefully, *quickly), "%q", raw)
	return true
}

func TestWhatIsReadInOnePassIsReadRight(t *testing.T) {
	t.Parallel()
	assets := rawAssets(t)
	for _, raw := range assets {
		require.True(t, agree(t, raw), "the documented shape is read in one pass")
		require.True(t, agree(t, append(bytes.Clone(raw), `,{"assetId":1}]`...)), "whatever stands behind it")
	}
	// Cut, or with bytes exchanged, added and left out.
	pieces := []string{`"`, `\`, `,`, `:`, `{`, `}`, `[`, `]`, `0`, `9`, `-`, `.`, `e`, ` `, "\n", "\x00", "\x7f", "\x80", "\xc3\xa9", `null`, `true`, `t`, `[]`, `{}`, `""`, `1e3`, `{"a":[1,`, `\u0041`, `,,`, `"x":1,`}
	r := rand.New(rand.NewPCG(5, 6))
	read, refused := 0, 0
	for range 30_000 {
		raw := bytes.Clone(assets[r.IntN(len(assets))])
		raw = raw[:min(len(raw), 12_000)]
		for range 1 + r.IntN(2) {
			i := r.IntN(len(raw))
			piece := pieces[r.IntN(len(pieces))]
			raw = bytes.Join([][]byte{raw[:i], []byte(piece), raw[min(len(raw), i+r.IntN(3)):]}, nil)
		}
		if agree(t, raw) {
			read++
		} else {
			refused++
		}
	}
	require.Greater(t, read, 1000)
	require.Greater(t, refused, 1000)
}

func FuzzOnePass(f *testing.F) {
	for _, raw := range rawAssets(f)[:8] {
		f.Add([]byte(raw))
	}
	f.Add([]byte(`{"assetId":7,"softwareListData":{"software":[{"id":1,"license":null,"x":{"id":5},"version":-1.5e3}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) { agree(t, raw) })
}
