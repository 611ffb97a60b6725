package timing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/timing"
)

func TestTheBottleneckIsNamedWhenThereIsOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seconds timing.Seconds
		want    string // "": none
	}{
		"nothing is known":     {nil, ""},
		"nothing took time":    {timing.Seconds{timing.IRE: 0}, ""},
		"one stage":            {timing.Seconds{timing.IRE: 71, timing.Qualys: 20, timing.Store: 9}, "most of the time (71 %) went to ServiceNow's IRE"},
		"limits":               {timing.Seconds{timing.QualysWait: 60, timing.Qualys: 40}, "most of the time (60 %) went to waiting for the limits of Qualys"},
		"just enough":          {timing.Seconds{timing.Store: 30, timing.Qualys: 25, timing.IRE: 25, timing.Transform: 20}, "most of the time (30 %) went to the run store"},
		"no stage stands out":  {timing.Seconds{timing.Store: 26, timing.Qualys: 25, timing.IRE: 25, timing.Transform: 24}, ""},
		"the first of equals":  {timing.Seconds{timing.Qualys: 5, timing.IRE: 5}, "most of the time (50 %) went to Qualys answering"},
		"a stage of the later": {timing.Seconds{"another version's": 90, timing.IRE: 5}, ""},
	} {
		_, _, text, ok := c.seconds.Bottleneck()
		require.Equal(t, c.want != "", ok, name)
		require.Contains(t, text, c.want, name)
	}
	for _, s := range timing.Stages() {
		_, share, text, ok := timing.Seconds{s: 1}.Bottleneck()
		require.True(t, ok, s)
		require.InDelta(t, 1, share, 0)
		require.Contains(t, text, ": ", "every stage says what helps")
	}
}
