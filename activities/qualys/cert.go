package qualys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/qbridge/qbridge/activities/transport"
)

// MaxCertificatePage is the largest page of certificates, and of the assets of one,
// that Certificate View serves.
const MaxCertificatePage = 200

// CertificateVersions are the versions of the list that have no end at 10,000
// certificates, the newest first.
var CertificateVersions = []string{"2.2", "2.1", "2"}

// CertificateReader reads Certificate View.
type CertificateReader interface {
	Certificates(ctx context.Context, q CertificateQuery) (*CertificatePage, Meta, error)
}

var _ CertificateReader = (*Client)(nil)

// CertificateQuery selects a page of certificates.
type CertificateQuery struct {
	Version string // one of CertificateVersions; empty: the newest that the gateway knows
	Page    int    // 0-based
	Size    int    // default MaxCertificatePage
	Type    string // Leaf, Intermediate, Root; empty: all
	// Details asks for protocols and ciphers, which make an answer many times as
	// large.
	Details bool
}

// CertificatePage is one page of certificates. Nothing says whether more follow:
// the list ends with an empty page.
type CertificatePage struct {
	Results []CertificateResult
	// Listed is how many certificates the answer had; those with one fingerprint
	// are one result.
	Listed     int
	Calls      int64
	ServerDate time.Time
}

// Certificates returns one page of certificates with all the assets that serve
// them, managed or not: where an answer holds only the first thousand, the rest is
// read from the certificate's own list. A certificate that cannot be understood is
// a result with Err and never spoils its neighbours.
//
// Qualys CertView API: POST /certview/v2.2/certificates ("list certificates"),
// pageNumber from 0, pageSize up to 200, an answer without an envelope. The token
// must have been asked for with permissions=true. Errors: 400 filter, 401 token, 403
// without the module, 404 for a version that the platform does not have.
func (c *Client) Certificates(ctx context.Context, q CertificateQuery) (*CertificatePage, Meta, error) {
	if q.Size == 0 {
		q.Size = MaxCertificatePage
	}
	if q.Size < 1 || q.Size > MaxCertificatePage || q.Page < 0 {
		return nil, Meta{}, refuse(opCertificates, "page %d of %d certificates is out of range", q.Page, q.Size)
	}
	out := &CertificatePage{}
	meta, err := c.certificates(ctx, q, out)
	if err != nil {
		return nil, meta, err
	}
	out.Listed, out.ServerDate = len(out.Results), meta.ServerDate
	out.Results = together(out.Results)
	for i := range out.Results {
		r := &out.Results[i]
		if r.Err != nil || r.count <= int64(len(r.Certificate.Assets)) {
			continue
		}
		if err := c.restOf(ctx, q, r, out); err != nil {
			return nil, meta, err
		}
	}
	return out, meta, nil
}

// Names of the calls, for messages.
const (
	opCertificates = "list certificates"
	opServedBy     = "list assets of a certificate"
)

// certificates reads a page; one that is too large is read in parts.
func (c *Client) certificates(ctx context.Context, q CertificateQuery, out *CertificatePage) (Meta, error) {
	meta, err := c.certificatePage(ctx, q, out)
	var large *transport.BodyTooLargeError
	if !errors.As(err, &large) || q.Size == 1 {
		return meta, err
	}
	parts := factor(q.Size)
	part := q
	part.Size = q.Size / parts
	for i := range parts {
		part.Page = q.Page*parts + i
		if meta, err = c.certificates(ctx, part, out); err != nil {
			return meta, err
		}
	}
	return meta, nil
}

// factor is the smallest number of equal parts that a page has.
func factor(n int) int {
	for f := 2; f < n; f++ {
		if n%f == 0 {
			return f
		}
	}
	return n
}

// certificatePage makes one call, with the newest version that the gateway knows
// unless the query names one.
func (c *Client) certificatePage(ctx context.Context, q CertificateQuery, out *CertificatePage) (Meta, error) {
	body, err := q.body()
	if err != nil {
		return Meta{}, err
	}
	return c.certs.first(&c.certs.version, len(CertificateVersions), q.Version == "", func(i int) (Meta, error) {
		version := q.Version
		if version == "" {
			version = CertificateVersions[i]
		}
		out.Calls++
		var page []CertificateResult
		meta, err := c.call(ctx, opCertificates, http.MethodPost, "/certview/v"+version+"/certificates", nil, body, func(r io.Reader) (err error) {
			page, err = decodeCertificates(r)
			return err
		})
		if err == nil {
			out.Results = append(out.Results, page...)
		}
		return meta, err
	})
}

// body is the request of a page. Fields are named as the API documents them.
func (q CertificateQuery) body() ([]byte, error) {
	type request struct {
		Filter   *Filter  `json:"filter,omitempty"`
		Page     int      `json:"pageNumber"`
		Size     int      `json:"pageSize"`
		Includes []string `json:"includes"`
		Assets   string   `json:"assetType"`
	}
	r := request{Page: q.Page, Size: q.Size, Assets: "ALL", Includes: []string{"EXTENSIVE_CERTIFICATE_INFO"}}
	if q.Details {
		r.Includes = append(r.Includes, "SSL_PROTOCOLS", "CIPHER_SUITES")
	}
	if q.Type != "" {
		r.Filter = &Filter{Conditions: []Condition{{Field: "certificate.type", Operator: "EQUALS", Value: q.Type}}, Operation: "AND"}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("qualys: %s: %w", opCertificates, err)
	}
	return b, nil
}

// certPaths remembers which of the documented forms of a call the gateway knows.
type certPaths struct {
	mu              sync.Mutex
	version, assets int
}

// first makes a call in the form that worked before, and while the gateway does not
// know it in the others, in their order. Which form works is kept in at, guarded by
// the lock of certPaths, which is never held during a call.
func (p *certPaths) first(at *int, forms int, choose bool, call func(form int) (Meta, error)) (Meta, error) {
	p.mu.Lock()
	known := *at
	p.mu.Unlock()
	order := []int{known}
	for i := range forms {
		if choose && i != known {
			order = append(order, i)
		}
	}
	var meta Meta
	var err error
	for _, i := range order {
		meta, err = call(i)
		var e *Error
		if errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed) {
			continue
		}
		if err == nil && choose {
			p.mu.Lock()
			*at = i
			p.mu.Unlock()
		}
		return meta, err
	}
	return meta, err
}

// assetPaths are the paths of the assets of a certificate. The guide and the notes
// of later releases name different ones.
var assetPaths = []string{"/certview/v2/certificates/%s/assets", "/certview/v1/certificates/%s/assets"}

// restOf reads the assets of a certificate from its own list and adds those that
// the certificate did not hold. A list that the gateway does not have makes the
// certificate a result with Err: half its relations would look like all.
//
// Qualys CertView API, "list assets for a certificate": POST
// /certview/v2/certificates/{certhash}/assets, pageNumber and pageSize as for
// certificates.
func (c *Client) restOf(ctx context.Context, q CertificateQuery, r *CertificateResult, out *CertificatePage) error {
	known := map[int64]bool{}
	for _, a := range r.Certificate.Assets {
		known[a.ID] = true
	}
	for page := 0; ; page++ {
		list, err := c.assetsOf(ctx, q, r.Fingerprint, page, out)
		var e *Error
		if errors.As(err, &e) && e.Kind() == KindInvalidRequest {
			r.Err = fmt.Errorf("its list of %d assets cannot be read: %w", r.count, err)
			return nil
		}
		if err != nil {
			return err
		}
		fresh := 0
		for _, a := range list {
			if !known[a.ID] {
				known[a.ID] = true
				fresh++
				r.Certificate.Assets = append(r.Certificate.Assets, a)
			}
		}
		if len(list) < MaxCertificatePage || page > 0 && fresh == 0 && int64(page*MaxCertificatePage) > r.count {
			return nil // at the end, or a list that never ends
		}
	}
}

func (c *Client) assetsOf(ctx context.Context, q CertificateQuery, fingerprint string, page int, out *CertificatePage) ([]certAsset, error) {
	q.Page, q.Size, q.Type = page, MaxCertificatePage, ""
	body, err := q.body()
	if err != nil {
		return nil, err
	}
	v := url.Values{"pageNumber": {strconv.Itoa(page)}, "pageSize": {strconv.Itoa(MaxCertificatePage)}, "assetType": {"ALL"}}
	var list []certAsset
	_, err = c.certs.first(&c.certs.assets, len(assetPaths), true, func(i int) (Meta, error) {
		out.Calls++
		return c.call(ctx, opServedBy, http.MethodPost, fmt.Sprintf(assetPaths[i], fingerprint), v, body, func(r io.Reader) error {
			list = nil
			return each(r, opServedBy, func(raw json.RawMessage) error {
				var w wireCertAsset
				if err := json.Unmarshal(raw, &w); err != nil {
					return unreadable(opServedBy, err)
				}
				list = append(list, w.convert())
				return nil
			})
		})
	})
	return list, err
}

// each reads a bare array element by element.
func each(r io.Reader, op string, use func(json.RawMessage) error) error {
	dec := json.NewDecoder(r)
	tok, err := dec.Token()
	if err != nil {
		return unreadable(op, err)
	}
	if tok != json.Delim('[') {
		return unreadable(op, fmt.Errorf("want a list, got %v", tok))
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return unreadable(op, err)
		}
		if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] == 'n' {
			continue
		}
		if err := use(raw); err != nil {
			return err
		}
	}
	if err := delim(dec, ']'); err != nil {
		return unreadable(op, err)
	}
	return nil
}
