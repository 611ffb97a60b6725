package qualys

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxTagName is how many characters the name of a tag takes.
const maxTagName = 1024

// sentTag is a tag as it is sent.
type sentTag struct {
	Name        string        `json:"name,omitempty"`
	Parent      int64         `json:"parentTagId,omitempty"`
	RuleType    string        `json:"ruleType,omitempty"`
	RuleText    string        `json:"ruleText,omitempty"`
	Provider    string        `json:"provider,omitempty"`
	Color       string        `json:"color,omitempty"`
	Description string        `json:"description,omitempty"`
	Criticality int           `json:"criticalityScore,omitempty"`
	Children    *sentChildren `json:"children,omitempty"`
}

type sentChildren struct {
	Set    *simpleTags `json:"set,omitempty"`
	Remove *simpleTags `json:"remove,omitempty"`
}

type simpleTags struct {
	Tags []simpleTag `json:"TagSimple"`
}

type simpleTag struct {
	ID   int64  `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// tagBody is the body of a call that writes a tag.
func tagBody(t sentTag) any { return map[string]any{"data": map[string]any{"Tag": t}} }

// FindTags returns the tags of a name, wherever they stand.
//
// Qualys Asset Management & Tagging API v2: POST /qps/rest/2.0/search/am/tag, name
// EQUALS.
func (c *AMClient) FindTags(ctx context.Context, name string) ([]Tag, error) {
	list, _, err := c.tagCall(ctx, "find tag", "/qps/rest/2.0/search/am/tag", newAMRequest(tagPage, []amCriterion{{Field: "name", Operator: "EQUALS", Value: name}}), false)
	return list, err
}

// findBelow returns the tag of a name below a parent, or nil. Names that differ in
// case only are taken for one.
func (c *AMClient) findBelow(ctx context.Context, name string, parent int64) (*Tag, error) {
	list, err := c.FindTags(ctx, name)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Parent == parent && strings.EqualFold(list[i].Name, name) {
			return &list[i], nil
		}
	}
	return nil, nil
}

// EnsureTag makes a tag below its parent, or returns the one of its name that is
// there. Making a tag is not idempotent: it is looked for before and, when the
// answer is lost, after; it is never sent twice. created says that the tag came by
// this call. The tag that is there may be somebody else's: the caller knows by its
// description and its id.
//
// Qualys Asset Management & Tagging API v2: POST /qps/rest/2.0/create/am/tag. Errors:
// KindInvalidRequest (rule, right), KindRateLimited, KindUnknownOutcome when the
// answer was lost and the tag cannot be seen.
func (c *AMClient) EnsureTag(ctx context.Context, t Tag) (tag Tag, created bool, err error) {
	const op = "create tag"
	switch n := utf8.RuneCountInString(t.Name); {
	case strings.TrimSpace(t.Name) == "":
		return Tag{}, false, refuse(op, "the tag has no name")
	case n > maxTagName:
		return Tag{}, false, refuse(op, "the name has %d characters, at most %d are taken", n, maxTagName)
	}
	there, err := c.findBelow(ctx, t.Name, t.Parent)
	if err != nil {
		return Tag{}, false, err
	}
	if there != nil {
		return *there, false, nil
	}
	list, _, err := c.tagCall(ctx, op, "/qps/rest/2.0/create/am/tag", tagBody(sentTag{
		Name: t.Name, Parent: t.Parent, RuleType: t.RuleType, RuleText: t.RuleText, Provider: t.Provider, Color: t.Color, Description: t.Description, Criticality: t.Criticality,
	}), true)
	if err == nil && len(list) == 1 && list[0].ID > 0 {
		t.ID = list[0].ID
		return t, true, nil
	}
	if err == nil {
		err = doubt(unreadable(op, fmt.Errorf("the answer holds %d tags", len(list))))
	}
	var e *Error
	if !errors.As(err, &e) || e.kind != KindUnknownOutcome && e.kind != KindInvalidRequest {
		return Tag{}, false, err
	}
	// A refusal may mean that somebody was faster.
	there, again := c.findBelow(ctx, t.Name, t.Parent)
	if again != nil || there == nil {
		return Tag{}, false, err
	}
	return *there, e.kind == KindUnknownOutcome, nil
}

// TagUpdate is what changes of a tag; what is empty stays as it is.
type TagUpdate struct {
	Name, RuleType, RuleText, Provider, Color string
	Criticality                               int
	// AddChildren are names of new static children, RemoveChildren ids of children
	// that go. One call takes one of the two.
	AddChildren    []string
	RemoveChildren []int64
}

// UpdateTag changes a tag. Sending the same again is harmless, except for new
// children.
//
// Qualys Asset Management & Tagging API v2: POST /qps/rest/2.0/update/am/tag/{id}.
// Errors: KindNotFound, also of a tag outside the user's scope; KindInvalidRequest;
// KindUnknownOutcome.
func (c *AMClient) UpdateTag(ctx context.Context, id int64, u TagUpdate) error {
	const op = "update tag"
	if len(u.AddChildren) > 0 && len(u.RemoveChildren) > 0 {
		return refuse(op, "children are either added or removed in one call")
	}
	if n := utf8.RuneCountInString(u.Name); n > maxTagName {
		return refuse(op, "the name has %d characters, at most %d are taken", n, maxTagName)
	}
	t := sentTag{Name: u.Name, RuleType: u.RuleType, RuleText: u.RuleText, Provider: u.Provider, Color: u.Color, Criticality: u.Criticality}
	if t == (sentTag{}) && len(u.AddChildren)+len(u.RemoveChildren) == 0 {
		return refuse(op, "nothing is to be changed")
	}
	if len(u.AddChildren) > 0 {
		t.Children = &sentChildren{Set: &simpleTags{}}
		for _, name := range u.AddChildren {
			t.Children.Set.Tags = append(t.Children.Set.Tags, simpleTag{Name: name})
		}
	}
	if len(u.RemoveChildren) > 0 {
		t.Children = &sentChildren{Remove: &simpleTags{}}
		for _, child := range u.RemoveChildren {
			t.Children.Remove.Tags = append(t.Children.Remove.Tags, simpleTag{ID: child})
		}
	}
	return c.tagWrite(ctx, op, "update", id, tagBody(t))
}

// DeleteTag deletes a tag; the vendor may delete what stands below it too. A tag
// that is not there, or outside the user's scope, is KindNotFound.
//
// Qualys Asset Management & Tagging API v2: POST /qps/rest/2.0/delete/am/tag/{id}.
func (c *AMClient) DeleteTag(ctx context.Context, id int64) error {
	return c.tagWrite(ctx, "delete tag", "delete", id, nil)
}

// EvaluateTag has the rule of a tag evaluated again; its assets change minutes
// later.
//
// Qualys Asset Management & Tagging API v2: POST
// /qps/rest/2.0/evaluate/am/tag/{id}.
func (c *AMClient) EvaluateTag(ctx context.Context, id int64) error {
	return c.tagWrite(ctx, "evaluate tag", "evaluate", id, nil)
}

func (c *AMClient) tagWrite(ctx context.Context, op, verb string, id int64, body any) error {
	if id <= 0 {
		return refuse(op, "%d is not the id of a tag", id)
	}
	_, _, err := c.tagCall(ctx, op, "/qps/rest/2.0/"+verb+"/am/tag/"+strconv.FormatInt(id, 10), body, true)
	return err
}
