package estate

// cipher is a suite as the vendor describes it.
type cipher struct {
	name, exchange string
	bits           int
	category       string
}

var modernCiphers = [...]cipher{
	{"ECDHE-RSA-AES256-GCM-SHA384", "ECDH", 256, "Strong"}, {"ECDHE-RSA-AES128-GCM-SHA256", "ECDH", 128, "Strong"},
}

var latestCiphers = [...]cipher{{"TLS_AES_256_GCM_SHA384", "ECDH", 256, "Strong"}, {"TLS_CHACHA20_POLY1305_SHA256", "ECDH", 256, "Strong"}}

var oldCiphers = [...]cipher{{"AES128-SHA", "RSA", 128, "Weak"}, {"DES-CBC3-SHA", "RSA", 112, "Weak"}}

// protocols are those that a server speaks; the names are the vendor's.
func (p *CertificateEndpoint) protocols() []string {
	if p.OldProtocols {
		return []string{"TLSv1", "TLSv1.1", "TLSv1.2"}
	}
	return []string{"TLSv1.2", "TLSv1.3"}
}

func (p *CertificateEndpoint) ciphers(protocol string) []cipher {
	switch protocol {
	case "TLSv1.2":
		return modernCiphers[:]
	case "TLSv1.3":
		return latestCiphers[:]
	}
	return oldCiphers[:]
}

func (w *certificateWriter) cipherSuites(p *CertificateEndpoint) {
	w.open("cipherSuites")
	for _, protocol := range p.protocols() {
		w.key(protocol)
		w.b = append(w.b, '[')
		for _, c := range p.ciphers(protocol) {
			w.item()
			w.blank("name", c.name)
			w.blank("keyExchange", c.exchange)
			w.number("encryptionKeyStrength", int64(c.bits))
			w.blank("category", c.category)
			w.end()
		}
		w.b = append(w.b, ']')
	}
	w.end()
}

func (w *certificateWriter) vulnerabilities(p *CertificateEndpoint) {
	w.key("vulnerabilities")
	w.b = append(w.b, '[')
	add := func(qid int64, title string, severity int64) {
		w.item()
		w.number("qid", qid)
		w.blank("title", title)
		w.number("severity", severity)
		w.end()
	}
	if w.c.SelfSigned {
		add(38169, "SSL Certificate - Self-Signed Certificate", 2)
	}
	if p.OldProtocols {
		add(38628, "SSL/TLS Server supports TLSv1.0", 3)
	}
	w.b = append(w.b, ']')
}

// AppendInstance appends a server instance with the detail of its grade; false when the asset disappeared.
func (r *Reader) AppendInstance(dst []byte, c *Certificate, h CertificateHost, p *CertificateEndpoint, v *CertificateView) ([]byte, bool) {
	a, ok := r.CertificateAsset(h, v.Show)
	if !ok {
		return dst, false
	}
	w := &certificateWriter{encoder: encoder{dst}, v: v, r: r, c: c}
	w.item()
	w.number("id", p.ID)
	w.int("instance.port", int64(p.Port))
	w.date("instance.scannedDate", c.Updated)
	w.string("instance.protocol", p.Protocol)
	w.string("instance.service", p.Service)
	w.string("instance.grade", p.Grade)
	if w.shown("instance.asset") {
		w.open("asset")
		w.number("id", a.ID)
		w.string("asset.uuid", a.UUID)
		w.string("asset.name", a.Name)
		w.string("asset.primaryIp", a.Address.String())
		w.end()
	}
	if w.shown("instance.certificate") {
		w.open("certificate")
		w.number("id", c.ID)
		w.string("certificate.certhash", c.Hash())
		w.string("certificate.name", c.Subject.Name)
		w.int("certificate.lastFound", c.LastFound)
		w.end()
	}
	if w.shown("instance.gradeSummary") {
		w.gradeSummary(p)
	}
	w.end()
	return w.b, true
}

// flag is a member of the tables within the summary, in the vendor's words.
type flag struct {
	name string
	set  bool
}

func (w *certificateWriter) flags(name string, all ...flag) {
	w.open(name)
	for _, f := range all {
		w.boolean(f.name, f.set)
	}
	w.end()
}

// gradeSummary writes the members that public clients parse strictly.
func (w *certificateWriter) gradeSummary(p *CertificateEndpoint) {
	c, old := w.c, p.OldProtocols
	ignored, scores := p.Grade, [4]int64{100, 100, 90, 90}
	var warnings, errors []string
	switch {
	case p.Grade == "T" || p.Grade == "M":
		ignored = "A"
		errors = append(errors, "Certificate is not trusted")
		scores[0] = 0
	case c.KeyBits == 1024:
		scores[2] = 40
		warnings = append(warnings, "The key is weak")
	}
	if old {
		scores[1] = 70
		warnings = append(warnings, "The server supports TLS 1.0 and TLS 1.1")
	}
	w.open("gradeSummary")
	w.blank("grade", p.Grade)
	w.blank("gradeWithTrustIgnored", ignored)
	for i, name := range []string{"certificateScore", "protocolSupportScore", "keyExchangeScore", "cipherStrengthScore"} {
		w.number(name, scores[i])
	}
	w.strings("warnings", warnings)
	w.strings("errors", errors)
	w.strings("notices", nil)
	w.strings("infos", nil)
	w.strings("highlights", nil)
	w.flags("protocolSupportInfo", flag{"SSLv2", false}, flag{"SSLv3", false}, flag{"TLSv1", old}, flag{"TLSv1.1", old},
		flag{"TLSv1.2", true}, flag{"TLSv1.3", !old})
	w.number("protocolSupportWeightage", 30)
	w.flags("cipherStrengthInfo", flag{"< 128 bits (e.g., 40, 56)", old}, flag{"0 bits (no encryption)", false},
		flag{">= 256 bits (e.g., 256)", true}, flag{"< 256 bits (e.g., 128, 168)", true})
	w.number("cipherStrengthWeightage", 40)
	// An elliptic key of 256 bits counts as one of 3,072.
	bits := c.KeyBits
	if c.KeyAlgorithm == "EC" {
		bits = 3072
	}
	w.flags("keyExchangeInfo", flag{"Key or DH parameter strength < 2048 bits (e.g., 1024)", bits >= 1024 && bits < 2048},
		flag{"Key or DH parameter strength < 512 bits", false}, flag{"Weak key (Debian OpenSSL flaw)", false},
		flag{"Key or DH parameter strength < 4096 bits (e.g., 2048)", bits >= 2048 && bits < 4096},
		flag{"Key or DH parameter strength >= 4096 bits (e.g., 4096)", bits >= 4096}, flag{"Exportable key exchange", false},
		flag{"Anonymous key exchange (no authentication)", false},
		flag{"Key or DH parameter strength < 1024 bits (e.g., 512)", false})
	w.number("keyExchangeWeightage", 30)
	w.cipherSuites(p)
	w.end()
}
