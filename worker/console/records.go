package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// found is how many records a search shows.
const found = 100

type assetsPage struct {
	Heads  []store.HeadRow
	Search bool
	Next   string
}

func (c *Console) assets(w http.ResponseWriter, r *http.Request) {
	f := readFilter(r.URL.Query())
	var out assetsPage
	var err error
	if out.Search = strings.TrimSpace(f.Text) != ""; out.Search {
		var sources []string
		if cfg := c.config(r.Context()); cfg != nil {
			sources = lo.Map(cfg.Qualys, func(q config.Qualys, _ int) string { return q.Name })
		}
		if out.Heads, err = c.opts.Store.FindHeads(r.Context(), sources, f.Text, found); err != nil {
			c.fail(w, r, err)
			return
		}
		c.show(w, r, "assets", "Assets", out)
		return
	}
	if f.Schedule == "" {
		if cfg := c.config(r.Context()); cfg != nil && len(cfg.Schedules) > 0 {
			http.Redirect(w, r, link("/assets", "schedule", cfg.Schedules[0].Name), http.StatusSeeOther)
			return
		}
	}
	page, err := c.opts.Store.ListHeads(r.Context(), store.HeadFilter{
		Schedule: f.Schedule, State: record.State(f.State), Outcome: record.Outcome(f.Outcome), Class: f.Class, Reason: f.Reason, After: f.After, Limit: recordsPage,
	})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	out.Heads = page.Heads
	if page.Next != "" {
		out.Next = link("/assets", "schedule", f.Schedule, "state", f.State, "outcome", f.Outcome, "class", f.Class, "reason", f.Reason, "after", page.Next)
	}
	c.show(w, r, "assets", "Assets", out)
}

// assetPage is the life of an asset, and why it is what it is.
type assetPage struct {
	Key    string
	Assets []contract.AssetView
	Why    []contract.ExplainView
}

func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	out := assetPage{Key: r.URL.Query().Get("key")}
	source, id, ok := strings.Cut(out.Key, "/")
	q := url.Values{"source": {source}}
	if !ok {
		id, q = out.Key, nil
	}
	if id == "" {
		c.fail(w, r, &apiError{Status: http.StatusBadRequest, Message: "no asset is named", Remedy: "look for one on the page Assets"})
		return
	}
	var list contract.AssetList
	if err := c.api.get(r.Context(), contract.PathAssets+"/"+id, q, &list); err != nil {
		c.fail(w, r, err)
		return
	}
	out.Assets = list.Assets
	var why contract.ExplainList
	if err := c.api.get(r.Context(), contract.PathAssets+"/"+id+"/explain", q, &why); err != nil && !missing(err) {
		c.fail(w, r, err)
		return
	}
	out.Why = why.Explanations
	title := out.Key
	if len(out.Assets) > 0 && out.Assets[0].Name != "" {
		title = out.Assets[0].Name
	}
	c.show(w, r, "asset", title, out)
}

// failuresPage is the failed list of an integration.
type failuresPage struct {
	Failures []store.Failure
	Heads    []store.HeadRow
	Snapshot int64
	Next     string
}

func (c *Console) failures(w http.ResponseWriter, r *http.Request) {
	f := readFilter(r.URL.Query())
	var out failuresPage
	cfg := c.config(r.Context())
	if cfg != nil {
		for i := range cfg.Schedules {
			list, err := c.opts.Store.Failures(r.Context(), cfg.Schedules[i].Name)
			if err != nil {
				c.fail(w, r, err)
				return
			}
			if f.Schedule == "" && len(list) > 0 {
				f.Schedule = cfg.Schedules[i].Name
				http.Redirect(w, r, link("/errors", "schedule", f.Schedule, "reason", f.Reason), http.StatusSeeOther)
				return
			}
			out.Failures = append(out.Failures, list...)
		}
	}
	if f.Schedule != "" {
		page, err := c.opts.Store.ListHeads(r.Context(), store.HeadFilter{Schedule: f.Schedule, State: record.StateFailed, Reason: f.Reason, After: f.After, Limit: recordsPage})
		if err != nil {
			c.fail(w, r, err)
			return
		}
		out.Heads = page.Heads
		for _, h := range page.Heads {
			out.Snapshot = max(out.Snapshot, h.Version)
		}
		if page.Next != "" {
			out.Next = link("/errors", "schedule", f.Schedule, "reason", f.Reason, "after", page.Next)
		}
	}
	c.show(w, r, "errors", "Errors", out)
}
