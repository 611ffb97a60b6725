package schedule

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/domain/config"
)

// Verb says what becomes of a Temporal schedule.
type Verb string

// Verbs. Mend is an update of a schedule that somebody changed by hand.
const (
	Create    Verb = "create"
	Update    Verb = "update"
	Mend      Verb = "mend"
	Pause     Verb = "pause"
	Unpause   Verb = "unpause"
	Delete    Verb = "delete"
	Unchanged Verb = "unchanged"
)

// Change is what Plan would do, or Apply did, with one schedule.
type Change struct {
	Name string   `json:"name"`
	Verb Verb     `json:"verb"`
	Why  []string `json:"why,omitempty"`
	// Held says why a schedule that should run is paused by somebody else.
	Held string `json:"held,omitempty"`
}

// Done is the verb after the fact.
func (c Change) Done() string {
	switch c.Verb {
	case Unchanged:
		return string(Unchanged)
	case Mend:
		return "mended"
	default:
		return string(c.Verb) + "d"
	}
}

// Drifted reports whether somebody changed one of the schedules by hand.
func Drifted(changes []Change) bool {
	for _, c := range changes {
		if c.Verb == Mend {
			return true
		}
	}
	return false
}

// Plan tells what Apply would do. It only reads.
func Plan(ctx context.Context, sc client.ScheduleClient, cfg *config.Config, prune bool) ([]Change, error) {
	var out []Change
	err := each(ctx, sc, cfg, prune, func(_ client.ScheduleOptions, c Change) error {
		out = append(out, c)
		return nil
	})
	return out, err
}

// Apply creates and updates the schedules of a configuration and pauses those of
// ours that it no longer has; with prune it deletes them. A second call in a row
// writes nothing. What was done before an error is returned with it.
func Apply(ctx context.Context, sc client.ScheduleClient, cfg *config.Config, prune bool) ([]Change, error) {
	var out []Change
	err := each(ctx, sc, cfg, prune, func(o client.ScheduleOptions, c Change) error {
		if err := do(ctx, sc, o, c.Verb); err != nil {
			return fmt.Errorf("schedule %s: %w", c.Name, err)
		}
		out = append(out, c)
		return nil
	})
	return out, err
}

// each visits every wanted schedule, then every one of ours that is not wanted
// any more.
func each(ctx context.Context, sc client.ScheduleClient, cfg *config.Config, prune bool, visit func(client.ScheduleOptions, Change) error) error {
	wanted := map[string]bool{}
	for i := range cfg.Schedules {
		o, ok, err := Desired(&cfg.Schedules[i])
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		wanted[o.ID] = true
		c, err := compare(ctx, sc, o)
		if err != nil {
			return fmt.Errorf("schedule %s: %w", cfg.Schedules[i].Name, err)
		}
		if err := visit(o, c); err != nil {
			return err
		}
	}
	list, err := sc.List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return err
	}
	for list.HasNext() {
		e, err := list.Next()
		if err != nil {
			return err
		}
		name, ours := Name(e.ID)
		if !ours || name == "" || wanted[e.ID] || e.Paused && !prune {
			continue
		}
		verb := Pause
		if prune {
			verb = Delete
		}
		o := client.ScheduleOptions{ID: e.ID, Note: noteOrphan}
		if err := visit(o, Change{Name: name, Verb: verb, Why: []string{noteOrphan}}); err != nil {
			return err
		}
	}
	return nil
}

// compare decides what becomes of one wanted schedule.
func compare(ctx context.Context, sc client.ScheduleClient, o client.ScheduleOptions) (Change, error) {
	name, _ := Name(o.ID)
	c := Change{Name: name, Verb: Unchanged}
	live, err := sc.GetHandle(ctx, o.ID).Describe(ctx)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		c.Verb, c.Why = Create, []string{whenOf(&o.Spec)}
		return c, nil
	}
	if err != nil {
		return c, err
	}
	s := live.Schedule
	c.Why = differences(fieldsOf(s.Spec, s.Action, s.Policy), fieldsOf(&o.Spec, o.Action, policyOf(&o)))
	switch {
	case appliedDigest(s.Action) != appliedDigest(o.Action):
		c.Verb = Update
		return c, nil
	case len(c.Why) > 0:
		c.Verb = Mend
		return c, nil
	}
	c.Verb, c.Held = pauseOf(s.State, o.Paused)
	return c, nil
}

// pauseOf decides whether a schedule is to be paused or let run; held is the
// note of a pause that is not ours to lift.
func pauseOf(state *client.ScheduleState, wanted bool) (v Verb, held string) {
	switch paused := state != nil && state.Paused; {
	case wanted && !paused:
		return Pause, ""
	case !wanted && paused && (state.Note == notePaused || state.Note == noteOrphan):
		return Unpause, ""
	case !wanted && paused && state.Note == "":
		return Unchanged, "paused by hand"
	case !wanted && paused:
		return Unchanged, "paused: " + state.Note
	}
	return Unchanged, ""
}

func do(ctx context.Context, sc client.ScheduleClient, o client.ScheduleOptions, v Verb) error {
	h := sc.GetHandle(ctx, o.ID)
	switch v {
	case Create:
		_, err := sc.Create(ctx, o)
		if errors.Is(err, temporal.ErrScheduleAlreadyRunning) { // somebody was faster
			return update(ctx, h, o)
		}
		return err
	case Update, Mend:
		return update(ctx, h, o)
	case Pause:
		return h.Pause(ctx, client.SchedulePauseOptions{Note: o.Note})
	case Unpause:
		return h.Unpause(ctx, client.ScheduleUnpauseOptions{Note: noteManaged})
	case Delete:
		return h.Delete(ctx)
	}
	return nil
}

// update replaces spec, action and policy as a whole: fields that are left out
// of a spec would otherwise stay.
func update(ctx context.Context, h client.ScheduleHandle, o client.ScheduleOptions) error {
	return h.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		live := in.Description.Schedule
		if live.State == nil {
			live.State = &client.ScheduleState{}
		}
		switch v, _ := pauseOf(live.State, o.Paused); v {
		case Pause:
			live.State.Paused, live.State.Note = true, o.Note
		case Unpause:
			live.State.Paused, live.State.Note = false, noteManaged
		}
		live.Spec, live.Action, live.Policy = &o.Spec, o.Action, policyOf(&o)
		return &client.ScheduleUpdate{Schedule: &live}, nil
	}})
}
