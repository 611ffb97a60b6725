package qualys_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// BenchmarkPages reads an estate of a million assets over HTTP in pages of 300, as an enumeration does. Client and
// server share the cores that -cpu allows. MB is the most memory that the process ever had.
func BenchmarkPages(b *testing.B) {
	for _, c := range []struct {
		name, query string
		profile     estate.Profile
	}{
		{"lean", "", estate.Lean},
		{"lean without software", "&excludeFields=software", estate.Lean},
		{"full", "", estate.Full},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := mustServer(b, qualys.Options{Estate: estate.Options{Assets: 1_000_000, Profile: c.profile}})
			signedIn := &client{h: s.Handler()}
			signedIn.signIn(b)
			server := httptest.NewServer(s.Handler())
			defer server.Close()
			b.ReportAllocs()
			var cursor, received int64
			for b.Loop() {
				req, err := http.NewRequest(http.MethodPost, server.URL+searchPath+"?pageSize=300"+c.query+"&lastSeenAssetId="+strconv.FormatInt(cursor, 10), nil)
				require.NoError(b, err)
				req.Header.Set("Authorization", "Bearer "+signedIn.token)
				resp, err := server.Client().Do(req)
				require.NoError(b, err)
				require.Equal(b, http.StatusOK, resp.StatusCode)
				n, err := io.Copy(io.Discard, resp.Body)
				require.NoError(b, err)
				require.NoError(b, resp.Body.Close())
				received += n
				cursor = s.Estate().IDAt(min(s.Estate().After(cursor)+299, 999_000))
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(b.N*300)/b.Elapsed().Seconds(), "assets/s")
			b.ReportMetric(float64(received)/float64(b.N*300), "bytes/asset")
			b.ReportMetric(float64(m.Sys)/1e6, "MB")
		})
	}
}
