package asset_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
)

func TestRolesNameThePrimaryOfEachMachine(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	scan := asset.Identity{ID: 1, Name: "a", Serial: "S1", MACs: []string{"02:00:00:00:00:01"}, Modified: day.AddDate(0, 0, 2)}
	agent := asset.Identity{ID: 2, Name: "a", Serial: "s1", MACs: []string{"02:00:00:00:00:01"}, Agent: true, Modified: day}
	newer := asset.Identity{ID: 9, Name: "b", Serial: "S2", Modified: day.AddDate(0, 0, 1)}
	older := asset.Identity{ID: 8, Name: "b", Serial: "S2", Modified: day}
	twin := asset.Identity{ID: 3, Name: "A", Serial: "S3", MACs: []string{"02:00:00:00:00:03"}}
	for _, c := range []struct {
		name        string
		page, known []asset.Identity
		want        map[int64]int64
		shared      []string
	}{
		{"an agent comes before a newer scan", []asset.Identity{scan, agent}, nil, map[int64]int64{1: 2}, nil},
		{"what is known counts", []asset.Identity{scan}, []asset.Identity{agent}, map[int64]int64{1: 2}, nil},
		{"what is known is not told about", []asset.Identity{agent}, []asset.Identity{scan}, map[int64]int64{}, nil},
		{"the newest of equals", []asset.Identity{older, newer}, nil, map[int64]int64{8: 9}, nil},
		{"the page says what an asset is now", []asset.Identity{{ID: 2, Name: "x", Serial: "S9"}, scan}, []asset.Identity{agent}, map[int64]int64{}, nil},
		{"a name of two machines", []asset.Identity{scan, twin}, nil, map[int64]int64{}, []string{"a"}},
		{"a name of one machine twice", []asset.Identity{scan, agent}, nil, map[int64]int64{1: 2}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := asset.RolesOf(c.page, c.known)
			require.Empty(t, cmp.Diff(c.want, got.Primary))
			for _, n := range c.shared {
				require.True(t, got.SharesName(n))
			}
			require.Len(t, got.Shared, len(c.shared))
		})
	}
}
