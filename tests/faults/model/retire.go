package model

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/qbridge/qbridge/domain/record"
)

// retire ends what an asset has no longer, one part after the other.
func (t Target) retire(ctx context.Context, before *record.Parts, gone []record.Item) error {
	main, err := t.bySource(ctx, before.Native.Key)
	if err != nil {
		return err
	}
	for _, g := range gone {
		switch g.Gone {
		case record.GoneItem:
			id, err := t.bySource(ctx, g.Key)
			if err != nil {
				return err
			}
			if err := t.call(ctx, http.MethodPatch, "/api/now/table/"+g.Class+"/"+id, map[string]string{"install_status": "100"}, &struct{}{}); err != nil {
				return err
			}
			for _, ends := range []string{"child=" + id + "^parent=" + main, "child=" + main + "^parent=" + id} {
				if err := t.deleteRows(ctx, "cmdb_rel_ci", ends); err != nil {
					return err
				}
			}
		case record.GoneRow:
			query := g.Row.HostColumn + "=" + main
			for _, by := range g.Row.Coalesce {
				query += "^" + by + "=" + g.Row.Value(by)
			}
			if err := t.deleteRows(ctx, g.Row.Table, query); err != nil {
				return err
			}
		case record.GoneRelation:
			parent, err := t.bySource(ctx, g.Relation.Parent)
			if err != nil {
				return err
			}
			child, err := t.bySource(ctx, g.Relation.Child)
			if err != nil {
				return err
			}
			if err := t.deleteRows(ctx, "cmdb_rel_ci", "parent="+parent+"^child="+child+"^type.name="+g.Relation.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

// bySource returns the sys_id of the CI with a source key.
func (t Target) bySource(ctx context.Context, key string) (string, error) {
	rows, err := t.rows(ctx, "sys_object_source", "name="+t.DiscoverySource+"^id="+key, "target_sys_id")
	if err != nil {
		return "", err
	}
	if len(rows) != 1 {
		return "", fmt.Errorf("%d CIs have the source key %s", len(rows), key)
	}
	return rows[0]["target_sys_id"], nil
}

func (t Target) deleteRows(ctx context.Context, table, query string) error {
	rows, err := t.rows(ctx, table, query, "sys_id")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := t.call(ctx, http.MethodDelete, "/api/now/table/"+table+"/"+r["sys_id"], nil, nil); err != nil {
			return err
		}
	}
	return nil
}

func (t Target) rows(ctx context.Context, table, query, fields string) ([]map[string]string, error) {
	var found struct {
		Result []map[string]string `json:"result"`
	}
	q := url.Values{"sysparm_query": {query}, "sysparm_fields": {fields}, "sysparm_exclude_reference_link": {"true"}}
	err := t.call(ctx, http.MethodGet, "/api/now/table/"+table+"?"+q.Encode(), nil, &found)
	return found.Result, err
}
