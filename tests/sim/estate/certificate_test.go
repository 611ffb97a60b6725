package estate_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

var wholeView = estate.CertificateView{
	Interfaces: true, Protocols: true, Ciphers: true, Vulnerabilities: true, Tags: true, Extensive: true, KeyAlgorithm: true, Scope: estate.AllAssets,
}

// records writes all certificates of an estate, by id.
func records(t *testing.T, e *estate.Estate) map[int64]string {
	out := map[int64]string{}
	r, last := e.Reader(), int64(0)
	for slot := range e.CertificateSlots() {
		if c, ok := e.Certificate(slot); ok {
			require.Greater(t, c.ID, last, "ids ascend")
			last = c.ID
			out[c.ID] = string(r.AppendCertificate(nil, c, &wholeView))
			require.True(t, json.Valid([]byte(out[c.ID])), out[c.ID])
		}
	}
	return out
}

func TestCertificatesAreAFunctionOfSeedAndIndex(t *testing.T) {
	t.Parallel()
	first, again := mustNew(t, estate.Options{Seed: 5}), mustNew(t, estate.Options{Seed: 5})
	want := records(t, first)
	require.Len(t, want, 150, "a quarter of the assets unless said")
	require.Empty(t, cmp.Diff(want, records(t, again)))
	require.NotEqual(t, want, records(t, mustNew(t, estate.Options{Seed: 6})))
	require.Empty(t, records(t, mustNew(t, estate.Options{Certificates: -1})))
	require.Len(t, records(t, mustNew(t, estate.Options{Certificates: 1000})), 1000)
	_, err := estate.New(estate.Options{Certificates: estate.MaxCertificates + 1})
	require.Error(t, err)
}

func TestARecordIsWhatItsRawDataSays(t *testing.T) {
	t.Parallel()
	e := mustNew(t, estate.Options{Certificates: 400})
	for slot := range e.CertificateSlots() {
		c, ok := e.Certificate(slot)
		require.True(t, ok)
		block, rest := pem.Decode([]byte(c.PEM()))
		require.Empty(t, rest)
		sum := sha256.Sum256(block.Bytes)
		require.Equal(t, hex.EncodeToString(sum[:]), c.Hash())
		x, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err, slot)
		require.Equal(t, c.Subject.Name, x.Subject.CommonName)
		require.Equal(t, c.Issuer().Subject.Name, x.Issuer.CommonName)
		require.Equal(t, c.ValidTo, x.NotAfter.UnixMilli())
		require.Equal(t, c.ValidFrom, x.NotBefore.UnixMilli())
		require.Equal(t, strings.TrimLeft(c.Serial, "0"), x.SerialNumber.Text(16))
		require.Equal(t, c.DNSNames(), x.DNSNames)
		require.Equal(t, c.Kind != estate.LeafCertificate, x.IsCA)
		issuer, err := x509.ParseCertificate(c.Issuer().DER())
		require.NoError(t, err)
		require.Equal(t, issuer.SubjectKeyId, x.AuthorityKeyId)
		require.Equal(t, issuer.RawSubject, x.RawIssuer)
	}
}

// oddities counts what real inventories hold.
func oddities(t *testing.T, e *estate.Estate) map[string]int {
	seen, found := map[string]bool{}, map[string]int{}
	for slot := range e.CertificateSlots() {
		c, ok := e.Certificate(slot)
		require.True(t, ok)
		require.False(t, seen[c.Hash()], "fingerprints are unique")
		seen[c.Hash()] = true
	}
	for slot := range e.CertificateSlots() {
		c, _ := e.Certificate(slot)
		managed, unmanaged := c.HostCount(estate.Managed), c.HostCount(estate.Unmanaged)
		for name, is := range map[string]bool{
			"root": c.Kind == estate.RootCertificate, "intermediate": c.Kind == estate.IntermediateCertificate,
			"self-signed leaf": c.SelfSigned && c.Kind == estate.LeafCertificate, "elliptic": c.KeyAlgorithm == "EC",
			"NUL": strings.Contains(c.Subject.Name, "\x00"), "wildcard": strings.HasPrefix(c.Subject.Name, "*."),
			"thousand names":        len(c.DNSNames()) == 1000,
			"no organisation":       c.Subject.Organization == "" && len(c.Subject.Units) == 0,
			"issuer in the list":    !c.SelfSigned && seen[c.Issuer().Hash()],
			"issuer that is absent": !seen[c.Issuer().Hash()], "issuer unknown": c.Unknown, "shared": managed > 1,
			"unmanaged only": managed == 0, "both": managed > 0 && unmanaged > 0, "on 1,500": managed == 1500,
			"expired": c.Expires().Before(time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)), "never found": c.LastFound == 0,
		} {
			if is {
				found[name]++
			}
		}
	}
	return found
}

func TestThePlantedOddities(t *testing.T) {
	t.Parallel()
	got := oddities(t, mustNew(t, estate.Options{Assets: 3000, Certificates: 1200}))
	require.Len(t, got, 17, "each of them occurs: %v", got)
	require.Equal(t, 1, got["on 1,500"])
	require.Equal(t, 40, got["unmanaged only"], "one in thirty")
	small := oddities(t, mustNew(t, estate.Options{}))
	require.Zero(t, small["on 1,500"], "the estate is too small")
	for _, name := range []string{"NUL", "wildcard", "thousand names", "no organisation", "root", "both", "unmanaged only"} {
		require.Positive(t, small[name], name)
	}
}

func TestAChangedServerRenewsItsCertificateAndARemovedOneTakesItAlong(t *testing.T) {
	t.Parallel()
	e := mustNew(t, estate.Options{Assets: 400, Certificates: 300})
	before := records(t, e)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e.Mutate(200, at)
	after := records(t, e)
	renewed, gone := 0, 0
	for id := range before {
		if _, same := e.CertificateByID(id); same {
			continue
		}
		gone++
		if c, ok := e.Certificate(int(id-81_000_000) / 64); ok {
			renewed++
			require.Equal(t, at.UnixMilli(), c.ValidFrom)
			require.NotContains(t, before, c.ID)
		}
	}
	require.Positive(t, renewed)
	require.Greater(t, gone, renewed, "some disappeared with their servers")
	require.NotEqual(t, before, after)
	e.Reset()
	require.Empty(t, cmp.Diff(before, records(t, e)))
}

func TestNothingIsKeptPerCertificate(t *testing.T) {
	e := mustNew(t, estate.Options{Assets: 3000, Certificates: 100_000})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 0
	for slot := range e.CertificateSlots() {
		if _, ok := e.Certificate(slot); ok {
			n++
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Equal(t, 100_000, n)
	// Forty bytes per certificate would be seen.
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(4<<20))
	runtime.KeepAlive(e)
}

func BenchmarkCertificateRecords(b *testing.B) {
	e, err := estate.New(estate.Options{Assets: 3000, Certificates: 100_000})
	require.NoError(b, err)
	r, v, slot := e.Reader(), estate.CertificateView{Scope: estate.Managed}, 0
	var body []byte
	for b.Loop() {
		if c, ok := e.Certificate(20 + slot%90_000); ok {
			body = r.AppendCertificate(body[:0], c, &v)
		}
		slot++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "certificates/s")
}
