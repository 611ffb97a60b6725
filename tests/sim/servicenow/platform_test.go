package servicenow_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

type instanceView struct {
	Result struct {
		Attributes map[string]any
		Inbound    []map[string]any `json:"inbound_relations"`
		Outbound   []map[string]any `json:"outbound_relations"`
	}
}

func (i *instance) view(method, path, body string) (instanceView, int) {
	w := i.send(method, "/api/now/cmdb/instance/"+path, body)
	var out instanceView
	if w.Code == http.StatusOK && w.Body.Len() > 0 {
		require.NoError(i.t, json.Unmarshal(w.Body.Bytes(), &out))
	}
	return out, w.Code
}

// CMDB Instance API (§4.6): reads, writes through the IRE, relations, required source.
func TestCMDBInstance(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	company := i.create("core_company", `{"name":"Acme"}`)
	made, status := i.view("POST", "cmdb_ci_linux_server", `{"source":"SG-Qualys","attributes":{"name":"a","manufacturer":"`+company+`"}}`)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "Acme", made.Result.Attributes["manufacturer"].(map[string]any)["display_value"])
	host := made.Result.Attributes["sys_id"].(string)
	again, _ := i.view("POST", "cmdb_ci_linux_server", `{"source":"SG-Qualys","attributes":{"name":"a"}}`)
	require.Equal(t, host, again.Result.Attributes["sys_id"], "the same CI is identified")
	changed, _ := i.view("PATCH", "cmdb_ci_server/"+host, `{"source":"SG-Qualys","attributes":{"os":"Linux"}}`)
	require.Equal(t, []any{"Linux", "cmdb_ci_linux_server"}, []any{changed.Result.Attributes["os"], changed.Result.Attributes["sys_class_name"]})
	kind := i.rows("cmdb_rel_type?sysparm_query=name=" + escape(owns))[0]["sys_id"].(string)
	nic, status := i.view("POST", "cmdb_ci_network_adapter", fmt.Sprintf(`{"source":"SG-Qualys","attributes":{"name":"eth0"},"inbound_relations":[{"type":%q,"target":%q}]}`, kind, host))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, host, nic.Result.Inbound[0]["target"].(map[string]any)["value"])
	relation := nic.Result.Inbound[0]["sys_id"].(string)
	seen, _ := i.view("GET", "cmdb_ci_server/"+host, "")
	require.Equal(t, relation, seen.Result.Outbound[0]["sys_id"])
	_, status = i.view("DELETE", "cmdb_ci_server/"+host+"/relation/"+relation, "")
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, i.rows("cmdb_rel_ci"))
	_, status = i.view("POST", "cmdb_ci_server/"+host+"/relation", fmt.Sprintf(`{"source":"SG-Qualys","outbound_relations":[{"type":%q,"target":%q}]}`, kind, nic.Result.Attributes["sys_id"]))
	require.Equal(t, http.StatusOK, status)
	require.Len(t, i.rows("cmdb_rel_ci"), 1)
	require.JSONEq(t, `{"result":[{"sys_id":"`+host+`","name":"a"}]}`, i.send("GET", "/api/now/cmdb/instance/cmdb_ci_server", "").Body.String())
	_, status = i.view("POST", "cmdb_ci_server", `{"attributes":{"name":"b"}}`)
	require.Equal(t, http.StatusBadRequest, status)
	_, status = i.view("GET", "cmdb_ci_server/00000000000000000000000000000000", "")
	require.Equal(t, http.StatusNotFound, status)
}

// CMDB Instance API (§4.6): a rejection carries the IRE envelope with a non-2xx status.
func TestCMDBInstanceRejection(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	w := i.send(http.MethodPost, "/api/now/cmdb/instance/cmdb_ci_network_adapter", `{"source":"SG-Qualys","attributes":{"name":"eth0"}}`)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, "MISSING_DEPENDENCY", decodeIRE(t, w.Body.Bytes()).Items[0].errorCode())
}

type importAnswer struct {
	ImportSet string `json:"import_set"`
	Staging   string `json:"staging_table"`
	Result    []map[string]string
}

// Import Set (§4.7): no result wrapper, one entry per transform map, inserted, ignored, updated, readable afterwards.
func TestImportSetSingle(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	send := func(body string) importAnswer {
		w := i.send(http.MethodPost, "/api/now/import/imp_computer", body)
		require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
		var out importAnswer
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
		return out
	}
	first := send(`{"name":"a","os":"Linux","nope":"x"}`)
	require.Equal(t, []string{"ISET0010001", "imp_computer"}, []string{first.ImportSet, first.Staging})
	id := first.Result[0]["sys_id"]
	require.Equal(t, map[string]string{"transform_map": "Computer Import", "table": "cmdb_ci_computer", "display_name": "name", "display_value": "a",
		"record_link": "http://example.com/api/now/table/cmdb_ci_computer/" + id, "status": "inserted", "sys_id": id}, first.Result[0])
	require.Equal(t, "ignored", send(`{"name":"a","os":"Linux"}`).Result[0]["status"])
	require.Equal(t, "updated", send(`{"name":"a","os":{"nested":1}}`).Result[0]["status"])
	require.Equal(t, `{"nested":1}`, i.rows("cmdb_ci_computer")[0]["os"])
	row := i.rows("imp_computer?sysparm_fields=sys_id")[0]["sys_id"].(string)
	require.Contains(t, i.send(http.MethodGet, "/api/now/import/imp_computer/"+row, "").Body.String(), id)
	require.Equal(t, http.StatusBadRequest, i.send(http.MethodPost, "/api/now/import/cmdb_ci", `{}`).Code)
}

// Import Set, insertMultiple (§4.7): labels unless configured, only the ids of the sets in the answer.
func TestImportSetMultiple(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	w := i.send(http.MethodPost, "/api/now/import/imp_computer/insertMultiple?multi_import_set_id=m1", `{"records":[{"Name":"a","Serial Number":"S1"},{"name":"ignored"}]}`)
	require.Equal(t, http.StatusCreated, w.Code)
	var out map[string]string
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
	require.Equal(t, "m1", out["multi_import_set_id"])
	require.Len(t, i.rows("imp_computer?sysparm_query=sys_import_set="+out["import_set_id"]), 2)
	require.Len(t, i.rows("cmdb_ci_computer?sysparm_query=serial_number=S1"), 1)
	i.create("sys_rest_insert_multiple", `{"source_table":"imp_computer","column_key":"column_name"}`)
	i.send(http.MethodPost, "/api/now/import/imp_computer/insertMultiple", `{"records":[{"name":"b"}]}`)
	require.Len(t, i.rows("cmdb_ci_computer?sysparm_query=name=b"), 1)
}

// Plugins, store apps, properties, users, roles, companies can be read (§6); ACLs hide rows after the limit was applied, a
// single hidden row is 404, a closed table 403 (§4.1, §4.2).
func TestPlatformTablesAndACLs(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	for _, table := range []string{"sys_plugins", "v_plugin", "sys_store_app", "sys_scope", "sys_properties", "sys_user", "sys_user_role", "core_company", "cmdb_rel_type"} {
		require.NotEmpty(t, i.rows(table), table)
	}
	for _, table := range []string{"sys_user_group", "cmn_location", "cmdb_ci_business_app", "cmdb_rel_ci"} {
		require.Empty(t, i.rows(table), table)
	}
	war := i.rows("sys_properties?sysparm_query=name=glide.war")[0]["sys_id"].(string)
	i.control("users", `{"username":"reader","password":"p","roles":["itil"]}`)
	i.control("acls", `[{"table":"sys_properties","query":"nameSTARTSWITHglide.war","roles":["security_admin"]},{"table":"sys_plugins"}]`)
	reader := []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("reader:p"))}
	w := i.send(http.MethodGet, "/api/now/table/sys_properties?sysparm_limit=1&sysparm_query=name=glide.war", "", reader...)
	require.JSONEq(t, `{"result":[]}`, w.Body.String())
	require.Equal(t, "1", w.Header().Get("X-Total-Count"))
	require.Equal(t, http.StatusNotFound, i.send(http.MethodGet, "/api/now/table/sys_properties/"+war, "", reader...).Code)
	require.Equal(t, http.StatusOK, i.send(http.MethodGet, "/api/now/table/sys_properties/"+war, "").Code)
	w = i.send(http.MethodGet, "/api/now/table/sys_plugins", "", reader...)
	require.Equal(t, http.StatusForbidden, w.Code)
	require.JSONEq(t, `{"error":{"message":"Insufficient rights to query records","detail":null},"status":"failure"}`, w.Body.String())
}

// API key (§5.2): as header or query parameter; a wrong one is not authenticated.
func TestAPIKey(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.control("users", `{"username":"robot","roles":["itil"],"apiKey":"k-1"}`)
	get := func(url, key string) int {
		return i.send(http.MethodGet, url, "", "Authorization", "", "x-sn-apikey", key).Code
	}
	require.Equal(t, http.StatusOK, get("/api/now/table/sys_user", "k-1"))
	require.Equal(t, http.StatusOK, get("/api/now/table/sys_user?x-sn-apikey=k-1", ""))
	require.Equal(t, http.StatusUnauthorized, get("/api/now/table/sys_user", "k-2"))
	require.Equal(t, http.StatusUnauthorized, get("/api/now/table/sys_user", ""))
}

// OAuth scopes (§5.1): a client for one API gets 401 on others, in a batch too.
func TestScopedClient(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.control("oauth", `{"clientId":"narrow","clientSecret":"s","apis":["identifyreconcile","batch"]}`)
	tok, _ := i.token(t, "grant_type=client_credentials&client_id=narrow&client_secret=s")
	bearer := []string{"Authorization", "Bearer " + tok.Access}
	w := i.send(http.MethodGet, "/api/now/table/sys_user", "", bearer...)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Contains(t, w.Body.String(), "User Not Authorized")
	require.Equal(t, http.StatusOK, i.send(http.MethodPost, "/api/now/identifyreconcile?sysparm_data_source=SG-Qualys", items(), bearer...).Code)
	require.Equal(t, http.StatusUnauthorized, i.batch(inBatch("1", "GET", "/api/now/table/sys_user", ""), bearer...).Serviced[0].Status)
}

// JWT bearer grant (§5.1): RS256, issuer the client, a known user, not expired, the client's key.
func TestJWTBearer(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	i := mustInstance(t, servicenow.Options{})
	body, err := json.Marshal(map[string]string{"clientId": "jwt", "clientSecret": "s", "jwtPublicKey": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	require.NoError(t, err)
	i.control("oauth", string(body))
	sign := func(head, claims string) string {
		text := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		sum := sha256.Sum256([]byte(text))
		sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		require.NoError(t, err)
		return text + "." + base64.RawURLEncoding.EncodeToString(sig)
	}
	const rs256 = `{"alg":"RS256","typ":"JWT"}`
	good := sign(rs256, `{"iss":"jwt","sub":"qbridge","aud":"jwt","iat":1772366000,"exp":1893456000}`)
	for name, c := range map[string]struct {
		assertion string
		status    int
	}{
		"good":             {good, 200},
		"expired":          {sign(rs256, `{"iss":"jwt","sub":"qbridge","aud":"jwt","iat":1,"exp":2}`), 401},
		"unknown user":     {sign(rs256, `{"iss":"jwt","sub":"nobody","aud":"jwt","iat":1772366000,"exp":1893456000}`), 401},
		"foreign issuer":   {sign(rs256, `{"iss":"x","sub":"qbridge","aud":"jwt","iat":1772366000,"exp":1893456000}`), 401},
		"other algorithm":  {sign(`{"alg":"none"}`, `{"iss":"jwt","sub":"qbridge","aud":"jwt","iat":1772366000,"exp":1893456000}`), 401},
		"broken signature": {good[:len(good)-8] + "AAAAAAAA", 401},
		"garbage":          {"a.b", 401},
	} {
		tok, status := i.token(t, "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&client_id=jwt&client_secret=s&assertion="+c.assertion)
		require.Equal(t, c.status, status, name)
		if status == 200 {
			require.Equal(t, 200, i.send(http.MethodGet, "/api/now/table/sys_user", "", "Authorization", "Bearer "+tok.Access).Code)
		}
	}
}
