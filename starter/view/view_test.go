package view_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func TestCleanRemovesWhatDrivesATerminalAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"escape sequences":          {"a\x1b[31mb\x07", "a[31mb"},
		"direction overrides":       {"a\u202eb\u2066c\u200fd", "abcd"},
		"C1 controls":               {"a\u009bb", "ab"},
		"letters, emoji and breaks": {"Zürich 🖥 <b>\n\tx", "Zürich 🖥 <b>\n\tx"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, view.Clean(c.in))
		})
	}
}

func TestALineIsOneLineWhateverItShows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	view.New(&out, true).Line("name %s", "web1\nqbridge: all is well\r\x1b[A")
	require.Equal(t, "name web1 qbridge: all is well[A\n", out.String())
}

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func start() *clock { return &clock{at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func status(fetched int64) contract.RunStatus {
	return contract.RunStatus{Stage: "syncing", Total: 2000, Pages: fetched / 300, Counters: record.Counters{Fetched: fetched}}
}

func TestProgressOnATerminalRewritesOneLineWithRateAndTimeLeft(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := start()
	g := view.New(&out, true).WithClock(c.now).Progress()
	c.at = c.at.Add(10 * time.Second)
	g.Show(status(500))
	g.End()
	g.End()
	require.Equal(t, "\r\x1b[Ksyncing   [#######.....................] 500 of 2000 assets, 1 pages, 50/s, 30s left\n", out.String())
}

func TestProgressThatIsNotOnATerminalPrintsALineNowAndThen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := start()
	g := view.New(&out, false).WithClock(c.now).Progress()
	for i := range int64(12) {
		c.at = c.at.Add(time.Second)
		g.Show(status(i * 100))
	}
	g.Last(contract.RunResult{Status: "completed", DurationSeconds: 20, Pages: 7, Counters: record.Counters{Fetched: 2000, Created: 1998, Failed: 2}})
	g.End()
	require.Equal(t, `syncing   0 of 2000 assets, 0 pages
syncing   500 of 2000 assets, 1 pages, 83/s, 18s left
syncing   1000 of 2000 assets, 3 pages, 91/s, 11s left
done      2000 of 2000 assets, 7 pages, 100/s, 2 failed
`, out.String())
}

func TestProgressOfARunThatSomebodyBeginsToWatchLateCountsFromItsStart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := start()
	s := status(1000)
	s.StartedAt = c.at.Add(-100 * time.Second)
	view.New(&out, false).WithClock(c.now).Progress().Show(s)
	require.Contains(t, out.String(), " 10/s, 1m40s left")
}

func TestWaitingIsToldOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	g := view.New(&out, false).Progress()
	g.Waiting("no worker answers")
	g.Waiting("no worker answers")
	require.Equal(t, "no worker answers\n", out.String())
}

func TestTheNextCommandsOfAResult(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   contract.RunResult
		want string
	}{
		"show the failed records": {contract.RunResult{Run: "r", Counters: record.Counters{Failed: 1}}, "\nnext: qbridge run show r --outcome failed\n      qbridge asset explain ASSET-ID\n"},
		"show the run":            {contract.RunResult{Run: "r"}, "\nnext: qbridge run show r\n"},
		"are none when skipped":   {contract.RunResult{Run: "r", Status: "skipped"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			view.New(&out, false).Next(c.in)
			require.Equal(t, c.want, out.String())
		})
	}
}
