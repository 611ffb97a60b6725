package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"time"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/budget"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// mostRows bounds what one answer lists.
const mostRows = 1000

func (s *Server) listRuns(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := store.RunFilter{
		Schedule: q.Get("schedule"), Source: q.Get("source"), Status: store.RunStatus(q.Get("status")), Outcome: record.Outcome(q.Get("outcome")),
	}
	var err error
	if f.Since, err = instant(q.Get("since")); err != nil {
		refuse(w, http.StatusBadRequest, "since: "+err.Error(), "write 2026-01-31T08:00:00Z")
		return
	}
	if f.Until, err = instant(q.Get("until")); err != nil {
		refuse(w, http.StatusBadRequest, "until: "+err.Error(), "write 2026-01-31T08:00:00Z")
		return
	}
	if f.Limit, err = limit(q.Get("limit"), 50); err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	runs, err := s.opts.Store.ListRuns(r.Context(), f)
	if err != nil {
		s.fail(w, err, "", "")
		return
	}
	answer(w, contract.RunList{Runs: lo.Map(runs, func(run store.Run, _ int) contract.RunView { return runView(run) })})
}

func (s *Server) showRun(w http.ResponseWriter, r *http.Request) {
	ctx, id := r.Context(), r.PathValue("id")
	run, err := s.opts.Store.RunByID(ctx, id)
	if err != nil {
		s.fail(w, err, "there is no run "+id, "`qbridge run list` shows the runs")
		return
	}
	view := runView(run)
	if run.Status == store.RunRunning { // frozen only when the run closes
		if view.Counters, err = s.opts.Store.Progress(ctx, run.ID); err != nil {
			s.fail(w, err, "", "")
			return
		}
	}
	if view.Classes, err = s.opts.Store.Classes(ctx, run.ID); err != nil {
		s.fail(w, err, "", "")
		return
	}
	if view.Stages, err = s.opts.Store.Stages(ctx, run.ID); err != nil {
		s.fail(w, err, "", "")
		return
	}
	_, _, view.Bottleneck, _ = view.Stages.Bottleneck()
	for _, o := range worstFirst {
		if view.Counters.Of(o) == 0 {
			continue
		}
		reasons, err := s.opts.Store.Reasons(ctx, run.ID, o)
		if err != nil {
			s.fail(w, err, "", "")
			return
		}
		delete(reasons, "") // most records that were written need none
		view.Reasons = append(view.Reasons, reasonCounts(o, reasons)...)
	}
	answer(w, view)
}

func (s *Server) listOutcomes(w http.ResponseWriter, r *http.Request) {
	ctx, q := r.Context(), r.URL.Query()
	run, err := s.opts.Store.RunByID(ctx, r.PathValue("id"))
	if err != nil {
		s.fail(w, err, "there is no run "+r.PathValue("id"), "`qbridge run list` shows the runs")
		return
	}
	n, err := limit(q.Get("limit"), 100)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	rows, err := s.opts.Store.ListOutcomes(ctx, store.OutcomeFilter{
		Run: run.ID, Outcome: record.Outcome(q.Get("outcome")), After: q.Get("after"), Limit: n,
	})
	if err != nil {
		s.fail(w, err, "", "")
		return
	}
	list := contract.OutcomeList{Outcomes: lo.Map(rows, func(o store.OutcomeRow, _ int) contract.OutcomeView { return outcomeView(o) })}
	if len(rows) == n {
		list.Next = rows[n-1].Key
	}
	answer(w, list)
}

func runView(r store.Run) contract.RunView {
	var forecast *budget.Forecast
	if r.Forecast != "" {
		f := budget.Forecast{}
		if json.Unmarshal([]byte(r.Forecast), &f) == nil {
			forecast = &f
		}
	}
	return contract.RunView{
		Pinned: r.Pinned, Forecast: forecast,
		Run: r.ID, WorkflowID: r.WorkflowID, Schedule: r.Schedule, Source: r.Source, Target: r.Target, Revision: r.Revision,
		Mode: string(r.Mode), Status: string(r.Status), Resumed: r.Resumed, StartedAt: r.StartedAt, EndedAt: r.EndedAt,
		Counters: r.Counters, Pages: r.Pages, Events: r.Events, Calls: r.Calls, Error: r.Error,
	}
}

func outcomeView(o store.OutcomeRow) contract.OutcomeView {
	return contract.OutcomeView{Run: o.Run, Key: o.Key, Outcome: o.Outcome, Reason: o.Reason, Class: o.Class, At: o.At}
}

// worstFirst is the order in which the outcomes of a run are explained.
var worstFirst = []record.Outcome{record.Failed, record.Rejected, record.Skipped, record.Filtered, record.Pending, record.Updated, record.Unchanged, record.Created}

// reasonCounts lists reasons, most frequent first.
func reasonCounts(o record.Outcome, reasons map[string]int64) []contract.ReasonCount {
	list := lo.MapToSlice(reasons, func(reason string, n int64) contract.ReasonCount {
		return contract.ReasonCount{Outcome: o, Reason: reason, Count: n}
	})
	sort.Slice(list, func(i, j int) bool {
		if list[i].Count != list[j].Count {
			return list[i].Count > list[j].Count
		}
		return list[i].Reason < list[j].Reason
	})
	return list
}

func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, s)
}

func limit(s string, def int) (int, error) {
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > mostRows {
		return 0, fmt.Errorf("limit is %q: write a number from 1 to %d", s, mostRows)
	}
	return n, nil
}
