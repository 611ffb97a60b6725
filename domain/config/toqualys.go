package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/samber/lo"
)

// maxQuery is how long an encoded query may be: it travels in a URL.
const maxQuery = 1500

// toQualys checks a schedule from the CMDB to Qualys.
func (v *validator) toQualys(place string, s *Schedule) {
	v.oneOf(place+".kind", s.Kind, KindExport)
	v.reference(place+".source", s.Source, "servicenow", lo.Map(v.config.ServiceNow, func(s ServiceNow, _ int) string { return s.Name }))
	v.reference(place+".target", s.Target, "qualys", lo.Map(v.config.Qualys, func(q Qualys, _ int) string { return q.Name }))
	v.inboundOnly(place, s)
	v.check(len(s.Select) > 0, place+".select", "is missing: it names the CIs", "write for example: [{table: cmdb_ci_server, query: operational_status=1}]")
	for i, x := range s.Select {
		v.selected(fmt.Sprintf("%s.select[%d]", place, i), x)
	}
	if s.Kind != KindExport {
		return
	}
	if s.Addresses == nil {
		v.add(place+".addresses", "is missing: it says how addresses are added", "write for example: {maxAdd: 1000, registration: {vm: true}}")
		return
	}
	if err := s.Addresses.Check(); err != nil {
		v.add(place+".addresses", strings.TrimPrefix(err.Error(), "export: "), "")
	}
	v.check(s.Approval != ApprovalAuto || s.Addresses.MaxAdd > 0, place+".approval",
		"auto adds addresses that nobody looked at and that cannot be removed again", "set addresses.maxAdd to the most that a run may add, or approval: manual")
	i := slices.IndexFunc(v.config.Qualys, func(q Qualys) bool { return q.Name == s.Target })
	v.check(i < 0 || v.config.Qualys[i].Auth.Type == "" || v.config.Qualys[i].Auth.Type == QualysPassword, place+".target",
		s.Target+" logs in by a client, and the API for addresses takes a user name and password only", "name a connection with auth.type: password")
}

// inboundOnly refuses what has a meaning for the other direction only.
func (v *validator) inboundOnly(place string, s *Schedule) {
	for _, x := range []struct {
		key string
		set bool
	}{
		{"filter", s.Filter != ""},
		{"since", s.Since != ""},
		{"mode", s.Mode != ""},
		{"excludeUnmanaged", s.ExcludeUnmanaged},
		{"sections", len(s.Sections) > 0},
		{"tags", len(s.Tags) > 0},
		{"autoApprove", len(s.AutoApprove.Create)+len(s.AutoApprove.Update) > 0},
		{"operation", s.Operation != ""},
		{"existing", s.Existing != ""},
		{"fallback", s.Fallback != Fallback{}},
	} {
		v.check(!x.set, place+"."+x.key, "has no meaning for direction "+DirectionToQualys, "remove it")
	}
}

// selected checks a selection of CIs.
func (v *validator) selected(place string, x Select) {
	v.check(tableShape.MatchString(x.Table), place+".table", fmt.Sprintf("%q is not the name of a table", x.Table), "write for example cmdb_ci_server")
	switch {
	case len(x.Query) > maxQuery:
		v.add(place+".query", fmt.Sprintf("has %d characters, at most %d travel in a URL", len(x.Query), maxQuery), "split it over several selections")
	case strings.ContainsAny(x.Query, "\n\r\x00"):
		v.add(place+".query", "has a line break", "write the query as ServiceNow copies it (Copy query)")
	case strings.Contains(x.Query, "ORDERBY"):
		v.add(place+".query", "sets an order, and CIs are read in the order of sys_id", "remove ORDERBY…")
	case strings.Contains(x.Query, "^NQ"):
		v.add(place+".query", "joins queries with ^NQ, of which paging would bound only the last", "write a selection for each")
	}
}
