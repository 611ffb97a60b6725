package activities

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/workflows/contract"
)

// The retry policy of the product on one screen.
func TestClientErrorsBecomeTemporalErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		err      error
		kind     string
		terminal bool
		after    time.Duration
		benign   bool
	}{
		{"a taken lease", fmt.Errorf("settle: %w", store.ErrStaleEpoch), contract.ErrLeaseLost, true, 0, true},
		{"a user's mistake", &UserError{Message: "no such schedule"}, contract.ErrInvalidRequest, true, 0, false},
		{"a host that is not allowed", &transport.HostNotAllowedError{Host: "x"}, contract.ErrInvalidRequest, true, 0, false},
		{"a closed endpoint", &transport.RateLimitedError{RetryAfter: time.Minute}, contract.ErrRateLimited, false, time.Minute, true},
		{"a stuck cursor", &qualys.CursorStuckError{Cursor: 7}, contract.ErrCursorStuck, true, 0, false},
		{"a stopping worker", errWorkerStopping, contract.ErrWorkerStopping, false, time.Second, true},
	} {
		var app *temporal.ApplicationError
		require.ErrorAs(t, temporalError(c.err), &app, c.name)
		require.Equal(t, c.kind, app.Type(), c.name)
		require.Equal(t, c.terminal, app.NonRetryable(), c.name)
		require.Equal(t, c.after, app.NextRetryDelay(), c.name)
		require.Equal(t, c.benign, app.Category() == temporal.ApplicationErrorCategoryBenign, c.name)
	}
}

func TestWhatIsNotAClientErrorIsLeftToTheRetryPolicy(t *testing.T) {
	t.Parallel()
	plain := errors.New("disk full")
	require.Equal(t, plain, temporalError(plain))
	require.NoError(t, temporalError(nil))
	app := temporal.NewApplicationError("kept", "Kind")
	require.Equal(t, app, temporalError(app))
}

func TestEveryVendorErrorKindHasItsPlace(t *testing.T) {
	t.Parallel()
	want := map[string]bool{contract.ErrUnauthorized: true, contract.ErrRateLimited: true, contract.ErrInvalidRequest: true, contract.ErrUnavailable: true, contract.ErrCursorStuck: true}
	f, ok := classifyError(&qualys.Error{Op: "search"})
	require.True(t, ok)
	require.True(t, want[f.kind])
	require.Equal(t, contract.ErrUnavailable, f.kind, "an error of unknown kind is retried, never dropped")
}
