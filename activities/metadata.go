package activities

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samber/lo"
	"go.temporal.io/sdk/activity"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Metadata writes business applications and the business metadata of assets to
// Qualys.
//
//	CMDB ──owners, applications──▶ drafts ─┐
//	Qualys ──assets as they are──▶ drafts ─┴─▶ plan ─▶ staged records ─▶ write ─▶ read back
//
// Both sides are read whole before anything is planned: whether an identifier names
// one asset is only known when all assets are.
type Metadata struct {
	Store    store.Store
	Settings *Settings
	Vendors  Vendors
	Bodies   *Bodies
	Now      func() time.Time
	// Patience are the waits between two looks whether Qualys shows what it took.
	Patience []time.Duration
}

// MetadataPatience is how long a write is looked for before it counts as not
// confirmed: each look is a call that others could use.
func MetadataPatience() []time.Duration { return []time.Duration{3 * time.Second, 15 * time.Second} }

// Drafts of a run.
const (
	draftCIs          = "cis"
	draftAssets       = "assets"
	draftApplications = "applications"
)

// draftSize is how many CIs a draft holds.
const draftSize = 1000

// applications is what a run knows of business applications.
type applications struct {
	List []applicationRow
	// Of are the ids of the applications of a CI, by sys_id; nil when nothing is known
	// of them.
	Of map[string][]string
}

// applicationRow is a business application as the CMDB shows it.
type applicationRow struct {
	SysID, ID        string
	Values           map[string]string
	Created, Updated time.Time
}

// ServiceNowReadOwners reads the CIs of a schedule with their owners, places and
// identifiers, as people see them.
func (a *Metadata) ServiceNowReadOwners(ctx context.Context, in contract.ReadMetadataInput) (contract.ReadMetadataResult, error) {
	var res contract.ReadMetadataResult
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	err := a.readOwners(ctx, &in.Plan, &res)
	return res, temporalError(stopped(ctx, err))
}

func (a *Metadata) readOwners(ctx context.Context, plan *contract.RunPlan, res *contract.ReadMetadataResult) error {
	setup, target, err := a.instance(ctx, plan)
	if err != nil {
		return err
	}
	s := &setup.Schedule.Metadata
	columns, identity := s.Columns(), s.Identity()
	fields := append(lo.Values(columns), append(lo.Values(identity), "name")...)
	slices.Sort(fields)
	fields = slices.Compact(fields)
	seen := map[string]bool{}
	var part []export.Bearer
	flush := func() error {
		if len(part) == 0 {
			return nil
		}
		err := a.putDraft(ctx, plan, draftCIs, res.Parts, part)
		res.Parts++
		part = nil
		return err
	}
	for _, sel := range setup.Schedule.Select {
		q := servicenow.TableQuery{Query: servicenow.Encoded(sel.Query), Fields: fields, DisplayValue: true}
		res.Calls++
		for row, err := range target.Client.Rows(ctx, sel.Table, q) {
			if err != nil {
				return err
			}
			if seen[row["sys_id"]] { // a CI of two selections
				continue
			}
			seen[row["sys_id"]] = true
			part = append(part, bearerOf(row, columns, identity))
			if len(part) == draftSize {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	res.Count = int64(len(seen))
	return flush()
}

// bearerOf returns a row as what it says of its asset.
func bearerOf(row servicenow.Row, columns map[string]string, identity map[export.Identifier]string) export.Bearer {
	b := export.Bearer{Name: row["name"], Fields: valuesOf(row, columns)}
	b.Key, b.Values = row["sys_id"], map[export.Identifier][]string{}
	for id, column := range identity {
		if v := row[column]; v != "" {
			b.Values[id] = []string{v}
		}
	}
	return b
}

// valuesOf returns the values of a row by field. A column that the user may not read
// is not in the row: it is not empty, and nothing is known of its field.
func valuesOf(row servicenow.Row, columns map[string]string) map[string]string {
	out := make(map[string]string, len(columns))
	for field, column := range columns {
		if v, shown := row[column]; shown {
			out[field] = v
		}
	}
	return out
}

// ServiceNowReadApplications reads the business applications of a schedule and the
// CIs that they stand on: directly, and through application services.
func (a *Metadata) ServiceNowReadApplications(ctx context.Context, in contract.ReadMetadataInput) (contract.ReadMetadataResult, error) {
	var res contract.ReadMetadataResult
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	err := a.readApplications(ctx, &in.Plan, &res)
	return res, temporalError(stopped(ctx, err))
}

func (a *Metadata) readApplications(ctx context.Context, plan *contract.RunPlan, res *contract.ReadMetadataResult) error {
	setup, target, err := a.instance(ctx, plan)
	if err != nil {
		return err
	}
	s := &setup.Schedule.Metadata.Applications
	out := applications{}
	if !s.Off {
		out.Of = map[string][]string{}
		if out.List, err = applicationRows(ctx, target.Client, s, &res.Calls); err != nil {
			return err
		}
		ids := lo.SliceToMap(out.List, func(r applicationRow) (string, []string) { return r.SysID, []string{r.ID} })
		if err := standOn(ctx, target.Client, ids, !s.Direct, out.Of, &res.Calls); err != nil {
			return err
		}
		if len(out.Of) == 0 { // rows that the user may not read are left out silently
			activity.GetLogger(ctx).Warn("no relation of a business application can be read: assets keep the applications that they have", "schedule", plan.Schedule)
			out.Of = nil
		}
	}
	res.Parts, res.Count = 1, int64(len(out.List))
	return a.putDraft(ctx, plan, draftApplications, 0, out)
}

// applicationRows reads business applications: their values as people see them, and
// their dates as they are, for what people see depends on their language.
func applicationRows(ctx context.Context, c *servicenow.Client, s *export.ApplicationSettings, calls *int64) ([]applicationRow, error) {
	table, id := s.From()
	columns := s.Columns()
	fields := lo.Uniq(append(lo.Values(columns), id))
	slices.Sort(fields)
	var out []applicationRow
	at := map[string]int{}
	*calls += 2
	for row, err := range c.Rows(ctx, table, servicenow.TableQuery{Query: servicenow.Encoded(s.Query), Fields: fields, DisplayValue: true}) {
		if err != nil {
			return nil, err
		}
		at[row["sys_id"]] = len(out)
		out = append(out, applicationRow{SysID: row["sys_id"], ID: row[id], Values: valuesOf(row, columns)})
	}
	for row, err := range c.Rows(ctx, table, servicenow.TableQuery{Query: servicenow.Encoded(s.Query), Fields: []string{"sys_created_on", "sys_updated_on"}}) {
		if err != nil {
			return nil, err
		}
		if i, ok := at[row["sys_id"]]; ok {
			out[i].Created, out[i].Updated = instantOf(row["sys_created_on"]), instantOf(row["sys_updated_on"])
		}
	}
	return out, nil
}

// instantOf reads an instant of the Table API, zero when there is none.
func instantOf(text string) time.Time {
	t, err := time.ParseInLocation(time.DateTime, text, time.UTC)
	if err != nil {
		return time.Time{}
	}
	return t
}

// isService reports whether a class is one of application services, which stand
// between an application and its machines.
func isService(class string) bool {
	return strings.HasPrefix(class, "cmdb_ci_service") || class == "cmdb_ci_query_based_service"
}

// standOn follows relations from parents to the CIs below, and once more from the
// services among them. of holds application ids by sys_id of a CI.
func standOn(ctx context.Context, c *servicenow.Client, from map[string][]string, further bool, of map[string][]string, calls *int64) error {
	if len(from) == 0 {
		return nil
	}
	services := map[string][]string{}
	*calls++
	q := servicenow.TableQuery{Query: servicenow.Where("parent").In(slices.Sorted(maps.Keys(from))...), Fields: []string{"parent", "child", "child.sys_class_name"}}
	for row, err := range c.Rows(ctx, "cmdb_rel_ci", q) {
		if err != nil {
			return err
		}
		child, ids := row["child"], from[row["parent"]]
		if child == "" {
			continue
		}
		of[child] = union(of[child], ids)
		if isService(row["child.sys_class_name"]) {
			services[child] = union(services[child], ids)
		}
	}
	if !further {
		return nil
	}
	return standOn(ctx, c, services, false, of, calls)
}

func union(a, b []string) []string {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// instance returns what a run reads the CMDB with.
func (a *Metadata) instance(ctx context.Context, plan *contract.RunPlan) (*Setup, *Target, error) {
	setup, err := a.Settings.Of(ctx, plan.Revision, plan.Schedule)
	if err != nil {
		return nil, nil, err
	}
	target, err := a.Vendors.ServiceNow(ctx, plan.Revision, plan.ServiceNow())
	return setup, target, err
}

// subscription returns what a run reads and writes Qualys with.
func (a *Metadata) subscription(ctx context.Context, plan *contract.RunPlan) (*Setup, *Source, error) {
	setup, err := a.Settings.Of(ctx, plan.Revision, plan.Schedule)
	if err != nil {
		return nil, nil, err
	}
	src, err := a.Vendors.Qualys(ctx, plan.Revision, plan.Qualys())
	if err == nil && src.Gateway == nil {
		err = &UserError{Message: fmt.Sprintf("connection %s cannot write business metadata: set api: csam", src.Name)}
	}
	return setup, src, err
}

func (a *Metadata) putDraft(ctx context.Context, plan *contract.RunPlan, name string, part int64, v any) error {
	data, err := a.Bodies.Pack(v)
	if err != nil {
		return err
	}
	return a.Store.PutDraft(ctx, plan.Run, plan.Epoch, name, part, data)
}

// drafts reads all parts of a draft.
func drafts[T any](ctx context.Context, a *Metadata, run, name string, parts int64) ([]T, error) {
	var out []T
	for n := range parts {
		data, err := a.Store.Draft(ctx, run, name, n)
		if err != nil {
			return nil, fmt.Errorf("draft %s %d: %w", name, n, err)
		}
		var list []T
		if err := a.Bodies.Unpack(data, &list); err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// held is an asset as a draft keeps it.
type held struct {
	export.Holder
	Applications []asset.BusinessApplication
}
