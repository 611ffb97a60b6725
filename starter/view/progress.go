package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/qbridge/qbridge/workflows/contract"
)

// Progress shows a run while it runs: one line that rewrites itself on a
// terminal, else a plain line now and then.
type Progress struct {
	p       Printer
	began   time.Time
	printed time.Time
	last    string
	open    bool
}

// plainEvery is how often a plain line is printed when nothing but numbers moved.
const plainEvery = 5 * time.Second

// Progress returns a progress display.
func (p Printer) Progress() *Progress { return &Progress{p: p, began: p.now()} }

// Show shows a status.
func (g *Progress) Show(s contract.RunStatus) {
	line := progressLine(s, g.elapsed(s), g.p.terminal)
	if g.p.terminal {
		fmt.Fprintf(g.p.w, "\r\033[K%s", line)
		g.open = true
		return
	}
	if s.Stage == g.last && g.p.now().Sub(g.printed) < plainEvery {
		return
	}
	g.last, g.printed = s.Stage, g.p.now()
	fmt.Fprintln(g.p.w, line)
}

// elapsed is how long the run takes so far; somebody may begin to watch late.
func (g *Progress) elapsed(s contract.RunStatus) time.Duration {
	if s.StartedAt.IsZero() || s.StartedAt.After(g.began) {
		return g.p.now().Sub(g.began)
	}
	return g.p.now().Sub(s.StartedAt)
}

// Waiting shows why nothing is known of the run, once until that changes.
func (g *Progress) Waiting(why string) {
	if g.last == why {
		return
	}
	g.last = why
	if g.p.terminal {
		fmt.Fprintf(g.p.w, "\r\033[K%s", flat(why))
		g.open = true
		return
	}
	fmt.Fprintln(g.p.w, flat(why))
}

// Last shows the final state of a run.
func (g *Progress) Last(r contract.RunResult) {
	if r.Status == "skipped" {
		return
	}
	began := g.p.now().Add(-time.Duration(r.DurationSeconds * float64(time.Second)))
	g.Show(contract.RunStatus{Stage: "done", StartedAt: began, Counters: r.Counters, Total: r.Fetched, Pages: r.Pages})
}

// End ends the display.
func (g *Progress) End() {
	if g.open {
		fmt.Fprintln(g.p.w)
		g.open = false
	}
}

// width of the bar, in characters.
const width = 28

func progressLine(s contract.RunStatus, elapsed time.Duration, bar bool) string {
	n := s.Counters.Fetched
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s", s.Stage)
	if s.Total > 0 && bar {
		full := int(min(n, s.Total) * width / s.Total)
		fmt.Fprintf(&b, " [%s%s]", strings.Repeat("#", full), strings.Repeat(".", width-full))
	}
	fmt.Fprintf(&b, " %d", n)
	if s.Total > 0 {
		fmt.Fprintf(&b, " of %d", s.Total)
	}
	fmt.Fprintf(&b, " assets, %d pages", s.Pages)
	if sec := elapsed.Seconds(); sec >= 1 && n > 0 {
		rate := float64(n) / sec
		fmt.Fprintf(&b, ", %.0f/s", rate)
		if left := s.Total - n; left > 0 && s.Stage != "done" {
			fmt.Fprintf(&b, ", %s left", (time.Duration(float64(left)/rate) * time.Second).Round(time.Second))
		}
	}
	if s.Counters.Failed > 0 {
		fmt.Fprintf(&b, ", %d failed", s.Counters.Failed)
	}
	if s.Waiting != "" {
		fmt.Fprintf(&b, " — waiting for %s", s.Waiting)
	}
	return flat(b.String())
}
