//go:build faults

package faults

import (
	"context"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// gatedStore is the store as one process sees it: a killed process reaches it no
// more, a frozen one later. A transaction happens or not; its answer may be lost.
type gatedStore struct {
	store.Store
	p *process
}

// gated runs one call of a process.
func gated[T any](s *gatedStore, call func() (T, error)) (T, error) {
	var none T
	if err := s.p.alive(); err != nil {
		return none, err
	}
	out, err := call()
	if dead := s.p.alive(); dead != nil {
		return none, dead
	}
	return out, err
}

func gatedErr(s *gatedStore, call func() error) error {
	_, err := gated(s, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (s *gatedStore) OpenRun(ctx context.Context, in store.OpenRun) (store.OpenedRun, error) {
	return gated(s, func() (store.OpenedRun, error) { return s.p.bug.openRun(ctx, s, in) })
}

func (s *gatedStore) Widen(ctx context.Context, run string, epoch int64) (store.OpenedRun, error) {
	return gated(s, func() (store.OpenedRun, error) { return s.p.bug.widen(ctx, s, run, epoch) })
}

func (s *gatedStore) CloseRun(ctx context.Context, in store.CloseRun) (store.Run, error) {
	return gated(s, func() (store.Run, error) { return s.Store.CloseRun(ctx, s.p.bug.closeRun(in)) })
}

func (s *gatedStore) FindPage(ctx context.Context, run string, epoch, enumeration, cursor int64) (store.Page, error) {
	return gated(s, func() (store.Page, error) {
		if s.p.bug == AdoptionOff {
			return store.Page{}, store.ErrNotFound
		}
		return s.Store.FindPage(ctx, run, epoch, enumeration, cursor)
	})
}

func (s *gatedStore) StagePage(ctx context.Context, in store.StagePage) (store.Page, error) {
	return gated(s, func() (store.Page, error) { return s.Store.StagePage(ctx, s.p.bug.stagePage(s.p.w, in)) })
}

func (s *gatedStore) ClaimFailed(ctx context.Context, run string, epoch int64, limit int) (store.Page, error) {
	return gated(s, func() (store.Page, error) {
		if s.p.bug == FailedForgotten {
			return store.Page{}, store.ErrNotFound
		}
		return s.Store.ClaimFailed(ctx, run, epoch, limit)
	})
}

func (s *gatedStore) Staged(ctx context.Context, run string, page int64) ([]store.Record, error) {
	return gated(s, func() ([]store.Record, error) { return s.Store.Staged(ctx, run, page) })
}

func (s *gatedStore) TakePage(ctx context.Context, w store.Writer) error {
	return gatedErr(s, func() error { return s.Store.TakePage(ctx, w) })
}

func (s *gatedStore) BeginPayload(ctx context.Context, w store.Writer, keys []string) (map[string]string, error) {
	return gated(s, func() (map[string]string, error) { return s.p.bug.beginPayload(ctx, s, w, keys) })
}

func (s *gatedStore) Settle(ctx context.Context, w store.Writer, out []store.Settlement) error {
	return gatedErr(s, func() error { return s.Store.Settle(ctx, w, s.p.bug.settle(ctx, s, out)) })
}

func (s *gatedStore) FinishPage(ctx context.Context, run string, epoch, page int64) (record.Counters, error) {
	return gated(s, func() (record.Counters, error) { return s.Store.FinishPage(ctx, run, epoch, page) })
}

func (s *gatedStore) LinksOf(ctx context.Context, target string, keys []string) (map[string]store.Link, error) {
	return gated(s, func() (map[string]store.Link, error) { return s.Store.LinksOf(ctx, target, keys) })
}

func (s *gatedStore) PutLinks(ctx context.Context, links []store.Link) error {
	return gatedErr(s, func() error { return s.Store.PutLinks(ctx, links) })
}

func (s *gatedStore) DropLinks(ctx context.Context, target string, keys []string) error {
	return gatedErr(s, func() error {
		if s.p.bug == LostCIsIgnored {
			return nil
		}
		return s.Store.DropLinks(ctx, target, keys)
	})
}

func (s *gatedStore) SampleLinks(ctx context.Context, schedule string, n int) ([]store.Link, error) {
	return gated(s, func() ([]store.Link, error) {
		if s.p.bug == LostCIsIgnored {
			return nil, nil
		}
		return s.Store.SampleLinks(ctx, schedule, n)
	})
}

func (s *gatedStore) CachedReferences(ctx context.Context, target, table string, names []string) (map[string]store.Reference, error) {
	return gated(s, func() (map[string]store.Reference, error) {
		return s.Store.CachedReferences(ctx, target, table, names)
	})
}

func (s *gatedStore) PutReferences(ctx context.Context, target string, refs []store.Reference) error {
	return gatedErr(s, func() error { return s.Store.PutReferences(ctx, target, refs) })
}
