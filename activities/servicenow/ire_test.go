package servicenow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
)

// Answers in the shapes of the documented samples, with invented ids.
const (
	hostID    = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	adapterID = "1111222233334444555566667777cccc"
	stubID    = "aaaa222233334444555566667777bbbb"

	newServer = `{"result":{"hasError":false,"hasWarning":false,
 "items":[{"className":"cmdb_ci_linux_server","operation":"INSERT","sysId":"` + hostID + `",
   "identifierEntrySysId":"Unknown","relatedSysIds":["1111222233334444555566667777aaaa"],
   "relatedItems":[{"className":"cmdb_serial_number","operation":"INSERT","sysId":"1111222233334444555566667777aaaa","errors":[],"errorCount":0,"warningCount":0,"markers":[],"inputIndices":[{"mainIndex":0,"subIndex":0}],"mergedPayloadIds":[]}],
   "identificationAttempts":[
     {"info":"sys_object_source NO_MATCH","identifierName":"","attemptResult":"NO_MATCH","attributes":["source_name","source_native_key"],"searchOnTable":"sys_object_source","hybridEntryCiAttributes":[]},
     {"identifierName":"Hardware Rule","attemptResult":"SKIPPED","attributes":["mac_address"],"searchOnTable":"cmdb_ci_network_adapter","hybridEntryCiAttributes":["name"]}],
   "errors":[],"warnings":[],"info":[],"errorCount":0,"warningCount":0,"markers":[],"inputIndices":[0],"mergedPayloadIds":[]},
  {"className":"cmdb_ci_aws_datacenter","operation":"NO_CHANGE","sysId":"` + stubID + `","identifierEntrySysId":"Unknown","errors":[],"warnings":[],
   "info":[{"message":"CI Reclassification not allowed","code":"SKIPPED_CLASS_SWITCH","ruleSysId":"77"}],"maskedAttributes":["name","region"],"errorCount":0,"inputIndices":[1]},
  {"className":"cmdb_ci_network_adapter","operation":"INSERT","sysId":"` + adapterID + `","identifierEntrySysId":"Unknown","errors":[],"warnings":[{"error":"UNKNOWN_FIELD","message":"unknown field 'foo' in table 'bar'"}],"errorCount":0,"warningCount":1,"inputIndices":[2]}],
 "additionalCommittedItems":[],
 "relations":[{"className":"cmdb_rel_ci","operation":"INSERT","sysId":"22","identifierEntrySysId":"Unknown","errorCount":0,"inputIndices":[0]},
  {"className":"cmdb_rel_ci","operation":"NO_CHANGE","sysId":"23","identifierEntrySysId":"Unknown","errorCount":0,"inputIndices":[1]}],
 "additionalCommittedRelations":[],"logContextId":"x","summary":{"cmdb_ci_linux_server":{"inserted":1,"updated":0,"unchanged":0}}}}`

	// An old server: no attempts, no warnings, no indices.
	oldServer = `{"result":{"relations":[{"className":"cmdb_rel_ci","operation":"INSERT","sysId":"22","identifierEntrySysId":"Unknown"},{"className":"cmdb_rel_ci","operation":"INSERT","sysId":"23"}],
 "items":[{"className":"cmdb_ci_linux_server","operation":"INSERT","sysId":"` + hostID + `","identifierEntrySysId":"Unknown","errors":[],"errorCount":0,"markers":[]},
  {"className":"cmdb_ci_aws_datacenter","operation":"NO_CHANGE","sysId":"` + stubID + `","identifierEntrySysId":"Unknown"},
  {"className":"cmdb_ci_network_adapter","operation":"INSERT","sysId":"` + adapterID + `","identifierEntrySysId":"Unknown"}]}}`
)

func TestIdentifyReconcileRequest(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(200, newServer, "X-Transaction-ID", "tx-1"))
	c := basic(t, in.URL+"/")
	seenAt := noon.In(time.FixedZone("CET", 3600))
	_, meta, err := c.IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{
		Settings: payload.Settings{WithoutDowngrade: true, WithoutSwitch: true}, SourceFeed: "gav",
		Recency: func(key string) time.Time {
			if key == "corp/90001" {
				return seenAt
			}
			return time.Time{}
		},
	})
	require.NoError(t, err)
	require.Equal(t, 200, meta.Status)
	require.Equal(t, "tx-1", meta.TransactionID)
	require.Equal(t, -1, meta.Total)

	got := in.requests()[0]
	require.Equal(t, "POST", got.Method)
	require.Equal(t, "/api/now/identifyreconcile/enhanced", got.Path)
	require.Equal(t, "SG-Qualys", got.Query.Get("sysparm_data_source"))
	require.Equal(t, "partial_payloads:false,partial_commits:true,deduplicate_payloads:true", got.Query.Get("options"))
	want := `{"items":[
 {"className":"cmdb_ci_linux_server","internal_id":"i0","values":{"name":"web-07","os":"Linux \"Red\" Hat"},
  "sys_object_source_info":{"source_name":"SG-Qualys","source_native_key":"corp/90001","source_feed":"gav","source_recency_timestamp":"2026-03-01 12:00:00"},
  "lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"SN-77XQ","serial_number_type":"system"}}],
  "settings":{"updateWithoutUpgrade":false,"updateWithoutDowngrade":true,"updateWithoutSwitch":true}},
 {"className":"cmdb_ci_aws_datacenter","internal_id":"i1","values":{"sys_id":"` + stubID + `"},
  "settings":{"updateWithoutUpgrade":false,"updateWithoutDowngrade":true,"updateWithoutSwitch":true}},
 {"className":"cmdb_ci_network_adapter","internal_id":"i2","values":{"name":"eth0"},
  "sys_object_source_info":{"source_name":"SG-Qualys","source_native_key":"corp/90001/nic/02005e100007","source_feed":"gav"},
  "settings":{"updateWithoutUpgrade":false,"updateWithoutDowngrade":true,"updateWithoutSwitch":true}}],
 "relations":[{"parent":0,"child":2,"type":"Owns::Owned by"},{"parent":0,"child":1,"type":"Hosted on::Hosts"}]}`
	require.Empty(t, cmp.Diff(mustDecode(t, want), mustDecode(t, got.Body)))
}

func TestQueryIsADryRun(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(200, `{"result":{"items":[{"className":"cmdb_ci_linux_server","operation":"INSERT","sysId":"Unknown","relatedSysIds":[null],"inputIndices":[0]}],"relations":[]}}`))
	a, _, err := basic(t, in.URL).Query(t.Context(), host(), servicenow.IREOptions{PartialPayloads: true})
	require.NoError(t, err)
	require.Equal(t, "/api/now/identifyreconcile/queryEnhanced", in.requests()[0].Path)
	require.Contains(t, in.requests()[0].Query.Get("options"), "partial_payloads:true")
	require.Equal(t, payload.ItemAnswer{Class: "cmdb_ci_linux_server", Operation: "INSERT"}, a.Items[0])
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	items := func(a ...payload.ItemAnswer) []payload.ItemAnswer { return a }
	inserted := payload.ItemAnswer{Class: "cmdb_ci_linux_server", Operation: "INSERT", SysID: hostID}
	adapter := payload.ItemAnswer{Class: "cmdb_ci_network_adapter", Operation: "INSERT", SysID: adapterID}
	stub := payload.ItemAnswer{Class: "cmdb_ci_aws_datacenter", Operation: "NO_CHANGE", SysID: stubID}
	written := []payload.RelationAnswer{{Operation: "INSERT"}, {Operation: "INSERT"}}
	none := make([]payload.RelationAnswer, 2)
	for name, tc := range map[string]struct {
		body string
		want payload.Answer
	}{
		"a new server's answer is kept in full": {newServer, payload.Answer{
			Items: items(
				payload.ItemAnswer{Class: "cmdb_ci_linux_server", Operation: "INSERT", SysID: hostID, RelatedChanged: true, Attempts: []payload.Attempt{
					{Result: "NO_MATCH", Table: "sys_object_source", Attributes: []string{"source_name", "source_native_key"}, Info: "sys_object_source NO_MATCH"},
					{Identifier: "Hardware Rule", Result: "SKIPPED", Table: "cmdb_ci_network_adapter", Attributes: []string{"mac_address", "name"}},
				}},
				payload.ItemAnswer{Class: "cmdb_ci_aws_datacenter", Operation: "NO_CHANGE", SysID: stubID, Masked: []string{"name", "region"},
					Info: []payload.Message{{Code: "SKIPPED_CLASS_SWITCH", Text: "CI Reclassification not allowed [rule 77]"}}},
				payload.ItemAnswer{Class: "cmdb_ci_network_adapter", Operation: "INSERT", SysID: adapterID,
					Warnings: []payload.Message{{Code: "UNKNOWN_FIELD", Text: "unknown field 'foo' in table 'bar'"}}},
			),
			Relations: []payload.RelationAnswer{{Operation: "INSERT"}, {Operation: "NO_CHANGE"}},
		}},
		"an old server's answer without indices is taken by position": {oldServer, payload.Answer{Items: items(inserted, stub, adapter), Relations: written}},
		"a complete answer in another order is aligned by index": {`{"result":{
 "items":[{"className":"cmdb_ci_network_adapter","operation":"INSERT","sysId":"` + adapterID + `","inputIndices":[2]},
  {"className":"cmdb_ci_linux_server","operation":"INSERT","sysId":"` + hostID + `","inputIndices":[0]},
  {"className":"cmdb_ci_aws_datacenter","operation":"NO_CHANGE","sysId":"` + stubID + `","inputIndices":["1"]}],
 "relations":[{"operation":"UPDATE","inputIndices":[1]},{"operation":"INSERT","inputIndices":[0]}]}}`,
			payload.Answer{Items: items(inserted, stub, adapter), Relations: []payload.RelationAnswer{{Operation: "INSERT"}, {Operation: "UPDATE"}}}},
		"an item that the answer leaves out has no operation": {`{"result":{"items":[{"className":"cmdb_ci_network_adapter","operation":"INSERT","sysId":"` + adapterID + `","inputIndices":[2]}]}}`,
			payload.Answer{Items: items(payload.ItemAnswer{}, payload.ItemAnswer{}, adapter), Relations: none}},
		"merged duplicates share one answer": {`{"result":{"items":[{"className":"cmdb_ci_linux_server","operation":"INSERT","sysId":"` + hostID + `","inputIndices":[0,2]},{"className":"cmdb_ci_aws_datacenter","operation":"NO_CHANGE","sysId":"` + stubID + `","inputIndices":[1]}],"relations":[]}}`,
			payload.Answer{Items: items(inserted, stub, inserted), Relations: none}},
		"duplicates of an older release are named apart": {`{"result":{"items":[{"className":"cmdb_ci_linux_server","operation":"INSERT","sysId":"` + hostID + `","inputIndices":[0],"duplicateIndices":[2]}],"relations":[]}}`,
			payload.Answer{Items: items(inserted, payload.ItemAnswer{}, inserted), Relations: none}},
		"fewer items without indices are not guessed": {`{"result":{"items":[{"className":"cmdb_ci_linux_server","operation":"INSERT","sysId":"` + hostID + `"}],"relations":[{"operation":"INSERT"}]}}`,
			payload.Answer{Items: make([]payload.ItemAnswer, 3), Relations: none}},
		"a shuffled answer without indices is not guessed": {strings.Replace(strings.Replace(oldServer, "cmdb_ci_linux_server", "X", 1), "cmdb_ci_network_adapter", "cmdb_ci_linux_server", 1),
			payload.Answer{Items: make([]payload.ItemAnswer, 3), Relations: written}},
		"indices out of range are left out": {`{"result":{"items":[{"operation":"INSERT","sysId":"x","inputIndices":[-1,3,99999999999999999999]}],"relations":[{"operation":"INSERT","inputIndices":[7]}]}}`,
			payload.Answer{Items: make([]payload.ItemAnswer, 3), Relations: none}},
		"an error is not covered by another answer to the same item": {`{"result":{"items":[{"operation":"INSERT","sysId":"x","inputIndices":[0]},{"sysId":"Unknown","errors":[{"error":"LOCK_TIMEOUT","message":"Failed"}],"inputIndices":[0]},{"operation":"UPDATE","sysId":"y","inputIndices":[0]}]}}`,
			payload.Answer{Items: items(payload.ItemAnswer{Errors: []payload.Message{{Code: "LOCK_TIMEOUT", Text: "Failed"}}}, payload.ItemAnswer{}, payload.ItemAnswer{}), Relations: none}},
		"a failed host abandons its relation": {`{"result":{"hasError":true,"items":[{"className":"cmdb_ci_linux_server","sysId":"Unknown","identifierEntrySysId":"Unknown","errors":[{"error":"MISSING_DEPENDENCY","message":"In payload no relations"},{"error":"ABANDONED","message":"x"}],"errorCount":2,"inputIndices":[0]}],
 "relations":[{"className":"cmdb_rel_ci","sysId":"Unknown","errors":[{"error":"ABANDONED","message":"While processing relations encountered errors"}],"errorCount":1,"inputIndices":[0]}]}}`,
			payload.Answer{Items: items(payload.ItemAnswer{Class: "cmdb_ci_linux_server", Errors: []payload.Message{{Code: "MISSING_DEPENDENCY", Text: "In payload no relations"}, {Code: "ABANDONED", Text: "x"}}}, payload.ItemAnswer{}, payload.ItemAnswer{}),
				Relations: []payload.RelationAnswer{{Errors: []payload.Message{{Code: "ABANDONED", Text: "While processing relations encountered errors"}}}, {}}}},
		"a partial item keeps its warning": {`{"result":{"items":[{"className":"cmdb_ci_linux_server","operation":"INSERT_AS_PARTIAL","sysId":"Unknown","identifierEntrySysId":"Unknown","partialSysIds":["5"],"errors":[],"warnings":[{"error":"MISSING_MATCHING_ATTRIBUTES","message":"m"}],"inputIndices":[0]}],"relations":[{"operation":"INSERT_AS_PARTIAL","warnings":[{"error":"W","message":"w"}],"inputIndices":[0]}]}}`,
			payload.Answer{Items: items(payload.ItemAnswer{Class: "cmdb_ci_linux_server", Operation: "INSERT_AS_PARTIAL", Warnings: []payload.Message{{Code: "MISSING_MATCHING_ATTRIBUTES", Text: "m"}}}, payload.ItemAnswer{}, payload.ItemAnswer{}),
				Relations: []payload.RelationAnswer{{Operation: "INSERT_AS_PARTIAL", Warnings: []payload.Message{{Code: "W", Text: "w"}}}, {}}}},
		"the error of a lookup row is an error of its item": {`{"result":{"items":[{"operation":"UPDATE","sysId":"s","relatedItems":[{"className":"cmdb_serial_number","errors":[{"error":"DUPLICATE_LOOKUP_PAYLOAD","message":"d"}],"warnings":[{"error":"W","message":"w"}],"inputIndices":[{"mainIndex":0,"subIndex":0}]}],"inputIndices":[0]}]}}`,
			payload.Answer{Items: items(payload.ItemAnswer{Operation: "UPDATE", SysID: "s", Errors: []payload.Message{{Code: "DUPLICATE_LOOKUP_PAYLOAD", Text: "d"}}, Warnings: []payload.Message{{Code: "W", Text: "w"}}}, payload.ItemAnswer{}, payload.ItemAnswer{}), Relations: none}},
		"a lookup row that is written changes an item that is not": {`{"result":{"items":[
 {"operation":"NO_CHANGE","sysId":"s","relatedItems":[{"operation":"NO_CHANGE"},{"operation":"UPDATE"}],"inputIndices":[0]},
 {"operation":"NO_CHANGE","sysId":"s","relatedItems":[{"operation":"NO_CHANGE"}],"inputIndices":[1]}]}}`,
			payload.Answer{Items: items(payload.ItemAnswer{Operation: "NO_CHANGE", SysID: "s", RelatedChanged: true}, payload.ItemAnswer{Operation: "NO_CHANGE", SysID: "s"}, payload.ItemAnswer{}), Relations: none}},
		"odd shapes cost only themselves": {`{"result":{"items":[null,"x",{"className":7,"operation":"UPDATE","sysId":{"value":"s"},"errors":null,"warnings":["w"],"info":{},"maskedAttributes":"name,os","identificationAttempts":[3,{"attemptResult":"MATCHED","attributes":null}],"inputIndices":0}],"relations":null,"hasError":"false"}}`,
			payload.Answer{Items: items(payload.ItemAnswer{Class: "7", Operation: "UPDATE", SysID: "s", Warnings: []payload.Message{{Text: "w"}}, Masked: []string{"name", "os"}, Attempts: []payload.Attempt{{}, {Result: "MATCHED"}}}, payload.ItemAnswer{}, payload.ItemAnswer{}), Relations: none}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := basic(t, "https://example.invalid", func(cfg *servicenow.Config) { cfg.Transport = canned([]byte(tc.body)) })
			got, _, err := c.IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(&tc.want, got))
		})
	}
}

func TestRefusesPayloadsThatCannotBeRight(t *testing.T) {
	t.Parallel()
	bad := host()
	bad.Relations[0].Child = 3
	noSource := func(c *servicenow.Config) { c.DiscoverySource = "" }
	in := newInstance(t, jsonAnswer(200, newServer))
	for name, call := range map[string]func() error{
		"no items": func() error {
			_, _, err := basic(t, in.URL).IdentifyReconcile(t.Context(), &payload.Payload{}, servicenow.IREOptions{})
			return err
		},
		"a relation to nothing": func() error {
			_, _, err := basic(t, in.URL).IdentifyReconcile(t.Context(), bad, servicenow.IREOptions{})
			return err
		},
		"no discovery source named": func() error {
			_, _, err := basic(t, in.URL, noSource).Query(t.Context(), host(), servicenow.IREOptions{})
			return err
		},
	} {
		require.Equal(t, servicenow.KindInvalidRequest, mustError(t, call()).Kind(), name)
	}
	require.Empty(t, in.requests())
}

func TestEncodesAnyTextAsJSON(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "plain", "q\"b\\s/", "\x00\x01\x1f\x7f", "tab\tnl\ncr\r", "é€😀\u2028", "bad\xff\xfeutf", "<script>&"} {
		p := &payload.Payload{Items: []payload.Item{{Item: cmdb.Item{Key: value, Class: "cmdb_ci", Columns: []cmdb.Column{{Name: "name", Value: value}}}}}}
		got := mustDecode(t, string(servicenow.EncodePayload(nil, p, "SG", &servicenow.IREOptions{})))
		item := got.(map[string]any)["items"].([]any)[0].(map[string]any)
		want := strings.Join(strings.Split(strings.ToValidUTF8(value, "\ufffd"), ""), "")
		if strings.Contains(value, "\xff") {
			want = "bad\ufffd\ufffdutf" // one mark per byte
		}
		require.Equal(t, want, item["values"].(map[string]any)["name"])
		require.Equal(t, want, item["sys_object_source_info"].(map[string]any)["source_native_key"])
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(newServer))
	f.Add([]byte(oldServer))
	f.Add([]byte(`{"result":{"items":[{"inputIndices":[0,0,-1]}],"relations":{}},"error":null}`))
	f.Add([]byte(`{"result":{"items":[[]`))
	f.Add([]byte(`<html>hibernating</html>`))
	p := host()
	f.Fuzz(func(t *testing.T, body []byte) {
		c := basic(t, "https://example.invalid", func(cfg *servicenow.Config) { cfg.Transport = canned(body) })
		a, _, err := c.IdentifyReconcile(t.Context(), p, servicenow.IREOptions{})
		if err != nil {
			require.NotEmpty(t, mustError(t, err).Kind())
			require.Nil(t, a)
			return
		}
		require.Len(t, a.Items, len(p.Items))
		require.Len(t, a.Relations, len(p.Relations))
		for _, it := range a.Items {
			require.NotEqual(t, "unknown", strings.ToLower(it.SysID))
		}
	})
}

func BenchmarkEncode250Items(b *testing.B) {
	p := &payload.Payload{}
	for len(p.Items) < 250 {
		p.Items = append(p.Items, host().Items...)
		n := len(p.Items)
		p.Relations = append(p.Relations, payload.Relation{Parent: n - 3, Child: n - 1, Type: "Owns::Owned by"})
	}
	p.Items = p.Items[:250]
	p.Relations = p.Relations[:83]
	o := &servicenow.IREOptions{Settings: payload.Settings{WithoutSwitch: true}}
	buf := servicenow.EncodePayload(nil, p, "SG-Qualys", o)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = servicenow.EncodePayload(buf[:0], p, "SG-Qualys", o)
	}
}

func TestPayloadsSideBySideDoNotMixTheirBuffers(t *testing.T) {
	t.Parallel()
	in := newInstance(t, func(w http.ResponseWriter, r *http.Request) { jsonAnswer(200, oldServer)(w, r) })
	c := basic(t, in.URL)
	done := make(chan error)
	for lane := range 8 {
		go func() {
			p := host()
			for i := range p.Items {
				p.Items[i].Columns = []cmdb.Column{{Name: "name", Value: strings.Repeat(string(rune('a'+lane)), 20_000)}}
			}
			var err error
			for range 5 {
				if _, _, e := c.IdentifyReconcile(t.Context(), p, servicenow.IREOptions{}); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	for range 8 {
		require.NoError(t, <-done)
	}
	require.Len(t, in.requests(), 40)
	for _, r := range in.requests() {
		var letters []string
		for _, it := range mustDecode(t, r.Body).(map[string]any)["items"].([]any) {
			letters = append(letters, it.(map[string]any)["values"].(map[string]any)["name"].(string))
		}
		require.Equal(t, letters[0], letters[1])
		require.Equal(t, strings.Repeat(letters[0][:1], 20_000), letters[2])
	}
}
