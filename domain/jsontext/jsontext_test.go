package jsontext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/jsontext"
)

func TestPlainBytesAreCounted(t *testing.T) {
	t.Parallel()
	count := func(b []byte, but string) int {
		for i, c := range b {
			if c < ' ' || c >= 0x80 || strings.IndexByte(but, c) >= 0 {
				return i
			}
		}
		return len(b)
	}
	for at := range 17 { // every byte at every place of two words and a rest
		for c := range 256 {
			b := []byte(strings.Repeat("a", 19))
			b[at] = byte(c)
			require.Equal(t, count(b, `"\\`), jsontext.Plain(b), "%q", b)
			require.Equal(t, count(b, `"\\<>&`), jsontext.PlainHTML(b), "%q", b)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.OneOf(rapid.ByteRange(' ', '~'), rapid.Byte())).Draw(t, "b")
		require.Equal(t, count(b, `"\\`), jsontext.Plain(b))
		require.Equal(t, count(b, `"\\<>&`), jsontext.PlainHTML(b))
	})
}
