package qualys

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// FOOptions describe the VM side of the subscription.
type FOOptions struct {
	// Licence is how many addresses the subscription may hold; 0 is no ceiling.
	Licence int
	// Bearer lets FO accept tokens of an identity provider, which Support switches on.
	Bearer bool
	// Networks adds the attribute network_id to listed addresses, as with Network Support.
	Networks bool
}

// foStore holds the addresses and asset groups of the subscription. Addresses are only ever added: there is no call
// that removes one.
type foStore struct {
	estate  *estate.Estate
	licence int

	mu         sync.Mutex
	ips        addresses
	compliance addresses
	certview   addresses
	tracking   map[string]addresses
	notes      []ipNote
	purged     map[int64]bool // hosts by id
	groups     []assetGroup
	nextGroup  int64
	activities []activity
}

// ipNote is what add or update said about addresses; the last one counts.
type ipNote struct {
	of             addresses
	owner, comment string
	ud             [3]string
}

// foLine is one accepted change in the journal.
type foLine struct {
	API    string            `json:"api"`
	Action string            `json:"action"`
	Params map[string]string `json:"params"`
	User   string            `json:"user"`
	Hosts  []int64           `json:"hosts,omitempty"` // that were purged
}

func newFOStore(e *estate.Estate, o FOOptions) *foStore {
	f := &foStore{estate: e, licence: o.Licence}
	f.reset()
	return f
}

func (f *foStore) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ips = spansOf(f.estate.Licensed())
	f.compliance, f.certview, f.notes, f.groups, f.activities = nil, nil, nil, nil, nil
	f.tracking, f.purged = map[string]addresses{}, map[int64]bool{}
	f.nextGroup = 4_021_900
	for _, g := range f.estate.Groups() {
		f.groups = append(f.groups, assetGroup{id: g.ID, title: g.Title, impact: g.Impact, ips: spansOf(g.Addresses)})
	}
}

func spansOf(ranges []estate.AddressRange) addresses {
	out := make(addresses, 0, len(ranges))
	for _, r := range ranges {
		out = append(out, ipSpan{number(r.First), number(r.Last)})
	}
	return normal(out)
}

// replay does again what was accepted in an earlier life.
func (f *foStore) replay(l *foLine) error {
	if l.Action == "purge" {
		f.purge(l.Hosts)
		return nil
	}
	_, _ = f.apply(&foCall{api: l.API, action: l.Action, params: l.Params, user: User{Username: l.User}})
	return nil
}

func (f *foStore) apply(c *foCall) ([]foNode, *foError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch c.api + " " + c.action {
	case "asset/ip add":
		return f.addIPs(c)
	case "asset/ip update":
		return f.updateIPs(c)
	case "asset/group add":
		return f.addGroup(c)
	case "asset/group edit":
		return f.editGroup(c)
	}
	return f.deleteGroup(c)
}

// writeFO does a change and journals it before the caller has the answer.
func (s *Server) writeFO(c *foCall) (foReply, *foError) {
	if !c.user.Has(PermAddIPs) {
		return foReply{}, foDenied
	}
	kids, refused := s.fo.apply(c)
	if refused != nil {
		return foReply{}, refused
	}
	s.mu.Lock()
	err := s.record(journalLine{FO: &foLine{API: c.api, Action: c.action, Params: c.params, User: c.user.Username}})
	s.mu.Unlock()
	if err != nil {
		return foReply{}, &foError{http.StatusInternalServerError, 999, "Internal error."}
	}
	response := branch("RESPONSE", append([]foNode{leaf("DATETIME", stampFO(c.now))}, kids...)...)
	return foReply{root: branch("SIMPLE_RETURN", response), dtd: "https://" + c.host + "/api/2.0/simple_return.dtd"}, nil
}

func parameterIPs(c *foCall, name string) (addresses, *foError) {
	set, err := parseAddresses(c.get(name))
	if err != nil {
		return nil, foBad(1905, "parameter "+name+" has invalid value: "+err.Error())
	}
	return set, nil
}

// attributes checks what add and update have in common.
func (c *foCall) attributes() *foError {
	switch v, given := c.params["tracking_method"]; {
	case given && v != "IP" && v != "DNS" && v != "NETBIOS":
		return foBad(1905, "parameter tracking_method has invalid value: "+v)
	case len(c.get("comment")) > 4000:
		return foBad(1905, "parameter comment has invalid value: it is longer than 4000 characters")
	}
	for _, name := range []string{"ud1", "ud2", "ud3"} {
		if len(c.get(name)) > 128 {
			return foBad(1905, "parameter "+name+" has invalid value: it is longer than 128 characters")
		}
	}
	return nil
}

// addIPs adds addresses (asset/ip, action=add). Addresses that are there already are no error. The ceiling refuses the
// whole call.
func (f *foStore) addIPs(c *foCall) ([]foNode, *foError) {
	if c.get("ips") == "" {
		return nil, foBad(1903, "Missing required parameter(s): ips")
	}
	vm, pc := c.get("enable_vm") == "1", c.get("enable_pc") == "1" || c.get("enable_sca") == "1"
	certview := c.get("enable_certview") == "1"
	if !vm && !pc && !certview {
		return nil, foBad(1922, "Please specify at least one of: enable_vm, enable_pc, enable_sca, enable_certview")
	}
	set, refused := parameterIPs(c, "ips")
	if refused == nil {
		refused = c.attributes()
	}
	if refused != nil {
		return nil, refused
	}
	group := -1
	if title := c.get("ag_title"); title != "" {
		if group = f.groupTitled(title); group < 0 {
			return nil, foBad(1905, "parameter ag_title has invalid value: "+title)
		}
	}
	all := f.ips.union(set)
	if f.licence > 0 && all.count() > uint64(f.licence) && len(set.minus(f.ips)) > 0 {
		return nil, foBad(1905, "parameter ips has invalid value: your subscription is licensed for "+strconv.Itoa(f.licence)+" IPs, and "+
			strconv.FormatUint(set.minus(f.ips).count(), 10)+" more would exceed it")
	}
	fresh := set.minus(f.ips)
	f.ips = all
	if method := c.get("tracking_method"); method != "" {
		f.track(fresh, method)
	}
	if group >= 0 {
		f.groups[group].ips = f.groups[group].ips.union(set)
	}
	var modules []string
	if vm {
		modules = append(modules, "Vulnerability Management")
	}
	if pc {
		f.compliance = f.compliance.union(set)
		modules = append(modules, "Compliance Management")
	}
	if certview {
		f.certview = f.certview.union(set)
		modules = append(modules, "CertView")
	}
	f.note(c, set)
	return []foNode{leaf("TEXT", "IPs successfully added to "+strings.Join(modules, "/"))}, nil
}

// updateIPs changes attributes (asset/ip, action=update); bare names are the new values.
func (f *foStore) updateIPs(c *foCall) ([]foNode, *foError) {
	set, refused := parameterIPs(c, "ips")
	if refused == nil {
		refused = c.attributes()
	}
	_, dns := c.params["host_dns"]
	_, netbios := c.params["host_netbios"]
	switch {
	case refused != nil:
		return nil, refused
	case (dns || netbios) && set.count() != 1:
		return nil, foBad(1907, "host_dns and host_netbios cannot be combined with more than one IP")
	case len(set.minus(f.ips)) > 0:
		return nil, foBad(1905, "parameter ips has invalid value: "+set.minus(f.ips)[0].String()+" is not in your subscription")
	}
	if method := c.get("tracking_method"); method != "" {
		f.track(set, method)
	}
	f.note(c, set)
	return []foNode{leaf("TEXT", "IPs successfully updated")}, nil
}

func (f *foStore) track(set addresses, method string) {
	for name := range f.tracking {
		f.tracking[name] = f.tracking[name].minus(set)
	}
	if method != "IP" {
		f.tracking[method] = f.tracking[method].union(set)
	}
}

func (f *foStore) note(c *foCall, set addresses) {
	n := ipNote{set, c.get("owner"), c.get("comment"), [3]string{c.get("ud1"), c.get("ud2"), c.get("ud3")}}
	if n.owner != "" || n.comment != "" || n.ud != [3]string{} {
		f.notes = append(f.notes, n)
	}
}

// method is how an address is tracked.
func (f *foStore) method(n uint32) string {
	for name, set := range f.tracking {
		if set.has(n) {
			return name
		}
	}
	return "IP"
}

func (s *Server) networkAttr() string {
	if s.opts.FO.Networks {
		return ` network_id="0"`
	}
	return ""
}

// listIPs serves asset/ip, action=list: no paging, and no IP_SET when nothing is left.
func (s *Server) listIPs(c *foCall) (foReply, *foError) {
	s.fo.mu.Lock()
	defer s.fo.mu.Unlock()
	set := s.fo.ips
	if c.get("ips") != "" {
		asked, refused := parameterIPs(c, "ips")
		if refused != nil {
			return foReply{}, refused
		}
		set = set.intersect(asked)
	}
	switch method := c.get("tracking_method"); method {
	case "":
	case "IP":
		set = set.minus(s.fo.tracking["DNS"]).minus(s.fo.tracking["NETBIOS"])
	case "DNS", "NETBIOS":
		set = set.intersect(s.fo.tracking[method])
	default:
		return foReply{}, foBad(1905, "parameter tracking_method has invalid value: "+method)
	}
	for name, module := range map[string]addresses{"compliance_enabled": s.fo.compliance, "certview_enabled": s.fo.certview} {
		switch c.get(name) {
		case "1":
			set = set.intersect(module)
		case "0":
			set = set.minus(module)
		}
	}
	return s.ipReply(c, "asset/ip/ip_list_output.dtd", set), nil
}

func (s *Server) ipReply(c *foCall, dtd string, set addresses) foReply {
	response := branch("RESPONSE", leaf("DATETIME", stampFO(c.now)))
	if len(set) > 0 {
		response.kids = append(response.kids, branch("IP_SET", set.nodes(s.networkAttr())...))
	}
	return foReply{branch("IP_LIST_OUTPUT", response), "https://" + c.host + "/api/2.0/fo/" + dtd, true, len(set)}
}

// listExcluded serves asset/excluded_ip, action=list. Its output is not published in full; it is that of asset/ip.
func (s *Server) listExcluded(c *foCall) (foReply, *foError) {
	var set addresses
	for _, a := range s.estate.Excluded() {
		set = append(set, ipSpan{number(a), number(a)})
	}
	set = normal(set)
	if c.get("ips") != "" {
		asked, refused := parameterIPs(c, "ips")
		if refused != nil {
			return foReply{}, refused
		}
		set = set.intersect(asked)
	}
	return s.ipReply(c, "asset/excluded_ip/ip_list_output.dtd", set), nil
}
