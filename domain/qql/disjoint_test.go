package qql_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/qql"
)

func TestDisjointFilters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b string
		want bool
	}{
		"different values of one field":      {"operatingSystem.category1:Linux", "operatingSystem.category1:[Windows, `Mac`]", true},
		"a value in common":                  {"operatingSystem.category1:[Linux, Windows]", "operatingSystem.category1:Windows", false},
		"different fields":                   {"operatingSystem.category1:Linux", "hardware.category1:Printer", false},
		"one condition of several is enough": {"asset.truRisk>5 and operatingSystem.category1:Linux", "operatingSystem.category1:Windows and asset.name:a", true},
		"one excludes what the other asks":   {"not tags.name:`Lab`", "tags.name:`Lab` and asset.truRisk>5", true},
		"one excludes something else":        {"not tags.name:`Lab`", "tags.name:`Prod`", false},
		"several tags may be on one asset":   {"tags.name:`Lab`", "tags.name:`Prod`", false},
		"null and a value":                   {"asset.name is null", "asset.name:web", true},
		"null and not null":                  {"asset.name is null", "asset.name is not null", true},
		"a wildcard may be anything":         {"asset.name:web*", "asset.name:db", false},
		"a word that holds the other":        {"operatingSystem.name:`Windows`", "operatingSystem.name:`Windows Server`", false},
		"alternatives are not looked into":   {"asset.name:a or asset.name:b", "asset.name:c", false},
		"ranges are not compared":            {"asset.truRisk:[1..5]", "asset.truRisk:[6..9]", false},
		"equal filters":                      {"asset.name:web", "asset.name:web", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := qql.Parse(c.a)
			require.NoError(t, err)
			b, err := qql.Parse(c.b)
			require.NoError(t, err)
			require.Equal(t, c.want, qql.Disjoint(a, b))
			require.Equal(t, c.want, qql.Disjoint(b, a), "either way")
		})
	}
}
