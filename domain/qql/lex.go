package qql

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a filter.
const (
	maxText  = 8 << 10
	maxDepth = 50
	maxList  = 500
)

// SyntaxError says where a filter cannot be read, and what would be right.
type SyntaxError struct {
	Text   string
	Column int // of the character, from 1
	Msg    string
	Hint   string
}

// Error returns the message, and below it the filter with a caret under the place.
func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("qql: column %d: %s", e.Column, e.Msg)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	// A long filter is shown around the place only.
	const around = 40
	runes := []rune(strings.Map(printable, e.Text))
	from, to := max(0, e.Column-1-around), min(len(runes), e.Column-1+around)
	if from > to {
		return s
	}
	return s + "\n  " + string(runes[from:to]) + "\n  " + strings.Repeat(" ", e.Column-1-from) + "^"
}

func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return ' '
	}
	return r
}

// quote is how a value was written, which says how it compares.
type quote rune

const (
	bare   quote = 0
	double quote = '"'
	single quote = '\''
	back   quote = '`'
)

type token struct {
	kind   string // "word" or the sign itself
	text   string
	quote  quote
	column int
}

// signs are the tokens that are no words, the longest first.
var signs = []string{"...", "..", ">=", "<=", ">", "<", ":", "(", ")", "[", "]", ","}

// lex splits a filter into tokens.
func lex(text string) ([]token, error) {
	if len(text) > maxText {
		return nil, &SyntaxError{Text: text[:200], Column: 1, Msg: fmt.Sprintf("the filter is longer than %d bytes", maxText)}
	}
	if !utf8.ValidString(text) {
		return nil, &SyntaxError{Text: strings.ToValidUTF8(text, "?"), Column: 1, Msg: "the filter is not UTF-8"}
	}
	var out []token
	runes := []rune(text)
	for i := 0; i < len(runes); {
		r := runes[i]
		switch {
		case unicode.IsSpace(r):
			i++
		case r == '"' || r == '\'' || r == '`':
			t, next, err := quoted(text, runes, i)
			if err != nil {
				return nil, err
			}
			out, i = append(out, t), next
		default:
			t, next := plain(runes, i)
			out, i = append(out, t), next
		}
	}
	return append(out, token{kind: "end", column: len(runes) + 1}), nil
}

// quoted reads a value in quotes; a backslash takes the next character as it is.
func quoted(text string, runes []rune, at int) (token, int, error) {
	var b strings.Builder
	for i := at + 1; i < len(runes); i++ {
		switch {
		case runes[i] == '\\' && i+1 < len(runes):
			i++
			b.WriteRune(runes[i])
		case runes[i] == runes[at]:
			return token{kind: "word", text: b.String(), quote: quote(runes[at]), column: at + 1}, i + 1, nil
		default:
			b.WriteRune(runes[i])
		}
	}
	return token{}, 0, &SyntaxError{Text: text, Column: at + 1, Msg: fmt.Sprintf("the quote %c is not closed", runes[at])}
}

// plain reads a sign, or a word up to the next sign or space.
func plain(runes []rune, at int) (token, int) {
	if s := signAt(runes, at); s != "" {
		return token{kind: s, column: at + 1}, at + len(s)
	}
	i := at
	for i < len(runes) && !unicode.IsSpace(runes[i]) && !strings.ContainsRune("\"'`", runes[i]) && signAt(runes, i) == "" {
		i++
	}
	return token{kind: "word", text: string(runes[at:i]), column: at + 1}, i
}

func signAt(runes []rune, at int) string {
	for _, s := range signs {
		if at+len(s) <= len(runes) && string(runes[at:at+len(s)]) == s {
			return s
		}
	}
	return ""
}
