package contract

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/record"
)

// Approval is the workflow that decides about staged records: an entity, one per
// schedule, which lives as long as records may wait.
const Approval = "Approval"

// Messages of an Approval.
const (
	// UpdateDecide takes an approval.Decision and returns a Receipt.
	UpdateDecide = "decide"
	// SignalDecide takes an approval.Decision with an id, for scripts that do not
	// wait; what is wrong with it is logged.
	SignalDecide = "decide"
	// SignalStaged tells that records were staged; it has no argument.
	SignalStaged = "staged"
)

const approvalPrefix = "approval/"

// ApprovalWorkflowID returns the id of a schedule's approval.
func ApprovalWorkflowID(schedule string) string { return approvalPrefix + schedule }

// ScheduleOfApprovalID is the reverse of ApprovalWorkflowID.
func ScheduleOfApprovalID(id string) (string, bool) {
	rest, ok := strings.CutPrefix(id, approvalPrefix)
	return rest, ok && rest != ""
}

// ApprovalInput starts an approval; only the schedule is required.
type ApprovalInput struct {
	Schedule string `json:"schedule"`
	// Carried is set by continue-as-new and never by a caller.
	Carried *ApprovalState `json:"carried,omitempty"`
}

// ApprovalState is what an approval carries over continue-as-new.
type ApprovalState struct {
	Runs int64 `json:"runs"` // writing runs so far
	Work bool  `json:"work"` // approved records wait for their writer
	// Reminded is when somebody was last told that records wait.
	Reminded time.Time `json:"reminded,omitzero"`
}

// Receipt tells what a decision covered.
type Receipt struct {
	Decision     string `json:"decision"`
	Matched      int64  `json:"matched"`
	Decided      int64  `json:"decided"`
	ChangedSince int64  `json:"changedSince"`
}

// DecideInput records a decision (activity ApprovalDecide).
type DecideInput struct {
	Schedule string            `json:"schedule"`
	Decision approval.Decision `json:"decision"`
	Identity string            `json:"identity,omitempty"`
	UpdateID string            `json:"updateId,omitempty"`
}

// ApprovalRunInput opens a run that writes what was approved (activity
// ApprovalOpenRun).
type ApprovalRunInput struct {
	Run        string `json:"run"`
	WorkflowID string `json:"workflowId"`
	Schedule   string `json:"schedule"`
}

// ClaimApprovedInput claims approved records (activity ApprovalClaim).
type ClaimApprovedInput struct {
	Plan RunPlan `json:"plan"`
}

// WaitingInput asks what waits (activity ApprovalWaiting); it ends the wait of
// what has waited too long.
type WaitingInput struct {
	Schedule string `json:"schedule"`
}

// WaitingResult counts the records of a schedule that wait or were decided about.
type WaitingResult struct {
	States map[record.State]int64 `json:"states"`
	Oldest time.Time              `json:"oldest,omitzero"`
	// Next is when to look again: when the oldest record has waited too long.
	Next    time.Time `json:"next,omitzero"`
	Expired int64     `json:"expired"`
	// Remind is when somebody is to be told that records wait; zero: never.
	Remind time.Time `json:"remind,omitzero"`
	// Manual says that the schedule still asks for approval.
	Manual bool `json:"manual"`
}

// Reminder tells that records wait for a decision (activity NotifyWaiting).
type Reminder struct {
	Schedule string    `json:"schedule"`
	Pending  int64     `json:"pending"`
	Oldest   time.Time `json:"oldest"`
}

// StagedRow is a record that waits for a decision, or was decided about.
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
	Plan      json.RawMessage `json:"plan,omitempty"`
}

// StagedList answers `staged list`: a page of rows, how many there are in all,
// and the snapshot that a decision about them names.
type StagedList struct {
	Rows     []StagedRow `json:"rows"`
	Total    int64       `json:"total"`
	Snapshot int64       `json:"snapshot"`
	Next     string      `json:"next,omitempty"`
}

// DecisionView tells how far the writing of a decision is.
type DecisionView struct {
	Receipt
	Written int64 `json:"written"`
	Failed  int64 `json:"failed"`
	Waiting int64 `json:"waiting"`
}

// AuditView answers `audit verify`.
type AuditView struct {
	Entries  int64    `json:"entries"`
	Problems []string `json:"problems"`
}

// LogLine is an entry of the decision log.
type LogLine struct {
	N     int64           `json:"n"`
	Entry json.RawMessage `json:"entry"`
	Hash  string          `json:"hash"`
}

// LogView is a page of the decision log.
type LogView struct {
	Lines []LogLine `json:"lines"`
	Next  int64     `json:"next,omitempty"`
}
