package qualys_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
)

func FuzzHostAssets(f *testing.F) {
	f.Add(amJSON("true", 9, amSampleJSON, `{"id":2}`))
	f.Add(amXML("false", 0, amSampleXML, `<id>2</id><tags><list/></tags>`))
	f.Add(failureXML("INVALID_REQUEST", "x"))
	f.Add(failureJSON("LIMIT_EXCEEDED", "x"))
	f.Add(`{"ServiceResponse":{"responseCode":"SUCCESS","hasMoreRecords":"true","data":{"HostAsset":[{"id":1,"tags":{"list":{"T":[""]}}}]}}}`)
	f.Add(`<!DOCTYPE a [<!ENTITY b "c">]><ServiceResponse>&b;</ServiceResponse>`)
	f.Fuzz(func(t *testing.T, body string) {
		p, _, err := am(t, qualys.FormatXML, portal(func(*http.Request, string) (int, string) { return http.StatusOK, body })).Search(context.Background(), qualys.Query{})
		if err != nil {
			return
		}
		for _, r := range p.Results {
			require.Positive(t, r.ID)
			require.True(t, (r.Asset == nil) != (r.Err == nil))
		}
	})
}

// The page of the benchmark: 300 assets with 40 packages each.
func benchmarkSearch(b *testing.B, body string) {
	c := am(b, qualys.FormatXML, says(body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		p, _, err := c.Search(context.Background(), qualys.Query{})
		if err != nil || len(p.Results) != 300 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/300, "µs/asset")
}

func BenchmarkHostAssetsJSON(b *testing.B) {
	software := strings.TrimSuffix(strings.Repeat(`{"HostAssetSoftware":{"name":"openssl-libs","version":"1:1.0.2k-24.amzn2"}},`, 40), ",")
	var assets []string
	for i := range 300 {
		assets = append(assets, fmt.Sprintf(`{"id":%d,"name":"APP01","os":"Amazon Linux 2","software":{"list":[%s]},"isDockerHost":"false"}`, i+1, software))
	}
	benchmarkSearch(b, amJSON("false", 0, assets...))
}

func BenchmarkHostAssetsXML(b *testing.B) {
	software := strings.Repeat("\n<HostAssetSoftware>\n  <name>openssl-libs</name>\n  <version>1:1.0.2k-24.amzn2</version>\n</HostAssetSoftware>", 40)
	var assets []string
	for i := range 300 {
		assets = append(assets, fmt.Sprintf("<id>%d</id><name>APP01</name><os>Amazon Linux 2</os><software><list>%s</list></software><isDockerHost>false</isDockerHost>", i+1, software))
	}
	benchmarkSearch(b, amXML("false", 0, assets...))
}
