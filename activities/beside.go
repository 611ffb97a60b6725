package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

// What a record needs beside the post of its CI: its rows in other tables, and
// the end of the parts that it had and has no longer. Both read first and change
// only what differs, so that another attempt goes on where this one ended.

// owned runs a write that is no IRE post while this attempt is the page's writer.
// When the call could not begin soon after that was made sure, it is made sure
// again: an attempt that was held up may have been replaced.
func (w *pageWriter) owned(ctx context.Context, write func(ctx context.Context) error) error {
	for {
		at := w.Now()
		if err := w.Store.TakePage(ctx, w.as); err != nil {
			return err
		}
		err := write(transport.Before(ctx, func() error {
			if w.Now().Sub(at) > announcedFor {
				return errTooLate
			}
			return nil
		}))
		if !errors.Is(err, errTooLate) {
			return err
		}
	}
}

// complete does for the records of an answered payload what no IRE post does, and
// corrects their results. Those that are to be posted again wait for that.
func (w *pageWriter) complete(ctx context.Context, results []payload.Result, again map[string]bool) error {
	var rows []rowChanges
	var ended []ending
	for i := range results {
		r := &results[i]
		if r.Outcome == record.Failed || r.SysID == "" || again[r.Owner] {
			continue
		}
		change, end := w.changesOf(r.Owner, r.SysID)
		if len(change.rows)+len(change.gone) > 0 {
			rows = append(rows, change)
		}
		if len(end.parts) > 0 {
			ended = append(ended, end)
		}
	}
	done, err := w.end(ctx, ended)
	if err != nil {
		return err
	}
	written, err := w.writeRows(ctx, rows)
	if err != nil {
		return err
	}
	for i := range results {
		r := &results[i]
		for _, of := range []map[string]rowResult{done, written} {
			switch x := of[r.Owner]; {
			case x.failure != "" && r.Outcome != record.Failed:
				r.Outcome, r.Reason, r.SysID = record.Failed, x.failure, ""
			case x.changed && r.Outcome == record.Unchanged:
				r.Outcome = record.Updated
			}
		}
	}
	return nil
}

// changesOf returns the rows of a record and the parts that it lost.
func (w *pageWriter) changesOf(owner, host string) (rowChanges, ending) {
	parts := w.parts[owner]
	change, end := rowChanges{owner: owner, host: host, rows: parts.Tables}, ending{owner: owner, host: host, prior: w.before[owner]}
	if end.prior == nil {
		return change, end
	}
	for _, gone := range record.Vanished(*end.prior, *parts) {
		if gone.Gone == record.GoneRow {
			change.gone = append(change.gone, *gone.Row)
			continue
		}
		end.parts = append(end.parts, gone)
	}
	return change, end
}

// carried is the body to remember as written for a record that was written while
// some of its sections were missing.
func (w *pageWriter) carried(owner string) ([]byte, error) {
	parts := record.Carry(w.before[owner], w.parts[owner])
	if parts == nil {
		return nil, nil
	}
	return w.Bodies.Encode(&Body{Parts: parts})
}

// alone is a record of which only rows are written: its CI is somebody else's, or
// another record writes it.
type alone struct {
	key    string
	link   *store.Link // of its own CI, when that was just found out
	host   string      // sys_id of the CI
	reason string
}

// seconds prepares the records whose CI another record writes: their rows belong
// to that one's CI, once it is there.
func (w *pageWriter) seconds(ctx context.Context) error {
	if len(w.second) == 0 {
		return nil
	}
	links, err := w.Store.LinksOf(ctx, w.plan.Target, lo.Uniq(lo.Map(w.second, func(r payload.Input, _ int) string { return r.Parts.Primary })))
	if err != nil {
		return err
	}
	var without []store.Settlement
	for _, r := range w.second {
		if l := links[r.Parts.Primary]; l.SysID != "" {
			w.beside = append(w.beside, alone{key: r.Key, host: l.SysID, reason: record.Secondary})
			continue
		}
		without = append(without, store.Settlement{Key: r.Key, Outcome: record.Skipped, Reason: record.Secondary + "; it has none yet"})
	}
	return w.settle(ctx, without)
}

// aloneAtOnce bounds the records whose rows are written together.
const aloneAtOnce = 100

// writeAlone writes the rows of records whose CI is not written.
func (w *pageWriter) writeAlone(ctx context.Context, list []alone) error {
	for part := range slices.Chunk(list, aloneAtOnce) {
		keys := lo.Map(part, func(a alone, _ int) string { return a.key })
		unanswered, err := w.Store.BeginPayload(ctx, w.as, keys)
		if err != nil {
			return err
		}
		var rows []rowChanges
		for _, a := range part {
			change, _ := w.changesOf(a.key, a.host)
			withCI := func(r cmdb.Row) bool { return r.WithCI }
			change.rows, change.gone = slices.DeleteFunc(slices.Clone(change.rows), withCI), slices.DeleteFunc(change.gone, withCI)
			rows = append(rows, change)
		}
		done, err := w.writeRows(ctx, rows)
		if err != nil {
			return err
		}
		var out []store.Settlement
		for _, a := range part {
			s := store.Settlement{Key: a.key, Outcome: record.Unchanged, Reason: a.reason, Link: a.link, Digest: w.digests[a.key], Fresh: true}
			r := done[a.key]
			switch {
			case r.failure != "":
				s.Outcome, s.Reason, s.Digest = record.Failed, r.failure, ""
			case r.changed, w.prior[a.key], unanswered[a.key] == w.digests[a.key]:
				s.Outcome = record.Updated
			}
			out = append(out, s)
		}
		if err := w.settle(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

// ending is a record with parts that it no longer has.
type ending struct {
	owner, host string
	prior       *record.Parts
	parts       []record.Item
}

// absent is the install status of a CI that discovery does not see any more. The
// identification rule of hardware passes over adapters in it.
const absent = "100"

// end retires the parts that records lost: a CI of their own gets the status
// absent and loses its relation, a shared one only the relation. Nothing is
// deleted but relations, and nothing is inserted: what is not there needs no end.
func (w *pageWriter) end(ctx context.Context, list []ending) (map[string]rowResult, error) {
	out := map[string]rowResult{}
	if len(list) == 0 {
		return out, nil
	}
	ids, err := w.sourceIDs(ctx, list)
	if err != nil {
		return nil, err
	}
	if err := w.endItems(ctx, list, ids, out); err != nil {
		return nil, err
	}
	return out, w.endRelations(ctx, list, ids, out)
}

// sourceIDs returns the sys_ids of the items that end, and of those at the other
// end of relations that end, by their source keys.
func (w *pageWriter) sourceIDs(ctx context.Context, list []ending) (map[string]string, error) {
	ids, unknown := map[string]string{}, map[string]bool{}
	for i := range list {
		ids[list[i].owner] = list[i].host
	}
	need := func(key string) {
		if ids[key] == "" {
			unknown[key] = true
		}
	}
	for i := range list {
		for _, p := range list[i].parts {
			need(p.Key)
			if p.Relation != nil {
				need(p.Relation.Parent)
				need(p.Relation.Child)
			}
		}
	}
	ours := servicenow.Where("name").Eq(w.target.Config.DiscoverySource)
	var plain []string
	queries := []servicenow.Condition{}
	for _, key := range slices.Sorted(mapKeys(unknown)) {
		if i := strings.IndexFunc(key, notInLists); i >= 0 { // cannot stand in a list
			queries = append(queries, servicenow.And(ours, servicenow.Where("id").StartsWith(key[:i])))
			continue
		}
		plain = append(plain, key)
	}
	if len(plain) > 0 {
		queries = append(queries, servicenow.And(ours, servicenow.Where("id").In(plain...)))
	}
	for _, q := range queries {
		w.calls.Add(1)
		for row, err := range w.target.Client.Rows(ctx, "sys_object_source", servicenow.TableQuery{Query: q, Fields: []string{"id", "target_sys_id"}}) {
			if err != nil {
				return nil, err
			}
			if unknown[row["id"]] {
				ids[row["id"]] = row["target_sys_id"]
			}
		}
	}
	return ids, nil
}

// notInLists reports whether a character cannot stand in a list of an encoded query.
func notInLists(r rune) bool { return r == ',' || r == '^' || unicode.IsControl(r) }

// endItems gives the records' own items that ended the status absent.
func (w *pageWriter) endItems(ctx context.Context, list []ending, ids map[string]string, out map[string]rowResult) error {
	p := payload.Payload{ID: "ended"}
	for i := range list {
		for _, gone := range list[i].parts {
			if gone.Gone != record.GoneItem || ids[gone.Key] == "" {
				continue
			}
			p.Items = append(p.Items, payload.Item{
				Owner: list[i].owner, Role: payload.RoleDependent, SysID: ids[gone.Key],
				Item: cmdb.Item{Key: gone.Key, Class: gone.Class, Columns: []cmdb.Column{{Name: "install_status", Value: absent}}},
			})
		}
	}
	for len(p.Items) > 0 {
		part := p
		part.Items = p.Items[:min(len(p.Items), w.limits().Items)]
		p.Items = p.Items[len(part.Items):]
		var answer *payload.Answer
		if err := w.owned(ctx, func(ctx context.Context) (err error) {
			answer, err = w.post(ctx, &part, false)
			return err
		}); err != nil {
			return err
		}
		for i := range part.Items {
			it, a := &part.Items[i], &answer.Items[i]
			r := out[it.Owner]
			switch {
			case len(a.Errors) > 0:
				r.failure = fmt.Sprintf("%s %s cannot be retired: %s: %s", it.Class, it.Key, a.Errors[0].Code, a.Errors[0].Text)
			case a.Operation != payload.OpNoChange:
				r.changed = true
			}
			out[it.Owner] = r
		}
	}
	return nil
}

// endRelations deletes the relations of items that ended and those that no longer
// hold.
func (w *pageWriter) endRelations(ctx context.Context, list []ending, ids map[string]string, out map[string]rowResult) error {
	type end struct{ parent, child, kind string }
	owners := map[end]string{}
	sides := map[string][]string{} // column of cmdb_rel_ci → sys_ids of the records' own items
	add := func(owner string, r cmdb.Relation) {
		e := end{ids[r.Parent], ids[r.Child], r.Type}
		if e.parent == "" || e.child == "" {
			return
		}
		owners[e] = owner
		if r.Parent == owner || strings.HasPrefix(r.Parent, owner+"/") {
			sides["parent"] = append(sides["parent"], e.parent)
		} else { // a shared item may have relations to thousands of others
			sides["child"] = append(sides["child"], e.child)
		}
	}
	for i := range list {
		for _, gone := range list[i].parts {
			if gone.Relation != nil {
				add(list[i].owner, *gone.Relation)
				continue
			}
			for _, r := range list[i].prior.Relations {
				if r.Parent == gone.Key || r.Child == gone.Key {
					add(list[i].owner, r)
				}
			}
		}
	}
	var writes []servicenow.RowWrite
	var of []string
	for _, side := range slices.Sorted(mapKeys(sides)) {
		w.calls.Add(1)
		q := servicenow.TableQuery{Query: servicenow.Where(side).In(lo.Uniq(sides[side])...), Fields: []string{"parent", "child", "type.name"}}
		for row, err := range w.target.Client.Rows(ctx, "cmdb_rel_ci", q) {
			if err != nil {
				return err
			}
			e := end{row["parent"], row["child"], row["type.name"]}
			if owner, ok := owners[e]; ok {
				delete(owners, e)
				writes, of = append(writes, servicenow.RowWrite{Table: "cmdb_rel_ci", SysID: row["sys_id"], Delete: true}), append(of, owner)
			}
		}
	}
	return w.batches(ctx, writes, of, out)
}

// writePackages writes records that bring shared items only: one is updated when
// an item was not known before, so the first that brings it tells.
func (w *pageWriter) writePackages(ctx context.Context) error {
	if len(w.packages) == 0 {
		return nil
	}
	var keys []string
	for _, r := range w.packages {
		for i := range r.Parts.Shared {
			keys = append(keys, r.Parts.Shared[i].Key)
		}
	}
	known, err := w.Store.LinksOf(ctx, w.plan.Target, lo.Uniq(keys))
	if err != nil {
		return err
	}
	if err := w.fit(ctx, w.packages); err != nil {
		return err
	}
	ids, err := w.writeShared(ctx, w.packages)
	if err != nil {
		return err
	}
	ready, err := w.supplied(ctx, w.packages, ids)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	var out []store.Settlement
	for _, r := range ready {
		s := store.Settlement{Key: r.Key, Outcome: record.Unchanged, Digest: w.digests[r.Key], Fresh: true}
		for i := range r.Parts.Shared {
			key := r.Parts.Shared[i].Key
			if known[key].SysID == "" && !told[key] {
				told[key], s.Outcome = true, record.Updated
			}
		}
		out = append(out, s)
	}
	return w.settle(ctx, out)
}
