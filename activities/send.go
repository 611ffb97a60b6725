package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samber/lo"
	"go.temporal.io/sdk/activity"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

// lanes sends the payloads, one lane beside the other, each in its order. The
// first error ends all lanes after the post they are in: a post that is given up
// in the middle may still be worked on while the next attempt sends it again.
func (w *pageWriter) lanes(ctx context.Context, payloads []payload.Payload) error {
	byLane := lo.GroupBy(payloads, func(p payload.Payload) int { return p.Lane })
	var wg sync.WaitGroup
	var failed atomic.Bool
	errs := make(chan error, len(byLane))
	for _, lane := range byLane {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := w.lane(ctx, lane, &failed); err != nil {
				failed.Store(true)
				errs <- err
			}
		}()
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		return err
	}
	return context.Cause(ctx)
}

// lane sends the payloads of one lane until one fails anywhere. A panic becomes
// an error: the SDK cannot recover one in a goroutine of ours.
func (w *pageWriter) lane(ctx context.Context, lane []payload.Payload, failed *atomic.Bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("activities: write lane: %v", p)
		}
	}()
	for i := range lane {
		if ctx.Err() != nil || failed.Load() {
			return nil
		}
		if err := w.send(ctx, &lane[i]); err != nil {
			return err
		}
	}
	return nil
}

// Limits of sending one payload.
const (
	lockTries = 3 // how often records that met a lock of the target are sent again
	// postGrace is how long a post and its outcomes may take when the attempt is
	// cancelled meanwhile; it fits into the time a worker has to stop.
	postGrace = 25 * time.Second
)

// graceful returns a context that outlives ctx by postGrace.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(postGrace, cancel) })
	return out, func() { stop(); cancel() }
}

// send posts one payload: intent first, then the post, then the outcomes. A
// payload that the target rejects as a whole is halved until the guilty record
// stands alone.
func (w *pageWriter) send(ctx context.Context, p *payload.Payload) error {
	gctx, cancel := graceful(ctx)
	defer cancel()
	unnamed, inserted := w.unnamedOf(p), map[string]bool{} // sent without their names first
	for try := 0; ; try++ {
		answer, err := w.delivered(ctx, gctx, p.WithoutNames(unnamed))
		if err != nil {
			return w.rejected(ctx, p, err)
		}
		if err := crash.At(ctx, crash.AfterPost); err != nil {
			return err
		}
		forgot, err := w.forgetShared(gctx, p, answer)
		if err != nil {
			return err
		}
		results := payload.Attribute(p, answer, w.priorOf(p), w.linkedOf(p))
		named := w.named(results, unnamed)
		for i := range results {
			if r := &results[i]; inserted[r.Owner] { // by the post before, which left its name out
				r.Recovered = false
			} else if named[r.Owner] && r.Inserted {
				inserted[r.Owner] = true
			}
		}
		if err := w.complete(gctx, results, named); err != nil {
			return err
		}
		locked := map[string]bool{}
		var out []store.Settlement
		for i := range results {
			if forgot && results[i].Outcome == record.Failed && w.supplyAgain(&results[i]) {
				continue
			}
			if named[results[i].Owner] || results[i].Retry && try < lockTries {
				locked[results[i].Owner] = true // its intent stays
				w.answer(results[i].Owner, results[i].Inserted)
				continue
			}
			s, err := w.settlement(&results[i])
			if err != nil {
				return err
			}
			out = append(out, s)
		}
		if err := w.settle(gctx, out); err != nil || len(locked) == 0 {
			return err
		}
		again := p.Only(fmt.Sprintf("%s.%d", p.ID, try+1), locked)
		p = &again
		if len(named) == len(locked) {
			continue // nothing to wait for
		}
		if err := pause(ctx, lockPause(try)); err != nil {
			return err
		}
	}
}

// unnamedOf returns the records of a payload whose names other machines have too.
// Until the target knows them by their source keys, they are written without it.
func (w *pageWriter) unnamedOf(p *payload.Payload) map[string]bool {
	out := map[string]bool{}
	for _, key := range p.Records() {
		if _, linked := w.links[key]; w.parts[key].SharedName && !linked {
			out[key] = true
		}
	}
	return out
}

// named returns the records that were written without their names and can be
// written with them now, and takes them off the list.
func (w *pageWriter) named(results []payload.Result, unnamed map[string]bool) map[string]bool {
	out := map[string]bool{}
	for i := range results {
		if r := &results[i]; unnamed[r.Owner] && r.Outcome != record.Failed {
			out[r.Owner] = true
			delete(unnamed, r.Owner)
		}
	}
	return out
}

// passingTries is how often a call is made in one attempt while the target fails
// as it does for a moment.
const passingTries = 3

// passing says whether a failure may be over in a moment. One that the target
// names a time for, or that comes from the size of the call, is not.
func passing(err error) bool {
	var e *servicenow.Error
	if !errors.As(err, &e) || e.RetryAfter > 0 {
		return false
	}
	switch e.Code {
	case servicenow.CodeCancelled, servicenow.CodeTimeout, servicenow.CodeAnswerSize:
		return false
	}
	return e.Kind() == servicenow.KindUnavailable || e.Kind() == servicenow.KindUnknownOutcome
}

// delivered announces and posts a payload, again after a moment where nobody could
// answer: to leave that to another attempt would mean to begin the page again,
// after a growing pause. What an unanswered post may have written is known by its
// announcement.
func (w *pageWriter) delivered(ctx, gctx context.Context, p *payload.Payload) (*payload.Answer, error) {
	for try := 0; ; try++ {
		answer, err := w.announced(gctx, p)
		again := err == nil && answer.Silent(p) || err != nil && passing(err)
		if !again || try+1 == passingTries {
			return answer, err
		}
		if perr := pause(ctx, lockPause(try)); perr != nil {
			return answer, err
		}
	}
}

// announcedFor is how long an announcement is good for. A worker that was held
// up for longer may have lost the page to another one meanwhile.
const announcedFor = 15 * time.Second

var errTooLate = errors.New("activities: announced too long ago")

// announced announces a payload and posts it. When the post could not begin
// soon, it is announced again, which fails for a writer that lost the page: what
// it holds may be older than what the target has now.
func (w *pageWriter) announced(ctx context.Context, p *payload.Payload) (*payload.Answer, error) {
	for {
		at := w.Now() // before, for the announcement itself may be what was held up
		if err := w.announce(ctx, p); err != nil {
			return nil, err
		}
		answer, err := w.post(transport.Before(ctx, func() error {
			if w.Now().Sub(at) > announcedFor {
				return errTooLate
			}
			return nil
		}), p, false)
		if !errors.Is(err, errTooLate) {
			return answer, err
		}
	}
}

// announce stores that the records of a payload are about to be written.
func (w *pageWriter) announce(ctx context.Context, p *payload.Payload) error {
	if err := crash.At(ctx, crash.BeforeIntent); err != nil {
		return err
	}
	unanswered, err := w.Store.BeginPayload(ctx, w.as, p.Records())
	if err != nil {
		return err
	}
	w.mu.Lock()
	for key, digest := range unanswered {
		if !w.answered[key] && w.unsure(key, digest) {
			w.prior[key] = true
		}
	}
	for _, key := range p.Records() {
		delete(w.answered, key)
	}
	w.mu.Unlock()
	return crash.At(ctx, crash.AfterIntent)
}

// lockPause is how long to wait after the try-th meeting with a lock.
func lockPause(try int) time.Duration { return time.Duration(try+1) * 500 * time.Millisecond }

// forgetShared drops the sys_ids of shared items that the target no longer
// knows, so that the next write makes them anew, and reports whether there were any.
func (w *pageWriter) forgetShared(ctx context.Context, p *payload.Payload, a *payload.Answer) (bool, error) {
	var gone []store.Link
	for i := range p.Items {
		if it := &p.Items[i]; it.Role == payload.RoleShared && it.SysID != "" && len(a.Items[i].Errors) > 0 {
			gone = append(gone, store.Link{Target: w.plan.Target, Key: it.Key, Class: it.Class, Origin: record.OriginMatched})
		}
	}
	if len(gone) == 0 {
		return false, nil
	}
	return true, w.Store.PutLinks(ctx, gone)
}

// passes is how often the records of a page are sent while shared items turn out to
// be gone: the instance may be restored more than once.
const passes = 5

// supplyAgain keeps a record that failed because a shared item is gone for another
// pass, which makes the item anew; its intent stays.
func (w *pageWriter) supplyAgain(r *payload.Result) bool {
	if w.passed == passes {
		return false
	}
	w.answer(r.Owner, r.Inserted)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stale[r.Owner] = true
	return true
}

// patientAttempts is how often a page is sent before a call that fails without a
// reason is taken for the fault of a record in it.
const patientAttempts = 3

// rejected handles a payload that the target refused as a whole: it is halved
// until the guilty record stands alone. Anything that may pass by itself is left
// to another attempt of the activity — but not for ever.
func (w *pageWriter) rejected(ctx context.Context, p *payload.Payload, cause error) error {
	var e *servicenow.Error
	if !errors.As(cause, &e) {
		return cause
	}
	stubborn := activity.GetInfo(ctx).Attempt > patientAttempts && (e.Status == http.StatusInternalServerError || e.Code == servicenow.CodeTimeout)
	if !wholeRejected(e) && !stubborn {
		return cause
	}
	if a, b, ok := payload.Halve(p); ok {
		if err := w.send(ctx, &a); err != nil {
			return err
		}
		return w.send(ctx, &b)
	}
	outcome := record.Rejected
	if e.Kind() != servicenow.KindInvalidRequest && e.Kind() != servicenow.KindTooLarge {
		outcome = record.Failed // perhaps written: the next run finds out
	}
	return w.settle(context.WithoutCancel(ctx), []store.Settlement{{Key: p.Records()[0], Outcome: outcome, Reason: e.Error()}})
}

// unsure reports whether a post of this digest without an answer leaves open
// what the target will say of the record now.
func (w *pageWriter) unsure(key, digest string) bool {
	_, linked := w.links[key]
	return !linked || digest == w.digests[key]
}

// answer remembers that the target answered for a record that is sent again all
// the same, so that its intent means nothing now. Written, the next answer will
// say that it exists.
func (w *pageWriter) answer(key string, written bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prior[key] = w.prior[key] || written
	w.answered[key] = true
}

func (w *pageWriter) priorOf(p *payload.Payload) map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]bool{}
	for _, key := range p.Records() {
		out[key] = w.prior[key]
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
	r.Main.Warnings = append(r.Main.Warnings, w.cut[r.Owner]...)
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
		if !w.unlinked[r.Owner] { // else the next run writes it again, with what is missing now
			s.Digest = w.digests[r.Owner]
		}
		if s.Prior, err = w.carried(r.Owner); err != nil {
			return store.Settlement{}, err
		}
	case r.Inserted && r.Main.SysID != "": // a part failed, but the CI is there and ours
		s.Link = &store.Link{Target: w.plan.Target, Key: r.Owner, SysID: r.Main.SysID, Class: r.Class, Origin: origin}
	}
	return s, nil
}

func (w *pageWriter) settle(ctx context.Context, out []store.Settlement) error {
	if len(out) == 0 {
		return nil
	}
	if err := w.Store.Settle(ctx, w.as, out); err != nil {
		return err
	}
	w.settled.Add(int64(len(out)))
	w.tell(ctx, out)
	return crash.At(ctx, crash.AfterSettle)
}

// mostWarnings bounds the failures of one payload that are warned of.
const mostWarnings = 20

// tell logs what became of records, one line each, so that a log can be searched for
// an asset: as debug lines, but for the first of those that failed.
func (w *pageWriter) tell(ctx context.Context, out []store.Settlement) {
	if !activity.IsActivity(ctx) {
		return
	}
	log, warned := activity.GetLogger(ctx), 0
	for i := range out {
		s := &out[i]
		line := log.Debug
		if s.Outcome == record.Failed && warned < mostWarnings {
			line, warned = log.Warn, warned+1
		}
		ci := ""
		if s.Link != nil {
			ci = s.Link.SysID
		}
		line("record settled", "run", w.as.Run, "page", w.as.Page, "asset", s.Key, "outcome", s.Outcome, "reason", s.Reason, "class", s.Class, "ci", ci)
	}
}

// wholeRejected reports whether a smaller payload may pass: the target refused
// this one, or cancelled it for the time it took. An endpoint that is not there
// refuses no payload.
func wholeRejected(e *servicenow.Error) bool {
	if e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed {
		return false
	}
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
