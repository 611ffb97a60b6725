package activities

import (
	"context"
	"errors"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Vendors hands out API clients for the connections of a revision. Clients are
// shared: token, pacing and limits of a connection live in one place.
type Vendors interface {
	Qualys(ctx context.Context, revision, connection string) (*Source, error)
	ServiceNow(ctx context.Context, revision, connection string) (*Target, error)
	// CheckQualys and CheckServiceNow test a connection that need not be stored
	// yet and return one line per capability. Classes are those that CIs may get.
	CheckQualys(ctx context.Context, q config.Qualys) []contract.Check
	CheckServiceNow(ctx context.Context, s config.ServiceNow, classes []string) []contract.Check
}

// Source is one Qualys connection.
type Source struct {
	Name   string
	Client *qualys.Client
}

// Target is one ServiceNow connection.
type Target struct {
	Name   string
	Config config.ServiceNow
	Client *servicenow.Client
	// Shared serialises what must not be written twice at the same time: shared
	// items and reference rows. All revisions of a connection have the same one.
	Shared *Lock
}

// Lock is a mutex whose waiters give up when their context ends.
type Lock struct{ held chan struct{} }

// NewLock returns a free lock.
func NewLock() *Lock { return &Lock{held: make(chan struct{}, 1)} }

// Lock takes the lock, or returns the reason why ctx ended.
func (l *Lock) Lock(ctx context.Context) error {
	select {
	case l.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unlock frees the lock; the caller holds it.
func (l *Lock) Unlock() { <-l.held }

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
