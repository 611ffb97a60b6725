package access_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/worker/console/access"
)

const password = "a password that is long"

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time        { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) pass(d time.Duration)  { c.mu.Lock(); c.now = c.now.Add(d); c.mu.Unlock() }
func (c *clock) set(t time.Time)       { c.mu.Lock(); c.now = t; c.mu.Unlock() }
func newClock() *clock                 { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }
func answered(w http.ResponseWriter)   { _, _ = io.WriteString(w, "done") }
func text(res *http.Response) string   { b, _ := io.ReadAll(res.Body); return string(b) }
func closed(res *http.Response) string { defer func() { _ = res.Body.Close() }(); return text(res) }

// door is a gate before a page and a form.
type door struct {
	t     *testing.T
	store store.Store
	clock *clock
	srv   *httptest.Server
	forms int
}

func newDoor(t *testing.T, change func(*access.Options)) *door {
	t.Helper()
	db, err := sql.Open(context.Background(), filepath.Join(t.TempDir(), "q.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	d := &door{t: t, store: db, clock: newClock()}
	o := access.Options{
		Store: db, Token: "secret-token", Now: d.clock.Now, Log: zerolog.Nop(),
		SignInPage: func(w http.ResponseWriter, _ *http.Request, v access.SignIn) {
			w.WriteHeader(v.Status)
			_ = json.NewEncoder(w).Encode(v)
		},
		Refused: func(w http.ResponseWriter, _ *http.Request, status int, message, _ string) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, message)
		},
	}
	if change != nil {
		change(&o)
	}
	gate, err := access.New(o)
	require.NoError(t, err)
	mux := http.NewServeMux()
	gate.Routes(mux)
	mux.Handle("GET /page", gate.Need(access.VerbRead, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, access.From(r.Context()).Name+" "+access.CSRF(r.Context()))
	}))
	mux.Handle("POST /form", gate.Need(access.VerbRun, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, "too much", http.StatusRequestEntityTooLarge)
			return
		}
		d.forms++
		answered(w)
	}))
	d.srv = httptest.NewServer(gate.Guard(mux))
	t.Cleanup(d.srv.Close)
	return d
}

// browser is a browser that follows no redirect.
func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (d *door) account(name string, roles ...access.Role) {
	require.NoError(d.t, access.SetPassword(context.Background(), d.store, name, password, roles...))
}

// signedIn returns a browser of somebody with a role, and the token of the session.
func (d *door) signedIn(role access.Role) (*http.Client, string) {
	d.t.Helper()
	d.account(string(role), role)
	b := browser(d.t)
	res := d.post(b, "/sign-in", url.Values{"name": {string(role)}, "password": {password}}, nil)
	require.Equal(d.t, http.StatusSeeOther, res.StatusCode, closed(res))
	return b, strings.Fields(closed(d.get(b, "/page", nil)))[1]
}

func (d *door) do(b *http.Client, method, path, body string, header map[string]string) *http.Response {
	d.t.Helper()
	req, err := http.NewRequest(method, d.srv.URL+path, strings.NewReader(body))
	require.NoError(d.t, err)
	req.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := b.Do(req)
	require.NoError(d.t, err)
	return res
}

func (d *door) get(b *http.Client, path string, header map[string]string) *http.Response {
	return d.do(b, http.MethodGet, path, "", header)
}

func (d *door) post(b *http.Client, path string, form url.Values, header map[string]string) *http.Response {
	return d.do(b, http.MethodPost, path, form.Encode(), header)
}

func TestWhoeverIsNotSignedInIsSentToSignIn(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	b := browser(t)
	res := d.get(b, "/page?x=1", nil)
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, "/sign-in?next=%2Fpage%3Fx%3D1", res.Header.Get("Location"))
	require.Equal(t, http.StatusUnauthorized, d.get(b, "/page", map[string]string{"Accept": "application/json"}).StatusCode)
	require.Equal(t, http.StatusUnauthorized, d.get(b, "/page", map[string]string{"HX-Request": "true"}).StatusCode)
	require.Equal(t, http.StatusUnauthorized, d.post(b, "/form", nil, nil).StatusCode)
	require.Contains(t, closed(d.get(b, "/page", map[string]string{"Sec-Fetch-Site": "cross-site"})), `http-equiv="refresh"`, "a link from elsewhere brings no cookie")
	for _, h := range []string{"Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy"} {
		require.NotEmpty(t, res.Header.Get(h), h)
	}
	require.Contains(t, closed(d.get(b, "/sign-in", nil)), `"Password":false`, "nobody has a password yet")
}

func TestSigningInLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	d.account("ann", access.Viewer)
	for next, want := range map[string]string{
		"/runs?x=1": "/runs?x=1", "https://evil.example/": "/", "//evil.example": "/", "/\\evil.example": "/", "": "/", "javascript:alert(1)": "/", "runs": "/", "/\r\nSet-Cookie: x": "/", "http:/x": "/",
	} {
		res := d.post(browser(t), "/sign-in", url.Values{"name": {"ann"}, "password": {password}, "next": {next}}, map[string]string{"X-Test": "1"})
		if res.StatusCode == http.StatusTooManyRequests {
			d.clock.pass(time.Hour)
			res = d.post(browser(t), "/sign-in", url.Values{"name": {"ann"}, "password": {password}, "next": {next}}, nil)
		}
		require.Equal(t, http.StatusSeeOther, res.StatusCode, next)
		require.Equal(t, want, res.Header.Get("Location"), next)
	}
}

func TestASessionBeginsAnewAndEnds(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	b, _ := d.signedIn(access.Viewer)
	u, err := url.Parse(d.srv.URL)
	require.NoError(t, err)
	cookie := func() *http.Cookie { return b.Jar.Cookies(u)[0] }
	first := cookie().Value
	res := d.post(b, "/sign-in", url.Values{"name": {"viewer"}, "password": {password}}, nil)
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	set := res.Cookies()[0]
	require.True(t, set.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, set.SameSite)
	require.NotEqual(t, first, cookie().Value, "whoever planted a session knows nothing of the new one")
	planted := browser(t)
	planted.Jar.SetCookies(u, []*http.Cookie{{Name: "qbridge", Value: first}})
	require.Equal(t, http.StatusSeeOther, d.get(planted, "/page", nil).StatusCode, "the old one has ended")
	planted.Jar.SetCookies(u, []*http.Cookie{{Name: "qbridge", Value: "chosen by somebody else"}})
	require.Equal(t, http.StatusSeeOther, d.get(planted, "/page", nil).StatusCode)

	d.clock.pass(7 * time.Hour)
	require.Equal(t, http.StatusOK, d.get(b, "/page", nil).StatusCode)
	d.clock.pass(9 * time.Hour)
	require.Equal(t, http.StatusSeeOther, d.get(b, "/page", nil).StatusCode, "it rested too long")
	b, _ = d.signedIn(access.Operator)
	for range 5 {
		d.clock.pass(4 * time.Hour)
		require.Equal(t, http.StatusOK, d.get(b, "/page", nil).StatusCode)
	}
	d.clock.pass(5 * time.Hour)
	require.Equal(t, http.StatusSeeOther, d.get(b, "/page", nil).StatusCode, "a day is the longest")

	b, token := d.signedIn(access.Auditor)
	value := b.Jar.Cookies(u)[0]
	require.Equal(t, http.StatusSeeOther, d.post(b, "/sign-out", url.Values{"csrf": {token}}, nil).StatusCode)
	again := browser(t)
	again.Jar.SetCookies(u, []*http.Cookie{value})
	require.Equal(t, http.StatusSeeOther, d.get(again, "/page", nil).StatusCode, "signing out ends the session, not only the cookie")
}

func TestAFormComesFromAPageOfItsSession(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	b, token := d.signedIn(access.Operator)
	_, other := d.signedIn(access.Admin)
	for name, c := range map[string]struct {
		token  string
		header map[string]string
	}{
		"no token":               {"", nil},
		"one of another session": {other, nil},
		"one that is too long":   {token + "x", nil},
		"from another site":      {token, map[string]string{"Sec-Fetch-Site": "cross-site"}},
		"from another origin":    {token, map[string]string{"Origin": "https://evil.example"}},
		"from a sister":          {token, map[string]string{"Sec-Fetch-Site": "same-site"}},
		"from a null origin":     {token, map[string]string{"Origin": "null"}},
	} {
		require.Equal(t, http.StatusForbidden, d.post(b, "/form", url.Values{"csrf": {c.token}}, c.header).StatusCode, name)
	}
	require.Zero(t, d.forms)
	require.Equal(t, http.StatusOK, d.post(b, "/form", url.Values{"csrf": {token}}, map[string]string{"Sec-Fetch-Site": "same-origin"}).StatusCode)
	require.Equal(t, 1, d.forms)
	require.Equal(t, http.StatusMethodNotAllowed, d.get(b, "/form?csrf="+token, nil).StatusCode, "GET changes nothing")
	require.Equal(t, http.StatusForbidden, d.post(browser(t), "/sign-in", url.Values{"name": {"admin"}, "password": {password}}, map[string]string{"Sec-Fetch-Site": "cross-site"}).StatusCode, "nor can another site sign somebody in")
}

func TestOnlyTheRoleLetsIn(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	b, token := d.signedIn(access.Viewer)
	res := d.post(b, "/form", url.Values{"csrf": {token}}, nil)
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	require.Contains(t, closed(res), "viewer may not do this")
	require.Equal(t, http.StatusOK, d.do(http.DefaultClient, http.MethodPost, "/form", "", map[string]string{"Authorization": "Bearer secret-token"}).StatusCode, "a script has all verbs and no forms")
	require.Equal(t, http.StatusUnauthorized, d.do(http.DefaultClient, http.MethodPost, "/form", "", map[string]string{"Authorization": "Bearer secret-tokem"}).StatusCode)
}

func TestGuessingAndFloodingAreSlowed(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	d.account("ann", access.Viewer)
	statuses := map[int]int{}
	for range 15 {
		statuses[d.post(browser(t), "/sign-in", url.Values{"name": {"ann"}, "password": {"wrong"}}, nil).StatusCode]++
	}
	require.Equal(t, map[int]int{http.StatusUnauthorized: 10, http.StatusTooManyRequests: 5}, statuses)
	require.Equal(t, http.StatusTooManyRequests, d.post(browser(t), "/sign-in", url.Values{"name": {"ann"}, "password": {password}}, nil).StatusCode)
	d.clock.pass(11 * time.Second)
	require.Equal(t, http.StatusSeeOther, d.post(browser(t), "/sign-in", url.Values{"name": {"ann"}, "password": {password}}, nil).StatusCode)
	d.clock.pass(time.Hour)
	require.Equal(t, http.StatusUnauthorized, d.post(browser(t), "/sign-in", url.Values{"name": {"nobody"}, "password": {password}}, nil).StatusCode)
	b, token := d.signedIn(access.Operator)
	require.Equal(t, http.StatusForbidden, d.post(b, "/form", url.Values{"x": {strings.Repeat("a", 2<<20)}, "csrf": {token}}, nil).StatusCode, "its token lies beyond what is read")
	refused := 0
	for range 250 {
		if d.get(b, "/page", nil).StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	require.Positive(t, refused)
	d.clock.pass(10 * time.Second)
	require.Equal(t, http.StatusOK, d.get(b, "/page", nil).StatusCode)
}

func TestShortPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	require.ErrorIs(t, access.SetPassword(context.Background(), d.store, "ann", "short", access.Admin), access.ErrShortPassword)
	long := strings.Repeat("é", 60) // more than bcrypt takes by itself
	require.NoError(t, access.SetPassword(context.Background(), d.store, "ann", long, access.Admin))
	ok, err := access.HasPassword(context.Background(), d.store, "ann", long)
	require.NoError(t, err)
	require.True(t, ok)
	ok, err = access.HasPassword(context.Background(), d.store, "ann", long[:len(long)-2])
	require.NoError(t, err)
	require.False(t, ok)
}

// provider is an OpenID Connect provider.
type provider struct {
	*httptest.Server
	key    *rsa.PrivateKey
	claims map[string]any
	change func(map[string]any)
	codes  map[string]url.Values
	down   bool
}

func newProvider(t *testing.T, now func() time.Time) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p := &provider{key: key, codes: map[string]url.Values{}, claims: map[string]any{"sub": "u1", "email": "ann@example.com", "email_verified": true, "groups": []string{"ops", "other"}}}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	require.NoError(t, err)
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		code := rand.Text()
		p.codes[code] = r.URL.Query()
		http.Redirect(w, r, r.FormValue("redirect_uri")+"?code="+code+"&state="+url.QueryEscape(r.FormValue("state")), http.StatusFound)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		asked, ok := p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
		if !ok || r.FormValue("code_verifier") == "" || asked.Get("code_challenge_method") != "S256" {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		claims := map[string]any{"iss": p.URL, "aud": "qbridge", "iat": now().Unix(), "exp": now().Add(time.Minute).Unix(), "nonce": asked.Get("nonce")}
		for k, v := range p.claims {
			claims[k] = v
		}
		if p.change != nil {
			p.change(claims)
		}
		raw, err := jwt.Signed(signer).Claims(claims).Serialize()
		require.NoError(t, err)
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": raw})
	})
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// through signs a browser in and returns the last answer and the address that the
// provider sent it back to.
func (d *door) through(b *http.Client) (*http.Response, string) {
	d.t.Helper()
	res := d.get(b, "/sign-in/oidc?next=/page", nil)
	if res.StatusCode != http.StatusSeeOther {
		return res, ""
	}
	res, err := b.Get(res.Header.Get("Location"))
	require.NoError(d.t, err)
	back := res.Header.Get("Location")
	u, err := url.Parse(back)
	require.NoError(d.t, err)
	return d.get(b, u.RequestURI(), nil), u.RequestURI()
}

func TestPeopleSignInThroughTheirProvider(t *testing.T) {
	t.Parallel()
	ops := map[string]access.Role{"ops": access.Operator, "boss": access.Admin}
	for name, c := range map[string]struct {
		claims map[string]any
		change func(map[string]any)
		want   int
		who    string
	}{
		"a group gives a role":             {nil, nil, http.StatusOK, "ann@example.com"},
		"one group is a text":              {map[string]any{"groups": "ops"}, nil, http.StatusOK, "ann@example.com"},
		"an address that nobody verified":  {map[string]any{"email_verified": false, "preferred_username": "ann"}, nil, http.StatusOK, "ann"},
		"nothing but a subject":            {map[string]any{"email": ""}, nil, http.StatusOK, "u1"},
		"no group that means anything":     {map[string]any{"groups": []string{"x"}}, nil, http.StatusForbidden, ""},
		"no groups":                        {map[string]any{"groups": nil}, nil, http.StatusForbidden, ""},
		"a token of another sign-in":       {nil, func(m map[string]any) { m["nonce"] = "other" }, http.StatusBadGateway, ""},
		"a token for somebody else":        {nil, func(m map[string]any) { m["aud"] = "other" }, http.StatusBadGateway, ""},
		"a token of another issuer":        {nil, func(m map[string]any) { m["iss"] = "https://evil.example" }, http.StatusBadGateway, ""},
		"a token that has expired":         {nil, func(m map[string]any) { m["exp"] = 1 }, http.StatusBadGateway, ""},
		"groups that are no list of texts": {map[string]any{"groups": []any{1, map[string]any{}}}, nil, http.StatusForbidden, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c0 := newClock()
			c0.set(time.Now())
			p := newProvider(t, c0.Now)
			for k, v := range c.claims {
				p.claims[k] = v
			}
			p.change = c.change
			var oidc *access.OIDC
			d := newDoor(t, func(o *access.Options) {
				oidc = &access.OIDC{Issuer: p.URL, ClientID: "qbridge", PublicURL: "http://console.example", Claim: "groups", Roles: ops, HTTP: &http.Client{Timeout: 5 * time.Second}}
				o.OIDC, o.Now = oidc, c0.Now
			})
			b := browser(t)
			res, back := d.through(b)
			body := closed(res)
			require.Equal(t, c.want, res.StatusCode, body)
			page := d.get(b, "/page", nil)
			if c.want != http.StatusOK {
				require.Equal(t, http.StatusSeeOther, page.StatusCode, "nobody is signed in")
				return
			}
			require.Contains(t, body, `content="0;url=/page"`)
			require.Equal(t, c.who, strings.Fields(closed(page))[0])
			require.Equal(t, http.StatusBadRequest, d.get(browser(t), back, nil).StatusCode, "another browser cannot use the way back")
			require.Equal(t, http.StatusBadRequest, d.get(b, back, nil).StatusCode, "nor can it be used twice")
		})
	}
}

func TestAProviderThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	t.Parallel()
	c0 := newClock()
	c0.set(time.Now())
	p := newProvider(t, c0.Now)
	d := newDoor(t, func(o *access.Options) {
		o.OIDC = &access.OIDC{Issuer: p.URL, ClientID: "qbridge", PublicURL: "http://console.example", Claim: "groups", Roles: map[string]access.Role{"ops": access.Viewer}, HTTP: &http.Client{Timeout: 5 * time.Second}}
		o.Now = c0.Now
	})
	p.down = true
	b := browser(t)
	res, _ := d.through(b)
	require.Equal(t, http.StatusBadGateway, res.StatusCode)
	p.down = false
	res, _ = d.through(b)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, http.StatusBadGateway, func() int {
		res := d.get(b, "/sign-in/oidc?next=/page", nil)
		u, err := url.Parse(res.Header.Get("Location"))
		require.NoError(t, err)
		return d.get(b, "/sign-in/oidc/callback?error=access_denied&state="+url.QueryEscape(u.Query().Get("state")), nil).StatusCode
	}(), "the provider refused")
}
