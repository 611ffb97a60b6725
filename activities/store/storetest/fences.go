package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// fences are the tests of what happens side by side: several attempts of one
// activity, several takers of one lease, a zombie that still writes.
func fences() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"a zombie finds, claims and stages nothing":                zombieReads,
		"attempts of one run at the same time open it once":        openAtOnce,
		"one of many takers gets the lease of a dead run":          takersAtOnce,
		"attempts of one page at the same time stage it once":      stageAtOnce,
		"a page staged during a takeover is accounted for":         stageDuringTakeover,
		"a queue has one poller, however many ask at once":         pollersAtOnce,
		"shared links and references may be stored by all at once": sharedAtOnce,
		"a key twice in one call is one row":                       twiceInOneCall,
		"an outcome needs a record":                                outcomeOfNobody,
		"what a complete run did not write is tried again":         leftBehind,
		"a post without answer is not forgotten by a detour":       detour,
		"two posts and one answer bring no old digest back":        twoPosts,
		"a run closes itself or is taken over, never both":         closeDuringTakeover,
		"a page has one writer, the one that began last":           onePageWriter,
		"an incomplete enumeration is begun anew":                  incomplete,
		"a run that misses CIs becomes a full one":                 widened,
		"bad bytes in names and keys find what they stored":        badKeys,
	}
}

// together runs fn n times at once and returns the errors by index.
func together(n int, fn func(int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			<-start
			errs[i] = fn(i)
		}()
	}
	close(start)
	wg.Wait()
	return errs
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	require.NoError(t, errors.Join(errs...))
}

func zombieReads(t *testing.T, s store.Store) {
	dead := open(t, s, input("run-1"))
	p := dead.stage(0, 10, false, rec("corp/1"))
	alive := takeOver(t, s, "run-2", dead.Epoch)
	_, err := s.FindPage(ctx, dead.id, dead.Epoch, dead.Enumeration, 0)
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	_, err = s.ClaimFailed(ctx, dead.id, dead.Epoch, 10)
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	// The epoch fences even a caller that names the living run.
	_, err = s.FindPage(ctx, alive.id, dead.Epoch, dead.Enumeration, 0)
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	require.ErrorIs(t, s.Settle(ctx, store.Writer{Run: alive.id, Epoch: dead.Epoch, Page: p.ID}, []store.Settlement{{Key: "corp/1", Outcome: record.Created}}), store.ErrStaleEpoch)
	_, err = s.FindPage(ctx, "nobody", 1, dead.Enumeration, 0)
	require.ErrorIs(t, err, store.ErrNotFound)
	adopted, err := s.FindPage(ctx, alive.id, alive.Epoch, alive.Enumeration, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, adopted.ToWrite, "the zombie changed nothing")
	stale, err := s.Staged(ctx, dead.id, p.ID)
	require.NoError(t, err)
	require.Empty(t, stale, "the records belong to the living run now")
}

func openAtOnce(t *testing.T, s store.Store) {
	const attempts = 8
	got := make([]store.OpenedRun, attempts)
	noErrors(t, together(attempts, func(i int) (err error) {
		got[i], err = s.OpenRun(ctx, input("run-1"))
		return err
	}))
	for _, o := range got[1:] {
		require.Equal(t, got[0], o)
	}
}

func takersAtOnce(t *testing.T, s store.Store) {
	const takers = 8
	dead := open(t, s, input("run-0"))
	var winner string
	for i, err := range together(takers, func(i int) error {
		in := input(fmt.Sprintf("taker-%d", i))
		in.TakeOver = dead.Epoch
		_, err := s.OpenRun(ctx, in)
		return err
	}) {
		var held *store.LeaseHeldError
		switch {
		case err == nil:
			require.Empty(t, winner, "two runs hold one lease")
			winner = fmt.Sprintf("taker-%d", i)
		default:
			require.ErrorAs(t, err, &held)
		}
	}
	require.NotEmpty(t, winner)
	running, err := s.ListRuns(ctx, store.RunFilter{Status: store.RunRunning})
	require.NoError(t, err)
	require.Len(t, running, 1)
	require.Equal(t, winner, running[0].ID)
}

func stageAtOnce(t *testing.T, s store.Store) {
	const attempts = 8
	run := open(t, s, input("run-1"))
	pages := make([]store.Page, attempts)
	noErrors(t, together(attempts, func(i int) (err error) {
		pages[i], err = s.StagePage(ctx, store.StagePage{
			Run: run.id, Epoch: run.Epoch, Enumeration: run.Enumeration, CursorOut: 10, ServerDate: serverDate, Records: []store.Staging{rec("corp/1"), rec("corp/2")},
		})
		return err
	}))
	for _, p := range pages[1:] {
		require.Equal(t, pages[0], p)
	}
	run.settle(pages[0], record.Created, "corp/1", "corp/2")
	run.finish(pages[0])
	require.Equal(t, record.Counters{Fetched: 2, Created: 2}, run.close(store.RunCompleted, true).Counters)
}

// stageDuringTakeover lets a takeover meet a page that is being staged. Whatever
// comes first: a page that was stored is in the frozen counters of its run.
func stageDuringTakeover(t *testing.T, s store.Store) {
	const rounds, pages = 10, 6
	for round := range rounds {
		in := input(fmt.Sprintf("dead-%d", round))
		in.Schedule = fmt.Sprintf("s%d", round)
		dead := open(t, s, in)
		next := in
		next.ID, next.TakeOver = fmt.Sprintf("next-%d", round), dead.Epoch
		var stored int64
		noErrors(t, together(2, func(i int) error {
			if i == 1 {
				_, err := s.OpenRun(ctx, next)
				return err
			}
			for p := range int64(pages) {
				_, err := s.StagePage(ctx, store.StagePage{
					Run: in.ID, Epoch: dead.Epoch, Enumeration: dead.Enumeration, CursorIn: p, CursorOut: p + 1, ServerDate: serverDate,
					Records: []store.Staging{rec(fmt.Sprintf("corp/%d", 2*p)), rec(fmt.Sprintf("corp/%d", 2*p+1))},
				})
				if errors.Is(err, store.ErrStaleEpoch) {
					return nil
				}
				if err != nil {
					return err
				}
				stored += 2
			}
			return nil
		}))
		r, err := s.RunByID(ctx, in.ID)
		require.NoError(t, err)
		require.Equal(t, store.RunFailed, r.Status)
		require.Equal(t, record.Counters{Fetched: stored, Failed: stored}, r.Counters)
	}
}

func pollersAtOnce(t *testing.T, s store.Store) {
	const workers = 8
	got := make([]bool, workers)
	noErrors(t, together(workers, func(i int) (err error) {
		got[i], err = s.AcquirePoller(ctx, "qualys.corp", fmt.Sprintf("worker-%d", i), time.Hour)
		return err
	}))
	n := 0
	for _, mine := range got {
		if mine {
			n++
		}
	}
	require.Equal(t, 1, n)
}

// sharedAtOnce makes writers lock the same rows in opposite orders.
func sharedAtOnce(t *testing.T, s store.Store) {
	const writers, rounds, keys = 6, 5, 40
	noErrors(t, together(writers, func(w int) error {
		for range rounds {
			var links []store.Link
			var refs []store.Reference
			for k := range keys {
				if w%2 == 1 {
					k = keys - 1 - k
				}
				name := fmt.Sprintf("aws/%02d", k)
				links = append(links, store.Link{Target: "prod", Key: name, SysID: "sys-" + name, Origin: record.OriginCreated})
				refs = append(refs, store.Reference{Table: "core_company", Name: name, SysID: "sys-" + name})
			}
			if err := errors.Join(s.PutLinks(ctx, links), s.PutReferences(ctx, "prod", refs)); err != nil {
				return err
			}
		}
		return nil
	}))
	got, err := s.LinksOf(ctx, "prod", []string{"aws/00", "aws/39"})
	require.NoError(t, err)
	require.Len(t, got, 2)
}

func twiceInOneCall(t *testing.T, s store.Store) {
	link := func(sysID string, o record.Origin) store.Link {
		return store.Link{Target: "prod", Key: "aws/1", SysID: sysID, Class: "c", Origin: o}
	}
	linked := func() store.Link {
		got, err := s.LinksOf(ctx, "prod", []string{"aws/1", "aws/1"})
		require.NoError(t, err)
		return got["aws/1"]
	}
	require.NoError(t, s.PutLinks(ctx, []store.Link{link("a", record.OriginCreated), link("a", record.OriginMatched)}))
	require.Equal(t, link("a", record.OriginCreated), linked(), "as if stored one after the other")
	require.NoError(t, s.PutLinks(ctx, []store.Link{link("b", record.OriginMatched), link("a", record.OriginAdopted)}))
	require.Equal(t, link("a", record.OriginAdopted), linked())
	require.NoError(t, s.PutReferences(ctx, "prod", []store.Reference{{Table: "t", Name: "Dell", Missing: true}, {Table: "t", Name: "Dell", SysID: "1"}}))
	refs, err := s.CachedReferences(ctx, "prod", "t", []string{"Dell", "Dell"})
	require.NoError(t, err)
	require.Equal(t, map[string]store.Reference{"Dell": {Table: "t", Name: "Dell", SysID: "1"}}, refs)

	run := open(t, s, input("run-1"))
	p := run.stage(0, 10, true, rec("corp/1"), changed("corp/1"))
	run.settle(p, record.Created, "corp/1", "corp/1")
	run.finish(p)
	require.Equal(t, record.Counters{Fetched: 1, Created: 1}, run.close(store.RunCompleted, true).Counters)
}

func outcomeOfNobody(t *testing.T, s store.Store) {
	run := open(t, s, input("run-1"))
	p := run.stage(0, 10, true, rec("corp/1"))
	run.settle(p, record.Created, "corp/1", "corp/never-fetched")
	require.Equal(t, record.Counters{Fetched: 1, Created: 1}, run.close(store.RunCompleted, true).Counters)
}

func leftBehind(t *testing.T, s store.Store) {
	first := open(t, s, input("run-1"))
	p := first.stage(0, 10, true, rec("corp/1"), rec("corp/2"))
	first.settle(p, record.Created, "corp/1")
	require.Equal(t, record.Counters{Fetched: 2, Created: 1, Failed: 1}, first.close(store.RunCompleted, true).Counters)
	second := open(t, s, input("run-2"))
	require.EqualValues(t, 1, second.Retries, "the watermark moved past it")
	claimed, err := s.ClaimFailed(ctx, second.id, second.Epoch, 10)
	require.NoError(t, err)
	staged, err := s.Staged(ctx, second.id, claimed.ID)
	require.NoError(t, err)
	require.Len(t, staged, 1)
	require.Equal(t, "corp/2", staged[0].Key)
	require.Equal(t, "body of corp/2", string(staged[0].Body))
}

// detour posts another payload, loses the answer, and skips the record in
// between: the digest written before says nothing about the target now.
func detour(t *testing.T, s store.Store) {
	written(t, s)
	second := open(t, s, input("run-2"))
	p := second.stage(0, 10, true, changed("corp/1"))
	require.NoError(t, Begin(ctx, s, second.id, second.Epoch, p.ID, []string{"corp/1"}))
	second.close(store.RunFailed, false)
	skipping := input("run-3")
	skipping.Revision, skipping.RulesDigest = "r2", "rules-2"
	third := open(t, s, skipping)
	skipped := rec("corp/1")
	skipped.Outcome, skipped.PayloadDigest = record.Skipped, ""
	third.stage(0, 10, true, skipped)
	third.close(store.RunCompleted, true)
	again := input("run-4")
	again.Revision = "r3"
	fourth := open(t, s, again)
	require.EqualValues(t, 1, fourth.stage(0, 10, true, rec("corp/1")).ToWrite)
}

// twoPosts loses the answer of one post and has the next one declined: what was
// written before the first is no longer known to be in the target.
func twoPosts(t *testing.T, s store.Store) {
	written(t, s)
	for i, answered := range []bool{false, true} {
		in := input(fmt.Sprintf("post-%d", i))
		in.Revision = fmt.Sprintf("r-post-%d", i)
		run := open(t, s, in)
		p := run.stage(0, 10, true, changed("corp/1"))
		require.NoError(t, Begin(ctx, s, run.id, run.Epoch, p.ID, []string{"corp/1"}))
		if answered {
			require.NoError(t, s.Settle(ctx, store.Writer{Run: run.id, Epoch: run.Epoch, Page: p.ID}, []store.Settlement{{Key: "corp/1", Outcome: record.Skipped, Reason: "conflict"}}))
		}
		run.close(store.RunFailed, false)
	}
	last := input("run-last")
	last.Revision = "r-last"
	require.EqualValues(t, 1, open(t, s, last).stage(0, 10, true, rec("corp/1")).ToWrite)
}

// closeDuringTakeover lets a run close while another one takes it for dead.
func closeDuringTakeover(t *testing.T, s store.Store) {
	for round := range 8 {
		in := input(fmt.Sprintf("old-%d", round))
		in.Schedule = fmt.Sprintf("s%d", round)
		old := open(t, s, in)
		old.finish(old.stage(0, 10, true))
		next := in
		next.ID, next.TakeOver = fmt.Sprintf("new-%d", round), old.Epoch
		errs := together(2, func(i int) error {
			if i == 0 {
				_, err := s.OpenRun(ctx, next)
				return err
			}
			_, err := s.CloseRun(ctx, store.CloseRun{ID: old.id, Epoch: old.Epoch, Status: store.RunCompleted, Complete: true})
			return err
		})
		require.NoError(t, errs[0])
		r, err := s.RunByID(ctx, old.id)
		require.NoError(t, err)
		if errs[1] == nil {
			require.Equal(t, store.RunCompleted, r.Status)
		} else {
			require.ErrorIs(t, errs[1], store.ErrStaleEpoch)
			require.Equal(t, store.RunFailed, r.Status)
		}
		opened := open(t, s, next)
		require.Equal(t, errs[1] == nil, opened.Mode == store.ModeIncremental, "the watermark moved if and only if the run closed itself")
		opened.close(store.RunCompleted, false)
	}
}

// onePageWriter lets attempts of a page overlap.
func onePageWriter(t *testing.T, s store.Store) {
	run := open(t, s, input("run-1"))
	p := run.stage(0, 10, true, rec("corp/1"))
	by := func(attempt int64) store.Writer {
		return store.Writer{Run: run.id, Epoch: run.Epoch, Page: p.ID, Attempt: attempt}
	}
	out := []store.Settlement{{Key: "corp/1", Outcome: record.Created, Digest: "d"}}
	require.NoError(t, s.TakePage(ctx, by(3)))
	_, err := s.BeginPayload(ctx, by(3), []string{"corp/1"})
	require.NoError(t, err)
	require.NoError(t, s.TakePage(ctx, by(5)))
	require.ErrorIs(t, s.TakePage(ctx, by(4)), store.ErrStaleEpoch, "it began before")
	_, err = s.BeginPayload(ctx, by(3), []string{"corp/1"})
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	require.ErrorIs(t, s.Settle(ctx, by(3), out), store.ErrStaleEpoch)
	unanswered, err := s.BeginPayload(ctx, by(5), []string{"corp/1"})
	require.NoError(t, err)
	require.Len(t, unanswered, 1, "the first writer's post may have been made")
	require.NoError(t, s.TakePage(ctx, by(5)), "the same attempt may ask twice")
	require.NoError(t, s.Settle(ctx, by(5), out))
	next := input("run-2")
	next.TakeOver = run.Epoch
	second := open(t, s, next)
	_, err = s.FindPage(ctx, second.id, second.Epoch, second.Enumeration, 0)
	require.NoError(t, err)
	require.NoError(t, s.TakePage(ctx, store.Writer{Run: second.id, Epoch: second.Epoch, Page: p.ID, Attempt: 1}), "attempts of another run count anew")
	require.ErrorIs(t, s.TakePage(ctx, by(9)), store.ErrStaleEpoch, "its run was taken over")
}

// incomplete gives an enumeration up that came to its end.
func incomplete(t *testing.T, s store.Store) {
	written(t, s)
	full := input("run-full")
	full.Full = true
	run := open(t, s, full)
	run.finish(run.stage(0, 10, true, rec("corp/1")))
	_, err := s.CloseRun(ctx, store.CloseRun{ID: run.id, Epoch: run.Epoch, Status: store.RunCompleted, Abandon: true})
	require.NoError(t, err)
	next := open(t, s, input("run-next"))
	require.Equal(t, store.ModeFull, next.Mode, "the watermark is gone")
	require.False(t, next.Resumed)
	require.Zero(t, next.Cursor)
	_, err = s.FindPage(ctx, next.id, next.Epoch, next.Enumeration, 0)
	require.ErrorIs(t, err, store.ErrNotFound)
}

// widened turns an incremental run into a full one that ignores digests.
func widened(t *testing.T, s store.Store) {
	written(t, s)
	run := open(t, s, input("run-inc"))
	require.Equal(t, store.ModeIncremental, run.Mode)
	_, err := s.Widen(ctx, run.id, run.Epoch-1)
	require.ErrorIs(t, err, store.ErrStaleEpoch)
	o, err := s.Widen(ctx, run.id, run.Epoch)
	require.NoError(t, err)
	require.Equal(t, store.OpenedRun{Epoch: run.Epoch, Enumeration: o.Enumeration, Mode: store.ModeFull, Verify: true}, o)
	require.NotEqual(t, run.Enumeration, o.Enumeration)
	again, err := s.OpenRun(ctx, store.OpenRun{ID: run.id, Schedule: input("run-inc").Schedule})
	require.NoError(t, err)
	require.Equal(t, o, again, "a repeated opening says the same")
	run.OpenedRun = o
	run.close(store.RunFailed, false)
	next := open(t, s, input("run-next"))
	require.Equal(t, store.ModeFull, next.Mode, "it is resumed as a full one")
	require.True(t, next.Verify)
}

func badKeys(t *testing.T, s store.Store) {
	const bad = "De\x00ll \xff"
	require.NoError(t, s.PutReferences(ctx, "prod", []store.Reference{{Table: "t", Name: bad, SysID: "1"}}))
	refs, err := s.CachedReferences(ctx, "prod", "t", []string{bad})
	require.NoError(t, err)
	require.Len(t, refs, 1)
	require.NoError(t, s.PutLinks(ctx, []store.Link{{Target: "prod", Key: bad, SysID: "1", Origin: record.OriginCreated}}))
	links, err := s.LinksOf(ctx, "prod", []string{bad})
	require.NoError(t, err)
	require.Len(t, links, 1)
	run := open(t, s, input("run-1"))
	p := run.stage(0, 10, true, rec(bad))
	require.EqualValues(t, 1, p.ToWrite)
	require.NoError(t, Begin(ctx, s, run.id, run.Epoch, p.ID, []string{bad}))
	run.settle(p, record.Created, bad)
	require.EqualValues(t, 1, run.finish(p).Created)
}
