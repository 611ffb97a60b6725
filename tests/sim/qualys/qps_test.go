package qualys_test

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// The sections named below are those of the vendor's Asset Management & Tagging API v2 guide.

// qpsAnswer is a ServiceResponse in JSON; members that must be absent are pointers.
type qpsAnswer struct {
	Code    string          `json:"responseCode"`
	Count   *int            `json:"count"`
	More    json.RawMessage `json:"hasMoreRecords"`
	LastID  *int64          `json:"lastId"`
	Data    []qpsItem       `json:"data"`
	Details struct {
		Message    string `json:"errorMessage"`
		Resolution string `json:"errorResolution"`
	} `json:"responseErrorDetails"`
}

type qpsItem struct {
	HostAsset, Asset *qpsObject
	Tag              *qpsObject
}

type qpsObject struct {
	ID       int64
	Name     string
	RuleType string
	OS       string
	Tags     struct {
		List []struct{ TagSimple qpsObject }
	}
	Children struct {
		List []struct{ TagSimple qpsObject }
	}
}

func (c *client) qpsRaw(method, path, body, media string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.SetBasicAuth(qualys.DefaultUsername, qualys.DefaultPassword)
	if media != "" {
		r.Header.Set("Content-Type", media)
		r.Header.Set("Accept", media)
	}
	return c.do(r)
}

func (c *client) qps(t require.TestingT, path, body string) qpsAnswer {
	method := http.MethodPost
	if strings.HasPrefix(path, "get/") {
		method = http.MethodGet
	}
	w := c.qpsRaw(method, "/qps/rest/2.0/"+path, body, "application/json")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	var got struct{ ServiceResponse qpsAnswer }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), w.Body.String())
	return got.ServiceResponse
}

func qpsBody(criteria string, limit int) string {
	return `{"ServiceRequest":{"preferences":{"limitResults":` + strconv.Itoa(limit) + `},"filters":{"Criteria":[` + criteria + `]}}}`
}

func qpsCriterion(field, op, value string) string {
	b, _ := json.Marshal(map[string]string{"field": field, "operator": op, "value": value})
	return string(b)
}

// Request envelope, truncation: repeat with id GREATER lastId while hasMoreRecords is "true".
func TestQPSPagingEnumeratesEveryHostAssetOnceAndLastIDIsThereOnlyWhenMoreFollow(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Assets: 200}})
	total := *c.qps(t, "count/am/hostasset", "").Count
	seen, cursor := 0, int64(0)
	for {
		page := c.qps(t, "search/am/hostasset", qpsBody(qpsCriterion("id", "GREATER", strconv.FormatInt(cursor, 10)), 70))
		for _, item := range page.Data {
			require.Greater(t, item.HostAsset.ID, cursor)
			cursor = item.HostAsset.ID
			seen++
		}
		require.Len(t, page.Data, *page.Count)
		if string(page.More) == `"false"` {
			require.Nil(t, page.LastID)
			break
		}
		require.Equal(t, `"true"`, string(page.More))
		require.Equal(t, cursor, *page.LastID)
	}
	require.Equal(t, total, seen)
	require.Greater(t, total, 150)
	require.LessOrEqual(t, total, *c.qps(t, "count/am/asset", "").Count)
	offset := c.qps(t, "search/am/asset", `{"ServiceRequest":{"preferences":{"limitResults":2,"startFromOffset":3}}}`)
	first := c.qps(t, "search/am/asset", `{"ServiceRequest":{"preferences":{"limitResults":4}}}`)
	require.Equal(t, first.Data[2:], offset.Data)
	from := c.qps(t, "search/am/asset", `{"ServiceRequest":{"preferences":{"limitResults":1,"startFromId":`+strconv.FormatInt(first.Data[3].Asset.ID, 10)+`}}}`)
	require.Equal(t, first.Data[3:], from.Data, "startFromId includes the id")
}

// Response envelope: an empty search is SUCCESS with count 0 and nothing else.
func TestQPSEmptySearchHasNeitherDataNorHasMoreRecords(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	w := c.qpsRaw(http.MethodPost, "/qps/rest/2.0/search/am/tag", qpsBody(qpsCriterion("name", "EQUALS", "no such tag"), 10), "application/json")
	require.JSONEq(t, `{"ServiceResponse":{"responseCode":"SUCCESS","count":0}}`, w.Body.String())
}

// Operations: XML unless headers ask for JSON, each direction apart; a JSON body without the wrapper is ignored.
func TestQPSSpeaksXMLUnlessTheHeadersAskForJSON(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	request := `<?xml version="1.0"?><ServiceRequest><preferences><limitResults>1</limitResults></preferences><filters><Criteria field="name" operator="EQUALS">R&amp;D &lt;internal&gt;</Criteria></filters></ServiceRequest>`
	w := c.qpsRaw(http.MethodPost, "/qps/rest/2.0/search/am/tag", request, "")
	require.Equal(t, "application/xml", w.Header().Get("Content-Type"))
	require.Equal(t, "false", w.Header().Get("evaluation"))
	require.Empty(t, w.Header().Get("X-RateLimit-Limit"))
	require.Contains(t, w.Body.String(), `/qps/xsd/2.0/am/tag.xsd">`)
	var got struct {
		Code string   `xml:"responseCode"`
		Name []string `xml:"data>Tag>name"`
	}
	require.NoError(t, xml.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, "SUCCESS", got.Code)
	require.Equal(t, []string{"R&D <internal>"}, got.Name)

	r := httptest.NewRequest(http.MethodPost, "/qps/rest/2.0/search/am/tag", strings.NewReader(request))
	r.SetBasicAuth(qualys.DefaultUsername, qualys.DefaultPassword)
	r.Header.Set("Content-Type", "application/xml")
	r.Header.Set("Accept", "application/json")
	require.Contains(t, c.do(r).Body.String(), `"count":1`)

	bare := c.qps(t, "search/am/tag", `{"filters":{"Criteria":[`+qpsCriterion("id", "EQUALS", "1")+`]}}`)
	require.Equal(t, estate.TagCount, *bare.Count)
	fields := c.qpsRaw(http.MethodPost, "/qps/rest/2.0/search/am/tag?fields=id", qpsBody(qpsCriterion("name", "EQUALS", "CMDB"), 1), "application/json")
	require.JSONEq(t, `{"ServiceResponse":{"responseCode":"SUCCESS","count":1,"hasMoreRecords":"false","data":[{"Tag":{"id":`+strconv.FormatInt(estate.TagID(4), 10)+`}}]}}`, fields.Body.String())
}

// Response envelope, errors: status 200 and a responseCode. Basic auth: the schema named is hostasset's for any call.
func TestQPSErrorsHaveStatus200AndAResponseCode(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	one := `{"ServiceRequest":{"data":{"Tag":{"name":"x"}}}}`
	cases := []struct{ name, path, body, code, message string }{
		{"a text where a number belongs", "search/am/hostasset", qpsBody(qpsCriterion("qwebHostId", "EQUALS", "abc123"), 1), "INVALID_REQUEST", "Criteria: Invalid value format for criteria 'qwebHostId' (abc123)."},
		{"an operator with an underscore", "search/am/hostasset", qpsBody(qpsCriterion("id", "NOT_EQUALS", "1"), 1), "INVALID_REQUEST", "NOT_EQUALS"},
		{"an operator of another type", "search/am/hostasset", qpsBody(qpsCriterion("name", "GREATER", "1"), 1), "INVALID_REQUEST", "GREATER"},
		{"the name of the member instead of the criterion", "search/am/hostasset", qpsBody(qpsCriterion("modified", "GREATER", "2026-01-01T00:00:00Z"), 1), "INVALID_REQUEST", "modified"},
		{"a page that is too large", "search/am/hostasset", qpsBody("", 1001), "INVALID_REQUEST", "limitResults"},
		{"a page of nothing", "search/am/hostasset", qpsBody("", 0), "INVALID_REQUEST", "limitResults"},
		{"an id that does not exist", "get/am/hostasset/1", "", "OBJECT_NOT_FOUND", "1"},
		{"a tag that does not exist", "update/am/tag/1", one, "OBJECT_NOT_FOUND", "1"},
		{"an id that is no number", "get/am/tag/abc", "", "INVALID_REQUEST", "abc"},
		{"a broken document", "search/am/tag", `{"ServiceRequest":`, "INVALID_XML", ""},
		{"a name that a sibling has", "create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"CMDB"}}}}`, "INVALID_REQUEST", "already exists"},
		{"a dynamic tag without a rule", "create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"x","ruleType":"OS_REGEX"}}}}`, "INVALID_REQUEST", "ruleText"},
		{"the misspelt rule type of public clients", "create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"x","ruleType":"VULN_EXISTS","ruleText":"1"}}}}`, "INVALID_REQUEST", "VULN_EXISTS"},
		{"groovy without enablement", "create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"x","ruleType":"GROOVY","ruleText":"true"}}}}`, "INVALID_REQUEST", "not enabled"},
		{"a bulk change without a choice", "delete/am/tag", "", "INVALID_REQUEST", "filters"},
		{"a tree of the system", "delete/am/tag/" + strconv.FormatInt(estate.TagID(8), 10), "", "INVALID_REQUEST", "managed by the system"},
	}
	for _, tc := range cases {
		got := c.qps(t, tc.path, tc.body)
		require.Equal(t, tc.code, got.Code, tc.name)
		require.Contains(t, got.Details.Message, tc.message, tc.name)
		require.Nil(t, got.Count, tc.name)
	}
	r := httptest.NewRequest(http.MethodGet, "/qps/rest/portal/version", nil)
	r.SetBasicAuth(qualys.DefaultUsername, "wrong")
	w := c.do(r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "2.0/am/hostasset.xsd")
	require.Contains(t, w.Body.String(), "<responseCode>INVALID_CREDENTIALS</responseCode>")
	require.Contains(t, w.Body.String(), "<errorMessage>Authentication failed</errorMessage>")
	require.Contains(t, c.qpsRaw(http.MethodGet, "/qps/rest/portal/version", "", "").Body.String(), "<ITAM-VERSION>2.9.0.0-1</ITAM-VERSION>")
	require.Equal(t, http.StatusMethodNotAllowed, c.qpsRaw(http.MethodGet, "/qps/rest/2.0/search/am/tag", "", "").Code)
	require.Equal(t, http.StatusNotFound, c.qpsRaw(http.MethodPost, "/qps/rest/2.0/search/am/user", "", "").Code)
}

// Tags, ruleType: each dynamic rule has members some seconds after the tag was created, and search of the inventory
// shows them.
func TestQPSDynamicTagsGetTheirMembersSomeSecondsAfterCreation(t *testing.T) {
	t.Parallel()
	cases := []struct{ kind, text, provider, field, op, value string }{
		{kind: "GLOBAL_ASSET_VIEW", text: "operatingSystem.category1:`Windows` and not hardware.category1:Printers", field: "operatingSystem.category1", op: "EQUALS", value: "Windows"},
		{kind: "OS_REGEX", text: ".*Windows.*", field: "operatingSystem.name", op: "CONTAINS", value: "Windows"},
		{kind: "CLOUD_ASSET", text: `aws.ec2.instanceState:"RUNNING"`, provider: "EC2", field: "aws.ec2.instanceState", op: "EQUALS", value: "RUNNING"},
		{kind: "OPEN_PORTS", text: "22", field: "openPort.port", op: "EQUALS", value: "22"},
	}
	for _, tc := range cases {
		t.Run(tc.kind, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			c := mustClient(t, qualys.Options{Now: clock.Now})
			body, err := json.Marshal(map[string]any{"ServiceRequest": map[string]any{"data": map[string]any{"Tag": map[string]string{"name": "dyn", "ruleType": tc.kind, "ruleText": tc.text, "provider": tc.provider}}}})
			require.NoError(t, err)
			id := c.qps(t, "create/am/tag", string(body)).Data[0].Tag.ID
			byTag := qpsBody(qpsCriterion("tagId", "EQUALS", strconv.FormatInt(id, 10)), 1000)
			require.Zero(t, *c.qps(t, "count/am/asset", byTag).Count)
			clock.Add(5 * time.Second)
			require.Equal(t, "SUCCESS", c.qps(t, "evaluate/am/tag/"+strconv.FormatInt(id, 10), "").Code)
			want := c.countOf(t, "", criterion(tc.field, tc.op, tc.value))
			require.Positive(t, want)
			require.Equal(t, want, *c.qps(t, "count/am/asset", byTag).Count)
			require.Equal(t, want, c.countOf(t, "", criterion("tags.name", "EQUALS", "dyn")))
		})
	}
}

// Tags: rules on names, addresses and software select what they say.
func TestQPSDynamicTagsSelectByNameRangeAndSoftware(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := mustClient(t, qualys.Options{Now: clock.Now})
	some := c.qps(t, "search/am/hostasset", qpsBody(qpsCriterion("os", "CONTAINS", "Windows"), 1)).Data[0].HostAsset
	w := c.qpsRaw(http.MethodGet, "/qps/rest/2.0/get/am/hostasset/"+strconv.FormatInt(some.ID, 10), "", "")
	var x struct {
		Address  string   `xml:"data>HostAsset>address"`
		Software []string `xml:"data>HostAsset>software>list>HostAssetSoftware>name"`
	}
	require.NoError(t, xml.Unmarshal(w.Body.Bytes(), &x))
	for name, rule := range map[string]string{
		"n": `"NAME_CONTAINS","ruleText":"^\\Q` + some.Name + `\\E$"`,
		"r": `"NETWORK_RANGE","ruleText":"10.255.255.1, ` + x.Address + `-` + x.Address + `"`,
		"s": `"INSTALLED_SOFTWARE","ruleText":"\\Q` + x.Software[0] + `\\E"`,
	} {
		require.Equal(t, "SUCCESS", c.qps(t, "create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"`+name+`","ruleType":`+rule+`}}}}`).Code, rule)
	}
	clock.Add(time.Minute)
	var names []string
	for _, tag := range c.qps(t, "get/am/hostasset/"+strconv.FormatInt(some.ID, 10), "").Data[0].HostAsset.Tags.List {
		names = append(names, tag.TagSimple.Name)
	}
	require.Subset(t, names, []string{"n", "r", "s"})
	require.Equal(t, 1, c.countOf(t, "", criterion("tags.name", "EQUALS", "n")))
}

// Tags, create/update/delete, and assigning static tags; all of it survives a kill.
func TestQPSTagsAreCreatedAssignedRenamedAndDeletedAndSurviveAKill(t *testing.T) {
	t.Parallel()
	o := qualys.Options{StateDir: t.TempDir(), Now: newClock().Now, Estate: estate.Options{Assets: 100}}
	c := mustClient(t, o)
	created := c.qps(t, "create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"App","color":"#FF8800","children":{"set":{"TagSimple":[{"name":"A1"},{"name":"A2"}]}}}}}}`).Data[0].Tag
	require.Len(t, created.Children.List, 2)
	require.Equal(t, "STATIC", created.RuleType)
	id := strconv.FormatInt(created.ID, 10)
	hosts := c.qps(t, "search/am/hostasset", qpsBody("", 2)).Data
	ids := strconv.FormatInt(hosts[0].HostAsset.ID, 10) + "," + strconv.FormatInt(hosts[1].HostAsset.ID, 10)
	assign := func(kind, tag string) qpsAnswer {
		return c.qps(t, "update/am/hostasset", `{"ServiceRequest":{"filters":{"Criteria":`+qpsCriterion("id", "IN", ids)+`},"data":{"HostAsset":{"tags":{`+kind+`:{"TagSimple":{"id":`+tag+`}}}}}}}`)
	}
	require.Equal(t, 2, *assign(`"add"`, id).Count)
	require.Equal(t, "INVALID_REQUEST", assign(`"add"`, "1").Code)
	require.Equal(t, "INVALID_REQUEST", assign(`"add"`, strconv.FormatInt(estate.TagID(0), 10)).Code, "Cloud Agent is not static")
	require.Equal(t, "INVALID_REQUEST", assign(`"remove":{},"add"`, id).Code)
	require.Equal(t, 2, c.countOf(t, "", criterion("tags.name", "EQUALS", "App")))
	require.Equal(t, "SUCCESS", c.qps(t, "update/am/tag/"+id, `{"ServiceRequest":{"data":{"Tag":{"name":"Application"}}}}`).Code)

	c = mustClient(t, o)
	require.Equal(t, 2, c.countOf(t, "", criterion("tags.name", "EQUALS", "Application")))
	require.Contains(t, c.do(c.request(http.MethodGet, getPath+"?assetId="+strings.Split(ids, ",")[0], "")).Body.String(), `"tagName":"Application"`)
	require.Equal(t, 2, *assign(`"remove"`, id).Count)
	require.Zero(t, c.countOf(t, "", criterion("tags.name", "EQUALS", "Application")))
	require.Equal(t, 1, *c.qps(t, "delete/am/tag/"+id, "").Count)
	require.Equal(t, estate.TagCount, *c.qps(t, "count/am/tag", "").Count, "children go with their parent")
}

// Basic auth and roles: a user without the permission for tags reads them and cannot change them.
func TestQPSUserWithoutTagPermissionReadsTagsOnly(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{Users: []qualys.User{{Username: "reader", Password: "r", NoTags: true}}}).Handler()}
	for op, want := range map[string]string{"search": "SUCCESS", "count": "SUCCESS", "create": "UNAUTHORIZED", "delete": "UNAUTHORIZED"} {
		r := httptest.NewRequest(http.MethodPost, "/qps/rest/2.0/"+op+"/am/tag", nil)
		r.SetBasicAuth("reader", "r")
		require.Contains(t, c.do(r).Body.String(), "<responseCode>"+want+"</responseCode>", op)
	}
}

// Roles: each of the four tag permissions is asked for by the calls that need it, before the tag is looked at, and the
// module by all calls.
func TestQPSEachTagPermissionIsAskedForByItself(t *testing.T) {
	t.Parallel()
	const plain, ruled = `{"ServiceRequest":{"data":{"Tag":{}}}}`, `{"ServiceRequest":{"data":{"Tag":{"ruleType":"GLOBAL_ASSET_VIEW","ruleText":"a"}}}}`
	paths := map[string][2]string{"create": {"create/am/tag", plain}, "edit": {"update/am/tag/0", plain}, "delete": {"delete/am/tag/0", ""}, "rules": {"update/am/tag/0", ruled}, "read": {"search/am/tag", ""}}
	for name, c := range map[string]struct {
		without qualys.Permission
		code    string
		refused []string
	}{
		"create": {qualys.PermCreateTag, "UNAUTHORIZED", []string{"create"}},
		"edit":   {qualys.PermEditTag, "UNAUTHORIZED", []string{"edit", "rules"}},
		"delete": {qualys.PermDeleteTag, "UNAUTHORIZED", []string{"delete"}},
		"rules":  {qualys.PermTagRules, "UNAUTHORIZED", []string{"rules"}},
		"all":    {qualys.PermTagging, "UNAUTHORIZED", []string{"create", "edit", "delete", "rules"}},
		"module": {qualys.PermAssetManagement, "not enabled", []string{"create", "edit", "delete", "rules", "read"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &client{h: mustServer(t, qualys.Options{Users: []qualys.User{{Username: "u", Password: "p", Without: []qualys.Permission{c.without}}}}).Handler()}
			var refused []string
			for _, what := range []string{"create", "edit", "delete", "rules", "read"} {
				r := httptest.NewRequest(http.MethodPost, "/qps/rest/2.0/"+paths[what][0], strings.NewReader(paths[what][1]))
				r.SetBasicAuth("u", "p")
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Accept", "application/json")
				if strings.Contains(h.do(r).Body.String(), c.code) {
					refused = append(refused, what)
				}
			}
			require.Equal(t, c.refused, refused)
		})
	}
}

// FuzzQPSRequestNeverBreaksTheServer feeds arbitrary bodies as XML and as JSON, and arbitrary text as a tag rule.
func FuzzQPSRequestNeverBreaksTheServer(f *testing.F) {
	f.Add("<ServiceRequest><filters><Criteria field=\"id\" operator=\"IN\">1,2</Criteria></filters></ServiceRequest>")
	f.Add(`{"ServiceRequest":{"filters":{"Criteria":{"field":"id","operator":"EQUALS","value":1}}}}`)
	f.Add("not (operatingSystem:Windows or asset.riskScore:>= 5) and tags.name:`x`")
	f.Add("[[[[")
	c := &client{h: mustServer(f, qualys.Options{Estate: estate.Options{Assets: 100}}).Handler()}
	f.Fuzz(func(t *testing.T, text string) {
		for _, media := range []string{"application/xml", "application/json"} {
			w := c.qpsRaw(http.MethodPost, "/qps/rest/2.0/search/am/asset", text, media)
			require.Equal(t, http.StatusOK, w.Code)
			require.Contains(t, w.Body.String(), "responseCode")
		}
		rule, err := json.Marshal(text)
		require.NoError(t, err)
		got := c.qps(t, "create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"f","ruleType":"GLOBAL_ASSET_VIEW","ruleText":`+string(rule)+`}}}}`)
		require.Contains(t, []string{"SUCCESS", "INVALID_REQUEST"}, got.Code)
		c.qps(t, "delete/am/tag", `{"ServiceRequest":{"filters":{"Criteria":`+qpsCriterion("name", "EQUALS", "f")+`}}}`)
	})
}
