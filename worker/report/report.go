// Package report makes the ready-made reports: what operators hand on to people who
// do not use the console.
//
//	heads, bodies, runs, decisions ─▶ Report.Rows, one after the other ─┬─▶ CSV, JSON
//	                                                                    └─▶ Cache ─▶ page
//
// Rows are made while they are written: no report holds its estate in memory, only
// what it counts.
package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
)

// Column is a column of a report.
type Column struct {
	Name   string // in exports
	Title  string // for readers
	Number bool
}

// Report is a ready-made report.
type Report struct {
	ID, Title, About string
	Columns          []Column
	rows             func(ctx context.Context, s *Source, r Request, yield func(...string) error) error
}

// Request narrows a report down.
type Request struct {
	Schedule string // empty: all
	Days     int    // of reports about an age or a time to come; 0: the default of the report
}

// Source is what reports are made of.
type Source struct {
	Store    store.Store
	Settings *activities.Settings
	Bodies   *activities.Bodies
	Now      func() time.Time
}

// Rows makes the rows of a report, in a fixed order. A row has a text per column.
func (r *Report) Rows(ctx context.Context, s *Source, req Request, yield func([]string) error) error {
	return r.rows(ctx, s, req, func(row ...string) error {
		if len(row) != len(r.Columns) {
			return fmt.Errorf("report: %s: a row has %d of %d columns", r.ID, len(row), len(r.Columns))
		}
		return yield(row)
	})
}

// ByID returns a report.
func ByID(id string) (Report, bool) {
	all := All()
	i := slices.IndexFunc(all, func(r Report) bool { return r.ID == id })
	if i < 0 {
		return Report{}, false
	}
	return all[i], true
}

// schedules are the schedules of the active configuration that a request is about.
func (s *Source) schedules(ctx context.Context, r Request) ([]config.Schedule, error) {
	_, cfg, err := s.Settings.Config(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []config.Schedule
	for i := range cfg.Schedules {
		if r.Schedule == "" || r.Schedule == cfg.Schedules[i].Name {
			out = append(out, cfg.Schedules[i])
		}
	}
	return out, nil
}

// headsAtATime is how many heads are read from the store at a time, bodiesAtATime how
// many with their bodies.
const (
	headsAtATime  = 1000
	bodiesAtATime = 200
)

// heads visits the heads of a schedule without their bodies.
func (s *Source) heads(ctx context.Context, schedule string, visit func(*store.HeadRow) error) error {
	for after := ""; ; {
		page, err := s.Store.ListHeads(ctx, store.HeadFilter{Schedule: schedule, After: after, Limit: headsAtATime})
		if err != nil {
			return err
		}
		for i := range page.Heads {
			if err := visit(&page.Heads[i]); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		after = page.Next
	}
}

// bodies visits the assets of a schedule with what is staged of them.
func (s *Source) bodies(ctx context.Context, sched *config.Schedule, visit func(*store.Record, *activities.Body) error) error {
	for after := ""; ; {
		list, err := s.Store.Snapshot(ctx, sched.Name, sched.Target, record.KindAsset, after, bodiesAtATime)
		if err != nil {
			return err
		}
		for i := range list {
			if len(list[i].Body) == 0 {
				continue
			}
			body, err := s.Bodies.Decode(list[i].Body)
			if err != nil {
				return err
			}
			if err := visit(&list[i], body); err != nil {
				return err
			}
		}
		if len(list) < bodiesAtATime {
			return nil
		}
		after = list[len(list)-1].Key
	}
}

// inventory are the schedules that bring assets.
func (s *Source) inventory(ctx context.Context, r Request) ([]config.Schedule, error) {
	list, err := s.schedules(ctx, r)
	return slices.DeleteFunc(list, func(c config.Schedule) bool { return c.ToQualys() || c.Kind == config.KindCertificates }), err
}

// coverage counts what the rules of a schedule make of its assets.
func (s *Source) coverage(ctx context.Context, name string) (classify.Coverage, error) {
	setup, err := s.Settings.Of(ctx, "", name)
	if err != nil {
		return classify.Coverage{}, err
	}
	counter := classify.NewCounter(setup.Rules, classify.Options{IPOnly: setup.Schedule.Fallback.IPOnly})
	err = s.bodies(ctx, &setup.Schedule, func(_ *store.Record, b *activities.Body) error {
		counter.Add(&b.Inputs)
		return nil
	})
	return counter.Coverage(), err
}
