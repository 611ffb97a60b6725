package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/qbridge/qbridge/domain/asset"
)

// Map is a compiled mapping. It is safe for concurrent use.
type Map struct {
	main       []group
	lookups    []lookup
	references []reference
	items      []item
	updateOnly []condition
	off        map[string]bool
	digest     string
	toggles    map[asset.Section][]string // section of Qualys → toggles of what is mapped from it
	plans      sync.Map                   // class → *plan
}

type group struct {
	Group
	columns []column
}

// column reads one value: a constant, or the first path with a value.
type column struct {
	Column
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

type condition struct {
	If
	get asset.Getter
}

type item struct {
	Item
	cond      asset.Getter
	needs     []asset.Getter
	list      *asset.List
	where     []where
	key       []keyPart
	columns   []column
	relations []relation
	links     []link
}

type where struct {
	Where
	get elementOrAsset
}

// relation has the alternatives of its ends split.
type relation struct {
	kind          string
	parent, child []string
}

type link struct {
	column string
	key    []keyPart
}

// keyPart is literal text, the main CI's key, or a value.
type keyPart struct {
	text string
	main bool
	get  elementOrAsset
}

// Compile checks documents and compiles them into one mapping: a later document
// overrides and extends the earlier ones by name (see merge). Errors name the
// part, the path, column or transform that is unknown, and the nearest valid one.
func Compile(docs ...*Document) (*Map, error) {
	d, err := merge(docs)
	if err != nil {
		return nil, err
	}
	raw, err := yaml.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("mapping: digest: %w", err)
	}
	sum := sha256.Sum256(raw)
	m := &Map{digest: hex.EncodeToString(sum[:16]), toggles: map[asset.Section][]string{}, off: map[string]bool{}}
	for _, s := range d.Off {
		m.off[s] = true
	}
	for _, compile := range []func(*Document) error{m.compileMain, m.compileLookups, m.compileReferences, m.compileItems} {
		if err := compile(d); err != nil {
			return nil, err
		}
	}
	for i, c := range d.UpdateOnly {
		get, err := getter(c.Path)
		if err != nil {
			return nil, fmt.Errorf("mapping: updateOnly[%d]: %w", i, err)
		}
		m.updateOnly = append(m.updateOnly, condition{If: c, get: get})
	}
	return m, nil
}

func (m *Map) compileMain(d *Document) error {
	for i, g := range d.Main {
		cols, err := compileColumns(g.Columns, nil)
		if err == nil && len(g.For) == 0 {
			err = errNoClasses
		}
		if err == nil {
			err = knownColumns(g.For, g.Columns)
		}
		if err != nil {
			return fmt.Errorf("mapping: main[%d] %s: %w", i, g.Name, err)
		}
		m.main = append(m.main, group{Group: g, columns: cols})
	}
	return nil
}

func (m *Map) compileLookups(d *Document) error {
	for i, l := range d.Lookups {
		c, err := lookup{Lookup: l}, error(nil)
		if c.present, err = getter(l.If); err == nil {
			c.columns, err = compileColumns(l.Columns, nil)
		}
		if err == nil && len(l.For) == 0 {
			err = errNoClasses
		}
		if err == nil {
			err = knownColumns([]string{l.Table}, l.Columns)
		}
		if err != nil {
			return fmt.Errorf("mapping: lookups[%d] %s: %w", i, l.Name, err)
		}
		m.lookups = append(m.lookups, c)
	}
	return nil
}

func (m *Map) compileReferences(d *Document) error {
	for i, r := range d.References {
		c, err := reference{Reference: r}, error(nil)
		if c.get, err = getters(r.From); err == nil && len(r.For) == 0 {
			err = errNoClasses
		}
		if err == nil {
			err = knownColumn(r.For, r.Column)
		}
		if err != nil {
			return fmt.Errorf("mapping: references[%d] %s: %w", i, r.Column, err)
		}
		m.references = append(m.references, c)
	}
	return nil
}

func (m *Map) compileItems(d *Document) error {
	names, singles := map[string]bool{"self": true, "main": true}, map[string]bool{}
	for i := range d.Items {
		c, err := compileItem(d.Items[i], names, singles)
		if err != nil {
			return fmt.Errorf("mapping: items[%d] %s: %w", i, d.Items[i].Name, err)
		}
		names[c.Name], singles[c.Name] = true, c.list == nil && c.Class != ""
		if c.list != nil {
			if c.Section == "" {
				c.Section = c.list.Name
			}
			if s := c.list.Section; !slices.Contains(m.toggles[s], c.Section) {
				m.toggles[s] = append(m.toggles[s], c.Section)
			}
		}
		m.items = append(m.items, c)
	}
	return nil
}

// errNoClasses refuses a part that no class would ever use.
var errNoClasses = errors.New(`needs classes: "for: [cmdb_ci]" means all`)

// Digest changes when the mapping changes.
func (m *Map) Digest() string { return m.digest }

// on reports whether a section is mapped: as the schedule says, else as the
// mapping says.
func (m *Map) on(section string, toggles map[string]bool) bool {
	if on, set := toggles[section]; set {
		return on
	}
	return !m.off[section]
}

// optional are the sections that Qualys can leave out of an answer and that are
// expensive; the others cost nothing.
var optional = []asset.Section{
	asset.SectionSoftware, asset.SectionOpenPorts, asset.SectionVolumes, asset.SectionServices, asset.SectionAccounts, asset.SectionInterfaces,
}

// Unused returns the expensive sections that nothing maps or that are switched
// off, so that Qualys is not asked for them.
func (m *Map) Unused(toggles map[string]bool) []asset.Section {
	var out []asset.Section
	for _, s := range optional {
		if !m.needs(s, toggles) {
			out = append(out, s)
		}
	}
	return out
}

// Needed returns the expensive sections that Qualys must be asked for.
func (m *Map) Needed(toggles map[string]bool) []asset.Section {
	var out []asset.Section
	for _, s := range optional {
		if m.needs(s, toggles) {
			out = append(out, s)
		}
	}
	return out
}

func (m *Map) needs(s asset.Section, toggles map[string]bool) bool {
	if on, set := toggles[string(s)]; set && !on {
		return false
	}
	return slices.ContainsFunc(m.toggles[s], func(toggle string) bool { return m.on(toggle, toggles) })
}

// Sections returns the toggles of the mapping, each with whether it is on
// unless a schedule says otherwise.
func (m *Map) Sections() map[string]bool {
	out := map[string]bool{}
	for i := range m.items {
		if s := m.items[i].Section; s != "" {
			out[s] = !m.off[s]
		}
	}
	for i := range m.references {
		if s := m.references[i].Section; s != "" {
			out[s] = !m.off[s]
		}
	}
	return out
}
