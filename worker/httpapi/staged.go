package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// states are what `staged list --state` may ask for.
var states = map[string]record.State{
	"pending": record.StatePending, "held": record.StateHeld, "approved": record.StateApproved, "rejected": record.StateRejected,
	"failed": record.StateFailed, "expired": record.StateExpired,
}

// listStaged answers which records wait, or were decided about.
func (s *Server) listStaged(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := store.StagedFilter{Schedule: q.Get("schedule"), After: q.Get("after"), Keys: q["id"], Plans: q.Get("plans") == "true"}
	if f.Schedule == "" {
		refuse(w, http.StatusBadRequest, "no schedule is named", "add schedule=NAME")
		return
	}
	var err error
	if f.Limit, err = limit(q.Get("limit"), 100); err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	if f.Filter, err = approval.ParseFilter(q.Get("filter")); err != nil {
		refuse(w, http.StatusBadRequest, strings.TrimPrefix(err.Error(), "approval: "), "")
		return
	}
	switch name := q.Get("state"); {
	case name == "":
		f.States = []record.State{record.StatePending, record.StateHeld}
	case states[name] != "":
		f.States = []record.State{states[name]}
	default:
		refuse(w, http.StatusBadRequest, name+" is no state of a staged record", "write pending, held, approved, rejected, failed or expired")
		return
	}
	list, err := s.opts.Store.ListStaged(r.Context(), f)
	if err != nil {
		s.fail(w, err, "", "")
		return
	}
	out := contract.StagedList{Rows: lo.Map(list.Rows, func(r store.StagedRow, _ int) contract.StagedRow { return contract.StagedRow(r) }), Total: list.Total, Snapshot: list.Snapshot}
	if len(out.Rows) == f.Limit {
		out.Next = out.Rows[f.Limit-1].Key
	}
	if out.Rows == nil {
		out.Rows = []contract.StagedRow{}
	}
	answer(w, out)
}

// showDecision answers how far the writing of a decision is.
func (s *Server) showDecision(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	d, err := s.opts.Store.DecisionStatus(r.Context(), q.Get("schedule"), q.Get("id"))
	if err != nil {
		s.fail(w, err, "there is no decision "+q.Get("id")+" about schedule "+q.Get("schedule"), "see `qbridge audit log`")
		return
	}
	receipt := contract.Receipt(d.Receipt)
	receipt.ChangedSince += d.Moved
	answer(w, contract.DecisionView{Receipt: receipt, Written: d.Written, Failed: d.Failed, Waiting: d.Waiting})
}

// verifyAudit checks the chains of the decision log.
func (s *Server) verifyAudit(w http.ResponseWriter, r *http.Request) {
	n, problems, err := s.opts.Store.VerifyLog(r.Context())
	if err != nil {
		s.fail(w, err, "", "")
		return
	}
	if problems == nil {
		problems = []string{}
	}
	answer(w, contract.AuditView{Entries: n, Problems: problems})
}

// showLog answers a page of the decision log of a schedule.
func (s *Server) showLog(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, _ := strconv.ParseInt(q.Get("after"), 10, 64) // from the beginning when it is no number
	n, err := limit(q.Get("limit"), 100)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	lines, err := s.opts.Store.DecisionLog(r.Context(), q.Get("schedule"), after, n)
	if err != nil {
		s.fail(w, err, "", "")
		return
	}
	out := contract.LogView{Lines: lo.Map(lines, func(e store.LogEntry, _ int) contract.LogLine {
		return contract.LogLine{N: e.N, Entry: json.RawMessage(e.Entry), Hash: e.Hash}
	})}
	if len(lines) == n {
		out.Next = lines[n-1].N
	}
	answer(w, out)
}
