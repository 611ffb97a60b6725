package pipeline_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/load/pipeline"
	"github.com/qbridge/qbridge/tests/sim/estate"
	simqualys "github.com/qbridge/qbridge/tests/sim/qualys"
	simservicenow "github.com/qbridge/qbridge/tests/sim/servicenow"
)

const (
	user     = "someone"
	password = "something"
	assets   = 610 // three pages
)

// ciOnly leaves one item per asset.
var ciOnly = pipeline.Config{Sections: map[string]bool{"networkInterfaces": false, "cloud": false}}

// outcome is what a flow left behind.
type outcome struct {
	digest       string
	pages, posts int64
	items        int64
	peak         int
	written      int64
}

// play runs a flow between new simulators.
func play(t *testing.T, name string, cfg pipeline.Config) outcome {
	t.Helper()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	source, err := simqualys.New(simqualys.Options{Username: user, Password: password, Estate: estate.Options{Assets: assets, Seed: 5}})
	require.NoError(t, err)
	target, err := simservicenow.New(simservicenow.Options{Username: user, Password: password, Now: func() time.Time { return at }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, target.Close()) })
	from, to := httptest.NewServer(source.Handler()), httptest.NewServer(target.Handler())
	t.Cleanup(from.Close)
	t.Cleanup(to.Close)
	p, err := pipeline.New(pipeline.Ends{
		GatewayURL: from.URL, QualysUser: user, QualysPassword: password,
		ServiceNowURL: to.URL, ServiceNowUser: user, ServiceNowPassword: password, DiscoverySource: "SG-Qualys",
	}, cfg)
	require.NoError(t, err)
	flow, err := p.Named(name)
	require.NoError(t, err)
	require.NoError(t, flow(context.Background()))
	require.EqualValues(t, assets, p.Assets.Load())
	require.Zero(t, p.Failed.Load())
	require.Equal(t, p.Assets.Load(), p.Written.Load()+p.Skipped.Load())

	var read, wrote struct {
		Calls map[string]map[string]int64 `json:"calls"`
		Items map[string]int64            `json:"items"`
		Peak  map[string]int              `json:"peak"`
	}
	ask(t, from.URL+"/_sim/stats", &read)
	ask(t, to.URL+"/_sim/stats", &wrote)
	var digest struct {
		Digest string `json:"digest"`
	}
	ask(t, to.URL+"/_sim/digest", &digest)
	require.NotEmpty(t, digest.Digest)
	require.Equal(t, p.Posts.Load(), wrote.Calls["ire.enhanced"]["200"])
	return outcome{
		digest: digest.Digest, pages: read.Calls["search.asset"]["200"], posts: wrote.Calls["ire.enhanced"]["200"],
		items: wrote.Items["ire.enhanced"], peak: wrote.Peak["ire.enhanced"], written: p.Written.Load(),
	}
}

func ask(t *testing.T, url string, out any) {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", data)
	require.NoError(t, json.Unmarshal(data, out))
}

// What is compared must do the same work: a model that writes less than the
// product would be unfairly fast.
func TestTheModelsWriteWhatThePipelineWrites(t *testing.T) {
	t.Parallel()
	ours := play(t, pipeline.FlowOverlap, ciOnly)
	require.EqualValues(t, 3, ours.pages, "each page is read once")
	require.Equal(t, ours.written, ours.items, "one item per asset")
	require.LessOrEqual(t, ours.posts, int64(3*4), "three pages over four lanes")
	for name, c := range map[string]struct {
		flow string
		// posts and peak say how the model works
		posts func(o outcome) int64
		peak  int
	}{
		"the serial script posts every asset alone":            {pipeline.FlowSerial, func(o outcome) int64 { return o.written }, 1},
		"the connector loads first and writes over four lanes": {pipeline.FlowPhases, func(outcome) int64 { return 4 }, 4},
		"the app with a queue posts every asset alone":         {pipeline.FlowQueue, func(o outcome) int64 { return o.written }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := play(t, c.flow, ciOnly)
			require.Equal(t, []int64{ours.pages, ours.written, ours.items}, []int64{got.pages, got.written, got.items})
			require.Equal(t, c.posts(got), got.posts)
			require.LessOrEqual(t, got.peak, c.peak, "calls at a time")
			require.Equal(t, ours.digest, got.digest, "the CMDB is the same")
		})
	}
}

func TestAsManyRulesAreComparedAsAreAskedFor(t *testing.T) {
	t.Parallel()
	count := func(n int) int {
		r := pipeline.Rules(n)
		return len(r.Hardware) + len(r.Computer) + len(r.Fallback)
	}
	require.Equal(t, 1100, count(1100))
	require.Equal(t, count(0), count(1), "the default rules are always there")
	plain, many := play(t, pipeline.FlowOverlap, ciOnly), ciOnly
	many.Rules = 1100
	require.Equal(t, plain.digest, play(t, pipeline.FlowOverlap, many).digest, "the other rules decide nothing")
}
