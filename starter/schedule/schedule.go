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
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// prefix marks the schedules that are ours.
const prefix = "qbridge/"

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
func ID(name string) string { return prefix + name }

// Name returns the name of a schedule by its Temporal id; ok is false for those
// that are not ours.
func Name(id string) (name string, ok bool) { return strings.CutPrefix(id, prefix) }

// Desired returns the Temporal schedule of a configuration's schedule; ok is
// false for manual ones. The error is that of a calendar which Validate refuses.
func Desired(s *config.Schedule) (o client.ScheduleOptions, ok bool, err error) {
	if s.Manual {
		return o, false, nil
	}
	spec := client.ScheduleSpec{TimeZoneName: s.TimeZone}
	if s.Every != 0 {
		spec.Intervals = []client.ScheduleIntervalSpec{{Every: time.Duration(s.Every)}}
	} else {
		c, err := config.ParseCalendar(s.Calendar)
		if err != nil {
			return o, false, fmt.Errorf("schedule %s: %w", s.Name, err)
		}
		spec.Calendars = []client.ScheduleCalendarSpec{calendar(c)}
	}
	action := &client.ScheduleWorkflowAction{
		ID: contract.SyncWorkflowID(s.Name), Workflow: contract.SyncInventory, TaskQueue: contract.QueueMain,
		Args: []any{contract.RunInput{Schedule: s.Name}}, StaticSummary: "Qualys → ServiceNow, schedule " + s.Name,
	}
	o = client.ScheduleOptions{
		ID: ID(s.Name), Spec: spec, Action: action,
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchup, Paused: s.Paused, Note: noteManaged,
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

func policyOf(o *client.ScheduleOptions) *client.SchedulePolicies {
	return &client.SchedulePolicies{Overlap: o.Overlap, CatchupWindow: o.CatchupWindow, PauseOnFailure: o.PauseOnFailure}
}

func calendar(c config.Calendar) client.ScheduleCalendarSpec {
	at := func(n int) []client.ScheduleRange { return []client.ScheduleRange{{Start: n}} }
	spec := client.ScheduleCalendarSpec{Hour: at(c.Hour), Minute: at(c.Minute)}
	switch c.Every {
	case "weekly":
		spec.DayOfWeek = at(c.Weekday)
	case "monthly":
		spec.DayOfMonth = at(c.Day)
	}
	return spec
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
