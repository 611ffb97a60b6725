package qualys_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// Gateway JWT: 201 Created, the body is the bare token.
func TestAuthAnswers201WithTheBareTokenOfThreeSegments(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{}).Handler()}
	w := c.auth(qualys.DefaultUsername, qualys.DefaultPassword)
	require.Equal(t, http.StatusCreated, w.Code)
	parts := strings.Split(w.Body.String(), ".")
	require.Len(t, parts, 3)
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	require.NoError(t, err)
	require.JSONEq(t, `{"alg":"HS512"}`, string(head))
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims struct {
		Sub, Iss string
		Exp, Iat int64
	}
	require.NoError(t, json.Unmarshal(body, &claims))
	require.Equal(t, qualys.DefaultUsername, claims.Sub)
	require.Equal(t, "qas", claims.Iss)
	require.Equal(t, int64(14400), claims.Exp-claims.Iat)
}

// Gateway JWT, form: the password must be URL-encoded (+ becomes %2B and so on).
func TestAuthRefusesAFormThatWasNotEncoded(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{Password: "a+b c"}).Handler()}
	for form, want := range map[string]int{
		"username=acme_ab1&password=a%2Bb+c&token=true":   http.StatusCreated,
		"username=acme_ab1&password=a%2Bb%20c&token=true": http.StatusCreated,
		"username=acme_ab1&password=a%2Bb+c":              http.StatusCreated, // token missing counts as true
		"username=acme_ab1&password=a+b c&token=true":     http.StatusUnauthorized,
		"username=acme_ab1&password=%zz&token=true":       http.StatusBadRequest,
		"": http.StatusUnauthorized,
	} {
		r := httptest.NewRequest(http.MethodPost, "/auth", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, want, c.do(r).Code, form)
	}
	r := httptest.NewRequest(http.MethodPost, "/auth", strings.NewReader(`{"username":"acme_ab1"}`))
	r.Header.Set("Content-Type", "application/json")
	require.Equal(t, http.StatusUnsupportedMediaType, c.do(r).Code)
}

// Gateway JWT, error bodies: wrong user or password.
func TestAuthAnswers401WithTheListOfExceptions(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{}).Handler()}
	for _, w := range []*httptest.ResponseRecorder{c.auth("nobody", "x"), c.auth(qualys.DefaultUsername, "wrong")} {
		require.Equal(t, http.StatusUnauthorized, w.Code)
		var body struct {
			Exceptions [][]string `json:"authentication_exceptions"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.Contains(t, body.Exceptions[0][0], "InvalidCredentialsException")
	}
}

// Gateway JWT, error bodies: missing, invalid and expired token on a resource.
func TestResourcesAnswer401ForAMissingAnInvalidAndAnExpiredToken(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := mustClient(t, qualys.Options{Now: now.Now, TokenLifetime: time.Minute})
	require.Equal(t, http.StatusOK, c.post(countPath, "").Code)

	for _, header := range []string{"", "Bearer ", "Bearer a.b.c", "Basic eDp5", "Bearer " + c.token + "x", c.token} {
		r := httptest.NewRequest(http.MethodPost, countPath, nil)
		r.Header.Set("Authorization", header)
		w := c.do(r)
		require.Equal(t, http.StatusUnauthorized, w.Code, header)
		var body map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.Equal(t, "Not authenticated", body["message"])
		require.Equal(t, countPath, body["path"])
		require.NotEmpty(t, body["requestId"])
	}
	now.Add(time.Minute)
	w := c.post(countPath, "")
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.JSONEq(t, `{"status":401,"error":"Unauthorized","message":"JWT expired"}`, w.Body.String())
	c.signIn(t)
	require.Equal(t, http.StatusOK, c.post(countPath, "").Code)
}

// Gateway, HTTP codes: 403 when the user or the subscription lacks the module.
func TestAUserWithoutTheModuleGets403(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{Users: []qualys.User{{Username: "low", Password: "p", NoModule: true}}}).Handler()}
	w := c.auth("low", "p")
	require.Equal(t, http.StatusCreated, w.Code)
	c.token = w.Body.String()
	require.Equal(t, http.StatusForbidden, c.post(searchPath, "").Code)
}

// Availability: a JWT may expire in the middle of long paging.
func TestAFaultMakesEveryTokenIssuedSoFarExpire(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Faults: "on search.asset nth 2 do expire_jwt"})
	require.Equal(t, http.StatusOK, c.post(searchPath, "").Code)
	require.Equal(t, http.StatusUnauthorized, c.post(searchPath, "").Code)
	require.Equal(t, http.StatusUnauthorized, c.post(searchPath, "").Code)
	c.signIn(t)
	require.Equal(t, http.StatusOK, c.post(searchPath, "").Code)
}

// A token outlives a restart of the service.
func TestATokenIsValidAfterARestart(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := mustClient(t, qualys.Options{Now: now.Now})
	c.h = mustServer(t, qualys.Options{Now: now.Now}).Handler()
	require.Equal(t, http.StatusOK, c.post(countPath, "").Code)
}
