package servicenow_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// benchPayload is what a connector writes for ten servers: serial, one adapter
// and its relation each, so 20 CIs.
func benchPayload(from int) string {
	var list, relations []string
	for n := from; n < from+10; n++ {
		key, nic := fmt.Sprintf("corp/%d", n), fmt.Sprintf("corp/%d/nic", n)
		values := fmt.Sprintf(`"name":"host-%d","fqdn":"host-%d.example.org","os":"Linux Red Hat","os_version":"9.4","ram":"16384","cpu_count":"4","disk_space":"200","serial_number":"SN%08d","ip_address":"10.%d.%d.%d"`,
			n, n, n, n>>16&255, n>>8&255, n&255)
		list = append(list, ci("cmdb_ci_linux_server", key, values, fmt.Sprintf(`"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"SN%08d","serial_number_type":"system"}}]`, n)),
			ci("cmdb_ci_network_adapter", nic, fmt.Sprintf(`"name":"eth0","mac_address":"02:00:%02x:%02x:%02x:%02x"`, n>>24&255, n>>16&255, n>>8&255, n&255)))
		relations = append(relations, rel(key, nic, owns))
	}
	return related(list, relations...)
}

// BenchmarkIRE writes new CIs into an instance that already holds
// QBRIDGE_SIM_CIS of them (default 20,000; the goal is measured with 1,000,000).
func BenchmarkIRE(b *testing.B) {
	present, err := strconv.Atoi(os.Getenv("QBRIDGE_SIM_CIS"))
	if err != nil {
		present = 20_000
	}
	i := mustInstance(b, servicenow.Options{StateDir: b.TempDir()})
	at := 0
	for ; at < present/2; at += 10 {
		i.ire("/enhanced", "", benchPayload(at))
	}
	for _, repeat := range []bool{false, true} {
		b.Run(fmt.Sprintf("repeat=%v", repeat), func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				body := benchPayload(at)
				if repeat {
					body = benchPayload(n * 10 % present)
				}
				require.False(b, i.ire("/enhanced", "", body).HasError)
				if !repeat {
					at += 10
				}
			}
			b.ReportMetric(float64(b.N*20)/b.Elapsed().Seconds(), "CIs/s")
		})
	}
}
