// Package pipeline is the way of an asset from Qualys to ServiceNow without
// Temporal and without a store: the product's own decoder, rules, mapping, cutter
// and clients, called one after the other. What the product costs beyond it is the
// price of durability; what other ways of running the same steps cost is in the
// models.
//
//	Fetch ─▶ Prepare (decode, cleanse, classify, map, digest) ─▶ Write (shared items, then lanes)
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

// Ends are the two systems and how to log in to them.
type Ends struct {
	GatewayURL, QualysUser, QualysPassword            string
	ServiceNowURL, ServiceNowUser, ServiceNowPassword string
	DiscoverySource                                   string
	// Base is dialled instead of the network; nil: the network.
	Base http.RoundTripper
}

// Config is what a pipeline does. Its zero value maps what the product maps
// unless told otherwise, with the default rules.
type Config struct {
	Sections map[string]bool // toggles, as those of a schedule
	Whole    bool            // ask also for the sections that nothing maps
	Rules    int             // number of rules; fewer than the default ones are the default ones
	Limit    int             // assets to read; 0: all
}

// connection is the name of the source in native keys.
const connection = "corp"

// Pipeline reads, transforms and writes assets. Its counters are totals of all
// its writes.
type Pipeline struct {
	cfg     Config
	source  *qualys.Client
	target  *servicenow.Client
	rules   *classify.Set
	mapping *mapping.Map
	limits  payload.Limits

	mu  sync.Mutex // guards ids
	ids payload.SharedIDs

	Assets, Written, Skipped, Failed, Posts atomic.Int64
}

// New returns a pipeline between the ends; it makes no call.
func New(ends Ends, cfg Config) (*Pipeline, error) {
	p := &Pipeline{cfg: cfg, ids: payload.SharedIDs{}, limits: payload.Limits{
		Lanes: config.Defaults.Lanes, Items: config.Defaults.PayloadItems, Bytes: config.Defaults.PayloadBytes,
	}}
	t, err := transport.New(transport.Options{Name: connection, Concurrency: 2 * p.limits.Lanes, Base: ends.Base, Now: time.Now})
	if err != nil {
		return nil, err
	}
	if p.source, err = qualys.New(qualys.Config{
		Name: connection, GatewayURL: ends.GatewayURL, Username: ends.QualysUser, Password: ends.QualysPassword, Transport: t,
	}); err != nil {
		return nil, err
	}
	if p.target, err = servicenow.New(servicenow.Config{
		Name: "dev", URL: ends.ServiceNowURL, DiscoverySource: ends.DiscoverySource, Transport: t,
		Auth: servicenow.Auth{Type: "basic", Username: ends.ServiceNowUser, Password: ends.ServiceNowPassword},
	}); err != nil {
		return nil, err
	}
	if p.rules, err = classify.Compile(Rules(cfg.Rules)); err != nil {
		return nil, err
	}
	p.mapping, err = mapping.Default()
	return p, err
}

// Rules returns n rules, the default ones included. The others stand before them,
// have three conditions and match nothing, the last condition failing: every asset
// is compared with all of them.
func Rules(n int) classify.Tables {
	t := classify.Default()
	var others []classify.Rule
	for i := range max(0, n-len(t.Hardware)-len(t.Computer)-len(t.Fallback)) {
		others = append(others, classify.Rule{ID: fmt.Sprintf("bench-%d", i), Priority: 1, Class: "cmdb_ci_computer", When: []classify.Condition{
			{Field: "operatingSystem.category1", Equals: fmt.Sprintf("System %d", i), Not: true},
			{Field: "operatingSystem.productName", Contains: fmt.Sprintf("edition %d", i), Not: true},
			{Field: "hardware.manufacturer", Equals: fmt.Sprintf("maker %d", i)},
		}})
	}
	t.Hardware = append(others, t.Hardware...)
	return t
}

// Fetch reads the page after a cursor.
func (p *Pipeline) Fetch(ctx context.Context, cursor int64) (*qualys.Page, error) {
	q := qualys.Query{Cursor: cursor}
	if !p.cfg.Whole {
		for _, s := range p.mapping.Unused(p.cfg.Sections) {
			q.ExcludeFields = append(q.ExcludeFields, string(s))
		}
	}
	page, _, err := p.source.Search(ctx, q)
	if err == nil && page.HasMore && page.Next <= cursor {
		err = fmt.Errorf("pipeline: the page after %d does not lead on", cursor)
	}
	return page, err
}

// Prepare turns the assets of a page into records: what the product stages.
func (p *Pipeline) Prepare(page *qualys.Page) []payload.Input {
	clean := make([]*asset.Clean, len(page.Results))
	var identities []asset.Identity
	for i := range page.Results {
		if r := &page.Results[i]; r.Err == nil {
			clean[i] = asset.CleanseNamed(r.Asset, asset.Naming{})
			identities = append(identities, asset.IdentityOf(r.Asset, clean[i]))
		}
	}
	roles := asset.RolesOf(identities, nil)
	out := make([]payload.Input, 0, len(page.Results))
	for i := range page.Results {
		p.Assets.Add(1)
		if in, ok := p.one(&page.Results[i], clean[i], roles); ok {
			out = append(out, in)
			continue
		}
		p.Skipped.Add(1)
	}
	return out
}

// one prepares an asset. Those that describe no machine, or one that another
// asset describes better, are left out.
func (p *Pipeline) one(r *qualys.Result, clean *asset.Clean, roles asset.Roles) (payload.Input, bool) {
	if r.Err != nil {
		return payload.Input{}, false
	}
	if _, second := roles.Primary[r.ID]; second {
		return payload.Input{}, false
	}
	in := classify.InputsOf(r.Asset, clean)
	d := p.rules.Classify(&in, classify.Options{})
	if d.Skip != "" {
		return payload.Input{}, false
	}
	parts := p.mapping.Apply(mapping.Input{
		Connection: connection, Asset: r.Asset, Clean: clean, Class: d.Class, Sections: p.cfg.Sections, DiscoverySource: "SG-Qualys",
	})
	parts.SharedName = roles.SharesName(clean.Name)
	if parts.UpdateOnly || parts.SharedName && !payload.IdentifiedWithoutName(&parts) || record.Digest(&parts) == "" {
		return payload.Input{}, false
	}
	return payload.Input{Key: parts.Native.Key, Parts: &parts}, true
}

// Write writes records: the shared items that the target does not know yet, then
// payloads over the lanes.
func (p *Pipeline) Write(ctx context.Context, records []payload.Input) error {
	return p.write(ctx, records, p.limits)
}

func (p *Pipeline) write(ctx context.Context, records []payload.Input, l payload.Limits) error {
	ids, err := p.shared(ctx, records)
	if err != nil {
		return err
	}
	lanes := make([][]payload.Payload, l.Lanes)
	for _, c := range payload.Cut(records, ids, nil, l) {
		lanes[c.Lane] = append(lanes[c.Lane], c)
	}
	errs := make([]error, len(lanes))
	var wg sync.WaitGroup
	for n, lane := range lanes {
		wg.Go(func() {
			for i := range lane {
				if errs[n] = p.post(ctx, &lane[i]); errs[n] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// post sends a payload and counts what became of its records.
func (p *Pipeline) post(ctx context.Context, c *payload.Payload) error {
	p.Posts.Add(1)
	answer, _, err := p.target.IdentifyReconcile(ctx, c, servicenow.IREOptions{})
	if err != nil {
		return err
	}
	for _, r := range payload.Attribute(c, answer, nil, nil) {
		if r.Outcome == record.Failed {
			p.Failed.Add(1)
		} else {
			p.Written.Add(1)
		}
	}
	return nil
}

// shared writes the shared items that are not known yet and returns the sys_ids of
// all that are.
func (p *Pipeline) shared(ctx context.Context, records []payload.Input) (payload.SharedIDs, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range payload.SharedPayloads(records, p.ids, p.limits.Items) {
		p.Posts.Add(1)
		answer, _, err := p.target.IdentifyReconcile(ctx, &c, servicenow.IREOptions{})
		if err != nil {
			return nil, err
		}
		for i := range answer.Items {
			if id := answer.Items[i].SysID; id != "" {
				p.ids[c.Items[i].Key] = id
			}
		}
	}
	known := make(payload.SharedIDs, len(p.ids))
	for k, v := range p.ids {
		known[k] = v
	}
	return known, nil
}
