package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// hosts returns the CIs of the assets that serve the page's certificates. An asset
// of a machine that another one describes stands for that one's CI.
func (f *certificateFetch) hosts(ctx context.Context, results []qualys.CertificateResult) (map[int64]certs.Host, error) {
	ids := map[int64]bool{}
	for i := range results {
		if results[i].Err == nil {
			for _, a := range results[i].Certificate.Assets {
				ids[a.ID] = true
			}
		}
	}
	generations, err := f.Store.Generations(ctx, f.plan.Source, lo.Keys(ids))
	if err != nil {
		return nil, err
	}
	keys := make(map[int64]string, len(ids))
	for id := range ids {
		keys[id] = contract.MovedKey(f.plan.Source, id, generations[id])
	}
	links, err := f.links(ctx, lo.Values(keys))
	if err != nil {
		return nil, err
	}
	without := lo.Filter(lo.Values(keys), func(key string, _ int) bool { return links[key].SysID == "" })
	heads, err := f.Store.HeadsOf(ctx, f.plan.Target, record.KindAsset, without)
	if err != nil {
		return nil, err
	}
	primary := map[string]string{}
	for i := range heads {
		body, err := f.Bodies.Decode(heads[i].Body)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", heads[i].Key, err)
		}
		if body.Parts != nil && body.Parts.Primary != "" {
			primary[heads[i].Key] = body.Parts.Primary
		}
	}
	others, err := f.links(ctx, lo.Uniq(lo.Values(primary)))
	if err != nil {
		return nil, err
	}
	out := make(map[int64]certs.Host, len(ids))
	for id, key := range keys {
		l := links[key]
		if l.SysID == "" {
			l = others[primary[key]]
		}
		if l.SysID != "" {
			out[id] = certs.Host{SysID: l.SysID, Class: l.Class}
		}
	}
	return out, nil
}

func (f *certificateFetch) links(ctx context.Context, keys []string) (map[string]store.Link, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return f.Store.LinksOf(ctx, f.plan.Target, keys)
}

// gone stages the certificates that neither this enumeration has seen nor the one
// before, once they are out of sight for long enough: they are retired, never
// deleted.
func (f *certificateFetch) gone(ctx context.Context) error {
	keys, err := f.Store.RetireCertificates(ctx, store.Retire{
		Run: f.plan.Run, Epoch: f.plan.Epoch, Enumeration: f.plan.Enumeration, Batch: f.page,
		SeenBefore: f.goneBefore(), Limit: goneAtOnce,
	})
	if err != nil {
		return err
	}
	f.stage.Last = len(keys) < goneAtOnce
	heads, err := f.Store.HeadsOf(ctx, f.plan.Target, record.KindCertificate, keys)
	if err != nil {
		return err
	}
	links, err := f.links(ctx, keys)
	if err != nil {
		return err
	}
	for i := range heads {
		h := &heads[i]
		if h.Schedule != f.plan.Schedule || links[h.Key].SysID == "" { // never written
			continue
		}
		if err := f.retire(h); err != nil {
			return err
		}
	}
	return nil
}

// retire stages the end of one certificate: that of what is staged, or was written
// before that was filtered.
func (f *certificateFetch) retire(h *store.Record) error {
	var body *Body
	for _, raw := range [][]byte{h.Body, h.Prior} {
		if len(raw) == 0 {
			continue
		}
		b, err := f.Bodies.Decode(raw)
		if err != nil {
			return fmt.Errorf("record %s: %w", h.Key, err)
		}
		if b.Parts != nil {
			body = b
			break
		}
	}
	if body == nil {
		return nil
	}
	parts := certs.Retired(body.Parts)
	if parts == nil {
		return nil
	}
	rec := store.Staging{Key: h.Key, Kind: record.KindCertificate, Class: certs.Class, PayloadDigest: record.Digest(parts), RefreshBefore: f.refreshBefore(h.Key)}
	return f.add(rec, &Body{
		Name: body.Name, Revision: f.setup.Revision, Decision: classify.Decision{Class: certs.Class, Rule: certificateRule}, Parts: parts,
	})
}

// expiring counts what ends soon, for the result of a run of certificates.
func (l *Ledger) expiring(ctx context.Context, plan *contract.RunPlan) (*contract.Expiring, error) {
	setup, err := l.Settings.Of(ctx, plan.Revision, plan.Schedule)
	if err != nil || setup.Schedule.Kind != config.KindCertificates || plan.Sample > 0 {
		return nil, err
	}
	now := l.Now()
	in := func(days int) time.Time { return now.AddDate(0, 0, days) }
	total, n, err := l.Store.CountCertificates(ctx, plan.Schedule, []time.Time{now, in(30), in(60), in(90)})
	if err != nil {
		return nil, err
	}
	return &contract.Expiring{Total: total, Expired: n[0], In30: n[1] - n[0], In60: n[2] - n[0], In90: n[3] - n[0]}, nil
}
