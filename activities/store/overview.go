package store

import (
	"context"
	"time"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/timing"
)

// HeadRow is a head without its body.
type HeadRow struct {
	Schedule, Target string
	Kind             record.Kind
	Key              string
	Name             string // of the asset, where it is known
	Version          int64
	State            record.State
	Outcome          record.Outcome
	Reason, Class    string
	Run              string
	StagedAt         time.Time
	WrittenAt        time.Time
}

// HeadFilter selects heads of a schedule; other zero fields do not filter.
type HeadFilter struct {
	Schedule      string
	State         record.State
	Outcome       record.Outcome
	Class, Reason string
	// WrittenBefore selects heads that are in the target and were written last
	// before an instant.
	WrittenBefore time.Time
	After         string // what HeadPage.Next said
	Limit         int    // default 100
}

// HeadPage is a page of heads. A page may hold fewer heads than were asked for, or
// none, although there are more: a page looks at a bounded number of them. Next is
// empty at the end.
type HeadPage struct {
	Heads []HeadRow
	Next  string
}

// HeadCount counts heads that have these in common.
type HeadCount struct {
	Schedule, Target string
	Kind             record.Kind
	State            record.State
	Outcome          record.Outcome
	Class            string
	Heads            int64
}

// DaySum sums up the runs of a schedule that began on a day (UTC).
type DaySum struct {
	Day      time.Time
	Schedule string
	Runs     map[RunStatus]int64
	record.Counters
	Calls map[string]int64
}

// Failure counts failed records that share a reason.
type Failure struct {
	Schedule string
	Reason   string
	Records  int64
	Since    time.Time // the oldest of them was staged
}

// Overview answers what is asked about all records: for people who look, not for
// runs. Answers are bounded however many records there are, but for CountHeads.
type Overview interface {
	// ListHeads returns heads in the order of target, kind and key.
	ListHeads(ctx context.Context, f HeadFilter) (HeadPage, error)
	// FindHeads returns up to limit heads of what somebody looks for: a key, an asset
	// id of one of some sources, the beginning of a name, a serial number, a UUID, a
	// cloud id.
	FindHeads(ctx context.Context, sources []string, text string, limit int) ([]HeadRow, error)
	// Names returns the names of assets, by key; unknown ones are absent.
	Names(ctx context.Context, keys []string) (map[string]string, error)
	// CountHeads counts all heads. It reads them all: a million take seconds.
	CountHeads(ctx context.Context) ([]HeadCount, error)
	// SumRuns sums up the runs that began in a span, by day and schedule; an empty
	// schedule means all.
	SumRuns(ctx context.Context, schedule string, since, until time.Time) ([]DaySum, error)
	// Failures counts failed records by reason, most frequent first. Only the first
	// 100,000 of a schedule are looked at.
	Failures(ctx context.Context, schedule string) ([]Failure, error)
	// LastComplete returns when the newest run of each schedule that completed and
	// was no trial began.
	LastComplete(ctx context.Context) (map[string]time.Time, error)
	// RunsEnded returns runs that have ended, in the order of their ends, after a run.
	RunsEnded(ctx context.Context, after time.Time, id string, limit int) ([]Run, error)
	// Size returns the bytes that the store takes.
	Size(ctx context.Context) (int64, error)
	// Told returns the schedules of which was told that they are late, and since when
	// they are. SetTold changes it; a zero time means that they are in time again.
	Told(ctx context.Context) (map[string]time.Time, error)
	SetTold(ctx context.Context, schedule string, since time.Time) error
	// AddStages adds what an attempt of an activity of a run spent its time on. It is
	// no part of what the run did: an attempt that is killed is missing.
	AddStages(ctx context.Context, run string, spent map[timing.Stage]time.Duration) error
	// Stages returns what the time of a run went to.
	Stages(ctx context.Context, run string) (timing.Seconds, error)
}
