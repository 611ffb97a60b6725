package servicenow

import (
	"fmt"
	"strings"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// OtherSources gives the CMDB a life of its own: CIs that other discovery
// sources reported before the integration came. Every second one is a machine
// of the estate, in the words of the other source; the rest is unknown to it.
// The zero value adds nothing.
type OtherSources struct {
	// CIs is the number of computers and servers; owners, groups, locations,
	// business applications and certificates come with them.
	CIs int
	// Estate is the company; with the options of the Qualys simulator the
	// machines are the same as there.
	Estate estate.Options
}

// populate inserts the CIs of the other sources as built-in records: they are
// the same at every start, so the journal holds only what became of them.
func (s *store) populate(o OtherSources) error {
	if o.CIs <= 0 {
		return nil
	}
	company, err := estate.New(o.Estate)
	if err != nil {
		return fmt.Errorf("servicenow: other sources: %w", err)
	}
	l := &life{s: s, tx: s.begin(), stamp: s.now().UTC().Format(timeLayout)}
	l.surroundings()
	shared, seen, reader := 0, map[int]bool{}, company.Reader()
	for index := 0; index < company.Size() && shared < (o.CIs+1)/2; index++ {
		a, ok := reader.Asset(index)
		if !ok || seen[a.Machine] || !a.Kind.Computer() || a.Serial == "" || a.Role != estate.Only || a.Host == "" {
			continue
		}
		seen[a.Machine] = true
		l.machine(shared, classOf(a.Kind), strings.ToUpper(a.Host), a.Serial)
		shared++
	}
	for n := shared; n < o.CIs; n++ {
		l.machine(n, "cmdb_ci_server", fmt.Sprintf("legacy-%05d", n), fmt.Sprintf("LGCY-%07d", n))
	}
	return nil
}

func classOf(k estate.Kind) string {
	switch k {
	case estate.WindowsServer:
		return "cmdb_ci_win_server"
	case estate.LinuxServer:
		return "cmdb_ci_linux_server"
	}
	return "cmdb_ci_computer"
}

// life is the work of populate.
type life struct {
	s     *store
	tx    *tx
	stamp string
}

func (l *life) put(table, key string, values map[string]string) string {
	fields := make([]field, 0, len(values))
	for name, v := range values {
		fields = append(fields, field{l.s.schema.num(name), v})
	}
	return l.tx.insert(l.s.schema.tables[table], lifeID(table, key), fields).id.String()
}

func lifeID(table, key string) sysID { return stableID("other sources", table, key) }

const places = 4

func (l *life) surroundings() {
	for n := range places {
		key := fmt.Sprint(n)
		l.put("sys_user", key, map[string]string{"user_name": "owner." + key, "name": "Owner " + key, "email": "owner." + key + "@corp.example"})
		l.put("sys_user_group", key, map[string]string{"name": "Support " + key, "manager": lifeID("sys_user", key).String()})
		l.put("cmn_location", key, map[string]string{"name": "Site " + key, "city": "City " + key, "country": "CH"})
	}
}

// machine adds one CI with what people added to it; every tenth belongs to a
// business application and every twentieth carries a certificate.
func (l *life) machine(n int, class, name, serial string) {
	source, place, key := []string{"ServiceNow", "SCCM"}[n%2], fmt.Sprint(n%places), fmt.Sprint(n)
	ci := l.put(class, "ci "+key, map[string]string{"name": name, "serial_number": serial, "discovery_source": source,
		"first_discovered": l.stamp, "last_discovered": l.stamp, "install_status": "1", "operational_status": "1",
		"owned_by": lifeID("sys_user", place).String(), "support_group": lifeID("sys_user_group", place).String(), "location": lifeID("cmn_location", place).String()})
	l.put("sys_object_source", key, map[string]string{"name": source, "id": source + "-" + key, "last_scan": l.stamp, "target_table": class, "target_sys_id": ci})
	if n%10 == 0 {
		app := l.put("cmdb_ci_business_app", "app "+key, map[string]string{"name": "Application " + key, "business_criticality": "2 - somewhat critical",
			"discovery_source": "ManualEntry", "owned_by": lifeID("sys_user", place).String()})
		l.relate("app "+key, app, ci, "Depends on::Used by")
	}
	if n%20 == 0 {
		cert := l.put("cmdb_ci_certificate", "cert "+key, map[string]string{"name": name + ".corp.example", "fingerprint": stableID("certificate", key).String(),
			"fingerprint_algorithm": "SHA-256", "state": "installed", "discovery_source": source})
		l.relate("cert "+key, ci, cert, "Uses::Used by")
	}
}

func (l *life) relate(key, parent, child, kind string) {
	l.put("cmdb_rel_ci", key, map[string]string{"parent": parent, "child": child, "type": l.s.relType[kind].id.String()})
}
