package record_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/record"
)

// The digest of a record is that of its encoding: one that changed would make every
// record of every store count as changed. All fields are filled, also those that are
// added later.
func TestPartsAreEncodedAsTheStandardLibraryEncodesThem(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(
		rapid.StringMatching(`[ -~]{0,12}`), rapid.String(),
		rapid.SampledFrom([]string{"", `a"b\c`, "<&>", "tab\tline\n", "\x00\x1f\x7f", "\u2028\u2029", "\xff\xfe", "Größe", "𝄞"}),
	)
	change := rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{"a":[1,"<b>"]}`), json.RawMessage(" {\"a\" : null}\n")})
	parts := rapid.MakeCustom[record.Parts](rapid.MakeConfig{
		Types: map[reflect.Type]*rapid.Generator[any]{reflect.TypeFor[json.RawMessage](): change.AsAny()},
		Kinds: map[reflect.Kind]*rapid.Generator[any]{reflect.String: text.AsAny()},
	})
	rapid.Check(t, func(t *rapid.T) {
		p := parts.Draw(t, "parts")
		want, err := json.Marshal(&p)
		require.NoError(t, err)
		require.Equal(t, string(want), string(p.AppendJSON(nil)))
	})
}
