package activities

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// QualysWriteMachines publishes the records of a page in batches and reads them
// back. After a lost answer the batch is published again: Qualys knows a record by
// its native key.
func (a *ThirdParty) QualysWriteMachines(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	w := &publisher{ThirdParty: a, plan: &in.Plan}
	counters, err := w.write(ctx, in.Page)
	return contract.WritePageResult{Counters: fetchedCounters(counters), Calls: w.calls}, temporalError(stopped(ctx, err))
}

// published is a record on its way.
type published struct {
	row store.Record
	rec *export.ConnectorRecord
}

func (w *publisher) write(ctx context.Context, page int64) (record.Counters, error) {
	if err := w.open(ctx); err != nil {
		return record.Counters{}, err
	}
	as, rows, err := w.take(ctx, page)
	if err != nil {
		return record.Counters{}, err
	}
	list := make([]published, 0, len(rows))
	for _, row := range rows {
		r, err := w.decode(row)
		if err != nil {
			return record.Counters{}, err
		}
		list = append(list, published{row, r})
	}
	for batch := range slices.Chunk(list, qualys.MaxConnectorBatch) {
		if err := w.publish(ctx, as, batch); err != nil {
			return record.Counters{}, err
		}
	}
	c, err := w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, page)
	if err != nil {
		return c, err
	}
	return c, crash.At(ctx, crash.AfterFinish)
}

// publish publishes one batch and settles it.
func (w *publisher) publish(ctx context.Context, as store.Writer, batch []published) error {
	if _, err := w.Store.BeginPayload(ctx, as, lo.Map(batch, func(x published, _ int) string { return x.row.Key })); err != nil {
		return err
	}
	if err := crash.At(ctx, crash.AfterIntent); err != nil {
		return err
	}
	s := w.setup.Schedule.ThirdParty
	began := w.Now()
	w.calls++
	answer, _, err := w.src.Gateway.SyncConnector(ctx, qualys.ConnectorBatch{
		RequestID: fmt.Sprintf("%s-%d-%s", w.plan.Run, as.Page, batch[0].rec.NativeKey), Source: lo.CoalesceOrEmpty(s.Source, export.SourceServiceNow), ConnectorUUID: s.ConnectorUUID,
		Assets: lo.Map(batch, func(x published, _ int) qualys.ConnectorAsset { return qualys.ConnectorAssetOf(x.rec) }),
	})
	why, err := refusal(err)
	if err != nil {
		return err
	}
	if err := crash.At(ctx, crash.AfterPost); err != nil {
		return err
	}
	var out []store.Settlement
	var open []published
	for _, x := range batch {
		switch reason, refused := answer.Refused[x.rec.NativeKey]; {
		case why != "":
			out = append(out, store.Settlement{Key: x.row.Key, Outcome: record.Failed, Reason: why})
		case refused:
			out = append(out, store.Settlement{Key: x.row.Key, Outcome: record.Failed, Reason: reason})
		default:
			open = append(open, x)
		}
	}
	shown, err := w.confirm(ctx, open, began)
	if err != nil {
		return err
	}
	for _, x := range open {
		st := store.Settlement{Key: x.row.Key, Outcome: lo.Ternary(x.row.WrittenDigest == "", record.Created, record.Updated), Digest: x.row.PayloadDigest, Fresh: true}
		switch {
		case shown[x.row.Key]:
		case len(answer.Stray) > 0: // any of them may be the one that was refused
			st = store.Settlement{Key: x.row.Key, Outcome: record.Failed, Reason: "Qualys refused a record of the batch and does not show this one: " + answer.Stray[0]}
		default:
			st.Reason = "Qualys took it and does not show it yet"
		}
		out = append(out, st)
	}
	if err := w.Store.Settle(ctx, as, out); err != nil {
		return err
	}
	return crash.At(ctx, crash.AfterSettle)
}

// clockSlack is how far the clocks of both sides may differ.
const clockSlack = 10 * time.Minute

// confirm returns which records Qualys shows, after some patience. Publishing is
// asynchronous, and the vendor has no call that tells how far it is.
func (w *publisher) confirm(ctx context.Context, list []published, began time.Time) (map[string]bool, error) {
	shown := map[string]bool{}
	for try := 0; len(shown) < len(list); try++ {
		assets, err := w.arrived(ctx, began.Add(-clockSlack))
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			subject := subjectOf(x.rec)
			if !shown[x.row.Key] && slices.ContainsFunc(assets, func(a export.Subject) bool { return subject.Shares(&a) }) {
				shown[x.row.Key] = true
			}
		}
		if len(shown) == len(list) || try == len(w.Patience) {
			break
		}
		if err := pause(ctx, w.Patience[try]); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

func subjectOf(r *export.ConnectorRecord) *export.Subject {
	s := &export.Subject{Key: r.NativeKey, Values: map[export.Identifier][]string{}}
	for _, id := range r.Identity {
		s.Values[id.Name] = id.Values
	}
	return s
}

// arrived reads the assets that third parties report and that changed since.
func (w *publisher) arrived(ctx context.Context, since time.Time) ([]export.Subject, error) {
	q := qualys.Query{
		PageSize: w.src.Client.PageSize(), UpdatedSince: since, ExcludeFields: unneeded,
		Filter: &qualys.Filter{Operation: "AND", Conditions: []qualys.Condition{{Field: "asset.inventory.source", Operator: "EQUALS", Value: w.setup.Schedule.ThirdParty.Shown()}}},
	}
	var out []export.Subject
	for {
		page, n, err := search(ctx, w.src.Client, q)
		w.calls += n
		if err != nil {
			return nil, err
		}
		for i := range page.Results {
			if r := &page.Results[i]; r.Err == nil {
				out = append(out, export.SubjectOf(r.Asset))
			}
		}
		if !page.HasMore {
			return out, nil
		}
		q.Cursor = page.Next
	}
}
