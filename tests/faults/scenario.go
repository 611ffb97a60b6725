//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samber/lo"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/tests/faults/model"
	"github.com/qbridge/qbridge/workflows/contract"
)

// mutations is how many assets change before the last sync.
const mutations = 12

// verdict is what the oracles say: nothing when all is well.
type verdict struct{ errs []error }

func (v *verdict) say(oracle string, err error) {
	if err != nil {
		v.errs = append(v.errs, fmt.Errorf("%s: %w", oracle, err))
	}
}

func (v *verdict) err() error { return errors.Join(v.errs...) }

// play lives through a plan: runs with faults, then one without; the estate
// changes, one more; nothing changes, a last one.
func play(t *testing.T, plan Plan) error {
	t.Helper()
	w := newWorld(t, plan)
	defer w.close()
	v := &verdict{}
	for i := range plan.Runs {
		cancel := plan.CancelAt
		if i > 0 {
			cancel = 0
		}
		res, err := w.run(contract.RunInput{}, cancel)
		if err != nil {
			t.Logf("run %d: %v", i+1, err)
			w.spent++ // ending, it gives up the page that is under way
		} else {
			t.Logf("run %d: %s %+v", i+1, res.Outcome, res.Counters)
		}
	}
	w.heal()
	if plan.Strict && len(w.left) > 0 {
		v.say("plan", fmt.Errorf("nothing came by %v", w.left))
	}
	if plan.Deleted > 0 { // what a person deletes leaves traces that no sync mends
		w.deleteCIs(plan.Deleted)
		w.finish(v)
		v.say("linked", w.linked())
		w.repeat(v)
		return v.err()
	}
	w.finish(v)
	// Now, for what changes is dated: the model sees the changes in the same second.
	want := reference(t, plan, func(w *world) string { return w.digest() })
	w.equal(v, "equality", want, 0)
	v.say("history", w.history())
	v.say("nothing destroyed", w.destroyed())
	w.control(http.MethodPost, qualysHost, "/_sim/mutate?k="+strconv.Itoa(mutations), "", nil)
	w.finish(v)
	w.equal(v, "equality after changes", want, 1)
	v.say("ledger", w.ledger())
	w.repeat(v)
	return v.err()
}

// finish runs until all is written; nothing disturbs it any more.
func (w *world) finish(v *verdict) {
	res, err := w.run(contract.RunInput{Full: w.plan.Full}, 0)
	if err != nil {
		v.say("liveness", fmt.Errorf("a run without faults fails: %w", err))
		return
	}
	w.t.Logf("calm run: %s %+v", res.Outcome, res.Counters)
	if !res.Balanced() {
		v.say("ledger", fmt.Errorf("counters do not add up: %+v", res.Counters))
	}
}

// repeat runs once more: nothing may be written.
func (w *world) repeat(v *verdict) {
	time.Sleep(2 * frozenFor) // for what frozen workers had sent to be logged
	before, posts := w.digest(), w.posts()
	if res, err := w.run(contract.RunInput{Full: true}, 0); err != nil {
		v.say("idempotence", err)
	} else if n := res.Created + res.Updated; n > 0 {
		v.say("idempotence", fmt.Errorf("a second full run writes %d records", n))
	}
	if w.digest() != before {
		v.say("idempotence", errors.New("a second full run changes the CMDB"))
	}
	if n := w.posts() - posts; n > 0 {
		v.say("idempotence", fmt.Errorf("a second full run posts %d payloads", n))
	}
}

// posts counts the IRE calls so far.
func (w *world) posts() int {
	n := 0
	for _, e := range w.log(serviceNowHost) {
		if e.Endpoint == "ire.enhanced" {
			n++
		}
	}
	return n
}

// history checks what Qualys was asked: no page twice without a reason, no more
// logins than tokens were lost, no call while the endpoint was closed.
func (w *world) history() error {
	if w.plan.Full {
		return nil // it reads every page again
	}
	reasons := w.spent
	pages, logins := map[string]int{}, 0
	var refused bool
	for _, e := range w.log(qualysHost) {
		if e.Endpoint == "search.asset" && !faulted(e) {
			limited := e.Status == http.StatusTooManyRequests
			if limited && refused {
				return errors.New("a closed endpoint was called again before it opened")
			}
			refused = limited
		}
		switch {
		case e.Endpoint == "auth":
			logins++
		case e.Endpoint == "search.asset" && e.Status == http.StatusOK && !faulted(e):
			pages[cursorOf(e)]++
		case e.Status >= http.StatusMultipleChoices, e.Status == 0:
			reasons++
		}
		if faulted(e) {
			reasons++
		}
	}
	again := 0
	for _, n := range pages {
		again += n - 1
	}
	if again > reasons {
		return fmt.Errorf("%d pages were fetched again, with %d reasons to do so", again, reasons)
	}
	if most := 1 + reasons + len(w.old); logins > most {
		return fmt.Errorf("%d logins, with at most %d tokens lost", logins, most)
	}
	return nil
}

// destroyed checks that nothing was ever deleted or patched: runs that fail,
// are cut short or see nothing must not clean up.
func (w *world) destroyed() error {
	for _, e := range w.log(serviceNowHost) {
		switch e.Endpoint {
		case "table.delete", "table.patch", "table.put":
			return fmt.Errorf("a run called %s", e.Endpoint)
		}
	}
	return nil
}

func faulted(e entry) bool {
	for _, n := range e.Notes {
		if strings.HasPrefix(n, "fault") {
			return true
		}
	}
	return false
}

func cursorOf(e entry) string {
	for _, n := range e.Notes {
		if strings.HasPrefix(n, "cursor") {
			return n
		}
	}
	return ""
}

// mainCI is the source key of an asset's main CI.
var mainCI = regexp.MustCompile(`^corp/[0-9]+$`)

// ledger checks the outcomes of all runs: every asset that was ever fetched has
// one, and as many records were created as there are CIs of ours.
func (w *world) ledger() error {
	ctx := context.Background()
	created, recovered, failed, seen := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, run := range w.runs {
		r, err := w.store.RunByID(ctx, run)
		if errors.Is(err, store.ErrNotFound) {
			continue // it never opened
		}
		w.check(err)
		rows, err := w.store.ListOutcomes(ctx, store.OutcomeFilter{Run: run, Limit: 10_000})
		w.check(err)
		if int64(len(rows)) != r.Counters.Fetched || !r.Counters.Balanced() {
			return fmt.Errorf("%s has %d outcomes and counters %+v", run, len(rows), r.Counters)
		}
		for _, row := range rows {
			seen[row.Key] = true
			if row.Outcome == record.Created {
				if created[row.Key] {
					return fmt.Errorf("%s was created twice", row.Key)
				}
				created[row.Key] = true
			}
			if row.Reason == "recovered" {
				recovered[row.Key] = true
			}
			if row.Outcome == record.Failed {
				failed[row.Key] = true
			}
		}
	}
	if len(seen) < w.plan.Assets {
		return fmt.Errorf("%d of at least %d assets have an outcome", len(seen), w.plan.Assets)
	}
	companies := map[string]bool{}
	for _, row := range w.table("core_company", "") {
		if companies[row["name"]] {
			return fmt.Errorf("company %s is there twice", row["name"])
		}
		companies[row["name"]] = true
	}
	cis := map[string]bool{}
	for _, row := range w.table("sys_object_source", "") {
		if mainCI.MatchString(row["id"]) {
			cis[row["target_sys_id"]] = true
		}
	}
	// A failed record may have its CI all the same, and the answer that was lost
	// may have said that another asset of the machine had made the CI.
	least, most := len(created)-len(recovered), len(created)+len(failed)
	if len(cis) < least || len(cis) > most {
		return fmt.Errorf("there are %d CIs of ours, want %d to %d by the outcomes", len(cis), least, most)
	}
	return nil
}

// deleteCIs deletes some CIs, as a person would.
func (w *world) deleteCIs(n int) {
	for _, l := range w.links() {
		if n == 0 {
			return
		}
		w.deleteRow("cmdb_ci", l.SysID)
		n--
	}
}

// links returns what the store knows of the main CIs, each CI once.
func (w *world) links() []store.Link {
	links, err := w.store.SampleLinks(context.Background(), schedule, 10_000)
	w.check(err)
	return lo.UniqBy(links, func(l store.Link) string { return l.SysID })
}

// linked checks that every CI that the store knows is there.
func (w *world) linked() error {
	there := map[string]bool{}
	for _, row := range w.table("cmdb_ci", "") {
		there[row["sys_id"]] = true
	}
	links := w.links()
	if len(links) == 0 {
		return errors.New("no record is linked to a CI")
	}
	for _, l := range links {
		if !there[l.SysID] {
			return fmt.Errorf("%s is linked to a CI that is gone", l.Key)
		}
	}
	return nil
}

// reference returns what the sequential model makes of the same estate, before
// and after the mutations.
func reference[T any](t *testing.T, plan Plan, look func(*world) T) [2]T {
	t.Helper()
	w := newWorld(t, Plan{Seed: plan.Seed, Assets: plan.Assets, Bad: plan.Bad, PageSize: plan.PageSize, Rich: plan.Rich})
	defer w.close()
	tr := w.net.transport()
	defer tr.CloseIdleConnections()
	source, err := qualys.New(qualys.Config{
		Name: "corp", APIURL: "http://" + qualysHost, GatewayURL: "http://" + qualysHost, Username: user, Password: password, Transport: tr, PageSize: plan.PageSize,
	})
	w.check(err)
	m := &model.Model{Source: source, Connection: "corp", Sections: w.plan.sections()}
	m.Target = model.Target{URL: "http://" + serviceNowHost, Username: user, Password: password, DiscoverySource: "SG-Qualys", Client: &http.Client{Transport: tr}}
	var out [2]T
	for i := range out {
		if i > 0 {
			w.control(http.MethodPost, qualysHost, "/_sim/mutate?k="+strconv.Itoa(mutations), "", nil)
		}
		res, err := m.Sync(context.Background())
		w.check(err)
		require.NotEmpty(t, res.Written)
		out[i] = look(w)
	}
	return out
}

// equal compares the CMDB with that of the reference; only when they differ are
// both read.
func (w *world) equal(v *verdict, oracle string, want [2]string, n int) {
	w.t.Helper()
	if w.digest() == want[n] {
		return
	}
	lines := reference(w.t, w.plan, func(w *world) []string { return w.contents() })
	v.say(oracle, fmt.Errorf("the CMDB is not what the reference makes of the same estate:\n%s", difference(lines[n], w.contents())))
}
