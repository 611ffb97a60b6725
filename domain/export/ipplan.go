package export

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// IPPlan is what adding the missing addresses would do. Of the CIs it holds counts
// and samples only; the verdicts hold the rest.
type IPPlan struct {
	Add       []Scope    `json:"add"`      // by network, ascending
	LeftOver  []Scope    `json:"leftOver"` // missing, but above the ceiling
	Stopped   string     `json:"stopped,omitempty"`
	Conflicts []Conflict `json:"conflicts"` // the first MaxConflicts; Counts has all
	Counts    Counts     `json:"counts"`
	CIs       CICounts   `json:"cis"`
	Licence   Licence    `json:"licence"`
	// Registration is how the addresses are added.
	Registration Registration `json:"registration"`
	// Digest stands for what would be written: the ranges by network and their
	// registration. Two plans with one digest do the same.
	Digest string `json:"digest"`
}

// Conflict is an address that more than one network has or claims; no one gets it.
type Conflict struct {
	Address  string   `json:"address"`
	Networks []string `json:"networks"` // ids, ascending; "" is the default network
	CIs      []string `json:"cis"`      // sys_ids of the first who claim it
	Claims   int      `json:"claims"`   // how many claim it
}

// MaxConflicts is how many conflicts a plan shows, maxClaimants how many CIs of each.
const (
	MaxConflicts = 1000
	maxClaimants = 5
)

// Counts says what became of every address that the CIs claim: Claims equals the
// sum over the reasons.
type Counts struct {
	Claims int64            `json:"claims"`
	By     map[Reason]int64 `json:"by"`
}

// Balanced reports whether every claim has exactly one reason.
func (c Counts) Balanced() bool {
	var n int64
	for _, k := range c.By {
		n += k
	}
	return n == c.Claims
}

// CICounts counts the CIs of a plan.
type CICounts struct {
	Read      int `json:"read"`
	NoAddress int `json:"noAddress"`
	Adding    int `json:"adding"` // with an address that is added
}

// Licence is how many addresses the subscription holds before and after, and may
// hold; Limit 0 means that nobody set one.
type Licence struct {
	Limit  int64 `json:"limit,omitempty"`
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

// PlanIPs computes which addresses of the CIs the subscription lacks. Every
// address of a CI gets exactly one verdict; verdicts come in the order of CI and
// address. Addresses are left over, highest first, where a ceiling would be
// crossed. Errors: wrong settings, ErrPartialView.
func PlanIPs(cis []CI, sub Subscription, s IPSettings) (*IPPlan, []Verdict, error) {
	if err := s.Check(); err != nil {
		return nil, nil, err
	}
	if !sub.Whole {
		return nil, nil, ErrPartialView
	}
	s.Registration.Tracking = cmp.Or(s.Registration.Tracking, TrackIP)
	own, err := ParseSet(s.Exclude)
	if err != nil {
		return nil, nil, err
	}
	open, verdicts := claims(cis, &s, own)
	p := &planner{settings: &s, known: scopes(sub.Known, network), excluded: scopes(sub.Excluded, strings.TrimSpace), missing: map[string][]Range{}}
	for i := 0; i < len(open); {
		j := i + 1
		for j < len(open) && open[j].addr == open[i].addr {
			j++
		}
		p.address(open[i:j])
		i = j
	}
	plan := p.plan(open)
	verdicts = append(verdicts, open...)
	slices.SortStableFunc(verdicts, func(a, b Verdict) int {
		return strings.Compare(a.CI+"\x00"+a.Address, b.CI+"\x00"+b.Address)
	})
	plan.count(cis, verdicts)
	plan.Digest = plan.digest()
	return plan, verdicts, nil
}

type planner struct {
	settings        *IPSettings
	known, excluded map[string]Set
	missing         map[string][]Range
	conflicts       []Conflict
}

// address decides all claims of one address. Exclusion comes first: an address
// that must not be scanned is nobody's conflict.
func (p *planner) address(claims []Verdict) {
	var networks []string
	stands := "" // the CI that stands for the duplicates after it
	for i := range claims {
		c := &claims[i]
		switch n := c.Network; {
		case p.isExcluded(n, c.addr):
			c.Reason = ReasonExcluded
		case i > 0 && claims[i-1].Network == n:
			c.Reason, c.With = ReasonDuplicate, stands
		default:
			networks, stands = append(networks, n), c.CI
		}
	}
	if len(networks) == 0 {
		return
	}
	if p.settings.Overlap != OverlapSeparate {
		if all := p.holders(networks, claims[0].addr); len(all) > 1 {
			p.conflict(claims, all)
			return
		}
	}
	for i := range claims {
		c := &claims[i]
		switch {
		case c.Reason != "":
		case p.known[c.Network].Contains(c.addr):
			c.Reason = ReasonKnown
		default:
			c.Reason = ReasonAdd
			p.missing[c.Network] = append(p.missing[c.Network], Range{From: c.addr, To: c.addr})
		}
	}
}

// holders returns the networks that claim an address or, unless the only claim is
// of what its network has, have it.
func (p *planner) holders(claimed []string, a netip.Addr) []string {
	if len(claimed) == 1 && p.known[claimed[0]].Contains(a) {
		return claimed
	}
	all := slices.Clone(claimed)
	for n, set := range p.known {
		if set.Contains(a) && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// isExcluded reports whether a network must not be scanned at an address. An
// exclusion that names no network holds in all.
func (p *planner) isExcluded(n string, a netip.Addr) bool {
	return p.excluded[""].Contains(a) || n != "" && p.excluded[n].Contains(a) || n == "" && p.excluded["0"].Contains(a)
}

func (p *planner) conflict(claims []Verdict, networks []string) {
	slices.Sort(networks)
	c := Conflict{Address: claims[0].addr.String(), Networks: networks}
	for i := range claims {
		v := &claims[i]
		if v.Reason != ReasonExcluded {
			c.CIs = append(c.CIs, v.CI)
			c.Claims++
		}
		if v.Reason == "" {
			others := slices.DeleteFunc(slices.Clone(networks), func(n string) bool { return n == v.Network })
			for k, n := range others {
				if n == "" {
					others[k] = "default"
				}
			}
			v.Reason, v.With = ReasonConflict, strings.Join(others, " ")
		}
	}
	slices.Sort(c.CIs)
	c.CIs = slices.Clip(c.CIs[:min(len(c.CIs), maxClaimants)])
	if len(p.conflicts) < MaxConflicts {
		p.conflicts = append(p.conflicts, c)
	}
}

// plan makes the plan from what is missing and marks the claims above the ceiling.
func (p *planner) plan(open []Verdict) *IPPlan {
	s := p.settings
	plan := &IPPlan{Conflicts: p.conflicts, Registration: s.Registration, Licence: Licence{Limit: s.Licence}}
	for _, set := range p.known {
		plan.Licence.Before += min(set.Count(), math.MaxInt64-plan.Licence.Before)
	}
	room, why := int64(math.MaxInt64), ""
	if s.MaxAdd > 0 {
		room, why = s.MaxAdd, fmt.Sprintf("the plan's ceiling of %d addresses", s.MaxAdd)
	}
	if left := max(0, s.Licence-plan.Licence.Before); s.Licence > 0 && left < room {
		room, why = left, fmt.Sprintf("the licence of %d addresses, of which %d are used,", s.Licence, plan.Licence.Before)
	}
	taken := map[string]Set{}
	var over int64
	for _, n := range slices.Sorted(maps.Keys(p.missing)) {
		first, rest := NewSet(p.missing[n]...).Split(room)
		room -= first.Count()
		taken[n], over = first, over+rest.Count()
		plan.Add = appendScope(plan.Add, n, first)
		plan.LeftOver = appendScope(plan.LeftOver, n, rest)
		plan.Licence.After += first.Count()
	}
	plan.Licence.After += plan.Licence.Before
	if over > 0 {
		plan.Stopped = fmt.Sprintf("%s would be crossed: %d missing addresses are left over", why, over)
	}
	for i := range open {
		if v := &open[i]; v.Reason == ReasonAdd && !taken[v.Network].Contains(v.addr) {
			v.Reason = ReasonCeiling
		}
	}
	return plan
}

func appendScope(list []Scope, network string, s Set) []Scope {
	if n := s.Count(); n > 0 {
		list = append(list, Scope{Network: network, Ranges: s.Ranges(), Addresses: n})
	}
	return list
}

func (p *IPPlan) count(cis []CI, verdicts []Verdict) {
	p.Counts = Counts{Claims: int64(len(verdicts)), By: map[Reason]int64{}}
	with, adding := map[string]bool{}, map[string]bool{}
	for i := range verdicts {
		p.Counts.By[verdicts[i].Reason]++
		with[verdicts[i].CI] = true
		if verdicts[i].Reason == ReasonAdd {
			adding[verdicts[i].CI] = true
		}
	}
	p.CIs = CICounts{Read: len(cis), NoAddress: len(cis) - len(with), Adding: len(adding)}
}

// digest is over what would be written only: a plan that explains itself
// differently is the same plan.
func (p *IPPlan) digest() string {
	b, err := json.Marshal(struct {
		Add          []Scope
		Registration Registration
	}{p.Add, p.Registration})
	if err != nil { // texts, numbers and flags only
		panic("export: digest: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// Addresses returns how many addresses the plan adds.
func (p *IPPlan) Addresses() int64 { return p.Licence.After - p.Licence.Before }

// Remaining returns what of the plan a subscription still lacks: what an
// interrupted execution has to do. Nothing is ever added twice, and nothing that
// was not planned.
func (p *IPPlan) Remaining(known []Scope) []Scope {
	have := scopes(known, network)
	var out []Scope
	for _, s := range p.Add {
		out = appendScope(out, s.Network, NewSet(s.Ranges...).Subtract(have[s.Network]))
	}
	return out
}

// IPCall is one call that adds addresses to one network.
type IPCall struct {
	Network   string  `json:"network"`
	Ranges    []Range `json:"ranges"`
	Addresses int64   `json:"addresses"`
}

// Calls cuts scopes into calls of at most n ranges each.
func Calls(list []Scope, n int) []IPCall {
	var out []IPCall
	for _, s := range list {
		for part := range slices.Chunk(s.Ranges, max(1, n)) {
			out = append(out, IPCall{Network: s.Network, Ranges: part, Addresses: NewSet(part...).Count()})
		}
	}
	return out
}
