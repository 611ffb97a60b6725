package console

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/timing"
	"github.com/qbridge/qbridge/workflows/contract"
)

// filter is what a page shows, as its address says it: an address can be sent to
// somebody else, who then sees the same.
type filter struct {
	Schedule, Span, Status, Outcome, State, Class, Operation, Text, Reason, After string
}

// spans are the time spans that a page can be about; the first is the default.
var spans = []struct {
	Name, Text string
	Length     time.Duration
}{
	{"7d", "last 7 days", 7 * 24 * time.Hour},
	{"1h", "last hour", time.Hour},
	{"24h", "last 24 hours", 24 * time.Hour},
	{"30d", "last 30 days", 30 * 24 * time.Hour},
	{"90d", "last 90 days", 90 * 24 * time.Hour},
}

func readFilter(q url.Values) filter {
	return filter{
		Schedule: q.Get("schedule"), Span: q.Get("span"), Status: q.Get("status"), Outcome: q.Get("outcome"), State: q.Get("state"), Class: q.Get("class"),
		Operation: q.Get("operation"), Text: q.Get("q"), Reason: q.Get("reason"), After: q.Get("after"),
	}
}

// since is the beginning of the span.
func (f filter) since(now time.Time) time.Time {
	for _, s := range spans {
		if s.Name == f.Span {
			return now.Add(-s.Length)
		}
	}
	return now.Add(-spans[0].Length)
}

// staged is the filter in the words of a decision.
func (f filter) staged() string {
	var words []string
	for name, value := range map[string]string{"class": f.Class, "operation": f.Operation} {
		if value != "" {
			words = append(words, name+"="+value)
		}
	}
	return strings.Join(words, " ")
}

// link builds an address from a path and pairs of names and values; empty values are
// left out.
func link(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// functions are what templates may call beside what they are given.
func functions(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"link":     link,
		"segment":  url.PathEscape,
		"number":   number,
		"ago":      func(t time.Time) string { return ago(now().Sub(t), t) },
		"time":     func(t time.Time) string { return stamp(t) },
		"day":      func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"lasted":   lasted,
		"outcomes": record.Outcomes,
		"stages":   timing.Stages,
		"of":       func(c record.Counters, o record.Outcome) int64 { return c.Of(o) },
		"spans":    func() any { return spans },
		"percent":  percent,
		"json":     func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"list":     func(v ...string) []string { return v },
		"nav":      func() []navigation { return navigations },
		"span":     span,
		"days": func(n int) string {
			if n == 0 {
				return ""
			}
			return strconv.Itoa(n)
		},
		"short": func(s string) string { return s[:min(8, len(s))] },
		"trial": func(s string) bool { return contract.TriedSchedule(s) != s },
		"dash": func(s string) string {
			if s == "" {
				return "–"
			}
			return s
		},
		"dict": func(pairs ...any) map[string]any {
			m := map[string]any{}
			for i := 0; i+1 < len(pairs); i += 2 {
				if name, ok := pairs[i].(string); ok {
					m[name] = pairs[i+1]
				}
			}
			return m
		},
	}
}

// navigation is a page in the list at the top.
type navigation struct{ Page, Path, Text, Verb string }

var navigations = []navigation{
	{"overview", "/", "Overview", "read"},
	{"runs", "/runs", "Runs", "read"},
	{"assets", "/assets", "Assets", "read"},
	{"staged", "/staged", "Approvals", "read"},
	{"errors", "/errors", "Errors", "read"},
	{"certificates", "/certificates", "Certificates", "read"},
	{"exports", "/exports", "Tags and exports", "read"},
	{"reports", "/reports", "Reports", "read"},
	{"configuration", "/configuration", "Configuration", "read"},
	{"audit", "/audit", "Decisions", "audit"},
}

// number writes 1234567 as 1,234,567.
func number(v any) string {
	s := fmt.Sprint(v)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	if _, err := strconv.ParseUint(s, 10, 64); err != nil {
		return sign + s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func percent(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return min(100, part*100/whole)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// ago tells how far an instant lies away.
func ago(d time.Duration, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	text := span(d.Abs())
	if d < 0 {
		return "in " + text
	}
	return text + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// lasted tells how long something took; what has not ended says so.
func lasted(from, to time.Time) string {
	if to.IsZero() {
		return "runs"
	}
	d := to.Sub(from)
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
