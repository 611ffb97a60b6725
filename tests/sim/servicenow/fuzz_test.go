package servicenow_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// fuzzed is an instance under fuzzing. What the inputs write is thrown away now
// and then, so that the last input meets an instance as small as the first did.
type fuzzed struct {
	*instance
	calls int
}

func mustFuzzed(f *testing.F) *fuzzed {
	i := mustInstance(f, servicenow.Options{})
	return &fuzzed{instance: i}
}

// call sends a request and checks what holds for every answer: one of the
// documented statuses, JSON, the error envelope when it is an error, and a size
// that the request's size bounds.
func (i *fuzzed) call(t *testing.T, method, url, body string, statuses ...int) *httptest.ResponseRecorder {
	if i.calls++; i.calls%2000 == 0 {
		i.control("reset", "")
	}
	i.instance.t = t
	w := i.send(method, url, body, "Content-Type", "application/json")
	require.Contains(t, statuses, w.Code, w.Body.String())
	require.LessOrEqual(t, w.Body.Len(), 1<<20+4096*(len(body)+len(url)))
	if w.Code == http.StatusNoContent {
		require.Empty(t, w.Body.String())
		return w
	}
	var envelope struct {
		Error  *struct{ Message string }
		Result json.RawMessage
		Status string
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &envelope), w.Body.String())
	if w.Code >= 400 && strings.Contains(url, "/cmdb/instance/") && len(envelope.Result) > 0 {
		require.Contains(t, string(envelope.Result), `"hasError":true`) // the engine's own answer says why
	} else if w.Code >= 400 {
		require.NotNil(t, envelope.Error, w.Body.String())
		require.NotEmpty(t, envelope.Error.Message)
		require.Equal(t, "failure", envelope.Status)
	}
	return w
}

// Encoded queries, Table API and Aggregate API: what cannot be read is ignored, never an error.
func FuzzEncodedQuery(f *testing.F) {
	for _, seed := range []string{"name=a^ORb=c^NQosISEMPTY^ORDERBYDESCname", "sys_idIN1,2", "nameBETWEENa@b", "^^OR^NQ^", "sys_created_onRELATIVEGT@hour@ago@1",
		"manufacturer.name=Acme", "ramONx@javascript:gs.daysAgo(3)@y", "sys_id>0^ORDERBYsys_id", "parent.parent.parent.name=a", "nameSAMEASos^osGT_FIELDname", "ORDERBY^ORDERBYsys_class_name.x"} {
		f.Add(seed, "name,manufacturer.name", "5")
	}
	f.Add("", "", "-1")
	f.Add("", "sys_id", "9223372036854775807")
	i := mustFuzzed(f)
	i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`), ci("cmdb_ci_linux_server", "2", `"name":"b","os":"Linux"`)))
	f.Fuzz(func(t *testing.T, query, fields, limit string) {
		rest := "sysparm_query=" + escape(query) + "&sysparm_fields=" + escape(fields) + "&sysparm_limit=" + escape(limit) + "&sysparm_offset=1"
		i.call(t, http.MethodGet, "/api/now/table/cmdb_ci_server?"+rest, "", 200)
		i.call(t, http.MethodGet, "/api/now/stats/cmdb_ci?sysparm_count=true&sysparm_query="+escape(query)+"&sysparm_group_by="+escape(fields)+"&sysparm_having="+escape(limit), "", 200)
	})
}

// Identification and reconciliation: any body and any options in all four calls. A call that committed can be repeated.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		items(ci("cmdb_ci_server", "1", `"name":"a"`)),
		related([]string{ci("cmdb_ci_server", "1", `"name":"a"`), adapter("n", "eth0", "")}, rel("1", "n", owns)),
		benchPayload(0, 0),
		`{"items":[null,{"values":{"name":1}}],"relations":[{"parent":0,"child":0,"type":"Owns::Owned by"}],"referenceItems":[{}]}`,
		`{"items":[{"className":"cmdb_ci_server","values":{"a":{}}}]}`,
		`{"items":[{"className":"cmdb_ci_server","values":{"name":"a"},"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"1"}},null],"related":[{}],"settings":{"updateWithoutSwitch":"TRUE"},"classUpgrade":"no"}]}`,
		`{"items":[{"className":"cmdb_ci_server","internal_id":1,"values":{"name":"a"},"display_values":{"manufacturer":"Acme"}},{"internal_id":1}],"referenceItems":[{"referenced":"1","referencedBy":"1","referenceField":"managed_by"}]}`,
		strings.Repeat(`{"items":[`, 300), strings.Repeat("[", 20_000),
	} {
		f.Add(seed, "generate_summary:true")
	}
	f.Add(items(ci("cmdb_ci_server", "1", `"name":"a"`)), "partial_payloads:false,partial_commits:false,:,x")
	i := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, body, options string) {
		for _, variant := range []string{"/query", "/queryEnhanced", "", "/enhanced"} {
			url := "/api/now/identifyreconcile" + variant + "?sysparm_data_source=SG-Qualys&options=" + escape(options)
			statuses := []int{200, 400}
			if strings.HasSuffix(variant, "nhanced") {
				statuses = append(statuses, 500) // options that cannot be read
			}
			w := i.call(t, http.MethodPost, url, body, statuses...)
			if variant != "/enhanced" || w.Code != 200 {
				continue
			}
			if first := decodeIRE(t, w.Body.Bytes()); !first.HasError {
				again := decodeIRE(t, i.call(t, http.MethodPost, url, body, 200).Body.Bytes())
				require.Equal(t, len(first.Items), len(again.Items))
			}
		}
	})
}

// Batch API: any envelope, and any request inside one.
func FuzzBatch(f *testing.F) {
	f.Add("", "GET", "/api/now/table/cmdb_ci?sysparm_limit=1", "Accept", "application/json", "")
	f.Add("", "POST", "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys", "Content-Type", "application/json", items(ci("cmdb_ci_server", "1", `"name":"a"`)))
	f.Add("", "DELETE", "/api/now/v2/table/cmdb_ci/0", "accept", "*/*", "x")
	f.Add("", "PATCH", "http://elsewhere/%zz?a=%", "Host\n", "\x00", "{}")
	f.Add(`{"batch_request_id":1}`, "", "", "", "", "")
	f.Add(`{"rest_requests":[{"id":"1","url":"/api/now/v1/batch","method":"POST"},{"body":"%"},null]}`, "", "", "", "", "")
	i := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, raw, method, url, header, value, body string) {
		if raw == "" {
			inner, err := json.Marshal(map[string]any{"batch_request_id": "1", "rest_requests": []any{map[string]any{"id": "1", "method": method, "url": url,
				"headers": []any{map[string]string{"name": "Accept", "value": "application/json"}, map[string]string{"name": header, "value": value}},
				"body":    base64.StdEncoding.EncodeToString([]byte(body))}}})
			require.NoError(t, err)
			raw = string(inner)
		}
		w := i.call(t, http.MethodPost, "/api/now/v1/batch", raw, 200, 400)
		if w.Code != 200 {
			return
		}
		var out struct {
			Serviced []struct {
				Status int `json:"status_code"`
			} `json:"serviced_requests"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
		for _, answer := range out.Serviced {
			require.GreaterOrEqual(t, answer.Status, 200)
			require.Less(t, answer.Status, 600)
		}
	})
}

// Import Set API: single and multiple records of any shape.
func FuzzImportSet(f *testing.F) {
	f.Add(`{"name":"a","serial_number":"1"}`)
	f.Add(`{"records":[{"name":"a"},{"Serial number":"2","nested":{"a":[1]}},null]}`)
	f.Add(`{"records":{}}`)
	f.Add(`null`)
	i := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"imp_computer", "imp_computer/insertMultiple"} {
			i.call(t, http.MethodPost, "/api/now/import/"+path, body, 200, 201, 400)
		}
	})
}

// Table API and CMDB Instance API, writing: any body for any table.
func FuzzRecord(f *testing.F) {
	for _, table := range []string{"cmdb_ci_server", "cmdb_rel_ci", "sys_properties", "sys_choice", "cmdb_reconciliation_definition", "sys_user", "cmdb_ci_no_such_class"} {
		f.Add(table, `{"name":"a","value":"true","type":"x","parent":"1","active":true}`)
	}
	f.Add("cmdb_ci_server", `{"attributes":{"name":"a"},"source":"SG-Qualys","outbound_relations":[{"type":"x","target":"y"}]}`)
	f.Add("cmdb_ci_server", `[{"name":null}]`)
	i := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, table, body string) {
		if strings.Contains(table, "/") || path.Clean("/"+table) != "/"+table || table == "" {
			return // is another resource, or redirected before anything looks at it
		}
		w := i.call(t, http.MethodPost, "/api/now/table/"+escape(table), body, 201, 400, 403, 404, 405)
		if w.Code == 201 {
			var out struct{ Result map[string]any }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
			record := fmt.Sprint("/api/now/table/", escape(table), "/", out.Result["sys_id"])
			i.call(t, http.MethodPatch, record, body, 200, 400, 403, 404)
			i.call(t, http.MethodDelete, record, "", 204, 403, 404)
		}
		i.call(t, http.MethodPost, "/api/now/cmdb/instance/"+escape(table), body, 200, 201, 400, 403, 404)
	})
}
