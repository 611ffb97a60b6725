package qualys_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// certBody writes a request with one criterion; an empty value is left out.
func certBody(field, operator, value string) string {
	c := map[string]string{"field": field, "operator": operator}
	if value != "" {
		c["value"] = value
	}
	b, err := json.Marshal(map[string]any{"filter": map[string]any{"filters": []any{c}}, "pageSize": 200, "includes": []string{"ASSET_TAGS"}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// some tells whether an asset of a record satisfies a condition.
func some(o object, holds func(a object) bool) bool {
	for _, a := range o["assets"].([]any) {
		if holds(a.(object)) {
			return true
		}
	}
	return false
}

// CertView API guide, list certificates: fields and operators of the filter.
func TestCertViewFiltersKeepTheRightCertificates(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Certificates: 190}})
	const path = "/certview/v2.1/certificates"
	all := mustArray(t, c.post(path, `{"pageSize":200,"includes":["ASSET_TAGS"]}`))
	one := all[90]
	asset := one["assets"].([]any)[0].(object)
	instance := asset["hostInstances"].([]any)[0].(object)
	text := func(v any) string { return fmt.Sprint(v) }
	tagged := func(o object, name string) bool {
		return some(o, func(a object) bool {
			for _, tag := range a["tags"].([]any) {
				if tag.(object)["name"] == name {
					return true
				}
			}
			return false
		})
	}
	hasAsset := func(o object, key string, v any) bool { return some(o, func(a object) bool { return a[key] == v }) }
	for name, tc := range map[string]struct {
		body string
		want func(o object) bool
	}{
		"by type":               {certBody("certificate.type", "EQUALS", "Root"), func(o object) bool { return o["type"] == "Root" }},
		"by another type":       {certBody("certificate.type", "NOT_EQUALS", "Leaf"), func(o object) bool { return o["type"] != "Leaf" }},
		"by a list of types":    {certBody("certificate.type", "IN", "Root, Intermediate"), func(o object) bool { return o["type"] != "Leaf" }},
		"by fingerprint":        {certBody("certificate.hash", "EQUALS", text(one["certhash"])), func(o object) bool { return o["certhash"] == one["certhash"] }},
		"by a part of a number": {certBody("certificate.serialNumber", "CONTAINS", text(one["serialNumber"])[2:9]), func(o object) bool { return strings.Contains(text(o["serialNumber"]), text(one["serialNumber"])[2:9]) }},
		"by key algorithm":      {certBody("certificate.publicKeyAlgorithm", "EQUALS", "EC"), func(o object) bool { return o["publicKeyAlgorithm"] == "EC" }},
		"by expiry before":      {certBody("certificate.validToDate", "LESSER", "2026-06-30T00:00:00Z"), func(o object) bool { return text(o["validTo"]) < "1782777600000" }},
		"by expiry after":       {certBody("certificate.validToDate", "GREATER_THAN_EQUAL", "2026-06-30T00:00:00Z"), func(o object) bool { return text(o["validTo"]) >= "1782777600000" }},
		"by asset id":           {certBody("asset.id", "EQUALS", text(asset["id"])), func(o object) bool { return hasAsset(o, "id", asset["id"]) }},
		"by address":            {certBody("asset.primaryIp", "IN", "1.2.3.4,"+text(asset["primaryIp"])), func(o object) bool { return hasAsset(o, "primaryIp", asset["primaryIp"]) }},
		"by tag":                {certBody("asset.tagName", "EQUALS", "Production"), func(o object) bool { return tagged(o, "Production") }},
		"by the lack of a tag":  {certBody("asset.tagName", "NOT_EQUALS", "Production"), func(o object) bool { return !tagged(o, "Production") }},
		"by instance":           {certBody("instance.id", "EQUALS", text(instance["id"])), func(o object) bool { return o["id"] == one["id"] }},
		"by instances up to":    {certBody("instance.id", "LESS_THAN_EQUAL", text(instance["id"])), func(o object) bool { return text(o["id"]) <= text(one["id"]) }},
		"by an absent value":    {certBody("certificate.serialNumber", "IS_EMPTY", ""), func(object) bool { return false }},
		"by a value that is there": {certBody("asset.tagName", "IS_NOT_EMPTY", ""), func(o object) bool {
			return some(o, func(a object) bool { return len(a["tags"].([]any)) > 0 })
		}},
		"by one or the other": {`{"pageSize":200,"filter":{"operation":"OR","filters":[{"field":"certificate.type","operator":"EQUALS","value":"Root"},` +
			`{"field":"certificate.publicKeyAlgorithm","operator":"EQUALS","value":"EC"}]}}`, func(o object) bool { return o["type"] == "Root" || o["publicKeyAlgorithm"] == "EC" }},
		"by both": {`{"pageSize":200,"filter":{"operation":"AND","filters":[{"field":"certificate.type","operator":"EQUALS","value":"Root"},` +
			`{"field":"certificate.publicKeyAlgorithm","operator":"EQUALS","value":"EC"}]}}`, func(o object) bool { return o["type"] == "Root" && o["publicKeyAlgorithm"] == "EC" }},
		"by nothing": {`{"pageSize":200,"filter":{"filters":[]}}`, func(object) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := []object{}
			for _, o := range all {
				if tc.want(o) {
					want = append(want, o)
				}
			}
			require.Equal(t, ids(want), ids(mustArray(t, c.post(path, tc.body))))
		})
	}
	for _, o := range mustArray(t, c.post(instancesPath, strings.Replace(certBody("asset.id", "EQUALS", text(asset["id"])), `"filter":`, `"filterRequest":`, 1))) {
		require.Equal(t, asset["id"], o["asset"].(object)["id"], "a criterion of an instance is about this instance alone")
	}
}

// CertView API guide, excludeFields: paths of certificate and asset, with commas between them.
func TestCertViewExcludesFields(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	body := `{"pageSize":1,"includes":["EXTENSIVE_CERTIFICATE_INFO"],"excludeFields":"certificate.rawData, certificate.subject.state,asset.uuid,asset.hostInstances.grade,asset.nonsense"}`
	o := mustArray(t, c.post(certsPath, body))[0]
	require.NotContains(t, o, "rawData")
	require.Contains(t, o, "subjectAlternativeNames")
	require.NotContains(t, o["subject"], "state")
	require.Contains(t, o["issuer"], "state")
	asset := o["assets"].([]any)[0].(object)
	require.NotContains(t, asset, "uuid")
	require.NotContains(t, asset["hostInstances"].([]any)[0], "grade")
	strict := mustClient(t, qualys.Options{UnknownField: qualys.FieldRejected})
	require.Equal(t, http.StatusBadRequest, strict.post(certsPath, body).Code)
}

// CertView API guide: 400 for what is wrong in a request, here with the gateway's body.
func TestIllegalRequestsOfCertViewAre400(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	for name, tc := range map[string]struct{ body, message string }{
		"no body":                        {``, "Malformed JSON request"},
		"half a body":                    {`{"filter":`, "Malformed JSON request"},
		"a list":                         {`[]`, "Malformed JSON request"},
		"null":                           {`null`, "Malformed JSON request"},
		"a page below the first":         {`{"pageNumber":-1}`, "Invalid value for field: pageNumber"},
		"a page that is no number":       {`{"pageNumber":"one"}`, "Invalid value for field: pageNumber"},
		"a page of nothing":              {`{"pageSize":0}`, "pageSize must be between 1 and 200"},
		"a page that is too large":       {`{"pageSize":201}`, "pageSize must be between 1 and 200"},
		"half a record":                  {`{"pageSize":1.5}`, "Invalid value for field: pageSize"},
		"an unknown part":                {`{"includes":["EVERYTHING"]}`, "Invalid value for field: includes"},
		"parts as a text":                {`{"includes":"ASSET_TAGS"}`, "Invalid value for field: includes"},
		"an unknown type of assets":      {`{"assetType":"managed"}`, "Invalid value for field: assetType"},
		"excluded fields as a list":      {`{"excludeFields":["certificate.dn"]}`, "Invalid value for field: excludeFields"},
		"two filters without operation":  {`{"filter":{"filters":[{"field":"certificate.type","operator":"EQUALS","value":"Leaf"},{"field":"certificate.type","operator":"EQUALS","value":"Root"}]}}`, "operation is mandatory with more than one filter"},
		"an unknown operation":           {`{"filter":{"operation":"XOR","filters":[]}}`, "Invalid operation: XOR"},
		"a filter that is a list":        {`{"filter":[]}`, "Malformed JSON request"},
		"an unknown field":               {certBody("certificate.colour", "EQUALS", "red"), "Invalid filter field: certificate.colour"},
		"a field of the inventory":       {certBody("asset.name", "EQUALS", "x"), "Invalid filter field: asset.name"},
		"a field that nobody documented": {certBody("certificate.lastFound", "GREATER", "2026-01-01T00:00:00Z"), "Invalid filter field: certificate.lastFound"},
		"a field of a later version":     {certBody("certificate.publicKeyAlgorithm", "EQUALS", "EC"), "Invalid filter field: certificate.publicKeyAlgorithm"},
		"an unknown operator":            {certBody("certificate.hash", "LIKE", "x"), "Invalid operator LIKE for field: certificate.hash"},
		"an order on a text":             {certBody("certificate.hash", "GREATER", "x"), "Invalid operator GREATER for field: certificate.hash"},
		"a part of a date":               {certBody("certificate.validToDate", "CONTAINS", "2026"), "Invalid operator CONTAINS for field: certificate.validToDate"},
		"a text for a date":              {certBody("certificate.validToDate", "LESSER", "soon"), "Invalid value for field: certificate.validToDate"},
		"a text for a number":            {certBody("asset.id", "EQUALS", "x"), "Invalid value for field: asset.id"},
		"no value":                       {certBody("certificate.hash", "EQUALS", ""), "Invalid filter: value is mandatory for field: certificate.hash"},
		"no operator":                    {`{"filter":{"filters":[{"field":"certificate.hash","value":"x"}]}}`, "Invalid filter: field and operator are mandatory"},
		"a list as value":                {`{"filter":{"filters":[{"field":"certificate.hash","operator":"IN","value":["a"]}]}}`, "Invalid value for field: certificate.hash"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := c.post(certsPath, tc.body)
			require.Equal(t, http.StatusBadRequest, w.Code, w.Body.String())
			var e struct{ Message, Path string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
			require.Equal(t, tc.message, e.Message)
			require.Equal(t, certsPath, e.Path)
		})
	}
	accepted := mustClient(t, qualys.Options{CertView: qualys.CertViewOptions{Fields: qualys.FieldAccepted}, PageSize: qualys.PageSizeClamp})
	require.NotEmpty(t, mustArray(t, accepted.post(certsPath, certBody("certificate.updateDate", "GREATER", "2025-12-01T00:00:00Z"))))
	require.Greater(t, len(mustArray(t, accepted.post(certsPath, `{"pageSize":500}`))), 100)
	r := c.request(http.MethodPost, certsPath, `{}`)
	r.Header.Set("Content-Type", "text/xml")
	require.Equal(t, http.StatusUnsupportedMediaType, c.do(r).Code)
	require.Equal(t, http.StatusMethodNotAllowed, c.do(c.request(http.MethodGet, certsPath, "")).Code)
	require.Equal(t, http.StatusRequestEntityTooLarge, c.post(certsPath, `{"x":"`+strings.Repeat("x", 1<<20)+`"}`).Code)
}

func TestCertViewSettingsAreChecked(t *testing.T) {
	t.Parallel()
	var o qualys.CertViewOptions
	require.NoError(t, o.Set("window=400,fields=accepted,permissions=ignored,dates=zulu,assets=50,path=/certview/v2/x/{id}"))
	require.Equal(t, qualys.CertViewOptions{
		Window: qualys.Window400, Fields: qualys.FieldAccepted, Permissions: qualys.PermissionsIgnored, Dates: estate.ZuluDates, Assets: 50,
		AssetsPath: "/certview/v2/x/{id}",
	}, o)
	for _, text := range []string{"window=500", "fields=some", "permissions=maybe", "dates=us", "assets=x", "path=/x/{id}", "path=/certview/x", "colour=red", ""} {
		var o qualys.CertViewOptions
		require.Error(t, o.Set(text), text)
	}
	_, err := qualys.New(qualys.Options{CertView: qualys.CertViewOptions{Window: "500"}})
	require.Error(t, err)
}

func FuzzCertViewBody(f *testing.F) {
	s := mustServer(f, qualys.Options{Estate: estate.Options{Assets: 40, Certificates: 30}})
	c := &client{h: s.Handler()}
	c.signIn(f)
	f.Add(certSample)
	f.Add(certBody("asset.id", "IN", "1,2,,x"))
	f.Add(certBody("instance.id", "IS_EMPTY", ""))
	f.Add(`{"filterRequest":{"filters":[{"field":"asset.tagName","operator":"NOT_EQUALS","value":7}]},"pageNumber":"99999999999999999999"}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/certview/v1/certificates", "/certview/v2.2/certificates", instancesPath} {
			switch w := c.post(path, body); w.Code {
			case http.StatusOK:
				mustArray(t, w)
			case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			default:
				t.Fatalf("status %d for %q", w.Code, body)
			}
		}
	})
}
