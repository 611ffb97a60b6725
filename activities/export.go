package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Export plans what a subscription lacks and writes what was planned. A
// subscription is written by one process at a time, the one that polls its queue,
// and there under one lock: no two schedules add the same addresses side by side.
type Export struct {
	Store    store.Store
	Settings *Settings
	Vendors  Vendors
	Bodies   *Bodies
	Now      func() time.Time
}

// maxVerdicts bounds what a plan shows of single addresses: those that are neither
// known nor of CIs that came from Qualys.
const maxVerdicts = 2000

// rangesPerCall keeps a call well below the sizes that servers take.
const rangesPerCall = 500

// QualysStageExport plans which addresses of the CIs the subscription lacks and
// stages the plan, as one record. Where a person decides, it waits.
func (a *Export) QualysStageExport(ctx context.Context, in contract.StageExportInput) (contract.StageExportResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	w := &exporter{Export: a, plan: &in.Plan}
	res, err := w.stage(ctx, in.Spent)
	res.Calls = w.calls
	return res, temporalError(stopped(ctx, err))
}

// QualysWriteExport writes the staged plans of a page.
func (a *Export) QualysWriteExport(ctx context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	w := &exporter{Export: a, plan: &in.Plan}
	counters, err := w.write(ctx, in.Page)
	return contract.WritePageResult{Counters: fetchedCounters(counters), Calls: w.calls}, temporalError(stopped(ctx, err))
}

// exporter does the work of one activity.
type exporter struct {
	*Export
	plan  *contract.RunPlan
	setup *Setup
	src   *Source
	calls int64
}

func (w *exporter) open(ctx context.Context) (err error) {
	if w.setup, err = w.Settings.Of(ctx, w.plan.Revision, w.plan.Schedule); err != nil {
		return err
	}
	if w.src, err = w.Vendors.Qualys(ctx, w.plan.Revision, w.plan.Qualys()); err != nil {
		return err
	}
	if w.src.Addresses == nil {
		return &UserError{Message: fmt.Sprintf("connection %s has no user name and password, or no API address, and adding addresses needs them", w.src.Name)}
	}
	return nil
}

func (w *exporter) stage(ctx context.Context, spent int64) (contract.StageExportResult, error) {
	var res contract.StageExportResult
	if err := w.open(ctx); err != nil {
		return res, err
	}
	if res.Stopped = w.setup.Budget.Stop(w.Now(), spent); res.Stopped != "" {
		return res, nil
	}
	page, err := w.Store.FindPage(ctx, w.plan.Run, w.plan.Epoch, w.plan.Enumeration, 0)
	if isNotFound(err) {
		page, err = w.stagePlan(ctx)
	}
	if err != nil {
		return res, err
	}
	if err := crash.At(ctx, crash.AfterStage); err != nil {
		return res, err
	}
	if page.ToWrite == 0 {
		c, err := w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, page.ID)
		res.Counters = fetchedCounters(c)
		return res, err
	}
	c, held, err := w.hold(ctx, page.ID)
	if !held {
		res.Pages = []int64{page.ID}
	}
	res.Counters, res.Asks = fetchedCounters(c), held && !w.plan.Approval
	return res, err
}

// crossed reports whether an earlier run of a schedule without approval added as
// much as its ceiling allows and left the rest over: a person decides about more.
func (w *exporter) crossed(ctx context.Context) (bool, error) {
	list, err := w.Store.Records(ctx, record.KindAddresses, contract.AddressesKey(w.src.Name))
	if err != nil || w.plan.Approval {
		return false, err
	}
	for _, row := range list {
		if row.Schedule == w.plan.Schedule && row.Target == w.plan.Target {
			body, err := w.Bodies.AddressPlan(row.Body)
			return err == nil && body.Plan.Stopped != "", err
		}
	}
	return false, nil
}

// stagePlan computes the plan and stages it.
func (w *exporter) stagePlan(ctx context.Context) (store.Page, error) {
	cis, err := w.cis(ctx)
	if err != nil {
		return store.Page{}, err
	}
	sub, err := w.subscription(ctx)
	if err != nil {
		return store.Page{}, err
	}
	if err := crash.At(ctx, crash.AfterFetch); err != nil {
		return store.Page{}, err
	}
	p, verdicts, err := export.PlanIPs(cis, sub, *w.setup.Schedule.Addresses)
	if err != nil {
		return store.Page{}, &UserError{Message: strings.TrimPrefix(err.Error(), "export: ")}
	}
	telling := lo.Filter(verdicts, func(v export.Verdict, _ int) bool {
		return v.Reason != export.ReasonKnown && v.Reason != export.ReasonEcho
	})
	asks, err := w.crossed(ctx)
	if err != nil {
		return store.Page{}, err
	}
	asks = asks && p.Stopped != ""
	body, err := w.encode(contract.AddressPlan{Plan: p, Asks: asks, Verdicts: telling[:min(len(telling), maxVerdicts)]})
	if err != nil {
		return store.Page{}, err
	}
	s := store.Staging{Key: contract.AddressesKey(w.src.Name), Kind: record.KindAddresses, PayloadDigest: p.Digest, Body: body}
	switch {
	case len(p.Add) > 0:
	case p.Stopped != "":
		s.Outcome, s.Reason = record.Skipped, p.Stopped
	default:
		s.Outcome, s.Reason = record.Unchanged, "nothing is missing"
	}
	return w.Store.StagePage(ctx, store.StagePage{
		Run: w.plan.Run, Epoch: w.plan.Epoch, Enumeration: w.plan.Enumeration, CursorOut: 1, Last: true, Verify: true, Hold: w.plan.Approval || asks, Records: []store.Staging{s},
	})
}

// encode returns a plan as the body of a record.
func (w *exporter) encode(p contract.AddressPlan) ([]byte, error) {
	change, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("activities: plan of addresses: %w", err)
	}
	return w.Bodies.Encode(&Body{Name: "addresses of " + w.src.Name, Revision: w.setup.Revision, Parts: &record.Parts{Change: change}})
}

// AddressPlan decodes the body of a record of kind record.KindAddresses.
func (b *Bodies) AddressPlan(data []byte) (contract.AddressPlan, error) {
	var p contract.AddressPlan
	body, err := b.Decode(data)
	if err == nil && body.Parts != nil {
		err = json.Unmarshal(body.Parts.Change, &p)
	}
	if err == nil && p.Plan == nil {
		err = errors.New("there is no plan in it")
	}
	if err != nil {
		return p, fmt.Errorf("activities: plan of addresses: %w", err)
	}
	return p, nil
}

// cis returns the CIs that were read, each once.
func (w *exporter) cis(ctx context.Context) ([]export.CI, error) {
	var out []export.CI
	seen := map[string]bool{}
	for part := int64(0); ; part++ {
		body, err := w.Store.Draft(ctx, w.plan.Run, draftAddresses, part)
		if err != nil {
			return nil, fmt.Errorf("part %d of the CIs: %w", part, err)
		}
		var list []export.CI
		if err := w.Bodies.Unpack(body, &list); err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return out, nil
		}
		for _, ci := range list {
			if !seen[ci.SysID] {
				seen[ci.SysID] = true
				out = append(out, ci)
			}
		}
	}
}

// subscription reads what the subscription has. Only a Manager sees all of it,
// and a plan from a part would add what is there already.
func (w *exporter) subscription(ctx context.Context) (export.Subscription, error) {
	var sub export.Subscription
	w.calls++
	role, reply := w.src.Probe.Role(ctx)
	if reply.Verdict != qualys.Permitted {
		var e *qualys.Error
		if errors.As(reply.Err, &e) && e.Kind() != qualys.KindInvalidRequest {
			return sub, reply.Err
		}
		return sub, &UserError{Message: fmt.Sprintf("the user's role in the subscription cannot be read: %v; only a Manager sees all addresses, so what is missing cannot be known", reply.Err)}
	}
	if !strings.EqualFold(role, "manager") {
		return sub, &UserError{Message: fmt.Sprintf("the user of connection %s is %q in the subscription: use one with the role Manager, who sees all addresses; otherwise what is missing cannot be known", w.src.Name, role)}
	}
	sub.Whole = true
	var err error
	if sub.Known, err = w.scopes(ctx, w.src.Addresses.IPs); err != nil {
		return sub, err
	}
	sub.Excluded, err = w.scopes(ctx, w.src.Addresses.ExcludedIPs)
	return sub, err
}

func (w *exporter) scopes(ctx context.Context, list func(context.Context, string) ([]qualys.IPRange, qualys.Meta, error)) ([]export.Scope, error) {
	w.calls++
	ranges, _, err := list(ctx, "")
	if err != nil {
		return nil, err
	}
	return qualys.Scopes(ranges)
}

// hold makes the plan of a page wait for a person, where one decides.
func (w *exporter) hold(ctx context.Context, page int64) (c record.Counters, held bool, err error) {
	as, rows, err := w.take(ctx, page)
	if err != nil {
		return c, false, err
	}
	held = w.plan.Approval
	planned := make([]store.Planned, 0, len(rows))
	for _, row := range rows {
		body, err := w.Bodies.AddressPlan(row.Body)
		if err != nil {
			return c, false, err
		}
		held = held || body.Asks
		planned = append(planned, store.Planned{Key: row.Key, Plan: shown(body.Plan), Digest: row.PayloadDigest})
	}
	if !held {
		return c, false, nil
	}
	if err := w.Store.HoldStaged(ctx, as, planned, false); err != nil {
		return c, false, err
	}
	c, err = w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, page)
	return c, true, err
}

func (w *exporter) take(ctx context.Context, page int64) (store.Writer, []store.Record, error) {
	as := store.Writer{Run: w.plan.Run, Epoch: w.plan.Epoch, Page: page, Attempt: attemptOf(ctx)}
	if err := w.Store.TakePage(ctx, as); err != nil {
		return as, nil, err
	}
	rows, err := w.Store.Staged(ctx, w.plan.Run, page)
	return as, rows, err
}

// maxShown bounds the text of the ranges of one network in a plan as it is shown.
const maxShown = 4000

// shown is the plan as a person sees it among other staged records.
func shown(p *export.IPPlan) *approval.Plan {
	out := &approval.Plan{Operation: approval.Create, To: string(record.KindAddresses), Changes: []approval.Change{}}
	for _, s := range p.Add {
		name := "addresses"
		if s.Network != "" {
			name += " of network " + s.Network
		}
		text := strings.Join(lo.Map(s.Ranges, func(r export.Range, _ int) string { return r.String() }), ", ")
		if len(text) > maxShown {
			text = text[:strings.LastIndexByte(text[:maxShown], ',')] + ", …"
		}
		out.Changes = append(out.Changes, approval.Change{Column: name, New: text})
		out.Parts = append(out.Parts, fmt.Sprintf("%d × %s", s.Addresses, name))
	}
	if n := len(p.Conflicts); n > 0 {
		out.Parts = append(out.Parts, fmt.Sprintf("%d × conflict between networks", n))
	}
	if p.Stopped != "" {
		out.Parts = append(out.Parts, p.Stopped)
	}
	return out
}

// write adds the addresses of the plans of a page.
func (w *exporter) write(ctx context.Context, page int64) (record.Counters, error) {
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
	for _, row := range rows {
		body, err := w.Bodies.AddressPlan(row.Body)
		if err != nil {
			return record.Counters{}, err
		}
		s, err := w.add(ctx, as, row.Key, body.Plan)
		if err != nil {
			return record.Counters{}, err
		}
		s.Key = row.Key
		if err := w.Store.Settle(ctx, as, []store.Settlement{s}); err != nil {
			return record.Counters{}, err
		}
		if err := crash.At(ctx, crash.AfterSettle); err != nil {
			return record.Counters{}, err
		}
	}
	c, err := w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, page)
	if err != nil {
		return c, err
	}
	return c, crash.At(ctx, crash.AfterFinish)
}

// added is what remains known of an addition.
type added struct {
	Addresses int64    `json:"addresses"` // added by the attempt that settled it
	Before    int64    `json:"before"`    // of the plan's, there already
	Ranges    []string `json:"ranges"`
}

// add adds what of a plan is not there yet. It looks before and after: an answer
// that was lost, or an attempt that died, leaves nothing undone and nothing twice.
func (w *exporter) add(ctx context.Context, as store.Writer, key string, p *export.IPPlan) (store.Settlement, error) {
	open, failed, err := w.remaining(ctx, p)
	if err != nil || failed != "" {
		return store.Settlement{Outcome: record.Failed, Reason: failed}, err
	}
	var res added
	for _, s := range open {
		res.Addresses += s.Addresses
		res.Ranges = append(res.Ranges, lo.Map(s.Ranges, func(r export.Range, _ int) string { return r.String() })...)
	}
	res.Before = p.Addresses() - res.Addresses
	if _, err := w.Store.BeginPayload(ctx, as, []string{key}); err != nil {
		return store.Settlement{}, err
	}
	if err := crash.At(ctx, crash.AfterIntent); err != nil {
		return store.Settlement{}, err
	}
	if refused, err := w.send(ctx, open, p.Registration); err != nil || refused != "" {
		return store.Settlement{Outcome: record.Failed, Reason: refused}, err
	}
	if len(open) > 0 { // accepted is not there yet
		if open, failed, err = w.remaining(ctx, p); err != nil {
			return store.Settlement{}, err
		}
	}
	if len(open) > 0 || failed != "" {
		return store.Settlement{Outcome: record.Failed, Reason: fmt.Sprintf("%d addresses were accepted and are not listed", count(open))}, nil
	}
	answer, err := json.Marshal(res)
	if err != nil {
		return store.Settlement{}, fmt.Errorf("activities: answer: %w", err)
	}
	return store.Settlement{Outcome: record.Created, Answer: string(answer), Digest: p.Digest, Fresh: true}, nil
}

func count(list []export.Scope) int64 {
	return lo.SumBy(list, func(s export.Scope) int64 { return s.Addresses })
}

// remaining returns what of a plan is not there yet and may be added, or why
// nothing may be: exclusions and licences may have changed since it was made.
func (w *exporter) remaining(ctx context.Context, p *export.IPPlan) ([]export.Scope, string, error) {
	known, err := w.scopes(ctx, w.src.Addresses.IPs)
	if err != nil {
		return nil, "", err
	}
	open := p.Remaining(known)
	if len(open) == 0 {
		return nil, "", nil
	}
	excluded, err := w.scopes(ctx, w.src.Addresses.ExcludedIPs)
	if err != nil {
		return nil, "", err
	}
	everywhere := lo.Filter(excluded, func(s export.Scope, _ int) bool { return s.Network == "" })
	for _, s := range p.Add { // an exclusion without a network holds in all
		for _, x := range everywhere {
			excluded = append(excluded, export.Scope{Network: s.Network, Ranges: x.Ranges, Addresses: x.Addresses})
		}
	}
	if allowed := p.Remaining(slices.Concat(known, excluded)); count(allowed) < count(open) {
		return nil, fmt.Sprintf("%d addresses of the plan are excluded now: the next run plans again", count(open)-count(allowed)), nil
	}
	if l := p.Licence.Limit; l > 0 && count(known)+count(open) > l {
		return nil, fmt.Sprintf("the licence of %d addresses would be crossed, %d are used: the next run plans again", l, count(known)), nil
	}
	return open, "", nil
}

// send adds addresses. refused is why the vendor took none, or not all.
func (w *exporter) send(ctx context.Context, open []export.Scope, r export.Registration) (refused string, err error) {
	if len(open) > 0 && r.AssetGroup != "" {
		w.calls += 2
		if _, _, err := w.src.Addresses.EnsureAssetGroup(ctx, qualys.AssetGroup{Title: r.AssetGroup}, "made by qbridge for addresses of the CMDB"); err != nil {
			return refusal(err)
		}
	}
	for _, call := range export.Calls(open, rangesPerCall) {
		w.calls++
		if _, _, err := w.src.Addresses.AddIPs(ctx, qualys.AddIPsOf(call, r)); err != nil {
			return refusal(err)
		}
		if err := crash.At(ctx, crash.AfterPost); err != nil {
			return "", err
		}
	}
	return "", nil
}

// refusal tells a refusal, which no repetition mends, from a failure.
func refusal(err error) (string, error) {
	var e *qualys.Error
	if errors.As(err, &e) && e.Kind() == qualys.KindInvalidRequest {
		return e.Error(), nil
	}
	return "", err
}
