package qualys

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/fault"
)

// formLimit bounds the form of a sign-in.
const formLimit = 64 << 10

// badCredentials is the vendor's body for a wrong user or password, line break included.
const badCredentials = `{"authentication_exceptions":[["Authentication Failure: 1 errors, 0 successes:\nauthenticationFailure.InvalidCredentialsException"]]}`

// auth serves POST /auth (Cloud agent and gateway API guides, "fetch authentication token"): a form with username and
// password, answered with 201 and the bare token.
func (s *Server) auth(w http.ResponseWriter, r *http.Request) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		s.spring(w, r, http.StatusUnsupportedMediaType, "Content-Type '"+r.Header.Get("Content-Type")+"' is not supported")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, formLimit))
	if err != nil {
		s.spring(w, r, http.StatusBadRequest, "Required request body could not be read")
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		s.spring(w, r, http.StatusBadRequest, "Malformed form")
		return
	}
	user, known := s.users.get(form.Get("username"))
	right := known && hmac.Equal([]byte(user.Password), []byte(form.Get("password")))
	// token=true is documented as required and public clients live without it; token=false asks for something else.
	if !right || form.Get("token") == "false" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, badCredentials)
		return
	}
	control.Note(r.Context(), "user "+user.Username)
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, s.tokens.issueWith(user.Username, s.tokens.lifetime, form.Get("permissions") == "true"))
}

// tokens issues and checks JWTs. The key depends on the seed alone, so tokens outlive a restart as the vendor's do.
type tokens struct {
	now      func() time.Time
	lifetime time.Duration
	key      []byte
	serial   atomic.Int64
	// dead is the highest serial that was made to expire by a fault.
	dead atomic.Int64
}

func newTokens(now func() time.Time, lifetime time.Duration, seed uint64) *tokens {
	return &tokens{now: now, lifetime: lifetime, key: fmt.Appendf(nil, "qualys simulator %d", seed)}
}

type claims struct {
	Subject  string   `json:"sub"`
	Issuer   string   `json:"iss"`
	UserType string   `json:"usertype"`
	Modules  []string `json:"modulesAllowed"`
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	Serial   int64    `json:"jti"`
	// Permissions are there when the sign-in asked for them.
	Permissions []string `json:"permissions,omitempty"`
}

func (t *tokens) issue(user string) string { return t.issueFor(user, t.lifetime) }

func (t *tokens) issueFor(user string, lifetime time.Duration) string {
	return t.issueWith(user, lifetime, true)
}

// issueWith adds permission claims or not; their form is not public.
func (t *tokens) issueWith(user string, lifetime time.Duration, permissions bool) string {
	now := t.now()
	c := claims{
		Subject: user, Issuer: "qas", UserType: "fo", Modules: []string{"VM", "GAV", "CSAM"},
		Issued: now.Unix(), Expires: now.Add(lifetime).Unix(), Serial: t.serial.Add(1),
	}
	if permissions {
		c.Permissions = []string{"API_ACCESS"}
	}
	body, _ := json.Marshal(c)
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS512"}`))
	signed := head + "." + base64.RawURLEncoding.EncodeToString(body)
	return signed + "." + t.sign(signed)
}

func (t *tokens) sign(text string) string {
	mac := hmac.New(sha512.New, t.key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// verdict of a token.
type verdict int

const (
	invalid verdict = iota
	expired
	valid
)

func (t *tokens) check(token string) (user string, v verdict) {
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 || !hmac.Equal([]byte(t.sign(token[:cut])), []byte(token[cut+1:])) {
		return "", invalid
	}
	_, middle, _ := strings.Cut(token[:cut], ".")
	raw, err := base64.RawURLEncoding.DecodeString(middle)
	var c claims
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return "", invalid
	}
	if t.now().Unix() >= c.Expires || c.Serial <= t.dead.Load() {
		return "", expired
	}
	return c.Subject, valid
}

// guarded lets a call through that has a valid token of a user with the module, and that the limits admit.
func (s *Server) guarded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if f := fault.From(r.Context()); f != nil && f.Kind == fault.ExpireJWT {
			s.tokens.dead.Store(s.tokens.serial.Load())
		}
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		name, v := "", invalid
		if bearer {
			name, v = s.tokens.check(token)
		}
		user, known := s.users.get(name)
		switch {
		case v == expired:
			control.WriteJSON(w, http.StatusUnauthorized, struct {
				Status  int    `json:"status"`
				Error   string `json:"error"`
				Message string `json:"message"`
			}{http.StatusUnauthorized, "Unauthorized", "JWT expired"})
			return
		case v == invalid || !known:
			s.spring(w, r, http.StatusUnauthorized, "Not authenticated")
			return
		case !user.mayCall(r.URL.Path):
			s.spring(w, r, http.StatusForbidden, "Access Denied")
			return
		}
		done, admitted := s.limiter.enter(s.endpointOf(r))
		s.limitHeaders(w, admitted)
		if !admitted.ok {
			s.blocked(w, r, admitted)
			return
		}
		defer done()
		h(w, r)
	}
}
