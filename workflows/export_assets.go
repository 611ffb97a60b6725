package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// ExportAssets adds the addresses of CIs that a Qualys subscription lacks. What is
// added cannot be removed again, so the plan is made first, and waits for a person
// unless the schedule says otherwise; the schedule's approval then writes it. The
// result of a run that finishes is its RunResult.
func ExportAssets(ctx workflow.Context, in contract.RunInput) (contract.RunResult, error) {
	return runToQualys(ctx, in)
}
