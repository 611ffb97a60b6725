package storetest

import (
	"maps"
	"slices"
	"time"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// model is what one schedule's part of the store must look like. With it the
// histories check that
//
//   - every record that a run fetched ends it in exactly one outcome, which is the
//     first one given, and the counters of a closed run are their sum;
//   - a record is unchanged only if the target holds that digest for certain, and
//     is not written again without need;
//   - no cursor of an enumeration is staged twice, whoever asks, and a resumed
//     enumeration goes on at the first page that is not finished;
//   - a record that failed, or that a complete run left behind, is claimed by a
//     later run exactly once;
//   - the watermark moves with complete enumerations only, to their first date;
//   - a run that has ended writes nothing.
type model struct {
	runs        []*modelRun
	run         *modelRun // the open one
	zombies     []*modelRun
	epoch       int64
	revision    int
	rules       int
	enumeration *modelEnumeration // the last one
	claims      []*modelPage
	heads       map[string]*modelHead
	watermark   time.Time
	watermarkBy string // rules digest
}

type modelRun struct {
	id, rules   string
	epoch       int64
	enumeration int64
	cursor      int64
	ended       bool // the last page was fetched
	verify      bool
	outcomes    map[string]record.Outcome
}

type modelEnumeration struct {
	id       int64
	open     bool
	revision string
	mode     store.RunMode
	since    time.Time
	verify   bool
	pages    []*modelPage
}

type modelPage struct {
	id, cursor, next int64
	last, finished   bool
	run              string
}

// modelHead is a record: what waits, and what the target is known to hold.
type modelHead struct {
	state  record.State
	digest string
	page   *modelPage
	run    string
	intent string
	target string // digest that is in the target for certain; "" unknown
	before string // the same, before the post that is not answered yet
	clean  bool   // nothing happened to it since it was written: it need not be written again
}

func newModel() *model {
	return &model{enumeration: &modelEnumeration{}, heads: map[string]*modelHead{}}
}

func (m *model) head(key string) *modelHead {
	if m.heads[key] == nil {
		m.heads[key] = &modelHead{}
	}
	return m.heads[key]
}

// pages returns all pages that a run may still write.
func (m *model) pages() []*modelPage { return slices.Concat(m.enumeration.pages, m.claims) }

func (e *modelEnumeration) at(cursor int64) *modelPage {
	for _, p := range e.pages {
		if p.cursor == cursor {
			return p
		}
	}
	return nil
}

// openRun returns what a new run is told.
func (m *model) openRun(in store.OpenRun) store.OpenedRun {
	e := m.enumeration
	want := store.OpenedRun{Verify: in.Verify}
	if e.open && e.revision == in.Revision && (!in.Full || e.mode == store.ModeFull) {
		want.Resumed = len(e.pages) > 0
		want.Verify = in.Verify || e.verify
		for _, p := range e.pages { // in order of their cursors
			want.Cursor = p.next
			if !p.finished {
				want.Cursor = p.cursor
				break
			}
		}
	} else {
		e = &modelEnumeration{open: true, revision: in.Revision, mode: store.ModeFull, verify: in.Verify}
		if !m.watermark.IsZero() && !in.Full && m.watermarkBy == in.RulesDigest {
			e.mode, e.since = store.ModeIncremental, m.watermark.Add(-in.Overlap)
		}
		m.enumeration = e
	}
	want.Mode, want.Since = e.mode, e.since
	for _, h := range m.heads {
		if h.state == record.StateFailed && h.digest != "" {
			want.Retries++
		}
	}
	m.run = &modelRun{id: in.ID, rules: in.RulesDigest, enumeration: e.id, cursor: want.Cursor, verify: want.Verify, outcomes: map[string]record.Outcome{}}
	m.runs = append(m.runs, m.run)
	return want
}

func (m *model) stagePage(id int64, in store.StagePage) *modelPage {
	p := &modelPage{id: id, cursor: in.CursorIn, next: in.CursorOut, last: in.Last, run: in.Run}
	m.enumeration.pages = append(m.enumeration.pages, p)
	return p
}

// stage moves a record to a page with the outcome that staging gave, if any.
func (m *model) stage(p *modelPage, r store.Staging, o record.Outcome) {
	h := m.head(r.Key)
	h.page, h.run, h.digest = p, m.run.id, r.PayloadDigest
	switch o {
	case "":
		h.state, h.clean = record.StateStaged, false
	case record.Failed:
		h.state, h.clean = record.StateFailed, false
	case record.Unchanged:
		h.state = record.StateDone
	default:
		h.state, h.clean = record.StateDone, false
	}
	if o != "" {
		m.run.outcomes[r.Key] = o
	}
}

func (m *model) adopt(p *modelPage) {
	p.run = m.run.id
	for _, h := range m.heads {
		if h.page == p && h.state == record.StateStaged {
			h.run = m.run.id
		}
	}
}

// waiting returns the keys of a page that wait for their writer, in order.
func (m *model) waiting(p *modelPage) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m.heads)) {
		if h := m.heads[k]; h.page == p && h.run == p.run && h.state == record.StateStaged {
			out = append(out, k)
		}
	}
	return out
}

// post makes the target's content unknown until an answer is settled.
func (m *model) post(keys []string) {
	for _, k := range keys {
		h := m.heads[k]
		if h.intent != "" { // two posts, and no answer to the first
			h.target = ""
		}
		h.before = h.target
		h.intent, h.target, h.clean = h.digest, "", false
	}
}

func (m *model) settle(st store.Settlement) {
	h := m.heads[st.Key]
	h.intent = ""
	if _, before := m.run.outcomes[st.Key]; !before {
		m.run.outcomes[st.Key] = st.Outcome
	}
	switch {
	case st.Outcome == record.Failed || st.Outcome == record.Rejected:
		h.state, h.target = record.StateFailed, ""
	case st.Fresh:
		h.state, h.target, h.clean = record.StateDone, st.Digest, true
	default: // the target answered that it kept what it had
		h.state, h.target = record.StateDone, h.before
	}
}

// openClaim returns the page of retries that the open run has not finished.
func (m *model) openClaim() *modelPage {
	for _, p := range m.claims {
		if p.run == m.run.id && !p.finished {
			return p
		}
	}
	return nil
}

// claimable returns the keys that failed in earlier runs, in order.
func (m *model) claimable() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m.heads)) {
		if h := m.heads[k]; h.state == record.StateFailed && h.digest != "" && h.run != m.run.id {
			out = append(out, k)
		}
	}
	return out
}

func (m *model) claimed(id int64, keys []string) {
	p := &modelPage{id: id, run: m.run.id}
	m.claims = append(m.claims, p)
	for _, k := range keys {
		h := m.heads[k]
		h.state, h.page, h.run = record.StateStaged, p, m.run.id
	}
}

// endRun closes a run: what waits has failed, and waits for another run.
func (m *model) endRun(run *modelRun, complete bool) {
	for k, h := range m.heads {
		if h.state != record.StateStaged || h.run != run.id {
			continue
		}
		if _, before := run.outcomes[k]; !before {
			run.outcomes[k] = record.Failed
		}
		if complete || slices.Contains(m.claims, h.page) {
			h.state = record.StateFailed // nobody adopts its page
		}
	}
	if !complete {
		return
	}
	e := m.enumeration
	e.open = false
	if len(e.pages) > 0 {
		m.watermark, m.watermarkBy = serverDate.Add(time.Duration(e.id)*time.Hour), run.rules
	}
	e.pages = nil
}
