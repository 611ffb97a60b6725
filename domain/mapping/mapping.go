// Package mapping turns an asset and its class into the parts of a record. The
// mapping is data: an embedded YAML document says which column of which class is
// read from which path; adding a section is an edit of that data.
//
//	Document (YAML) ─▶ Compile ─▶ Map ─▶ Apply(asset, class) ─▶ record.Parts
package mapping

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
)

//go:embed default.yaml
var defaultDocument []byte

// Document is a mapping as written.
type Document struct {
	// Off names sections that are off unless a schedule switches them on; On, in
	// a later document, takes names off that list.
	Off []string `yaml:"off"`
	On  []string `yaml:"on"`
	// UpdateOnly holds conditions under which a record may update a CI but never
	// create one.
	UpdateOnly []If `yaml:"updateOnly"`

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
	Drop    bool     `yaml:"drop"` // in a later document: take the entry of this name out
}

// Column fills one column from the first of its paths that has a value.
type Column struct {
	To        string   `yaml:"to"`
	From      []string `yaml:"from"`
	Value     string   `yaml:"value"` // a constant instead of paths; "{discoverySource}" is that of the target
	Transform string   `yaml:"transform"`
	Volatile  bool     `yaml:"volatile"`
	// Unique tells elements of a list apart: a value that an earlier element has
	// too gets the end of the item's key appended, because IRE would merge them.
	Unique bool `yaml:"unique"`
	// Choices are the only values written; another is left out and flagged.
	Choices []string `yaml:"choices"`
	Drop    bool     `yaml:"drop"`
}

// Lookup adds a lookup row to main CIs, by which IRE identifies them.
type Lookup struct {
	Name    string   `yaml:"name"`
	For     []string `yaml:"for"`
	Table   string   `yaml:"table"`
	If      string   `yaml:"if"` // the row exists when this path has a value
	Columns []Column `yaml:"columns"`
	Drop    bool     `yaml:"drop"`
}

// Reference fills a column with the sys_id of a row found by name.
type Reference struct {
	Section string   `yaml:"section"` // toggle; none: always on
	Column  string   `yaml:"column"`
	For     []string `yaml:"for"`
	Table   string   `yaml:"table"`
	From    []string `yaml:"from"`
	Create  bool     `yaml:"create"`
	Drop    bool     `yaml:"drop"`
}

// Item is a further part of a record: a CI (a dependent, or shared by records)
// when it has a class, a row that is not a CI when it has a table.
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

	Where   []Where `yaml:"where"`   // elements of the list that count
	Plugin  string  `yaml:"plugin"`  // only where the instance has it
	Without string  `yaml:"without"` // only where the instance lacks it

	Table   string   `yaml:"table"`   // a row: of this table
	Related bool     `yaml:"related"` // sent to IRE with the main CI; else looked up and written by itself
	WithCI  bool     `yaml:"withCI"`  // not written where the CI is protected
	Host    string   `yaml:"host"`    // the row's column for the main CI's sys_id
	By      []string `yaml:"by"`      // columns that identify the row, beside the host's
	Links   []Link   `yaml:"links"`
	Drop    bool     `yaml:"drop"`
}

// Where lets elements of a list through: those whose path equals a value, does
// not equal it, or is in a list that the caller gives by name.
type Where struct {
	Path   string `yaml:"path"`
	Equals string `yaml:"equals"`
	Not    string `yaml:"not"`
	Listed string `yaml:"listed"`
}

// Link fills a row's column with the sys_id of a shared item, by its key.
type Link struct {
	Column string `yaml:"column"`
	Key    string `yaml:"key"`
}

// If is a condition on the asset.
type If struct {
	Path   string `yaml:"path"`
	Equals string `yaml:"equals"`
}

// Relation connects the item ("self") with the main CI ("main") or another single
// item by its name; of several names, separated by "|", the first that the record
// has. Without that other item this one is left out, because IRE
// refuses a dependent item whose host is missing.
type Relation struct {
	Type   string `yaml:"type"`
	Parent string `yaml:"parent"`
	Child  string `yaml:"child"`
}

// Default returns the compiled default mapping.
func Default() (*Map, error) { return Extended() }

// Extended returns the default mapping, overridden and extended by documents in
// their order.
func Extended(docs ...*Document) (*Map, error) {
	doc, err := Parse("default mapping", defaultDocument)
	if err != nil {
		return nil, err
	}
	return Compile(append([]*Document{doc}, docs...)...)
}

// Parse reads a document strictly.
func Parse(name string, data []byte) (*Document, error) {
	var d Document
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("mapping: %s: %w", name, err)
	}
	return &d, nil
}
