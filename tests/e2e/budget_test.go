package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// forecast asks what the next run would cost.
func (s *stack) forecast(flags ...string) contract.ForecastResult {
	s.t.Helper()
	code, out, errs := s.cli(append([]string{"run", "forecast", "inventory", "-o", "json"}, flags...)...)
	require.Zero(s.t, code, errs)
	var f contract.ForecastResult
	require.NoError(s.t, json.Unmarshal([]byte(out), &f))
	require.NotNil(s.t, f.Forecast)
	return f
}

// Forecast, run, and what the run says of both; then a ceiling that stops runs, one
// after the other, until all is read.
func TestAForecastComesTrueAndACeilingStopsARunThatTheNextGoesOn(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "5000", "--seed", "71")
	small := strings.Replace(s.document(), "    auth:\n      username: ${env:QBRIDGE_SECRET_QUALYS_USER}", "    pageSize: 100\n    budget: {ceiling: 20}\n    auth:\n      username: ${env:QBRIDGE_SECRET_QUALYS_USER}", 1)
	require.Contains(t, small, "ceiling")
	unbounded := strings.Replace(small, "    budget: {ceiling: 20}\n", "", 1)
	code, out := s.apply(unbounded)
	require.Zero(t, code, out)

	f := s.forecast()
	require.Equal(t, "full", f.Mode)
	require.EqualValues(t, 5000, f.Forecast.Assets)
	require.EqualValues(t, 5000, f.Forecast.NewCIs)
	code, res := s.sync()
	require.Zero(t, code)
	require.InEpsilon(t, f.Forecast.QualysCalls, res.VendorCalls["qualys"], 0.05, "forecast and actual calls to Qualys")
	require.LessOrEqual(t, res.Created+res.Updated, f.Forecast.Writes)
	require.Equal(t, f.Forecast, res.Forecast, "the run knew it too")
	code, text, errs := s.cli("run", "show", "latest")
	require.Zero(t, code, errs)
	require.Contains(t, text, "forecast  51 Qualys")
	next := s.forecast()
	require.Equal(t, "incremental", next.Mode)
	require.Less(t, next.Forecast.Assets, int64(5000))
	full := s.forecast("--full")
	require.Positive(t, full.Forecast.Seconds, "an earlier run tells the time")
	require.Less(t, full.Forecast.NewCIs, int64(500), "they are there")

	code, out = s.apply(small)
	require.Zero(t, code, out)
	read, runs := int64(0), 0
	for first := true; ; first = false {
		flags := []string{}
		if first {
			flags = append(flags, "--full")
		}
		code, res := s.sync(flags...)
		require.LessOrEqual(t, res.VendorCalls["qualys"], int64(20))
		read += res.Fetched
		if runs++; code == cli.ExitOK {
			break
		}
		require.Equal(t, cli.ExitPartial, code)
		require.Contains(t, res.Warning, "ceiling of 20 calls")
		require.Less(t, runs, 5)
	}
	require.EqualValues(t, 5000, read, "no asset twice, none left out")
	require.Equal(t, 3, runs)
}

func TestABlackoutStopsARunBeforeItsFirstPage(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "50", "--seed", "72")
	now := time.Now().UTC()
	window := now.Add(-time.Hour).Format("15:04") + "-" + now.Add(time.Hour).Format("15:04")
	code, out := s.apply(strings.Replace(s.document(), "manual: true", "manual: true\n    blackout: [\"daily "+window+"\"]", 1))
	require.Zero(t, code, out)
	code, res := s.sync()
	require.Equal(t, cli.ExitPartial, code)
	require.Contains(t, res.Warning, "is closed to runs")
	require.Zero(t, res.Fetched)
	s.mustApply()
	code, res = s.sync()
	require.Zero(t, code)
	require.EqualValues(t, 50, res.Fetched)
	code, out, errs := s.cli("run", "pin", res.Run)
	require.Zero(t, code, errs)
	require.Contains(t, out, "is pinned")
	code, out, errs = s.cli("run", "show", res.Run)
	require.Zero(t, code, errs)
	require.Contains(t, out, "kept for good")
	code, _, errs = s.cli("run", "pin", "nonsense")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, `there is no run "nonsense"`)
	require.EqualValues(t, 2, s.forecast().Forecast.QualysCalls)
	s.replayAll()
}
