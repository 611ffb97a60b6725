package payload_test

import (
	"testing"

	"github.com/samber/lo"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

func naming(key string, others ...string) payload.Input {
	it := &cmdb.Item{Key: key, Class: "cmdb_ci_certificate", Columns: []cmdb.Column{{Name: "fingerprint", Value: key}, {Name: "name", Value: "same"}}}
	for _, o := range others {
		it.Links = append(it.Links, cmdb.Link{Column: "issuer", Item: o})
	}
	return payload.Input{Key: key, Parts: &record.Parts{Native: it}}
}

func TestRecordsComeAfterThoseTheyName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   []payload.Input
		want [][]string
	}{
		"a chain":                    {[]payload.Input{naming("leaf", "middle", "root"), naming("root"), naming("middle", "root"), naming("other")}, [][]string{{"root", "other"}, {"middle"}, {"leaf"}}},
		"one that is not there":      {[]payload.Input{naming("leaf", "elsewhere")}, [][]string{{"leaf"}}},
		"a circle comes last":        {[]payload.Input{naming("a", "b"), naming("b", "a"), naming("c")}, [][]string{{"c"}, {"a", "b"}}},
		"one that names itself":      {[]payload.Input{naming("a", "a")}, [][]string{{"a"}}},
		"nothing":                    {nil, nil},
		"records without a main CI":  {[]payload.Input{{Key: "x", Parts: &record.Parts{}}}, [][]string{{"x"}}},
		"one wave when nobody names": {[]payload.Input{naming("a"), naming("b")}, [][]string{{"a", "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got [][]string
			for _, w := range payload.Waves(c.in) {
				got = append(got, lo.Map(w, func(r payload.Input, _ int) string { return r.Key }))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestACutPayloadHoldsLinksAndLists(t *testing.T) {
	t.Parallel()
	r := naming("leaf", "root", "nowhere")
	for _, name := range []string{"a", "b", "gone"} {
		r.Parts.References = append(r.Parts.References, cmdb.Reference{Item: "leaf", Column: "names", Table: "t", Name: name, List: true})
	}
	refs := payload.Resolved{{Table: "t", Name: "a"}: "1", {Table: "t", Name: "b"}: "2"}
	p := payload.Cut([]payload.Input{r, naming("twin")}, payload.SharedIDs{"root": "s"}, refs, payload.Limits{Lanes: 1, Items: 10, Bytes: 1 << 20})
	require.Len(t, p, 1, "two certificates of one name are not one")
	require.Equal(t, "s", p[0].Items[0].Value("issuer"))
	require.Equal(t, "1,2", p[0].Items[0].Value("names"))
	require.Len(t, r.Parts.Native.Columns, 2, "the record stays as it was")
}
