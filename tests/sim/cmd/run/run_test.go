package run_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/cmd/run"
)

func TestMainAnnouncesBothAddressesServesAndStops(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	code := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		code <- run.Main(ctx, []string{
			"--assets", "40", "--seed", "5", "--qualys", "127.0.0.1:0", "--servicenow", "127.0.0.1:0", "--state", t.TempDir(),
			"--ire-latency", "1ms+1ms", "--page-latency", "1ms", "--limits", "standard", "--profile", "full", "--bad", "2",
		}, in, &stderr)
	}()
	var ready run.Ready
	require.NoError(t, json.NewDecoder(out).Decode(&ready))
	require.Equal(t, ready.Qualys.APIURL, ready.Qualys.GatewayURL)
	require.True(t, strings.ContainsAny(ready.Qualys.Password, "%") && strings.ContainsAny(ready.Qualys.Password, "+"))

	resp, err := http.PostForm(ready.Qualys.GatewayURL+"/auth", url.Values{"username": {ready.Qualys.Username}, "password": {ready.Qualys.Password}, "token": {"true"}})
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusCreated, resp.StatusCode)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ready.ServiceNow.URL+"/api/now/table/sys_user?sysparm_limit=1", nil)
	require.NoError(t, err)
	req.SetBasicAuth(ready.ServiceNow.Username, ready.ServiceNow.Password)
	resp, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NotEqual(t, http.StatusUnauthorized, resp.StatusCode)

	resp, err = http.Get(ready.ServiceNow.URL + "/_sim/stats")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	stop()
	require.Equal(t, 0, <-code, stderr.String())
}

func TestMainRefusesWrongFlagsWithCode2AndAReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an unknown flag":     {[]string{"--nope"}, "flag provided but not defined"},
		"an argument":         {[]string{"x"}, `unexpected argument "x"`},
		"no assets":           {[]string{"--assets", "0"}, "--assets must be at least 1"},
		"no address":          {[]string{"--servicenow", ""}, "need an address"},
		"a profile":           {[]string{"--profile", "fat"}, "unknown profile"},
		"limits":              {[]string{"--limits", "gold"}, "such as 2/300/3600"},
		"a latency":           {[]string{"--ire-latency", "40"}, "40ms+4ms"},
		"a malformed plan":    {[]string{"--faults", "on * do what"}, "column 9"},
		"a choice":            {[]string{"--qualys-page-size", "500"}, "want one of [400 416 clamp]"},
		"too many bad assets": {[]string{"--bad", "9999"}, "9999 malformed assets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			require.Equal(t, 2, run.Main(t.Context(), c.args, &stdout, &stderr))
			require.Contains(t, stderr.String(), c.want)
			require.Empty(t, stdout.String())
		})
	}
}

func TestMainFailsWithCode1WhenItCannotListen(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, 1, run.Main(t.Context(), []string{"--qualys", "192.0.2.1:1"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "sim: listen for Qualys")
}
