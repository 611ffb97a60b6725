package servicenow

import (
	"unicode/utf8"

	"github.com/qbridge/qbridge/domain/jsontext"
)

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string. Invalid UTF-8 becomes U+FFFD; NUL, which
// databases refuse, is escaped like other control characters and left to IRE.
func appendString(b []byte, s string) []byte {
	b = append(append(b, '"'), s...)
	plain := jsontext.Plain(b[len(b)-len(s):])
	if plain == len(s) {
		return append(b, '"')
	}
	b = b[:len(b)-len(s)]
	start := 0
	for i := plain; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, s[start:i]...)
				b = append(b, `\ufffd`...)
				i++
				start = i
				continue
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
