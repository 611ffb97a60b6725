package qualys

import (
	"crypto/hmac"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
)

// The credentials of the default client. The secret holds characters that a header carries and a form must encode.
const (
	DefaultClientID     = "c0ffee00-1d1d-4a4a-9b9b-acme00000001"
	DefaultClientSecret = "s3cr+t/%&=="
)

const (
	pathOAuth = "/auth/oauth"
	pathOIDC  = "/auth/oidc"
	// pathIdP stands for the token endpoint of an external identity provider; its path is the provider's affair.
	pathIdP = "/idp/oauth2/v1/token"
)

// idpLifetime is the expires_in of the vendor's sample of an identity provider.
const idpLifetime = time.Hour

// Choices for Options.ClientToken: the answer of /auth/oauth and /auth/oidc is not published.
const (
	// TokenBare answers as /auth does: 201 and the token.
	TokenBare Choice = "bare"
	// TokenJSON answers 200 and an object with access_token.
	TokenJSON Choice = "json"
)

// Client is an OAuth client as it is created under Auth ID or Client management.
type Client struct {
	ID, Secret string
	// User is the user whom the client speaks for; the default user when empty.
	User string
	// OnlyUserLevel refuses the client at /auth/oauth, OnlySubscription at /auth/oidc.
	OnlyUserLevel, OnlySubscription bool
}

// clientToken serves POST /auth/oauth and /auth/oidc (OAuth guide, "generate authentication token"): clientId and
// clientSecret are request headers, the answer is a token of the usual life. A client in the body or in Authorization
// is not read.
func (s *Server) clientToken(w http.ResponseWriter, r *http.Request) {
	client, known := s.clients[r.Header.Get("clientId")]
	known = known && hmac.Equal([]byte(client.Secret), []byte(r.Header.Get("clientSecret")))
	refused := client.OnlyUserLevel && r.URL.Path == pathOAuth || client.OnlySubscription && r.URL.Path == pathOIDC
	if !known || refused {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, badCredentials)
		return
	}
	control.Note(r.Context(), "client "+client.ID)
	token := s.tokens.issueFor(client.User, s.tokens.lifetime)
	if s.opts.ClientToken == TokenJSON {
		control.WriteJSON(w, http.StatusOK, map[string]any{
			"access_token": token, "token_type": "Bearer", "expires_in": int(s.tokens.lifetime / time.Second),
		})
		return
	}
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, token)
}

// identityProvider serves the token endpoint of an external identity provider as RFC 6749 describes it: client
// authentication with Basic or in the form, the grants password and client_credentials, scope openid or none. FO
// accepts its tokens when Options.FOBearer says that Support switched that on.
func (s *Server) identityProvider(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code string) {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="idp"`)
		}
		control.WriteJSON(w, status, map[string]string{"error": code})
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, formLimit))
	form, bad := url.ParseQuery(string(body))
	if err != nil || bad != nil {
		fail(http.StatusBadRequest, "invalid_request")
		return
	}
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	client, known := s.clients[id]
	if !known || !hmac.Equal([]byte(client.Secret), []byte(secret)) {
		fail(http.StatusUnauthorized, "invalid_client")
		return
	}
	scope := form.Get("scope")
	if scope != "" && scope != "openid" {
		fail(http.StatusBadRequest, "invalid_scope")
		return
	}
	name := client.User
	switch form.Get("grant_type") {
	case "client_credentials":
	case "password":
		user, ok := s.users.get(form.Get("username"))
		if !ok || !hmac.Equal([]byte(user.Password), []byte(form.Get("password"))) {
			fail(http.StatusBadRequest, "invalid_grant")
			return
		}
		name = user.Username
	case "":
		fail(http.StatusBadRequest, "invalid_request")
		return
	default:
		fail(http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	control.WriteJSON(w, http.StatusOK, map[string]any{
		"access_token": s.tokens.issueFor(name, idpLifetime), "token_type": "Bearer", "expires_in": int(idpLifetime / time.Second),
		"scope": scope,
	})
}

// bearer returns the user of a token, for the APIs that take other credentials too.
func (s *Server) bearer(r *http.Request) (User, bool) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return User{}, false
	}
	name, v := s.tokens.check(token)
	if v != valid {
		return User{}, false
	}
	return s.users.get(name)
}

func clientsOf(o *Options) (map[string]Client, error) {
	all := map[string]Client{}
	for _, c := range append([]Client{{ID: DefaultClientID, Secret: DefaultClientSecret}}, o.Clients...) {
		if c.ID == "" || c.Secret == "" {
			return nil, fmt.Errorf("qualys: a client needs an id and a secret")
		}
		if c.User == "" {
			c.User = o.Username
		}
		all[c.ID] = c
	}
	return all, nil
}
