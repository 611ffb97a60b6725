package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samber/lo"
	"go.temporal.io/sdk/activity"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/stage"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/timing"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Write writes staged records to ServiceNow.
type Write struct {
	Store    store.Store
	Settings *Settings
	Vendors  Vendors
	Bodies   *Bodies
	Now      func() time.Time
}

// ServiceNowCheckLinks reads a sample of linked CIs. Links whose CI is gone are
// dropped; any such link means that what the store remembers cannot be trusted.
func (a *Write) ServiceNowCheckLinks(ctx context.Context, in contract.CheckLinksInput) (contract.CheckLinksResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	res, err := a.checkLinks(ctx, in.Plan)
	return res, temporalError(stopped(ctx, err))
}

func (a *Write) checkLinks(ctx context.Context, plan contract.RunPlan) (contract.CheckLinksResult, error) {
	var res contract.CheckLinksResult
	setup, err := a.Settings.Of(ctx, plan.Revision, plan.Schedule)
	if err != nil {
		return res, err
	}
	links, err := a.Store.SampleLinks(ctx, plan.Schedule, setup.Properties.VerifySample)
	if err != nil || len(links) == 0 {
		return res, err
	}
	target, err := a.Vendors.ServiceNow(ctx, plan.Revision, plan.Target)
	if err != nil {
		return res, err
	}
	found := map[string]bool{}
	ids := lo.Map(links, func(l store.Link, _ int) string { return l.SysID })
	for row, err := range target.Client.Rows(ctx, "cmdb_ci", servicenow.TableQuery{Query: servicenow.Where("sys_id").In(ids...), Fields: []string{"sys_id"}}) {
		if err != nil {
			return res, err
		}
		found[row["sys_id"]] = true
	}
	gone := lo.FilterMap(links, func(l store.Link, _ int) (string, bool) { return l.Key, !found[l.SysID] })
	res.Sampled, res.Missing, res.Calls = len(links), len(gone), 1
	if err := crash.At(ctx, crash.AfterCheckLinks); err != nil {
		return res, err
	}
	if len(gone) == 0 {
		return res, nil
	}
	if err := a.Store.DropLinks(ctx, plan.Target, gone); err != nil {
		return res, err
	}
	if plan.Mode == string(store.ModeFull) && !plan.Resumed {
		return res, nil
	}
	opened, err := a.Store.Widen(ctx, plan.Run, plan.Epoch)
	if err != nil {
		return res, err
	}
	plan.Mode, plan.Since, plan.Cursor, plan.Resumed, plan.Retries = string(opened.Mode), setup.after(opened.Since), opened.Cursor, false, 0
	plan.CheckTotal = true
	plan.Enumeration, plan.Verify = opened.Enumeration, true
	res.Plan = &plan
	return res, nil
}

// ServiceNowWritePage writes the records of a staged page that still wait:
// references are resolved, shared items that the target does not know are
// written first, then the rest in payloads over several lanes. Outcomes are
// stored payload by payload, so that another attempt goes on where this one
// ended.
func (a *Write) ServiceNowWritePage(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	return a.onPage(ctx, in, func(ctx context.Context, w *pageWriter) error { return w.write(ctx) })
}

// onPage does something with the records of a page that still wait.
func (a *Write) onPage(ctx context.Context, in contract.WritePageInput, do func(context.Context, *pageWriter) error) (contract.WritePageResult, error) {
	var settled atomic.Int64
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return settled.Load() })
	defer stop()
	w := &pageWriter{Write: a, plan: in.Plan, page: in.Page, settled: &settled}
	err := do(ctx, w)
	return contract.WritePageResult{Counters: fetchedCounters(w.counters), Calls: w.calls.Load()}, temporalError(stopped(ctx, err))
}

// pageWriter writes one page.
type pageWriter struct {
	*Write
	plan    contract.RunPlan
	page    int64
	setup   *Setup
	target  *Target
	settled *atomic.Int64
	calls   atomic.Int64

	as store.Writer

	mu       sync.Mutex      // guards prior, answered and stale
	stale    map[string]bool // records that named a shared item which is gone
	passed   int             // passes over the page's records
	missing  map[string]bool // shared items whose own parents turned out to be gone
	prior    map[string]bool // records that an unanswered post may have written
	answered map[string]bool // records whose last post was answered
	links    map[string]store.Link
	parts    map[string]*record.Parts
	before   map[string]*record.Parts     // what was written of a record, where it has changed since
	ids      payload.SharedIDs            // set before any lane runs
	types    payload.SharedIDs            // of relations that are rows, by certs.TypeKey
	unlinked map[string]bool              // records that name a CI which is not there yet
	cut      map[string][]payload.Message // record → values that were cut
	packages []payload.Input              // records that bring shared items only
	beside   []alone                      // records of which only rows are written
	second   []payload.Input              // records of machines that another record describes
	digests  map[string]string            // key → payload digest
	rules    map[string]string            // key → rule that chose the class
	matches  map[string]*store.Link       // key → CI that IRE would take, nil for none; of those it was asked about
	recheck  bool                         // the records were approved: they must still do what was shown
	refused  map[string]string            // key of a shared item → why it is not in the target
	counters record.Counters
}

func (w *pageWriter) write(ctx context.Context) error {
	records, err := w.load(ctx)
	if err != nil {
		return err
	}
	if w.recheck {
		if records, err = w.moved(ctx, records); err != nil {
			return err
		}
	}
	if err := crash.At(ctx, crash.BeforeShared); err != nil {
		return err
	}
	if records, err = w.choose(ctx, records); err != nil {
		return err
	}
	if len(records) > 0 {
		if err := w.fit(ctx, records); err != nil {
			return err
		}
		for _, wave := range payload.Waves(records) {
			w.passed = 0
			if err := w.pass(ctx, wave); err != nil {
				return err
			}
		}
	}
	for len(w.stale) > 0 {
		again := lo.Filter(records, func(r payload.Input, _ int) bool { return w.stale[r.Key] })
		w.stale = map[string]bool{}
		if err := w.pass(ctx, again); err != nil {
			return err
		}
	}
	if err := w.writePackages(ctx); err != nil {
		return err
	}
	if err := w.seconds(ctx); err != nil {
		return err
	}
	if err := w.writeAlone(ctx, w.beside); err != nil {
		return err
	}
	if err := crash.At(ctx, crash.BeforeFinish); err != nil {
		return err
	}
	if w.counters, err = w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, w.page); err != nil {
		return err
	}
	return crash.At(ctx, crash.AfterFinish)
}

// pass makes sure that the shared items of records are there and sends the records.
func (w *pageWriter) pass(ctx context.Context, records []payload.Input) error {
	w.passed++
	w.missing = map[string]bool{}
	ids, err := w.writeShared(ctx, records)
	if err != nil {
		return err
	}
	maps.Copy(ids, lo.OmitByKeys(w.ids, lo.Keys(ids)))
	w.ids = ids
	if err := w.linkOthers(ctx, records); err != nil {
		return err
	}
	if records, err = w.supplied(ctx, records, w.ids); err != nil {
		return err
	}
	refs, err := w.resolve(ctx, records)
	if err != nil {
		return err
	}
	return w.lanes(ctx, payload.Cut(records, w.ids, refs, w.limits()))
}

func (w *pageWriter) limits() payload.Limits {
	c := w.target.Config
	return payload.Limits{Lanes: c.Lanes, Items: c.PayloadItems, Bytes: c.PayloadBytes}
}

// load reads the page's records, links and unanswered intents.
func (w *pageWriter) load(ctx context.Context) ([]payload.Input, error) {
	var err error
	if w.setup, err = w.Settings.Of(ctx, w.plan.Revision, w.plan.Schedule); err != nil {
		return nil, err
	}
	if w.target, err = w.Vendors.ServiceNow(ctx, w.plan.Revision, w.plan.Target); err != nil {
		return nil, err
	}
	w.as = store.Writer{Run: w.plan.Run, Epoch: w.plan.Epoch, Page: w.page, Attempt: attemptOf(ctx)}
	if err := w.Store.TakePage(ctx, w.as); err != nil {
		return nil, err
	}
	rows, err := w.Store.Staged(ctx, w.plan.Run, w.page)
	if err != nil {
		return nil, err
	}
	w.refused, w.cut, w.stale, w.missing = map[string]string{}, map[string][]payload.Message{}, map[string]bool{}, map[string]bool{}
	w.rules, w.unlinked = make(map[string]string, len(rows)), map[string]bool{}
	w.parts, w.before = make(map[string]*record.Parts, len(rows)), map[string]*record.Parts{}
	w.digests, w.prior, w.answered = make(map[string]string, len(rows)), map[string]bool{}, map[string]bool{}
	inputs := make([]payload.Input, 0, len(rows))
	for _, row := range rows {
		body, err := w.Bodies.Decode(row.Body)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", row.Key, err)
		}
		w.digests[row.Key], w.parts[row.Key], w.rules[row.Key] = row.PayloadDigest, body.Parts, body.Decision.Rule
		if len(row.Prior) > 0 {
			prior, err := w.Bodies.Decode(row.Prior)
			if err != nil {
				return nil, fmt.Errorf("record %s as written: %w", row.Key, err)
			}
			w.before[row.Key] = prior.Parts
		}
		if body.Parts.Native == nil && body.Parts.Primary == "" {
			w.packages = append(w.packages, payload.Input{Key: row.Key, Parts: body.Parts})
			continue
		}
		if body.Parts.Primary != "" {
			w.second = append(w.second, payload.Input{Key: row.Key, Parts: body.Parts})
			continue
		}
		inputs = append(inputs, payload.Input{Key: row.Key, Parts: body.Parts})
	}
	if w.links, err = w.Store.LinksOf(ctx, w.plan.Target, lo.Keys(w.digests)); err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.Intent != "" && w.unsure(row.Key, row.Intent) {
			w.prior[row.Key] = true
		}
	}
	return inputs, w.learn(ctx)
}

// attemptOf numbers the attempts of a run's activities in the order in which
// Temporal began them: an attempt that a frozen worker gets to late comes before
// the one that has replaced it.
func attemptOf(ctx context.Context) int64 {
	info := activity.GetInfo(ctx)
	id, _ := strconv.ParseInt(info.ActivityID, 10, 64) // the number of the event that scheduled it
	return id<<16 | int64(info.Attempt)
}

// choose drops what the policy does not allow, asking the target about CIs only
// where the policy depends on whether they exist.
func (w *pageWriter) choose(ctx context.Context, records []payload.Input) ([]payload.Input, error) {
	policy := payload.Policy{Operation: w.setup.Schedule.Operation, Existing: w.setup.Schedule.Existing}
	var ask, write, adopted []payload.Input
	var skipped []store.Settlement
	decide := func(r payload.Input, m payload.Match, link *store.Link) {
		needed, skip := payload.Choose(policy.For(r.Parts), m)
		switch {
		case needed:
			ask = append(ask, r)
		case skip == payload.SkipProtected && slices.ContainsFunc(r.Parts.Tables, func(t cmdb.Row) bool { return !t.WithCI }):
			a := alone{key: r.Key, link: link, reason: payload.MetadataOnly}
			if a.host = w.links[r.Key].SysID; link != nil {
				a.host = link.SysID
			}
			w.beside = append(w.beside, a)
		case skip != "":
			skipped = append(skipped, store.Settlement{Key: r.Key, Outcome: record.Skipped, Reason: skip, Link: link})
		default:
			write = append(write, r)
		}
	}
	for _, r := range records {
		if reason := policy.Refuses(r.Parts); reason != "" {
			skipped = append(skipped, store.Settlement{Key: r.Key, Outcome: record.Skipped, Reason: reason})
			continue
		}
		link, linked := w.links[r.Key]
		if r.Parts.UpdateOnly && !linked && !w.prior[r.Key] { // never written, and not worth a question in every run
			skipped = append(skipped, store.Settlement{Key: r.Key, Outcome: record.Skipped, Reason: payload.SkipTerminated})
			continue
		}
		if r.Parts.SharedName && !linked && !payload.IdentifiedWithoutName(r.Parts) {
			skipped = append(skipped, store.Settlement{Key: r.Key, Outcome: record.Skipped, Reason: payload.SkipSharedName})
			continue
		}
		if w.prior[r.Key] && !linked { // we may have created it ourselves: IRE knows by its source key
			write = append(write, r)
			continue
		}
		if linked && link.Origin == record.OriginAdopted { // does IRE find the CI that an operator gave us?
			adopted = append(adopted, r)
			continue
		}
		if w.plan.Verify && link.Origin == record.OriginMatched { // is it still there?
			linked = false
		}
		decide(r, payload.MatchOf(linked, link.Origin), nil)
	}
	if len(ask) > 0 {
		matches, err := w.ask(ctx, ask)
		if err != nil {
			return nil, err
		}
		for _, r := range ask {
			link := matches[r.Key]
			if link == nil {
				decide(r, payload.MatchNone, nil)
				continue
			}
			decide(r, payload.MatchTheirs, link)
		}
	}
	if len(adopted) > 0 {
		matches, err := w.ask(ctx, adopted)
		if err != nil {
			return nil, err
		}
		gone, err := w.goneOf(ctx, adopted, matches)
		if err != nil {
			return nil, err
		}
		for _, r := range adopted {
			switch own, match := w.links[r.Key], matches[r.Key]; {
			case gone[own.SysID]: // somebody deleted it
				delete(w.links, r.Key)
				m := payload.MatchNone
				if match != nil {
					m = payload.MatchTheirs
				}
				decide(r, m, match)
			case match == nil || match.SysID != own.SysID:
				skipped = append(skipped, store.Settlement{Key: r.Key, Outcome: record.Skipped, Reason: mismatch(own, match)})
			default:
				decide(r, payload.MatchOurs, nil)
			}
		}
	}
	if err := w.settle(ctx, skipped); err != nil {
		return nil, err
	}
	return w.hold(ctx, write)
}

// goneOf returns the adopted CIs that IRE does not find because they are not there
// any more, and forgets them.
func (w *pageWriter) goneOf(ctx context.Context, adopted []payload.Input, matches map[string]*store.Link) (map[string]bool, error) {
	keys := map[string]string{} // sys_id → record
	for _, r := range adopted {
		if own := w.links[r.Key]; matches[r.Key] == nil || matches[r.Key].SysID != own.SysID {
			keys[own.SysID] = r.Key
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	w.calls.Add(1)
	left := maps.Clone(keys)
	for row, err := range w.target.Client.Rows(ctx, "cmdb_ci", servicenow.TableQuery{Query: servicenow.Where("sys_id").In(lo.Keys(keys)...), Fields: []string{"sys_id"}}) {
		if err != nil {
			return nil, err
		}
		delete(left, row["sys_id"])
	}
	if len(left) == 0 {
		return nil, nil
	}
	return lo.MapValues(left, func(string, string) bool { return true }), w.Store.DropLinks(ctx, w.plan.Target, lo.Values(left))
}

// mismatch is the reason of a record whose adopted CI is not the one that IRE would
// take: writing it would make a second one, or change another.
func mismatch(own store.Link, match *store.Link) string {
	if match == nil {
		return fmt.Sprintf("conflict: the adopted CI %s is not found by IRE's rules; writing would make a second CI", own.SysID)
	}
	return fmt.Sprintf("conflict: the adopted CI is %s, IRE would take %s", own.SysID, match.SysID)
}

// ask returns, for records that the target already knows, a link to the CI.
// Asking writes nothing.
func (w *pageWriter) ask(ctx context.Context, records []payload.Input) (map[string]*store.Link, error) {
	bare := make([]payload.Input, len(records))
	for i, r := range records {
		bare[i] = payload.Input{Key: r.Key, Parts: &record.Parts{Native: r.Parts.Native}}
	}
	out := map[string]*store.Link{}
	for _, p := range payload.Cut(bare, nil, nil, w.limits()) {
		if err := w.askOne(ctx, &p, out); err != nil {
			return nil, err
		}
	}
	if w.matches != nil {
		for _, r := range records {
			w.matches[r.Key] = out[r.Key]
		}
	}
	return out, nil
}

// askOne asks about one payload; one that is refused as a whole is halved, and a
// record that is refused alone counts as unknown: writing it tells the reason.
func (w *pageWriter) askOne(ctx context.Context, p *payload.Payload, out map[string]*store.Link) error {
	answer, err := w.post(ctx, p, true)
	var e *servicenow.Error
	if errors.As(err, &e) && wholeRejected(e) {
		a, b, ok := payload.Halve(p)
		if !ok {
			return nil
		}
		if err := w.askOne(ctx, &a, out); err != nil {
			return err
		}
		return w.askOne(ctx, &b, out)
	}
	if err != nil {
		return err
	}
	for i := range p.Items {
		a := answer.Items[i]
		if a.SysID != "" && a.Operation != payload.OpInsert && len(a.Errors) == 0 {
			out[p.Items[i].Owner] = &store.Link{Target: w.plan.Target, Key: p.Items[i].Owner, SysID: a.SysID, Class: a.Class, Origin: record.OriginMatched}
		}
	}
	return nil
}

// post sends one payload and counts the call.
func (w *pageWriter) post(ctx context.Context, p *payload.Payload, dry bool) (*payload.Answer, error) {
	w.calls.Add(1)
	props := w.setup.Properties
	o := servicenow.IREOptions{Settings: payload.Settings{
		WithoutUpgrade:   props.AllowUpgrade != nil && !*props.AllowUpgrade,
		WithoutDowngrade: !props.AllowDowngrade,
		WithoutSwitch:    !props.AllowSwitch,
	}}
	call := w.target.Client.IdentifyReconcile
	if dry {
		call = w.target.Client.Query
	}
	answer, _, err := call(ctx, p, o)
	return answer, err
}

// writeShared makes sure that every shared item of the records exists, and
// returns their sys_ids. One writer per target does so at a time.
func (w *pageWriter) writeShared(ctx context.Context, records []payload.Input) (payload.SharedIDs, error) {
	keys := map[string]bool{}
	for _, r := range records {
		for _, s := range r.Parts.Shared {
			keys[s.Key] = true
		}
	}
	ids := payload.SharedIDs{}
	if len(keys) == 0 {
		return ids, nil
	}
	waited := stage.Track(ctx, timing.WriteWait)
	err := w.target.Shared.Lock(ctx)
	waited()
	if err != nil {
		return nil, err
	}
	defer w.target.Shared.Unlock()
	if !w.plan.Verify && w.passed < 2 { // a run that verifies trusts no memory, nor does one that it misled
		links, err := w.Store.LinksOf(ctx, w.plan.Target, lo.Keys(keys))
		if err != nil {
			return nil, err
		}
		for key, l := range links {
			ids[key] = l.SysID
		}
	}
	for _, p := range payload.SharedPayloads(records, ids, w.limits().Items) {
		if err := w.sendShared(ctx, &p, ids); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// supplied returns the records whose shared items are all in the target. The
// others fail: written without them, they would count as complete.
func (w *pageWriter) supplied(ctx context.Context, records []payload.Input, ids payload.SharedIDs) ([]payload.Input, error) {
	var ready []payload.Input
	var failed []store.Settlement
	for _, r := range records {
		missing, lacks := lo.Find(r.Parts.Shared, func(it cmdb.Item) bool { return ids[it.Key] == "" })
		if !lacks {
			ready = append(ready, r)
			continue
		}
		if w.missing[missing.Key] && w.passed < passes {
			w.stale[r.Key] = true
			continue
		}
		failed = append(failed, store.Settlement{Key: r.Key, Outcome: record.Failed, Reason: fmt.Sprintf("%s %s could not be written: %s", missing.Class, missing.Key, w.refused[missing.Key])})
	}
	return ready, w.settle(ctx, failed)
}

// sendShared writes one payload of shared items and remembers their sys_ids. One
// that met a lock of the target is sent again; what stays refused is remembered
// with the reason.
func (w *pageWriter) sendShared(ctx context.Context, p *payload.Payload, ids payload.SharedIDs) error {
	for try := 0; ; try++ {
		answer, err := w.post(ctx, p, false)
		var e *servicenow.Error
		if errors.As(err, &e) && wholeRejected(e) && e.Code != servicenow.CodeCancelled {
			for i := range p.Items {
				w.refused[p.Items[i].Key] = e.Error()
			}
			return nil // the records that need the items fail, the others do not
		}
		if err != nil {
			return err
		}
		if err := crash.At(ctx, crash.AfterShared); err != nil {
			return err
		}
		if err := w.keepShared(ctx, p, answer, ids); err != nil {
			return err
		}
		locked := slices.ContainsFunc(answer.Items, func(a payload.ItemAnswer) bool { return slices.ContainsFunc(a.Errors, payload.Locked) })
		if !locked || try == lockTries {
			return nil
		}
		if err := pause(ctx, lockPause(try)); err != nil {
			return err
		}
	}
}

// orphaned reports whether an answer says that a CI which a payload names by its
// sys_id is gone.
func orphaned(p *payload.Payload, a *payload.Answer) bool {
	for i := range p.Items {
		if p.Items[i].SysID != "" && len(a.Items[i].Errors) > 0 {
			return true
		}
	}
	return false
}

// keepShared remembers the sys_ids of an answer.
func (w *pageWriter) keepShared(ctx context.Context, p *payload.Payload, answer *payload.Answer, ids payload.SharedIDs) error {
	var links []store.Link
	for i := range p.Items {
		a := &answer.Items[i]
		if a.SysID == "" || len(a.Errors) > 0 {
			w.refused[p.Items[i].Key] = "no answer"
			if len(a.Errors) > 0 {
				w.refused[p.Items[i].Key] = a.Errors[0].Code + ": " + a.Errors[0].Text
				w.missing[p.Items[i].Key] = orphaned(p, answer)
			}
			continue // the records that need it fail with the reason
		}
		origin := record.OriginMatched
		if a.Operation == payload.OpInsert {
			origin = record.OriginCreated
		}
		ids[p.Items[i].Key] = a.SysID
		links = append(links, store.Link{Target: w.plan.Target, Key: p.Items[i].Key, SysID: a.SysID, Class: a.Class, Origin: origin})
	}
	return w.Store.PutLinks(ctx, links)
}
