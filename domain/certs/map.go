package certs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/record"
)

// Names of the target.
const (
	Class = "cmdb_ci_certificate"
	// Uses is the relation from a CI to the certificates that it serves.
	Uses = "Uses::Used by"
	// Relations and RelationTypes are the tables of relations and of their types.
	Relations     = "cmdb_rel_ci"
	RelationTypes = "cmdb_rel_type"
	// Domains is the table of the names that certificates are for.
	Domains = "certificate_domain"
)

// Sections of a certificate's parts.
const (
	sectionHosts = "hosts"
	// SectionMetadata is the toggle of the rows that hold grades, protocols and
	// ciphers.
	SectionMetadata = "metadata"
)

// States of a certificate that are written.
const (
	stateInstalled = "installed"
	stateRetired   = "retired"
)

// Host is a CI that serves a certificate.
type Host struct {
	SysID string
	Class string
}

// Input is what a certificate becomes parts with.
type Input struct {
	Key   string         // of the record, and source native key of the CI
	Hosts map[int64]Host // asset id → CI; an asset that is not there was not imported
	// KeyOf returns the key of another certificate's record, or "" for one that is
	// not imported: then the reference to it is left out.
	KeyOf func(fingerprint string) string
	// Related are the classes whose CIs, and those of classes below, get a relation.
	Related []string
	// Table is the name of the metadata table in the target; empty: no metadata.
	Table string
	// Renewal goes into renewal_tracking, which makes an instance create tasks;
	// empty: nothing is written.
	Renewal string
}

// Imported counts the assets of a certificate that have a CI.
func (in *Input) Imported(c *Certificate) int {
	n := 0
	for i := range c.Assets {
		if in.Hosts[c.Assets[i].ID].SysID != "" {
			n++
		}
	}
	return n
}

// Map returns the parts of a clean certificate: its CI, references to its issuers,
// a relation from each CI that serves it, and rows with what Qualys found there.
// CIs of classes that have no relation to certificates are flagged, not related.
func Map(c *Certificate, in Input) record.Parts {
	p := record.Parts{Native: &cmdb.Item{Key: in.Key, Class: Class, Columns: c.columns(in.Renewal)}, Complete: []string{sectionHosts}}
	if in.Table != "" {
		p.Complete = append(p.Complete, SectionMetadata)
	}
	for _, ref := range []struct{ column, fingerprint string }{{"issuer", c.Issuer.Fingerprint}, {"root_issuer", c.Root.Fingerprint}} {
		if ref.fingerprint == "" || ref.fingerprint == c.Fingerprint || in.KeyOf == nil {
			continue // a CI cannot name itself before it is there
		}
		if key := in.KeyOf(ref.fingerprint); key != "" {
			p.Native.Links = append(p.Native.Links, cmdb.Link{Column: ref.column, Item: key})
		}
	}
	c.addNames(&p)
	c.addHosts(&p, &in)
	return p
}

// columns are those of the CI, without empty ones.
func (c *Certificate) columns(renewal string) []cmdb.Column {
	var out []cmdb.Column
	add := func(name, value string) {
		if value != "" {
			out = append(out, cmdb.Column{Name: name, Value: value})
		}
	}
	add("name", c.Title())
	add("fingerprint", c.Fingerprint)
	add("fingerprint_algorithm", digests[len(c.Fingerprint)])
	add("serial_number", c.Serial)
	add("version", c.version)
	add("signature_algorithm", c.SignatureAlgorithm)
	if c.KeySize > 0 {
		add("key_size", strconv.FormatInt(c.KeySize, 10))
	}
	add("subject_common_name", c.Subject.CommonName)
	dn := c.DN
	if dn == "" {
		dn = c.Subject.Distinguished()
	}
	add("subject_distinguished_name", dn)
	add("subject_organization", c.Subject.Organization)
	add("subject_organizational_unit", asset.Text(strings.Join(c.Subject.Units, ", ")))
	if len(c.Subject.Country) == 2 { // the column holds a code
		add("subject_country", c.Subject.Country)
	}
	add("subject_state", c.Subject.State)
	add("subject_locality", c.Subject.Locality)
	add("subject_email", asset.Text(strings.Join(c.emails, ", ")))
	add("issuer_common_name", c.Issuer.CommonName)
	add("issuer_distinguished_name", c.Issuer.Distinguished())
	add("valid_from", written(c.ValidFrom))
	add("valid_to", written(c.ValidTo))
	add("state", stateInstalled)
	add("is_ca", strconv.FormatBool(c.CA()))
	add("is_self_signed", strconv.FormatBool(c.SelfSigned))
	add("renewal_tracking", renewal)
	return out
}

// mostNames is how many names a certificate keeps: they are a list of sys_ids in a
// column of 4,000 characters.
const mostNames = 121

// addNames adds the names that the certificate is for.
func (c *Certificate) addNames(p *record.Parts) {
	const column = "subject_alternative_name"
	list := c.DNSNames
	if len(list) > mostNames {
		p.Flags = append(p.Flags, record.Flag{Item: p.Native.Key, Column: column, Why: fmt.Sprintf("%s: the first %d of %d names", record.FlagCut, mostNames, len(list))})
		list = list[:mostNames]
	}
	for _, name := range list {
		p.References = append(p.References, cmdb.Reference{Item: p.Native.Key, Column: column, Table: Domains, Name: name, Create: true, List: true})
	}
}

// use is what one CI serves a certificate with.
type use struct {
	host  Host
	ports []string
}

// addHosts adds a relation from every CI that serves the certificate, with the
// ports, and a row for each port.
func (c *Certificate) addHosts(p *record.Parts, in *Input) {
	uses := map[string]*use{}
	var unrelated []string
	rows := map[string]cmdb.Row{}
	for i := range c.Assets {
		h := in.Hosts[c.Assets[i].ID]
		if h.SysID == "" {
			continue
		}
		u := uses[h.SysID]
		if u == nil {
			u = &use{host: h}
			uses[h.SysID] = u
		}
		for k := range c.Assets[i].Services {
			s := &c.Assets[i].Services[k]
			u.ports = append(u.ports, s.place())
			if in.Table != "" {
				r := s.row(in.Table, h)
				rows[r.Key] = r // two scans of a machine see one service twice
			}
		}
	}
	for _, id := range keysOf(uses) {
		u := uses[id]
		if !slices.ContainsFunc(in.Related, func(class string) bool { return cmdb.IsA(u.host.Class, class) }) {
			unrelated = append(unrelated, u.host.Class)
			continue
		}
		slices.Sort(u.ports)
		p.Tables = append(p.Tables, relation(u.host, slices.Compact(u.ports)))
	}
	for _, key := range keysOf(rows) {
		p.Tables = append(p.Tables, rows[key])
	}
	slices.Sort(unrelated)
	for class, n := range counted(unrelated) {
		p.Flags = append(p.Flags, record.Flag{Item: p.Native.Key, Column: Uses, Why: fmt.Sprintf("%d of class %s serve it; this class has no relation to certificates", n, class)})
	}
	slices.SortFunc(p.Flags, func(a, b record.Flag) int { return strings.Compare(a.Column+a.Why, b.Column+b.Why) })
}

// TypeKey is what a row's link names to get the sys_id of a relation's type.
func TypeKey(name string) string { return RelationTypes + "/" + name }

// maxPort is the length of the column that holds ports.
const maxPort = 40

func relation(h Host, ports []string) cmdb.Row {
	return cmdb.Row{
		Table: Relations, HostColumn: "child", Section: sectionHosts, Key: "uses/" + h.SysID, Coalesce: []string{"parent", "type"},
		Columns: []cmdb.Column{{Name: "parent", Value: h.SysID}, {Name: "port", Value: asset.TextTo(strings.Join(ports, ", "), maxPort)}},
		Links:   []cmdb.Link{{Column: "type", Item: TypeKey(Uses)}},
	}
}

// place is a port with its protocol: 443/tcp.
func (s *Service) place() string {
	protocol := s.Protocol
	if protocol == "" {
		protocol = "tcp"
	}
	return strconv.FormatInt(s.Port, 10) + "/" + protocol
}

// Table describes the table of what Qualys found where a certificate is served.
func Table() mapping.Table {
	t := mapping.Table{Name: "u_qbridge_certificate", Section: SectionMetadata, By: []string{"u_certificate", "u_place"}}
	t.Columns = []mapping.TableColumn{{Name: "u_certificate", Type: "reference", Reference: "cmdb_ci"}, {Name: "u_place", Type: "string"}, {Name: "u_ci", Type: "reference", Reference: "cmdb_ci"}}
	for _, name := range []string{"u_port", "u_protocol", "u_service", "u_fqdn", "u_grade", "u_tls_versions", "u_weak_ciphers"} {
		t.Columns = append(t.Columns, mapping.TableColumn{Name: name, Type: "string"})
	}
	return t
}

func (s *Service) row(table string, h Host) cmdb.Row {
	place := h.SysID + ":" + s.place()
	r := cmdb.Row{Table: table, HostColumn: "u_certificate", Section: SectionMetadata, Key: "place/" + place, Coalesce: []string{"u_place"}}
	for _, c := range [][2]string{
		{"u_place", place}, {"u_ci", h.SysID}, {"u_port", strconv.FormatInt(s.Port, 10)}, {"u_protocol", s.Protocol}, {"u_service", s.Name}, {"u_fqdn", s.FQDN},
		{"u_grade", s.Grade}, {"u_tls_versions", asset.Text(strings.Join(s.Protocols, ", "))}, {"u_weak_ciphers", asset.Text(strings.Join(s.Weak, ", "))},
	} {
		r.Columns = append(r.Columns, cmdb.Column{Name: c[0], Value: c[1]})
	}
	return r
}

// Retired returns the parts of a certificate that Qualys does not see any more:
// its CI with the state retired, without relations.
func Retired(p *record.Parts) *record.Parts {
	if p == nil || p.Native == nil {
		return nil
	}
	native := *p.Native
	native.Columns = slices.Clone(native.Columns)
	for i := range native.Columns {
		if native.Columns[i].Name == "state" {
			native.Columns[i].Value = stateRetired
		}
	}
	return &record.Parts{Native: &native, References: p.References, Complete: []string{sectionHosts, SectionMetadata}}
}

func keysOf[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func counted(list []string) map[string]int {
	out := map[string]int{}
	for _, s := range list {
		out[s]++
	}
	return out
}
