package budget_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/budget"
)

func TestAForecastIsExactForPagesAndBoundsTheRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   budget.Inputs
		want budget.Forecast
	}{
		"a first load": {budget.Inputs{Assets: 5000, PageSize: 300}, budget.Forecast{Assets: 5000, QualysCalls: 18, ServiceNowCalls: 1750, Writes: 5000, NewCIs: 5000}},
		"nothing to read costs a count and a page": {budget.Inputs{PageSize: 300, Known: 9}, budget.Forecast{QualysCalls: 2}},
		"an earlier run tells time and calls": {budget.Inputs{Assets: 100, PageSize: 50, Known: 40, PastAssets: 1000, PastCalls: 50, PastSeconds: 20},
			budget.Forecast{Assets: 100, QualysCalls: 3, ServiceNowCalls: 5, Seconds: 2, Writes: 100, NewCIs: 60}},
		"more known than read": {budget.Inputs{Assets: 3, PageSize: 300, Known: 100}, budget.Forecast{Assets: 3, QualysCalls: 2, ServiceNowCalls: 2, Writes: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(c.want, budget.Of(c.in)))
		})
	}
}

func TestARunStopsAtItsCeilingAndInABlackout(t *testing.T) {
	t.Parallel()
	zurich, err := time.LoadLocation("Europe/Zurich")
	require.NoError(t, err)
	w, err := budget.ParseWindow("mon-fri 08:00-18:00", zurich)
	require.NoError(t, err)
	monday := time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC) // 08:30 there
	require.Contains(t, budget.Rules{Blackout: []budget.Window{w}}.Stop(monday, 0), "mon-fri 08:00-18:00 is closed")
	require.Empty(t, budget.Rules{Blackout: []budget.Window{w}}.Stop(monday.Add(-time.Hour), 0))
	require.Contains(t, budget.Rules{Ceiling: 20}.Stop(monday, 20), "ceiling of 20 calls")
	require.Empty(t, budget.Rules{Ceiling: 20}.Stop(monday, 19))
	require.Empty(t, budget.Rules{}.Stop(monday, 1_000_000))
}

func TestWindows(t *testing.T) {
	t.Parallel()
	at := func(day, hour int) time.Time { return time.Date(2026, 11, 22+day, hour, 0, 0, 0, time.UTC) } // day 0 is a Sunday
	for text, c := range map[string]struct{ in, out []time.Time }{
		"mon-fri 08:00-18:00": {[]time.Time{at(1, 8), at(5, 17)}, []time.Time{at(1, 7), at(5, 18), at(0, 12), at(6, 12)}},
		"sat,sun 00:00-24:00": {[]time.Time{at(0, 0), at(0, 23), at(6, 12)}, []time.Time{at(1, 0), at(5, 23)}},
		"daily 22:00-02:00":   {[]time.Time{at(3, 22), at(3, 1)}, []time.Time{at(3, 2), at(3, 21)}},
		"fri-mon 20:00-06:00": {[]time.Time{at(5, 21), at(6, 5), at(2, 5)}, []time.Time{at(5, 5), at(2, 21)}},
	} {
		w, err := budget.ParseWindow(text, time.UTC)
		require.NoError(t, err, text)
		for _, in := range c.in {
			require.True(t, w.Holds(in), "%s at %s", text, in)
		}
		for _, out := range c.out {
			require.False(t, w.Holds(out), "%s at %s", text, out)
		}
	}
	for _, text := range []string{"", "mon", "mon 8-18", "xyz 08:00-18:00", "mon 08:00", "mon 08:00-25:00", "mon 08:00-08:00", "mon-xyz 08:00-09:00"} {
		_, err := budget.ParseWindow(text, time.UTC)
		require.Error(t, err, text)
	}
}

// A window holds for as many minutes of a week as its text says.
func TestAWindowLastsAsLongAsItSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		from, to := rapid.IntRange(0, 23).Draw(rt, "from"), rapid.IntRange(0, 23).Draw(rt, "to")
		if from == to {
			rt.Skip()
		}
		text := "tue,thu " + time.Date(0, 1, 1, from, 0, 0, 0, time.UTC).Format("15:04") + "-" + time.Date(0, 1, 1, to, 0, 0, 0, time.UTC).Format("15:04")
		w, err := budget.ParseWindow(text, time.UTC)
		if err != nil {
			rt.Fatal(err)
		}
		held := 0
		for h := range 7 * 24 {
			if w.Holds(time.Date(2026, 11, 22, h, 0, 0, 0, time.UTC)) {
				held++
			}
		}
		if want := 2 * ((to - from + 24) % 24); held != want {
			rt.Fatalf("%s holds for %d hours, not %d", text, held, want)
		}
	})
}
