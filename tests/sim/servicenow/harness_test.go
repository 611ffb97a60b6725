package servicenow_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

const (
	user     = "qbridge"
	password = "qbridge-password"
	source   = "SG-Qualys"
)

// instance is a simulated instance under test; calls go through its handler.
type instance struct {
	t       require.TestingT
	server  *servicenow.Server
	handler http.Handler
}

func mustInstance(t testing.TB, opt servicenow.Options) *instance {
	t.Helper()
	if opt.Now == nil {
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		opt.Now = func() time.Time { return at }
	}
	s, err := servicenow.New(opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &instance{t, s, s.Handler()}
}

// send performs one call with basic authentication.
func (i *instance) send(method, url, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, url, strings.NewReader(body))
	if !strings.HasPrefix(url, "/oauth_token.do") {
		req.SetBasicAuth(user, password)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	for n := 0; n+1 < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	w := httptest.NewRecorder()
	i.handler.ServeHTTP(w, req)
	return w
}

// The part of an IRE answer that tests look at.
type ireResult struct {
	HasError   bool
	HasWarning bool
	Items      []ireItem
	Relations  []ireItem
	Summary    map[string]map[string]int
}

type ireItem struct {
	ClassName                string
	Operation                string
	SysID                    string `json:"sysId"`
	IdentifierEntrySysID     string `json:"identifierEntrySysId"`
	IdentificationAttempts   []map[string]any
	Errors, Warnings         []struct{ Error, Message string }
	Info                     []struct{ Code, Message, RuleSysID string }
	InputIndices             []int
	DuplicateIndices         []int
	DuplicateLookupIndices   map[string][]int
	MaskedAttributes         []string
	RelatedSysIDs            []*string `json:"relatedSysIds"`
	RelatedItems             []struct{ ClassName, Operation, SysID string }
	MergedPayloadIDs         []string `json:"mergedPayloadIds"`
	PartialSysIDs            []string `json:"partialSysIds"`
	IncompleteSysIDs         []string `json:"incompleteSysIds"`
	ErrorCount, WarningCount int
}

// errorCode is the first error's or, when there is none, the first warning's code.
func (i ireItem) errorCode() string {
	for _, e := range append(i.Errors, i.Warnings...) {
		return e.Error
	}
	return ""
}

// ire posts a payload; variant is "", "/enhanced", "/query" or "/queryEnhanced".
func (i *instance) ire(variant, options, body string) ireResult {
	url := "/api/now/identifyreconcile" + variant + "?sysparm_data_source=" + source
	if options != "" {
		url += "&options=" + options
	}
	w := i.send(http.MethodPost, url, body)
	require.Equal(i.t, http.StatusOK, w.Code, w.Body.String())
	var out struct{ Result ireResult }
	require.NoError(i.t, json.Unmarshal(w.Body.Bytes(), &out))
	return out.Result
}

func (i *instance) enhanced(body string) ireResult {
	return i.ire("/enhanced", "partial_payloads:false", body)
}

func (i *instance) digest() string { return i.send(http.MethodGet, "/_sim/digest", "").Body.String() }

// rows reads a table.
func (i *instance) rows(path string) []map[string]any {
	w := i.send(http.MethodGet, "/api/now/table/"+path, "")
	require.Equal(i.t, http.StatusOK, w.Code, w.Body.String())
	var out struct{ Result []map[string]any }
	require.NoError(i.t, json.Unmarshal(w.Body.Bytes(), &out))
	return out.Result
}

func (i *instance) create(table, body string) string {
	w := i.send(http.MethodPost, "/api/now/table/"+table, body)
	require.Equal(i.t, http.StatusCreated, w.Code, w.Body.String())
	var out struct{ Result map[string]any }
	require.NoError(i.t, json.Unmarshal(w.Body.Bytes(), &out))
	return out.Result["sys_id"].(string)
}

func (i *instance) setProperty(name, value string) {
	rows := i.rows("sys_properties?sysparm_query=name=" + name)
	require.Len(i.t, rows, 1)
	w := i.send(http.MethodPatch, "/api/now/table/sys_properties/"+rows[0]["sys_id"].(string), fmt.Sprintf(`{"value":%q}`, value))
	require.Equal(i.t, http.StatusOK, w.Code)
}

func (i *instance) control(path, body string) {
	w := i.send(http.MethodPost, "/_sim/"+path, body)
	require.Less(i.t, w.Code, 300, w.Body.String())
}

// ci writes one item as JSON; key "" leaves out the source information.
func ci(class, key, values string, more ...string) string {
	parts := []string{fmt.Sprintf(`"className":%q`, class), `"values":{` + values + `}`}
	if key != "" {
		parts = append(parts, fmt.Sprintf(`"internal_id":%q,"sys_object_source_info":{"source_name":%q,"source_native_key":%q}`, key, source, key))
	}
	return "{" + strings.Join(append(parts, more...), ",") + "}"
}

func items(list ...string) string { return `{"items":[` + strings.Join(list, ",") + `]}` }

func related(list []string, relations ...string) string {
	return `{"items":[` + strings.Join(list, ",") + `],"relations":[` + strings.Join(relations, ",") + `]}`
}

func rel(parent, child, kind string) string {
	return fmt.Sprintf(`{"parent_id":%q,"child_id":%q,"type":%q}`, parent, child, kind)
}

func decodeIRE(t *testing.T, body []byte) ireResult {
	t.Helper()
	var out struct{ Result ireResult }
	require.NoError(t, json.Unmarshal(body, &out))
	return out.Result
}
