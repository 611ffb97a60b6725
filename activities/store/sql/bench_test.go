package sql_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/activities/store/storetest"
	"github.com/qbridge/qbridge/domain/record"
)

func BenchmarkStagePage(b *testing.B) {
	n := 0
	f := newFixture(b)
	for b.Loop() {
		f.stage(b, n)
		n++
	}
}

func BenchmarkSettlePage(b *testing.B) {
	n := 0
	f := newFixture(b)
	for b.Loop() {
		b.StopTimer()
		page, keys, out := f.stage(b, n)
		n++
		b.StartTimer()
		require.NoError(b, storetest.Begin(context.Background(), f.s, "r", f.run.Epoch, page.ID, keys))
		require.NoError(b, f.s.Settle(context.Background(), store.Writer{Run: "r", Epoch: f.run.Epoch, Page: page.ID}, out))
	}
}

// fixture is a store with an open run whose pages have 300 records of 3 KB.
type fixture struct {
	s   store.Store
	run store.OpenedRun
}

func newFixture(b *testing.B) *fixture {
	b.Helper()
	s, err := sql.Open(context.Background(), filepath.Join(b.TempDir(), "store.db"), sql.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	o, err := s.OpenRun(context.Background(), store.OpenRun{ID: "r", WorkflowID: "w", Schedule: "s", Source: "corp", Target: "prod", Revision: "r1"})
	require.NoError(b, err)
	return &fixture{s, o}
}

// stage stages page n and returns what settles it.
func (f *fixture) stage(b *testing.B, n int) (store.Page, []string, []store.Settlement) {
	b.Helper()
	var keys []string
	var out []store.Settlement
	body := make([]byte, 3000)
	page := store.StagePage{Run: "r", Epoch: f.run.Epoch, Enumeration: f.run.Enumeration, CursorIn: int64(n), CursorOut: int64(n) + 1}
	for i := range 300 {
		key := fmt.Sprintf("corp/%d", n*300+i)
		keys = append(keys, key)
		page.Records = append(page.Records, store.Staging{Key: key, Kind: record.KindAsset, PayloadDigest: "d", Body: body})
		out = append(out, store.Settlement{Key: key, Outcome: record.Created, Digest: "d", Fresh: true, Link: &store.Link{Target: "prod", Key: key, SysID: key}})
	}
	p, err := f.s.StagePage(context.Background(), page)
	require.NoError(b, err)
	return p, keys, out
}
