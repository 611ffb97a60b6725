package qualys_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/qualys"
)

const (
	certsPath     = "/certview/v2/certificates"
	instancesPath = "/certview/v2/instances"
)

// certSample is the request that the guide shows (CertView API guide, list certificates).
const certSample = `{"filter":{"filters":[
    {"field":"certificate.validToDate","value":"2026-06-30T00:00:00Z","operator":"LESSER"},
    {"field":"asset.tagName","value":"CMDB","operator":"EQUALS"}],
  "operation":"AND"},
 "pageNumber":0,"pageSize":200,
 "includes":["ASSET_INTERFACES","SSL_PROTOCOLS","CIPHER_SUITES","VULNERABILITIES","ASSET_TAGS","EXTENSIVE_CERTIFICATE_INFO"],
 "excludeFields":"certificate.rawData",
 "assetType":"MANAGED"}`

type object = map[string]any

// mustArray reads a bare JSON array. Numbers keep their text.
func mustArray(t require.TestingT, w *httptest.ResponseRecorder) []object {
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.True(t, bytes.HasPrefix(w.Body.Bytes(), []byte("[")), "no envelope")
	var list []object
	d := json.NewDecoder(w.Body)
	d.UseNumber()
	require.NoError(t, d.Decode(&list))
	_, err := d.Token()
	require.ErrorIs(t, err, io.EOF)
	require.NotNil(t, list)
	return list
}

// allPages reads page after page until one is empty; body holds %d for the page.
func (c *client) allPages(t require.TestingT, path, body string) (all []object) {
	for page := 0; ; page++ {
		list := mustArray(t, c.post(path, fmt.Sprintf(body, page)))
		if len(list) == 0 {
			return all
		}
		all = append(all, list...)
	}
}

func ids(list []object) (out []string) {
	for _, o := range list {
		out = append(out, string(o["id"].(json.Number)))
	}
	return out
}

// shape describes the members of a value and their JSON types; lists by their first element.
func shape(v any) string {
	switch v := v.(type) {
	case object:
		parts := []string{}
		for _, k := range keysOf(v) {
			parts = append(parts, k+":"+shape(v[k]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		return "[" + shape(v[0]) + "]"
	case json.Number:
		return "number"
	case string:
		return "string"
	case bool:
		return "bool"
	}
	return "null"
}

func keysOf(o object) []string {
	return slices.Sorted(maps.Keys(o))
}

// The shape of a record that was asked for with everything (CertView API guide, list certificates, sample response).
const (
	partyShape = `{certhash:string,country:string,locality:string,name:string,organization:string,organizationUnit:[string],state:string}`
	hostShape  = `{fqdn:string,grade:string,id:number,port:number,protocol:string,service:string}`
)

// certShape is the shape of the v2 sample; open lists are written as [].
func certShape(extensive, keyAlgorithm bool) []string {
	out := []string{
		"assetCount", "assets", "certhash", "createdDate", "dn", "enhancedKeyUsage", "extendedValidation", "id", "imported",
		"instanceCount", "issuer", "issuerCategory", "keySize", "keyUsage", "lastFound", "rootissuer", "selfSigned", "serialNumber",
		"signatureAlgorithm", "sources", "subject", "type", "updateDate", "validFrom", "validFromDate", "validTo", "validToDate",
	}
	if extensive {
		out = append(out, "authKeyIdentifier", "rawData", "subjectAlternativeNames", "subjectKeyIdentifier")
	}
	if keyAlgorithm {
		out = append(out, "publicKeyAlgorithm")
	}
	slices.Sort(out)
	return out
}

// Every sample request of CertView, as printed, is answered in the documented shape (CertView API guide, list certificates
// and instances; gateway authentication guide).
func TestCertViewSampleRequests(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Assets: 3000, Certificates: 2000}})
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		check                    func(t *testing.T, w *httptest.ResponseRecorder)
	}{
		{"v1 lists certificates", "POST", "/certview/v1/certificates", certSample, 200, checkSample(false)},
		{"v2 lists certificates", "POST", certsPath, certSample, 200, checkSample(false)},
		{"v2.1 lists certificates", "POST", "/certview/v2.1/certificates", certSample, 200, checkSample(true)},
		{"v2.2 lists certificates", "POST", "/certview/v2.2/certificates", certSample, 200, checkSample(true)},
		{"instances take filterRequest and pages as text", "POST", instancesPath,
			`{"filterRequest":{"filters":[{"field":"asset.tagName","value":"CMDB","operator":"EQUALS"}]},"pageNumber":"0","pageSize":"200"}`, 200,
			func(t *testing.T, w *httptest.ResponseRecorder) { require.Len(t, mustArray(t, w), 200) }},
		{"there is no list of authorities", "POST", "/certview/v2/cas", `{}`, 404, checkNoResource("No static resource certview/v2/cas.")},
		{"there is no count", "POST", "/certview/v2/certificates/count", `{}`, 404, checkNoResource("No static resource certview/v2/certificates/count.")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := c.do(c.request(tc.method, tc.path, tc.body))
			require.Equal(t, tc.status, w.Code, w.Body.String())
			tc.check(t, w)
		})
	}
}

func checkNoResource(message string) func(*testing.T, *httptest.ResponseRecorder) {
	return func(t *testing.T, w *httptest.ResponseRecorder) {
		var e object
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
		require.Equal(t, message, e["message"])
		require.Equal(t, "Not Found", e["error"])
	}
}

func checkSample(keyAlgorithm bool) func(*testing.T, *httptest.ResponseRecorder) {
	return func(t *testing.T, w *httptest.ResponseRecorder) {
		list := mustArray(t, w)
		require.Len(t, list, 200)
		// The sample excludes rawData.
		want := slices.DeleteFunc(certShape(true, keyAlgorithm), func(k string) bool { return k == "rawData" })
		leaf := false
		for _, o := range list {
			require.Empty(t, cmp.Diff(want, keysOf(o)))
			require.Less(t, o["validToDate"], "2026-06-30T00:00:00")
			cmdb := false
			for _, a := range o["assets"].([]any) {
				asset := a.(object)
				require.Equal(t, "[{address:string,hostname:string}]", shape(asset["assetInterfaces"]))
				for _, tag := range asset["tags"].([]any) {
					require.Equal(t, "{name:string,uuid:string}", shape(tag))
					cmdb = cmdb || tag.(object)["name"] == "CMDB"
				}
				for _, i := range asset["hostInstances"].([]any) {
					instance := i.(object)
					for _, k := range []string{"sslProtocols", "cipherSuites", "vulnerabilities"} {
						require.Contains(t, instance, k)
					}
				}
			}
			require.True(t, cmdb)
			if units := o["subject"].(object)["organizationUnit"].([]any); o["type"] == "Leaf" && len(units) > 0 && o["selfSigned"] == false {
				leaf = true
				require.Equal(t, strings.Replace(partyShape, "certhash:string,", "", 1), shape(o["subject"]))
				require.Equal(t, "{dnsNames:[string],ipAddress:[]}", strings.Replace(shape(o["subjectAlternativeNames"]), "[string]}", "[]}", 1))
			}
		}
		require.True(t, leaf)
	}
}

// CertView API guide, list certificates: what is not included is not there, and the page has ten records unless said.
func TestCertViewDefaultsToTenPlainRecordsOfManagedAssets(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	list := mustArray(t, c.post(certsPath, `{}`))
	require.Len(t, list, 10)
	for _, o := range list {
		require.Empty(t, cmp.Diff(certShape(false, false), keysOf(o)))
		for _, a := range o["assets"].([]any) {
			require.Equal(t, []string{"hostInstances", "id", "name", "netbiosName", "operatingSystem", "primaryIp", "uuid"}, keysOf(a.(object)))
			for _, i := range a.(object)["hostInstances"].([]any) {
				require.Equal(t, hostShape, strings.Replace(shape(i), "fqdn:null", "fqdn:string", 1))
			}
		}
	}
	require.Contains(t, mustArray(t, c.post("/certview/v2.1/certificates", `{}`))[0], "publicKeyAlgorithm", "since June 2025")
}

// CertView API guide, list certificates: a bare array, neither total nor hasMore; the end is a page that is short or empty.
func TestCertViewPagesUntilTheArrayIsEmpty(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Certificates: 330}})
	whole := c.allPages(t, certsPath, `{"pageNumber":%d,"pageSize":200,"assetType":"ALL"}`)
	require.Len(t, whole, 330)
	for _, size := range []int{7, 110} {
		parts := c.allPages(t, certsPath, `{"pageNumber":%d,"assetType":"ALL","pageSize":`+strconv.Itoa(size)+`}`)
		require.Empty(t, cmp.Diff(ids(whole), ids(parts)))
	}
	alone := mustArray(t, c.post(certsPath, `{"pageNumber":4,"pageSize":13,"assetType":"ALL"}`))
	require.Empty(t, cmp.Diff(ids(whole[52:65]), ids(alone)), "a page can be read without those before it")
	require.Empty(t, mustArray(t, c.post(certsPath, `{"pageNumber":900000,"pageSize":200}`)))
}

// Page-number paging shifts under change: after a removal in an earlier page the next one begins later.
func TestCertViewPagesShiftWhenTheSubscriptionChanges(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Certificates: 300}})
	const second = `{"pageNumber":1,"pageSize":100}`
	mustArray(t, c.post(certsPath, `{"pageNumber":0,"pageSize":100}`))
	before := ids(mustArray(t, c.post(certsPath, second)))
	for range 5 {
		require.Equal(t, http.StatusOK, c.post("/_sim/mutate?k=400", "").Code)
	}
	after := ids(mustArray(t, c.post(certsPath, second)))
	require.Greater(t, after[0], before[0], "records that stood before are gone, so the page begins later")
	whole := ids(c.allPages(t, certsPath, `{"pageNumber":%d,"pageSize":20}`))
	require.Empty(t, cmp.Diff(whole[100:200], after), "no page is remembered from before the change")
}

// CertView API guide: v1 shows at most 10,000 results, v2 all of them.
func TestOnlyVersionOneEndsAtTenThousandResults(t *testing.T) {
	t.Parallel()
	o := qualys.Options{Estate: estate.Options{Assets: 3000, Certificates: 10_700}}
	c := mustClient(t, o)
	page := func(n int) string {
		return fmt.Sprintf(`{"pageNumber":%d,"pageSize":150,"assetType":"ALL","excludeFields":"certificate.assets"}`, n)
	}
	require.Len(t, mustArray(t, c.post("/certview/v1/certificates", page(66))), 100, "the page that straddles the end is cut")
	require.Empty(t, mustArray(t, c.post("/certview/v1/certificates", page(67))))
	require.Len(t, mustArray(t, c.post(certsPath, page(67))), 150)
	require.Len(t, mustArray(t, c.post(certsPath, page(71))), 50)
	o.CertView.Window = qualys.Window400
	strict := mustClient(t, o)
	require.Equal(t, http.StatusBadRequest, strict.post("/certview/v1/certificates", page(67)).Code)
	require.Equal(t, http.StatusOK, strict.post(certsPath, page(67)).Code)
}

// Public samples write instants as epoch milliseconds next to a text whose offset is Z or +0000.
func TestCertViewDateForms(t *testing.T) {
	t.Parallel()
	for form, want := range map[estate.DateForm]int{estate.MixedDates: 3, estate.OffsetDates: 1, estate.ZuluDates: 1} {
		c := mustClient(t, qualys.Options{CertView: qualys.CertViewOptions{Dates: form}})
		forms := map[string]bool{}
		for _, o := range mustArray(t, c.post(certsPath, `{"pageSize":200}`)) {
			for number, text := range map[string]string{"validTo": "validToDate", "validFrom": "validFromDate"} {
				at := time.Time{}
				for _, layout := range []string{"2006-01-02T15:04:05.000-0700", "2006-01-02T15:04:05.000Z07:00"} {
					if v, err := time.Parse(layout, o[text].(string)); err == nil {
						at = v
					}
				}
				if v, err := time.Parse(time.RFC3339, o[text].(string)); err == nil {
					at = v
				}
				require.Equal(t, string(o[number].(json.Number)), strconv.FormatInt(at.UnixMilli(), 10))
				forms[regexp.MustCompile(`\d\d`).ReplaceAllString(o[text].(string)[19:], "")] = true
			}
		}
		require.Len(t, forms, want, form)
	}
}

// Names may contain NUL (a public client strips it), lists of organisation units may be empty, and the chain is known by
// fingerprints only, some of which are of certificates that nobody serves.
func TestCertViewRecordsHoldWhatNobodyExpects(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Certificates: 400}})
	seen, hashes := map[string]bool{}, map[any]bool{}
	all := c.allPages(t, "/certview/v2.2/certificates", `{"pageNumber":%d,"pageSize":100,"assetType":"ALL","includes":["EXTENSIVE_CERTIFICATE_INFO"]}`)
	for _, o := range all {
		hashes[o["certhash"]] = true
		require.Regexp(t, `^[0-9a-f]{64}$`, o["certhash"])
	}
	for _, o := range all {
		subject, issuer := o["subject"].(object), o["issuer"].(object)
		seen["NUL"] = seen["NUL"] || strings.Contains(subject["name"].(string), "\x00") && strings.Contains(o["dn"].(string), "\x00")
		seen["empty list"] = seen["empty list"] || subject["organization"] == "" && len(subject["organizationUnit"].([]any)) == 0
		seen["in the list"] = seen["in the list"] || hashes[issuer["certhash"]] && issuer["certhash"] != o["certhash"]
		seen["absent"] = seen["absent"] || issuer["certhash"] != nil && !hashes[issuer["certhash"]]
		seen["unknown"] = seen["unknown"] || issuer["certhash"] == nil && o["rootissuer"] == nil
		seen["self-signed"] = seen["self-signed"] || issuer["certhash"] == o["certhash"] && o["type"] == "Leaf" && o["selfSigned"] == true
		seen["thousand"] = seen["thousand"] || len(o["subjectAlternativeNames"].(object)["dnsNames"].([]any)) == 1000
		seen["wildcard"] = seen["wildcard"] || strings.HasPrefix(subject["name"].(string), "*.")
		seen[o["type"].(string)] = true
		seen["EC"] = seen["EC"] || o["publicKeyAlgorithm"] == "EC"
	}
	for _, name := range []string{"NUL", "empty list", "in the list", "absent", "unknown", "self-signed", "thousand", "wildcard", "Leaf", "Intermediate", "Root", "EC"} {
		require.True(t, seen[name], name)
	}
}

// CertView API guide: assetType is MANAGED unless said, UNMANAGED or ALL.
func TestCertViewAssetTypes(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Certificates: 300}})
	count := map[string]int{}
	for _, kind := range []string{"MANAGED", "UNMANAGED", "ALL"} {
		all := c.allPages(t, certsPath, `{"pageNumber":%d,"pageSize":200,"assetType":"`+kind+`"}`)
		count[kind] = len(all)
		for _, o := range all {
			assets := o["assets"].([]any)
			require.Equal(t, string(o["assetCount"].(json.Number)), strconv.Itoa(len(assets)))
			for _, a := range assets {
				id, err := a.(object)["id"].(json.Number).Int64()
				require.NoError(t, err)
				w := c.post(getPath+"?assetId="+strconv.FormatInt(id, 10), "")
				known := w.Code == http.StatusOK
				require.True(t, kind == "ALL" || known == (kind == "MANAGED"), "the ids of managed assets are those of the inventory")
			}
		}
	}
	require.Equal(t, 300, count["ALL"])
	require.Equal(t, 290, count["MANAGED"])
	require.Greater(t, count["UNMANAGED"], 10, "some are on both")
}

// The list of assets of a certificate is documented, its path is not; the record itself holds a bounded list.
func TestACertificateOnManyAssetsIsReadThroughItsOwnList(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Assets: 3000, Certificates: 60}})
	var wide object
	for _, o := range c.allPages(t, certsPath, `{"pageNumber":%d,"pageSize":200}`) {
		if o["assetCount"].(json.Number) == "1500" {
			wide = o
		}
	}
	require.NotNil(t, wide)
	require.Len(t, wide["assets"], 1000)
	path := certsPath + "/" + string(wide["id"].(json.Number)) + "/assets"
	seen, first := map[string]bool{}, []object(nil)
	for page := 0; ; page++ {
		list := mustArray(t, c.do(c.request(http.MethodGet, path+"?pageSize=200&pageNumber="+strconv.Itoa(page), "")))
		if page == 0 {
			first = list
		}
		for _, id := range ids(list) {
			require.False(t, seen[id])
			seen[id] = true
		}
		if len(list) < 200 {
			break
		}
	}
	require.Len(t, seen, 1500)
	byHash := c.do(c.request(http.MethodGet, certsPath+"/"+wide["certhash"].(string)+"/assets?pageSize=200", ""))
	require.Empty(t, cmp.Diff(first, mustArray(t, byHash)))
	for _, id := range []string{"12", "81000001", strings.Repeat("0", 64), "x"} {
		require.Equal(t, http.StatusNotFound, c.do(c.request(http.MethodGet, certsPath+"/"+id+"/assets", "")).Code)
	}
	other := mustClient(t, qualys.Options{CertView: qualys.CertViewOptions{AssetsPath: "/certview/v2/assets/certificate/{id}", Assets: -1}, Estate: estate.Options{Assets: 3000, Certificates: 60}})
	require.Equal(t, http.StatusOK, other.do(other.request(http.MethodGet, "/certview/v2/assets/certificate/"+string(wide["id"].(json.Number)), "")).Code)
	require.Equal(t, http.StatusNotFound, other.do(other.request(http.MethodGet, path, "")).Code)
	for _, o := range other.allPages(t, certsPath, `{"pageNumber":%d,"pageSize":200}`) {
		require.Equal(t, string(o["assetCount"].(json.Number)), strconv.Itoa(len(o["assets"].([]any))), "without a bound")
	}
}

// gradeShape holds the members that a public client parses strictly (CertView, instances).
const gradeShape = `{certificateScore:number,cipherStrengthInfo:{0 bits (no encryption):bool,< 128 bits (e.g., 40, 56):bool,` +
	`< 256 bits (e.g., 128, 168):bool,>= 256 bits (e.g., 256):bool},cipherStrengthScore:number,cipherStrengthWeightage:number,cipherSuites:SUITES,` +
	`errors:LIST,grade:string,gradeWithTrustIgnored:string,highlights:LIST,infos:LIST,keyExchangeInfo:{` +
	`Anonymous key exchange (no authentication):bool,Exportable key exchange:bool,Key or DH parameter strength < 1024 bits (e.g., 512):bool,` +
	`Key or DH parameter strength < 2048 bits (e.g., 1024):bool,Key or DH parameter strength < 4096 bits (e.g., 2048):bool,` +
	`Key or DH parameter strength < 512 bits:bool,Key or DH parameter strength >= 4096 bits (e.g., 4096):bool,Weak key (Debian OpenSSL flaw):bool},` +
	`keyExchangeScore:number,keyExchangeWeightage:number,notices:LIST,protocolSupportInfo:{SSLv2:bool,SSLv3:bool,TLSv1:bool,TLSv1.1:bool,TLSv1.2:bool,TLSv1.3:bool},` +
	`protocolSupportScore:number,protocolSupportWeightage:number,warnings:LIST}`

// CertView, instances: one object for each port of each asset, with the detail of its grade; the same ones as in the
// records of the certificates.
func TestCertViewInstances(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Estate: estate.Options{Certificates: 200}})
	want := map[string]string{}
	for _, o := range c.allPages(t, certsPath, `{"pageNumber":%d,"pageSize":200}`) {
		for _, a := range o["assets"].([]any) {
			for _, i := range a.(object)["hostInstances"].([]any) {
				instance := i.(object)
				want[string(instance["id"].(json.Number))] = fmt.Sprint(instance["port"], instance["grade"], a.(object)["id"], o["certhash"])
			}
		}
	}
	got, lists := map[string]string{}, regexp.MustCompile(`\[(?:string)?\]`)
	suites := regexp.MustCompile(`cipherSuites:\{[^}]*\{[^}]*\}\](?:,[^}]*\{[^}]*\}\])*\}`)
	for _, o := range c.allPages(t, instancesPath, `{"pageNumber":"%d","pageSize":"23"}`) {
		require.Equal(t, "{asset,certificate,grade,gradeSummary,id,port,protocol,scannedDate,service}", "{"+strings.Join(keysOf(o), ",")+"}")
		require.Equal(t, "{id:number,name:string,primaryIp:string,uuid:string}", shape(o["asset"]))
		require.Equal(t, "{certhash:string,id:number,lastFound:number,name:string}", shape(o["certificate"]))
		summary := suites.ReplaceAllString(shape(o["gradeSummary"]), "cipherSuites:SUITES")
		require.Equal(t, gradeShape, lists.ReplaceAllString(summary, "LIST"))
		require.NotContains(t, got, string(o["id"].(json.Number)))
		got[string(o["id"].(json.Number))] = fmt.Sprint(o["port"], o["grade"], o["asset"].(object)["id"], o["certificate"].(object)["certhash"])
	}
	require.Empty(t, cmp.Diff(want, got))
	ignored := mustArray(t, c.post(instancesPath, `{"filter":{"filters":[{"field":"nonsense","value":"1","operator":"EQUALS"}]}}`))
	require.Len(t, ignored, 10, "the key of this call is filterRequest; others are ignored")
}

// Gateway authentication: CertView wants a token that was made with permissions=true, and the module.
func TestCertViewPermissions(t *testing.T) {
	t.Parallel()
	o := qualys.Options{Users: []qualys.User{{Username: "without", Password: "x", Without: []qualys.Permission{qualys.PermCertView}}}}
	sign := func(t *testing.T, c *client, user, password, permissions string) {
		form := url.Values{"username": {user}, "password": {password}, "token": {"true"}}
		if permissions != "" {
			form.Set("permissions", permissions)
		}
		r := httptest.NewRequest(http.MethodPost, "/auth", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := c.do(r)
		require.Equal(t, http.StatusCreated, w.Code)
		c.token = w.Body.String()
	}
	c := &client{h: mustServer(t, o).Handler()}
	for _, path := range []string{certsPath, instancesPath, "/certview/v1/certificates"} {
		c.token = "nonsense"
		require.Equal(t, http.StatusUnauthorized, c.post(path, `{}`).Code)
		sign(t, c, "without", "x", "true")
		require.Equal(t, http.StatusForbidden, c.post(path, `{}`).Code)
		sign(t, c, qualys.DefaultUsername, qualys.DefaultPassword, "")
		require.Equal(t, http.StatusForbidden, c.post(path, `{}`).Code)
		require.Equal(t, http.StatusOK, c.post(countPath, "").Code, "the inventory does not ask for it")
		sign(t, c, qualys.DefaultUsername, qualys.DefaultPassword, "true")
		require.Equal(t, http.StatusOK, c.post(path, `{}`).Code)
	}
	o.CertView.Permissions = qualys.PermissionsIgnored
	lenient := &client{h: mustServer(t, o).Handler()}
	sign(t, lenient, qualys.DefaultUsername, qualys.DefaultPassword, "")
	require.Equal(t, http.StatusOK, lenient.post(certsPath, `{}`).Code)
}

// API limits of the gateway: each endpoint counts apart; 429 with headers.
func TestCertViewLimitsAndFaults(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{Limits: qualys.Limits{Calls: 2, Window: time.Hour}, Faults: "on certview.instances nth 2 do status(503)"})
	for range 2 {
		require.Equal(t, http.StatusOK, c.post(certsPath, `{}`).Code)
	}
	w := c.post(certsPath, `{}`)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "3600", w.Header().Get("X-RateLimit-ToWait-Sec"))
	require.Equal(t, http.StatusOK, c.post("/certview/v2.1/certificates", `{}`).Code)
	require.Equal(t, http.StatusOK, c.post(instancesPath, `{}`).Code)
	require.Equal(t, http.StatusServiceUnavailable, c.post(instancesPath, `{}`).Code)

	paged := mustClient(t, qualys.Options{Faults: "on certview.certificates.v2 nth 2 do repeat_page; on certview.certificates.v2.1 nth 1 do shift_page"})
	first := ids(mustArray(t, paged.post(certsPath, `{}`)))
	require.Equal(t, first, ids(mustArray(t, paged.post(certsPath, `{"pageNumber":1}`))))
	shifted := ids(mustArray(t, paged.post("/certview/v2.1/certificates", `{}`)))
	require.Less(t, len(shifted), 10)
	require.Equal(t, first[10-len(shifted):], shifted)
}
