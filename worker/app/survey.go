package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/transport"
	domainconfig "github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// right is a capability of a Qualys account, and what it is good for. All its
// probes must be granted.
type right struct {
	name, blocks, remedy string
	probes               []qualys.Probe
	after                string // the right without which this one is not asked for
}

// rights are those that only some features need. That the inventory can be read is
// tested before.
var rights = []right{
	{name: "tagging", blocks: "api: am, tags below a listed tag, dynamic tags", remedy: "give the user the module Asset Management & Tagging with API access", probes: []qualys.Probe{qualys.ProbeTags}},
	{name: "tag permissions", blocks: "dynamic tags from CMDB attributes", after: "tagging",
		remedy: "give the user Create User Tag, Edit User Tag, Delete User Tag and Modify Dynamic Tag Rules",
		probes: []qualys.Probe{qualys.ProbeCreateTag, qualys.ProbeChangeTag, qualys.ProbeDeleteTag, qualys.ProbeEvaluateTag}},
	{name: "Vulnerability Management", blocks: "reading which IPs the subscription has, and adding IPs", remedy: "give the user the module VM with API access", probes: []qualys.Probe{qualys.ProbeVM}},
	{name: "add IPs", blocks: "adding IPs that the CMDB knows", after: "Vulnerability Management", remedy: "make the user a Manager", probes: []qualys.Probe{qualys.ProbeAddIPs}},
	{name: "update assets", blocks: "business metadata and applications in Qualys", remedy: "give the user the permission to update assets", probes: []qualys.Probe{qualys.ProbeMetadata}},
	{name: "CMDB sync", blocks: "publishing CIs as third-party assets", remedy: "give the user the permission Asset Inventory CMDB Sync", probes: []qualys.Probe{qualys.ProbeConnector}},
	{name: "Certificate View", blocks: "certificates", remedy: "give the user the module Certificate View with API access", probes: []qualys.Probe{qualys.ProbeCertificates}},
}

// prober returns a client for probes, nil when there is none.
func (v *vendors) prober(q domainconfig.Qualys) *qualys.Client {
	src, err := v.source(q)
	if err != nil {
		return nil
	}
	if c, ok := src.Client.(*qualys.Client); ok {
		return c
	}
	q.API = domainconfig.APICSAM // the rights are of the account, whatever API its assets come from
	if q.GatewayURL == "" && q.Platform == "" {
		return nil
	}
	if src, err = v.source(q); err != nil {
		return nil
	}
	c, _ := src.Client.(*qualys.Client)
	return c
}

// rights says which rights the account has that features need which the
// configuration may not use: what is missing is a warning with what it blocks.
func (c *checklist) rights(ctx context.Context, client *qualys.Client) {
	if client == nil {
		return
	}
	denied := map[string]bool{}
	first := len(c.lines)
	for _, r := range rights {
		if denied[r.after] {
			continue // told already
		}
		line := c.right(ctx, client, r)
		denied[r.name] = !line.OK
		c.lines = append(c.lines, line)
	}
	c.integration(first, denied)
	if client.CanProbe(qualys.ProbeVM) {
		if version, err := client.PortalVersion(ctx); err == nil && version != "" {
			c.ok("portal", version)
		}
	}
}

func (c *checklist) right(ctx context.Context, client *qualys.Client, r right) contract.Check {
	line := contract.Check{Connection: c.connection, Capability: r.name}
	var missing, unknown []string
	for _, p := range r.probes {
		if !client.CanProbe(p) {
			line.OK, line.Message = true, "not looked at: its API takes a user name and password only"
			return line
		}
		switch access, said, err := client.Probe(ctx, p); {
		case err != nil:
			unknown = append(unknown, p.Name+": "+err.Error())
		case access == qualys.AccessUnknown:
			unknown = append(unknown, p.Name+": "+said)
		case access == qualys.AccessDenied:
			missing = append(missing, p.Name+" ("+said+")")
		}
	}
	switch {
	case len(missing) > 0:
		line.Warning, line.Message, line.Blocks, line.Remedy = true, "not permitted: "+strings.Join(missing, ", "), r.blocks, r.remedy
	case len(unknown) > 0:
		line.Warning, line.Message, line.Blocks, line.Remedy = true, "unknown: "+strings.Join(unknown, ", "), r.blocks, r.remedy
	default:
		line.OK, line.Message = true, "ok"
	}
	return line
}

// integration joins two refusals that come together: while the integration with
// ServiceNow is switched off, neither call is permitted to anybody.
func (c *checklist) integration(first int, denied map[string]bool) {
	if !denied["update assets"] || !denied["CMDB sync"] {
		return
	}
	c.lines = slices.DeleteFunc(c.lines, func(l contract.Check) bool {
		return l.Connection == c.connection && (l.Capability == "update assets" || l.Capability == "CMDB sync")
	})
	c.lines = append(c.lines, contract.Check{Connection: c.connection, Capability: "ServiceNow integration", Warning: true,
		Message: "business metadata and CMDB sync are both refused",
		Blocks:  "business metadata, applications and third-party assets in Qualys",
		Remedy:  "switch the integration with ServiceNow on for the subscription, or give the user both permissions (update assets, Asset Inventory CMDB Sync)"})
}

// plugin is an application of an instance: any of its ids counts.
type plugin struct {
	name, blocks string
	ids          []string
}

// wantedPlugins are those that the vendors' documents ask for.
var wantedPlugins = []plugin{
	{"Configuration Management for Scoped Apps", "IRE for applications with a scope of their own; not needed for its REST API", []string{"com.snc.cmdb.scope", "com.snc.cmdb.scoped"}},
	{"Integration Commons for CMDB", "nothing here: qbridge cleanses itself; other connectors may lack it", []string{"sn_cmdb_int_util", "com.snc.cmdb.integration_util"}},
	{"CMDB CI Class Models", "classes of network gear, phones, printers and more", []string{"sn_cmdb_ci_class"}},
	{"Discovery and Service Mapping Patterns", "some cloud and certificate classes", []string{"sn_itom_pattern"}},
	{"Discovery Core", "some cloud classes", []string{"com.snc.discovery.core", "com.snc.discovery"}},
}

// plugins says which of the applications the instance lacks.
func (c *checklist) plugins(ctx context.Context, client *servicenow.Client) {
	const name = "plugins"
	there := map[string]bool{}
	for table, column := range map[string]string{"sys_plugins": "id", "sys_store_app": "scope"} {
		var ids []string
		for _, p := range wantedPlugins {
			ids = append(ids, p.ids...)
		}
		for row, err := range client.Rows(ctx, table, servicenow.TableQuery{Query: servicenow.Where(column).In(ids...), Fields: []string{"sys_id", column, "active"}}) {
			if err != nil {
				c.warn(name, "unknown: "+err.Error(), "let the user read "+table)
				return
			}
			there[row[column]] = there[row[column]] || row["active"] == "true" || row["active"] == "active"
		}
	}
	var found []string
	for _, p := range wantedPlugins {
		if slices.ContainsFunc(p.ids, func(id string) bool { return there[id] }) {
			found = append(found, p.name)
			continue
		}
		c.lines = append(c.lines, contract.Check{Connection: c.connection, Capability: "plugin " + p.ids[0], Warning: true, Message: p.name + " is not active",
			Blocks: p.blocks, Remedy: "activate it where the blocked feature is wanted"})
	}
	if len(found) > 0 {
		c.ok(name, strings.Join(found, ", "))
	}
}

// testedReleases are the families whose documents the simulator was written from.
var testedReleases = []string{"xanadu", "yokohama", "zurich", "australia"}

// release says which release the instance has and whether it was tested.
func (c *checklist) release(ctx context.Context, client *servicenow.Client) {
	const name = "release"
	for row, err := range client.Rows(ctx, "sys_properties", servicenow.TableQuery{Query: servicenow.Where("name").Eq("glide.war"), Fields: []string{"sys_id", "name", "value"}}) {
		if err != nil {
			break
		}
		family := row["value"]
		if parts := strings.Split(strings.TrimSuffix(family, ".zip"), "-"); len(parts) > 1 {
			family = parts[1]
		}
		note := "not tested"
		if slices.Contains(testedReleases, strings.ToLower(family)) {
			note = "its documents were followed"
		}
		c.ok(name, fmt.Sprintf("%s (%s); %s", family, strings.TrimSuffix(row["value"], ".zip"), note))
		return
	}
	c.ok(name, "unknown: the user may not read the property glide.war")
}

// reconciliation says which rules keep us from updating columns, and proposes one
// where several sources write.
func (c *checklist) reconciliation(ctx context.Context, client *servicenow.Client, source string, classes []string) {
	const name, table = "reconciliation", "cmdb_reconciliation_definition"
	var masks []string
	ours := false
	q := servicenow.TableQuery{Query: servicenow.Where("active").Eq("true"), Fields: []string{"sys_id", "applies_to", "discovery_source", "priority", "attributes"}}
	for row, err := range client.Rows(ctx, table, q) {
		if err != nil {
			c.warn(name, "unknown: "+err.Error(), "let the user read "+table)
			return
		}
		switch {
		case row["discovery_source"] == source:
			ours = true
		case row["applies_to"] == "cmdb_ci" || row["applies_to"] == "cmdb_ci_hardware" || row["applies_to"] == "cmdb_ci_computer" || slices.Contains(classes, row["applies_to"]):
			columns := row["attributes"]
			if columns == "" {
				columns = "all columns"
			}
			masks = append(masks, fmt.Sprintf("%s may write %s of %s (priority %s)", row["discovery_source"], columns, row["applies_to"], row["priority"]))
		}
	}
	switch {
	case len(masks) == 0:
		c.ok(name, "no rule keeps "+source+" from writing")
	case ours:
		c.ok(name, fmt.Sprintf("%s has rules of its own beside: %s", source, strings.Join(masks, "; ")))
	default:
		c.lines = append(c.lines, contract.Check{Connection: c.connection, Capability: name, Warning: true,
			Message: "others go before " + source + ": " + strings.Join(masks, "; "), Blocks: "updates of these columns once the others have written them (they count as masked)",
			Remedy: fmt.Sprintf("add a row to %s: discovery_source %s, applies_to and attributes as there, priority smaller than theirs where Qualys knows better", table, source)})
	}
}

// limits shows what the vendor says of its limits.
func (c *checklist) limits(l transport.Limits) {
	if l.Limit > 0 {
		c.ok("limits", fmt.Sprintf("%d calls per %s, %d left", l.Limit, l.Window, max(l.Remaining, 0)))
	}
}
