// Package schedule turns the schedules of a configuration into Temporal
// schedules.
//
//	config.Schedule ──Desired (pure)──▶ client.ScheduleOptions
//	                                        │ compared with what Temporal has
//	                     Plan: what would change   Apply: changes it
//
// Every action carries a digest of what was applied in its memo: a digest that
// differs means that the configuration changed, an equal digest with other
// fields means that somebody changed the schedule by hand (drift). Schedules that
// are not ours (by id prefix) are never touched. Operators own pauses and notes:
// only a pause that the configuration asked for is set, and only a pause that
// this package set is lifted.
package schedule

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// memoDigest is the key, in the action's memo, of the digest of what was applied.
const memoDigest = "qbridge_digest"

// catchup is how far back missed runs are caught up after an outage: one run is
// as good as many.
const catchup = time.Hour

// Notes that this package writes. A pause with one of the last two is ours to lift.
const (
	noteManaged = "managed by qbridge apply"
	notePaused  = "paused by the configuration"
	noteOrphan  = "no longer in the configuration"
)

// ID returns the Temporal schedule id of a schedule.
func ID(name string) string { return contract.TemporalScheduleID(name) }

// Name returns the name of a schedule by its Temporal id; ok is false for those
// that are not ours.
func Name(id string) (name string, ok bool) { return contract.ScheduleOfTemporalID(id) }

// Desired returns the Temporal schedule of a configuration's schedule; ok is
// false for manual ones. The error is that of a calendar which Validate refuses.
func Desired(s *config.Schedule) (o client.ScheduleOptions, ok bool, err error) {
	if s.Manual {
		return o, false, nil
	}
	spec, err := specOf(s)
	if err != nil {
		return o, false, fmt.Errorf("schedule %s: %w", s.Name, err)
	}
	workflow, id := contract.RunOf(s.Kind, s.Name)
	action := &client.ScheduleWorkflowAction{
		ID: id, Workflow: workflow, TaskQueue: contract.QueueMain,
		Args: []any{contract.RunInput{Schedule: s.Name}}, StaticSummary: contract.SummaryOf(s.Kind, s.Name),
	}
	o = client.ScheduleOptions{
		ID: ID(s.Name), Spec: spec, Action: action,
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: cmp.Or(time.Duration(s.CatchUp), catchup), Paused: s.Paused, Note: noteManaged,
	}
	if s.Overlap == config.OverlapQueue {
		o.Overlap = enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE
	}
	if s.Paused {
		o.Note = notePaused
	}
	digest, err := digestOf(fieldsOf(&spec, action, policyOf(&o)))
	if err != nil {
		return o, false, fmt.Errorf("schedule %s: %w", s.Name, err)
	}
	action.Memo = map[string]any{memoDigest: digest}
	return o, true, nil
}

// specOf says when a schedule runs.
func specOf(s *config.Schedule) (client.ScheduleSpec, error) {
	spec := client.ScheduleSpec{TimeZoneName: s.TimeZone, Jitter: time.Duration(s.Jitter)}
	switch {
	case s.Every != 0:
		spec.Intervals = []client.ScheduleIntervalSpec{{Every: time.Duration(s.Every)}}
	case s.Once != "":
		at, err := config.ParseInstant(s.Once, s.TimeZone)
		if err != nil {
			return spec, err
		}
		spec.TimeZoneName = ""
		spec.Calendars = []client.ScheduleCalendarSpec{{
			Year: on(at.Year()), Month: on(int(at.Month())), DayOfMonth: on(at.Day()), Hour: on(at.Hour()), Minute: on(at.Minute()), Second: on(at.Second()),
		}}
	default:
		c, err := config.ParseCalendar(s.Calendar)
		if err != nil {
			return spec, err
		}
		spec.Calendars = []client.ScheduleCalendarSpec{calendar(c)}
	}
	return spec, nil
}

func policyOf(o *client.ScheduleOptions) *client.SchedulePolicies {
	return &client.SchedulePolicies{Overlap: o.Overlap, CatchupWindow: o.CatchupWindow, PauseOnFailure: o.PauseOnFailure}
}

func calendar(c config.Calendar) client.ScheduleCalendarSpec {
	spec := client.ScheduleCalendarSpec{Hour: on(c.Hour), Minute: on(c.Minute)}
	switch c.Every {
	case "weekly":
		spec.DayOfWeek = on(c.Weekdays...)
	case "monthly":
		spec.DayOfMonth = on(c.Day)
	}
	return spec
}

// on lists single values of a calendar's field.
func on(values ...int) []client.ScheduleRange {
	out := make([]client.ScheduleRange, 0, len(values))
	for _, n := range values {
		out = append(out, client.ScheduleRange{Start: n})
	}
	return out
}

// digestOf covers what makes the Temporal schedule, so that an equal one is not
// written again.
func digestOf(fields []field) (string, error) {
	b, err := json.Marshal(fields)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}
