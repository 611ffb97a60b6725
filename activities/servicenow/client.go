// Package servicenow is the client of one ServiceNow instance: authentication,
// the Identification and Reconciliation Engine (IRE), and table reads.
//
//	Client ─▶ basic or OAuth (single flight) ─▶ IRE enhanced / query ─▶ payload.Answer
//	                                        └▶ Table API, key-set paged ─▶ rows
//
// No cookies are kept: requests of one session wait for each other on the
// instance. convert.go is the only file that knows the domain.
package servicenow

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/qbridge/qbridge/activities/transport"
)

// Auth types.
const (
	AuthBasic             = "basic"
	AuthClientCredentials = "oauth-client-credentials"
	AuthPassword          = "oauth-password"
)

// Auth are the credentials of a connection.
type Auth struct {
	Type                   string
	Username, Password     string
	ClientID, ClientSecret string
}

// Config are the settings of a client.
type Config struct {
	Name            string // connection, for messages
	URL             string
	Auth            Auth
	DiscoverySource string
	Timeout         time.Duration // of a call, default 120 s
	Transport       http.RoundTripper
	Now             func() time.Time
}

// Client calls one instance. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client

	mu    sync.Mutex // guards the token; one caller fetches it, the others wait
	token string
	until time.Time
}

// New returns a client; it makes no call.
func New(cfg Config) (*Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 120 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if u, err := url.Parse(cfg.URL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("servicenow: connection %s has no URL", cfg.Name)
	}
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	switch cfg.Auth.Type {
	case AuthBasic, AuthPassword:
		if cfg.Auth.Username == "" || cfg.Auth.Password == "" {
			return nil, fmt.Errorf("servicenow: connection %s has no user name or password", cfg.Name)
		}
	case AuthClientCredentials:
	default:
		return nil, fmt.Errorf("servicenow: connection %s has the unknown auth type %q", cfg.Name, cfg.Auth.Type)
	}
	if cfg.Auth.Type != AuthBasic && (cfg.Auth.ClientID == "" || cfg.Auth.ClientSecret == "") {
		return nil, fmt.Errorf("servicenow: connection %s has no client id or secret", cfg.Name)
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport:     cfg.Transport,
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Meta is what an answer says beside its body.
type Meta struct {
	Status        int
	TransactionID string // X-Transaction-ID, for support
	Total         int    // X-Total-Count, -1 when missing
	Limits        transport.Limits
}

// request is one call.
type request struct {
	op     string
	method string
	path   string
	query  url.Values
	body   []byte
	// writes marks calls that change something: when their answer is lost,
	// nobody knows whether they did.
	writes bool
}

// maxErrorBody bounds what is read of an error's body.
const maxErrorBody = 64 << 10

// call makes one call. A refused token is replaced once; a second refusal is
// final, so that no account is locked.
func (c *Client) call(ctx context.Context, r request, read func(io.Reader) error) (Meta, error) {
	meta, err := c.once(ctx, r, "", read)
	var e *Error
	if c.cfg.Auth.Type == AuthBasic || !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
		return meta, err
	}
	c.mu.Lock()
	stale := c.token
	c.mu.Unlock()
	return c.once(ctx, r, stale, read)
}

func (c *Client) once(ctx context.Context, r request, stale string, read func(io.Reader) error) (Meta, error) {
	u := c.cfg.URL + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, bytes.NewReader(r.body))
	if err != nil {
		return Meta{}, fmt.Errorf("servicenow: %s: %w", r.op, err)
	}
	req.Header.Set("Accept", "application/json")
	if len(r.body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := c.authorize(ctx, req, stale); err != nil {
		return Meta{}, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return Meta{}, c.failed(r, err)
	}
	defer func() { _ = res.Body.Close() }()
	meta := Meta{Status: res.StatusCode, TransactionID: res.Header.Get("X-Transaction-ID"), Total: -1, Limits: transport.ParseLimits(res.Header, c.cfg.Now())}
	if n := res.Header.Get("X-Total-Count"); n != "" {
		if _, err := fmt.Sscanf(n, "%d", &meta.Total); err != nil {
			meta.Total = -1
		}
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		return meta, c.refused(r, res)
	}
	br := bufio.NewReaderSize(res.Body, 64<<10)
	if err := sniff(r, br); err != nil {
		return meta, err
	}
	if err := read(br); err != nil {
		var ours *Error
		if errors.As(err, &ours) {
			return meta, err
		}
		return meta, c.failed(r, err)
	}
	return meta, nil
}

// sniff refuses answers that are not JSON: a hibernating instance and a login
// page come as HTML with status 200.
func sniff(r request, br *bufio.Reader) error {
	for {
		b, err := br.Peek(1)
		if err != nil {
			return lost(r, "the answer is empty")
		}
		switch b[0] {
		case ' ', '\t', '\r', '\n':
			_, _ = br.Discard(1) // peeked above
		case '{':
			return nil
		default:
			head, _ := br.Peek(512) // less is fine
			e := lost(r, "the answer is not JSON; a login, maintenance or hibernation page?")
			if bytes.Contains(bytes.ToLower(head), []byte("hibernat")) {
				e.kind, e.Message = KindUnavailable, "the instance hibernates: wake it up in the developer portal"
			}
			return e
		}
	}
}

// lost is the error of an answer that cannot be read: a write may have happened.
func lost(r request, message string) *Error {
	e := &Error{Op: r.op, Status: http.StatusOK, Message: message, kind: KindUnavailable}
	if r.writes {
		e.kind = KindUnknownOutcome
	}
	return e
}

// authorize sets the Authorization header.
func (c *Client) authorize(ctx context.Context, req *http.Request, stale string) error {
	if c.cfg.Auth.Type == AuthBasic {
		req.SetBasicAuth(c.cfg.Auth.Username, c.cfg.Auth.Password)
		return nil
	}
	token, err := c.bearer(ctx, stale)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// tokenMargin is how long before its end a token is replaced.
const tokenMargin = time.Minute

// bearer returns a valid token; stale is one that was just refused.
//
// OAuth: POST /oauth_token.do, form-encoded, grant_type client_credentials or
// password; the answer has access_token and expires_in (seconds).
func (c *Client) bearer(ctx context.Context, stale string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" && c.token != stale && c.cfg.Now().Before(c.until) {
		return c.token, nil
	}
	c.token = ""
	a := c.cfg.Auth
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {a.ClientID}, "client_secret": {a.ClientSecret}}
	if a.Type == AuthPassword {
		form.Set("grant_type", "password")
		form.Set("username", a.Username)
		form.Set("password", a.Password)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL+"/oauth_token.do", strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("servicenow: log in: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	login := request{op: "log in"}
	res, err := c.http.Do(req)
	if err != nil {
		return "", c.failed(login, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return "", c.refused(login, res)
	}
	var answer struct {
		AccessToken string      `json:"access_token"`
		ExpiresIn   json.Number `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxErrorBody)).Decode(&answer); err != nil || answer.AccessToken == "" {
		return "", &Error{Op: login.op, Status: res.StatusCode, Message: "the answer holds no token; is the URL right?", kind: KindUnavailable}
	}
	seconds, err := answer.ExpiresIn.Int64()
	if err != nil || seconds <= 0 {
		seconds = 300
	}
	c.token, c.until = answer.AccessToken, c.cfg.Now().Add(max(time.Duration(seconds)*time.Second-tokenMargin, time.Second))
	return c.token, nil
}

// failed turns a transport error into an Error.
func (c *Client) failed(r request, err error) error {
	var limited *transport.RateLimitedError
	var host *transport.HostNotAllowedError
	var uerr *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &limited):
		return &Error{Op: r.op, Message: limited.Error(), RetryAfter: limited.RetryAfter, kind: KindRateLimited}
	case errors.As(err, &host):
		return host
	case errors.As(err, &uerr): // its text repeats the URL
		err = uerr.Err
	}
	e := lost(r, transport.Redact(cut(err.Error()), c.secrets()))
	e.Status = 0
	return e
}

// refused turns an answer with another status into an Error.
func (c *Client) refused(r request, res *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody)) // a cut error body is as good as none
	e := &Error{Op: r.op, Status: res.StatusCode}
	var body struct {
		Error any `json:"error"`
	}
	if json.Unmarshal(raw, &body) == nil {
		switch v := body.Error.(type) {
		case string:
			e.Message = v
		case map[string]any:
			e.Message, _ = v["message"].(string)
			e.Detail, _ = v["detail"].(string)
		}
	}
	e.Message, e.Detail = transport.Redact(cut(e.Message), c.secrets()), transport.Redact(cut(e.Detail), c.secrets())
	e.kind = kindOf(r, res.StatusCode, e.Message+" "+e.Detail)
	if e.kind == KindRateLimited || e.kind == KindUnavailable {
		e.RetryAfter = transport.ParseLimits(res.Header, c.cfg.Now()).Wait
	}
	return e
}

func (c *Client) secrets() []string {
	return []string{c.cfg.Auth.Password, c.cfg.Auth.ClientSecret}
}

func kindOf(r request, status int, text string) Kind {
	switch {
	case status == http.StatusUnauthorized:
		return KindUnauthorized
	case status == http.StatusForbidden:
		return KindForbidden
	case status == http.StatusTooManyRequests:
		return KindRateLimited
	case status == http.StatusRequestEntityTooLarge, status == http.StatusBadRequest && strings.Contains(strings.ToLower(text), "content length"):
		return KindTooLarge
	case status == http.StatusServiceUnavailable: // refused before any work
		return KindUnavailable
	case status >= 500 || status < 400 || status == http.StatusRequestTimeout: // 202: queued and perhaps dropped
		if r.writes {
			return KindUnknownOutcome
		}
		return KindUnavailable
	default:
		return KindInvalidRequest
	}
}

const maxMessage = 200

func cut(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if utf8.RuneCountInString(s) > maxMessage {
		s = string([]rune(s)[:maxMessage]) + "…"
	}
	return s
}
