package classify

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// matcher returns a test for lower-case text. Looking for a text costs a hundredth of
// an expression, so what contains none of the texts that every match contains is not
// given to it.
func matcher(re *regexp.Regexp) func(string) bool {
	parsed, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return re.MatchString
	}
	list := needles(parsed.Simplify())
	if len(list) == 0 {
		return re.MatchString
	}
	return func(v string) bool {
		if !slices.ContainsFunc(list, func(n string) bool { return strings.Contains(v, n) }) && ascii(v) {
			return false
		}
		return re.MatchString(v)
	}
}

// mostNeedles bounds how many texts are looked for.
const mostNeedles = 24

// needles are texts of which every match of an expression contains one, as far as it
// is ASCII: other letters have more than one lower case. It is nil when there are no
// such texts.
func needles(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}
	case syntax.OpCapture, syntax.OpPlus:
		return needles(re.Sub[0])
	case syntax.OpConcat:
		var best []string
		for _, s := range re.Sub {
			if n := needles(s); n != nil && (best == nil || shortest(n) > shortest(best)) {
				best = n
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, s := range re.Sub {
			n := needles(s)
			if all = append(all, n...); n == nil || len(all) > mostNeedles {
				return nil
			}
		}
		return all
	}
	return nil
}

func shortest(list []string) int {
	n := len(list[0])
	for _, s := range list {
		n = min(n, len(s))
	}
	return n
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
