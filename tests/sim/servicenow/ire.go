package servicenow

import (
	"fmt"
	"strings"
	"time"
)

// ireOptions are the switches of one IRE call.
type ireOptions struct {
	enhanced, dryRun                         bool
	partialPayloads, partialCommits, dedupe  bool
	summary, skipLastScan, skipLastDiscovery bool
}

// run is one IRE call in flight. Every input item gets an outcome; the order of
// work is: validate, bind references and hosts, merge duplicates, then identify
// and write item by item with hosts first, then relations.
type run struct {
	s        *store
	tx       *tx
	opt      ireOptions
	settings Settings
	source   string
	now      time.Time
	call     uint64 // number of the call, for the log context
	p        *payload
	items    []*outcome
	rels     []*relOutcome
	deferred []deferredRef
}

// outcome is what became of one input item.
type outcome struct {
	index   int
	item    *item
	class   *table
	rule    *rule
	host    int // index of the item it depends on, -1 for none
	hostRel *relation
	primary int // index of the item it was merged into, -1 for none
	// additional marks an item that came from a stored partial payload.
	additional bool
	sources    []sourceInfo
	refs       []refBinding
	subs       []*subOutcome
	state      int // 0 new, 1 in work, 2 done
	row        *row
	stored     *row // the partial payload that was merged in
	inserted   bool
	op         string
	entryID    string
	parked     string // "", "partial", "incomplete"

	attempts          []attempt
	errors, warnings  []issue
	info              []infoEntry
	masked            []string
	indices           []int
	duplicateLookups  map[string][]int
	merged            []string
	partials, incompl []string
	partialEligible   bool
}

// subOutcome is what became of one lookup or related record.
type subOutcome struct {
	item       *item
	entry      *ruleEntry
	isLookup   bool
	main, sub  int
	row        *row
	op         string
	duplicate  bool
	unknownMsg []issue
}

type relOutcome struct {
	rel      *relation
	index    int // of the payload, -1 for one of a stored partial payload
	op       string
	row      *row
	parked   string
	errors   []issue
	partials []string
	incompl  []string
}

type refBinding struct {
	field string
	to    endpoint
}

type deferredRef struct {
	o     *outcome
	field string
	to    endpoint
}

type issue struct {
	Error   string `json:"error"`
	Message string `json:"message"`
}

type infoEntry struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RuleSysID string `json:"ruleSysId"`
}

type attempt struct {
	Info             string   `json:"info,omitempty"`
	IdentifierName   string   `json:"identifierName"`
	AttemptResult    string   `json:"attemptResult"`
	Attributes       []string `json:"attributes"`
	SearchOnTable    string   `json:"searchOnTable"`
	HybridAttributes []string `json:"hybridEntryCiAttributes"`
}

func (o *outcome) fail(code, format string, args ...any) {
	o.errors = append(o.errors, issue{code, fmt.Sprintf(format, args...)})
}

func (o *outcome) failed() bool { return len(o.errors) > 0 || o.parked != "" }

// execute does the whole call inside r.tx. The caller holds the store's lock
// and decides about commit or rollback.
func (r *run) execute() {
	for i, it := range r.p.items {
		r.items = append(r.items, &outcome{index: i, item: it, host: -1, primary: -1, indices: []int{i}, entryID: unknownID})
	}
	for i, rel := range r.p.relations {
		r.rels = append(r.rels, &relOutcome{rel: rel, index: i})
	}
	if !r.validSource() {
		for _, o := range r.items {
			r.park(o)
		}
	} else {
		r.validate()
		r.bindReferences()
		r.bindHosts()
		order := r.order()
		r.mergeDuplicates(order)
		for _, o := range order {
			r.process(o)
		}
		r.applyDeferred()
		r.completePartials()
	}
	if r.blocked() {
		r.abandonAll()
		return
	}
	for _, rel := range r.rels {
		r.relate(rel)
	}
	if r.blocked() {
		r.abandonAll()
	}
}

// blocked tells whether one error stops the whole payload: always in the plain
// call, and in the enhanced one when partial commits are off.
func (r *run) blocked() bool {
	if r.opt.enhanced && r.opt.partialCommits {
		return false
	}
	for _, o := range r.items {
		if o.failed() {
			return true
		}
	}
	for _, rel := range r.rels {
		if len(rel.errors) > 0 {
			return true
		}
	}
	return false
}

// abandonAll takes back all writes and marks what had been fine.
func (r *run) abandonAll() {
	r.tx.rollback()
	for _, o := range r.items {
		o.row, o.inserted, o.entryID = nil, false, unknownID
		for _, sub := range o.subs {
			sub.row, sub.op = nil, ""
		}
		if !o.failed() && o.primary < 0 {
			o.fail("ABANDONED", "Detected error while processing payload from %s", r.source)
		}
	}
	for _, rel := range r.rels {
		rel.row = nil
		if len(rel.errors) == 0 {
			rel.errors = append(rel.errors, issue{"ABANDONED", "While processing relations encountered errors in payload item: " + string(rel.rel.raw)})
		}
	}
}

// validSource checks the data source of the call and of every item.
func (r *run) validSource() bool {
	if r.source != "" && r.s.hasSource(r.source, r.settings.FoldSourceCase) {
		return true
	}
	name := r.source
	if name == "" {
		name = "null"
	}
	for _, o := range r.items {
		o.fail("INVALID_INPUT_DATA", invalidSource, name)
	}
	return false
}

const (
	invalidSource = "In payload invalid data source [%s] exist. You need to provide a valid choice value from field [discovery_source] in table [cmdb_ci]"
	unknownID     = "Unknown"
)

// validate checks what can be checked without looking for the CI.
func (r *run) validate() {
	for _, o := range r.items {
		it := o.item
		if o.index == r.p.lockedItem {
			o.fail("LOCK_TIMEOUT", "Failed to acquire synchronization lock for %s", hostKey(it))
			continue
		}
		o.class = r.s.schema.tables[it.className]
		if o.class == nil || !o.class.isCI {
			o.fail("IDENTIFICATION_RULE_MISSING", "Identity Rule Missing for table [%s]", it.className)
			continue
		}
		if o.rule = r.s.rules.forClass(o.class); o.rule == nil {
			o.fail("IDENTIFICATION_RULE_MISSING", "Identity Rule Missing for table [%s]", it.className)
			continue
		}
		if n := it.source.name; n != "" && !r.s.hasSource(n, r.settings.FoldSourceCase) {
			o.fail("INVALID_INPUT_DATA", invalidSource, n)
			continue
		}
		if it.source.complete() {
			o.sources = append(o.sources, it.source)
		}
		r.bindSubs(o)
	}
	for _, rel := range r.rels {
		r.validateRelation(rel)
	}
}

func (r *run) validateRelation(rel *relOutcome) {
	in := rel.rel
	bad := func(format string, args ...any) {
		rel.errors = append(rel.errors, issue{"INVALID_INPUT_DATA", fmt.Sprintf(format, args...)})
	}
	if r.s.relType[in.kind] == nil {
		bad("No such relationship with name [%s] exist in table [cmdb_rel_type]. If out-of-box relationship for [%s] has been removed or renamed, it should be restored", in.kind, in.kind)
	}
	if !in.parentRef.ok {
		bad("Payload relations '%s' has invalid parent record index: [%s]", in.raw, in.parent)
	}
	if !in.childRef.ok {
		bad("Payload relations '%s' has invalid child record index: [%s]", in.raw, in.child)
	}
}

// bindSubs ties every lookup and related record to the rule entry that allows it.
func (r *run) bindSubs(o *outcome) {
	for i, sub := range o.item.subs() {
		s := &subOutcome{item: sub, main: o.index, sub: i, isLookup: i < len(o.item.lookup)}
		list, code, kind := o.rule.Related, "IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING", "Related"
		if s.isLookup {
			list, code, kind = o.rule.Entries, "IDENTIFICATION_RULE_FOR_LOOKUP_MISSING", "Lookup"
		}
		for _, e := range list {
			if !e.Inactive && e.Table != "" && e.Table == sub.className {
				s.entry = e
				break
			}
		}
		if s.entry == nil {
			o.fail(code, "Identity Rule for table [%s] missing %s Rule for class [%s]", o.class.name, kind, sub.className)
		}
		o.subs = append(o.subs, s)
	}
	if len(o.errors) == 0 {
		r.mergeSubDuplicates(o)
	}
}

// mergeSubDuplicates finds equal lookup or related records inside one item.
func (r *run) mergeSubDuplicates(o *outcome) {
	seen := map[string]int{}
	for i, s := range o.subs {
		key := s.entry.Table
		for _, a := range s.entry.Attributes {
			key += "\x00" + strings.ToLower(s.item.values[a])
		}
		if s.isLookup {
			key += "\x01"
		}
		first, dup := seen[key]
		if !dup {
			seen[key] = i
			continue
		}
		if r.opt.dedupe {
			s.duplicate = true
			if o.duplicateLookups == nil {
				o.duplicateLookups = map[string][]int{}
			}
			name := fmt.Sprint(first)
			o.duplicateLookups[name] = append(o.duplicateLookups[name], i)
			continue
		}
		code, kind := "DUPLICATE_RELATED_PAYLOAD", "Related"
		if s.isLookup {
			code, kind = "DUPLICATE_LOOKUP_PAYLOAD", "Lookup"
		}
		o.fail(code, "Found duplicate %s items (%d and %d) in the payload index %d using fields [%s]", kind, first, i, o.index, strings.Join(s.entry.Attributes, ", "))
	}
}

// bindReferences notes which item's sys_id goes into which column.
func (r *run) bindReferences() {
	if len(r.p.refItems) == 0 {
		return
	}
	ids := r.p.ids()
	for _, ri := range r.p.refItems {
		by, to := ids[ri.ReferencedBy], ids[ri.Referenced]
		if !by.ok || by.sub >= 0 {
			continue
		}
		o := r.items[by.main]
		if !to.ok {
			o.fail("INVALID_INPUT_DATA", "Payload referenceItems has invalid referenced internal id: [%s]", ri.Referenced)
			continue
		}
		o.refs = append(o.refs, refBinding{ri.ReferenceField, to})
	}
}

// bindHosts finds, for every dependent item, the item it hangs on.
func (r *run) bindHosts() {
	for _, rel := range r.rels {
		in := rel.rel
		if len(rel.errors) > 0 || in.parentRef.sub >= 0 || in.childRef.sub >= 0 {
			continue
		}
		parent, child := r.items[in.parentRef.main], r.items[in.childRef.main]
		for _, d := range r.s.rules.dependencies {
			if d.Type != in.kind || parent.class == nil || child.class == nil || !parent.class.isA(d.parent) || !child.class.isA(d.child) {
				continue
			}
			dependent, host := child, parent
			if d.Host == "child" {
				dependent, host = parent, child
			}
			r.bindHost(dependent, host, in)
			break
		}
	}
}

func (r *run) bindHost(dependent, host *outcome, rel *relation) {
	switch {
	case dependent == host:
		dependent.fail("QUALIFICATION_LOOP", "Qualification chain has loop that contains relation '%s'", rel.raw)
	case dependent.host < 0:
		dependent.host, dependent.hostRel = host.index, rel
	case dependent.host != host.index:
		dependent.fail("MULTIPLE_DEPENDENCIES", "Found multiple dependent relation items [%s] and [%s] in payload", clip(string(dependent.hostRel.raw)), clip(string(rel.raw)))
	case dependent.hostRel.kind != rel.kind && r.settings.StrictQualification:
		dependent.fail("MULTI_MATCH", "Found multiple relations between payload items: '%d' and '%d'", dependent.index, host.index)
	}
}
