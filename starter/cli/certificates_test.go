package cli_test

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/workflows/contract"
)

func TestCertificatesListShowsWhatEndsFirst(t *testing.T) {
	t.Parallel()
	list := contract.CertificateList{Total: 3, Next: "1|corp/cert/bb|certs", Certificates: []contract.CertificateView{
		{Key: "corp/cert/aa", Schedule: "certs", Target: "prod", Name: "old\x1b[2J.example.com", Issuer: "Example CA", ValidTo: now.Add(-time.Hour), Hosts: 2, SeenAt: now},
		{Key: "corp/cert/bb", Schedule: "certs", Target: "prod", Name: "www.example.com", ValidTo: now.Add(10*24*time.Hour + time.Minute), Hosts: 1500, SysID: "s", SeenAt: now},
		{Key: "corp/cert/cc", Schedule: "certs", Target: "prod", Name: "timeless", SeenAt: now},
	}}
	w := &world{api: map[string]any{contract.PathCertificates: list}}
	code, out, errs := w.run(t, "certificates", "list", "--expiring", "30d")
	require.Zero(t, code, errs)
	golden(t, "certificates.txt", out)
	require.NotContains(t, out, "\x1b")
	require.Equal(t, contract.PathCertificates+"?limit=100&until="+url.QueryEscape(now.Add(30*24*time.Hour).UTC().Format(time.RFC3339)), w.asked[0])

	code, out, errs = w.run(t, "certificates", "list", "--schedule", "certs", "--limit", "5", "--after", "x", "-o", "json")
	require.Zero(t, code, errs)
	require.Equal(t, contract.PathCertificates+"?after=x&limit=5&schedule=certs", w.asked[1])
	var got contract.CertificateList
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Empty(t, cmp.Diff(list, got))

	for name, args := range map[string][]string{"a time that is none": {"--expiring", "soon"}, "a limit out of range": {"--limit", "0"}} {
		code, _, errs = w.run(t, append([]string{"certificates", "list"}, args...)...)
		require.Equal(t, 2, code, name)
		require.NotEmpty(t, errs, name)
	}
}
