package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/tagging"
	"github.com/qbridge/qbridge/workflows/contract"
)

// QualysWriteTags makes the changes of the staged tags of a page, in their order.
// Each looks at what is there first, so that an attempt after another that died
// goes on where that one ended.
func (a *Tagging) QualysWriteTags(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	w := &tagger{Tagging: a, plan: &in.Plan}
	counters, err := w.write(ctx, in.Page)
	return contract.WritePageResult{Counters: fetchedCounters(counters), Calls: w.calls}, temporalError(stopped(ctx, err))
}

// hold makes the changes of a page wait for a person.
func (w *tagger) hold(ctx context.Context, page int64) (record.Counters, error) {
	as, rows, err := w.take(ctx, page)
	if err != nil {
		return record.Counters{}, err
	}
	planned := make([]store.Planned, 0, len(rows))
	for _, row := range rows {
		r, err := w.Bodies.TagRecord(row.Body)
		if err != nil {
			return record.Counters{}, err
		}
		planned = append(planned, store.Planned{Key: row.Key, Plan: shownTag(&r), Digest: row.PayloadDigest})
	}
	if err := w.Store.HoldStaged(ctx, as, planned, false); err != nil {
		return record.Counters{}, err
	}
	return w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, page)
}

func (w *tagger) take(ctx context.Context, page int64) (store.Writer, []store.Record, error) {
	as := store.Writer{Run: w.plan.Run, Epoch: w.plan.Epoch, Page: page, Attempt: attemptOf(ctx)}
	if err := w.Store.TakePage(ctx, as); err != nil {
		return as, nil, err
	}
	rows, err := w.Store.Staged(ctx, w.plan.Run, page)
	return as, rows, err
}

// shownTag is the change of a tag as a person sees it among other staged records.
func shownTag(r *contract.TagRecord) *approval.Plan {
	p := &approval.Plan{Operation: approval.Update, To: string(record.KindTag), Changes: []approval.Change{}}
	for i := range r.Changes {
		c := &r.Changes[i].Change
		if c.Op == tagging.OpCreate {
			p.Operation = approval.Create
		}
		p.Changes = append(p.Changes, approval.Change{Column: string(c.Op), Old: c.Was, New: faceText(c)})
	}
	return p
}

// faceText is what a change makes of a tag, in a line.
func faceText(c *tagging.Change) string {
	f := &c.Face
	switch c.Op {
	case tagging.OpCreate:
		return strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Name, f.RuleType, f.RuleText))
	case tagging.OpRename:
		return f.Name
	case tagging.OpRule, tagging.OpRetire:
		return strings.TrimSpace(f.RuleType + " " + f.RuleText)
	case tagging.OpRecolour:
		return f.Color
	case tagging.OpScore:
		return fmt.Sprint(f.Criticality)
	}
	return ""
}

// tagWork is a record on its way.
type tagWork struct {
	row     store.Record
	rec     contract.TagRecord
	id      int64
	owned   tagging.Owned
	refused string
	touched bool // its rule is new
}

func (w *tagger) write(ctx context.Context, page int64) (record.Counters, error) {
	if err := w.open(ctx); err != nil {
		return record.Counters{}, err
	}
	if err := w.src.Adding.Lock(ctx); err != nil {
		return record.Counters{}, err
	}
	defer w.src.Adding.Unlock()
	as, rows, err := w.take(ctx, page)
	if err != nil {
		return record.Counters{}, err
	}
	if len(rows) > 0 {
		if err := w.change(ctx, as, rows); err != nil {
			return record.Counters{}, err
		}
	}
	c, err := w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, page)
	if err != nil {
		return c, err
	}
	return c, crash.At(ctx, crash.AfterFinish)
}

// change makes the changes of records and settles them.
func (w *tagger) change(ctx context.Context, as store.Writer, rows []store.Record) error {
	works, err := w.works(ctx, rows)
	if err != nil {
		return err
	}
	w.calls++
	tags, err := w.src.Portal.Tags(ctx)
	if err != nil {
		return err
	}
	there := lo.SliceToMap(tags, func(t qualys.Tag) (int64, qualys.Tag) { return t.ID, t })
	if _, err := w.Store.BeginPayload(ctx, as, lo.Map(rows, func(r store.Record, _ int) string { return r.Key })); err != nil {
		return err
	}
	if err := crash.At(ctx, crash.AfterIntent); err != nil {
		return err
	}
	type step struct {
		work   *tagWork
		change contract.TagChange
	}
	var steps []step
	for _, x := range works {
		for _, c := range x.rec.Changes {
			steps = append(steps, step{x, c})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.change.N, b.change.N) })
	for _, s := range steps {
		if s.work.refused != "" {
			continue
		}
		if err := w.apply(ctx, s.work, &s.change.Change, works, there); err != nil {
			return err
		}
		if err := crash.At(ctx, crash.AfterPost); err != nil {
			return err
		}
	}
	if err := w.evaluate(ctx, works); err != nil {
		return err
	}
	return w.settle(ctx, as, works)
}

func (w *tagger) works(ctx context.Context, rows []store.Record) (map[string]*tagWork, error) {
	if _, _, err := w.remembered(ctx); err != nil { // parents may stand on another page
		return nil, err
	}
	out := map[string]*tagWork{}
	for _, row := range rows {
		r, err := w.Bodies.tagRecord(row)
		if err != nil {
			return nil, err
		}
		out[r.Key] = &tagWork{row: row, rec: r, id: r.ID, owned: r.Owned}
	}
	return out, nil
}

// parentOf returns the tag below which a change creates, 0 when it is not there.
func (w *tagger) parentOf(c *tagging.Change, works map[string]*tagWork) (int64, error) {
	if c.ParentID != 0 || c.ParentKey == "" {
		return c.ParentID, nil
	}
	if p := works[c.ParentKey]; p != nil {
		return p.id, nil
	}
	if row, ok := w.heads[tagKey(w.src.Name, c.ParentKey)]; ok {
		r, err := w.Bodies.tagRecord(row)
		return r.ID, err
	}
	return 0, nil
}

// apply makes one change. What the vendor refuses is the record's outcome; the
// error is one after which the page is tried again.
func (w *tagger) apply(ctx context.Context, x *tagWork, c *tagging.Change, works map[string]*tagWork, there map[int64]qualys.Tag) error {
	if c.Op == tagging.OpCreate {
		return w.create(ctx, x, c, works)
	}
	w.calls++
	_, is := there[c.ID]
	var err error
	switch {
	case c.Op == tagging.OpDelete && is:
		err = w.src.Portal.DeleteTag(ctx, c.ID)
	case c.Op == tagging.OpDelete:
		w.calls--
	case !is:
		w.calls--
		x.refused = "the tag is gone: the next run plans again"
		return nil
	default:
		err = w.src.Portal.UpdateTag(ctx, c.ID, qualys.TagUpdateOf(*c))
	}
	var e *qualys.Error
	if errors.As(err, &e) && e.Kind() == qualys.KindNotFound && c.Op == tagging.OpDelete {
		err = nil // gone meanwhile
	}
	if x.refused, err = refusedTag(err); err != nil || x.refused != "" {
		return err
	}
	var ok bool
	if x.owned, ok = c.After(x.owned, c.ID, 0); !ok {
		x.id = 0
	}
	x.touched = x.touched || c.Op == tagging.OpRule || c.Op == tagging.OpRetire
	return nil
}

func (w *tagger) create(ctx context.Context, x *tagWork, c *tagging.Change, works map[string]*tagWork) error {
	parent, err := w.parentOf(c, works)
	if err != nil {
		return err
	}
	if parent == 0 && c.ParentKey != "" {
		x.refused = "its parent is not there: the next run plans again"
		return nil
	}
	w.calls += 2
	tag, created, err := w.src.Portal.EnsureTag(ctx, qualys.TagOf(*c, parent))
	if x.refused, err = refusedTag(err); err != nil || x.refused != "" {
		return err
	}
	if !created && !strings.Contains(tag.Description, tagging.Mark(c.Key)) && x.row.Intent == "" {
		x.refused = fmt.Sprintf("a tag that is not ours has the name %q in the same place", c.Face.Name)
		return nil
	}
	x.owned, _ = c.After(x.owned, tag.ID, parent)
	x.id, x.touched = tag.ID, c.Face.RuleType != tagging.RuleStatic
	return nil
}

// refusedTag tells a refusal, which no repetition mends, from a failure.
func refusedTag(err error) (string, error) {
	var e *qualys.Error
	if errors.As(err, &e) && (e.Kind() == qualys.KindInvalidRequest || e.Kind() == qualys.KindNotFound) {
		return e.Error(), nil
	}
	return "", err
}

// evaluate has new rules evaluated. A tag that somebody deleted meanwhile needs none.
func (w *tagger) evaluate(ctx context.Context, works map[string]*tagWork) error {
	for _, x := range works {
		if !x.touched || x.refused != "" || x.id == 0 {
			continue
		}
		w.calls++
		if _, err := refusedTag(w.src.Portal.EvaluateTag(ctx, x.id)); err != nil {
			return err
		}
	}
	return nil
}

func (w *tagger) settle(ctx context.Context, as store.Writer, works map[string]*tagWork) error {
	var list []store.Settlement
	for _, x := range works {
		answer, err := json.Marshal(tagAnswer{ID: x.id, Owned: x.owned})
		if err != nil {
			return fmt.Errorf("activities: tag: %w", err)
		}
		s := store.Settlement{Key: x.row.Key, Outcome: record.Updated, Answer: string(answer), Digest: x.row.PayloadDigest, Fresh: true}
		switch {
		case x.refused != "":
			s.Outcome, s.Reason, s.Digest = record.Failed, x.refused, ""
		case x.rec.Changes[0].Op == tagging.OpCreate:
			s.Outcome = record.Created
		case x.id == 0:
			s.Reason = "deleted"
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b store.Settlement) int { return strings.Compare(a.Key, b.Key) })
	if err := w.Store.Settle(ctx, as, list); err != nil {
		return err
	}
	return crash.At(ctx, crash.AfterSettle)
}
