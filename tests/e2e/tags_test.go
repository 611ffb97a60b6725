package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// portal sends a call to the tagging API of the subscription and returns the answer.
func (s *stack) portal(path, body string) string {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.sims.Qualys.APIURL+"/qps/rest/2.0/"+path, strings.NewReader(body))
	require.NoError(s.t, err)
	req.SetBasicAuth(s.sims.Qualys.Username, s.sims.Qualys.Password)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, res.Body.Close())
	require.Contains(s.t, string(raw), `"SUCCESS"`, path)
	return string(raw)
}

func TestTagsBelowAListedOneAreWritten(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "60", "--seed", "41", "--update-set", "../../deploy/servicenow/qbridge-tables.xml")
	s.portal("create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"Sites","children":{"set":{"TagSimple":[{"name":"Zurich-7"},{"name":"Unused"}]}}}}}}`)
	s.portal("create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"Elsewhere"}}}}`)
	var found struct {
		ServiceResponse struct {
			Data []struct {
				HostAsset struct {
					ID int64 `json:"id"`
				} `json:"HostAsset"`
			} `json:"data"`
		} `json:"ServiceResponse"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.portal("search/am/hostasset", `{"ServiceRequest":{"preferences":{"limitResults":20}}}`)), &found))
	require.Len(t, found.ServiceResponse.Data, 20)
	for _, tag := range []string{"Zurich-7", "Elsewhere"} {
		var tags struct {
			ServiceResponse struct {
				Data []struct {
					Tag struct {
						ID int64 `json:"id"`
					} `json:"Tag"`
				} `json:"data"`
			} `json:"ServiceResponse"`
		}
		answer := s.portal("search/am/tag", `{"ServiceRequest":{"filters":{"Criteria":[{"field":"name","operator":"EQUALS","value":"`+tag+`"}]}}}`)
		require.NoError(t, json.Unmarshal([]byte(answer), &tags))
		for _, h := range found.ServiceResponse.Data {
			s.portal(fmt.Sprintf("update/am/hostasset/%d", h.HostAsset.ID), fmt.Sprintf(`{"ServiceRequest":{"data":{"HostAsset":{"tags":{"add":{"TagSimple":[{"id":%d}]}}}}}}`, tags.ServiceResponse.Data[0].Tag.ID))
		}
	}
	code, out := s.apply(strings.Replace(s.document(), "manual: true", "manual: true\n    sections: {tags: true}\n    tags: [Sites]", 1))
	require.Zero(t, code, out)
	code, res := s.sync("--full")
	require.Zero(t, code)
	require.Zero(t, res.Failed, "%+v", res.Counters)
	names := map[string]int{}
	for _, row := range s.rows("u_qbridge_tag") {
		names[row["u_tag_name"]]++
	}
	require.Positive(t, names["Zurich-7"], "%v", names)
	require.Len(t, names, 1, "neither other tags nor those that no asset has: %v", names)
	before := s.calls(s.sims.Qualys.GatewayURL, "/qps/rest/2.0/search/am/tag")
	code, res = s.sync("--full")
	require.Zero(t, code)
	require.Zero(t, res.Created+res.Updated)
	require.Equal(t, before, s.calls(s.sims.Qualys.GatewayURL, "/qps/rest/2.0/search/am/tag"), "the tree is kept for a while")
}
