package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Approvals records decisions and claims what was approved.
type Approvals struct {
	Store    store.Store
	Settings *Settings
	Temporal Temporal
	Now      func() time.Time
}

// ApprovalDecide records a decision. What is wrong with it is no failure of a
// machine: it is refused for good.
func (a *Approvals) ApprovalDecide(ctx context.Context, in contract.DecideInput) (contract.Receipt, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	if err := in.Decision.Check(); err != nil {
		return contract.Receipt{}, refusedDecision(err)
	}
	setup, err := a.Settings.Of(ctx, "", in.Schedule)
	if err != nil {
		return contract.Receipt{}, temporalError(err)
	}
	if setup.Properties.FourEyes && in.Decision.Verdict != "reject" {
		rev, err := a.Store.ActiveRevision(ctx)
		if err != nil {
			return contract.Receipt{}, temporalError(err)
		}
		if rev.Author != "" && rev.Author == in.Decision.By {
			return contract.Receipt{}, refusedDecision(fmt.Errorf("%s wrote revision %s and may not approve what it does (fourEyes): let somebody else decide", rev.Author, rev.ID))
		}
	}
	how, err := a.authenticated(ctx, in.Decision)
	if err != nil {
		return contract.Receipt{}, err
	}
	r, err := a.Store.Decide(ctx, store.Decide{Schedule: in.Schedule, Decision: in.Decision, Identity: in.Identity, UpdateID: in.UpdateID, Authenticated: how})
	return contract.Receipt(r), temporalError(err)
}

// authenticated tells how whoever made a decision had signed in, as the console said
// before; empty: nobody said anything, so the name is asserted.
func (a *Approvals) authenticated(ctx context.Context, d approval.Decision) (string, error) {
	v, err := a.Store.VoucherOf(ctx, d.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", nil
	case err != nil:
		return "", temporalError(err)
	case v.Name != d.By:
		return "", refusedDecision(fmt.Errorf("the decision was made by %s, not by %s", v.Name, d.By))
	}
	return v.How, nil
}

func refusedDecision(err error) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), contract.ErrInvalidRequest, nil)
}

// ApprovalOpenRun opens a run that writes what was approved. A living one of
// another chain makes the plan say so (SkippedFor).
func (a *Approvals) ApprovalOpenRun(ctx context.Context, in contract.ApprovalRunInput) (contract.RunPlan, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	setup, err := a.Settings.Of(ctx, "", in.Schedule)
	if err != nil {
		return contract.RunPlan{}, temporalError(err)
	}
	open := store.OpenRun{ID: in.Run, WorkflowID: in.WorkflowID, Schedule: in.Schedule, Source: setup.Schedule.Source, Target: setup.Schedule.Target, Revision: setup.Revision}
	plan := contract.RunPlan{Run: in.Run, Schedule: in.Schedule, Source: open.Source, Target: open.Target, Revision: setup.Revision, StartedAt: a.Now().UTC(), Mode: "approval"}
	if setup.Schedule.ToQualys() {
		plan.Kind = setup.Schedule.Kind
	}
	opened, err := a.Store.OpenApproval(ctx, open)
	var held *store.LeaseHeldError
	if errors.As(err, &held) {
		// Only an approval of this schedule takes this lease, and there is one: the
		// holder ended without giving it back.
		open.TakeOver = held.Epoch
		opened, err = a.Store.OpenApproval(ctx, open)
	}
	plan.Epoch = opened.Epoch
	return plan, temporalError(err)
}

// ApprovalClaim claims approved records for a run. A page without records means
// that none are left.
func (a *Approvals) ApprovalClaim(ctx context.Context, in contract.ClaimApprovedInput) (contract.PageRef, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	setup, err := a.Settings.Of(ctx, in.Plan.Revision, in.Plan.Schedule)
	if err != nil {
		return contract.PageRef{}, temporalError(err)
	}
	limit := setup.Schedule.ApprovalBatch
	if limit == 0 {
		limit = claimSize
	}
	page, err := a.Store.ClaimApproved(ctx, in.Plan.Run, in.Plan.Epoch, limit)
	if errors.Is(err, store.ErrNotFound) {
		return contract.PageRef{Last: true}, nil
	}
	if err != nil {
		return contract.PageRef{}, temporalError(err)
	}
	return pageRef(page), nil
}

// approvalExpiry is how long records wait for a decision unless a schedule says
// otherwise.
const approvalExpiry = 14 * 24 * time.Hour

// approvalReminder is how long records wait until somebody is told, unless a
// schedule says otherwise.
const approvalReminder = 2 * 24 * time.Hour

// ApprovalWaiting ends the wait of what has waited too long, and counts what waits.
func (a *Approvals) ApprovalWaiting(ctx context.Context, in contract.WaitingInput) (contract.WaitingResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	expiry, remind := approvalExpiry, approvalReminder
	var res contract.WaitingResult
	setup, err := a.Settings.Of(ctx, "", in.Schedule)
	var user *UserError
	switch {
	case errors.As(err, &user): // the schedule is gone; what waits expires all the same
	case err != nil:
		return res, temporalError(err)
	default:
		res.Manual = setup.Schedule.Approval == config.ApprovalManual
		if d := time.Duration(setup.Schedule.ApprovalExpiry); d > 0 {
			expiry = d
		}
		if d := time.Duration(setup.Schedule.ApprovalReminder); d > 0 {
			remind = d
		}
	}
	r, err := a.Store.Expire(ctx, in.Schedule, a.Now().Add(-expiry))
	if err != nil {
		return res, temporalError(err)
	}
	res.Expired = r.Decided
	if res.States, res.Oldest, err = a.Store.Waiting(ctx, in.Schedule); err != nil {
		return res, temporalError(err)
	}
	if res.States[record.StatePending] > 0 {
		res.Next, res.Remind = res.Oldest.Add(expiry), res.Oldest.Add(remind)
	}
	return res, nil
}
