package servicenow

import (
	"strings"
	"sync"
)

// choice is one built-in row of sys_choice.
type choice struct {
	table, element, value, label string
	sequence                     int
}

type choiceFile struct {
	Choices []struct {
		Table   string   `yaml:"table"`
		Element string   `yaml:"element"`
		Values  []string `yaml:"values"` // value=label, or a value that is its label
		Grade   string   `yaml:"grade"`
	} `yaml:"choices"`
}

// loadChoices reads the embedded choices, once.
var loadChoices = sync.OnceValues(func() ([]choice, error) {
	file, err := readYAML[choiceFile]("data/choices.yaml")
	if err != nil {
		return nil, err
	}
	var out []choice
	for _, c := range file.Choices {
		for n, text := range c.Values {
			value, label, ok := strings.Cut(text, "=")
			if !ok {
				label = value
			}
			out = append(out, choice{c.Table, c.Element, value, label, n})
		}
	}
	return out, nil
})

// choiceLabel is the display value of a choice column, the value itself where
// there is no such choice. Choices belong to the table that defines the column.
func (s *store) choiceLabel(c *column, v string) string {
	label := v
	if c == nil || c.owner == nil || v == "" {
		return label
	}
	n := s.schema.nums
	s.ix.choice.find([]string{c.owner.name, c.name, v}, func(x *row) {
		if x.get(n["inactive"]) != "true" {
			label = x.get(n["label"])
		}
	})
	return label
}
