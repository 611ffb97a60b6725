package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

var (
	attrSchedule  = temporal.NewSearchAttributeKeyKeyword(contract.AttrSchedule)
	attrSource    = temporal.NewSearchAttributeKeyKeyword(contract.AttrSource)
	attrDirection = temporal.NewSearchAttributeKeyKeyword(contract.AttrDirection)
	attrMode      = temporal.NewSearchAttributeKeyKeyword(contract.AttrMode)
	attrStage     = temporal.NewSearchAttributeKeyKeyword(contract.AttrStage)
	attrOutcome   = temporal.NewSearchAttributeKeyKeyword(contract.AttrOutcome)
	attrWritten   = temporal.NewSearchAttributeKeyInt64(contract.AttrWritten)
	attrFailures  = temporal.NewSearchAttributeKeyInt64(contract.AttrFailures)
)

// tag upserts search attributes where the namespace knows them. An unknown
// attribute would fail the workflow task for ever, so the plan says whether
// they are registered.
func (r *syncRun) tag(ctx workflow.Context, attrs ...temporal.SearchAttributeUpdate) {
	if !r.Plan.Attributes {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrs...); err != nil {
		workflow.GetLogger(ctx).Warn("search attributes not set", "error", err)
	}
}
