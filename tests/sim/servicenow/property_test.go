package servicenow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// machine is an independent asset: a server with its adapters.
type machine struct {
	items, relations []string
}

// drawMachines makes assets whose identities never overlap.
func drawMachines(t *rapid.T) []machine {
	classes := []string{"cmdb_ci_server", "cmdb_ci_linux_server", "cmdb_ci_printer", "cmdb_ci_ip_switch", "cmdb_ci_computer"}
	out := make([]machine, rapid.IntRange(1, 12).Draw(t, "machines"))
	for n := range out {
		key := fmt.Sprintf("a%d", n)
		values := fmt.Sprintf(`"name":"host-%d","comments":%q`, n, rapid.StringMatching(`[a-zA-Z0-9 ^']{0,12}`).Draw(t, "comments"))
		lookup := `"lookup":[]`
		if rapid.Bool().Draw(t, "serial") {
			values += fmt.Sprintf(`,"serial_number":"SN-%d"`, n)
			lookup = fmt.Sprintf(`"lookup":[{"className":"cmdb_serial_number","values":{"serial_number":"SN-%d","serial_number_type":"system"}}]`, n)
		}
		m := machine{items: []string{ci(rapid.SampledFrom(classes).Draw(t, "class"), key, values, lookup)}}
		for a := range rapid.IntRange(0, 3).Draw(t, "adapters") {
			id := fmt.Sprintf("%s-eth%d", key, a)
			m.items = append(m.items, adapter(id, fmt.Sprintf("eth%d", a), fmt.Sprintf("02:00:00:00:%02x:%02x", n, a)))
			m.relations = append(m.relations, rel(key, id, owns))
		}
		out[n] = m
	}
	return out
}

func payloadOf(list []machine) string {
	var all, relations []string
	for _, m := range list {
		all, relations = append(all, m.items...), append(relations, m.relations...)
	}
	return related(all, relations...)
}

// Sending any payload twice changes nothing the second time.
func TestPropertyRepeatChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		i := mustInstance(t, servicenow.Options{})
		body := payloadOf(drawMachines(rt))
		i.enhanced(body)
		before := i.digest()
		for _, it := range i.enhanced(body).Items {
			require.Equal(rt, "NO_CHANGE", it.Operation)
		}
		require.Equal(rt, before, i.digest())
	})
}

// Splitting and reordering independent items, repeating payloads and writing them concurrently gives the same CMDB.
func TestPropertyDigestIgnoresOrderAndConcurrency(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		machines := drawMachines(rt)
		whole := mustInstance(t, servicenow.Options{})
		whole.enhanced(payloadOf(machines))
		parts := mustInstance(t, servicenow.Options{Seed: 99})
		shuffled := rapid.Permutation(machines).Draw(rt, "order")
		var wg sync.WaitGroup
		for len(shuffled) > 0 {
			n := rapid.IntRange(1, len(shuffled)).Draw(rt, "batch")
			body := payloadOf(shuffled[:n])
			shuffled = shuffled[n:]
			for range rapid.IntRange(1, 2).Draw(rt, "times") {
				wg.Go(func() { parts.enhanced(body) })
			}
		}
		wg.Wait()
		require.Equal(rt, whole.digest(), parts.digest())
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
			first.enhanced(payloadOf([]machine{m}))
			digests[first.digest()] = true
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

// The encoded query parser and evaluator never panic, whatever arrives.
func FuzzEncodedQuery(f *testing.F) {
	for _, seed := range []string{"name=a^ORb=c^NQosISEMPTY^ORDERBYDESCname", "sys_idIN1,2", "nameBETWEENa@b", "^^OR^NQ^", "sys_created_onRELATIVEGT@hour@ago@1", "manufacturer.name=Acme", "ramONx@javascript:gs.daysAgo(3)@y"} {
		f.Add(seed)
	}
	i := mustInstance(f, servicenow.Options{})
	i.enhanced(items(ci("cmdb_ci_server", "1", `"name":"a"`)))
	f.Fuzz(func(t *testing.T, query string) {
		w := i.send("GET", "/api/now/table/cmdb_ci_server?sysparm_query="+escape(query), "")
		require.Equal(t, 200, w.Code)
	})
}

// The payload parser and the engine never panic and always answer with an envelope.
func FuzzPayload(f *testing.F) {
	f.Add(items(ci("cmdb_ci_server", "1", `"name":"a"`)))
	f.Add(related([]string{ci("cmdb_ci_server", "1", `"name":"a"`), adapter("n", "eth0", "")}, rel("1", "n", owns)))
	f.Add(`{"items":[null,{"values":{"name":1}}],"relations":[{"parent":0,"child":0,"type":"Owns::Owned by"}],"referenceItems":[{}]}`)
	f.Add(`{"items":[{"className":"cmdb_ci_server","values":{"a":{}}}]}`)
	i := mustInstance(f, servicenow.Options{})
	f.Fuzz(func(t *testing.T, body string) {
		for _, variant := range []string{"", "/enhanced", "/queryEnhanced"} {
			w := i.send("POST", "/api/now/identifyreconcile"+variant+"?sysparm_data_source=SG-Qualys", body, "Content-Type", "application/json")
			require.Contains(t, []int{200, 400}, w.Code)
			require.True(t, strings.HasPrefix(w.Body.String(), "{"))
		}
	})
}
