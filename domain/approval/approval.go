// Package approval is what a person decides about staged records: the plan that
// is shown for each, selectors, decisions, and what a rule may decide alone.
//
//	record ─▶ Plan (operation, class, columns) ─▶ pending ─▶ Decision (Selector, snapshot) ─▶ approved ─▶ written
//	             └ Digest: what was shown; a plan that moved since goes back to pending
package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/classify"
)

// Operations of a plan.
const (
	Create   = "create"
	Update   = "update"
	Metadata = "metadata" // rows beside a CI that is not written
)

// Plan is what writing a record would do.
type Plan struct {
	Operation string `json:"operation"`
	SysID     string `json:"sysId,omitempty"` // of the CI that is there
	// From is the class of the CI that is there, To the one that the rules chose;
	// class changes that are not allowed are not made.
	From    string   `json:"classFrom,omitempty"`
	To      string   `json:"class"`
	Changes []Change `json:"changes"`
	// Parts counts what comes with the CI: "2 × cmdb_ci_network_adapter".
	Parts []string `json:"parts,omitempty"`
}

// Change is a column of the main CI that would change. References are shown by
// name.
type Change struct {
	Column string `json:"column"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

// Columns returns the names of the changed columns.
func (p *Plan) Columns() []string {
	out := make([]string, len(p.Changes))
	for i := range p.Changes {
		out[i] = p.Changes[i].Column
	}
	return out
}

// Digest is what a decision is about: what would be written, onto what, as what.
// Old values may move without making it another one; the set of columns may not.
func (p *Plan) Digest(payload string) string {
	columns := p.Columns()
	slices.Sort(columns)
	sum := sha256.Sum256([]byte(strings.Join([]string{payload, p.Operation, p.SysID, p.From, p.To, strings.Join(columns, " ")}, "\n")))
	return hex.EncodeToString(sum[:16])
}

// Verdicts of a decision.
const (
	Approve = "approve"
	Reject  = "reject"
	Hold    = "hold"
	Retry   = "retry" // a failed write: approved again
)

// Verdicts lists the verdicts that a person may give.
func Verdicts() []string { return []string{Approve, Reject, Hold, Retry} }

// MaxIDs bounds the ids of one decision; larger sets are filters.
const MaxIDs = 1000

// Selector names the records of a decision: ids, a filter, or all that wait.
type Selector struct {
	IDs    []string `json:"ids,omitempty"` // keys: <source>/<asset id>
	All    bool     `json:"all,omitempty"`
	Filter string   `json:"filter,omitempty"` // "class=… operation=… column=… rule=… source=…"
}

// Filter is a filter that was read; empty fields select anything.
type Filter struct{ Class, Operation, Column, Rule, Source string }

// ParseFilter reads "class=cmdb_ci_server operation=update": words that all must
// hold.
func ParseFilter(text string) (Filter, error) {
	var f Filter
	names := map[string]*string{"class": &f.Class, "operation": &f.Operation, "column": &f.Column, "rule": &f.Rule, "source": &f.Source}
	for _, word := range strings.Fields(text) {
		name, value, ok := strings.Cut(word, "=")
		to := names[name]
		switch {
		case to == nil:
			known := []string{"class", "operation", "column", "rule", "source"}
			return f, fmt.Errorf("approval: unknown filter %q; did you mean %q? write for example class=cmdb_ci_server operation=update", name, classify.Nearest(name, known))
		case !ok || value == "":
			return f, fmt.Errorf("approval: filter %s has no value: write %s=…", name, name)
		case *to != "":
			return f, fmt.Errorf("approval: filter %s stands twice", name)
		}
		*to = value
	}
	if f.Operation != "" && !slices.Contains([]string{Create, Update, Metadata}, f.Operation) {
		return f, fmt.Errorf("approval: operation %q is none of %s, %s, %s", f.Operation, Create, Update, Metadata)
	}
	return f, nil
}

// Decision is what a person decided.
type Decision struct {
	ID      string `json:"id,omitempty"` // set by the caller to make it idempotent
	Verdict string `json:"verdict"`
	Selector
	// Snapshot is the version up to which records are covered: what was shown.
	Snapshot int64  `json:"snapshot"`
	By       string `json:"by"` // asserted
	Reason   string `json:"reason,omitempty"`
}

// Check says what is wrong with a decision, or nothing.
func (d *Decision) Check() error {
	n := 0
	for _, set := range []bool{len(d.IDs) > 0, d.All, d.Filter != ""} {
		if set {
			n++
		}
	}
	switch {
	case !slices.Contains(Verdicts(), d.Verdict):
		return fmt.Errorf("approval: verdict %q is none of %s", d.Verdict, strings.Join(Verdicts(), ", "))
	case n != 1:
		return fmt.Errorf("approval: a decision names its records by exactly one of ids, filter and all")
	case len(d.IDs) > MaxIDs:
		return fmt.Errorf("approval: %d ids are more than %d: use a filter", len(d.IDs), MaxIDs)
	case d.Snapshot <= 0:
		return fmt.Errorf("approval: the decision has no snapshot: take the one that `qbridge staged list` printed")
	case strings.TrimSpace(d.By) == "":
		return fmt.Errorf("approval: the decision does not say who decided (by)")
	case d.Verdict == Reject && strings.TrimSpace(d.Reason) == "":
		return fmt.Errorf("approval: a rejection needs a reason")
	}
	_, err := ParseFilter(d.Filter)
	return err
}

// Auto is what a schedule lets pass without a person.
type Auto struct {
	Update []string `yaml:"update,omitzero" json:"update,omitempty"` // updates that change no other columns
	Create []string `yaml:"create,omitzero" json:"create,omitempty"` // new CIs of these classes
}

// Allows reports whether a plan may pass alone. A plan that changes nothing may
// not: nobody knows why it is there.
func (a Auto) Allows(p *Plan) bool {
	switch p.Operation {
	case Create:
		return slices.Contains(a.Create, p.To)
	case Update:
		return len(a.Update) > 0 && len(p.Changes) > 0 && (p.From == "" || p.From == p.To) &&
			!slices.ContainsFunc(p.Changes, func(c Change) bool { return !slices.Contains(a.Update, c.Column) })
	}
	return false
}
