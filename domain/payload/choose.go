package payload

import (
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
)

// Policy says what a schedule may write.
type Policy struct {
	Operation string // config.Operation…
	Existing  string // config.Existing…
}

// For returns the policy for one record: a record that may only update never
// creates, whatever the schedule's operation. Under "create" nothing is written.
func (p Policy) For(parts *record.Parts) Policy {
	if parts != nil && parts.UpdateOnly && p.Operation == config.OperationCreateAndUpdate {
		p.Operation = config.OperationUpdate
	}
	return p
}

// Refuses returns the reason for not writing a record at all under the policy,
// whatever is known about its CI, or "".
func (p Policy) Refuses(parts *record.Parts) string {
	if parts != nil && parts.UpdateOnly && p.Operation == config.OperationCreate {
		return SkipTerminated
	}
	return ""
}

// IdentifiedWithoutName reports whether IRE can identify a record's CI when its
// name is left out.
func IdentifiedWithoutName(p *record.Parts) bool {
	return p.Native.Value("serial_number") != "" || len(p.Native.Lookup) > 0
}

// Match is what is known about a record's main CI in the target.
type Match int

// What is known about a main CI.
const (
	MatchUnknown Match = iota // no link, the target was not asked
	MatchNone                 // the target knows no such CI
	MatchOurs                 // we created it, or an operator gave it to us
	MatchTheirs               // it was there before us
)

// MatchOf returns what a link says; a missing link says nothing.
func MatchOf(linked bool, origin record.Origin) Match {
	switch {
	case !linked:
		return MatchUnknown
	case origin == record.OriginMatched:
		return MatchTheirs
	default:
		return MatchOurs
	}
}

// Reasons for skipping a record under a policy.
const (
	SkipProtected = "existing CI is protected (existing: metadata-only)"
	// MetadataOnly is no skip: the rows beside a protected CI are written.
	MetadataOnly = "existing CI is protected, only its metadata is written (existing: metadata-only)"
	SkipExists   = "exists already (operation: create)"
	SkipNoMatch  = "no match (operation: update)"
	// SkipSharedName is for records that IRE could only take for another machine.
	SkipSharedName = "other machines have the same name and nothing else identifies it"
	// SkipTerminated is for records that may only update.
	SkipTerminated = "terminated instances are never created"
)

// Choose decides whether a record may be written. ask means that the target
// must be asked first, because the policy depends on whether the CI exists; skip
// is the reason for not writing.
func Choose(p Policy, m Match) (ask bool, skip string) {
	depends := p.Operation != config.OperationCreateAndUpdate || p.Existing == config.ExistingMetadataOnly
	if m == MatchUnknown {
		return depends, ""
	}
	exists := m == MatchOurs || m == MatchTheirs
	switch {
	case p.Operation == config.OperationCreate && exists:
		return false, SkipExists
	case p.Operation == config.OperationUpdate && !exists:
		return false, SkipNoMatch
	case p.Existing == config.ExistingMetadataOnly && m == MatchTheirs:
		return false, SkipProtected
	}
	return false, ""
}
