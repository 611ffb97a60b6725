package report

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Shown is a report as a page shows it.
type Shown struct {
	Report
	Request
	Rows  [][]string // the first ones
	Total int64
	AsOf  time.Time
	Took  time.Duration
	Err   error
	// Ready says that the report was made; else it is being made.
	Ready bool
}

// Limits of the cache: how many rows a page shows, how long they may be shown, how
// long making a report may take, and how many are kept.
const (
	mostRows   = 1000
	shownFor   = 5 * time.Minute
	mostTime   = 30 * time.Minute
	mostShown  = 64
	atOnce     = 1500 * time.Millisecond
	makeAtOnce = 2
)

// Cache makes reports for pages in the background and shows each for some minutes:
// those that read every asset of a large estate take longer than somebody waits.
type Cache struct {
	source *Source
	slots  chan struct{}
	mu     sync.Mutex
	known  map[key]*entry
	ctx    context.Context //nolint:containedctx // reports are made for whoever asks next, not for one request
	stop   context.CancelFunc
	work   sync.WaitGroup
}

type key struct {
	id string
	Request
}

type entry struct {
	done  chan struct{}
	shown Shown
}

// NewCache returns a cache; Close ends its work.
func NewCache(s *Source) *Cache {
	ctx, stop := context.WithCancel(context.Background())
	return &Cache{source: s, slots: make(chan struct{}, makeAtOnce), known: map[key]*entry{}, ctx: ctx, stop: stop}
}

// Close ends reports that are being made.
func (c *Cache) Close() {
	c.stop()
	c.work.Wait()
}

// Get returns a report when it is there or quickly made; else it is not Ready.
func (c *Cache) Get(ctx context.Context, r Report, req Request) Shown {
	e := c.entry(r, req)
	wait := time.NewTimer(atOnce)
	defer wait.Stop()
	select {
	case <-e.done:
		return e.shown
	case <-wait.C:
	case <-ctx.Done():
	}
	return Shown{Report: r, Request: req}
}

func (c *Cache) entry(r Report, req Request) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := key{r.ID, req}
	if e := c.known[k]; e != nil {
		select {
		case <-e.done:
			if e.shown.Err == nil && c.source.Now().Sub(e.shown.AsOf) < shownFor {
				return e
			}
		default:
			return e
		}
	}
	for old, e := range c.known { // what is being made stays
		if len(c.known) < mostShown {
			break
		}
		select {
		case <-e.done:
			delete(c.known, old)
		default:
		}
	}
	e := &entry{done: make(chan struct{})}
	c.known[k] = e
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		defer close(e.done)
		e.shown = c.make(r, req)
	}()
	return e
}

func (c *Cache) make(r Report, req Request) Shown {
	out := Shown{Report: r, Request: req, Ready: true}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-c.ctx.Done():
		out.Err = c.ctx.Err()
		return out
	}
	ctx, cancel := context.WithTimeoutCause(c.ctx, mostTime, errors.New("report: it took more than "+mostTime.String()))
	defer cancel()
	out.AsOf = c.source.Now()
	out.Err = r.Rows(ctx, c.source, req, func(row []string) error {
		if out.Total++; out.Total <= mostRows {
			out.Rows = append(out.Rows, row)
		}
		return nil
	})
	out.Took = c.source.Now().Sub(out.AsOf)
	return out
}
