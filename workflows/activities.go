package workflows

import "github.com/qbridge/qbridge/activities"

// References to activities. The pointers are nil on purpose: the SDK takes the
// method's name from them and nothing else.
var (
	inventory  *activities.Inventory
	certified  *activities.Certificates
	writer     *activities.Write
	ledgers    *activities.Ledger
	configs    *activities.Config
	approving  *activities.Approvals
	notifying  *activities.Notify
	business   *activities.Metadata
	exporting  *activities.Export
	tagging    *activities.Tagging
	publishing *activities.ThirdParty
	reading    *activities.CIs
)
