package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// Registry takes workflows: a worker, a replayer, or a test environment.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
}

// Register registers every workflow under the name that callers know.
func Register(r Registry) {
	for name, w := range map[string]any{
		contract.SyncInventory:  SyncInventory,
		contract.ExportAssets:   ExportAssets,
		contract.ExportMetadata: ExportMetadata,
		contract.ApplyTags:      ApplyTags,
		contract.ApplyConfig:    ApplyConfig,
		contract.Approval:       Approval,
		contract.Preflight:      Preflight,
		contract.Forecast:       Forecast,
		contract.PinRun:         PinRun,
		contract.Adopt:          Adopt,

		contract.SyncCertificates: SyncCertificates,
	} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
}
