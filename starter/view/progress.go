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
func (p Printer) Progress() *Progress { return &Progress{p: p, began: time.Now()} }

// Show shows a status.
func (g *Progress) Show(s contract.RunStatus) {
	line := progressLine(s, time.Since(g.began), g.p.terminal)
	if g.p.terminal {
		fmt.Fprintf(g.p.w, "\r\033[K%s", line)
		g.open = true
		return
	}
	if s.Stage == g.last && time.Since(g.printed) < plainEvery {
		return
	}
	g.last, g.printed = s.Stage, time.Now()
	fmt.Fprintln(g.p.w, line)
}

// Last shows the final state of a run.
func (g *Progress) Last(r contract.RunResult) {
	if r.Status == "skipped" {
		return
	}
	g.Show(contract.RunStatus{Stage: "done", Counters: r.Counters, Total: r.Fetched, Pages: r.Pages})
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
	return Clean(b.String())
}
