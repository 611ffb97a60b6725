package servicenow

import (
	"crypto/md5" //nolint:gosec // only a stable name for built-in records
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// store holds every record of the instance. mu guards all of it: readers share
// it, a transaction owns it for the microseconds that its changes take. Waiting
// (latency, insert locks) happens outside.
type store struct {
	mu      sync.RWMutex
	schema  *schema
	rules   *rulebook
	relType map[string]*row // by exact name
	rows    map[sysID]*row
	seq     uint64
	salt    uint64
	now     func() time.Time
	journal *journal
	ix      coreIndexes
	sources map[string]bool   // active discovery_source choices
	props   map[string]string // system properties
	past    past
}

// coreIndexes are the searches that every IRE call makes.
type coreIndexes struct {
	source, sourceTarget, relParent, relChild, relTriple, duplicateOf, choice, property, partial, relSource, lastUpdate, partialHost *index
}

func newStore(now func() time.Time, salt uint64) (*store, error) {
	sch, err := loadSchema()
	if err != nil {
		return nil, err
	}
	s := &store{schema: sch, rules: &rulebook{rules: map[string]*rule{}}, relType: map[string]*row{},
		rows: map[sysID]*row{}, now: now, salt: salt}
	t := sch.tables
	s.ix = coreIndexes{
		source:       s.indexOn(t["sys_object_source"], []string{"name", "id"}),
		sourceTarget: s.indexOn(t["sys_object_source"], []string{"target_sys_id"}),
		relParent:    s.indexOn(t["cmdb_rel_ci"], []string{"parent"}),
		relChild:     s.indexOn(t["cmdb_rel_ci"], []string{"child"}),
		relTriple:    s.indexOn(t["cmdb_rel_ci"], []string{"parent", "child", "type"}),
		duplicateOf:  s.indexOn(t["cmdb_ci"], []string{"duplicate_of"}),
		choice:       s.indexOn(t["sys_choice"], []string{"name", "element", "value"}),
		property:     s.indexOn(t["sys_properties"], []string{"name"}),
		partial:      s.indexOn(t["cmdb_ire_partial_payloads"], []string{"source_name", "source_native_key"}),
		partialHost:  s.indexOn(t["cmdb_ire_partial_payloads"], []string{"host_source", "host_key"}),
		relSource:    s.indexOn(t["sys_rel_source"], []string{"target_sys_id"}),
		lastUpdate:   s.indexOn(t["cmdb_datasource_last_update"], []string{"cmdb_ci"}),
	}
	for _, ref := range [][2]string{{"cmdb_serial_number", "cmdb_ci"}, {"cmdb_software_instance", "installed_on"},
		{"cmdb_sam_sw_install", "installed_on"}, {"cmdb_key_value", "configuration_item"}, {"core_company", "name"},
		{"cmdb_model", "name"}, {"sys_user", "user_name"}, {"cmdb_rel_type", "name"}, {"cmdb_ci", "serial_number"}} {
		s.indexOn(t[ref[0]], []string{ref[1]})
	}
	return s, nil
}

// lookupTable finds a table by name for a request that holds no lock yet.
func (s *store) lookupTable(name string) *table {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.schema.tables[name]
}

// indexOn returns the index of a table (descendants included) over columns,
// building it from the present rows the first time. sys_class_name is not
// stored in a row, so it is left to the caller to check.
func (s *store) indexOn(t *table, names []string) *index {
	cols := make([]int, 0, len(names))
	for _, n := range names {
		if n != "sys_class_name" {
			cols = append(cols, s.schema.num(n))
		}
	}
	for _, x := range t.indexes {
		if slices.Equal(x.cols, cols) {
			return x
		}
	}
	x := newIndex(cols)
	t.each(func(d *table) {
		d.indexes = append(d.indexes, x)
		for _, r := range d.rows {
			if !r.deleted {
				x.add(r)
			}
		}
	})
	return x
}

// bestIndex returns an index of t over exactly these columns, or nil.
func (s *store) bestIndex(t *table, col int) *index {
	for _, x := range t.indexes {
		if len(x.cols) == 1 && x.cols[0] == col {
			return x
		}
	}
	return nil
}

// stableID names a built-in record so that it has the same sys_id everywhere.
func stableID(parts ...string) sysID {
	return md5.Sum([]byte(strings.Join(parts, "\x00"))) //nolint:gosec // not used for security
}

// newID makes ids that look random, so that no client can rely on their order.
func (s *store) newID() sysID {
	s.seq++
	var id sysID
	binary.BigEndian.PutUint64(id[:8], mix(s.salt^s.seq*0x9e3779b97f4a7c15))
	binary.BigEndian.PutUint64(id[8:], mix(s.salt+s.seq*0xbf58476d1ce4e5b9+1))
	return id
}

func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// tx is one atomic change of the store. It applies changes at once, so that
// later steps see earlier ones, and remembers how to take them back: that is
// how an all-or-nothing call fails and how a dry run leaves no trace.
// The caller holds store.mu for as long as a tx is open.
type tx struct {
	s       *store
	undo    []undoStep
	touched map[*row]bool // rows that the journal has to write
	order   []*row
	stamp   int64
}

type undoStep struct {
	r      *row
	before *row // nil: the row was inserted
}

func (s *store) begin() *tx {
	return &tx{s: s, touched: map[*row]bool{}, stamp: s.now().Unix()}
}

func (t *tx) note(r *row) {
	if !t.touched[r] {
		t.touched[r] = true
		t.order = append(t.order, r)
	}
}

// insert adds a record; an empty id gets a new one.
func (t *tx) insert(tab *table, id sysID, fields []field) *row {
	if id == (sysID{}) {
		id = t.s.newID()
	} else {
		t.s.seq++
	}
	for _, d := range tab.defaults {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.col == d.col }) {
			fields = append(fields, d)
		}
	}
	r := &row{id: id, table: tab, seq: t.s.seq, created: t.stamp, updated: t.stamp, data: packFields(fields)}
	t.note(r)
	t.s.link(r)
	t.undo = append(t.undo, undoStep{r: r})
	return r
}

// write replaces a record's columns, and its class when tab differs.
func (t *tx) write(r *row, tab *table, fields []field, touch bool) {
	t.note(r)
	before := *r
	t.undo = append(t.undo, undoStep{r: r, before: &before})
	t.s.reindex(r, tab, packFields(fields))
	if touch {
		r.updated = t.stamp
		r.mods++
	}
}

// remove deletes a record together with what cannot exist without it.
func (t *tx) remove(r *row) {
	if r.deleted {
		return
	}
	id := r.id.String()
	if r.table.isCI {
		for _, x := range []*index{t.s.ix.relParent, t.s.ix.relChild, t.s.ix.sourceTarget} {
			var gone []*row
			x.find([]string{id}, func(o *row) { gone = append(gone, o) })
			for _, o := range gone {
				t.remove(o)
			}
		}
	}
	t.note(r)
	before := *r
	t.undo = append(t.undo, undoStep{r: r, before: &before})
	t.s.unlink(r)
}

// rollback takes back everything, latest change first.
func (t *tx) rollback() {
	t.rollbackTo(0)
	t.touched, t.order = nil, nil
}

// rollbackTo takes back the changes after the first n. Their rows stay noted:
// the journal writes them as they are.
func (t *tx) rollbackTo(n int) {
	for i := len(t.undo) - 1; i >= n; i-- {
		step := t.undo[i]
		switch {
		case step.before == nil:
			t.s.unlink(step.r)
		case step.r.deleted:
			*step.r = *step.before
			t.s.link(step.r)
		default:
			t.s.reindex(step.r, step.before.table, step.before.data)
			*step.r = *step.before
		}
	}
	t.undo = t.undo[:n]
}

// commit makes the changes durable, in one journal frame; it answers only
// after the frame is handed to the operating system.
func (t *tx) commit() error {
	t.s.past.add(t.s.now(), t.undo)
	for _, r := range t.order {
		if r.table.name == "sys_choice" || r.table.name == "sys_properties" {
			t.s.refresh()
			break
		}
	}
	if t.s.journal == nil || len(t.order) == 0 {
		return nil
	}
	if err := t.s.journal.append(t); err != nil {
		return fmt.Errorf("servicenow: journal: %w", err)
	}
	return nil
}

// link puts a row into its table, the id map and all indexes.
func (s *store) link(r *row) {
	r.deleted = false
	s.rows[r.id] = r
	r.table.rows = append(r.table.rows, r)
	for _, x := range r.table.indexes {
		x.add(r)
	}
	if r.table.name == "cmdb_rel_type" {
		s.relType[r.get(s.schema.num("name"))] = r
	}
}

func (s *store) unlink(r *row) {
	for _, x := range r.table.indexes {
		x.remove(r)
	}
	if r.table.name == "cmdb_rel_type" {
		delete(s.relType, r.get(s.schema.num("name")))
	}
	s.drop(r)
	delete(s.rows, r.id)
	r.deleted = true
}

// drop takes a row out of its table's list; the usual case, a row that was
// just added, costs nothing.
func (s *store) drop(r *row) {
	t := r.table
	if n := len(t.rows); n > 0 && t.rows[n-1] == r {
		t.rows = t.rows[:n-1]
		return
	}
	i := slices.Index(t.rows, r)
	if i >= 0 {
		t.rows = slices.Delete(t.rows, i, i+1)
	}
}

// reindex changes a row's data and class, touching only indexes whose key moves.
func (s *store) reindex(r *row, tab *table, data string) {
	if tab != r.table {
		for _, x := range r.table.indexes {
			x.remove(r)
		}
		s.drop(r)
		r.table, r.data = tab, data
		tab.rows = append(tab.rows, r)
		for _, x := range tab.indexes {
			x.add(r)
		}
		return
	}
	next := row{data: data}
	for _, x := range tab.indexes {
		old, hadOld := x.key(r)
		cur, hasNew := x.key(&next)
		if old == cur && hadOld == hasNew {
			continue
		}
		x.remove(r)
		saved := r.data
		r.data = data
		x.add(r)
		r.data = saved
	}
	r.data = data
}

// property reads a system property, "" when it does not exist.
func (s *store) property(name string) string { return s.props[name] }

// refresh rebuilds what is cached from records: system properties and the
// choices of discovery_source. The caller holds the write lock.
func (s *store) refresh() {
	cols := s.schema.nums
	s.props, s.sources = map[string]string{}, map[string]bool{}
	for _, r := range s.schema.tables["sys_properties"].rows {
		s.props[r.get(cols["name"])] = r.get(cols["value"])
	}
	for _, r := range s.schema.tables["sys_choice"].rows {
		if r.get(cols["name"]) == "cmdb_ci" && r.get(cols["element"]) == "discovery_source" && r.get(cols["inactive"]) != "true" {
			v := r.get(cols["value"])
			s.sources[v] = true
			s.sources[foldedPrefix+strings.ToLower(v)] = true
		}
	}
}

// foldedPrefix marks the lower-case twin of a choice in the sources set.
const foldedPrefix = "\x00"

const enginePrefix = "glide.identification_engine."

func (s *store) flag(name string) bool { return s.property(name) == "true" }

func (s *store) engineFlag(name string) bool { return s.flag(enginePrefix + name) }

// hasSource tells whether a discovery_source choice exists and is active. The
// comparison is case-sensitive unless foldCase.
func (s *store) hasSource(name string, foldCase bool) bool {
	if foldCase {
		return s.sources[foldedPrefix+strings.ToLower(name)]
	}
	return s.sources[name]
}
