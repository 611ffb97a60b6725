package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// Stages of a run to Qualys beside those of every run.
const (
	stagePlanning = "planning"
	stageAdding   = "adding"
)

// ExportAssets adds the addresses of CIs that a Qualys subscription lacks. What is
// added cannot be removed again, so the plan is made first, and waits for a person
// unless the schedule says otherwise; the schedule's approval then writes it. The
// result of a run that finishes is its RunResult.
func ExportAssets(ctx workflow.Context, in contract.RunInput) (contract.RunResult, error) {
	r := &syncRun{RunInput: in, stage: stageOpening}
	if err := workflow.SetQueryHandlerWithOptions(ctx, contract.QueryStatus, r.status,
		workflow.QueryHandlerOptions{Description: "stage and counters of the run"}); err != nil {
		return contract.RunResult{}, err
	}
	return r.execute(ctx, r.export)
}

// kindExport is the kind of schedules whose records QualysWriteExport writes.
const kindExport = "export"

// export reads the CIs, plans what the subscription lacks, and adds it.
func (r *syncRun) export(ctx workflow.Context) error {
	if err := r.preflight(ctx); err != nil {
		return err
	}
	r.enter(ctx, stageReading)
	var cis contract.ReadCIsResult
	err := r.patient(ctx, contract.ServiceNowQueue(r.Plan.ServiceNow()), &cis, func() workflow.Future {
		return workflow.ExecuteActivity(write(ctx, r.Plan.ServiceNow(), "read CIs"), reading.ServiceNowReadCIs, contract.ReadCIsInput{Plan: r.Plan})
	})
	r.ServiceNowCalls += cis.Calls
	if err != nil {
		return fmt.Errorf("read CIs: %w", err)
	}
	r.enter(ctx, stagePlanning)
	var staged contract.StageExportResult
	err = r.patient(ctx, contract.QualysQueue(r.Plan.Qualys()), &staged, func() workflow.Future {
		return workflow.ExecuteActivity(fetch(ctx, r.Plan.Qualys(), fmt.Sprintf("plan for %d CIs", cis.CIs)), exporting.QualysStageExport, contract.StageExportInput{Plan: r.Plan})
	})
	r.QualysCalls += staged.Calls
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	r.Counters.Add(staged.Counters)
	r.enter(ctx, stageAdding)
	for _, page := range staged.Pages {
		if err := r.writeOut(ctx, page); err != nil {
			return fmt.Errorf("write to %s: %w", r.Plan.Qualys(), err)
		}
		r.show(ctx)
	}
	return nil
}

// writeOut writes a page of records to Qualys.
func (r *syncRun) writeOut(ctx workflow.Context, page int64) error {
	var res contract.WritePageResult
	err := r.patient(ctx, contract.QualysQueue(r.Plan.Qualys()), &res, func() workflow.Future {
		return workflow.ExecuteActivity(update(ctx, r.Plan.Qualys(), "write to "+r.Plan.Qualys()), exporting.QualysWriteExport, contract.WritePageInput{Plan: r.Plan.OfPage(), Page: page})
	})
	r.QualysCalls += res.Calls
	r.Counters.Add(res.Counters)
	return err
}
