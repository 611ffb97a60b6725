package qualys

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Reader reads the assets of a subscription, whichever of its two APIs answers:
// Client asks CSAM, AMClient asks Asset Management & Tagging.
type Reader interface {
	Authenticate(ctx context.Context) error
	Count(ctx context.Context, q Query) (int64, Meta, error)
	Search(ctx context.Context, q Query) (*Page, Meta, error)
	Get(ctx context.Context, id int64) (*Result, Meta, error)
	Pages(ctx context.Context, q Query) iter.Seq2[*Page, error]
	PageSize() int
}

var (
	_ Reader = (*Client)(nil)
	_ Reader = (*AMClient)(nil)
)

// MaxAMPageSize is the largest page that Asset Management & Tagging serves.
const MaxAMPageSize = 1000

// defaultAMPageSize stands between the vendor's default of 100 and pages that
// take minutes.
const defaultAMPageSize = 300

// Format is the language that an AMClient speaks.
type Format int

// Formats. XML is what the API speaks unless told otherwise; JSON takes a quarter
// of the time or less to read.
const (
	FormatXML Format = iota
	FormatJSON
)

// AMClient reads host assets with the Asset Management & Tagging API v2, which
// needs no CSAM licence and knows less: see AMLosses. It is safe for concurrent
// use.
//
//	AMClient ─▶ POST …/search/am/hostasset ─▶ JSON, or XML as JSON ─▶ asset by asset ─▶ convert ─▶ asset.Asset
type AMClient struct {
	vendor Client // settings and errors; never its gateway
	format Format
	login  refusal
}

// refusal remembers refused credentials, which are not sent again for a while:
// many callers with a wrong password must not lock the account.
type refusal struct {
	mu  sync.Mutex
	err error
	at  time.Time
}

// NewAM returns a client; it makes no call. Of the configuration, the gateway is
// not used.
func NewAM(cfg Config, format Format) (*AMClient, error) {
	if cfg.PageSize == 0 {
		cfg.PageSize = defaultAMPageSize
	}
	if cfg.PageSize < 1 || cfg.PageSize > MaxAMPageSize {
		return nil, fmt.Errorf("qualys: page size %d is out of range: use 1 to %d", cfg.PageSize, MaxAMPageSize)
	}
	if format != FormatXML && format != FormatJSON {
		return nil, fmt.Errorf("qualys: connection %s: unknown format %d", cfg.Name, format)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 300 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Username == "" || cfg.Password == "" {
		return nil, fmt.Errorf("qualys: connection %s has no user name or password", cfg.Name)
	}
	if u, err := url.Parse(cfg.APIURL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("qualys: connection %s has no API URL", cfg.Name)
	}
	cfg.APIURL = strings.TrimRight(cfg.APIURL, "/")
	return &AMClient{format: format, vendor: Client{cfg: cfg, http: &http.Client{
		Transport: cfg.Transport,
		Timeout:   cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { // credentials never follow a redirect
			return http.ErrUseLastResponse
		},
	}}}, nil
}

// PageSize returns how many assets a page holds unless a query says otherwise.
func (c *AMClient) PageSize() int { return c.vendor.cfg.PageSize }

// Authenticate finds out whether the credentials are accepted. The API has no
// log-in, each call carries them; the cheapest one is a count of nothing. A right
// that is missing is no error here: Count and Search tell it.
func (c *AMClient) Authenticate(ctx context.Context) error {
	req := &amRequest{Filters: &amFilters{Criteria: []amCriterion{{Field: "id", Operator: "LESSER", Value: "1"}}}}
	_, _, err := c.count(ctx, "log in", req)
	var e *Error
	if errors.As(err, &e) && e.kind == KindInvalidRequest {
		return nil
	}
	return err
}

// Count returns the number of host assets that match.
//
// Qualys Asset Management & Tagging API v2: POST
// /qps/rest/2.0/count/am/hostasset.
func (c *AMClient) Count(ctx context.Context, q Query) (int64, Meta, error) {
	criteria, err := q.criteria()
	if err != nil {
		return 0, Meta{}, err
	}
	return c.count(ctx, "count assets", newAMRequest(0, criteria))
}

func (c *AMClient) count(ctx context.Context, op string, req *amRequest) (int64, Meta, error) {
	e := &amEnvelope{op: op, page: &Page{}}
	meta, err := c.call(ctx, e, http.MethodPost, "/qps/rest/2.0/count/am/hostasset", nil, req)
	if err == nil && !e.sawCount {
		err = unreadable(op, errors.New("the answer has no count"))
	}
	if err != nil {
		return 0, meta, err
	}
	return int64(e.count), meta, nil
}

// Search returns one page of host assets: those with an id above the cursor. An
// asset that cannot be understood is a Result with Err and never spoils its
// neighbours; a truncated answer is an error of the whole page.
//
// Qualys Asset Management & Tagging API v2: POST
// /qps/rest/2.0/search/am/hostasset, paged by the criterion "id GREATER" with
// lastId while hasMoreRecords is true. The conditions of a filter name criteria of
// this API (id, name, os, tagName …), and all of them must hold.
func (c *AMClient) Search(ctx context.Context, q Query) (*Page, Meta, error) {
	criteria, err := q.criteria()
	if err != nil {
		return nil, Meta{}, err
	}
	if q.Cursor > 0 {
		criteria = append(criteria, amCriterion{Field: "id", Operator: "GREATER", Value: strconv.FormatInt(q.Cursor, 10)})
	}
	size := q.PageSize
	if size == 0 {
		size = c.vendor.cfg.PageSize
	}
	v := url.Values{}
	if fields := amFields(q); fields != "" {
		v.Set("fields", fields)
	}
	e := &amEnvelope{op: "search assets", page: &Page{Next: q.Cursor}}
	meta, err := c.call(ctx, e, http.MethodPost, "/qps/rest/2.0/search/am/hostasset", v, newAMRequest(size, criteria))
	if err != nil {
		return nil, meta, err
	}
	if err := e.turn(); err != nil {
		return nil, meta, err
	}
	e.page.ServerDate = meta.ServerDate
	return e.page, meta, nil
}

// Get returns one host asset, or an error of kind KindNotFound. The vendor says
// the same of an asset that exists and is outside the user's scope: it is no proof
// that the asset is gone.
//
// Qualys Asset Management & Tagging API v2: GET
// /qps/rest/2.0/get/am/hostasset/{id}.
func (c *AMClient) Get(ctx context.Context, id int64) (*Result, Meta, error) {
	e := &amEnvelope{op: "get asset", page: &Page{}}
	meta, err := c.call(ctx, e, http.MethodGet, "/qps/rest/2.0/get/am/hostasset/"+strconv.FormatInt(id, 10), nil, nil)
	if err != nil {
		return nil, meta, err
	}
	if len(e.page.Results) == 0 {
		return nil, meta, &Error{Op: e.op, Status: meta.Status, Message: "there is no such asset", kind: KindNotFound}
	}
	if got := e.page.Results[0].ID; got != id || len(e.page.Results) > 1 {
		return nil, meta, unreadable(e.op, fmt.Errorf("asset %d was asked for, the answer holds %d assets, the first is %d", id, len(e.page.Results), got))
	}
	return &e.page.Results[0], meta, nil
}

// Pages iterates over all pages of a query. It ends with an error when a cursor
// does not advance.
func (c *AMClient) Pages(ctx context.Context, q Query) iter.Seq2[*Page, error] {
	return pages(ctx, q, c.Search)
}

// pages iterates over the pages that search returns.
func pages(ctx context.Context, q Query, search func(context.Context, Query) (*Page, Meta, error)) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		q, stuck := q, 0 // each iteration begins anew
		for {
			page, _, err := search(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			if page.HasMore && page.Next <= q.Cursor {
				if stuck++; stuck >= emptyPages {
					yield(nil, &CursorStuckError{Cursor: q.Cursor})
					return
				}
				continue
			}
			stuck = 0
			if !yield(page, nil) || !page.HasMore {
				return
			}
			q.Cursor = page.Next
		}
	}
}

// secrets are the texts that no error may repeat.
func (c *AMClient) secrets() []string {
	basic := c.vendor.cfg.Username + ":" + c.vendor.cfg.Password
	return append(c.vendor.secrets(), base64.StdEncoding.EncodeToString([]byte(basic)))
}

// drain reads the rest of an answer: the checksum of a compressed one comes after
// its last asset.
func drain(op string, r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return unreadable(op, err)
	}
	return nil
}
