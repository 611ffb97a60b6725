package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// Adopt takes over the CIs that another connector made of Qualys assets: it reads
// whose they are and remembers them as ours. The CMDB is not changed.
func Adopt(ctx workflow.Context, in contract.AdoptInput) (contract.AdoptResult, error) {
	var plan contract.RunPlan
	if err := workflow.ExecuteActivity(ledger(ctx, "whose CIs"), ledgers.LedgerPeek, contract.ForecastInput{Schedule: in.Schedule}).Get(ctx, &plan); err != nil {
		return contract.AdoptResult{}, fmt.Errorf("adopt: %w", err)
	}
	r := &syncRun{}
	r.Plan = plan
	var res contract.AdoptResult
	err := r.patient(ctx, contract.ServiceNowQueue(plan.Target), &res, func() workflow.Future {
		return workflow.ExecuteActivity(write(ctx, plan.Target, "read sources of CIs"), writer.ServiceNowAdopt, plan, in)
	})
	if err != nil {
		return res, fmt.Errorf("adopt: %w", err)
	}
	return res, nil
}
