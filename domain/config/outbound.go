package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/tagging"
)

// toQualys checks a schedule that writes to Qualys. What only has a meaning in the
// other direction is refused: it would be believed to hold.
func (v *validator) toQualys(place string, s *Schedule) {
	v.oneOf(place+".kind", s.Kind, KindExport, KindMetadata, KindTags, KindThirdParty)
	instances := lo.Map(v.config.ServiceNow, func(s ServiceNow, _ int) string { return s.Name })
	subscriptions := lo.Map(v.config.Qualys, func(q Qualys, _ int) string { return q.Name })
	v.reference(place+".source", s.Source, "servicenow", instances)
	v.reference(place+".target", s.Target, "qualys", subscriptions)
	for _, x := range []struct {
		name string
		set  bool
	}{
		{"filter", s.Filter != ""}, {"sections", len(s.Sections) > 0}, {"tags", len(s.Tags) > 0}, {"since", s.Since != ""}, {"mode", s.Mode != ""},
		{"excludeUnmanaged", s.ExcludeUnmanaged}, {"operation", s.Operation != OperationCreateAndUpdate}, {"existing", s.Existing != ExistingMetadataOnly},
		{"fallback", s.Fallback != Fallback{}}, {"autoApprove", len(s.AutoApprove.Create)+len(s.AutoApprove.Update) > 0},
	} {
		v.check(!x.set, place+"."+x.name, "has no meaning for a schedule to Qualys", "remove it; select says which CIs are read")
	}
	v.oneOf(place+".approval", s.Approval, ApprovalAuto, ApprovalManual)
	v.waits(place, s)
	v.check(s.Kind == KindTags || len(s.Tagging) == 0 && s.Drift == "", place, "has tagging or drift, which only schedules of kind tags have", "remove them, or set kind: tags")
	if s.Kind == KindTags {
		v.tags(place, s)
	} else {
		v.selections(place, s.Select)
	}
	v.timing(place, s)
	switch s.Kind {
	case KindMetadata:
		v.metadata(place+".metadata", s)
	case KindExport:
		v.addresses(place, s)
	case KindThirdParty:
		v.thirdParty(place, s)
	}
}

// attributes checks the list of attributes that become tags.
func (v *validator) attributes() {
	names := map[string]bool{}
	for i, a := range v.config.Tagging {
		place := fmt.Sprintf("tagging[%d]", i)
		if err := a.Check(); err != nil {
			v.add(place, strings.TrimPrefix(err.Error(), "tagging: "), "")
			continue
		}
		v.check(!names[a.Name], place+".name", fmt.Sprintf("attribute %s stands twice", a.Name), "give each a name of its own")
		names[a.Name] = true
		v.check(export.IsColumn(a.Table) && !strings.Contains(a.Table, "."), place+".table", fmt.Sprintf("%q is not the name of a table", a.Table), "write for example cmdb_ci_server")
		v.check(export.IsColumn(a.Column), place+".column", fmt.Sprintf("%q is not a column", a.Column), "write for example support_group, or owned_by.department")
		v.query(place+".query", a.Query)
	}
}

// tags checks a schedule of kind tags.
func (v *validator) tags(place string, s *Schedule) {
	v.check(len(s.Select) == 0, place+".select", "has no meaning for kind tags", "remove it: each attribute of tagging names its table")
	known := lo.Map(v.config.Tagging, func(a tagging.Attribute, _ int) string { return a.Name })
	v.check(len(known) > 0, place, "has no attributes", "list them under tagging")
	for i, name := range s.Tagging {
		v.check(slices.Contains(known, name), fmt.Sprintf("%s.tagging[%d]", place, i), fmt.Sprintf("%q is not an attribute of tagging", name), fmt.Sprintf("did you mean %q?", classify.Nearest(name, known)))
	}
	v.oneOf(place+".drift", orDefault(s.Drift, tagging.DriftRepair), tagging.DriftRepair, tagging.DriftReport)
	q, ok := lo.Find(v.config.Qualys, func(q Qualys) bool { return q.Name == s.Target })
	v.check(!ok || q.Auth.Type == "" || q.Auth.Type == QualysPassword, place+".target",
		s.Target+" logs in by a client, and the API for tags takes a user name and password only", "name a connection with auth.type: password")
}

// thirdParty checks a schedule of kind third-party.
func (v *validator) thirdParty(place string, s *Schedule) {
	if s.ThirdParty == nil {
		v.add(place+".thirdParty", "is missing: it names the connector", "write for example: {connectorUuid: …} with the UUID of the connector's profile")
		return
	}
	if err := s.ThirdParty.Check(); err != nil {
		v.add(place+".thirdParty", strings.TrimPrefix(err.Error(), "export: "), "")
	}
	q, ok := lo.Find(v.config.Qualys, func(q Qualys) bool { return q.Name == s.Target })
	v.check(!ok || q.API == APICSAM, place, fmt.Sprintf("needs the Global AssetView/CSAM API, and connection %s uses another", s.Target), "set api: csam for the connection")
}

// addresses checks how a schedule of kind export adds addresses.
func (v *validator) addresses(place string, s *Schedule) {
	if s.Addresses == nil {
		v.add(place+".addresses", "is missing: it says how addresses are added", "write for example: {maxAdd: 1000, registration: {vm: true}}")
		return
	}
	if err := s.Addresses.Check(); err != nil {
		v.add(place+".addresses", strings.TrimPrefix(err.Error(), "export: "), "")
	}
	v.check(s.Approval != ApprovalAuto || s.Addresses.MaxAdd > 0, place+".approval",
		"auto adds addresses that nobody looked at and that cannot be removed again", "set addresses.maxAdd to the most that a run may add, or approval: manual")
	q, ok := lo.Find(v.config.Qualys, func(q Qualys) bool { return q.Name == s.Target })
	v.check(!ok || q.Auth.Type == "" || q.Auth.Type == QualysPassword, place+".target",
		s.Target+" logs in by a client, and the API for addresses takes a user name and password only", "name a connection with auth.type: password")
}

// metadata checks what a schedule of kind metadata writes.
func (v *validator) metadata(place string, s *Schedule) {
	for _, p := range s.Metadata.Check() {
		v.add(place+"."+p.Place, p.Why, "")
	}
	v.query(place+".applications.query", s.Metadata.Applications.Query)
	q, ok := lo.Find(v.config.Qualys, func(q Qualys) bool { return q.Name == s.Target })
	v.check(!ok || q.API == APICSAM, place, fmt.Sprintf("needs the Global AssetView/CSAM API, and connection %s uses another", s.Target), "set api: csam for the connection")
}

// selections checks which CIs a schedule reads.
func (v *validator) selections(place string, list []Selection) {
	v.check(len(list) > 0, place+".select", "names no CIs", "write for example select: [{table: cmdb_ci_server}]")
	for i, s := range list {
		at := fmt.Sprintf("%s.select[%d]", place, i)
		v.check(export.IsColumn(s.Table) && !strings.Contains(s.Table, "."), at+".table", fmt.Sprintf("%q is not the name of a table", s.Table), "write for example cmdb_ci_server")
		v.query(at+".query", s.Query)
	}
}

// alien are the parts of an encoded query that would break paging by key: a second
// set of conditions, and an order of its own.
var alien = regexp.MustCompile(`(^|\^)(NQ|ORDERBY|GROUPBY|ENDQUERY)`)

// maxEncoded leaves room for the rest of a URL.
const maxEncoded = 1000

// query checks an encoded query.
func (v *validator) query(place, q string) {
	switch m := alien.FindString(q); {
	case m != "":
		v.add(place, fmt.Sprintf("holds %s, which rows cannot be read by key with", strings.TrimPrefix(m, "^")), "write one entry of select for each set of conditions, and no order")
	case len(q) > maxEncoded:
		v.add(place, fmt.Sprintf("has %d characters, at most %d are taken", len(q), maxEncoded), "write it as several entries of select")
	case strings.ContainsFunc(q, unicode.IsControl):
		v.add(place, "holds control characters", "copy the query from the list's filter once more")
	}
}
