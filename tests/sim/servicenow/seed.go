package servicenow

import (
	"slices"
	"strconv"
)

// seed installs the records and rules that every instance has.
func (s *store) seed(opt Options) error {
	file, err := loadRules()
	if err != nil {
		return err
	}
	t := s.begin()
	add := func(table, key string, values map[string]string) {
		fields := make([]field, 0, len(values))
		for k, v := range values {
			fields = append(fields, field{s.schema.num(k), v})
		}
		t.insert(s.schema.tables[table], stableID(table, key), fields)
	}
	for _, name := range file.RelationTypes {
		add("cmdb_rel_type", name, map[string]string{"name": name})
	}
	sources := file.DiscoverySources
	if !slices.Contains(sources, opt.DiscoverySource) {
		sources = append(sources, opt.DiscoverySource)
	}
	for i, v := range sources {
		add("sys_choice", "discovery_source "+v, map[string]string{"name": "cmdb_ci", "element": "discovery_source", "value": v, "label": v, "inactive": "false", "language": "en", "sequence": strconv.Itoa(i)})
	}
	choices, err := loadChoices()
	if err != nil {
		return err
	}
	for _, c := range choices {
		add("sys_choice", c.table+" "+c.element+" "+c.value, map[string]string{"name": c.table, "element": c.element, "value": c.value, "label": c.label, "inactive": "false", "language": "en", "sequence": strconv.Itoa(c.sequence)})
	}
	for name, v := range file.Properties {
		add("sys_properties", name, map[string]string{"name": name, "value": v})
	}
	for _, p := range [][3]string{{"com.snc.cmdb", "CMDB", "1.0.0"}, {"com.snc.cmdb.scoped", "CMDB Scoped API", "1.0.0"},
		{"com.snc.cmdb.integration_util", "Integration Commons for CMDB", "2.9.0"}, {"com.snc.discovery", "Discovery", "1.0.0"}} {
		row := map[string]string{"id": p[0], "name": p[1], "version": p[2], "active": "true"}
		add("sys_plugins", p[0], row)
		row["active"] = "active"
		add("v_plugin", p[0], row)
	}
	for _, a := range [][3]string{{"sn_cmdb_int_util", "Integration Commons for CMDB", "2.9.0"}, {"sn_cmdb_ci_class", "CMDB CI Class Models", "1.60.0"},
		{"sn_itom_pattern", "Discovery and Service Mapping Patterns", "1.25.0"}} {
		add("sys_store_app", a[0], map[string]string{"scope": a[0], "name": a[1], "version": a[2], "latest_version": a[2], "active": "true"})
		add("sys_scope", a[0], map[string]string{"scope": a[0], "name": a[1], "version": a[2], "active": "true"})
	}
	add("sysrule_quota", "batch", map[string]string{"name": "REST Batch API request timeout", "api": "batch", "max_duration": "30"})
	add("sys_user", opt.Username, map[string]string{"user_name": opt.Username, "name": "Integration User", "active": "true"})
	for _, role := range []string{"admin", "itil", "asset", "import_transformer", "rate_limit_admin"} {
		add("sys_user_role", role, map[string]string{"name": role})
	}
	add("sys_transform_map", "computer", map[string]string{"name": "Computer Import", "source_table": "imp_computer", "target_table": "cmdb_ci_computer"})
	for _, c := range []string{"name", "serial_number", "os", "ram"} {
		add("sys_transform_entry", c, map[string]string{"map": stableID("sys_transform_map", "computer").String(), "source_field": c, "target_field": c, "coalesce": strconv.FormatBool(c == "name")})
	}
	for _, c := range []string{"Dell Inc.", "HP", "Lenovo", "Cisco", "VMware", "Microsoft", "Apple", "Amazon Web Services"} {
		add("core_company", c, map[string]string{"name": c, "manufacturer": "true"})
	}
	if err := s.install(file, opt); err != nil {
		return err
	}
	return s.populate(opt.Others)
}

// install resolves the rules and dependencies of a file against the tables.
func (s *store) install(file *ruleFile, opt Options) error {
	s.rules.rules, s.rules.dependencies = map[string]*rule{}, nil
	for _, r := range file.Rules {
		if opt.Settings.Release == "older" && r.Class == "cmdb_ci_hardware" {
			for _, e := range r.Entries {
				if e.Table == "cmdb_ci_network_adapter" {
					e.Attributes = []string{"ip_address", "mac_address"}
				}
			}
		}
		if err := s.setRule(r); err != nil {
			return err
		}
	}
	for _, d := range file.Dependencies {
		if err := s.addDependency(d); err != nil {
			return err
		}
	}
	return nil
}
