package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/record"
)

// Planned is a staged record with what writing it would do.
type Planned struct {
	Key     string
	Plan    *approval.Plan
	Digest  string // of the plan
	Rule    string // that chose the class
	Approve bool   // the schedule lets it pass alone
}

// Receipt tells what a decision covered.
type Receipt struct {
	Decision string `json:"decision"`
	// Matched counts the records that the selector names and that wait; Decided
	// those that the decision covers; ChangedSince those that changed since the
	// snapshot and wait for another look.
	Matched      int64 `json:"matched"`
	Decided      int64 `json:"decided"`
	ChangedSince int64 `json:"changedSince"`
}

// Decide is a decision on its way into the store.
type Decide struct {
	Schedule string
	approval.Decision
	Identity string // of the Temporal client
	UpdateID string
	// Authenticated says how whoever decided had signed in; empty: By is asserted.
	Authenticated string
}

// StagedRow is a record that waits, or was decided about.
type StagedRow struct {
	Key       string          `json:"key"`
	State     record.State    `json:"state"`
	Version   int64           `json:"version"`
	Operation string          `json:"operation"`
	Class     string          `json:"class"`
	Rule      string          `json:"rule,omitempty"`
	Columns   []string        `json:"columns,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Decision  string          `json:"decision,omitempty"`
	StagedAt  time.Time       `json:"stagedAt"`
	Plan      json.RawMessage `json:"plan,omitempty"` // only for one record
}

// StagedFilter selects records of a schedule, ordered by key, after a key.
type StagedFilter struct {
	Schedule string
	States   []record.State
	Keys     []string
	approval.Filter
	After string
	Limit int
	Plans bool // with what would be written
}

// StagedList is a page of records, how many there are in all, and the snapshot
// that a decision about them names.
type StagedList struct {
	Rows     []StagedRow
	Total    int64
	Snapshot int64
}

// DecisionStatus tells how far the writing of a decision is.
type DecisionStatus struct {
	Receipt
	Waiting int64 `json:"waiting"`
	Written int64 `json:"written"`
	Failed  int64 `json:"failed"`
	Moved   int64 `json:"moved"` // went back to pending, because their plans moved
}

// LogEntry is one line of the decision log.
type LogEntry struct {
	Schedule string
	N        int64
	Entry    string // JSON
	Hash     string
}

// RecordDecision is one decision about one record.
type RecordDecision struct {
	Entry   string // JSON of the decision's entry in the log
	Version int64  // of the record, as it was shown
	Outcome record.Outcome
	Run     string // that wrote it; empty when none did
}

// Approvals keep records that wait for a person, and what was decided.
type Approvals interface {
	// HoldStaged gives staged records of a page their plans and makes them wait,
	// or approves those that may pass alone. again marks records that were
	// approved and whose plan moved: they get a new version, so that no earlier
	// decision covers them.
	HoldStaged(ctx context.Context, w Writer, list []Planned, again bool) error
	// PlanDigests returns what was shown of staged records, by key.
	PlanDigests(ctx context.Context, schedule, target string, keys []string) (map[string]string, error)
	// Decide records a decision and covers the records that it names up to its
	// snapshot, in one transaction; the same id gives the same receipt.
	Decide(ctx context.Context, in Decide) (Receipt, error)
	// OpenApproval opens a run that writes what was approved. What an earlier one
	// left behind is approved again.
	OpenApproval(ctx context.Context, in OpenRun) (OpenedRun, error)
	// ClaimApproved moves up to limit approved records into a page of the run, or
	// returns ErrNotFound.
	ClaimApproved(ctx context.Context, run string, epoch int64, limit int) (Page, error)
	// Expire ends the wait of records that wait since before an instant.
	Expire(ctx context.Context, schedule string, before time.Time) (Receipt, error)
	// Waiting counts the records of a schedule by state, and tells since when the
	// oldest pending one waits.
	Waiting(ctx context.Context, schedule string) (map[record.State]int64, time.Time, error)

	ListStaged(ctx context.Context, f StagedFilter) (StagedList, error)
	DecisionStatus(ctx context.Context, schedule, id string) (DecisionStatus, error)
	// DecisionsAbout returns the last decisions about a record, newest first.
	DecisionsAbout(ctx context.Context, schedule, key string, limit int) ([]RecordDecision, error)
	// DecisionLog returns the entries of a schedule after the n-th.
	DecisionLog(ctx context.Context, schedule string, after int64, limit int) ([]LogEntry, error)
	// VerifyLog checks the chains of all schedules: it returns how many entries
	// there are and what is wrong with them.
	VerifyLog(ctx context.Context) (entries int64, problems []string, err error)
}
