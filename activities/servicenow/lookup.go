package servicenow

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// ResolveNames returns the sys_ids of the rows of a table with the given names,
// compared without regard to case, keyed by the name as it was asked for. Names
// that do not exist are not in the map. Of several rows with a name the one with
// the smallest sys_id is taken, always the same one.
//
// A name that an encoded query cannot express is looked for by its longest part
// that can be, and compared here; one without such a part of three characters is
// left out. Meta is that of the last call.
//
// Table API: GET /api/now/table/{table} with nameIN….
func (c *Client) ResolveNames(ctx context.Context, table string, wanted []string) (map[string]string, Meta, error) {
	l := lookup{wanted: map[string][]string{}, found: map[string]string{}}
	var listed []string
	var queries []Condition
	for _, n := range wanted {
		fold := strings.ToLower(n)
		if !slices.Contains(l.wanted[fold], n) {
			l.wanted[fold] = append(l.wanted[fold], n)
		}
		switch {
		case len(l.wanted[fold]) > 1: // asked for already
		case safeValue("IN", n):
			listed = append(listed, n)
		case safeValue("=", n):
			queries = append(queries, Where("name").Eq(n))
		default:
			if part := safePart(n); part != "" {
				queries = append(queries, Where("name").Contains(part))
			}
		}
	}
	if len(listed) > 0 {
		queries = append(queries, Where("name").In(listed...).split()...)
	}
	var meta Meta
	for _, q := range queries {
		for row, err := range c.rowsMeta(ctx, table, TableQuery{Query: q, Fields: []string{"sys_id", "name"}}, &meta) {
			if err != nil {
				return nil, meta, err
			}
			l.take(row)
		}
	}
	return l.byName(), meta, nil
}

// lookup collects the rows of names.
type lookup struct {
	wanted map[string][]string // folded name → names as asked for
	found  map[string]string   // folded name → smallest sys_id
}

func (l *lookup) take(row Row) {
	fold, id := strings.ToLower(row["name"]), row["sys_id"]
	if _, ok := l.wanted[fold]; ok && id != "" && (l.found[fold] == "" || id < l.found[fold]) {
		l.found[fold] = id
	}
}

func (l *lookup) byName() map[string]string {
	out := map[string]string{}
	for fold, id := range l.found {
		for _, n := range l.wanted[fold] {
			out[n] = id
		}
	}
	return out
}

// minPart is the shortest part of a name that is looked for by itself.
const minPart = 3

// safePart returns the longest part of a name, cut at characters that an encoded
// query cannot express, or "".
func safePart(name string) string {
	best := ""
	for _, part := range strings.FieldsFunc(strings.ToValidUTF8(name, "^"), func(r rune) bool { return r == ':' || !safeValue("LIKE", "x"+string(r)) }) {
		if part = strings.TrimSpace(part); len(part) > len(best) && safeValue("LIKE", part) {
			best = part
		}
	}
	if len(best) < minPart {
		return ""
	}
	return best
}

// DiscoverySources returns the values that cmdb_ci.discovery_source may have,
// sorted. An empty list usually means that the user may not read sys_choice.
//
// Table API on sys_choice: name=cmdb_ci, element=discovery_source, not inactive.
func (c *Client) DiscoverySources(ctx context.Context) ([]string, Meta, error) {
	var out []string
	var meta Meta
	q := And(Where("name").Eq("cmdb_ci"), Where("element").Eq("discovery_source"), Where("inactive").Eq("false"))
	for row, err := range c.rowsMeta(ctx, "sys_choice", TableQuery{Query: q, Fields: []string{"sys_id", "value"}}, &meta) {
		if err != nil {
			return nil, meta, err
		}
		if row["value"] != "" {
			out = append(out, row["value"]) // one per language
		}
	}
	slices.Sort(out)
	return slices.Compact(out), meta, nil
}

// User is the account that the client works with.
type User struct {
	SysID    string
	UserName string
	Name     string
	Active   bool
	// Roles are the roles that the account may read about itself, sorted, with
	// inherited ones. Empty when it may not read sys_user_has_role: then nothing
	// is known about them.
	Roles []string
}

// CheckUser returns the account that the client works with. For client
// credentials the account is chosen on the instance; the client does not know
// its name and returns an error of KindInvalidRequest.
//
// Table API on sys_user and sys_user_has_role.
func (c *Client) CheckUser(ctx context.Context) (User, Meta, error) {
	var u User
	var meta Meta
	name := c.cfg.Auth.Username
	if c.cfg.Auth.Type == AuthClientCredentials || !safeValue("=", name) {
		return u, meta, invalid("read the user", "the user of connection %s is not known here", c.cfg.Name)
	}
	q := TableQuery{Query: Where("user_name").Eq(name), Fields: []string{"sys_id", "user_name", "name", "active"}}
	for row, err := range c.rowsMeta(ctx, "sys_user", q, &meta) {
		if err != nil {
			return u, meta, err
		}
		if strings.EqualFold(row["user_name"], name) {
			u = User{SysID: row["sys_id"], UserName: row["user_name"], Name: row["name"], Active: text(row["active"]).bool()}
		}
	}
	if u.SysID == "" {
		return u, meta, &Error{Op: "read the user", Status: meta.Status, Message: "the account may not read its own row of sys_user", kind: KindForbidden}
	}
	q = TableQuery{Query: Where("user").Eq(u.SysID), Fields: []string{"sys_id", "role.name"}}
	for row, err := range c.rowsMeta(ctx, "sys_user_has_role", q, &meta) {
		var e *Error
		if errors.As(err, &e) && e.kind == KindForbidden {
			return u, meta, nil
		}
		if err != nil {
			return u, meta, err
		}
		if row["role.name"] != "" {
			u.Roles = append(u.Roles, row["role.name"])
		}
	}
	slices.Sort(u.Roles)
	u.Roles = slices.Compact(u.Roles)
	return u, meta, nil
}
