// Package telemetry sets up logs and metrics of the worker. Keys of log lines
// are stable: schedule, run, page, asset, ci, connection.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/rs/zerolog"
	sdklog "go.temporal.io/sdk/log"
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

// ForTemporal lets the Temporal SDK, and activities through it, log through the same
// logger. Its info lines are about its own workings: only who asks for debug lines
// sees them.
func ForTemporal(l zerolog.Logger) sdklog.Logger {
	if l.GetLevel() > zerolog.DebugLevel {
		l = l.Level(max(l.GetLevel(), zerolog.WarnLevel))
	}
	return sdklog.NewStructuredLogger(slog.New(zerolog.NewSlogHandler(l)))
}
