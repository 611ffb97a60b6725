package classify

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLookingForTextsFirstChangesNoAnswer(t *testing.T) {
	t.Parallel()
	patterns := []string{`k+s`, `(ab|c)d?e`, `x|`, `(é|ß)x`, `^$`, `[a-c]{2,3}z`, `(?:foo){2}`, `a.*b`, `\bkiss\b`}
	for _, tables := range []Tables{Default(), DefaultAM()} {
		for _, r := range append(append(tables.Hardware, tables.Computer...), tables.Fallback...) {
			for _, c := range r.When {
				if c.Matches != "" {
					patterns = append(patterns, c.Matches)
				}
			}
		}
	}
	var values []*rapid.Generator[string]
	for _, p := range patterns {
		values = append(values, rapid.StringMatching("(?i)"+strings.NewReplacer(`\b`, "", "^", "", "$", "").Replace(p)))
	}
	values = append(values, rapid.StringMatching(`[ -~]{0,20}`), rapid.SampledFrom([]string{"ſ", "K", "ſolaris", "aıx", "İos"}))
	holds, fails := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(patterns).Draw(t, "pattern")
		v := strings.ToLower(rapid.StringMatching(`[a-z ]{0,3}`).Draw(t, "before") + rapid.OneOf(values...).Draw(t, "value") + rapid.StringMatching(`[a-z ]{0,3}`).Draw(t, "behind"))
		re := regexp.MustCompile("(?i)" + p)
		want := re.MatchString(v)
		require.Equal(t, want, matcher(re)(v), "%s in %q", p, v)
		if want {
			holds++
		} else {
			fails++
		}
	})
	require.Positive(t, holds)
	require.Positive(t, fails)
}
