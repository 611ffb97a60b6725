package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/qbridge/qbridge/starter/cli"
)

// pairs is a configuration of two subscriptions, two instances and ten schedules
// of all kinds.
const pairs = `
qualys:
  - {name: corp, apiUrl: "${env:QBRIDGE_QUALYS_API_URL}", gatewayUrl: "${env:QBRIDGE_QUALYS_GATEWAY_URL}", auth: {username: "${env:QBRIDGE_SECRET_QUALYS_USER}", password: "${env:QBRIDGE_SECRET_QUALYS_PASSWORD}"}}
  - {name: lab, apiUrl: "${env:QBRIDGE_LAB_API_URL}", gatewayUrl: "${env:QBRIDGE_LAB_GATEWAY_URL}", auth: {username: "${env:QBRIDGE_SECRET_LAB_USER}", password: "${env:QBRIDGE_SECRET_LAB_PASSWORD}"}}
servicenow:
  - {name: dev, url: "${env:QBRIDGE_SERVICENOW_URL}", auth: {type: basic, username: "${env:QBRIDGE_SECRET_SN_USER}", password: "${env:QBRIDGE_SECRET_SN_PASSWORD}"}, discoverySource: SG-Qualys}
  - {name: test, url: "${env:QBRIDGE_TEST_URL}", auth: {type: basic, username: "${env:QBRIDGE_SECRET_TEST_USER}", password: "${env:QBRIDGE_SECRET_TEST_PASSWORD}"}, discoverySource: SG-Qualys}
schedules:
  - {name: corp-dev, source: corp, target: dev, manual: true, existing: full}
  - {name: lab-dev, source: lab, target: dev, manual: true, existing: full}
  - {name: often, source: corp, target: test, every: 15m, paused: true}
  - {name: nightly, source: corp, target: dev, calendar: daily 02:30, timeZone: Europe/Zurich}
  - {name: morning, source: lab, target: dev, calendar: daily 07:45, timeZone: America/New_York, overlap: queue}
  - {name: weekdays, source: lab, target: test, calendar: "weekly mon,wed,fri 03:00", timeZone: Asia/Kolkata}
  - {name: monthly, source: corp, target: test, calendar: monthly 1 04:15}
  - {name: once, source: corp, target: test, once: "2027-03-01T03:30", timeZone: Europe/Berlin}
  - {name: fast, source: corp, target: test, every: 2s, filter: "operatingSystem.category1:Linux"}
  - {name: faster, source: lab, target: test, every: 2s, catchUp: 10s}
`

// withLab starts a second subscription and a second instance and tells the worker
// where they are.
func (s *stack) withLab() *stack {
	lab := &stack{t: s.t}
	lab.startSimulators([]string{"--assets", "60", "--seed", "51"})
	s.restart("QBRIDGE_LAB_API_URL="+lab.sims.Qualys.APIURL, "QBRIDGE_LAB_GATEWAY_URL="+lab.sims.Qualys.GatewayURL,
		"QBRIDGE_SECRET_LAB_USER="+lab.sims.Qualys.Username, "QBRIDGE_SECRET_LAB_PASSWORD="+lab.sims.Qualys.Password,
		"QBRIDGE_TEST_URL="+lab.sims.ServiceNow.URL, "QBRIDGE_SECRET_TEST_USER="+lab.sims.ServiceNow.Username, "QBRIDGE_SECRET_TEST_PASSWORD="+lab.sims.ServiceNow.Password)
	return lab
}

func TestTwoSubscriptionsTwoInstancesAndTenSchedules(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "60", "--seed", "51")
	lab := s.withLab()
	code, out := s.apply(pairs)
	require.Zero(t, code, out)

	t.Run("times are those of the calendar", s.timesOfAYear)
	t.Run("schedules of two seconds really fire", func(t *testing.T) {
		for _, name := range []string{"fast", "faster"} {
			s.eventually(name+" runs twice", func() error { return s.ran(name, 2) })
		}
		for _, name := range []string{"fast", "faster"} {
			code, _, errs := s.cli("schedule", "pause", name)
			require.Zero(t, code, errs)
		}
	})
	t.Run("a backfill runs what was missed", func(t *testing.T) {
		require.Error(t, s.ran("monthly", 1))
		code, _, errs := s.cli("schedule", "backfill", "monthly", "--from", "2026-08-15T00:00:00Z", "--to", "2026-10-15T00:00:00Z")
		require.Zero(t, code, errs)
		s.eventually("September and October run", func() error { return s.ran("monthly", 2) })
	})
	t.Run("the same asset id in both subscriptions stays two records", func(t *testing.T) {
		for _, name := range []string{"corp-dev", "lab-dev"} {
			code, out, errs := s.cli("run", "start", name, "--wait")
			require.Zero(t, code, out+errs)
		}
		keys := map[string]bool{}
		for _, r := range s.rows("sys_object_source") {
			keys[r["id"]] = true
		}
		both := 0
		for key := range keys {
			if bare, ok := strings.CutPrefix(key, "corp/"); ok && !strings.Contains(bare, "/") && keys["lab/"+bare] {
				both++
			}
		}
		require.Greater(t, both, 40, "each keeps its source key, also where IRE finds that both are one machine")
		require.NotEqual(t, s.digest(), lab.digest())
	})
	t.Run("a second apply writes nothing", func(t *testing.T) {
		code, text, errs := s.cli("apply", s.dir+"/config.yaml", "-o", "json")
		require.Zero(t, code, errs)
		var got struct {
			Changed   bool `json:"changed"`
			Schedules []struct{ Name, Verb string }
		}
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		require.False(t, got.Changed)
		require.Len(t, got.Schedules, 8)
		for _, sc := range got.Schedules {
			require.Equal(t, "unchanged", sc.Verb, sc.Name)
		}
	})
}

// ran is an error until a schedule had so many runs that ended well.
func (s *stack) ran(schedule string, n int) error {
	code, out, errs := s.cli("run", "list", "--schedule", schedule, "-o", "json")
	require.Zero(s.t, code, errs)
	var list struct{ Runs []struct{ Status string } }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return err
	}
	done := 0
	for _, r := range list.Runs {
		if r.Status == "completed" {
			done++
		}
	}
	if done < n {
		return fmt.Errorf("%d runs of %s have ended", done, schedule)
	}
	return nil
}

// timesOfAYear compares the times that Temporal lists with those of the calendar,
// found by walking through the minutes of the year in the schedule's time zone. A
// time that does not exist on the day when the clocks go forward is left out; of one
// that comes twice when they go back the second counts.
func (s *stack) timesOfAYear(t *testing.T) {
	from := time.Date(2027, 1, 1, 0, 0, 30, 0, time.UTC)
	to := from.AddDate(1, 0, 0)
	const local = "2006-01-02 15:04"
	for name, c := range map[string]struct {
		zone string
		is   func(local time.Time) bool
		n    int
	}{
		"often":    {"UTC", func(l time.Time) bool { return l.Minute()%15 == 0 }, 365 * 96},
		"nightly":  {"Europe/Zurich", func(l time.Time) bool { return l.Hour() == 2 && l.Minute() == 30 }, 364},
		"morning":  {"America/New_York", func(l time.Time) bool { return l.Hour() == 7 && l.Minute() == 45 }, 365},
		"weekdays": {"Asia/Kolkata", func(l time.Time) bool { return l.Weekday()%2 == 1 && l.Hour() == 3 && l.Minute() == 0 }, 156},
		"monthly":  {"UTC", func(l time.Time) bool { return l.Day() == 1 && l.Hour() == 4 && l.Minute() == 15 }, 12},
		"once": {"Europe/Berlin", func(l time.Time) bool {
			return l.Month() == time.March && l.Day() == 1 && l.Hour() == 3 && l.Minute() == 30
		}, 1},
	} {
		at, err := time.LoadLocation(c.zone)
		require.NoError(t, err)
		var want []string
		for m := from.Truncate(time.Minute).Add(time.Minute); m.Before(to); m = m.Add(time.Minute) {
			if l := m.In(at); c.is(l) {
				if again := m.Add(-time.Hour); len(want) > 0 && want[len(want)-1] == again.Format(time.RFC3339) && again.In(at).Format(local) == l.Format(local) {
					want = want[:len(want)-1]
				}
				want = append(want, m.Format(time.RFC3339))
			}
		}
		require.Len(t, want, c.n, name)
		require.Empty(t, cmp.Diff(want, s.matching(t, name, from, to)), name)
	}
}

// matching lists the times of a schedule, as the server does.
func (s *stack) matching(t *testing.T, name string, from, to time.Time) []string {
	var out []string
	for from.Before(to) { // the server lists a limited number at a time
		res, err := s.client.WorkflowService().ListScheduleMatchingTimes(context.Background(), &workflowservice.ListScheduleMatchingTimesRequest{
			Namespace: s.namespace, ScheduleId: "qbridge/" + name, StartTime: timestamppb.New(from), EndTime: timestamppb.New(to),
		})
		require.NoError(t, err)
		if len(res.GetStartTime()) == 0 {
			return out
		}
		for _, at := range res.GetStartTime() {
			out = append(out, at.AsTime().UTC().Format(time.RFC3339))
			from = at.AsTime()
		}
	}
	return out
}

func TestAScheduleThatSomebodyEditedIsDriftAndIsMended(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "10", "--seed", "53")
	document := strings.Replace(s.document(), "manual: true", "every: 6h", 1)
	code, out := s.apply(document)
	require.Zero(t, code, out)
	path := filepath.Join(s.dir, "config.yaml")

	h := s.client.ScheduleClient().GetHandle(context.Background(), "qbridge/inventory")
	require.NoError(t, h.Pause(context.Background(), client.SchedulePauseOptions{Note: "change freeze"}))
	require.NoError(t, h.Update(context.Background(), client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		sc := in.Description.Schedule
		sc.Spec.Intervals[0].Every = time.Hour
		return &client.ScheduleUpdate{Schedule: &sc}, nil
	}}))

	code, text, _ := s.cli("diff", path)
	require.Equal(t, cli.ExitDrift, code)
	require.Contains(t, text, "drift      inventory: changed by hand: when: every 1h UTC → every 6h UTC")
	code, out = s.apply(document)
	require.Zero(t, code, out)
	require.Contains(t, out, "mended")
	d, err := h.Describe(context.Background())
	require.NoError(t, err)
	require.Equal(t, 6*time.Hour, d.Schedule.Spec.Intervals[0].Every)
	require.True(t, d.Schedule.State.Paused, "the pause belongs to who set it")
	require.Equal(t, "change freeze", d.Schedule.State.Note)
	code, text, _ = s.cli("diff", path)
	require.Zero(t, code, text)
	require.Contains(t, text, "paused: change freeze; apply leaves it so")

	require.NoError(t, os.WriteFile(path, []byte(s.document()), 0o600)) // manual again
	code, text, _ = s.cli("diff", "--prune", path)
	require.Zero(t, code, text)
	require.Contains(t, text, "delete     inventory: no longer in the configuration")
	code, _, errs := s.cli("apply", "--prune", path)
	require.Zero(t, code, errs)
	s.eventually("the schedule is gone", func() error {
		if _, err := h.Describe(context.Background()); err == nil {
			return fmt.Errorf("it is still there")
		}
		return nil
	})
}

func TestAChangeOfRulesReadsAllAndAChangeOfCommentsNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "700", "--seed", "54")
	s.mustApply()
	code, all := s.sync()
	require.Zero(t, code)
	require.EqualValues(t, 700, all.Fetched)

	_, err := postForm(s.sims.Qualys.GatewayURL+"/_sim/mutate?k=7", "")
	require.NoError(t, err)
	code, out := s.apply("# a comment\n" + s.document())
	require.Zero(t, code, out)
	code, res := s.sync()
	require.Zero(t, code)
	require.Less(t, res.Fetched, int64(20), "only what changed: %+v", res.Counters)
	require.Positive(t, res.Fetched)

	bounded := strings.Replace(s.document(), "manual: true", "manual: true\n    excludeUnmanaged: true\n    since: 2099-01-01", 1)
	code, out = s.apply(bounded)
	require.Zero(t, code, out)
	code, res = s.sync()
	require.Zero(t, code)
	require.Zero(t, res.Fetched, "since leaves out everything")
	code, out = s.apply(strings.Replace(bounded, "    since: 2099-01-01\n", "", 1))
	require.Zero(t, code, out)
	code, res = s.sync()
	require.Zero(t, code)
	require.GreaterOrEqual(t, res.Fetched, int64(690), "without since, all")
	require.Positive(t, res.Filtered, "those that only others report: %+v", res.Counters)
	code, text, errs := s.cli("run", "show", "latest", "--outcome", "filtered")
	require.Zero(t, code, errs)
	require.Contains(t, text, "unmanaged: known to EASM only")
}
