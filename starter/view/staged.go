package view

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/qbridge/qbridge/domain/approval"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Staged prints records that wait.
func (p Printer) Staged(list contract.StagedList, schedule string) {
	rows := make([][]string, 0, len(list.Rows))
	for _, r := range list.Rows {
		columns := strings.Join(r.Columns, " ")
		if len(columns) > widest {
			columns = columns[:widest] + "…"
		}
		rows = append(rows, []string{r.Key, string(r.State), r.Operation, r.Class, columns, when(r.StagedAt), r.Reason})
	}
	p.table([]string{"RECORD", "STATE", "OPERATION", "CLASS", "COLUMNS", "STAGED", "REASON"}, rows)
	p.Line("")
	p.Line("%d of %d records, snapshot %d", len(list.Rows), list.Total, list.Snapshot)
	if list.Next != "" {
		p.Line("more: qbridge staged list --schedule %s --after %s", schedule, list.Next)
	}
	if list.Total > 0 {
		p.Line("decide: qbridge staged approve --schedule %s --all --snapshot %d --by NAME", schedule, list.Snapshot)
	}
}

// widest is how much of a list of columns a table shows.
const widest = 60

// Plan prints what writing a record would change.
func (p Printer) Plan(r contract.StagedRow) {
	p.Line("record    %s, version %d, %s%s", r.Key, r.Version, r.State, because(r.Reason))
	var plan approval.Plan
	if json.Unmarshal(r.Plan, &plan) != nil {
		return
	}
	what := plan.Operation + " " + plan.To
	if plan.From != "" && plan.From != plan.To {
		what = fmt.Sprintf("%s, the rules say %s and the CI is %s", plan.Operation, plan.To, plan.From)
	}
	p.Line("plan      %s%s", what, because(r.Rule))
	p.Line("CI        %s", dash(plan.SysID))
	p.Line("")
	rows := make([][]string, 0, len(plan.Changes))
	for _, c := range plan.Changes {
		rows = append(rows, []string{c.Column, dash(c.Old), dash(c.New)})
	}
	p.table([]string{"COLUMN", "NOW", "THEN"}, rows)
	for _, part := range plan.Parts {
		p.Line("with %s", part)
	}
}
