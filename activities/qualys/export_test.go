package qualys

import (
	"bufio"
	"bytes"
	"time"
)

// CommonTime reads an instant in the form of nearly all dates.
func CommonTime(s string) (time.Time, bool) { return commonTime(s) }

// Valid reports whether b is one JSON value.
func Valid(b []byte) bool {
	i := spaces(b, 0)
	end, ok := valid(b, i, 0)
	return ok && spaces(b, end) == len(b)
}

// Elements cuts a list whose opening bracket is missing, reading through a window
// of a size, and returns what stands behind the list too. Objects are visited in one
// pass if asked.
func Elements(b []byte, window int, onePass bool) (list []string, rest []byte, err error) {
	f := framer{r: bufio.NewReaderSize(bytes.NewReader(b), window)}
	err = f.each(func(e []byte) (int, bool) {
		end, ok := quick{newTexts()}.each(e, func(_, value []byte) (int, bool) { return valid(value, 0, 0) })
		if ok = ok && onePass; ok {
			list = append(list, string(e[:end]))
		}
		return end, ok
	}, func(e []byte) error {
		list = append(list, string(e))
		return nil
	})
	if err == nil {
		rest = make([]byte, len(b))
		n, _ := f.r.Read(rest)
		rest = rest[:n]
	}
	return list, rest, err
}

// TwoReadings reads an asset in one pass, which may refuse it, and member by member.
func TwoReadings(b []byte) (quickly *Result, end int, carefully Result, err error) {
	a := assetReader{quick: quick{newTexts()}}
	if res, n, ok := a.documented(b); ok {
		quickly, end = &res, n
	}
	carefully, err = (&assetReader{quick: quick{newTexts()}}).lenient(b)
	return quickly, end, carefully, err
}
