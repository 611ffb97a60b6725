package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/qbridge/qbridge/activities/store"
)

// PutAccount implements store.Accounts.
func (s *Store) PutAccount(ctx context.Context, a store.Account) error {
	roles, err := json.Marshal(a.Roles)
	if err != nil {
		return err
	}
	return s.inTx(ctx, "put account", func(t *tx) error {
		if _, err := t.exec(ctx, `INSERT INTO accounts (name, password, roles, changed_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET password = excluded.password, roles = excluded.roles, changed_at = excluded.changed_at`,
			a.Name, a.Password, string(roles), t.now); err != nil {
			return err
		}
		_, err := t.exec(ctx, "DELETE FROM sessions WHERE name = ? AND how = 'local'", a.Name)
		return err
	})
}

// AccountByName implements store.Accounts.
func (s *Store) AccountByName(ctx context.Context, name string) (store.Account, error) {
	a := store.Account{Name: name}
	var roles string
	var changed int64
	err := s.read.QueryRowContext(ctx, s.dialect.rebind("SELECT password, roles, changed_at FROM accounts WHERE name = ?"), clean(name)).Scan(&a.Password, &roles, &changed)
	if err == nil {
		err = json.Unmarshal([]byte(roles), &a.Roles)
	}
	a.ChangedAt = instant(changed)
	return a, wrap("account", found(err))
}

// CountAccounts implements store.Accounts.
func (s *Store) CountAccounts(ctx context.Context) (int64, error) {
	var n int64
	err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM accounts").Scan(&n)
	return n, wrap("accounts", err)
}

// PutSession implements store.Accounts.
func (s *Store) PutSession(ctx context.Context, in store.Session, unseen time.Time) error {
	roles, err := json.Marshal(in.Roles)
	if err != nil {
		return err
	}
	return s.inTx(ctx, "put session", func(t *tx) error {
		if _, err := t.exec(ctx, "DELETE FROM sessions WHERE seen_at < ?", micros(unseen)); err != nil {
			return err
		}
		_, err := t.exec(ctx, "INSERT INTO sessions (digest, name, how, roles, csrf, started_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			in.Digest, in.Name, in.How, string(roles), in.CSRF, micros(in.StartedAt), micros(in.SeenAt))
		return err
	})
}

// SessionByDigest implements store.Accounts.
func (s *Store) SessionByDigest(ctx context.Context, digest string) (store.Session, error) {
	out := store.Session{Digest: digest}
	var roles string
	var started, seen int64
	err := s.read.QueryRowContext(ctx, s.dialect.rebind("SELECT name, how, roles, csrf, started_at, seen_at FROM sessions WHERE digest = ?"), digest).
		Scan(&out.Name, &out.How, &roles, &out.CSRF, &started, &seen)
	if err == nil {
		err = json.Unmarshal([]byte(roles), &out.Roles)
	}
	out.StartedAt, out.SeenAt = instant(started), instant(seen)
	return out, wrap("session", found(err))
}

// TouchSession implements store.Accounts.
func (s *Store) TouchSession(ctx context.Context, digest string, at time.Time) error {
	return s.inTx(ctx, "touch session", func(t *tx) error {
		_, err := t.exec(ctx, "UPDATE sessions SET seen_at = ? WHERE digest = ? AND seen_at < ?", micros(at), digest, micros(at))
		return err
	})
}

// DropSession implements store.Accounts.
func (s *Store) DropSession(ctx context.Context, digest string) error {
	return s.inTx(ctx, "drop session", func(t *tx) error {
		_, err := t.exec(ctx, "DELETE FROM sessions WHERE digest = ?", digest)
		return err
	})
}

// Vouch implements store.Accounts.
func (s *Store) Vouch(ctx context.Context, decision string, v store.Voucher) error {
	return s.inTx(ctx, "vouch", func(t *tx) error {
		_, err := t.exec(ctx, "INSERT INTO vouchers (decision, name, how) VALUES (?, ?, ?)", decision, v.Name, v.How)
		return err
	})
}

// VoucherOf implements store.Accounts.
func (s *Store) VoucherOf(ctx context.Context, decision string) (store.Voucher, error) {
	var v store.Voucher
	err := s.read.QueryRowContext(ctx, s.dialect.rebind("SELECT name, how FROM vouchers WHERE decision = ?"), clean(decision)).Scan(&v.Name, &v.How)
	return v, wrap("voucher", found(err))
}

// found turns the answer of an empty query into the store's own.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}
