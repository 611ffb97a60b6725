package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/config"
)

func TestTheObjectiveFollowsTheLongestInterval(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		schedule config.Schedule
		want     time.Duration
	}{
		"an interval":                     {config.Schedule{Every: config.Duration(15 * time.Minute)}, 30 * time.Minute},
		"what it says":                    {config.Schedule{Every: config.Duration(15 * time.Minute), Freshness: config.Duration(2 * time.Hour)}, 2 * time.Hour},
		"daily":                           {config.Schedule{Calendar: "daily 02:30"}, 2 * day},
		"one day of the week":             {config.Schedule{Calendar: "weekly mon 02:30"}, 14 * day},
		"two days with four days between": {config.Schedule{Calendar: "weekly mon,thu 02:30"}, 8 * day},
		"from Friday to Monday":           {config.Schedule{Calendar: "weekly mon,tue,wed,thu,fri 02:30"}, 6 * day},
		"monthly":                         {config.Schedule{Calendar: "monthly 1 02:30"}, 62 * day},
		"by hand":                         {config.Schedule{Manual: true}, 0},
		"by hand, with an objective":      {config.Schedule{Manual: true, Freshness: config.Duration(day)}, day},
		"once":                            {config.Schedule{Once: "2026-12-01T03:00"}, 0},
		"paused":                          {config.Schedule{Paused: true, Every: config.Duration(day)}, 0},
	} {
		require.Equal(t, c.want, c.schedule.Objective(), name)
	}
}

func TestAScheduleIsLateAfterItsObjective(t *testing.T) {
	t.Parallel()
	s := config.Schedule{Every: config.Duration(time.Hour)}
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	require.Zero(t, s.FreshnessOf(now.Add(-2*time.Hour), time.Time{}, now).Late)
	require.Equal(t, time.Minute, s.FreshnessOf(now.Add(-2*time.Hour-time.Minute), time.Time{}, now).Late)
	require.Equal(t, time.Hour, s.FreshnessOf(time.Time{}, now.Add(-3*time.Hour), now).Late, "it never ran")
	require.Zero(t, s.FreshnessOf(time.Time{}, time.Time{}, now).Late, "nobody knows since when it is there")
	manual := config.Schedule{Manual: true}
	require.Zero(t, manual.FreshnessOf(now.Add(-1000*time.Hour), time.Time{}, now).Late)
}
