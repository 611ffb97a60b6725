package servicenow

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"slices"
	"strings"
)

// oauthClient is an OAuth application; it also is the JSON form that
// POST /_sim/oauth takes. APIs limits its tokens to some APIs ("table",
// "identifyreconcile", …); empty means the scope useraccount, which is all.
type oauthClient struct {
	ID           string   `json:"clientId"`
	Secret       string   `json:"clientSecret"`
	JWTPublicKey string   `json:"jwtPublicKey"` // PEM, RS256
	APIs         []string `json:"apis"`
	User         string   `json:"user"` // of the client credentials grant
}

// serveClient is POST /_sim/oauth: it adds or replaces a client.
func (s *Server) serveClient(w http.ResponseWriter, req *http.Request) {
	var c oauthClient
	if err := json.NewDecoder(io.LimitReader(req.Body, 1<<20)).Decode(&c); err != nil || c.ID == "" {
		writeError(w, http.StatusBadRequest, "bad client", "clientId and clientSecret are needed")
		return
	}
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	c.User = orDefault(c.User, s.opt.Username)
	s.auth.clients[c.ID] = &c
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
}

type scopeKey struct{}

// inScope tells whether the caller's token may use an API. Basic credentials,
// API keys and tokens of the scope useraccount may use all.
func inScope(ctx context.Context, kind string) bool {
	apis, _ := ctx.Value(scopeKey{}).([]string)
	return len(apis) == 0 || slices.Contains(apis, kind)
}

// assertion verifies a JWT of the bearer grant (RFC 7523) and returns its user:
// RS256, issuer the client, audience present, not expired. "" means refused.
func (a *authority) assertion(c *oauthClient, text string) string {
	parts := strings.Split(text, ".")
	block, _ := pem.Decode([]byte(c.JWTPublicKey))
	if len(parts) != 3 || block == nil {
		return ""
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, isRSA := parsed.(*rsa.PublicKey)
	if err != nil || !isRSA {
		return ""
	}
	var head struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Iss string          `json:"iss"`
		Sub string          `json:"sub"`
		Aud json.RawMessage `json:"aud"`
		Exp int64           `json:"exp"`
		Iat int64           `json:"iat"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || decodePart(parts[0], &head) != nil || decodePart(parts[1], &claims) != nil || head.Alg != "RS256" {
		return ""
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil {
		return ""
	}
	if claims.Iss != c.ID || len(claims.Aud) == 0 || claims.Iat == 0 || a.opt.Now().Unix() >= claims.Exp || a.users[claims.Sub] == nil {
		return ""
	}
	return claims.Sub
}

func decodePart(part string, v any) error {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// byKey finds the user of an API key, sent as header or query parameter.
func (a *authority) byKey(req *http.Request) *account {
	key := orDefault(req.Header.Get("x-sn-apikey"), req.URL.Query().Get("x-sn-apikey"))
	for _, u := range a.users {
		if key != "" && u.APIKey == key {
			return u
		}
	}
	return nil
}
