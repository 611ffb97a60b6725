package qualys

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// hostDates are the filters of asset/host by dates. Compliance and SCAP scans never ran in this subscription.
const hostDates = "no_vm_scan_since vm_scan_since no_compliance_scan_since compliance_scan_since scap_scan_since no_scap_scan_since " +
	"vm_processed_before vm_processed_after vm_scan_date_before vm_scan_date_after vm_auth_scan_date_before vm_auth_scan_date_after"

// authenticated reports whether the last scan of an asset looked inside.
func authenticated(a *estate.Asset) bool { return a.AgentID != "" || a.Serial != "" }

// ipv6Of returns the first global address of version 6, or "".
func ipv6Of(a *estate.Asset) string {
	for _, n := range a.NICs {
		if ip, err := netip.ParseAddr(n.V6); err == nil && !ip.IsLinkLocalUnicast() {
			return ip.String()
		}
	}
	return ""
}

// foDate reads a date of FO: 2026-01-31 or 2026-01-31T08:00:00Z.
func foDate(name, text string) (int64, *foError) {
	for _, form := range []string{time.DateOnly, "2006-01-02T15:04:05Z"} {
		if at, err := time.Parse(form, text); err == nil {
			return at.UnixMilli(), nil
		}
	}
	return 0, foBad(1905, "parameter "+name+" has invalid value: "+text)
}

// hostFilters reads the filters of asset/host, action=list, beside ids, addresses, groups and system.
func (s *Server) hostFilters(c *foCall) (out []func(*estate.Asset) bool, refused *foError) {
	for name := range strings.FieldsSeq(hostDates) {
		text, given := c.params[name]
		if !given {
			continue
		}
		at, refused := foDate(name, text)
		if refused != nil {
			return nil, refused
		}
		out = append(out, dated(name, at))
	}
	for _, read := range []func(*foCall) (func(*estate.Asset) bool, *foError){s.hostTags, hostScores, hostNetwork, hostIPv6} {
		f, refused := read(c)
		if refused != nil {
			return nil, refused
		}
		if f != nil {
			out = append(out, f)
		}
	}
	if v := c.get("compliance_enabled"); v != "" {
		out = append(out, func(a *estate.Asset) bool {
			return (v == "1") == (a.AgentID != "" || a.Address.Is4() && s.fo.compliance.has(number(a.Address)))
		})
	}
	if v := c.get("host_metadata"); v != "" && !slices.Contains([]string{"all", "ec2", "google", "azure"}, v) {
		return nil, foBad(1905, "parameter host_metadata has invalid value: "+v)
	}
	return out, nil
}

// dated is a filter by a date.
func dated(name string, at int64) func(*estate.Asset) bool {
	never := func(*estate.Asset) int64 { return 0 }
	scanned := func(a *estate.Asset) int64 { return a.SensorUpdated }
	of := scanned
	switch {
	case strings.Contains(name, "compliance"), strings.Contains(name, "scap"):
		of = never
	case strings.Contains(name, "auth"):
		of = func(a *estate.Asset) int64 {
			if !authenticated(a) {
				return 0
			}
			return a.SensorUpdated
		}
	}
	switch {
	case strings.HasPrefix(name, "no_"):
		return func(a *estate.Asset) bool { return of(a) < at }
	case strings.HasSuffix(name, "_before"):
		return func(a *estate.Asset) bool { return of(a) > 0 && of(a) < at }
	}
	return func(a *estate.Asset) bool { return of(a) >= at }
}

// hostTags reads the filter by tags: use_tags=1 with tags by id or name to include and to exclude.
func (s *Server) hostTags(c *foCall) (func(*estate.Asset) bool, *foError) {
	include, exclude := names(c.get("tag_set_include")), names(c.get("tag_set_exclude"))
	if c.get("use_tags") != "1" {
		if len(include)+len(exclude) > 0 {
			return nil, foBad(1903, "Missing required parameter(s): use_tags")
		}
		return nil, nil
	}
	if len(include) == 0 {
		return nil, foBad(1903, "Missing required parameter(s): tag_set_include")
	}
	by := orDefault(c.get("tag_set_by"), "id")
	if by != "id" && by != "name" {
		return nil, foBad(1905, "parameter tag_set_by has invalid value: "+by)
	}
	selectors := map[string]string{"tag_include_selector": "", "tag_exclude_selector": ""}
	for name := range selectors {
		v := orDefault(c.get(name), "any")
		if v != "any" && v != "all" {
			return nil, foBad(1905, "parameter "+name+" has invalid value: "+v)
		}
		selectors[name] = v
	}
	return func(a *estate.Asset) bool {
		has := func(tag string) bool {
			return slices.ContainsFunc(tagsOf(a), func(l estate.Label) bool {
				return by == "name" && l.Name == tag || by == "id" && strconv.FormatInt(l.ID, 10) == tag
			})
		}
		selected := func(list []string, selector string) bool {
			if selector == "all" {
				return !slices.ContainsFunc(list, func(tag string) bool { return !has(tag) })
			}
			return slices.ContainsFunc(list, has)
		}
		return selected(include, selectors["tag_include_selector"]) && (len(exclude) == 0 || !selected(exclude, selectors["tag_exclude_selector"]))
	}, nil
}

// tagsOf returns all tags of an asset.
func tagsOf(a *estate.Asset) []estate.Label {
	out := slices.Clone(a.Labels)
	for _, t := range a.Tags {
		out = append(out, estate.Label{ID: estate.TagID(t), Name: estate.TagName(t)})
	}
	return out
}

// hostScores reads the bounds of the risk score, under its newer and its older name.
func hostScores(c *foCall) (func(*estate.Asset) bool, *foError) {
	low, high, given := 0, 1000, false
	for name, to := range map[string]*int{"trurisk_min": &low, "ars_min": &low, "trurisk_max": &high, "ars_max": &high} {
		text := c.get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 1000 {
			return nil, foBad(1905, "parameter "+name+" has invalid value: "+text)
		}
		*to, given = n, true
	}
	if !given {
		return nil, nil
	}
	return func(a *estate.Asset) bool { return a.RiskScore >= low && a.RiskScore <= high }, nil
}

// hostNetwork reads network_ids: there is the global default network only.
func hostNetwork(c *foCall) (func(*estate.Asset) bool, *foError) {
	text := c.get("network_ids")
	if text == "" {
		return nil, nil
	}
	ids := names(text)
	for _, id := range ids {
		if _, err := strconv.ParseInt(id, 10, 64); err != nil {
			return nil, foBad(1905, "parameter network_ids has invalid value: "+id)
		}
	}
	all := slices.Contains(ids, "0")
	return func(*estate.Asset) bool { return all }, nil
}

func hostIPv6(c *foCall) (func(*estate.Asset) bool, *foError) {
	text := c.get("ipv6")
	if text == "" {
		return nil, nil
	}
	var wanted []netip.Addr
	for _, part := range names(text) {
		ip, err := netip.ParseAddr(part)
		if err != nil || !ip.Is6() {
			return nil, foBad(1905, "parameter ipv6 has invalid value: "+part)
		}
		wanted = append(wanted, ip)
	}
	return func(a *estate.Asset) bool {
		return slices.ContainsFunc(a.NICs, func(n estate.NIC) bool {
			ip, err := netip.ParseAddr(n.V6)
			return err == nil && slices.Contains(wanted, ip)
		})
	}, nil
}

// clouds are the names of providers and their services in FO, and what host_metadata calls them.
var clouds = map[estate.Kind]struct{ provider, service, metadata, element string }{
	estate.AWS: {"AWS", "EC2", "ec2", "EC2"}, estate.Azure: {"Azure", "VM", "azure", "AZURE"}, estate.GCP: {"GCP", "Compute Engine", "google", "GOOGLE"},
}

// cloud shows where a host runs.
func (n *foNode) cloud(a *estate.Asset) {
	k, known := clouds[a.Kind]
	if !known || a.Cloud == nil {
		return
	}
	n.kids = append(n.kids, cdata("CLOUD_PROVIDER", k.provider), cdata("CLOUD_SERVICE", k.service), cdata("CLOUD_RESOURCE_ID", a.Cloud.Instance))
	if a.Kind == estate.AWS {
		n.kids = append(n.kids, cdata("EC2_INSTANCE_ID", a.Cloud.Instance))
	}
}

func (n *foNode) tags(a *estate.Asset) {
	list := branch("TAGS")
	for _, l := range tagsOf(a) {
		list.kids = append(list.kids, branch("TAG", leaf("TAG_ID", strconv.FormatInt(l.ID, 10)), cdata("NAME", l.Name)))
	}
	if len(list.kids) > 0 {
		n.kids = append(n.kids, list)
	}
}

// metadata shows what a provider says of a host (host_metadata, host_metadata_fields) and its tags (show_cloud_tags,
// cloud_tag_fields).
func (n *foNode) metadata(a *estate.Asset, c *foCall) {
	k, known := clouds[a.Kind]
	if !known || a.Cloud == nil {
		return
	}
	listed := func(parameter, name string) bool {
		list := names(c.get(parameter))
		return len(list) == 0 || slices.Contains(list, name)
	}
	seen := stampMs(a.SensorUpdated)
	if v := c.get("host_metadata"); v == "all" || v == k.metadata {
		of := branch(k.element)
		for _, pair := range [][2]string{
			{"latest/dynamic/instance-identity/document/accountId", a.Cloud.Account}, {"latest/dynamic/instance-identity/document/region", a.Cloud.Region},
			{"latest/dynamic/instance-identity/document/instanceType", a.Cloud.Type}, {"latest/meta-data/placement/availability-zone", a.Cloud.Zone},
		} {
			if pair[1] != "" && listed("host_metadata_fields", pair[0]) {
				of.kids = append(of.kids, branch("ATTRIBUTE", cdata("NAME", pair[0]), leaf("LAST_STATUS", "Success"), cdata("VALUE", pair[1]), leaf("LAST_SUCCESS_DATE", seen)))
			}
		}
		n.kids = append(n.kids, branch("METADATA", of))
	}
	if c.get("show_cloud_tags") == "1" {
		list := branch("CLOUD_PROVIDER_TAGS")
		for _, pair := range a.CloudTags() {
			if listed("cloud_tag_fields", pair[0]) || listed("cloud_tag_fields", pair[0]+":"+pair[1]) {
				list.kids = append(list.kids, branch("CLOUD_TAG", cdata("NAME", pair[0]), cdata("VALUE", pair[1]), leaf("LAST_SUCCESS_DATE", seen)))
			}
		}
		n.kids = append(n.kids, list)
	}
}
