package app

import (
	"github.com/rs/zerolog"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/worker/config"
	"github.com/qbridge/qbridge/worker/telemetry"
)

// NewVendors makes the clients of a worker that never starts.
func NewVendors(cfg config.Config) activities.Vendors {
	metrics, err := telemetry.NewMetrics(zerolog.Nop())
	if err != nil {
		panic(err)
	}
	return newVendors(cfg, nil, metrics, zerolog.Nop())
}
