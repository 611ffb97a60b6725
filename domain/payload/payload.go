// Package payload decides what is sent to the target and reads what it
// answered: which parts of a record may be written (policy, link), how records
// are cut into payloads and lanes, and how an answer is attributed to records.
//
//	records ─▶ Choose (policy + link) ─▶ Cut (lanes, limits) ─▶ [client posts] ─▶ Attribute ─▶ outcomes
package payload

import "github.com/qbridge/qbridge/domain/cmdb"

// Role says what an item is within its record.
type Role string

// Roles of an item.
const (
	RoleMain      Role = "main"
	RoleDependent Role = "dependent"
	RoleShared    Role = "shared"
)

// Item is one top-level item of a payload.
type Item struct {
	cmdb.Item
	// SysID addresses an existing CI directly; IRE then does no identification.
	SysID string
	// Owner is the key of the record the item belongs to; empty for shared items.
	Owner string
	Role  Role
}

// Relation connects two items of the payload by index.
type Relation struct {
	Parent, Child int
	Type          string
	Owner         string
}

// Payload is one IRE call. Payloads of a lane are sent in order; lanes run side
// by side.
type Payload struct {
	ID        string // "<lane>-<n>", stable for the same input
	Lane      int
	Items     []Item
	Relations []Relation
}

// Settings are the class-change flags sent with every item.
type Settings struct {
	WithoutUpgrade   bool
	WithoutDowngrade bool
	WithoutSwitch    bool
}

// Message is one error or warning of an answer.
type Message struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Attempt is one identification attempt.
type Attempt struct {
	Identifier string   `json:"identifier,omitempty"`
	Result     string   `json:"result"` // MATCHED, NO_MATCH, SKIPPED, MULTI_MATCH
	Table      string   `json:"table,omitempty"`
	Attributes []string `json:"attributes,omitempty"`
	Info       string   `json:"info,omitempty"`
}

// ItemAnswer is what IRE answered for one item.
type ItemAnswer struct {
	Class           string    `json:"class"`
	Operation       string    `json:"operation"` // "" when the answer does not mention the item
	SysID           string    `json:"sysId,omitempty"`
	IdentifierEntry string    `json:"identifierEntry,omitempty"`
	Attempts        []Attempt `json:"attempts,omitempty"`
	Errors          []Message `json:"errors,omitempty"`
	Warnings        []Message `json:"warnings,omitempty"`
	Info            []Message `json:"info,omitempty"`
	Masked          []string  `json:"masked,omitempty"`
	// RelatedChanged says that a lookup or related row was inserted or updated.
	RelatedChanged bool `json:"relatedChanged,omitempty"`
}

// RelationAnswer is what IRE answered for one relation.
type RelationAnswer struct {
	Operation string    `json:"operation"`
	Errors    []Message `json:"errors,omitempty"`
	Warnings  []Message `json:"warnings,omitempty"`
}

// Answer is the answer to one payload, aligned with its items and relations
// through inputIndices, never through position alone.
type Answer struct {
	Items     []ItemAnswer
	Relations []RelationAnswer
}
