package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/workflows/contract"
)

// pollerTTL is how long a silent process keeps a queue: others take over after it.
const pollerTTL = 12 * time.Second

// releaseTimeout bounds giving a queue up when its worker stops.
const releaseTimeout = 5 * time.Second

// Activities that one connection runs at a time. Qualys subscriptions allow two
// calls side by side; a page write has its own lanes inside.
const (
	qualysActivities     = 2
	serviceNowActivities = 2
)

// connections keeps one activity worker per connection of the active revision
// and of open runs. A connection's queue is polled by one process at a time, so
// that its limits, token and pacing live in one place; the store row that this
// process renews says which.
type connections struct {
	store    store.Store
	settings *activities.Settings
	temporal client.Client
	acts     *actors
	owner    string
	log      zerolog.Logger
	workers  map[string]worker.Worker // by queue
	stopping sync.WaitGroup

	background context.Context // of activities
}

func newConnections(s store.Store, settings *activities.Settings, c client.Client, acts *actors, owner string, log zerolog.Logger) *connections {
	return &connections{store: s, settings: settings, temporal: c, acts: acts, owner: owner, log: log, workers: map[string]worker.Worker{}}
}

// run refreshes until ctx ends, then stops all workers and gives their queues up.
func (c *connections) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			c.log.Error().Err(err).Msg("connections not refreshed")
		}
		select {
		case <-ctx.Done():
			c.stopAll()
			return
		case <-tick.C:
		}
	}
}

// refresh starts workers for new connections, renews the rows of running ones
// and stops those that are gone or were taken over.
func (c *connections) refresh(ctx context.Context) error {
	wanted, err := c.wanted(ctx)
	if err != nil {
		return err
	}
	for queue := range c.workers {
		if !wanted[queue] {
			c.stop(queue, "connection is gone", true)
		}
	}
	for queue := range wanted {
		mine, err := c.store.AcquirePoller(ctx, queue, c.owner, pollerTTL)
		if err != nil {
			return err
		}
		_, running := c.workers[queue]
		switch {
		case mine && !running:
			if err := c.start(queue); err != nil {
				return err
			}
		case !mine && running:
			c.stop(queue, "another process polls it", false)
		}
	}
	return nil
}

// wanted returns the queues of all connections in use.
func (c *connections) wanted(ctx context.Context) (map[string]bool, error) {
	revs, err := c.store.RevisionsInUse(ctx)
	if err != nil {
		return nil, err
	}
	queues := map[string]bool{}
	for _, rev := range revs {
		_, cfg, err := c.settings.Config(ctx, rev.ID)
		var user *activities.UserError
		if errors.As(err, &user) {
			c.log.Error().Err(err).Str("revision", rev.ID).Msg("revision not usable")
			continue
		}
		if err != nil { // no reason to stop anything
			return nil, err
		}
		for _, q := range cfg.Qualys {
			queues[contract.QualysQueue(q.Name)] = true
		}
		for _, s := range cfg.ServiceNow {
			queues[contract.ServiceNowQueue(s.Name)] = true
		}
	}
	return queues, nil
}

func (c *connections) start(queue string) error {
	system, name, _ := contract.ParseQueue(queue)
	opts := worker.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: qualysActivities,
		ActivityTaskPollerBehavior:         worker.NewPollerBehaviorSimpleMaximum(worker.PollerBehaviorSimpleMaximumOptions{MaximumNumberOfPollers: 2}),
		WorkerStopTimeout:                  stopTimeout,
		BackgroundActivityContext:          c.background,
		Interceptors:                       []interceptor.WorkerInterceptor{&stages{store: c.store, log: c.log}},
	}
	acts := []any{c.acts.inventory, c.acts.certified}
	if system == systemServiceNow {
		acts, opts.MaxConcurrentActivityExecutionSize = []any{c.acts.write}, serviceNowActivities
	}
	w := worker.New(c.temporal, queue, opts)
	for _, s := range append(acts, c.acts.metadata, c.acts.cis, c.acts.export, c.acts.tagging, c.acts.third) {
		w.RegisterActivity(s)
	}
	if err := w.Start(); err != nil {
		return err
	}
	c.workers[queue] = w
	c.log.Info().Str("connection", name).Str("queue", queue).Msg("connection starts")
	return nil
}

// stop ends the worker of a queue without waiting for its activities: the rows
// of other queues must be renewed meanwhile. Its own row, as long as it is ours,
// is renewed too until the last activity has ended: nobody else may call the
// vendor beside it.
func (c *connections) stop(queue, why string, ours bool) {
	w := c.workers[queue]
	delete(c.workers, queue)
	c.log.Info().Str("queue", queue).Str("reason", why).Msg("connection stops")
	c.stopping.Add(1)
	go func() {
		defer c.stopping.Done()
		stopped := make(chan struct{})
		go func() { w.Stop(); close(stopped) }()
		c.hold(queue, ours, stopped)
		ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
		defer cancel()
		if err := c.store.ReleasePoller(ctx, queue, c.owner); err != nil {
			c.log.Warn().Err(err).Str("queue", queue).Msg("queue not released; others take over when it expires")
		}
	}()
}

// hold keeps a queue until its worker has stopped.
func (c *connections) hold(queue string, ours bool, stopped <-chan struct{}) {
	tick := time.NewTicker(pollerTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-stopped:
			return
		case <-tick.C:
		}
		if !ours {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
		mine, err := c.store.AcquirePoller(ctx, queue, c.owner, pollerTTL)
		cancel()
		if err != nil {
			c.log.Warn().Err(err).Str("queue", queue).Msg("queue not renewed while its worker stops")
		}
		ours = mine || err != nil
	}
}

// stopAll stops every worker, side by side, and waits for them.
func (c *connections) stopAll() {
	for queue := range c.workers {
		c.stop(queue, "worker stops", true)
	}
	c.stopping.Wait()
}
