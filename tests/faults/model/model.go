// Package model is the sequential reference of the inventory sync: it brings an
// estate into a CMDB one asset after the other, one call at a time, in the order
// of their ids. It remembers two things: what each asset became last, for an
// unchanged one is not sent again, and which shared items it has written, for the
// first asset that brings one decides what it is. It knows no pages, lanes,
// payload cutting, links, intents or retries; what it leaves in the CMDB is what
// any sync of the same estate must leave.
//
// It shares with the product how an asset is read and mapped, which is tested on
// its own, and nothing of how it is written.
package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/record"
)

// Model syncs one subscription with one instance.
type Model struct {
	Source     *qualys.Client
	Connection string
	Sections   map[string]bool
	Target     Target

	last   map[int64]string // digest of what was written
	shared map[string]bool  // keys
	seen   map[int64]asset.Identity
	parts  map[int64]*record.Parts // what was written
}

// Target is the instance that is written to.
type Target struct {
	URL, Username, Password string
	DiscoverySource         string
	Client                  *http.Client
}

// Result says what became of each asset, by id.
type Result struct {
	Written map[int64]bool
	Skipped map[int64]string // reason
	Failed  map[int64]string // the field that cannot be read
}

// Sync brings all assets of a subscription into the CMDB. The first answer that
// is not a plain success is an error: nothing disturbs the model.
func (m *Model) Sync(ctx context.Context) (*Result, error) {
	if m.last == nil {
		m.last, m.shared, m.seen = map[int64]string{}, map[string]bool{}, map[int64]asset.Identity{}
		m.parts = map[int64]*record.Parts{}
	}
	rules, err := classify.Compile(classify.Default())
	if err != nil {
		return nil, err
	}
	maps, err := mapping.Default()
	if err != nil {
		return nil, err
	}
	res := &Result{Written: map[int64]bool{}, Skipped: map[int64]string{}, Failed: map[int64]string{}}
	for cursor, more := int64(0), true; more; {
		page, _, err := m.Source.Search(ctx, qualys.Query{Cursor: cursor})
		if err != nil {
			return nil, err
		}
		roles := m.roles(page)
		for i := range page.Results {
			if primary := roles.Primary[page.Results[i].ID]; primary != 0 {
				res.Skipped[page.Results[i].ID] = fmt.Sprintf("same machine as %d", primary)
				continue
			}
			if err := m.one(ctx, &page.Results[i], rules, maps, res); err != nil {
				return nil, fmt.Errorf("model: asset %d: %w", page.Results[i].ID, err)
			}
		}
		cursor, more = page.Next, page.HasMore
	}
	return res, nil
}

// roles looks at the assets of a page beside all that were seen before.
func (m *Model) roles(page *qualys.Page) asset.Roles {
	var here, known []asset.Identity
	for _, id := range m.seen {
		known = append(known, id)
	}
	for i := range page.Results {
		if r := &page.Results[i]; r.Err == nil {
			here = append(here, asset.IdentityOf(r.Asset, asset.Cleanse(r.Asset)))
		}
	}
	for _, id := range here {
		m.seen[id.ID] = id
	}
	return asset.RolesOf(here, known)
}

func (m *Model) one(ctx context.Context, r *qualys.Result, rules *classify.Set, maps *mapping.Map, res *Result) error {
	if r.Err != nil {
		res.Failed[r.ID] = r.Err.Error()
		return nil //nolint:nilerr // a malformed asset is a result
	}
	clean := asset.Cleanse(r.Asset)
	in := classify.InputsOf(r.Asset, clean)
	d := rules.Classify(&in, classify.Options{})
	if d.Skip != "" {
		res.Skipped[r.ID] = d.Skip
		return nil
	}
	parts := maps.Apply(mapping.Input{Connection: m.Connection, Asset: r.Asset, Clean: clean, Class: d.Class, Sections: m.Sections})
	if parts.UpdateOnly {
		res.Skipped[r.ID] = "terminated"
		return nil
	}
	digest := record.Digest(&parts)
	if m.last[r.ID] == digest {
		return nil
	}
	m.last[r.ID] = digest
	res.Written[r.ID] = true
	for i := range parts.Shared {
		s := &parts.Shared[i]
		if m.shared[s.Key] {
			s.Columns = nil // its key is enough
		}
		m.shared[s.Key] = true
	}
	if err := m.Target.write(ctx, &parts); err != nil {
		return err
	}
	before := m.parts[r.ID]
	m.parts[r.ID] = &parts
	if before == nil {
		return nil
	}
	return m.Target.retire(ctx, before, record.Vanished(*before, parts))
}

// The body of an IRE call.
type (
	item struct {
		Class    string            `json:"className"`
		Internal string            `json:"internal_id"`
		Values   map[string]string `json:"values"`
		Source   map[string]string `json:"sys_object_source_info"`
		Lookup   []row             `json:"lookup,omitempty"`
		Related  []row             `json:"related,omitempty"`
		Settings map[string]bool   `json:"settings"`
	}
	row struct {
		Class  string            `json:"className"`
		Values map[string]string `json:"values"`
	}
	relation struct {
		Parent int    `json:"parent"`
		Child  int    `json:"child"`
		Type   string `json:"type"`
	}
)

// write posts one asset with all that it refers to.
func (t Target) write(ctx context.Context, p *record.Parts) error {
	all := append([]cmdb.Item{*p.Native}, p.Dependents...)
	all = append(all, p.Shared...)
	at := map[string]int{}
	var items []item
	for i := range all {
		at[all[i].Key] = len(items)
		items = append(items, item{
			Class: all[i].Class, Internal: all[i].Key, Values: values(all[i].Columns), Lookup: wireRows(all[i].Lookup),
			Source:   map[string]string{"source_name": t.DiscoverySource, "source_native_key": all[i].Key},
			Settings: map[string]bool{"updateWithoutDowngrade": true, "updateWithoutSwitch": true},
		})
	}
	for _, ref := range p.References {
		id, err := t.reference(ctx, ref)
		if err != nil {
			return err
		}
		if k, ok := at[ref.Item]; ok && id != "" {
			items[k].Values[ref.Column] = id
		}
	}
	var relations []relation
	for _, r := range p.Relations {
		parent, okP := at[r.Parent]
		child, okC := at[r.Child]
		if okP && okC {
			relations = append(relations, relation{parent, child, r.Type})
		}
	}
	ids, err := t.post(ctx, items, relations)
	if err != nil || len(p.Native.Related) == 0 {
		return err
	}
	// Rows that link to other items need their sys_ids: the main CI again.
	main := items[0]
	for _, r := range p.Native.Related {
		v := values(r.Columns)
		for _, l := range r.Links {
			v[l.Column] = ids[at[l.Item]]
		}
		main.Related = append(main.Related, row{Class: r.Table, Values: v})
	}
	_, err = t.post(ctx, []item{main}, nil)
	return err
}

// post sends one call and returns the sys_ids of its items.
func (t Target) post(ctx context.Context, items []item, relations []relation) (map[int]string, error) {
	var answer struct {
		Result struct {
			Items []struct {
				Class   string            `json:"className"`
				ID      string            `json:"sysId"`
				Indices []int             `json:"inputIndices"`
				Errors  []json.RawMessage `json:"errors"`
			} `json:"items"`
		} `json:"result"`
	}
	q := url.Values{"sysparm_data_source": {t.DiscoverySource}}
	if err := t.call(ctx, http.MethodPost, "/api/now/identifyreconcile/enhanced?"+q.Encode(), map[string]any{"items": items, "relations": relations}, &answer); err != nil {
		return nil, err
	}
	ids := map[int]string{}
	for _, it := range answer.Result.Items {
		if len(it.Errors) > 0 {
			return nil, fmt.Errorf("%s: %s", it.Class, it.Errors[0])
		}
		for _, i := range it.Indices {
			ids[i] = it.ID
		}
	}
	if len(ids) < len(items) {
		return nil, errors.New("an item was not answered")
	}
	return ids, nil
}

func values(cols []cmdb.Column) map[string]string {
	out := map[string]string{}
	for _, c := range cols {
		out[c.Name] = c.Value
	}
	return out
}

func wireRows(in []cmdb.Row) []row {
	var out []row
	for i := range in {
		out = append(out, row{Class: in[i].Table, Values: values(in[i].Columns)})
	}
	return out
}

// reference returns the sys_id of the row that a reference names, or "" where it
// is missing and may not be created.
func (t Target) reference(ctx context.Context, ref cmdb.Reference) (string, error) {
	var found struct {
		Result []struct {
			ID   string `json:"sys_id"`
			Name string `json:"name"`
		} `json:"result"`
	}
	path := "/api/now/table/" + ref.Table
	q := url.Values{"sysparm_query": {"name=" + ref.Name + "^ORDERBYsys_id"}, "sysparm_fields": {"sys_id,name"}}
	if err := t.call(ctx, http.MethodGet, path+"?"+q.Encode(), nil, &found); err != nil {
		return "", err
	}
	if len(found.Result) > 0 {
		return found.Result[0].ID, nil
	}
	if !ref.Create {
		return "", nil
	}
	var created struct {
		Result struct {
			ID string `json:"sys_id"`
		} `json:"result"`
	}
	err := t.call(ctx, http.MethodPost, path, map[string]string{"name": ref.Name}, &created)
	return created.Result.ID, err
}

func (t Target) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, t.URL+path, body)
	if err != nil {
		return err
	}
	req.SetBasicAuth(t.Username, t.Password)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	res, err := t.Client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: status %d: %.300s", method, path, res.StatusCode, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}
