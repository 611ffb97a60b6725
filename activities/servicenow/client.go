// Package servicenow is the client of one ServiceNow instance: authentication,
// the Identification and Reconciliation Engine (IRE), and table access.
//
//	Client ─▶ basic or OAuth (single flight) ─┬▶ IRE enhanced / query ─▶ payload.Answer
//	                                          ├▶ Table API, key-set paged ─▶ rows
//	                                          └▶ CMDB Meta ─▶ classes and their rules
//
// No cookies are kept: requests of one session wait for each other on the
// instance, and what exceeds its queue is dropped with status 202. The main
// question of every failure is whether a write may have happened all the same;
// Kind answers it. convert.go is the only file that knows the domain.
package servicenow

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qbridge/qbridge/activities/transport"
)

// Auth types.
const (
	AuthBasic             = "basic"
	AuthClientCredentials = "oauth-client-credentials"
	AuthPassword          = "oauth-password"
	AuthJWTBearer         = "oauth-jwt-bearer"
	AuthAPIKey            = "api-key"
	AuthMutualTLS         = "mutual-tls" // the transport holds the certificate
)

// Auth are the credentials of a connection.
type Auth struct {
	Type                   string
	Username, Password     string
	ClientID, ClientSecret string
	// PrivateKey signs the assertions of AuthJWTBearer (RSA, PEM), KeyID names it to
	// the instance; their subject is Username.
	PrivateKey, KeyID string
	APIKey            string
}

// Defaults of Config.
const (
	DefaultTimeout   = 120 * time.Second
	DefaultMaxAnswer = 64 << 20
)

// Config are the settings of a client.
type Config struct {
	Name            string // connection, for messages
	URL             string // https://<instance>.service-now.com
	Auth            Auth
	DiscoverySource string        // a choice of cmdb_ci.discovery_source; needed by IRE calls only
	Timeout         time.Duration // of a call, default 120 s
	MaxAnswer       int64         // bytes of an answer, decoded; default 64 MiB
	// Retries is how often a call is made again at once when the instance was not
	// there to process it; the caller tries again later, and everything.
	Retries   int
	Transport http.RoundTripper
	Now       func() time.Time
}

// Client calls one instance. It is safe for concurrent use.
type Client struct {
	cfg    Config
	http   *http.Client
	bodies sync.Pool // of *body, for payloads

	mu     sync.Mutex // guards the token and the login under way
	token  string
	stale  string // the token before, which an answer under way may still reflect
	until  time.Time
	flight *flight
}

// New returns a client; it makes no call. Errors name the connection and what is
// wrong, never a credential.
func New(cfg Config) (*Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxAnswer == 0 {
		cfg.MaxAnswer = DefaultMaxAnswer
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := errors.Join(checkURL(cfg.URL), checkAuth(cfg.Auth)); err != nil {
		return nil, fmt.Errorf("servicenow: connection %s: %w", cfg.Name, err)
	}
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	return &Client{cfg: cfg, http: &http.Client{
		Transport:     cfg.Transport,
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return errors.New("has no URL such as https://example.service-now.com")
	case u.User != nil:
		return errors.New("its URL holds credentials: write them under auth")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("its URL holds a query: write only https://host")
	}
	return nil
}

func checkAuth(a Auth) error {
	switch a.Type {
	case AuthBasic, AuthPassword:
		if a.Username == "" || a.Password == "" {
			return errors.New("has no user name or password")
		}
	case AuthClientCredentials:
	case AuthJWTBearer:
		if a.Username == "" || a.ClientID == "" {
			return errors.New("has no user name or client id")
		}
		_, err := signingKey(a.PrivateKey)
		return err
	case AuthAPIKey:
		if a.APIKey == "" {
			return errors.New("has no API key")
		}
		return nil
	case AuthMutualTLS:
		return nil
	default:
		return fmt.Errorf("has the unknown auth type %q", a.Type)
	}
	if a.Type != AuthBasic && (a.ClientID == "" || a.ClientSecret == "") {
		return errors.New("has no client id or secret")
	}
	return nil
}

// Meta is what an answer says beside its body.
type Meta struct {
	Status        int           // 0 when there was no answer
	Duration      time.Duration // until the body was read, with a login if one was needed
	TransactionID string        // X-Transaction-ID, for support
	Total         int           // X-Total-Count, -1 when missing
	Limits        transport.Limits
	ServerDate    time.Time // Date header, zero when missing
}

func (c *Client) metaOf(res *http.Response) Meta {
	m := Meta{Status: res.StatusCode, TransactionID: cut(res.Header.Get("X-Transaction-ID"), 64), Total: -1, Limits: limitsOf(res.Header, c.cfg.Now())}
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		m.ServerDate = at
	}
	if n, err := strconv.Atoi(res.Header.Get("X-Total-Count")); err == nil && n >= 0 {
		m.Total = n
	}
	return m
}

// limitsOf reads limit headers. ServiceNow writes X-RateLimit-Reset as an
// instant in Unix time where other vendors write seconds.
//
// Inbound REST API rate limiting: X-RateLimit-Limit, -Reset, -Rule, Retry-After.
func limitsOf(h http.Header, now time.Time) transport.Limits {
	if unix, err := strconv.ParseInt(strings.TrimSpace(h.Get("X-RateLimit-Reset")), 10, 64); err == nil && unix > 1e9 {
		h = h.Clone()
		h.Set("X-RateLimit-Reset", strconv.FormatInt(max(unix-now.Unix(), 0), 10))
	}
	return transport.ParseLimits(h, now)
}
