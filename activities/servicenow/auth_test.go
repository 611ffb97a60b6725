package servicenow_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/servicenow"
)

func token(value string, seconds int) http.HandlerFunc {
	return jsonAnswer(200, fmt.Sprintf(`{"access_token":%q,"refresh_token":"r","scope":"useraccount","token_type":"Bearer","expires_in":%d}`, value, seconds))
}

// oauth returns a client with client credentials.
func oauth(t *testing.T, address string, edit ...func(*servicenow.Config)) *servicenow.Client {
	t.Helper()
	return basic(t, address, append([]func(*servicenow.Config){func(cfg *servicenow.Config) {
		cfg.Auth = servicenow.Auth{Type: servicenow.AuthClientCredentials, ClientID: "id", ClientSecret: clientSecret, Username: "qbridge", Password: password}
	}}, edit...)...)
}

var (
	users   = jsonAnswer(200, `{"result":[{"sys_id":"1"}]}`, "Set-Cookie", "JSESSIONID=abc; Path=/")
	refused = jsonAnswer(401, `{"error":{"message":"User Not Authenticated","detail":"Required to provide Auth information"},"status":"failure"}`)
)

func paths(list []seen) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Path)
	}
	return out
}

const (
	loginPath = "/oauth_token.do"
	usersPath = "/api/now/table/sys_user"
)

func TestNewRefusesWrongSettings(t *testing.T) {
	t.Parallel()
	good := servicenow.Auth{Type: servicenow.AuthBasic, Username: "u", Password: password}
	for want, cfg := range map[string]servicenow.Config{
		"has no URL":                     {URL: "example.service-now.com", Auth: good},
		"has no URL such as":             {URL: "ftp://host", Auth: good},
		"holds a query":                  {URL: "https://host/?x=1", Auth: good},
		"unknown auth type \"kerberos\"": {URL: "https://host", Auth: servicenow.Auth{Type: "kerberos"}},
		"no user name or password":       {URL: "https://host", Auth: servicenow.Auth{Type: servicenow.AuthBasic, Username: "u"}},
		"no client id or secret":         {URL: "https://host", Auth: servicenow.Auth{Type: servicenow.AuthClientCredentials, ClientID: "i"}},
	} {
		cfg.Name = "prod"
		_, err := servicenow.New(cfg)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "servicenow: connection prod")
	}
}

func TestBasicAuthentication(t *testing.T) {
	t.Parallel()
	in := newInstance(t, users)
	c := basic(t, in.URL)
	require.NoError(t, c.Authenticate(t.Context()))
	require.NoError(t, c.Authenticate(t.Context()))
	for _, r := range in.requests() {
		req := http.Request{Header: http.Header{"Authorization": {r.Authorization}}}
		user, pass, _ := req.BasicAuth()
		require.Equal(t, []string{"qbridge", password}, []string{user, pass})
		require.Empty(t, r.Cookie, "requests of one session would wait for each other")
	}
}

func TestATokenIsUsedUntilShortlyBeforeItsEnd(t *testing.T) {
	t.Parallel()
	in := newInstance(t, token("one", 1800), users, users, token("two", 1800), users)
	now := noon
	c := oauth(t, in.URL, func(cfg *servicenow.Config) { cfg.Now = func() time.Time { return now } })
	require.NoError(t, c.Authenticate(t.Context()))
	now = now.Add(1769 * time.Second)
	require.NoError(t, c.Authenticate(t.Context()))
	now = now.Add(2 * time.Second)
	require.NoError(t, c.Authenticate(t.Context()))
	got := in.requests()
	require.Equal(t, []string{loginPath, usersPath, usersPath, loginPath, usersPath}, paths(got))
	require.Equal(t, "Bearer one", got[2].Authorization)
	require.Equal(t, "Bearer two", got[4].Authorization)
	form, err := url.ParseQuery(got[0].Body)
	require.NoError(t, err)
	require.Equal(t, url.Values{"grant_type": {"client_credentials"}, "client_id": {"id"}, "client_secret": {clientSecret}}, form)
}

func TestPasswordGrant(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(200, `{"access_token":"one","expires_in":"1799"}`), users)
	c := oauth(t, in.URL, func(cfg *servicenow.Config) { cfg.Auth.Type = servicenow.AuthPassword })
	require.NoError(t, c.Authenticate(t.Context()))
	form, err := url.ParseQuery(in.requests()[0].Body)
	require.NoError(t, err)
	require.Equal(t, []string{"password", "qbridge", password}, []string{form.Get("grant_type"), form.Get("username"), form.Get("password")})
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	in := newInstance(t, token("stale", 1800), refused, token("fresh", 1800), jsonAnswer(200, newServer))
	_, _, err := oauth(t, in.URL).IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
	require.NoError(t, err)
	got := in.requests()
	require.Len(t, got, 4)
	require.Equal(t, "Bearer fresh", got[3].Authorization)
	require.Equal(t, got[1].Body, got[3].Body, "the same payload is replayed")
}

func TestTheSecondRefusalIsFinal(t *testing.T) {
	t.Parallel()
	in := newInstance(t, token("a", 1800), refused, token("b", 1800), refused)
	err := oauth(t, in.URL).Authenticate(t.Context())
	require.Equal(t, servicenow.KindUnauthorized, mustError(t, err).Kind())
	require.Equal(t, []string{loginPath, usersPath, loginPath, usersPath}, paths(in.requests()))
}

func TestLoginFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		step http.HandlerFunc
		kind servicenow.Kind
		says string
	}{
		"wrong credentials":        {jsonAnswer(401, `{"error_description":"access_denied","error":"server_error"}`), servicenow.KindUnauthorized, "server_error (access_denied; the instance needs glide.oauth"},
		"an unknown client":        {jsonAnswer(400, `{"error":"invalid_client"}`), servicenow.KindUnauthorized, "invalid_client"},
		"a hibernating instance":   {answer(200, "text/html", hibernating), servicenow.KindUnavailable, "no token"},
		"an answer without token":  {jsonAnswer(200, `{}`), servicenow.KindUnavailable, "no token"},
		"maintenance":              {answer(503, "text/html", ""), servicenow.KindUnavailable, "503"},
		"too many logins":          {answer(429, "", "", "Retry-After", "5"), servicenow.KindRateLimited, "429"},
		"a connection that breaks": {drop, servicenow.KindUnavailable, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, tc.step)
			_, _, err := oauth(t, in.URL).IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
			require.Equal(t, tc.kind, mustError(t, err).Kind())
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, []string{loginPath}, paths(in.requests()), "a refused login is not repeated, or the account is locked")
		})
	}
}

// TestManyCallersLogInOnce holds the login back until all callers wait for it.
func TestManyCallersLogInOnce(t *testing.T) {
	t.Parallel()
	const callers = 12
	begun, proceed := make(chan struct{}), make(chan struct{})
	logins := 0
	var mu sync.Mutex
	in := newInstance(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != loginPath {
			users(w, r)
			return
		}
		mu.Lock()
		logins++
		first := logins == 1
		mu.Unlock()
		if first {
			close(begun)
			<-proceed
		}
		token("one", 1800)(w, r)
	})
	c := oauth(t, in.URL)
	errs := make(chan error, callers)
	go func() { errs <- c.Authenticate(t.Context()) }()
	<-begun
	for range callers - 1 {
		go func() { errs <- c.Authenticate(t.Context()) }()
	}
	close(proceed)
	for range callers {
		require.NoError(t, <-errs)
	}
	require.Equal(t, 1, logins)
}

func TestACallThatGivesUpDoesNotFailTheOthers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	begun, waiting := make(chan struct{}), make(chan struct{})
	first := true
	var mu sync.Mutex
	in := newInstance(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		hold := first && r.URL.Path == loginPath
		first = first && !hold
		mu.Unlock()
		if hold {
			close(begun)
			<-waiting
			cancel()
			<-r.Context().Done()
			return
		}
		if r.URL.Path == loginPath {
			token("one", 1800)(w, r)
			return
		}
		users(w, r)
	})
	c := oauth(t, in.URL)
	gaveUp, other := make(chan error, 1), make(chan error, 1)
	go func() { gaveUp <- c.Authenticate(ctx) }()
	<-begun
	go func() { other <- c.Authenticate(t.Context()) }()
	close(waiting)
	require.Error(t, <-gaveUp)
	require.NoError(t, <-other)
}

func TestMetaReadsLimits(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(200, newServer, "X-RateLimit-Limit", "500", "X-RateLimit-Reset", fmt.Sprint(noon.Add(time.Hour).Unix()), "X-Total-Count", "junk"))
	_, meta, err := basic(t, in.URL).Query(t.Context(), host(), servicenow.IREOptions{})
	require.NoError(t, err)
	require.Equal(t, 500, meta.Limits.Limit)
	require.Equal(t, time.Hour, meta.Limits.Wait, "an instant, not seconds")
	require.Equal(t, -1, meta.Total)
}
