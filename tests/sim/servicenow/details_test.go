package servicenow_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// IRE API, sample request and the shape of its answer: every documented key is there with the documented type.
func TestAnswerHasTheDocumentedKeys(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	w := i.send(http.MethodPost, "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys&options=generate_summary:true",
		related([]string{ci("cmdb_ci_linux_server", "a", `"name":"web-07"`), adapter("n", "eth0", "")}, rel("a", "n", owns)))
	require.Equal(t, http.StatusOK, w.Code)
	for _, key := range []string{`"hasError":false`, `"hasWarning":false`, `"additionalCommittedItems":[]`, `"additionalCommittedRelations":[]`, `"logContextId":"`,
		`"identifierEntrySysId":"Unknown"`, `"relatedSysIds":[]`, `"relatedItems":[]`, `"identifierName":""`, `"hybridEntryCiAttributes":[]`, `"errors":[]`, `"warnings":[]`, `"info":[]`,
		`"errorCount":0`, `"warningCount":0`, `"markers":[]`, `"inputIndices":[0]`, `"mergedPayloadIds":[]`, `"className":"cmdb_rel_ci"`,
		`"summary":{"cmdb_ci_linux_server":{"inserted":1,"updated":0,"unchanged":0,"skipped":0,"partial":0,"incomplete":0,"additionalInserted":0,"mergedPartialPayloads":0,"warnings":0,"errors":0}`} {
		require.Contains(t, w.Body.String(), key)
	}
}

// Partial payloads: an item without source information is parked under its criterion values and completed by a relation.
func TestPartialByCriterion(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	first := i.ire("/enhanced", "", items(adapter("n", "eth0", ""))).Items[0]
	require.Equal(t, "INSERT_AS_PARTIAL", first.Operation)
	require.Equal(t, "MISSING_DEPENDENCY", first.errorCode())
	again := i.ire("/enhanced", "", items(adapter("n", "eth0", ""))).Items[0]
	require.Equal(t, first.PartialSysIDs, again.PartialSysIDs, "a partial is rewritten, not multiplied")
	require.Len(t, i.rows("cmdb_ire_partial_payloads"), 1)
	done := i.ire("/enhanced", "", related([]string{ci("cmdb_ci_server", "1", `"name":"a"`), adapter("n", "eth0", "")}, rel("1", "n", owns)))
	require.Equal(t, "INSERT", done.Items[1].Operation)
	require.Equal(t, first.PartialSysIDs, done.Items[1].MergedPayloadIDs)
	require.Empty(t, i.rows("cmdb_ire_partial_payloads"))
}

// Partial payloads: what hangs on a parked host is parked with it.
func TestDependentsOfAPartialArePartial(t *testing.T) {
	t.Parallel()
	got := mustInstance(t, servicenow.Options{}).ire("/enhanced", "", related([]string{ci("cmdb_ci_server", "1", `"os":"x"`), adapter("n", "eth0", "")}, rel("1", "n", owns)))
	require.False(t, got.HasError)
	require.Equal(t, "INSERT_AS_PARTIAL", got.Items[0].Operation)
	require.Equal(t, "INSERT_AS_PARTIAL", got.Items[1].Operation)
	require.Equal(t, "INSERT_AS_PARTIAL", got.Relations[0].Operation)
}

// Hybrid entries: lookup and main-table attributes must both match, and are reported.
func TestHybridEntry(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	i.control("rules", `{"put":[{"class":"cmdb_ci_hardware","name":"H","entries":[{"priority":1,"table":"cmdb_serial_number","attributes":["serial_number"],"hybrid":["asset_tag"],"reference":"cmdb_ci","exact":true},{"priority":2,"attributes":["name"]}]}]}`)
	serial := `"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"S"}}]`
	first := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a","asset_tag":"T1"`, serial))).Items[0]
	same := i.enhanced(items(ci("cmdb_ci_server", "2", `"name":"b","asset_tag":"T1"`, serial))).Items[0]
	require.Equal(t, first.SysID, same.SysID)
	require.Equal(t, []any{"asset_tag"}, same.IdentificationAttempts[1]["hybridEntryCiAttributes"])
	other := i.enhanced(items(ci("cmdb_ci_server", "3", `"name":"c","asset_tag":"T2"`, serial))).Items[0]
	require.Equal(t, "INSERT", other.Operation)
}

// Lookup records: the rule's condition hides invalid serials; duplicates in one item are merged and reported.
func TestLookupRecords(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	one := `{"className":"cmdb_serial_number","values":{"serial_number":"S","serial_number_type":"system"}}`
	got := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`, `"lookup":[`+one+`,`+one+`]`))).Items[0]
	require.Equal(t, map[string][]int{"0": {1}}, got.DuplicateLookupIndices)
	require.Len(t, i.rows("cmdb_serial_number"), 1)
	require.Equal(t, "DUPLICATE_LOOKUP_PAYLOAD", i.ire("", "", items(ci("cmdb_ci_server", "1", `"name":"a"`, `"lookup":[`+one+`,`+one+`]`))).Items[0].errorCode())
	id := i.rows("cmdb_serial_number")[0]["sys_id"].(string)
	require.Equal(t, http.StatusOK, i.send(http.MethodPatch, "/api/now/table/cmdb_serial_number/"+id, `{"valid":"false"}`).Code)
	require.Equal(t, "INSERT", i.enhanced(items(ci("cmdb_ci_server", "2", `"name":"b"`, `"lookup":[`+one+`]`))).Items[0].Operation)
}

// Related records: written with the CI, found again by their criterion, not used for identification.
func TestRelatedRecords(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := items(ci("cmdb_ci_server", "1", `"name":"a"`, `"related":[{"className":"cmdb_key_value","values":{"key":"env","value":"prod"}}]`))
	require.Equal(t, "INSERT", i.enhanced(body).Items[0].RelatedItems[0].Operation)
	require.Equal(t, "NO_CHANGE", i.enhanced(body).Items[0].RelatedItems[0].Operation)
	changed := i.enhanced(strings.Replace(body, "prod", "test", 1)).Items[0]
	require.Equal(t, "UPDATE", changed.RelatedItems[0].Operation)
	require.Equal(t, "NO_CHANGE", changed.Operation)
}

// Values: display_values resolve references; a reference that names nothing and a bad date are left empty without a word.
func TestValues(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	got := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a","model_id":"no such model","install_date":"soon","ram":"4096.5","virtual":1,"serial_number":null`, `"display_values":{"manufacturer":"Dell Inc."}`)))
	require.False(t, got.HasWarning)
	row := i.rows("cmdb_ci_server?sysparm_display_value=true&sysparm_exclude_reference_link=true&sysparm_fields=manufacturer,model_id,install_date,ram,virtual,serial_number")[0]
	require.Empty(t, cmp.Diff(map[string]any{"manufacturer": "Dell Inc.", "model_id": "", "install_date": "", "ram": "4096", "virtual": "true", "serial_number": ""}, row))
	empty := i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a","ram":""`))).Items[0]
	require.Equal(t, "NO_CHANGE", empty.Operation, "an empty value never overwrites")
}

// Timestamps: sys_object_source.last_scan takes the newest recency only.
func TestSourceRecency(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	send := func(at string) string {
		i.enhanced(items(`{"className":"cmdb_ci_server","values":{"name":"a"},"sys_object_source_info":{"source_name":"SG-Qualys","source_native_key":"1","source_recency_timestamp":"` + at + `"}}`))
		return i.rows("sys_object_source")[0]["last_scan"].(string)
	}
	require.Equal(t, "2026-02-01 00:00:00", send("2026-02-01 00:00:00"))
	require.Equal(t, "2026-02-01 00:00:00", send("2026-01-01 00:00:00"))
	require.Equal(t, "2026-02-02 00:00:00", send("2026-02-02 00:00:00"))
}

// A CI that was deleted is inserted again under its source key, with a new sys_id.
func TestDeletedCIIsInsertedAgain(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	body := items(ci("cmdb_ci_server", "1", `"name":"a"`))
	id := i.enhanced(body).Items[0].SysID
	require.Equal(t, http.StatusNoContent, i.send(http.MethodDelete, "/api/now/table/cmdb_ci_server/"+id, "").Code)
	again := i.enhanced(body).Items[0]
	require.Equal(t, "INSERT", again.Operation)
	require.NotEqual(t, id, again.SysID)
}

// The digest sees what it is for: a value, a class, a relation, a reference, a second record; and nothing else.
func TestDigestSeesDifferences(t *testing.T) {
	t.Parallel()
	base := func(values, class, kind string) string {
		i := mustInstance(t, servicenow.Options{Seed: uint64(len(values))})
		i.enhanced(related([]string{ci(class, "1", `"name":"a"`+values), ci("cmdb_ci_server", "2", `"name":"b"`)}, rel("1", "2", kind)))
		return i.digest()
	}
	first := base("", "cmdb_ci_linux_server", "Depends on::Used by")
	require.Equal(t, first, base(`,"last_discovered":"2020-01-01 00:00:00"`, "cmdb_ci_linux_server", "Depends on::Used by"))
	require.NotEqual(t, first, base(`,"os":"x"`, "cmdb_ci_linux_server", "Depends on::Used by"))
	require.NotEqual(t, first, base("", "cmdb_ci_server", "Depends on::Used by"))
	require.NotEqual(t, first, base("", "cmdb_ci_linux_server", "Connects to::Connected by"))
}

// Concurrency: a client that gave up does not stop the instance; the call commits.
func TestCallOutlivesItsClient(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	req := httptest.NewRequest(http.MethodPost, "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-Qualys", strings.NewReader(items(ci("cmdb_ci_server", "1", `"name":"a"`))))
	req.SetBasicAuth(user, password)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	i.handler.ServeHTTP(httptest.NewRecorder(), req.WithContext(ctx))
	require.Len(t, i.rows("cmdb_ci_server"), 1)
}

// State: a reset empties the journal too, and what follows survives.
func TestResetAndRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := mustInstance(t, servicenow.Options{StateDir: dir})
	first.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`)))
	first.control("reset", "")
	first.enhanced(items(ci("cmdb_ci_linux_server", "2", `"name":"b"`)))
	first.enhanced(items(ci("cmdb_ci_win_server", "2", `"name":"b"`)))
	second := mustInstance(t, servicenow.Options{StateDir: dir})
	require.Equal(t, first.digest(), second.digest())
	require.Contains(t, second.digest(), `"classes":{"cmdb_ci_win_server":1}`)
	require.Equal(t, "NO_CHANGE", second.enhanced(items(ci("cmdb_ci_win_server", "2", `"name":"b"`))).Items[0].Operation)
}

// Options: a fault plan that cannot be read is refused at the start.
func TestBadFaultPlanIsRefused(t *testing.T) {
	t.Parallel()
	_, err := servicenow.New(servicenow.Options{Faults: "on nothing at all"})
	require.ErrorContains(t, err, "servicenow: faults:")
}
