package schedule_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/schedule"
	"github.com/qbridge/qbridge/starter/schedule/scheduletest"
	"github.com/qbridge/qbridge/workflows/contract"
)

func TestAConfiguredScheduleBecomesATemporalSchedule(t *testing.T) {
	t.Parallel()
	at := func(n int) []client.ScheduleRange { return []client.ScheduleRange{{Start: n}} }
	for name, c := range map[string]struct {
		in   config.Schedule
		want client.ScheduleSpec
	}{
		"every becomes an interval": {
			config.Schedule{Every: config.Duration(15 * time.Minute)},
			client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: 15 * time.Minute}}},
		},
		"daily becomes a time of day in its time zone": {
			config.Schedule{Calendar: "daily 02:30", TimeZone: "Europe/Zurich"},
			client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{{Hour: at(2), Minute: at(30)}}, TimeZoneName: "Europe/Zurich"},
		},
		"weekly becomes a weekday": {
			config.Schedule{Calendar: "weekly sun 03:00"},
			client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{{Hour: at(3), Minute: at(0), DayOfWeek: at(0)}}},
		},
		"weekly on several days becomes a list": {
			config.Schedule{Calendar: "weekly fri,mon,mon 03:00", Jitter: config.Duration(30 * time.Second)},
			client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{{Hour: at(3), Minute: at(0), DayOfWeek: []client.ScheduleRange{{Start: 1}, {Start: 5}}}}, Jitter: 30 * time.Second},
		},
		"once becomes one instant, whatever the clocks do until then": {
			config.Schedule{Once: "2026-07-01T03:30", TimeZone: "Europe/Zurich"},
			client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{{Year: at(2026), Month: at(7), DayOfMonth: at(1), Hour: at(1), Minute: at(30), Second: at(0)}}},
		},
		"monthly becomes a day of the month": {
			config.Schedule{Calendar: "monthly 1 04:15"},
			client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{{Hour: at(4), Minute: at(15), DayOfMonth: at(1)}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.in.Name = "servers"
			o, ok, err := schedule.Desired(&c.in)
			require.NoError(t, err)
			require.True(t, ok)
			require.Empty(t, cmp.Diff(c.want, o.Spec))
			require.Equal(t, "qbridge/servers", o.ID)
			require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, o.Overlap)
			act := o.Action.(*client.ScheduleWorkflowAction)
			require.Equal(t, "sync/servers", act.ID)
			require.Equal(t, contract.SyncInventory, act.Workflow)
			require.Equal(t, contract.QueueMain, act.TaskQueue)
			require.Empty(t, cmp.Diff([]any{contract.RunInput{Schedule: "servers"}}, act.Args))
			require.Len(t, act.Memo, 1)
		})
	}
}

func TestAManualScheduleHasNoTemporalSchedule(t *testing.T) {
	t.Parallel()
	_, ok, err := schedule.Desired(&config.Schedule{Name: "servers", Manual: true})
	require.NoError(t, err)
	require.False(t, ok)
}

func TestACalendarThatCannotBeReadIsAnErrorWithTheScheduleName(t *testing.T) {
	t.Parallel()
	_, _, err := schedule.Desired(&config.Schedule{Name: "servers", Calendar: "whenever"})
	require.ErrorContains(t, err, "schedule servers")
}

func TestOverlapAndCatchUpAreChosen(t *testing.T) {
	t.Parallel()
	o, _, err := schedule.Desired(&config.Schedule{Name: "servers", Every: config.Duration(time.Hour), Overlap: config.OverlapQueue, CatchUp: config.Duration(24 * time.Hour)})
	require.NoError(t, err)
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE, o.Overlap)
	require.Equal(t, 24*time.Hour, o.CatchupWindow)
}

func TestPruneDeletesWhatLeftTheConfigurationAndNothingElse(t *testing.T) {
	t.Parallel()
	sc, cfg := &scheduletest.Client{}, two()
	mustApply(t, sc, cfg)
	sc.Schedules["backup"] = &client.Schedule{State: &client.ScheduleState{}}
	cfg.Schedules = cfg.Schedules[1:]
	mustApply(t, sc, cfg) // pauses
	plan, err := schedule.Plan(context.Background(), sc, cfg, true)
	require.NoError(t, err)
	require.Empty(t, sc.Writes)
	done, err := schedule.Apply(context.Background(), sc, cfg, true)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(plan, done))
	require.Equal(t, []string{"delete " + servers}, sc.Writes)
	require.Equal(t, "deleted", done[1].Done())
	require.Contains(t, sc.Schedules, "backup")
}

func two() *config.Config {
	return &config.Config{Schedules: []config.Schedule{
		{Name: "servers", Every: config.Duration(time.Hour)},
		{Name: "nightly", Calendar: "weekly sun 02:30", TimeZone: "Europe/Zurich"},
		{Name: "adhoc", Manual: true},
	}}
}

func mustApply(t *testing.T, sc *scheduletest.Client, cfg *config.Config) []schedule.Change {
	t.Helper()
	changes, err := schedule.Apply(context.Background(), sc, cfg, false)
	require.NoError(t, err)
	sc.Writes = nil
	return changes
}

// step changes a configuration or a live schedule and says what must follow.
type step struct {
	config func(*config.Config)
	live   func(*scheduletest.Client)
	plan   []schedule.Change
	writes []string
	drift  bool
	check  func(*testing.T, *scheduletest.Client)
}

const servers, nightly = "qbridge/servers", "qbridge/nightly"

func unchanged(name string) schedule.Change {
	return schedule.Change{Name: name, Verb: schedule.Unchanged}
}

func steps() map[string]step {
	return map[string]step{
		"the same configuration writes nothing": {
			plan: []schedule.Change{unchanged("servers"), unchanged("nightly")},
		},
		"a changed interval is an update, not drift": {
			config: func(c *config.Config) { c.Schedules[0].Every = config.Duration(2 * time.Hour) },
			plan: []schedule.Change{
				{Name: "servers", Verb: schedule.Update, Why: []string{"when: every 1h UTC → every 2h UTC"}}, unchanged("nightly"),
			},
			writes: []string{"update " + servers},
		},
		"an interval that was changed by hand is drift and is mended": {
			live: func(sc *scheduletest.Client) { sc.Schedules[servers].Spec.Intervals[0].Every = time.Minute },
			plan: []schedule.Change{
				{Name: "servers", Verb: schedule.Mend, Why: []string{"when: every 1m UTC → every 1h UTC"}}, unchanged("nightly"),
			},
			writes: []string{"update " + servers},
			drift:  true,
		},
		"a calendar that was changed by hand is drift": {
			live: func(sc *scheduletest.Client) {
				sc.Schedules[nightly].Spec.Calendars[0].DayOfWeek = []client.ScheduleRange{{Start: 1, End: 5, Step: 1}}
			},
			plan: []schedule.Change{unchanged("servers"), {
				Name: "nightly", Verb: schedule.Mend,
				Why: []string{"when: at 02:30 on weekdays 01-05 Europe/Zurich → at 02:30 on Sunday Europe/Zurich"},
			}},
			writes: []string{"update " + nightly},
			drift:  true,
		},
		"an overlap policy that was changed by hand is drift": {
			live: func(sc *scheduletest.Client) {
				sc.Schedules[servers].Policy.Overlap = enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
			},
			plan: []schedule.Change{
				{Name: "servers", Verb: schedule.Mend, Why: []string{"overlap: AllowAll → Skip"}}, unchanged("nightly"),
			},
			writes: []string{"update " + servers},
			drift:  true,
		},
		"a pause that an operator set stays and is told": {
			live: func(sc *scheduletest.Client) {
				sc.Schedules[servers].State = &client.ScheduleState{Paused: true, Note: "change freeze"}
			},
			plan: []schedule.Change{{Name: "servers", Verb: schedule.Unchanged, Held: "paused: change freeze"}, unchanged("nightly")},
		},
		"an update keeps the pause and the note of an operator": {
			config: func(c *config.Config) { c.Schedules[0].Every = config.Duration(2 * time.Hour) },
			live: func(sc *scheduletest.Client) {
				sc.Schedules[servers].State = &client.ScheduleState{Paused: true, Note: "change freeze"}
			},
			plan: []schedule.Change{
				{Name: "servers", Verb: schedule.Update, Why: []string{"when: every 1h UTC → every 2h UTC"}}, unchanged("nightly"),
			},
			writes: []string{"update " + servers},
			check: func(t *testing.T, sc *scheduletest.Client) {
				require.Equal(t, client.ScheduleState{Paused: true, Note: "change freeze"}, *sc.Schedules[servers].State)
			},
		},
		"a pause in the configuration pauses": {
			config: func(c *config.Config) { c.Schedules[0].Paused = true },
			plan:   []schedule.Change{{Name: "servers", Verb: schedule.Pause}, unchanged("nightly")},
			writes: []string{"pause " + servers},
		},
		"a schedule that left the configuration is paused, not deleted": {
			config: func(c *config.Config) { c.Schedules = c.Schedules[1:] },
			plan: []schedule.Change{
				unchanged("nightly"), {Name: "servers", Verb: schedule.Pause, Why: []string{"no longer in the configuration"}},
			},
			writes: []string{"pause " + servers},
		},
		"a schedule that became manual is paused": {
			config: func(c *config.Config) { c.Schedules[0] = config.Schedule{Name: "servers", Manual: true} },
			plan: []schedule.Change{
				unchanged("nightly"), {Name: "servers", Verb: schedule.Pause, Why: []string{"no longer in the configuration"}},
			},
			writes: []string{"pause " + servers},
		},
		"schedules of others are left alone": {
			live: func(sc *scheduletest.Client) {
				sc.Schedules["backup"] = &client.Schedule{State: &client.ScheduleState{}}
				sc.Schedules["qbridge/"] = &client.Schedule{State: &client.ScheduleState{}}
			},
			plan: []schedule.Change{unchanged("servers"), unchanged("nightly")},
		},
	}
}

func TestPlanTellsWhatApplyDoesAndTheNextPlanIsEmpty(t *testing.T) {
	t.Parallel()
	for name, s := range steps() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc, cfg := &scheduletest.Client{}, two()
			mustApply(t, sc, cfg)
			if s.config != nil {
				s.config(cfg)
			}
			if s.live != nil {
				s.live(sc)
			}

			plan, err := schedule.Plan(context.Background(), sc, cfg, false)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(s.plan, plan))
			require.Empty(t, sc.Writes, "a plan only reads")
			require.Equal(t, s.drift, schedule.Drifted(plan))

			done, err := schedule.Apply(context.Background(), sc, cfg, false)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(s.plan, done))
			require.Equal(t, s.writes, sc.Writes)
			if s.check != nil {
				s.check(t, sc)
			}

			for _, c := range mustApply(t, sc, cfg) {
				require.Equal(t, schedule.Unchanged, c.Verb, "%s: a second apply changes nothing", c.Name)
			}
		})
	}
}

func TestSchedulesThatAreMissingAreCreated(t *testing.T) {
	t.Parallel()
	sc := &scheduletest.Client{}
	changes, err := schedule.Apply(context.Background(), sc, two(), false)
	require.NoError(t, err)
	require.Equal(t, []string{"create " + servers, "create " + nightly}, sc.Writes)
	require.Empty(t, cmp.Diff([]schedule.Change{
		{Name: "servers", Verb: schedule.Create, Why: []string{"every 1h UTC"}},
		{Name: "nightly", Verb: schedule.Create, Why: []string{"at 02:30 on Sunday Europe/Zurich"}},
	}, changes))
	require.Equal(t, "created", changes[0].Done())
}

func TestAPauseOfTheConfigurationIsLiftedWhenItLeaves(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*config.Config){
		"after paused: true":                     func(c *config.Config) { c.Schedules[0].Paused = true },
		"after the schedule was not configured":  func(c *config.Config) { c.Schedules = c.Schedules[1:] },
		"after it was paused by its first apply": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc, away := &scheduletest.Client{}, two()
			if leave != nil {
				mustApply(t, sc, two())
				leave(away)
			} else {
				away.Schedules[0].Paused = true
			}
			mustApply(t, sc, away)
			require.True(t, sc.Schedules[servers].State.Paused)

			changes, err := schedule.Apply(context.Background(), sc, two(), false)
			require.NoError(t, err)
			require.Equal(t, schedule.Unpause, changes[0].Verb)
			require.Equal(t, []string{"unpause " + servers}, sc.Writes)
			require.False(t, sc.Schedules[servers].State.Paused)
		})
	}
}

func TestAnErrorOfTemporalIsReturnedWithTheScheduleName(t *testing.T) {
	t.Parallel()
	broken := errors.New("server is away")
	_, err := schedule.Apply(context.Background(), &scheduletest.Client{Err: broken}, two(), false)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "schedule servers")
}
