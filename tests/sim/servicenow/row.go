package servicenow

import (
	"encoding/binary"
	"encoding/hex"
	"sort"
)

// sysID is a record's identity. The API shows it as 32 hexadecimal digits.
type sysID [16]byte

// String returns the form used on the wire.
func (id sysID) String() string { return hex.EncodeToString(id[:]) }

// parseSysID reads the 32-digit form; ok is false for anything else.
func parseSysID(s string) (id sysID, ok bool) {
	if len(s) != 32 {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil
}

// row is one record. A million of them fit in memory because all column values
// are packed into one string (see packFields) that the garbage collector never
// has to look into.
type row struct {
	id      sysID
	table   *table
	seq     uint64 // insertion order: "oldest" means the smallest
	created int64  // Unix seconds
	updated int64
	mods    uint32
	deleted bool
	data    string
}

// field is one column value of a row; col is the store-wide column number.
type field struct {
	col int
	val string
}

// packFields encodes fields, sorted by column, leaving out empty values:
// in this platform an absent and an empty value are the same thing.
func packFields(fields []field) string {
	sort.Slice(fields, func(i, j int) bool { return fields[i].col < fields[j].col })
	size := 0
	for _, f := range fields {
		size += len(f.val) + 4
	}
	buf := make([]byte, 0, size)
	for _, f := range fields {
		if f.val == "" {
			continue
		}
		buf = binary.AppendUvarint(buf, uint64(f.col))
		buf = binary.AppendUvarint(buf, uint64(len(f.val)))
		buf = append(buf, f.val...)
	}
	return string(buf)
}

// uvarint reads a number written by binary.AppendUvarint from a string.
func uvarint(s string) (v uint64, n int) {
	var shift uint
	for i := 0; i < len(s); i++ {
		b := s[i]
		if b < 0x80 {
			return v | uint64(b)<<shift, i + 1
		}
		v |= uint64(b&0x7f) << shift
		shift += 7
	}
	return 0, 0
}

// eachField calls visit for every stored column until it returns false.
func eachField(data string, visit func(col int, val string) bool) {
	for len(data) > 0 {
		col, n := uvarint(data)
		if n == 0 {
			return
		}
		data = data[n:]
		size, m := uvarint(data)
		if m == 0 || int(size) > len(data)-m {
			return
		}
		if !visit(int(col), data[m:m+int(size)]) {
			return
		}
		data = data[m+int(size):]
	}
}

// get returns a column's value, "" when the row has none.
func (r *row) get(col int) string {
	found := ""
	eachField(r.data, func(c int, v string) bool {
		if c == col {
			found = v
		}
		return c < col
	})
	return found
}

// fields unpacks a row for editing.
func (r *row) fields() []field {
	out := make([]field, 0, 16)
	eachField(r.data, func(c int, v string) bool {
		out = append(out, field{c, v})
		return true
	})
	return out
}

// setField replaces or adds one value in an unpacked row.
func setField(fields []field, col int, val string) []field {
	for i := range fields {
		if fields[i].col == col {
			fields[i].val = val
			return fields
		}
	}
	return append(fields, field{col, val})
}

// foldHash is FNV-1a over the ASCII-lowered bytes: text comparison on the
// simulated database ignores case, like the usual collation.
func foldHash(h uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint64(c)) * 1099511628211
	}
	return (h ^ 0xff) * 1099511628211
}

const hashSeed = 14695981039346656037

// foldEqual compares like foldHash: only ASCII letters fold.
func foldEqual(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}

// index finds the rows of one table (and of its descendants) by the values of
// a set of columns. Most keys name one row, so the first row of a key is kept
// in place and only further ones cost a slice.
type index struct {
	cols  []int
	first map[uint64]*row
	more  map[uint64][]*row
}

func newIndex(cols []int) *index {
	return &index{cols: cols, first: map[uint64]*row{}, more: map[uint64][]*row{}}
}

func (x *index) key(r *row) (uint64, bool) {
	h, any := uint64(hashSeed), false
	for _, c := range x.cols {
		v := r.get(c)
		any = any || v != ""
		h = foldHash(h, v)
	}
	return h, any
}

// add records a row; rows with only empty values are never searched for.
func (x *index) add(r *row) {
	k, ok := x.key(r)
	if !ok {
		return
	}
	if x.first[k] == nil {
		x.first[k] = r
		return
	}
	x.more[k] = append(x.more[k], r)
}

// remove forgets a row; it must be called before the row's data change.
func (x *index) remove(r *row) {
	k, ok := x.key(r)
	if !ok {
		return
	}
	rest := x.more[k]
	if x.first[k] == r {
		if len(rest) == 0 {
			delete(x.first, k)
			return
		}
		x.first[k], rest[0] = rest[0], r
	}
	for i := len(rest) - 1; i >= 0; i-- { // a change that is taken back was the last one
		if rest[i] == r {
			rest[i] = rest[len(rest)-1]
			rest[len(rest)-1] = nil
			rest = rest[:len(rest)-1]
			break
		}
	}
	if len(rest) == 0 {
		delete(x.more, k)
		return
	}
	x.more[k] = rest
}

// size is an upper bound of the rows that find would visit.
func (x *index) size(values []string) int {
	k := hashSeedOf(values)
	if x.first[k] == nil {
		return 0
	}
	return 1 + len(x.more[k])
}

// find calls visit for every row that holds these values.
func (x *index) find(values []string, visit func(*row)) {
	k := hashSeedOf(values)
	r := x.first[k]
	if r == nil {
		return
	}
	if x.holds(r, values) {
		visit(r)
	}
	for _, r := range x.more[k] {
		if x.holds(r, values) {
			visit(r)
		}
	}
}

func (x *index) holds(r *row, values []string) bool {
	for i, c := range x.cols {
		if !foldEqual(r.get(c), values[i]) {
			return false
		}
	}
	return true
}

func hashSeedOf(values []string) uint64 {
	h := uint64(hashSeed)
	for _, v := range values {
		h = foldHash(h, v)
	}
	return h
}
