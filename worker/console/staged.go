package console

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/worker/console/access"
	"github.com/qbridge/qbridge/workflows/contract"
)

// who is the name of whoever asks.
func who(r *http.Request) string { return access.From(r.Context()).Name }

// stagedPage is a page of records that wait, or were decided about.
type stagedPage struct {
	contract.StagedList
	Names  map[string]string // of assets, by key
	Queue  []queue
	Filter string // in the words of a decision
	More   string
}

// queue is what waits in a schedule.
type queue struct {
	Schedule string
	States   map[string]int64
}

// waiting counts what waits, by schedule. Schedules without records are left out.
func (c *Console) waiting(r *http.Request) ([]queue, error) {
	cfg := c.config(r.Context())
	if cfg == nil {
		return nil, nil
	}
	var out []queue
	for i := range cfg.Schedules {
		states, _, err := c.opts.Store.Waiting(r.Context(), cfg.Schedules[i].Name)
		if err != nil {
			return nil, err
		}
		q := queue{Schedule: cfg.Schedules[i].Name, States: map[string]int64{}}
		for state, n := range states {
			if n > 0 {
				q.States[string(state)] = n
			}
		}
		if len(q.States) > 0 {
			out = append(out, q)
		}
	}
	return out, nil
}

func (c *Console) staged(w http.ResponseWriter, r *http.Request) {
	f := readFilter(r.URL.Query())
	out := stagedPage{Filter: f.staged()}
	var err error
	if out.Queue, err = c.waiting(r); err != nil {
		c.fail(w, r, err)
		return
	}
	if f.Schedule == "" && len(out.Queue) > 0 {
		http.Redirect(w, r, link("/staged", "schedule", out.Queue[0].Schedule), http.StatusSeeOther)
		return
	}
	if f.Schedule != "" {
		q := url.Values{"schedule": {f.Schedule}, "limit": {strconv.Itoa(recordsPage)}}
		for name, value := range map[string]string{"filter": out.Filter, "state": f.State, "after": f.After} {
			if value != "" {
				q.Set(name, value)
			}
		}
		if err := c.api.get(r.Context(), contract.PathStaged, q, &out.StagedList); err != nil {
			c.fail(w, r, err)
			return
		}
		keys := make([]string, len(out.Rows))
		for i := range out.Rows {
			keys[i] = out.Rows[i].Key
		}
		if out.Names, err = c.opts.Store.Names(r.Context(), keys); err != nil {
			c.fail(w, r, err)
			return
		}
		if out.Next != "" {
			out.More = link("/staged", "schedule", f.Schedule, "state", f.State, "class", f.Class, "operation", f.Operation, "after", out.Next)
		}
	}
	c.show(w, r, "staged", "Approvals", out)
}

// planPage is what writing one record would do.
type planPage struct {
	Row  contract.StagedRow
	Plan approval.Plan
	// Snapshot is the version that a decision about the record names.
	Snapshot int64
}

func (c *Console) plan(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	schedule, key := q.Get("schedule"), q.Get("key")
	for _, state := range []string{"", "approved", "rejected", "failed", "expired"} {
		ask := url.Values{"schedule": {schedule}, "id": {key}, "plans": {"true"}}
		if state != "" {
			ask.Set("state", state)
		}
		var list contract.StagedList
		if err := c.api.get(r.Context(), contract.PathStaged, ask, &list); err != nil {
			c.fail(w, r, err)
			return
		}
		if len(list.Rows) == 0 {
			continue
		}
		out := planPage{Row: list.Rows[0], Snapshot: list.Rows[0].Version}
		if len(out.Row.Plan) > 0 {
			if err := json.Unmarshal(out.Row.Plan, &out.Plan); err != nil {
				c.fail(w, r, err)
				return
			}
		}
		c.show(w, r, "plan", "What writing "+key+" would do", out)
		return
	}
	c.fail(w, r, &apiError{Status: http.StatusNotFound, Message: key + " does not wait in schedule " + schedule, Remedy: "look at the life of the asset"})
}

// decide records a decision about what the form shows: chosen records, or all that
// the filter of the page names. The name that is recorded is that of the session;
// none is taken from the form.
func (c *Console) decide(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		c.fail(w, r, &apiError{Status: http.StatusBadRequest, Message: "the form cannot be read"})
		return
	}
	d, err := decisionOf(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	principal := access.From(r.Context())
	d.By = principal.Name
	d.ID = rand.Text()
	schedule := r.PostFormValue("schedule")
	if err := d.Check(); err != nil {
		c.fail(w, r, &apiError{Status: http.StatusBadRequest, Message: strings.TrimPrefix(err.Error(), "approval: ")})
		return
	}
	if err := c.opts.Store.Vouch(r.Context(), d.ID, store.Voucher{Name: principal.Name, How: principal.How}); err != nil {
		c.fail(w, r, err)
		return
	}
	if _, err := c.opts.Control.Decide(r.Context(), schedule, d); err != nil {
		c.fail(w, r, err)
		return
	}
	c.opts.Log.Info().Str("schedule", schedule).Str("decision", d.ID).Str("verdict", d.Verdict).Str("by", d.By).Msg("decided in the console")
	http.Redirect(w, r, link("/staged/decision", "schedule", schedule, "id", d.ID), http.StatusSeeOther)
}

// decisionOf reads the form of a decision.
func decisionOf(r *http.Request) (approval.Decision, error) {
	d := approval.Decision{Verdict: r.PostFormValue("verdict"), Reason: strings.TrimSpace(r.PostFormValue("reason"))}
	var err error
	if d.Snapshot, err = strconv.ParseInt(r.PostFormValue("snapshot"), 10, 64); err != nil {
		return d, &apiError{Status: http.StatusBadRequest, Message: "the form does not say what was shown", Remedy: "load the page again"}
	}
	switch which := r.PostFormValue("which"); {
	case which == "chosen" && len(r.PostForm["id"]) == 0:
		return d, &apiError{Status: http.StatusBadRequest, Message: "no record is chosen", Remedy: "tick records, or decide about all that the filter shows"}
	case which == "chosen":
		d.IDs = r.PostForm["id"]
	case r.PostFormValue("filter") != "":
		d.Filter = r.PostFormValue("filter")
	default:
		d.All = true
	}
	return d, nil
}

// decisionPage tells how far the writing of a decision is.
type decisionPage struct {
	Schedule string
	contract.DecisionView
}

func (c *Console) decision(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	out := decisionPage{Schedule: q.Get("schedule")}
	if err := c.api.get(r.Context(), contract.PathStaged+"/decisions", url.Values{"schedule": {out.Schedule}, "id": {q.Get("id")}}, &out.DecisionView); err != nil {
		c.fail(w, r, err)
		return
	}
	if r.Header.Get("HX-Request") != "" {
		c.part(w, r, "decision", "decision-live", out)
		return
	}
	c.show(w, r, "decision", "Decision", out)
}

// auditPage is a page of the decision log.
type auditPage struct {
	Lines    []auditLine
	Verified *contract.AuditView
	Next     string
}

// auditLine is an entry of the decision log.
type auditLine struct {
	N                                                          int64
	Hash                                                       string
	Decision, At, Verdict, By, Authenticated, Identity, Reason string
	Filter                                                     string
	All                                                        bool
	IDs                                                        []string
	Matched, Decided                                           int64
}

func (c *Console) audit(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := readFilter(q)
	var out auditPage
	if q.Get("verify") != "" {
		out.Verified = &contract.AuditView{}
		if err := c.api.get(r.Context(), contract.PathAudit+"/verify", nil, out.Verified); err != nil {
			c.fail(w, r, err)
			return
		}
	}
	if f.Schedule != "" {
		var log contract.LogView
		if err := c.api.get(r.Context(), contract.PathAudit+"/log", url.Values{"schedule": {f.Schedule}, "after": {f.After}}, &log); err != nil {
			c.fail(w, r, err)
			return
		}
		for _, l := range log.Lines {
			line := auditLine{N: l.N, Hash: l.Hash}
			if err := json.Unmarshal(l.Entry, &line); err != nil {
				c.fail(w, r, err)
				return
			}
			out.Lines = append(out.Lines, line)
		}
		if log.Next != 0 {
			out.Next = link("/audit", "schedule", f.Schedule, "after", strconv.FormatInt(log.Next, 10))
		}
	}
	c.show(w, r, "audit", "Decision log", out)
}
