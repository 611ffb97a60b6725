package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
)

// rowChanges are the rows beside one record's CI: those that it has, and those
// that it no longer has.
type rowChanges struct {
	owner string // key of the record
	host  string // sys_id of its CI
	rows  []cmdb.Row
	gone  []cmdb.Row
}

// rowResult is what became of a record's rows.
type rowResult struct {
	changed bool
	failure string // why a row could not be written, "" when all are as they should be
}

// rowsPerBatch bounds a batch: the instance gives one 30 seconds.
const rowsPerBatch = 100

// writeRows brings rows that are not CIs to what the records say: each is looked
// up by its CI and the columns that identify it, and only inserted when it is
// missing, only updated where it differs. One look-up per table, then as many
// batches as the changes need.
func (w *pageWriter) writeRows(ctx context.Context, list []rowChanges) (map[string]rowResult, error) {
	byTable, out := map[string][]rowChange{}, map[string]rowResult{}
	ids := w.rowIDs()
	for i := range list {
		for k := range list[i].rows {
			r := payload.Link(list[i].rows[k], ids)
			if why := untyped(&r); why != "" {
				out[list[i].owner] = rowResult{failure: why}
				continue
			}
			byTable[r.Table] = append(byTable[r.Table], rowChange{owner: list[i].owner, host: list[i].host, row: r})
		}
		for k := range list[i].gone {
			r := payload.Link(list[i].gone[k], ids)
			byTable[r.Table] = append(byTable[r.Table], rowChange{owner: list[i].owner, host: list[i].host, row: r, gone: true})
		}
	}
	for _, table := range slices.Sorted(mapKeys(byTable)) {
		if err := w.writeTable(ctx, table, byTable[table], out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// rowChange is one row to be written or deleted.
type rowChange struct {
	owner, host string
	row         cmdb.Row
	gone        bool
}

// identity is what a row is found by, in any case.
func (c *rowChange) identity() string {
	parts := []string{c.host}
	for _, by := range c.row.Coalesce {
		parts = append(parts, c.row.Value(by))
	}
	return strings.ToLower(strings.Join(parts, "\x00"))
}

// writeTable writes the rows of one table. Where nobody can say what was written,
// it looks again.
func (w *pageWriter) writeTable(ctx context.Context, table string, changes []rowChange, out map[string]rowResult) error {
	for try := 0; ; try++ {
		err := w.tryTable(ctx, table, changes, out)
		if err == nil || !passing(err) || try+1 == passingTries {
			return err
		}
		if perr := pause(ctx, lockPause(try)); perr != nil {
			return err
		}
	}
}

func (w *pageWriter) tryTable(ctx context.Context, table string, changes []rowChange, out map[string]rowResult) error {
	there, err := w.existingRows(ctx, table, changes)
	var refused *servicenow.Error
	if errors.As(err, &refused) && (refused.Kind() == servicenow.KindInvalidRequest || refused.Kind() == servicenow.KindForbidden) {
		for i := range changes {
			if !changes[i].gone { // what cannot be read was not written by us either
				out[changes[i].owner] = rowResult{failure: fmt.Sprintf("table %s: %v; install the update set with qbridge's tables and let the user write them, or switch the section off", table, refused)}
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	var writes []servicenow.RowWrite
	var owners []string
	for i := range changes {
		if write, needed := changes[i].against(there[changes[i].identity()]); needed {
			writes, owners = append(writes, write), append(owners, changes[i].owner)
		}
	}
	return w.batches(ctx, writes, owners, out)
}

// batches sends changes of rows in as many batches as they need.
func (w *pageWriter) batches(ctx context.Context, writes []servicenow.RowWrite, owners []string, out map[string]rowResult) error {
	for len(writes) > 0 {
		n := min(len(writes), rowsPerBatch)
		done, err := w.writeBatch(ctx, writes[:n], owners[:n], out)
		if err != nil {
			return err
		}
		left := func(i int) bool { return i >= n || !done[i] }
		writes = lo.Filter(writes, func(_ servicenow.RowWrite, i int) bool { return left(i) })
		owners = lo.Filter(owners, func(_ string, i int) bool { return left(i) })
	}
	return nil
}

// writeBatch sends one batch and says which of its changes the instance got to.
// One that it got to nothing of would come back for ever: it fails.
func (w *pageWriter) writeBatch(ctx context.Context, writes []servicenow.RowWrite, owners []string, out map[string]rowResult) ([]bool, error) {
	var answers []servicenow.RowAnswer
	if err := w.owned(ctx, func(ctx context.Context) (err error) {
		w.calls.Add(1)
		answers, _, err = w.target.Client.WriteRows(ctx, writes)
		return err
	}); err != nil {
		return nil, err
	}
	done, some := make([]bool, len(writes)), false
	for i, a := range answers {
		if !a.Serviced {
			continue
		}
		done[i], some = true, true
		r := out[owners[i]]
		switch {
		case a.Err == nil:
			r.changed = true
		case a.Err.Kind() == servicenow.KindRateLimited || a.Err.Kind() == servicenow.KindUnauthorized || a.Err.Status >= 500:
			return nil, a.Err
		case r.failure == "":
			r.failure = a.Err.Error()
		}
		out[owners[i]] = r
	}
	if !some {
		return nil, &servicenow.Error{Op: "write rows", Code: servicenow.CodeCancelled, Message: "the instance's time for a batch was up before its first row"}
	}
	return done, nil
}

// existingRows reads the rows that the records' CIs have in a table, by identity.
// Of several with one identity the one with the smallest sys_id counts.
func (w *pageWriter) existingRows(ctx context.Context, table string, changes []rowChange) (map[string]servicenow.Row, error) {
	first := &changes[0].row
	fields := slices.Clone(first.Coalesce)
	if first.HostColumn != "" {
		fields = append(fields, first.HostColumn)
	}
	var hosts, values []string
	for i := range changes {
		hosts = append(hosts, changes[i].host)
		if len(first.Coalesce) > 0 {
			values = append(values, changes[i].row.Value(first.Coalesce[0]))
		}
		for _, c := range changes[i].row.Columns {
			fields = append(fields, c.Name)
		}
	}
	q := servicenow.TableQuery{Fields: lo.Uniq(fields)}
	if first.HostColumn != "" {
		q.Query = servicenow.Where(first.HostColumn).In(lo.Uniq(hosts)...)
	} else {
		q.Query = servicenow.Where(first.Coalesce[0]).In(lo.Uniq(values)...)
	}
	out := map[string]servicenow.Row{}
	w.calls.Add(1)
	for row, err := range w.target.Client.Rows(ctx, table, q) {
		if err != nil {
			return nil, err
		}
		parts := []string{""}
		if first.HostColumn != "" {
			parts[0] = row[first.HostColumn]
		}
		for _, by := range first.Coalesce {
			parts = append(parts, row[by])
		}
		id := strings.ToLower(strings.Join(parts, "\x00"))
		if have, ok := out[id]; !ok || row["sys_id"] < have["sys_id"] {
			out[id] = row
		}
	}
	return out, nil
}

// against returns the change that brings a row, as it is, to what it should be.
func (c *rowChange) against(have servicenow.Row) (servicenow.RowWrite, bool) {
	out := servicenow.RowWrite{Table: c.row.Table, SysID: have["sys_id"], Delete: c.gone}
	if c.gone {
		return out, out.SysID != ""
	}
	out.Values = map[string]string{}
	if out.SysID == "" && c.row.HostColumn != "" {
		out.Values[c.row.HostColumn] = c.host
	}
	for _, col := range c.row.Columns {
		if out.SysID == "" || have[col.Name] != col.Value {
			out.Values[col.Name] = col.Value
		}
	}
	return out, len(out.Values) > 0
}
