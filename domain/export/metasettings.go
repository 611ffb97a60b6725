package export

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/classify"
)

// Values of MetadataSettings.Empty.
const (
	// EmptyKeep leaves a field of Qualys alone that the CMDB has no value for,
	// unless the value there is one that was written before.
	EmptyKeep = "keep"
	// EmptyClear clears it whoever wrote it.
	EmptyClear = "clear"
)

// MetadataSettings say which columns of CIs become which fields of assets and
// business applications. Columns are read as people see them: references by the
// names of what they refer to, choices by their labels.
type MetadataSettings struct {
	// Fields gives fields other columns than the default ones ("ownedBy:
	// owned_by.email"); an empty column leaves a field alone.
	Fields map[string]string `yaml:"fields,omitzero" json:"fields,omitempty"`
	// Empty says what becomes of a field that the CMDB has no value for.
	Empty string `yaml:"empty,omitzero" json:"empty,omitempty"` // keep (default) | clear
	// Identifiers are what finds the asset of a CI that no sync has linked, in this
	// order; the first that finds anything decides.
	Identifiers []Identifier `yaml:"identifiers,omitzero" json:"identifiers,omitempty"`
	// IdentifierColumns gives identifiers other columns than the default ones.
	IdentifierColumns map[string]string   `yaml:"identifierColumns,omitzero" json:"identifierColumns,omitempty"`
	Applications      ApplicationSettings `yaml:"applications,omitzero" json:"applications,omitzero"`
}

// ApplicationSettings say which business applications go to Qualys.
type ApplicationSettings struct {
	Off   bool   `yaml:"off,omitzero" json:"off,omitempty"`
	Table string `yaml:"table,omitzero" json:"table,omitempty"` // default cmdb_ci_business_app
	Query string `yaml:"query,omitzero" json:"query,omitempty"` // encoded query
	// ID is the column whose value names an application in Qualys.
	ID     string            `yaml:"id,omitzero" json:"id,omitempty"` // default sys_id
	Fields map[string]string `yaml:"fields,omitzero" json:"fields,omitempty"`
	// Direct leaves out CIs that an application has through an application service
	// only.
	Direct bool `yaml:"direct,omitzero" json:"direct,omitempty"`
}

// assetColumns are the columns that fields of assets come from.
var assetColumns = map[string]string{
	"operationalStatus": "operational_status", "environment": "environment", "company": "company", "department": "department",
	"ownedBy": "owned_by", "managedBy": "managed_by", "supportedBy": "supported_by", "supportGroup": "support_group",
	"assignedLocation.name": "location", "assignedLocation.street": "location.street", "assignedLocation.city": "location.city",
	"assignedLocation.state": "location.state", "assignedLocation.country": "location.country",
}

// applicationColumns are the columns that fields of business applications come
// from.
var applicationColumns = map[string]string{
	"name": "name", "businessCriticality": "business_criticality", "status": "install_status", "environment": "environment", "usedFor": "used_for",
	"operationalStatus": "operational_status", "ownedBy": "owned_by", "managedBy": "managed_by", "supportedBy": "supported_by", "supportGroup": "support_group",
}

// identifierColumns are the columns that hold identifiers of CIs. No column of the
// base system has the UUID of a machine.
var identifierColumns = map[Identifier]string{
	ByInstance: "object_id", BySerial: "serial_number", ByMAC: "mac_address", ByFQDN: "fqdn", ByNetBIOS: "name", ByHostName: "host_name", ByIP: "ip_address",
}

// columnShape is a column, or a walk to one ("owned_by.email").
var columnShape = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)

// IsColumn reports whether a text may name a column, or walk to one.
func IsColumn(s string) bool { return columnShape.MatchString(s) }

// Columns returns the column of every field of assets that is written.
func (s *MetadataSettings) Columns() map[string]string { return overlaid(assetColumns, s.Fields) }

// Columns returns the column of every field of applications that is written.
func (s *ApplicationSettings) Columns() map[string]string {
	return overlaid(applicationColumns, s.Fields)
}

func overlaid(defaults, by map[string]string) map[string]string {
	out := maps.Clone(defaults)
	maps.Copy(out, by)
	maps.DeleteFunc(out, func(_, column string) bool { return column == "" })
	return out
}

// Order returns the identifiers in their order.
func (s *MetadataSettings) Order() []Identifier {
	if s.Identifiers == nil {
		return DefaultIdentifiers()
	}
	return s.Identifiers
}

// Identity returns the column of every identifier that is compared.
func (s *MetadataSettings) Identity() map[Identifier]string {
	out := map[Identifier]string{}
	for _, id := range s.Order() {
		column, set := s.IdentifierColumns[string(id)]
		if !set {
			column = identifierColumns[id]
		}
		if column != "" {
			out[id] = column
		}
	}
	return out
}

// From returns the table of business applications and the column of their ids.
func (s *ApplicationSettings) From() (table, id string) {
	table, id = s.Table, s.ID
	if table == "" {
		table = "cmdb_ci_business_app"
	}
	if id == "" {
		id = "sys_id"
	}
	return table, id
}

// Problem is a setting that makes no sense: where it stands below the settings, and
// why.
type Problem struct{ Place, Why string }

// Check says what is wrong with the settings, in the order of their names.
func (s *MetadataSettings) Check() []Problem {
	var out []Problem
	add := func(place, format string, args ...any) {
		out = append(out, Problem{place, fmt.Sprintf(format, args...)})
	}
	a := &s.Applications
	if !slices.Contains([]string{"", EmptyKeep, EmptyClear}, s.Empty) {
		add("empty", "%q is none of %s, %s", s.Empty, EmptyKeep, EmptyClear)
	}
	columns := func(place string, fields map[string]string, known []string) {
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			if !slices.Contains(known, field) {
				add(place, "there is no field %q; did you mean %q?", field, classify.Nearest(field, known))
			} else if c := fields[field]; c != "" && !IsColumn(c) {
				add(place+"."+field, "%q is not a column such as owned_by or owned_by.email", c)
			}
		}
	}
	columns("fields", s.Fields, AssetFields())
	if err := CheckIdentifiers(s.Identifiers); err != nil {
		add("identifiers", "%s", strings.TrimPrefix(err.Error(), "export: "))
	}
	names := make([]string, len(Identifiers()))
	for i, id := range Identifiers() {
		names[i] = string(id)
	}
	columns("identifierColumns", s.IdentifierColumns, names)
	columns("applications.fields", a.Fields, ApplicationFields())
	if table, id := a.From(); !IsColumn(table) || strings.Contains(table, ".") {
		add("applications.table", "%q is not the name of a table", table)
	} else if !IsColumn(id) {
		add("applications.id", "%q is not a column such as number", id)
	}
	if a.Columns()["name"] == "" {
		add("applications.fields.name", "is empty, but Qualys takes no application without a name")
	}
	if a.Off && (a.Table != "" || a.Query != "" || a.ID != "" || len(a.Fields) > 0 || a.Direct) {
		add("applications", "has settings although applications are off")
	}
	if len(s.Columns()) == 0 && a.Off {
		add("fields", "leave every field alone, and applications are off: nothing would be written")
	}
	return out
}
