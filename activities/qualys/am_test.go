package qualys_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/asset"
)

func TestAHostAssetIsTheSameAssetInBothLanguages(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"JSON": amJSON("false", 0, amSampleJSON), "XML": amXML("false", 0, amSampleXML)} {
		p, _, err := am(t, qualys.FormatXML, says(answer)).Search(context.Background(), qualys.Query{})
		require.NoError(t, err, name)
		require.Len(t, p.Results, 1, name)
		require.Nil(t, p.Results[0].Err, name)
		require.Empty(t, cmp.Diff(amSample(), p.Results[0].Asset), name)
		require.False(t, p.HasMore, name)
		require.EqualValues(t, 84047001, p.Next, name)
	}
}

func TestACloudInstanceComesFromTheNewestSourceAndItsProviderFromTheNameAtLeast(t *testing.T) {
	t.Parallel()
	azure := `{"AzureAssetSourceSimple":{"lastUpdated":"2026-02-05T00:00:00Z","azureVmTags":{"tags":{"list":[{"AzureTags":{"key":"env","value":"p"}}]}},"name":"vm1","location":"westeurope","vmSize":"D2","vmId":"0a-1","offer":"o","state":"TERMINATED","publisher":"p","version":"1","subnet":"s","subscriptionId":"sub","resourceGroupName":"rg","macAddress":"00-0D","privateIpAddress":"10.0.0.4"}}`
	gcp := `{"GcpAssetSourceSimple":{"lastUpdated":"2026-02-06T00:00:00Z","gcpInstanceTags":{"tags":{"list":""}},"instanceId":77,"hostname":"g1","machineType":"e2","zone":"europe-west1-b","projectIdNo":1,"projectId":"prj","state":"RUNNING","network":"default"}}`
	for name, c := range map[string]struct {
		fields  string
		want    asset.Cloud
		present bool
	}{
		"Azure": {`"sourceInfo":{"list":[` + azure + `]}`, asset.Cloud{Provider: asset.CloudAzure, InstanceID: "0a-1", Name: "vm1", AccountID: "sub", Region: "westeurope", State: "TERMINATED",
			InstanceType: "D2", ImagePublisher: "p", ImageOffer: "o", ImageVersion: "1", SubnetID: "s", ResourceGroup: "rg", PrivateIP: "10.0.0.4", MAC: "00-0D", Tags: []asset.CloudTag{{Key: "env", Value: "p"}}}, true},
		"the newer of two": {`"cloudProvider":"AZURE","sourceInfo":{"list":[` + azure + `,` + gcp + `]}`, asset.Cloud{Provider: asset.CloudGCP, InstanceID: "77", Name: "g1", AccountID: "prj", Region: "europe-west1",
			Zone: "europe-west1-b", State: "RUNNING", InstanceType: "e2", NetworkID: "default"}, true},
		"a name only":              {`"cloudProvider":"AZURE","sourceInfo":{"list":[{"AssetSource":""}]}`, asset.Cloud{Provider: asset.CloudAzure}, false},
		"a cloud without elements": {`"cloudProvider":"OCI"`, asset.Cloud{Provider: asset.CloudOCI}, false},
		"an unknown name":          {`"cloudProvider":"Hetzner"`, asset.Cloud{}, false},
	} {
		p, _, err := am(t, qualys.FormatJSON, says(amJSON("false", 0, `{"id":1,`+c.fields+`}`))).Search(context.Background(), qualys.Query{})
		require.NoError(t, err, name)
		require.Nil(t, p.Results[0].Err, name)
		require.Empty(t, cmp.Diff(c.want, p.Results[0].Asset.Cloud), name)
		require.Equal(t, c.present, p.Results[0].Asset.Has(asset.SectionCloud), name)
	}
}

func TestRequestsAreWrittenInTheLanguageOfTheClient(t *testing.T) {
	t.Parallel()
	q := qualys.Query{
		Cursor: 7, PageSize: 50, UpdatedSince: time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), ExcludeFields: []string{"software", "openPorts", "volumes", "processor", "services"},
		Filter: &qualys.Filter{Operation: "AND", Conditions: []qualys.Condition{{Field: "name", Operator: "NOT_EQUALS", Value: `a<b & "c"`}}},
	}
	criteria := `<Criteria field="name" operator="NOT EQUALS">a&lt;b &amp; &#34;c&#34;</Criteria><Criteria field="updated" operator="GREATER">2026-01-02T03:04:04Z</Criteria>`
	for format, want := range map[qualys.Format][3]string{
		qualys.FormatXML: {"application/xml", `<ServiceRequest><preferences><limitResults>50</limitResults></preferences><filters>` + criteria + `<Criteria field="id" operator="GREATER">7</Criteria></filters></ServiceRequest>`,
			`<ServiceRequest><filters>` + criteria + `</filters></ServiceRequest>`},
		qualys.FormatJSON: {"application/json",
			`{"ServiceRequest":{"preferences":{"limitResults":50},"filters":{"Criteria":[{"field":"name","operator":"NOT EQUALS","value":"a\u003cb \u0026 \"c\""},{"field":"updated","operator":"GREATER","value":"2026-01-02T03:04:04Z"},{"field":"id","operator":"GREATER","value":"7"}]}}}`,
			`{"ServiceRequest":{"filters":{"Criteria":[{"field":"name","operator":"NOT EQUALS","value":"a\u003cb \u0026 \"c\""},{"field":"updated","operator":"GREATER","value":"2026-01-02T03:04:04Z"}]}}}`},
	} {
		var got []string
		c := am(t, format, portal(func(r *http.Request, body string) (int, string) {
			name, secret, ok := r.BasicAuth()
			require.Equal(t, []any{user, password, true, want[0], want[0]}, []any{name, secret, ok, r.Header.Get("Content-Type"), r.Header.Get("Accept")})
			fields := strings.Split(r.URL.Query().Get("fields"), ",")
			if strings.Contains(r.URL.Path, "search") {
				require.NotContains(t, fields, "software")
				require.NotContains(t, fields, "openPort")
				require.Subset(t, fields, []string{"id", "modified", "os", "volume", "processor", "sourceInfo", "cloudProvider", "tags", "networkInterface"}, "classification asks for volumes and processor")
			}
			got = append(got, r.Method+" "+r.URL.Path, body)
			return http.StatusOK, `{"ServiceResponse":{"responseCode":"SUCCESS","count":0}}`
		}))
		_, _, err := c.Search(context.Background(), q)
		require.NoError(t, err)
		_, _, err = c.Count(context.Background(), q)
		require.NoError(t, err)
		require.Equal(t, []string{"POST /qps/rest/2.0/search/am/hostasset", want[1], "POST /qps/rest/2.0/count/am/hostasset", want[2]}, got)
	}
}

func TestFieldsAreNamedOnlyWhenSomethingIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		q        qualys.Query
		has, not string
	}{
		"everything":             {qualys.Query{}, "", "id"},
		"nothing it knows":       {qualys.Query{ExcludeFields: []string{"services"}}, "", "id"},
		"one section left out":   {qualys.Query{ExcludeFields: []string{"tags"}}, "software", "tags"},
		"one section asked for":  {qualys.Query{IncludeFields: []string{"openPorts"}}, "openPort", "software"},
		"by the vendor's name":   {qualys.Query{IncludeFields: []string{"account"}}, "account", "networkInterface"},
		"inclusion comes before": {qualys.Query{IncludeFields: []string{"tags"}, ExcludeFields: []string{"tags"}}, "tags", "software"},
	} {
		c2 := am(t, qualys.FormatJSON, portal(func(r *http.Request, _ string) (int, string) {
			fields := strings.Split(r.URL.Query().Get("fields"), ",")
			require.Contains(t, fields, c.has, name)
			require.NotContains(t, fields, c.not, name)
			return http.StatusOK, amJSON("false", 0)
		}))
		_, _, err := c2.Search(context.Background(), c.q)
		require.NoError(t, err, name)
	}
}

func TestAFilterThatTheAPICannotExpressIsRefusedBeforeACall(t *testing.T) {
	t.Parallel()
	one := func(field, op string) qualys.Condition {
		return qualys.Condition{Field: field, Operator: op, Value: "1"}
	}
	c := am(t, qualys.FormatXML, portal(func(*http.Request, string) (int, string) {
		t.Error("a call was made")
		return http.StatusOK, amXML("false", 0)
	}))
	for want, f := range map[string]qualys.Filter{
		`cannot select by "operatingSystem.category1"`: {Conditions: []qualys.Condition{one("operatingSystem.category1", "EQUALS")}},
		`os cannot be compared by "GREATER"`:           {Conditions: []qualys.Condition{one("os", "GREATER")}},
		"joins conditions by AND only, not by OR":      {Operation: "or", Conditions: []qualys.Condition{one("id", "GREATER"), one("os", "EQUALS")}},
	} {
		q := qualys.Query{Filter: &f}
		_, _, err := c.Search(context.Background(), q)
		_, _, err2 := c.Count(context.Background(), q)
		for _, err := range []error{err, err2} {
			var e *qualys.Error
			require.ErrorAs(t, err, &e, want)
			require.Equal(t, qualys.KindInvalidRequest, e.Kind(), want)
			require.ErrorContains(t, err, want)
		}
	}
}

func TestWhatConvertersAndRealTenantsMakeOfAnAnswerIsUnderstood(t *testing.T) {
	t.Parallel()
	read := func(answer string) *asset.Asset {
		p, _, err := am(t, qualys.FormatJSON, says(answer)).Search(context.Background(), qualys.Query{})
		require.NoError(t, err, answer)
		require.Len(t, p.Results, 1, answer)
		require.Nil(t, p.Results[0].Err, answer)
		return p.Results[0].Asset
	}
	one := func(fields string) *asset.Asset { return read(amJSON("false", 0, `{"id":"1",`+fields+`}`)) }

	require.Equal(t, []asset.Software{{DiscoveredName: "a"}}, one(`"software":{"list":{"HostAssetSoftware":{"name":"a"}}}`).Software, "a list of one")
	require.Equal(t, []asset.Software{{DiscoveredName: "a"}, {DiscoveredName: "b"}}, one(`"software":{"list":{"HostAssetSoftware":[{"name":"a"},{"name":"b"}]}}`).Software, "a list without its wrappers")
	require.Equal(t, []asset.Software{{DiscoveredName: "12", Version: "7"}}, one(`"software":{"list":[{"HostAssetSoftware":{"name":12,"version":7}}]}`).Software, "numbers for texts")
	require.Equal(t, "10.10", one(`"os":10.10`).OS.Name)
	require.True(t, one(`"isDockerHost":true`).ContainerHost)
	require.Equal(t, "h", one(`"hostname":"h"`).DNSName)
	require.Equal(t, "d", one(`"hostname":"h","dnsHostName":"d"`).DNSName)
	for _, empty := range []string{`{"list":[]}`, `{"list":""}`, `""`, `{}`, `[]`} {
		a := one(`"tags":` + empty)
		require.True(t, a.Has(asset.SectionTags), empty)
		require.Empty(t, a.Tags)
	}
	for _, absent := range []string{`null`, `{"list":null}`} {
		require.False(t, one(`"tags":`+absent).Has(asset.SectionTags), "%s is not known to be empty", absent)
	}
	require.Equal(t, []asset.Section(nil), one(`"name":"a"`).Present)
	require.Empty(t, one(`"agentInfo":""`).AgentID)
	require.EqualValues(t, 5, one(`"unknown":{"list":[1,2]},"criticalityScore":"5"`).CriticalityScore)
	require.Len(t, one(`"networkInterface":{"list":[{"I":{"address":"10.0.0.1"}},{"I":{"address":"10.0.0.2"}}]}`).Interfaces, 2, "without a MAC nothing tells that they are one")

	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, []byte(amJSON("false", 0, amSampleJSON)), "", "  "))
	require.Empty(t, cmp.Diff(amSample(), read("\ufeff\n"+pretty.String())))

	require.Equal(t, "1", fmt.Sprint(read(`{"ServiceResponse":{"data":{"HostAsset":{"id":1}},"hasMoreRecords":false,"count":1,"responseCode":"SUCCESS"}}`).ID), "collapsed, and in another order")
	a := read(amXML("false", 0, "<tags>\n</tags><software><list/></software><name>a\x01\xff&#1;&#x1F;&#xFFFF;&#9;&amp;&#228;<!-- c --><![CDATA[<b>]]></name><id> 1 </id>"))
	require.Equal(t, "a\ufffd\ufffd\ufffd\ufffd\ufffd\t&ä<b>", a.Name)
	require.True(t, a.Has(asset.SectionTags) && a.Has(asset.SectionSoftware))
}

func TestPagesFollowLastIDAndStopWhenItStands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers map[string]string // by cursor
		ids     []int64
		stuck   bool
	}{
		"the last page has no lastId": {map[string]string{"": amXML("true", 2, "<id>1</id>", "<id>2</id>"), "2": amXML("false", 0, "<id>3</id>")}, []int64{1, 2, 3}, false},
		"lastId leads, not the order": {map[string]string{"": amXML("true", 2, "<id>3</id>", "<id>2</id>"), "2": amXML("false", 0, "<id>3</id>")}, []int64{3, 2, 3}, false},
		"without lastId the ids lead": {map[string]string{"": amXML("true", 0, "<id>4</id>"), "4": amXML("false", 0)}, []int64{4}, false},
		"the same page again":         {map[string]string{"": amXML("true", 2, "<id>2</id>"), "2": amXML("true", 2, "<id>2</id>")}, []int64{2}, true},
		"an empty page that moves":    {map[string]string{"": amXML("true", 5), "5": amXML("false", 0, "<id>6</id>")}, []int64{6}, false},
		"an empty page that stands":   {map[string]string{"": amXML("true", 0)}, nil, true},
		"nothing at all":              {map[string]string{"": `<ServiceResponse><responseCode>SUCCESS</responseCode><count>0</count></ServiceResponse>`}, nil, false},
	} {
		pages := am(t, qualys.FormatXML, portal(func(_ *http.Request, body string) (int, string) {
			_, cursor, _ := strings.Cut(body, `<Criteria field="id" operator="GREATER">`)
			cursor, _, _ = strings.Cut(cursor, "<")
			return http.StatusOK, c.answers[cursor]
		})).Pages(context.Background(), qualys.Query{})
		for range 2 { // an iteration does not spoil the next one
			var ids []int64
			var last error
			for p, err := range pages {
				if last = err; err != nil {
					break
				}
				for _, r := range p.Results {
					ids = append(ids, r.ID)
				}
			}
			var stuck *qualys.CursorStuckError
			require.Equal(t, c.stuck, errors.As(last, &stuck), "%s: %v", name, last)
			require.True(t, c.stuck || last == nil, "%s: %v", name, last)
			require.Equal(t, c.ids, ids, name)
		}
	}
}

func TestCountGetAndLogInOfAssetManagement(t *testing.T) {
	t.Parallel()
	c := func(answer string) *qualys.AMClient { return am(t, qualys.FormatJSON, says(answer)) }
	n, _, err := c(`{"ServiceResponse":{"responseCode":"SUCCESS","count":"90071992547409931"}}`).Count(context.Background(), qualys.Query{})
	require.NoError(t, err)
	require.EqualValues(t, 90071992547409931, n)
	_, _, err = c(`{"ServiceResponse":{"responseCode":"SUCCESS"}}`).Count(context.Background(), qualys.Query{})
	require.Error(t, err)

	one := `{"ServiceResponse":{"responseCode":"SUCCESS","count":1,"data":[{"HostAsset":{"id":7,"name":"a"}}]}}`
	r, _, err := am(t, qualys.FormatXML, portal(func(r *http.Request, body string) (int, string) {
		require.Equal(t, "GET /qps/rest/2.0/get/am/hostasset/7", r.Method+" "+r.URL.Path+body)
		return http.StatusOK, one
	})).Get(context.Background(), 7)
	require.NoError(t, err)
	require.Equal(t, "a", r.Asset.Name)
	_, _, err = c(one).Get(context.Background(), 8)
	require.ErrorContains(t, errors.Unwrap(err), "asset 8 was asked for")
	for _, missing := range []string{failureJSON("OBJECT_NOT_FOUND", "x"), `{"ServiceResponse":{"responseCode":"SUCCESS","count":0}}`} {
		_, _, err = c(missing).Get(context.Background(), 7)
		var e *qualys.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, qualys.KindNotFound, e.Kind())
	}

	require.NoError(t, c(`{"ServiceResponse":{"responseCode":"SUCCESS","count":0}}`).Authenticate(context.Background()))
	require.NoError(t, c(failureJSON("INSUFFICIENT_PERMISSION", "x")).Authenticate(context.Background()), "a missing right is not a wrong password")
	require.Error(t, c(failureJSON("INVALID_CREDENTIALS", "x")).Authenticate(context.Background()))
	require.Error(t, c("<html>").Authenticate(context.Background()))
}

func TestRefusedCredentialsAreNotSentByEveryCaller(t *testing.T) {
	t.Parallel()
	calls, now, body := 0, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), failureXML("INVALID_CREDENTIALS", "no")
	c := am(t, qualys.FormatXML, portal(func(*http.Request, string) (int, string) {
		calls++
		return http.StatusOK, body
	}), func(cfg *qualys.Config) { cfg.Now = func() time.Time { return now } })
	for range 5 {
		_, _, err := c.Search(context.Background(), qualys.Query{})
		require.ErrorContains(t, err, "INVALID_CREDENTIALS")
	}
	require.Equal(t, 1, calls)
	now, body = now.Add(time.Minute), amXML("false", 0, "<id>1</id>")
	for range 2 {
		_, _, err := c.Search(context.Background(), qualys.Query{})
		require.NoError(t, err, "a corrected password is tried after a while")
	}
	require.Equal(t, 3, calls)
}

func TestSettingsOfAssetManagementAreChecked(t *testing.T) {
	t.Parallel()
	good := qualys.Config{Name: "corp", APIURL: "https://portal.example", Username: user, Password: password}
	for want, spoil := range map[string]func(*qualys.Config){
		"page size 1001": func(c *qualys.Config) { c.PageSize = 1001 },
		"page size -1":   func(c *qualys.Config) { c.PageSize = -1 },
		"no user name":   func(c *qualys.Config) { c.Username = "" },
		"no API URL":     func(c *qualys.Config) { c.APIURL = "" },
	} {
		cfg := good
		spoil(&cfg)
		_, err := qualys.NewAM(cfg, qualys.FormatXML)
		require.ErrorContains(t, err, want)
	}
	_, err := qualys.NewAM(good, 7)
	require.ErrorContains(t, err, "unknown format")
	c, err := qualys.NewAM(good, qualys.FormatJSON)
	require.NoError(t, err)
	require.Equal(t, 300, c.PageSize())
}
