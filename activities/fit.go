package activities

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
)

// everyColumn is the length that every text column of the platform has at least.
// Only a longer value is worth asking the instance how long its column is.
const everyColumn = 40

// lengthsFor is how long the lengths of a class's columns are believed.
const lengthsFor = 24 * time.Hour

// Lengths remembers how long the columns of an instance's classes are.
type Lengths struct {
	lock    *Lock // held while the instance is asked, so that one call asks for all
	classes map[string]classLengths
}

// NewLengths returns lengths of which nothing is known.
func NewLengths() *Lengths { return &Lengths{lock: NewLock(), classes: map[string]classLengths{}} }

type classLengths struct {
	columns map[string]int // nil: the instance does not say
	readAt  time.Time
}

// of returns the lengths of a class's columns, asking the instance when they are
// not known, and how many calls that took. What it may not be asked is not known.
func (l *Lengths) of(ctx context.Context, c *servicenow.Client, class string, now time.Time) (map[string]int, int64, error) {
	if err := l.lock.Lock(ctx); err != nil {
		return nil, 0, err
	}
	defer l.lock.Unlock()
	if known, ok := l.classes[class]; ok && now.Sub(known.readAt) < lengthsFor {
		return known.columns, 0, nil
	}
	fresh := classLengths{readAt: now}
	meta, _, err := c.ClassMeta(ctx, class)
	var refused *servicenow.Error
	if errors.As(err, &refused) && (refused.Kind() == servicenow.KindForbidden || refused.Kind() == servicenow.KindInvalidRequest) {
		err = nil
	}
	if err != nil {
		return nil, 1, err
	}
	for _, col := range meta.Columns {
		if col.MaxLength > 0 && (col.Type == "string" || col.Type == "") {
			if fresh.columns == nil {
				fresh.columns = map[string]int{}
			}
			fresh.columns[col.Name] = col.MaxLength
		}
	}
	l.classes[class] = fresh
	return fresh.columns, 1, nil
}

// fit cuts values that are longer than their columns: the instance would cut or
// refuse them. What was cut is told with the record's outcome.
func (w *pageWriter) fit(ctx context.Context, records []payload.Input) error {
	for _, r := range records {
		lists := [][]cmdb.Item{r.Parts.Dependents, r.Parts.Shared}
		if r.Parts.Native != nil {
			lists = append(lists, []cmdb.Item{*r.Parts.Native}) // shares its columns
		}
		for _, items := range lists {
			for i := range items {
				if err := w.fitItem(ctx, r.Key, &items[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (w *pageWriter) fitItem(ctx context.Context, owner string, it *cmdb.Item) error {
	for k := range it.Columns {
		c := &it.Columns[k]
		if len(c.Value) <= everyColumn || utf8.RuneCountInString(c.Value) <= everyColumn {
			continue
		}
		lengths, calls, err := w.target.Lengths.of(ctx, w.target.Client, it.Class, w.Now())
		w.calls.Add(calls)
		if err != nil {
			return err
		}
		limit := lengths[c.Name]
		if limit == 0 || utf8.RuneCountInString(c.Value) <= limit {
			continue
		}
		c.Value = asset.TextTo(c.Value, limit)
		w.cut[owner] = append(w.cut[owner], payload.Message{Code: "CUT", Text: fmt.Sprintf("%s of %s %s is cut to %d characters", c.Name, it.Class, it.Key, limit)})
	}
	return nil
}
