package activities

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/qql"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// heartbeatEvery keeps a third of the heartbeat timeout in hand.
const heartbeatEvery = 10 * time.Second

// stageTimeout bounds staging a page.
const stageTimeout = time.Minute

// Inventory reads assets from Qualys and stages what becomes of them.
type Inventory struct {
	Store    store.Store
	Settings *Settings
	Vendors  Vendors
	Bodies   *Bodies
	Now      func() time.Time
}

// QualysCount counts the assets that a run will see.
func (a *Inventory) QualysCount(ctx context.Context, in contract.CountInput) (contract.CountResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	src, err := a.Vendors.Qualys(ctx, in.Plan.Revision, in.Plan.Source)
	if err != nil {
		return contract.CountResult{}, temporalError(err)
	}
	setup, err := a.Settings.Of(ctx, in.Plan.Revision, in.Plan.Schedule)
	if err == nil && setup.Schedule.Kind == config.KindCertificates {
		err = &UserError{Message: "Certificate View does not count: a run of certificates cannot be forecast"}
	}
	if err != nil {
		return contract.CountResult{}, temporalError(err)
	}
	n, _, err := src.Client.Count(ctx, qualys.Query{UpdatedSince: in.Plan.Since, Filter: selection(setup, &in.Plan).pushed()})
	if err != nil {
		return contract.CountResult{}, temporalError(err)
	}
	forecast, err := a.forecast(ctx, &in.Plan, n, src.Client.PageSize())
	if err != nil {
		return contract.CountResult{}, temporalError(err)
	}
	return contract.CountResult{Total: n, Calls: 1, Forecast: forecast}, nil
}

// QualysFetchPage fetches the page after a cursor, unless the store has it
// already: a Qualys call is the scarcest resource there is. It decodes the page
// as a stream, cleanses, classifies and maps each asset, and stages all of them
// in one transaction. A malformed asset becomes a failed record and never
// spoils its neighbours.
func (a *Inventory) QualysFetchPage(ctx context.Context, in contract.FetchPageInput) (contract.PageRef, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return in.Cursor })
	defer stop()
	ref, err := a.fetchPage(ctx, in)
	return ref, temporalError(stopped(ctx, err))
}

func (a *Inventory) fetchPage(ctx context.Context, in contract.FetchPageInput) (contract.PageRef, error) {
	plan := in.Plan
	if ref, found, err := adopted(ctx, a.Store, &in); found || err != nil {
		return ref, err
	}
	setup, err := a.Settings.Of(ctx, plan.Revision, plan.Schedule)
	if err != nil {
		return contract.PageRef{}, err
	}
	src, err := a.Vendors.Qualys(ctx, plan.Revision, plan.Source)
	if err != nil {
		return contract.PageRef{}, err
	}
	if why := setup.Budget.Stop(a.Now(), in.Spent); why != "" {
		return contract.PageRef{Stopped: why, Last: true, Next: in.Cursor}, nil
	}
	if err := crash.At(ctx, crash.BeforeFetch); err != nil {
		return contract.PageRef{}, err
	}
	chosen := selection(setup, &plan)
	q := qualys.Query{Cursor: in.Cursor, UpdatedSince: plan.Since, Filter: chosen.pushed(), ExcludeFields: chosen.excluded(setup)}
	if catalogue(setup) && chosen.all() && !setup.Schedule.ExcludeUnmanaged && len(setup.Ours) == 0 {
		q.ExcludeFields, q.IncludeFields = nil, []string{softwareSection}
	}
	q.PageSize = src.Client.PageSize()
	if plan.Sample > 0 {
		q.PageSize = min(q.PageSize, int(plan.Sample))
	}
	answer, calls, err := search(ctx, src.Client, q)
	if err != nil {
		return contract.PageRef{}, err
	}
	stage := store.StagePage{
		Run: plan.Run, Epoch: plan.Epoch, Enumeration: plan.Enumeration, CursorIn: in.Cursor, CursorOut: answer.Next,
		Last: !answer.HasMore, ServerDate: answer.ServerDate, Verify: plan.Verify, Hold: plan.Approval,
		Records: make([]store.Staging, 0, len(answer.Results)),
	}
	prep := &preparer{setup: setup, chosen: chosen, connection: plan.Source, bodies: a.Bodies, now: a.Now().UTC()}
	if prep.plugins, err = plugins(ctx, a.Store, plan.Target); err != nil {
		return contract.PageRef{}, err
	}
	if prep.listed, err = listed(ctx, src, setup); err != nil {
		return contract.PageRef{}, err
	}
	prep.cleanse(answer.Results)
	if !catalogue(setup) {
		if err := prep.identify(ctx, a.Store, plan.Enumeration, answer.Results); err != nil {
			return contract.PageRef{}, err
		}
	}
	for i := range answer.Results {
		prepare := prep.record
		if catalogue(setup) {
			prepare = prep.packages
		}
		rec, err := prepare(i, &answer.Results[i])
		if err != nil {
			return contract.PageRef{}, err
		}
		stage.Records = append(stage.Records, rec)
	}
	if err := crash.At(ctx, crash.AfterFetch); err != nil {
		return contract.PageRef{}, err
	}
	// The call is spent: stage the page even when the run is cancelled meanwhile.
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stageTimeout)
	defer cancel()
	page, err := a.Store.StagePage(sctx, stage)
	if err != nil {
		return contract.PageRef{}, err
	}
	if page.ToWrite == 0 {
		if _, err := a.Store.FinishPage(sctx, plan.Run, plan.Epoch, page.ID); err != nil {
			return contract.PageRef{}, err
		}
	}
	ref := pageRef(page)
	ref.Calls = calls
	return ref, crash.At(ctx, crash.AfterStage)
}

// Asking again for a page that does not lead on: the vendor's cache may have
// answered with the page before.
const (
	stuckTries = 3
	stuckPause = 2 * time.Second
)

// search asks for one page and counts the calls. A page that promises more and
// does not lead on is asked for again before the cursor counts as stuck; one that
// is too large is halved.
func search(ctx context.Context, c qualys.Reader, q qualys.Query) (*qualys.Page, int64, error) {
	stuck := 0
	for n := int64(1); ; n++ {
		answer, _, err := c.Search(ctx, q)
		var large *transport.BodyTooLargeError
		if errors.As(err, &large) && q.PageSize > 1 {
			q.PageSize /= 2
			continue
		}
		if err != nil {
			return nil, n, err
		}
		if !answer.HasMore || answer.Next > q.Cursor {
			return answer, n, nil
		}
		if stuck++; stuck == stuckTries {
			return nil, n, &qualys.CursorStuckError{Cursor: q.Cursor}
		}
		if err := pause(ctx, stuckPause); err != nil {
			return nil, n, err
		}
	}
}

// chosenAssets are the assets that a schedule's filter selects.
type chosenAssets struct {
	filtered bool
	plan     qql.Plan
	now      time.Time
}

// selection splits the filter of a schedule. Relative dates count from the start
// of the run, so that all its pages select alike.
func selection(setup *Setup, plan *contract.RunPlan) chosenAssets {
	if setup.Filter == nil {
		return chosenAssets{}
	}
	return chosenAssets{filtered: true, plan: setup.Filter.Plan(setup.Push, plan.StartedAt), now: plan.StartedAt}
}

// all reports whether nothing is left to decide on the asset.
func (c chosenAssets) all() bool { return !c.filtered || c.plan.Complete() }

// pushed is what the API decides, nil for all assets.
func (c chosenAssets) pushed() *qualys.Filter {
	if !c.filtered || len(c.plan.Pushed) == 0 {
		return nil
	}
	f := &qualys.Filter{Operation: c.plan.Operation}
	for _, x := range c.plan.Pushed {
		f.Conditions = append(f.Conditions, qualys.Condition(x))
	}
	return f
}

// has reports whether an asset is selected.
func (c chosenAssets) has(a *asset.Asset, clean *asset.Clean) bool {
	return c.all() || c.plan.Match(&asset.View{Asset: a, Clean: clean}, c.now)
}

// excluded returns the sections that neither the mapping uses nor the filter looks
// at, or that a toggle switched off: they are not asked for.
func (c chosenAssets) excluded(setup *Setup) []string {
	var needed []asset.Section
	if c.filtered {
		needed = c.plan.Sections()
	}
	var out []string
	for _, s := range setup.Mapping.Unused(setup.Schedule.Sections) {
		if !slices.Contains(needed, s) {
			out = append(out, string(s))
		}
	}
	return out
}

// preparer turns the assets of a page into staged records.
type preparer struct {
	setup      *Setup
	chosen     chosenAssets
	connection string
	bodies     *Bodies
	now        time.Time
	plugins    map[string]bool            // of the target
	listed     map[string]map[string]bool // lists that mappings name

	clean []*asset.Clean   // by result; nil for a malformed asset and one that is not selected
	roles asset.Roles      // of the page's assets
	keys  map[int64]string // asset id → key, of the page and of what is the same machine
}

// cleanse cleanses the assets of a page that the schedule selects.
func (p *preparer) cleanse(results []qualys.Result) {
	p.clean = make([]*asset.Clean, len(results))
	names := p.setup.Properties.Names
	for i := range results {
		r := &results[i]
		if r.Err != nil {
			continue
		}
		if p.setup.Schedule.ExcludeUnmanaged && r.Asset.Unmanaged() != "" || p.ours(r.Asset) {
			continue
		}
		if c := asset.CleanseNamed(r.Asset, asset.Naming{Form: names.Form, Case: names.Case, Never: names.Never}); p.chosen.has(r.Asset, c) {
			p.clean[i] = c
		}
	}
}

// ours reports whether all that Qualys knows of an asset is what we published: it
// came from the CMDB, and would go back there.
func (p *preparer) ours(a *asset.Asset) bool {
	n := 0
	for _, in := range a.Inventory {
		if in.Source != "" {
			n++
		}
		if in.Source != "" && !p.setup.Ours[strings.ToUpper(in.Source)] {
			return false
		}
	}
	return n > 0
}

// reasonOurs is the reason of an asset that is an echo of the CMDB.
const reasonOurs = "ours: Qualys knows it from the CMDB only"

// leftOut says why an asset is not selected.
func (p *preparer) leftOut(a *asset.Asset) string {
	if p.ours(a) {
		return reasonOurs
	}
	if sources := a.Unmanaged(); p.setup.Schedule.ExcludeUnmanaged && sources != "" {
		return "unmanaged: known to " + sources + " only"
	}
	return notSelected
}

// notSelected is the reason of an asset that the filter leaves out.
const notSelected = "the filter does not select it"

// identify finds out which of them describe a
// machine that another asset describes better.
func (p *preparer) identify(ctx context.Context, machines store.Machines, enumeration int64, results []qualys.Result) error {
	p.keys = make(map[int64]string, len(results))
	list := make([]store.Machine, 0, len(results))
	for i := range results {
		if r := &results[i]; p.clean[i] != nil {
			list = append(list, store.Machine{Identity: asset.IdentityOf(r.Asset, p.clean[i]), Tracking: r.Asset.TrackingMethod})
		}
	}
	page, others, err := machines.Identify(ctx, p.connection, enumeration, list)
	if err != nil {
		return err
	}
	identities := func(list []store.Machine) []asset.Identity {
		out := make([]asset.Identity, len(list))
		for i := range list {
			out[i] = list[i].Identity
			p.keys[list[i].ID] = contract.MovedKey(p.connection, list[i].ID, list[i].Generation)
		}
		return out
	}
	p.roles = asset.RolesOf(identities(page), identities(others))
	return nil
}

// metadataSection is the toggle of the row that every asset of a machine has.
const metadataSection = "metadata"

// record prepares the i-th asset of the page.
func (p *preparer) record(i int, r *qualys.Result) (store.Staging, error) {
	key := p.keys[r.ID]
	if key == "" {
		key = contract.MovedKey(p.connection, r.ID, 0)
	}
	rec := store.Staging{Key: key, Kind: record.KindAsset, RefreshBefore: p.refreshBefore(r.ID)}
	if r.Err != nil {
		rec.Outcome, rec.Reason = record.Failed, r.Err.Error()
		return p.sealed(rec, &Body{Revision: p.setup.Revision})
	}
	clean := p.clean[i]
	if clean == nil {
		rec.Outcome, rec.Reason = record.Filtered, p.leftOut(r.Asset)
		return p.sealed(rec, &Body{Revision: p.setup.Revision})
	}
	body := &Body{Name: clean.Name, Revision: p.setup.Revision, Inputs: classify.InputsOf(r.Asset, clean), Clean: cleanSteps(r.Asset, clean)}
	body.Decision = p.setup.Rules.Classify(&body.Inputs, classify.Options{IPOnly: p.setup.Schedule.Fallback.IPOnly})
	rec.Class = body.Decision.Class
	if body.Decision.Skip != "" {
		rec.Outcome, rec.Reason = record.Skipped, body.Decision.Skip
		return p.sealed(rec, body)
	}
	parts := p.setup.Mapping.Apply(mapping.Input{
		Connection: p.connection, Key: key, Asset: r.Asset, Clean: clean, Class: rec.Class, Sections: p.setup.Schedule.Sections,
		DiscoverySource: p.setup.DiscoverySource, Plugins: p.plugins, Tables: p.setup.Tables, Listed: p.listed,
	})
	parts.SharedName = p.roles.SharesName(clean.Name)
	if primary, ok := p.roles.Primary[r.ID]; ok {
		parts = secondary(parts, p.keys[primary])
		if len(parts.Tables) == 0 {
			rec.Outcome, rec.Reason = record.Skipped, record.Secondary
		}
	}
	body.Parts = &parts
	rec.PayloadDigest = record.Digest(&parts)
	return p.sealed(rec, body)
}

// softwareSection is the section that the catalogue of software is made of.
const softwareSection = "software"

// catalogue reports whether a schedule writes the catalogue of software only.
func catalogue(setup *Setup) bool { return setup.Schedule.Kind == config.KindSoftwareCatalogue }

// packages prepares what an asset brings to the catalogue of software.
func (p *preparer) packages(i int, r *qualys.Result) (store.Staging, error) {
	rec := store.Staging{Key: contract.MovedKey(p.connection, r.ID, 0), Kind: record.KindCatalogue, RefreshBefore: p.refreshBefore(r.ID)}
	body := &Body{Revision: p.setup.Revision}
	if r.Err != nil {
		rec.Outcome, rec.Reason = record.Failed, r.Err.Error()
		return p.sealed(rec, body)
	}
	if p.clean[i] == nil {
		rec.Outcome, rec.Reason = record.Filtered, p.leftOut(r.Asset)
		return p.sealed(rec, body)
	}
	all := p.setup.Mapping.Apply(mapping.Input{
		Connection: p.connection, Asset: r.Asset, Clean: p.clean[i], Class: anyHardware,
		Sections: map[string]bool{softwareSection: true}, DiscoverySource: p.setup.DiscoverySource,
	})
	parts := record.Parts{}
	for _, it := range all.Shared {
		if it.Section == softwareSection {
			parts.Shared = append(parts.Shared, it)
		}
	}
	if len(parts.Shared) == 0 {
		rec.Outcome, rec.Reason = record.Skipped, "no software"
		return p.sealed(rec, body)
	}
	body.Parts, rec.PayloadDigest = &parts, record.Digest(&parts)
	return p.sealed(rec, body)
}

// anyHardware stands for the class of an asset where only its packages matter.
const anyHardware = "cmdb_ci_hardware"

// secondary keeps of an asset what is its own when another one writes the CI of
// its machine: the row with its metadata.
func secondary(p record.Parts, primary string) record.Parts {
	out := record.Parts{Primary: primary}
	for _, r := range p.Tables {
		if r.Section == metadataSection {
			out.Tables = append(out.Tables, r)
		}
	}
	return out
}

func (p *preparer) sealed(rec store.Staging, body *Body) (store.Staging, error) {
	var err error
	if rec.Body, err = p.bodies.Encode(body); err != nil {
		return rec, fmt.Errorf("asset %s: %w", rec.Key, err)
	}
	return rec, nil
}

// refreshBefore spreads the renewal of unchanged records by a hash of the asset
// id over the last fifth of refreshAfter, so that a first load does not come
// back all at once a week later.
func (p *preparer) refreshBefore(id int64) time.Time {
	after := time.Duration(p.setup.Properties.RefreshAfter)
	h := fnv.New32a()
	fmt.Fprint(h, id)
	spread := time.Duration(float64(after) / 5 * float64(h.Sum32()) / (1 << 32))
	return p.now.Add(-after + spread)
}
