// Package mapping turns an asset and its class into the parts of a record. The
// mapping is data: an embedded YAML document says which column of which class is
// read from which path; adding a section is an edit of that data.
//
//	Document (YAML) ─▶ Compile ─▶ Map ─▶ Apply(asset, class) ─▶ record.Parts
package mapping

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/qbridge/qbridge/domain/asset"
)

//go:embed default.yaml
var defaultDocument []byte

// Document is a mapping as written.
type Document struct {
	Main       []Group     `yaml:"main"`
	Lookups    []Lookup    `yaml:"lookups"`
	References []Reference `yaml:"references"`
	Items      []Item      `yaml:"items"`
}

// Group gives columns to main CIs of some classes and their descendants.
type Group struct {
	Name    string   `yaml:"name"`
	For     []string `yaml:"for"`
	Not     []string `yaml:"not"`
	Columns []Column `yaml:"columns"`
}

// Column fills one column from the first of its paths that has a value.
type Column struct {
	To        string   `yaml:"to"`
	From      []string `yaml:"from"`
	Value     string   `yaml:"value"` // a constant instead of paths
	Transform string   `yaml:"transform"`
	Volatile  bool     `yaml:"volatile"`
	// Unique tells elements of a list apart: a value that an earlier element has
	// too gets the end of the item's key appended, because IRE would merge them.
	Unique bool `yaml:"unique"`
}

// Lookup adds a lookup row to main CIs, by which IRE identifies them.
type Lookup struct {
	Name    string   `yaml:"name"`
	For     []string `yaml:"for"`
	Table   string   `yaml:"table"`
	If      string   `yaml:"if"` // the row exists when this path has a value
	Columns []Column `yaml:"columns"`
}

// Reference fills a column with the sys_id of a row found by name.
type Reference struct {
	Column string   `yaml:"column"`
	For    []string `yaml:"for"`
	Table  string   `yaml:"table"`
	From   []string `yaml:"from"`
	Create bool     `yaml:"create"`
}

// Item is a further CI of a record: a dependent, or an item shared by records.
type Item struct {
	Name      string     `yaml:"name"`
	Section   string     `yaml:"section"` // toggle
	For       []string   `yaml:"for"`     // classes of the main CI
	If        *If        `yaml:"if"`
	Needs     []string   `yaml:"needs"` // paths without which IRE cannot identify the item: it is left out
	List      string     `yaml:"list"`  // one item per element; empty: one item
	Class     string     `yaml:"class"`
	Shared    bool       `yaml:"shared"`
	Key       string     `yaml:"key"` // template: {main}, {path}
	Columns   []Column   `yaml:"columns"`
	Relations []Relation `yaml:"relations"`
}

// If is a condition on the asset.
type If struct {
	Path   string `yaml:"path"`
	Equals string `yaml:"equals"`
}

// Relation connects the item ("self") with the main CI ("main") or another single
// item by its name. Without that other item this one is left out, because IRE
// refuses a dependent item whose host is missing.
type Relation struct {
	Type   string `yaml:"type"`
	Parent string `yaml:"parent"`
	Child  string `yaml:"child"`
}

// Map is a compiled mapping. It is safe for concurrent use.
type Map struct {
	main       []group
	lookups    []lookup
	references []reference
	items      []item
	digest     string
	sections   map[asset.Section]bool
	plans      sync.Map // class → *plan
}

type group struct {
	Group
	columns []column
}

// column reads one value: a constant, or the first path with a value.
type column struct {
	to       string
	value    string
	from     []elementOrAsset
	apply    func(string) string
	volatile bool
	unique   bool
}

type elementOrAsset struct {
	elem  asset.ElementGetter
	plain asset.Getter
}

type lookup struct {
	Lookup
	present asset.Getter
	columns []column
}

type reference struct {
	Reference
	get []asset.Getter
}

type item struct {
	Item
	cond    asset.Getter
	needs   []asset.Getter
	list    *asset.List
	key     []keyPart
	columns []column
}

// keyPart is literal text, the main CI's key, or a value.
type keyPart struct {
	text string
	main bool
	get  elementOrAsset
}

// Default returns the compiled default mapping.
func Default() (*Map, error) {
	doc, err := Parse("default mapping", defaultDocument)
	if err != nil {
		return nil, err
	}
	return Compile(doc)
}

// Parse reads a document strictly.
func Parse(name string, data []byte) (*Document, error) {
	var d Document
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("mapping: %s: %w", name, err)
	}
	return &d, nil
}

// Compile checks a document and compiles it. Errors name the part, the path or
// transform that is unknown, and the nearest valid one.
func Compile(d *Document) (*Map, error) {
	raw, err := yaml.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("mapping: digest: %w", err)
	}
	sum := sha256.Sum256(raw)
	m := &Map{digest: hex.EncodeToString(sum[:16]), sections: map[asset.Section]bool{}}
	for i, g := range d.Main {
		cols, err := compileColumns(g.Columns, nil)
		if err == nil && len(g.For) == 0 {
			err = errNoClasses
		}
		if err != nil {
			return nil, fmt.Errorf("mapping: main[%d] %s: %w", i, g.Name, err)
		}
		m.main = append(m.main, group{Group: g, columns: cols})
	}
	for i, l := range d.Lookups {
		c := lookup{Lookup: l}
		if c.present, err = getter(l.If); err == nil {
			c.columns, err = compileColumns(l.Columns, nil)
		}
		if err == nil && len(l.For) == 0 {
			err = errNoClasses
		}
		if err != nil {
			return nil, fmt.Errorf("mapping: lookups[%d] %s: %w", i, l.Name, err)
		}
		m.lookups = append(m.lookups, c)
	}
	for i, r := range d.References {
		c := reference{Reference: r}
		if c.get, err = getters(r.From); err == nil && len(r.For) == 0 {
			err = errNoClasses
		}
		if err != nil {
			return nil, fmt.Errorf("mapping: references[%d] %s: %w", i, r.Column, err)
		}
		m.references = append(m.references, c)
	}
	names, singles := map[string]bool{"self": true, "main": true}, map[string]bool{}
	for i := range d.Items {
		c, err := compileItem(d.Items[i], names, singles)
		if err != nil {
			return nil, fmt.Errorf("mapping: items[%d] %s: %w", i, d.Items[i].Name, err)
		}
		names[c.Name], singles[c.Name] = true, c.list == nil
		if c.list != nil {
			m.sections[c.list.Section] = true
		}
		m.items = append(m.items, c)
	}
	return m, nil
}

// errNoClasses refuses a part that no class would ever use.
var errNoClasses = errors.New(`needs classes: "for: [cmdb_ci]" means all`)

// Digest changes when the mapping changes.
func (m *Map) Digest() string { return m.digest }

// optional are the sections that Qualys can leave out of an answer and that are
// expensive; the others cost nothing.
var optional = []asset.Section{
	asset.SectionSoftware, asset.SectionOpenPorts, asset.SectionVolumes, asset.SectionServices, asset.SectionAccounts, asset.SectionInterfaces,
}

// Unused returns the expensive sections that nothing maps or that a toggle
// switched off, so that Qualys is not asked for them.
func (m *Map) Unused(toggles map[string]bool) []asset.Section {
	var out []asset.Section
	for _, s := range optional {
		if on, set := toggles[string(s)]; !m.sections[s] || (set && !on) {
			out = append(out, s)
		}
	}
	return out
}
