package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
)

func fp(c string) string { return strings.Repeat(c, 64) }

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestDatesOfEveryFormAreRead(t *testing.T) {
	t.Parallel()
	want := at("2026-11-01T12:00:00Z")
	for name, c := range map[string]struct {
		texts []string
		want  time.Time
	}{
		"epoch milliseconds":                   {[]string{"1793534400000"}, want},
		"epoch seconds":                        {[]string{"1793534400"}, want},
		"milliseconds and an offset":           {[]string{"2026-11-01T12:00:00.000+0000"}, want},
		"another offset":                       {[]string{"2026-11-01T14:00:00.000+0200"}, want},
		"an offset with a colon":               {[]string{"2026-11-01T14:00:00+02:00"}, want},
		"milliseconds and Z":                   {[]string{"2026-11-01T12:00:00.000Z"}, want},
		"Z":                                    {[]string{"2026-11-01T12:00:00Z"}, want},
		"an offset without a fraction":         {[]string{"2026-11-01T12:00:00+0000"}, want},
		"no offset is UTC":                     {[]string{"2026-11-01T12:00:00"}, want},
		"as ServiceNow writes it":              {[]string{"2026-11-01 12:00:00"}, want},
		"a day":                                {[]string{"2026-11-01"}, at("2026-11-01T00:00:00Z")},
		"the first that can be read counts":    {[]string{"", "never", "1793534400000"}, want},
		"a NUL in it":                          {[]string{"2026-11-01T12:00:00Z\x00"}, want},
		"nothing":                              {[]string{"", "null"}, time.Time{}},
		"zero and minus one are missing dates": {[]string{"0", "-1", "1970-01-01T00:00:00.000+0000"}, time.Time{}},
		"always begins with what can be held":  {[]string{"1601-01-01T00:00:00Z"}, at("1970-01-01T00:00:01Z")},
		"always in milliseconds":               {[]string{"-11644473600000"}, at("1970-01-01T00:00:01Z")},
		"never ends with what can be held":     {[]string{"9999-12-31T23:59:59.999Z"}, at("9999-12-31T23:59:59Z")},
		"never in milliseconds":                {[]string{"253402300800000"}, at("9999-12-31T23:59:59Z")},
		"beyond every calendar":                {[]string{"9223372036854775807"}, at("9999-12-31T23:59:59Z")},
		"a number that is too large is none":   {[]string{"99999999999999999999"}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, certs.Instant(c.texts...))
		})
	}
}

func TestFingerprintsHaveOneForm(t *testing.T) {
	t.Parallel()
	require.Equal(t, fp("a"), certs.Fingerprint(strings.ToUpper(fp("a"))))
	require.Equal(t, strings.Repeat("ab", 20), certs.Fingerprint(strings.TrimSuffix(strings.Repeat("AB:", 20), ":")))
	for _, none := range []string{"", "abc", fp("g"), fp("a") + "a", "  "} {
		require.Empty(t, certs.Fingerprint(none), none)
	}
}

// sample is a certificate with something in every member.
func sample() *certs.Certificate {
	return &certs.Certificate{
		ID: 81, Fingerprint: strings.ToUpper(fp("a")), Serial: "0A1B", KeySize: 2048, SignatureAlgorithm: "SHA256withRSA",
		ValidFrom: at("2025-11-01T12:00:00Z"), ValidTo: at("2026-11-01T12:00:00Z"),
		DN:       "CN=www.example.com, E=pki@example.com, O=Example AG, C=CH",
		Subject:  certs.Name{CommonName: "www.exam\x00ple.com", Organization: "Example AG", Units: []string{"IT", "", "Web"}, Locality: "Zurich", State: "ZH", Country: "ch"},
		Issuer:   certs.Name{CommonName: "Example Issuing CA", Organization: "Example, CA", Country: "US", Fingerprint: fp("b")},
		Root:     certs.Name{CommonName: "Example Root CA", Fingerprint: fp("c")},
		Type:     "Leaf",
		DNSNames: []string{"WWW.example.com", "example.com", "www.example.com", "*.example.com"},
		Assets: []certs.Asset{
			{ID: 1, Services: []certs.Service{{Port: 443, Protocol: "TCP", Name: "https", Grade: "A", Protocols: []string{"TLSv1.3", "TLSv1.2"}, Weak: []string{"DES-CBC3-SHA"}}, {Port: 8443, Protocol: "tcp"}}},
			{ID: 2, Services: []certs.Service{{Port: 443, Protocol: "tcp"}}}, // the same machine as 1
			{ID: 3, Services: []certs.Service{{Port: 636, Protocol: "tcp"}}},
			{ID: 4, Services: []certs.Service{{Port: 443, Protocol: "tcp"}}}, // was never imported
		},
	}
}

func input() certs.Input {
	return certs.Input{
		Key: "corp/cert/" + fp("a"), Related: []string{"cmdb_ci_hardware", "cmdb_ci_appl"},
		Hosts: map[int64]certs.Host{1: {"s1", "cmdb_ci_linux_server"}, 2: {"s1", "cmdb_ci_linux_server"}, 3: {"s3", "cmdb_ci_ip_phone"}},
		KeyOf: func(f string) string { return map[string]string{fp("b"): "corp/cert/" + fp("b")}[f] },
	}
}

func TestACertificateBecomesItsParts(t *testing.T) {
	t.Parallel()
	c, in := sample(), input()
	require.NoError(t, certs.Clean(c))
	require.Equal(t, 3, in.Imported(c))
	got := certs.Map(c, in)
	want := record.Parts{
		Native: &cmdb.Item{Key: in.Key, Class: certs.Class, Columns: []cmdb.Column{
			{Name: "name", Value: "www.example.com"}, {Name: "fingerprint", Value: fp("a")}, {Name: "fingerprint_algorithm", Value: "SHA-256"},
			{Name: "serial_number", Value: "0a1b"}, {Name: "signature_algorithm", Value: "SHA256withRSA"}, {Name: "key_size", Value: "2048"},
			{Name: "subject_common_name", Value: "www.example.com"}, {Name: "subject_distinguished_name", Value: "CN=www.example.com, E=pki@example.com, O=Example AG, C=CH"},
			{Name: "subject_organization", Value: "Example AG"}, {Name: "subject_organizational_unit", Value: "IT, Web"}, {Name: "subject_country", Value: "CH"},
			{Name: "subject_state", Value: "ZH"}, {Name: "subject_locality", Value: "Zurich"}, {Name: "subject_email", Value: "pki@example.com"},
			{Name: "issuer_common_name", Value: "Example Issuing CA"}, {Name: "issuer_distinguished_name", Value: `CN=Example Issuing CA, O=Example\, CA, C=US`},
			{Name: "valid_from", Value: "2025-11-01 12:00:00"}, {Name: "valid_to", Value: "2026-11-01 12:00:00"}, {Name: "state", Value: "installed"},
			{Name: "is_ca", Value: "false"}, {Name: "is_self_signed", Value: "false"},
		}, Links: []cmdb.Link{{Column: "issuer", Item: "corp/cert/" + fp("b")}}},
		Complete: []string{"hosts"},
		Tables: []cmdb.Row{{
			Table: "cmdb_rel_ci", HostColumn: "child", Section: "hosts", Key: "uses/s1", Coalesce: []string{"parent", "type"},
			Columns: []cmdb.Column{{Name: "parent", Value: "s1"}, {Name: "port", Value: "443/tcp, 8443/tcp"}},
			Links:   []cmdb.Link{{Column: "type", Item: certs.TypeKey(certs.Uses)}},
		}},
		Flags: []record.Flag{{Item: in.Key, Column: certs.Uses, Why: "1 of class cmdb_ci_ip_phone serve it; this class has no relation to certificates"}},
	}
	for _, name := range []string{"www.example.com", "example.com", "*.example.com"} {
		want.References = append(want.References, cmdb.Reference{Item: in.Key, Column: "subject_alternative_name", Table: "certificate_domain", Name: name, Create: true, List: true})
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestMetadataHasARowForEachPlace(t *testing.T) {
	t.Parallel()
	c, in := sample(), input()
	in.Table = certs.Table().Name
	require.NoError(t, certs.Clean(c))
	got := certs.Map(c, in)
	require.Equal(t, []string{"hosts", "metadata"}, got.Complete)
	var places []string
	for _, r := range got.Tables {
		if r.Table == in.Table {
			places = append(places, r.Key)
			for _, col := range r.Columns {
				require.True(t, hasColumn(col.Name), col.Name)
			}
		}
	}
	require.Equal(t, []string{"place/s1:443/tcp", "place/s1:8443/tcp", "place/s3:636/tcp"}, places)
}

func hasColumn(name string) bool {
	for _, c := range certs.Table().Columns {
		if c.Name == name {
			return true
		}
	}
	return false
}

func TestManyNamesAreCutAndFlagged(t *testing.T) {
	t.Parallel()
	c := sample()
	c.DNSNames = nil
	for i := range 1000 {
		c.DNSNames = append(c.DNSNames, fmt.Sprintf("h%d.example.com", i))
	}
	require.NoError(t, certs.Clean(c))
	got := certs.Map(c, input())
	require.Len(t, got.References, 121)
	require.Contains(t, got.Flags[0].Why+got.Flags[1].Why, "121 of 1000 names")
}

func TestNamesFallBackToWhatIsThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   certs.Certificate
		want string
	}{
		"the subject":            {certs.Certificate{Subject: certs.Name{CommonName: "a"}, DNSNames: []string{"b"}}, "a"},
		"a name that it is for":  {certs.Certificate{Subject: certs.Name{CommonName: "\x00"}, DNSNames: []string{"b"}}, "b"},
		"the distinguished name": {certs.Certificate{DN: "O=Example"}, "O=Example"},
		"the fingerprint":        {certs.Certificate{}, "certificate aaaaaaaaaaaa"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := c.in
			x.Fingerprint = fp("a")
			require.NoError(t, certs.Clean(&x))
			require.Equal(t, c.want, x.Title())
		})
	}
}

func TestASelfSignedCertificateDoesNotNameItself(t *testing.T) {
	t.Parallel()
	c, in := sample(), input()
	c.Issuer.Fingerprint, c.Root.Fingerprint = c.Fingerprint, c.Fingerprint
	in.KeyOf = func(f string) string { return "corp/cert/" + f }
	require.NoError(t, certs.Clean(c))
	require.Empty(t, certs.Map(c, in).Native.Links)
}

func TestTheCertificateItselfIsRead(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "x"}, NotBefore: at("2026-01-01T00:00:00Z"), NotAfter: at("2027-01-01T00:00:00Z"),
		EmailAddresses: []string{"Ops@Example.com"}, DNSNames: []string{"x.example.com"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	c := &certs.Certificate{Raw: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
	require.NoError(t, certs.Clean(c))
	require.Equal(t, hex.EncodeToString(sum[:]), c.Fingerprint, "of what was sent")
	require.True(t, c.CA())
	parts := certs.Map(c, certs.Input{Key: "k"})
	for column, want := range map[string]string{"version": "3", "subject_email": "ops@example.com", "valid_to": "2027-01-01 00:00:00", "is_ca": "true"} {
		require.Equal(t, want, parts.Native.Value(column), column)
	}
	broken := &certs.Certificate{Fingerprint: fp("a"), Raw: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}
	require.NoError(t, certs.Clean(broken), "bytes that cannot be read say nothing")
	require.ErrorIs(t, certs.Clean(&certs.Certificate{Serial: "1"}), certs.ErrNoFingerprint)
}

func TestARetiredCertificateKeepsItsCIAndLosesItsRelations(t *testing.T) {
	t.Parallel()
	c := sample()
	require.NoError(t, certs.Clean(c))
	parts := certs.Map(c, input())
	got := certs.Retired(&parts)
	require.Equal(t, "retired", got.Native.Value("state"))
	require.Equal(t, "installed", parts.Native.Value("state"), "what was written stays as it was")
	gone := record.Vanished(parts, *got)
	require.Len(t, gone, 1)
	require.Equal(t, record.GoneRow, gone[0].Gone)
	require.NotEqual(t, record.Digest(&parts), record.Digest(got))
	require.Nil(t, certs.Retired(nil))
}

func FuzzCleanNeverPanicsAndIsStable(f *testing.F) {
	f.Add(fp("a"), "CN=x, E=a@b", "2026-11-01T12:00:00Z", "x\x00.example.com", int64(443))
	f.Add("", "\xff,=,", "-11644473600000", "*", int64(-1))
	f.Fuzz(func(t *testing.T, fingerprint, dn, date, name string, port int64) {
		c := &certs.Certificate{
			Fingerprint: fingerprint, DN: dn, ValidTo: certs.Instant(date), Subject: certs.Name{CommonName: name, Units: []string{name}, Country: name}, DNSNames: []string{name, dn},
			Raw: dn, Issuer: certs.Name{CommonName: dn, Fingerprint: fingerprint}, Assets: []certs.Asset{{ID: 1, Services: []certs.Service{{Port: port, Protocol: name, Grade: dn}}}},
		}
		if certs.Clean(c) != nil {
			return
		}
		in := certs.Input{Key: "k", Hosts: map[int64]certs.Host{1: {"s", "cmdb_ci_server"}}, Related: []string{"cmdb_ci"}, Table: "t"}
		first := certs.Map(c, in)
		require.NoError(t, certs.Clean(c), "what is clean stays clean")
		second := certs.Map(c, in)
		require.Equal(t, record.Digest(&first), record.Digest(&second))
		for _, col := range first.Native.Columns {
			require.NotContains(t, col.Value, "\x00")
		}
		if !c.ValidTo.IsZero() {
			require.Less(t, c.ValidTo.Year(), 10000)
		}
	})
}
