package activities

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
)

// What records name that is no item of theirs: the CIs of other records, and types
// of relations that are written as rows because the CI at their other end must not
// be sent to IRE.

// codeUnrelated is of a warning about CIs that got no relation.
const codeUnrelated = "NOTE"

// learn finds out what the records of the page need to know before any of them is
// written, and takes over what mapping them has flagged.
func (w *pageWriter) learn(ctx context.Context) error {
	types := map[string]cmdb.Reference{}
	for key, parts := range w.parts {
		for _, f := range parts.Flags {
			w.cut[key] = append(w.cut[key], payload.Message{Code: codeUnrelated, Text: f.Column + ": " + f.Why})
		}
		lists := [][]cmdb.Row{parts.Tables}
		if before := w.before[key]; before != nil {
			lists = append(lists, before.Tables)
		}
		for _, rows := range lists {
			for i := range rows {
				for _, l := range rows[i].Links {
					if name, ok := strings.CutPrefix(l.Item, certs.TypeKey("")); ok {
						types[name] = cmdb.Reference{Table: certs.RelationTypes, Name: name}
					}
				}
			}
		}
	}
	if len(types) == 0 {
		return nil
	}
	found := payload.Resolved{}
	if err := w.resolveTable(ctx, certs.RelationTypes, types, found); err != nil {
		return err
	}
	w.types = payload.SharedIDs{}
	for name, ref := range types {
		w.types[certs.TypeKey(name)] = found[ref]
	}
	return nil
}

// rowIDs are the sys_ids that rows may name.
func (w *pageWriter) rowIDs() payload.SharedIDs {
	if len(w.types) == 0 {
		return w.ids
	}
	out := maps.Clone(w.types)
	maps.Copy(out, w.ids)
	return out
}

// untyped says why the row of a relation cannot be written, "" for every other row.
func untyped(r *cmdb.Row) string {
	if r.Table == certs.Relations && r.Value("type") == "" {
		return fmt.Sprintf("the instance has no relation type %q, or the user may not read %s", certs.Uses, certs.RelationTypes)
	}
	return ""
}

// linkOthers makes the sys_ids of other records' CIs known that records name, and
// notes which name one that is not there: because it failed, or waits for a person.
func (w *pageWriter) linkOthers(ctx context.Context, records []payload.Input) error {
	wanted := map[string]bool{}
	for _, r := range records {
		for _, l := range r.Parts.Native.Links {
			wanted[l.Item] = true
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	keys := make([]string, 0, len(wanted))
	for k := range wanted {
		keys = append(keys, k)
	}
	links, err := w.Store.LinksOf(ctx, w.plan.Target, keys)
	if err != nil {
		return err
	}
	for key, l := range links {
		w.ids[key] = l.SysID
	}
	for _, r := range records {
		missing := false
		for _, l := range r.Parts.Native.Links {
			missing = missing || w.ids[l.Item] == ""
		}
		if missing {
			w.unlinked[r.Key] = true
		} else {
			delete(w.unlinked, r.Key)
		}
	}
	return nil
}
