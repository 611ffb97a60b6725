package activities

import (
	"context"
	"fmt"
	"strings"

	"github.com/samber/lo"
	"go.temporal.io/sdk/temporal"

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
	q, _ := lo.Find(cfg.Qualys, func(q config.Qualys) bool { return q.Name == in.Plan.Source })
	return verdict(ctx, func(ctx context.Context) []contract.Check { return a.Vendors.CheckQualys(ctx, q) })
}

// ServiceNowPreflight tests the target of a run before it begins.
func (a *Write) ServiceNowPreflight(ctx context.Context, in contract.PreflightRunInput) (contract.PreflightResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	_, cfg, err := a.Settings.Config(ctx, in.Plan.Revision)
	if err != nil {
		return contract.PreflightResult{}, temporalError(err)
	}
	s, _ := lo.Find(cfg.ServiceNow, func(s config.ServiceNow) bool { return s.Name == in.Plan.Target })
	return verdict(ctx, func(ctx context.Context) []contract.Check { return a.Vendors.CheckServiceNow(ctx, s, chosen(cfg)) })
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
		if c.OK || c.Warning {
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
