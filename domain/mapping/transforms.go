package mapping

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// transforms are the named functions that a column may apply to its value.
var transforms = map[string]func(string) string{
	"lower":    strings.ToLower,
	"upper":    strings.ToUpper,
	"datetime": datetime,
	"ipv":      func(s string) string { return "IPv" + s },
}

func transformNames() []string { return slices.Sorted(maps.Keys(transforms)) }

// datetime turns RFC 3339 into ServiceNow's form, in UTC.
func datetime(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}
