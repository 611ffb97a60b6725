package payload

import (
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
)

// IRE operations.
const (
	OpInsert             = "INSERT"
	OpUpdate             = "UPDATE"
	OpNoChange           = "NO_CHANGE"
	OpUpdateUpgrade      = "UPDATE_WITH_UPGRADE"
	OpUpdateDowngrade    = "UPDATE_WITH_DOWNGRADE"
	OpUpdateSwitch       = "UPDATE_WITH_SWITCH"
	OpInsertAsPartial    = "INSERT_AS_PARTIAL"
	OpInsertAsIncomplete = "INSERT_AS_INCOMPLETE"
)

// lockTimeout is the one item error that is worth another try at once.
const lockTimeout = "LOCK_TIMEOUT"

// Locked reports whether an error passes by itself: a lock of the target was not
// to be had.
func Locked(m Message) bool { return m.Code == lockTimeout }

// abandoned is the code of items that failed because another one did.
const abandoned = "ABANDONED"

// Result is the outcome of one record of a payload.
type Result struct {
	Owner   string
	Outcome record.Outcome
	Reason  string
	Class   string
	SysID   string // of the main CI; empty when it failed
	// Inserted says that the main CI did not exist before this write. It is kept
	// when the record failed for another reason (an adapter, say): the CI named by
	// Main.SysID is ours although the record is not complete.
	Inserted bool
	// Recovered says that an earlier attempt had written it already.
	Recovered bool
	// Retry says that the failure passes by itself (LOCK_TIMEOUT).
	Retry bool
	Main  ItemAnswer
}

// Attribute turns the answer to a payload into one result per record. prior
// holds the records whose intent from an earlier attempt was never answered;
// linked those that the store had a link for.
//
// The main CI decides. An error on any item of a record, a partial or incomplete
// item, or an item that the answer does not mention makes the record failed: a
// failed record keeps no digest and is written again.
func Attribute(p *Payload, a *Answer, prior, linked map[string]bool) []Result {
	byOwner := map[string]*Result{}
	var order []*Result
	changed, wanted := map[string]bool{}, map[string]string{} // class that the rules chose
	for i := range p.Items {
		it := &p.Items[i]
		if it.Owner == "" {
			continue
		}
		r := byOwner[it.Owner]
		if r == nil {
			r = &Result{Owner: it.Owner}
			byOwner[it.Owner] = r
			order = append(order, r)
		}
		var ans ItemAnswer
		if i < len(a.Items) {
			ans = a.Items[i]
		}
		if it.Role == RoleMain {
			r.Main, r.Class, r.SysID, wanted[it.Owner] = ans, orElse(ans.Class, it.Class), ans.SysID, it.Class
		}
		changed[it.Owner] = changed[it.Owner] || changes(ans.Operation) || ans.RelatedChanged
		if code, text := failure(&ans); code != "" {
			r.fail(code, describe(it, code, text))
		}
	}
	sharedErrors(p, a, byOwner)
	for i, rel := range p.Relations {
		r := byOwner[rel.Owner]
		if r == nil || i >= len(a.Relations) {
			continue
		}
		ra := &a.Relations[i]
		changed[rel.Owner] = changed[rel.Owner] || changes(ra.Operation)
		if code, text := trouble(ra.Operation, ra.Errors, ra.Warnings); code != "" {
			r.fail(code, "relation "+rel.Type+": "+text)
		}
	}
	out := make([]Result, 0, len(order))
	for _, r := range order {
		r.settle(wanted[r.Owner], changed[r.Owner], prior[r.Owner], linked[r.Owner])
		out = append(out, *r)
	}
	return out
}

// sharedErrors fails the records that depend on a shared item with an error.
func sharedErrors(p *Payload, a *Answer, byOwner map[string]*Result) {
	for _, rel := range p.Relations {
		for _, end := range []int{rel.Parent, rel.Child} {
			it := &p.Items[end]
			if it.Role != RoleShared || end >= len(a.Items) {
				continue
			}
			if code, text := failure(&a.Items[end]); code != "" && byOwner[rel.Owner] != nil {
				byOwner[rel.Owner].fail(code, describe(it, code, text))
			}
		}
	}
}

// fail keeps the first root cause: ABANDONED only says that something else failed.
// With a lock on any of its items a record is tried again, whatever else failed:
// that may be for want of the item that was locked.
func (r *Result) fail(code, reason string) {
	r.Retry = r.Retry || code == lockTimeout
	if r.Outcome == record.Failed && (code == abandoned || !strings.Contains(r.Reason, abandoned)) {
		return
	}
	r.Outcome, r.Reason = record.Failed, reason
}

// settle names the outcome of a record without errors.
func (r *Result) settle(wanted string, changed, prior, linked bool) {
	r.Inserted = r.Main.Operation == OpInsert && len(r.Main.Errors) == 0 && r.Main.SysID != ""
	if r.Outcome != record.Failed && r.SysID == "" {
		r.fail("no sys_id", "the answer names no sys_id")
	}
	if r.Outcome == record.Failed {
		r.SysID = ""
		return
	}
	prior = prior && !r.Main.matchedByRule()
	switch {
	case r.Inserted:
		r.Outcome = record.Created
	case prior && !linked:
		r.Outcome, r.Inserted, r.Recovered = record.Created, true, true
	case prior:
		r.Outcome, r.Recovered = record.Updated, true
	case changed:
		r.Outcome = record.Updated
	default:
		r.Outcome = record.Unchanged
	}
	for _, info := range r.Main.Info {
		if kind, ok := strings.CutPrefix(info.Code, "SKIPPED_CLASS_"); ok {
			r.Reason = "class kept: " + strings.ToLower(kind) + " from " + r.Class + " to " + wanted + lost(r.Class, wanted)
		}
	}
}

// lost names the columns that a CI would lose with its class.
func lost(from, to string) string {
	var out []string
	kept := cmdb.Columns(to)
	for _, c := range cmdb.Columns(from) {
		if !slices.Contains(kept, c) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return " is not allowed"
	}
	const most = 8
	more := ""
	if len(out) > most {
		out, more = out[:most], " …"
	}
	return " is not allowed, it would lose " + strings.Join(out, ", ") + more
}

// matchedByRule reports whether IRE found the CI by an identification rule and
// not by our source key: then no earlier attempt of ours had written it.
func (a *ItemAnswer) matchedByRule() bool {
	return slices.ContainsFunc(a.Attempts, func(t Attempt) bool { return t.Identifier != "" && t.Result == "MATCHED" })
}

// failure returns the error of an item's answer, or "".
func failure(a *ItemAnswer) (code, text string) {
	if code, text = trouble(a.Operation, a.Errors, a.Warnings); code == "" && a.Operation == "" {
		return "no answer", "no answer for this item"
	}
	return code, text
}

// Silent reports whether an answer says nothing about an item that was sent: it was
// damaged on its way, or is no answer to this payload.
func (a *Answer) Silent(p *Payload) bool {
	if len(a.Items) < len(p.Items) {
		return true
	}
	return slices.ContainsFunc(a.Items[:len(p.Items)], func(it ItemAnswer) bool {
		return it.Operation == "" && len(it.Errors) == 0 && len(it.Warnings) == 0
	})
}

// trouble returns the error of an answer to an item or relation, or "". What IRE
// parks as partial or incomplete is not written, and its reason is a warning.
func trouble(op string, errors, warnings []Message) (code, text string) {
	if len(errors) > 0 {
		root := slices.IndexFunc(errors, func(m Message) bool { return m.Code != abandoned })
		m := errors[max(root, 0)]
		return orElse(m.Code, "error"), brief(m)
	}
	if op == OpInsertAsPartial || op == OpInsertAsIncomplete {
		text = op
		if len(warnings) > 0 {
			text += ": " + brief(warnings[0])
		}
		return op, text
	}
	return "", ""
}

// changes reports whether an operation wrote something.
func changes(op string) bool {
	switch op {
	case OpInsert, OpUpdate, OpUpdateUpgrade, OpUpdateDowngrade, OpUpdateSwitch:
		return true
	}
	return false
}

func describe(it *Item, code, text string) string {
	if it.Role == RoleMain || code == "" {
		return text
	}
	return it.Class + ": " + text
}

// maxReason bounds a reason: IRE quotes whole items in its messages.
const maxReason = 200

func brief(m Message) string {
	s := m.Code
	switch {
	case s == "":
		s = m.Text
	case m.Text != "":
		s += ": " + m.Text
	}
	if i := strings.Index(s, " '{"); i > 0 { // the quoted item follows
		s = s[:i]
	}
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}

func orElse(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
