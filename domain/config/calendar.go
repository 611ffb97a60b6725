package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const minute = time.Minute

// Calendar is a parsed calendar of a schedule. Day is the day of the month
// (monthly), Weekday the day of the week (weekly, Sunday = 0).
type Calendar struct {
	Every        string // daily | weekly | monthly
	Weekday      int
	Day          int
	Hour, Minute int
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseCalendar parses "daily 02:30", "weekly sun 03:00" or "monthly 1 04:00".
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
		if c.Weekday = slices.Index(weekdays, words[1]); c.Weekday < 0 {
			return Calendar{}, fmt.Errorf("%q is not a weekday", words[1])
		}
		return c, nil
	case c.Every == "monthly" && len(words) == 3:
		if c.Day, err = strconv.Atoi(words[1]); err != nil || c.Day < 1 || c.Day > 28 {
			return Calendar{}, fmt.Errorf("day %q is not in every month: use 1 to 28", words[1])
		}
		return c, nil
	}
	return Calendar{}, bad
}
