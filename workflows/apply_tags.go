package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// ApplyTags keeps a tree of tags in Qualys as attributes of CIs ask for: what is
// missing is made, what was changed by hand repaired or reported, what has lost its
// value retired. Tags that qbridge did not make are never touched. The result of a run
// that finishes is its RunResult.
func ApplyTags(ctx workflow.Context, in contract.RunInput) (contract.RunResult, error) {
	return runToQualys(ctx, in)
}
