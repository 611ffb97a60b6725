package servicenow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/activities/servicenow"
)

// sent returns the encoded query that a condition is sent as, without the part
// that pages, or the error.
func sent(t *testing.T, in *instance, q servicenow.Condition) (string, error) {
	t.Helper()
	before := len(in.requests())
	for _, err := range basic(t, in.URL).Rows(t.Context(), "cmdb_ci", servicenow.TableQuery{Query: q, Fields: []string{"name"}}) {
		if err != nil {
			require.Len(t, in.requests(), before, "a refused query is not sent")
			return "", err
		}
	}
	query := in.requests()[before].Query.Get("sysparm_query")
	return strings.TrimSuffix(strings.TrimSuffix(query, "ORDERBYsys_id"), "^"), nil
}

func emptyTable(t *testing.T) *instance {
	return newInstance(t, jsonAnswer(200, `{"result":[]}`, "X-Total-Count", "0"))
}

func TestConditions(t *testing.T) {
	t.Parallel()
	in := emptyTable(t)
	where := servicenow.Where
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("CET", 3600))
	for want, q := range map[string]servicenow.Condition{
		"":                             {},
		"name=web-07":                  where("name").Eq("web-07"),
		"name!=a b":                    where("name").NotEq("a b"),
		"sys_idIN1,2":                  where("sys_id").In("1", "2"),
		"manufacturer.name=LENOVO INC": where("manufacturer.name").Eq("LENOVO INC"),
		"nameSTARTSWITHweb":            where("name").StartsWith("web"),
		"nameLIKEeb":                   where("name").Contains("eb"),
		"serial_numberISEMPTY":         where("serial_number").Empty(),
		"serial_numberISNOTEMPTY":      where("serial_number").NotEmpty(),
		"sys_updated_on>=2026-01-02 02:04:05^sys_updated_on<2026-01-02 02:04:05": servicenow.And(where("sys_updated_on").Since(at), where("sys_updated_on").Before(at)),
		"a=1^b=2^ORc=3^d=4": servicenow.And(where("a").Eq("1"), servicenow.And(servicenow.AnyOf(where("b").Eq("2"), where("c").Eq("3")), servicenow.Condition{}), where("d").Eq("4")),
	} {
		got, err := sent(t, in, q)
		require.NoError(t, err, want)
		require.Equal(t, want, got)
	}
}

func TestAnEncodedQueryOfAnOperatorIsSentAsItIs(t *testing.T) {
	t.Parallel()
	in := emptyTable(t)
	for text, want := range map[string]string{
		"": "", "install_status=1^ORinstall_status=3^nameLIKEweb": "install_status=1^ORinstall_status=3^nameLIKEweb", "^active=true^EQ": "active=true",
		"sys_updated_on>=javascript:gs.daysAgoStart(7)": "sys_updated_on>=javascript:gs.daysAgoStart(7)",
	} {
		got, err := sent(t, in, servicenow.Encoded(text))
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"a=1^NQb=2", "a=1^ORDERBYname", "ORDERBYDESCname", "a=1^GROUPBYname", "a=1\nb=2"} {
		_, err := sent(t, in, servicenow.Encoded(text))
		require.Error(t, err, text)
		require.Equal(t, servicenow.KindInvalidRequest, mustError(t, err).Kind(), text)
	}
}

func TestRefusesConditionsThatCannotBeExpressed(t *testing.T) {
	t.Parallel()
	in := emptyTable(t)
	where := servicenow.Where
	for name, q := range map[string]servicenow.Condition{
		"a caret":                             where("name").Eq("a^active=false"),
		"a new query":                         where("name").Eq("x^NQsys_idISNOTEMPTY"),
		"a script":                            where("name").Eq("javascript:gs.getUserID()"),
		"a script in disguise":                where("name").Eq(" JavaScript\t : gs.x()"),
		"a script in a list":                  where("name").In("a", "javascript:1"),
		"a script in the middle":              where("name").Eq("x javascript:1"),
		"a line break":                        where("name").Eq("a\nb"),
		"a NUL":                               where("name").Eq("a\x00"),
		"text that is not UTF-8":              where("name").Eq("a\xff"),
		"an empty value":                      where("name").Eq(""),
		"the word that means no value":        where("name").Eq("NULL"),
		"an empty list":                       where("name").In(),
		"an empty value in a list":            where("name").In("a", ""),
		"a comma in a list":                   where("name").In("a,b"),
		"a value that makes another operator": where("sys_class_name").In("STANCEOFcmdb_ci"),
		"a column that is none":               where("name=1^x").Eq("1"),
		"no column":                           where("").Eq("1"),
		"an And inside AnyOf":                 servicenow.AnyOf(servicenow.And(where("a").Eq("1"), where("b").Eq("2"))),
		"an empty AnyOf":                      servicenow.AnyOf(),
		"a bad value in a good company":       servicenow.And(where("a").Eq("1"), servicenow.AnyOf(where("b").Eq("2"), where("c").Eq("^"))),
	} {
		_, err := sent(t, in, q)
		require.Error(t, err, name)
		require.Equal(t, servicenow.KindInvalidRequest, mustError(t, err).Kind(), name)
	}
}

// TestValuesNeverChangeTheConditions parses what was sent with a second reading
// of the syntax: "^NQ" and "^" separate, "^OR" joins to the condition before.
func TestValuesNeverChangeTheConditions(t *testing.T) {
	t.Parallel()
	in := emptyTable(t)
	poison := []string{"^", "^OR", "^NQ", "^EQ", "javascript:", "JAVASCRIPT :", ",", "=", ">", "IN", "ORDERBY", "\n", "@", "DYNAMIC", "_HIERARCHY", "NULL"}
	value := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom(poison), rapid.StringMatching(`[A-Za-z0-9 ._-]{1,12}`)), 1, 3).Draw(t, "parts")
		return strings.Join(parts, "")
	})
	rapid.Check(t, func(rt *rapid.T) {
		eq, in1, in2, or1, or2 := value.Draw(rt, "eq"), value.Draw(rt, "in1"), value.Draw(rt, "in2"), value.Draw(rt, "or1"), value.Draw(rt, "or2")
		q := servicenow.And(
			servicenow.Where("name").Eq(eq),
			servicenow.Where("sys_id").In(in1, in2),
			servicenow.AnyOf(servicenow.Where("os").StartsWith(or1), servicenow.Where("fqdn").NotEq(or2)),
		)
		got, err := sent(t, in, q)
		if err != nil {
			if mustError(t, err).Kind() != servicenow.KindInvalidRequest {
				rt.Fatalf("unexpected: %v", err)
			}
			return
		}
		if strings.Contains(strings.ToLower(strings.Join(strings.Fields(got), "")), "javascript:") {
			rt.Fatalf("a script is sent: %q", got)
		}
		want := [][]string{{"name=" + eq}, {"sys_idIN" + in1 + "," + in2}, {"osSTARTSWITH" + or1, "fqdn!=" + or2}}
		if d := cmp.Diff([][][]string{want}, parseQuery(got)); d != "" {
			rt.Fatalf("the conditions changed: %s", d)
		}
	})
}

// parseQuery returns query groups → conditions joined by AND → by OR.
func parseQuery(s string) [][][]string {
	var out [][][]string
	for group := range strings.SplitSeq(s, "^NQ") {
		var and [][]string
		for _, c := range strings.Split(group, "^") {
			if or, ok := strings.CutPrefix(c, "OR"); ok && len(and) > 0 {
				and[len(and)-1] = append(and[len(and)-1], or)
				continue
			}
			and = append(and, []string{c})
		}
		out = append(out, and)
	}
	return out
}

func TestLongListsAreSentInSeveralCalls(t *testing.T) {
	t.Parallel()
	in := emptyTable(t)
	var ids []string
	for i := range 400 {
		ids = append(ids, strings.Repeat("0", 29)+string(rune('a'+i/100))+string(rune('a'+i/10%10))+string(rune('a'+i%10)))
	}
	ids = append(ids, ids[:50]...) // repeats
	q := servicenow.And(servicenow.Where("active").Eq("true"), servicenow.Where("sys_id").In(ids...), servicenow.Where("os").In("Linux", "AIX"))
	for _, err := range basic(t, in.URL).Rows(t.Context(), "cmdb_ci", servicenow.TableQuery{Query: q}) {
		require.NoError(t, err)
	}
	var asked []string
	for _, r := range in.requests() {
		require.Less(t, len(r.Query.Encode()), 2000)
		parts := strings.Split(r.Query.Get("sysparm_query"), "^")
		require.Equal(t, []string{"active=true", "osINLinux,AIX", "ORDERBYsys_id"}, []string{parts[0], parts[2], parts[3]})
		asked = append(asked, strings.Split(strings.TrimPrefix(parts[1], "sys_idIN"), ",")...)
	}
	require.Equal(t, ids[:400], asked)
	require.Less(t, len(in.requests()), 15)
}
