package servicenow

import (
	"fmt"
	"time"
)

// Kind says what an error means for the caller.
type Kind string

// Kinds of errors.
const (
	KindUnauthorized   Kind = "unauthorized"    // refused even with a new token
	KindForbidden      Kind = "forbidden"       // a role is missing
	KindRateLimited    Kind = "rate limited"    // try again after RetryAfter
	KindUnavailable    Kind = "unavailable"     // nothing was done: network, maintenance, hibernation
	KindUnknownOutcome Kind = "unknown outcome" // a write may have happened: time-out, 5xx, 202
	KindTooLarge       Kind = "too large"       // the body is over the instance's limit
	KindInvalidRequest Kind = "invalid request"
)

// Error is an error of a call.
type Error struct {
	Op         string // "identify and reconcile"
	Status     int    // 0 when there was no answer
	Message    string // of the body, cut to 200 characters
	Detail     string
	RetryAfter time.Duration

	kind Kind
}

// Kind returns what the error means.
func (e *Error) Kind() Kind { return e.kind }

func (e *Error) Error() string {
	s := "servicenow: " + e.Op + ": "
	if e.Status != 0 {
		s += fmt.Sprintf("status %d", e.Status)
	} else {
		s += string(e.kind)
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Detail != "" && e.Detail != e.Message {
		s += " (" + e.Detail + ")"
	}
	return s
}
