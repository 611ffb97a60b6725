// Package crash names the places where a worker may die, so that tests can kill
// it there. A production build reaches them without doing anything; a build with
// the tag "faults" asks the plan that the context carries.
//
//	faults tests ─▶ With(ctx, plan) ─▶ activity ─▶ At(ctx, AfterPost) ─▶ plan.Reach
package crash

// Point is a place in an activity. Between two neighbouring points at most one
// thing happens that outlives the process: a vendor call or a transaction.
type Point string

// The points, in the order in which a run reaches them.
const (
	AfterSaveRevision Point = "after-save-revision" // a revision is stored, apply has no answer
	AfterOpenRun      Point = "after-open-run"      // the lease is taken
	AfterCheckLinks   Point = "after-check-links"   // linked CIs were read, missing ones not forgotten
	BeforeFetch       Point = "before-fetch"        // the page is not in the store
	AfterFetch        Point = "after-fetch"         // the Qualys call is spent, the page not staged
	AfterStage        Point = "after-stage"         // the page is staged, the workflow does not know
	BeforeShared      Point = "before-shared"       // the page is loaded, nothing was sent
	AfterShared       Point = "after-shared"        // shared items are written, not remembered
	AfterCreate       Point = "after-create"        // a reference row is created, not remembered
	BeforeIntent      Point = "before-intent"       // a payload is about to be announced
	AfterIntent       Point = "after-intent"        // it is announced, not sent
	AfterPost         Point = "after-post"          // it is committed, the outcomes are not stored
	AfterSettle       Point = "after-settle"        // the outcomes of one payload are stored
	BeforeFinish      Point = "before-finish"       // every record of the page has its outcome
	AfterFinish       Point = "after-finish"        // the page is finished, the workflow does not know
	AfterClaimFailed  Point = "after-claim-failed"  // failed records were moved into this run
	AfterCloseRun     Point = "after-close-run"     // the lease is given back, the workflow does not know
)

// Points returns all points.
func Points() []Point {
	return []Point{
		AfterSaveRevision, AfterOpenRun, AfterCheckLinks, BeforeFetch, AfterFetch, AfterStage, BeforeShared, AfterShared, AfterCreate,
		BeforeIntent, AfterIntent, AfterPost, AfterSettle, BeforeFinish, AfterFinish, AfterClaimFailed, AfterCloseRun,
	}
}
