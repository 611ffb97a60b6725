package asset

import (
	"regexp"
	"strings"
	"unicode"
)

// junkWords are what firmware says when nobody set a value, as junkKey spells
// them. Machines that share such a value must not become one CI.
var junkWords = map[string]bool{
	"none": true, "null": true, "na": true, "nil": true, "notavailable": true, "notapplicable": true, "notspecified": true, "notdefined": true,
	"notprovided": true, "notpresent": true, "notset": true, "notsettable": true, "unknown": true, "undefined": true, "unspecified": true, "unidentified": true,
	"empty": true, "invalid": true, "default": true, "defaultstring": true, "oem": true, "oemserial": true, "badindex": true,
	"systemserialnumber": true, "systemserialnumb": true, "chassisserialnumber": true, "chassisserial": true, "baseboardserialnumber": true,
	"serialnumber": true, "serial": true, "sernum": true, "serialnumberxxxxxx": true, "assettag": true, "noassettag": true, "noassetinformation": true,
	"assettagnumber": true, "chassisassettag": true, "baseboardassettag": true, "systemmanufacturer": true, "systemproductname": true,
	"noenclosure": true, "evaluationboard": true, "asset1234567890": true, "mb1234567890": true, "bsn12345678901234567": true,
	"1234": true, "12345": true, "123456": true, "1234567": true, "12345678": true, "123456789": true, "1234567890": true, "0123456789": true,
	"01234567890123456789": true, "03000200040005000006000700080009": true, "00020003000400050006000700080009": true, "1234567812345678": true,
	"123456781234567890abcddeefaabbcc": true,
}

// sharedTags are, as junkKey spells them, what a cloud's virtual boards say in
// place of a number, and what boards of ASUS ship with: the same on each of them.
var sharedTags = map[string]bool{
	"77837084326590858269328677": true, // Azure
	"oraclecloudcom":             true,
	"amazonec2":                  true,
	"atn12345678901234567":       true,
}

// junkKey returns the letters and digits of s in lower case, so that
// "To be filled by O.E.M." and "ToBeFilledByOEM" are one.
func junkKey(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// junk reports whether s says that nobody set a value.
func junk(s string) bool {
	k := junkKey(s)
	return k == "" || junkWords[k] || strings.HasPrefix(k, "tobefilled") || strings.HasPrefix(k, "filledbyoem") || strings.HasPrefix(k, "fillbyoem")
}

// Serial returns a serial number that can identify a machine, or "".
func Serial(raw string) string {
	s := Text(raw)
	if len(s) < 3 || junk(s) || sharedTags[junkKey(s)] || oneCharacter(s) {
		return ""
	}
	return s
}

// AssetTag returns an asset tag that somebody set, or "".
func AssetTag(raw string) string {
	s := Text(raw)
	if s == "" || junk(s) || sharedTags[junkKey(s)] || oneCharacter(s) {
		return ""
	}
	return s
}

// oneCharacter reports whether s repeats one character, separators and case
// aside ("0000-0000", "xxxxXX", "........").
func oneCharacter(s string) bool {
	k := junkKey(s)
	for i, r := range k {
		if i > 0 && !strings.HasPrefix(k, string(r)) {
			return false
		}
	}
	return true
}

var uuidShape = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// UUID returns a hardware UUID in lower case without braces, or "" for junk:
// the wrong shape, one digit repeated, or the sequences that boards ship with.
func UUID(raw string) string {
	s := strings.ToLower(strings.Trim(Text(raw), "{}"))
	if !uuidShape.MatchString(s) || oneCharacter(s) || junk(s) {
		return ""
	}
	return s
}
