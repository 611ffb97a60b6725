// Package convergence_test checks that how an estate is written does not matter:
// whatever the size of payloads, whatever is sent twice, wherever the writer
// dies and begins the page again, the CMDB ends up the same.
package convergence_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/tests/sim/estate"
	simqualys "github.com/qbridge/qbridge/tests/sim/qualys"
	simservicenow "github.com/qbridge/qbridge/tests/sim/servicenow"
)

const (
	user     = "someone"
	password = "something"
)

func TestTheCMDBIsTheSameHoweverTheEstateIsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64Range(1, 50).Draw(rt, "seed")
		records := prepare(t, seed, 90)
		want := write(t, records, calm)
		got := write(t, records, func(page []payload.Input) [][]payload.Payload { return rough(rt, page) })
		require.Equal(t, want, got)
	})
}

// writer decides how a page is written: a list of attempts, of which all but the
// last die before their end.
type writer func(page []payload.Input) [][]payload.Payload

// calm writes one record after the other.
func calm(page []payload.Input) [][]payload.Payload {
	return [][]payload.Payload{payload.Cut(page, nil, nil, payload.Limits{Lanes: 1, Items: 1, Bytes: 1 << 20})}
}

// rough cuts the page anew for every attempt, sends some payloads twice, lets
// lanes overtake each other, and dies somewhere in all attempts but the last.
func rough(t *rapid.T, page []payload.Input) [][]payload.Payload {
	attempts := rapid.IntRange(1, 3).Draw(t, "attempts")
	var out [][]payload.Payload
	for a := range attempts {
		limits := payload.Limits{Lanes: rapid.IntRange(1, 5).Draw(t, "lanes"), Items: rapid.IntRange(5, 120).Draw(t, "items"), Bytes: 1 << 20}
		lanes := map[int][]payload.Payload{}
		left := 0
		for _, p := range payload.Cut(page, nil, nil, limits) {
			n := 1
			if rapid.IntRange(0, 4).Draw(t, "repeat") == 0 {
				n = 2
			}
			for range n {
				lanes[p.Lane] = append(lanes[p.Lane], p)
				left++
			}
		}
		if a < attempts-1 {
			left = rapid.IntRange(0, left).Draw(t, "dies after")
		}
		var order []payload.Payload
		for len(order) < left {
			lane := rapid.IntRange(0, limits.Lanes-1).Draw(t, "lane")
			if q := lanes[lane]; len(q) > 0 {
				order, lanes[lane] = append(order, q[0]), q[1:]
			}
		}
		out = append(out, order)
	}
	return out
}

// pageSize makes several pages of a small estate.
const pageSize = 40

// write writes the records into a new CMDB and returns its digest.
func write(t *testing.T, records []payload.Input, how writer) string {
	t.Helper()
	sim, err := simservicenow.New(simservicenow.Options{Username: user, Password: password})
	require.NoError(t, err)
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	defer func() { require.NoError(t, sim.Close()) }()
	c, err := servicenow.New(servicenow.Config{
		Name: "dev", URL: server.URL, DiscoverySource: "SG-Qualys", Transport: server.Client().Transport,
		Auth: servicenow.Auth{Type: servicenow.AuthBasic, Username: user, Password: password},
	})
	require.NoError(t, err)
	shared := payload.SharedIDs{}
	for len(records) > 0 {
		page := records[:min(pageSize, len(records))]
		records = records[len(page):]
		writeShared(t, c, page, shared)
		for _, attempt := range how(page) {
			for i := range attempt {
				post(t, c, withShared(&attempt[i], shared))
			}
		}
	}
	var d struct {
		Digest string `json:"digest"`
	}
	res, err := http.Get(server.URL + "/_sim/digest")
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&d))
	require.NotEmpty(t, d.Digest)
	return d.Digest
}

// withShared fills in the sys_ids of shared items, which the cut leaves out here
// because they differ from CMDB to CMDB.
func withShared(p *payload.Payload, shared payload.SharedIDs) *payload.Payload {
	q := *p
	q.Items = append([]payload.Item(nil), p.Items...)
	for i := range q.Items {
		if q.Items[i].Role == payload.RoleShared {
			q.Items[i].SysID = shared[q.Items[i].Key]
		}
	}
	return &q
}

func writeShared(t *testing.T, c *servicenow.Client, page []payload.Input, known payload.SharedIDs) {
	t.Helper()
	p := payload.SharedPayload(page, known)
	if p == nil {
		return
	}
	answer := post(t, c, p)
	for i := range p.Items {
		known[p.Items[i].Key] = answer.Items[i].SysID
	}
}

func post(t *testing.T, c *servicenow.Client, p *payload.Payload) *payload.Answer {
	t.Helper()
	answer, _, err := c.IdentifyReconcile(context.Background(), p, servicenow.IREOptions{Settings: payload.Settings{WithoutDowngrade: true, WithoutSwitch: true}})
	require.NoError(t, err)
	for _, r := range payload.Attribute(p, answer, nil, nil) {
		require.NotEqual(t, "failed", string(r.Outcome), "%s: %s", r.Owner, r.Reason)
	}
	return answer
}

// prepare reads a simulated subscription and maps its assets as a run does.
func prepare(t *testing.T, seed uint64, assets int) []payload.Input {
	t.Helper()
	sim, err := simqualys.New(simqualys.Options{Estate: estate.Options{Assets: assets, Seed: seed}, Username: user, Password: password})
	require.NoError(t, err)
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	c, err := qualys.New(qualys.Config{
		Name: "corp", APIURL: server.URL, GatewayURL: server.URL, Username: user, Password: password, Transport: server.Client().Transport,
	})
	require.NoError(t, err)
	rules, err := classify.Compile(classify.Default())
	require.NoError(t, err)
	m, err := mapping.Default()
	require.NoError(t, err)
	var out []payload.Input
	for page, err := range c.Pages(context.Background(), qualys.Query{}) {
		require.NoError(t, err)
		for _, r := range page.Results {
			require.Nil(t, r.Err)
			clean := asset.Cleanse(r.Asset)
			in := classify.InputsOf(r.Asset, clean)
			d := rules.Classify(&in, classify.Options{})
			if d.Class == "" {
				continue
			}
			parts := m.Apply(mapping.Input{Connection: "corp", Asset: r.Asset, Clean: clean, Class: d.Class})
			out = append(out, payload.Input{Key: parts.Native.Key, Parts: &parts})
		}
	}
	require.NotEmpty(t, out)
	return out
}
