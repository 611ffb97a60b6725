package contract

import (
	"time"

	"github.com/qbridge/qbridge/domain/budget"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/timing"
)

// QueryStatus is the query of a run that answers RunStatus.
const QueryStatus = "status"

// RunStatus is the live view of a run.
type RunStatus struct {
	Run       string          `json:"run"`
	Stage     string          `json:"stage"` // opening | retrying | syncing | closing | done
	Mode      string          `json:"mode"`
	Counters  record.Counters `json:"counters"`
	Total     int64           `json:"total"` // 0 when unknown
	Pages     int64           `json:"pages"`
	StartedAt time.Time       `json:"startedAt"`
	Waiting   string          `json:"waiting,omitempty"` // what the run waits for
}

// The worker's read API, below /api/v1. Errors are {"error": "...", "remedy": "..."}.
const (
	PathRuns    = "/api/v1/runs"   // GET ?schedule=&source=&status=&outcome=&since=&until=&limit= → RunList; /{id} → RunView; /{id}/outcomes?outcome=&after=&limit= → OutcomeList
	PathAssets  = "/api/v1/assets" // GET /{id}?source= → AssetList; /{id}/explain?source= → ExplainList
	PathConfig  = "/api/v1/config" // GET → ConfigView
	PathInputs  = "/api/v1/inputs" // GET ?schedule=&after= → InputsPage
	PathStaged  = "/api/v1/staged" // GET ?schedule=&state=&filter=&id=&after=&limit=&plans= → StagedList; /decisions?schedule=&id= → DecisionView
	PathAudit   = "/api/v1/audit"  // GET /verify → AuditView; /log?schedule=&after= → LogView
	PathVersion = "/api/v1/version"

	PathCertificates = "/api/v1/certificates" // GET ?schedule=&until=&after=&limit= → CertificateList
)

// RunView is one run.
type RunView struct {
	Run        string           `json:"run"`
	WorkflowID string           `json:"workflowId"`
	Schedule   string           `json:"schedule"`
	Source     string           `json:"source"`
	Target     string           `json:"target"`
	Revision   string           `json:"revision"`
	Mode       string           `json:"mode"`
	Status     string           `json:"status"`
	Resumed    bool             `json:"resumed,omitempty"`
	StartedAt  time.Time        `json:"startedAt"`
	EndedAt    time.Time        `json:"endedAt,omitzero"`
	Counters   record.Counters  `json:"counters"`
	Pages      int64            `json:"pages"`
	Events     int64            `json:"historyEvents"`
	Calls      map[string]int64 `json:"vendorCalls"`
	Error      string           `json:"error,omitempty"`
	Pinned     bool             `json:"pinned,omitempty"`
	Forecast   *budget.Forecast `json:"forecast,omitempty"`
	Classes    map[string]int64 `json:"classes,omitempty"` // only for one run
	Reasons    []ReasonCount    `json:"reasons,omitempty"` // only for one run
	// Stages says what the time of one run went to, in seconds of all lanes, and
	// Bottleneck which stage took most, and what helps.
	Stages     timing.Seconds `json:"stageSeconds,omitempty"`
	Bottleneck string         `json:"bottleneck,omitempty"`
}

// ReasonCount counts the records of a run that share an outcome and reason.
type ReasonCount struct {
	Outcome record.Outcome `json:"outcome"`
	Reason  string         `json:"reason"`
	Count   int64          `json:"count"`
}

// RunList is a list of runs, newest first.
type RunList struct {
	Runs []RunView `json:"runs"`
}

// OutcomeView is one record's outcome in a run.
type OutcomeView struct {
	Run     string         `json:"run"`
	Key     string         `json:"key"`
	Outcome record.Outcome `json:"outcome"`
	Reason  string         `json:"reason,omitempty"`
	Class   string         `json:"class,omitempty"`
	At      time.Time      `json:"at"`
}

// OutcomeList is a page of outcomes; Next is the key to ask after, or empty.
type OutcomeList struct {
	Outcomes []OutcomeView `json:"outcomes"`
	Next     string        `json:"next,omitempty"`
}

// AssetView is what qbridge knows of one asset in one schedule.
type AssetView struct {
	Key       string         `json:"key"`
	Schedule  string         `json:"schedule"`
	Target    string         `json:"target"`
	Name      string         `json:"name"`
	Class     string         `json:"class"`
	State     record.State   `json:"state"`
	Outcome   record.Outcome `json:"outcome"`
	Reason    string         `json:"reason,omitempty"`
	SysID     string         `json:"sysId,omitempty"`
	Origin    record.Origin  `json:"origin,omitempty"`
	Version   int64          `json:"version"`
	StagedAt  time.Time      `json:"stagedAt"`
	WrittenAt time.Time      `json:"writtenAt,omitzero"`
	Parts     *record.Parts  `json:"parts,omitempty"`
	// Revision, Rule, Run and Page tell where what is staged comes from.
	Revision  string         `json:"revision,omitempty"`
	Rule      string         `json:"rule,omitempty"`
	Run       string         `json:"run,omitempty"`
	Page      int64          `json:"page,omitempty"`
	History   []OutcomeView  `json:"history,omitempty"`   // newest first
	Decisions []DecisionLine `json:"decisions,omitempty"` // newest first
}

// DecisionLine is a decision about a record and what became of it.
type DecisionLine struct {
	Decision string         `json:"decision"`
	At       time.Time      `json:"at"`
	Verdict  string         `json:"verdict"`
	By       string         `json:"by"`
	Reason   string         `json:"reason,omitempty"`
	Version  int64          `json:"version"` // of the record, as it was shown
	Outcome  record.Outcome `json:"outcome,omitempty"`
	Run      string         `json:"run,omitempty"`
}

// AssetList answers for one asset id: one entry per source and schedule.
type AssetList struct {
	Assets []AssetView `json:"assets"`
}

// InputsPage is what the rules see of the assets that a schedule saw last, page by
// page, with the class that they have.
type InputsPage struct {
	Assets []InputsView `json:"assets"`
	Next   string       `json:"next,omitempty"`
}

// InputsView is what the rules see of one asset.
type InputsView struct {
	Key    string          `json:"key"`
	Class  string          `json:"class,omitempty"`
	Inputs classify.Inputs `json:"inputs"`
}

// ConfigView is the active revision.
type ConfigView struct {
	Revision  string    `json:"revision"`
	Author    string    `json:"author,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	Document  string    `json:"document"`
}

// VersionView is the version of a binary.
type VersionView struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

// ErrorView is the body of every error of the read API.
type ErrorView struct {
	Error  string `json:"error"`
	Remedy string `json:"remedy,omitempty"`
}
