// Package app is the composition root of the worker: the only place where
// workflows, activities, clients, store and HTTP meet.
//
//	environment ─▶ app ─┬─ main worker (queue qbridge): workflows, ledger, config
//	                    ├─ connections: one activity worker per queue qualys.<c> / servicenow.<c>
//	                    └─ HTTP: health, metrics, read API
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/worker/config"
	"github.com/qbridge/qbridge/worker/console"
	"github.com/qbridge/qbridge/worker/freshness"
	"github.com/qbridge/qbridge/worker/httpapi"
	"github.com/qbridge/qbridge/worker/report"
	"github.com/qbridge/qbridge/worker/telemetry"
	"github.com/qbridge/qbridge/workflows"
	"github.com/qbridge/qbridge/workflows/contract"
)

// stopTimeout is how long activities may take to stop: a write in flight is
// finished or left to the next attempt.
const stopTimeout = 30 * time.Second

// Run runs the worker until ctx ends. Logs go to w.
func Run(ctx context.Context, cfg config.Config, w io.Writer) error {
	log, err := telemetry.NewLogger(w, cfg.LogLevel, cfg.LogFormat)
	if err != nil {
		return err
	}
	a, err := newApp(ctx, cfg, log, w)
	if err != nil {
		return err
	}
	defer a.close()
	return a.run(ctx)
}

// app is one worker process.
type app struct {
	cfg      config.Config
	log      zerolog.Logger
	out      io.Writer // for people, not for logs
	flush    func()    // sends what is left of traces; nil: there are none
	watch    *freshness.Watch
	metrics  *telemetry.Metrics
	store    store.Store
	temporal client.Client
	acts     *actors
	main     worker.Worker
	conns    *connections
	http     *httpapi.Server
	reports  *report.Cache
}

// actors are the activity structs, made once.
type actors struct {
	cis       *activities.CIs
	export    *activities.Export
	tagging   *activities.Tagging
	third     *activities.ThirdParty
	inventory *activities.Inventory
	certified *activities.Certificates
	write     *activities.Write
	ledger    *activities.Ledger
	config    *activities.Config
	approvals *activities.Approvals
	notify    *activities.Notify
	metadata  *activities.Metadata
}

func newApp(ctx context.Context, cfg config.Config, log zerolog.Logger, out io.Writer) (_ *app, err error) {
	a := &app{cfg: cfg, log: log, out: out}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if a.metrics, err = telemetry.NewMetrics(log); err != nil {
		return nil, err
	}
	db, err := sql.Open(ctx, cfg.StoreURL, sql.Options{})
	if err != nil {
		return nil, err
	}
	a.store = db
	opts, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fmt.Errorf("settings: TEMPORAL_*: %w", err)
	}
	opts.Logger = telemetry.ForTemporal(log)
	self := identity()
	opts.Identity, opts.MetricsHandler = self, a.metrics.Temporal()
	if cfg.OTLPEndpoint != "" {
		tracing, flush, err := telemetry.Traces(ctx, cfg.OTLPEndpoint)
		if err != nil {
			return nil, err
		}
		opts.Interceptors, a.flush = append(opts.Interceptors, tracing), flush
	}
	if a.temporal, err = client.DialContext(ctx, opts); err != nil {
		return nil, fmt.Errorf("no Temporal server at %s: %w; start one, or set TEMPORAL_ADDRESS", orDefault(opts.HostPort, "localhost:7233"), err)
	}
	settings := &activities.Settings{Store: a.store}
	vendors := newVendors(cfg, settings, a.metrics, log)
	bodies, err := activities.NewBodies()
	if err != nil {
		return nil, err
	}
	server := &activities.TemporalServer{Client: a.temporal, Namespace: orDefault(opts.Namespace, "default")}
	a.acts = &actors{
		cis:       &activities.CIs{Store: a.store, Settings: settings, Vendors: vendors, Bodies: bodies},
		third:     &activities.ThirdParty{Store: a.store, Settings: settings, Vendors: vendors, Bodies: bodies, Now: time.Now, Patience: activities.MetadataPatience()},
		tagging:   &activities.Tagging{Store: a.store, Settings: settings, Vendors: vendors, Bodies: bodies, Now: time.Now},
		export:    &activities.Export{Store: a.store, Settings: settings, Vendors: vendors, Bodies: bodies, Now: time.Now},
		inventory: &activities.Inventory{Store: a.store, Settings: settings, Vendors: vendors, Bodies: bodies, Now: time.Now},
		certified: &activities.Certificates{Store: a.store, Settings: settings, Vendors: vendors, Bodies: bodies, Now: time.Now},
		write:     &activities.Write{Store: a.store, Settings: settings, Vendors: vendors, Bodies: bodies, Now: time.Now},
		ledger:    &activities.Ledger{Store: a.store, Settings: settings, Temporal: server, Now: time.Now},
		config:    &activities.Config{Store: a.store, Settings: settings, Vendors: vendors},
		approvals: &activities.Approvals{Store: a.store, Settings: settings, Temporal: server, Now: time.Now},
		notify:    &activities.Notify{Settings: settings, Webhooks: vendors},
		metadata:  &activities.Metadata{Store: a.store, Settings: settings, Vendors: vendors, Bodies: bodies, Now: time.Now, Patience: activities.MetadataPatience()},
	}
	background, err := crash.Background()
	if err != nil {
		return nil, err
	}
	a.main = a.mainWorker(background)
	a.conns = newConnections(a.store, settings, a.temporal, a.acts, self, log)
	a.conns.background = background
	a.http = httpapi.New(httpapi.Options{
		Addr: cfg.HTTPAddr, Token: cfg.APIToken, Store: a.store, Settings: settings, Bodies: bodies,
		Metrics: a.metrics.Registry, Ready: a.ready, Log: log,
	})
	a.metrics.Registry.MustRegister(telemetry.NewState(a.store, settings, a.paused, time.Now, log))
	a.watch = &freshness.Watch{Store: a.store, Settings: settings, Owner: self, Paused: a.paused, Tell: a.acts.notify.Send, Now: time.Now, Log: log}
	return a, a.mountConsole(ctx, settings, bodies, orDefault(opts.Namespace, "default"))
}

// mainWorker polls the queue of workflows and store activities. Fixed pollers
// keep small activities from waiting for the server's partitions.
func (a *app) mainWorker(background context.Context) worker.Worker {
	w := worker.New(a.temporal, contract.QueueMain, worker.Options{
		WorkflowTaskPollerBehavior: worker.NewPollerBehaviorSimpleMaximum(worker.PollerBehaviorSimpleMaximumOptions{MaximumNumberOfPollers: 8}),
		ActivityTaskPollerBehavior: worker.NewPollerBehaviorSimpleMaximum(worker.PollerBehaviorSimpleMaximumOptions{MaximumNumberOfPollers: 8}),
		WorkerStopTimeout:          stopTimeout,
		BackgroundActivityContext:  background,
		Interceptors:               []interceptor.WorkerInterceptor{&stages{store: a.store, log: a.log}},
	})
	workflows.Register(w)
	for _, s := range []any{a.acts.ledger, a.acts.config, a.acts.approvals, a.acts.notify, a.acts.metadata} {
		w.RegisterActivityWithOptions(s, activity.RegisterOptions{})
	}
	return w
}

// run starts everything and waits for the end of ctx or the first failure.
func (a *app) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	addr, err := a.http.Start(func(err error) { cancel(err) })
	if err != nil {
		return err
	}
	if err := a.main.Start(); err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	defer a.main.Stop()
	a.log.Info().Str("http", addr).Str("store", storeKind(a.cfg.StoreURL)).Msg("worker is up")
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		a.watch.Run(ctx, a.cfg.FreshnessEvery)
	}()
	a.conns.run(ctx, a.cfg.RefreshEvery)
	<-watched
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	a.log.Info().Msg("worker stops")
	return nil
}

// paused reads which schedules somebody paused in Temporal.
func (a *app) paused(ctx context.Context) (map[string]bool, error) {
	states, err := (&console.Temporal{Client: a.temporal}).Schedules(ctx)
	out := map[string]bool{}
	for name, s := range states {
		out[name] = s.Paused
	}
	return out, err
}

// ready reports whether the worker can do its work now.
func (a *app) ready(ctx context.Context) error {
	if err := a.store.Ping(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if _, err := a.temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("temporal: %w", err)
	}
	return nil
}

func (a *app) close() {
	if a.http != nil {
		a.http.Close()
	}
	if a.reports != nil {
		a.reports.Close()
	}
	if a.temporal != nil {
		a.temporal.Close()
	}
	if a.flush != nil {
		a.flush()
	}
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			a.log.Error().Err(err).Msg("store not closed cleanly")
		}
	}
}
