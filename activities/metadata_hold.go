package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// MetadataHold makes the records of a staged page wait for a person.
func (a *Metadata) MetadataHold(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	var res contract.WritePageResult
	as := store.Writer{Run: in.Plan.Run, Epoch: in.Plan.Epoch, Page: in.Page, Attempt: attemptOf(ctx)}
	rows, err := a.Store.Staged(ctx, in.Plan.Run, in.Page)
	if err == nil {
		err = a.Store.TakePage(ctx, as)
	}
	if err != nil {
		return res, temporalError(err)
	}
	var list []store.Planned
	for _, row := range rows {
		c, err := a.change(row)
		if err != nil {
			return res, temporalError(err)
		}
		list = append(list, c.planned(row, c.changes()))
	}
	if err := a.Store.HoldStaged(ctx, as, list, false); err != nil {
		return res, temporalError(err)
	}
	counters, err := a.Store.FinishPage(ctx, in.Plan.Run, in.Plan.Epoch, in.Page)
	res.Counters = fetchedCounters(counters)
	return res, temporalError(err)
}

// staged is a change as a record holds it: of an asset, or of an application.
type staged struct {
	asset *export.AssetChange
	app   *export.ApplicationChange
}

func (a *Metadata) change(r store.Record) (staged, error) {
	var out staged
	body, err := a.Bodies.Decode(r.Body)
	if err != nil {
		return out, fmt.Errorf("record %s: %w", r.Key, err)
	}
	var into any
	if r.Kind == record.KindApplication {
		out.app = &export.ApplicationChange{}
		into = out.app
	} else {
		out.asset = &export.AssetChange{}
		into = out.asset
	}
	if body.Parts == nil || len(body.Parts.Change) == 0 {
		return out, fmt.Errorf("record %s holds no change", r.Key)
	}
	if err := json.Unmarshal(body.Parts.Change, into); err != nil {
		return out, fmt.Errorf("record %s: %w", r.Key, err)
	}
	return out, nil
}

func (c *staged) changes() []export.Change {
	if c.app != nil {
		return c.app.Changes
	}
	return c.asset.Changes
}

// planned says what a person is shown: the fields that differ.
func (c *staged) planned(r store.Record, changes []export.Change) store.Planned {
	p := &approval.Plan{Operation: approval.Update, To: r.Class, Changes: make([]approval.Change, len(changes))}
	if c.app != nil {
		p.SysID = c.app.SysID
		if c.app.New {
			p.Operation = approval.Create
		}
	} else {
		p.SysID = c.asset.CI
	}
	for i, ch := range changes {
		p.Changes[i] = approval.Change{Column: ch.Field, Old: ch.Old, New: ch.New}
	}
	return store.Planned{Key: r.Key, Plan: p, Digest: p.Digest(r.PayloadDigest)}
}
