package view

import (
	"strings"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Tags prints what a schedule of tags planned last.
func (p Printer) Tags(v contract.TagPlan) {
	var rows, notes [][]string
	waiting := 0
	for i := range v.Tags {
		t := &v.Tags[i]
		state := string(t.State)
		if t.Outcome != "" {
			state = string(t.Outcome)
		}
		if t.State == record.StatePending || t.State == record.StateHeld {
			state, waiting = string(t.State), waiting+1
		}
		for k := range t.Changes {
			c := &t.Changes[k]
			what := c.Face.RuleText
			switch {
			case c.Was != "":
				what = "was " + c.Was
			case string(c.Op) == "recolour":
				what = c.Face.Color
			}
			if c.Drift {
				what = strings.TrimSpace("changed by hand; " + what)
			}
			rows = append(rows, []string{short(t.Name), string(c.Op), short(what), state + because(t.Reason)})
		}
		for _, n := range t.Notes {
			notes = append(notes, []string{short(t.Name), n})
		}
	}
	p.Line("tags of %s, planned %s", v.Schedule, when(v.At))
	p.Line("")
	if len(rows) > 0 {
		p.table([]string{"TAG", "CHANGE", "RULE", "STATE"}, rows)
		p.Line("")
	}
	if len(notes) > 0 {
		p.table([]string{"TAG", "NOT DONE BECAUSE"}, notes)
		p.Line("")
	}
	p.Line("%d tags are as they should be", v.Same)
	if waiting > 0 {
		p.Line("decide: qbridge staged approve --schedule %s --all --snapshot %d --by NAME", v.Schedule, v.Snapshot)
	}
}

// short cuts a text to what a column of a table takes.
func short(s string) string {
	const most = 70
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
