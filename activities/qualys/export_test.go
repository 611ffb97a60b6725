package qualys

import (
	"bufio"
	"bytes"
	"slices"
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
// of a size, and returns what stands behind the list too.
func Elements(b []byte, window int) (list []string, rest []byte, err error) {
	f := framer{r: bufio.NewReaderSize(bytes.NewReader(b), window)}
	err = f.each(func(e []byte) error {
		list = append(list, string(slices.Clone(e)))
		return nil
	})
	if err == nil {
		rest = make([]byte, len(b))
		n, _ := f.r.Read(rest)
		rest = rest[:n]
	}
	return list, rest, err
}
