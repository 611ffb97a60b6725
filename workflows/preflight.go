package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// Preflight tests all connections of a configuration and stores nothing. What
// fails is in the result: one line per capability, with its remedy.
func Preflight(ctx workflow.Context, in contract.PreflightInput) (contract.PreflightResult, error) {
	var res contract.PreflightResult
	if err := workflow.ExecuteActivity(ledger(ctx, "test connections"), configs.ConfigPreflight, in).Get(ctx, &res); err != nil {
		return res, fmt.Errorf("preflight: %w", err)
	}
	workflow.SetCurrentDetails(ctx, checkTable(res.Checks))
	return res, nil
}

// checkTable renders checks for the Temporal UI.
func checkTable(checks []contract.Check) string {
	var b strings.Builder
	b.WriteString("| connection | capability | | |\n| --- | --- | --- | --- |\n")
	for i := range checks {
		c := &checks[i]
		text := []string{c.Message}
		if c.Blocks != "" {
			text = append(text, "blocks "+c.Blocks)
		}
		if c.Remedy != "" {
			text = append(text, c.Remedy)
		}
		b.WriteString(fmt.Sprintf("| %s | %s | %s | %s |\n", c.Connection, c.Capability, c.Status(), strings.Join(text, "; ")))
	}
	return b.String()
}

// preflight tests both connections at the first run of a revision, so that what
// is missing is said before anything is fetched. Its calls are counted apart.
func (r *syncRun) preflight(ctx workflow.Context) error {
	if !r.Plan.Preflight {
		return nil
	}
	in := contract.PreflightRunInput{Plan: r.Plan}
	var source, target contract.PreflightResult
	err := r.patient(ctx, contract.QualysQueue(r.Plan.Qualys()), &source, func() workflow.Future {
		return workflow.ExecuteActivity(fetch(ctx, r.Plan.Qualys(), "test "+r.Plan.Qualys()), inventory.QualysPreflight, in)
	})
	r.PreflightCalls += source.Calls
	if err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	err = r.patient(ctx, contract.ServiceNowQueue(r.Plan.ServiceNow()), &target, func() workflow.Future {
		return workflow.ExecuteActivity(write(ctx, r.Plan.ServiceNow(), "test "+r.Plan.ServiceNow()), writer.ServiceNowPreflight, in)
	})
	r.PreflightCalls += target.Calls
	if err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	return nil
}
