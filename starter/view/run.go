package view

import (
	"fmt"
	"sort"
	"time"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/domain/timing"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Runs prints a list of runs.
func (p Printer) Runs(runs []contract.RunView) {
	if len(runs) == 0 {
		p.Line("no runs")
		return
	}
	rows := make([][]string, 0, len(runs))
	for _, r := range runs {
		c := r.Counters
		rows = append(rows, []string{
			r.Run, r.Schedule, r.Mode, r.Status, r.StartedAt.Local().Format(time.DateTime), duration(r), fmt.Sprint(c.Fetched),
			fmt.Sprint(c.Created), fmt.Sprint(c.Updated), fmt.Sprint(c.Unchanged), fmt.Sprint(c.Skipped), fmt.Sprint(c.Failed + c.Rejected),
		})
	}
	p.table([]string{"RUN", "SCHEDULE", "MODE", "STATUS", "STARTED", "TOOK", "FETCHED", "CREATED", "UPDATED", "UNCHANGED", "SKIPPED", "FAILED"}, rows)
}

func duration(r contract.RunView) string {
	if r.EndedAt.IsZero() {
		return "…"
	}
	return r.EndedAt.Sub(r.StartedAt).Round(100 * time.Millisecond).String()
}

// Run prints one run.
func (p Printer) Run(r contract.RunView) {
	p.Line("run       %s (%s)", r.Run, r.WorkflowID)
	p.Line("schedule  %s: %s → %s, revision %s, %s", r.Schedule, r.Source, r.Target, r.Revision, r.Mode)
	p.Line("status    %s, started %s, took %s", r.Status, r.StartedAt.Local().Format(time.DateTime), duration(r))
	if r.Error != "" {
		p.Line("error     %s", r.Error)
	}
	p.Line("calls     %d Qualys, %d ServiceNow; %d pages", r.Calls["qualys"], r.Calls["servicenow"], r.Pages)
	if f := r.Forecast; f != nil {
		p.Line("forecast  %d Qualys, about %d ServiceNow; %s; at most %d writes, %d new CIs", f.QualysCalls, f.ServiceNowCalls, about(f.Seconds), f.Writes, f.NewCIs)
	}
	if r.Pinned {
		p.Line("pinned    its outcomes are kept for good")
	}
	p.Line("")
	p.counters(r.Counters)
	p.classes(r.Classes)
	p.reasons(r.Reasons)
	p.stages(r.Stages, r.Bottleneck)
}

// Forecast prints what a run would cost.
func (p Printer) Forecast(r contract.ForecastResult) {
	f := r.Forecast
	if f == nil {
		p.Line("nothing is known")
		return
	}
	how := r.Mode
	if !r.Since.IsZero() {
		how += ", assets changed since " + r.Since.Local().Format(time.DateTime)
	}
	if r.Resumed {
		how += ", going on where the last run ended"
	}
	p.Line("the next run of %s: %s", r.Schedule, how)
	p.Rows([]string{"WHAT", "FORECAST"}, [][]string{
		{"assets", fmt.Sprint(f.Assets)}, {"calls to Qualys", fmt.Sprint(f.QualysCalls)}, {"calls to ServiceNow", fmt.Sprintf("about %d", f.ServiceNowCalls)},
		{"time", about(f.Seconds)}, {"writes", fmt.Sprintf("at most %d", f.Writes)}, {"new CIs", fmt.Sprintf("at most %d, each perhaps with an asset record and an ITOM subscription unit", f.NewCIs)},
	})
}

func about(s float64) string {
	if s == 0 {
		return "no earlier run tells the time"
	}
	return "about " + seconds(s)
}

// Result prints the summary of a finished run.
func (p Printer) Result(r contract.RunResult, reasons []contract.ReasonCount) {
	if r.Status == "skipped" {
		p.Line("%s", r.Outcome)
		return
	}
	noun := "assets"
	if r.Certificates != nil {
		noun = "certificates"
	}
	p.Line("%s in %s: %d %s, %d pages, %d Qualys and %d ServiceNow calls", r.Status, seconds(r.DurationSeconds), r.Fetched, noun, r.Pages,
		r.VendorCalls["qualys"], r.VendorCalls["servicenow"])
	if r.Warning != "" {
		p.Line("incomplete: %s", r.Warning)
	}
	p.Line("")
	p.counters(r.Counters)
	p.classes(r.Classes)
	p.reasons(reasons)
	if r.Bottleneck != "" {
		p.Line("")
		p.Line("%s", r.Bottleneck)
	}
	if e := r.Certificates; e != nil {
		p.Line("")
		p.Line("of %d certificates %d have expired; %d expire within 30 days, %d within 60, %d within 90: qbridge certificates list --expiring 30d", e.Total, e.Expired, e.In30, e.In60, e.In90)
	}
}

// Next prints the commands that answer the next question about a finished run.
func (p Printer) Next(r contract.RunResult) {
	if r.Status == "skipped" || r.Run == "" {
		return
	}
	p.Line("")
	for _, o := range []record.Outcome{record.Failed, record.Rejected} {
		if r.Of(o) > 0 {
			p.Line("next: qbridge run show %s --outcome %s", r.Run, o)
			p.Line("      qbridge asset explain ASSET-ID")
			return
		}
	}
	p.Line("next: qbridge run show %s", r.Run)
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// stages prints what the time of a run went to.
func (p Printer) stages(spent timing.Seconds, bottleneck string) {
	total := spent.Total()
	if total == 0 {
		return
	}
	rows := [][]string{}
	for _, s := range timing.Stages() {
		if spent[s] > 0 {
			rows = append(rows, []string{string(s), seconds(spent[s]), fmt.Sprintf("%.0f %%", 100*spent[s]/total)})
		}
	}
	p.Line("")
	p.table([]string{"STAGE", "TIME OF ALL LANES", "SHARE"}, rows)
	if bottleneck != "" {
		p.Line("%s", bottleneck)
	}
}

// counters prints the outcomes; they add up to fetched.
func (p Printer) counters(c record.Counters) {
	rows := [][]string{}
	for _, o := range record.Outcomes() {
		if n := c.Of(o); n > 0 {
			rows = append(rows, []string{string(o), fmt.Sprint(n)})
		}
	}
	rows = append(rows, []string{"= fetched", fmt.Sprint(c.Fetched)})
	p.table([]string{"OUTCOME", "RECORDS"}, rows)
}

func (p Printer) classes(classes map[string]int64) {
	if len(classes) == 0 {
		return
	}
	names := make([]string, 0, len(classes))
	for name := range classes {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		if classes[names[i]] != classes[names[j]] {
			return classes[names[i]] > classes[names[j]]
		}
		return names[i] < names[j]
	})
	rows := make([][]string, 0, len(names))
	for _, n := range names {
		rows = append(rows, []string{n, fmt.Sprint(classes[n])})
	}
	p.Line("")
	p.table([]string{"CLASS", "CIS"}, rows)
}

func (p Printer) reasons(list []contract.ReasonCount) {
	if len(list) == 0 {
		return
	}
	rows := make([][]string, 0, len(list))
	for _, r := range list {
		rows = append(rows, []string{string(r.Outcome), fmt.Sprint(r.Count), r.Reason})
	}
	p.Line("")
	p.table([]string{"OUTCOME", "RECORDS", "REASON"}, rows)
}

// Outcomes prints a list of outcomes.
func (p Printer) Outcomes(list contract.OutcomeList) {
	rows := make([][]string, 0, len(list.Outcomes))
	for _, o := range list.Outcomes {
		rows = append(rows, []string{o.Key, string(o.Outcome), o.Class, o.Reason})
	}
	p.table([]string{"KEY", "OUTCOME", "CLASS", "REASON"}, rows)
	if list.Next != "" {
		p.Line("… and more, after %s", list.Next)
	}
}
