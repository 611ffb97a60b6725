package view

import (
	"fmt"
	"strings"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// widestRanges is how much of a list of ranges a table shows.
const widestRanges = 100

// Export prints a plan of addresses.
func (p Printer) Export(v contract.ExportView) {
	plan := v.Plan
	p.Line("plan      %s of %s, %s%s", v.Schedule, when(v.StagedAt), v.State, because(v.Reason))
	p.Line("CIs       %d read, %d without address, %d with an address to add", plan.CIs.Read, plan.CIs.NoAddress, plan.CIs.Adding)
	limit := ""
	if plan.Licence.Limit > 0 {
		limit = fmt.Sprintf(" of %d", plan.Licence.Limit)
	}
	p.Line("licence   %d addresses now, %d after%s", plan.Licence.Before, plan.Licence.After, limit)
	if plan.Stopped != "" {
		p.Line("ceiling   %s", plan.Stopped)
	}
	p.Line("")
	p.scopes("ADD TO NETWORK", plan.Add)
	p.scopes("LEFT OVER IN", plan.LeftOver)
	var reasons [][]string
	for _, r := range export.Reasons() {
		if n := plan.Counts.By[r]; n > 0 {
			reasons = append(reasons, []string{string(r), fmt.Sprint(n)})
		}
	}
	p.table([]string{"WHAT BECOMES OF AN ADDRESS", "ADDRESSES"}, append(reasons, []string{"= claimed by CIs", fmt.Sprint(plan.Counts.Claims)}))
	p.verdicts(v.Verdicts)
	if v.State == record.StatePending || v.State == record.StateHeld {
		p.Line("")
		p.Line("adding cannot be undone; decide: qbridge staged approve --schedule %s --id %s --snapshot %d --by NAME", v.Schedule, v.Key, v.Version)
	}
}

func (p Printer) scopes(title string, list []export.Scope) {
	if len(list) == 0 {
		return
	}
	rows := lo.Map(list, func(s export.Scope, _ int) []string {
		text := strings.Join(lo.Map(s.Ranges, func(r export.Range, _ int) string { return r.String() }), ", ")
		if len(text) > widestRanges {
			text = text[:widestRanges] + "…"
		}
		return []string{lo.CoalesceOrEmpty(s.Network, "default"), fmt.Sprint(s.Addresses), text}
	})
	p.table([]string{title, "ADDRESSES", "RANGES"}, rows)
	p.Line("")
}

// shownVerdicts is how many single addresses a table shows; -o json has more.
const shownVerdicts = 40

func (p Printer) verdicts(list []export.Verdict) {
	list = lo.Filter(list, func(v export.Verdict, _ int) bool { return v.Reason != export.ReasonAdd })
	if len(list) == 0 {
		return
	}
	rows := make([][]string, 0, shownVerdicts)
	for _, v := range list[:min(len(list), shownVerdicts)] {
		rows = append(rows, []string{v.Name, v.Address, string(v.Reason), dash(v.With)})
	}
	p.Line("")
	p.table([]string{"CI", "ADDRESS", "NOT ADDED BECAUSE", "WITH"}, rows)
	if more := len(list) - len(rows); more > 0 {
		p.Line("and %d more: -o json", more)
	}
}
