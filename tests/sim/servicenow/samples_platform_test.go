package servicenow_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
)

// base is where the instance under test is.
const base = "http://example.com"

// website puts two servers, a company and a relation type to be named into the instance.
func website(i *instance) map[string]string {
	company := i.create("core_company", `{"name":"Acme"}`)
	return map[string]string{
		"company": company,
		"web":     i.create("cmdb_ci_linux_server", `{"name":"web-07","os":"Linux","ram":"4096","manufacturer":"`+company+`"}`),
		"db":      i.create("cmdb_ci_linux_server", `{"name":"db-07","os":"Linux","ram":"4096"}`),
		"win":     i.create("cmdb_ci_win_server", `{"name":"win-07","os":"Windows","ram":"1024"}`),
		"uses":    i.rows("cmdb_rel_type?sysparm_query=name=" + escape("Depends on::Used by"))[0]["sys_id"].(string),
	}
}

func runSamples(t *testing.T, list []sample) {
	t.Helper()
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t)
		})
	}
}

// Every sample of the error envelope. REST API, HTTP response codes.
func TestErrorEnvelopeSamples(t *testing.T) {
	t.Parallel()
	closed := func(i *instance) map[string]string {
		i.control("users", `{"username":"u","password":"p","roles":["itil"]}`)
		i.control("acls", `[{"table":"sys_plugins","roles":["admin"]}]`)
		return nil
	}
	limited := func(i *instance) map[string]string {
		return map[string]string{"rule": i.create("sys_rate_limit_rules", `{"name":"r","api":"table","request_limit":"0"}`)}
	}
	scoped := func(i *instance) map[string]string {
		i.control("oauth", `{"clientId":"narrow","clientSecret":"s","apis":["identifyreconcile"]}`)
		return nil
	}
	user := []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("u:p"))}
	runSamples(t, []sample{
		// REST API, HTTP response codes: 401.
		{name: "401", url: "/api/now/table/sys_user", headers: []string{"Authorization", ""}, status: 401, want: envelope("User Not Authenticated", `"Required to provide Auth information"`)},
		// REST API, HTTP response codes: 400 for a table that does not exist.
		{name: "400 invalid table", url: "/api/now/table/X", status: 400, want: envelope("Invalid table X", `"Table X does not exist"`)},
		// REST API, HTTP response codes: 400 for a path that is no resource.
		{name: "400 no resource", url: "/api/now/unheard-of", status: 400, want: envelope("Requested URI does not represent any resource", "null")},
		// REST API, HTTP response codes: 400 for a body that is not JSON.
		{name: "400 bad JSON", url: "/api/now/table/core_company", body: `{"name":`, status: 400, want: envelope("Exception while reading request", `"<text>"`)},
		// REST API, supported headers: 400 without Accept.
		{name: "400 without Accept", url: "/api/now/table/sys_user", headers: []string{"Accept", ""}, status: 400, want: envelope("<text>", `"<any>"`)},
		// REST API, HTTP response codes: 403 by an access control rule.
		{name: "403 closed table", setup: closed, headers: user, url: "/api/now/table/sys_plugins", status: 403, want: envelope("Insufficient rights to query records", "null")},
		// REST API, HTTP response codes: 403 for a role that is missing.
		{name: "403 missing role", setup: closed, headers: user, url: "/api/now/import/imp_computer", body: `{}`, status: 403, want: envelope("Operation Failed", `"~ACL Exception"`)},
		// REST API, HTTP response codes: 404 for a record that is absent or hidden.
		{name: "404", url: "/api/now/table/sys_user/00000000000000000000000000000000", status: 404, want: envelope("No Record found", `"Record doesn't exist or ACL restricts the record retrieval"`)},
		// REST API, HTTP response codes: 405.
		{name: "405", method: http.MethodDelete, url: "/api/now/table/sys_user", status: 405, want: envelope("Method not Supported", "null")},
		// REST API, HTTP response codes: 406 and 415 for other media.
		{name: "406", url: plainURL, body: `{"items":[]}`, headers: []string{"Accept", "text/csv"}, status: 406, want: envelope("<text>", `"<any>"`)},
		{name: "415", url: plainURL, body: `<items/>`, headers: []string{"Content-Type", "text/xml"}, status: 415, want: envelope("<text>", `"<any>"`)},
		// Inbound REST API rate limiting: the 429 and its headers.
		{name: "429", setup: limited, url: "/api/now/table/sys_user", status: 429, want: envelope("Rate limit exceeded", `"Rate limit of 0 requests per hour for Table API exceeded"`),
			header: map[string]string{"X-RateLimit-Limit": "^0$", "X-RateLimit-Reset": `^\d+$`, "X-RateLimit-Rule": `^[0-9a-f]{32}$`, "Retry-After": "^3600$"}},
		// Transaction quotas: the text of a cancelled transaction is message and detail.
		{name: "cancelled", options: servicenow.Options{Faults: "on ire do quota_cancel(0)"}, url: plainURL, body: `{"items":[]}`, status: 500,
			want: envelope("Transaction cancelled: maximum execution time exceeded", `"Transaction cancelled: maximum execution time exceeded"`)},
		// OAuth API request parameters: a failure, and a JSON body is none that is read.
		{name: "oauth failure", url: "/oauth_token.do", body: "grant_type=password", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 401, want: `{"error_description":"access_denied","error":"server_error"}`},
		{name: "oauth by JSON", url: "/oauth_token.do", body: `{"grant_type":"password"}`, status: 401, want: `{"error_description":"access_denied","error":"server_error"}`},
		// OAuth API response parameters: password, then client credentials without a refresh token.
		{name: "oauth password", url: "/oauth_token.do", body: "grant_type=password&client_id=qbridge-client&client_secret=qbridge-client-secret&username=qbridge&password=qbridge-password",
			headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, want: `{"access_token":"<text>","refresh_token":"<text>","scope":"useraccount","token_type":"Bearer","expires_in":"<number>"}`},
		{name: "oauth client credentials", setup: scoped, url: "/oauth_token.do", body: "grant_type=client_credentials&client_id=narrow&client_secret=s",
			headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, want: `{"access_token":"<text>","scope":"<any>","token_type":"Bearer","expires_in":"<number>"}`},
	})
}

// Every sample of the Table and Aggregate APIs.
func TestTableSamples(t *testing.T) {
	t.Parallel()
	link := func(rel string, offset int) string {
		return fmt.Sprintf(`<%s/api/now/table/cmdb_ci_server\?[^>]*sysparm_limit=1[^>]*sysparm_offset=%d[^>]*>;rel="%s"`, base, offset, rel)
	}
	company := `{"link":"` + base + `/api/now/table/core_company/{company}","value":"{company}"}`
	runSamples(t, []sample{
		// Table API, retrieve multiple records.
		{name: "list", setup: website, url: "/api/now/table/cmdb_ci_server?sysparm_query=name=web-07&sysparm_fields=name,sys_id,manufacturer,nonsense", header: map[string]string{"X-Total-Count": "^1$"},
			want: `{"result":[{"name":"web-07","sys_id":"{web}","manufacturer":` + company + `}]}`},
		// Table API, sysparm_query: plain field=value parameters.
		{name: "list by name and value", setup: website, url: "/api/now/table/cmdb_ci_server?name=web-07&sysparm_fields=name", want: `{"result":[{"name":"web-07"}]}`},
		// Table API, response headers: Link on a page in the middle.
		{name: "a page in the middle", setup: website, url: "/api/now/table/cmdb_ci_server?sysparm_fields=name&sysparm_limit=1&sysparm_offset=1",
			header: map[string]string{"Link": link("first", 0) + "," + link("prev", 0) + "," + link("next", 2) + "," + link("last", 2), "X-Total-Count": "^3$"}, want: `{"result":[{"name":"<text>"}]}`},
		// Table API, response headers: no prev on the first page, no next on the last.
		{name: "the first page", setup: website, url: "/api/now/table/cmdb_ci_server?sysparm_limit=1&sysparm_fields=name", header: map[string]string{"Link": "^" + link("first", 0) + "," + link("next", 1) + "," + link("last", 2) + "$"}, want: `{"result":[{"name":"<text>"}]}`},
		{name: "the last page", setup: website, url: "/api/now/table/cmdb_ci_server?sysparm_limit=1&sysparm_offset=2&sysparm_fields=name", header: map[string]string{"Link": "^" + link("first", 0) + "," + link("prev", 1) + "," + link("last", 2) + "$"}, want: `{"result":[{"name":"<text>"}]}`},
		// Table API, sysparm_no_count and sysparm_suppress_pagination_header.
		{name: "no count, no links", setup: website, url: "/api/now/table/cmdb_ci_server?sysparm_limit=1&sysparm_no_count=true&sysparm_suppress_pagination_header=true&sysparm_fields=name", header: map[string]string{"Link": "^$", "X-Total-Count": "^$"}, want: `{"result":[{"name":"<text>"}]}`},
		// Table API, retrieve multiple records: no hit is an empty array, in the first version 404.
		{name: "no hit", url: "/api/now/table/cmdb_ci_server?sysparm_query=name=nobody", want: `{"result":[]}`},
		{name: "no hit in version 1", url: "/api/now/v1/table/cmdb_ci_server?sysparm_query=name=nobody", status: 404, want: envelope("No Record found", `"<text>"`)},
		{name: "no hit in version 2", url: "/api/now/v2/table/cmdb_ci_server?sysparm_query=name=nobody", want: `{"result":[]}`},
		// Table API, retrieve a record, with the forms of sysparm_display_value and sysparm_exclude_reference_link.
		{name: "one record", setup: website, url: "/api/now/table/cmdb_ci_server/{web}?sysparm_fields=sys_id,sys_class_name,ram,manufacturer,manufacturer.name,sys_created_on",
			want: `{"result":{"sys_id":"{web}","sys_class_name":"cmdb_ci_linux_server","ram":"4096","manufacturer":` + company + `,"manufacturer.name":"Acme","sys_created_on":"<time>"}}`},
		{name: "display values", setup: website, url: "/api/now/table/cmdb_ci_server/{web}?sysparm_fields=manufacturer&sysparm_display_value=true",
			want: `{"result":{"manufacturer":{"display_value":"Acme","link":"` + base + `/api/now/table/core_company/{company}"}}}`},
		{name: "display values without links", setup: website, url: "/api/now/table/cmdb_ci_server/{web}?sysparm_fields=manufacturer&sysparm_display_value=true&sysparm_exclude_reference_link=true", want: `{"result":{"manufacturer":"Acme"}}`},
		{name: "all values", setup: website, url: "/api/now/table/cmdb_ci_server/{web}?sysparm_fields=manufacturer,name&sysparm_display_value=all",
			want: `{"result":{"manufacturer":{"display_value":"Acme","value":"{company}","link":"` + base + `/api/now/table/core_company/{company}"},"name":{"display_value":"web-07","value":"web-07"}}}`},
		{name: "no links", setup: website, url: "/api/now/table/cmdb_ci_server/{web}?sysparm_fields=manufacturer&sysparm_exclude_reference_link=true", want: `{"result":{"manufacturer":"{company}"}}`},
		// Table API, create a record.
		{name: "create", url: "/api/now/table/core_company?sysparm_fields=name,sys_id", body: `{"name":"Acme","nonsense":"x"}`, status: 201, header: map[string]string{"Location": "^" + base + "/api/now/table/core_company/[0-9a-f]{32}$"}, want: `{"result":{"name":"Acme","sys_id":"<id>"}}`},
		{name: "create by display value", setup: website, url: "/api/now/table/cmdb_ci_server?sysparm_input_display_value=true&sysparm_fields=manufacturer", body: `{"name":"x","manufacturer":"Acme"}`, status: 201, want: `{"result":{"manufacturer":` + company + `}}`},
		// Table API, modify a record: PATCH and PUT are partial, an empty text clears.
		{name: "patch", setup: website, method: http.MethodPatch, url: "/api/now/table/cmdb_ci_server/{web}?sysparm_fields=name,os,ram", body: `{"os":"","ram":"8192"}`, want: `{"result":{"name":"web-07","os":"","ram":"8192"}}`},
		{name: "put", setup: website, method: http.MethodPut, url: "/api/now/table/cmdb_ci_server/{web}?sysparm_fields=name,ram", body: `{"ram":"8192"}`, want: `{"result":{"name":"web-07","ram":"8192"}}`},
		// REST API, methods: the header that overrides the method.
		{name: "method override", setup: website, url: "/api/now/table/cmdb_ci_server/{web}?sysparm_fields=ram", headers: []string{"X-http-method-override", "PATCH"}, body: `{"ram":"1"}`, want: `{"result":{"ram":"1"}}`},
		// Table API, delete a record: 204 without a body.
		{name: "delete", setup: website, method: http.MethodDelete, url: "/api/now/table/cmdb_ci_server/{web}", status: 204, want: "-"},
		// Aggregate API, retrieve record statistics: strings throughout.
		{name: "count", setup: website, url: "/api/now/stats/cmdb_ci_server?sysparm_count=true", want: `{"result":{"stats":{"count":"3"}}}`},
		{name: "grouped", setup: website, url: "/api/now/stats/cmdb_ci_server?sysparm_count=true&sysparm_avg_fields=ram&sysparm_group_by=os", want: `{"result":[{"stats":{"count":"2","avg":{"ram":"4096.0000"}},"groupby_fields":[{"field":"os","value":"Linux"}]},
			{"stats":{"count":"1","avg":{"ram":"1024.0000"}},"groupby_fields":[{"field":"os","value":"Windows"}]}]}`},
		{name: "having", setup: website, url: "/api/now/stats/cmdb_ci_server?sysparm_count=true&sysparm_group_by=os&sysparm_having=" + escape("count^os^>^1"), want: `{"result":[{"stats":{"count":"2"},"groupby_fields":[{"field":"os","value":"Linux"}]}]}`},
		{name: "no such table of statistics", url: "/api/now/stats/X", status: 400, want: envelope("Invalid table X", `"<any>"`)},
	})
}

// Every sample of the CMDB, Batch and Import Set APIs.
func TestCMDBSamples(t *testing.T) {
	t.Parallel()
	related := func(i *instance) map[string]string {
		v := website(i)
		v["relation"] = i.create("cmdb_rel_ci", fmt.Sprintf(`{"parent":%q,"child":%q,"type":%q}`, v["web"], v["db"], v["uses"]))
		return v
	}
	staged := func(i *instance) map[string]string {
		i.send(http.MethodPost, "/api/now/import/imp_computer", `{"name":"web-07"}`)
		return map[string]string{"row": i.rows("imp_computer")[0]["sys_id"].(string), "ci": i.rows("cmdb_ci_computer")[0]["sys_id"].(string)}
	}
	end := func(id, name, table string) string {
		return fmt.Sprintf(`{"display_value":%q,"link":"%s/api/now/table/%s/%s","value":%q}`, name, base, table, id, id)
	}
	relation := `{"sys_id":"<id>","type":` + end("{uses}", "Depends on::Used by", "cmdb_rel_type") + `,"target":` + end("{db}", "db-07", "cmdb_ci") + `}`
	entry := `{"order":"<number>","table":"<any>","attributes":"<text>","condition":"<any>","referenced_field":"<any>","exact_count_match":"<any>","allow_fallback":false,"allow_null_attribute":false,"active":true}`
	imported := `{"import_set":"~ISET","staging_table":"imp_computer","result":[{"transform_map":"Computer Import","table":"cmdb_ci_computer","display_name":"name","display_value":"web-07","record_link":"~` + base + `/api/now/table/cmdb_ci_computer/","status":"inserted","sys_id":"<id>"}]}`
	inBatch := `{"batch_request_id":"7","rest_requests":[{"id":"1","method":"GET","url":"/api/now/table/cmdb_ci?sysparm_limit=1","headers":[{"name":"Accept","value":"application/json"}],"body":"","exclude_response_headers":%t}]}`
	batched := `{"batch_request_id":"7","serviced_requests":[{"id":"1","status_code":200,"status_text":"OK","body":"` + base64.StdEncoding.EncodeToString([]byte(`{"result":[]}`)) + `","headers":[%s],"execution_time":"<number>"}],"unserviced_requests":[]}`
	runSamples(t, []sample{
		// CMDB Meta API, retrieve metadata of a class: booleans of attributes are strings, those of rules are not.
		{name: "meta", url: "/api/now/cmdb/meta/cmdb_ci_linux_server", want: `{"result":{"name":"cmdb_ci_linux_server","label":"<text>","parent":"cmdb_ci_server","children":[],"icon":"<any>","icon_url":"<any>","is_extendable":true,
			"attributes":[{"element":"<text>","label":"<text>","type":"<text>","max_length":"<text>","default_value":"<any>","is_inherited":"true","is_mandatory":"false","is_read_only":"false","is_display":"true"},"..."],
			"relationship_rules":[{"parent":"<text>","child":"<text>","relation_type":"<id>"},"..."],
			"identification_rules":{"name":"Hardware Rule","description":"<any>","active":true,"is_independent":true,"applies_to":"cmdb_ci_hardware","identifiers":[` + entry + `,` + entry + `,` + entry + `,` + entry + `],"related_rules":[` + entry + `,"..."]}}}`},
		{name: "meta of no class", url: "/api/now/cmdb/meta/cmdb_ci_nonsense", status: 404, want: envelope("<text>", `"<any>"`)},
		// CMDB Instance API, retrieve the CIs of a class, and one with its relations.
		{name: "instances", setup: website, url: "/api/now/cmdb/instance/cmdb_ci_win_server", want: `{"result":[{"sys_id":"{win}","name":"win-07"}]}`},
		{name: "one instance", setup: related, url: "/api/now/cmdb/instance/cmdb_ci_linux_server/{web}", want: `{"result":{"attributes":{"name":"web-07","sys_id":"{web}","manufacturer":` + end("{company}", "Acme", "core_company") + `,"...":0},"inbound_relations":[],"outbound_relations":[` + relation + `]}}`},
		// CMDB Instance API, create a CI, with a relation by sys_ids.
		{name: "create an instance", setup: website, url: "/api/now/cmdb/instance/cmdb_ci_linux_server", body: `{"attributes":{"name":"new-07"},"source":"SG-Qualys","outbound_relations":[{"type":"{uses}","target":"{db}"}]}`, want: `{"result":{"attributes":{"name":"new-07","...":0},"inbound_relations":[],"outbound_relations":[` + relation + `]}}`},
		{name: "create without a source", url: "/api/now/cmdb/instance/cmdb_ci_linux_server", body: `{"attributes":{"name":"a"}}`, status: 400, want: envelope("<text>", `"<any>"`)},
		{name: "create an instance that is refused", url: "/api/now/cmdb/instance/cmdb_ci_disk", body: `{"attributes":{"name":"sda"},"source":"SG-Qualys"}`, status: 400, want: `{"result":{"hasError":true,"items":[{"errors":[{"error":"MISSING_DEPENDENCY","message":"<text>"}],"...":0}],"...":0}}`},
		// CMDB Instance API, update a CI, and add and delete a relation.
		{name: "patch an instance", setup: website, method: http.MethodPatch, url: "/api/now/cmdb/instance/cmdb_ci_linux_server/{web}", body: `{"attributes":{"os":"Linux Red Hat"},"source":"SG-Qualys"}`, want: `{"result":{"attributes":{"os":"Linux Red Hat","sys_id":"{web}","...":0},"inbound_relations":[],"outbound_relations":[]}}`},
		{name: "put an instance", setup: website, method: http.MethodPut, url: "/api/now/cmdb/instance/cmdb_ci_linux_server/{web}", body: `{"attributes":{"os":"Linux Red Hat"},"source":"SG-Qualys"}`, want: `{"result":{"attributes":{"os":"Linux Red Hat","...":0},"...":0}}`},
		{name: "add a relation", setup: website, url: "/api/now/cmdb/instance/cmdb_ci_linux_server/{web}/relation", body: `{"source":"SG-Qualys","outbound_relations":[{"type":"{uses}","target":"{db}"}]}`, want: `{"result":{"attributes":{"sys_id":"{web}","...":0},"inbound_relations":[],"outbound_relations":[` + relation + `]}}`},
		{name: "delete a relation", setup: related, method: http.MethodDelete, url: "/api/now/cmdb/instance/cmdb_ci_linux_server/{web}/relation/{relation}", want: "-"},
		// Batch API, send multiple REST requests.
		{name: "batch", url: "/api/now/v1/batch", body: fmt.Sprintf(inBatch, true), want: fmt.Sprintf(batched, "")},
		{name: "batch with headers", url: "/api/now/v1/batch", body: fmt.Sprintf(inBatch, false), want: fmt.Sprintf(batched, `{"name":"<text>","value":"<text>"},"..."`)},
		// Batch API: the leftovers of the quota.
		{name: "batch leftovers", options: servicenow.Options{Faults: "on batch do quota_cancel(0)"}, url: "/api/now/v1/batch", body: fmt.Sprintf(inBatch, true), want: `{"batch_request_id":"7","serviced_requests":[],"unserviced_requests":["1"]}`},
		// Import Set API, insert a record, read it, insert several.
		{name: "import", url: "/api/now/import/imp_computer", body: `{"name":"web-07"}`, status: 201, want: imported},
		{name: "imported", setup: staged, url: "/api/now/import/imp_computer/{row}", want: imported},
		{name: "import several", url: "/api/now/import/imp_computer/insertMultiple", body: `{"records":[{"Name":"web-07"}]}`, status: 201, want: `{"import_set_id":"<id>","multi_import_set_id":"<text>"}`},
	})
}

// The calls that test a connection before anything is sent.
func TestConnectionCheckSamples(t *testing.T) {
	t.Parallel()
	runSamples(t, []sample{
		// Table API: reachability and authentication.
		{name: "reachable", url: "/api/now/table/sys_user?sysparm_limit=1&sysparm_fields=sys_id", want: `{"result":[{"sys_id":"<id>"}]}`},
		// IRE, discovery_source: the choice list.
		{name: "sources", url: "/api/now/table/sys_choice?sysparm_query=name=cmdb_ci^element=discovery_source^inactive=false&sysparm_fields=value,label", want: `{"result":[{"value":"<text>","label":"<text>"},"..."]}`},
		{name: "the source", url: "/api/now/table/sys_choice?sysparm_query=name=cmdb_ci^element=discovery_source^value=SG-Qualys^inactive=false&sysparm_fields=value", want: `{"result":[{"value":"SG-Qualys"}]}`},
		// Identification and Reconciliation API, identifyCI: permission without writing.
		{name: "permission", url: "/api/now/identifyreconcile/query?sysparm_data_source=SG-Qualys", body: `{"items":[{"className":"cmdb_ci_server","values":{"name":"a"}}]}`, want: `{"result":{"hasError":false,"items":[{"operation":"INSERT","...":0}],"...":0}}`},
		// CMDB: plugins and store applications.
		{name: "plugin", url: "/api/now/table/sys_plugins?sysparm_query=id=com.snc.cmdb&sysparm_fields=id,name,version,active", want: `{"result":[{"id":"com.snc.cmdb","name":"<text>","version":"<text>","active":"<text>"}]}`},
		{name: "plugin view", url: "/api/now/table/v_plugin?sysparm_query=id=com.snc.cmdb&sysparm_fields=id,name,active,version", want: `{"result":[{"id":"com.snc.cmdb","name":"<text>","version":"<text>","active":"<text>"}]}`},
		{name: "store application", url: "/api/now/table/sys_store_app?sysparm_query=scope=sn_cmdb_int_util&sysparm_fields=scope,name,version,active,latest_version", want: `{"result":[{"scope":"sn_cmdb_int_util","name":"<text>","version":"<text>","active":"true","latest_version":"<text>"}]}`},
		{name: "scope", url: "/api/now/table/sys_scope?sysparm_query=scope=sn_cmdb_int_util&sysparm_fields=scope", want: `{"result":[{"scope":"sn_cmdb_int_util"}]}`},
		{name: "build", url: "/api/now/table/sys_properties?sysparm_query=name=glide.war&sysparm_fields=name,value", want: `{"result":[{"name":"glide.war","value":"<text>"}]}`},
		// CMDB: relation types by name.
		{name: "relation types", url: "/api/now/table/cmdb_rel_type?sysparm_query=nameIN" + escape("Owns::Owned by,Contains::Contained by") + "&sysparm_fields=name", want: `{"result":[{"name":"~::"},{"name":"~::"}]}`},
		// Developer instances: a hibernating instance answers 200 with a page.
		{name: "hibernating", setup: func(i *instance) map[string]string {
			i.control("instance", `{"state":"hibernating"}`)
			return nil
		}, url: "/api/now/table/sys_user", header: map[string]string{"Content-Type": "text/html"}, want: "Instance Hibernating page"},
		// Session semaphore: 202, nothing in it.
		{name: "dropped", options: servicenow.Options{Faults: "on table.get do accepted202"}, url: "/api/now/table/sys_user", status: 202, want: "-"},
	})
}
