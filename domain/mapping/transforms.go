package mapping

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// transforms are the named functions that a column may apply to its value.
// What a transform cannot read becomes empty, and an empty value is never written.
var transforms = map[string]func(string) string{
	"lower":    strings.ToLower,
	"upper":    strings.ToUpper,
	"datetime": datetime,
	"day":      day,
	"ipv":      func(s string) string { return "IPv" + s },
	"vmState":  vmState,
	"gone":     gone,
	"gigabyte": gigabyte,
}

func transformNames() []string { return slices.Sorted(maps.Keys(transforms)) }

// Transform applies a transform by name; ok is false for an unknown one.
func Transform(name, value string) (out string, ok bool) {
	f, ok := transforms[name]
	if !ok {
		return "", false
	}
	return f(value), true
}

// datetime turns RFC 3339 into ServiceNow's form, in UTC.
func datetime(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}

// day returns the day of a date that Qualys prints, in UTC; free text such as
// "Not Announced" gives nothing.
func day(s string) string {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.DateOnly, time.RFC3339, time.RFC3339Nano, "2006-01-02T15:04:05.000-0700", time.DateTime} {
		if t, err := time.Parse(layout, s); err == nil && t.Unix() > 0 { // the epoch is how a missing date is printed
			return t.UTC().Format(time.DateOnly)
		}
	}
	return ""
}

// vmState returns the state of a cloud instance in one spelling: "PowerState/running",
// "VM running" and "RUNNING" are "running"; a deallocated instance is stopped.
func vmState(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	s = strings.TrimPrefix(strings.TrimPrefix(s, "powerstate/"), "vm ")
	switch s {
	case "deallocated":
		return "stopped"
	case "deallocating":
		return "stopping"
	case "deleted":
		return "terminated"
	default:
		return s
	}
}

// gone returns install_status 7 (retired) for a terminated instance, else
// nothing, so that an instance that lives keeps the status it has.
func gone(state string) string {
	if vmState(state) == "terminated" {
		return "7"
	}
	return ""
}

// gigabyte turns bytes into whole gigabytes of 1024³, rounded.
func gigabyte(s string) string {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return ""
	}
	const gb = 1 << 30
	whole := n / gb
	if n%gb >= gb/2 {
		whole++
	}
	return strconv.FormatInt(whole, 10)
}
