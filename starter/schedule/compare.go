package schedule

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/qbridge/qbridge/workflows/contract"
)

// field is one thing that a schedule says, in a form that is equal for what we
// send and for what Temporal describes.
type field struct{ Name, Value string }

// fieldsOf lists what a schedule says. Pause and note are left out: they belong
// to operators.
func fieldsOf(spec *client.ScheduleSpec, action client.ScheduleAction, policy *client.SchedulePolicies) []field {
	out := []field{{"when", whenOf(spec)}}
	if act, ok := action.(*client.ScheduleWorkflowAction); ok {
		out = append(out,
			field{"workflow", fmt.Sprint(act.Workflow)}, field{"workflow id", act.ID}, field{"task queue", act.TaskQueue}, field{"input", inputOf(act.Args)})
	} else {
		out = append(out, field{"workflow", "not a workflow"})
	}
	if policy != nil {
		out = append(out,
			field{"overlap", policy.Overlap.String()}, field{"catch-up window", short(policy.CatchupWindow)},
			field{"pause on failure", fmt.Sprint(policy.PauseOnFailure)})
	}
	return out
}

// differences tells, field by field, "name: what is live → what is wanted".
func differences(live, wanted []field) []string {
	have := map[string]string{}
	for _, f := range live {
		have[f.Name] = f.Value
	}
	var out []string
	for _, f := range wanted {
		if have[f.Name] != f.Value {
			out = append(out, fmt.Sprintf("%s: %s → %s", f.Name, have[f.Name], f.Value))
		}
	}
	return out
}

// whenOf writes a spec down, canonically: "every 15m UTC", "at 02:30 on Sunday
// Europe/Zurich".
func whenOf(spec *client.ScheduleSpec) string {
	if spec == nil {
		return "never"
	}
	var out []string
	for _, i := range spec.Intervals {
		s := "every " + short(i.Every)
		if i.Offset != 0 {
			s += " plus " + short(i.Offset)
		}
		out = append(out, s)
	}
	for i := range spec.Calendars {
		out = append(out, calendarText(&spec.Calendars[i]))
	}
	for _, c := range spec.CronExpressions {
		out = append(out, "cron "+c)
	}
	if len(out) == 0 {
		out = append(out, "never")
	}
	for i := range spec.Skip {
		out = append(out, "but not "+calendarText(&spec.Skip[i]))
	}
	if spec.Jitter != 0 {
		out = append(out, "jitter "+short(spec.Jitter))
	}
	if !spec.StartAt.IsZero() {
		out = append(out, "from "+spec.StartAt.UTC().Format(time.RFC3339))
	}
	if !spec.EndAt.IsZero() {
		out = append(out, "until "+spec.EndAt.UTC().Format(time.RFC3339))
	}
	zone := spec.TimeZoneName
	if zone == "" {
		zone = "UTC"
	}
	return strings.Join(out, ", ") + " " + zone
}

// calendarText writes a calendar down. Temporal fills in defaults, so a field
// that is unset and one that spells out its default are equal.
func calendarText(c *client.ScheduleCalendarSpec) string {
	s := fmt.Sprintf("at %s:%s", rangesText(c.Hour, "00"), rangesText(c.Minute, "00"))
	for _, f := range []struct {
		name, all string
		ranges    []client.ScheduleRange
	}{
		{":", "00", c.Second}, {" on day ", "01-31", c.DayOfMonth}, {" in month ", "01-12", c.Month}, {" in year ", "", c.Year},
	} {
		if text := rangesText(f.ranges, f.all); text != f.all {
			s += f.name + text
		}
	}
	switch text := rangesText(c.DayOfWeek, "00-06"); {
	case text == "00-06":
	case len(c.DayOfWeek) == 1 && len(text) == 2:
		s += " on " + time.Weekday(c.DayOfWeek[0].Start%7).String()
	default:
		s += " on weekdays " + text
	}
	return s
}

// short is a duration without zero minutes and seconds: "1h", not "1h0m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func rangesText(ranges []client.ScheduleRange, unset string) string {
	if len(ranges) == 0 {
		return unset
	}
	out := make([]string, 0, len(ranges))
	for _, r := range ranges {
		s := fmt.Sprintf("%02d", r.Start)
		if r.End > r.Start {
			s += fmt.Sprintf("-%02d", r.End)
		}
		if r.Step > 1 {
			s += fmt.Sprintf("/%d", r.Step)
		}
		out = append(out, s)
	}
	return strings.Join(out, ",")
}

// inputOf writes down the input of the workflow. What Temporal describes is a
// payload; one that cannot be read is compared by its bytes.
func inputOf(args []any) string {
	out := make([]string, 0, len(args))
	for _, a := range args {
		if p, ok := a.(*commonpb.Payload); ok {
			var in contract.RunInput
			if err := converter.GetDefaultDataConverter().FromPayload(p, &in); err != nil {
				out = append(out, string(p.GetData()))
				continue
			}
			a = in
		}
		b, err := json.Marshal(a)
		if err != nil {
			b = []byte(err.Error())
		}
		out = append(out, string(b))
	}
	return strings.Join(out, " ")
}

// appliedDigest reads the digest from a live schedule's action, or "".
func appliedDigest(a client.ScheduleAction) string {
	act, ok := a.(*client.ScheduleWorkflowAction)
	if !ok {
		return ""
	}
	switch v := act.Memo[memoDigest].(type) {
	case string:
		return v
	case *commonpb.Payload:
		var s string
		if converter.GetDefaultDataConverter().FromPayload(v, &s) == nil {
			return s
		}
	}
	return ""
}
