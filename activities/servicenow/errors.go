package servicenow

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// Kind says what an error means for the caller.
type Kind string

// Kinds of errors.
const (
	KindUnauthorized   Kind = "unauthorized"    // refused even with a new token
	KindForbidden      Kind = "forbidden"       // a role or scope is missing
	KindRateLimited    Kind = "rate limited"    // nothing was done; try again after RetryAfter
	KindUnavailable    Kind = "unavailable"     // nothing was done: network, maintenance, hibernation
	KindUnknownOutcome Kind = "unknown outcome" // a write may have happened: time-out, 5xx, 202
	KindTooLarge       Kind = "too large"       // the body is over the instance's limit
	KindInvalidRequest Kind = "invalid request" // the same call will be refused again
)

// Codes of errors that the instance itself does not name. They are stable: a
// caller may decide by them.
const (
	// CodeCancelled: a transaction quota ended the call ("maximum execution time
	// exceeded"). Some items may be committed. The same payload will meet the same
	// quota again, a smaller one may not.
	CodeCancelled   = "transaction cancelled"
	CodeQueued      = "queued"      // 202: the session's queue was full and the call dropped
	CodeHibernating = "hibernating" // a developer instance sleeps
	CodeNotJSON     = "not json"    // a login or maintenance page, or a proxy's answer
	CodeRedirect    = "redirect"
	CodeEmpty       = "empty answer"
	CodeTruncated   = "truncated answer" // or not of the documented shape
	CodeAnswerSize  = "answer too large"
	CodeTimeout     = "timeout"
	CodeNetwork     = "network"
)

// Error is an error of a call. Its text holds neither credentials nor tokens,
// whatever the instance or a proxy reflected.
type Error struct {
	Op            string // "identify and reconcile"
	Status        int    // 0 when there was no answer
	Code          string // one of the codes, or ""
	Message       string // of the body, cut to 300 characters
	Detail        string
	TransactionID string        // to be quoted to whoever runs the instance
	RetryAfter    time.Duration // 0 when the instance named none

	kind  Kind
	cause error
}

// Kind returns what the error means.
func (e *Error) Kind() Kind { return e.kind }

// Unwrap returns the error below, when there is one whose text is safe.
func (e *Error) Unwrap() error { return e.cause }

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

// invalid is the error of a request that was not sent because it cannot be right.
func invalid(op, format string, args ...any) *Error {
	return &Error{Op: op, Message: fmt.Sprintf(format, args...), kind: KindInvalidRequest}
}

// kindOf classifies an answer that is not a success.
//
// Table API and REST response codes; what is not documented there was observed
// on instances: 202 without a body when a session's queue overflows, and 500 for
// an "options" string or a body that the parser refuses.
func kindOf(r request, status int, text string) (Kind, string) {
	text = strings.ToLower(text)
	if strings.Contains(text, "transaction cancelled") || strings.Contains(text, "maximum execution time") {
		return r.unknown(), CodeCancelled
	}
	switch {
	case status == http.StatusUnauthorized && strings.Contains(text, "unscoped api"):
		return KindForbidden, "" // the token is good, its client may not use this API
	case status == http.StatusUnauthorized:
		return KindUnauthorized, ""
	case status == http.StatusForbidden:
		return KindForbidden, ""
	case status == http.StatusTooManyRequests:
		return KindRateLimited, ""
	case status == http.StatusRequestEntityTooLarge, status == http.StatusRequestURITooLong, status == http.StatusBadRequest && namesLimit(text):
		return KindTooLarge, ""
	case status == http.StatusInternalServerError && namesParser(text):
		return KindInvalidRequest, ""
	case status == http.StatusTooEarly:
		return KindUnavailable, ""
	case status == http.StatusAccepted:
		return r.unknown(), CodeQueued
	case status >= 300 && status < 400:
		return KindUnavailable, CodeRedirect // nobody processes a call that he redirects
	case status >= 500, status < 400, status == http.StatusRequestTimeout:
		return r.unknown(), ""
	default:
		return KindInvalidRequest, ""
	}
}

// namesLimit reports whether a refusal with status 400 is about the size of the
// body (glide.rest.max_content_length). The exact text is not documented.
func namesLimit(text string) bool {
	for _, s := range []string{"content length", "content_length", "content size", "request size", "too large", "payload size"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// namesParser reports whether a status 500 comes from a parser: the same request
// will never be read.
func namesParser(text string) bool {
	return strings.Contains(text, "cannot deserialize") || strings.Contains(text, "is not a valid entry") || strings.Contains(text, "exception while reading request")
}

// maxMessage bounds what is kept of a text in an error, in characters.
const maxMessage = 300

// cut makes a text one line of at most n characters.
func cut(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if len(s) > n && utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n]) + "…"
	}
	return s
}
