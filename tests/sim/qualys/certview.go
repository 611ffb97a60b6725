package qualys

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/fault"
)

// CertViewOptions are the behaviours of CertView that public documents leave open. The zero value is the stricter
// reading of each.
type CertViewOptions struct {
	// Window says what v1 answers behind its 10,000 results: WindowEmpty or Window400.
	Window Choice
	// Fields says whether a filter may name fields of which no document is public: FieldRejected or FieldAccepted.
	Fields Choice
	// Permissions says whether a token needs permissions=true at its sign-in: PermissionsRequired or PermissionsIgnored.
	Permissions Choice
	// Dates is the form of instants that are texts.
	Dates estate.DateForm
	// Assets bounds the list of assets within the record of a certificate; 1,000 when zero, no bound when negative.
	Assets int
	// AssetsPath is the path of the list of assets of a certificate; {id} stands for its id or fingerprint.
	AssetsPath string
}

// Choices for CertViewOptions.
const (
	WindowEmpty         Choice = "empty"
	Window400           Choice = "400"
	FieldAccepted       Choice = "accepted"
	PermissionsRequired Choice = "required"
	PermissionsIgnored  Choice = "ignored"
)

const (
	certViewPrefix    = "/certview/"
	certAssetsPath    = "/certview/v2/certificates/{id}/assets"
	certInstancesPath = "/certview/v2/instances"
	// certWindow is the number of results behind which v1 shows nothing.
	certWindow          = 10_000
	certAssetsInRecord  = 1000
	certDefaultPageSize = 10
	certMaximumPageSize = 200
)

// The names of endpoints in statistics, limits and fault rules; a version follows the first.
const (
	endpointCertificates  = "certview.certificates."
	endpointCertAssets    = "certview.assets"
	endpointCertInstances = "certview.instances"
)

type certVersion struct {
	path, name             string
	keyAlgorithm, windowed bool
}

// certVersions are the versions of the list. v2.1 brought publicKeyAlgorithm; what v2.2 added is not public.
var certVersions = []certVersion{
	{"/certview/v1/certificates", "v1", false, true},
	{"/certview/v2/certificates", "v2", false, false},
	{"/certview/v2.1/certificates", "v2.1", true, false},
	{"/certview/v2.2/certificates", "v2.2", true, false},
}

// Set reads settings as key=value, separated by commas: window, fields, permissions, dates, assets, path.
func (o *CertViewOptions) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "window":
			o.Window = Choice(value)
		case "fields":
			o.Fields = Choice(value)
		case "permissions":
			o.Permissions = Choice(value)
		case "dates":
			o.Dates = estate.DateForm(value)
		case "assets":
			n, err := strconv.Atoi(value)
			if err != nil {
				return fmt.Errorf("qualys: certview: assets: %w", err)
			}
			o.Assets = n
		case "path":
			o.AssetsPath = value
		default:
			return fmt.Errorf("qualys: certview: unknown setting %q, want window, fields, permissions, dates, assets or path", key)
		}
	}
	checked := *o
	return checked.fill()
}

// fill sets what was left out and refuses what is no choice.
func (o *CertViewOptions) fill() error {
	for _, c := range []struct {
		name    string
		value   *Choice
		allowed []Choice
	}{
		{"window", &o.Window, []Choice{WindowEmpty, Window400}},
		{"fields", &o.Fields, []Choice{FieldRejected, FieldAccepted}},
		{"permissions", &o.Permissions, []Choice{PermissionsRequired, PermissionsIgnored}},
	} {
		if *c.value == "" {
			*c.value = c.allowed[0]
		}
		if !slices.Contains(c.allowed, *c.value) {
			return fmt.Errorf("qualys: certview: %s %q, want one of %v", c.name, *c.value, c.allowed)
		}
	}
	if o.Dates == "" {
		o.Dates = estate.MixedDates
	}
	if !slices.Contains([]estate.DateForm{estate.MixedDates, estate.OffsetDates, estate.ZuluDates}, o.Dates) {
		return fmt.Errorf("qualys: certview: dates %q, want mixed, offset or zulu", o.Dates)
	}
	if o.AssetsPath == "" {
		o.AssetsPath = certAssetsPath
	}
	if !strings.HasPrefix(o.AssetsPath, certViewPrefix) || strings.Count(o.AssetsPath, "{id}") != 1 {
		return fmt.Errorf("qualys: certview: path %q, want one below %s with {id}", o.AssetsPath, certViewPrefix)
	}
	switch {
	case o.Assets == 0:
		o.Assets = certAssetsInRecord
	case o.Assets < 0:
		o.Assets = 0
	}
	return nil
}

// endpointOf names a request, those of CertView included, one path of which is a setting.
func (s *Server) endpointOf(r *http.Request) string {
	if name := s.certEndpoint(r.URL.Path); name != "" {
		return name
	}
	return endpoint(r)
}

// certEndpoint names a call of CertView; empty when it is none that exists.
func (s *Server) certEndpoint(path string) string {
	for _, v := range certVersions {
		if path == v.path {
			return endpointCertificates + v.name
		}
	}
	if path == certInstancesPath {
		return endpointCertInstances
	}
	if _, ok := s.certAssetsOf(path); ok {
		return endpointCertAssets
	}
	return ""
}

// certAssetsOf returns the certificate that a path asks the assets of.
func (s *Server) certAssetsOf(path string) (string, bool) {
	before, after, _ := strings.Cut(s.opts.CertView.AssetsPath, "{id}")
	id, ok := strings.CutPrefix(path, before)
	if !ok || !strings.HasSuffix(id, after) {
		return "", false
	}
	id = strings.TrimSuffix(id, after)
	return id, id != "" && !strings.Contains(id, "/")
}

// mountCertView adds everything below /certview/. Paths that no document names are 404: there is no count and no list of
// authorities.
func (s *Server) mountCertView(mux *http.ServeMux) {
	mux.HandleFunc(certViewPrefix, func(w http.ResponseWriter, r *http.Request) {
		name := s.certEndpoint(r.URL.Path)
		switch name {
		case "":
			s.spring(w, r, http.StatusNotFound, "No static resource "+trimSlash(r.URL.Path)+".")
		case endpointCertInstances:
			s.verbs(s.certGuarded(s.certInstances), http.MethodPost)(w, r)
		case endpointCertAssets:
			s.verbs(s.certGuarded(s.certAssets), http.MethodGet, http.MethodPost)(w, r)
		default:
			s.verbs(s.certGuarded(s.certificates), http.MethodPost)(w, r)
		}
	})
}

// certGuarded lets a call through whose token was made with permissions=true.
func (s *Server) certGuarded(h http.HandlerFunc) http.HandlerFunc {
	return s.guarded(func(w http.ResponseWriter, r *http.Request) {
		if s.opts.CertView.Permissions == PermissionsRequired && !permitted(r.Header.Get("Authorization")) {
			control.Note(r.Context(), "the token was made without permissions=true")
			s.spring(w, r, http.StatusForbidden, "Access Denied")
			return
		}
		h(w, r)
	})
}

// permitted tells whether a token, found valid before, carries permission claims.
func permitted(authorization string) bool {
	parts := strings.Split(authorization, ".")
	if len(parts) != 3 {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c claims
	return err == nil && json.Unmarshal(raw, &c) == nil && len(c.Permissions) > 0
}

// certView is what a request wants to see of a certificate.
func (s *Server) certView(q *certQuery) *estate.CertificateView {
	return &estate.CertificateView{
		Interfaces: q.include["ASSET_INTERFACES"], Protocols: q.include["SSL_PROTOCOLS"], Ciphers: q.include["CIPHER_SUITES"],
		Vulnerabilities: q.include["VULNERABILITIES"], Tags: q.include["ASSET_TAGS"],
		Extensive: q.include["EXTENSIVE_CERTIFICATE_INFO"], KeyAlgorithm: q.keyAlgorithm, Hide: q.hide, Scope: q.scope,
		MostAssets: s.opts.CertView.Assets, Dates: s.opts.CertView.Dates, Show: s.tags.show,
	}
}

// certList collects the items of a bare array, with the place where each begins.
type certList struct {
	body   []byte
	starts []int
}

// begin marks where an item begins, with the comma before it.
func (l *certList) begin() { l.starts = append(l.starts, len(l.body)) }

// drop takes back an item that came to nothing.
func (l *certList) drop() {
	l.body = l.body[:l.starts[len(l.starts)-1]]
	l.starts = l.starts[:len(l.starts)-1]
}

// send writes the array; a page that shifted lacks its first items, but one.
func (l *certList) send(s *Server, w http.ResponseWriter, r *http.Request, endpoint string) {
	body, n := l.body, len(l.starts)
	if f := fault.From(r.Context()); f != nil && f.Kind == fault.ShiftPage && n > 1 {
		lost := min(1+int(f.Roll%3), n-1)
		body, n = body[l.starts[lost]+1:], n-lost
	}
	s.recorder.AddItems(endpoint, n)
	writePage(w, "[", body, "]")
}

// certificates serves the list of certificates (CertView API guide, list certificates): a bare array, ascending by id
// here, which no document promises.
func (s *Server) certificates(w http.ResponseWriter, r *http.Request) {
	version := certVersions[slices.IndexFunc(certVersions, func(v certVersion) bool { return v.path == r.URL.Path })]
	q, refused := s.parseCert(w, r, "filter", version.keyAlgorithm)
	size := q.pageSize
	if refused == nil && version.windowed {
		if q.pageNumber*q.pageSize >= certWindow && s.opts.CertView.Window == Window400 {
			refused = bad("Result window is too large, it must be less than or equal to 10000")
		}
		size = min(size, max(0, certWindow-q.pageNumber*q.pageSize))
	}
	if refused != nil {
		s.refuseCert(w, r, refused)
		return
	}
	control.Note(r.Context(), "page "+strconv.Itoa(q.pageNumber))
	if !s.pause(r.Context()) {
		return
	}
	var list certList
	x := s.certSubject(&q)
	view := s.certView(&q)
	from, skip, remember := s.certPages.find(s.estate, &q, s.endpointOf(r), q.filter.tags && s.tags.touched.Load())
	for slot := from.slot; size > 0 && slot < s.estate.CertificateSlots(); slot++ {
		if slot%1024 == 0 && r.Context().Err() != nil {
			return
		}
		c, ok := s.estate.Certificate(slot)
		if !ok || !x.match(c) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		list.begin()
		list.body = x.reader.AppendCertificate(list.body, c, view)
		if len(list.starts) == size {
			remember(certPlace{slot: slot + 1})
			break
		}
	}
	list.send(s, w, r, endpointCertificates+version.name)
}

// certAssets serves the assets of one certificate. The call is documented, its path and its paging are not.
func (s *Server) certAssets(w http.ResponseWriter, r *http.Request) {
	q, refused := s.parseCertParams(r)
	id, _ := s.certAssetsOf(r.URL.Path)
	if refused != nil {
		s.refuseCert(w, r, refused)
		return
	}
	c := s.certByKey(id)
	if c == nil {
		s.spring(w, r, http.StatusNotFound, "Certificate not found: "+id)
		return
	}
	control.Note(r.Context(), "page "+strconv.Itoa(q.pageNumber))
	if !s.pause(r.Context()) {
		return
	}
	var list certList
	reader, view, skip := s.estate.Reader(), s.certView(&q), q.pageNumber*q.pageSize
	c.EachHost(q.scope, func(h estate.CertificateHost) bool {
		if skip > 0 {
			skip--
			return true
		}
		list.begin()
		var shown bool
		if list.body, shown = reader.AppendCertificateAsset(list.body, c, h, view); !shown {
			list.drop()
		}
		return len(list.starts) < q.pageSize
	})
	list.send(s, w, r, endpointCertAssets)
}

// certByKey finds a certificate by its id or by its fingerprint.
func (s *Server) certByKey(key string) *estate.Certificate {
	if id, err := strconv.ParseInt(key, 10, 64); err == nil && len(key) < 64 {
		if c, ok := s.estate.CertificateByID(id); ok {
			return c
		}
		return nil
	}
	for slot := range s.estate.CertificateSlots() {
		if c, ok := s.estate.Certificate(slot); ok && len(key) == 64 && c.Hash() == strings.ToLower(key) {
			return c
		}
	}
	return nil
}

// certInstances serves the server instances with the detail of their grades.
func (s *Server) certInstances(w http.ResponseWriter, r *http.Request) {
	q, refused := s.parseCert(w, r, "filterRequest", false)
	if refused != nil {
		s.refuseCert(w, r, refused)
		return
	}
	control.Note(r.Context(), "page "+strconv.Itoa(q.pageNumber))
	if !s.pause(r.Context()) {
		return
	}
	var list certList
	x := s.certSubject(&q)
	view := s.certView(&q)
	from, skip, remember := s.certPages.find(s.estate, &q, s.endpointOf(r), q.filter.tags && s.tags.touched.Load())
	for slot := from.slot; slot < s.estate.CertificateSlots() && len(list.starts) < q.pageSize; slot++ {
		if slot%1024 == 0 && r.Context().Err() != nil {
			return
		}
		c, ok := s.estate.Certificate(slot)
		if !ok {
			continue
		}
		number := 0
		x.eachEndpoint(c, func(h estate.CertificateHost, p *estate.CertificateEndpoint) bool {
			number++
			if slot == from.slot && number <= from.number || !x.matchEndpoint(c, h, p) {
				return true
			}
			if skip > 0 {
				skip--
				return true
			}
			list.begin()
			var shown bool
			if list.body, shown = x.reader.AppendInstance(list.body, c, h, p, view); !shown {
				list.drop()
			}
			if len(list.starts) == q.pageSize {
				remember(certPlace{slot: slot, number: number})
			}
			return len(list.starts) < q.pageSize
		})
	}
	list.send(s, w, r, endpointCertInstances)
}
