package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
)

func drafts(t *testing.T, s store.Store) {
	o := open(t, s, input("run-1"))
	draft := func(name string, part int64) string {
		body, err := s.Draft(ctx, o.id, name, part)
		if err != nil {
			require.ErrorIs(t, err, store.ErrNotFound)
			return "none"
		}
		return string(body)
	}
	require.Equal(t, "none", draft("cis", 0))
	require.NoError(t, s.PutDraft(ctx, o.id, o.Epoch, "cis", 0, []byte("a")))
	require.NoError(t, s.PutDraft(ctx, o.id, o.Epoch, "cis", 1, []byte("b")))
	require.NoError(t, s.PutDraft(ctx, o.id, o.Epoch, "assets", 0, []byte("c")))
	require.Equal(t, []string{"a", "b", "none", "c"}, []string{draft("cis", 0), draft("cis", 1), draft("cis", 2), draft("assets", 0)})
	require.NoError(t, s.PutDraft(ctx, o.id, o.Epoch, "cis", 1, []byte("z")), "another attempt")
	require.Equal(t, "z", draft("cis", 1))
	require.ErrorIs(t, s.PutDraft(ctx, o.id, o.Epoch+1, "cis", 0, []byte("x")), store.ErrStaleEpoch)
	require.Equal(t, "a", draft("cis", 0))
	_, err := s.CloseRun(ctx, store.CloseRun{ID: o.id, Epoch: o.Epoch, Status: store.RunCompleted})
	require.NoError(t, err)
	require.Equal(t, "none", draft("cis", 0), "they go with the run")
	require.ErrorIs(t, s.PutDraft(ctx, o.id, o.Epoch, "cis", 0, []byte("x")), store.ErrStaleEpoch)
}
