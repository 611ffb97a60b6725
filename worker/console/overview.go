package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// integration is a schedule with how it is.
type integration struct {
	config.Schedule
	When     string // in words
	State    ScheduleState
	Known    bool // Temporal has it
	Last     *store.Run
	Complete time.Time // when its last complete run began
	config.Freshness
	Waiting map[record.State]int64
}

// chart is what the script of a page draws.
type chart struct {
	Labels []string `json:"labels"`
	Series []series `json:"series"`
}

type series struct {
	Name   string  `json:"name"`
	Values []int64 `json:"values"`
}

// overviewPage is everything at a glance.
type overviewPage struct {
	Integrations []integration
	Unreachable  string // why nothing is known of the schedules in Temporal
	Days         []daySum
	Sum          record.Counters
	Runs         map[string]int64
	Calls        []usage
	Chart        chart
	Active       []contract.RunView
	Queue        []queue
	Failures     []store.Failure
	Expiring     []expiring
	Empty        bool // no configuration is active
}

// daySum is a day in the table below the chart.
type daySum struct {
	Day time.Time
	record.Counters
}

// usage is what was called of a system. Limit is the ceiling that the configuration
// sets for a day and connection; 0: none.
type usage struct {
	System string
	Calls  int64
	Today  int64
	Limit  int64
}

// expiring counts certificates of a schedule.
type expiring struct {
	Schedule string
	contract.Expiring
}

func (c *Console) overview(w http.ResponseWriter, r *http.Request) {
	f := readFilter(r.URL.Query())
	var out overviewPage
	cfg := c.config(r.Context())
	if out.Empty = cfg == nil; out.Empty {
		c.show(w, r, "overview", "Overview", out)
		return
	}
	for _, part := range []func() error{
		func() error { return c.integrations(r, cfg, f, &out) },
		func() error { return c.sums(r, cfg, f, &out) },
		func() error { return c.active(r, f, &out) },
		func() error { return c.problems(r, cfg, f, &out) },
	} {
		if err := part(); err != nil {
			c.fail(w, r, err)
			return
		}
	}
	c.show(w, r, "overview", "Overview", out)
}

// overviewLive renders the runs that are running.
func (c *Console) overviewLive(w http.ResponseWriter, r *http.Request) {
	var out overviewPage
	if err := c.active(r, readFilter(r.URL.Query()), &out); err != nil {
		c.fail(w, r, err)
		return
	}
	c.part(w, r, "overview", "overview-live", out)
}

// integrations tells of each schedule how it is. What Temporal does not answer is
// left open: the rest is known without it.
func (c *Console) integrations(r *http.Request, cfg *config.Config, f filter, out *overviewPage) error {
	ctx := r.Context()
	states, err := c.opts.Control.Schedules(ctx)
	if err != nil {
		c.opts.Log.Warn().Err(err).Msg("schedules")
		out.Unreachable = "Temporal does not answer: when the next runs begin is not known."
	}
	complete, err := c.opts.Store.LastComplete(ctx)
	if err != nil {
		return err
	}
	rev, err := c.opts.Store.ActiveRevision(ctx)
	if err != nil {
		return err
	}
	for i := range cfg.Schedules {
		s := cfg.Schedules[i]
		if f.Schedule != "" && f.Schedule != s.Name {
			continue
		}
		in := integration{Schedule: s, When: when(&s), Complete: complete[s.Name]}
		in.State, in.Known = states[s.Name]
		if in.State.Paused {
			s.Paused = true // nothing is expected of it
		}
		in.Freshness = s.FreshnessOf(in.Complete, rev.CreatedAt, c.opts.Now())
		runs, err := c.opts.Store.ListRuns(ctx, store.RunFilter{Schedule: s.Name, Limit: 1})
		if err != nil {
			return err
		}
		if len(runs) > 0 {
			in.Last = &runs[0]
		}
		out.Integrations = append(out.Integrations, in)
	}
	return nil
}

// when tells in words when a schedule runs.
func when(s *config.Schedule) string {
	switch {
	case s.Manual:
		return "by hand"
	case s.Every > 0:
		return "every " + s.Every.String()
	case s.Once != "":
		return "once, " + s.Once
	}
	return strings.TrimSpace(s.Calendar + " " + s.TimeZone)
}

// sums adds up the runs of the span, by day and in all.
func (c *Console) sums(r *http.Request, cfg *config.Config, f filter, out *overviewPage) error {
	now := c.opts.Now()
	since := f.since(now)
	list, err := c.opts.Store.SumRuns(r.Context(), f.Schedule, since, now.Add(time.Minute))
	if err != nil {
		return err
	}
	days := map[time.Time]*record.Counters{}
	out.Runs = map[string]int64{}
	calls, today := map[string]int64{}, map[string]int64{}
	for _, d := range list {
		sum := days[d.Day]
		if sum == nil {
			sum = &record.Counters{}
			days[d.Day] = sum
		}
		sum.Add(d.Counters)
		out.Sum.Add(d.Counters)
		for status, n := range d.Runs {
			out.Runs[string(status)] += n
		}
		for system, n := range d.Calls {
			calls[system] += n
			if d.Day.Equal(now.UTC().Truncate(24 * time.Hour)) {
				today[system] += n
			}
		}
	}
	for day := since.UTC().Truncate(24 * time.Hour); !day.After(now); day = day.AddDate(0, 0, 1) {
		d := daySum{Day: day}
		if sum := days[day]; sum != nil {
			d.Counters = *sum
		}
		out.Days = append(out.Days, d)
		out.Chart.Labels = append(out.Chart.Labels, day.Format("Jan 2"))
	}
	for _, o := range record.Outcomes() {
		s := series{Name: string(o)}
		for _, d := range out.Days {
			s.Values = append(s.Values, d.Of(o))
		}
		out.Chart.Series = append(out.Chart.Series, s)
	}
	var ceiling int64
	for i := range cfg.Qualys {
		ceiling += int64(cfg.Qualys[i].Budget.Ceiling)
	}
	for _, system := range []string{"qualys", "servicenow", "preflight"} {
		u := usage{System: system, Calls: calls[system], Today: today[system]}
		if system == "qualys" {
			u.Limit = ceiling
		}
		out.Calls = append(out.Calls, u)
	}
	return nil
}

// active reads the runs that are running, with how far they are.
func (c *Console) active(r *http.Request, f filter, out *overviewPage) error {
	var list contract.RunList
	if err := c.api.get(r.Context(), contract.PathRuns, url.Values{"status": {"running"}, "schedule": {f.Schedule}, "limit": {"20"}}, &list); err != nil {
		return err
	}
	for _, run := range list.Runs {
		counters, err := c.opts.Store.Progress(r.Context(), run.Run)
		if err != nil {
			return err
		}
		run.Counters = counters
		out.Active = append(out.Active, run)
	}
	return nil
}

// problems reads what waits for people.
func (c *Console) problems(r *http.Request, cfg *config.Config, f filter, out *overviewPage) error {
	ctx := r.Context()
	var err error
	if out.Queue, err = c.waiting(r); err != nil {
		return err
	}
	if f.Schedule != "" {
		out.Queue = slices.DeleteFunc(out.Queue, func(q queue) bool { return q.Schedule != f.Schedule })
	}
	now := c.opts.Now()
	for i := range cfg.Schedules {
		s := &cfg.Schedules[i]
		if f.Schedule != "" && f.Schedule != s.Name {
			continue
		}
		failures, err := c.opts.Store.Failures(ctx, s.Name)
		if err != nil {
			return err
		}
		out.Failures = append(out.Failures, failures...)
		if s.Kind != config.KindCertificates {
			continue
		}
		total, n, err := c.opts.Store.CountCertificates(ctx, s.Name, []time.Time{now, now.AddDate(0, 0, 30), now.AddDate(0, 0, 60), now.AddDate(0, 0, 90)})
		if err != nil {
			return err
		}
		out.Expiring = append(out.Expiring, expiring{s.Name, contract.Expiring{Total: total, Expired: n[0], In30: n[1] - n[0], In60: n[2] - n[0], In90: n[3] - n[0]}})
	}
	slices.SortFunc(out.Failures, func(a, b store.Failure) int { return int(b.Records - a.Records) })
	return nil
}
