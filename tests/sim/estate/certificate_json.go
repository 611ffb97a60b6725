package estate

import (
	"encoding/hex"
	"strings"
	"time"
)

// DateForm is how a certificate's record writes instants that are texts; public samples disagree.
type DateForm string

// The forms: with an offset, with Z, and a mix of both and of Z without milliseconds, by certificate.
const (
	MixedDates  DateForm = "mixed"
	OffsetDates DateForm = "offset"
	ZuluDates   DateForm = "zulu"
)

// CertificateView says which parts of a record a caller asked for.
type CertificateView struct {
	// Interfaces, Protocols, Ciphers, Vulnerabilities, Tags and Extensive are the parts that come only when asked for.
	Interfaces, Protocols, Ciphers, Vulnerabilities, Tags, Extensive bool
	// KeyAlgorithm adds the member that version 2.1 brought.
	KeyAlgorithm bool
	// Hide holds the paths of members that are left out, for example certificate.rawData.
	Hide  map[string]bool
	Scope Scope
	// MostAssets bounds the list of assets within a certificate; 0 is no bound.
	MostAssets int
	Dates      DateForm
	// Show sets the labels that an asset has now; it may be nil.
	Show func(*Asset)
}

// certificateWriter writes members by their path, and leaves out those that are hidden.
type certificateWriter struct {
	encoder
	v *CertificateView
	r *Reader
	c *Certificate
}

func (w *certificateWriter) shown(path string) bool { return len(w.v.Hide) == 0 || !w.v.Hide[path] }

func last(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

func (w *certificateWriter) string(path, value string) {
	if w.shown(path) {
		w.blank(last(path), value)
	}
}

func (w *certificateWriter) int(path string, value int64) {
	if w.shown(path) {
		w.number(last(path), value)
	}
}

func (w *certificateWriter) bool(path string, value bool) {
	if w.shown(path) {
		w.boolean(last(path), value)
	}
}

func (w *certificateWriter) strings(path string, values []string) {
	if !w.shown(path) {
		return
	}
	w.key(last(path))
	w.b = append(w.b, '[')
	for _, v := range values {
		w.comma()
		w.b = appendString(w.b, v)
	}
	w.b = append(w.b, ']')
}

// date writes an instant as text; milliseconds of certificates are always zero.
func (w *certificateWriter) date(path string, ms int64) {
	layout := "2006-01-02T15:04:05.000+0000"
	switch {
	case w.v.Dates == ZuluDates || w.v.Dates != OffsetDates && w.c.Index%3 == 1:
		layout = "2006-01-02T15:04:05.000Z"
	case w.v.Dates != OffsetDates && w.c.Index%3 == 2:
		layout = "2006-01-02T15:04:05Z"
	}
	if ms <= 0 {
		if w.shown(path) {
			w.null(last(path))
		}
		return
	}
	w.string(path, time.UnixMilli(ms).UTC().Format(layout))
}

// AppendCertificate appends the record of a certificate as the list of certificates has it.
func (r *Reader) AppendCertificate(dst []byte, c *Certificate, v *CertificateView) []byte {
	w := &certificateWriter{encoder: encoder{dst}, v: v, r: r, c: c}
	issuer, root := c.Issuer(), c.Root()
	w.item()
	w.number("id", c.ID)
	w.string("certificate.certhash", c.Hash())
	w.int("certificate.keySize", int64(c.KeyBits))
	w.string("certificate.serialNumber", c.Serial)
	w.date("certificate.validToDate", c.ValidTo)
	w.int("certificate.validTo", c.ValidTo)
	w.date("certificate.validFromDate", c.ValidFrom)
	w.int("certificate.validFrom", c.ValidFrom)
	w.string("certificate.signatureAlgorithm", c.Signature)
	if v.KeyAlgorithm {
		w.string("certificate.publicKeyAlgorithm", c.KeyAlgorithm)
	}
	w.bool("certificate.extendedValidation", c.dice.percent(40, 4))
	w.date("certificate.createdDate", c.Created)
	w.date("certificate.updateDate", c.Updated)
	w.int("certificate.lastFound", c.LastFound)
	w.string("certificate.dn", c.Subject.DN())
	w.party("certificate.subject", &c.Subject, nil)
	if c.Unknown {
		w.party("certificate.issuer", &issuer.Subject, nil)
		w.nothing("certificate.rootissuer")
	} else {
		w.party("certificate.issuer", &issuer.Subject, issuer)
		w.party("certificate.rootissuer", &root.Subject, root)
	}
	w.string("certificate.issuerCategory", c.category())
	w.bool("certificate.imported", false)
	w.bool("certificate.selfSigned", c.SelfSigned)
	w.string("certificate.type", c.Kind)
	w.served()
	w.strings("certificate.sources", []string{"VM"})
	w.usage()
	if v.Extensive {
		w.extensive(issuer)
	}
	if w.shown("certificate.assets") {
		w.assets()
	}
	w.end()
	return w.b
}

// DN is the name as text, the way a directory writes it.
func (p Party) DN() string {
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `"`, `\"`)
	add := func(name, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name + "=" + escape.Replace(value))
	}
	add("CN", p.Name)
	for _, unit := range p.Units {
		add("OU", unit)
	}
	add("O", p.Organization)
	add("L", p.Locality)
	add("ST", p.State)
	add("C", p.Country)
	return b.String()
}

func (c *Certificate) category() string {
	if c.SelfSigned && c.style != authority || c.issuer == 6 {
		return "Unapproved"
	}
	return "Approved"
}

func (w *certificateWriter) nothing(path string) {
	if w.shown(path) {
		w.null(last(path))
	}
}

// party writes a name; of is the certificate it belongs to, nil when that is not known or is this one.
func (w *certificateWriter) party(path string, p *Party, of *Certificate) {
	if !w.shown(path) {
		return
	}
	w.open(last(path))
	w.string(path+".name", p.Name)
	w.string(path+".organization", p.Organization)
	w.strings(path+".organizationUnit", p.Units)
	w.string(path+".locality", p.Locality)
	w.string(path+".state", p.State)
	w.string(path+".country", p.Country)
	if of != nil {
		w.string(path+".certhash", of.Hash())
	} else if path == "certificate.issuer" {
		w.nothing(path + ".certhash")
	}
	w.end()
}

func (w *certificateWriter) served() {
	assets, instances := 0, 0
	w.c.EachHost(w.v.Scope, func(h CertificateHost) bool {
		assets++
		instances += len(w.c.Endpoints(h))
		return true
	})
	w.int("certificate.instanceCount", int64(instances))
	w.int("certificate.assetCount", int64(assets))
}

func (w *certificateWriter) usage() {
	if w.c.style == authority {
		w.strings("certificate.keyUsage", []string{"keyCertSign", "cRLSign"})
		w.strings("certificate.enhancedKeyUsage", nil)
		return
	}
	w.strings("certificate.keyUsage", []string{"digitalSignature", "keyEncipherment"})
	w.strings("certificate.enhancedKeyUsage", []string{"serverAuth"})
}

func (w *certificateWriter) extensive(issuer *Certificate) {
	w.string("certificate.rawData", w.c.PEM())
	w.string("certificate.subjectKeyIdentifier", hex.EncodeToString(w.c.keyID()))
	w.string("certificate.authKeyIdentifier", hex.EncodeToString(issuer.keyID()))
	const path = "certificate.subjectAlternativeNames"
	if !w.shown(path) {
		return
	}
	w.open(last(path))
	w.strings(path+".dnsNames", w.c.DNSNames())
	var addresses []string
	for _, a := range w.c.Addresses() {
		addresses = append(addresses, a.String())
	}
	w.strings(path+".ipAddress", addresses)
	w.end()
}

func (w *certificateWriter) assets() {
	w.key("assets")
	w.b = append(w.b, '[')
	n := 0
	w.c.EachHost(w.v.Scope, func(h CertificateHost) bool {
		if a, ok := w.r.CertificateAsset(h, w.v.Show); ok {
			w.asset(h, &a)
			n++
		}
		return w.v.MostAssets == 0 || n < w.v.MostAssets
	})
	w.b = append(w.b, ']')
}

// AppendCertificateAsset appends one asset of a certificate; false when it disappeared.
func (r *Reader) AppendCertificateAsset(dst []byte, c *Certificate, h CertificateHost, v *CertificateView) ([]byte, bool) {
	a, ok := r.CertificateAsset(h, v.Show)
	if !ok {
		return dst, false
	}
	w := &certificateWriter{encoder: encoder{dst}, v: v, r: r, c: c}
	w.asset(h, &a)
	return w.b, true
}

func (w *certificateWriter) asset(h CertificateHost, a *CertificateAsset) {
	w.item()
	w.number("id", a.ID)
	w.string("asset.uuid", a.UUID)
	w.optional("asset.netbiosName", a.NetBIOS)
	w.string("asset.name", a.Name)
	w.optional("asset.operatingSystem", a.System)
	w.string("asset.primaryIp", a.Address.String())
	if w.shown("asset.hostInstances") {
		w.key("hostInstances")
		w.b = append(w.b, '[')
		for _, p := range w.c.Endpoints(h) {
			w.endpoint(&p)
		}
		w.b = append(w.b, ']')
	}
	if w.v.Interfaces && w.shown("asset.assetInterfaces") {
		w.key("assetInterfaces")
		w.b = append(w.b, '[')
		w.item()
		w.blank("hostname", a.Host)
		w.blank("address", a.Address.String())
		w.end()
		w.b = append(w.b, ']')
	}
	if w.v.Tags && w.shown("asset.tags") {
		w.key("tags")
		w.b = append(w.b, '[')
		for _, label := range a.Labels {
			w.item()
			w.blank("name", label.Name)
			w.blank("uuid", uuid(mix(uint64(label.ID)), mix(^uint64(label.ID))))
			w.end()
		}
		w.b = append(w.b, ']')
	}
	w.end()
}

func (w *certificateWriter) optional(path, value string) {
	if w.shown(path) {
		w.text(last(path), value)
	}
}

func (w *certificateWriter) endpoint(p *CertificateEndpoint) {
	w.item()
	w.number("id", p.ID)
	w.int("asset.hostInstances.port", int64(p.Port))
	w.optional("asset.hostInstances.fqdn", p.FQDN)
	w.string("asset.hostInstances.protocol", p.Protocol)
	w.string("asset.hostInstances.service", p.Service)
	w.string("asset.hostInstances.grade", p.Grade)
	if w.v.Protocols {
		w.strings("asset.hostInstances.sslProtocols", p.protocols())
	}
	if w.v.Ciphers && w.shown("asset.hostInstances.cipherSuites") {
		w.cipherSuites(p)
	}
	if w.v.Vulnerabilities && w.shown("asset.hostInstances.vulnerabilities") {
		w.vulnerabilities(p)
	}
	w.end()
}
