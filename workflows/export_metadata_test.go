package workflows_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// newOwners is a run of business metadata over two pages of assets, whose
// applications and assets need a page of writes each. order notes what is done.
func newOwners(t *testing.T) (r *run, order *[]string) {
	t.Helper()
	r, order = newRun(t), &[]string{}
	r.plan = contract.RunPlan{Run: "run-1", Schedule: "owners", Source: "prod", Target: "corp", Revision: "r1", Mode: "full", FailureRatio: 0.2, Kind: "metadata"}
	note := func(format string, args ...any) { *order = append(*order, fmt.Sprintf(format, args...)) }
	r.OnActivity("ServiceNowReadOwners", mock.Anything, mock.Anything).Return(func(context.Context, contract.ReadMetadataInput) (contract.ReadMetadataResult, error) {
		note("read CIs")
		return contract.ReadMetadataResult{Parts: 1, Count: 7, Calls: 1}, nil
	}).Maybe()
	r.OnActivity("ServiceNowReadApplications", mock.Anything, mock.Anything).Return(contract.ReadMetadataResult{Parts: 1, Count: 2, Calls: 3}, nil).Maybe()
	r.OnActivity("QualysReadMetadata", mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.ReadMetadataInput) (contract.ReadMetadataResult, error) {
		note("read assets after %d into part %d", in.Cursor, in.Part)
		return contract.ReadMetadataResult{Parts: 1, Count: 300, Calls: 1, Next: in.Cursor + 100, Last: in.Cursor == 100}, nil
	}).Maybe()
	r.OnActivity("MetadataPlan", mock.Anything, mock.Anything).Return(func(_ context.Context, in contract.PlanMetadataInput) (contract.PlanMetadataResult, error) {
		note("plan %s of %d and %d parts", in.What, in.Progress.CIs, in.Progress.Assets)
		page := contract.StagedRef{Page: 1, ToWrite: 2}
		if in.What == string(record.KindMetadata) {
			page = contract.StagedRef{Page: 2, ToWrite: 3}
		}
		return contract.PlanMetadataResult{Pages: []contract.StagedRef{page}, Counters: record.Counters{Fetched: 1, Unchanged: 1}}, nil
	}).Maybe()
	write := func(what string) func(context.Context, contract.WritePageInput) (contract.WritePageResult, error) {
		return func(_ context.Context, in contract.WritePageInput) (contract.WritePageResult, error) {
			note("%s page %d", what, in.Page)
			return contract.WritePageResult{Counters: record.Counters{Fetched: in.Page + 1, Updated: in.Page + 1}, Calls: 1}, nil
		}
	}
	r.OnActivity("QualysWriteMetadata", mock.Anything, mock.Anything).Return(write("write")).Maybe()
	r.OnActivity("MetadataHold", mock.Anything, mock.Anything).Return(write("hold")).Maybe()
	return r, order
}

func TestApplicationsAreWrittenBeforeAssetsArePlanned(t *testing.T) {
	t.Parallel()
	r, order := newOwners(t)
	r.ExecuteWorkflow(contract.ExportMetadata, contract.RunInput{Schedule: "owners"})
	require.NoError(t, r.GetWorkflowError())
	require.Equal(t, []string{
		"read CIs", "read assets after 0 into part 0", "read assets after 100 into part 1",
		"plan application of 1 and 2 parts", "write page 1", "plan metadata of 1 and 2 parts", "write page 2",
	}, *order)
	require.True(t, r.closed.Complete)
	require.Equal(t, map[string]int64{"qualys": 4, "servicenow": 4}, r.closed.Calls)
}

func TestWhatNeedsApprovalIsHeldAndNotWritten(t *testing.T) {
	t.Parallel()
	r, order := newOwners(t)
	r.plan.Approval = true
	r.ExecuteWorkflow(contract.ExportMetadata, contract.RunInput{Schedule: "owners"})
	require.NoError(t, r.GetWorkflowError())
	require.Contains(t, *order, "hold page 2")
	r.AssertNotCalled(t, "QualysWriteMetadata", mock.Anything, mock.Anything)
}

func TestAContinuedRunGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		progress contract.MetadataProgress
		want     []string
	}{
		"in the middle of reading": {contract.MetadataProgress{CIs: 1, Applications: 1, Assets: 1, Cursor: 100}, []string{
			"read assets after 100 into part 1", "plan application of 1 and 2 parts", "write page 1", "plan metadata of 1 and 2 parts", "write page 2",
		}},
		"in the middle of writing": {contract.MetadataProgress{CIs: 1, Applications: 1, Assets: 2, Read: true, Planned: []string{"application", "metadata"}, Pages: []contract.StagedRef{{Page: 9, ToWrite: 1}}}, []string{"write page 9"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, order := newOwners(t)
			r.ExecuteWorkflow(contract.ExportMetadata, contract.RunInput{Schedule: "owners", Continued: &contract.RunProgress{Plan: r.plan, Metadata: &c.progress}})
			require.NoError(t, r.GetWorkflowError())
			require.Equal(t, c.want, *order)
		})
	}
}

func TestAnInventoryThatIsNotAllThereIsNotCompared(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last            contract.ReadMetadataResult
		stopped, reason string
	}{
		"the calls are spent": {contract.ReadMetadataResult{Stopped: "the ceiling of 3 calls is reached", Last: true}, "the ceiling of 3 calls is reached: nothing was compared", ""},
		"assets are missing":  {contract.ReadMetadataResult{Parts: 1, Last: true, Total: 9, Seen: 7, Incomplete: "Qualys counts 9 assets"}, "", "Qualys counts 9 assets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t)
			r.plan.Kind = "metadata"
			r.OnActivity("ServiceNowReadOwners", mock.Anything, mock.Anything).Return(contract.ReadMetadataResult{Parts: 1}, nil)
			r.OnActivity("ServiceNowReadApplications", mock.Anything, mock.Anything).Return(contract.ReadMetadataResult{Parts: 1}, nil)
			r.OnActivity("QualysReadMetadata", mock.Anything, mock.Anything).Return(c.last, nil)
			r.ExecuteWorkflow(contract.ExportMetadata, contract.RunInput{Schedule: "owners"})
			require.NoError(t, r.GetWorkflowError())
			require.Contains(t, r.closed.Stopped, c.stopped)
			require.Equal(t, c.reason, r.closed.Incomplete)
			require.False(t, r.closed.Complete)
			r.AssertNotCalled(t, "MetadataPlan", mock.Anything, mock.Anything)
		})
	}
}
