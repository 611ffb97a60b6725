package certs

import (
	"strconv"
	"strings"
	"time"
)

// Certificates name dates that no CMDB can hold: 1601 for "always" and the year
// 9999 and beyond for "never". They are moved to the ends of what can be held.
var (
	earliest = time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC)
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// layouts are the forms of dates that were seen or are documented; offsets come
// with and without a colon, and not at all (UTC).
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", time.DateOnly,
	"Jan 2 15:04:05 2006 MST", time.UnixDate,
}

// Instant reads the first of several texts that is a date: ISO 8601 in any of its
// forms, or epoch milliseconds (seconds when there are at most ten digits). What
// lies beyond the years that a CMDB can hold is moved to their ends. It is the zero
// time when none can be read; 0 and -1 are how a missing date is printed.
func Instant(texts ...string) time.Time {
	for _, s := range texts {
		if t := instant(strings.Trim(strings.ReplaceAll(s, "\x00", ""), " \t\r\n\"")); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// secondDigits is the most digits that epoch seconds have until the year 2286.
const secondDigits = 10

func instant(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case n == 0 || n == -1:
			return time.Time{}
		case n > 0 && len(s) <= secondDigits:
			return clamp(time.Unix(n, 0))
		}
		return clamp(time.UnixMilli(n))
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil && t.Unix() != 0 {
			return clamp(t)
		}
	}
	return time.Time{}
}

func clamp(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t
}

// timeLayout is how ServiceNow writes instants, always in UTC.
const timeLayout = "2006-01-02 15:04:05"

func written(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeLayout)
}
