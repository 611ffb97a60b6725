package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// Forecast says what the next run of a schedule would cost. It makes one call, the
// count, and changes nothing.
func Forecast(ctx workflow.Context, in contract.ForecastInput) (contract.ForecastResult, error) {
	var plan contract.RunPlan
	if err := workflow.ExecuteActivity(ledger(ctx, "how it would begin"), ledgers.LedgerPeek, in).Get(ctx, &plan); err != nil {
		return contract.ForecastResult{}, fmt.Errorf("forecast: %w", err)
	}
	r := &syncRun{}
	r.Plan = plan
	var count contract.CountResult
	err := r.patient(ctx, contract.QualysQueue(plan.Source), &count, func() workflow.Future {
		return workflow.ExecuteActivity(fetch(ctx, plan.Source, "count assets"), inventory.QualysCount, contract.CountInput{Plan: plan})
	})
	if err != nil {
		return contract.ForecastResult{}, fmt.Errorf("forecast: %w", err)
	}
	return contract.ForecastResult{Schedule: plan.Schedule, Mode: plan.Mode, Since: plan.Since, Resumed: plan.Resumed, Forecast: count.Forecast}, nil
}

// PinRun keeps the outcomes of a run for good, or lets them go.
func PinRun(ctx workflow.Context, in contract.PinInput) error {
	if err := workflow.ExecuteActivity(ledger(ctx, "pin run"), ledgers.LedgerPin, in).Get(ctx, nil); err != nil {
		return fmt.Errorf("pin run: %w", err)
	}
	return nil
}
