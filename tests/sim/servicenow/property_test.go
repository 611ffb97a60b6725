package servicenow_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawOptions are the options of the enhanced call that decide what is committed.
func drawOptions(t *rapid.T) string {
	return rapid.SampledFrom([]string{"partial_payloads:false", "partial_payloads:true", "partial_payloads:false,partial_commits:false",
		"partial_payloads:false,deduplicate_payloads:false", "partial_payloads:false,generate_summary:true"}).Draw(t, "options")
}

func machineParcels(list []machine) []parcel {
	out := make([]parcel, len(list))
	for n, m := range list {
		out[n] = m.whole()
	}
	return out
}

// Sending any payload twice changes nothing the second time: every item that
// was accepted is found and left alone, every item that was refused is refused
// again.
func TestPropertyRepeatChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		i := mustInstance(t, servicenow.Options{})
		body := joined(machineParcels(drawMachines(rt))).shuffled(rt).body(rapid.Bool().Draw(rt, "by index"))
		variant, options := rapid.SampledFrom([]string{"", "/enhanced"}).Draw(rt, "variant"), drawOptions(rt)
		first := i.ire(variant, options, body)
		before := i.digest()
		again := i.ire(variant, options, body)
		require.Equal(rt, before, i.digest())
		for n, it := range append(again.Items, again.Relations...) {
			was := append(first.Items, first.Relations...)[n]
			if was.SysID != "Unknown" {
				require.Equal(rt, "NO_CHANGE", it.Operation)
			}
			require.Equal(rt, was.SysID, it.SysID)
			require.Equal(rt, was.errorCode(), it.errorCode())
		}
	})
}

// Sending a payload twice changes nothing the second time even where its items
// share some identifying values and not others, as long as each of them was a
// CI of its own the first time. Items that contend for one CI are another
// matter: each of them writes it, every time.
func TestPropertyRepeatOfATangleChangesNothing(t *testing.T) {
	t.Parallel()
	compared := 0
	rapid.Check(t, func(rt *rapid.T) {
		i := mustInstance(t, servicenow.Options{})
		body := drawTangle(rt, false).body(false)
		rt.Log(body)
		variant, options := rapid.SampledFrom([]string{"", "/enhanced"}).Draw(rt, "variant"), drawOptions(rt)
		first := i.ire(variant, options, body)
		if first.HasError || slices.ContainsFunc(first.Items, func(it ireItem) bool { return it.Operation != "INSERT" }) {
			return
		}
		if contend(rt, body) {
			return
		}
		compared++
		before := i.digest()
		for _, it := range i.ire(variant, options, body).Items {
			require.Equal(rt, "NO_CHANGE", it.Operation)
		}
		require.Equal(rt, before, i.digest())
	})
	require.Positive(t, compared)
}

// contend says whether two items have the same serial number. A server and a
// hypervisor have rules of their own, so both become CIs at first; later the
// server's rule, which looks at all hardware, finds both and takes one of them
// for a duplicate.
func contend(t require.TestingT, body string) bool {
	var payload struct {
		Items []struct {
			Values map[string]string `json:"values"`
		} `json:"items"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &payload))
	seen := map[string]bool{}
	for _, it := range payload.Items {
		serial := it.Values["serial_number"]
		if serial != "" && seen[serial] {
			return true
		}
		seen[serial] = true
	}
	return false
}

// Splitting and reordering independent items, repeating payloads and writing
// them concurrently gives the same CMDB, journal included.
func TestPropertyDigestIgnoresOrderAndConcurrency(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		machines := drawMachines(rt)
		whole := mustInstance(t, servicenow.Options{})
		whole.enhanced(joined(machineParcels(machines)).body(false))
		dir, err := os.MkdirTemp(t.TempDir(), "state")
		require.NoError(rt, err)
		parts := mustInstance(t, servicenow.Options{Seed: 99, StateDir: dir})
		var pieces []parcel
		for _, m := range machines {
			pieces = append(pieces, m.pieces(rt)...)
		}
		pieces = permuted(rt, "order", pieces)
		var wg sync.WaitGroup
		for len(pieces) > 0 {
			n := rapid.IntRange(1, len(pieces)).Draw(rt, "batch")
			body := joined(pieces[:n]).shuffled(rt).body(rapid.Bool().Draw(rt, "by index"))
			pieces = pieces[n:]
			if rapid.Bool().Draw(rt, "wait for the others") {
				wg.Wait()
			}
			for range rapid.IntRange(1, 2).Draw(rt, "times") {
				wg.Go(func() { parts.enhanced(body) })
			}
		}
		wg.Wait()
		require.Equal(rt, whole.digest(), parts.digest())
		require.Equal(rt, whole.digest(), mustInstance(t, servicenow.Options{StateDir: dir}).digest())
	})
}

// The query calls say what the writing calls would do and change nothing.
func TestPropertyQueryForetellsAndChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		i := mustInstance(t, servicenow.Options{})
		i.ire("/enhanced", "", drawTangle(rt, true).body(false))
		body, options := drawTangle(rt, true).body(false), drawOptions(rt)
		query, write := "/query", ""
		if rapid.Bool().Draw(rt, "enhanced") {
			query, write = "/queryEnhanced", "/enhanced"
		}
		before := i.digest()
		foretold := i.ire(query, options, body)
		require.Equal(rt, before, i.digest())
		done := i.ire(write, options, body)
		require.Equal(rt, len(done.Items), len(foretold.Items))
		for n, it := range done.Items {
			require.Equal(rt, it.Operation, foretold.Items[n].Operation)
			require.Equal(rt, it.errorCode(), foretold.Items[n].errorCode())
		}
	})
}

// The plain call, and the enhanced one without partial commits, writes all of a
// payload or nothing.
func TestPropertyAllOrNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		i := mustInstance(t, servicenow.Options{})
		i.ire("/enhanced", "", drawTangle(rt, true).body(false))
		before := i.digest()
		variant := rapid.SampledFrom([]string{"", "/enhanced"}).Draw(rt, "variant")
		got := i.ire(variant, "partial_payloads:false,partial_commits:false", drawTangle(rt, true).body(false))
		if !got.HasError {
			for _, it := range append(got.Items, got.Relations...) {
				require.NotEqual(rt, "Unknown", it.SysID)
			}
			return
		}
		require.Equal(rt, before, i.digest())
		for _, it := range append(got.Items, got.Relations...) {
			require.Equal(rt, "Unknown", it.SysID)
			require.NotEmpty(rt, it.errorCode())
		}
	})
}

// A journal that was cut anywhere replays to the state after some whole number of calls; uncut, to the last state.
func TestPropertyJournalReplay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "state")
		require.NoError(rt, err)
		first := mustInstance(t, servicenow.Options{StateDir: dir})
		digests := map[string]bool{first.digest(): true}
		for _, m := range drawMachines(rt) {
			first.ire("/enhanced", "", m.whole().body(false))
			digests[first.digest()] = true
		}
		for range rapid.IntRange(0, 2).Draw(rt, "deletions") { // what goes takes its relations and source records along
			if list := first.rows("cmdb_ci?sysparm_limit=1&sysparm_query=ORDERBYDESCname"); len(list) > 0 {
				require.Equal(rt, http.StatusNoContent, first.send(http.MethodDelete, "/api/now/table/cmdb_ci/"+list[0]["sys_id"].(string), "").Code)
				digests[first.digest()] = true
			}
		}
		last := first.digest()
		require.Equal(rt, last, mustInstance(t, servicenow.Options{StateDir: dir}).digest())
		path := filepath.Join(dir, "servicenow.journal")
		raw, err := os.ReadFile(path)
		require.NoError(rt, err)
		require.NoError(rt, os.WriteFile(path, raw[:rapid.IntRange(0, len(raw)).Draw(rt, "cut")], 0o600))
		again := mustInstance(t, servicenow.Options{StateDir: dir})
		require.Contains(rt, digests, again.digest())
	})
}
