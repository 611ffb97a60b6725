package view

import (
	"fmt"

	"github.com/qbridge/qbridge/domain/classify"
)

// RuleTests prints what became of rule tests.
func (p Printer) RuleTests(results []classify.TestResult) {
	failed := 0
	for _, r := range results {
		if r.Why == "" {
			p.Line("ok    %s", r.Name)
			continue
		}
		failed++
		p.Line("FAIL  %s: %s", r.Name, r.Why)
	}
	p.Line("%d passed, %d failed", len(results)-failed, failed)
}

// Coverage prints what rules make of a snapshot.
func (p Printer) Coverage(c *classify.Coverage) {
	var rows [][]string
	for _, r := range c.Rules {
		note := ""
		switch {
		case !r.Active:
			note = "inactive"
		case r.ShadowedBy != "":
			note = "never decides: " + r.ShadowedBy + " comes before it"
		case r.Decided == 0 && r.Holds > 0:
			note = "others came before it each time"
		case r.Decided == 0:
			note = "no asset"
		}
		rows = append(rows, []string{r.Table, fmt.Sprint(r.Priority), r.Rule, r.Class, fmt.Sprint(r.Decided), fmt.Sprint(r.Holds), note})
	}
	p.table([]string{"TABLE", "PRIORITY", "RULE", "CLASS", "DECIDED", "HOLDS", "NOTE"}, rows)
	p.Line("")
	p.Line("%d assets, %d without identity; of %d with a category the rules know %d (%.2f %%)", c.Assets, c.Skipped, c.Categorised, c.Known, 100*c.Share())
	if len(c.Unknown) == 0 {
		return
	}
	p.Line("")
	rows = nil
	for _, u := range c.Unknown {
		rows = append(rows, []string{dash(u.OS), dash(u.Hardware), fmt.Sprint(u.Assets), dash(u.Class), dash(u.Rule)})
	}
	p.table([]string{"OPERATING SYSTEM", "HARDWARE", "ASSETS", "CLASS ALL THE SAME", "BY"}, rows)
}
