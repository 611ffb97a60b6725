package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samber/lo"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// QualysPreflight tests the source of a run before it begins. What fails ends
// the run with the remedy.
func (a *Inventory) QualysPreflight(ctx context.Context, in contract.PreflightRunInput) (contract.PreflightResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	_, cfg, err := a.Settings.Config(ctx, in.Plan.Revision)
	if err != nil {
		return contract.PreflightResult{}, temporalError(err)
	}
	q, _ := lo.Find(cfg.Qualys, func(q config.Qualys) bool { return q.Name == in.Plan.Qualys() })
	needs := SourceNeedsOf(cfg, q.Name).OfRun(in.Plan.Kind)
	needs.Required = ofCertificates(cfg, in.Plan.Schedule)
	return verdict(ctx, func(ctx context.Context) []contract.Check {
		return a.Vendors.CheckQualys(ctx, q, needs)
	})
}

// ServiceNowPreflight tests the target of a run before it begins.
func (a *Write) ServiceNowPreflight(ctx context.Context, in contract.PreflightRunInput) (contract.PreflightResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	_, cfg, err := a.Settings.Config(ctx, in.Plan.Revision)
	if err != nil {
		return contract.PreflightResult{}, temporalError(err)
	}
	s, _ := lo.Find(cfg.ServiceNow, func(s config.ServiceNow) bool { return s.Name == in.Plan.ServiceNow() })
	needs := NeedsOf(cfg, s.Name)
	needs.Required = ofCertificates(cfg, in.Plan.Schedule)
	return verdict(ctx, func(ctx context.Context) []contract.Check {
		checks := a.Vendors.CheckServiceNow(ctx, s, needs)
		return append(checks, a.learnPlugins(ctx, cfg, in.Plan.Revision, s.Name)...)
	})
}

// ofCertificates reports whether a schedule, or a trial of it, is one of
// certificates: what only they need is then no warning.
func ofCertificates(cfg *config.Config, schedule string) bool {
	schedule = contract.TriedSchedule(schedule)
	return slices.ContainsFunc(cfg.Schedules, func(s config.Schedule) bool { return s.Name == schedule && s.Kind == config.KindCertificates })
}

// samPlugins are those that bring the table of installed software of Software
// Asset Management. One of them is enough.
var samPlugins = []string{"com.snc.sams", "com.snc.software_asset_management"}

// pluginTable is where an instance lists its plugins.
const pluginTable = "sys_plugins"

// learnPlugins notes which plugins the instance has that change what is mapped,
// where software is written at all.
func (a *Write) learnPlugins(ctx context.Context, cfg *config.Config, revision, target string) []contract.Check {
	if !slices.ContainsFunc(cfg.Schedules, func(s config.Schedule) bool { return writesTo(&s, target) && s.Sections["software"] }) {
		return nil
	}
	t, err := a.Vendors.ServiceNow(ctx, revision, target)
	if err != nil {
		return nil // reported already
	}
	refs := lo.Map(samPlugins, func(id string, _ int) store.Reference {
		return store.Reference{Table: pluginTable, Name: id, Missing: true, ResolvedAt: a.Now().UTC()}
	})
	line := contract.Check{Connection: target, Capability: "software asset management", OK: true, Message: "not there: software becomes packages and installations (cmdb_ci_spkg, cmdb_software_instance)"}
	for row, err := range t.Client.Rows(ctx, pluginTable, servicenow.TableQuery{Query: servicenow.Where("id").In(samPlugins...), Fields: []string{"id", "active"}}) {
		if err != nil {
			return []contract.Check{{Connection: target, Capability: line.Capability, Warning: true, Unknown: true, Message: err.Error(), Blocks: "software as rows of cmdb_sam_sw_install",
				Remedy: "let the user read " + pluginTable + "; until then software becomes packages and installations"}}
		}
		if i := slices.Index(samPlugins, row["id"]); i >= 0 && (row["active"] == "active" || row["active"] == "true") {
			refs[i].Missing, refs[i].SysID = false, row["sys_id"]
			line.Message = "there: software becomes rows of cmdb_sam_sw_install"
		}
	}
	if err := a.Store.PutReferences(ctx, target, refs); err != nil {
		return []contract.Check{{Connection: target, Capability: line.Capability, Message: err.Error(), Transient: true}}
	}
	return []contract.Check{line}
}

// plugins returns what is known about the plugins of an instance.
func plugins(ctx context.Context, s store.References, target string) (map[string]bool, error) {
	known, err := s.CachedReferences(ctx, target, pluginTable, samPlugins)
	if err != nil {
		return nil, err
	}
	for _, ref := range known {
		if ref.SysID != "" {
			return map[string]bool{"sam": true}, nil
		}
	}
	return nil, nil
}

// verdict turns the first failed line into an error. A vendor that cannot be
// reached may be back in a moment, so that one is tried again.
func verdict(ctx context.Context, check func(context.Context) []contract.Check) (contract.PreflightResult, error) {
	ctx, calls := transport.Counting(ctx)
	res := contract.PreflightResult{Checks: check(ctx), Calls: calls.Load()}
	if err := stopped(ctx, ctx.Err()); err != nil {
		return res, temporalError(err)
	}
	for _, c := range res.Checks {
		if !c.Failed() {
			continue
		}
		text := fmt.Sprintf("%s: %s: %s", c.Connection, c.Capability, c.Message)
		if c.Remedy != "" {
			text += "; " + c.Remedy
		}
		if c.Transient {
			return res, temporal.NewApplicationError(text, contract.ErrUnavailable)
		}
		return res, temporal.NewNonRetryableApplicationError(strings.TrimSpace(text), contract.ErrInvalidRequest, nil)
	}
	return res, nil
}
