package pipeline

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/qbridge/qbridge/domain/payload"
)

// Flow is a way to run the steps of a pipeline.
type Flow func(context.Context) error

// Names of the flows. M1 to M3 are models of how others run the same steps against
// the same servers with the same transformation; they are no measurements of any
// product.
const (
	FlowOverlap  = "pipeline" // the product's: a page is fetched while the one before is written
	FlowSerial   = "m1"       // a script: a page, then one call per asset, nothing at the same time
	FlowPhases   = "m2"       // a connector with import sets: everything is loaded first, then written over the same lanes
	FlowQueue    = "m3"       // an app with a queue: three processors write one asset per call, runs are cut
	processors   = 3          // of FlowQueue
	lifetime     = 10 * time.Minute
	maxQueueSize = 1000
)

// Named returns the flow with a name.
func (p *Pipeline) Named(name string) (Flow, error) {
	flow, ok := map[string]Flow{FlowOverlap: p.Overlap, FlowSerial: p.Serial, FlowPhases: p.Phases, FlowQueue: p.Queue}[name]
	if !ok {
		return nil, fmt.Errorf("pipeline: no flow is named %q", name)
	}
	return flow, nil
}

// pages prepares page after page and gives the records to each until the limit.
func (p *Pipeline) pages(ctx context.Context, each func([]payload.Input) error) error {
	var cursor int64
	for {
		page, err := p.Fetch(ctx, cursor)
		if err != nil {
			return err
		}
		if err := each(p.Prepare(page)); err != nil {
			return err
		}
		if !page.HasMore || p.cfg.Limit > 0 && p.Assets.Load() >= int64(p.cfg.Limit) {
			return nil
		}
		cursor = page.Next
	}
}

// Overlap writes a page while the next one is fetched, as the product does.
func (p *Pipeline) Overlap(ctx context.Context) error {
	written := make(chan error, 1)
	written <- nil
	err := p.pages(ctx, func(records []payload.Input) error {
		if err := <-written; err != nil {
			written <- err
			return err
		}
		go func() { written <- p.Write(ctx, records) }()
		return nil
	})
	if last := <-written; err == nil {
		err = last
	}
	return err
}

// Serial is M1: one IRE call per asset, one after the other, and no page is read
// meanwhile.
func (p *Pipeline) Serial(ctx context.Context) error {
	return p.pages(ctx, func(records []payload.Input) error {
		for i := range records {
			if err := p.write(ctx, records[i:i+1], p.alone()); err != nil {
				return err
			}
		}
		return nil
	})
}

// alone are the limits of a call with one asset.
func (p *Pipeline) alone() payload.Limits {
	l := p.limits
	l.Lanes = 1
	return l
}

// Phases is M2: one loader reads everything first, then it is written with the
// payload size and the lanes of the product.
func (p *Pipeline) Phases(ctx context.Context) error {
	var all []payload.Input
	if err := p.pages(ctx, func(records []payload.Input) error {
		all = append(all, records...)
		return nil
	}); err != nil {
		return err
	}
	return p.Write(ctx, all)
}

// Queue is M3: a loader fills a queue, three processors write one asset per call.
// A run ends with its transaction lifetime; the next one starts at once, which is
// kinder than a schedule would be.
func (p *Pipeline) Queue(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan []payload.Input, maxQueueSize)
	loaded := make(chan error, 1)
	go func() {
		defer close(queue)
		loaded <- p.pages(ctx, func(records []payload.Input) error {
			for one := range slices.Chunk(records, 1) {
				select {
				case queue <- one:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}()
	for {
		more, err := p.run(ctx, queue)
		if err != nil {
			return err
		}
		if !more {
			return <-loaded
		}
	}
}

// run is one run of the app: it reports whether its lifetime ended before the
// queue did.
func (p *Pipeline) run(ctx context.Context, queue <-chan []payload.Input) (more bool, err error) {
	end := time.NewTimer(lifetime)
	defer end.Stop()
	over := make(chan struct{})
	errs := make(chan error, processors)
	var wg sync.WaitGroup
	for range processors {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				case one, ok := <-queue:
					if !ok {
						return
					}
					if err := p.write(ctx, one, p.alone()); err != nil {
						errs <- err
						return
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
		select {
		case err = <-errs:
		default:
		}
		return false, err
	case err = <-errs:
	case <-end.C:
		more = true
	}
	close(over)
	<-done
	return more, err
}
