package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// Stages of a run to Qualys beside those of every run.
const (
	stagePlanning = "planning"
	stageWriting  = "writing"
)

// runToQualys is a run that reads the CMDB, plans what a subscription lacks and
// writes it, with the steps of its schedule's kind.
func runToQualys(ctx workflow.Context, in contract.RunInput) (contract.RunResult, error) {
	r := &syncRun{RunInput: in, stage: stageOpening}
	if err := workflow.SetQueryHandlerWithOptions(ctx, contract.QueryStatus, r.status,
		workflow.QueryHandlerOptions{Description: "stage and counters of the run"}); err != nil {
		return contract.RunResult{}, err
	}
	return r.execute(ctx, r.toQualys)
}

// kindMetadata is the kind of schedules that have steps of their own.
const kindMetadata = "metadata"

// steps are the activities of a run to Qualys.
type steps struct {
	what               string // of the instance is read
	read, stage, write any
}

// stepsOf returns the steps by the kind of the schedule.
func stepsOf(kind string) steps {
	if kind == "tags" {
		return steps{"attributes of CIs", tagging.ServiceNowReadValues, tagging.QualysStageTags, tagging.QualysWriteTags}
	}
	if kind == "third-party" {
		return steps{"CIs", publishing.ServiceNowReadMachines, publishing.QualysStageMachines, publishing.QualysWriteMachines}
	}
	return steps{"CIs", reading.ServiceNowReadCIs, exporting.QualysStageExport, exporting.QualysWriteExport}
}

// toQualys reads the CMDB, plans what the subscription lacks, and writes it.
func (r *syncRun) toQualys(ctx workflow.Context) error {
	do := stepsOf(r.Plan.Kind)
	if err := r.preflight(ctx); err != nil {
		return err
	}
	r.enter(ctx, stageReading)
	var cis contract.ReadCIsResult
	err := r.patient(ctx, contract.ServiceNowQueue(r.Plan.ServiceNow()), &cis, func() workflow.Future {
		return workflow.ExecuteActivity(write(ctx, r.Plan.ServiceNow(), "read "+do.what), do.read, contract.ReadCIsInput{Plan: r.Plan})
	})
	r.ServiceNowCalls += cis.Calls
	if err != nil {
		return fmt.Errorf("read %s: %w", do.what, err)
	}
	r.enter(ctx, stagePlanning)
	var staged contract.StageExportResult
	err = r.patient(ctx, contract.QualysQueue(r.Plan.Qualys()), &staged, func() workflow.Future {
		return workflow.ExecuteActivity(update(ctx, r.Plan.Qualys(), fmt.Sprintf("plan for %d CIs", cis.CIs)), do.stage, contract.StageExportInput{Plan: r.Plan, Spent: r.QualysCalls})
	})
	r.QualysCalls += staged.Calls
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if staged.Stopped != "" {
		r.Stopped = staged.Stopped + ": nothing was planned; the next run reads again"
		return nil
	}
	r.Counters.Add(staged.Counters)
	r.Plan.Approval = r.Plan.Approval || staged.Asks
	r.enter(ctx, stageWriting)
	for _, page := range staged.Pages {
		if err := r.writeOut(ctx, page); err != nil {
			return fmt.Errorf("write to %s: %w", r.Plan.Qualys(), err)
		}
		r.show(ctx)
		if err := r.tooManyFailed(); err != nil {
			return err
		}
	}
	return nil
}

// writeOut writes a page of records to Qualys.
func (r *syncRun) writeOut(ctx workflow.Context, page int64) error {
	var res contract.WritePageResult
	err := r.patient(ctx, contract.QualysQueue(r.Plan.Qualys()), &res, func() workflow.Future {
		return workflow.ExecuteActivity(update(ctx, r.Plan.Qualys(), "write to "+r.Plan.Qualys()), stepsOf(r.Plan.Kind).write, contract.WritePageInput{Plan: r.Plan.OfPage(), Page: page})
	})
	r.QualysCalls += res.Calls
	r.Counters.Add(res.Counters)
	return err
}
