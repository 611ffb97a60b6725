package qualys

import (
	"bufio"
	"bytes"
	"cmp"
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

// Lifetime of a token, and how long before its end a new one is fetched.
const (
	tokenLifetime = 4 * time.Hour
	tokenMargin   = 5 * time.Minute
)

// maxErrorBody bounds what is read of an error's body.
const maxErrorBody = 64 << 10

// token is the JWT of the subscription. One caller fetches it, the others wait.
type token struct {
	mu    sync.Mutex
	value string
	until time.Time
	// refused is the last refused login, which is not repeated for a while: many
	// callers with a wrong password must not lock the account.
	refused   error
	refusedAt time.Time
}

// refusalHolds is how long a refused login is taken for final.
const refusalHolds = 30 * time.Second

// Authenticate fetches a token unless a valid one is at hand.
//
// Qualys gateway: POST /auth, form-encoded; the body of the answer is the bare
// JWT. 401 means wrong credentials. The call does not count against limits.
func (c *Client) Authenticate(ctx context.Context) error {
	_, err := c.bearer(ctx, "")
	return err
}

// bearer returns a valid token. stale is a token that was just refused: it is
// replaced once, however many callers saw the refusal.
func (c *Client) bearer(ctx context.Context, stale string) (string, error) {
	c.token.mu.Lock()
	defer c.token.mu.Unlock()
	if c.token.value != "" && c.token.value != stale && c.cfg.Now().Before(c.token.until) {
		return c.token.value, nil
	}
	if c.token.refused != nil && c.cfg.Now().Sub(c.token.refusedAt) < refusalHolds {
		return "", c.token.refused
	}
	c.token.value, c.token.refused = "", nil
	value, err := c.login(ctx)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.kind == KindUnauthorized {
			c.token.refused, c.token.refusedAt = err, c.cfg.Now()
		}
		return "", err
	}
	c.token.value, c.token.until = value, c.cfg.Now().Add(tokenLifetime-tokenMargin)
	return value, nil
}

// loginRequest asks for a token.
//
// Qualys OAuth guide, "generate authentication token": POST /auth/oauth or
// /auth/oidc with clientId and clientSecret as request headers.
func (c *Client) loginRequest(ctx context.Context) (*http.Request, error) {
	path, form := "/auth", url.Values{}
	client := c.cfg.Auth == AuthOAuth || c.cfg.Auth == AuthOIDC
	if client {
		path += "/" + c.cfg.Auth
	} else {
		form = url.Values{"username": {c.cfg.Username}, "password": {c.cfg.Password}, "token": {"true"}, "permissions": {"true"}}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.GatewayURL+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("qualys: log in: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client {
		req.Header.Set("clientId", c.cfg.ClientID)
		req.Header.Set("clientSecret", c.cfg.ClientSecret)
	}
	return req, nil
}

func (c *Client) login(ctx context.Context) (string, error) {
	req, err := c.loginRequest(ctx)
	if err != nil {
		return "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return "", c.failed("log in", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		return "", c.refused("log in", res)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if err != nil {
		return "", c.failed("log in", err)
	}
	value := tokenOf(raw)
	if strings.Count(value, ".") != 2 || strings.ContainsAny(value, " \r\n\t<>{}") {
		return "", &Error{Op: "log in", Status: res.StatusCode, Message: "the answer is not a token; is the gateway URL right?", kind: KindUnavailable}
	}
	return value, nil
}

// tokenOf reads a token: bare, quoted, or in an object.
func tokenOf(raw []byte) string {
	text := strings.TrimSpace(string(raw))
	var object struct {
		AccessToken string `json:"access_token"`
		Token       string `json:"token"`
	}
	if strings.HasPrefix(text, "{") && json.Unmarshal(raw, &object) == nil {
		text = cmp.Or(object.AccessToken, object.Token)
	}
	return strings.Trim(text, `"`)
}

// call makes one call with a token. A refused token is replaced once and the
// call made again; a second refusal is final, so that no account is locked.
func (c *Client) call(ctx context.Context, op, method, path string, query url.Values, body []byte, read func(io.Reader) error) (Meta, error) {
	return c.authorised(ctx, func(bearer string) (Meta, error) {
		return c.once(ctx, op, method, path, query, body, bearer, read)
	})
}

// authorised makes a call with a token, and once more with a new one.
func (c *Client) authorised(ctx context.Context, call func(bearer string) (Meta, error)) (Meta, error) {
	bearer, err := c.bearer(ctx, "")
	if err != nil {
		return Meta{}, err
	}
	meta, err := call(bearer)
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
		return meta, err
	}
	if bearer, err = c.bearer(ctx, bearer); err != nil {
		return meta, err
	}
	return call(bearer)
}

func (c *Client) once(ctx context.Context, op, method, path string, query url.Values, body []byte, bearer string, read func(io.Reader) error) (Meta, error) {
	u := c.cfg.GatewayURL + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return Meta{}, fmt.Errorf("qualys: %s: %w", op, err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return Meta{}, c.failed(op, err)
	}
	defer func() { _ = res.Body.Close() }()
	meta := Meta{Status: res.StatusCode, Limits: transport.ParseLimits(res.Header, c.cfg.Now())}
	if d, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		meta.ServerDate = d.UTC()
	}
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNoContent:
		return meta, nil // nothing matches: the empty result stands
	default:
		return meta, c.refused(op, res)
	}
	r := bufio.NewReaderSize(res.Body, 64<<10)
	if err := sniff(op, r); err != nil {
		return meta, err
	}
	err = read(r)
	if err == nil { // the checksum of a compressed answer comes after the last asset
		if _, err = io.Copy(io.Discard, r); err != nil {
			err = unreadable(op, err)
		}
	}
	if err != nil {
		var ours *Error
		if errors.As(err, &ours) {
			return meta, err
		}
		return meta, c.failed(op, err)
	}
	return meta, nil
}

// sniff refuses answers that are not JSON: maintenance pages and captive portals
// come with status 200.
func sniff(op string, r *bufio.Reader) error {
	for {
		b, err := r.Peek(1)
		if err != nil {
			return unreadable(op, errors.New("the answer is empty"))
		}
		switch b[0] {
		case ' ', '\t', '\r', '\n':
			_, _ = r.Discard(1) // peeked above
			continue
		case '{', '[':
			return nil
		}
		return &Error{Op: op, Status: http.StatusOK, Message: "the answer is not JSON; a maintenance page or a proxy may stand in between", kind: KindUnavailable}
	}
}

// envelope checks the responseCode of an answer with status 200.
func envelope(op, code, message string) error {
	if code == "" || strings.EqualFold(code, "SUCCESS") {
		return nil
	}
	kind := KindInvalidRequest
	switch strings.ToUpper(code) {
	case "INVALID_CREDENTIALS", "UNAUTHORIZED":
		kind = KindUnauthorized
	case "LIMIT_EXCEEDED":
		kind = KindRateLimited
	case "OTHER_ERROR", "INTERNAL_ERROR", "EVALUATION_PENDING":
		kind = KindUnavailable
	}
	return &Error{Op: op, Status: http.StatusOK, Code: code, Message: cut(message), kind: kind}
}

func unreadable(op string, err error) error {
	return &Error{Op: op, Status: http.StatusOK, Message: "the answer is cut off or not what the API documents", Err: err, kind: KindUnavailable}
}

// failed turns a transport error into an Error, keeping the typed ones.
func (c *Client) failed(op string, err error) error {
	var limited *transport.RateLimitedError
	var host *transport.HostNotAllowedError
	var large *transport.BodyTooLargeError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &limited):
		return &Error{Op: op, Message: limited.Error(), RetryAfter: limited.RetryAfter, kind: KindRateLimited}
	case errors.As(err, &host):
		return host
	case errors.As(err, &large):
		return &Error{Op: op, Message: large.Error(), Err: large, kind: KindUnavailable}
	}
	var uerr *url.Error
	if errors.As(err, &uerr) { // its text repeats the URL
		err = uerr.Err
	}
	return &Error{Op: op, Message: transport.Redact(cut(err.Error()), c.secrets()), kind: KindUnavailable}
}

// refused turns an answer with an error status into an Error.
func (c *Client) refused(op string, res *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody)) // a cut error body is as good as none
	e := &Error{Op: op, Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id"), kind: kindOf(res.StatusCode)}
	e.Code, e.Message = describe(raw)
	bearer := strings.TrimPrefix(res.Request.Header.Get("Authorization"), "Bearer ") // a vendor may echo it
	e.Message = transport.Redact(cut(e.Message), append(c.secrets(), bearer))
	if e.kind == KindRateLimited {
		e.RetryAfter = transport.ParseLimits(res.Header, c.cfg.Now()).Wait
	}
	if res.StatusCode == http.StatusConflict && strings.Contains(string(raw), "2003") { // registration incomplete: permanent
		e.kind = KindInvalidRequest
	}
	return e
}

func (c *Client) secrets() []string {
	return []string{c.cfg.Password}
}

func kindOf(status int) Kind {
	switch {
	case status == http.StatusUnauthorized:
		return KindUnauthorized
	case status == http.StatusTooManyRequests || status == http.StatusConflict:
		return KindRateLimited
	case status >= 500 || status == http.StatusRequestTimeout || status < 400:
		return KindUnavailable
	default:
		return KindInvalidRequest
	}
}

// describe reads the two shapes of error bodies; anything else gives nothing.
func describe(raw []byte) (code, message string) {
	var body struct {
		Error           any    `json:"error"`
		Message         string `json:"message"`
		ResponseCode    string `json:"responseCode"`
		ResponseMessage string `json:"responseMessage"`
		Exceptions      any    `json:"authentication_exceptions"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return "", ""
	}
	switch {
	case body.ResponseMessage != "":
		return body.ResponseCode, body.ResponseMessage
	case body.Message != "":
		return "", body.Message
	case body.Exceptions != nil:
		return "", "wrong user name or password"
	}
	return "", ""
}

// maxMessage bounds a vendor's text in an error.
const maxMessage = 200

func cut(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if utf8.RuneCountInString(s) > maxMessage {
		s = string([]rune(s)[:maxMessage]) + "…"
	}
	return s
}
