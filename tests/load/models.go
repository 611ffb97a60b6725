package main

import (
	"context"
	"fmt"

	"github.com/qbridge/qbridge/tests/load/pipeline"
)

// throughput compares the whole stack with the pipeline alone: servers without
// latency, both on all cores.
func throughput(ctx context.Context, o *benchOptions) ([]row, error) {
	s, err := startSimulators(ctx, o.assets)
	if err != nil {
		return nil, err
	}
	alone, err := measure(ctx, s.line, nil, o.self, "-child", pipeline.FlowOverlap, "-off", ciOnly)
	s.stop()
	if err != nil {
		return nil, err
	}
	rate, whole := float64(alone.Assets)/alone.Seconds, 0.0
	if err := (stack{assets: o.assets, config: o.lean, dir: o.dir, fresh: true}).run(ctx, func(_ context.Context, l *live) error {
		whole = float64(l.first.Fetched) / l.first.DurationSeconds
		return nil
	}); err != nil {
		return nil, err
	}
	return []row{
		plain("pipeline alone, no latency: assets per second", rate, "1/s"),
		plain("whole stack, no latency: assets per second", whole, "1/s"),
		least("whole stack against the pipeline alone", 1.0/3, 1.0/2, whole/rate, "×"),
	}, nil
}

// models compares the whole stack with models of how others work, against servers
// that take their time.
func models(ctx context.Context, o *benchOptions) ([]row, error) {
	slow := o.loadOptions
	slow.assets = o.models
	rows, ours, err := wall(ctx, slow)
	if err != nil {
		return nil, err
	}
	s, err := startSimulators(ctx, o.models, latency(slow)...)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	for _, m := range []struct {
		flow, name string
		must, aim  float64
	}{
		{pipeline.FlowSerial, "M1, a serial script (model)", 20, 30},
		{pipeline.FlowPhases, "M2, load then transform (model)", 1.5, 1.8},
		{pipeline.FlowQueue, "M3, an app with a queue (model)", 8, 12},
	} {
		if err := s.reset(ctx); err != nil {
			return nil, err
		}
		got, err := measure(ctx, s.line, nil, o.self, "-child", m.flow, "-off", ciOnly)
		if err != nil {
			return nil, err
		}
		if got.Failed > 0 || got.Assets < int64(o.models) {
			return nil, fmt.Errorf("%s did not do its work: %+v", m.name, got.result)
		}
		rows = append(rows, plain(fmt.Sprintf("wall time of %d assets: %s", o.models, m.name), got.Seconds, "s"),
			least("whole stack against "+m.name, m.must, m.aim, got.Seconds/ours, "×"))
	}
	return rows, nil
}
