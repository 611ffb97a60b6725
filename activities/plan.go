package activities

import (
	"context"
	"fmt"
	"slices"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// ServiceNowPlanPage finds out what writing the records of a staged page would do
// and makes them wait for a person. It writes nothing: IRE is asked which CIs are
// there, and their columns are read.
func (a *Write) ServiceNowPlanPage(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	return a.onPage(ctx, in, func(ctx context.Context, w *pageWriter) error {
		records, err := w.load(ctx)
		if err != nil {
			return err
		}
		planned, err := w.plans(ctx, records)
		if err != nil {
			return err
		}
		auto := w.setup.Schedule.AutoApprove
		for i := range planned {
			planned[i].Approve = in.Plan.Sample == 0 && auto.Allows(planned[i].Plan)
		}
		if err := w.Store.HoldStaged(ctx, w.as, planned, false); err != nil {
			return err
		}
		w.counters, err = w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, w.page)
		return err
	})
}

// ServiceNowWriteApproved writes records that were approved. What writing each
// would do is found out again: one that would do something else than what was
// shown goes back to wait.
func (a *Write) ServiceNowWriteApproved(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	return a.onPage(ctx, in, func(ctx context.Context, w *pageWriter) error {
		w.recheck = true
		return w.write(ctx)
	})
}

// moved returns the records that would still do what was shown, and makes the
// others wait again.
func (w *pageWriter) moved(ctx context.Context, records []payload.Input) ([]payload.Input, error) {
	shown, err := w.Store.PlanDigests(ctx, w.plan.Schedule, w.plan.Target, lo.Keys(w.digests))
	if err != nil {
		return nil, err
	}
	var sure, ask []payload.Input
	for _, r := range records {
		if w.prior[r.Key] { // posted before, without an answer: the decision was made about that
			sure = append(sure, r)
			continue
		}
		ask = append(ask, r)
	}
	seconds := w.second
	planned, err := w.plans(ctx, ask)
	if err != nil {
		return nil, err
	}
	again := lo.Filter(planned, func(p store.Planned, _ int) bool { return p.Digest != shown[p.Key] })
	if err := w.Store.HoldStaged(ctx, w.as, again, true); err != nil {
		return nil, err
	}
	gone := lo.SliceToMap(again, func(p store.Planned) (string, bool) { return p.Key, true })
	still := lo.SliceToMap(planned, func(p store.Planned) (string, bool) { return p.Key, true })
	w.second = lo.Filter(seconds, func(r payload.Input, _ int) bool { return !gone[r.Key] })
	w.beside = nil
	return append(sure, lo.Filter(ask, func(r payload.Input, _ int) bool { return still[r.Key] && !gone[r.Key] })...), nil
}

// plans says what writing records would do. Those that would not be written at all
// are settled.
func (w *pageWriter) plans(ctx context.Context, records []payload.Input) ([]store.Planned, error) {
	w.matches = map[string]*store.Link{}
	write, err := w.choose(ctx, records)
	if err != nil {
		return nil, err
	}
	if err := w.fit(ctx, write); err != nil {
		return nil, err
	}
	unknown := lo.Filter(write, func(r payload.Input, _ int) bool {
		_, linked := w.links[r.Key]
		_, asked := w.matches[r.Key]
		return !linked && !asked
	})
	if len(unknown) > 0 {
		if _, err := w.ask(ctx, unknown); err != nil {
			return nil, err
		}
	}
	there := map[string]string{} // record → sys_id
	for _, r := range write {
		if l, ok := w.links[r.Key]; ok {
			there[r.Key] = l.SysID
		} else if l := w.matches[r.Key]; l != nil {
			there[r.Key] = l.SysID
		}
	}
	rows, err := w.columnsOf(ctx, write, there)
	if err != nil {
		return nil, err
	}
	var out []store.Planned
	for _, r := range write {
		out = append(out, w.planned(r.Key, w.planOf(r.Parts, there[r.Key], rows)))
	}
	if err := w.seconds(ctx); err != nil { // further records of which only rows are written
		return nil, err
	}
	for _, a := range w.beside {
		p := &approval.Plan{Operation: approval.Metadata, SysID: a.host, Changes: []approval.Change{}, Parts: counts(w.parts[a.key])}
		if native := w.parts[a.key].Native; native != nil {
			p.To = native.Class
		}
		out = append(out, w.planned(a.key, p))
	}
	return out, nil
}

func (w *pageWriter) planned(key string, p *approval.Plan) store.Planned {
	return store.Planned{Key: key, Plan: p, Digest: p.Digest(w.digests[key]), Rule: w.rules[key]}
}

// planOf compares a record with its CI.
func (w *pageWriter) planOf(parts *record.Parts, sysID string, rows map[string]servicenow.Row) *approval.Plan {
	p := &approval.Plan{Operation: approval.Create, To: parts.Native.Class, Changes: []approval.Change{}, Parts: counts(parts)}
	row := rows[sysID]
	if sysID != "" && row != nil {
		p.Operation, p.SysID, p.From = approval.Update, sysID, row["sys_class_name"]
	}
	for _, c := range parts.Native.Columns {
		if old := row[c.Name]; old != c.Value && !c.Volatile {
			p.Changes = append(p.Changes, approval.Change{Column: c.Name, Old: old, New: c.Value})
		}
	}
	for _, ref := range parts.References {
		if old := row[ref.Column+".name"]; !ref.List && ref.Item == parts.Native.Key && old != ref.Name {
			p.Changes = append(p.Changes, approval.Change{Column: ref.Column, Old: old, New: ref.Name})
		}
	}
	return p
}

// counts lists what comes with a CI.
func counts(parts *record.Parts) []string {
	var order []string
	n := map[string]int{}
	add := func(what string) {
		if n[what]++; n[what] == 1 {
			order = append(order, what)
		}
	}
	for i := range parts.Dependents {
		add(parts.Dependents[i].Class)
	}
	if parts.Native != nil {
		for i := range parts.Native.Related {
			add(parts.Native.Related[i].Table)
		}
	}
	for i := range parts.Tables {
		add(parts.Tables[i].Table)
	}
	out := make([]string, len(order))
	for i, what := range order {
		out[i] = fmt.Sprintf("%d × %s", n[what], what)
	}
	return out
}

// columnsOf reads the columns of CIs that records would change, one call for each
// class of records; references are read by name.
func (w *pageWriter) columnsOf(ctx context.Context, records []payload.Input, there map[string]string) (map[string]servicenow.Row, error) {
	type read struct {
		ids    []string
		fields []string
	}
	byClass := map[string]*read{}
	for _, r := range records {
		id := there[r.Key]
		if id == "" {
			continue
		}
		x := byClass[r.Parts.Native.Class]
		if x == nil {
			x = &read{fields: []string{"sys_class_name"}}
			byClass[r.Parts.Native.Class] = x
		}
		x.ids = append(x.ids, id)
		for _, c := range r.Parts.Native.Columns {
			x.fields = append(x.fields, c.Name)
		}
		for _, ref := range r.Parts.References {
			if !ref.List { // a list has no name
				x.fields = append(x.fields, ref.Column+".name")
			}
		}
	}
	out := map[string]servicenow.Row{}
	for _, class := range slices.Sorted(mapKeys(byClass)) {
		x := byClass[class]
		table := class
		if !cmdb.KnownClass(class) {
			table = "cmdb_ci"
		}
		missing := map[string]bool{}
		for _, id := range x.ids {
			missing[id] = true
		}
		for _, from := range []string{table, "cmdb_ci"} { // a CI of another class has fewer of the columns
			left := lo.Filter(x.ids, func(id string, _ int) bool { return missing[id] })
			if len(left) == 0 {
				break
			}
			w.calls.Add(1)
			q := servicenow.TableQuery{Query: servicenow.Where("sys_id").In(lo.Uniq(left)...), Fields: lo.Uniq(x.fields)}
			for row, err := range w.target.Client.Rows(ctx, from, q) {
				if err != nil {
					return nil, err
				}
				out[row["sys_id"]] = row
				delete(missing, row["sys_id"])
			}
		}
	}
	return out, nil
}
