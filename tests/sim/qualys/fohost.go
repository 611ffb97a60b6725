package qualys

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

const hostParameters = "show_asset_id details os_pattern truncation_limit ips ag_ids ag_titles ids id_min id_max network_ids show_tags " +
	"ipv6 compliance_enabled " + hostDates + " use_tags tag_set_by tag_include_selector tag_exclude_selector tag_set_include tag_set_exclude " +
	"show_ars ars_min ars_max show_ars_factors show_trurisk trurisk_min trurisk_max show_trurisk_factors " +
	"host_metadata host_metadata_fields show_cloud_tags cloud_tag_fields"

// truncationDefault is the number of records of an answer unless truncation_limit says otherwise; 0 is no end.
const truncationDefault = 1000

func truncation(c *foCall) (int, *foError) {
	text, given := c.params["truncation_limit"]
	if !given {
		return truncationDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1_000_000 {
		return 0, foBad(1905, "parameter truncation_limit has invalid value: "+text)
	}
	return n, nil
}

// idFilter reads ids, id_min and id_max; ids may hold ranges and cannot be combined with the other two.
func idFilter(c *foCall) (func(int64) bool, *foError) {
	low, high := int64(0), int64(1)<<62
	for name, to := range map[string]*int64{"id_min": &low, "id_max": &high} {
		if text, given := c.params[name]; given {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 0 {
				return nil, foBad(1905, "parameter "+name+" has invalid value: "+text)
			}
			*to = n
		}
	}
	type idRange struct{ lo, hi int64 }
	var ranges []idRange
	if text := c.get("ids"); text != "" {
		if c.get("id_min") != "" || c.get("id_max") != "" {
			return nil, foBad(1907, "ids cannot be combined with id_min or id_max")
		}
		for part := range strings.SplitSeq(text, ",") {
			first, last, ranged := strings.Cut(part, "-")
			if !ranged {
				last = first
			}
			lo, err := strconv.ParseInt(first, 10, 64)
			hi, bad := strconv.ParseInt(last, 10, 64)
			if err != nil || bad != nil || lo > hi {
				return nil, foBad(1905, "parameter ids has invalid value: "+part)
			}
			ranges = append(ranges, idRange{lo, hi})
		}
	}
	return func(id int64) bool {
		return id >= low && id <= high && (ranges == nil || slices.ContainsFunc(ranges, func(r idRange) bool { return r.lo <= id && id <= r.hi }))
	}, nil
}

// warning is the WARNING 1980 of a list that was cut. Its URL repeats the call with id_min.
func warning(c *foCall, path string, limit int, next int64) foNode {
	query := url.Values{}
	for name := range maps.Keys(c.params) {
		query.Set(name, c.params[name])
	}
	query.Set("truncation_limit", strconv.Itoa(limit))
	query.Set("id_min", strconv.FormatInt(next, 10))
	return branch("WARNING", leaf("CODE", "1980"),
		leaf("TEXT", strconv.Itoa(limit)+" record limit exceeded. Use URL to get next batch of results."),
		cdata("URL", "https://"+c.host+path+"?"+query.Encode()))
}

// hostQuery is a checked call of asset/host, action=list.
type hostQuery struct {
	wanted  func(int64) bool
	limit   int
	details string
	os      *regexp.Regexp
	within  addresses
	bounded bool
	more    []func(*estate.Asset) bool // the other filters
}

func (s *Server) hostQuery(c *foCall) (q hostQuery, refused *foError) {
	if q.wanted, refused = idFilter(c); refused != nil {
		return q, refused
	}
	if q.limit, refused = truncation(c); refused != nil {
		return q, refused
	}
	if q.details = c.get("details"); q.details == "" {
		q.details = "Basic"
	}
	if !slices.Contains([]string{"None", "Basic", "Basic/AGs", "All", "All/AGs"}, q.details) {
		return q, foBad(1905, "parameter details has invalid value: "+q.details)
	}
	if text := c.get("os_pattern"); text != "" {
		var err error
		if q.os, err = regexp.Compile(text); err != nil {
			return q, foBad(1905, "parameter os_pattern has invalid value: "+text)
		}
	}
	if c.get("ips") != "" {
		if q.within, refused = parameterIPs(c, "ips"); refused != nil {
			return q, refused
		}
		q.bounded = true
	}
	if ids, titles := c.get("ag_ids"), c.get("ag_titles"); ids != "" || titles != "" {
		if ids != "" && titles != "" {
			return q, foBad(1904, "Please specify only one of: ag_ids, ag_titles")
		}
		var set addresses
		for _, g := range s.fo.groups {
			if slices.Contains(strings.Split(ids, ","), strconv.FormatInt(g.id, 10)) || slices.Contains(strings.Split(titles, ","), g.title) {
				set = set.union(g.ips)
			}
		}
		if q.bounded {
			set = set.intersect(q.within)
		}
		q.within, q.bounded = set, true
	}
	q.more, refused = s.hostFilters(c)
	return q, refused
}

// listHosts serves asset/host, action=list: hosts that were scanned at an address of the subscription, and agents.
func (s *Server) listHosts(c *foCall) (foReply, *foError) {
	s.fo.mu.Lock()
	defer s.fo.mu.Unlock()
	q, refused := s.hostQuery(c)
	if refused != nil {
		return foReply{}, refused
	}
	reader := s.estate.Reader()
	list, ids := branch("HOST_LIST"), []int64(nil)
	next, last := int64(0), int64(0)
	start := 0
	if text := c.get("id_min"); text != "" {
		n, _ := strconv.ParseInt(text, 10, 64)
		start = s.estate.After(estate.FirstOfHostID(n) - 1)
	}
	for index := start; index < s.estate.Size(); index++ {
		a, ok := reader.Asset(index)
		if !ok || !q.wanted(a.HostID) {
			continue
		}
		if s.tags.show(a); !s.hostMatches(a, &q) {
			continue
		}
		// Two assets may share a host id; a page never ends between them, or the second would be lost.
		if q.limit > 0 && len(ids) >= q.limit && a.HostID != last {
			next = a.HostID
			break
		}
		last = a.HostID
		ids = append(ids, a.HostID)
		if q.details != "None" {
			list.kids = append(list.kids, s.hostNode(a, c, q.details))
		}
	}
	response := branch("RESPONSE", leaf("DATETIME", stampFO(c.now)))
	switch {
	case len(ids) == 0:
	case q.details == "None":
		response.kids = append(response.kids, idSet(ids))
	default:
		response.kids = append(response.kids, list)
	}
	if next > 0 {
		response.kids = append(response.kids, warning(c, "/api/2.0/fo/asset/host/", q.limit, next))
	}
	return foReply{branch("HOST_LIST_OUTPUT", response), "https://" + c.host + "/api/2.0/fo/asset/host/host_list_output.dtd", true, len(ids)}, nil
}

func (s *Server) hostMatches(a *estate.Asset, q *hostQuery) bool {
	if !isHost(a) || !a.Address.Is4() || s.fo.purged[a.HostID] {
		return false
	}
	n := number(a.Address)
	return (a.AgentID != "" || s.fo.ips.has(n)) && (!q.bounded || q.within.has(n)) && (q.os == nil || q.os.MatchString(a.OS.Full)) &&
		!slices.ContainsFunc(q.more, func(f func(*estate.Asset) bool) bool { return !f(a) })
}

func idSet(ids []int64) foNode {
	set := branch("ID_SET")
	for i := 0; i < len(ids); {
		j := i
		for j+1 < len(ids) && ids[j+1]-ids[j] <= 1 {
			j++
		}
		if text := strconv.FormatInt(ids[i], 10); ids[i] == ids[j] {
			set.kids = append(set.kids, leaf("ID", text))
		} else {
			set.kids = append(set.kids, leaf("ID_RANGE", text+"-"+strconv.FormatInt(ids[j], 10)))
		}
		i = j + 1
	}
	return set
}

func stampMs(ms int64) string {
	if ms <= 0 {
		return ""
	}
	return stampFO(time.UnixMilli(ms))
}

// hostNode shows an asset as a host, its members in the order of the DTD.
func (s *Server) hostNode(a *estate.Asset, c *foCall, details string) foNode {
	n := branch("HOST", leaf("ID", strconv.FormatInt(a.HostID, 10)))
	if c.get("show_asset_id") == "1" {
		n.optional("ASSET_ID", strconv.FormatInt(a.ID, 10))
	}
	n.optional("IP", a.Address.String())
	n.optional("IPV6", ipv6Of(a))
	if c.get("show_trurisk") == "1" || c.get("show_ars") == "1" {
		n.optional("TRURISK_SCORE", strconv.Itoa(a.RiskScore))
		n.optional("ASSET_CRITICALITY_SCORE", strconv.Itoa(a.Criticality))
	}
	method := s.fo.method(number(a.Address))
	if a.AgentID != "" {
		method = "AGENT"
	}
	n.optional("TRACKING_METHOD", method)
	if s.opts.FO.Networks {
		n.optional("NETWORK_ID", "0")
	}
	if a.DNSName != "" {
		host, domain, _ := strings.Cut(a.DNSName, ".")
		n.kids = append(n.kids, cdata("DNS", a.DNSName), branch("DNS_DATA", cdata("HOSTNAME", host), cdata("DOMAIN", domain), cdata("FQDN", a.DNSName)))
	}
	n.cloud(a)
	if a.NetBIOS != "" {
		n.kids = append(n.kids, cdata("NETBIOS", a.NetBIOS))
	}
	if name := a.OS.Full; name != "" {
		n.kids = append(n.kids, cdata("OS", name))
	}
	if a.AgentID != "" {
		n.kids = append(n.kids, cdata("QG_HOSTID", a.AgentID))
	}
	if strings.HasPrefix(details, "All") {
		n.optional("LAST_BOOT", stampMs(a.LastBoot))
		n.optional("SERIAL_NUMBER", a.Serial)
		n.optional("HARDWARE_UUID", a.HardwareUUID)
		n.optional("FIRST_FOUND_DATE", stampMs(a.Created))
		n.optional("LAST_ACTIVITY", stampMs(a.LastCheckedIn))
	}
	if c.get("show_tags") == "1" {
		n.tags(a)
	}
	n.metadata(a, c)
	n.optional("LAST_VULN_SCAN_DATETIME", stampMs(a.SensorUpdated))
	n.optional("LAST_VM_SCANNED_DATE", stampMs(a.SensorUpdated))
	if authenticated(a) {
		n.optional("LAST_VM_AUTH_SCANNED_DATE", stampMs(a.SensorUpdated))
	}
	s.fo.remarks(&n, number(a.Address))
	if strings.HasSuffix(details, "/AGs") {
		var groups []string
		for _, g := range s.fo.groups {
			if g.ips.has(number(a.Address)) {
				groups = append(groups, strconv.FormatInt(g.id, 10))
			}
		}
		n.optional("ASSET_GROUP_IDS", strings.Join(groups, ","))
	}
	return n
}
