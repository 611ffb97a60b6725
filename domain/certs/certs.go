// Package certs turns TLS certificates, as Qualys' Certificate View knows them,
// into records of the CMDB: one CI of class cmdb_ci_certificate for each
// fingerprint, with a reference to the certificate that issued it and a relation
// from every CI that serves it.
//
//	Certificate ─▶ Clean (texts, dates, fingerprint) ─▶ Map (+ hosts, chain) ─▶ record.Parts
//
// What a certificate is known by is its fingerprint alone: two with one serial
// number, or one name, are two.
package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/asset"
)

// Certificate is one certificate with the assets that serve it. Texts are as they
// were sent until Clean has seen them.
type Certificate struct {
	ID                 int64
	Fingerprint        string
	Serial             string
	KeySize            int64
	SignatureAlgorithm string
	ValidFrom, ValidTo time.Time
	DN                 string
	Subject            Name
	Issuer, Root       Name
	SelfSigned         bool
	Type               string // Leaf, Intermediate, Root
	KeyUsage           []string
	DNSNames           []string
	Raw                string // PEM; empty when it was not sent
	Assets             []Asset

	// What only the certificate itself says, once Clean has read it.
	version string
	ca      bool
	emails  []string
}

// Name is a subject or an issuer.
type Name struct {
	CommonName   string
	Organization string
	Units        []string
	Locality     string
	State        string
	Country      string
	Fingerprint  string // of the issuer's certificate
}

// Asset is an asset that serves a certificate.
type Asset struct {
	ID       int64
	Services []Service
}

// Service is where an asset serves a certificate.
type Service struct {
	Port      int64
	Protocol  string // tcp
	Name      string // https
	FQDN      string
	Grade     string // A+ … F, T, M
	Protocols []string
	Weak      []string // cipher suites that Qualys calls weak or worse
}

// ErrNoFingerprint is the error of a certificate that cannot be told from others.
var ErrNoFingerprint = errors.New("certs: the certificate has no fingerprint")

// Clean brings a certificate into the form in which it is compared and written,
// and adds what its own bytes say where they are there and can be read. The error
// is ErrNoFingerprint.
func Clean(c *Certificate) error {
	der := readPEM(c.Raw)
	if der != nil {
		c.learn(der)
	}
	c.Raw = ""
	if c.Fingerprint = Fingerprint(c.Fingerprint); c.Fingerprint == "" && der != nil {
		sum := sha256.Sum256(der)
		c.Fingerprint = hex.EncodeToString(sum[:])
	}
	if c.Fingerprint == "" {
		return ErrNoFingerprint
	}
	c.Serial, c.DN, c.Type = strings.ToLower(asset.Text(c.Serial)), asset.Text(c.DN), asset.Text(c.Type)
	c.SignatureAlgorithm = asset.Text(c.SignatureAlgorithm)
	for _, n := range []*Name{&c.Subject, &c.Issuer, &c.Root} {
		n.clean()
	}
	c.DNSNames, c.emails = names(c.DNSNames), names(append(c.emails, emailOf(c.DN)))
	for i := range c.Assets {
		for k := range c.Assets[i].Services {
			s := &c.Assets[i].Services[k]
			s.Protocol, s.Name = strings.ToLower(asset.Text(s.Protocol)), strings.ToLower(asset.Text(s.Name))
			s.FQDN, s.Grade = strings.ToLower(asset.Text(s.FQDN)), asset.Text(s.Grade)
			s.Protocols, s.Weak = sorted(s.Protocols), sorted(s.Weak)
		}
	}
	return nil
}

func (n *Name) clean() {
	n.CommonName, n.Organization = asset.Text(n.CommonName), asset.Text(n.Organization)
	n.Locality, n.State, n.Country = asset.Text(n.Locality), asset.Text(n.State), strings.ToUpper(asset.Text(n.Country))
	n.Fingerprint = Fingerprint(n.Fingerprint)
	units := make([]string, 0, len(n.Units))
	for _, u := range n.Units {
		if u = asset.Text(u); u != "" {
			units = append(units, u)
		}
	}
	n.Units = units
}

// learn reads what only the certificate says. Bytes that cannot be read say
// nothing: what Qualys made of them stands.
func (c *Certificate) learn(der []byte) {
	x, err := x509.ParseCertificate(der)
	if err != nil {
		return
	}
	c.version, c.ca = strconv.Itoa(x.Version), x.IsCA && x.BasicConstraintsValid
	c.emails = append(c.emails, x.EmailAddresses...)
	if len(c.DNSNames) == 0 {
		c.DNSNames = x.DNSNames
	}
	if c.ValidFrom.IsZero() {
		c.ValidFrom = clamp(x.NotBefore)
	}
	if c.ValidTo.IsZero() {
		c.ValidTo = clamp(x.NotAfter)
	}
}

// readPEM returns the bytes of a certificate in PEM, or nil.
func readPEM(text string) []byte {
	if text == "" {
		return nil
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	return block.Bytes
}

// digests are the lengths, in hex digits, of fingerprints: SHA-1, SHA-256, SHA-384,
// SHA-512.
var digests = map[int]string{40: "SHA-1", 64: "SHA-256", 96: "SHA-384", 128: "SHA-512"}

// Fingerprint returns a fingerprint in lower case without separators, or "" for
// what is none.
func Fingerprint(s string) string {
	s = strings.ToLower(strings.Map(func(r rune) rune {
		if r == ':' || r == ' ' || r == '-' || r == 0 {
			return -1
		}
		return r
	}, s))
	if _, err := hex.DecodeString(s); err != nil || digests[len(s)] == "" {
		return ""
	}
	return s
}

// CA reports whether the certificate may issue others.
func (c *Certificate) CA() bool {
	kind := strings.ToLower(c.Type)
	return c.ca || kind == "root" || kind == "intermediate" || slices.Contains(c.KeyUsage, "keyCertSign")
}

// Title is the name of the CI: of the subject, else the first name that the
// certificate is for, else its fingerprint.
func (c *Certificate) Title() string {
	switch {
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case c.DN != "":
		return c.DN
	}
	return "certificate " + c.Fingerprint[:12]
}

// Distinguished writes a name as a distinguished name, most specific part first,
// as Qualys writes that of the subject.
func (n *Name) Distinguished() string {
	var parts []string
	add := func(kind, value string) {
		if value != "" {
			parts = append(parts, kind+"="+escape(value))
		}
	}
	add("CN", n.CommonName)
	for _, u := range n.Units {
		add("OU", u)
	}
	add("O", n.Organization)
	add("L", n.Locality)
	add("ST", n.State)
	add("C", n.Country)
	return asset.Text(strings.Join(parts, ", "))
}

// escape escapes what has a meaning between the parts of a name (RFC 4514).
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`, `"`, `\"`, `;`, `\;`, `<`, `\<`, `>`, `\>`).Replace(s)
}

// emailOf finds the mail address of a subject in its distinguished name.
func emailOf(dn string) string {
	for part := range strings.SplitSeq(dn, ",") {
		kind, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "e", "email", "emailaddress", "1.2.840.113549.1.9.1":
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// names returns names in lower case, each once, in their order.
func names(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s = strings.ToLower(asset.Text(s)); s != "" {
			out = append(out, s)
		}
	}
	return unique(out)
}

func unique(list []string) []string {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}

func sorted(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s = asset.Text(s); s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
