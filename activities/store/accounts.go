package store

import (
	"context"
	"time"
)

// Account is somebody who signs in with a password.
type Account struct {
	Name      string
	Password  string // hash
	Roles     []string
	ChangedAt time.Time
}

// Session is a signed-in browser. Only a digest of what its cookie holds is kept.
type Session struct {
	Digest    string
	Name      string
	How       string // local | oidc
	Roles     []string
	CSRF      string // what its forms must bring back
	StartedAt time.Time
	SeenAt    time.Time
}

// Voucher says that whoever made a decision was signed in.
type Voucher struct {
	Name string
	How  string // local | oidc | token
}

// Accounts keeps who may use the console.
type Accounts interface {
	// PutAccount stores an account, or replaces it, and ends its sessions.
	PutAccount(ctx context.Context, a Account) error
	// AccountByName returns an account or ErrNotFound.
	AccountByName(ctx context.Context, name string) (Account, error)
	// CountAccounts counts them.
	CountAccounts(ctx context.Context) (int64, error)
	// PutSession stores a new session and removes those that were not seen since
	// an instant.
	PutSession(ctx context.Context, s Session, unseen time.Time) error
	// SessionByDigest returns a session or ErrNotFound.
	SessionByDigest(ctx context.Context, digest string) (Session, error)
	// TouchSession moves the instant at which a session was seen.
	TouchSession(ctx context.Context, digest string, at time.Time) error
	DropSession(ctx context.Context, digest string) error
	// Vouch says, before a decision is made, who was signed in when making it. The
	// id of the decision is a secret until then.
	Vouch(ctx context.Context, decision string, v Voucher) error
	// VoucherOf returns what was said about a decision, or ErrNotFound.
	VoucherOf(ctx context.Context, decision string) (Voucher, error)
}
