package golden_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

const fixtures = "../fixtures/golden"

// goldenCase is one hand-made asset and what must become of it.
type goldenCase struct {
	Name string `yaml:"name"`
	// Sections are switched on beside those that are on by default.
	Sections []string `yaml:"sections"`
	Plugins  []string `yaml:"plugins"` // of the instance: "sam"
	Tags     []string `yaml:"tags"`    // names of tags that the schedule lists
	IPOnly   bool     `yaml:"ipOnly"`  // the schedule takes assets that have an address only
	// Asset is the asset as the CSAM API v2 sends it.
	Asset map[string]any `yaml:"asset"`
	Want  expectation    `yaml:"want"`
	// Todo says why the case fails; one that does not fail any more must lose it.
	Todo string `yaml:"todo"`

	file string
}

// expectation is what must become of an asset. Only what is named is compared.
type expectation struct {
	Skip  string `yaml:"skip"` // part of the reason why nothing is written
	Class string `yaml:"class"`
	// Attributes are columns and references of the main CI; null: must be absent.
	Attributes map[string]any `yaml:"attributes"`
	// Items counts dependents and shared items by class.
	Items map[string]int `yaml:"items"`
	// Item lists, by class or table, columns that one item or row must have.
	Item map[string][]map[string]any `yaml:"item"`
	// Relations are "parent-class type child-class", each of which must be there.
	Relations []string `yaml:"relations"`
	// Tables counts rows that are no CIs by table, lookup and related rows too.
	Tables map[string]int `yaml:"tables"`
	// UpdateOnly says that the asset must not create a CI.
	UpdateOnly bool `yaml:"updateOnly"`
	// AM false says that the Asset Management API cannot carry the case; AMClass is
	// the class that its rules give where it is not Class.
	AM      *bool  `yaml:"am"`
	AMClass string `yaml:"amClass"`
}

// load reads all cases. Keys that are unknown and names that are used twice are
// errors: a misspelt expectation would be one that is never compared.
func load(t *testing.T) []goldenCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(fixtures, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []goldenCase
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		list, err := decode(text)
		require.NoError(t, err, "%s", filepath.Base(file))
		for i := range list {
			list[i].file = filepath.Base(file)
		}
		all = append(all, list...)
	}
	require.NoError(t, distinct(all))
	return all
}

// distinct reports a name that two cases have.
func distinct(cases []goldenCase) error {
	seen := map[string]string{}
	for i := range cases {
		c := &cases[i]
		if other, ok := seen[c.Name]; ok {
			return fmt.Errorf("%s: the name %q is used in %s too", c.file, c.Name, other)
		}
		seen[c.Name] = c.file
	}
	return nil
}

// decode reads one file and checks that its cases can be judged.
func decode(text []byte) ([]goldenCase, error) {
	var list []goldenCase
	if err := yaml.UnmarshalWithOptions(text, &list, yaml.Strict()); err != nil {
		return nil, err
	}
	for i := range list {
		if err := list[i].check(); err != nil {
			return nil, fmt.Errorf("case %d %q: %w", i+1, list[i].Name, err)
		}
	}
	return list, nil
}

func (c *goldenCase) check() error {
	switch {
	case c.Name == "":
		return fmt.Errorf("has no name")
	case len(c.Asset) == 0:
		return fmt.Errorf("has no asset")
	case (c.Want.Skip == "") == (c.Want.Class == ""):
		return fmt.Errorf("wants either a class or a skip")
	case c.Want.Skip != "" && (len(c.Want.Attributes)+len(c.Want.Items)+len(c.Want.Item)+len(c.Want.Relations)+len(c.Want.Tables) > 0 || c.Want.UpdateOnly):
		return fmt.Errorf("what is skipped has no attributes, items, relations or rows")
	}
	if err := documented("asset", c.Asset); err != nil {
		return err
	}
	lists := [][]map[string]any{{c.Want.Attributes}}
	for _, l := range c.Want.Item {
		lists = append(lists, l)
	}
	for _, m := range slices.Concat(lists...) {
		for column, v := range m {
			if _, err := text(v); err != nil {
				return fmt.Errorf("%s: %w", column, err)
			}
		}
	}
	return nil
}

// text is the text of a wanted value. What YAML could have spelt otherwise must be
// quoted: "10.0" unquoted would be compared as 10.
func text(v any) (string, error) {
	switch x := v.(type) {
	case nil:
		return "", nil
	case string:
		return x, nil
	case bool:
		return strconv.FormatBool(x), nil
	case uint64, int64, int:
		return fmt.Sprint(x), nil
	}
	return "", fmt.Errorf("write %v in quotes", v)
}

// json is the asset as the vendor sends it.
func (c *goldenCase) json() ([]byte, error) {
	if _, ok := c.Asset["assetId"]; !ok {
		c.Asset["assetId"] = 1
	}
	return json.Marshal(c.Asset)
}
