package qualys

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ipSpan is a range of IPv4 addresses, both ends included.
type ipSpan struct{ lo, hi uint32 }

// addresses is a set of IPv4 addresses: spans that ascend and neither overlap nor touch.
type addresses []ipSpan

// maxSpans bounds what one call may name.
const maxSpans = 100_000

// parseAddresses reads "10.0.0.1,10.0.1.1-10.0.1.9". CIDR notation is not documented as input and is refused, as IPv6 is.
func parseAddresses(text string) (addresses, error) {
	var all addresses
	for part := range strings.SplitSeq(text, ",") {
		if len(all) == maxSpans {
			return nil, fmt.Errorf("more than %d addresses and ranges", maxSpans)
		}
		first, last, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			last = first
		}
		lo, okLo := number4(strings.TrimSpace(first))
		hi, okHi := number4(strings.TrimSpace(last))
		if !okLo || !okHi || lo > hi {
			return nil, fmt.Errorf("%q is neither an address nor a range", strings.TrimSpace(part))
		}
		all = append(all, ipSpan{lo, hi})
	}
	return normal(all), nil
}

func number4(text string) (uint32, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return 0, false
	}
	return number(a), true
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func (s ipSpan) String() string {
	if s.lo == s.hi {
		return dotted(s.lo)
	}
	return dotted(s.lo) + "-" + dotted(s.hi)
}

func dotted(n uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b).String()
}

// normal sorts spans and joins those that overlap or touch.
func normal(all addresses) addresses {
	slices.SortFunc(all, func(a, b ipSpan) int {
		switch {
		case a.lo < b.lo:
			return -1
		case a.lo > b.lo:
			return 1
		}
		return 0
	})
	var out addresses
	for _, s := range all {
		if n := len(out); n > 0 && uint64(s.lo) <= uint64(out[n-1].hi)+1 {
			out[n-1].hi = max(out[n-1].hi, s.hi)
			continue
		}
		out = append(out, s)
	}
	return out
}

func (a addresses) union(b addresses) addresses { return normal(slices.Concat(a, b)) }

// String writes the set as a parameter: "10.0.0.1,10.0.1.0-10.0.1.9".
func (a addresses) String() string {
	parts := make([]string, len(a))
	for i, span := range a {
		parts[i] = span.String()
	}
	return strings.Join(parts, ",")
}

func (a addresses) intersect(b addresses) addresses {
	var out addresses
	for i, j := 0, 0; i < len(a) && j < len(b); {
		lo, hi := max(a[i].lo, b[j].lo), min(a[i].hi, b[j].hi)
		if lo <= hi {
			out = append(out, ipSpan{lo, hi})
		}
		if a[i].hi < b[j].hi {
			i++
		} else {
			j++
		}
	}
	return out
}

func (a addresses) minus(b addresses) addresses {
	var out addresses
	j := 0
	for _, s := range a {
		lo, open := uint64(s.lo), true
		for j < len(b) && b[j].hi < s.lo {
			j++
		}
		for k := j; k < len(b) && b[k].lo <= s.hi; k++ {
			if uint64(b[k].lo) > lo {
				out = append(out, ipSpan{uint32(lo), b[k].lo - 1})
			}
			if lo = uint64(b[k].hi) + 1; lo > uint64(s.hi) {
				open = false
				break
			}
		}
		if open && lo <= uint64(s.hi) {
			out = append(out, ipSpan{uint32(lo), s.hi})
		}
	}
	return out
}

func (a addresses) has(n uint32) bool {
	_, found := slices.BinarySearchFunc(a, n, func(s ipSpan, n uint32) int {
		switch {
		case s.hi < n:
			return -1
		case s.lo > n:
			return 1
		}
		return 0
	})
	return found
}

func (a addresses) count() (n uint64) {
	for _, s := range a {
		n += uint64(s.hi) - uint64(s.lo) + 1
	}
	return n
}

// nodes lists the set as IP and IP_RANGE elements.
func (a addresses) nodes(attrs string) []foNode {
	out := make([]foNode, 0, len(a))
	for _, s := range a {
		name := "IP"
		if s.lo != s.hi {
			name = "IP_RANGE"
		}
		out = append(out, foNode{name: name, attrs: attrs, text: s.String()})
	}
	return out
}
