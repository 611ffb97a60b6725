package servicenow_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// sample is one documented request and the shape of its documented answer.
type sample struct {
	name    string
	options servicenow.Options
	// setup prepares the instance; what it returns replaces {name} in url, body and want.
	setup   func(*instance) map[string]string
	method  string // default POST with a body, else GET
	url     string
	headers []string
	body    string
	status  int               // default 200
	header  map[string]string // of the answer, regular expressions
	// want is the answer: JSON with the wildcards of likeDocument, or, when it
	// does not begin with a brace, a text that the body contains. "-" is an empty body.
	want string
}

func (s sample) run(t *testing.T) {
	i := mustInstance(t, s.options)
	url, body, want := s.url, s.body, s.want
	if s.setup != nil {
		for name, v := range s.setup(i) {
			url, body, want = strings.ReplaceAll(url, "{"+name+"}", v), strings.ReplaceAll(body, "{"+name+"}", v), strings.ReplaceAll(want, "{"+name+"}", v)
		}
	}
	method := s.method
	if method == "" {
		method = map[bool]string{true: http.MethodPost, false: http.MethodGet}[body != ""]
	}
	w := i.send(method, url, body, s.headers...)
	require.Equal(t, max(s.status, 200), w.Code, w.Body.String())
	for name, pattern := range s.header {
		require.Regexp(t, pattern, w.Header().Get(name), name)
	}
	switch {
	case want == "-":
		require.Empty(t, w.Body.String())
	case strings.HasPrefix(want, "{"):
		var expected, got any
		require.NoError(t, json.Unmarshal([]byte(want), &expected), want)
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), w.Body.String())
		require.Contains(t, w.Header().Get("Content-Type"), "application/json")
		require.Empty(t, likeDocument("", expected, got), w.Body.String())
	default:
		require.Contains(t, w.Body.String(), want)
	}
}

var (
	hexID    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	dateTime = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`)
)

// likeDocument compares an answer with a documented one and describes the first
// difference. Objects have exactly the documented keys unless one is "...",
// arrays exactly the documented elements unless the last is "...". Strings:
// <id> a sys_id, <time> a date and time, <text> any text, <number> a number,
// <any> anything, ~x a text that contains x.
func likeDocument(at string, want, got any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: %v is no object", at, got)
		}
		for _, k := range slices.Sorted(maps.Keys(w)) {
			if k == "..." {
				continue
			}
			v, ok := g[k]
			if !ok {
				return fmt.Sprintf("%s: key %s is missing", at, k)
			}
			if d := likeDocument(at+"."+k, w[k], v); d != "" {
				return d
			}
		}
		for _, k := range slices.Sorted(maps.Keys(g)) {
			if _, documented := w[k]; !documented && w["..."] == nil {
				return fmt.Sprintf("%s: key %s is not documented", at, k)
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		more := len(w) > 0 && w[len(w)-1] == "..."
		if more {
			w = w[:len(w)-1]
		}
		if !ok || len(g) < len(w) || len(g) > len(w) && !more {
			return fmt.Sprintf("%s: %v is no array of %d", at, got, len(w))
		}
		for n := range w {
			if d := likeDocument(fmt.Sprintf("%s[%d]", at, n), w[n], g[n]); d != "" {
				return d
			}
		}
		return ""
	case string:
		return likeText(at, w, got)
	}
	if want != got {
		return fmt.Sprintf("%s: want %v, got %v", at, want, got)
	}
	return ""
}

func likeText(at, want string, got any) string {
	text, isText := got.(string)
	_, isNumber := got.(float64)
	ok := isText && text == want
	switch {
	case want == "<any>":
		ok = true
	case want == "<number>":
		ok = isNumber
	case want == "<text>":
		ok = isText && text != ""
	case want == "<id>":
		ok = isText && hexID.MatchString(text)
	case want == "<time>":
		ok = isText && dateTime.MatchString(text)
	case strings.HasPrefix(want, "~"):
		ok = isText && strings.Contains(text, want[1:])
	}
	if !ok {
		return fmt.Sprintf("%s: want %s, got %v", at, want, got)
	}
	return ""
}

// envelope is the platform's error body; detail is JSON.
func envelope(message, detail string) string {
	return fmt.Sprintf(`{"error":{"message":%q,"detail":%s},"status":"failure"}`, message, detail)
}

const (
	enhancedURL = "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys"
	plainURL    = "/api/now/identifyreconcile?sysparm_data_source=SG-Qualys"

	linuxServer = `{"items":[
  {"className":"cmdb_ci_linux_server","internal_id":"q-90001",
   "sys_object_source_info":{"source_name":"SG-Qualys","source_native_key":"90001","source_feed":"gav","source_recency_timestamp":"2026-03-01 04:05:06"},
   "values":{"name":"web-07","fqdn":"web-07.example.org","os":"Linux Red Hat","serial_number":"SN-77XQ"},
   "lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"SN-77XQ","serial_number_type":"system","valid":"true"}}]}%s]%s}`
	adapterItem = `,
  {"className":"cmdb_ci_network_adapter","internal_id":"q-90001-eth0",
   "values":{"name":"eth0","mac_address":"02:00:5e:10:00:07","ip_address":"192.0.2.17","netmask":"255.255.255.0"}}`
	adapterLinks = `,
 "relations":[{"parent_id":"q-90001","child_id":"q-90001-eth0","type":"Owns::Owned by"}],
 "referenceItems":[{"referenced":"q-90001","referencedBy":"q-90001-eth0","referenceField":"cmdb_ci"}]`

	// The parts of a documented answer.
	sourceAttempt = `{"info":"sys_object_source NO_MATCH","identifierName":"","attemptResult":"NO_MATCH","attributes":["source_name","source_native_key"],"searchOnTable":"sys_object_source","hybridEntryCiAttributes":[]}`
	hardware4     = `{"identifierName":"Hardware Rule","attemptResult":"NO_MATCH","attributes":["serial_number","serial_number_type"],"searchOnTable":"cmdb_serial_number","hybridEntryCiAttributes":[]},
     {"identifierName":"Hardware Rule","attemptResult":"NO_MATCH","attributes":["serial_number"],"searchOnTable":"cmdb_ci_hardware","hybridEntryCiAttributes":[]},
     {"identifierName":"Hardware Rule","attemptResult":"NO_MATCH","attributes":["name"],"searchOnTable":"cmdb_ci_hardware","hybridEntryCiAttributes":[]},
     {"identifierName":"Hardware Rule","attemptResult":"SKIPPED","attributes":["mac_address","name"],"searchOnTable":"cmdb_ci_network_adapter","hybridEntryCiAttributes":[]}`
	serverAnswer = `{"className":"cmdb_ci_linux_server","operation":"INSERT","sysId":"<id>","identifierEntrySysId":"Unknown","relatedSysIds":["<id>"],
   "relatedItems":[{"className":"cmdb_serial_number","operation":"INSERT","sysId":"<id>","errors":[],"warnings":[],"errorCount":0,"warningCount":0,"markers":[],"inputIndices":[{"mainIndex":0,"subIndex":0}],"mergedPayloadIds":[]}],
   "identificationAttempts":[` + sourceAttempt + `,` + hardware4 + `],"errors":[],"warnings":[],"info":[],"errorCount":0,"warningCount":0,"markers":[],"inputIndices":[0],"mergedPayloadIds":[]}`
	// A dependent of a host that was just inserted shows the source attempt only.
	adapterAnswer = `{"className":"cmdb_ci_network_adapter","operation":"INSERT","sysId":"<id>","identifierEntrySysId":"Unknown","relatedSysIds":[],"relatedItems":[],
   "identificationAttempts":[{"info":"sys_object_source SKIPPED","identifierName":"","attemptResult":"SKIPPED","attributes":["source_name","source_native_key"],"searchOnTable":"sys_object_source","hybridEntryCiAttributes":[]}],
   "errors":[],"warnings":[],"info":[],"errorCount":0,"warningCount":0,"markers":[],"inputIndices":[1],"mergedPayloadIds":[]}`
	relationAnswer = `{"className":"cmdb_rel_ci","operation":"INSERT","sysId":"<id>","identifierEntrySysId":"Unknown","errors":[],"warnings":[],"errorCount":0,"warningCount":0,"markers":[],"inputIndices":[0],"mergedPayloadIds":[]}`
	inserted       = `{"inserted":1,"updated":0,"unchanged":0,"skipped":0,"partial":0,"incomplete":0,"additionalInserted":0,"mergedPartialPayloads":0,"warnings":0,"errors":0}`
	resultEnd      = `,"additionalCommittedItems":[],"additionalCommittedRelations":[],"logContextId":"<text>"`
)

// ireWant is the documented envelope of an IRE answer.
func ireWant(hasError, hasWarning bool, items, relations, more string) string {
	return fmt.Sprintf(`{"result":{"hasError":%t,"hasWarning":%t,"items":[%s],"relations":[%s]%s%s}}`, hasError, hasWarning, items, relations, resultEnd, more)
}

// failedItem is an item that was refused; extra are further keys.
func failedItem(class, operation, problems, extra string) string {
	return fmt.Sprintf(`{"className":%q,"operation":%q,"sysId":"Unknown","identifierEntrySysId":"Unknown","relatedSysIds":"<any>","relatedItems":"<any>","identificationAttempts":"<any>",
	%s,"info":[],"markers":[],"inputIndices":[0],"mergedPayloadIds":[]%s}`, class, operation, problems, extra)
}

func oneError(code, text string) string {
	return fmt.Sprintf(`"errors":[{"error":%q,"message":%q}],"errorCount":1,"warnings":[],"warningCount":0`, code, text)
}

// Every sample request of the identification and reconciliation calls.
func TestIRESamples(t *testing.T) {
	t.Parallel()
	for _, s := range []sample{
		// Identification and Reconciliation API, createOrUpdateCIEnhanced: sample request with related items.
		{name: "a new server with its adapter", url: enhancedURL + "&options=generate_summary:true", body: fmt.Sprintf(linuxServer, adapterItem, adapterLinks),
			want: ireWant(false, false, serverAnswer+","+adapterAnswer, relationAnswer,
				`,"summary":{"cmdb_ci_linux_server":`+inserted+`,"cmdb_serial_number":`+inserted+`,"cmdb_ci_network_adapter":`+inserted+`}`)},
		// Identification and Reconciliation API, createOrUpdateCIEnhanced: sample response with a summary.
		{name: "a new server, summary on", url: enhancedURL + "&options=generate_summary:true", body: fmt.Sprintf(linuxServer, "", ""),
			want: ireWant(false, false, serverAnswer, "", `,"summary":{"cmdb_ci_linux_server":`+inserted+`,"cmdb_serial_number":`+inserted+`}`)},
		// Identification and Reconciliation API, createOrUpdateCI.
		{name: "the plain call", url: plainURL, body: fmt.Sprintf(linuxServer, adapterItem, adapterLinks), want: ireWant(false, false, serverAnswer+","+adapterAnswer, relationAnswer, "")},
		// REST API, versions: the version may be named.
		{name: "the plain call with a version", url: "/api/now/v1/identifyreconcile?sysparm_data_source=SG-Qualys", body: fmt.Sprintf(linuxServer, "", ""), want: ireWant(false, false, serverAnswer, "", "")},
		// Identification and Reconciliation API, identifyCI: nothing is written, related sys_ids are null and related items have none.
		{name: "the query call", url: "/api/now/identifyreconcile/query?sysparm_data_source=SG-Qualys", body: fmt.Sprintf(linuxServer, "", ""),
			want: ireWant(false, false, strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(serverAnswer, `"relatedSysIds":["<id>"]`, `"relatedSysIds":[null]`), `"sysId":"<id>","errors"`, `"errors"`), `"<id>"`, `"Unknown"`), "", "")},
		// Identification and Reconciliation API, identifyCIEnhanced: the same with options.
		{name: "the enhanced query call", url: "/api/now/identifyreconcile/queryEnhanced?sysparm_data_source=SG-Qualys&options=generate_summary:true", body: `{"items":[{"className":"cmdb_ci_win_server","values":{"name":"w"}}]}`,
			want: `{"result":{"items":[{"className":"cmdb_ci_win_server","operation":"INSERT","sysId":"Unknown","relatedSysIds":[],"...":0}],"summary":{"cmdb_ci_win_server":` + inserted + `},"...":0}}`},
		// Identification and Reconciliation API, options: a chunk without a colon is an unexpected error.
		{name: "a bad chunk of options", url: enhancedURL + "&options=partial", body: `{"items":[]}`, status: 500, want: `{"error":{"message":"<text>","detail":"~Chunk [partial] is not a valid entry"},"status":"failure"}`},
		// Identification and Reconciliation API, sysparm_data_source: without it every item is refused; the body does not count.
		{name: "no data source", url: "/api/now/identifyreconcile", body: `{"sysparm_data_source":"SG-Qualys","items":[{"className":"cmdb_ci_server","values":{"name":"a"}}]}`,
			want: ireWant(true, false, failedItem("cmdb_ci_server", "NO_CHANGE", oneError("INVALID_INPUT_DATA", "~In payload invalid data source [null] exist"), ""), "", "")},
		// Identification and Reconciliation API, sysparm_data_source: an unregistered source makes an incomplete payload.
		{name: "an unregistered source", url: "/api/now/identifyreconcile/enhanced?sysparm_data_source=Nope", body: `{"items":[{"className":"cmdb_ci_server","values":{"name":"a"}}]}`,
			want: ireWant(true, false, failedItem("cmdb_ci_server", "INSERT_AS_INCOMPLETE", oneError("INVALID_INPUT_DATA", "~In payload invalid data source [Nope] exist"), `,"incompleteSysIds":["<id>"]`), "", "")},
		// Identification and Reconciliation API, sample of a partial payload: its problem is a warning that quotes the item as received.
		{name: "a partial payload", url: enhancedURL, body: `{"items":[{"className":"cmdb_ci_server","internal_id":"p","values":{"comments":"c"},"sys_object_source_info":{"source_name":"SG-Qualys","source_native_key":"p1"}}]}`,
			want: ireWant(false, true, failedItem("cmdb_ci_server", "INSERT_AS_PARTIAL", `"errors":[],"errorCount":0,"warnings":[{"error":"MISSING_MATCHING_ATTRIBUTES","message":"~\"sys_ire_info\":{\"ire_received_time\":\"2026-03-01 12:00:00\"},\"sys_object_source_info\""}],"warningCount":1`, `,"partialSysIds":["<id>"]`), "", "")},
		// Identification and Reconciliation API, relations: ends are integers; the message is that of the instance's JSON library.
		{name: "a parent that is no number", url: enhancedURL, body: `{"items":[],"relations":[{"parent":"abc","child":0,"type":"Owns::Owned by"}]}`, status: 400, want: "Cannot deserialize value of type `java.lang.Integer` from String"},
		// Identification and Reconciliation API, relations: integer strings are tolerated.
		{name: "relations by index in strings", url: plainURL, body: `{"items":[{"className":"cmdb_ci_server","values":{"name":"a"}},{"className":"cmdb_ci_network_adapter","values":{"name":"e","mac_address":"02:00:5e:10:00:01"}}],"relations":[{"parent":"0","child":"1","type":"Owns::Owned by"}]}`,
			want: `{"result":{"hasError":false,"relations":[` + relationAnswer + `],"...":0}}`},
		// Identification engine error messages, dependent CIs: the rules are listed as parent >> relation >> child.
		{name: "a dependent without its host", url: plainURL, body: `{"items":[{"className":"cmdb_ci_disk","values":{"name":"sda"}}]}`,
			want: ireWant(true, false, failedItem("cmdb_ci_disk", "NO_CHANGE", oneError("MISSING_DEPENDENCY", "~matches any containment/hosting rules: [cmdb_ci_computer >> Contains >> cmdb_ci_disk]. Add appropriate relations in payload for '"), ""), "", "")},
		// Identification engine error messages, unknown columns: a warning, the rest is written.
		{name: "an unknown column", url: plainURL, body: `{"items":[{"className":"cmdb_ci_server","values":{"name":"a","foo":"x"}}]}`,
			want: `{"result":{"hasError":false,"hasWarning":true,"items":[{"operation":"INSERT","warnings":[{"error":"<text>","message":"unknown field 'foo' in table 'cmdb_ci_server'"}],"warningCount":1,"...":0}],"...":0}}`},
		// Identification and Reconciliation API, deduplicate_payloads: merged items are one answer with all indices.
		{name: "duplicate items", url: enhancedURL, body: `{"items":[{"className":"cmdb_ci_server","values":{"name":"a"}},{"className":"cmdb_ci_server","values":{"name":"a","os":"Linux"}}]}`,
			want: `{"result":{"hasError":false,"items":[{"operation":"INSERT","inputIndices":[0,1],"duplicateIndices":[1],"...":0}],"...":0}}`},
		// Identification and Reconciliation API, duplicateLookupIndices: the first and its repetitions.
		{name: "duplicate lookup records", url: enhancedURL, body: `{"items":[{"className":"cmdb_ci_server","values":{"name":"a"},"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"s","serial_number_type":"system"}},{"className":"cmdb_serial_number","values":{"serial_number":"s","serial_number_type":"system"}}]}]}`,
			want: `{"result":{"items":[{"duplicateLookupIndices":{"0":[1]},"...":0}],"...":0}}`},
		// CI reclassification, restriction rules: the class stays, the answer tells why.
		{name: "a restricted reclassification", url: plainURL, body: `{"items":[{"className":"cmdb_ci_win_server","values":{"name":"a"}}]}`,
			setup: func(i *instance) map[string]string {
				i.enhanced(items(ci("cmdb_ci_linux_server", "", `"name":"a"`)))
				return map[string]string{"rule": i.create("cmdb_ire_reclassification_restriction", `{"name":"r","type":"Switch","source_table":"cmdb_ci_linux_server","target_table":"cmdb_ci_win_server"}`)}
			},
			want: `{"result":{"hasError":false,"items":[{"operation":"NO_CHANGE","sysId":"<id>","info":[{"code":"SKIPPED_CLASS_SWITCH","message":"CI Reclassification not allowed from class: [cmdb_ci_linux_server] to [cmdb_ci_win_server] by a reclassification restriction rule","ruleSysId":"{rule}"}],"...":0}],"...":0}}`},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t)
		})
	}
}

// The comparison of the sample tables finds what differs.
func TestSampleComparisonFindsDifferences(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{`{"a":1}`: `{}`, `{"a":2}`: `{"a":1}`, `{}`: `{"a":1}`, `{"a":[]}`: `{"a":[1]}`, `{"a":"<id>"}`: `{"a":"Unknown"}`,
		`{"a":[1,2,"..."]}`: `{"a":[1]}`, `{"a":"<number>"}`: `{"a":"1"}`, `{"a":"~x"}`: `{"a":"y"}`, `{"a":"<time>"}`: `{"a":"today"}`, `{"a":{}}`: `{"a":null}`} {
		var w, g any
		require.NoError(t, json.Unmarshal([]byte(want), &w))
		require.NoError(t, json.Unmarshal([]byte(got), &g))
		require.NotEmpty(t, likeDocument("", w, g), want)
	}
}
