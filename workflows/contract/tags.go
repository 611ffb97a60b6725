package contract

import (
	"time"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/tagging"
)

// PathTags is where the read API answers what a schedule of tags planned last:
// PathTags/{schedule}?after=.
const PathTags = "/api/v1/tags"

// TagRecord is the content of a record of kind record.KindTag: one tag of the tree
// that attributes of the CMDB ask for.
type TagRecord struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	// Owned is the tag of ours that was found, ID its id; 0: there is none yet.
	ID    int64         `json:"id,omitempty"`
	Owned tagging.Owned `json:"owned"`
	// Changes lead to what it should be; N orders them among all tags.
	Changes []TagChange `json:"changes,omitempty"`
	// Notes say what is not done, and why.
	Notes []string `json:"notes,omitempty"`
}

// TagChange is one change, with its place among those of all tags.
type TagChange struct {
	N int `json:"n"`
	tagging.Change
}

// TagView is a tag in a plan.
type TagView struct {
	Key     string         `json:"key"` // of the record, for staged approve --id
	State   record.State   `json:"state"`
	Outcome record.Outcome `json:"outcome,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Version int64          `json:"version"`
	TagRecord
}

// TagPlan is what a schedule of tags planned last, and what `tags plan -o json`
// prints: what changes and what is not done; tags that are as they should be are
// only counted.
type TagPlan struct {
	Schedule string    `json:"schedule"`
	Target   string    `json:"target"`
	Run      string    `json:"run"`
	At       time.Time `json:"at"`
	Tags     []TagView `json:"tags"`
	Same     int64     `json:"same"`
	Snapshot int64     `json:"snapshot"`
}
