package qualys_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// Filter body: tokens, compared with what the assets say.
func TestFiltersFindTheAssetsThatTheyDescribe(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Assets: 900}})
	everything, _ := c.enumerate(t, 300, "", "")
	system := func(a map[string]any, key string) string {
		s, _ := a["operatingSystem"].(map[string]any)[key].(string)
		return s
	}
	for name, tc := range map[string]struct {
		body string
		want func(a map[string]any) bool
	}{
		"a category":     {criterion("operatingSystem.category1", "EQUALS", "Linux"), func(a map[string]any) bool { return system(a, "category1") == "Linux" }},
		"not a category": {criterion("operatingSystem.category1", "NOT_EQUALS", "Linux"), func(a map[string]any) bool { return system(a, "category1") != "Linux" }},
		"one of several": {criterion("operatingSystem.category1", "IN", "Linux, Windows"), func(a map[string]any) bool {
			return system(a, "category1") == "Linux" || system(a, "category1") == "Windows"
		}},
		"a part of a name": {criterion("asset.name", "CONTAINS", "-srv-"), func(a map[string]any) bool {
			return strings.Contains(strings.ToLower(a["assetName"].(string)), "-srv-")
		}},
		"a tag":                 {criterion("tags.name", "EQUALS", "CMDB"), hasTag("CMDB")},
		"without a tag":         {criterion("asset.tags.name", "NOT_EQUALS", "CMDB"), func(a map[string]any) bool { return !hasTag("CMDB")(a) }},
		"a risk above a number": {criterion("asset.truRisk", "GREATER_THAN_EQUAL", "800"), func(a map[string]any) bool { n, _ := a["riskScore"].(json.Number).Int64(); return n >= 800 }},
		"agents": {criterion("asset.trackingMethod", "EQUALS", "QAGENT"), func(a map[string]any) bool {
			return a["inventory"].(map[string]any)["source"] == "QAGENT"
		}},
		"a cloud":        {criterion("cloud.provider", "EQUALS", "AWS"), func(a map[string]any) bool { return a["provider"] == "AWS" }},
		"updated since":  {criterion("asset.lastUpdatedDate", "GREATER_THAN_EQUAL", "2026-01-05T00:00:00Z"), func(a map[string]any) bool { return a["lastModifiedDate"].(string) >= "2026-01-05" }},
		"updated before": {criterion("asset.lastUpdatedDate", "LESSER", "2026-01-05T00:00:00Z"), func(a map[string]any) bool { return a["lastModifiedDate"].(string) < "2026-01-05" }},
		"two, both":      {`{"filters":[{"field":"operatingSystem.category1","operator":"EQUALS","value":"Windows"},{"field":"operatingSystem.category2","operator":"EQUALS","value":"Server"}]}`, func(a map[string]any) bool { return system(a, "category") == "Windows / Server" }},
		"two, either": {`{"filters":[{"field":"operatingSystem.category1","operator":"EQUALS","value":"Mac"},{"field":"operatingSystem.category1","operator":"EQUALS","value":"Unix"}],"operation":"OR"}`, func(a map[string]any) bool {
			return system(a, "category1") == "Mac" || system(a, "category1") == "Unix"
		}},
		"a number as such": {`{"filters":[{"field":"asset.truRisk","operator":"LESSER","value":100}]}`, func(a map[string]any) bool { n, _ := a["riskScore"].(json.Number).Int64(); return n < 100 }},
		"an empty list":    {`{"filters":[]}`, func(map[string]any) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []int64
			for _, a := range everything {
				if tc.want(a) {
					want = append(want, assetID(t, a))
				}
			}
			require.NotEmpty(t, want)
			got, _ := c.enumerate(t, 83, "", tc.body)
			var ids []int64
			for _, a := range got {
				ids = append(ids, assetID(t, a))
			}
			require.Equal(t, want, ids)
			require.Equal(t, len(want), c.countOf(t, "", tc.body))
		})
	}
}

func hasTag(name string) func(map[string]any) bool {
	return func(a map[string]any) bool {
		list, _ := a["tagList"].(map[string]any)
		tags, _ := list["tag"].([]any)
		for _, tag := range tags {
			if tag.(map[string]any)["tagName"] == name {
				return true
			}
		}
		return false
	}
}

// Filter body, XML form.
func TestTheXMLFormOfAFilterMeansTheSame(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	r := c.request(http.MethodPost, countPath, `<FilterRequest><filters><Criteria field="operatingSystem.category1" operator="EQUALS"><value>Linux</value></Criteria></filters><operation>AND</operation></FilterRequest>`)
	r.Header.Set("Content-Type", "text/xml")
	w := c.do(r)
	require.Equal(t, http.StatusOK, w.Code)
	var got struct{ Count int }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, c.countOf(t, "", criterion("operatingSystem.category1", "EQUALS", "Linux")), got.Count)
	require.Positive(t, got.Count)
	r = c.request(http.MethodPost, countPath, `<FilterRequest><filters>`)
	r.Header.Set("Content-Type", "application/xml")
	require.Equal(t, http.StatusBadRequest, c.do(r).Code)
}

// Filter body: unknown field, operators that the field's type does not have, values of another type: 400.
func TestIllegalFiltersAre400(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	for name, tc := range map[string]struct{ body, message string }{
		"an unknown field":            {criterion("asset.lastSeen", "GREATER", "2026-01-01T00:00:00Z"), "Invalid filter field: asset.lastSeen"},
		"a family without a member":   {criterion("operatingSystem.", "EQUALS", "x"), "Invalid filter field: operatingSystem."},
		"an unknown operator":         {criterion("asset.name", "LIKE", "x"), "Invalid operator LIKE for field: asset.name"},
		"an order on a text":          {criterion("asset.name", "GREATER", "x"), "Invalid operator GREATER for field: asset.name"},
		"a part of a date":            {criterion("asset.createdDate", "CONTAINS", "2026"), "Invalid operator CONTAINS for field: asset.createdDate"},
		"a list of dates":             {criterion("asset.createdDate", "IN", "2026-01-01"), "Invalid operator IN for field: asset.createdDate"},
		"not equal on a boolean":      {criterion("asset.hasAiCriticalityScore", "NOT_EQUALS", "true"), "Invalid operator NOT_EQUALS for field: asset.hasAiCriticalityScore"},
		"not equal on a UUID":         {criterion("agent.agentID", "NOT_EQUALS", "x"), "Invalid operator NOT_EQUALS for field: agent.agentID"},
		"not equal on an address":     {criterion("asset.interface.address", "NOT_EQUALS", "10.0.0.1"), "Invalid operator NOT_EQUALS for field: asset.interface.address"},
		"an order on an enumeration":  {criterion("asset.trackingMethod", "LESSER", "x"), "Invalid operator LESSER for field: asset.trackingMethod"},
		"a part of a number":          {criterion("asset.truRisk", "CONTAINS", "1"), "Invalid operator CONTAINS for field: asset.truRisk"},
		"a text for a number":         {criterion("asset.truRisk", "EQUALS", "high"), "Invalid value for field: asset.truRisk"},
		"a text for a date":           {criterion("asset.createdDate", "EQUALS", "yesterday"), "Invalid value for field: asset.createdDate"},
		"a text for a boolean":        {criterion("asset.hasAiCriticalityScore", "EQUALS", "maybe"), "Invalid value for field: asset.hasAiCriticalityScore"},
		"a list as value":             {`{"filters":[{"field":"asset.name","operator":"IN","value":["a"]}]}`, "Invalid value for field: asset.name"},
		"no value":                    {`{"filters":[{"field":"asset.name","operator":"EQUALS"}]}`, "Invalid filter: field, operator and value are mandatory"},
		"an unknown operation":        {`{"filters":[],"operation":"XOR"}`, "Invalid operation: XOR"},
		"filters that are not a list": {`{"filters":{"field":"asset.name"}}`, "Malformed JSON request"},
		"nested filters":              {`{"filters":[{"filters":[]}]}`, "Invalid filter: field, operator and value are mandatory"},
		"something that is not JSON":  {`{"filters":[`, "Malformed JSON request"},
		"a bare list":                 {`[]`, "Malformed JSON request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{searchPath, countPath} {
				w := c.post(path, tc.body)
				require.Equal(t, http.StatusBadRequest, w.Code)
				var e struct{ ResponseMessage, ResponseCode string }
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
				require.Equal(t, tc.message, e.ResponseMessage)
				require.Equal(t, "FAILED", e.ResponseCode)
			}
		})
	}
}

func FuzzFilterBody(f *testing.F) {
	s := mustServer(f, qualys.Options{Estate: estate.Options{Assets: 40}})
	c := &client{h: s.Handler()}
	c.signIn(f)
	f.Add(criterion("operatingSystem.category1", "EQUALS", "Linux"), false)
	f.Add(`{"filters":[{"field":"asset.truRisk","operator":"IN","value":"1,2,,x"}],"operation":"OR"}`, false)
	f.Add(`<FilterRequest><filters><Criteria field="asset.name" operator="IN"><value>a,b</value></Criteria></filters></FilterRequest>`, true)
	f.Fuzz(func(t *testing.T, body string, isXML bool) {
		r := c.request(http.MethodPost, countPath, body)
		if isXML {
			r.Header.Set("Content-Type", "text/xml")
		}
		switch w := c.do(r); w.Code {
		case http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("status %d for %q", w.Code, body)
		}
	})
}
