// Package timing says where the time of a run went, and what would make it shorter.
package timing

import (
	"fmt"
	"slices"
)

// Stage is what time was spent on. Calls side by side count each: the sums are those
// of all lanes, not of a clock on the wall.
type Stage string

// Stages.
const (
	QualysWait     Stage = "qualysWait"     // until the limits of Qualys let a call pass
	Qualys         Stage = "qualys"         // Qualys answers
	Transform      Stage = "transform"      // decoding, cleansing, classifying, mapping, encoding
	Store          Stage = "store"          // the run store
	WriteWait      Stage = "writeWait"      // until limits, or a writer of the same shared items, let a write pass
	IRE            Stage = "ire"            // identification and reconciliation
	ServiceNow     Stage = "servicenow"     // other calls to ServiceNow
	ServiceNowWait Stage = "servicenowWait" // until the limits of ServiceNow let a call pass
)

// Stages lists all stages in the order of a run.
func Stages() []Stage {
	return []Stage{QualysWait, Qualys, Transform, Store, ServiceNowWait, WriteWait, IRE, ServiceNow}
}

// Seconds are the sums of a run, by stage.
type Seconds map[Stage]float64

// Total is the sum of all stages.
func (s Seconds) Total() float64 {
	var t float64
	for _, v := range s {
		t += v
	}
	return t
}

// words say what a stage is, and what makes it shorter.
var words = map[Stage][2]string{
	QualysWait:     {"waiting for the limits of Qualys", "spread schedules over the day (jitter, other times), or ask Qualys for a larger tier"},
	Qualys:         {"Qualys answering", "switch off sections that nobody needs, or narrow the filter: pages become smaller"},
	Transform:      {"transforming assets", "give the worker a faster processor, or switch off sections that nobody needs"},
	Store:          {"the run store", "put it onto a faster disk, or nearer to the worker"},
	WriteWait:      {"waiting to write shared items", "items that many assets share are written by one at a time; it passes when they are all there"},
	IRE:            {"ServiceNow's IRE", "more lanes help where the instance has free workers; fewer sections mean fewer items"},
	ServiceNow:     {"ServiceNow answering look-ups", "it passes when references are known; look at slow tables on the instance"},
	ServiceNowWait: {"waiting for the limits of ServiceNow", "fewer lanes, or a higher limit of the integration user, see Rate Limit Rules"},
}

// Bottleneck is the stage that took most, its share of the whole, and what it means.
// ok is false when nothing is known, or when no stage stands out: then there is no
// use in making one of them faster.
func (s Seconds) Bottleneck() (stage Stage, share float64, text string, ok bool) {
	total := s.Total()
	if total <= 0 {
		return "", 0, "", false
	}
	stage = slices.MaxFunc(Stages(), func(a, b Stage) int {
		switch {
		case s[a] < s[b]:
			return -1
		case s[a] > s[b]:
			return 1
		}
		return 0
	})
	share = s[stage] / total
	if share < standsOut {
		return stage, share, "", false
	}
	return stage, share, fmt.Sprintf("most of the time (%.0f %%) went to %s: %s", 100*share, words[stage][0], words[stage][1]), true
}

// standsOut is the share from which a stage is called a bottleneck.
const standsOut = 0.3
