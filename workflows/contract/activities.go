package contract

import (
	"time"

	"github.com/qbridge/qbridge/domain/budget"
	"github.com/qbridge/qbridge/domain/record"
)

// OpenRunInput opens a run (activity LedgerOpenRun).
type OpenRunInput struct {
	Run        string    `json:"run"`
	WorkflowID string    `json:"workflowId"`
	Schedule   string    `json:"schedule"`
	Revision   string    `json:"revision,omitempty"`
	Full       bool      `json:"full,omitempty"`
	Verify     bool      `json:"verify,omitempty"`
	Sample     int       `json:"sample,omitempty"`
	Since      time.Time `json:"since,omitzero"`
	// Workflow is the type of the workflow; a schedule that has another is refused.
	Workflow string `json:"workflow,omitempty"`
}

// CheckLinksInput reads a sample of linked CIs (activity ServiceNowCheckLinks).
type CheckLinksInput struct {
	Plan RunPlan `json:"plan"`
}

// CheckLinksResult says whether the target still is what the store remembers.
type CheckLinksResult struct {
	Sampled int   `json:"sampled"`
	Missing int   `json:"missing"`
	Calls   int64 `json:"calls"`
	// Plan, when set, is the plan to go on with: CIs are gone, so the run reads
	// everything and ignores digests.
	Plan *RunPlan `json:"plan,omitempty"`
}

// PreflightRunInput tests a connection of a run (activities QualysPreflight and
// ServiceNowPreflight).
type PreflightRunInput struct {
	Plan RunPlan `json:"plan"`
}

// CountInput counts the assets of a run (activity QualysCount).
type CountInput struct {
	Plan RunPlan `json:"plan"`
}

// CountResult is the number of assets that match.
type CountResult struct {
	Total    int64            `json:"total"`
	Calls    int64            `json:"calls"`
	Forecast *budget.Forecast `json:"forecast,omitempty"`
}

// FetchPageInput fetches one page (activity QualysFetchPage).
type FetchPageInput struct {
	Plan   RunPlan `json:"plan"`
	Cursor int64   `json:"cursor"`
	Spent  int64   `json:"spent,omitempty"` // calls to Qualys so far
}

// WritePageInput writes one staged page (activity ServiceNowWritePage).
type WritePageInput struct {
	Plan RunPlan `json:"plan"`
	Page int64   `json:"page"`
}

// WritePageResult counts the outcomes of the whole page; they are in the store.
type WritePageResult struct {
	Counters record.Counters `json:"counters"`
	Calls    int64           `json:"calls"`
}

// ReadCIsInput reads the CIs of a schedule to Qualys (activity ServiceNowReadCIs).
type ReadCIsInput struct {
	Plan RunPlan `json:"plan"`
}

// ReadCIsResult counts what was read; it is in the store.
type ReadCIsResult struct {
	CIs   int64 `json:"cis"`
	Calls int64 `json:"calls"`
}

// StageExportInput plans what Qualys lacks (activity QualysStageExport).
type StageExportInput struct {
	Plan  RunPlan `json:"plan"`
	Spent int64   `json:"spent,omitempty"` // calls to Qualys so far
}

// StageExportResult says what was staged.
type StageExportResult struct {
	// Pages are those with records to write, Counters count the records of all
	// pages that have an outcome already.
	Pages    []int64         `json:"pages"`
	Counters record.Counters `json:"counters"`
	Calls    int64           `json:"calls"`
	// Asks says that records wait for a person although the schedule writes without
	// one: its ceiling was reached.
	Asks bool `json:"asks,omitempty"`
	// Stopped, when set, says why nothing was planned: the run ends here.
	Stopped string `json:"stopped,omitempty"`
}

// ClaimFailedInput claims failed records of earlier runs (activity LedgerClaimFailed).
type ClaimFailedInput struct {
	Plan RunPlan `json:"plan"`
}

// CloseRunInput closes a run (activity LedgerCloseRun).
type CloseRunInput struct {
	Plan     RunPlan `json:"plan"`
	Status   string  `json:"status"`
	Error    string  `json:"error,omitempty"`
	Complete bool    `json:"complete"`
	// Incomplete says why the enumeration, though it came to its end, is not all
	// that there is; the next run begins it anew.
	Incomplete string `json:"incomplete,omitempty"`
	// Stopped says why the run ended before its enumeration; the next one goes on.
	Stopped string           `json:"stopped,omitempty"`
	Calls   map[string]int64 `json:"calls"`
	Events  int64            `json:"events"`
}

// CheckQueueInput asks whether anybody polls a queue (activity ConfigCheckQueue).
type CheckQueueInput struct {
	Queue string `json:"queue"`
}

// ForecastInput asks what the next run of a schedule would cost (workflow Forecast).
type ForecastInput struct {
	Schedule string `json:"schedule"`
	Revision string `json:"revision,omitempty"` // empty: the active one
	Full     bool   `json:"full,omitempty"`
}

// ForecastResult is the answer, and what `run forecast -o json` prints.
type ForecastResult struct {
	Schedule string           `json:"schedule"`
	Mode     string           `json:"mode"`
	Since    time.Time        `json:"since,omitzero"`
	Resumed  bool             `json:"resumed,omitempty"` // it would go on where a run ended
	Forecast *budget.Forecast `json:"forecast"`
}

// PinInput keeps the outcomes of a run for good, or lets them go (workflow PinRun).
type PinInput struct {
	Run    string `json:"run"`
	Pinned bool   `json:"pinned"`
}

// AdoptInput takes over the CIs that another connector made of Qualys assets
// (workflow Adopt). Sources are its names in sys_object_source; Pattern finds the
// asset id in its native keys, as the first group of a regular expression.
type AdoptInput struct {
	Schedule string   `json:"schedule"`
	Sources  []string `json:"sources"`
	Pattern  string   `json:"pattern,omitempty"` // default AdoptPattern
	Apply    bool     `json:"apply,omitempty"`   // else only the plan
}

// AdoptPattern takes the last number of a native key for the asset id. The form of
// other connectors' keys is not published.
const AdoptPattern = `(?:^|[/:|_-])([0-9]{4,})$`

// AdoptResult is the plan, or what was done.
type AdoptResult struct {
	Schedule   string        `json:"schedule"`
	Rows       int64         `json:"rows"`       // of sys_object_source
	Adopted    int64         `json:"adopted"`    // links that are, or would be, made
	Known      int64         `json:"known"`      // assets that have a link already
	Ambiguous  int64         `json:"ambiguous"`  // assets with several CIs: left alone
	Unreadable int64         `json:"unreadable"` // native keys without an asset id
	Applied    bool          `json:"applied"`
	Examples   []AdoptedLink `json:"examples"` // the first ones
}

// AdoptedLink says which CI an asset gets.
type AdoptedLink struct {
	Key   string `json:"key"`
	SysID string `json:"sysId"`
	Class string `json:"class"`
	Why   string `json:"why,omitempty"` // why it is left alone
}
