// Package store is the run store: what qbridge knows between two activities.
//
// It keeps configuration revisions, runs and their leases, enumerations and
// their pages, staged records (heads), outcomes, links from source keys to CIs,
// and resolved references. Bodies never enter workflow history; they live here.
//
//	OpenRun ─▶ StagePage ─▶ Staged ─▶ BeginPayload ─▶ Settle ─▶ FinishPage ─▶ CloseRun
//	   │           │           (a payload's intent is stored before its post)     │
//	   └ lease     └ page + records + immediate outcomes in one transaction      └ watermark, lease released
//
// The interfaces below are small and made for their consumers; Store joins
// them. Every implementation passes storetest.Run. All times are UTC.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/record"
)

// ErrNotFound is returned when a revision, run, page or record does not exist.
var ErrNotFound = errors.New("store: not found")

// ErrStaleEpoch is returned by every write of a run whose lease was taken over:
// its caller is a zombie and must stop.
var ErrStaleEpoch = errors.New("store: the lease of this run was taken over")

// Keep says for how long outcomes are kept; those of pinned runs are kept for good.
type Keep struct {
	Successes time.Duration
	Errors    time.Duration // failed and rejected
}

// LeaseHeldError says that another run holds the lease of a schedule.
type LeaseHeldError struct {
	Key        string
	WorkflowID string
	RunID      string // first run id of the holder's chain
	Epoch      int64
}

func (e *LeaseHeldError) Error() string {
	return fmt.Sprintf("store: %s is held by %s (run %s)", e.Key, e.WorkflowID, e.RunID)
}

// Store is the whole run store.
type Store interface {
	Revisions
	Runs
	Ledger
	Machines
	Certificates
	Approvals
	Links
	Drafts
	References
	Pollers
	Accounts
	Overview
	Reader
	// Ping reports whether the store answers.
	Ping(ctx context.Context) error
	Close() error
}

// Revision is one immutable configuration document.
type Revision struct {
	ID        string // "r1", "r2", … in order of storing
	Digest    string // of the document
	Document  string // YAML with secret references only
	Author    string
	CreatedAt time.Time
	Active    bool
}

// Revisions stores configuration.
type Revisions interface {
	// SaveRevision stores a document and makes it active. Storing the document
	// of the active revision again returns that revision (idempotent by digest).
	SaveRevision(ctx context.Context, document, digest, author string) (Revision, error)
	// ActiveRevision returns the active revision or ErrNotFound.
	ActiveRevision(ctx context.Context) (Revision, error)
	// Revision returns a revision by id or ErrNotFound.
	Revision(ctx context.Context, id string) (Revision, error)
	// RevisionsInUse returns the active revision and those of open runs.
	RevisionsInUse(ctx context.Context) ([]Revision, error)
}

// RunMode says how a run chooses its assets.
type RunMode string

// Modes of a run.
const (
	ModeFull        RunMode = "full"
	ModeIncremental RunMode = "incremental"
)

// OpenRun asks to open a run.
type OpenRun struct {
	ID         string // first run id of the workflow: stable over retries and continue-as-new
	WorkflowID string
	Schedule   string
	Source     string
	Target     string
	Direction  string
	Revision   string
	Full       bool // ignore the watermark (an unfinished enumeration is still resumed)
	Verify     bool // ignore digests: everything is offered to the target again
	// RulesDigest changes when rules, mappings, sections or filter change; the
	// next run of the schedule is then a full one.
	RulesDigest string
	// Overlap is subtracted from the watermark; ResumeWithin bounds the age of
	// an unfinished enumeration that may be resumed.
	Overlap      time.Duration
	ResumeWithin time.Duration
	// Aside makes the enumeration one of its own, from the beginning: it is resumed
	// by no other run, leaves an unfinished one as it is and moves no watermark.
	// Since, when set, bounds it to assets that changed after that instant.
	Aside bool
	Since time.Time
	// Sample makes the run forget what a trial before it staged.
	Sample bool
	// TakeOver, when not zero, is the epoch of a holder known to be dead.
	TakeOver int64
}

// OpenedRun is what a run needs to start.
type OpenedRun struct {
	Epoch       int64
	Enumeration int64
	Mode        RunMode
	Since       time.Time // zero for a full run
	Cursor      int64     // first cursor to fetch; 0 at the beginning
	Resumed     bool      // an unfinished enumeration is continued
	Verify      bool
	Retries     int64 // failed records of earlier runs that this run must try again
}

// CloseRun closes a run.
type CloseRun struct {
	ID     string
	Epoch  int64
	Status RunStatus
	Error  string
	// Complete is set when the enumeration reached its end; only then does the
	// watermark move.
	Complete bool
	// Abandon gives the enumeration up: the next run begins a new one.
	Abandon bool
	Calls   map[string]int64 // vendor calls by system
	Events  int64            // history events of the workflow so far
	// Forecast is what the run was expected to cost; opaque.
	Forecast string
}

// RunStatus is how a run stands.
type RunStatus string

// Statuses of a run.
const (
	RunRunning   RunStatus = "running"
	RunCompleted RunStatus = "completed"
	RunFailed    RunStatus = "failed"
	RunCancelled RunStatus = "cancelled"
	RunSkipped   RunStatus = "skipped"
)

// Run is one run as stored.
type Run struct {
	ID         string           `json:"run"`
	WorkflowID string           `json:"workflowId"`
	Schedule   string           `json:"schedule"`
	Source     string           `json:"source"`
	Target     string           `json:"target"`
	Direction  string           `json:"direction"`
	Revision   string           `json:"revision"`
	Mode       RunMode          `json:"mode"`
	Status     RunStatus        `json:"status"`
	Resumed    bool             `json:"resumed"`
	StartedAt  time.Time        `json:"startedAt"`
	EndedAt    time.Time        `json:"endedAt,omitzero"`
	Counters   record.Counters  `json:"counters"`
	Pages      int64            `json:"pages"`
	Events     int64            `json:"historyEvents"`
	Calls      map[string]int64 `json:"vendorCalls"`
	Error      string           `json:"error,omitempty"`
	Pinned     bool             `json:"pinned"`
	Forecast   string           `json:"forecast,omitempty"` // opaque
}

// Runs stores runs and leases.
type Runs interface {
	// OpenRun opens a run, idempotently by id: it takes the lease of the
	// schedule, closes runs of this schedule that died (their unfinished records
	// end as failed, "run ended", and stay adoptable), and resumes the unfinished
	// enumeration or begins a new one. It returns *LeaseHeldError when another
	// run holds the lease and TakeOver does not name its epoch.
	OpenRun(ctx context.Context, in OpenRun) (OpenedRun, error)
	// Widen makes a run that has staged nothing yet a full one that ignores
	// digests, whatever it was opened as: CIs are gone, so nothing that was
	// written before can be relied on. ErrStaleEpoch when the lease is lost.
	Widen(ctx context.Context, run string, epoch int64) (OpenedRun, error)
	// CloseRun gives unfinished records the outcome failed ("run ended"), freezes
	// the counters, moves the watermark if Complete, and releases the lease.
	// Closing twice returns the stored run.
	CloseRun(ctx context.Context, in CloseRun) (Run, error)
	// Peek tells what OpenRun would answer now, and changes nothing.
	Peek(ctx context.Context, in OpenRun) (OpenedRun, error)
	// Purge removes, in short transactions, outcomes that are older than their
	// retention, and gives space back to the file system. One call removes a
	// bounded number, so that the first one after a long rest does not take all
	// night. It returns how many it removed.
	Purge(ctx context.Context, keep Keep) (int64, error)
	// Pin keeps the outcomes of a run for good, or lets them go. ErrNotFound.
	Pin(ctx context.Context, run string, pinned bool) error
}

// Staging is one record of a page on its way into the store.
type Staging struct {
	Key           string
	Kind          record.Kind
	Class         string
	PayloadDigest string
	Body          []byte // opaque, compressed by the caller
	// Outcome, when set, is final at once (skipped, filtered, failed); the record
	// is not staged for writing. A record staged as failed keeps no written digest.
	Outcome record.Outcome
	Reason  string
	// RefreshBefore: an unchanged record last written before this instant is
	// staged again, so that last-discovered stays fresh.
	RefreshBefore time.Time
}

// StagePage stages one page in one transaction.
type StagePage struct {
	Run         string
	Epoch       int64
	Enumeration int64
	CursorIn    int64
	CursorOut   int64
	Last        bool
	ServerDate  time.Time // Date header of the answer; the first page's becomes the next watermark
	Verify      bool      // ignore digests
	// Hold says that nothing is written before a person decides: a record that
	// waits or was decided about keeps its state until its payload changes.
	Hold    bool
	Records []Staging
}

// Page is a stored page.
type Page struct {
	ID        int64
	CursorIn  int64
	CursorOut int64
	Last      bool
	Count     int64 // records on the page
	ToWrite   int64 // records still waiting for their writer
	Counters  record.Counters
}

// Record is a staged record (the head of its key).
type Record struct {
	Schedule      string
	Target        string
	Kind          record.Kind
	Key           string
	Version       int64
	State         record.State
	Outcome       record.Outcome
	Reason        string
	Class         string
	PayloadDigest string
	WrittenDigest string
	Body          []byte
	Prior         []byte // what is in the target, where that is more or other than what is staged; nil: nothing is known
	Answer        string // JSON of what the target answered
	Intent        string // payload digest of a post that was never answered; empty: none
	Run           string
	Page          int64
	StagedAt      time.Time
	WrittenAt     time.Time
}

// Settlement is the outcome of one record.
type Settlement struct {
	Key     string
	Outcome record.Outcome
	Reason  string
	Class   string // class of the CI as the target answered
	Answer  string // JSON
	Link    *Link  // set when the target named the CI
	// Digest is the payload digest now known to be in the target; empty when the
	// write failed, so that the record is written again.
	Digest string
	// Prior is the body to remember as written where that is more than the body
	// that was staged; nil: it is that one.
	Prior []byte
	// Fresh marks a call that really touched the target (written-at moves).
	Fresh bool
}

// Writer is who writes a page: an attempt of a run.
type Writer struct {
	Run     string
	Epoch   int64
	Page    int64
	Attempt int64 // rises with each attempt within a run; 0 is not checked
}

// Ledger stores pages, records and outcomes of a run.
type Ledger interface {
	// FindPage returns the page of an enumeration that starts at a cursor and
	// adopts it for the run: records without an outcome in this run are staged
	// again. ErrNotFound when it was never fetched.
	FindPage(ctx context.Context, run string, epoch, enumeration, cursorIn int64) (Page, error)
	// StagePage stores a page. A key already settled by this run keeps its first
	// outcome. Storing the same page twice returns the stored one.
	StagePage(ctx context.Context, in StagePage) (Page, error)
	// ClaimFailed moves up to limit failed records of earlier runs into a page of
	// this run. It returns ErrNotFound when there are none left.
	ClaimFailed(ctx context.Context, run string, epoch int64, limit int) (Page, error)
	// TakePage makes its caller the writer of a page: what an earlier attempt
	// still announces or settles is refused from now on. Attempts of a run are
	// numbered in the order in which they began; one that comes after a later one
	// gets ErrStaleEpoch.
	TakePage(ctx context.Context, w Writer) error
	// Staged returns the records of a page that still wait for their writer,
	// ordered by key, with bodies.
	Staged(ctx context.Context, run string, page int64) ([]Record, error)
	// BeginPayload stores, before a post, that these records are about to be
	// written: after a crash or a lost answer the writer, of this run or another,
	// knows that they may be in the target. Where an earlier intent was never
	// answered, the digest written before it is forgotten. It fails with
	// ErrStaleEpoch for a zombie.
	//
	// It returns the payload digests of posts that were never answered, by key:
	// those records may be in the target already.
	BeginPayload(ctx context.Context, w Writer, keys []string) (map[string]string, error)
	// Settle stores the outcomes of records and removes their intents in one
	// transaction. The first outcome of a key stands, and keys that this run did
	// not fetch are passed over.
	Settle(ctx context.Context, w Writer, out []Settlement) error
	// FinishPage marks the page written. It fails while records of it wait.
	FinishPage(ctx context.Context, run string, epoch, page int64) (record.Counters, error)
	// Progress returns the counters of a run so far, from its outcomes.
	Progress(ctx context.Context, run string) (record.Counters, error)
}

// Machine is what one asset says about the machine that it describes.
type Machine struct {
	asset.Identity
	// Tracking is how Qualys recognises the asset: by agent, address, name …
	Tracking string
	// Generation counts how often the id came to describe another machine. It is
	// set by the store.
	Generation int64
}

// MachineKeep is how long an asset that is not seen any more still stands for
// its machine.
const MachineKeep = 30 * 24 * time.Hour

// Machines remembers which assets describe one machine.
type Machines interface {
	// Identify stores what the assets of a page say about their machines, and
	// returns them with their generations, and the other assets of the source that
	// have a cloud id, hardware UUID, serial number or name with one of them in
	// common. An id whose machine changed (asset.KeyMoved) enters its next
	// generation. Of the others only those count that this enumeration or a
	// complete one has seen within MachineKeep, so that a page that is fetched
	// again finds what it found before.
	Identify(ctx context.Context, source string, enumeration int64, page []Machine) (known, others []Machine, err error)
	// Generation returns the generation of an asset, 0 when it is not known.
	Generation(ctx context.Context, source string, id int64) (int64, error)
	// Generations returns the generations of assets; those that are 0 or not known
	// are absent.
	Generations(ctx context.Context, source string, ids []int64) (map[int64]int64, error)
}

// Drafts keep what a run reads before it can plan anything, in numbered parts: it
// is too much for a history, and no record of its own. They go when the run closes.
type Drafts interface {
	// PutDraft stores a part; storing it again replaces it. ErrStaleEpoch when the
	// lease is lost.
	PutDraft(ctx context.Context, run string, epoch int64, name string, part int64, body []byte) error
	// Draft returns a part, or ErrNotFound.
	Draft(ctx context.Context, run, name string, part int64) ([]byte, error)
}

// Link ties a source key to a CI of a target. It belongs to no schedule.
type Link struct {
	Target string
	Key    string
	SysID  string
	Class  string
	Origin record.Origin
}

// Links stores what is known about the target's CIs.
type Links interface {
	// LinksOf returns the links of the given keys; missing keys are absent.
	LinksOf(ctx context.Context, target string, keys []string) (map[string]Link, error)
	// PutLinks stores links as if one after the other; an existing link keeps its
	// origin unless the sys_id changes.
	PutLinks(ctx context.Context, links []Link) error
	// DropLinks forgets links whose CI is gone, and the written digests of
	// records with these keys, so that they are written again. A link to a CI
	// that we created is kept: rows may only be hidden from us, and what IRE
	// inserts anew replaces it.
	DropLinks(ctx context.Context, target string, keys []string) error
	// SampleLinks returns up to n links of records of a schedule, spread evenly.
	SampleLinks(ctx context.Context, schedule string, n int) ([]Link, error)
}

// Reference is a resolved (or known missing) reference row.
type Reference struct {
	Table, Name, SysID string
	Missing            bool
	ResolvedAt         time.Time
}

// References caches resolved references per target.
type References interface {
	CachedReferences(ctx context.Context, target, table string, names []string) (map[string]Reference, error)
	PutReferences(ctx context.Context, target string, refs []Reference) error
}

// Pollers makes one process at a time poll a connection's queue.
type Pollers interface {
	// AcquirePoller takes or renews the queue for owner until now+ttl. It reports
	// whether owner polls the queue now.
	AcquirePoller(ctx context.Context, queue, owner string, ttl time.Duration) (bool, error)
	ReleasePoller(ctx context.Context, queue, owner string) error
	// Polled reports whether some process polls the queue now.
	Polled(ctx context.Context, queue string) (bool, error)
}

// RunFilter selects runs; zero fields do not filter. Newest first.
type RunFilter struct {
	Schedule, Source string
	Status           RunStatus
	Outcome          record.Outcome // runs that have at least one record with it
	Since, Until     time.Time      // of the start
	Limit            int            // default 50
}

// OutcomeRow is one record's outcome in a run.
type OutcomeRow struct {
	Run     string         `json:"run"`
	Key     string         `json:"key"`
	Kind    record.Kind    `json:"kind"`
	Outcome record.Outcome `json:"outcome"`
	Reason  string         `json:"reason,omitempty"`
	Class   string         `json:"class,omitempty"`
	At      time.Time      `json:"at"`
}

// OutcomeFilter selects outcomes of a run, ordered by key, after a key.
type OutcomeFilter struct {
	Run     string
	Outcome record.Outcome
	After   string
	Limit   int // default 100
}

// Reader answers the read API.
type Reader interface {
	RunByID(ctx context.Context, id string) (Run, error) // by run id or workflow id (newest)
	ListRuns(ctx context.Context, f RunFilter) ([]Run, error)
	ListOutcomes(ctx context.Context, f OutcomeFilter) ([]OutcomeRow, error)
	// Known counts the records of a schedule that were written to a target.
	Known(ctx context.Context, schedule, target string) (int64, error)
	// Classes counts the records of a run by class, for outcomes that have a CI
	// (created, updated, unchanged).
	Classes(ctx context.Context, run string) (map[string]int64, error)
	// Reasons counts the records of a run by (outcome, reason), largest first.
	Reasons(ctx context.Context, run string, o record.Outcome) (map[string]int64, error)
	// Records returns the heads of a key over all schedules, with bodies.
	Records(ctx context.Context, kind record.Kind, key string) ([]Record, error)
	// Snapshot returns the heads of a kind in a schedule, ordered by key, with
	// bodies, after a key.
	Snapshot(ctx context.Context, schedule, target string, kind record.Kind, after string, limit int) ([]Record, error)
	// History returns the outcomes of a key over all runs, newest first.
	History(ctx context.Context, key string, limit int) ([]OutcomeRow, error)
}
