package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/tagging"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Tagging turns attributes of CIs into tags of a subscription. Like Export, it
// writes a subscription from one process at a time and there under one lock:
// creating a tag is not idempotent at the vendor.
//
//	CMDB ──values by attribute──▶ draft ─┐
//	Qualys ──tags as they are──▶ ────────┴─▶ difference ─▶ staged records ─▶ write ─▶ evaluate
type Tagging struct {
	Store    store.Store
	Settings *Settings
	Vendors  Vendors
	Bodies   *Bodies
	Now      func() time.Time
}

// draftValues names the values of attributes.
const draftValues = "values of attributes"

// tagsPerPage is how many records a page of tags holds.
const tagsPerPage = 300

// ServiceNowReadValues counts the CIs by the values of each attribute: one call an
// attribute, whatever the number of CIs.
func (a *Tagging) ServiceNowReadValues(ctx context.Context, in contract.ReadCIsInput) (contract.ReadCIsResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	var res contract.ReadCIsResult
	err := a.readValues(ctx, &in.Plan, &res)
	return res, temporalError(stopped(ctx, err))
}

func (a *Tagging) readValues(ctx context.Context, plan *contract.RunPlan, res *contract.ReadCIsResult) error {
	setup, err := a.Settings.Of(ctx, plan.Revision, plan.Schedule)
	if err != nil {
		return err
	}
	target, err := a.Vendors.ServiceNow(ctx, plan.Revision, plan.ServiceNow())
	if err != nil {
		return err
	}
	values := map[string][]tagging.Value{}
	for _, at := range setup.Tagging {
		res.Calls++
		groups, err := target.Client.Groups(ctx, at.Table, servicenow.Encoded(at.Query), at.Column)
		if err != nil {
			return fmt.Errorf("attribute %s: %w", at.Name, err)
		}
		values[at.Name] = lo.Map(groups, func(g servicenow.Group, _ int) tagging.Value { return tagging.Value{Text: g.Value, CIs: g.Rows} })
		res.CIs += int64(lo.SumBy(groups, func(g servicenow.Group) int { return g.Rows }))
	}
	data, err := a.Bodies.Pack(values)
	if err != nil {
		return err
	}
	return a.Store.PutDraft(ctx, plan.Run, plan.Epoch, draftValues, 0, data)
}

// QualysStageTags compares the tree that the attributes ask for with the tags that
// are there and stages a record of every tag. Where a person decides, the changes
// wait.
func (a *Tagging) QualysStageTags(ctx context.Context, in contract.StageExportInput) (contract.StageExportResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	w := &tagger{Tagging: a, plan: &in.Plan}
	res, err := w.stage(ctx, in.Spent)
	res.Calls = w.calls
	return res, temporalError(stopped(ctx, err))
}

// tagger does the work of one activity.
type tagger struct {
	*Tagging
	plan  *contract.RunPlan
	setup *Setup
	src   *Source
	heads map[string]store.Record // by key of the record
	calls int64
}

func (w *tagger) open(ctx context.Context) (err error) {
	if w.setup, err = w.Settings.Of(ctx, w.plan.Revision, w.plan.Schedule); err != nil {
		return err
	}
	if w.src, err = w.Vendors.Qualys(ctx, w.plan.Revision, w.plan.Qualys()); err != nil {
		return err
	}
	if w.src.Portal == nil {
		return &UserError{Message: fmt.Sprintf("connection %s has no user name and password, or no API address, and tags need them", w.src.Name)}
	}
	return nil
}

func (w *tagger) stage(ctx context.Context, spent int64) (contract.StageExportResult, error) {
	var res contract.StageExportResult
	if err := w.open(ctx); err != nil {
		return res, err
	}
	if res.Stopped = w.setup.Budget.Stop(w.Now(), spent); res.Stopped != "" {
		return res, nil
	}
	list, err := w.records(ctx)
	if err != nil {
		return res, err
	}
	pages := slices.Collect(slices.Chunk(list, tagsPerPage))
	if len(pages) == 0 {
		pages = append(pages, nil)
	}
	for i, page := range pages {
		p, err := w.Store.StagePage(ctx, store.StagePage{
			Run: w.plan.Run, Epoch: w.plan.Epoch, Enumeration: w.plan.Enumeration, CursorIn: int64(i), CursorOut: int64(i + 1), Last: i == len(pages)-1,
			Verify: true, Hold: w.plan.Approval, Records: page,
		})
		if err == nil {
			err = crash.At(ctx, crash.AfterStage)
		}
		if err != nil {
			return res, err
		}
		var c record.Counters
		switch {
		case p.ToWrite == 0:
			c, err = w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, p.ID)
		case w.plan.Approval:
			c, err = w.hold(ctx, p.ID)
		default:
			res.Pages = append(res.Pages, p.ID)
			continue
		}
		if err != nil {
			return res, err
		}
		res.Counters.Add(fetchedCounters(c))
	}
	return res, nil
}

// records makes the records of all tags: those that change in the order of their
// first change, then the others.
func (w *tagger) records(ctx context.Context) ([]store.Staging, error) {
	data, err := w.Store.Draft(ctx, w.plan.Run, draftValues, 0)
	if err != nil {
		return nil, fmt.Errorf("values of attributes: %w", err)
	}
	var values map[string][]tagging.Value
	if err := w.Bodies.Unpack(data, &values); err != nil {
		return nil, err
	}
	w.calls++
	tags, err := w.src.Portal.Tags(ctx)
	if err != nil {
		return nil, err
	}
	if err := crash.At(ctx, crash.AfterFetch); err != nil {
		return nil, err
	}
	owned, unanswered, err := w.remembered(ctx)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	there := lo.SliceToMap(tags, func(t qualys.Tag) (int64, bool) { return t.ID, true })
	for id, o := range owned {
		has[o.Key] = has[o.Key] || there[id]
	}
	want, err := tagging.Desire(w.setup.Tagging, values, func(key string) bool { return has[key] })
	if err != nil {
		return nil, &UserError{Message: strings.TrimPrefix(err.Error(), "tagging: ")}
	}
	diff := tagging.Diff(want, qualys.ActualTags(tags), owned, tagging.Settings{Drift: w.setup.Schedule.Drift, Unanswered: unanswered})
	return w.stagings(want, diff)
}

// remembered returns the tags of ours that earlier runs left, and the keys of those
// whose creation was sent and never answered.
func (w *tagger) remembered(ctx context.Context) (map[int64]tagging.Owned, map[string]bool, error) {
	owned, unanswered := map[int64]tagging.Owned{}, map[string]bool{}
	w.heads = map[string]store.Record{}
	for after := ""; ; {
		list, err := w.Store.Snapshot(ctx, w.plan.Schedule, w.plan.Target, record.KindTag, after, draftSize)
		if err != nil {
			return nil, nil, err
		}
		for _, row := range list {
			after, w.heads[row.Key] = row.Key, row
			r, err := w.Bodies.tagRecord(row)
			if err != nil {
				return nil, nil, err
			}
			if r.ID != 0 {
				owned[r.ID] = r.Owned
			} else if row.Intent != "" {
				unanswered[r.Key] = true
			}
		}
		if len(list) < draftSize {
			return owned, unanswered, nil
		}
	}
}

// tagAnswer is what remains known of a tag after a write.
type tagAnswer struct {
	ID    int64         `json:"id"` // 0: it is gone
	Owned tagging.Owned `json:"owned"`
}

// tagRecord decodes a record of a tag; what a write left counts before what was
// found when it was staged.
func (b *Bodies) tagRecord(row store.Record) (contract.TagRecord, error) {
	r, err := b.TagRecord(row.Body)
	var a tagAnswer
	if err == nil && row.Answer != "" && json.Unmarshal([]byte(row.Answer), &a) == nil {
		r.ID, r.Owned = a.ID, a.Owned
	}
	return r, err
}

// TagRecord decodes the body of a record of kind record.KindTag.
func (b *Bodies) TagRecord(data []byte) (contract.TagRecord, error) {
	var r contract.TagRecord
	body, err := b.Decode(data)
	if err == nil && body.Parts != nil {
		err = json.Unmarshal(body.Parts.Change, &r)
	}
	if err == nil && r.Key == "" {
		err = errors.New("there is no tag in it")
	}
	if err != nil {
		return r, fmt.Errorf("activities: tag: %w", err)
	}
	return r, nil
}

// maxTagKey is how much of a tag's key stands in that of its record.
const maxTagKey = 100

// tagKey is the key of the record of a tag: readable, and bounded.
func tagKey(connection, key string) string {
	if len(key) > maxTagKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' }) {
		sum := sha256.Sum256([]byte(key))
		short := strings.ToValidUTF8(key[:min(len(key), maxTagKey)], "")
		key = strings.Map(func(r rune) rune { return lo.Ternary(r < ' ', ' ', r) }, short) + "~" + hex.EncodeToString(sum[:6])
	}
	return connection + "/tag/" + key
}

// stagings makes a record of each tag that is wanted, changes, or is reported.
func (w *tagger) stagings(want *tagging.Desired, diff *tagging.Difference) ([]store.Staging, error) {
	byKey, order := map[string]*contract.TagRecord{}, []string{}
	of := func(key, name string) *contract.TagRecord {
		r := byKey[key]
		if r == nil {
			r = &contract.TagRecord{Key: key, Name: name}
			byKey[key], order = r, append(order, key)
		}
		return r
	}
	refused := map[string]bool{}
	for n, c := range diff.Changes { // first: their order is that of the pages
		r := of(c.Key, c.Face.Name)
		r.Changes = append(r.Changes, contract.TagChange{N: n, Change: c})
	}
	for i := range want.Tags {
		of(want.Tags[i].Key, want.Tags[i].Name).Name = want.Tags[i].Name
	}
	for _, x := range diff.Reports {
		r := of(x.Key, x.Name)
		r.Notes = append(r.Notes, x.Kind+": "+x.Why)
	}
	for _, x := range want.Refused {
		key := x.Attribute + "/" + strings.ToLower(x.Value)
		refused[key] = true
		r := of(key, x.Value)
		r.Notes = append(r.Notes, "refused: "+x.Why)
	}
	for id, o := range diff.Owned {
		if r := byKey[o.Key]; r != nil && r.ID == 0 {
			r.ID, r.Owned = id, o
		}
	}
	out := make([]store.Staging, 0, len(order))
	for _, key := range order {
		s, err := w.staging(byKey[key])
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (w *tagger) staging(r *contract.TagRecord) (store.Staging, error) {
	change, err := json.Marshal(r)
	if err != nil {
		return store.Staging{}, fmt.Errorf("activities: tag: %w", err)
	}
	parts := &record.Parts{Change: change}
	body, err := w.Bodies.Encode(&Body{Name: r.Name, Revision: w.setup.Revision, Parts: parts})
	if err != nil {
		return store.Staging{}, err
	}
	s := store.Staging{Key: tagKey(w.src.Name, r.Key), Kind: record.KindTag, Class: string(record.KindTag), PayloadDigest: digestOfChanges(r), Body: body, Reason: strings.Join(r.Notes, "; ")}
	switch {
	case len(r.Changes) > 0:
		s.Reason = ""
	case len(r.Notes) > 0:
		s.Outcome = record.Skipped
	default:
		s.Outcome = record.Unchanged
	}
	return s, nil
}

// digestOfChanges stands for what would be written, wherever it stands among the
// changes of others.
func digestOfChanges(r *contract.TagRecord) string {
	b, err := json.Marshal(lo.Map(r.Changes, func(c contract.TagChange, _ int) tagging.Change { return c.Change }))
	if err != nil { // texts and numbers only
		panic("activities: tag: " + err.Error())
	}
	return digestOfBytes(b)
}

func digestOfBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
