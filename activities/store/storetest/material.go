package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
)

func material(t *testing.T, s store.Store) {
	o := open(t, s, input("run-1"))
	parts := func() (out []string) {
		require.NoError(t, s.Material(ctx, o.id, func(body []byte) error { out = append(out, string(body)); return nil }))
		return out
	}
	require.Empty(t, parts())
	for i, text := range []string{"a", "b", "c"} {
		require.NoError(t, s.PutMaterial(ctx, o.id, o.Epoch, int64(i), []byte(text)))
	}
	require.Equal(t, []string{"a", "b", "c"}, parts())
	require.NoError(t, s.PutMaterial(ctx, o.id, o.Epoch, 0, []byte("z")), "another attempt begins anew")
	require.Equal(t, []string{"z"}, parts())
	require.ErrorIs(t, s.PutMaterial(ctx, o.id, o.Epoch+1, 0, []byte("x")), store.ErrStaleEpoch)
	require.Equal(t, []string{"z"}, parts())
	_, err := s.CloseRun(ctx, store.CloseRun{ID: o.id, Epoch: o.Epoch, Status: store.RunCompleted})
	require.NoError(t, err)
	require.Empty(t, parts())
	require.ErrorIs(t, s.PutMaterial(ctx, o.id, o.Epoch, 0, []byte("x")), store.ErrStaleEpoch)
}
