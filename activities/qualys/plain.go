package qualys

import (
	"bytes"

	"github.com/goccy/go-json"
)

// members gives the members of an object in their order, neither keys nor values
// copied. The JSON must be well formed: what this says of other bytes is
// undefined, short of reading beyond them.
func members(b []byte, each func(key, value []byte)) error {
	b = bytes.TrimSpace(b)
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return &FieldError{Field: "asset", Want: "an object", Got: shape(b)}
	}
	for b = skipSpace(b[1 : len(b)-1]); len(b) > 0; {
		end := valueEnd(b)
		key := b[:end]
		if b = skipSpace(b[end:]); len(b) == 0 {
			break
		}
		b = skipSpace(b[1:]) // the colon
		end = valueEnd(b)
		if plainString(key) {
			each(key[1:len(key)-1], b[:end])
		} else {
			var name string
			if err := json.Unmarshal(key, &name); err != nil {
				return err
			}
			each([]byte(name), b[:end])
		}
		if b = skipSpace(b[end:]); len(b) > 0 {
			b = skipSpace(b[1:]) // the comma
		}
	}
	return nil
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// valueEnd returns the length of the value that b begins with.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b); i++ {
				if i += ordinary(b[i:]); i >= len(b) || b[i] == '"' {
					break
				}
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(b))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}
