package workflows

import (
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/qbridge/qbridge/workflows/contract"
)

// minForRatio is the number of records from which the failure ratio counts.
const minForRatio = 100

// pages is the page loop: while page n is written, page n+1 is fetched. The
// cursor moves only after the write, so a crash fetches at most one page again
// — and finds that one staged. The run continues as new when the server
// suggests it, with nothing in flight.
func (r *syncRun) pages(ctx workflow.Context) error {
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	next := r.fetchPage(ctx, r.Cursor)
	for {
		page, err := next.get(ctx)
		if err != nil {
			return fmt.Errorf("fetch page %s: %w", r.place(r.Cursor), err)
		}
		next = nil
		if page.Stopped != "" {
			r.Stopped = page.Stopped
			r.Pages--
			return nil
		}
		if rollOver := workflow.GetInfo(ctx).GetContinueAsNewSuggested(); !page.Last && !rollOver && !r.sampled(page) {
			next = r.fetchPage(ctx, page.Next)
		}
		err = r.writePage(ctx, page)
		if err == nil {
			r.Cursor = page.Next
			r.Enumerated += page.Count
			r.show(ctx)
			err = r.tooManyFailed()
		} else {
			err = fmt.Errorf("write page %s: %w", r.place(r.Cursor), err)
		}
		switch {
		case err != nil:
			cancel()
			next.settle(ctx)
			return err
		case page.Last, r.sampled(contract.PageRef{}):
			return nil
		case next == nil:
			return r.continueAsNew(ctx)
		}
	}
}

// sampled says whether a trial run has all its assets with a page.
func (r *syncRun) sampled(page contract.PageRef) bool {
	return r.Plan.Sample > 0 && r.Enumerated+page.Count >= r.Plan.Sample
}

// checkTotal compares the pages with what Qualys counted: a vendor that loses
// assets between two pages gives no error. When there are fewer, Qualys counts
// again, for assets may have gone meanwhile.
func (r *syncRun) checkTotal(ctx workflow.Context) {
	if !r.Plan.CheckTotal || r.Plan.Sample > 0 || r.Enumerated >= r.Plan.Total {
		return
	}
	before := r.Plan.Total
	r.count(ctx)
	if total := min(before, r.Plan.Total); r.Enumerated < total {
		r.Incomplete = fmt.Sprintf("Qualys counts %d assets and listed %d: the enumeration is incomplete, and the next run reads it again", total, r.Enumerated)
		workflow.GetLogger(ctx).Warn(r.Incomplete, "schedule", r.Schedule)
	}
}

// fetching is a page on its way.
type fetching struct {
	run    *syncRun
	cursor int64
	future workflow.Future
}

// fetchPage starts fetching the page after a cursor.
func (r *syncRun) fetchPage(ctx workflow.Context, cursor int64) *fetching {
	f := &fetching{run: r, cursor: cursor}
	f.start(ctx)
	return f
}

func (f *fetching) start(ctx workflow.Context) {
	r := f.run
	in := contract.FetchPageInput{Plan: r.Plan.OfPage(), Cursor: f.cursor, Spent: r.QualysCalls}
	ctx = fetch(ctx, r.Plan.Source, "page "+r.place(f.cursor))
	if r.kind == contract.SyncCertificates {
		f.future = workflow.ExecuteActivity(ctx, certified.QualysFetchCertificates, in)
		return
	}
	f.future = workflow.ExecuteActivity(ctx, inventory.QualysFetchPage, in)
}

// get waits for the page.
func (f *fetching) get(ctx workflow.Context) (contract.PageRef, error) {
	var page contract.PageRef
	err := f.run.patient(ctx, contract.QualysQueue(f.run.Plan.Source), &page, func() workflow.Future {
		if f.future == nil {
			f.start(ctx)
		}
		future := f.future
		f.future = nil
		return future
	})
	if err == nil {
		f.run.QualysCalls += page.Calls
		f.run.Pages++
	}
	return page, err
}

// settle waits for the end of a cancelled fetch, so that the page is staged
// before the run closes and the next run finds it.
func (f *fetching) settle(ctx workflow.Context) {
	if f == nil || f.future == nil {
		return
	}
	dctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	_ = f.future.Get(dctx, nil) // cancelled, failed or staged: the next run sees which
}

// writePage writes what a page has to write and counts its outcomes. The write
// answers for the whole page, those included that staging gave.
func (r *syncRun) writePage(ctx workflow.Context, page contract.PageRef) error {
	if page.ToWrite == 0 {
		r.Counters.Add(page.Counters)
		return nil
	}
	var res contract.WritePageResult
	err := r.patient(ctx, contract.ServiceNowQueue(r.Plan.Target), &res, func() workflow.Future {
		in := contract.WritePageInput{Plan: r.Plan.OfPage(), Page: page.Page}
		if r.Plan.Approval {
			return workflow.ExecuteActivity(write(ctx, r.Plan.Target, fmt.Sprintf("plan %d records", page.ToWrite)), writer.ServiceNowPlanPage, in)
		}
		return workflow.ExecuteActivity(write(ctx, r.Plan.Target, fmt.Sprintf("write %d records", page.ToWrite)), writer.ServiceNowWritePage, in)
	})
	if err != nil {
		return err
	}
	r.ServiceNowCalls += res.Calls
	r.Counters.Add(res.Counters)
	return nil
}

// retryFailed writes the failed records of earlier runs again. A full run
// fetches them anyway.
func (r *syncRun) retryFailed(ctx workflow.Context) error {
	for left := r.Plan.Retries; left > 0; {
		var page contract.PageRef
		if err := workflow.ExecuteActivity(ledger(ctx, "claim failed records"), ledgers.LedgerClaimFailed,
			contract.ClaimFailedInput{Plan: r.Plan.OfPage()}).Get(ctx, &page); err != nil {
			return fmt.Errorf("claim failed records: %w", err)
		}
		if page.Count == 0 {
			return nil
		}
		if err := r.writePage(ctx, page); err != nil {
			return fmt.Errorf("retry failed records: %w", err)
		}
		left -= page.Count
		r.show(ctx)
		if err := r.tooManyFailed(); err != nil {
			return err
		}
	}
	return nil
}

// patient waits for an activity of a connection's queue. Work that nobody
// picked up is started again as long as somebody polls the queue; otherwise the
// run fails with the remedy instead of hanging.
func (r *syncRun) patient(ctx workflow.Context, queue string, out any, start func() workflow.Future) error {
	for {
		err := start().Get(ctx, out)
		var timeout *temporal.TimeoutError
		if err == nil || !errors.As(err, &timeout) || timeout.TimeoutType() != enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START {
			return err
		}
		r.waiting = "a worker that polls queue " + queue
		r.show(ctx)
		if err := workflow.ExecuteActivity(ledger(ctx, "check queue "+queue), configs.ConfigCheckQueue,
			contract.CheckQueueInput{Queue: queue}).Get(ctx, nil); err != nil {
			return err
		}
		r.waiting = ""
	}
}

// tooManyFailed stops a run whose rules or target are broken before it does
// more harm.
func (r *syncRun) tooManyFailed() error {
	if r.Plan.FailureRatio <= 0 || r.Counters.Sum() < minForRatio {
		return nil
	}
	bad := r.Counters.Failed + r.Counters.Rejected
	if ratio := float64(bad) / float64(r.Counters.Sum()); ratio > r.Plan.FailureRatio {
		return temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("%d of %d records failed, more than the threshold of %.0f %%: see `qbridge run show %s`, mend the cause and start again",
				bad, r.Counters.Sum(), r.Plan.FailureRatio*100, r.Plan.Run),
			contract.ErrTooManyFailed, nil)
	}
	return nil
}

// continueAsNew starts the next run of the chain with the carried progress.
func (r *syncRun) continueAsNew(ctx workflow.Context) error {
	p := r.RunProgress
	p.Events += int64(workflow.GetInfo(ctx).GetCurrentHistoryLength())
	in := r.RunInput
	in.Continued = &p
	return workflow.NewContinueAsNewError(ctx, r.workflowType(), in)
}
