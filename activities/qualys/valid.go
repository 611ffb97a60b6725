package qualys

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth is the deepest nesting that is read, that of encoding/json.
const maxDepth = 10_000

// valid checks the value that begins at b[i] as encoding/json does and returns
// where it ends.
func valid(b []byte, i, depth int) (end int, ok bool) {
	if i >= len(b) {
		return i, false
	}
	switch c := b[i]; {
	case c == '"':
		return validText(b, i+1)
	case c == '{':
		return validObject(b, i+1, depth+1)
	case c == '[':
		return validList(b, i+1, depth+1)
	case c == '-' || c >= '0' && c <= '9':
		return validNumber(b, i)
	case c == 't':
		return validWord(b, i, "true")
	case c == 'f':
		return validWord(b, i, "false")
	case c == 'n':
		return validWord(b, i, "null")
	}
	return i, false
}

func validWord(b []byte, i int, word string) (int, bool) {
	end := i + len(word)
	return end, end <= len(b) && string(b[i:end]) == word
}

func spaces(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func validObject(b []byte, i, depth int) (int, bool) {
	if i = spaces(b, i); i < len(b) && b[i] == '}' {
		return i + 1, depth <= maxDepth
	}
	for depth <= maxDepth && i < len(b) && b[i] == '"' {
		var ok bool
		if i, ok = validText(b, i+1); !ok {
			return i, false
		}
		if i = spaces(b, i); i >= len(b) || b[i] != ':' {
			return i, false
		}
		if i, ok = valid(b, spaces(b, i+1), depth); !ok {
			return i, false
		}
		if i = spaces(b, i); i >= len(b) || b[i] != ',' {
			return i + 1, i < len(b) && b[i] == '}'
		}
		i = spaces(b, i+1)
	}
	return i, false
}

func validList(b []byte, i, depth int) (int, bool) {
	if i = spaces(b, i); i < len(b) && b[i] == ']' {
		return i + 1, depth <= maxDepth
	}
	for depth <= maxDepth {
		var ok bool
		if i, ok = valid(b, i, depth); !ok {
			return i, false
		}
		if i = spaces(b, i); i >= len(b) || b[i] != ',' {
			return i + 1, i < len(b) && b[i] == ']'
		}
		i = spaces(b, i+1)
	}
	return i, false
}

// ordinary returns how many bytes of b come before a quote, a backslash or a control
// character, eight at a time. Of the marks in a word the lowest is exact, and only
// that is looked at.
func ordinary(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		if marks := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w) & tops; marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
		i++
	}
	return i
}

// validText checks a text behind its opening quote.
func validText(b []byte, i int) (int, bool) {
	for ; i < len(b); i++ {
		if i += ordinary(b[i:]); i == len(b) {
			return i, false
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, true
		case c < ' ':
			return i, false
		case c == '\\':
			if i++; i >= len(b) {
				return i, false
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(b) || !hex(b[i]) {
						return i, false
					}
				}
			default:
				return i, false
			}
		}
	}
	return i, false
}

func hex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func validNumber(b []byte, i int) (int, bool) {
	if b[i] == '-' {
		i++
	}
	whole := i
	if i = digits(b, i); i == whole || b[whole] == '0' && i > whole+1 {
		return i, false
	}
	if i < len(b) && b[i] == '.' {
		part := i + 1
		if i = digits(b, part); i == part {
			return i, false
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		power := i
		if i = digits(b, i); i == power {
			return i, false
		}
	}
	return i, true
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}
