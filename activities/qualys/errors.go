package qualys

import (
	"fmt"
	"time"
)

// Kind says what an error means for the caller.
type Kind string

// Kinds of errors.
const (
	KindUnauthorized   Kind = "unauthorized"    // refused even after a new token
	KindRateLimited    Kind = "rate limited"    // try again after RetryAfter
	KindUnavailable    Kind = "unavailable"     // network, 5xx, maintenance page, truncated answer
	KindInvalidRequest Kind = "invalid request" // our request is wrong, or not permitted
	KindNotFound       Kind = "not found"
	KindCursorStuck    Kind = "cursor stuck"
	// KindUnknownOutcome is of a call that changes something and got no usable
	// answer: whether it was carried out must be read before it is sent again.
	KindUnknownOutcome Kind = "unknown outcome"
)

// Error is an error of a call.
type Error struct {
	Op         string // "search assets"
	Status     int    // 0 when there was no answer
	Code       string // responseCode or error of the body
	Message    string // of the body, cut to 200 characters
	RetryAfter time.Duration
	RequestID  string
	Err        error // cause, may be nil

	kind Kind
}

// Kind returns what the error means.
func (e *Error) Kind() Kind { return e.kind }

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	s := "qualys: " + e.Op + ": "
	if e.Status != 0 {
		s += fmt.Sprintf("status %d", e.Status)
	} else {
		s += string(e.kind)
	}
	if e.Code != "" {
		s += " " + e.Code
	}
	switch {
	case e.Message != "":
		s += ": " + e.Message
	case e.Err != nil:
		s += ": " + e.Err.Error()
	}
	return s
}

// CursorStuckError says that Qualys promises more assets but its cursor does not
// move: going on would read the same page for ever.
type CursorStuckError struct{ Cursor int64 }

func (e *CursorStuckError) Error() string {
	return fmt.Sprintf("qualys: the cursor does not advance after asset %d although more assets are promised", e.Cursor)
}

// FieldError says which field of an asset cannot be understood.
type FieldError struct {
	Field string // JSON path, for example "operatingSystem"
	Want  string // what it should be
	Got   string // what it is
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("field %s: want %s, got %s", e.Field, e.Want, e.Got)
}
