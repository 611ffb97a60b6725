package export

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
)

// Range is a run of addresses of one family, both ends included. Its text is the
// form that the vendor's calls take: "10.0.0.1" or "10.0.0.1-10.0.0.9".
type Range struct{ From, To netip.Addr }

// ParseRange reads an address, "from-to", or a prefix such as 10.0.0.0/24, which
// stands for all addresses in it.
func ParseRange(text string) (Range, error) {
	text = strings.TrimSpace(text)
	if from, to, ok := strings.Cut(text, "-"); ok {
		a, errFrom := address(from)
		b, errTo := address(to)
		switch {
		case errFrom != nil || errTo != nil:
			return Range{}, fmt.Errorf("export: %q is not a range: write 10.0.0.1-10.0.0.9", text)
		case a.BitLen() != b.BitLen():
			return Range{}, fmt.Errorf("export: range %q mixes IPv4 and IPv6", text)
		case b.Less(a):
			return Range{}, fmt.Errorf("export: range %q ends before it begins", text)
		}
		return Range{From: a, To: b}, nil
	}
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return Range{}, fmt.Errorf("export: %q is not a prefix: write 10.0.0.0/24", text)
		}
		r := Range{From: p.Masked().Addr(), To: last(p.Masked())}
		if p.Addr().Is4In6() || r.From.Is4In6() || r.To.Is4In6() {
			return Range{}, fmt.Errorf("export: prefix %q reaches into IPv4 in IPv6 form: write it as IPv4", text)
		}
		return r, nil
	}
	a, err := address(text)
	if err != nil {
		return Range{}, fmt.Errorf("export: %q is not an address, a range such as 10.0.0.1-10.0.0.9 or a prefix such as 10.0.0.0/24", text)
	}
	return Range{From: a, To: a}, nil
}

func address(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil {
		return a, err
	}
	if a.Zone() != "" {
		return a, errors.New("export: an address with a zone means something on one machine only")
	}
	return a.Unmap(), nil
}

// last returns the last address of a masked prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(b) // as long as it was
	return a
}

// String returns the range as the vendor's calls take it.
func (r Range) String() string {
	if r.From == r.To {
		return r.From.String()
	}
	return r.From.String() + "-" + r.To.String()
}

// MarshalText writes the range as String does.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what ParseRange reads.
func (r *Range) UnmarshalText(b []byte) error {
	got, err := ParseRange(string(b))
	if err == nil {
		*r = got
	}
	return err
}

// Count returns the number of addresses; more than an int64 holds counts as the
// largest one.
func (r Range) Count() int64 {
	a, b := halves(r.From), halves(r.To)
	low, borrow := bits.Sub64(b[1], a[1], 0)
	if high, _ := bits.Sub64(b[0], a[0], borrow); high != 0 || low >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(low) + 1
}

func halves(a netip.Addr) [2]uint64 {
	b := a.As16()
	return [2]uint64{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// plus returns the address n after a; the caller knows that there is one.
func plus(a netip.Addr, n int64) netip.Addr {
	h := halves(a)
	low := h[1] + uint64(n)
	if low < h[1] {
		h[0]++
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], h[0])
	binary.BigEndian.PutUint64(b[8:], low)
	out := netip.AddrFrom16(b)
	if a.Is4() {
		out = out.Unmap()
	}
	return out
}

// Set is a set of addresses, kept as the fewest ranges in ascending order, IPv4
// before IPv6. The zero value is empty; a Set is never changed.
type Set struct{ ranges []Range }

// NewSet returns the set of all addresses of the ranges. What is no range, because
// its ends are invalid, in the wrong order or of two families, holds none.
func NewSet(ranges ...Range) Set {
	list := slices.DeleteFunc(slices.Clone(ranges), func(r Range) bool {
		return !r.From.IsValid() || !r.To.IsValid() || r.From.BitLen() != r.To.BitLen() || r.To.Less(r.From)
	})
	slices.SortFunc(list, func(a, b Range) int { return a.From.Compare(b.From) })
	var out []Range
	for _, r := range list {
		if n := len(out); n > 0 && touches(out[n-1], r) {
			if out[n-1].To.Less(r.To) {
				out[n-1].To = r.To
			}
			continue
		}
		out = append(out, r)
	}
	return Set{ranges: out}
}

// touches reports whether r, which begins no earlier, overlaps or follows at once.
func touches(before, r Range) bool {
	if before.To.BitLen() != r.From.BitLen() {
		return false
	}
	return !before.To.Less(r.From) || before.To.Next() == r.From
}

// ParseSet reads a list of addresses, ranges and prefixes; an entry may hold
// several, separated by commas. The error names the entry.
func ParseSet(list []string) (Set, error) {
	var ranges []Range
	for _, entry := range list {
		for part := range strings.SplitSeq(entry, ",") {
			if strings.TrimSpace(part) == "" {
				continue
			}
			r, err := ParseRange(part)
			if err != nil {
				return Set{}, err
			}
			ranges = append(ranges, r)
		}
	}
	return NewSet(ranges...), nil
}

// Ranges returns the fewest ranges that make the set, ascending.
func (s Set) Ranges() []Range { return slices.Clone(s.ranges) }

// Count returns the number of addresses.
func (s Set) Count() int64 {
	var n int64
	for _, r := range s.ranges {
		c := r.Count()
		if n > math.MaxInt64-c {
			return math.MaxInt64
		}
		n += c
	}
	return n
}

// Contains reports whether an address is in the set.
func (s Set) Contains(a netip.Addr) bool {
	i, found := slices.BinarySearchFunc(s.ranges, a, func(r Range, a netip.Addr) int { return r.From.Compare(a) })
	if found {
		return true
	}
	return i > 0 && !s.ranges[i-1].To.Less(a) && s.ranges[i-1].To.BitLen() == a.BitLen()
}

// Union returns the addresses of both sets.
func (s Set) Union(t Set) Set { return NewSet(append(slices.Clone(s.ranges), t.ranges...)...) }

// Subtract returns the addresses of s that are not in t.
func (s Set) Subtract(t Set) Set {
	var out []Range
	k := 0
	for _, r := range s.ranges {
		for k < len(t.ranges) && t.ranges[k].To.Less(r.From) {
			k++
		}
		left, rest := r, true
		for i := k; rest && i < len(t.ranges) && !r.To.Less(t.ranges[i].From); i++ {
			cut := t.ranges[i]
			if left.From.Less(cut.From) {
				out = append(out, Range{From: left.From, To: cut.From.Prev()})
			}
			if left.From = cut.To.Next(); !cut.To.Less(r.To) {
				rest = false
			}
		}
		if rest {
			out = append(out, left)
		}
	}
	return NewSet(out...)
}

// Split returns the first n addresses and the rest.
func (s Set) Split(n int64) (first, rest Set) {
	for i, r := range s.ranges {
		if n <= 0 {
			rest.ranges = slices.Clone(s.ranges[i:])
			return first, rest
		}
		c := r.Count()
		if c <= n {
			first.ranges, n = append(first.ranges, r), n-c
			continue
		}
		cut := plus(r.From, n)
		first.ranges = append(first.ranges, Range{From: r.From, To: cut.Prev()})
		rest.ranges = append([]Range{{From: cut, To: r.To}}, s.ranges[i+1:]...)
		return first, rest
	}
	return first, rest
}
