package servicenow

import (
	"sort"
	"strconv"
)

// The wire form of an IRE answer, one struct per documented object.

type ireAnswer struct {
	Result ireResult `json:"result"`
}

type ireResult struct {
	HasError            bool                     `json:"hasError"`
	HasWarning          bool                     `json:"hasWarning"`
	Items               []itemAnswer             `json:"items"`
	AdditionalItems     []itemAnswer             `json:"additionalCommittedItems"`
	Relations           []relationAnswer         `json:"relations"`
	AdditionalRelations []relationAnswer         `json:"additionalCommittedRelations"`
	Summary             map[string]*classSummary `json:"summary,omitempty"`
	LogContextID        string                   `json:"logContextId"`
}

type itemAnswer struct {
	ClassName            string           `json:"className"`
	Operation            string           `json:"operation"`
	SysID                string           `json:"sysId"`
	IdentifierEntrySysID string           `json:"identifierEntrySysId"`
	RelatedSysIDs        []*string        `json:"relatedSysIds"`
	RelatedItems         []relatedAnswer  `json:"relatedItems"`
	Attempts             []attempt        `json:"identificationAttempts"`
	Errors               []issue          `json:"errors"`
	Warnings             []issue          `json:"warnings"`
	Info                 []infoEntry      `json:"info"`
	MaskedAttributes     []string         `json:"maskedAttributes,omitempty"`
	ErrorCount           int              `json:"errorCount"`
	WarningCount         int              `json:"warningCount"`
	Markers              []string         `json:"markers"`
	InputIndices         []int            `json:"inputIndices"`
	DuplicateIndices     []int            `json:"duplicateIndices,omitempty"`
	DuplicateLookups     map[string][]int `json:"duplicateLookupIndices,omitempty"`
	MergedPayloadIDs     []string         `json:"mergedPayloadIds"`
	PartialSysIDs        []string         `json:"partialSysIds,omitempty"`
	IncompleteSysIDs     []string         `json:"incompleteSysIds,omitempty"`
}

type relatedAnswer struct {
	ClassName        string     `json:"className"`
	Operation        string     `json:"operation"`
	SysID            string     `json:"sysId,omitempty"`
	Errors           []issue    `json:"errors"`
	Warnings         []issue    `json:"warnings"`
	ErrorCount       int        `json:"errorCount"`
	WarningCount     int        `json:"warningCount"`
	Markers          []string   `json:"markers"`
	InputIndices     []subIndex `json:"inputIndices"`
	MergedPayloadIDs []string   `json:"mergedPayloadIds"`
}

type subIndex struct {
	Main int `json:"mainIndex"`
	Sub  int `json:"subIndex"`
}

type relationAnswer struct {
	ClassName            string   `json:"className"`
	Operation            string   `json:"operation"`
	SysID                string   `json:"sysId"`
	IdentifierEntrySysID string   `json:"identifierEntrySysId"`
	Errors               []issue  `json:"errors"`
	Warnings             []issue  `json:"warnings"`
	ErrorCount           int      `json:"errorCount"`
	WarningCount         int      `json:"warningCount"`
	Markers              []string `json:"markers"`
	InputIndices         []int    `json:"inputIndices"`
	MergedPayloadIDs     []string `json:"mergedPayloadIds"`
	PartialSysIDs        []string `json:"partialSysIds,omitempty"`
	IncompleteSysIDs     []string `json:"incompleteSysIds,omitempty"`
}

type classSummary struct {
	Inserted           int `json:"inserted"`
	Updated            int `json:"updated"`
	Unchanged          int `json:"unchanged"`
	Skipped            int `json:"skipped"`
	Partial            int `json:"partial"`
	Incomplete         int `json:"incomplete"`
	AdditionalInserted int `json:"additionalInserted"`
	MergedPartial      int `json:"mergedPartialPayloads"`
	Warnings           int `json:"warnings"`
	Errors             int `json:"errors"`
}

// answer builds the response; it is called before a dry run is taken back.
func (r *run) answer() ireAnswer {
	res := ireResult{Items: []itemAnswer{}, AdditionalItems: []itemAnswer{}, Relations: []relationAnswer{}, AdditionalRelations: []relationAnswer{},
		LogContextID: stableID("log", strconv.FormatUint(r.call, 10), r.now.String()).String()}
	if r.opt.summary {
		res.Summary = map[string]*classSummary{}
	}
	for _, o := range r.items {
		if o.primary >= 0 {
			continue
		}
		a := r.itemAnswer(o)
		res.HasError = res.HasError || a.ErrorCount > 0
		res.HasWarning = res.HasWarning || a.WarningCount > 0
		if o.additional {
			res.AdditionalItems = append(res.AdditionalItems, a)
		} else {
			res.Items = append(res.Items, a)
		}
		if r.opt.summary {
			summarise(res.Summary, o, a)
		}
	}
	for _, rel := range r.rels {
		a := r.relationAnswer(rel)
		res.HasError = res.HasError || a.ErrorCount > 0
		if rel.index < 0 {
			res.AdditionalRelations = append(res.AdditionalRelations, a)
			continue
		}
		res.Relations = append(res.Relations, a)
	}
	return ireAnswer{res}
}

func (r *run) itemAnswer(o *outcome) itemAnswer {
	sort.Ints(o.indices)
	a := itemAnswer{ClassName: o.item.className, Operation: o.op, SysID: unknownID, IdentifierEntrySysID: o.entryID,
		RelatedSysIDs: []*string{}, RelatedItems: []relatedAnswer{}, Attempts: notNil(o.attempts), Errors: notNil(o.errors), Warnings: notNil(o.warnings),
		Info: notNil(o.info), MaskedAttributes: o.masked, ErrorCount: len(o.errors), WarningCount: len(o.warnings), Markers: []string{},
		InputIndices: notNil(o.indices), DuplicateLookups: o.duplicateLookups, MergedPayloadIDs: notNil(o.merged), PartialSysIDs: o.partials, IncompleteSysIDs: o.incompl}
	if len(o.indices) > 1 {
		a.DuplicateIndices = o.indices[1:]
	}
	if o.failed() {
		a.IdentifierEntrySysID = unknownID
		if o.parked == "" {
			a.Operation = r.settings.FailedOperation
		}
	} else if o.row != nil && (!r.opt.dryRun || !o.inserted) {
		a.SysID = o.row.id.String()
	}
	for _, s := range o.subs {
		var id *string
		if s.row != nil && !r.opt.dryRun {
			text := s.row.id.String()
			id = &text
		}
		if s.duplicate {
			continue
		}
		a.RelatedSysIDs = append(a.RelatedSysIDs, id)
		if s.op == "" {
			continue
		}
		rel := relatedAnswer{ClassName: s.item.className, Operation: s.op, Errors: []issue{}, Warnings: notNil(s.unknownMsg), WarningCount: len(s.unknownMsg),
			Markers: []string{}, InputIndices: []subIndex{{s.main, s.sub}}, MergedPayloadIDs: []string{}}
		if id != nil {
			rel.SysID = *id
		}
		a.RelatedItems = append(a.RelatedItems, rel)
		a.WarningCount += len(s.unknownMsg)
	}
	return a
}

func (r *run) relationAnswer(rel *relOutcome) relationAnswer {
	a := relationAnswer{ClassName: "cmdb_rel_ci", Operation: rel.op, SysID: unknownID, IdentifierEntrySysID: unknownID,
		Errors: notNil(rel.errors), Warnings: []issue{}, ErrorCount: len(rel.errors), Markers: []string{}, InputIndices: []int{rel.index},
		MergedPayloadIDs: []string{}, PartialSysIDs: rel.partials, IncompleteSysIDs: rel.incompl}
	if rel.index < 0 {
		a.InputIndices = []int{}
	}
	if a.ErrorCount > 0 && rel.parked == "" && (a.Operation == "" || a.Operation == "NO_CHANGE") {
		a.Operation = r.settings.FailedOperation
	}
	if rel.row != nil && (!r.opt.dryRun || rel.op == "NO_CHANGE") {
		a.SysID = rel.row.id.String()
	}
	return a
}

func notNil[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

// summarise counts one item and its lookup and related records by class.
func summarise(out map[string]*classSummary, o *outcome, a itemAnswer) {
	get := func(class string) *classSummary {
		if out[class] == nil {
			out[class] = &classSummary{}
		}
		return out[class]
	}
	c := get(a.ClassName)
	c.Errors += a.ErrorCount
	c.Warnings += a.WarningCount
	switch {
	case o.parked == "partial":
		c.Partial++
	case o.parked == "incomplete":
		c.Incomplete++
	case a.ErrorCount > 0:
		c.Skipped++
	case o.additional && a.Operation == "INSERT":
		c.AdditionalInserted++
		c.MergedPartial += len(o.merged)
	default:
		c.count(a.Operation)
		c.MergedPartial += len(o.merged)
	}
	for _, s := range a.RelatedItems {
		get(s.ClassName).count(s.Operation)
	}
}

func (c *classSummary) count(op string) {
	switch op {
	case "INSERT":
		c.Inserted++
	case "NO_CHANGE":
		c.Unchanged++
	default:
		c.Updated++
	}
}
