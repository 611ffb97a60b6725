package export

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// CI is a configuration item whose addresses Qualys may lack.
type CI struct {
	SysID string
	Name  string
	Class string
	// Network is the network scope as the CMDB names it; IPSettings.Networks says
	// which network of the subscription that is. "" is the default one.
	Network string
	// FromQualys says that the CI came from Qualys: it is never exported back.
	FromQualys bool
	Addresses  []Address
}

// Address is an address of a CI as the CMDB has it, of the CI itself or of one of
// its adapters.
type Address struct {
	Text string
	DHCP bool // a lease: it may be another machine's tomorrow
}

// Overlap says what becomes of an address that two networks claim.
const (
	OverlapReport   = "report"   // none gets it, both are reported
	OverlapSeparate = "separate" // each network gets it
)

// IPSettings are the settings of a plan.
type IPSettings struct {
	IncludeDHCP bool `yaml:"includeDHCP,omitzero" json:"includeDHCP,omitempty"`
	// ClientClasses are classes whose CIs are left out. nil means
	// DefaultClientClasses; an empty list leaves out none.
	ClientClasses []string `yaml:"clientClasses,omitzero" json:"clientClasses,omitempty"`
	Exclude       []string `yaml:"exclude,omitzero" json:"exclude,omitempty"` // addresses, ranges and prefixes that are never added
	// Networks translates network scopes of the CMDB to network ids of the
	// subscription. A scope that is not listed belongs to no known network and its
	// addresses are reported; "" is the default network unless listed.
	Networks map[string]string `yaml:"networks,omitzero" json:"networks,omitempty"`
	Overlap  string            `yaml:"overlap,omitzero" json:"overlap,omitempty"` // OverlapReport (default) | OverlapSeparate
	// MaxAdd is how many addresses one plan may add, Licence how many the
	// subscription may hold in all; 0 sets no such ceiling.
	MaxAdd       int64        `yaml:"maxAdd,omitzero" json:"maxAdd,omitempty"`
	Licence      int64        `yaml:"licence,omitzero" json:"licence,omitempty"`
	Registration Registration `yaml:"registration" json:"registration"`
}

// DefaultClientClasses are the classes of machines that come and go with people.
func DefaultClientClasses() []string {
	return []string{"cmdb_ci_computer", "cmdb_ci_pc_hardware", "cmdb_ci_handheld_computing", "cmdb_ci_ip_phone"}
}

// Scope is addresses of one network of the subscription. Network is its id; "" and
// "0" are the default network.
type Scope struct {
	Network   string  `json:"network"`
	Ranges    []Range `json:"ranges"`
	Addresses int64   `json:"addresses"`
}

// Subscription is what a subscription has.
type Subscription struct {
	// Whole says that the account sees the whole subscription. A plan made from a
	// part would add what is there already and count the licence wrongly.
	Whole bool
	Known []Scope
	// Excluded is the vendor's list of hosts that must never be scanned. Ranges
	// without a network (Network "") are excluded in all networks.
	Excluded []Scope
}

// ErrPartialView says that a plan was refused because the account does not see
// the whole subscription.
var ErrPartialView = errors.New("export: the account does not see the whole subscription, so what is missing cannot be known: use an account with the Manager role")

// Reason is what became of an address that a CI claims, and why.
type Reason string

// Reasons, in the order in which they are looked for.
const (
	ReasonEcho       Reason = "the CI came from Qualys"
	ReasonClient     Reason = "the class is one of clients"
	ReasonInvalid    Reason = "not an address"
	ReasonUnusable   Reason = "unspecified, loopback, link-local, multicast, broadcast or reserved"
	ReasonIPv6       Reason = "IPv6: the vendor's call takes IPv4 only"
	ReasonDHCP       Reason = "leased by DHCP"
	ReasonNoNetwork  Reason = "the network scope is not translated"
	ReasonOwnExclude Reason = "excluded by the settings"
	ReasonExcluded   Reason = "excluded in the subscription"
	ReasonDuplicate  Reason = "another CI has the same address"
	ReasonConflict   Reason = "two networks claim the address"
	ReasonKnown      Reason = "known"
	ReasonCeiling    Reason = "above the ceiling"
	ReasonAdd        Reason = "added"
)

// Reasons returns all reasons, in the order in which they are looked for.
func Reasons() []Reason {
	return []Reason{
		ReasonEcho, ReasonClient, ReasonInvalid, ReasonUnusable, ReasonIPv6, ReasonDHCP, ReasonNoNetwork, ReasonOwnExclude, ReasonExcluded,
		ReasonDuplicate, ReasonConflict, ReasonKnown, ReasonCeiling, ReasonAdd,
	}
}

// Verdict is what became of one address of a CI.
type Verdict struct {
	CI      string `json:"ci"` // sys_id
	Name    string `json:"name"`
	Address string `json:"address"` // as the CMDB has it
	Network string `json:"network"` // id in the subscription
	Reason  Reason `json:"reason"`
	// With is who else claims the address: the sys_id of the CI that stands for a
	// duplicate, the other networks of a conflict.
	With string `json:"with,omitempty"`

	addr netip.Addr
}

// broadcast is no host anywhere.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// unusable reports whether an address cannot stand for one host of a network:
// 0.0.0.0/8 is "this network", 240.0.0.0/4 is reserved.
func unusable(a netip.Addr) bool {
	first := a.AsSlice()[0]
	return a.IsUnspecified() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a == broadcast ||
		a.Is4() && (first == 0 || first >= 240)
}

// network returns the id of a network in one form.
func network(id string) string {
	if id = strings.TrimSpace(id); id == "0" {
		return ""
	}
	return id
}

// translate returns the network of the subscription for a scope of the CMDB.
func (s *IPSettings) translate(scope string) (string, bool) {
	if id, ok := s.Networks[scope]; ok {
		return network(id), true
	}
	return "", scope == ""
}

// claims are the addresses of all CIs, each once per CI, with the verdicts that an
// address gets for itself. Those without a verdict yet are in order of address,
// network and CI.
func claims(cis []CI, s *IPSettings, own Set) (open, decided []Verdict) {
	clients := s.ClientClasses
	if clients == nil {
		clients = DefaultClientClasses()
	}
	for i := range cis {
		ci := &cis[i]
		net, known := s.translate(ci.Network)
		for _, v := range addresses(ci) {
			v.Network = net
			switch {
			case ci.FromQualys:
				v.Reason = ReasonEcho
			case slices.Contains(clients, ci.Class):
				v.Reason = ReasonClient
			case v.Reason == "" && v.addr.Is6():
				v.Reason = ReasonIPv6
			case v.Reason == ReasonDHCP && s.IncludeDHCP:
				v.Reason = ""
			}
			if v.Reason == "" && !known {
				v.Reason, v.With = ReasonNoNetwork, ci.Network
			}
			if v.Reason == "" && own.Contains(v.addr) {
				v.Reason = ReasonOwnExclude
			}
			if v.Reason == "" {
				open = append(open, v)
			} else {
				decided = append(decided, v)
			}
		}
	}
	slices.SortFunc(open, func(a, b Verdict) int {
		return cmp.Or(a.addr.Compare(b.addr), strings.Compare(a.Network, b.Network), strings.Compare(a.CI, b.CI))
	})
	return open, decided
}

// addresses returns the addresses of a CI, each once: an adapter often repeats
// what stands on the CI. One that any adapter calls leased is leased.
func addresses(ci *CI) []Verdict {
	var out []Verdict
	at := map[string]int{}
	for _, raw := range ci.Addresses {
		text := strings.TrimSpace(raw.Text)
		if text == "" {
			continue
		}
		v := Verdict{CI: ci.SysID, Name: ci.Name, Address: text}
		key := text
		if a, err := netip.ParseAddr(text); err != nil {
			v.Reason = ReasonInvalid
		} else {
			v.addr = a.WithZone("").Unmap()
			if key = v.addr.String(); unusable(v.addr) {
				v.Reason = ReasonUnusable
			}
		}
		if raw.DHCP && v.Reason == "" && v.addr.Is4() {
			v.Reason = ReasonDHCP
		}
		if i, again := at[key]; again {
			out[i].Reason = cmp.Or(out[i].Reason, v.Reason)
			continue
		}
		at[key] = len(out)
		out = append(out, v)
	}
	return out
}

// scopes turns scopes into sets by network.
func scopes(list []Scope, key func(string) string) map[string]Set {
	ranges := map[string][]Range{}
	for _, s := range list {
		n := key(s.Network)
		ranges[n] = append(ranges[n], s.Ranges...)
	}
	out := make(map[string]Set, len(ranges))
	for n, r := range ranges {
		out[n] = NewSet(r...)
	}
	return out
}

// Check says what is wrong with the settings.
func (s *IPSettings) Check() error {
	if _, err := ParseSet(s.Exclude); err != nil {
		return err
	}
	switch {
	case s.Overlap != "" && s.Overlap != OverlapReport && s.Overlap != OverlapSeparate:
		return fmt.Errorf("export: overlap %q is none of %s, %s", s.Overlap, OverlapReport, OverlapSeparate)
	case s.MaxAdd < 0 || s.Licence < 0:
		return errors.New("export: a ceiling is negative: leave it out for none")
	}
	return s.Registration.Check()
}
