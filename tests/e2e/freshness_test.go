package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAWebhookTellsThatAScheduleIsLateAndThatItIsNot(t *testing.T) {
	t.Parallel()
	posted := make(chan string, 16)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- string(body)
	}))
	t.Cleanup(hook.Close)
	s := newStack(t, "--assets", "5", "--seed", "81")
	s.restart("QBRIDGE_SECRET_HOOK="+hook.URL, "QBRIDGE_FRESHNESS_EVERY=500ms")
	doc := strings.Replace(s.document(), "manual: true", "manual: true\n    freshness: 4s", 1) + "\nnotify: {webhook: \"${env:QBRIDGE_SECRET_HOOK}\"}\n"
	code, out := s.apply(doc)
	require.Zero(t, code, out)
	got := <-posted
	require.Contains(t, got, `"event":"freshness.late"`)
	require.Contains(t, got, "Schedule inventory has had no complete run since")
	code, _ = s.sync("--full")
	require.Zero(t, code)
	got = <-posted
	require.Contains(t, got, `"event":"freshness.recovered"`)
	require.Contains(t, s.text(s.url+"/metrics"), `qbridge_freshness_objective_seconds{schedule="inventory"} 4`)
}
