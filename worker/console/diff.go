package console

import (
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// diffLine is a line of a document; Mark is "+" for a new line, "-" for one that is
// gone, and empty for one that stayed.
type diffLine struct{ Mark, Text string }

// diff compares two documents line by line, and shows all lines.
func diff(before, after string) ([]diffLine, error) {
	edits := udiff.Lines(before, after)
	text, err := udiff.ToUnified("before", "after", before, edits, len(before)+1)
	if err != nil {
		return nil, err
	}
	var out []diffLine
	if text == "" {
		for l := range strings.Lines(after) {
			out = append(out, diffLine{Text: strings.TrimRight(l, "\n")})
		}
		return out, nil
	}
	head := true
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\n")
		switch {
		case strings.HasPrefix(l, "@@"):
			head = false
		case head || l == "" || l[0] == '\\':
		case l[0] == ' ':
			out = append(out, diffLine{Text: l[1:]})
		default:
			out = append(out, diffLine{Mark: l[:1], Text: l[1:]})
		}
	}
	return out, nil
}
