package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/cmdb"
)

// compileItem compiles an item. names are taken; singles are the items before it
// that relations can refer to.
func compileItem(it Item, names, singles map[string]bool) (item, error) {
	c := item{Item: it}
	if it.Name == "" || names[it.Name] {
		return c, fmt.Errorf("needs a name of its own")
	}
	if err := checkTarget(&it); err != nil {
		return c, err
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
	if err = c.compileWhere(); err != nil {
		return c, err
	}
	if err = c.compileLinks(); err != nil {
		return c, err
	}
	return c, c.compileRelations(singles)
}

// checkTarget checks what an item becomes: a CI of a known class or a row.
func checkTarget(it *Item) error {
	switch {
	case it.Table == "" && !cmdb.KnownClass(it.Class):
		return fmt.Errorf("unknown class %q; did you mean %q?", it.Class, classify.Nearest(it.Class, cmdb.Classes()))
	case it.Table != "" && (it.Class != "" || it.Shared || len(it.Relations) > 0):
		return fmt.Errorf("a row of table %s has no class and no relations and is not shared", it.Table)
	case it.Table == "" && (it.Host != "" || len(it.By) > 0 || it.Related || len(it.Links) > 0):
		return fmt.Errorf("host, by, related and links are for rows: it needs a table instead of a class")
	case it.Table != "" && !it.Related && it.Host == "" && len(it.By) == 0:
		return fmt.Errorf("a row of table %s needs host or by: it is looked up before it is written", it.Table)
	case len(it.For) == 0:
		return errNoClasses
	}
	for _, by := range it.By {
		if !slices.ContainsFunc(it.Columns, func(c Column) bool { return c.To == by }) {
			return fmt.Errorf("by: the row has no column %q", by)
		}
	}
	return knownColumns([]string{it.Class + it.Table}, it.Columns)
}

// knownColumns checks that one of the classes, or the table, has each column.
func knownColumns(classes []string, cols []Column) error {
	for _, c := range cols {
		if err := knownColumn(classes, c.To); err != nil {
			return err
		}
	}
	return nil
}

func knownColumn(classes []string, name string) error {
	if name == "" || slices.ContainsFunc(classes, func(class string) bool { return cmdb.KnownColumn(class, name) }) {
		return nil
	}
	return fmt.Errorf("%s has no column %q; did you mean %q?", classes[0], name, classify.Nearest(name, cmdb.Columns(classes[0])))
}

func (c *item) compileWhere() error {
	for _, w := range c.Where {
		if c.list == nil {
			return errors.New("where: only elements of a list can be chosen")
		}
		n := 0
		for _, s := range []string{w.Equals, w.Not, w.Listed} {
			if s != "" {
				n++
			}
		}
		if n != 1 {
			return fmt.Errorf("where %q needs one of equals, not and listed", w.Path)
		}
		get, err := either(w.Path, c.list)
		if err != nil {
			return fmt.Errorf("where: %w", err)
		}
		c.where = append(c.where, where{Where: w, get: get})
	}
	return nil
}

func (c *item) compileLinks() error {
	for _, l := range c.Links {
		if err := knownColumn([]string{c.Table}, l.Column); err != nil {
			return err
		}
		key, err := compileKey(l.Key, c.list)
		if err != nil {
			return fmt.Errorf("link %s: %w", l.Column, err)
		}
		c.links = append(c.links, link{column: l.Column, key: key})
	}
	return nil
}

func (c *item) compileRelations(singles map[string]bool) error {
	for _, r := range c.Relations {
		k := relation{kind: r.Type, parent: strings.Split(r.Parent, "|"), child: strings.Split(r.Child, "|")}
		for _, end := range slices.Concat(k.parent, k.child) {
			if end != "self" && end != "main" && !singles[end] {
				return fmt.Errorf("relation %q names %q, which no single item before it has", r.Type, end)
			}
		}
		if !strings.Contains(r.Type, "::") {
			return fmt.Errorf("relation type %q is not of the form A::B", r.Type)
		}
		c.relations = append(c.relations, k)
	}
	return nil
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
		k := column{Column: c, to: c.To, value: c.Value, volatile: c.Volatile, unique: c.Unique}
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
