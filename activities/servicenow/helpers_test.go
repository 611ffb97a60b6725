package servicenow_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
)

// Planted credentials: no error may hold them.
const (
	password     = "p4ss/w%rd-planted"
	clientSecret = "client+secret-planted"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// seen is one request that a server got.
type seen struct {
	Method, Path, Authorization, Cookie string
	Query                               url.Values
	Body                                string
}

// instance is a small server that answers each request with the next step, the
// last one again and again, and remembers what it got.
type instance struct {
	*httptest.Server
	mu    sync.Mutex
	got   []seen
	steps []http.HandlerFunc
}

func newInstance(t *testing.T, steps ...http.HandlerFunc) *instance {
	t.Helper()
	i := &instance{steps: steps}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	i.mu.Lock()
	step := i.steps[min(len(i.got), len(i.steps)-1)]
	i.got = append(i.got, seen{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Body: string(body),
		Authorization: r.Header.Get("Authorization"), Cookie: r.Header.Get("Cookie"),
	})
	i.mu.Unlock()
	step(w, r)
}

func (i *instance) requests() []seen {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]seen(nil), i.got...)
}

// answer writes a body; further strings are header names and values.
func answer(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for k := 0; k+1 < len(header); k += 2 {
			w.Header().Set(header[k], header[k+1])
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func jsonAnswer(status int, body string, header ...string) http.HandlerFunc {
	return answer(status, "application/json;charset=UTF-8", body, header...)
}

// basic returns a client with basic authentication.
func basic(t *testing.T, address string, edit ...func(*servicenow.Config)) *servicenow.Client {
	t.Helper()
	cfg := servicenow.Config{
		Name: "prod", URL: address, DiscoverySource: "SG-Qualys", Now: func() time.Time { return noon }, Transport: roundTripper(t),
		Auth: servicenow.Auth{Type: servicenow.AuthBasic, Username: "qbridge", Password: password},
	}
	for _, e := range edit {
		e(&cfg)
	}
	c, err := servicenow.New(cfg)
	require.NoError(t, err)
	return c
}

// roundTripper returns a transport of its own, closed at the end of the test.
func roundTripper(t *testing.T) http.RoundTripper {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// roundTrip is a transport in process.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// canned answers every request with one body.
func canned(body []byte) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
		}
		return &http.Response{
			StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(body))),
		}, nil
	}
}

// mustError returns the client's error.
func mustError(t *testing.T, err error) *servicenow.Error {
	t.Helper()
	var e *servicenow.Error
	require.ErrorAs(t, err, &e)
	return e
}

// host is a payload of one machine with an adapter and a shared stub.
func host() *payload.Payload {
	return &payload.Payload{
		ID: "0-0",
		Items: []payload.Item{
			{Owner: "corp/90001", Role: payload.RoleMain, Item: cmdb.Item{
				Key: "corp/90001", Class: "cmdb_ci_linux_server",
				Columns: []cmdb.Column{{Name: "name", Value: "web-07"}, {Name: "os", Value: "Linux \"Red\" Hat"}},
				Lookup:  []cmdb.Row{{Table: "cmdb_serial_number", Columns: []cmdb.Column{{Name: "serial_number", Value: "SN-77XQ"}, {Name: "serial_number_type", Value: "system"}}}},
			}},
			{Role: payload.RoleShared, SysID: "aaaa222233334444555566667777bbbb", Item: cmdb.Item{Key: "aws/1/eu", Class: "cmdb_ci_aws_datacenter"}},
			{Owner: "corp/90001", Role: payload.RoleDependent, Item: cmdb.Item{
				Key: "corp/90001/nic/02005e100007", Class: "cmdb_ci_network_adapter", Columns: []cmdb.Column{{Name: "name", Value: "eth0"}},
			}},
		},
		Relations: []payload.Relation{
			{Parent: 0, Child: 2, Type: "Owns::Owned by", Owner: "corp/90001"},
			{Parent: 0, Child: 1, Type: "Hosted on::Hosts", Owner: "corp/90001"},
		},
	}
}

func mustDecode(t *testing.T, s string) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal([]byte(s), &v), s)
	return v
}
