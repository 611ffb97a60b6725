// Package budget says what a run will cost before it begins, and when it must
// stop: other tools share a subscription and an instance.
//
//	assets, page size, what earlier runs needed ──Forecast──▶ calls, time, writes
//	rules of a connection and a schedule ────────Stop──────▶ why a run ends at a page's boundary
package budget

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Inputs are what a forecast is made of.
type Inputs struct {
	Assets   int64 // that the run will read
	PageSize int
	Known    int64 // records of the schedule that have a CI already
	// Earlier runs of the schedule: assets, calls to ServiceNow and seconds. Zero
	// when there is none.
	PastAssets, PastCalls int64
	PastSeconds           float64
	// MaxPerAsset bounds the calls to ServiceNow where no run tells.
	MaxPerAsset float64
}

// Forecast is what a run will cost. Calls to Qualys are exact as long as the estate
// does not change; everything else is a bound or an estimate.
type Forecast struct {
	Assets          int64   `json:"assets"`
	QualysCalls     int64   `json:"qualysCalls"`
	ServiceNowCalls int64   `json:"serviceNowCalls"` // estimate, from earlier runs where there are any
	Seconds         float64 `json:"seconds"`         // estimate; 0: no run tells
	Writes          int64   `json:"writes"`          // records written at most
	// NewCIs is how many CIs may be created at most. Each may bring an asset record
	// and count as a subscription unit of ITOM, where the instance has these.
	NewCIs int64 `json:"newCIs"`
}

// defaultPerAsset is the most calls to ServiceNow that an asset costs in a first
// load: payloads, rows and lookups shared by its page.
const defaultPerAsset = 0.35

// Of makes a forecast.
func Of(in Inputs) Forecast {
	f := Forecast{Assets: in.Assets, Writes: in.Assets, NewCIs: max(0, in.Assets-in.Known)}
	pages := int64(1)
	if in.PageSize > 0 {
		pages = max(1, (in.Assets+int64(in.PageSize)-1)/int64(in.PageSize))
	}
	f.QualysCalls = 1 + pages // the count
	per := in.MaxPerAsset
	if per == 0 {
		per = defaultPerAsset
	}
	if in.PastAssets > 0 {
		per = float64(in.PastCalls) / float64(in.PastAssets)
		f.Seconds = math.Round(in.PastSeconds/float64(in.PastAssets)*float64(in.Assets)*10) / 10
	}
	f.ServiceNowCalls = int64(math.Ceil(per * float64(in.Assets)))
	return f
}

// Rules say when a run stops. The zero value never stops one.
type Rules struct {
	Ceiling  int64 // calls to Qualys of a run; 0: none
	Blackout []Window
}

// Stop returns why a run must not make another call, or "".
func (r Rules) Stop(now time.Time, spent int64) string {
	if r.Ceiling > 0 && spent >= r.Ceiling {
		return fmt.Sprintf("stopped: the ceiling of %d calls to Qualys is reached; the next run goes on", r.Ceiling)
	}
	for _, w := range r.Blackout {
		if w.Holds(now) {
			return fmt.Sprintf("stopped: %s is closed to runs (blackout); the next run goes on", w.Text)
		}
	}
	return ""
}

// Window is a span of the week in a time zone: days from Sunday = 0, minutes of the
// day. One whose end is not after its beginning lasts into the next day.
type Window struct {
	Text     string
	Days     []time.Weekday
	From, To int
	Zone     *time.Location
}

var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWindow parses "mon-fri 08:00-18:00", "sat,sun 00:00-24:00" or "daily
// 22:00-02:00" in a time zone.
func ParseWindow(text string, zone *time.Location) (Window, error) {
	w := Window{Text: text, Zone: zone}
	bad := fmt.Errorf("%q is not a span of the week", text)
	which, clock, ok := strings.Cut(strings.ToLower(strings.TrimSpace(text)), " ")
	if !ok {
		return w, bad
	}
	if which == "daily" {
		which = "sun-sat"
	}
	for part := range strings.SplitSeq(which, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		a, b := slices.Index(days, first), slices.Index(days, last)
		if a < 0 || b < 0 {
			return w, fmt.Errorf("%q is not a weekday", part)
		}
		for d := a; ; d = (d + 1) % 7 {
			w.Days = append(w.Days, time.Weekday(d))
			if d == b {
				break
			}
		}
	}
	from, to, ok := strings.Cut(strings.TrimSpace(clock), "-")
	if !ok {
		return w, bad
	}
	var err, also error
	if w.From, err = minute(from); err != nil {
		return w, err
	}
	if w.To, also = minute(to); also != nil {
		return w, also
	}
	if w.From == w.To {
		return w, fmt.Errorf("%q is no time at all", text)
	}
	return w, nil
}

func minute(text string) (int, error) {
	text = strings.TrimSpace(text)
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time of day", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// Holds reports whether an instant lies in the window.
func (w Window) Holds(at time.Time) bool {
	if w.Zone != nil {
		at = at.In(w.Zone)
	}
	m, day := at.Hour()*60+at.Minute(), at.Weekday()
	if w.To > w.From {
		return slices.Contains(w.Days, day) && m >= w.From && m < w.To
	}
	before := (day + 6) % 7
	return slices.Contains(w.Days, day) && m >= w.From || slices.Contains(w.Days, before) && m < w.To
}
