package activities

import (
	"context"
	"errors"
	"maps"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/qbridge/qbridge/activities/qualys"
)

// TagReader reads the tags of a subscription.
type TagReader interface {
	Tags(ctx context.Context) ([]qualys.Tag, error)
}

// TagTree knows which tags stand below which. It is read when somebody asks, and
// again after a while.
type TagTree struct {
	Reader TagReader
	Now    func() time.Time

	lock     *Lock
	readAt   time.Time
	children map[string][]string // names of the tags below a name, however deep
}

// NewTagTree returns a tree that nobody has read yet.
func NewTagTree(r TagReader, now func() time.Time) *TagTree {
	return &TagTree{Reader: r, Now: now, lock: NewLock()}
}

// tagTreeKeep is how long a tree is taken for current.
const tagTreeKeep = 15 * time.Minute

// below returns the given names and those of all tags below them.
func (t *TagTree) below(ctx context.Context, names map[string]bool) (map[string]bool, error) {
	if err := t.lock.Lock(ctx); err != nil {
		return nil, err
	}
	defer t.lock.Unlock()
	if t.children == nil || t.Now().Sub(t.readAt) > tagTreeKeep {
		tags, err := t.Reader.Tags(ctx)
		if err != nil {
			return nil, err
		}
		t.children, t.readAt = descendants(tags), t.Now()
	}
	out := maps.Clone(names)
	for name := range names {
		for _, child := range t.children[name] {
			out[child] = true
		}
	}
	return out, nil
}

// descendants returns, by name, the names of all tags below. A circle, which should
// not be, ends where it began.
func descendants(tags []qualys.Tag) map[string][]string {
	byID := map[int64]qualys.Tag{}
	for _, t := range tags {
		byID[t.ID] = t
	}
	out := map[string][]string{}
	for _, t := range tags {
		seen := map[int64]bool{t.ID: true}
		for p, ok := byID[t.Parent]; ok && !seen[p.ID]; p, ok = byID[p.Parent] {
			seen[p.ID] = true
			out[p.Name] = append(out[p.Name], t.Name)
		}
	}
	return out
}

// tagSection is the section of tags.
const tagSection = "tags"

// listed returns the lists that mappings name: the tags that the schedule names and
// those below them. A user who may not read the tree gets those that are named.
func listed(ctx context.Context, src *Source, setup *Setup) (map[string]map[string]bool, error) {
	names := setup.Listed[tagSection]
	if !setup.Schedule.Sections[tagSection] || len(names) == 0 || src.Tags == nil {
		return setup.Listed, nil
	}
	all, err := src.Tags.below(ctx, names)
	var refused *qualys.Error
	if errors.As(err, &refused) && refused.Kind() != qualys.KindUnavailable && refused.Kind() != qualys.KindRateLimited {
		activity.GetLogger(ctx).Warn("the tree of tags cannot be read: tags below those that the schedule names are left out", "source", src.Name, "error", err)
		return setup.Listed, nil
	}
	if err != nil {
		return nil, err
	}
	out := maps.Clone(setup.Listed)
	out[tagSection] = all
	return out, nil
}
