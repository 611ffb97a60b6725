package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/worker/freshness"
	"github.com/qbridge/qbridge/workflows/contract"
)

// State tells what the store knows: runs and records since the store was made, what
// waits, how fresh schedules are. All workers of one store tell the same, whichever
// of them did the work: take the maximum over workers, not the sum.
type State struct {
	store    store.Store
	settings *activities.Settings
	paused   func(ctx context.Context) (map[string]bool, error)
	now      func() time.Time
	log      zerolog.Logger

	mu      sync.Mutex
	last    store.Run // up to which runs are counted
	runs    map[[2]string]float64
	records map[[2]string]float64
	calls   map[[2]string]float64
	stages  map[[2]string]float64
	pauses  map[string]bool
}

var (
	runsDesc      = prometheus.NewDesc("qbridge_runs_total", "Runs that ended, by schedule and status.", []string{"schedule", "status"}, nil)
	recordsDesc   = prometheus.NewDesc("qbridge_records_total", "Records of runs that ended, by schedule and outcome.", []string{"schedule", "outcome"}, nil)
	stagesDesc    = prometheus.NewDesc("qbridge_run_stage_seconds_total", "What the time of runs that ended went to, by schedule and stage, in seconds of all lanes.", []string{"schedule", "stage"}, nil)
	runCallsDesc  = prometheus.NewDesc("qbridge_run_calls_total", "Vendor calls of runs that ended, by schedule and system.", []string{"schedule", "system"}, nil)
	lastDesc      = prometheus.NewDesc("qbridge_last_complete_run_timestamp_seconds", "When the last complete run of a schedule began.", []string{"schedule"}, nil)
	objectiveDesc = prometheus.NewDesc("qbridge_freshness_objective_seconds", "How old what a schedule brings may get.", []string{"schedule"}, nil)
	lateDesc      = prometheus.NewDesc("qbridge_freshness_late_seconds", "By how much a schedule is later than its objective; 0: it is in time.", []string{"schedule"}, nil)
	waitingDesc   = prometheus.NewDesc("qbridge_records_waiting", "Records that wait, by schedule and state.", []string{"schedule", "state"}, nil)
	certsDesc     = prometheus.NewDesc("qbridge_certificates", "Certificates that are in use, by schedule and the days within which they end (0: they have ended).", []string{"schedule", "days"}, nil)
	polledDesc    = prometheus.NewDesc("qbridge_queue_polled", "Whether some worker polls the queue of a connection.", []string{"queue"}, nil)
	sizeDesc      = prometheus.NewDesc("qbridge_store_bytes", "Size of the store.", nil, nil)
	pingDesc      = prometheus.NewDesc("qbridge_store_ping_seconds", "How long the store took to answer.", nil, nil)
	upDesc        = prometheus.NewDesc("qbridge_store_up", "Whether the store answers.", nil, nil)
)

// NewState returns a collector. paused reads which schedules are paused in Temporal.
func NewState(s store.Store, settings *activities.Settings, paused func(ctx context.Context) (map[string]bool, error), now func() time.Time, log zerolog.Logger) *State {
	return &State{store: s, settings: settings, paused: paused, now: now, log: log, runs: map[[2]string]float64{}, records: map[[2]string]float64{}, calls: map[[2]string]float64{}, stages: map[[2]string]float64{}}
}

// Describe implements prometheus.Collector.
func (s *State) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runsDesc, recordsDesc, runCallsDesc, stagesDesc, lastDesc, objectiveDesc, lateDesc, waitingDesc, certsDesc, polledDesc, sizeDesc, pingDesc, upDesc} {
		out <- d
	}
}

// collectTimeout bounds one collection: a scrape waits no longer. endedAtATime is how
// many runs are counted at a time.
const (
	collectTimeout = 8 * time.Second
	endedAtATime   = 1000
)

// Collect implements prometheus.Collector. What cannot be read is left out and
// logged; qbridge_store_up then says 0.
func (s *State) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	start := time.Now()
	if err := s.store.Ping(ctx); err != nil {
		s.log.Error().Err(err).Msg("metrics: the store does not answer")
		gauge(upDesc, 0)
		return
	}
	gauge(pingDesc, time.Since(start).Seconds())
	up := 1.0
	for what, collect := range map[string]func(context.Context, func(*prometheus.Desc, float64, ...string)) error{
		"runs": s.count, "schedules": s.schedules, "size": s.size,
	} {
		if err := collect(ctx, gauge); err != nil {
			s.log.Error().Err(err).Str("what", what).Msg("metrics")
			up = 0
		}
	}
	gauge(upDesc, up)
	counter := func(d *prometheus.Desc, counts map[[2]string]float64) {
		for labels, v := range counts {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels[0], labels[1])
		}
	}
	counter(runsDesc, s.runs)
	counter(recordsDesc, s.records)
	counter(runCallsDesc, s.calls)
	counter(stagesDesc, s.stages)
}

// count adds the runs that ended since the last time.
func (s *State) count(ctx context.Context, _ func(*prometheus.Desc, float64, ...string)) error {
	for {
		list, err := s.store.RunsEnded(ctx, s.last.EndedAt, s.last.ID, endedAtATime)
		if err != nil {
			return err
		}
		for _, r := range list {
			spent, err := s.store.Stages(ctx, r.ID)
			if err != nil {
				return err
			}
			s.runs[[2]string{r.Schedule, string(r.Status)}]++
			for _, o := range record.Outcomes() {
				s.records[[2]string{r.Schedule, string(o)}] += float64(r.Counters.Of(o))
			}
			for system, n := range r.Calls {
				s.calls[[2]string{r.Schedule, system}] += float64(n)
			}
			for stage, seconds := range spent {
				s.stages[[2]string{r.Schedule, string(stage)}] += seconds
			}
			s.last = r
		}
		if len(list) < endedAtATime {
			return nil
		}
	}
}

// schedules tells of the schedules of the active configuration: only of those, so
// that labels stay few.
func (s *State) schedules(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) error {
	if paused, err := s.paused(ctx); err == nil {
		s.pauses = paused
	}
	list, err := freshness.All(ctx, s.store, s.settings, func(name string) bool { return s.pauses[name] }, s.now())
	if err != nil || list == nil {
		return err
	}
	_, cfg, err := s.settings.Config(ctx, "")
	if err != nil {
		return err
	}
	last, err := s.store.LastComplete(ctx)
	if err != nil {
		return err
	}
	for i, f := range list {
		if at := last[f.Schedule]; !at.IsZero() {
			gauge(lastDesc, float64(at.UnixMilli())/1000, f.Schedule)
		}
		gauge(objectiveDesc, f.Objective.Seconds(), f.Schedule)
		gauge(lateDesc, f.Late.Seconds(), f.Schedule)
		waiting, _, err := s.store.Waiting(ctx, f.Schedule)
		if err != nil {
			return err
		}
		for _, state := range []record.State{record.StatePending, record.StateHeld, record.StateApproved, record.StateRejected, record.StateFailed, record.StateExpired} {
			gauge(waitingDesc, float64(waiting[state]), f.Schedule, string(state))
		}
		if cfg.Schedules[i].Kind == config.KindCertificates {
			if err := s.certificates(ctx, f.Schedule, gauge); err != nil {
				return err
			}
		}
	}
	for i := range cfg.Qualys {
		if err := s.polled(ctx, contract.QualysQueue(cfg.Qualys[i].Name), gauge); err != nil {
			return err
		}
	}
	for i := range cfg.ServiceNow {
		if err := s.polled(ctx, contract.ServiceNowQueue(cfg.ServiceNow[i].Name), gauge); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) certificates(ctx context.Context, schedule string, gauge func(*prometheus.Desc, float64, ...string)) error {
	now := s.now()
	_, ending, err := s.store.CountCertificates(ctx, schedule, []time.Time{now, now.AddDate(0, 0, 30), now.AddDate(0, 0, 60), now.AddDate(0, 0, 90)})
	if err != nil {
		return err
	}
	for i, days := range []string{"0", "30", "60", "90"} {
		n := ending[i]
		if i > 0 {
			n -= ending[0]
		}
		gauge(certsDesc, float64(n), schedule, days)
	}
	return nil
}

func (s *State) polled(ctx context.Context, queue string, gauge func(*prometheus.Desc, float64, ...string)) error {
	ok, err := s.store.Polled(ctx, queue)
	v := 0.0
	if ok {
		v = 1
	}
	gauge(polledDesc, v, queue)
	return err
}

func (s *State) size(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) error {
	n, err := s.store.Size(ctx)
	gauge(sizeDesc, float64(n))
	return err
}
