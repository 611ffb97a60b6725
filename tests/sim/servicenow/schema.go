package servicenow

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed data
var dataFiles embed.FS

// table is one table of the instance with everything it inherits resolved.
type table struct {
	name, label, display string
	parent               *table
	children             []*table
	columns              map[string]*column
	order                []*column
	mandatory            []*column
	defaults             []field
	depth                int
	isCI                 bool

	rows    []*row   // in insertion order, own class only
	indexes []*index // indexes that cover this table, its ancestors' included
}

// column describes one column as a table sees it.
type column struct {
	name, kind, ref, fallback string
	num, length               int
	mandatory                 bool
	owner                     *table
}

// isA tells whether t is other or extends it.
func (t *table) isA(other *table) bool {
	for ; t != nil; t = t.parent {
		if t == other {
			return true
		}
	}
	return false
}

// each visits t and all that extend it.
func (t *table) each(visit func(*table)) {
	visit(t)
	for _, c := range t.children {
		c.each(visit)
	}
}

type tableFile struct {
	Tables []struct {
		Name    string `yaml:"name"`
		Parent  string `yaml:"parent"`
		Label   string `yaml:"label"`
		Display string `yaml:"display"`
		Columns string `yaml:"columns"`
		Grade   string `yaml:"grade"`
	} `yaml:"tables"`
}

// schema is the set of tables plus the store-wide numbering of columns.
type schema struct {
	tables map[string]*table
	names  []string // column number → element name
	nums   map[string]int
}

func (s *schema) num(name string) int {
	n, ok := s.nums[name]
	if !ok {
		n = len(s.names)
		s.nums[name] = n
		s.names = append(s.names, name)
	}
	return n
}

// The embedded documents are parsed once: that takes ten times as long as
// building an instance from them, and tests build thousands of instances.
var (
	tableDocument = sync.OnceValues(func() (*tableFile, error) {
		all := &tableFile{}
		for _, name := range []string{"data/tables.yaml", "data/connector.yaml"} {
			file, err := readYAML[tableFile](name)
			if err != nil {
				return nil, err
			}
			all.Tables = append(all.Tables, file.Tables...)
		}
		return all, nil
	})
	// ruleDocument is JSON, because every instance changes its own copy.
	ruleDocument = sync.OnceValues(func() ([]byte, error) {
		file, err := readYAML[ruleFile]("data/rules.yaml")
		if err != nil {
			return nil, err
		}
		return json.Marshal(file)
	})
)

func readYAML[T any](name string) (*T, error) {
	raw, err := dataFiles.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("servicenow: read %s: %w", name, err)
	}
	out := new(T)
	if err := yaml.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("servicenow: parse %s: %w", name, err)
	}
	return out, nil
}

// loadSchema builds the embedded tables.
func loadSchema() (*schema, error) {
	file, err := tableDocument()
	if err != nil {
		return nil, err
	}
	s := &schema{tables: map[string]*table{}, nums: map[string]int{}}
	for _, d := range file.Tables {
		t := &table{name: d.Name, label: d.Label, display: d.Display, columns: map[string]*column{}}
		if d.Parent != "" {
			p := s.tables[d.Parent]
			if p == nil {
				return nil, fmt.Errorf("servicenow: table %s extends %s, which is not defined before it", d.Name, d.Parent)
			}
			t.inherit(p)
		}
		for _, spec := range strings.Fields(d.Columns) {
			t.addColumn(s, spec)
		}
		t.finish()
		s.tables[d.Name] = t
	}
	return s, nil
}

func (t *table) inherit(p *table) {
	t.parent, t.depth = p, p.depth+1
	p.children = append(p.children, t)
	if t.display == "" {
		t.display = p.display
	}
	for _, c := range p.order {
		t.columns[c.name] = c
		t.order = append(t.order, c)
	}
}

// addColumn reads element[(length)][:type][>table][=default][!].
func (t *table) addColumn(s *schema, spec string) {
	c := &column{kind: "string", owner: t}
	if strings.HasSuffix(spec, "!") {
		c.mandatory, spec = true, strings.TrimSuffix(spec, "!")
	}
	spec, c.fallback, _ = strings.Cut(spec, "=")
	if name, ref, ok := strings.Cut(spec, ">"); ok {
		c.ref, c.kind, spec = ref, "reference", name
	}
	if name, kind, ok := strings.Cut(spec, ":"); ok {
		c.kind, spec = kind, name
	}
	if name, length, ok := strings.Cut(strings.TrimSuffix(spec, ")"), "("); ok {
		spec = name
		c.length, _ = strconv.Atoi(length) // without a number the type's length stays
	}
	c.name, c.num = spec, s.num(spec)
	if old := t.columns[c.name]; old != nil {
		for i := range t.order {
			if t.order[i] == old {
				t.order[i] = c
			}
		}
	} else {
		t.order = append(t.order, c)
	}
	t.columns[c.name] = c
}

func (t *table) finish() {
	t.mandatory, t.defaults = nil, nil
	for _, c := range t.order {
		if c.mandatory {
			t.mandatory = append(t.mandatory, c)
		}
		if c.fallback != "" {
			t.defaults = append(t.defaults, field{c.num, c.fallback})
		}
	}
	for p := t; p != nil; p = p.parent {
		t.isCI = t.isCI || p.name == "cmdb_ci"
	}
}

// rule is an identification rule (cmdb_identifier) with its entries.
type rule struct {
	Class     string       `yaml:"class" json:"class"`
	Name      string       `yaml:"name" json:"name"`
	Grade     string       `yaml:"grade" json:"grade"`
	Dependent bool         `yaml:"dependent" json:"dependent"`
	Entries   []*ruleEntry `yaml:"entries" json:"entries"`
	Related   []*ruleEntry `yaml:"related" json:"related"`
	table     *table
}

// ruleEntry is one identifier entry (cmdb_identifier_entry) or related entry.
type ruleEntry struct {
	Priority      int      `yaml:"priority" json:"priority"`
	Table         string   `yaml:"table" json:"table,omitempty"` // lookup table; empty for a regular entry
	Attributes    []string `yaml:"attributes" json:"attributes"`
	Hybrid        []string `yaml:"hybrid" json:"hybrid,omitempty"` // main-table attributes of a hybrid entry
	Condition     string   `yaml:"condition" json:"condition,omitempty"`
	Reference     string   `yaml:"reference" json:"reference,omitempty"`
	Exact         bool     `yaml:"exact" json:"exact,omitempty"`
	AllowNull     bool     `yaml:"allowNull" json:"allowNull,omitempty"`
	AllowFallback bool     `yaml:"allowFallback" json:"allowFallback,omitempty"`
	Inactive      bool     `yaml:"inactive" json:"inactive,omitempty"`
	SysID         string   `yaml:"sysId" json:"sysId,omitempty"`
	Grade         string   `yaml:"grade" json:"grade,omitempty"`

	table  *table // searched table
	index  *index
	owned  *index // like index, with the reference to the CI; nil for a regular entry
	hybrid *index
	filter *query
	refCol int
	key    string // "T|a,b", used in payload duplicate keys
}

// dependency is one containment or hosting rule.
type dependency struct {
	Parent string `yaml:"parent" json:"parent"`
	Type   string `yaml:"type" json:"type"`
	Child  string `yaml:"child" json:"child"`
	Host   string `yaml:"host" json:"host"` // "parent" or "child"

	parent, child *table
}

// dependent returns the side that depends on the other one.
func (d *dependency) dependent() *table {
	if d.Host == "parent" {
		return d.child
	}
	return d.parent
}

type ruleFile struct {
	Rules            []*rule           `yaml:"rules" json:"rules"`
	Dependencies     []*dependency     `yaml:"dependencies" json:"dependencies"`
	RelationTypes    []string          `yaml:"relationTypes" json:"relationTypes"`
	DiscoverySources []string          `yaml:"discoverySources" json:"discoverySources"`
	Properties       map[string]string `yaml:"properties" json:"properties"`
}

// loadRules returns a copy of the embedded rules.
func loadRules() (*ruleFile, error) {
	raw, err := ruleDocument()
	if err != nil {
		return nil, err
	}
	file := &ruleFile{}
	if err := json.Unmarshal(raw, file); err != nil {
		return nil, fmt.Errorf("servicenow: rules: %w", err)
	}
	return file, nil
}

// rulebook is the active set of rules, resolved against the tables.
type rulebook struct {
	rules        map[string]*rule
	dependencies []*dependency
}

// forClass returns the rule of the class or of its nearest ancestor: a class
// with its own rule uses nothing of its parent's.
func (b *rulebook) forClass(t *table) *rule {
	for ; t != nil; t = t.parent {
		if r := b.rules[t.name]; r != nil {
			return r
		}
	}
	return nil
}

// setRule resolves and installs one rule; it replaces the class's former one.
func (s *store) setRule(r *rule) error {
	r.table = s.schema.tables[r.Class]
	if r.table == nil {
		return fmt.Errorf("servicenow: rule for unknown class %s", r.Class)
	}
	for _, list := range [][]*ruleEntry{r.Entries, r.Related} {
		for _, e := range list {
			if err := s.resolveEntry(r, e); err != nil {
				return err
			}
		}
	}
	sort.SliceStable(r.Entries, func(i, j int) bool { return r.Entries[i].Priority < r.Entries[j].Priority })
	s.rules.rules[r.Class] = r
	return nil
}

func (s *store) resolveEntry(r *rule, e *ruleEntry) error {
	e.table = r.table
	if e.Table != "" {
		e.table = s.schema.tables[e.Table]
		if e.table == nil {
			return fmt.Errorf("servicenow: rule %s searches unknown table %s", r.Name, e.Table)
		}
		ref := e.table.columns[e.Reference]
		if ref == nil || ref.ref == "" {
			return fmt.Errorf("servicenow: rule %s: %s has no reference column %q", r.Name, e.Table, e.Reference)
		}
		e.refCol = ref.num
		e.filter = parseQuery(e.Condition)
	}
	sort.Strings(e.Attributes)
	if err := checkColumns(r, e.table, e.Attributes); err != nil {
		return err
	}
	if e.Table != "" {
		e.owned = s.indexOn(e.table, append(slices.Clone(e.Attributes), e.Reference))
	}
	if err := checkColumns(r, r.table, e.Hybrid); err != nil {
		return err
	}
	e.index = s.indexOn(e.table, e.Attributes)
	if len(e.Hybrid) > 0 {
		sort.Strings(e.Hybrid)
		e.hybrid = s.indexOn(r.table, e.Hybrid)
	}
	e.key = r.Class + "|" + strings.Join(e.Attributes, ",")
	if e.SysID == "" {
		e.SysID = stableID("cmdb_identifier_entry", r.Class, fmt.Sprint(e.Priority), e.key).String()
	}
	return nil
}

func checkColumns(r *rule, t *table, names []string) error {
	for _, a := range names {
		if a != "sys_class_name" && t.columns[a] == nil {
			return fmt.Errorf("servicenow: rule %s uses unknown column %s of %s", r.Name, a, t.name)
		}
	}
	return nil
}

// addDependency resolves and installs one containment or hosting rule.
func (s *store) addDependency(d *dependency) error {
	d.parent, d.child = s.schema.tables[d.Parent], s.schema.tables[d.Child]
	if d.parent == nil || d.child == nil || (d.Host != "parent" && d.Host != "child") {
		return fmt.Errorf("servicenow: containment rule %s >> %s >> %s names an unknown class or side", d.Parent, d.Type, d.Child)
	}
	s.rules.dependencies = append(s.rules.dependencies, d)
	return nil
}
