package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// ApplyConfig validates a configuration document, tests its connections, stores
// it as an immutable revision and makes it active. Problems are a result, not a
// failure: nothing is stored then.
func ApplyConfig(ctx workflow.Context, in contract.ApplyInput) (contract.ApplyResult, error) {
	var res contract.ApplyResult
	if err := workflow.ExecuteActivity(ledger(ctx, "check configuration"), configs.ConfigCheck, in).Get(ctx, &res); err != nil {
		return res, fmt.Errorf("check configuration: %w", err)
	}
	if len(res.Problems) > 0 {
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("not applied: %d problems", len(res.Problems)))
		return res, nil
	}
	checks := res.Checks
	if err := workflow.ExecuteActivity(ledger(ctx, "store revision"), configs.ConfigStore, in).Get(ctx, &res); err != nil {
		return res, fmt.Errorf("store revision: %w", err)
	}
	res.Checks = checks
	workflow.SetCurrentDetails(ctx, "active: revision "+res.Revision)
	return res, nil
}
