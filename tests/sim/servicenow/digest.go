package servicenow

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
)

// digestAnswer is the body of GET /_sim/digest.
type digestAnswer struct {
	Digest    string         `json:"digest"`
	Classes   map[string]int `json:"classes"`
	Relations int            `json:"relations"`
}

// digester computes an order-independent digest of the CMDB. Every record adds
// the hash of a text that names records by source keys or identifying values,
// never by sys_id; addition makes the order of records irrelevant and, unlike
// exclusive or, notices duplicates.
type digester struct {
	s        *store
	skip     map[int]bool
	names    map[sysID]string
	sum      [4]uint64
	inFlight map[sysID]bool
	circles  int
}

// digest covers CIs, records about them, references and relations. The caller
// holds at least the read lock.
func (s *store) digest() digestAnswer {
	d := &digester{s: s, skip: map[int]bool{}, names: map[sysID]string{}, inFlight: map[sysID]bool{}}
	// Clocks: two equal CMDBs may differ in them.
	for _, c := range []string{"last_discovered", "first_discovered", "last_scan", "attested_date", "last_scanned"} {
		if n, ok := s.schema.nums[c]; ok {
			d.skip[n] = true
		}
	}
	out := digestAnswer{Classes: map[string]int{}}
	for name, t := range s.schema.tables {
		if !t.isCI && !slices.Contains([]string{"cmdb_serial_number", "cmdb_software_instance", "cmdb_sam_sw_install", "cmdb_key_value",
			"cmdb_print_queue_instance", "cmdb_rel_ci", "sys_object_source"}, name) {
			continue
		}
		for _, r := range t.rows {
			d.add(d.text(r))
		}
		switch {
		case name == "cmdb_rel_ci":
			out.Relations = len(t.rows)
		case name != "sys_object_source" && len(t.rows) > 0:
			out.Classes[name] = len(t.rows)
		}
	}
	var sum [32]byte
	for i, v := range d.sum {
		binary.BigEndian.PutUint64(sum[i*8:], v)
	}
	out.Digest = hex.EncodeToString(sum[:])
	return out
}

func (d *digester) add(text string) {
	h := sha256.Sum256([]byte(text))
	carry := uint64(0)
	for i := range d.sum {
		v := binary.BigEndian.Uint64(h[i*8:])
		next := d.sum[i] + v + carry
		carry = 0
		if next < v {
			carry = 1
		}
		d.sum[i] = next
	}
}

// text is a record with its class and columns, references by name.
func (d *digester) text(r *row) string {
	var b strings.Builder
	b.WriteString(r.table.name)
	if r.table.isCI {
		b.WriteString("\x00" + d.name(r))
	}
	parts := make([]string, 0, 16)
	eachField(r.data, func(col int, v string) bool {
		if d.skip[col] {
			return true
		}
		name := d.s.schema.names[col]
		c := r.table.columns[name]
		if name == "target_sys_id" || c != nil && c.ref != "" {
			v = d.refName(v)
		}
		parts = append(parts, name+"="+v)
		return true
	})
	slices.Sort(parts)
	b.WriteString("\x00" + strings.Join(parts, "\x00"))
	return b.String()
}

func (d *digester) refName(text string) string {
	id, ok := parseSysID(text)
	if target := d.s.rows[id]; ok && target != nil {
		return d.name(target)
	}
	return text
}

// name identifies a record for the digest: by its source keys when it has any,
// else by class, own values and, for a dependent CI, its hosts.
func (d *digester) name(r *row) string {
	if n, ok := d.names[r.id]; ok {
		return n
	}
	if d.inFlight[r.id] {
		d.circles++
		return "circle:" + r.table.name
	}
	d.inFlight[r.id] = true
	defer delete(d.inFlight, r.id)
	before := d.circles
	n := d.compute(r)
	if d.circles == before { // a name cut short by a circle depends on where the walk began
		d.names[r.id] = n
	}
	return n
}

func (d *digester) compute(r *row) string {
	var keys []string
	if r.table.isCI {
		nameCol, idCol := d.s.schema.nums["name"], d.s.schema.nums["id"]
		d.s.ix.sourceTarget.find([]string{r.id.String()}, func(x *row) { keys = append(keys, x.get(nameCol)+":"+x.get(idCol)) })
	}
	if len(keys) > 0 {
		slices.Sort(keys)
		return "source:" + strings.Join(keys, "|")
	}
	parts := []string{r.table.name}
	eachField(r.data, func(col int, v string) bool {
		c := r.table.columns[d.s.schema.names[col]]
		if !d.skip[col] && (c == nil || c.ref == "") {
			parts = append(parts, d.s.schema.names[col]+"="+v)
		}
		return true
	})
	slices.Sort(parts[1:])
	if rl := d.s.rules.forClass(r.table); r.table.isCI && rl != nil && rl.Dependent {
		parts = append(parts, d.hosts(r)...)
	}
	return strings.Join(parts, "\x00")
}

// hosts names the CIs that a dependent CI hangs on.
func (d *digester) hosts(r *row) []string {
	var out []string
	n := d.s.schema.nums
	for _, dep := range d.s.rules.dependencies {
		kind := d.s.relType[dep.Type]
		if kind == nil || !r.table.isA(dep.dependent()) {
			continue
		}
		side, other := d.s.ix.relChild, n["parent"]
		if dep.Host == "child" {
			side, other = d.s.ix.relParent, n["child"]
		}
		side.find([]string{r.id.String()}, func(rel *row) {
			if rel.get(n["type"]) == kind.id.String() {
				out = append(out, "host="+d.refName(rel.get(other)))
			}
		})
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *Server) serveDigest(w http.ResponseWriter, _ *http.Request) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	writeJSON(w, http.StatusOK, s.store.digest())
}
