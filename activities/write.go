package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
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
	res, err := a.checkLinks(ctx, in.Plan)
	return res, temporalError(err)
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
	if len(gone) == 0 {
		return res, nil
	}
	return res, a.Store.DropLinks(ctx, plan.Target, gone)
}

// ServiceNowWritePage writes the records of a staged page that still wait:
// references are resolved, shared items that the target does not know are
// written first, then the rest in payloads over several lanes. Outcomes are
// stored payload by payload, so that another attempt goes on where this one
// ended.
func (a *Write) ServiceNowWritePage(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	var settled atomic.Int64
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return settled.Load() })
	defer stop()
	w := &pageWriter{Write: a, plan: in.Plan, page: in.Page, settled: &settled}
	err := w.write(ctx)
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

	mu       sync.Mutex        // guards prior
	prior    map[string]string // key → digest of an intent that was never answered
	links    map[string]store.Link
	digests  map[string]string // key → payload digest
	counters record.Counters
}

func (w *pageWriter) write(ctx context.Context) error {
	records, err := w.load(ctx)
	if err != nil {
		return err
	}
	if records, err = w.choose(ctx, records); err != nil {
		return err
	}
	if len(records) > 0 {
		shared, err := w.writeShared(ctx, records)
		if err != nil {
			return err
		}
		refs, err := w.resolve(ctx, records)
		if err != nil {
			return err
		}
		payloads := payload.Cut(records, shared, refs, w.limits())
		if err := w.lanes(ctx, payloads); err != nil {
			return err
		}
	}
	w.counters, err = w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, w.page)
	return err
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
	rows, err := w.Store.Staged(ctx, w.plan.Run, w.page)
	if err != nil {
		return nil, err
	}
	w.digests = make(map[string]string, len(rows))
	inputs := make([]payload.Input, 0, len(rows))
	for _, row := range rows {
		body, err := w.Bodies.Decode(row.Body)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", row.Key, err)
		}
		w.digests[row.Key] = row.PayloadDigest
		inputs = append(inputs, payload.Input{Key: row.Key, Parts: body.Parts})
	}
	if w.links, err = w.Store.LinksOf(ctx, w.plan.Target, lo.Keys(w.digests)); err != nil {
		return nil, err
	}
	intents, err := w.Store.Intents(ctx, w.page)
	if err != nil {
		return nil, err
	}
	w.prior = map[string]string{}
	for _, i := range intents {
		for key, digest := range i.Digests {
			w.prior[key] = digest
		}
	}
	return inputs, nil
}

// choose drops what the policy does not allow, asking the target about CIs only
// where the policy depends on whether they exist.
func (w *pageWriter) choose(ctx context.Context, records []payload.Input) ([]payload.Input, error) {
	policy := payload.Policy{Operation: w.setup.Schedule.Operation, Existing: w.setup.Schedule.Existing}
	var ask, write []payload.Input
	var skipped []store.Settlement
	decide := func(r payload.Input, m payload.Match, link *store.Link) {
		needed, skip := payload.Choose(policy, m)
		switch {
		case needed:
			ask = append(ask, r)
		case skip != "":
			skipped = append(skipped, store.Settlement{Key: r.Key, Outcome: record.Skipped, Reason: skip, Link: link})
		default:
			write = append(write, r)
		}
	}
	for _, r := range records {
		link, linked := w.links[r.Key]
		if w.prior[r.Key] != "" && !linked { // we may have created it ourselves: IRE knows by its source key
			write = append(write, r)
			continue
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
	return write, w.settle(ctx, "", skipped)
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
		answer, err := w.post(ctx, &p, true)
		if err != nil {
			return nil, err
		}
		for i := range p.Items {
			a := answer.Items[i]
			if a.SysID != "" && a.Operation != payload.OpInsert && len(a.Errors) == 0 {
				out[p.Items[i].Owner] = &store.Link{Target: w.plan.Target, Key: p.Items[i].Owner, SysID: a.SysID, Class: a.Class, Origin: record.OriginMatched}
			}
		}
	}
	return out, nil
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
	w.target.Shared.Lock()
	defer w.target.Shared.Unlock()
	if !w.plan.Verify { // a run that verifies trusts no memory
		links, err := w.Store.LinksOf(ctx, w.plan.Target, lo.Keys(keys))
		if err != nil {
			return nil, err
		}
		for key, l := range links {
			ids[key] = l.SysID
		}
	}
	p := payload.SharedPayload(records, ids)
	if p == nil {
		return ids, nil
	}
	answer, err := w.post(ctx, p, false)
	if err != nil {
		return nil, err
	}
	var links []store.Link
	for i := range p.Items {
		a := &answer.Items[i]
		if a.SysID == "" || len(a.Errors) > 0 {
			continue // the records that need it fail with the reason
		}
		origin := record.OriginMatched
		if a.Operation == payload.OpInsert {
			origin = record.OriginCreated
		}
		ids[p.Items[i].Key] = a.SysID
		links = append(links, store.Link{Target: w.plan.Target, Key: p.Items[i].Key, SysID: a.SysID, Class: a.Class, Origin: origin})
	}
	return ids, w.Store.PutLinks(ctx, links)
}

// lanes sends the payloads, one lane beside the other, each in its order. The
// first error ends all lanes after the post they are in.
func (w *pageWriter) lanes(ctx context.Context, payloads []payload.Payload) error {
	byLane := lo.GroupBy(payloads, func(p payload.Payload) int { return p.Lane })
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	errs := make(chan error, len(byLane))
	for _, lane := range byLane {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range lane {
				if ctx.Err() != nil {
					return
				}
				if err := w.send(ctx, &lane[i]); err != nil {
					cancel(err)
					errs <- err
					return
				}
			}
		}()
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return context.Cause(ctx)
}

// lockTries is how often records that met a lock of the target are sent again.
const lockTries = 3

// send posts one payload: intent first, then the post, then the outcomes. A
// payload that the target rejects as a whole is halved until the guilty record
// stands alone.
func (w *pageWriter) send(ctx context.Context, p *payload.Payload) error {
	for try := 0; ; try++ {
		intent := store.Intent{ID: p.ID, Page: w.page, Digests: lo.PickByKeys(w.digests, p.Records())}
		if err := w.Store.BeginPayload(ctx, w.plan.Run, w.plan.Epoch, intent); err != nil {
			return err
		}
		answer, err := w.post(ctx, p, false)
		if err != nil {
			return w.rejected(ctx, p, err)
		}
		results := payload.Attribute(p, answer, w.priorOf(p), w.linkedOf(p))
		locked := map[string]bool{}
		var out []store.Settlement
		for i := range results {
			if results[i].Retry && try < lockTries {
				locked[results[i].Owner] = true
				if results[i].Inserted { // the next answer will say that it exists
					w.expect(results[i].Owner)
				}
				continue
			}
			s, err := w.settlement(&results[i])
			if err != nil {
				return err
			}
			out = append(out, s)
		}
		if err := w.settle(ctx, p.ID, out); err != nil || len(locked) == 0 {
			return err
		}
		again := p.Only(fmt.Sprintf("%s.%d", p.ID, try+1), locked)
		p = &again
		if err := pause(ctx, time.Duration(try+1)*500*time.Millisecond); err != nil {
			return err
		}
	}
}

// rejected handles a payload that the target refused as a whole. Anything that
// may pass by itself is left to another attempt of the activity.
func (w *pageWriter) rejected(ctx context.Context, p *payload.Payload, cause error) error {
	var e *servicenow.Error
	if !errors.As(cause, &e) || !wholeRejected(e) {
		return cause
	}
	a, b, ok := payload.Halve(p)
	if !ok && e.Code == servicenow.CodeCancelled {
		return cause
	}
	if !ok {
		return w.settle(ctx, p.ID, []store.Settlement{{Key: p.Records()[0], Outcome: record.Rejected, Reason: e.Error()}})
	}
	if err := w.send(ctx, &a); err != nil {
		return err
	}
	return w.send(ctx, &b)
}

// expect remembers that a record was written although its answer was a failure,
// like an intent that an earlier attempt left unanswered.
func (w *pageWriter) expect(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prior[key] = w.digests[key]
}

func (w *pageWriter) priorOf(p *payload.Payload) map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]bool{}
	for _, key := range p.Records() {
		out[key] = w.prior[key] != "" && w.prior[key] == w.digests[key]
	}
	return out
}

func (w *pageWriter) linkedOf(p *payload.Payload) map[string]bool {
	out := map[string]bool{}
	for _, key := range p.Records() {
		_, out[key] = w.links[key]
	}
	return out
}

// settlement turns a result into what the store keeps.
func (w *pageWriter) settlement(r *payload.Result) (store.Settlement, error) {
	answer, err := json.Marshal(r.Main)
	if err != nil {
		return store.Settlement{}, fmt.Errorf("activities: answer of %s: %w", r.Owner, err)
	}
	s := store.Settlement{Key: r.Owner, Outcome: r.Outcome, Reason: r.Reason, Class: r.Class, Answer: string(answer), Fresh: true}
	if r.Recovered && s.Reason == "" {
		s.Reason = "recovered"
	}
	origin := record.OriginMatched
	if r.Inserted {
		origin = record.OriginCreated
	}
	switch {
	case r.SysID != "":
		s.Link = &store.Link{Target: w.plan.Target, Key: r.Owner, SysID: r.SysID, Class: r.Class, Origin: origin}
		s.Digest = w.digests[r.Owner]
	case r.Inserted && r.Main.SysID != "": // a part failed, but the CI is there and ours
		s.Link = &store.Link{Target: w.plan.Target, Key: r.Owner, SysID: r.Main.SysID, Class: r.Class, Origin: origin}
	}
	return s, nil
}

func (w *pageWriter) settle(ctx context.Context, intent string, out []store.Settlement) error {
	if len(out) == 0 && intent == "" {
		return nil
	}
	if err := w.Store.Settle(ctx, w.plan.Run, w.plan.Epoch, w.page, intent, out); err != nil {
		return err
	}
	w.settled.Add(int64(len(out)))
	return nil
}

// wholeRejected reports whether a smaller payload may pass: the target refused
// this one, or cancelled it for the time it took.
func wholeRejected(e *servicenow.Error) bool {
	return e.Kind() == servicenow.KindInvalidRequest || e.Kind() == servicenow.KindTooLarge || e.Code == servicenow.CodeCancelled
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
