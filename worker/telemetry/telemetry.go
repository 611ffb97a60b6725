// Package telemetry sets up logs and metrics of the worker. Keys of log lines
// are stable: schedule, run, page, asset, ci, connection.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	sdklog "go.temporal.io/sdk/log"

	"github.com/qbridge/qbridge/activities/transport"
)

// NewLogger returns the logger of the process.
func NewLogger(w io.Writer, level, format string) (zerolog.Logger, error) {
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		return zerolog.Logger{}, fmt.Errorf("settings: QBRIDGE_LOG_LEVEL is %q: use debug, info, warn or error", level)
	}
	if format == "text" {
		w = zerolog.ConsoleWriter{Out: w, NoColor: true}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger(), nil
}

// ForTemporal lets the Temporal SDK log through the same logger. Its info lines
// are about its own workings and therefore debug lines of ours.
func ForTemporal(l zerolog.Logger) sdklog.Logger {
	return sdklog.NewStructuredLogger(slog.New(zerolog.NewSlogHandler(l.Level(max(l.GetLevel(), zerolog.WarnLevel)))))
}

// Metrics are the worker's metrics.
type Metrics struct {
	Registry *prometheus.Registry
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
}

// NewMetrics returns metrics with the process's own collectors registered.
func NewMetrics() *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "qbridge_vendor_calls_total", Help: "Calls to a vendor, by connection, method and status (0: no answer).",
		}, []string{"connection", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "qbridge_vendor_call_seconds", Help: "Duration of vendor calls.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
		}, []string{"connection"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "qbridge_vendor_read_bytes_total", Help: "Bytes read from a vendor, decoded.",
		}, []string{"connection"}),
	}
	m.Registry.MustRegister(m.calls, m.seconds, m.bytes,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Observe records one vendor call of a connection.
func (m *Metrics) Observe(connection string) func(transport.Call) {
	return func(c transport.Call) {
		m.calls.WithLabelValues(connection, c.Method, fmt.Sprint(c.Status)).Inc()
		m.seconds.WithLabelValues(connection).Observe(c.Duration.Seconds())
		m.bytes.WithLabelValues(connection).Add(float64(c.BytesIn))
	}
}
