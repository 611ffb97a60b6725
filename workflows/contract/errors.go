package contract

// Types of application errors that cross the line between activities and
// workflows. They are part of the wire contract.
const (
	ErrRateLimited    = "RateLimited"    // retried at the vendor's time, benign
	ErrUnavailable    = "Unavailable"    // retried with backoff
	ErrUnauthorized   = "Unauthorized"   // the run fails
	ErrInvalidRequest = "InvalidRequest" // the run fails: our request or configuration is wrong
	ErrCursorStuck    = "CursorStuck"    // the run fails: the vendor's cursor does not advance
	ErrLeaseLost      = "LeaseLost"      // a newer run took over
	ErrNoPoller       = "NoPoller"       // nobody polls a connection's queue
	ErrTooManyFailed  = "TooManyFailed"  // the failure ratio is over the threshold
	ErrWorkerStopping = "WorkerStopping" // the worker shuts down; retried elsewhere
)

// TerminalErrors are the types that no retry mends.
func TerminalErrors() []string {
	return []string{ErrUnauthorized, ErrInvalidRequest, ErrCursorStuck, ErrLeaseLost, ErrNoPoller, ErrTooManyFailed}
}
