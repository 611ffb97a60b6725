// Package record holds what qbridge stages: the parts of one asset (or
// certificate, tag change, …) as they will be written, their digests, the
// states of a record and the outcomes that a run must account for.
//
// What is staged is what is written: the writer sends Parts as they are, only
// cut by policy; nothing is recomputed between staging and writing.
package record

import (
	"encoding/json"

	"github.com/qbridge/qbridge/domain/cmdb"
)

// Kind says what a record carries and therefore which writer writes it.
type Kind string

// Kinds of records.
const (
	KindAsset       Kind = "asset"
	KindCertificate Kind = "certificate"
	// KindCatalogue is what an asset brings to the catalogue of software: packages
	// that many assets share, without its CI.
	KindCatalogue Kind = "catalogue"
	// KindMetadata is the business metadata of an asset, KindApplication a business
	// application: both are written to Qualys.
	KindMetadata    Kind = "metadata"
	KindApplication Kind = "application"
	// KindAddresses is a plan of addresses to add to a subscription.
	KindAddresses Kind = "addresses"
	// KindTag is a tag of a subscription.
	KindTag Kind = "tag"
	// KindThirdParty is a CI as a third-party asset.
	KindThirdParty Kind = "third-party"
)

// Parts is everything that belongs to one record.
//
// Native is the main CI. Dependents need a relation to it (adapters, addresses,
// disks). Shared items are referred to by many records (datacenters, accounts)
// and are written once, before the others. References are resolved to sys_ids
// when writing. Tables are rows that are not CIs.
type Parts struct {
	Native     *cmdb.Item       `json:"native,omitempty"`
	Dependents []cmdb.Item      `json:"dependents,omitempty"`
	Shared     []cmdb.Item      `json:"shared,omitempty"`
	Relations  []cmdb.Relation  `json:"relations,omitempty"`
	References []cmdb.Reference `json:"references,omitempty"`
	Tables     []cmdb.Row       `json:"tables,omitempty"`
	// Complete lists the sections whose content is complete, so that what is
	// missing from them may be retired.
	Complete []string `json:"complete,omitempty"`
	// UpdateOnly says that the record may change a CI that is there but must not
	// create one: a terminated cloud instance gets its last state, no more.
	UpdateOnly bool `json:"updateOnly,omitempty"`
	// Primary is the key of the record that writes the CI of the same machine,
	// where another one does: then there is no Native, only rows.
	Primary string `json:"primary,omitempty"`
	// SharedName says that machines with other serial numbers or adapters have
	// the same name: it is written but never offered for identification.
	SharedName bool `json:"sharedName,omitempty"`
	// Change is what a record holds that is written to Qualys, as its kind defines.
	Change json.RawMessage `json:"change,omitempty"`
	// Flags tell what could not be written as it was reported.
	Flags []Flag `json:"flags,omitempty"`
}

// Flag is a value that was changed or left out to fit the target.
type Flag struct {
	Item   string `json:"i"` // key of the item or row
	Column string `json:"col"`
	Why    string `json:"why"`
}

// Secondary is the reason of a record whose machine another record, Parts.Primary,
// describes.
const Secondary = "same machine as another asset, which writes its CI"

// Reasons of flags.
const (
	FlagCut      = "cut to the column's length"
	FlagNoChoice = "not a value of the column's choice list"
	FlagNoColumn = "the target has no such column"
)

// State is where a record stands between staging and its outcome.
type State string

// States of a staged record.
const (
	StateStaged   State = "staged"   // waits for its writer
	StatePending  State = "pending"  // waits for a decision
	StateHeld     State = "held"     // a person wants to decide later
	StateApproved State = "approved" // waits for its writer
	StateRejected State = "rejected" // is not written until its payload changes
	StateExpired  State = "expired"  // nobody decided in time
	StateDone     State = "done"     // has an outcome
	StateFailed   State = "failed"   // has a failed outcome and keeps its parts for another try
)

// Outcome is how a record ended a run. Every record that a run fetched ends it
// in exactly one outcome.
type Outcome string

// Outcomes, in the order in which they are printed.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	Skipped   Outcome = "skipped"
	Filtered  Outcome = "filtered"
	Pending   Outcome = "pending"
	Rejected  Outcome = "rejected"
	Failed    Outcome = "failed"
)

// Outcomes lists all outcomes in printing order.
func Outcomes() []Outcome {
	return []Outcome{Created, Updated, Unchanged, Skipped, Filtered, Pending, Rejected, Failed}
}

// Counters counts records by outcome. Fetched equals the sum of the rest when
// a run is closed.
type Counters struct {
	Fetched   int64 `json:"fetched"`
	Created   int64 `json:"created"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Skipped   int64 `json:"skipped"`
	Filtered  int64 `json:"filtered"`
	Pending   int64 `json:"pending"`
	Rejected  int64 `json:"rejected"`
	Failed    int64 `json:"failed"`
}

// slot returns the counter of an outcome, or nil for an unknown one.
func (c *Counters) slot(o Outcome) *int64 {
	switch o {
	case Created:
		return &c.Created
	case Updated:
		return &c.Updated
	case Unchanged:
		return &c.Unchanged
	case Skipped:
		return &c.Skipped
	case Filtered:
		return &c.Filtered
	case Pending:
		return &c.Pending
	case Rejected:
		return &c.Rejected
	case Failed:
		return &c.Failed
	}
	return nil
}

// Count adds n records with outcome o, without touching Fetched. It reports
// whether the outcome is known.
func (c *Counters) Count(o Outcome, n int64) bool {
	p := c.slot(o)
	if p == nil {
		return false
	}
	*p += n
	return true
}

// Of returns how many records ended in outcome o.
func (c Counters) Of(o Outcome) int64 {
	if p := c.slot(o); p != nil {
		return *p
	}
	return 0
}

// Add adds the counters of other, Fetched included.
func (c *Counters) Add(other Counters) {
	c.Fetched += other.Fetched
	for _, o := range Outcomes() {
		c.Count(o, other.Of(o))
	}
}

// Sum returns the number of records that have an outcome.
func (c Counters) Sum() int64 {
	var n int64
	for _, o := range Outcomes() {
		n += c.Of(o)
	}
	return n
}

// Balanced reports whether every fetched record has exactly one outcome.
func (c Counters) Balanced() bool { return c.Fetched == c.Sum() }

// Written returns how many records changed the target.
func (c Counters) Written() int64 { return c.Created + c.Updated }

// Origin says how a link between a key and a CI came to be.
type Origin string

// Origins of a link.
const (
	OriginCreated Origin = "created" // we inserted the CI
	OriginMatched Origin = "matched" // IRE matched a CI that was there before
	OriginAdopted Origin = "adopted" // an operator gave us the CI
)
