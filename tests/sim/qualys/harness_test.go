package qualys_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/qualys"
)

const (
	searchPath = "/rest/2.0/search/am/asset"
	countPath  = "/rest/2.0/count/am/asset"
	getPath    = "/rest/2.0/get/am/asset"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// client calls a simulator in memory with plain HTTP.
type client struct {
	h     http.Handler
	token string
}

func mustServer(t require.TestingT, o qualys.Options) *qualys.Server {
	s, err := qualys.New(o)
	require.NoError(t, err)
	return s
}

// mustClient starts a simulator and signs in as the default user.
func mustClient(t require.TestingT, o qualys.Options) *client {
	c := &client{h: mustServer(t, o).Handler()}
	c.signIn(t)
	return c
}

func (c *client) signIn(t require.TestingT) {
	w := c.auth(qualys.DefaultUsername, qualys.DefaultPassword)
	require.Equal(t, http.StatusCreated, w.Code)
	c.token = w.Body.String()
}

func (c *client) auth(user, password string) *httptest.ResponseRecorder {
	form := url.Values{"username": {user}, "password": {password}, "token": {"true"}, "permissions": {"true"}}
	r := httptest.NewRequest(http.MethodPost, "/auth", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(r)
}

func (c *client) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	return w
}

func (c *client) request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	return r
}

func (c *client) post(target, body string) *httptest.ResponseRecorder {
	return c.do(c.request(http.MethodPost, target, body))
}

// envelope is the answer of search and get. Numbers keep their text, so that 1 and true differ.
type envelope struct {
	ResponseMessage string
	ResponseCode    string
	Count           json.Number
	LastSeenAssetID *int64          `json:"lastSeenAssetId"`
	HasMore         json.RawMessage `json:"hasMore"`
	AssetListData   *struct {
		Asset []map[string]any `json:"asset"`
	} `json:"assetListData"`
}

func mustEnvelope(t require.TestingT, w *httptest.ResponseRecorder) envelope {
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	var e envelope
	d := json.NewDecoder(w.Body)
	d.UseNumber()
	require.NoError(t, d.Decode(&e))
	_, err := d.Token()
	require.ErrorIs(t, err, io.EOF)
	return e
}

func assetID(t require.TestingT, a map[string]any) int64 {
	n, err := a["assetId"].(json.Number).Int64()
	require.NoError(t, err)
	return n
}

// enumerate walks over all pages as a client does and returns the assets and the number of calls.
func (c *client) enumerate(t require.TestingT, pageSize int, query, body string) (assets []map[string]any, calls int) {
	cursor := int64(0)
	for {
		calls++
		w := c.post(searchPath+"?excludeFields=software&pageSize="+strconv.Itoa(pageSize)+"&lastSeenAssetId="+strconv.FormatInt(cursor, 10)+query, body)
		if w.Code == http.StatusNoContent {
			return assets, calls
		}
		e := mustEnvelope(t, w)
		assets = append(assets, e.AssetListData.Asset...)
		if string(e.HasMore) == "0" {
			return assets, calls
		}
		require.Greater(t, *e.LastSeenAssetID, cursor)
		cursor = *e.LastSeenAssetID
	}
}

func (c *client) countOf(t require.TestingT, query, body string) int {
	w := c.post(countPath+query, body)
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	var got struct{ Count int }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	return got.Count
}

func criterion(field, operator, value string) string {
	b, err := json.Marshal(map[string]any{"filters": []map[string]string{{"field": field, "operator": operator, "value": value}}})
	if err != nil {
		panic(err)
	}
	return string(b)
}
