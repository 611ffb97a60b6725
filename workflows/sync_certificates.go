package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// SyncCertificates reads all certificates of a source page by page and brings those
// of assets that are in the CMDB into it, then ends those that are out of sight. It
// runs and ends as SyncInventory does; its result counts what expires, too.
func SyncCertificates(ctx workflow.Context, in contract.RunInput) (contract.RunResult, error) {
	return start(ctx, &syncRun{RunInput: in, kind: contract.SyncCertificates})
}

// noun is what the run reads.
func (r *syncRun) noun() string {
	if r.kind == contract.SyncCertificates {
		return "certificates"
	}
	return "assets"
}

// place says which page begins at a cursor.
func (r *syncRun) place(cursor int64) string {
	if r.kind == contract.SyncCertificates {
		return fmt.Sprintf("%d of certificates", cursor)
	}
	return fmt.Sprintf("after asset %d", cursor)
}
