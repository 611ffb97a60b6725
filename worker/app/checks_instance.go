package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/servicenow"
)

// Capabilities of an instance that runs do without, as shown.
const (
	hasPlugins   = "plugins"
	hasRelease   = "release"
	hasEngine    = "IRE settings"
	hasReconcile = "reconciliation rules"
	hasInserts   = "insert rules"
	hasDomain    = "domain"
)

// maxRules bounds the records that are read of a table.
const maxRules = 2000

// records reads the rows of a query, at most maxRules.
func records(ctx context.Context, client *servicenow.Client, table string, q servicenow.Condition, fields ...string) ([]servicenow.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var out []servicenow.Row
	for row, err := range client.Rows(ctx, table, servicenow.TableQuery{Query: q, Fields: fields}) {
		if err != nil {
			return nil, err
		}
		if out = append(out, row); len(out) == maxRules {
			break
		}
	}
	return out, nil
}

// plugin is a plugin or an application of the store that a connector may need.
type plugin struct {
	name   string   // as shown
	ids    []string // any of them in sys_plugins
	scope  string   // in sys_store_app
	needed bool
	blocks string
	remedy string
}

// connectorPlugins are those that the vendors' own connectors demand. qbridge
// talks to IRE over REST and cleanses values itself, so it needs few of them.
func connectorPlugins(n activities.Needs) []plugin {
	return []plugin{
		{name: "com.snc.cmdb.scope", ids: []string{"com.snc.cmdb.scope", "com.snc.cmdb.scoped"}, blocks: "IRE for scoped applications, such as the vendors' connectors; qbridge uses IRE over REST", remedy: "activate Configuration Management for Scoped Apps"},
		{name: "sn_cmdb_int_util", ids: []string{"com.snc.cmdb.integration_util"}, scope: "sn_cmdb_int_util", blocks: "the dashboard CMDB Integrations; qbridge cleanses values itself", remedy: "install Integration Commons for CMDB from the store"},
		{name: "sn_cmdb_ci_class", scope: "sn_cmdb_ci_class", blocks: "classes that only this application brings; identification names those that the rules choose", remedy: "install CMDB CI Class Models from the store"},
		{name: "sn_itom_pattern", scope: "sn_itom_pattern", needed: n.Cloud, blocks: "the section cloud: CIs of clouds whose classes and rules it brings", remedy: "install Discovery and Service Mapping Patterns from the store, or switch the section cloud off"},
		{name: "com.snc.discovery.core", ids: []string{"com.snc.discovery.core", "com.snc.discovery"}, blocks: "tables of Discovery, which no section writes", remedy: "activate Discovery Core; it may take a request to ServiceNow"},
	}
}

// plugins has a line for each plugin, and one for all that cannot be read.
func (c *checklist) plugins(ctx context.Context, client *servicenow.Client, n activities.Needs) {
	const base = "com.snc.cmdb" // every instance has it: who does not see it sees no plugin
	list := connectorPlugins(n)
	var ids, scopes []string
	for _, p := range list {
		ids = append(ids, p.ids...)
		if p.scope != "" {
			scopes = append(scopes, p.scope)
		}
	}
	rows, err := records(ctx, client, "sys_plugins", servicenow.Where("id").In(append(ids, base)...), "id", "active")
	active := map[string]bool{}
	for _, row := range rows {
		active[row["id"]] = row["active"] == "active" || row["active"] == "true"
	}
	_, seesPlugins := active[base]
	apps, appErr := records(ctx, client, "sys_store_app", servicenow.Where("scope").In(scopes...), "scope", "active")
	for _, row := range apps {
		active[row["scope"]] = row["active"] == "true"
	}
	var unknown []string
	for _, p := range list {
		there := active[p.scope] || slices.ContainsFunc(p.ids, func(id string) bool { return active[id] })
		hidden := len(p.ids) > 0 && !seesPlugins || p.scope != "" && len(apps) == 0
		switch {
		case there:
			c.ok(p.name, "active")
		case hidden:
			unknown = append(unknown, p.name)
		case p.needed:
			c.warn(p.name, "not active", p.blocks, p.remedy)
		default:
			c.unused(p.name, "not active", p.blocks, p.remedy)
		}
	}
	if len(unknown) > 0 {
		reason := "cannot tell whether these are active: " + strings.Join(unknown, ", ")
		for _, err := range []error{err, appErr} {
			if err != nil {
				reason += "; " + err.Error()
			}
		}
		c.unknown(hasPlugins, reason, "nothing, if they are active", "let the user read sys_plugins and sys_store_app, or ask an administrator")
	}
}

// testedReleases are those that the simulated instance of the tests models.
var testedReleases = []string{"australia"}

// engineDefaults are properties of IRE that change what a run does, with their
// documented defaults.
func engineDefaults() map[string]string {
	const prefix = "glide.identification_engine."
	return map[string]string{
		"glide.class.upgrade.enabled": "true", "glide.class.downgrade.enabled": "true", "glide.class.switch.enabled": "true",
		"glide.reconciliation.override.null": "true", prefix + "update_without_upgrade_enabled": "false", prefix + "update_without_downgrade_enabled": "false",
		prefix + "update_without_switch_enabled": "false", prefix + "skip_duplicates": "true", prefix + "skip_sys_object_source_matching": "false",
		prefix + "multisource_enabled": "false",
	}
}

// settings names the release and the properties of IRE that differ from their
// defaults.
func (c *checklist) settings(ctx context.Context, client *servicenow.Client) {
	defaults := engineDefaults()
	names := append(slices.Sorted(maps.Keys(defaults)), "glide.war")
	rows, err := records(ctx, client, "sys_properties", servicenow.Where("name").In(names...), "name", "value")
	if err != nil || len(rows) == 0 {
		reason := "the user sees no property"
		if err != nil {
			reason = err.Error()
		}
		c.unknown(hasRelease, reason, "nothing; release and settings of IRE explain differences", "let the user read sys_properties (glide.war and those of IRE)")
		return
	}
	value := lo.SliceToMap(rows, func(r servicenow.Row) (string, string) { return r["name"], r["value"] })
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if v, ok := value[name]; ok && !strings.EqualFold(v, defaults[name]) {
			differ = append(differ, name+"="+v)
		}
	}
	if war := value["glide.war"]; war == "" {
		c.unknown(hasRelease, "glide.war is hidden", "nothing; it helps when something is asked of ServiceNow", "let the user read the property glide.war")
	} else {
		release := releaseOf(war)
		text := "not tested with qbridge"
		if slices.Contains(testedReleases, release) {
			text = "tested with qbridge, in simulation"
		}
		c.ok(hasRelease, fmt.Sprintf("%s (%s): %s", release, war, text))
	}
	if len(differ) == 0 {
		c.ok(hasEngine, "as ServiceNow ships them")
	} else {
		c.ok(hasEngine, "differ from what ServiceNow ships: "+strings.Join(differ, ", "))
	}
}

// releaseOf returns "zurich" of "glide-zurich-07-01-2025__patch4.zip".
func releaseOf(war string) string {
	parts := strings.Split(strings.ToLower(war), "-")
	if len(parts) > 1 && parts[0] == "glide" && parts[1] != "" {
		return parts[1]
	}
	return "unknown"
}

// above are the classes that CIs of machines descend from.
var above = []string{"cmdb", "cmdb_ci", "cmdb_ci_hardware", "cmdb_ci_computer", "cmdb_ci_server", "cmdb_ci_vm_object", "cmdb_ci_netgear"}

// rank is the strongest rule of the sources for a class: a small number is
// strong, 0 is none.
type rank struct {
	ours, theirs int
	source       string // of theirs
	columns      string
}

// reconciliation says which rules give another source precedence over ours, and
// proposes some where ours has none.
func (c *checklist) reconciliation(ctx context.Context, client *servicenow.Client, source string, classes []string) {
	rows, err := records(ctx, client, "cmdb_reconciliation_definition", servicenow.Where("active").Eq("true"), "applies_to", "discovery_source", "priority", "attributes")
	if err != nil {
		c.unknown(hasReconcile, err.Error(), "foreseeing which values other sources keep; runs list them as masked", "give the user the role itil or sn_cmdb_editor (reads cmdb_reconciliation_definition)")
		return
	}
	ranks, ours := map[string]*rank{}, false
	for _, row := range rows {
		class := row["applies_to"]
		if !slices.Contains(classes, class) && !slices.Contains(above, class) {
			continue
		}
		r := ranks[class]
		if r == nil {
			r = &rank{}
			ranks[class] = r
		}
		priority, _ := strconv.Atoi(row["priority"]) // 0 when it is missing
		priority = max(priority, 1)
		switch {
		case row["discovery_source"] == source:
			ours = true
			if r.ours == 0 || priority < r.ours {
				r.ours = priority
			}
		case r.theirs == 0 || priority < r.theirs:
			r.theirs, r.source, r.columns = priority, row["discovery_source"], cmp.Or(row["attributes"], "all columns")
		}
	}
	var masks []string
	for _, class := range slices.Sorted(maps.Keys(ranks)) {
		if r := ranks[class]; r.theirs > 0 && (r.ours == 0 || r.theirs < r.ours) {
			masks = append(masks, fmt.Sprintf("%s of %s go to %s", r.columns, class, r.source))
		}
	}
	proposal := fmt.Sprintf("worth having where another source writes the same CIs: on cmdb_ci_hardware, ServiceNow with priority 100 and %s with 200 for name, serial_number, ram, cpu_count, os and os_version, so that Discovery keeps what it measures; and %s with 100 for the columns that only Qualys fills", source, source)
	switch {
	case len(masks) > 0:
		c.warn(hasReconcile, strings.Join(masks, "; "), "these values of ours, where the other source has written", fmt.Sprintf("right if that source shall win; else add a rule for %s with the same or a smaller priority", source))
	case !ours:
		c.okAnd(hasReconcile, "none names "+source+": the last source to write a value wins", proposal)
	default:
		c.ok(hasReconcile, fmt.Sprintf("none of %d masks %s", len(rows), source))
	}
}

// inserts says whether a data source rule keeps us from creating CIs.
func (c *checklist) inserts(ctx context.Context, client *servicenow.Client, source string, classes []string) {
	rows, err := records(ctx, client, "cmdb_ire_data_source_rule", servicenow.And(servicenow.Where("active").Eq("true"), servicenow.Where("insert_not_allowed").Eq("true")), "applies_to", "data_source")
	if err != nil {
		c.unknown(hasInserts, err.Error(), "foreseeing which CIs may not be created; runs report them", "give the user the role itil or sn_cmdb_editor (reads cmdb_ire_data_source_rule)")
		return
	}
	var blocked []string
	for _, row := range rows {
		if class := row["applies_to"]; row["data_source"] == source && (slices.Contains(classes, class) || slices.Contains(above, class)) {
			blocked = append(blocked, class)
		}
	}
	if len(blocked) == 0 {
		c.ok(hasInserts, "none keeps "+source+" from creating CIs")
		return
	}
	slices.Sort(blocked)
	c.warn(hasInserts, fmt.Sprintf("IRE data source rules keep %s from creating CIs of %s and below", source, strings.Join(slices.Compact(blocked), ", ")), "new CIs of these classes", "right for update only; else switch the rules off (cmdb_ire_data_source_rule)")
}

// domain says in which domain the user works: CIs of others are not seen, and
// new ones are created there.
func (c *checklist) domain(ctx context.Context, client *servicenow.Client) {
	const blocks, remedy = "nothing on an instance without domain separation", "let the user read its own row of sys_user, or ask an administrator for its domain"
	u, _, err := client.CheckUser(ctx)
	if u.SysID == "" {
		c.unknown(hasDomain, err.Error(), blocks, remedy)
		return
	}
	rows, err := records(ctx, client, "sys_user", servicenow.Where("sys_id").Eq(u.SysID), "sys_domain", "sys_domain.name")
	switch {
	case err != nil:
		c.unknown(hasDomain, err.Error(), blocks, remedy)
	case len(rows) == 0 || rows[0]["sys_domain"] == "" || rows[0]["sys_domain"] == "global":
		c.ok(hasDomain, "global")
	default:
		name := cmp.Or(rows[0]["sys_domain.name"], rows[0]["sys_domain"])
		c.ok(hasDomain, name+": CIs are created in this domain, and those of domains beside it are not found")
	}
}
