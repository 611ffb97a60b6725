package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
)

func accounts() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"an account is replaced and its sessions end":     accountReplaced,
		"a session is found by its digest until it ends":  sessions,
		"a decision is vouched for once, by one person":   vouchers,
		"nobody is found in a store that nobody uses yet": nobody,
	}
}

func nobody(t *testing.T, s store.Store) {
	n, err := s.CountAccounts(ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	_, err = s.AccountByName(ctx, "ann")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.SessionByDigest(ctx, "d")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.VoucherOf(ctx, "d")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func accountReplaced(t *testing.T, s store.Store) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, s.PutAccount(ctx, store.Account{Name: "ann", Password: "one", Roles: []string{"viewer"}}))
	require.NoError(t, s.PutSession(ctx, store.Session{Digest: "local", Name: "ann", How: "local", StartedAt: at, SeenAt: at}, time.Time{}))
	require.NoError(t, s.PutSession(ctx, store.Session{Digest: "other", Name: "ann", How: "oidc", StartedAt: at, SeenAt: at}, time.Time{}))
	require.NoError(t, s.PutAccount(ctx, store.Account{Name: "ann", Password: "two", Roles: []string{"operator", "approver"}}))
	a, err := s.AccountByName(ctx, "ann")
	require.NoError(t, err)
	require.Equal(t, "two", a.Password)
	require.Equal(t, []string{"operator", "approver"}, a.Roles)
	require.False(t, a.ChangedAt.IsZero())
	n, err := s.CountAccounts(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	_, err = s.SessionByDigest(ctx, "local")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.SessionByDigest(ctx, "other")
	require.NoError(t, err, "whoever signed in elsewhere has another password")
}

func sessions(t *testing.T, s store.Store) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	in := store.Session{Digest: "d", Name: "ann", How: "oidc", Roles: []string{"viewer"}, CSRF: "c", StartedAt: at, SeenAt: at}
	require.NoError(t, s.PutSession(ctx, in, at.Add(-time.Hour)))
	require.Error(t, s.PutSession(ctx, in, at.Add(-time.Hour)), "a digest is taken once")
	require.NoError(t, s.TouchSession(ctx, "d", at.Add(time.Minute)))
	require.NoError(t, s.TouchSession(ctx, "d", at)) // a slower worker
	got, err := s.SessionByDigest(ctx, "d")
	require.NoError(t, err)
	in.SeenAt = at.Add(time.Minute)
	require.Equal(t, in, got)
	other := in
	other.Digest = "e"
	require.NoError(t, s.PutSession(ctx, other, at.Add(2*time.Minute)))
	_, err = s.SessionByDigest(ctx, "d")
	require.ErrorIs(t, err, store.ErrNotFound, "it was not seen for too long")
	require.NoError(t, s.DropSession(ctx, "e"))
	require.NoError(t, s.DropSession(ctx, "e"))
	_, err = s.SessionByDigest(ctx, "e")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func vouchers(t *testing.T, s store.Store) {
	require.NoError(t, s.Vouch(ctx, "d1", store.Voucher{Name: "ann", How: "oidc"}))
	require.Error(t, s.Vouch(ctx, "d1", store.Voucher{Name: "bob", How: "oidc"}))
	v, err := s.VoucherOf(ctx, "d1")
	require.NoError(t, err)
	require.Equal(t, store.Voucher{Name: "ann", How: "oidc"}, v)
}
