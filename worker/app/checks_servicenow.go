package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/domain/cmdb"
	domainconfig "github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Capabilities of an instance that runs need, as shown.
const (
	canSource   = "discovery source"
	canIdentify = "identification"
	canDescribe = "class descriptions"
	hasTables   = "tables"
	hasNames    = "names of CIs"
	hasRoles    = "roles"
)

// giveIRE mends a user who may not use IRE.
const giveIRE = "give the user the role itil (or asset), which IRE (identifyreconcile) needs"

// CheckServiceNow implements activities.Vendors.
func (v *vendors) CheckServiceNow(ctx context.Context, s domainconfig.ServiceNow, n activities.Needs) []contract.Check {
	ctx, cancel := context.WithTimeout(ctx, timeFor(n.Survey))
	defer cancel()
	list := &checklist{connection: s.Name}
	t, err := v.targetOf(s)
	if err != nil {
		return list.fail("settings", err, blocksAll, "")
	}
	sources, meta, err := t.Client.DiscoverySources(ctx)
	hidden := forbidden(err) // the login is good then
	if err != nil && !hidden {
		if unreachable(err) {
			return list.unreached(err)
		}
		list.ok(canReach, "ok")
		return list.fail(canLogIn, err, blocksAll, "check the credentials, that the user may use REST, and that the instance does not restrict basic authentication")
	}
	list.ok(canReach, "ok")
	list.ok(canLogIn, "ok")
	known := list.source(s.DiscoverySource, sources, err)
	list.clock(meta.ServerDate)
	if known {
		list.identification(ctx, t.Client, s.DiscoverySource, n.Classes)
	}
	list.tables(ctx, t.Client, n.Tables)
	if n.Certificates && known {
		list.certificateClass(ctx, t.Client, n.Required)
	}
	list.names(ctx, t.Client)
	if n.Survey {
		list.limits(meta.Limits)
		list.plugins(ctx, t.Client, n)
		list.settings(ctx, t.Client)
		list.reconciliation(ctx, t.Client, s.DiscoverySource, n.Classes)
		list.inserts(ctx, t.Client, s.DiscoverySource, n.Classes)
		list.domain(ctx, t.Client)
	}
	return list.lines
}

// forbidden reports whether the login is good and a right is missing.
func forbidden(err error) bool {
	var e *servicenow.Error
	return errors.As(err, &e) && e.Kind() == servicenow.KindForbidden
}

// source says whether the discovery source is a choice; false when it is not.
func (c *checklist) source(name string, choices []string, err error) bool {
	switch {
	case err != nil || len(choices) == 0:
		reason := "the user sees no choice of cmdb_ci.discovery_source"
		if err != nil {
			reason = err.Error()
		}
		c.unknown(canSource, reason, "nothing, as long as "+name+" is a choice", "let the user read sys_choice")
	case !slices.Contains(choices, name):
		c.fail(canSource, fmt.Errorf("%q is not a choice of cmdb_ci.discovery_source", name), blocksAll,
			fmt.Sprintf("add this record to sys_choice, in the scope Global: name=cmdb_ci, element=discovery_source, value=%s, label=%s, language=en, inactive=false; or use one of %s", name, name, strings.Join(choices, ", ")))
		return false
	default:
		c.ok(canSource, name)
	}
	return true
}

// namesRead is how many CIs are looked at for the form of their names.
const namesRead = 200

// names says in which form the names of computers are that are there, because a
// CI is found by its name where it has no serial number.
func (c *checklist) names(ctx context.Context, client *servicenow.Client) {
	total, full, upper := 0, 0, 0
	for row, err := range client.Rows(ctx, "cmdb_ci_computer", servicenow.TableQuery{Query: servicenow.Where("name").NotEmpty(), Fields: []string{"sys_id", "name"}, Limit: namesRead}) {
		if err != nil {
			c.unknown(hasNames, err.Error(), "the choice of properties.names, and reading CIs back", "let the user read cmdb_ci")
			return
		}
		if total == namesRead {
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
		c.add(contract.Check{
			Capability: hasTables, Message: "cannot read " + strings.Join(missing, ", "), Blocks: "the sections that write these tables",
			Remedy: "install the update set deploy/servicenow/qbridge-tables.xml and let the user read and write its tables, name yours under tables:, or switch the sections off",
		})
	case len(tables) > 0:
		c.ok(hasTables, fmt.Sprintf("all %d are there", len(tables)))
	}
}

// roles says which roles the user has, once it is known whether they suffice. A
// user need not be able to read his own.
func (c *checklist) roles(ctx context.Context, client *servicenow.Client, refusal error) {
	u, _, err := client.CheckUser(ctx)
	names := "the user's roles cannot be read"
	if err == nil && len(u.Roles) > 0 {
		names = "the user has " + strings.Join(u.Roles, ", ")
	}
	if refusal != nil {
		c.fail(hasRoles, fmt.Errorf("%w; %s", refusal, names), "every run that writes CIs", giveIRE)
		return
	}
	if _, _, err := client.ClassMeta(ctx, "cmdb_ci"); forbidden(err) {
		c.warn(hasRoles, "may use IRE, but not read the descriptions of classes: "+err.Error(), "values are not cut to the lengths of the instance's columns", "give the user the role itil")
		return
	}
	c.ok(hasRoles, "may use IRE; "+names)
}

// identification asks IRE, without writing, about one made-up CI of every class
// that the rules may choose: it tells whether the user may use IRE and whether
// each class has an identification rule.
func (c *checklist) identification(ctx context.Context, client *servicenow.Client, source string, classes []string) {
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
	switch {
	case errors.As(err, &refused) && refused.Kind() == servicenow.KindInvalidRequest && len(classes) > 1:
		c.roles(ctx, client, nil)
		c.oneByOne(classes, probe)
		return
	case forbidden(err):
		c.roles(ctx, client, err)
		return
	case err != nil:
		c.fail(canIdentify, err, "every run that writes CIs", giveIRE)
		return
	}
	c.roles(ctx, client, nil)
	var missing []string
	for i, class := range classes {
		switch {
		case withoutSource(&answer.Items[i]):
			c.fail(canSource, fmt.Errorf("the instance refuses the discovery source %q", source), blocksAll, "add it to the choices of cmdb_ci.discovery_source")
			return
		case withoutRule(&answer.Items[i]):
			missing = append(missing, class)
		}
	}
	c.classes(len(classes), missing)
}

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
			c.fail(canIdentify, err, "every run that writes CIs", giveIRE)
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
		"assets of these classes, which fail", "add identification rules or the plugin that brings the class (CMDB CI Class Models brings many), or override the CI rules that choose it")
}

// withoutRule reports whether IRE has no identification rule for an item's class.
func withoutRule(a *payload.ItemAnswer) bool {
	return slices.ContainsFunc(a.Errors, func(m payload.Message) bool {
		return m.Code == "IDENTIFICATION_RULE_MISSING" || m.Code == "METADATA_RULE_MISSING" || strings.Contains(m.Code, "CLASS")
	})
}

// withoutSource reports whether IRE does not know the discovery source of a call.
func withoutSource(a *payload.ItemAnswer) bool {
	return slices.ContainsFunc(a.Errors, func(m payload.Message) bool {
		return m.Code == "INVALID_INPUT_DATA" && strings.Contains(strings.ToLower(m.Text), "data source")
	})
}
