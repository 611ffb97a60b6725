package asset

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// vendorNames are host names that machines have until somebody names them. They
// are no names, with a domain either: every branch has its router.
var vendorNames = map[string]bool{
	"localhost": true, "localhost4": true, "localhost6": true, "localdomain": true, "unknown": true, "unidentified": true, "none": true,
	"null": true, "n/a": true, "na": true, "undefined": true, "default": true, "hostname": true, "(none)": true, "(unknown)": true, "computer": true,
	"raspberrypi": true, "android": true, "iphone": true, "ipad": true, "ubuntu": true, "debian": true, "kali": true, "printer": true,
	"router": true, "switch": true, "openwrt": true, "bogon": true, "pfsense": true, "opnsense": true, "truenas": true, "freenas": true,
	"diskstation": true, "macbook-pro": true, "macbook-air": true, "mac-mini": true, "imac": true, "fedora": true, "minwinpc": true,
}

// macShape matches the spellings in which sensors use a MAC address as a name.
var macShape = regexp.MustCompile(`^(?:(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})$`)

// SplitHost returns the short name in lower case and, when the name has a
// domain, the full name. Addresses, vendor defaults and text that cannot be a
// host name give nothing; a MAC address gives its canonical form; a text with
// spaces is a description and stays whole.
func SplitHost(raw string) (short, full string) {
	s := strings.ToLower(Text(raw))
	s = strings.TrimLeftFunc(s, func(r rune) bool { return r == '\\' || unicode.IsSpace(r) })
	s = strings.TrimRightFunc(s, func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
	if macShape.MatchString(s) {
		return MAC(s), ""
	}
	if isAddress(s) {
		return "", ""
	}
	if strings.ContainsFunc(s, unicode.IsSpace) {
		return nameOnly(s), ""
	}
	label, rest, qualified := strings.Cut(s, ".")
	short = nameOnly(label)
	if short == "" || short != label || !qualified || strings.HasPrefix(rest, ".") || strings.Contains(rest, "..") || strings.ContainsAny(s, `:/@\`) {
		return short, ""
	}
	return short, s
}

// nameOnly returns s unless it is a vendor default, an address or a sign for none.
func nameOnly(s string) string {
	switch {
	case vendorNames[s] || isAddress(s) || strings.Trim(s, "-_*?#") == "":
		return ""
	case macShape.MatchString(s):
		return MAC(s)
	default:
		return s
	}
}

// isAddress reports whether s is an address, also one with a port, a prefix
// length or brackets, a range, or a broken one: "10.1.2" cut at its first dot
// would give many machines the name "10".
func isAddress(s string) bool {
	if !strings.Contains(s, ":") && strings.ContainsFunc(s, unicode.IsLetter) {
		return false // nearly all names
	}
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}
	if _, err := netip.ParseAddrPort(s); err == nil {
		return true
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	return strings.ContainsAny(s, ".:") && strings.Trim(s, "0123456789.:/-[]") == ""
}

// netBIOSLimit is where NetBIOS cuts names.
const netBIOSLimit = 15

// truncates reports whether the NetBIOS name is the cut form of another name.
func truncates(netBIOS, other string) bool {
	short, _ := SplitHost(netBIOS)
	long, _ := SplitHost(other)
	return utf8.RuneCountInString(short) == netBIOSLimit && len(long) > len(short) && strings.HasPrefix(long, short)
}
