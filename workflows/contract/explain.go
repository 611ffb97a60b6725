package contract

import (
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

// CleanStep is one value before and after cleansing.
type CleanStep struct {
	Field string `json:"field"`
	Raw   string `json:"raw"`
	Clean string `json:"clean"`
}

// ExplainView explains one asset in one schedule: source values, cleansed
// values, rule trace, class, identification, outcome.
type ExplainView struct {
	Key            string            `json:"key"`
	Schedule       string            `json:"schedule"`
	Target         string            `json:"target"`
	Name           string            `json:"name"`
	Revision       string            `json:"revision"` // whose rules decided
	Cleansing      []CleanStep       `json:"cleansing"`
	Trace          classify.Trace    `json:"trace"`
	Class          string            `json:"class,omitempty"`
	Outcome        record.Outcome    `json:"outcome,omitempty"`
	Reason         string            `json:"reason,omitempty"`
	SysID          string            `json:"sysId,omitempty"`
	Origin         record.Origin     `json:"origin,omitempty"`
	Operation      string            `json:"operation,omitempty"` // what IRE did
	Identification []payload.Attempt `json:"identification,omitempty"`
	Warnings       []payload.Message `json:"warnings,omitempty"` // of IRE, and values that were cut
	Masked         []string          `json:"masked,omitempty"`   // columns that reconciliation rules kept from us
	Parts          *record.Parts     `json:"parts,omitempty"`
	// Direction is that of the schedule. One to Qualys has neither cleansing nor
	// classes: Business is what it writes, or would write.
	Direction string              `json:"direction,omitempty"`
	Business  *export.AssetChange `json:"business,omitempty"`
}

// ExplainList answers for one asset id: one entry per source and schedule.
type ExplainList struct {
	Explanations []ExplainView `json:"explanations"`
}
