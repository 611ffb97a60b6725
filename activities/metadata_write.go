package activities

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// QualysWriteMetadata writes the records of a staged page that still wait: business
// applications first, then what assets get. Every asset that was written is read
// back; outcomes are stored batch by batch, so that another attempt goes on where
// this one ended.
func (a *Metadata) QualysWriteMetadata(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	return a.writePage(ctx, in, false)
}

// QualysWriteApprovedMetadata writes records that were approved. What an asset shows
// is read again: a record that would change something else than what was shown goes
// back to wait.
func (a *Metadata) QualysWriteApprovedMetadata(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	return a.writePage(ctx, in, true)
}

func (a *Metadata) writePage(ctx context.Context, in contract.WritePageInput, approved bool) (contract.WritePageResult, error) {
	w := &metadataWriter{Metadata: a, plan: in.Plan, approved: approved}
	w.as = store.Writer{Run: in.Plan.Run, Epoch: in.Plan.Epoch, Page: in.Page, Attempt: attemptOf(ctx)}
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return w.settled.Load() })
	defer stop()
	err := w.write(ctx)
	return contract.WritePageResult{Counters: fetchedCounters(w.counters), Calls: w.calls}, temporalError(stopped(ctx, err))
}

// metadataWriter writes one page.
type metadataWriter struct {
	*Metadata
	plan     contract.RunPlan
	as       store.Writer
	src      *Source
	approved bool
	calls    int64
	settled  atomic.Int64
	counters record.Counters
}

// pendingWrite is a record on its way.
type pendingWrite struct {
	staged
	row store.Record
}

// name is what Qualys calls the record.
func (x *pendingWrite) name() string {
	if x.app != nil {
		return x.app.Application.ID
	}
	return x.asset.Asset
}

func (w *metadataWriter) write(ctx context.Context) error {
	var err error
	if _, w.src, err = w.subscription(ctx, &w.plan); err != nil {
		return err
	}
	if err := w.Store.TakePage(ctx, w.as); err != nil {
		return err
	}
	rows, err := w.Store.Staged(ctx, w.plan.Run, w.as.Page)
	if err != nil {
		return err
	}
	var apps, assets []pendingWrite
	for _, row := range rows {
		c, err := w.change(row)
		if err != nil {
			return err
		}
		if x := (pendingWrite{c, row}); x.app != nil {
			apps = append(apps, x)
		} else {
			assets = append(assets, x)
		}
	}
	if assets, err = w.look(ctx, assets); err != nil {
		return err
	}
	for _, list := range [][]pendingWrite{apps, assets} {
		for batch := range slices.Chunk(list, qualys.MaxBusinessBatch) {
			if err := w.send(ctx, batch); err != nil {
				return err
			}
		}
	}
	if err := crash.At(ctx, crash.BeforeFinish); err != nil {
		return err
	}
	if w.counters, err = w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, w.as.Page); err != nil {
		return err
	}
	return crash.At(ctx, crash.AfterFinish)
}

// look reads assets whose last write has no answer, and those that were approved.
// What a write without an answer did is not done again.
func (w *metadataWriter) look(ctx context.Context, list []pendingWrite) ([]pendingWrite, error) {
	doubtful := lo.Filter(list, func(x pendingWrite, _ int) bool { return w.approved || x.row.Intent != "" })
	if len(doubtful) == 0 {
		return list, nil
	}
	shown, err := w.shownNow(ctx, w.src, lo.Map(doubtful, func(x pendingWrite, _ int) string { return x.name() }), &w.calls)
	if err != nil {
		return nil, err
	}
	plans, err := w.Store.PlanDigests(ctx, w.plan.Schedule, w.plan.Target, lo.Map(doubtful, func(x pendingWrite, _ int) string { return x.row.Key }))
	if err != nil {
		return nil, err
	}
	var out []pendingWrite
	var done []store.Settlement
	var moved []store.Planned
	for _, x := range list {
		h, there := shown[x.asset.Asset]
		if !there { // not looked at, or gone: the write tells
			out = append(out, x)
			continue
		}
		var wrote *export.Metadata
		var last export.AssetChange
		if known, err := w.wrote(x.row, &last); err != nil {
			return nil, err
		} else if known {
			wrote = &last.Metadata
		}
		changes := x.asset.Metadata.Against(h.Shown, wrote)
		p := x.planned(x.row, changes)
		switch {
		case x.row.Intent != "" && len(changes) == 0:
			done = append(done, store.Settlement{Key: x.row.Key, Outcome: record.Updated, Reason: "recovered: the answer was lost, Qualys shows it", Digest: x.row.PayloadDigest, Fresh: true})
		case x.row.Intent != "" || !w.approved:
			out = append(out, x)
		case len(changes) == 0:
			done = append(done, store.Settlement{Key: x.row.Key, Outcome: record.Unchanged, Reason: "Qualys shows it already", Digest: x.row.PayloadDigest})
		case p.Digest != plans[x.row.Key]:
			moved = append(moved, p)
		default:
			out = append(out, x)
		}
	}
	if err := w.Store.HoldStaged(ctx, w.as, moved, true); err != nil {
		return nil, err
	}
	return out, w.settle(ctx, done)
}

// send writes one batch: intents first, then the call, then what Qualys shows, then
// the outcomes. A batch that is refused as a whole is halved until the guilty record
// stands alone.
func (w *metadataWriter) send(ctx context.Context, batch []pendingWrite) error {
	gctx, cancel := graceful(ctx)
	defer cancel()
	if err := crash.At(ctx, crash.BeforeIntent); err != nil {
		return err
	}
	if _, err := w.Store.BeginPayload(gctx, w.as, lo.Map(batch, func(x pendingWrite, _ int) string { return x.row.Key })); err != nil {
		return err
	}
	if err := crash.At(ctx, crash.AfterIntent); err != nil {
		return err
	}
	answer, err := w.post(gctx, batch)
	var e *qualys.Error
	switch {
	case errors.As(err, &e) && whole(e) && len(batch) == 1:
		return w.settle(gctx, []store.Settlement{{Key: batch[0].row.Key, Outcome: record.Failed, Reason: e.Error()}})
	case errors.As(err, &e) && whole(e), err == nil && len(answer.Stray) > 0 && batch[0].app != nil && len(batch) > 1:
		half := len(batch) / 2
		if err := w.send(ctx, batch[:half]); err != nil {
			return err
		}
		return w.send(ctx, batch[half:])
	case err != nil:
		return w.named(ctx, err)
	}
	if err := crash.At(ctx, crash.AfterPost); err != nil {
		return err
	}
	out, taken := w.refused(batch, &answer)
	if batch[0].app == nil {
		confirmed, err := w.confirm(ctx, taken)
		if err != nil {
			return err
		}
		out = append(out, confirmed...)
	} else {
		out = append(out, lo.Map(taken, func(x pendingWrite, _ int) store.Settlement {
			return written(&x, lo.Ternary(x.app.New, record.Created, record.Updated))
		})...)
	}
	if err := w.settle(gctx, out); err != nil {
		return err
	}
	return crash.At(ctx, crash.AfterSettle)
}

// whole reports whether a batch was refused for what it holds.
func whole(e *qualys.Error) bool {
	return e.Kind() == qualys.KindInvalidRequest && slices.Contains([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}, e.Status)
}

func written(x *pendingWrite, o record.Outcome) store.Settlement {
	return store.Settlement{Key: x.row.Key, Outcome: o, Digest: x.row.PayloadDigest, Fresh: true}
}

// post makes the call that a batch needs.
func (w *metadataWriter) post(ctx context.Context, batch []pendingWrite) (qualys.Accepted, error) {
	w.calls++
	if batch[0].app != nil {
		answer, _, err := w.src.Gateway.UpdateBusinessApps(ctx, lo.Map(batch, func(x pendingWrite, _ int) qualys.BusinessApp { return qualys.BusinessAppOf(x.app.Application) }))
		return answer, err
	}
	list := make([]qualys.AssetMetadata, len(batch))
	for i := range batch {
		id, err := strconv.ParseInt(batch[i].asset.Asset, 10, 64)
		if err != nil {
			return qualys.Accepted{}, fmt.Errorf("asset %q: %w", batch[i].asset.Asset, err)
		}
		list[i] = qualys.AssetMetadataOf(id, batch[i].asset.Metadata)
	}
	answer, _, err := w.src.Gateway.UpdateAssetMetadata(ctx, list)
	return answer, err
}

// refused returns the records that an answer refuses, with the reasons, and the
// others. A refusal that names nobody is that of a record sent alone.
func (w *metadataWriter) refused(batch []pendingWrite, answer *qualys.Accepted) ([]store.Settlement, []pendingWrite) {
	var out []store.Settlement
	var taken []pendingWrite
	for _, x := range batch {
		why, refused := answer.Refused[x.name()]
		if !refused && len(answer.Stray) > 0 && len(batch) == 1 {
			why, refused = strings.Join(answer.Stray, "; "), true
		}
		if refused {
			out = append(out, store.Settlement{Key: x.row.Key, Outcome: record.Failed, Reason: "Qualys refused it: " + why})
			continue
		}
		taken = append(taken, x)
	}
	return out, taken
}

// confirm reads assets back until they show what was written, or patience ends. What
// is not shown then counts as written once, for the vendor says nothing about how
// long it takes; where the next run does not see it either, it has failed.
func (w *metadataWriter) confirm(ctx context.Context, list []pendingWrite) ([]store.Settlement, error) {
	var out []store.Settlement
	var waited time.Duration
	for try := 0; len(list) > 0; try++ {
		shown, err := w.shownNow(ctx, w.src, lo.Map(list, func(x pendingWrite, _ int) string { return x.name() }), &w.calls)
		if err != nil {
			return nil, err
		}
		last := try == len(w.Patience)
		var left []pendingWrite
		for _, x := range list {
			h, there := shown[x.asset.Asset]
			missing := x.asset.Metadata.Unconfirmed(h.Shown)
			switch {
			case !there:
				out = append(out, store.Settlement{Key: x.row.Key, Outcome: record.Failed, Reason: "Qualys has no such asset any more"})
			case len(missing) == 0:
				out = append(out, written(&x, record.Updated))
			case last && x.asset.Again:
				out = append(out, store.Settlement{Key: x.row.Key, Outcome: record.Failed, Reason: "Qualys took it more than once and does not show it: " + strings.Join(missing, ", ")})
			case last: // it may be slow: the next run looks again
				s := written(&x, record.Updated)
				s.Reason = fmt.Sprintf("Qualys took it and does not show it after %s: %s", waited, strings.Join(missing, ", "))
				out = append(out, s)
			default:
				left = append(left, x)
			}
		}
		if list = left; len(list) == 0 {
			break
		}
		if err := pause(ctx, w.Patience[try]); err != nil {
			return nil, err
		}
		waited += w.Patience[try]
	}
	return out, nil
}

func (w *metadataWriter) settle(ctx context.Context, list []store.Settlement) error {
	if len(list) == 0 {
		return nil
	}
	if err := w.Store.Settle(ctx, w.as, list); err != nil {
		return err
	}
	w.settled.Add(int64(len(list)))
	return nil
}

// named says which right a refused call lacks: the user's permission and the
// subscription's switch are refused alike, the portal tells the permission alone.
func (w *metadataWriter) named(ctx context.Context, err error) error {
	var e *qualys.Error
	if !errors.As(err, &e) || e.Status != http.StatusForbidden && e.Kind() != qualys.KindNotFound {
		return err
	}
	if e.Kind() == qualys.KindNotFound {
		return &UserError{Message: fmt.Sprintf("%v; the subscription does not know the call: let Qualys switch Global AssetView/CSAM on", err)}
	}
	switch reply := w.src.Probe.UpdateAsset(ctx); reply.Verdict {
	case qualys.Denied:
		return &UserError{Message: fmt.Sprintf("update assets: %v; give the user's role the permission Update Asset", err)}
	case qualys.Permitted:
		return &UserError{Message: fmt.Sprintf("ServiceNow integration: %v; let Qualys switch the ServiceNow integration of the subscription on", err)}
	}
	return err
}
