package servicenow

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/transport"
)

// flight is a login under way: one caller logs in, the others wait for it.
type flight struct {
	done  chan struct{}
	token string
	err   error
}

// authorize sets the Authorization header and returns the token used, which is
// empty where none is.
func (c *Client) authorize(ctx context.Context, req *http.Request) (string, error) {
	switch c.cfg.Auth.Type {
	case AuthBasic:
		req.SetBasicAuth(c.cfg.Auth.Username, c.cfg.Auth.Password)
		return "", nil
	case AuthAPIKey:
		req.Header.Set("x-sn-apikey", c.cfg.Auth.APIKey)
		return "", nil
	case AuthMutualTLS:
		return "", nil
	}
	token, err := c.bearer(ctx)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return token, nil
}

// bearer returns a valid token. However many callers need one, one login is
// made, and its refusal is everybody's: many refusals would lock the account. A
// caller that gave up meanwhile does not fail the others.
func (c *Client) bearer(ctx context.Context) (string, error) {
	for {
		c.mu.Lock()
		if c.cfg.Now().Before(c.until) {
			defer c.mu.Unlock()
			return c.token, nil
		}
		f := c.flight
		if f == nil {
			f = &flight{done: make(chan struct{})}
			c.flight = f
			c.mu.Unlock()
			return c.fly(ctx, f)
		}
		c.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", fmt.Errorf("servicenow: log in: %w", ctx.Err())
		}
		if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return f.token, f.err
		}
	}
}

func (c *Client) fly(ctx context.Context, f *flight) (string, error) {
	var life time.Duration
	f.token, life, f.err = c.login(ctx)
	c.mu.Lock()
	c.flight = nil
	if f.err == nil {
		c.stale, c.token, c.until = c.token, f.token, c.cfg.Now().Add(life)
	}
	c.mu.Unlock()
	close(f.done)
	return f.token, f.err
}

// drop forgets a token that was refused, unless another caller has replaced it.
func (c *Client) drop(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.until = time.Time{}
	}
}

// defaultLife is the life of a token whose answer names none.
const defaultLife = 5 * time.Minute

// login asks for a token and returns how long it is to be used: a tenth of its
// life, at most 30 s, is kept in reserve. While a token lives the instance
// answers with the same one, so a larger reserve would bring nothing.
//
// OAuth API: POST /oauth_token.do, form-encoded, grant_type client_credentials
// password or JWT bearer; the answer has access_token and expires_in (seconds, by default
// 1800). A refusal is 401 {"error":"server_error","error_description":…}. No
// refresh token is used: the credentials are at hand and do not end.
func (c *Client) login(ctx context.Context) (string, time.Duration, error) {
	a := c.cfg.Auth
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {a.ClientID}, "client_secret": {a.ClientSecret}}
	switch a.Type {
	case AuthPassword:
		form.Set("grant_type", "password")
		form.Set("username", a.Username)
		form.Set("password", a.Password)
	case AuthJWTBearer:
		assertion, err := c.assertion()
		if err != nil {
			return "", 0, err
		}
		form.Set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
		form.Set("assertion", assertion)
		if a.ClientSecret == "" {
			form.Del("client_secret")
		}
	}
	r := request{op: "log in"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL+"/oauth_token.do", strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, fmt.Errorf("servicenow: log in: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return "", 0, c.failed(ctx, r, Meta{}, err, true)
	}
	defer func() { _ = res.Body.Close() }()
	meta := c.metaOf(res)
	if res.StatusCode != http.StatusOK {
		return "", 0, c.loginRefused(r, res, meta)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   text   `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxErrorBody)).Decode(&answer); err != nil || answer.AccessToken == "" {
		return "", 0, &Error{Op: r.op, Status: res.StatusCode, Code: CodeNotJSON, Message: "the answer holds no token; is the URL right, is the instance awake?", kind: KindUnavailable}
	}
	life := time.Duration(answer.ExpiresIn.int()) * time.Second
	if life <= 0 || life > 24*time.Hour {
		life = defaultLife
	}
	return answer.AccessToken, life - min(life/10, 30*time.Second), nil
}

// loginRefused reads the refusal of a login: whatever the OAuth provider does
// not like about the request is a matter of the credentials.
func (c *Client) loginRefused(r request, res *http.Response, meta Meta) error {
	e := c.refused(r, res, meta)
	if e.kind == KindInvalidRequest || e.kind == KindForbidden {
		e.kind = KindUnauthorized
	}
	if e.kind == KindUnauthorized && c.cfg.Auth.Type == AuthClientCredentials {
		e.Detail = strings.TrimSpace(e.Detail + "; the instance needs glide.oauth.inbound.client.credential.grant_type.enabled and an OAuth application user")
	}
	return e
}

// redact removes credentials from a text that the instance or a proxy wrote.
func (c *Client) redact(s string) string {
	a := c.cfg.Auth
	c.mu.Lock()
	token, stale := c.token, c.stale
	c.mu.Unlock()
	return transport.Redact(s, []string{
		a.Password, a.ClientSecret, a.APIKey, a.PrivateKey, token, stale,
		base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password)),
	})
}
