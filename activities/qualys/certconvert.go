package qualys

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/domain/certs"
)

// CertificateResult is one certificate of a page. Err says why it cannot be
// understood; its fingerprint is there as far as it could be read.
type CertificateResult struct {
	ID          int64
	Fingerprint string
	Certificate *certs.Certificate // clean
	Err         error

	count int64 // assets that serve it, as the answer counts them
}

// Key names the certificate: by its fingerprint, else by Qualys' id.
func (r *CertificateResult) Key() string {
	if r.Fingerprint != "" {
		return r.Fingerprint
	}
	return "id-" + strconv.FormatInt(r.ID, 10)
}

type certAsset = certs.Asset

// decodeCertificates reads a list of certificates one by one. Only an answer that
// is cut off, or no list, is an error.
func decodeCertificates(r io.Reader) ([]CertificateResult, error) {
	var out []CertificateResult
	err := each(r, opCertificates, func(raw json.RawMessage) error {
		out = append(out, decodeCertificate(raw))
		return nil
	})
	return out, err
}

func decodeCertificate(raw json.RawMessage) CertificateResult {
	var known struct {
		ID   integer `json:"id"`
		Hash text    `json:"certhash"`
	}
	broken := func(err error) CertificateResult {
		var fe *FieldError
		if errors.As(within("certificate", err), &fe) {
			err = fe
		}
		return CertificateResult{ID: int64(known.ID), Fingerprint: certs.Fingerprint(string(known.Hash)), Err: err}
	}
	if err := json.Unmarshal(raw, &known); err != nil {
		return broken(err)
	}
	if len(raw) > maxAsset {
		return broken(&FieldError{Want: "at most " + strconv.Itoa(maxAsset) + " bytes", Got: strconv.Itoa(len(raw)) + " bytes"})
	}
	var w wireCertificate
	if err := json.Unmarshal(raw, &w); err != nil {
		return broken(guilty(raw, err))
	}
	c := w.convert()
	if err := certs.Clean(c); err != nil {
		return CertificateResult{ID: int64(known.ID), Err: err}
	}
	return CertificateResult{ID: c.ID, Fingerprint: c.Fingerprint, Certificate: c, count: int64(w.AssetCount)}
}

// guilty names the member that makes a certificate unreadable.
func guilty(raw json.RawMessage, err error) error {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		one, merr := json.Marshal(map[string]json.RawMessage{name: all[name]})
		if merr != nil {
			continue
		}
		if e := json.Unmarshal(one, new(wireCertificate)); e != nil {
			return within(name, e)
		}
	}
	return err
}

// together joins the results of one fingerprint: pages shift while they are read,
// and a certificate may be known under two ids. Their assets are all served.
func together(list []CertificateResult) []CertificateResult {
	at := map[string]int{}
	var out []CertificateResult
	for _, r := range list {
		i, seen := at[r.Key()]
		switch {
		case !seen:
			at[r.Key()] = len(out)
			out = append(out, r)
		case out[i].Err != nil && r.Err == nil:
			out[i] = r
		case r.Err == nil:
			have := map[int64]bool{}
			for _, a := range out[i].Certificate.Assets {
				have[a.ID] = true
			}
			for _, a := range r.Certificate.Assets {
				if !have[a.ID] {
					out[i].Certificate.Assets = append(out[i].Certificate.Assets, a)
				}
			}
			out[i].count = max(out[i].count, r.count)
		}
	}
	return out
}

// texts is a list of texts, or one in its place. What is no text is left out.
type texts []string

func (l *texts) UnmarshalJSON(b []byte) error {
	*l = nil
	switch b[0] {
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(b, &list); err != nil {
			return err
		}
		for _, raw := range list {
			var t text
			if t.UnmarshalJSON(raw) == nil && t != "" {
				*l = append(*l, string(t))
			}
		}
	case '{', 'n':
	default:
		var t text
		if err := t.UnmarshalJSON(b); err != nil {
			return err
		}
		if t != "" {
			*l = texts{string(t)}
		}
	}
	return nil
}

// wireCertificate is a certificate as CertView sends it, as far as it is used.
type wireCertificate struct {
	ID            integer         `json:"id"`
	Hash          text            `json:"certhash"`
	KeySize       integer         `json:"keySize"`
	Serial        text            `json:"serialNumber"`
	ValidTo       text            `json:"validTo"`
	ValidToDate   text            `json:"validToDate"`
	ValidFrom     text            `json:"validFrom"`
	ValidFromDate text            `json:"validFromDate"`
	Signature     text            `json:"signatureAlgorithm"`
	DN            text            `json:"dn"`
	Subject       wireCertName    `json:"subject"`
	Issuer        wireCertName    `json:"issuer"`
	Root          wireCertName    `json:"rootissuer"`
	SelfSigned    flag            `json:"selfSigned"`
	Type          text            `json:"type"`
	KeyUsage      texts           `json:"keyUsage"`
	Raw           text            `json:"rawData"`
	Names         wireCertAlso    `json:"subjectAlternativeNames"`
	AssetCount    integer         `json:"assetCount"`
	Assets        []wireCertAsset `json:"assets"`
}

type wireCertName struct {
	Name         text  `json:"name"`
	Organization text  `json:"organization"`
	Units        texts `json:"organizationUnit"`
	Locality     text  `json:"locality"`
	State        text  `json:"state"`
	Country      text  `json:"country"`
	Hash         text  `json:"certhash"`
}

// wireCertAlso are the further names: an object of lists, or a bare list.
type wireCertAlso struct{ DNS texts }

func (w *wireCertAlso) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return w.DNS.UnmarshalJSON(b)
	}
	var also struct {
		DNS texts `json:"dnsNames"`
	}
	err := json.Unmarshal(b, &also)
	w.DNS = also.DNS
	return err
}

type wireCertAsset struct {
	ID        integer        `json:"id"`
	Instances []wireInstance `json:"hostInstances"`
}

type wireInstance struct {
	Port      integer    `json:"port"`
	FQDN      text       `json:"fqdn"`
	Protocol  text       `json:"protocol"`
	Service   text       `json:"service"`
	Grade     text       `json:"grade"`
	Protocols texts      `json:"sslProtocols"`
	Ciphers   wireSuites `json:"cipherSuites"`
}

// wireSuites are the names of weak cipher suites: of an object of lists by protocol,
// or a bare list.
type wireSuites []string

func (w *wireSuites) UnmarshalJSON(b []byte) error {
	type suite struct {
		Name     text    `json:"name"`
		Strength integer `json:"encryptionKeyStrength"`
		Category text    `json:"category"`
	}
	var lists map[string][]suite
	switch b[0] {
	case '{':
		if err := json.Unmarshal(b, &lists); err != nil {
			return nil //nolint:nilerr // its form is not documented; a certificate is worth more than its ciphers
		}
	case '[':
		var list []suite
		if err := json.Unmarshal(b, &list); err != nil {
			return nil //nolint:nilerr // as above
		}
		lists = map[string][]suite{"": list}
	}
	for _, list := range lists {
		for _, s := range list {
			if c := strings.ToLower(string(s.Category)); c == "weak" || c == "insecure" || c == "" && s.Strength > 0 && s.Strength < weakBits {
				*w = append(*w, string(s.Name))
			}
		}
	}
	return nil
}

// weakBits is the strength below which a suite is weak that has no category.
const weakBits = 128

func (w *wireCertName) convert() certs.Name {
	return certs.Name{
		CommonName: string(w.Name), Organization: string(w.Organization), Units: w.Units, Locality: string(w.Locality), State: string(w.State),
		Country: string(w.Country), Fingerprint: string(w.Hash),
	}
}

func (w *wireCertificate) convert() *certs.Certificate {
	c := &certs.Certificate{
		ID: int64(w.ID), Fingerprint: string(w.Hash), Serial: string(w.Serial), KeySize: int64(w.KeySize), SignatureAlgorithm: string(w.Signature),
		ValidFrom: certs.Instant(string(w.ValidFrom), string(w.ValidFromDate)), ValidTo: certs.Instant(string(w.ValidTo), string(w.ValidToDate)),
		DN: string(w.DN), Subject: w.Subject.convert(), Issuer: w.Issuer.convert(), Root: w.Root.convert(), SelfSigned: bool(w.SelfSigned),
		Type: string(w.Type), KeyUsage: w.KeyUsage, DNSNames: w.Names.DNS, Raw: string(w.Raw), Assets: make([]certs.Asset, 0, len(w.Assets)),
	}
	for i := range w.Assets {
		c.Assets = append(c.Assets, w.Assets[i].convert())
	}
	return c
}

func (w *wireCertAsset) convert() certs.Asset {
	a := certs.Asset{ID: int64(w.ID)}
	for _, in := range w.Instances {
		a.Services = append(a.Services, certs.Service{
			Port: int64(in.Port), Protocol: string(in.Protocol), Name: string(in.Service), FQDN: string(in.FQDN), Grade: string(in.Grade),
			Protocols: in.Protocols, Weak: in.Ciphers,
		})
	}
	return a
}
