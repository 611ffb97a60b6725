package cli_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/starter/cli"
)

func TestSchedulesAreListedPausedAndTriggered(t *testing.T) {
	t.Parallel()
	w := applied(t)
	w.temporal.Schedule.Next = []time.Time{now.Add(time.Hour), now.Add(2 * time.Hour)}
	code, out, errs := w.run(t, "schedule", "list", "--next", "2", "-o", "json")
	require.Zero(t, code, errs)
	require.Contains(t, out, `"name": "servers"`)
	require.Contains(t, out, now.Add(2*time.Hour).Format(time.RFC3339))

	code, _, errs = w.run(t, "schedule", "pause", "servers", "--note", "change freeze")
	require.Zero(t, code, errs)
	code, out, errs = w.run(t, "schedule", "list")
	require.Zero(t, code, errs)
	require.Regexp(t, `servers +paused .*change freeze`, out)
	for _, args := range [][]string{{"resume", "servers"}, {"trigger", "servers"}, {"backfill", "servers", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z"}} {
		code, _, errs = w.run(t, append([]string{"schedule"}, args...)...)
		require.Zero(t, code, errs)
	}
	require.Equal(t, []string{
		"pause qbridge/servers", "unpause qbridge/servers", "trigger qbridge/servers", "backfill 2026-01-01T00:00:00Z–2026-01-02T00:00:00Z qbridge/servers",
	}, w.temporal.Schedule.Writes)

	for want, args := range map[string][]string{
		"schedule gone is not in Temporal": {"pause", "gone"},
		`--from "yesterday"`:               {"backfill", "servers", "--from", "yesterday"},
		"is not before":                    {"backfill", "servers", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"},
	} {
		code, _, errs = w.run(t, append([]string{"schedule"}, args...)...)
		require.Equal(t, cli.ExitUsage, code, errs)
		require.Contains(t, errs, want)
	}
}

func TestExportWritesTheActiveConfiguration(t *testing.T) {
	t.Parallel()
	w := applied(t)
	code, out, errs := w.run(t, "export")
	require.Zero(t, code, errs)
	require.Equal(t, document, out)
}
