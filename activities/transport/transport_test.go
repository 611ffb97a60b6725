package transport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/transport"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestTheWaitIsReadLeniently(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"Qualys":                     {http.Header{"X-Ratelimit-Towait-Sec": {"90"}}, 90 * time.Second},
		"Qualys before Retry-After":  {http.Header{"X-Ratelimit-Towait-Sec": {"90"}, "Retry-After": {"5"}}, 90 * time.Second},
		"an empty header falls back": {http.Header{"X-Ratelimit-Towait-Sec": {""}, "Retry-After": {"5"}}, 5 * time.Second},
		"garbage falls back":         {http.Header{"X-Ratelimit-Towait-Sec": {"soon"}, "X-Ratelimit-Reset": {"3600"}}, time.Hour},
		"negative":                   {http.Header{"X-Ratelimit-Towait-Sec": {"-3"}}, 0},
		"not a number":               {http.Header{"Retry-After": {"NaN"}}, 0},
		"a date":                     {http.Header{"Retry-After": {now.Add(time.Minute).Format(http.TimeFormat)}}, time.Minute},
		"a date in the past":         {http.Header{"Retry-After": {now.Add(-time.Minute).Format(http.TimeFormat)}}, 0},
		"huge is capped":             {http.Header{"Retry-After": {"999999999"}}, 24 * time.Hour},
		"an instant in Unix time":    {http.Header{"X-Ratelimit-Reset": {"1772366700"}}, 5 * time.Minute},
		"infinite":                   {http.Header{"Retry-After": {"Inf"}}, 24 * time.Hour},
		"nothing":                    {http.Header{}, 0},
	} {
		require.Equal(t, c.want, transport.ParseLimits(c.header, now).Wait, name)
	}
	l := transport.ParseLimits(http.Header{"X-Ratelimit-Limit": {"300"}, "X-Ratelimit-Remaining": {""}, "X-Ratelimit-Window-Sec": {"3600"}}, now)
	require.Equal(t, transport.Limits{Limit: 300, Remaining: -1, Window: time.Hour, Concurrency: -1, Running: -1}, l)
}

func TestAClosedEndpointIsNotCalledAgain(t *testing.T) {
	t.Parallel()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		if r.URL.Path == "/limited" {
			w.Header().Set("X-RateLimit-ToWait-Sec", "600")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	clock := now
	c := client(t, transport.Options{Now: func() time.Time { return clock }})
	get := func(path string) error {
		res, err := c.Get(server.URL + path)
		if err == nil {
			err = res.Body.Close()
		}
		return err
	}
	require.NoError(t, get("/limited"))
	var limited *transport.RateLimitedError
	require.ErrorAs(t, get("/limited"), &limited)
	require.Equal(t, 10*time.Minute, limited.RetryAfter)
	require.Equal(t, 1, calls, "no call leaves inside the window")
	require.NoError(t, get("/other"), "limits are per endpoint")
	clock = clock.Add(10*time.Minute + time.Second)
	require.NoError(t, get("/limited"))
	require.Equal(t, 3, calls)
}

func TestOnlyAllowedHostsAreDialled(t *testing.T) {
	t.Parallel()
	reached := ""
	base := roundTrip(func(r *http.Request) (*http.Response, error) {
		reached = r.URL.Host
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}, Request: r}, nil
	})
	c := client(t, transport.Options{AllowedHosts: []string{"*.qualys.com", "127.0.0.1:9000"}, Base: base})
	for host, ok := range map[string]bool{
		"gateway.qualys.com": true, "127.0.0.1:9000": true, "GATEWAY.Qualys.com": true,
		"qualys.com.evil.org": false, "evilqualys.com": false, "127.0.0.1:9001": false, "127.0.0.1": false, "169.254.169.254": false, "[::1]": false, "2130706433": false,
	} {
		reached = ""
		res, err := c.Get("http://" + host + "/")
		if ok {
			require.NoError(t, err, host)
			require.NoError(t, res.Body.Close())
			require.Equal(t, host, reached)
			continue
		}
		var refused *transport.HostNotAllowedError
		require.ErrorAs(t, err, &refused, host)
		require.ErrorContains(t, err, "QBRIDGE_ALLOWED_HOSTS")
		require.Empty(t, reached, host)
	}
}

func TestABodyOverTheLimitIsAnErrorAlsoWhenItIsCompressed(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err := zip.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		case "/large":
			_, _ = w.Write(make([]byte, 2000))
		case "/broken":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes()[:100])
		default:
			_, _ = w.Write(make([]byte, 1000))
		}
	}))
	defer server.Close()
	var seen []transport.Call
	c := client(t, transport.Options{MaxBody: 1000, Observe: func(call transport.Call) { seen = append(seen, call) }})
	read := func(path string) error {
		res, err := c.Get(server.URL + path)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		_, err = io.ReadAll(res.Body)
		return err
	}
	var large *transport.BodyTooLargeError
	require.ErrorAs(t, read("/bomb"), &large)
	require.ErrorAs(t, read("/large"), &large)
	require.Error(t, read("/broken"))
	require.NoError(t, read("/exact"))
	require.Len(t, seen, 4)
	require.EqualValues(t, 1000, seen[3].BytesIn)
}

func TestSecretsAreNeverInErrors(t *testing.T) {
	t.Parallel()
	const secret = "p%ss+w/rd"
	base := roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, errors.New("dial: " + secret + " and " + url.QueryEscape(secret))
	})
	c := client(t, transport.Options{Secrets: []string{secret}, Base: base})
	_, err := c.Get("http://host/")
	require.Error(t, err)
	require.NotContains(t, err.Error(), secret)
	require.NotContains(t, err.Error(), url.QueryEscape(secret))
	require.Contains(t, err.Error(), "***")
}

func TestCallsAreBoundedInNumber(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 8), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}))
	defer server.Close()
	c := client(t, transport.Options{Concurrency: 2})
	done := make(chan error, 3)
	for range 3 {
		go func() {
			res, err := c.Get(server.URL)
			if err == nil {
				err = res.Body.Close()
			}
			done <- err
		}()
	}
	<-entered
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	_, err = c.Do(req) //nolint:bodyclose // it fails
	require.ErrorIs(t, err, context.Canceled, "a caller that gives up does not wait for a slot")
	require.Empty(t, entered, "the third call waits for a slot")
	close(release)
	for range 3 {
		require.NoError(t, <-done)
	}
}

func client(t *testing.T, o transport.Options) *http.Client {
	t.Helper()
	tr, err := transport.New(o)
	require.NoError(t, err)
	return &http.Client{Transport: tr}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheReserveIsLeftToOthers(t *testing.T) {
	t.Parallel()
	remaining := 0
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "300")
		w.Header().Set("X-RateLimit-Window-Sec", "3600")
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	}))
	defer vendor.Close()
	clock := now
	c := client(t, transport.Options{Reserve: 0.2, Now: func() time.Time { return clock }})
	call := func() error {
		res, err := c.Get(vendor.URL)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	remaining = 61
	require.NoError(t, call())
	remaining = 60
	require.NoError(t, call(), "the next one is not in the reserve yet")
	var limited *transport.RateLimitedError
	require.ErrorAs(t, call(), &limited)
	require.Equal(t, time.Minute, limited.RetryAfter)
	clock = clock.Add(time.Minute)
	remaining = 200
	require.NoError(t, call(), "as fast as the window gives new ones")
	require.NoError(t, call(), "and at once when others have left some")
}

func TestEachConnectionHasItsOwnProxy(t *testing.T) {
	t.Parallel()
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "direct") }))
	defer vendor.Close()
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
		_, _ = io.WriteString(w, "by proxy")
	}))
	defer proxy.Close()
	get := func(c *http.Client) string {
		res, err := c.Get(vendor.URL + "/page")
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return string(body)
	}
	by := client(t, transport.Options{Proxy: strings.Replace(proxy.URL, "http://", "http://u:p%25@", 1)})
	require.Equal(t, "by proxy", get(by))
	require.Equal(t, "direct", get(client(t, transport.Options{})))
	require.Equal(t, []string{vendor.URL + "/page Basic " + base64.StdEncoding.EncodeToString([]byte("u:p%"))}, asked)

	_, err := transport.New(transport.Options{Proxy: "u:hunter2@proxy"})
	require.ErrorContains(t, err, "is not a URL such as")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestAPrivateAuthorityIsTrustedByItsConnectionOnly(t *testing.T) {
	t.Parallel()
	vendor := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	vendor.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer vendor.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: vendor.Certificate().Raw}), 0o600))
	res, err := client(t, transport.Options{CAFile: file}).Get(vendor.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	_, err = client(t, transport.Options{}).Get(vendor.URL)
	require.ErrorContains(t, err, "certificate")

	require.NoError(t, os.WriteFile(file, []byte("nonsense"), 0o600))
	_, err = transport.New(transport.Options{CAFile: file})
	require.ErrorContains(t, err, "holds no PEM certificate")
}
