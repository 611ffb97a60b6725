// Package jsontext tells which bytes stand in a JSON text as they are. Nearly all of
// the bytes that are read from Qualys and written to ServiceNow do, so they are looked
// at eight at a time.
package jsontext

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// Plain returns how many bytes of b are ASCII other than control characters, a quote
// and a backslash. DEL is no control character for JSON.
func Plain(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		// The top bit of a byte is set by what is not ASCII, or where a subtraction
		// goes below zero; what that borrows disturbs only higher bytes.
		if marks := (w | (w ^ (ones * '"') - ones) | (w ^ (ones * '\\') - ones) | (w - ones*' ')) & tops; marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < 0x80 && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// PlainHTML returns how many bytes of b are plain and none of <, > and &, which
// encoding/json escapes too.
func PlainHTML(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		// A quote differs from an ampersand in one bit, < differs from > in one.
		marks := w | (w - ones*' ') | (w ^ (ones * '\\') - ones) | ((w &^ (ones * ('"' ^ '&'))) ^ (ones * '"') - ones) | ((w &^ (ones * ('<' ^ '>'))) ^ (ones * '<') - ones)
		if marks &= tops; marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < 0x80 && b[i] != '"' && b[i] != '\\' && b[i] != '<' && b[i] != '>' && b[i] != '&' {
		i++
	}
	return i
}
