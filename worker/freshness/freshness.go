// Package freshness watches whether schedules bring what they bring in time, and
// tells when one is late and when it is in time again.
//
// It is a loop of one worker and no workflow: it must also notice that nothing runs
// any more. What was told is in the store, so that a restart tells nothing twice.
package freshness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/config"
)

// Status is how fresh a schedule is.
type Status struct {
	Schedule string
	config.Freshness
}

// All judges the schedules of the active configuration; without one there are none.
// paused tells which are paused in Temporal: nothing is expected of them.
func All(ctx context.Context, s store.Store, settings *activities.Settings, paused func(name string) bool, now time.Time) ([]Status, error) {
	rev, cfg, err := active(ctx, s, settings)
	if err != nil || cfg == nil {
		return nil, err
	}
	last, err := s.LastComplete(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Status, len(cfg.Schedules))
	for i := range cfg.Schedules {
		sched := cfg.Schedules[i]
		sched.Paused = sched.Paused || paused(sched.Name)
		out[i] = Status{sched.Name, sched.FreshnessOf(last[sched.Name], rev.CreatedAt, now)}
	}
	return out, nil
}

func active(ctx context.Context, s store.Store, settings *activities.Settings) (store.Revision, *config.Config, error) {
	rev, err := s.ActiveRevision(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return rev, nil, nil
	}
	if err != nil {
		return rev, nil, err
	}
	_, cfg, err := settings.Config(ctx, rev.ID)
	return rev, cfg, err
}

// Watch tells people. Every worker has one; the one that holds the watch looks.
type Watch struct {
	Store    store.Store
	Settings *activities.Settings
	Owner    string
	// Paused reads which schedules are paused in Temporal. When it fails what it
	// said last holds.
	Paused func(ctx context.Context) (map[string]bool, error)
	Tell   func(ctx context.Context, n activities.Notice) error
	Now    func() time.Time
	Log    zerolog.Logger

	known map[string]bool
}

// Events of notices.
const (
	EventLate      = "freshness.late"
	EventRecovered = "freshness.recovered"
)

// watchName is the queue, which nobody polls, that stands for the watch.
const watchName = "freshness"

// Run looks every so often until ctx ends, and leaves the watch to others then.
func (w *Watch) Run(ctx context.Context, every time.Duration) {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		if err := w.Store.ReleasePoller(ctx, watchName, w.Owner); err != nil {
			w.Log.Warn().Err(err).Msg("the watch over freshness is left in a few minutes")
		}
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := w.Look(ctx, every); err != nil && ctx.Err() == nil {
			w.Log.Error().Err(err).Msg("freshness cannot be judged")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lookTimeout bounds one look, posts included, and releaseTimeout leaving the watch.
const (
	lookTimeout    = time.Minute
	releaseTimeout = 3 * time.Second
)

// Look judges the schedules once, and tells what changed. A notice that cannot be
// delivered is tried again by the next look; one that was delivered by a worker that
// died before it could note so is told twice.
func (w *Watch) Look(ctx context.Context, every time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	mine, err := w.Store.AcquirePoller(ctx, watchName, w.Owner, 3*every)
	if err != nil || !mine {
		return err
	}
	if known, err := w.Paused(ctx); err == nil {
		w.known = known
	} else {
		w.Log.Warn().Err(err).Msg("Temporal does not say which schedules are paused")
	}
	list, err := All(ctx, w.Store, w.Settings, func(name string) bool { return w.known[name] }, w.Now())
	if err != nil {
		return err
	}
	told, err := w.Store.Told(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range list {
		since, was := told[s.Schedule]
		delete(told, s.Schedule)
		switch {
		case s.Late > 0 && !was:
			errs = append(errs, w.tell(ctx, s, true, s.Since))
		case s.Late == 0 && was:
			errs = append(errs, w.tell(ctx, s, false, since))
		}
	}
	for gone := range told { // a schedule that is not configured any more is nobody's worry
		errs = append(errs, w.Store.SetTold(ctx, gone, time.Time{}))
	}
	return errors.Join(errs...)
}

func (w *Watch) tell(ctx context.Context, s Status, late bool, since time.Time) error {
	n := activities.Notice{Event: EventRecovered, Schedule: s.Schedule, Text: fmt.Sprintf("Schedule %s is in time again: its last complete run began at %s.", s.Schedule, s.Since.UTC().Format(time.RFC3339))}
	if late {
		n.Event = EventLate
		n.Text = fmt.Sprintf("Schedule %s has had no complete run since %s; it should be at most %s old. Look at its runs with: qbridge run list --schedule %s", s.Schedule, s.Since.UTC().Format(time.RFC3339), s.Objective, s.Schedule)
		w.Log.Warn().Str("schedule", s.Schedule).Time("since", s.Since).Dur("objective", s.Objective).Msg("schedule is late")
	} else {
		since = time.Time{}
		w.Log.Info().Str("schedule", s.Schedule).Msg("schedule is in time again")
	}
	if err := w.Tell(ctx, n); err != nil {
		return err
	}
	return w.Store.SetTold(ctx, s.Schedule, since)
}
