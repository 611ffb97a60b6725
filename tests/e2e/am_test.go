package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheAssetManagementAPIIsASourceToo(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "300", "--seed", "21", "--update-set", "../../deploy/servicenow/qbridge-tables.xml")
	doc := strings.Replace(s.document(), "auth:\n", "api: am\n    auth:\n", 1)
	doc = strings.Replace(doc, "manual: true", "manual: true\n    sections: {software: true, openPorts: true, volumes: true, metadata: true}", 1)
	code, out := s.apply(doc)
	require.Zero(t, code, out)
	code, res := s.sync("--full")
	_, text, _ := s.cli("run", "show", "latest")
	require.Zero(t, code, text)
	require.Greater(t, res.Fetched, int64(290), "all but what only the attack surface knows: %s", text)
	require.Zero(t, res.Failed+res.Rejected, text)
	require.Greater(t, res.Created, int64(200), text)
	for _, path := range []string{"/rest/2.0/", "/am/v1/", "/auth"} {
		require.NotContains(t, s.text(s.sims.Qualys.GatewayURL+"/_sim/log"), `"`+path, "only the other API is called")
	}
	digest := s.digest()
	code, res = s.sync("--full")
	require.Zero(t, code)
	require.Zero(t, res.Created+res.Updated, "%+v", res.Counters)
	require.Equal(t, digest, s.digest())
	code, text, errs := s.cli("doctor")
	require.Zero(t, code, errs)
	require.Contains(t, text, "serial number, asset tag and hardware UUID")
}

func TestAFilterSelectsAssets(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "300", "--seed", "22")
	apply := func(filter string) {
		code, out := s.apply(strings.Replace(s.document(), "manual: true", "manual: true\n    filter: '"+filter+"'", 1))
		require.Zero(t, code, out)
	}
	apply("operatingSystem.category1:`Linux`")
	code, res := s.sync("--full")
	require.Zero(t, code)
	require.Zero(t, res.Filtered, "Qualys selects")
	linux := res.Fetched
	require.Positive(t, linux)
	require.Less(t, linux, int64(200))

	apply("operatingSystem.category1:`Linux` and not hardware.manufacturer:\"Dell\" or asset.id < 0")
	code, out, errs := s.cli("validate", s.dir+"/config.yaml")
	require.Zero(t, code, errs)
	require.Contains(t, out, "filter of inventory: decided on the asset: ")
	code, res = s.sync()
	require.Zero(t, code)
	require.EqualValues(t, 300, res.Fetched, "another filter reads everything")
	require.Greater(t, res.Filtered, 300-linux)
	require.Less(t, res.Filtered, int64(300))

	code, out = s.apply(strings.Replace(s.document(), "manual: true", "manual: true\n    filter: 'operatingSystem.categry1:Linux'", 1))
	require.Equal(t, 2, code)
	require.Contains(t, out, "schedules[0].filter: column 1: unknown field")
	require.Contains(t, out, `did you mean "operatingSystem.category1"?`)
}
