// Package contract is what the worker, the starter and every `temporal` command
// line agree on: workflow names and ids, task queues, search attributes, message
// names, and every input, result and message struct.
//
// Fields are only ever added: a struct here may sit in a history that a newer
// worker replays.
package contract

import (
	"time"

	"github.com/qbridge/qbridge/domain/budget"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/timing"
)

// Version is the release that this tree becomes.
const Version = "0.1.0"

// Workflow types, registered under these names.
const (
	SyncInventory  = "SyncInventory"
	ExportAssets   = "ExportAssets"
	ExportMetadata = "ExportMetadata"
	ApplyTags      = "ApplyTags"
	ApplyConfig    = "ApplyConfig"
	Preflight      = "Preflight"
	Forecast       = "Forecast"
	PinRun         = "PinRun"
	Adopt          = "Adopt"
	// SyncCertificates takes and returns what SyncInventory does.
	SyncCertificates = "SyncCertificates"
)

// Update and query names.
const (
	UpdateApply = "apply"
)

// RunInput starts a run of a schedule. Only Schedule is required, so that
//
//	temporal workflow start --type SyncInventory --task-queue qbridge --workflow-id sync/servers --input '{"schedule":"servers"}'
//
// works. The remaining fields carry a run over continue-as-new.
type RunInput struct {
	Schedule string `json:"schedule"`
	Revision string `json:"revision,omitempty"` // empty: the active one
	Full     bool   `json:"full,omitempty"`
	Verify   bool   `json:"verify,omitempty"`
	// Sample, when not 0, is how many assets a trial run takes. It shows what
	// writing them would do and writes nothing. A run with a sample or with Since
	// goes aside: it moves no watermark and resumes nothing.
	Sample int `json:"sample,omitempty"`
	// Since bounds a run to assets that changed after an instant.
	Since time.Time `json:"since,omitzero"`

	// Continued is set by continue-as-new and never by a caller.
	Continued *RunProgress `json:"continued,omitempty"`
}

// RunProgress is the state of a run that survives continue-as-new.
type RunProgress struct {
	Plan     RunPlan         `json:"plan"`
	Cursor   int64           `json:"cursor"`
	Counters record.Counters `json:"counters"`
	Pages    int64           `json:"pages"`
	Events   int64           `json:"events"` // history events of the earlier runs of the chain
	// Calls counts vendor calls by system.
	QualysCalls     int64 `json:"qualysCalls"`
	ServiceNowCalls int64 `json:"serviceNowCalls"`
	PreflightCalls  int64 `json:"preflightCalls,omitempty"` // to both, before the run began
	// Enumerated counts the assets of the pages; Incomplete says why they are
	// not all that Qualys has.
	Enumerated int64  `json:"enumerated,omitempty"`
	Incomplete string `json:"incomplete,omitempty"`
	// Stopped says why the run ends before its enumeration.
	Stopped string `json:"stopped,omitempty"`
	// Metadata is how far a run that writes business metadata is.
	Metadata *MetadataProgress `json:"metadata,omitempty"`
}

// RunPlan is what the first activity of a run fixed.
type RunPlan struct {
	Run         string    `json:"run"`
	Schedule    string    `json:"schedule"`
	Source      string    `json:"source"`
	Target      string    `json:"target"`
	Revision    string    `json:"revision"`
	Mode        string    `json:"mode"`
	Since       time.Time `json:"since,omitzero"`
	Cursor      int64     `json:"cursor"`
	Enumeration int64     `json:"enumeration"`
	Epoch       int64     `json:"epoch"`
	Resumed     bool      `json:"resumed"`
	Verify      bool      `json:"verify"`
	Retries     int64     `json:"retries"`
	Total       int64     `json:"total"` // assets that match, for progress; 0 when unknown
	StartedAt   time.Time `json:"startedAt"`
	// SkippedFor names the living holder of the lease; the run then completes as
	// skipped.
	SkippedFor string `json:"skippedFor,omitempty"`
	// CheckTotal says that the pages are compared with the count: the run reads
	// the enumeration from its beginning.
	CheckTotal bool `json:"checkTotal,omitempty"`
	// Preflight says that the run is the first of its revision, or follows a
	// failed one: it tests both connections before it begins.
	Preflight bool `json:"preflight,omitempty"`
	// Approval says that nothing is written before a person decides.
	Approval bool `json:"approval,omitempty"`
	// FailureRatio is the share of failed records from which a run fails.
	FailureRatio float64 `json:"failureRatio"`
	// Attributes says that the namespace knows our search attributes.
	Attributes bool `json:"attributes"`
	// Sample and Aside are those of RunInput.
	Sample int64 `json:"sample,omitempty"`
	Aside  bool  `json:"aside,omitempty"`
	// Linked says that the schedule wrote CIs before, so that a sample is read back.
	Linked bool `json:"linked"`
	// Forecast is what the run was expected to cost when it began.
	Forecast *budget.Forecast `json:"forecast,omitempty"`
	// Kind is the kind of a schedule that writes to Qualys; Source is then an
	// instance and Target a subscription.
	Kind string `json:"kind,omitempty"`
}

// Qualys returns the name of the run's Qualys connection.
func (p *RunPlan) Qualys() string {
	if p.Kind != "" {
		return p.Target
	}
	return p.Source
}

// ServiceNow returns the name of the run's instance.
func (p *RunPlan) ServiceNow() string {
	if p.Kind != "" {
		return p.Source
	}
	return p.Target
}

// OfPage is the plan without what the activities of a page have no use for: each of
// them brings it into the history again.
func (p RunPlan) OfPage() RunPlan {
	p.Forecast, p.Total = nil, 0
	return p
}

// RunResult is the result of a run and the document behind `run show -o json`.
type RunResult struct {
	Run     string `json:"run"`
	Status  string `json:"status"`  // completed | failed | cancelled | skipped
	Outcome string `json:"outcome"` // ok | partial | incomplete | skipped: <holder> is running | …
	record.Counters
	Classes         map[string]int64 `json:"classes"`
	DurationSeconds float64          `json:"durationSeconds"`
	Pages           int64            `json:"pages"`
	HistoryEvents   int64            `json:"historyEvents"`
	VendorCalls     map[string]int64 `json:"vendorCalls"`
	Warning         string           `json:"warning,omitempty"` // why the outcome is incomplete
	// Certificates counts what expires, in the result of SyncCertificates.
	Certificates *Expiring        `json:"certificates,omitempty"`
	Forecast     *budget.Forecast `json:"forecast,omitempty"`
	// Stages and Bottleneck are those of RunView, up to the end of the run.
	Stages     timing.Seconds `json:"stageSeconds,omitempty"`
	Bottleneck string         `json:"bottleneck,omitempty"`
}

// MetadataProgress is how far a run that writes business metadata is. What it read
// is in the store, in numbered parts.
type MetadataProgress struct {
	CIs          int64       `json:"cis"`    // parts
	Assets       int64       `json:"assets"` // parts
	Applications int64       `json:"applications"`
	Cursor       int64       `json:"cursor"`          // of the next page of assets
	Total        int64       `json:"total,omitempty"` // assets that Qualys counted before the first page
	Read         bool        `json:"read"`            // all of it
	Planned      []string    `json:"planned,omitempty"`
	Pages        []StagedRef `json:"pages,omitempty"` // planned and not written yet
}

// StagedRef is a page of staged records that waits for its writer.
type StagedRef struct {
	Page    int64 `json:"page"`
	ToWrite int64 `json:"toWrite"`
}

// ReadMetadataInput reads what a run needs of the CMDB (activities
// ServiceNowReadOwners and ServiceNowReadApplications) or a page of the inventory
// (QualysReadMetadata).
type ReadMetadataInput struct {
	Plan   RunPlan `json:"plan"`
	Cursor int64   `json:"cursor,omitempty"`
	Part   int64   `json:"part,omitempty"`
	Spent  int64   `json:"spent,omitempty"` // calls to Qualys so far
	// Total is how many assets Qualys counted, and Seen how many came before this page.
	Total int64 `json:"total,omitempty"`
	Seen  int64 `json:"seen,omitempty"`
}

// ReadMetadataResult tells what was read into the store.
type ReadMetadataResult struct {
	Parts int64 `json:"parts"`
	Count int64 `json:"count"`
	Calls int64 `json:"calls"`
	Next  int64 `json:"next,omitempty"`
	Last  bool  `json:"last,omitempty"`
	// Stopped, when set, says why nothing was read: the run ends here.
	Stopped string `json:"stopped,omitempty"`
	// Total is how many assets Qualys counts, Seen how many the page has, those that
	// cannot be read included. Incomplete says why the pages are not all assets.
	Total      int64  `json:"total,omitempty"`
	Seen       int64  `json:"seen,omitempty"`
	Incomplete string `json:"incomplete,omitempty"`
}

// PlanMetadataInput compares what was read and stages what is to be written
// (activity MetadataPlan). What is a kind of records.
type PlanMetadataInput struct {
	Plan     RunPlan          `json:"plan"`
	What     string           `json:"what"`
	Progress MetadataProgress `json:"progress"`
}

// PlanMetadataResult are the pages that have something to write, and the outcomes
// that planning gave on all the others.
type PlanMetadataResult struct {
	Pages    []StagedRef     `json:"pages"`
	Counters record.Counters `json:"counters"`
}

// PageRef is what FetchPage returns: a page in the store, never its body.
type PageRef struct {
	Page     int64           `json:"page"`
	Count    int64           `json:"count"`
	ToWrite  int64           `json:"toWrite"`
	Next     int64           `json:"next"`
	Last     bool            `json:"last"`
	Adopted  bool            `json:"adopted,omitempty"` // found in the store, no Qualys call
	Calls    int64           `json:"calls"`
	Counters record.Counters `json:"counters"` // outcomes given while staging
	// Stopped, when set, says why nothing was fetched: the run ends here, and the
	// next one goes on.
	Stopped string `json:"stopped,omitempty"`
}

// ApplyInput applies a configuration document.
type ApplyInput struct {
	Document string `json:"document"` // YAML
	Author   string `json:"author,omitempty"`
	// SkipChecks stores the revision without testing its connections.
	SkipChecks bool `json:"skipChecks,omitempty"`
}

// ApplyResult tells what an apply did. Problems is empty when the revision is
// active.
type ApplyResult struct {
	Revision string    `json:"revision,omitempty"`
	Changed  bool      `json:"changed"`
	Problems []Problem `json:"problems,omitempty"`
	Checks   []Check   `json:"checks,omitempty"`
}

// Problem is one thing that keeps a document from being applied.
type Problem struct {
	Place   string `json:"place"` // "qualys[0].auth.password" or "line 12"
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

// PreflightInput tests all connections of a configuration without storing it.
type PreflightInput struct {
	Document string `json:"document,omitempty"` // YAML; empty: the active revision
}

// PreflightResult is a test of connections. Problems are mistakes of the document.
type PreflightResult struct {
	Revision string    `json:"revision,omitempty"`
	Problems []Problem `json:"problems,omitempty"`
	Checks   []Check   `json:"checks"`
	Calls    int64     `json:"calls"`
}

// Check is one line of a connection test.
type Check struct {
	Connection string `json:"connection"`
	Capability string `json:"capability"`
	OK         bool   `json:"ok"`
	// Warning marks a line that is not OK and yet stops nothing: only some
	// assets suffer, or nothing can be known.
	Warning bool `json:"warning,omitempty"`
	// Unknown marks a warning about what the account may not read: Remedy names the
	// missing right.
	Unknown bool `json:"unknown,omitempty"`
	// Unused marks a warning about something that no feature in use needs.
	Unused bool `json:"unused,omitempty"`
	// Transient marks a failure that may pass by itself.
	Transient bool   `json:"transient,omitempty"`
	Message   string `json:"message"`
	// Blocks is what does not work without the capability.
	Blocks string `json:"blocks,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Status is a line's state in a word: ok, warning, unknown, not used or failed.
func (c *Check) Status() string {
	switch {
	case c.OK:
		return "ok"
	case c.Unknown:
		return "unknown"
	case c.Unused:
		return "not used"
	case c.Warning:
		return "warning"
	}
	return "failed"
}

// Failed reports whether a line stops what depends on the connection.
func (c *Check) Failed() bool { return !c.OK && !c.Warning }
