package activities

import (
	"context"
	"errors"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
)

// missingFor is how long a reference row that did not exist is taken as missing.
const missingFor = 24 * time.Hour

// resolve returns the sys_ids of all reference rows that the records name: from
// the store, else looked up in the target in one call per table, else created
// where the mapping allows it. What stays unresolved is left out of the CI.
func (w *pageWriter) resolve(ctx context.Context, records []payload.Input) (payload.Resolved, error) {
	wanted := map[string]map[string]cmdb.Reference{} // table → name
	for _, r := range records {
		for _, ref := range r.Parts.References {
			if wanted[ref.Table] == nil {
				wanted[ref.Table] = map[string]cmdb.Reference{}
			}
			wanted[ref.Table][ref.Name] = ref.Lookup()
		}
	}
	out := payload.Resolved{}
	for table, names := range wanted {
		if err := w.resolveTable(ctx, table, names, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (w *pageWriter) resolveTable(ctx context.Context, table string, names map[string]cmdb.Reference, out payload.Resolved) error {
	if err := w.target.Shared.Lock(ctx); err != nil {
		return err
	}
	defer w.target.Shared.Unlock()
	cached, err := w.Store.CachedReferences(ctx, w.plan.Target, table, lo.Keys(names))
	if err != nil {
		return err
	}
	var unknown []string
	for name, ref := range names {
		c, ok := cached[name]
		switch {
		case ok && c.SysID != "" && !w.plan.Verify:
			out[ref] = c.SysID
		case ok && c.Missing && !ref.Create && w.Now().Sub(c.ResolvedAt) < missingFor:
		default:
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	at := w.Now()
	w.calls.Add(1)
	found, _, err := w.target.Client.ResolveNames(ctx, table, unknown)
	var refused *servicenow.Error
	if table == certs.Domains && errors.As(err, &refused) && (refused.Kind() == servicenow.KindForbidden || refused.Kind() == servicenow.KindInvalidRequest) {
		return nil // only an application of the store brings the table; the names are left out
	}
	if err != nil {
		return err
	}
	if table == certs.Domains { // thousands of names, and nobody else's
		if err := w.createNames(ctx, table, unknown, found); err != nil {
			return err
		}
	}
	var fresh []store.Reference
	for _, name := range unknown {
		id := found[name]
		if id == "" && names[name].Create && table != certs.Domains {
			if w.Now().Sub(at) > announcedFor { // held up: somebody else may have created it meanwhile
				return errTooLate
			}
			w.calls.Add(1)
			id, _, err = w.target.Client.CreateRow(ctx, table, map[string]string{"name": name})
			var e *servicenow.Error
			if errors.As(err, &e) && (e.Kind() == servicenow.KindForbidden || e.Kind() == servicenow.KindInvalidRequest) {
				id = "" // the column is left out; a company is not worth a run
			} else if err != nil {
				return err
			}
			at = w.Now()
			if err := crash.At(ctx, crash.AfterCreate); err != nil {
				return err
			}
		}
		if id != "" {
			out[names[name]] = id
		}
		fresh = append(fresh, store.Reference{Table: table, Name: name, SysID: id, Missing: id == "", ResolvedAt: w.Now().UTC()})
	}
	return w.Store.PutReferences(ctx, w.plan.Target, fresh)
}

// createNames creates the rows that are not there, in batches, and adds them to
// found. Names that the instance refuses are left out.
func (w *pageWriter) createNames(ctx context.Context, table string, names []string, found map[string]string) error {
	missing := lo.Filter(names, func(name string, _ int) bool { return found[name] == "" })
	for len(missing) > 0 {
		part := missing[:min(len(missing), rowsPerBatch)]
		writes := lo.Map(part, func(name string, _ int) servicenow.RowWrite {
			return servicenow.RowWrite{Table: table, Values: map[string]string{"name": name}}
		})
		var answers []servicenow.RowAnswer
		if err := w.owned(ctx, func(ctx context.Context) (err error) {
			w.calls.Add(1)
			answers, _, err = w.target.Client.WriteRows(ctx, writes)
			return err
		}); err != nil {
			return err
		}
		done := map[string]bool{}
		for i, a := range answers {
			switch {
			case !a.Serviced:
				continue
			case a.Err == nil:
				found[part[i]] = a.SysID
			case a.Err.Kind() != servicenow.KindForbidden && a.Err.Kind() != servicenow.KindInvalidRequest:
				return a.Err
			}
			done[part[i]] = true
		}
		if len(done) == 0 {
			return &servicenow.Error{Op: "create names", Code: servicenow.CodeCancelled, Message: "the instance's time for a batch was up before its first row"}
		}
		missing = lo.Filter(missing, func(name string, _ int) bool { return !done[name] })
	}
	return nil
}
