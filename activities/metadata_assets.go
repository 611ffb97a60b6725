package activities

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/workflows/contract"
)

// unneeded are the sections of an asset that say neither what it is nor whose.
var unneeded = []string{
	string(asset.SectionSoftware), string(asset.SectionOpenPorts), string(asset.SectionVolumes), string(asset.SectionServices), string(asset.SectionAccounts),
	string(asset.SectionTags), string(asset.SectionProcessor),
}

// QualysReadMetadata reads a page of the inventory: what identifies its assets, and
// which business metadata they show.
func (a *Metadata) QualysReadMetadata(ctx context.Context, in contract.ReadMetadataInput) (contract.ReadMetadataResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return in.Cursor })
	defer stop()
	res, err := a.readPage(ctx, &in)
	return res, temporalError(stopped(ctx, err))
}

func (a *Metadata) readPage(ctx context.Context, in *contract.ReadMetadataInput) (contract.ReadMetadataResult, error) {
	var res contract.ReadMetadataResult
	setup, src, err := a.subscription(ctx, &in.Plan)
	if err != nil {
		return res, err
	}
	if why := setup.Budget.Stop(a.Now(), in.Spent); why != "" {
		return contract.ReadMetadataResult{Stopped: why, Last: true}, nil
	}
	if in.Cursor == 0 {
		if in.Total, _, err = src.Client.Count(ctx, qualys.Query{}); err != nil {
			return res, err
		}
		res.Calls++
	}
	page, calls, err := search(ctx, src.Client, qualys.Query{Cursor: in.Cursor, PageSize: src.Client.PageSize(), ExcludeFields: unneeded})
	if err != nil {
		return res, err
	}
	order := setup.Schedule.Metadata.Order()
	list := make([]held, 0, len(page.Results))
	for i := range page.Results {
		if page.Results[i].Err != nil { // no CI finds what cannot be read
			continue
		}
		list = append(list, heldOf(page.Results[i].Asset, order))
	}
	if err := a.putDraft(ctx, &in.Plan, draftAssets, in.Part, list); err != nil {
		return res, err
	}
	res.Parts, res.Count, res.Next, res.Last = 1, int64(len(list)), page.Next, !page.HasMore
	res.Total, res.Seen, res.Calls = in.Total, int64(len(page.Results)), res.Calls+calls
	if seen := in.Seen + res.Seen; res.Last && seen < in.Total { // fewer than there were: some are gone, or were left out
		now, _, err := src.Client.Count(ctx, qualys.Query{})
		if err != nil {
			return res, err
		}
		res.Calls++
		if seen < min(now, in.Total) {
			res.Incomplete = fmt.Sprintf("Qualys counts %d assets and listed %d: an identifier of one could be that of another that is missing, so nothing was compared", min(now, in.Total), seen)
		}
	}
	return res, nil
}

// heldOf keeps of an asset what a plan looks at.
func heldOf(a *asset.Asset, order []export.Identifier) held {
	h := held{Holder: export.HolderOf(a), Applications: a.ApplicationDetails}
	for id := range h.Subject.Values {
		if !slices.Contains(order, id) {
			delete(h.Subject.Values, id)
		}
	}
	return h
}

// shownNow reads what assets show now, by id. Those that are gone are absent.
func (a *Metadata) shownNow(ctx context.Context, src *Source, ids []string, calls *int64) (map[string]held, error) {
	out := make(map[string]held, len(ids))
	for part := range slices.Chunk(ids, src.Client.PageSize()) {
		q := qualys.Query{PageSize: src.Client.PageSize(), ExcludeFields: unneeded, Filter: &qualys.Filter{
			Operation: "AND", Conditions: []qualys.Condition{{Field: "asset.id", Operator: "IN", Value: strings.Join(part, ",")}},
		}}
		for {
			page, n, err := search(ctx, src.Client, q)
			*calls += n
			if err != nil {
				return nil, err
			}
			for i := range page.Results {
				if r := &page.Results[i]; r.Err == nil {
					out[strconv.FormatInt(r.ID, 10)] = heldOf(r.Asset, nil)
				}
			}
			if !page.HasMore {
				break
			}
			q.Cursor = page.Next
		}
	}
	return out, nil
}

// links returns the assets that the sync of the inventory linked with CIs, by
// sys_id: the link of an id that moved to another machine is that of its last life.
func (a *Metadata) links(ctx context.Context, plan *contract.RunPlan, assets []held) (map[string][]string, error) {
	ids := make([]int64, 0, len(assets))
	for i := range assets {
		id, err := strconv.ParseInt(assets[i].Key, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("asset %q: %w", assets[i].Key, err)
		}
		ids = append(ids, id)
	}
	lives, err := a.Store.Generations(ctx, plan.Qualys(), ids)
	if err != nil {
		return nil, err
	}
	keys, of := make([]string, len(ids)), make(map[string]string, len(ids))
	for i, id := range ids {
		keys[i] = contract.MovedKey(plan.Qualys(), id, lives[id])
		of[keys[i]] = assets[i].Key
	}
	found, err := a.Store.LinksOf(ctx, plan.ServiceNow(), keys)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for key, l := range found {
		out[l.SysID] = append(out[l.SysID], of[key])
	}
	return out, nil
}
