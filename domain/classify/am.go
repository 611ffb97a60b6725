package classify

import (
	_ "embed"
	"slices"

	"github.com/goccy/go-yaml"
)

//go:embed rules_am.yaml
var amRules []byte

// APIAM names the Asset Management & Tagging API as configurations do. Every
// other name, the empty one too, means the CSAM API.
const APIAM = "am"

// DefaultAM returns the default rules for assets of the Asset Management & Tagging
// API. They ask for what its assets have: the operating system's name, volumes,
// processor and cloud provider.
func DefaultAM() Tables {
	var t Tables
	if err := yaml.UnmarshalWithOptions(amRules, &t, yaml.DisallowUnknownField()); err != nil {
		panic("classify: default rules for Asset Management & Tagging: " + err.Error()) // embedded and tested
	}
	return t
}

// For returns the rules for assets of an API: its default rules, with those of a
// configuration laid over them as Override does. One configuration serves both
// APIs, so what changes a default rule that only the other API has is left out.
func For(api string, over Tables) Tables {
	base, other := Default(), DefaultAM()
	if api == APIAM {
		base, other = other, base
	}
	foreign := func(own, others, over []Rule) []Rule {
		has := func(list []Rule, id string) bool {
			return slices.ContainsFunc(list, func(r Rule) bool { return r.ID == id })
		}
		return slices.DeleteFunc(slices.Clone(over), func(r Rule) bool { return has(others, r.ID) && !has(own, r.ID) })
	}
	return base.Override(Tables{
		Hardware: foreign(base.Hardware, other.Hardware, over.Hardware),
		Computer: foreign(base.Computer, other.Computer, over.Computer),
		Fallback: foreign(base.Fallback, other.Fallback, over.Fallback),
	})
}
