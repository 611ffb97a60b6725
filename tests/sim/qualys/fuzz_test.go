package qualys_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// fuzzed is a simulator under fuzzing. What the inputs write is thrown away now and then, so that the last input meets a
// simulator as small as the first did.
type fuzzed struct {
	*client
	calls int
}

func mustFuzzed(f *testing.F) *fuzzed {
	return &fuzzed{client: mustClient(f, qualys.Options{Estate: estate.Options{Assets: 60}})}
}

// answer sends a request and checks that the answer has one of the documented statuses and a body of its media type.
func (c *fuzzed) answer(t *testing.T, r *http.Request, statuses ...int) *httptest.ResponseRecorder {
	if c.calls++; c.calls%1000 == 0 {
		require.Equal(t, http.StatusNoContent, c.do(httptest.NewRequest(http.MethodPost, "/_sim/reset", nil)).Code)
		c.signIn(t)
		if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
	}
	w := c.do(r)
	require.Contains(t, statuses, w.Code, w.Body.String())
	body := w.Body.Bytes()
	switch media := w.Header().Get("Content-Type"); {
	case w.Code == http.StatusNoContent:
		require.Empty(t, body)
	case strings.Contains(media, "json"):
		require.True(t, json.Valid(body), string(body))
	case strings.Contains(media, "xml"):
		for d := xml.NewDecoder(bytes.NewReader(body)); ; {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, string(body))
		}
	default:
		t.Fatalf("an answer of media type %q: %s", media, body)
	}
	return w
}

func (c *fuzzed) raw(method, path, query, body, media string) *http.Request {
	r := c.request(method, path, body)
	r.URL.RawQuery = query
	r.Header.Set("Content-Type", media)
	return r
}

// CSAM API v2, parameters of search and count: any query string is answered or refused with 400.
func FuzzSearchParameters(f *testing.F) {
	for _, seed := range []string{"pageSize=300&lastSeenAssetId=5", "pageSize=0", "pageSize=%", "assetLastUpdated=2026-01-01T00:00:00Z", "assetLastUpdated=2026-01-01T00:00:00.5Z",
		"includeFields=software,&excludeFields=hardware", "excludeFields=" + strings.Repeat("a,", 2000), "softwareType=Application&lastSeenAssetId=9223372036854775807", "a;b=c"} {
		f.Add(seed)
	}
	c := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{searchPath, countPath} {
			c.answer(t, c.raw(http.MethodPost, path, query, "", "application/json"), 200, 204, 400, 416)
		}
	})
}

// CSAM API v2, filter: a criterion means the same in JSON and in XML, whatever it says.
func FuzzCriterion(f *testing.F) {
	f.Add("asset.name", "CONTAINS", "srv", "AND")
	f.Add("asset.truRisk", "IN", "1, 2,,x", "OR")
	f.Add("asset.createdDate", "GREATER_THAN_EQUAL", "2026-01-01T00:00Z", "")
	f.Add("asset.hasAiCriticalityScore", "EQUALS", "TRUE", "XOR")
	f.Add("interfaces.address", "IN", "10.0.0.1,::1", "AND")
	f.Add("aws.ec2.", "EQUALS", "NaN", "AND")
	f.Add("openPort.port", "LESSER", "1e400", "AND")
	c := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, field, operator, value, operation string) {
		text := func(s string) string {
			var b bytes.Buffer
			require.NoError(t, xml.EscapeText(&b, []byte(s)))
			return b.String()
		}
		document := map[string]any{"filters": []map[string]string{{"field": field, "operator": operator, "value": value}}}
		tail := ""
		if operation != "" {
			document["operation"], tail = operation, "<operation>"+text(operation)+"</operation>"
		}
		body, err := json.Marshal(document)
		require.NoError(t, err)
		inJSON := c.answer(t, c.raw(http.MethodPost, countPath, "", string(body), "application/json"), 200, 400)
		inXML := c.answer(t, c.raw(http.MethodPost, countPath, "", `<FilterRequest><filters><Criteria field="`+text(field)+`" operator="`+text(operator)+`"><value>`+text(value)+`</value></Criteria></filters>`+tail+`</FilterRequest>`, "text/xml"), 200, 400)
		require.Equal(t, inJSON.Code, inXML.Code, "%s / %s", inJSON.Body, inXML.Body)
		if inJSON.Code == http.StatusOK {
			require.Equal(t, inJSON.Body.String(), inXML.Body.String())
		}
	})
}

// CSAM API v2, filter: any body in either form; nesting is bounded by the decoders.
func FuzzFilterDocument(f *testing.F) {
	for _, seed := range []string{criterion("asset.name", "EQUALS", "a"), `{"filters":[{}]}`, `{"filters":null,"operation":null}`, `{"filters":[{"field":"asset.truRisk","operator":"EQUALS","value":1e999}]}`,
		strings.Repeat(`{"filters":[`, 400), strings.Repeat("[", 50_000), `<FilterRequest><filters><Criteria field="asset.name"/></filters></FilterRequest>`,
		strings.Repeat("<FilterRequest>", 20_000), `<!DOCTYPE a [<!ENTITY b "c">]><FilterRequest>&b;</FilterRequest>`} {
		f.Add(seed)
	}
	c := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, body string) {
		for _, media := range []string{"application/json", "text/xml", "application/xml; charset=utf-8"} {
			c.answer(t, c.raw(http.MethodPost, searchPath, "excludeFields=software", body, media), 200, 204, 400, 413)
		}
	})
}

// GAV API v1: any filter of the query language.
func FuzzQQL(f *testing.F) {
	for _, seed := range []string{
		"", "operatingSystem:(category1:`Linux` or category1:'x')", "asset.lastUpdatedDate:[now-1d .. now]", "not not asset.name:\"a\"", strings.Repeat("(", 200),
		strings.Repeat("asset:(", 100), "asset.id:>=1 and asset.id:<99", "asset.name:*", "[", ":", "a:[..]", "not", "agent.agentID is null", "asset.id:[\"]..\" .. ]", "asset.lastUpdatedDate:<now-99999y", strings.Repeat("asset.name:a or ", 900) + "asset.name:b",
	} {
		f.Add(seed)
	}
	c := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, filter string) {
		c.answer(t, c.request(http.MethodPost, v1Count+"?"+url.Values{"filter": {filter}}.Encode(), ""), 200, 400)
	})
}

// Asset Management & Tagging API v2: any body for any operation. Errors have status 200 and a responseCode.
func FuzzQPSOperation(f *testing.F) {
	for _, call := range []string{"search/am/asset", "search/am/hostasset", "count/am/tag", "update/am/hostasset", "create/am/tag", "update/am/tag", "delete/am/tag", "evaluate/am/tag/1", "get/am/tag/x"} {
		f.Add(call, `{"ServiceRequest":{"preferences":{"limitResults":1},"filters":{"Criteria":[{"field":"id","operator":"GREATER","value":"1"}]},"data":{"Tag":{"name":"a","ruleType":"OS_REGEX","ruleText":"(a*)*","children":{"set":{"TagSimple":[{"name":"b"}]}}}}}}`)
		f.Add(call, `<ServiceRequest><filters><Criteria field="name" operator="CONTAINS">a</Criteria></filters><data><HostAsset><tags><add><TagSimple><id>1</id></TagSimple></add></tags></HostAsset></data></ServiceRequest>`)
	}
	for _, rule := range []string{"NAME_CONTAINS", "NETWORK_RANGE", "INSTALLED_SOFTWARE", "OPEN_PORTS", "CLOUD_ASSET", "STATIC", "GLOBAL_ASSET_VIEW"} {
		f.Add("create/am/tag", `<ServiceRequest><data><Tag><name>r</name><color>#FFFFFF</color><ruleType>`+rule+`</ruleType><ruleText>10.0.0.0/8,0.0.0.0-255.255.255.255 a{1000}</ruleText></Tag></data></ServiceRequest>`)
	}
	f.Add("search/am/tag", strings.Repeat("<a>", 70))
	f.Add("search/am/tag", strings.Repeat(`{"a":[`, 70))
	c := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, call, body string) {
		if path.Clean("/"+call) != "/"+call {
			return // is redirected before anything looks at it
		}
		for _, media := range []string{"application/xml", "application/json"} {
			r := httptest.NewRequest(http.MethodPost, "/qps/rest/2.0/x", strings.NewReader(body))
			r.URL.Path = "/qps/rest/2.0/" + call
			r.SetBasicAuth(qualys.DefaultUsername, qualys.DefaultPassword)
			r.Header.Set("Content-Type", media)
			r.Header.Set("Accept", media)
			if w := c.answer(t, r, 200, 400, 404, 405, 415); w.Code == http.StatusOK {
				require.Contains(t, w.Body.String(), "responseCode")
			}
		}
	})
}

// FO APIs: any parameters in the query, in a form or as CSV. Refusals have status 400 and a code.
func FuzzFOParameters(f *testing.F) {
	for _, seed := range [][3]string{
		{"asset/ip", "action=list&ips=10.0.0.0-10.0.0.9", ""},
		{"asset/ip", "", "action=add&ips=192.0.2.1,192.0.2.9-192.0.2.3&enable_vm=1&comment=%00"},
		{"asset/ip", "action=update&host_dns=a", "10.0.0.1\n10.0.0.2"},
		{"asset/excluded_ip", "action=list&ips=0.0.0.0-255.255.255.255", ""},
		{"asset/host", "action=list&truncation_limit=1&id_min=9223372036854775807&details=All/AGs&show_tags=1&ids=1-9,3", ""},
		{"asset/host", "action=list&no_vm_scan_since=2026-02-31&os_pattern=(a*)*&use_tags=1&tag_set_by=name&tag_set_include=a", ""},
		{"asset/group", "", "action=add&title=a&ips=10.0.1.0&business_impact=high"},
		{"asset/group", "", "action=edit&id=1&set_ips=&add_ips=10.0.1.0-10.0.1.3&set_title=%C3%28"},
		{"activity_log", "action=list&since_datetime=2026-01-01&truncation_limit=0&output_format=csv", ""},
		{"session", "", "action=login&username=a&password=b"},
		{"asset/ip", "action=%", ";"},
	} {
		f.Add(seed[0], seed[1], seed[2], "application/x-www-form-urlencoded")
		f.Add(seed[0], seed[1], seed[2], "text/csv")
	}
	c := mustFuzzed(f)
	f.Fuzz(func(t *testing.T, api, query, form, media string) {
		method := http.MethodPost
		if form == "" {
			method = http.MethodGet
		}
		r := httptest.NewRequest(method, "https://qualysapi.example/x", strings.NewReader(form))
		r.URL.Path, r.URL.RawQuery = foBase+api+"/", query
		r.SetBasicAuth(qualys.DefaultUsername, qualys.DefaultPassword)
		r.Header.Set("X-Requested-With", "curl")
		r.Header.Set("Content-Type", media)
		w := c.do(r)
		require.Contains(t, []int{200, 307, 400, 401, 404, 409}, w.Code, w.Body.String())
		if strings.Contains(w.Header().Get("Content-Type"), "xml") {
			require.NoError(t, xml.Unmarshal(w.Body.Bytes(), new(struct{})), w.Body.String())
			if w.Code == http.StatusBadRequest {
				require.Contains(t, w.Body.String(), "<CODE>")
			}
		}
	})
}
