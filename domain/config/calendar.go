package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Calendar is a parsed calendar of a schedule. Day is the day of the month
// (monthly), Weekdays the days of the week (weekly, Sunday = 0).
type Calendar struct {
	Every        string // daily | weekly | monthly
	Weekdays     []int
	Day          int
	Hour, Minute int
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseCalendar parses "daily 02:30", "weekly mon,thu 03:00" or "monthly 1 04:00".
func ParseCalendar(s string) (Calendar, error) {
	words := strings.Fields(strings.ToLower(s))
	bad := fmt.Errorf("%q is not a calendar", s)
	if len(words) < 2 {
		return Calendar{}, bad
	}
	c := Calendar{Every: words[0]}
	clock := words[len(words)-1]
	t, err := time.Parse("15:04", clock)
	if err != nil {
		return Calendar{}, fmt.Errorf("%q is not a time of day", clock)
	}
	c.Hour, c.Minute = t.Hour(), t.Minute()
	switch {
	case c.Every == "daily" && len(words) == 2:
		return c, nil
	case c.Every == "weekly" && len(words) == 3:
		for day := range strings.SplitSeq(words[1], ",") {
			n := slices.Index(weekdays, day)
			if n < 0 {
				return Calendar{}, fmt.Errorf("%q is not a weekday", day)
			}
			c.Weekdays = append(c.Weekdays, n)
		}
		slices.Sort(c.Weekdays)
		c.Weekdays = slices.Compact(c.Weekdays)
		return c, nil
	case c.Every == "monthly" && len(words) == 3:
		if c.Day, err = strconv.Atoi(words[1]); err != nil || c.Day < 1 || c.Day > 28 {
			return Calendar{}, fmt.Errorf("day %q is not in every month: use 1 to 28", words[1])
		}
		return c, nil
	}
	return Calendar{}, bad
}

// instants are the forms in which a document says when.
var instants = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}

// ParseInstant parses an instant: "2026-12-01", "2026-12-01T03:00", or RFC 3339
// with an offset of its own. Without one it is in the time zone, UTC when empty.
func ParseInstant(text, zone string) (time.Time, error) {
	at, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return time.Time{}, fmt.Errorf("%q is not a time zone", zone)
	}
	for _, form := range instants {
		if t, err := time.ParseInLocation(form, text, at); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not an instant", text)
}
