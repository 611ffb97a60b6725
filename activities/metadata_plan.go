package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// metadataPage is how many records a page of business metadata holds.
const metadataPage = 300

// assetCursor begins the pages of assets, behind those of applications.
const assetCursor = 1 << 32

// MetadataPlan compares what the CMDB says with what Qualys shows and what was
// written last, and stages a record of everything that was looked at. It makes no
// call: doing it again stages the same.
func (a *Metadata) MetadataPlan(ctx context.Context, in contract.PlanMetadataInput) (contract.PlanMetadataResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	p := &metadataPlanner{Metadata: a, plan: in.Plan, res: contract.PlanMetadataResult{Pages: []contract.StagedRef{}}}
	err := p.run(ctx, &in)
	return p.res, temporalError(stopped(ctx, err))
}

// metadataPlanner makes one plan.
type metadataPlanner struct {
	*Metadata
	plan     contract.RunPlan
	setup    *Setup
	assets   []held
	shown    map[string]map[string]string // what an asset shows of an application, by id
	apps     applications
	heads    map[string]store.Record // of the kind that is planned
	res      contract.PlanMetadataResult
	staged   []store.Staging
	revision string
}

func (p *metadataPlanner) run(ctx context.Context, in *contract.PlanMetadataInput) error {
	var err error
	if p.setup, err = p.Settings.Of(ctx, p.plan.Revision, p.plan.Schedule); err != nil {
		return err
	}
	p.revision = p.setup.Revision
	if p.assets, err = drafts[held](ctx, p.Metadata, p.plan.Run, draftAssets, in.Progress.Assets); err != nil {
		return err
	}
	p.shown = map[string]map[string]string{}
	for i := range p.assets {
		for k := range p.assets[i].Applications {
			if app := &p.assets[i].Applications[k]; p.shown[app.ID] == nil {
				p.shown[app.ID] = export.ApplicationOf(app)
			}
		}
	}
	data, err := p.Store.Draft(ctx, p.plan.Run, draftApplications, 0)
	if err != nil {
		return fmt.Errorf("draft %s: %w", draftApplications, err)
	}
	if err := p.Bodies.Unpack(data, &p.apps); err != nil {
		return err
	}
	if in.What == string(record.KindApplication) {
		if err := p.planApplications(ctx); err != nil {
			return err
		}
		return p.stage(ctx, 0)
	}
	if err := p.planAssets(ctx, in.Progress.CIs); err != nil {
		return err
	}
	return p.stage(ctx, assetCursor)
}

// headsOf reads the records of a kind as they are.
func (p *metadataPlanner) headsOf(ctx context.Context, kind record.Kind) (map[string]store.Record, error) {
	out := map[string]store.Record{}
	for after := ""; ; {
		list, err := p.Store.Snapshot(ctx, p.plan.Schedule, p.plan.Target, kind, after, draftSize)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			out[r.Key], after = r, r.Key
		}
		if len(list) < draftSize {
			return out, nil
		}
	}
}

// wrote reads what was last written of a record into change; false when nothing
// was, or nobody knows.
func (a *Metadata) wrote(r store.Record, change any) (bool, error) {
	body := r.Prior
	if len(body) == 0 && r.WrittenDigest != "" && r.WrittenDigest == r.PayloadDigest {
		body = r.Body
	}
	if len(body) == 0 || r.WrittenDigest == "" {
		return false, nil
	}
	b, err := a.Bodies.Decode(body)
	if err != nil {
		return false, fmt.Errorf("record %s as written: %w", r.Key, err)
	}
	if b.Parts == nil || len(b.Parts.Change) == 0 {
		return false, nil
	}
	return true, json.Unmarshal(b.Parts.Change, change)
}

// ApplicationKey is the key of a business application's record.
func ApplicationKey(instance, sysID string) string { return instance + "/application/" + sysID }

func (p *metadataPlanner) planApplications(ctx context.Context) error {
	var err error
	if p.heads, err = p.headsOf(ctx, record.KindApplication); err != nil {
		return err
	}
	slices.SortFunc(p.apps.List, func(a, b applicationRow) int { return strings.Compare(a.SysID, b.SysID) })
	taken := map[string]string{}
	for _, row := range p.apps.List {
		rec := store.Staging{Key: ApplicationKey(p.plan.ServiceNow(), row.SysID), Kind: record.KindApplication, Class: string(record.KindApplication)}
		body := &Body{Name: row.Values["name"], Revision: p.revision}
		full, flags, err := export.NewApplication(row.ID, row.Values, row.Created, row.Updated)
		switch other := taken[row.ID]; {
		case err != nil:
			rec.Outcome, rec.Reason = record.Skipped, strings.TrimPrefix(err.Error(), "export: ")
		case other != "":
			rec.Outcome, rec.Reason = record.Skipped, fmt.Sprintf("application %s has the same id %q", other, row.ID)
		}
		taken[row.ID] = row.SysID
		if rec.Outcome != "" {
			if err := p.add(rec, body); err != nil {
				return err
			}
			continue
		}
		var last export.ApplicationChange
		var wrote *export.Application
		if known, err := p.wrote(p.heads[rec.Key], &last); err != nil {
			return err
		} else if known {
			wrote = &last.Application
		}
		seen := p.shown[full.ID]
		app := full.Wanted(wrote, p.setup.Schedule.Metadata.Empty == export.EmptyClear)
		change := export.ApplicationChange{SysID: row.SysID, Application: app, Changes: app.Against(seen, wrote), New: seen == nil && wrote == nil}
		p.settle(&rec, app.Digest(), len(change.Changes) == 0)
		body.Parts = &record.Parts{Flags: flags}
		if body.Parts.Change, err = json.Marshal(change); err != nil {
			return err
		}
		if err := p.add(rec, body); err != nil {
			return err
		}
	}
	return nil
}

// again marks the digest of a record that is written once more although it did not
// change: neither the store nor a person has seen that one.
const again = "-again"

// settle says what becomes of a record: one that Qualys has already is unchanged,
// any other is staged. It reports whether the same was written before, or tried: then
// somebody has changed it since, or it never arrived.
func (p *metadataPlanner) settle(rec *store.Staging, digest string, same bool) (before bool) {
	h, known := p.heads[rec.Key]
	written := known && strings.TrimSuffix(h.WrittenDigest, again) == digest
	tried := known && h.State == record.StateFailed && strings.TrimSuffix(h.PayloadDigest, again) == digest
	rec.PayloadDigest = digest
	if written || tried {
		rec.PayloadDigest = h.PayloadDigest
	}
	switch {
	case known && h.Intent != "" && (!same || rec.Kind == record.KindMetadata && !p.plan.Approval): // a write without an answer: the writer looks what became of it
		rec.RefreshBefore = p.Now().Add(time.Hour)
	case same && written && h.State == record.StateDone:
		rec.PayloadDigest = h.WrittenDigest
	case same:
		rec.Outcome = record.Unchanged
	case written:
		rec.RefreshBefore = p.Now().Add(time.Hour)
		if rec.PayloadDigest = digest; h.WrittenDigest == digest {
			rec.PayloadDigest += again
		}
	}
	return written || tried
}

func (p *metadataPlanner) planAssets(ctx context.Context, parts int64) error {
	cis, err := drafts[export.Bearer](ctx, p.Metadata, p.plan.Run, draftCIs, parts)
	if err != nil {
		return err
	}
	has, err := p.has(ctx)
	if err != nil {
		return err
	}
	if p.heads, err = p.headsOf(ctx, record.KindMetadata); err != nil {
		return err
	}
	links, err := p.links(ctx, &p.plan, p.assets)
	if err != nil {
		return err
	}
	if p.apps.Of != nil {
		for i := range cis {
			cis[i].Applications = append([]string{}, p.apps.Of[cis[i].Key]...)
		}
	}
	wrote := map[string]*export.Metadata{}
	for key, h := range p.heads {
		var last export.AssetChange
		known, err := p.wrote(h, &last)
		if err != nil {
			return err
		}
		if known {
			wrote[key] = &last.Metadata
		}
	}
	s := &p.setup.Schedule.Metadata
	verdicts, err := export.PlanMetadata(&export.MetadataInput{
		CIs: cis, Assets: lo.Map(p.assets, func(h held, _ int) export.Holder { return h.Holder }), Links: links, Order: s.Order(), Clear: s.Empty == export.EmptyClear,
		Wrote: func(asset string) *export.Metadata { return wrote[p.assetKey(asset)] }, Has: func(id string) bool { return has[id] },
	})
	if err != nil {
		return err
	}
	for i := range verdicts {
		v := &verdicts[i]
		rec := store.Staging{Key: p.plan.ServiceNow() + "/" + v.CI, Kind: record.KindMetadata, Class: string(record.KindMetadata)}
		if v.Asset != "" {
			rec.Key = p.assetKey(v.Asset)
		}
		if v.Skip != "" {
			rec.Outcome, rec.Reason = record.Skipped, v.Skip
		} else {
			v.Again = p.settle(&rec, v.Metadata.Digest(), v.Same)
		}
		body := &Body{Name: v.Name, Revision: p.revision, Parts: &record.Parts{Flags: v.Flags}}
		if body.Parts.Change, err = json.Marshal(v.AssetChange); err != nil {
			return err
		}
		if err := p.add(rec, body); err != nil {
			return err
		}
	}
	return nil
}

func (p *metadataPlanner) assetKey(id string) string { return contract.AssetKey(p.plan.Qualys(), id) }

// has returns the business applications that Qualys has: those that were written,
// and those that assets show.
func (p *metadataPlanner) has(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	for id := range p.shown {
		out[id] = true
	}
	heads, err := p.headsOf(ctx, record.KindApplication)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		var last export.ApplicationChange
		known, err := p.wrote(h, &last)
		if err != nil {
			return nil, err
		}
		if known {
			out[last.Application.ID] = true
		}
	}
	return out, nil
}

func (p *metadataPlanner) add(rec store.Staging, body *Body) error {
	var err error
	if rec.Body, err = p.Bodies.Encode(body); err != nil {
		return fmt.Errorf("record %s: %w", rec.Key, err)
	}
	p.staged = append(p.staged, rec)
	return nil
}

// stage stores what was planned, page by page.
func (p *metadataPlanner) stage(ctx context.Context, cursor int64) error {
	for part := range slices.Chunk(p.staged, metadataPage) {
		page, err := p.Store.StagePage(ctx, store.StagePage{
			Run: p.plan.Run, Epoch: p.plan.Epoch, Enumeration: p.plan.Enumeration, CursorIn: cursor, CursorOut: cursor + 1, Hold: p.plan.Approval, Records: part,
		})
		if err != nil {
			return err
		}
		cursor++
		if page.ToWrite > 0 {
			p.res.Pages = append(p.res.Pages, contract.StagedRef{Page: page.ID, ToWrite: page.ToWrite})
			continue
		}
		if _, err := p.Store.FinishPage(ctx, p.plan.Run, p.plan.Epoch, page.ID); err != nil {
			return err
		}
		p.res.Counters.Add(fetchedCounters(page.Counters))
	}
	return nil
}
