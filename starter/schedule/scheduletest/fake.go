// Package scheduletest stands in for Temporal's schedules in tests. Like the
// real server it answers in its own form, not in ours: workflow inputs and memo
// values come back as payloads, calendar fields that were unset come back
// spelled out, ranges come back with end and step.
//
// Not modelled: firing, backfills, search attributes, eventual consistency of
// List.
package scheduletest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

// Client is an in-memory schedule client. Its zero value is ready. It is for one
// goroutine.
type Client struct {
	client.ScheduleClient
	Schedules map[string]*client.Schedule
	// Writes lists every call that writes: "create qbridge/servers", …
	Writes []string
	// Next are the times to come of every schedule.
	Next []time.Time
	// Err, when set, is what every call answers.
	Err error
}

// Create stores a schedule, or says that it exists.
func (c *Client) Create(_ context.Context, o client.ScheduleOptions) (client.ScheduleHandle, error) {
	if c.Err != nil {
		return nil, c.Err
	}
	if c.Schedules[o.ID] != nil {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	c.put("create", o.ID, &client.Schedule{
		Spec: &o.Spec, Action: o.Action, State: &client.ScheduleState{Paused: o.Paused, Note: o.Note},
		Policy: &client.SchedulePolicies{Overlap: o.Overlap, CatchupWindow: o.CatchupWindow, PauseOnFailure: o.PauseOnFailure},
	})
	return c.GetHandle(context.Background(), o.ID), nil
}

func (c *Client) put(verb, id string, s *client.Schedule) {
	if c.Schedules == nil {
		c.Schedules = map[string]*client.Schedule{}
	}
	c.Schedules[id] = described(s)
	c.Writes = append(c.Writes, verb+" "+id)
}

// described is a schedule in the form in which the server describes it.
func described(s *client.Schedule) *client.Schedule {
	out, spec := *s, *s.Spec
	spec.Calendars = slices.Clone(spec.Calendars)
	for i := range spec.Calendars {
		d := &spec.Calendars[i]
		for _, f := range []struct {
			ranges     *[]client.ScheduleRange
			start, end int
		}{{&d.Second, 0, 0}, {&d.Minute, 0, 0}, {&d.Hour, 0, 0}, {&d.DayOfMonth, 1, 31}, {&d.Month, 1, 12}, {&d.DayOfWeek, 0, 6}} {
			if *f.ranges == nil {
				*f.ranges = []client.ScheduleRange{{Start: f.start, End: f.end}}
			}
			for k := range *f.ranges {
				r := &(*f.ranges)[k]
				r.End, r.Step = max(r.Start, r.End), max(r.Step, 1)
			}
		}
	}
	out.Spec = &spec
	if act, ok := s.Action.(*client.ScheduleWorkflowAction); ok {
		a := *act
		a.Args = slices.Clone(a.Args)
		for i := range a.Args {
			a.Args[i] = payload(a.Args[i])
		}
		a.Memo = maps.Clone(a.Memo)
		for k, v := range a.Memo {
			a.Memo[k] = payload(v)
		}
		out.Action = &a
	}
	return &out
}

func payload(v any) any {
	p, err := converter.GetDefaultDataConverter().ToPayload(v)
	if err != nil {
		panic(fmt.Sprintf("scheduletest: %v", err))
	}
	return p
}

// GetHandle returns a handle; the schedule need not exist.
func (c *Client) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	return &handle{c: c, id: id}
}

// List returns every schedule, by id.
func (c *Client) List(context.Context, client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	return &list{c: c, ids: slices.Sorted(maps.Keys(c.Schedules))}, c.Err
}

type list struct {
	c   *Client
	ids []string
}

func (l *list) HasNext() bool { return len(l.ids) > 0 }

func (l *list) Next() (*client.ScheduleListEntry, error) {
	id := l.ids[0]
	l.ids = l.ids[1:]
	s := l.c.Schedules[id]
	return &client.ScheduleListEntry{ID: id, Paused: s.State.Paused, Note: s.State.Note}, nil
}

type handle struct {
	client.ScheduleHandle
	c  *Client
	id string
}

func (h *handle) Describe(context.Context) (*client.ScheduleDescription, error) {
	if h.c.Err != nil {
		return nil, h.c.Err
	}
	s := h.c.Schedules[h.id]
	if s == nil {
		return nil, serviceerror.NewNotFound("schedule not found")
	}
	return &client.ScheduleDescription{Schedule: *s, Info: client.ScheduleInfo{NextActionTimes: h.c.Next}}, nil
}

func (h *handle) Delete(context.Context) error {
	if h.c.Schedules[h.id] == nil {
		return serviceerror.NewNotFound("schedule not found")
	}
	delete(h.c.Schedules, h.id)
	h.c.Writes = append(h.c.Writes, "delete "+h.id)
	return nil
}

func (h *handle) Trigger(context.Context, client.ScheduleTriggerOptions) error {
	return h.act("trigger")
}

func (h *handle) Backfill(_ context.Context, o client.ScheduleBackfillOptions) error {
	verb := "backfill"
	for _, b := range o.Backfill {
		verb += fmt.Sprintf(" %s–%s", b.Start.UTC().Format(time.RFC3339), b.End.UTC().Format(time.RFC3339))
	}
	return h.act(verb)
}

func (h *handle) act(verb string) error {
	if h.c.Schedules[h.id] == nil {
		return serviceerror.NewNotFound("schedule not found")
	}
	h.c.Writes = append(h.c.Writes, verb+" "+h.id)
	return h.c.Err
}

func (h *handle) Update(ctx context.Context, o client.ScheduleUpdateOptions) error {
	d, err := h.Describe(ctx)
	if err != nil {
		return err
	}
	u, err := o.DoUpdate(client.ScheduleUpdateInput{Description: *d})
	if err != nil {
		return err
	}
	h.c.put("update", h.id, u.Schedule)
	return nil
}

func (h *handle) Pause(_ context.Context, o client.SchedulePauseOptions) error {
	return h.state("pause", client.ScheduleState{Paused: true, Note: o.Note})
}

func (h *handle) Unpause(_ context.Context, o client.ScheduleUnpauseOptions) error {
	return h.state("unpause", client.ScheduleState{Note: o.Note})
}

func (h *handle) state(verb string, s client.ScheduleState) error {
	live := h.c.Schedules[h.id]
	if live == nil {
		return serviceerror.NewNotFound("schedule not found")
	}
	live.State = &s
	h.c.Writes = append(h.c.Writes, verb+" "+h.id)
	return h.c.Err
}
