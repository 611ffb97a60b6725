package contract

import (
	"time"

	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
)

// PathExports is where the read API answers what a schedule to Qualys planned last:
// PathExports/{schedule}.
const PathExports = "/api/v1/exports"

// AddressPlan is a plan of addresses to add to a subscription, with what became of
// single addresses: the first of those that a person may want to look at.
type AddressPlan struct {
	Plan     *export.IPPlan   `json:"plan"`
	Verdicts []export.Verdict `json:"verdicts,omitempty"`
	// Asks says that it waits for a person although the schedule adds without one: an
	// earlier plan reached the ceiling.
	Asks bool `json:"asks,omitempty"`
}

// ExportView is what a schedule planned last, and what `export plan -o json` prints.
type ExportView struct {
	Schedule string         `json:"schedule"`
	Target   string         `json:"target"`
	Key      string         `json:"key"` // for staged approve --id
	State    record.State   `json:"state"`
	Outcome  record.Outcome `json:"outcome,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Version  int64          `json:"version"`
	Run      string         `json:"run"`
	StagedAt time.Time      `json:"stagedAt"`
	AddressPlan
}
