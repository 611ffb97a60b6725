package servicenow_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// What a connector writes in one call: ten computers with two adapters and two
// addresses each. Every IP address is a dependent without a source key, so the
// engine has to find it below its host.
const (
	benchComputers = 10
	benchCIs       = benchComputers * 5
)

// benchPayload is the call for the computers from first on. Another edition of
// the same computers differs in values that identify nothing.
func benchPayload(first, edition int) string {
	var list, relations, refs []string
	for n := first; n < first+benchComputers; n++ {
		key := fmt.Sprintf("corp/%d", n)
		values := fmt.Sprintf(`"name":"host-%d","fqdn":"host-%d.example.org","os":"Linux Red Hat","os_version":"9.%d","ram":"16384","cpu_count":"4","disk_space":"200","serial_number":"SN%08d","ip_address":"10.%d.%d.%d"`,
			n, n, edition, n, n>>16&255, n>>8&255, n&255)
		list = append(list, ci("cmdb_ci_linux_server", key, values,
			fmt.Sprintf(`"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"SN%08d","serial_number_type":"system"}}]`, n)))
		for a := range 2 {
			nic, ip := fmt.Sprintf("%s/nic%d", key, a), fmt.Sprintf("%s/ip%d", key, a)
			list = append(list,
				ci("cmdb_ci_network_adapter", nic, fmt.Sprintf(`"name":"eth%d","mac_address":"02:%02x:%02x:%02x:%02x:%02x"`, a, a, n>>24&255, n>>16&255, n>>8&255, n&255)),
				fmt.Sprintf(`{"className":"cmdb_ci_ip_address","internal_id":%q,"values":{"name":"10.%d.%d.%d","ip_address":"10.%d.%d.%d","netmask":"255.255.0.0"}}`,
					ip, n>>16&255|a<<7, n>>8&255, n&255, n>>16&255|a<<7, n>>8&255, n&255))
			relations = append(relations, rel(key, nic, owns), rel(key, ip, owns))
			refs = append(refs, refItem(key, nic, "cmdb_ci"), refItem(nic, ip, "nic"))
		}
	}
	return `{"items":[` + strings.Join(list, ",") + `],"relations":[` + strings.Join(relations, ",") + `],"referenceItems":[` + strings.Join(refs, ",") + `]}`
}

// benchSize is the number of CIs that a benchmark starts with, QBRIDGE_SIM_CIS
// or 20,000; `make bench` measures with a million.
func benchSize(b *testing.B) int {
	text := os.Getenv("QBRIDGE_SIM_CIS")
	if text == "" {
		return 20_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(b, err, "QBRIDGE_SIM_CIS")
	return n
}

// benchCall posts one payload over a real connection and discards the answer
// after a look at its beginning.
func benchCall(b *testing.B, client *http.Client, url, body string) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	require.NoError(b, err)
	req.SetBasicAuth(user, password)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	require.NoError(b, err)
	head := make([]byte, 28)
	_, err = io.ReadFull(resp.Body, head)
	require.NoError(b, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(b, err)
	require.NoError(b, resp.Body.Close())
	require.Equal(b, `{"result":{"hasError":false,`, string(head))
}

// BenchmarkIRE writes over HTTP, journal included, into an instance that holds
// a million CIs (see benchSize): CIs that are new, CIs that are there and do
// not differ, and CIs that are there and do. Client and server share the cores
// that -cpu allows. MB is the most memory that the process ever had.
func BenchmarkIRE(b *testing.B) {
	i := mustInstance(b, servicenow.Options{StateDir: b.TempDir()})
	at := 0
	for ; at*5 < benchSize(b); at += benchComputers {
		require.False(b, i.enhanced(benchPayload(at, 0)).HasError)
	}
	present := at
	server := httptest.NewServer(i.handler)
	b.Cleanup(server.Close)
	url := server.URL + "/api/now/identifyreconcile/enhanced?sysparm_data_source=" + source
	for _, c := range []struct {
		name string
		body func(n int) string
	}{
		{"new", func(int) string { at += benchComputers; return benchPayload(at-benchComputers, 0) }},
		{"unchanged", func(n int) string { return benchPayload(n*benchComputers*7%present, 0) }},
		{"changed", func(n int) string { return benchPayload(n*benchComputers*7%present, 1+n*benchComputers*7/present) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				body := c.body(n)
				b.StartTimer()
				benchCall(b, server.Client(), url, body)
			}
			b.ReportMetric(float64(b.N*benchCIs)/b.Elapsed().Seconds(), "CIs/s")
			b.ReportMetric(heldMB(), "MB")
		})
	}
	b.Run("read back", func(b *testing.B) { benchReadBack(b, server) })
}

// benchReadBack pages through the source records in the order of sys_id, as a
// client does that compares the CMDB with what it remembers.
func benchReadBack(b *testing.B, server *httptest.Server) {
	const page = 2000
	last, read := "", 0
	for b.Loop() {
		query := "name=" + source + "^sys_id>" + last + "^ORDERBYsys_id"
		if last == "" {
			query = "name=" + source + "^ORDERBYsys_id"
		}
		req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/api/now/table/sys_object_source?sysparm_fields=sys_id,id&sysparm_limit=%d&sysparm_query=%s", server.URL, page, escape(query)), nil)
		require.NoError(b, err)
		req.SetBasicAuth(user, password)
		req.Header.Set("Accept", "application/json")
		resp, err := server.Client().Do(req)
		require.NoError(b, err)
		require.Equal(b, http.StatusOK, resp.StatusCode)
		var out struct {
			Result []struct {
				SysID string `json:"sys_id"`
			}
		}
		require.NoError(b, json.NewDecoder(resp.Body).Decode(&out))
		require.NoError(b, resp.Body.Close())
		read += len(out.Result)
		last = ""
		if len(out.Result) == page {
			last = out.Result[page-1].SysID
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(heldMB(), "MB")
}

func refItem(referenced, by, field string) string {
	return fmt.Sprintf(`{"referenced":%q,"referencedBy":%q,"referenceField":%q}`, referenced, by, field)
}

// heldMB is the most memory that the process had from the operating system so
// far, garbage included.
func heldMB() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys) / 1e6
}
