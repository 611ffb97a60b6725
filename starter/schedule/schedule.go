// Package schedule turns the schedules of a configuration into Temporal
// schedules. Desired is pure; Apply creates and updates. Schedules that are not
// ours (by id prefix) are never touched, and what operators own — a pause, a
// note — stays.
package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

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

// Change says what Apply did with one schedule.
type Change struct {
	Name string `json:"name"`
	What string `json:"what"` // created, updated, unchanged, paused
}

// ID returns the Temporal schedule id of a schedule.
func ID(name string) string { return prefix + name }

// Desired returns the Temporal schedule of a configuration's schedule; ok is
// false for manual ones.
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
			return o, false, err
		}
		spec.Calendars = []client.ScheduleCalendarSpec{calendar(c)}
	}
	digest, err := digestOf(s)
	if err != nil {
		return o, false, err
	}
	return client.ScheduleOptions{
		ID:   ID(s.Name),
		Spec: spec,
		Action: &client.ScheduleWorkflowAction{
			ID: contract.SyncWorkflowID(s.Name), Workflow: contract.SyncInventory, TaskQueue: contract.QueueMain,
			Args: []any{contract.RunInput{Schedule: s.Name}}, Memo: map[string]any{memoDigest: digest},
			StaticSummary: "Qualys → ServiceNow, schedule " + s.Name,
		},
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchup, Paused: s.Paused, Note: "managed by qbridge apply",
	}, true, nil
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
func digestOf(s *config.Schedule) (string, error) {
	b, err := json.Marshal([]any{s.Name, s.Every, s.Calendar, s.TimeZone, catchup})
	if err != nil {
		return "", fmt.Errorf("schedule %s: %w", s.Name, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}

// Apply creates and updates the schedules of a configuration and pauses those of
// ours that it no longer has.
func Apply(ctx context.Context, sc client.ScheduleClient, cfg *config.Config) ([]Change, error) {
	var out []Change
	wanted := map[string]bool{}
	for i := range cfg.Schedules {
		s := &cfg.Schedules[i]
		o, ok, err := Desired(s)
		if err != nil {
			return out, err
		}
		if !ok {
			continue
		}
		wanted[o.ID] = true
		what, err := put(ctx, sc, o, s.Paused)
		if err != nil {
			return out, fmt.Errorf("schedule %s: %w", s.Name, err)
		}
		out = append(out, Change{Name: s.Name, What: what})
	}
	gone, err := pauseOrphans(ctx, sc, wanted)
	return append(out, gone...), err
}

func put(ctx context.Context, sc client.ScheduleClient, o client.ScheduleOptions, paused bool) (string, error) {
	_, err := sc.Create(ctx, o)
	if err == nil {
		return "created", nil
	}
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return "", err
	}
	h := sc.GetHandle(ctx, o.ID)
	what := "unchanged"
	err = h.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		live := in.Description.Schedule
		if appliedDigest(live.Action) == o.Action.(*client.ScheduleWorkflowAction).Memo[memoDigest] && (!paused || live.State.Paused) {
			return nil, temporal.ErrSkipScheduleUpdate
		}
		what = "updated"
		live.Spec, live.Action = &o.Spec, o.Action
		live.Policy = &client.SchedulePolicies{Overlap: o.Overlap, CatchupWindow: o.CatchupWindow}
		if paused {
			live.State.Paused = true
		}
		return &client.ScheduleUpdate{Schedule: &live}, nil
	}})
	return what, err
}

// appliedDigest reads the digest from a live schedule's action.
func appliedDigest(a client.ScheduleAction) any {
	act, ok := a.(*client.ScheduleWorkflowAction)
	if !ok {
		return nil
	}
	switch v := act.Memo[memoDigest].(type) {
	case string:
		return v
	case interface{ GetData() []byte }:
		var s string
		if json.Unmarshal(v.GetData(), &s) == nil {
			return s
		}
	}
	return nil
}

func pauseOrphans(ctx context.Context, sc client.ScheduleClient, wanted map[string]bool) ([]Change, error) {
	var out []Change
	list, err := sc.List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return nil, err
	}
	for list.HasNext() {
		e, err := list.Next()
		if err != nil {
			return out, err
		}
		if len(e.ID) <= len(prefix) || e.ID[:len(prefix)] != prefix || wanted[e.ID] || e.Paused {
			continue
		}
		if err := sc.GetHandle(ctx, e.ID).Pause(ctx, client.SchedulePauseOptions{Note: "no longer in the configuration"}); err != nil {
			return out, err
		}
		out = append(out, Change{Name: e.ID[len(prefix):], What: "paused: no longer in the configuration"})
	}
	return out, nil
}
