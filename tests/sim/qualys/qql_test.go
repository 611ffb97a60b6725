package qualys_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/qualys"
)

// Query language, samples of the tagging SDK: operatingSystem without a member is the name of the operating system.
func TestTheQueryLanguageTakesTheSampleOfTheSDK(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	got := c.v1(t, "operatingSystem:Windows and hardware.category:Server")
	require.Positive(t, got)
	require.Equal(t, c.v1(t, "operatingSystem.name:Windows and hardware.category:Server"), got)
	require.Less(t, got, c.v1(t, "operatingSystem:Windows"))
}

// Query language, search tips of tag rules: "token is null".
func TestTheQueryLanguageAsksForAbsentValues(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	with := c.v1(t, "agent.agentID:*")
	require.Positive(t, with)
	for filter, want := range map[string]int{
		"agent.agentID is null":                          600 - with,
		"(agent.agentID IS NULL)":                        600 - with,
		"not agent.agentID is null":                      with,
		"agent:(agentID is null)":                        600 - with,
		"agent.agentID is null or asset.id:*":            600,
		"agent.agentID is null and agent.agentID:*":      0,
		"agent.nosuch is null":                           -400,
		"agent.agentID is":                               -400,
		"agent.agentID null":                             -400,
		"agent.agentID is nullable":                      -400,
		"agent.agentID is null agent.agentID is null":    -400,
		"asset.name:[\"a]b\" .. \"c\"]":                  -400, // texts have no order
		"asset.lastUpdatedDate:[now-20y..now]":           600,
		"asset.lastUpdatedDate:['2020-01-01' .. `now`]":  600,
		"asset.lastUpdatedDate:[\"2020-01-01 .. now]":    -400,
		"asset.lastUpdatedDate:[2020-01-01 .. now":       -400,
		"asset.lastUpdatedDate:[2020-01-01 now]":         -400,
		"asset.id:[1 .. ]":                               -400,
		"asset.id:[1..99999999999] and agent.agentID:* ": with,
	} {
		require.Equal(t, want, c.v1(t, filter), filter)
	}
}

// Query language in tag rules: any relative date that a filter takes, and members that follow the clock, also after a
// restart.
func TestARelativeDateOfATagRuleFollowsTheClock(t *testing.T) {
	t.Parallel()
	clock := newClock()
	o := qualys.Options{Now: clock.Now, StateDir: t.TempDir()}
	s := mustServer(t, o)
	c := &client{h: s.Handler()}
	c.signIn(t)
	for _, rule := range []string{"asset.lastUpdatedDate:>now-10y", "asset.lastUpdatedDate:>now-30d"} {
		text, err := json.Marshal(rule)
		require.NoError(t, err)
		got := c.qps(t, "create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":`+string(text)+`,"ruleType":"GLOBAL_ASSET_VIEW","ruleText":`+string(text)+`}}}}`)
		require.Equal(t, "SUCCESS", got.Code, got.Details.Message)
	}
	require.Equal(t, http.StatusOK, c.post("/_sim/mutate?k=5", "").Code)
	clock.Add(time.Minute)
	members := func() int {
		return c.countOf(t, "", criterion("tags.name", "EQUALS", "asset.lastUpdatedDate:>now-30d"))
	}
	require.Equal(t, s.Estate().Live(), c.countOf(t, "", criterion("tags.name", "EQUALS", "asset.lastUpdatedDate:>now-10y")))
	require.Positive(t, members())
	clock.Add(31 * 24 * time.Hour)
	c.signIn(t)
	require.Zero(t, members())
	require.NoError(t, s.Close())
	again := mustServer(t, o)
	defer func() { require.NoError(t, again.Close()) }()
	c = &client{h: again.Handler()}
	c.signIn(t)
	require.Zero(t, members())
}

// Query language: its bounds; an error is a 400 with the envelope.
func TestTheQueryLanguageIsBounded(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	for _, filter := range []string{
		strings.Repeat("(", 60) + "asset.id:*" + strings.Repeat(")", 60), strings.Repeat("not ", 60) + "asset.id:*",
		strings.Repeat("asset:(", 60) + "id:*" + strings.Repeat(")", 60), "asset.name:" + strings.Repeat("a", 9000),
	} {
		require.Equal(t, -400, c.v1(t, filter))
	}
}
