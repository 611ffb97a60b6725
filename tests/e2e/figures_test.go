package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/load/cost"
)

// What a run costs can be counted: calls and history, exactly. What takes time is
// measured by tests/load and never asserted.

// counts are the calls of the simulators by endpoint, and the items in IRE calls.
type counts struct {
	search, count, ire, items, rows int64
}

func (s *stack) counts() counts {
	s.t.Helper()
	type stats struct {
		Calls map[string]map[string]int64 `json:"calls"`
		Items map[string]int64            `json:"items"`
	}
	var q, sn stats
	s.get(s.sims.Qualys.GatewayURL+"/_sim/stats", &q)
	s.get(s.sims.ServiceNow.URL+"/_sim/stats", &sn)
	all := func(calls map[string]map[string]int64, endpoints ...string) (n int64) {
		for _, e := range endpoints {
			for _, k := range calls[e] {
				n += k
			}
		}
		return n
	}
	return counts{
		search: all(q.Calls, "search.asset"), count: all(q.Calls, "count.asset"), ire: all(sn.Calls, "ire.enhanced"), items: sn.Items["ire.enhanced"],
		rows: all(sn.Calls, "table.post", "table.put", "table.patch", "table.delete", "batch"),
	}
}

func (c counts) since(before counts) counts {
	return counts{c.search - before.search, c.count - before.count, c.ire - before.ire, c.items - before.items, c.rows - before.rows}
}

func TestARunCallsNoMoreThanItHasTo(t *testing.T) {
	t.Parallel()
	const assets, pages = 610, 3
	s := newStack(t, "--assets", fmt.Sprint(assets), "--seed", "4")
	s.mustApply()
	before, asked := s.counts(), len(s.cursors())
	code, first := s.sync("--full")
	require.Zero(t, code)
	loaded := s.counts().since(before)
	require.Len(t, s.cursors(), asked+pages, "each page once")
	tests := loaded.search - pages // of the connection, before the first run of a revision
	require.LessOrEqual(t, tests, int64(1))
	require.LessOrEqual(t, loaded.count, 1+tests)
	require.EqualValues(t, pages+1, first.VendorCalls["qualys"], "the pages and a count")
	require.Positive(t, loaded.ire)

	before = s.counts()
	code, again := s.sync("--full")
	require.Zero(t, code)
	second := s.counts().since(before)
	require.EqualValues(t, pages, second.search)
	require.Zero(t, second.ire+second.rows, "a second identical run writes nothing")
	require.Zero(t, again.Created+again.Updated)

	before = s.counts()
	code, _ = s.sync()
	require.Zero(t, code)
	unchanged := s.counts().since(before)
	require.LessOrEqual(t, unchanged.search+unchanged.count, int64(3), "an incremental run without changes")
	require.Zero(t, unchanged.ire+unchanged.rows)

	const changed = assets / 50
	res, err := http.Post(fmt.Sprintf("%s/_sim/mutate?k=%d", s.sims.Qualys.GatewayURL, changed), "", nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	before = s.counts()
	code, delta := s.sync()
	require.Zero(t, code)
	wrote := s.counts().since(before)
	require.LessOrEqual(t, wrote.search+wrote.count, int64(3))
	require.Positive(t, delta.Created+delta.Updated)
	// A page is cut over the lanes, which takes a call for each; shared items that
	// are new take one more, and so do records that are sent again with their names.
	const lanes = 4
	require.LessOrEqual(t, wrote.ire, int64(lanes+2), "one page: %+v", delta.Counters)
	t.Logf("first load %+v, second run %+v, unchanged %+v, %d changed %+v", loaded, second, unchanged, changed, wrote)
}

// pageSized is the configuration with pages of a size.
func (s *stack) pageSized(n int) string {
	return strings.Replace(s.document(), "- name: corp ", fmt.Sprintf("- name: corp\n    pageSize: %d\n   ", n), 1)
}

// Beginning and end of a run cost the same whatever its size, so the price of a
// page is the difference between two runs.
func TestAPageCostsFewEventsBytesAndActions(t *testing.T) {
	t.Parallel()
	const size, few, many = 30, 2, 12
	costOf := func(pages int) cost.Cost {
		s := newStack(t, "--assets", fmt.Sprint(pages*size), "--seed", "12")
		code, out := s.apply(s.pageSized(size))
		require.Zero(t, code, out)
		run := s.start()
		res := s.result(run)
		require.EqualValues(t, pages, res.Pages)
		c, err := cost.Of(context.Background(), s.client, run.GetID(), run.GetRunID())
		require.NoError(t, err)
		require.EqualValues(t, 1, c.Runs)
		return c
	}
	a, b := costOf(few), costOf(many)
	perThousand := func(from, to int64) float64 { return float64(to-from) / (many - few) * 1000 / 300 }
	events, bytes, actions := perThousand(a.Events, b.Events), perThousand(a.Bytes, b.Bytes), perThousand(a.Actions, b.Actions)
	t.Logf("per 1,000 assets in pages of 300: %.1f events, %.0f bytes, %.1f actions; a run of %d pages: %+v", events, bytes, actions, many, b)
	require.LessOrEqual(t, events, 70.0)
	require.LessOrEqual(t, bytes, 10_000.0)
	require.LessOrEqual(t, actions, 15.0)
	require.Positive(t, b.Payload)
	require.LessOrEqual(t, b.Payload, int64(64<<10))
}
