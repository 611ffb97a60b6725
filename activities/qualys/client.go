// Package qualys holds the clients of the two Qualys APIs that have assets: the
// Global AssetView/CSAM API v2 (authenticate, count, search, get) and, in am*.go,
// Asset Management & Tagging v2. Reader is what they have in common.
//
//	Client   ─▶ token (single flight, 4 h) ─▶ POST …/search/am/asset ─▶ decode asset by asset ─▶ convert ─▶ asset.Asset
//	AMClient ─▶ basic authentication ─▶ POST …/search/am/hostasset ─▶ decode asset by asset ─┘
//
// Wire types stay in this package; convert.go is the only file that knows the
// domain.
package qualys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/transport"
)

// MaxPageSize is the largest page that the API serves.
const MaxPageSize = 300

// Config are the settings of a client.
type Config struct {
	Name       string // connection, for messages
	APIURL     string
	GatewayURL string
	// Auth is how to log in: "" or AuthPassword by user name and password,
	// AuthOAuth and AuthOIDC by a client of the subscription or of a user.
	Auth         string
	Username     string
	Password     string
	ClientID     string
	ClientSecret string
	// BusinessAppPath is where business applications are written, default
	// BusinessAppsUpdate.
	BusinessAppPath string
	PageSize        int           // default 300
	Timeout         time.Duration // of a call, default 300 s
	Transport       http.RoundTripper
	Now             func() time.Time
}

// Client calls one Qualys subscription. It is safe for concurrent use.
type Client struct {
	cfg   Config
	http  *http.Client
	token token
	certs certPaths
}

// New returns a client; it makes no call.
func New(cfg Config) (*Client, error) {
	if cfg.PageSize == 0 {
		cfg.PageSize = MaxPageSize
	}
	if cfg.PageSize < 1 || cfg.PageSize > MaxPageSize {
		return nil, fmt.Errorf("qualys: page size %d is out of range: use 1 to %d", cfg.PageSize, MaxPageSize)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 300 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.checkAuth(); err != nil {
		return nil, fmt.Errorf("qualys: connection %s %w", cfg.Name, err)
	}
	if u, err := url.Parse(cfg.GatewayURL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("qualys: connection %s has no gateway URL", cfg.Name)
	}
	cfg.GatewayURL = strings.TrimRight(cfg.GatewayURL, "/")
	c := &Client{cfg: cfg, http: &http.Client{
		Transport: cfg.Transport,
		Timeout:   cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { // credentials never follow a redirect
			return http.ErrUseLastResponse
		},
	}}
	return c, nil
}

// Ways to log in.
const (
	AuthPassword = "password"
	AuthOAuth    = "oauth" // a client of the subscription
	AuthOIDC     = "oidc"  // a client of a user
)

func (c *Config) checkAuth() error {
	switch c.Auth {
	case "", AuthPassword:
		if c.Username == "" || c.Password == "" {
			return errors.New("has no user name or password")
		}
	case AuthOAuth, AuthOIDC:
		if c.ClientID == "" || c.ClientSecret == "" {
			return errors.New("has no client id or secret")
		}
	default:
		return fmt.Errorf("has the unknown auth type %q", c.Auth)
	}
	return nil
}

// Query selects assets. Times are sent to the second, in UTC.
type Query struct {
	Cursor       int64 // lastSeenAssetId: only assets with a larger id
	PageSize     int   // default the client's
	UpdatedSince time.Time
	// ExcludeFields are sections that come back as null; never combined with
	// IncludeFields.
	ExcludeFields []string
	IncludeFields []string
	Filter        *Filter
}

// Filter is the v2 filter body: a flat list of conditions joined by AND or OR.
type Filter struct {
	Conditions []Condition `json:"filters"`
	Operation  string      `json:"operation"`
}

// Condition is one condition of a filter.
type Condition struct {
	Field    string `json:"field"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
}

// Meta is what an answer says beside its body.
type Meta struct {
	Status     int
	Limits     transport.Limits
	ServerDate time.Time // Date header, zero when missing
}

// Page is one page of assets, in ascending order of id.
type Page struct {
	Results    []Result
	Next       int64 // cursor of the next page
	HasMore    bool
	Count      int
	ServerDate time.Time
}

func (q Query) values(defaultSize int) url.Values {
	v := url.Values{}
	size := q.PageSize
	if size == 0 {
		size = defaultSize
	}
	v.Set("pageSize", strconv.Itoa(size))
	if q.Cursor > 0 {
		v.Set("lastSeenAssetId", strconv.FormatInt(q.Cursor, 10))
	}
	q.common(v)
	if fields := tokens(q.IncludeFields); fields != "" {
		v.Set("includeFields", fields)
	} else if fields := tokens(q.ExcludeFields); fields != "" {
		v.Set("excludeFields", fields)
	}
	return v
}

func (q Query) common(v url.Values) {
	if !q.UpdatedSince.IsZero() {
		v.Set("assetLastUpdated", q.UpdatedSince.UTC().Format("2006-01-02T15:04:05Z"))
	}
}

func tokens(fields []string) string {
	out := make([]string, 0, len(fields))
	for _, f := range fields {
		if t, ok := fieldTokens[f]; ok {
			f = t
		}
		out = append(out, f)
	}
	return strings.Join(out, ",")
}

func (q Query) body() ([]byte, error) {
	if q.Filter == nil || len(q.Filter.Conditions) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(q.Filter)
	if err != nil {
		return nil, fmt.Errorf("qualys: filter: %w", err)
	}
	return b, nil
}

// Count returns the number of assets that match.
//
// Qualys CSAM API v2: POST /rest/2.0/count/am/asset. Errors: 400 filter, 401
// token, 429 limit.
func (c *Client) Count(ctx context.Context, q Query) (int64, Meta, error) {
	v := url.Values{}
	q.common(v)
	body, err := q.body()
	if err != nil {
		return 0, Meta{}, err
	}
	var n int64
	meta, err := c.call(ctx, "count assets", http.MethodPost, "/rest/2.0/count/am/asset", v, body, func(r io.Reader) error {
		var e struct {
			Count   *integer `json:"count"`
			Code    text     `json:"responseCode"`
			Message text     `json:"responseMessage"`
		}
		if err := json.NewDecoder(r).Decode(&e); err != nil {
			return unreadable("count assets", err)
		}
		if err := envelope("count assets", string(e.Code), string(e.Message)); err != nil {
			return err
		}
		if e.Count == nil {
			return unreadable("count assets", errors.New("the answer has no count"))
		}
		n = int64(*e.Count)
		return nil
	})
	return n, meta, err
}

// Search returns one page of assets. An asset that cannot be understood is a
// Result with Err and never spoils its neighbours; a truncated answer is an
// error of the whole page.
//
// Qualys CSAM API v2: POST /rest/2.0/search/am/asset, parameters in the query
// string. 204 without a body means that nothing matches.
func (c *Client) Search(ctx context.Context, q Query) (*Page, Meta, error) {
	body, err := q.body()
	if err != nil {
		return nil, Meta{}, err
	}
	page := &Page{Next: q.Cursor}
	meta, err := c.call(ctx, "search assets", http.MethodPost, "/rest/2.0/search/am/asset", q.values(c.cfg.PageSize), body, func(r io.Reader) error {
		return decodePage(r, page)
	})
	if err != nil {
		return nil, meta, err
	}
	page.ServerDate = meta.ServerDate
	return page, meta, nil
}

// Get returns one asset, or an error of kind KindNotFound.
//
// Qualys CSAM API v2: GET /rest/2.0/get/am/asset?assetId=….
func (c *Client) Get(ctx context.Context, id int64) (*Result, Meta, error) {
	page := &Page{}
	v := url.Values{"assetId": {strconv.FormatInt(id, 10)}}
	meta, err := c.call(ctx, "get asset", http.MethodGet, "/rest/2.0/get/am/asset", v, nil, func(r io.Reader) error { return decodePage(r, page) })
	if err != nil {
		return nil, meta, err
	}
	if len(page.Results) == 0 {
		return nil, meta, &Error{Op: "get asset", Status: meta.Status, Message: "there is no such asset", kind: KindNotFound}
	}
	return &page.Results[0], meta, nil
}

// emptyPages is how often an empty page that promises more is asked for again.
const emptyPages = 3

// Pages iterates over all pages of a query. It ends with an error when a cursor
// does not advance.
func (c *Client) Pages(ctx context.Context, q Query) iter.Seq2[*Page, error] {
	return pages(ctx, q, c.Search)
}
