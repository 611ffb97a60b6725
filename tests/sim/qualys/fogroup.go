package qualys

import (
	"slices"
	"strconv"
	"strings"
)

const groupSetters = "set_title set_comments set_division set_location set_function set_business_impact add_ips remove_ips set_ips " +
	"add_appliance_ids remove_appliance_ids set_appliance_ids add_domains remove_domains set_domains " +
	"add_dns_names remove_dns_names set_dns_names add_netbios_names remove_netbios_names set_netbios_names"

// assetGroup is a group of addresses and names.
type assetGroup struct {
	id                                                    int64
	title, comments, division, location, function, impact string
	ips                                                   addresses
	dns, netbios, domains                                 []string
}

func (f *foStore) groupTitled(title string) int {
	return slices.IndexFunc(f.groups, func(g assetGroup) bool { return g.title == title })
}

func (f *foStore) groupByID(c *foCall) (int, *foError) {
	id, err := strconv.ParseInt(c.get("id"), 10, 64)
	i := slices.IndexFunc(f.groups, func(g assetGroup) bool { return g.id == id })
	if err != nil || i < 0 {
		return 0, foBad(1905, "parameter id has invalid value: "+c.get("id"))
	}
	return i, nil
}

// groupIPs reads addresses that must be in the subscription.
func (f *foStore) groupIPs(c *foCall, name string) (addresses, *foError) {
	if c.get(name) == "" {
		return nil, nil
	}
	set, refused := parameterIPs(c, name)
	if refused != nil {
		return nil, refused
	}
	if foreign := set.minus(f.ips); len(foreign) > 0 {
		return nil, foBad(1905, "parameter "+name+" has invalid value: "+foreign[0].String()+" is not in your subscription")
	}
	return set, nil
}

func checkImpact(c *foCall, name string) *foError {
	if v, given := c.params[name]; given && !slices.Contains([]string{"critical", "high", "medium", "low", "none"}, v) {
		return foBad(1905, "parameter "+name+" has invalid value: "+v)
	}
	return nil
}

func names(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' })
}

func (f *foStore) addGroup(c *foCall) ([]foNode, *foError) {
	set, refused := f.groupIPs(c, "ips")
	if refused == nil {
		refused = checkImpact(c, "business_impact")
	}
	if refused != nil {
		return nil, refused
	}
	if f.groupTitled(c.get("title")) >= 0 {
		return nil, foBad(1905, "parameter title has invalid value: "+c.get("title")+" (This title is already used)")
	}
	f.nextGroup++
	f.groups = append(f.groups, assetGroup{
		id: f.nextGroup, title: c.get("title"), comments: c.get("comments"), division: c.get("division"), location: c.get("location"),
		function: c.get("function"), impact: c.get("business_impact"), ips: set, dns: names(c.get("dns_names")),
		netbios: names(c.get("netbios_names")), domains: names(c.get("domains")),
	})
	return []foNode{leaf("TEXT", "Asset Group Added Successfully"), groupItem(f.nextGroup)}, nil
}

func groupItem(id int64) foNode {
	return branch("ITEM_LIST", branch("ITEM", leaf("KEY", "ID"), leaf("VALUE", strconv.FormatInt(id, 10))))
}

func (f *foStore) editGroup(c *foCall) ([]foNode, *foError) {
	i, refused := f.groupByID(c)
	if refused == nil {
		refused = checkImpact(c, "set_business_impact")
	}
	if refused != nil {
		return nil, refused
	}
	g := f.groups[i]
	for _, kind := range []string{"ips", "dns_names", "netbios_names", "domains", "appliance_ids"} {
		_, set := c.params["set_"+kind]
		_, add := c.params["add_"+kind]
		_, remove := c.params["remove_"+kind]
		if set && (add || remove) {
			return nil, foBad(1907, "set_"+kind+" cannot be combined with add_"+kind+" or remove_"+kind)
		}
	}
	if refused := f.editIPs(c, &g); refused != nil {
		return nil, refused
	}
	for kind, list := range map[string]*[]string{"dns_names": &g.dns, "netbios_names": &g.netbios, "domains": &g.domains} {
		if v, set := c.params["set_"+kind]; set {
			*list = names(v)
		}
		kept := slices.Concat(*list, names(c.get("add_"+kind)))
		slices.Sort(kept)
		gone := names(c.get("remove_" + kind))
		*list = slices.DeleteFunc(slices.Compact(kept), func(s string) bool { return slices.Contains(gone, s) })
	}
	for name, to := range map[string]*string{
		"set_title": &g.title, "set_comments": &g.comments, "set_division": &g.division, "set_location": &g.location,
		"set_function": &g.function, "set_business_impact": &g.impact,
	} {
		if v, given := c.params[name]; given {
			*to = v
		}
	}
	if at := f.groupTitled(g.title); g.title == "" || at >= 0 && at != i {
		return nil, foBad(1905, "parameter set_title has invalid value: "+g.title)
	}
	f.groups[i] = g
	return []foNode{leaf("TEXT", "Asset Group Updated Successfully"), groupItem(g.id)}, nil
}

func (f *foStore) editIPs(c *foCall, g *assetGroup) *foError {
	sets := map[string]addresses{}
	for _, name := range []string{"set_ips", "add_ips", "remove_ips"} {
		set, refused := f.groupIPs(c, name)
		if refused != nil {
			return refused
		}
		sets[name] = set
	}
	if _, given := c.params["set_ips"]; given {
		g.ips = sets["set_ips"]
	}
	g.ips = g.ips.union(sets["add_ips"]).minus(sets["remove_ips"])
	return nil
}

func (f *foStore) deleteGroup(c *foCall) ([]foNode, *foError) {
	i, refused := f.groupByID(c)
	if refused != nil {
		return nil, refused
	}
	id := f.groups[i].id
	f.groups = slices.Delete(f.groups, i, i+1)
	return []foNode{leaf("TEXT", "Asset Group Deleted Successfully"), groupItem(id)}, nil
}

// listGroups serves asset/group, action=list.
func (s *Server) listGroups(c *foCall) (foReply, *foError) {
	wanted, refused := idFilter(c)
	if refused != nil {
		return foReply{}, refused
	}
	limit, refused := truncation(c)
	if refused != nil {
		return foReply{}, refused
	}
	show := c.get("show_attributes")
	shows := func(name string) bool {
		return name == "ID" || show == "ALL" || show == "All" || show == "" && !strings.HasSuffix(name, "_LIST") ||
			slices.Contains(strings.Split(show, ","), name)
	}
	s.fo.mu.Lock()
	defer s.fo.mu.Unlock()
	list := branch("ASSET_GROUP_LIST")
	response := branch("RESPONSE", leaf("DATETIME", stampFO(c.now)))
	next := int64(0)
	for _, g := range s.fo.groups {
		if title := c.get("title"); !wanted(g.id) || title != "" && title != g.title {
			continue
		}
		if limit > 0 && len(list.kids) == limit {
			next = g.id
			break
		}
		n := branch("ASSET_GROUP")
		for _, kid := range groupNodes(g) {
			if shows(kid.name) {
				n.kids = append(n.kids, kid)
			}
		}
		list.kids = append(list.kids, n)
	}
	if len(list.kids) > 0 {
		response.kids = append(response.kids, list)
	}
	if next > 0 {
		response.kids = append(response.kids, warning(c, "/api/2.0/fo/asset/group/", limit, next))
	}
	return foReply{branch("ASSET_GROUP_LIST_OUTPUT", response), "https://" + c.host + "/api/2.0/fo/asset/group/asset_group_list_output.dtd", true, len(list.kids)}, nil
}

func groupNodes(g assetGroup) []foNode {
	out := []foNode{leaf("ID", strconv.FormatInt(g.id, 10)), cdata("TITLE", g.title), leaf("OWNER_ID", "1103195"), leaf("UNIT_ID", "0"),
		leaf("NETWORK_IDS", "0")}
	if g.impact != "" {
		out = append(out, leaf("BUSINESS_IMPACT", strings.ToUpper(g.impact[:1])+g.impact[1:]))
	}
	for _, x := range []struct{ name, text string }{{"COMMENTS", g.comments}, {"DIVISION", g.division}, {"LOCATION", g.location}, {"FUNCTION", g.function}} {
		if x.text != "" {
			out = append(out, cdata(x.name, x.text))
		}
	}
	if len(g.ips) > 0 {
		out = append(out, branch("IP_SET", g.ips.nodes("")...))
	}
	for _, x := range []struct {
		name, item string
		list       []string
	}{{"DNS_LIST", "DNS", g.dns}, {"NETBIOS_LIST", "NETBIOS", g.netbios}, {"DOMAIN_LIST", "DOMAIN", g.domains}} {
		if len(x.list) == 0 {
			continue
		}
		n := branch(x.name)
		for _, text := range x.list {
			n.kids = append(n.kids, cdata(x.item, text))
		}
		out = append(out, n)
	}
	return out
}
