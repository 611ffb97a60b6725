package tagging

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/qbridge/qbridge/domain/asset"
)

// Limits of a tag. Source: Asset Management & Tagging API, tag object.
const (
	maxName         = 1024
	defaultChildren = 200
	defaultScore    = 2
)

// What becomes of a tag whose value is gone.
const (
	GoneKeep       = "keep"       // it stays as it is
	GoneDeactivate = "deactivate" // it stays, with a rule that finds nothing
	GoneDelete     = "delete"
)

// Attribute is one entry of the attribute list: which values of the CMDB become
// which tags.
type Attribute struct {
	Name   string `yaml:"name" json:"name"`                      // immutable: part of what marks a tag as ours
	Table  string `yaml:"table" json:"table"`                    // of the CIs
	Column string `yaml:"column" json:"column"`                  // may go through references: support_group.name
	Query  string `yaml:"query,omitzero" json:"query,omitempty"` // encoded query on the CIs
	// Parent is the name of the tag below which the values stand. One that is there
	// and not ours is used as it is.
	Parent string `yaml:"parent" json:"parent"`
	// Child is the name of a value's tag and Rule its rule, with {{value}} for the
	// value, which a rule gets quoted as its type needs.
	Child    string `yaml:"child,omitzero" json:"child,omitempty"`       // default {{value}}
	RuleType string `yaml:"ruleType,omitzero" json:"ruleType,omitempty"` // default GLOBAL_ASSET_VIEW
	Rule     string `yaml:"rule,omitzero" json:"rule,omitempty"`
	// Backslash says how a backslash of a value stands in QQL: literal or escaped.
	// Left out, such values are refused.
	Backslash string `yaml:"backslash,omitzero" json:"backslash,omitempty"`
	Provider  string `yaml:"provider,omitzero" json:"provider,omitempty"` // of CLOUD_ASSET: EC2, AZURE …
	Color     string `yaml:"color,omitzero" json:"color,omitempty"`       // #RGB or #RRGGBB; default leaves the vendor's
	// Criticality is 1 to 5, default 2, which is the vendor's.
	Criticality int `yaml:"criticality,omitzero" json:"criticality,omitempty"`
	MaxChildren int `yaml:"maxChildren,omitzero" json:"maxChildren,omitempty"` // default 200
	MinCIs      int `yaml:"minCIs,omitzero" json:"minCIs,omitempty"`           // a value of fewer CIs gets no new tag
	// ValueLimit is how many characters of a value Qualys keeps where the rule looks:
	// a longer value would never be found and is refused. 0 sets no limit.
	ValueLimit int    `yaml:"valueLimit,omitzero" json:"valueLimit,omitempty"`
	OnGone     string `yaml:"onGone,omitzero" json:"onGone,omitempty"` // keep (default) | deactivate | delete
	// GoneRule is the rule of a deactivated tag, for rule types that have no default.
	GoneRule string `yaml:"goneRule,omitzero" json:"goneRule,omitempty"`
	// Retire ends the attribute: all its values count as gone. Without it an
	// attribute without any value is taken for a mistake and nothing is retired.
	Retire bool `yaml:"retire,omitzero" json:"retire,omitempty"`
}

var (
	nameShape  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	colorShape = regexp.MustCompile(`^#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)
	providers  = []string{"EC2", "AZURE", "GCP", "IBM", "OCI", "Alibaba"}
)

// withDefaults fills what was left out.
func (a Attribute) withDefaults() Attribute {
	a.Child, a.RuleType, a.OnGone = cmp.Or(a.Child, placeholder), cmp.Or(a.RuleType, RuleAsset), cmp.Or(a.OnGone, GoneKeep)
	a.MaxChildren, a.Criticality = cmp.Or(a.MaxChildren, defaultChildren), cmp.Or(a.Criticality, defaultScore)
	a.GoneRule = cmp.Or(a.GoneRule, nothing(a.RuleType))
	return a
}

// Check says what is wrong with an attribute, or nothing.
func (a Attribute) Check() error {
	a = a.withDefaults()
	fail := func(format string, args ...any) error {
		return fmt.Errorf("tagging: attribute %s: "+format, append([]any{a.Name}, args...)...)
	}
	if !nameShape.MatchString(a.Name) {
		return fmt.Errorf("tagging: %q is not a name: use up to 40 lower-case letters, digits and hyphens", a.Name)
	}
	if err := checkRule(a.RuleType, a.Rule); err != nil {
		return fail("%w", err)
	}
	switch {
	case a.Table == "" || a.Column == "":
		return fail("table and column must say where the values are")
	case asset.TextTo(a.Parent, maxName+1) != a.Parent || a.Parent == "" || utf8.RuneCountInString(a.Parent) > maxName:
		return fail("parent must be the name of a tag, of up to %d characters", maxName)
	case !strings.Contains(a.Child, placeholder):
		return fail("child does not hold %s, so all tags would have the same name", placeholder)
	case a.Color != "" && !colorShape.MatchString(a.Color):
		return fail("color %q is not a color: write #RRGGBB", a.Color)
	case a.Criticality < 1 || a.Criticality > 5:
		return fail("criticality %d is out of range: write a number from 1 to 5", a.Criticality)
	case a.MaxChildren < 1 || a.MinCIs < 0 || a.ValueLimit < 0:
		return fail("maxChildren, minCIs and valueLimit must not be negative")
	case !slices.Contains([]string{GoneKeep, GoneDeactivate, GoneDelete}, a.OnGone):
		return fail("onGone %q is none of %s, %s, %s", a.OnGone, GoneKeep, GoneDeactivate, GoneDelete)
	case a.Backslash != "" && a.Backslash != BackslashLiteral && a.Backslash != BackslashEscaped:
		return fail("backslash %q is none of %s, %s", a.Backslash, BackslashLiteral, BackslashEscaped)
	case a.OnGone == GoneDeactivate && a.GoneRule == "":
		return fail("tags of type %s can be deactivated only with a goneRule that finds nothing", a.RuleType)
	case (a.RuleType == RuleCloud) != (a.Provider != "") || a.Provider != "" && !slices.Contains(providers, a.Provider):
		return fail("provider must be one of %s for type %s, and is for no other", strings.Join(providers, ", "), RuleCloud)
	}
	return nil
}

// Value is a value of an attribute and how many CIs have it.
type Value struct {
	Text string
	CIs  int
}

// Tag is a tag as it should be. Key says what it is for: "^<parent>" for a parent,
// "<attribute>/<value>" for a value, in lower case, because Qualys compares so.
type Tag struct {
	Key         string `json:"key"`
	ParentKey   string `json:"parentKey,omitempty"`
	Attribute   string `json:"attribute,omitempty"` // "" for a parent
	Name        string `json:"name"`
	RuleType    string `json:"ruleType"`
	RuleText    string `json:"ruleText,omitempty"`
	Provider    string `json:"provider,omitempty"`
	Color       string `json:"color,omitempty"` // "" leaves the vendor's
	Criticality int    `json:"criticality"`
}

// Refusal is a value that gets no tag of its own, and why. A tag that it has
// already stays as it is.
type Refusal struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"` // cut to 100 characters
	Why       string `json:"why"`
}

// Desired is the tree as it should be, parents before their children.
type Desired struct {
	Tags    []Tag     `json:"tags"`
	Refused []Refusal `json:"refused"`

	attributes map[string]Attribute
	values     map[string]int  // attribute → values read
	keep       map[string]bool // keys of refused values
}

func parentKey(name string) string { return "^" + strings.ToLower(name) }

func childKey(attribute, value string) string { return attribute + "/" + strings.ToLower(value) }

// Desire computes the tree from attributes and the values of each, by the
// attribute's name. has reports whether a key has a tag of ours already: those go
// first where there are more values than an attribute may have. The error is the
// first attribute that is wrong.
func Desire(attributes []Attribute, values map[string][]Value, has func(key string) bool) (*Desired, error) {
	d := &Desired{attributes: map[string]Attribute{}, values: map[string]int{}, keep: map[string]bool{}}
	parents := map[string]bool{}
	for _, a := range attributes {
		if err := a.Check(); err != nil {
			return nil, err
		}
		if _, twice := d.attributes[a.Name]; twice {
			return nil, fmt.Errorf("tagging: attribute %s stands twice", a.Name)
		}
		a = a.withDefaults()
		d.attributes[a.Name] = a
		if key := parentKey(a.Parent); !parents[key] && !a.Retire {
			parents[key] = true
			d.Tags = append(d.Tags, Tag{Key: key, Name: a.Parent, RuleType: RuleStatic, Color: a.Color, Criticality: a.Criticality})
		}
	}
	names := map[string]string{} // parent and name → key: siblings must differ
	for _, a := range attributes {
		d.children(d.attributes[a.Name], values[a.Name], has, names)
	}
	return d, nil
}

// merged are the values of an attribute, cleansed, one of each whatever its case,
// those that have a tag first.
func merged(a *Attribute, list []Value, has func(string) bool) []Value {
	byKey := map[string]Value{}
	for _, v := range list {
		v.Text = asset.TextTo(v.Text, 1<<24)
		if v.Text == "" {
			continue
		}
		key := childKey(a.Name, v.Text)
		if old, ok := byKey[key]; ok {
			v.CIs += old.CIs
			v.Text = min(v.Text, old.Text)
		}
		byKey[key] = v
	}
	out := make([]Value, 0, len(byKey))
	for _, v := range byKey {
		out = append(out, v)
	}
	first := func(v Value) int {
		if has(childKey(a.Name, v.Text)) {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(v, w Value) int { return cmp.Or(first(v)-first(w), strings.Compare(v.Text, w.Text)) })
	return out
}

func (d *Desired) children(a Attribute, list []Value, has func(string) bool, names map[string]string) {
	if a.Retire {
		return
	}
	n := 0
	for _, v := range merged(&a, list, has) {
		d.values[a.Name]++
		key := childKey(a.Name, v.Text)
		tag, err := a.tag(key, v, has(key))
		place := parentKey(a.Parent) + "\n" + strings.ToLower(tag.Name)
		switch {
		case err != nil:
		case n >= a.MaxChildren:
			err = fmt.Errorf("the attribute has more than %d values (maxChildren)", a.MaxChildren)
		case names[place] != "":
			err = fmt.Errorf("its tag would have the name of the one of %s", names[place])
		}
		if err != nil {
			d.keep[key] = true
			d.Refused = append(d.Refused, Refusal{Attribute: a.Name, Value: asset.TextTo(v.Text, 100), Why: err.Error()})
			continue
		}
		names[place] = key
		d.Tags = append(d.Tags, tag)
		n++
	}
}

// tag makes the tag of a value.
func (a *Attribute) tag(key string, v Value, has bool) (Tag, error) {
	t := Tag{
		Key: key, ParentKey: parentKey(a.Parent), Attribute: a.Name, Name: strings.TrimSpace(strings.ReplaceAll(a.Child, placeholder, v.Text)),
		RuleType: a.RuleType, Provider: a.Provider, Color: a.Color, Criticality: a.Criticality,
	}
	length := utf8.RuneCountInString(v.Text)
	switch n := utf8.RuneCountInString(t.Name); {
	case n > maxName:
		return t, fmt.Errorf("its tag's name would have %d characters, at most %d are taken", n, maxName)
	case a.ValueLimit > 0 && length > a.ValueLimit:
		return t, fmt.Errorf("the value has %d characters, of which Qualys keeps %d: no rule would find it", length, a.ValueLimit)
	case strings.ContainsFunc(t.Name, unicode.IsControl):
		return t, fmt.Errorf("its tag's name would have control characters")
	case v.CIs < a.MinCIs && !has:
		return t, fmt.Errorf("%d CIs have it, fewer than %d (minCIs)", v.CIs, a.MinCIs)
	}
	var err error
	t.RuleText, err = ruleText(a.RuleType, a.Rule, v.Text, a.Backslash)
	return t, err
}
