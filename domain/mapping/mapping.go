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
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/cmdb"
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

// compileItem compiles an item. names are taken; singles are the items before it
// that relations can refer to.
func compileItem(it Item, names, singles map[string]bool) (item, error) {
	c := item{Item: it}
	if it.Name == "" || names[it.Name] {
		return c, fmt.Errorf("needs a name of its own")
	}
	if !cmdb.KnownClass(it.Class) {
		return c, fmt.Errorf("unknown class %q", it.Class)
	}
	if len(it.For) == 0 {
		return c, errNoClasses
	}
	if it.List != "" {
		l, ok := asset.LookupList(it.List)
		if !ok {
			return c, fmt.Errorf("unknown list %q; did you mean %q?", it.List, classify.Nearest(it.List, asset.ListNames()))
		}
		c.list = &l
	}
	var err error
	if it.If != nil {
		if c.cond, err = getter(it.If.Path); err != nil {
			return c, err
		}
	}
	if c.needs, err = getters(it.Needs); err != nil {
		return c, err
	}
	if c.key, err = compileKey(it.Key, c.list); err != nil {
		return c, err
	}
	// IRE matches the source key before any rule: a part with a key that another
	// asset's part can have would be that part.
	if own := c.key[0].main; own == it.Shared {
		return c, fmt.Errorf("key %q: the key of a part begins with {main}, the key of a shared item does not", it.Key)
	}
	if c.columns, err = compileColumns(it.Columns, c.list); err != nil {
		return c, err
	}
	for _, r := range it.Relations {
		for _, end := range []string{r.Parent, r.Child} {
			if end != "self" && end != "main" && !singles[end] {
				return c, fmt.Errorf("relation %q names %q, which no single item before it has", r.Type, end)
			}
		}
		if !strings.Contains(r.Type, "::") {
			return c, fmt.Errorf("relation type %q is not of the form A::B", r.Type)
		}
	}
	return c, nil
}

// compileKey splits "{main}/nic/{mac}" into its parts.
func compileKey(template string, list *asset.List) ([]keyPart, error) {
	var parts []keyPart
	rest := template
	for rest != "" {
		before, after, found := strings.Cut(rest, "{")
		if before != "" {
			parts = append(parts, keyPart{text: before})
		}
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("key %q: a brace is not closed", template)
		}
		rest = tail
		if name == "main" {
			parts = append(parts, keyPart{main: true})
			continue
		}
		get, err := either(name, list)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", template, err)
		}
		parts = append(parts, keyPart{get: get})
	}
	if len(parts) == 0 {
		return nil, errors.New("has no key")
	}
	return parts, nil
}

func compileColumns(cols []Column, list *asset.List) ([]column, error) {
	out := make([]column, 0, len(cols))
	for _, c := range cols {
		if c.To == "" || (c.Value == "") == (len(c.From) == 0) {
			return nil, fmt.Errorf("column %q needs either from or value", c.To)
		}
		k := column{to: c.To, value: c.Value, volatile: c.Volatile, unique: c.Unique}
		if c.Unique && list == nil {
			return nil, fmt.Errorf("column %s: only columns of a list can be unique", c.To)
		}
		if c.Transform != "" {
			f, ok := transforms[c.Transform]
			if !ok {
				return nil, fmt.Errorf("column %s: unknown transform %q; did you mean %q?", c.To, c.Transform, classify.Nearest(c.Transform, transformNames()))
			}
			k.apply = f
		}
		for _, path := range c.From {
			g, err := either(path, list)
			if err != nil {
				return nil, fmt.Errorf("column %s: %w", c.To, err)
			}
			k.from = append(k.from, g)
		}
		out = append(out, k)
	}
	return out, nil
}

// either finds a path of the list's elements, else of the asset.
func either(path string, list *asset.List) (elementOrAsset, error) {
	if list != nil {
		if g, ok := list.Lookup(path); ok {
			return elementOrAsset{elem: g}, nil
		}
	}
	g, err := getter(path)
	if err != nil && list != nil {
		return elementOrAsset{}, fmt.Errorf("%w; paths of %s: %s", err, list.Name, strings.Join(list.Paths(), ", "))
	}
	return elementOrAsset{plain: g}, err
}

func getter(path string) (asset.Getter, error) {
	g, ok := asset.Lookup(path)
	if !ok {
		return nil, fmt.Errorf("unknown path %q; did you mean %q?", path, classify.Nearest(path, asset.Paths()))
	}
	return g, nil
}

func getters(paths []string) ([]asset.Getter, error) {
	out := make([]asset.Getter, 0, len(paths))
	for _, p := range paths {
		g, err := getter(p)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

// matches reports whether a class is one of those or descends from one, and
// from none of the others.
func matches(class string, in, not []string) bool {
	is := func(ancestor string) bool { return cmdb.IsA(class, ancestor) }
	return slices.ContainsFunc(in, is) && !slices.ContainsFunc(not, is)
}
