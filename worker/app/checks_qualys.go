package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/qualys"
	domainconfig "github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Capabilities of a subscription, as shown.
const (
	canRead       = "read assets"
	hasAM         = "asset management"
	hasVM         = "vulnerability mgmt"
	hasCertView   = "certificate view"
	canAddIPs     = "add addresses"
	canSync       = "CMDB sync"
	canUpdate     = "update assets"
	isIntegrated  = "ServiceNow integration"
	canReadTags   = "read tags"
	canCreateTags = "create tags"
	canEditTags   = "edit tags"
	canDeleteTags = "delete tags"
	canRuleTags   = "tag rules"
	hasVersion    = "version"
)

// What the capabilities block that schedules to Qualys use.
const (
	blocksBusiness = "business information in Qualys (servicenow-to-qualys)"
	blocksTagging  = "tags made from the CMDB (servicenow-to-qualys)"
)

// CheckQualys implements activities.Vendors.
func (v *vendors) CheckQualys(ctx context.Context, q domainconfig.Qualys, n activities.SourceNeeds) []contract.Check {
	ctx, cancel := context.WithTimeout(ctx, timeFor(n.Survey))
	defer cancel()
	list := &checklist{connection: q.Name}
	src, err := v.source(q)
	if err != nil {
		return list.fail("settings", err, blocksAll, "")
	}
	if err := src.Client.Authenticate(ctx); err != nil {
		if unreachable(err) {
			return list.unreached(err)
		}
		list.ok(canReach, "ok")
		return list.fail(canLogIn, err, blocksAll, "check the user name and password, and that the account may use the API")
	}
	list.ok(canReach, "ok")
	list.ok(canLogIn, "ok")
	mayRead := "check that the subscription has CSAM and the user may read assets"
	if q.API == domainconfig.APIAM {
		mayRead = "check that the user may use the API of Asset Management & Tagging and sees assets"
	}
	total, meta, err := src.Client.Count(ctx, qualys.Query{})
	if err != nil {
		return list.fail(canRead, err, blocksAll, mayRead)
	}
	// After a random id below any real one: logs tell it from the first page of a
	// run, and no cache has the answer.
	page, _, err := src.Client.Search(ctx, qualys.Query{PageSize: 1, Cursor: 1 + rand.Int64N(9999)}) //nolint:gosec // no secret
	if err != nil {
		return list.fail(canRead, err, blocksAll, mayRead)
	}
	if len(page.Results) == 0 {
		list.warn(canRead, "the user sees no asset", "everything that the user should see", "check the scope (tags, asset groups) of the user")
	} else {
		list.ok(canRead, fmt.Sprintf("%d assets", total))
	}
	list.clock(page.ServerDate)
	switch {
	case n.Survey:
		list.limits(meta.Limits)
		list.portal(ctx, src, n)
		list.hosts(ctx, src.Probe, n.Add)
		list.gateway(ctx, src.Probe, q.API, n)
	default:
		if n.Tags {
			list.readTags(ctx, src)
		}
		if n.Tagging {
			list.tagging(ctx, src.Probe, true)
		}
		if n.Add {
			list.hosts(ctx, src.Probe, true)
		}
		if n.Publish {
			list.publishing(ask(ctx, src.Probe.CMDBSync), true)
		}
		if n.Metadata {
			list.writing(ctx, src.Probe, ask(ctx, src.Probe.WriteMetadata), true)
		}
	}
	if n.Certificates {
		list.certificates(ctx, src, n.Required)
	}
	if q.API == domainconfig.APIAM {
		for _, l := range qualys.AMLosses() {
			list.ok("not given by api: am", l.What+": "+l.Effect)
		}
	}
	return list.lines
}

// ask bounds one question.
func ask(ctx context.Context, f func(context.Context) qualys.Reply) qualys.Reply {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return f(ctx)
}

// permission adds the line of something that nothing in use needs.
func (c *checklist) permission(capability string, r qualys.Reply, blocks, remedy string) {
	switch r.Verdict {
	case qualys.Permitted:
		c.ok(capability, "ok")
	case qualys.Denied:
		c.unused(capability, r.Err.Error(), blocks, remedy)
	default:
		c.unknown(capability, r.Err.Error(), blocks, remedy)
	}
}

// readTags tests what the section tags needs. Runs go on without it.
func (c *checklist) readTags(ctx context.Context, src *activities.Source) {
	const remedy = "give the user Asset Management & Tagging, and the connection apiUrl, user name and password"
	if src.Tags == nil {
		c.warn(canReadTags, "the connection has no user name and password, or no API address", "the section tags", remedy)
		return
	}
	r := ask(ctx, src.Probe.ReadTags)
	switch r.Verdict {
	case qualys.Permitted:
		c.ok(canReadTags, "ok")
	case qualys.Denied:
		c.warn(canReadTags, r.Err.Error(), "the section tags", remedy)
	default:
		c.unknown(canReadTags, r.Err.Error(), "the section tags", remedy)
	}
}

// portal asks about the module Asset Management & Tagging, its version and the
// permissions for tags.
func (c *checklist) portal(ctx context.Context, src *activities.Source, n activities.SourceNeeds) {
	p := src.Probe
	var versions map[string]string
	r := ask(ctx, func(ctx context.Context) (r qualys.Reply) { versions, r = p.Versions(ctx); return r })
	if len(versions) > 0 {
		var parts []string
		for _, m := range []struct{ key, name string }{{"PortalApplication", "portal"}, {"ITAM", "inventory"}, {"CERTVIEW", "certificates"}, {"WEB", "web"}} {
			if v := versions[m.key]; v != "" {
				parts = append(parts, m.name+" "+v)
			}
		}
		c.ok(hasVersion, strings.Join(parts, ", "))
	} else {
		reason := "the answer names none"
		if r.Err != nil {
			reason = r.Err.Error()
		}
		c.unknown(hasVersion, reason, "nothing; it helps when something is asked of Qualys", "let the user use the API of the portal")
	}
	const switchOn = "switch Asset Management & Tagging on for the subscription and the user"
	am := ask(ctx, p.AssetManagement)
	switch {
	case am.Verdict == qualys.Denied && n.Tagging:
		c.lacks(hasAM, am.Err, true, blocksTagging, switchOn)
	case am.Verdict == qualys.Denied && n.Tags:
		c.warn(hasAM, am.Err.Error(), "the section tags, and "+blocksTagging, switchOn)
	default:
		c.permission(hasAM, am, "the section tags, api: am, and "+blocksTagging, switchOn)
	}
	if am.Verdict != qualys.Permitted {
		return // it would be said once more for each permission
	}
	if n.Tags {
		c.readTags(ctx, src)
	}
	c.tagging(ctx, p, n.Tagging)
}

// tagging asks for the permissions for tags. used says that a schedule makes some.
func (c *checklist) tagging(ctx context.Context, p *qualys.Probe, used bool) {
	const give = "give the user's role the permission "
	line := func(capability string, r qualys.Reply, remedy string) {
		if r.Verdict == qualys.Denied {
			c.lacks(capability, r.Err, used, blocksTagging, remedy)
			return
		}
		c.permission(capability, r, blocksTagging, remedy)
	}
	line(canEditTags, ask(ctx, p.EditTag), give+"Edit User Tag")
	line(canDeleteTags, ask(ctx, p.DeleteTag), give+"Delete User Tag")
	create := ask(ctx, p.CreateTag)
	line(canCreateTags, create, give+"Create User Tag")
	if create.Verdict == qualys.Permitted { // a tag that cannot be created cannot be given a rule
		line(canRuleTags, ask(ctx, p.TagRules), give+"Modify Dynamic Tag Rules")
	}
}

// hosts asks about the module Vulnerability Management and the user's role in it.
// used says that a schedule adds addresses.
func (c *checklist) hosts(ctx context.Context, p *qualys.Probe, used bool) {
	const blocks, remedy = "adding addresses to the subscription (servicenow-to-qualys)", "give the user the role Manager, who sees all addresses"
	vm := ask(ctx, p.Hosts)
	if vm.Verdict == qualys.Denied {
		c.lacks(hasVM, vm.Err, used, blocks, "switch Vulnerability Management on for the subscription and the user")
		return
	}
	c.permission(hasVM, vm, blocks, "switch Vulnerability Management on for the subscription and the user")
	if vm.Verdict != qualys.Permitted {
		return
	}
	var role string
	r := ask(ctx, func(ctx context.Context) (r qualys.Reply) { role, r = p.Role(ctx); return r })
	switch {
	case r.Verdict != qualys.Permitted:
		c.permission(canAddIPs, r, blocks, remedy)
	case role == "":
		c.unknown(canAddIPs, "the activity log does not name the user's role", blocks, remedy)
	case strings.EqualFold(role, "manager"):
		c.ok(canAddIPs, "the user is "+role)
	default:
		c.lacks(canAddIPs, fmt.Errorf("the user is %s", role), used, blocks, remedy)
	}
}

// gateway asks about the module Certificate View and what writes to assets.
func (c *checklist) gateway(ctx context.Context, p *qualys.Probe, api string, n activities.SourceNeeds) {
	if api == domainconfig.APIAM {
		return // the connection has no gateway
	}
	if !n.Certificates {
		c.permission(hasCertView, ask(ctx, p.Certificates), blocksCertificates, giveCertView)
	}
	sync, write := ask(ctx, p.CMDBSync), ask(ctx, p.WriteMetadata)
	switchedOff := c.writing(ctx, p, write, n.Metadata)
	if switchedOff && sync.Verdict == qualys.Denied && !n.Publish {
		return // as it must be while the switch is off
	}
	c.publishing(sync, n.Publish)
}

// publishing adds the line about taking in data of connectors.
func (c *checklist) publishing(sync qualys.Reply, used bool) {
	const letSync = "let Qualys switch Asset Inventory CMDB Sync on for the subscription, and give it to the user's role"
	if sync.Verdict == qualys.Denied {
		c.lacks(canSync, sync.Err, used, blocksSync, letSync)
		return
	}
	c.permission(canSync, sync, blocksSync, letSync)
}

// blocksSync is what the permission for data of connectors blocks.
const blocksSync = "CIs of the CMDB as assets in Qualys (servicenow-to-qualys)"

// writing adds the lines about writing business metadata, whose test has the reply
// write, and reports whether the subscription's switch is off.
func (c *checklist) writing(ctx context.Context, p *qualys.Probe, write qualys.Reply, used bool) (switchedOff bool) {
	const give, switchOn = "give the user's role the permission Update Asset", "let Qualys switch the ServiceNow integration of the subscription on"
	if write.Verdict != qualys.Denied {
		c.permission(canUpdate, write, blocksBusiness, give)
		c.permission(isIntegrated, write, blocksBusiness, switchOn)
		return false
	}
	// The user's permission and the subscription's switch are refused alike: the
	// portal tells the user's permission alone.
	switch update := ask(ctx, p.UpdateAsset); update.Verdict {
	case qualys.Permitted:
		c.ok(canUpdate, "ok")
		c.lacks(isIntegrated, write.Err, used, blocksBusiness+", and "+blocksSync, switchOn)
		return true
	case qualys.Denied:
		c.lacks(canUpdate, update.Err, used, blocksBusiness, give)
	default:
		if used {
			c.lacks(canUpdate, errors.Join(write.Err, update.Err), used, blocksBusiness, give+", or "+switchOn)
			return false
		}
		c.unknown(canUpdate, errors.Join(write.Err, update.Err).Error(), blocksBusiness, give+", or "+switchOn)
	}
	return false
}

// lacks adds the line of a right that is missing: it stops what uses it.
func (c *checklist) lacks(capability string, err error, used bool, blocks, remedy string) {
	if !used {
		c.unused(capability, err.Error(), blocks, remedy)
		return
	}
	c.add(contract.Check{Capability: capability, Message: err.Error(), Blocks: blocks, Remedy: remedy})
}
