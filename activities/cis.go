package activities

import (
	"context"
	"sync/atomic"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/workflows/contract"
)

// CIs reads what the CMDB knows for runs to Qualys. Instance and subscription may
// be polled by different processes, so what is read waits in the store.
type CIs struct {
	Store    store.Store
	Settings *Settings
	Vendors  Vendors
	Bodies   *Bodies
}

// ciChunk is how many CIs are read and stored at a time, with their adapters.
const ciChunk = 200

// cisPerCall is how many rows one call of the Table API brings.
const cisPerCall = 1000

// Tables and columns of addresses.
const (
	tableAdapters  = "cmdb_ci_network_adapter"
	tableAddresses = "cmdb_ci_ip_address"
	tableSources   = "sys_object_source"
)

// ServiceNowReadCIs reads the CIs that a schedule selects, with the addresses that
// they and their adapters have, and whether they came from Qualys.
func (a *CIs) ServiceNowReadCIs(ctx context.Context, in contract.ReadCIsInput) (contract.ReadCIsResult, error) {
	var done atomic.Int64
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return done.Load() })
	defer stop()
	r := &ciReader{CIs: a, plan: &in.Plan, done: &done}
	err := r.read(ctx)
	return contract.ReadCIsResult{CIs: done.Load(), Calls: r.calls}, temporalError(stopped(ctx, err))
}

// ciReader reads the CIs of one run.
type ciReader struct {
	*CIs
	plan   *contract.RunPlan
	target *Target
	done   *atomic.Int64
	calls  int64
	part   int64
	chunk  []export.CI
	index  map[string]int // sys_id → place in the chunk
}

func (r *ciReader) read(ctx context.Context) error {
	setup, err := r.Settings.Of(ctx, r.plan.Revision, r.plan.Schedule)
	if err != nil {
		return err
	}
	if r.target, err = r.Vendors.ServiceNow(ctx, r.plan.Revision, r.plan.ServiceNow()); err != nil {
		return err
	}
	r.index = map[string]int{}
	for _, s := range setup.Schedule.Select {
		q := servicenow.TableQuery{Query: servicenow.Encoded(s.Query), Fields: []string{"name", "sys_class_name", "discovery_source", "ip_address"}, Limit: cisPerCall}
		for row, err := range r.rows(ctx, s.Table, q) {
			if err != nil {
				return err
			}
			if _, twice := r.index[row["sys_id"]]; twice {
				continue
			}
			r.index[row["sys_id"]] = len(r.chunk)
			ci := export.CI{SysID: row["sys_id"], Name: row["name"], Class: row["sys_class_name"], FromQualys: row["discovery_source"] == r.target.Config.DiscoverySource}
			if row["ip_address"] != "" {
				ci.Addresses = append(ci.Addresses, export.Address{Text: row["ip_address"]})
			}
			if r.chunk = append(r.chunk, ci); len(r.chunk) == ciChunk {
				if err := r.flush(ctx); err != nil {
					return err
				}
			}
		}
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	// An attempt before may have read more: what follows the last part is none.
	end, err := r.Bodies.Pack([]export.CI{})
	if err != nil {
		return err
	}
	return r.Store.PutDraft(ctx, r.plan.Run, r.plan.Epoch, draftAddresses, r.part, end)
}

// draftAddresses names what is read here; an empty part is the last one.
const draftAddresses = "addresses of CIs"

// rows counts the calls that reading takes.
func (r *ciReader) rows(ctx context.Context, table string, q servicenow.TableQuery) func(func(servicenow.Row, error) bool) {
	return func(yield func(servicenow.Row, error) bool) {
		n := int64(0)
		defer func() { r.calls += 1 + max(0, n-1)/cisPerCall }()
		for row, err := range r.target.Client.Rows(ctx, table, q) {
			if n++; !yield(row, err) {
				return
			}
		}
	}
}

// flush completes the chunk and stores it.
func (r *ciReader) flush(ctx context.Context) error {
	if len(r.chunk) == 0 {
		return nil
	}
	if err := r.complete(ctx); err != nil {
		return err
	}
	body, err := r.Bodies.Pack(r.chunk)
	if err != nil {
		return err
	}
	if err := r.Store.PutDraft(ctx, r.plan.Run, r.plan.Epoch, draftAddresses, r.part, body); err != nil {
		return err
	}
	r.part++
	r.done.Add(int64(len(r.chunk)))
	r.chunk, r.index = r.chunk[:0], map[string]int{}
	return nil
}

// complete adds what other tables know of the CIs of the chunk.
func (r *ciReader) complete(ctx context.Context) error {
	ids := lo.Map(r.chunk, func(c export.CI, _ int) string { return c.SysID })
	if len(ids) == 0 {
		return nil
	}
	address := func(ci, text, dhcp string) {
		if i, ok := r.index[ci]; ok && text != "" {
			r.chunk[i].Addresses = append(r.chunk[i].Addresses, export.Address{Text: text, DHCP: dhcp == "true" || dhcp == "1"})
		}
	}
	for _, x := range []struct{ table, ci, dhcp string }{{tableAdapters, "cmdb_ci", "dhcp_enabled"}, {tableAddresses, "nic.cmdb_ci", "nic.dhcp_enabled"}} {
		q := servicenow.TableQuery{Query: servicenow.Where(x.ci).In(ids...), Fields: []string{"ip_address", x.ci, x.dhcp}, Limit: cisPerCall}
		for row, err := range r.rows(ctx, x.table, q) {
			if err != nil {
				return err
			}
			address(row[x.ci], row["ip_address"], row[x.dhcp])
		}
	}
	r.calls++
	known, err := sourcedBy(ctx, r.target, ids)
	if err != nil {
		return err
	}
	for i := range r.chunk { // an adapter and its address row say the same
		r.chunk[i].FromQualys = r.chunk[i].FromQualys || known[r.chunk[i].SysID]
		r.chunk[i].Addresses = merged(r.chunk[i].Addresses)
	}
	return nil
}

// merged returns addresses once each; one that any row calls a lease is one.
func merged(list []export.Address) []export.Address {
	var out []export.Address
	at := map[string]int{}
	for _, x := range list {
		if i, ok := at[x.Text]; ok {
			out[i].DHCP = out[i].DHCP || x.DHCP
			continue
		}
		at[x.Text] = len(out)
		out = append(out, x)
	}
	return out
}
