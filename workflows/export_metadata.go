package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Stages of a run that writes business metadata.
const (
	stageReading      = "reading"
	stageApplications = "business applications"
	stageAssets       = "business metadata"
)

// ExportMetadata writes to Qualys what the CMDB knows of its assets: business
// applications first, then owners, groups and places of assets, which may name the
// applications. Both sides are read whole, only what differs is written, and every
// asset that was written is read back. Results and failures are as those of
// SyncInventory.
func ExportMetadata(ctx workflow.Context, in contract.RunInput) (contract.RunResult, error) {
	m := &metadataRun{syncRun{RunInput: in, stage: stageOpening}}
	if err := workflow.SetQueryHandlerWithOptions(ctx, contract.QueryStatus, m.status,
		workflow.QueryHandlerOptions{Description: "stage and counters of the run"}); err != nil {
		return contract.RunResult{}, err
	}
	return m.execute(ctx, m.work)
}

// metadataRun is one run; it opens and closes like any other.
type metadataRun struct{ syncRun }

func (m *metadataRun) work(ctx workflow.Context) error {
	if m.Metadata == nil {
		m.Metadata = &contract.MetadataProgress{}
		if err := m.preflight(ctx); err != nil {
			return err
		}
	}
	m.enter(ctx, stageReading)
	if err := m.read(ctx); err != nil || m.Stopped != "" || m.Incomplete != "" {
		return err
	}
	m.enter(ctx, stageApplications)
	if err := m.carryOut(ctx, record.KindApplication); err != nil {
		return err
	}
	m.enter(ctx, stageAssets)
	return m.carryOut(ctx, record.KindMetadata)
}

// read reads both sides into the store.
func (m *metadataRun) read(ctx workflow.Context) error {
	p := m.Metadata
	if p.Read {
		return nil
	}
	if p.Applications == 0 {
		if err := m.readInstance(ctx); err != nil {
			return err
		}
	}
	for {
		var page contract.ReadMetadataResult
		err := m.patient(ctx, contract.QualysQueue(m.Plan.Target), &page, func() workflow.Future {
			return workflow.ExecuteActivity(fetch(ctx, m.Plan.Target, fmt.Sprintf("assets after %d", p.Cursor)), business.QualysReadMetadata,
				contract.ReadMetadataInput{Plan: m.Plan.OfPage(), Cursor: p.Cursor, Part: p.Assets, Spent: m.QualysCalls, Total: p.Total, Seen: m.Enumerated})
		})
		if err != nil {
			return fmt.Errorf("read assets after %d: %w", p.Cursor, err)
		}
		if page.Stopped != "" {
			m.Stopped = page.Stopped + ": nothing was compared; the next run reads again from the beginning"
			return nil
		}
		m.QualysCalls += page.Calls
		m.Pages++
		p.Assets, p.Cursor, p.Read, p.Total = p.Assets+page.Parts, page.Next, page.Last, page.Total
		m.Enumerated += page.Seen
		m.Incomplete = page.Incomplete
		m.show(ctx)
		if p.Read {
			return nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return m.continueAsNew(ctx)
		}
	}
}

// readInstance reads CIs and business applications.
func (m *metadataRun) readInstance(ctx workflow.Context) error {
	in := contract.ReadMetadataInput{Plan: m.Plan}
	var cis, apps contract.ReadMetadataResult
	err := m.patient(ctx, contract.ServiceNowQueue(m.Plan.Source), &cis, func() workflow.Future {
		return workflow.ExecuteActivity(write(ctx, m.Plan.Source, "read CIs"), business.ServiceNowReadOwners, in)
	})
	if err != nil {
		return fmt.Errorf("read CIs: %w", err)
	}
	err = m.patient(ctx, contract.ServiceNowQueue(m.Plan.Source), &apps, func() workflow.Future {
		return workflow.ExecuteActivity(write(ctx, m.Plan.Source, "read business applications"), business.ServiceNowReadApplications, in)
	})
	if err != nil {
		return fmt.Errorf("read business applications: %w", err)
	}
	m.Metadata.CIs, m.Metadata.Applications = cis.Parts, apps.Parts
	m.Plan.Total = cis.Count + apps.Count
	m.ServiceNowCalls += cis.Calls + apps.Calls
	m.show(ctx)
	return nil
}

// carryOut plans the records of a kind and writes them page by page, or lets them
// wait for a person.
func (m *metadataRun) carryOut(ctx workflow.Context, kind record.Kind) error {
	p := m.Metadata
	if !slices.Contains(p.Planned, string(kind)) {
		var res contract.PlanMetadataResult
		err := workflow.ExecuteActivity(compute(ctx, "plan "+string(kind)), business.MetadataPlan,
			contract.PlanMetadataInput{Plan: m.Plan, What: string(kind), Progress: *p}).Get(ctx, &res)
		if err != nil {
			return fmt.Errorf("plan %s: %w", kind, err)
		}
		m.Counters.Add(res.Counters)
		p.Pages, p.Planned = res.Pages, append(p.Planned, string(kind))
	}
	for len(p.Pages) > 0 {
		if err := m.writePage(ctx, p.Pages[0]); err != nil {
			return fmt.Errorf("write %s: %w", kind, err)
		}
		p.Pages = p.Pages[1:]
		m.show(ctx)
		if err := m.tooManyFailed(); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return m.continueAsNew(ctx)
		}
	}
	return nil
}

// writePage writes one page of staged records, or lets it wait.
func (m *metadataRun) writePage(ctx workflow.Context, page contract.StagedRef) error {
	var res contract.WritePageResult
	in := contract.WritePageInput{Plan: m.Plan.OfPage(), Page: page.Page}
	var err error
	if m.Plan.Approval {
		err = workflow.ExecuteActivity(ledger(ctx, fmt.Sprintf("hold %d records", page.ToWrite)), business.MetadataHold, in).Get(ctx, &res)
	} else {
		err = m.patient(ctx, contract.QualysQueue(m.Plan.Target), &res, func() workflow.Future {
			return workflow.ExecuteActivity(update(ctx, m.Plan.Target, fmt.Sprintf("write %d records", page.ToWrite)), business.QualysWriteMetadata, in)
		})
	}
	if err != nil {
		return err
	}
	m.QualysCalls += res.Calls
	m.Counters.Add(res.Counters)
	return nil
}
