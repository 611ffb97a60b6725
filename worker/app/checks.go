package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Bounds of the test of one connection, and of one thing that it asks beside
// what runs need.
const (
	checkTimeout  = 20 * time.Second
	surveyTimeout = 90 * time.Second // below the time-out of the activity
	askTimeout    = 15 * time.Second
)

// clockTolerance is how far a vendor's clock may be from ours.
const clockTolerance = 5 * time.Minute

// Capabilities of both vendors, as shown.
const (
	canReach  = "reach"
	canLogIn  = "log in"
	hasClock  = "clock"
	hasLimits = "limits"
)

// blocksAll is what a connection blocks that cannot be used at all.
const blocksAll = "every run of this connection"

// timeFor returns the bound of a test.
func timeFor(survey bool) time.Duration {
	if survey {
		return surveyTimeout
	}
	return checkTimeout
}

// checklist collects the lines of one connection.
type checklist struct {
	connection string
	lines      []contract.Check
}

func (c *checklist) add(ch contract.Check) {
	ch.Connection = c.connection
	c.lines = append(c.lines, ch)
}

func (c *checklist) ok(capability, message string) {
	c.add(contract.Check{Capability: capability, OK: true, Message: message})
}

// okAnd adds a line about something in order that could be better.
func (c *checklist) okAnd(capability, message, proposal string) {
	c.add(contract.Check{Capability: capability, OK: true, Message: message, Remedy: proposal})
}

// warn adds a line about something that concerns some assets or values only.
func (c *checklist) warn(capability, message, blocks, remedy string) {
	c.add(contract.Check{Capability: capability, Warning: true, Message: message, Blocks: blocks, Remedy: remedy})
}

// unknown adds a line about something that the account may not read, or that
// could not be asked now; remedy names the missing right.
func (c *checklist) unknown(capability, message, blocks, remedy string) {
	c.add(contract.Check{Capability: capability, Warning: true, Unknown: true, Message: message, Blocks: blocks, Remedy: remedy})
}

// unused adds a line about something that is missing and not needed.
func (c *checklist) unused(capability, message, blocks, remedy string) {
	c.add(contract.Check{Capability: capability, Warning: true, Unused: true, Message: message, Blocks: blocks, Remedy: remedy})
}

func (c *checklist) fail(capability string, err error, blocks, remedy string) []contract.Check {
	c.add(contract.Check{Capability: capability, Message: err.Error(), Blocks: blocks, Remedy: remedy, Transient: transient(err)})
	return c.lines
}

// clock compares a vendor's clock with ours.
func (c *checklist) clock(theirs time.Time) {
	if theirs.IsZero() {
		return // some gateways send no date
	}
	off := time.Since(theirs).Round(time.Second)
	if off.Abs() <= clockTolerance {
		c.ok(hasClock, "within "+clockTolerance.String())
		return
	}
	c.warn(hasClock, fmt.Sprintf("the worker's clock and theirs differ by %s", off.Abs()), "tokens, waits and incremental runs that depend on the time",
		"set the clock of the worker's machine (NTP)")
}

// limits says which limits the last answer named.
func (c *checklist) limits(l transport.Limits) {
	var text string
	if l.Limit > 0 {
		text = fmt.Sprintf("%d calls", l.Limit)
		if l.Window > 0 {
			text += " in " + l.Window.String()
		}
		if l.Remaining >= 0 {
			text += fmt.Sprintf(", %d left", l.Remaining)
		}
	}
	if l.Concurrency > 0 {
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf("%d at a time", l.Concurrency)
	}
	if text == "" {
		text = "none named in the answers"
	}
	c.ok(hasLimits, text)
}

// unreached adds the line of a vendor that was not reached.
func (c *checklist) unreached(err error) []contract.Check {
	var host *transport.HostNotAllowedError
	if errors.As(err, &host) {
		return c.fail(canReach, err, blocksAll, "add the host to QBRIDGE_ALLOWED_HOSTS of the worker")
	}
	return c.fail(canReach, err, blocksAll, "check the address, the network, the certificate and the proxy from the worker's machine")
}

// transient reports whether an error may pass by itself.
func transient(err error) bool {
	var limited *transport.RateLimitedError
	var host *transport.HostNotAllowedError
	var q *qualys.Error
	var s *servicenow.Error
	switch {
	case errors.As(err, &host):
		return false
	case errors.As(err, &limited), errors.As(err, &q) && q.Kind() == qualys.KindRateLimited, errors.As(err, &s) && s.Kind() == servicenow.KindRateLimited:
		return true
	default:
		return unreachable(err)
	}
}

// unreachable reports whether an error means that nobody was reached.
func unreachable(err error) bool {
	var q *qualys.Error
	var s *servicenow.Error
	var host *transport.HostNotAllowedError
	switch {
	case errors.As(err, &host):
		return true
	case errors.As(err, &q):
		return q.Kind() == qualys.KindUnavailable
	case errors.As(err, &s):
		return s.Kind() == servicenow.KindUnavailable || s.Kind() == servicenow.KindUnknownOutcome
	default:
		return false
	}
}
