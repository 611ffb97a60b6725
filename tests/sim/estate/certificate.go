package estate

import (
	"net/netip"
	"strconv"
	"time"
)

// The values of a certificate's type.
const (
	LeafCertificate         = "Leaf"
	IntermediateCertificate = "Intermediate"
	RootCertificate         = "Root"
)

// MaxCertificates bounds Options.Certificates: the ids of certificates and of their instances are unique up to here.
const MaxCertificates = 10_000_000

const (
	firstCertificate = 81_000_000
	// certificateStride separates the ids of neighbours; the versions of one certificate lie between.
	certificateStride = 64
	// widespread is the number of assets that the one certificate is on that everybody copies.
	widespread = 1500
	// chained is the number of certificates from which on the issuers are served too.
	chained = 20
	// servedAuthorities is the number of issuers at the start of the list of certificates.
	servedAuthorities = 6
	self              = -1
)

// Scope says which assets a caller wants to see: those of the inventory, those that only a certificate is known of, or
// all.
type Scope string

// The scopes, as the vendor writes them.
const (
	Managed   Scope = "MANAGED"
	Unmanaged Scope = "UNMANAGED"
	AllAssets Scope = "ALL"
)

// Party is a distinguished name.
type Party struct {
	Name, Organization string
	Units              []string
	Locality, State    string
	Country            string
}

// Certificate is what a scan found, before it becomes JSON. It is a function of the seed, the index and what Mutate did
// to the first asset that serves it; nothing is kept about it.
type Certificate struct {
	Index int
	// Version is 0, or the generation in which the certificate was renewed: a new id, key, serial number and fingerprint.
	Version int
	ID      int64
	Kind    string
	Subject Party
	// Serial is the serial number in lower-case hexadecimal digits.
	Serial string
	// KeyAlgorithm is RSA or EC.
	KeyAlgorithm string
	KeyBits      int
	Signature    string
	SelfSigned   bool
	// Unknown is set when not even the fingerprint of the issuer is known, because the server sent no chain.
	Unknown bool

	// Times in epoch milliseconds, whole seconds; LastFound is 0 when unknown.
	ValidFrom, ValidTo, Created, Updated, LastFound int64

	e      *Estate
	dice   dice
	issuer int
	style  certificateStyle
}

type certificateStyle uint8

const (
	plain certificateStyle = iota
	authority
	everywhere
	wildcard
	manyNames
	bareNames
	nulNames
	shared
	foreign
	mixed
)

// authorities are the issuers. Leaf certificates of the last three have chains with holes: nobody serves the issuer.
var authorities = [...]struct {
	subject Party
	parent  int
}{
	{Party{"Example Root CA", "Example CA", nil, "", "", "US"}, self},
	{Party{"Corp Root CA G2", "Example AG", []string{"PKI"}, "Zurich", "ZH", "CH"}, self},
	{Party{"Example Issuing CA", "Example CA", nil, "", "", "US"}, 0},
	{Party{"Example Issuing CA 2", "Example CA, Inc.", nil, "", "", "US"}, 0},
	{Party{"Corp Server CA 1", "Example AG", []string{"PKI", "Servers"}, "Zurich", "ZH", "CH"}, 1},
	{Party{"Corp Server CA 2", "Example AG", []string{"PKI"}, "Zurich", "ZH", "CH"}, 1},
	{Party{"Partner Issuing CA", "Partner GmbH", nil, "", "", "DE"}, 7},
	{Party{"Partner Root CA", "Partner GmbH", nil, "", "", "DE"}, self},
	{Party{"Example Issuing CA 3", "Example CA", nil, "", "", "US"}, 0},
}

// Generation is the number of times that Mutate was called since the start or the last Reset.
func (e *Estate) Generation() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.gen
}

// CertificateSlots is the number of indexes of certificates. Not every index has one: servers disappear, and an asset
// that was added serves none unless it is a server.
func (e *Estate) CertificateSlots() int {
	return max(0, e.opts.Certificates) + e.Size() - e.opts.Assets
}

// Certificate computes the certificate at an index; false when there is none, or no asset serves it any more.
func (e *Estate) Certificate(index int) (*Certificate, bool) {
	n := max(0, e.opts.Certificates)
	if index < 0 || index >= n && (e.opts.Certificates < 0 || !e.serves(e.opts.Assets+index-n)) {
		return nil, false
	}
	if index < servedAuthorities && n >= chained {
		c := e.authority(index)
		_, served := c.first(AllAssets)
		return c, served
	}
	c := &Certificate{
		Index: index, Kind: LeafCertificate, e: e, style: e.certificateStyle(index),
		dice: dice(mix(e.opts.Seed+0xce27) ^ mix(uint64(index)<<8)),
	}
	host, served := c.first(AllAssets)
	if !served {
		return nil, false
	}
	at, renewed := c.touched(host)
	c.issue()
	c.party()
	c.validity(at, renewed)
	c.ID = firstCertificate + int64(index)*certificateStride + int64(c.Version%certificateStride)
	return c, true
}

// CertificateByID finds a certificate by its id; false when there is none, or it was renewed since.
func (e *Estate) CertificateByID(id int64) (*Certificate, bool) {
	if id < firstCertificate || (id-firstCertificate)/certificateStride >= int64(e.CertificateSlots()) {
		return nil, false
	}
	c, ok := e.Certificate(int((id - firstCertificate) / certificateStride))
	return c, ok && c.ID == id
}

// authority makes the certificate of an issuer. Issuers are never renewed.
func (e *Estate) authority(n int) *Certificate {
	a := authorities[n]
	c := &Certificate{
		Index: n, ID: firstCertificate + int64(n)*certificateStride, Kind: IntermediateCertificate, Subject: a.subject,
		KeyAlgorithm: "RSA", KeyBits: 4096, Signature: "SHA256withRSA", e: e, issuer: a.parent, style: authority,
		dice: dice(mix(e.opts.Seed+0xca) ^ mix(uint64(n)<<8)),
	}
	from, years := int64(3), int64(8)
	if a.parent == self {
		c.Kind, c.SelfSigned, from, years = RootCertificate, true, 8, 20
	}
	c.Serial = "0" + hexOf(c.dice.roll(1)|1<<59, 15)
	c.ValidFrom = wholeSeconds(e.asOf - from*365*dayMs)
	c.ValidTo = c.ValidFrom + years*365*dayMs
	c.Created = wholeSeconds(e.asOf - 300*dayMs)
	c.Updated = wholeSeconds(e.asOf - int64(c.dice.below(2, 20))*dayMs)
	c.LastFound = c.Updated
	return c
}

func wholeSeconds(ms int64) int64 { return ms - ms%1000 }

// certificateStyle spreads the oddities evenly, so that a small estate has them too.
func (e *Estate) certificateStyle(index int) certificateStyle {
	n := max(0, e.opts.Certificates)
	switch {
	case index >= n:
		return plain
	case index == servedAuthorities && n >= chained:
		return everywhere
	case index%30 == 17:
		return foreign
	case index%200 == 11:
		return manyNames
	}
	switch index % 40 {
	case 7:
		return wildcard
	case 13:
		return bareNames
	case 19:
		return nulNames
	case 23, 24, 25:
		return shared
	case 31:
		return mixed
	}
	return plain
}

// touched tells when Mutate last touched the first asset that serves the certificate, 0 when never, and whether that
// renewed the certificate: one change in three does.
func (c *Certificate) touched(h CertificateHost) (at int64, renewed bool) {
	if h.Index < 0 {
		return 0, false
	}
	change, _ := c.e.state(h.Index)
	if change.generation == 0 {
		return 0, false
	}
	if !change.added && (change.generation+c.Index)%3 == 0 {
		c.Version = change.generation
		c.dice = dice(mix(uint64(c.dice) + uint64(change.generation)))
	}
	return wholeSeconds(change.at), c.Version > 0
}

// issue draws key, issuer and serial number.
func (c *Certificate) issue() {
	d := c.dice
	c.KeyAlgorithm, c.KeyBits, c.Signature = "RSA", []int{2048, 2048, 2048, 4096, 1024}[d.below(1, 5)], "SHA256withRSA"
	if d.percent(2, 20) {
		c.KeyAlgorithm, c.KeyBits = "EC", 256
	}
	switch n := d.below(3, 100); {
	case c.style == everywhere:
		c.issuer = 4
	case n < 6 && c.style == plain:
		c.issuer, c.SelfSigned = self, true
		if c.KeyAlgorithm == "EC" {
			c.Signature = "SHA256withECDSA"
		} else if d.percent(4, 30) {
			c.Signature = "SHA1withRSA"
		}
	case n < 10:
		c.issuer = 6
	case n < 14:
		c.issuer = 8
	default:
		c.issuer = 2 + d.below(5, 4)
		c.Unknown = n < 18
	}
	c.Serial = "0" + hexOf(d.roll(6)|1<<59, 15) + hexOf(d.roll(7), 16)
	if d.percent(8, 30) {
		c.Serial = c.Serial[:12]
	}
}

// party draws the subject.
func (c *Certificate) party() {
	number := pad(c.Index, 5)
	place := sites[c.dice.below(10, len(sites))]
	c.Subject = Party{
		Name:         []string{"www", "api", "mail", "vpn", "intranet", "ldap"}[c.dice.below(11, 6)] + number + ".example.com",
		Organization: []string{"Example AG", "Example, Inc.", "Müller & Söhne \"Handels\" GmbH"}[c.dice.below(12, 3)],
		Units:        [][]string{{"IT"}, {"IT", "Web Services"}, {}}[c.dice.below(13, 3)],
		Locality:     place.city, State: place.state, Country: "CH",
	}
	switch c.style {
	case everywhere:
		c.Subject.Name = "*.corp.example.com"
	case wildcard:
		c.Subject.Name = "*.apps" + number + ".example.com"
	case bareNames:
		c.Subject.Organization, c.Subject.Units, c.Subject.Locality, c.Subject.State = "", []string{}, "", ""
	case nulNames:
		c.Subject.Name = "www" + number + "\x00.example.com"
		c.Subject.Organization += "\x00"
	}
	if c.SelfSigned {
		c.Subject = Party{Name: "localhost" + number, Organization: "SomeOrganization", Units: []string{}, Country: "--"}
	}
}

// validity draws the dates around the snapshot: of a hundred leaf certificates some ten have expired, two are not valid
// yet, and about thirty expire in each half year. A renewed one is valid from the day of its renewal.
func (c *Certificate) validity(touched int64, renewed bool) {
	asOf, d := c.e.asOf, c.dice
	c.ValidTo = asOf + int64(d.below(20, 700)-70)*dayMs + int64(d.below(21, 86400))*1000
	c.ValidFrom = c.ValidTo - int64([]int{90, 398, 730, 1095}[d.below(22, 4)])*dayMs
	if d.percent(23, 2) {
		c.ValidFrom, c.ValidTo = asOf+5*dayMs, asOf+370*dayMs
	}
	if renewed {
		c.ValidFrom, c.ValidTo = touched, touched+398*dayMs
	}
	c.ValidFrom, c.ValidTo = wholeSeconds(c.ValidFrom), wholeSeconds(c.ValidTo)
	c.Created = max(c.ValidFrom, wholeSeconds(asOf-int64(200+d.below(24, 200))*dayMs))
	c.Updated = max(c.Created, wholeSeconds(asOf-int64(d.below(25, 30))*dayMs-int64(d.below(26, dayMs))))
	if touched > 0 {
		c.Updated = touched
	}
	if c.Updated > asOf && touched == 0 {
		c.Created, c.Updated = wholeSeconds(asOf-dayMs), wholeSeconds(asOf-dayMs)
	}
	c.LastFound = c.Updated
	if d.permille(27, 15) {
		c.LastFound = 0
	}
}

// DNSNames are the subject's alternative names.
func (c *Certificate) DNSNames() []string {
	switch {
	case c.style == authority || c.SelfSigned:
		return nil
	case c.style == manyNames:
		all := make([]string, 0, 1000)
		for n := range cap(all) {
			all = append(all, "h"+pad(n, 4)+".c"+strconv.Itoa(c.Index)+".example.net")
		}
		return all
	case c.style == nulNames:
		return []string{"www" + pad(c.Index, 5) + ".example.com"}
	case c.style == wildcard || c.style == everywhere:
		return []string{c.Subject.Name, c.Subject.Name[2:]}
	}
	return []string{c.Subject.Name, "alt-" + c.Subject.Name}
}

// Addresses are the IP addresses among the alternative names; most certificates have none.
func (c *Certificate) Addresses() []netip.Addr {
	if c.style != plain || !c.dice.percent(30, 10) {
		return nil
	}
	return []netip.Addr{address(c.Index%MaxAssets, 0)}
}

// FQDN is the name that a scan called the certificate's servers by.
func (c *Certificate) FQDN() string {
	names := c.DNSNames()
	switch {
	case len(names) == 0:
		return ""
	case c.style == wildcard || c.style == everywhere:
		return names[1]
	}
	return names[0]
}

// Issuer returns the certificate that signed this one, itself when it is self-signed.
func (c *Certificate) Issuer() *Certificate {
	if c.issuer == self {
		return c
	}
	return c.e.authority(c.issuer)
}

// Root returns the end of the chain.
func (c *Certificate) Root() *Certificate {
	r := c
	for r.issuer != self {
		r = r.Issuer()
	}
	return r
}

// Expires is ValidTo as a time.
func (c *Certificate) Expires() time.Time { return time.UnixMilli(c.ValidTo).UTC() }
