package qualys

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/fault"
)

// certIncludes are the parts of a record that come only when asked for.
var certIncludes = []string{"ASSET_INTERFACES", "SSL_PROTOCOLS", "CIPHER_SUITES", "VULNERABILITIES", "ASSET_TAGS", "EXTENSIVE_CERTIFICATE_INFO"}

// certExcludable are the paths that excludeFields may name, besides the members of these.
var certExcludable = []string{
	"certhash", "keySize", "serialNumber", "validToDate", "validTo", "validFromDate", "validFrom", "signatureAlgorithm",
	"publicKeyAlgorithm", "extendedValidation", "createdDate", "updateDate", "lastFound", "dn", "subject", "issuer", "rootissuer",
	"issuerCategory", "imported", "selfSigned", "type", "instanceCount", "assetCount", "sources", "keyUsage", "enhancedKeyUsage",
	"rawData", "subjectKeyIdentifier", "authKeyIdentifier", "subjectAlternativeNames", "assets", "name",
	"uuid", "netbiosName", "operatingSystem", "primaryIp", "hostInstances", "assetInterfaces", "tags",
}

// certQuery is a request of CertView.
type certQuery struct {
	filter               certFilter
	pageNumber, pageSize int
	include, hide        map[string]bool
	scope                estate.Scope
	keyAlgorithm         bool
	// text is what the request asks for but its page, to recognise the next page of the same list.
	text string
}

// refuseCert answers a request that is wrong. The bodies are not public; this is the gateway's.
func (s *Server) refuseCert(w http.ResponseWriter, r *http.Request, f *failure) {
	control.Note(r.Context(), f.message)
	s.spring(w, r, f.status, f.message)
}

// parseCert reads the body of a list; key names the member that holds the filter.
func (s *Server) parseCert(w http.ResponseWriter, r *http.Request, key string, keyAlgorithm bool) (certQuery, *failure) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return certQuery{}, &failure{http.StatusUnsupportedMediaType, "Content-Type '" + r.Header.Get("Content-Type") + "' is not supported"}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, filterMaximum))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return certQuery{}, &failure{http.StatusRequestEntityTooLarge, "Request body is too large"}
	}
	if err != nil {
		return certQuery{}, bad("Request body could not be read")
	}
	q, err := s.readCert(raw, key, keyAlgorithm)
	if err != nil {
		return q, bad(err.Error())
	}
	return s.checkCertPage(r, q)
}

// parseCertParams reads the query string of the list of assets.
func (s *Server) parseCertParams(r *http.Request) (certQuery, *failure) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return certQuery{}, bad("Invalid query string")
	}
	q := certQuery{pageSize: certDefaultPageSize, scope: estate.Managed, include: map[string]bool{}}
	for name, to := range map[string]*int{"pageNumber": &q.pageNumber, "pageSize": &q.pageSize} {
		if v := params.Get(name); v != "" {
			if *to, err = strconv.Atoi(v); err != nil {
				return q, bad("Invalid value for parameter: " + name)
			}
		}
	}
	if v := params.Get("assetType"); v != "" {
		q.scope = estate.Scope(v)
	}
	for v := range strings.SplitSeq(params.Get("includes"), ",") {
		q.include[v] = true
	}
	return s.checkCertPage(r, q)
}

// checkCertPage checks page and scope; what happens outside the range of pageSize is a setting. A page that the fault
// plan repeats is the one before.
func (s *Server) checkCertPage(r *http.Request, q certQuery) (certQuery, *failure) {
	switch {
	case q.pageNumber < 0 || q.pageNumber > 1<<31:
		return q, bad("Invalid value for field: pageNumber")
	case !slices.Contains([]estate.Scope{estate.Managed, estate.Unmanaged, estate.AllAssets}, q.scope):
		return q, bad("Invalid value for field: assetType")
	case q.pageSize >= 1 && q.pageSize <= certMaximumPageSize:
	case s.opts.PageSize == PageSizeClamp:
		q.pageSize = min(max(q.pageSize, 1), certMaximumPageSize)
	case s.opts.PageSize == PageSize416:
		return q, &failure{http.StatusRequestedRangeNotSatisfiable, "pageSize must be between 1 and 200"}
	default:
		return q, bad("pageSize must be between 1 and 200")
	}
	if f := fault.From(r.Context()); f != nil && f.Kind == fault.RepeatPage && q.pageNumber > 0 {
		q.pageNumber--
	}
	return q, nil
}

// readCert reads the members of a body by their exact names; others are ignored in silence.
func (s *Server) readCert(raw []byte, key string, keyAlgorithm bool) (certQuery, error) {
	q := certQuery{pageSize: certDefaultPageSize, scope: estate.Managed, include: map[string]bool{}, keyAlgorithm: keyAlgorithm}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(raw, &body); err != nil || body == nil {
		return q, refusal("Malformed JSON request")
	}
	for name, to := range map[string]*int{"pageNumber": &q.pageNumber, "pageSize": &q.pageSize} {
		if err := readNumber(body[name], to); err != nil {
			return q, refusal("Invalid value for field: " + name)
		}
	}
	var includes []string
	if err := readMember(body["includes"], &includes); err != nil {
		return q, refusal("Invalid value for field: includes")
	}
	for _, name := range includes {
		if !slices.Contains(certIncludes, name) {
			return q, refusal("Invalid value for field: includes")
		}
		q.include[name] = true
	}
	if err := readMember(body["assetType"], &q.scope); err != nil {
		return q, refusal("Invalid value for field: assetType")
	}
	var exclude string
	if err := readMember(body["excludeFields"], &exclude); err != nil {
		return q, refusal("Invalid value for field: excludeFields")
	}
	var err error
	if q.hide, err = s.certHidden(exclude); err != nil {
		return q, err
	}
	q.filter, err = parseCertFilter(body[key], keyAlgorithm, s.opts.CertView.Fields == FieldAccepted)
	q.text = string(q.scope) + " " + string(body[key])
	return q, err
}

// readMember reads a member that may be absent or null.
func readMember(raw json.RawMessage, to any) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	return json.Unmarshal(raw, to)
}

// readNumber reads a number, or a number as text, which a public client sends.
func readNumber(raw json.RawMessage, to *int) error {
	var text string
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		*to = n
		return err
	}
	return readMember(raw, to)
}

// certHidden reads excludeFields.
func (s *Server) certHidden(exclude string) (map[string]bool, error) {
	hide := map[string]bool{}
	for path := range strings.SplitSeq(exclude, ",") {
		path = strings.TrimSpace(path)
		if path == "" {
			continue
		}
		group, member, _ := strings.Cut(path, ".")
		top, _, _ := strings.Cut(member, ".")
		known := (group == "certificate" || group == "asset") && slices.Contains(certExcludable, top)
		if !known && s.opts.UnknownField == FieldRejected {
			return nil, refusal("Invalid field: " + path)
		}
		if known {
			hide[path] = true
		}
	}
	return hide, nil
}

// certPlace is where a page begins: an index of certificates, and the number of instances of it that went before.
type certPlace struct{ slot, number int }

// certPages remembers where the next pages of recent lists begin, so that reading page after page costs one walk over
// the certificates and not one per page. A place is forgotten when the estate changes.
type certPages struct {
	mu     sync.Mutex
	places map[[sha256.Size]byte]certPlace
}

// certPagesKept bounds the memory: some 200 KB.
const certPagesKept = 4096

// find returns where to begin, how many items to pass over from there, and what is to be called with the place behind
// the page. A volatile list is never remembered: it depends on tags that change at any time.
func (p *certPages) find(e *estate.Estate, q *certQuery, endpoint string, volatile bool) (certPlace, int, func(certPlace)) {
	skip := q.pageNumber * q.pageSize
	if volatile {
		return certPlace{}, skip, func(certPlace) {}
	}
	generation, size := e.Generation(), e.Size()
	key := func(page int) [sha256.Size]byte {
		return sha256.Sum256(fmt.Appendf(nil, "%s %d %d %d %d %s", endpoint, generation, size, q.pageSize, page, q.text))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	place, known := p.places[key(q.pageNumber)]
	if known {
		skip = 0
	}
	return place, skip, func(next certPlace) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if e.Generation() != generation || e.Size() != size {
			return
		}
		if p.places == nil || len(p.places) >= certPagesKept {
			p.places = map[[sha256.Size]byte]certPlace{}
		}
		p.places[key(q.pageNumber+1)] = next
	}
}
