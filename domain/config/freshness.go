package config

import "time"

// Objective is how old what a schedule brings may get: what freshness says, else
// twice the interval of the schedule. 0: nothing is expected, because the schedule
// is run by hand or once.
func (s *Schedule) Objective() time.Duration {
	if s.Freshness > 0 {
		return time.Duration(s.Freshness)
	}
	return 2 * s.interval()
}

// interval is the longest time between two runs of a schedule; 0: there is none.
func (s *Schedule) interval() time.Duration {
	const day = 24 * time.Hour
	switch {
	case s.Manual || s.Paused || s.Once != "":
		return 0
	case s.Every > 0:
		return time.Duration(s.Every)
	}
	c, err := ParseCalendar(s.Calendar)
	if err != nil {
		return 0
	}
	switch c.Every {
	case "daily":
		return day
	case "weekly":
		longest := 7
		for i, from := range c.Weekdays {
			if gap := (c.Weekdays[(i+1)%len(c.Weekdays)] - from + 7) % 7; gap > 0 && (i == 0 || gap > longest) {
				longest = gap
			}
		}
		return time.Duration(longest) * day
	}
	return 31 * day
}

// Freshness tells how old what a schedule brought is.
type Freshness struct {
	// Since is when the last complete run began, or when the schedule was first
	// expected to run: what came later is not known.
	Since     time.Time
	Objective time.Duration // 0: nothing is expected
	Late      time.Duration // beyond the objective; 0: in time
}

// FreshnessOf judges a schedule. last is when its last complete run began, zero when
// there is none; known is since when the schedule is configured.
func (s *Schedule) FreshnessOf(last, known, now time.Time) Freshness {
	f := Freshness{Since: last, Objective: s.Objective()}
	if last.IsZero() {
		f.Since = known
	}
	if f.Objective > 0 && !f.Since.IsZero() {
		f.Late = max(0, now.Sub(f.Since)-f.Objective)
	}
	return f
}
