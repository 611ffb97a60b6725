package servicenow_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// ServiceNow IRE API, response body: the keys of an inserted item, and NO_CHANGE on the second time.
func TestInsertThenNoChange(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := items(ci("cmdb_ci_linux_server", "1", `"name":"web-07","serial_number":"SN-1","os":"Linux"`,
		`"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"SN-1","serial_number_type":"system"}}]`))
	first := i.ire("/enhanced", "generate_summary:true", body)
	require.False(t, first.HasError)
	it := first.Items[0]
	require.Equal(t, "INSERT", it.Operation)
	require.Equal(t, "Unknown", it.IdentifierEntrySysID)
	require.Len(t, it.SysID, 32)
	require.Len(t, it.IdentificationAttempts, 5)
	require.Equal(t, "sys_object_source NO_MATCH", it.IdentificationAttempts[0]["info"])
	require.Equal(t, "cmdb_ci_hardware", it.IdentificationAttempts[3]["searchOnTable"])
	require.Equal(t, "SKIPPED", it.IdentificationAttempts[4]["attemptResult"])
	require.Equal(t, "INSERT", it.RelatedItems[0].Operation)
	require.Equal(t, 1, first.Summary["cmdb_serial_number"]["inserted"])
	before := i.digest()
	second := i.enhanced(body).Items[0]
	require.Equal(t, "NO_CHANGE", second.Operation)
	require.Equal(t, it.SysID, second.SysID)
	require.Len(t, second.IdentificationAttempts, 1, "a source key match ends identification")
	require.Equal(t, "sys_object_source MATCHED", second.IdentificationAttempts[0]["info"])
	require.Equal(t, before, i.digest())
}

// Identification: source key first, then entries by priority, on the table of the rule.
func TestIdentificationOrder(t *testing.T) {
	t.Parallel()
	serial := func(s string) string {
		return fmt.Sprintf(`"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":%q,"serial_number_type":"system"}}]`, s)
	}
	for _, c := range []struct{ name, item, operation, entryTable string }{
		{"source key wins over another CI's name", ci("cmdb_ci_server", "1", `"name":"b"`), "UPDATE", "sys_object_source"},
		{"lookup serial wins over name", ci("cmdb_ci_server", "9", `"name":"a"`, serial("S-B")), "UPDATE", "cmdb_serial_number"},
		{"serial number of the CI", ci("cmdb_ci_server", "9", `"name":"x","serial_number":"S-A"`), "UPDATE", "cmdb_ci_hardware"},
		{"name, without regard to case", ci("cmdb_ci_server", "9", `"name":"A"`), "UPDATE", "cmdb_ci_hardware"},
		{"nothing matches", ci("cmdb_ci_server", "9", `"name":"z"`), "INSERT", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := mustInstance(t, servicenow.Options{})
			i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a","serial_number":"S-A"`), ci("cmdb_ci_server", "2", `"name":"b"`, serial("S-B"))))
			got := i.enhanced(items(c.item)).Items[0]
			require.Equal(t, c.operation, got.Operation)
			last := got.IdentificationAttempts[len(got.IdentificationAttempts)-1]
			if c.entryTable != "" {
				require.Equal(t, "MATCHED", last["attemptResult"])
				require.Equal(t, c.entryTable, last["searchOnTable"])
			}
		})
	}
}

// Duplicates page: with split serials exact count match finds nothing, inexact finds the older CI.
func TestExactCountMatch(t *testing.T) {
	t.Parallel()
	for _, exact := range []bool{true, false} {
		t.Run(fmt.Sprintf("exact count match %v", exact), func(t *testing.T) {
			t.Parallel()
			i := mustInstance(t, servicenow.Options{})
			i.control("rules", fmt.Sprintf(`{"put":[{"class":"cmdb_ci_hardware","name":"H","entries":[{"priority":1,"table":"cmdb_serial_number","attributes":["serial_number"],"reference":"cmdb_ci","exact":%v},{"priority":2,"attributes":["name"]}]}]}`, exact))
			sn := func(list ...string) string {
				out := ""
				for n, s := range list {
					if n > 0 {
						out += ","
					}
					out += fmt.Sprintf(`{"className":"cmdb_serial_number","values":{"serial_number":%q}}`, s)
				}
				return `"lookup":[` + out + `]`
			}
			first := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"one"`, sn("A")))).Items[0]
			i.enhanced(items(ci("cmdb_ci_server", "2", `"name":"two"`, sn("B"))))
			got := i.enhanced(items(ci("cmdb_ci_server", "3", `"name":"three"`, sn("A", "B")))).Items[0]
			if exact {
				require.Equal(t, "INSERT", got.Operation)
				return
			}
			require.Equal(t, first.SysID, got.SysID)
		})
	}
}

// Error catalogue: code and message of every error a payload can provoke; HTTP 200 each time.
func TestErrorCatalogue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, code, message string }{
		{"class without rule", items(ci("cmdb_ci_san", "1", `"name":"x"`)), "IDENTIFICATION_RULE_MISSING", "Identity Rule Missing for table [cmdb_ci_san]"},
		{"class that does not exist", items(ci("cmdb_ci_nope", "1", `"name":"x"`)), "IDENTIFICATION_RULE_MISSING", "Identity Rule Missing for table [cmdb_ci_nope]"},
		{"no complete criterion", items(ci("cmdb_ci_server", "1", `"os":"x"`)), "MISSING_MATCHING_ATTRIBUTES", "In payload missing minimum set of input values for criterion (matching) attributes from identify rule for table [cmdb_ci_server]."},
		{"lookup class not in rule", items(ci("cmdb_ci_server", "1", `"name":"x"`, `"lookup":[{"className":"cmdb_key_value","values":{"key":"a"}}]`)), "IDENTIFICATION_RULE_FOR_LOOKUP_MISSING", "Identity Rule for table [cmdb_ci_server] missing Lookup Rule for class [cmdb_key_value]"},
		{"related class not in rule", items(ci("cmdb_ci_server", "1", `"name":"x"`, `"related":[{"className":"cmdb_sam_sw_install","values":{}}]`)), "IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING", "Identity Rule for table [cmdb_ci_server] missing Related Rule for class [cmdb_sam_sw_install]"},
		{"unknown sys_id", items(ci("cmdb_ci_server", "", `"sys_id":"00000000000000000000000000000000"`)), "INVALID_INPUT_DATA", "Found invalid sys_id in payload. No record with sys_id [00000000000000000000000000000000] exist in table [cmdb_ci_server]"},
		{"unknown source name", items(`{"className":"cmdb_ci_server","values":{"name":"x"},"sys_object_source_info":{"source_name":"Nope","source_native_key":"1"}}`), "INVALID_INPUT_DATA", "In payload invalid data source [Nope] exist."},
		{"dependent without relation", items(ci("cmdb_ci_network_adapter", "1", `"name":"eth0"`)), "MISSING_DEPENDENCY", "In payload no relations defined for dependent class [cmdb_ci_network_adapter] that matches any containment/hosting rules: [cmdb_ci_hardware >> Owns >> cmdb_ci_network_adapter]. Add appropriate relations in payload for '"},
		{"mandatory attribute", items(ci("cmdb_ci_cloud_service_account", "1", `"account_id":"1"`)), "REQUIRED_ATTRIBUTE_EMPTY", "Missing mandatory field [datacenter_type] in table [cmdb_ci_cloud_service_account]. Add input value for mandatory field in payload"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := mustInstance(t, servicenow.Options{})
			before := i.digest()
			for _, got := range []ireResult{i.enhanced(c.body), i.ire("", "", c.body)} {
				require.True(t, got.HasError)
				require.Equal(t, "Unknown", got.Items[0].SysID)
				require.Equal(t, c.code, got.Items[0].Errors[0].Error)
				require.Contains(t, got.Items[0].Errors[0].Message, c.message)
			}
			require.Equal(t, before, i.digest())
		})
	}
}

// Query parameters: sysparm_data_source is required, must be a choice, and counts only in the query string.
func TestDataSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, param, message string }{
		{"missing", "", "In payload invalid data source [null] exist. You need to provide a valid choice value from field [discovery_source] in table [cmdb_ci]"},
		{"unknown", "?sysparm_data_source=Nope", "In payload invalid data source [Nope] exist."},
		{"other case", "?sysparm_data_source=sg-qualys", "In payload invalid data source [sg-qualys] exist."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := mustInstance(t, servicenow.Options{})
			w := i.send(http.MethodPost, "/api/now/identifyreconcile/enhanced"+c.param, `{"sysparm_data_source":"SG-Qualys",`+items(ci("cmdb_ci_server", "1", `"name":"x"`))[1:])
			require.Equal(t, http.StatusOK, w.Code)
			var out struct{ Result ireResult }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
			require.True(t, out.Result.HasError)
			it := out.Result.Items[0]
			require.Equal(t, "INSERT_AS_INCOMPLETE", it.Operation)
			require.Len(t, it.IncompleteSysIDs, 1)
			require.Equal(t, "INVALID_INPUT_DATA", it.Errors[0].Error)
			require.Contains(t, it.Errors[0].Message, c.message)
		})
	}
}

// Endpoints: the plain call is all or nothing, the enhanced one commits what is right.
func TestPlainIsAllOrNothing(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := items(ci("cmdb_ci_server", "1", `"name":"good"`), ci("cmdb_ci_server", "2", `"os":"bad"`))
	plain := i.ire("", "", body)
	require.Equal(t, "ABANDONED", plain.Items[0].Errors[0].Error)
	require.Empty(t, i.rows("cmdb_ci_server"))
	enhanced := i.enhanced(body)
	require.Equal(t, "ABANDONED", i.ire("/enhanced", "partial_payloads:false,partial_commits:false", items(ci("cmdb_ci_server", "5", `"name":"five"`), ci("cmdb_ci_server", "6", `"os":"bad"`))).Items[0].Errors[0].Error)
	require.Equal(t, "INSERT", enhanced.Items[0].Operation)
	require.Equal(t, "MISSING_MATCHING_ATTRIBUTES", enhanced.Items[1].Errors[0].Error)
	require.Len(t, i.rows("cmdb_ci_server"), 1)
}

// Options: a chunk without a colon is a 500 with the documented detail; partial_payloads forces the next two.
func TestOptions(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	w := i.send(http.MethodPost, "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys&options=partial", items())
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), "Chunk [partial] is not a valid entry")
	body := items(ci("cmdb_ci_server", "1", `"name":"good"`), ci("cmdb_ci_server", "2", `"os":"bad"`))
	got := i.ire("/enhanced", "partial_commits:false,deduplicate_payloads:false", body)
	require.Equal(t, "INSERT", got.Items[0].Operation)
	require.Equal(t, "INSERT_AS_PARTIAL", got.Items[1].Operation)
}

// Partial payloads: warnings instead of errors, kept under the source key, merged by the next payload of that key.
func TestPartialPayloadIsMerged(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	parked := i.ire("/enhanced", "", items(ci("cmdb_ci_server", "1", `"os":"Linux"`)))
	require.False(t, parked.HasError)
	require.True(t, parked.HasWarning)
	it := parked.Items[0]
	require.Equal(t, "INSERT_AS_PARTIAL", it.Operation)
	require.Equal(t, "Unknown", it.SysID)
	require.Equal(t, "MISSING_MATCHING_ATTRIBUTES", it.Warnings[0].Error)
	require.Len(t, it.PartialSysIDs, 1)
	require.Empty(t, i.rows("cmdb_ci_server"))
	merged := i.ire("/enhanced", "", items(ci("cmdb_ci_server", "1", `"name":"a"`))).Items[0]
	require.Equal(t, "INSERT", merged.Operation)
	require.Equal(t, it.PartialSysIDs, merged.MergedPayloadIDs)
	require.Equal(t, "Linux", i.rows("cmdb_ci_server")[0]["os"])
	require.Empty(t, i.rows("cmdb_ire_partial_payloads"))
	incomplete := i.ire("/enhanced", "", items(ci("cmdb_ci_server", "", `"os":"Linux"`))).Items[0]
	require.Equal(t, "INSERT_AS_INCOMPLETE", incomplete.Operation)
}

// Dry runs: same body, nothing written, related sys_ids null.
func TestQueryWritesNothing(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := items(ci("cmdb_ci_server", "1", `"name":"a"`, `"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"S","serial_number_type":"system"}}]`))
	before := i.digest()
	for _, variant := range []string{"/query", "/queryEnhanced"} {
		got := i.ire(variant, "", body).Items[0]
		require.Equal(t, "INSERT", got.Operation)
		require.Equal(t, "Unknown", got.SysID)
		require.Equal(t, []*string{nil}, got.RelatedSysIDs)
		require.Equal(t, before, i.digest())
		require.Empty(t, i.rows("sys_object_source"))
	}
}

// Response: unknown columns are dropped with a warning; values of known ones are written.
func TestUnknownColumnIsAWarning(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	got := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a","foo":"1"`)))
	require.True(t, got.HasWarning)
	require.False(t, got.HasError)
	require.Equal(t, "unknown field 'foo' in table 'cmdb_ci_server'", got.Items[0].Warnings[0].Message)
	require.Equal(t, "a", i.rows("cmdb_ci_server")[0]["name"])
}

// Payload duplicates: merged by the enhanced call, rejected by the plain one.
func TestPayloadDuplicates(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := items(ci("cmdb_ci_server", "1", `"name":"a","os":"x"`), ci("cmdb_ci_server", "2", `"name":"A","os_version":"1"`))
	plain := i.ire("", "", body)
	require.Equal(t, "DUPLICATE_PAYLOAD_RECORDS", plain.Items[0].Errors[0].Error)
	require.Equal(t, "Found duplicate items in the payload (index 0 and 1), using className [cmdb_ci_server] and fields [name]. Remove duplicate items from payload", plain.Items[1].Errors[0].Message)
	off := i.ire("/enhanced", "partial_payloads:false,deduplicate_payloads:false", body)
	require.Equal(t, "DUPLICATE_PAYLOAD_RECORDS", off.Items[0].Errors[0].Error)
	merged := i.enhanced(body)
	require.Len(t, merged.Items, 1)
	require.Equal(t, []int{0, 1}, merged.Items[0].InputIndices)
	require.Equal(t, []int{1}, merged.Items[0].DuplicateIndices)
	require.Len(t, i.rows("sys_object_source"), 2, "both source keys point at the CI")
}

// Malformed bodies: not JSON, and a relation index that is no integer.
func TestMalformedBody(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	url := "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys"
	w := i.send(http.MethodPost, url, `{"items":[`)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), "Exception while reading request")
	w = i.send(http.MethodPost, url, `{"items":[],"relations":[{"parent":"abc","child":0,"type":"x"}]}`)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), "Cannot deserialize value of type `java.lang.Integer` from String")
}
