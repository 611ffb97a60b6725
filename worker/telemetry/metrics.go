package telemetry

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"

	"github.com/qbridge/qbridge/activities/transport"
)

// Metrics are the worker's metrics: what this process does. What the store knows is
// told by State.
type Metrics struct {
	Registry  *prometheus.Registry
	log       zerolog.Logger
	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	waits     *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	limit     *prometheus.GaugeVec
	remaining *prometheus.GaugeVec
	provider  *metric.MeterProvider
}

// NewMetrics returns metrics with the process's own collectors registered. Calls are
// also logged, as debug lines.
func NewMetrics(log zerolog.Logger) (*Metrics, error) {
	m := &Metrics{
		Registry: prometheus.NewRegistry(), log: log,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "qbridge_vendor_calls_total", Help: "Calls to a vendor, by connection, method and status (0: no answer).",
		}, []string{"connection", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "qbridge_vendor_call_seconds", Help: "Duration of vendor calls.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
		}, []string{"connection"}),
		waits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "qbridge_vendor_wait_seconds_total", Help: "Time that calls waited until the limits of the vendor let them pass.",
		}, []string{"connection"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "qbridge_vendor_read_bytes_total", Help: "Bytes read from a vendor, decoded.",
		}, []string{"connection"}),
		limit: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "qbridge_vendor_limit_calls", Help: "Calls that the vendor allows in a window, as its last answer said.",
		}, []string{"connection"}),
		remaining: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "qbridge_vendor_remaining_calls", Help: "Calls that are left in the window, as the vendor's last answer said.",
		}, []string{"connection"}),
	}
	m.Registry.MustRegister(m.calls, m.seconds, m.waits, m.bytes, m.limit, m.remaining,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(m.Registry), otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		return nil, err
	}
	m.provider = metric.NewMeterProvider(metric.WithReader(exporter), metric.WithView(metric.NewView(
		metric.Instrument{Name: "temporal_*_latency"},
		metric.Stream{Aggregation: metric.AggregationExplicitBucketHistogram{Boundaries: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}}},
	)))
	return m, nil
}

// Temporal returns where the Temporal SDK counts what it does. It goes through
// OpenTelemetry, which the SDK's makers keep up.
func (m *Metrics) Temporal() client.MetricsHandler {
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{Meter: m.provider.Meter("temporal")})
}

// Observe records one vendor call of a connection.
func (m *Metrics) Observe(connection string) func(transport.Call) {
	return func(c transport.Call) {
		m.calls.WithLabelValues(connection, c.Method, strconv.Itoa(c.Status)).Inc()
		m.seconds.WithLabelValues(connection).Observe(c.Duration.Seconds())
		m.waits.WithLabelValues(connection).Add(c.Wait.Seconds())
		m.bytes.WithLabelValues(connection).Add(float64(c.BytesIn))
		if c.Limits.Limit > 0 {
			m.limit.WithLabelValues(connection).Set(float64(c.Limits.Limit))
			m.remaining.WithLabelValues(connection).Set(float64(c.Limits.Remaining))
		}
		line := m.log.Debug()
		if !line.Enabled() {
			return
		}
		line = about(c.Context, line).Str("connection", connection).Str("method", c.Method).Str("path", c.Path).Int("status", c.Status).
			Dur("waited", c.Wait).Dur("took", c.Duration).Int64("bytes", c.BytesIn)
		if c.Err != nil {
			line = line.AnErr("problem", c.Err)
		}
		line.Msg("vendor call")
	}
}

// about adds what a call was made for: the run, and as correlation id the attempt of
// an activity, which its other lines carry too.
func about(ctx context.Context, line *zerolog.Event) *zerolog.Event {
	if ctx == nil || !activity.IsActivity(ctx) {
		return line
	}
	info := activity.GetInfo(ctx)
	return line.Str("WorkflowID", info.WorkflowExecution.ID).Str("RunID", info.WorkflowExecution.RunID).
		Str("ActivityType", info.ActivityType.Name).Str("ActivityID", info.ActivityID).Int32("Attempt", info.Attempt)
}
