package activities

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Bounds of an adoption.
const (
	adoptExamples = 20
	adoptBatch    = 500
)

// ServiceNowAdopt reads which CIs other connectors made of the assets of a schedule
// (sys_object_source: name, id, target_table, target_sys_id) and remembers them as
// ours, origin adopted. An asset that has a link keeps it; one with several CIs is
// left alone. Only the store is written, and a second call changes nothing.
func (a *Write) ServiceNowAdopt(ctx context.Context, plan contract.RunPlan, in contract.AdoptInput) (contract.AdoptResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	res, err := a.adopt(ctx, &plan, in)
	return res, temporalError(stopped(ctx, err))
}

func (a *Write) adopt(ctx context.Context, plan *contract.RunPlan, in contract.AdoptInput) (contract.AdoptResult, error) {
	res := contract.AdoptResult{Schedule: in.Schedule, Applied: in.Apply, Examples: []contract.AdoptedLink{}}
	if in.Pattern == "" {
		in.Pattern = contract.AdoptPattern
	}
	pattern, err := regexp.Compile(in.Pattern)
	if err != nil || pattern.NumSubexp() != 1 {
		return res, &UserError{Message: fmt.Sprintf("the pattern %q is not a regular expression with one group", in.Pattern)}
	}
	if len(in.Sources) == 0 {
		return res, &UserError{Message: "no source is named: give those of the other connector in sys_object_source, for example SG-Qualys"}
	}
	target, err := a.Vendors.ServiceNow(ctx, plan.Revision, plan.Target)
	if err != nil {
		return res, err
	}
	found := map[string][]store.Link{} // by key
	q := servicenow.TableQuery{Query: servicenow.Where("name").In(in.Sources...), Fields: []string{"sys_id", "name", "id", "target_table", "target_sys_id"}}
	for row, err := range target.Client.Rows(ctx, "sys_object_source", q) {
		if err != nil {
			return res, err
		}
		res.Rows++
		m := pattern.FindStringSubmatch(row["id"])
		var id int64
		if m != nil {
			id, err = strconv.ParseInt(m[1], 10, 64)
		}
		if m == nil || err != nil || id <= 0 || row["target_sys_id"] == "" {
			res.Unreadable++
			continue
		}
		key := contract.MovedKey(plan.Source, id, 0)
		l := store.Link{Target: plan.Target, Key: key, SysID: row["target_sys_id"], Class: row["target_table"], Origin: record.OriginAdopted}
		if !slices.ContainsFunc(found[key], func(o store.Link) bool { return o.SysID == l.SysID }) {
			found[key] = append(found[key], l)
		}
	}
	return res, a.seed(ctx, plan, in.Apply, found, &res)
}

// seed stores links, a number at a time, in the order of their keys.
func (a *Write) seed(ctx context.Context, plan *contract.RunPlan, apply bool, found map[string][]store.Link, res *contract.AdoptResult) error {
	example := func(l store.Link, why string) {
		if len(res.Examples) < adoptExamples {
			res.Examples = append(res.Examples, contract.AdoptedLink{Key: l.Key, SysID: l.SysID, Class: l.Class, Why: why})
		}
	}
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(found)), adoptBatch) {
		known, err := a.Store.LinksOf(ctx, plan.Target, keys)
		if err != nil {
			return err
		}
		var links []store.Link
		var forget []string
		for _, key := range keys {
			list, l := found[key], known[key]
			protected := l.SysID != "" && l.Origin == record.OriginMatched // met by a run before, and left alone
			switch {
			case l.SysID != "" && !protected:
				res.Known++
			case protected && (len(list) > 1 || list[0].SysID != l.SysID):
				res.Ambiguous++
				example(list[0], "left alone: IRE takes "+l.SysID+" for it")
			case len(list) > 1:
				res.Ambiguous++
				example(list[0], fmt.Sprintf("left alone: %d CIs have its id (%v)", len(list), lo.Map(list, func(l store.Link, _ int) string { return l.SysID })))
			default:
				res.Adopted++
				links = append(links, list[0])
				if protected {
					forget = append(forget, key)
				}
				example(list[0], "")
			}
		}
		if !apply {
			continue
		}
		if len(forget) > 0 {
			if err := a.Store.DropLinks(ctx, plan.Target, forget); err != nil {
				return err
			}
		}
		if len(links) > 0 {
			if err := a.Store.PutLinks(ctx, links); err != nil {
				return err
			}
		}
	}
	return nil
}
