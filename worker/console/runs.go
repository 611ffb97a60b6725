package console

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// runsPage is how many runs a page lists, recordsPage how many records.
const (
	runsPage    = 50
	recordsPage = 100
)

// runList is a page of runs with the sums of what it lists.
type runList struct {
	Runs []contract.RunView
	Sum  record.Counters
	Next string // address of the next page; empty at the end
}

func (c *Console) runs(w http.ResponseWriter, r *http.Request) {
	f := readFilter(r.URL.Query())
	q := url.Values{"limit": {strconv.Itoa(runsPage)}, "schedule": {f.Schedule}, "status": {f.Status}, "outcome": {f.Outcome}, "since": {f.since(c.opts.Now()).UTC().Format(time.RFC3339)}}
	if f.After != "" {
		q.Set("until", f.After)
	}
	var answer contract.RunList
	if err := c.api.get(r.Context(), contract.PathRuns, q, &answer); err != nil {
		c.fail(w, r, err)
		return
	}
	list := runList{Runs: answer.Runs}
	for i := range answer.Runs {
		list.Sum.Add(answer.Runs[i].Counters)
	}
	if n := len(answer.Runs); n == runsPage {
		list.Next = link("/runs", "schedule", f.Schedule, "span", f.Span, "status", f.Status, "outcome", f.Outcome, "after", answer.Runs[n-1].StartedAt.UTC().Format(time.RFC3339Nano))
	}
	c.show(w, r, "runs", "Runs", list)
}

// runView reads one run.
func (c *Console) runView(r *http.Request) (contract.RunView, error) {
	var v contract.RunView
	err := c.api.get(r.Context(), contract.PathRuns+"/"+r.PathValue("id"), nil, &v)
	return v, err
}

func (c *Console) run(w http.ResponseWriter, r *http.Request) {
	v, err := c.runView(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.show(w, r, "run", "Run of "+v.Schedule, v)
}

// runLive renders the part of a run that moves. When the run has ended the whole
// page is asked for again, once.
func (c *Console) runLive(w http.ResponseWriter, r *http.Request) {
	v, err := c.runView(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if !v.EndedAt.IsZero() {
		w.Header().Set("HX-Refresh", "true")
	}
	c.part(w, r, "run", "run-live", v)
}

// outcomePage is a page of the records of a run.
type outcomePage struct {
	Run   contract.RunView
	Rows  []contract.OutcomeView
	Total int64
	Next  string
}

func (c *Console) outcomes(w http.ResponseWriter, r *http.Request) {
	f := readFilter(r.URL.Query())
	v, err := c.runView(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	var list contract.OutcomeList
	q := url.Values{"outcome": {f.Outcome}, "after": {f.After}, "limit": {strconv.Itoa(recordsPage)}}
	if err := c.api.get(r.Context(), contract.PathRuns+"/"+v.Run+"/outcomes", q, &list); err != nil {
		c.fail(w, r, err)
		return
	}
	out := outcomePage{Run: v, Rows: list.Outcomes, Total: v.Counters.Sum()}
	if f.Outcome != "" {
		out.Total = v.Counters.Of(record.Outcome(f.Outcome))
	}
	if list.Next != "" {
		out.Next = link("/runs/"+url.PathEscape(v.Run)+"/outcomes", "outcome", f.Outcome, "after", list.Next)
	}
	c.show(w, r, "outcomes", "Records of a run", out)
}

func (c *Console) startRun(w http.ResponseWriter, r *http.Request) {
	schedule := r.PostFormValue("schedule")
	kind, err := c.kindOf(r.Context(), schedule)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	run, err := c.opts.Control.Start(r.Context(), kind, contract.RunInput{Schedule: schedule, Full: r.PostFormValue("full") != ""})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.opts.Log.Info().Str("schedule", schedule).Str("run", run).Str("by", who(r)).Msg("run started in the console")
	http.Redirect(w, r, link("/runs", "done", "started"), http.StatusSeeOther)
}

func (c *Console) cancelRun(w http.ResponseWriter, r *http.Request) {
	v, err := c.runView(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if !v.EndedAt.IsZero() {
		c.fail(w, r, &apiError{Status: http.StatusConflict, Message: "the run has ended", Remedy: "there is nothing to cancel"})
		return
	}
	if err := c.opts.Control.Cancel(r.Context(), v.WorkflowID); err != nil {
		c.fail(w, r, err)
		return
	}
	c.opts.Log.Info().Str("schedule", v.Schedule).Str("run", v.Run).Str("by", who(r)).Msg("run cancelled in the console")
	http.Redirect(w, r, link("/runs/"+url.PathEscape(v.Run), "done", "cancelled"), http.StatusSeeOther)
}

// done are the notices of what can be done with a schedule.
var done = map[string]string{actionPause: "paused", actionResume: "resumed", actionTrigger: "triggered"}

func (c *Console) moveSchedule(w http.ResponseWriter, r *http.Request) {
	schedule, action := r.PathValue("schedule"), r.PathValue("action")
	if err := c.opts.Control.Move(r.Context(), schedule, action, action+"d in the console by "+who(r)); err != nil {
		c.fail(w, r, err)
		return
	}
	c.opts.Log.Info().Str("schedule", schedule).Str("action", action).Str("by", who(r)).Msg("schedule moved in the console")
	http.Redirect(w, r, link("/", "done", done[action]), http.StatusSeeOther)
}
