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
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// ThirdParty offers CIs to Qualys as third-party assets, which takes no licence and
// can be taken back. Qualys identifies them by the attributes that are offered, in
// their order; publishing the same again is harmless.
type ThirdParty struct {
	Store    store.Store
	Settings *Settings
	Vendors  Vendors
	Bodies   *Bodies
	Now      func() time.Time
	// Patience are the waits between two looks whether Qualys shows what it took.
	Patience []time.Duration
}

// draftMachines names what is read here; an empty part is the last one.
const draftMachines = "machines"

// machineColumns are the columns of a CI, by what becomes of them: a core attribute,
// or an identifier.
var (
	coreColumns     = map[string]string{"hostName": "name", "fqdn": "fqdn", "operatingSystem": "os", "osVersion": "os_version", "domain": "os_domain", "address": "ip_address"}
	identityColumns = map[export.Identifier]string{
		export.BySerial: "serial_number", export.ByFQDN: "fqdn", export.ByHostName: "name", export.ByMAC: "mac_address", export.ByIP: "ip_address",
	}
)

// ServiceNowReadMachines reads the CIs that a schedule selects, with what identifies
// them and their adapters.
func (a *ThirdParty) ServiceNowReadMachines(ctx context.Context, in contract.ReadCIsInput) (contract.ReadCIsResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	r := &machineReader{ThirdParty: a, plan: &in.Plan, index: map[string]int{}}
	err := r.read(ctx)
	return contract.ReadCIsResult{CIs: r.count, Calls: r.calls}, temporalError(stopped(ctx, err))
}

// machineReader reads the CIs of one run.
type machineReader struct {
	*ThirdParty
	plan         *contract.RunPlan
	target       *Target
	count, calls int64
	part         int64
	chunk        []export.Machine
	index        map[string]int // sys_id → place in the chunk
}

func (r *machineReader) read(ctx context.Context) error {
	setup, err := r.Settings.Of(ctx, r.plan.Revision, r.plan.Schedule)
	if err != nil {
		return err
	}
	if r.target, err = r.Vendors.ServiceNow(ctx, r.plan.Revision, r.plan.ServiceNow()); err != nil {
		return err
	}
	fields := append(lo.Values(coreColumns), lo.Values(identityColumns)...)
	fields = append(fields, "discovery_source", "sys_created_on", "sys_updated_on")
	slices.Sort(fields)
	fields = slices.Compact(fields)
	seen := map[string]bool{}
	for _, s := range setup.Schedule.Select {
		r.calls++
		for row, err := range r.target.Client.Rows(ctx, s.Table, servicenow.TableQuery{Query: servicenow.Encoded(s.Query), Fields: fields, Limit: cisPerCall}) {
			if err != nil {
				return err
			}
			if seen[row["sys_id"]] {
				continue
			}
			seen[row["sys_id"]] = true
			r.index[row["sys_id"]] = len(r.chunk)
			if r.chunk = append(r.chunk, machineOf(row, r.target.Config.DiscoverySource)); len(r.chunk) == ciChunk {
				if err := r.flush(ctx); err != nil {
					return err
				}
			}
		}
	}
	if len(r.chunk) > 0 {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	return r.put(ctx)
}

func machineOf(row servicenow.Row, ours string) export.Machine {
	m := export.Machine{
		SysID: row["sys_id"], FromQualys: row["discovery_source"] == ours, Values: map[string]string{}, Identity: map[export.Identifier][]string{},
		Created: instantOf(row["sys_created_on"]), Updated: instantOf(row["sys_updated_on"]),
	}
	for field, column := range coreColumns {
		m.Values[field] = row[column]
	}
	for id, column := range identityColumns {
		if v := row[column]; v != "" {
			m.Identity[id] = []string{v}
		}
	}
	return m
}

// flush completes the chunk with adapters and sources, and stores it.
func (r *machineReader) flush(ctx context.Context) error {
	ids := lo.Map(r.chunk, func(m export.Machine, _ int) string { return m.SysID })
	r.calls += 2
	q := servicenow.TableQuery{Query: servicenow.Where("cmdb_ci").In(ids...), Fields: []string{"cmdb_ci", "name", "mac_address", "ip_address", "ip_default_gateway"}, Limit: cisPerCall}
	for row, err := range r.target.Client.Rows(ctx, tableAdapters, q) {
		if err != nil {
			return err
		}
		i, ok := r.index[row["cmdb_ci"]]
		if !ok {
			continue
		}
		m := &r.chunk[i]
		a := export.Adapter{Name: row["name"], MAC: row["mac_address"], Gateway: row["ip_default_gateway"]}
		if row["ip_address"] != "" {
			a.IPs = []string{row["ip_address"]}
		}
		m.Adapters = append(m.Adapters, a)
		if a.MAC != "" {
			m.Identity[export.ByMAC] = append(m.Identity[export.ByMAC], a.MAC)
		}
	}
	known, err := sourcedBy(ctx, r.target, ids)
	if err != nil {
		return err
	}
	for i := range r.chunk {
		r.chunk[i].FromQualys = r.chunk[i].FromQualys || known[r.chunk[i].SysID]
	}
	return r.put(ctx)
}

func (r *machineReader) put(ctx context.Context) error {
	data, err := r.Bodies.Pack(r.chunk)
	if err != nil {
		return err
	}
	if err := r.Store.PutDraft(ctx, r.plan.Run, r.plan.Epoch, draftMachines, r.part, data); err != nil {
		return err
	}
	r.part++
	r.count += int64(len(r.chunk))
	r.chunk, r.index = nil, map[string]int{}
	return nil
}

// sourcedBy returns which CIs our discovery source has written.
func sourcedBy(ctx context.Context, target *Target, ids []string) (map[string]bool, error) {
	out := map[string]bool{}
	q := servicenow.TableQuery{
		Query:  servicenow.And(servicenow.Where("name").Eq(target.Config.DiscoverySource), servicenow.Where("target_sys_id").In(ids...)),
		Fields: []string{"target_sys_id"}, Limit: cisPerCall,
	}
	for row, err := range target.Client.Rows(ctx, tableSources, q) {
		if err != nil {
			return nil, err
		}
		out[row["target_sys_id"]] = true
	}
	return out, nil
}

// QualysStageMachines stages a record of every CI that was read: what is equal to
// what was published last is not published again.
func (a *ThirdParty) QualysStageMachines(ctx context.Context, in contract.StageExportInput) (contract.StageExportResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	w := &publisher{ThirdParty: a, plan: &in.Plan}
	res, err := w.stage(ctx, in.Spent)
	return res, temporalError(stopped(ctx, err))
}

// publisher does the work of one activity.
type publisher struct {
	*ThirdParty
	plan  *contract.RunPlan
	setup *Setup
	src   *Source
	calls int64
}

func (w *publisher) open(ctx context.Context) (err error) {
	if w.setup, err = w.Settings.Of(ctx, w.plan.Revision, w.plan.Schedule); err != nil {
		return err
	}
	if w.src, err = w.Vendors.Qualys(ctx, w.plan.Revision, w.plan.Qualys()); err == nil && w.src.Gateway == nil {
		err = &UserError{Message: fmt.Sprintf("connection %s cannot take third-party assets: set api: csam", w.src.Name)}
	}
	return err
}

func (w *publisher) stage(ctx context.Context, spent int64) (contract.StageExportResult, error) {
	var res contract.StageExportResult
	if err := w.open(ctx); err != nil {
		return res, err
	}
	if res.Stopped = w.setup.Budget.Stop(w.Now(), spent); res.Stopped != "" {
		return res, nil
	}
	for part := int64(0); ; part++ {
		data, err := w.Store.Draft(ctx, w.plan.Run, draftMachines, part)
		if err != nil {
			return res, fmt.Errorf("part %d of the machines: %w", part, err)
		}
		var list []export.Machine
		if err := w.Bodies.Unpack(data, &list); err != nil {
			return res, err
		}
		page := store.StagePage{Run: w.plan.Run, Epoch: w.plan.Epoch, Enumeration: w.plan.Enumeration, CursorIn: part, CursorOut: part + 1, Last: len(list) == 0, Verify: w.plan.Verify, Hold: w.plan.Approval}
		for i := range list {
			s, err := w.staging(&list[i])
			if err != nil {
				return res, err
			}
			page.Records = append(page.Records, s)
		}
		p, err := w.Store.StagePage(ctx, page)
		if err == nil {
			err = crash.At(ctx, crash.AfterStage)
		}
		if err != nil {
			return res, err
		}
		if p.ToWrite > 0 && !w.plan.Approval {
			res.Pages = append(res.Pages, p.ID)
		} else {
			c, err := w.settled(ctx, p)
			if err != nil {
				return res, err
			}
			res.Counters.Add(fetchedCounters(c))
		}
		if page.Last {
			return res, nil
		}
	}
}

// settled finishes a page that has nothing to write, or lets it wait for a person.
func (w *publisher) settled(ctx context.Context, p store.Page) (record.Counters, error) {
	if p.ToWrite > 0 {
		as, rows, err := w.take(ctx, p.ID)
		if err != nil {
			return record.Counters{}, err
		}
		planned := make([]store.Planned, 0, len(rows))
		for _, row := range rows {
			r, err := w.decode(row)
			if err != nil {
				return record.Counters{}, err
			}
			plan := &approval.Plan{Operation: lo.Ternary(row.WrittenDigest == "", approval.Create, approval.Update), To: string(record.KindThirdParty), Changes: []approval.Change{}}
			for _, id := range r.Identity {
				plan.Changes = append(plan.Changes, approval.Change{Column: string(id.Name), New: strings.Join(id.Values, ", ")})
			}
			planned = append(planned, store.Planned{Key: row.Key, Plan: plan, Digest: row.PayloadDigest})
		}
		if err := w.Store.HoldStaged(ctx, as, planned, false); err != nil {
			return record.Counters{}, err
		}
	}
	return w.Store.FinishPage(ctx, w.plan.Run, w.plan.Epoch, p.ID)
}

func (w *publisher) take(ctx context.Context, page int64) (store.Writer, []store.Record, error) {
	as := store.Writer{Run: w.plan.Run, Epoch: w.plan.Epoch, Page: page, Attempt: attemptOf(ctx)}
	if err := w.Store.TakePage(ctx, as); err != nil {
		return as, nil, err
	}
	rows, err := w.Store.Staged(ctx, w.plan.Run, page)
	return as, rows, err
}

func (w *publisher) staging(m *export.Machine) (store.Staging, error) {
	s := store.Staging{Key: w.plan.ServiceNow() + "/" + m.SysID, Kind: record.KindThirdParty, Class: string(record.KindThirdParty)}
	body := &Body{Name: m.Values["hostName"], Revision: w.setup.Revision, Parts: &record.Parts{}}
	r, flags, err := export.ThirdParty(m, w.setup.Schedule.ThirdParty.Identifiers)
	switch {
	case errors.Is(err, export.ErrEcho):
		s.Outcome, s.Reason = record.Filtered, strings.TrimPrefix(err.Error(), "export: ")
	case err != nil:
		s.Outcome, s.Reason = record.Skipped, strings.TrimPrefix(err.Error(), "export: ")
	default:
		body.Parts.Flags = flags
		if body.Parts.Change, err = json.Marshal(r); err != nil {
			return s, fmt.Errorf("activities: third-party asset: %w", err)
		}
		steady := *r
		steady.Created, steady.Updated = time.Time{}, time.Time{} // they move with every touch
		raw, err := json.Marshal(steady)
		if err != nil {
			return s, fmt.Errorf("activities: third-party asset: %w", err)
		}
		s.PayloadDigest = digestOfBytes(raw)
	}
	s.Body, err = w.Bodies.Encode(body)
	return s, err
}

func (w *publisher) decode(row store.Record) (*export.ConnectorRecord, error) {
	body, err := w.Bodies.Decode(row.Body)
	r := &export.ConnectorRecord{}
	if err == nil {
		err = json.Unmarshal(body.Parts.Change, r)
	}
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", row.Key, err)
	}
	return r, nil
}
