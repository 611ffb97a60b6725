package servicenow

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// authority knows users, clients and tokens. Tokens live in memory: after a
// restart of the instance every client has to log in again.
type authority struct {
	mu       sync.Mutex
	opt      Options
	users    map[string]*account
	clients  map[string]*oauthClient
	access   map[string]*token // by access token
	current  map[string]*token // by grant and user: reused while it lives
	refresh  map[string]string // refresh token → user
	issued   int
	lifetime time.Duration
}

// account is one user of the instance; it also is the JSON form that
// POST /_sim/users takes.
type account struct {
	Username string   `json:"username"`
	Password string   `json:"password"`
	Roles    []string `json:"roles"`
	APIKey   string   `json:"apiKey"`
}

type token struct {
	access, refresh, user string
	apis                  []string
	expires               time.Time
}

func newAuthority(opt Options) *authority {
	a := &authority{opt: opt, users: map[string]*account{}, access: map[string]*token{}, current: map[string]*token{}, refresh: map[string]string{}, lifetime: opt.TokenLifetime}
	a.users[opt.Username] = &account{Username: opt.Username, Password: opt.Password, Roles: []string{"admin", "itil", "asset"}}
	a.clients = map[string]*oauthClient{opt.ClientID: {ID: opt.ClientID, Secret: opt.ClientSecret, User: opt.Username}}
	return a
}

// jwtGrant is the grant type of RFC 7523.
const jwtGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"

type accountKey struct{}

// authenticate accepts basic credentials and bearer tokens. ok is false after
// the 401 was written.
func (s *Server) authenticate(w http.ResponseWriter, req *http.Request) (*http.Request, bool) {
	user, apis := s.auth.identify(req)
	if user == nil {
		w.Header().Set("WWW-Authenticate", `BASIC realm="Service-now"`)
		writeError(w, http.StatusUnauthorized, "User Not Authenticated", "Required to provide Auth information")
		return nil, false
	}
	return req.WithContext(context.WithValue(context.WithValue(req.Context(), accountKey{}, user), scopeKey{}, apis)), true
}

func (a *authority) identify(req *http.Request) (user *account, apis []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if name, password, ok := req.BasicAuth(); ok {
		u := a.users[name]
		if u == nil || subtle.ConstantTimeCompare([]byte(u.Password), []byte(password)) != 1 {
			return nil, nil
		}
		return u, nil
	}
	if req.Header.Get("Authorization") == "" {
		return a.byKey(req), nil
	}
	bearer, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	t := a.access[bearer]
	if !ok || t == nil || !a.opt.Now().Before(t.expires) {
		return nil, nil
	}
	return a.users[t.user], t.apis
}

// allowedRole tells whether the caller has one of the roles, or is an admin.
func allowedRole(req *http.Request, roles ...string) bool {
	u, _ := req.Context().Value(accountKey{}).(*account)
	if u == nil {
		return false
	}
	return slices.ContainsFunc(u.Roles, func(r string) bool { return r == "admin" || slices.Contains(roles, r) })
}

// serveToken is POST /oauth_token.do: form-encoded only; a repeated request in
// the lifetime of a token gets the same token with what is left of its time.
func (s *Server) serveToken(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		writeError(w, http.StatusMethodNotAllowed, "Method not Supported", nil)
		return
	}
	denied := func() {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error_description": "access_denied", "error": "server_error"})
	}
	if !strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		denied()
		return
	}
	req.Body = http.MaxBytesReader(w, req.Body, 1<<20)
	if err := req.ParseForm(); err != nil {
		denied()
		return
	}
	s.store.mu.RLock()
	clientGrant := s.store.flag("glide.oauth.inbound.client.credential.grant_type.enabled")
	s.store.mu.RUnlock()
	answer := s.auth.grant(req, clientGrant)
	if answer == nil {
		denied()
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (a *authority) grant(req *http.Request, clientGrant bool) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := req.PostForm
	client, kind := a.clients[f.Get("client_id")], f.Get("grant_type")
	if client == nil || f.Get("client_secret") != client.Secret && (kind != jwtGrant || f.Has("client_secret")) {
		return nil
	}
	user, refresh := "", ""
	switch kind {
	case "password":
		u := a.users[f.Get("username")]
		if u == nil || u.Password != f.Get("password") {
			return nil
		}
		user = u.Username
	case "client_credentials":
		if !clientGrant {
			return nil
		}
		user = client.User
	case "refresh_token":
		refresh = f.Get("refresh_token")
		if user = a.refresh[refresh]; user == "" {
			return nil
		}
	case jwtGrant:
		if user = a.assertion(client, f.Get("assertion")); user == "" {
			return nil
		}
	default:
		return nil
	}
	return a.issue(client, kind, user, refresh)
}

// issue returns the living token of a user or a new one.
func (a *authority) issue(client *oauthClient, kind, user, refresh string) map[string]any {
	now := a.opt.Now()
	key := client.ID + "\x00" + user
	if kind == "client_credentials" {
		key = client.ID + "\x00\x00client"
	}
	t := a.current[key]
	if t == nil || !now.Before(t.expires) {
		a.issued++
		text := stableID("token", key, strconv.Itoa(a.issued), now.String())
		t = &token{access: fmt.Sprintf("%s%s", text, stableID(text.String())), user: user, apis: client.APIs, refresh: refresh, expires: now.Add(a.lifetime)}
		if kind != "client_credentials" && t.refresh == "" {
			t.refresh = stableID("refresh", text.String()).String() + stableID("refresh2", text.String()).String()
		}
		a.current[key], a.access[t.access] = t, t
		if t.refresh != "" {
			a.refresh[t.refresh] = user
		}
	}
	out := map[string]any{"access_token": t.access, "scope": "useraccount", "token_type": "Bearer", "expires_in": int(t.expires.Sub(now).Seconds())}
	if t.refresh != "" {
		out["refresh_token"] = t.refresh
	}
	return out
}

func (a *authority) put(u account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[u.Username] = &u
}

// expire ends every access token now, as an administrator's revocation does.
func (a *authority) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.access, a.current = map[string]*token{}, map[string]*token{}
}
