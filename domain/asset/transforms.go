package asset

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is the length, in characters, that ServiceNow's string columns hold
// by default.
const maxText = 255

// Text removes control characters and surrounding space and cuts to 255
// characters. Invalid UTF-8 is dropped.
func Text(s string) string { return TextTo(s, maxText) }

// TextTo is Text with another limit in characters; a limit below one means 255.
func TextTo(s string, limit int) string {
	if limit < 1 {
		limit = maxText
	}
	if len(s) <= limit && clean(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || invisible(r) {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) > limit {
		s = strings.TrimSpace(string([]rune(s)[:limit]))
	}
	return s
}

// invisible reports whether a reader cannot see the character: byte order marks,
// zero-width spaces and direction overrides. Two names that differ only in these
// would become two CIs. Joiners stay, because emoji need them.
func invisible(r rune) bool {
	switch {
	case r == '\uFEFF', r == '\u200B', r == '\u200E', r == '\u200F', r == '\u2060':
		return true
	default:
		return (r >= '\u202A' && r <= '\u202E') || (r >= '\u2066' && r <= '\u2069')
	}
}

// clean reports whether s is short printable ASCII without outer space, which
// nearly every value is.
func clean(s string) bool {
	if len(s) > maxText || (s != "" && (s[0] == ' ' || s[len(s)-1] == ' ')) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// known returns the cleansed text unless it says that Qualys does not know.
func known(raw string) string {
	s := Text(raw)
	if junk(s) {
		return ""
	}
	return s
}

func model(h Hardware) string {
	if m := known(h.Model); m != "" {
		if p := known(h.ProductName); p != "" && !strings.Contains(strings.ToLower(m), strings.ToLower(p)) {
			return Text(p + " " + m)
		}
		return m
	}
	return known(h.ProductName)
}

// osName prefers the normalised product name; the raw name is better than none.
func osName(os OperatingSystem) string {
	for _, s := range []string{os.ProductName, os.FullName, os.Name} {
		if n := known(s); n != "" {
			return n
		}
	}
	return ""
}

func osVersion(os OperatingSystem) string {
	for _, s := range []string{os.Version, os.MarketVersion, os.Release} {
		if n := known(s); n != "" {
			return n
		}
	}
	return ""
}

// OSWidth returns "64" or "32" from the architecture or the raw name. Build
// numbers such as 10.0.22631.6412 do not count.
func OSWidth(architecture, name string) string {
	for _, s := range []string{architecture, name} {
		words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		for i, w := range words {
			bits := len(words) == 1 || (i+1 < len(words) && strings.HasPrefix(words[i+1], "bit"))
			switch {
			case w == "64" && bits, wide[w]:
				return "64"
			case w == "32" && bits, narrow[w]:
				return "32"
			}
		}
	}
	return ""
}

// wide and narrow are the words for architectures with 64 and 32 bits.
var (
	wide = map[string]bool{
		"64bit": true, "x64": true, "x86_64": true, "amd64": true, "aarch64": true, "arm64": true, "ia64": true, "ppc64": true,
		"ppc64le": true, "s390x": true, "sparc64": true, "sparcv9": true, "win64": true,
	}
	narrow = map[string]bool{"32bit": true, "x86": true, "i386": true, "i486": true, "i586": true, "i686": true, "armv7l": true, "armhf": true, "win32": true}
)
