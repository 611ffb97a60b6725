package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/cmdb"
	domainconfig "github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/workflows/contract"
)

// checkTimeout bounds the test of one connection.
const checkTimeout = 20 * time.Second

// clockTolerance is how far a vendor's clock may be from ours.
const clockTolerance = 5 * time.Minute

// Capabilities, as shown.
const (
	canReach    = "reach"
	canLogIn    = "log in"
	canRead     = "read assets"
	canSource   = "discovery source"
	canIdentify = "identification"
	hasTables   = "tables"
	hasNames    = "names of CIs"
	hasRoles    = "roles"
	hasClock    = "clock"
)

// checklist collects the lines of one connection.
type checklist struct {
	connection string
	lines      []contract.Check
}

func (c *checklist) ok(capability, message string) {
	c.lines = append(c.lines, contract.Check{Connection: c.connection, Capability: capability, OK: true, Message: message})
}

func (c *checklist) warn(capability, message, remedy string) {
	c.lines = append(c.lines, contract.Check{Connection: c.connection, Capability: capability, Warning: true, Message: message, Remedy: remedy})
}

func (c *checklist) fail(capability string, err error, remedy string) []contract.Check {
	c.lines = append(c.lines, contract.Check{Connection: c.connection, Capability: capability, Message: err.Error(), Remedy: remedy, Transient: transient(err)})
	return c.lines
}

// CheckQualys implements activities.Vendors.
func (v *vendors) CheckQualys(ctx context.Context, q domainconfig.Qualys, survey bool) []contract.Check {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	list := &checklist{connection: q.Name}
	src, err := v.source(q)
	if err != nil {
		return list.fail("settings", err, "")
	}
	if err := src.Client.Authenticate(ctx); err != nil {
		if unreachable(err) {
			return list.unreached(err)
		}
		list.ok(canReach, "ok")
		return list.fail(canLogIn, err, "check the user name and password, and that the account may use the API")
	}
	list.ok(canReach, "ok")
	list.ok(canLogIn, "ok")
	mayRead := "check that the subscription has CSAM and the user may read assets"
	if q.API == domainconfig.APIAM {
		mayRead = "check that the user may use the API of Asset Management & Tagging and sees assets"
	}
	total, _, err := src.Client.Count(ctx, qualys.Query{})
	if err != nil {
		return list.fail(canRead, err, mayRead)
	}
	// After a random id below any real one: logs tell it from the first page of a
	// run, and no cache has the answer.
	page, _, err := src.Client.Search(ctx, qualys.Query{PageSize: 1, Cursor: 1 + rand.Int64N(9999)}) //nolint:gosec // no secret
	if err != nil {
		return list.fail(canRead, err, mayRead)
	}
	if len(page.Results) == 0 {
		list.warn(canRead, "the user sees no asset", "check the scope (tags, asset groups) of the user")
	} else {
		list.ok(canRead, fmt.Sprintf("%d assets", total))
	}
	list.clock(page.ServerDate)
	if q.API == domainconfig.APIAM {
		for _, l := range qualys.AMLosses() {
			list.lines = append(list.lines, contract.Check{Connection: q.Name, Capability: "not given by api: am", OK: true, Message: l.What + ": " + l.Effect})
		}
	}
	if survey {
		list.rights(ctx, v.prober(q))
	}
	return list.lines
}

// clock compares a vendor's clock with ours.
func (c *checklist) clock(theirs time.Time) {
	if theirs.IsZero() {
		return // some gateways send no date
	}
	off := time.Since(theirs).Round(time.Second)
	if off.Abs() <= clockTolerance {
		c.ok(hasClock, "within "+clockTolerance.String())
		return
	}
	c.warn(hasClock, fmt.Sprintf("the worker's clock and theirs differ by %s", off.Abs()), "set the clock of the worker's machine (NTP); tokens and waits depend on it")
}

// CheckServiceNow implements activities.Vendors.
func (v *vendors) CheckServiceNow(ctx context.Context, s domainconfig.ServiceNow, n activities.Needs) []contract.Check {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	list := &checklist{connection: s.Name}
	t, err := v.targetOf(s)
	if err != nil {
		return list.fail("settings", err, "")
	}
	sources, meta, err := t.Client.DiscoverySources(ctx)
	if err != nil {
		if unreachable(err) {
			return list.unreached(err)
		}
		list.ok(canReach, "ok")
		return list.fail(canLogIn, err, "check the credentials, and that the user has the roles itil and rest_api_explorer or equal")
	}
	list.ok(canReach, "ok")
	list.ok(canLogIn, "ok")
	if !slices.Contains(sources, s.DiscoverySource) {
		return list.fail(canSource, fmt.Errorf("%q is not a choice of cmdb_ci.discovery_source", s.DiscoverySource),
			fmt.Sprintf("add it to sys_choice (table cmdb_ci, element discovery_source, value %s), or use one of %s", s.DiscoverySource, strings.Join(sources, ", ")))
	}
	list.ok(canSource, s.DiscoverySource)
	list.clock(meta.ServerDate)
	if list.roles(ctx, t.Client) {
		list.identification(ctx, t.Client, n.Classes)
	}
	list.tables(ctx, t.Client, n.Tables)
	list.names(ctx, t.Client)
	if n.Survey {
		list.release(ctx, t.Client)
		list.plugins(ctx, t.Client)
		list.reconciliation(ctx, t.Client, s.DiscoverySource, n.Classes)
		list.limits(meta.Limits)
	}
	return list.lines
}

// namesRead is how many CIs are looked at for the form of their names.
const namesRead = 200

// names says in which form the names of computers are that are there, because a
// CI is found by its name where it has no serial number.
func (c *checklist) names(ctx context.Context, client *servicenow.Client) {
	total, full, upper := 0, 0, 0
	for row, err := range client.Rows(ctx, "cmdb_ci_computer", servicenow.TableQuery{Query: servicenow.Where("name").NotEmpty(), Fields: []string{"sys_id", "name"}, Limit: namesRead}) {
		if err != nil || total == namesRead {
			break
		}
		total++
		name := row["name"]
		if strings.Contains(name, ".") {
			full++
		}
		if name != strings.ToLower(name) && name == strings.ToUpper(name) {
			upper++
		}
	}
	if total > 0 {
		c.ok(hasNames, fmt.Sprintf("of %d computers, %d have full names and %d upper-case names; see properties.names", total, full, upper))
	}
}

// tables says which tables for rows beside CIs the instance lacks or hides.
func (c *checklist) tables(ctx context.Context, client *servicenow.Client, tables []string) {
	var missing []string
	for _, name := range tables {
		for _, err := range client.Rows(ctx, name, servicenow.TableQuery{Query: servicenow.Where("sys_id").Eq("0"), Fields: []string{"sys_id"}, Limit: 1}) {
			if err != nil {
				missing = append(missing, name)
			}
			break
		}
	}
	switch {
	case len(missing) > 0:
		c.lines = append(c.lines, contract.Check{Connection: c.connection, Capability: hasTables, Message: "cannot read " + strings.Join(missing, ", "),
			Remedy: "install the update set deploy/servicenow/qbridge-tables.xml and let the user read and write its tables, name yours under tables:, or switch the sections off"})
	case len(tables) > 0:
		c.ok(hasTables, fmt.Sprintf("all %d are there", len(tables)))
	}
}

// roles says whether the user lacks the role that writing needs, when it may read
// its own, and returns false then: nothing that needs the role would work.
func (c *checklist) roles(ctx context.Context, client *servicenow.Client) bool {
	u, _, err := client.CheckUser(ctx)
	switch {
	case err != nil, len(u.Roles) == 0:
		return true // not known; what is missing shows where it is needed
	case !slices.Contains(u.Roles, "itil") && !slices.Contains(u.Roles, "asset") && !slices.Contains(u.Roles, "admin") && !slices.Contains(u.Roles, "cmdb_inst_admin"):
		c.lines = append(c.lines, contract.Check{Connection: c.connection, Capability: hasRoles, Message: fmt.Sprintf("user %s has no role itil", u.UserName),
			Blocks: blocksIRE, Remedy: "give the user the role itil"})
		return false
	}
	c.ok(hasRoles, strings.Join(u.Roles, ", "))
	return true
}

// identification asks IRE, without writing, about one made-up CI of every class
// that the rules may choose: it tells whether the user may use IRE and whether
// each class has an identification rule.
func (c *checklist) identification(ctx context.Context, client *servicenow.Client, classes []string) {
	if len(classes) == 0 {
		return
	}
	probe := func(classes []string) (*payload.Answer, error) {
		p := &payload.Payload{ID: "preflight", Items: lo.Map(classes, func(class string, _ int) payload.Item {
			key := "qbridge-preflight/" + class
			return payload.Item{Role: payload.RoleMain, Owner: key, Item: cmdb.Item{Key: key, Class: class, Columns: []cmdb.Column{{Name: "name", Value: "qbridge-preflight-" + class}}}}
		})}
		a, _, err := client.Query(ctx, p, servicenow.IREOptions{})
		return a, err
	}
	answer, err := probe(classes)
	var refused *servicenow.Error
	if errors.As(err, &refused) && refused.Kind() == servicenow.KindInvalidRequest && len(classes) > 1 {
		c.oneByOne(classes, probe)
		return
	}
	if err != nil {
		c.refusedIRE(err)
		return
	}
	var missing []string
	for i, class := range classes {
		if withoutRule(&answer.Items[i]) {
			missing = append(missing, class)
		}
	}
	c.classes(len(classes), missing)
}

// refusedIRE tells that IRE answers nothing to the user.
func (c *checklist) refusedIRE(err error) {
	c.fail(canIdentify, err, "give the user the role itil, which IRE (identifyreconcile) needs")
	c.lines[len(c.lines)-1].Blocks = blocksIRE
}

// blocksIRE is what does not work without IRE.
const blocksIRE = "every write of CIs"

// oneByOne finds the classes for which the instance refuses the whole question:
// those that it does not have.
func (c *checklist) oneByOne(classes []string, probe func([]string) (*payload.Answer, error)) {
	var missing []string
	for _, class := range classes {
		answer, err := probe([]string{class})
		var refused *servicenow.Error
		switch {
		case errors.As(err, &refused) && refused.Kind() == servicenow.KindInvalidRequest, err == nil && withoutRule(&answer.Items[0]):
			missing = append(missing, class)
		case err != nil:
			c.refusedIRE(err)
			return
		}
	}
	c.classes(len(classes), missing)
}

func (c *checklist) classes(total int, missing []string) {
	if len(missing) == 0 {
		c.ok(canIdentify, fmt.Sprintf("all %d classes of the rules have identification rules", total))
		return
	}
	c.warn(canIdentify, fmt.Sprintf("%d of %d classes do not exist or have no identification rule: %s", len(missing), total, strings.Join(missing, ", ")),
		"assets of these classes will fail: add identification rules or the plugin that brings the class, or override the CI rules that choose it")
}

// withoutRule reports whether IRE has no identification rule for an item's class.
func withoutRule(a *payload.ItemAnswer) bool {
	return slices.ContainsFunc(a.Errors, func(m payload.Message) bool {
		return m.Code == "IDENTIFICATION_RULE_MISSING" || m.Code == "METADATA_RULE_MISSING" || strings.Contains(m.Code, "CLASS")
	})
}

// unreached adds the line of a vendor that was not reached.
func (c *checklist) unreached(err error) []contract.Check {
	var host *transport.HostNotAllowedError
	if errors.As(err, &host) {
		return c.fail(canReach, err, "add the host to QBRIDGE_ALLOWED_HOSTS of the worker")
	}
	return c.fail(canReach, err, "check the address, the network, the certificate and the proxy from the worker's machine")
}

// transient reports whether an error may pass by itself.
func transient(err error) bool {
	var limited *transport.RateLimitedError
	var host *transport.HostNotAllowedError
	var q *qualys.Error
	var s *servicenow.Error
	switch {
	case errors.As(err, &host):
		return false
	case errors.As(err, &limited), errors.As(err, &q) && q.Kind() == qualys.KindRateLimited, errors.As(err, &s) && s.Kind() == servicenow.KindRateLimited:
		return true
	default:
		return unreachable(err)
	}
}

// unreachable reports whether an error means that nobody was reached.
func unreachable(err error) bool {
	var q *qualys.Error
	var s *servicenow.Error
	var host *transport.HostNotAllowedError
	switch {
	case errors.As(err, &host):
		return true
	case errors.As(err, &q):
		return q.Kind() == qualys.KindUnavailable
	case errors.As(err, &s):
		return s.Kind() == servicenow.KindUnavailable || s.Kind() == servicenow.KindUnknownOutcome
	default:
		return false
	}
}
