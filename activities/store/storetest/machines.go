package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/record"
)

func machines() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"assets of one machine know each other":                      identify,
		"what an unfinished enumeration saw counts for it alone":     identifyEnumerations,
		"an id that moved to another machine enters a generation":    generations,
		"what was written is kept until its successor is written":    prior,
		"parts of sections that were missing are still remembered":   priorCarried,
		"a failed write keeps what was written before in mind":       priorOfFailed,
		"a page of machines may be stored twice and repeat an asset": identifyTwice,
	}
}

func seenAs(id int64, name, serial string) store.Machine {
	return store.Machine{Identity: asset.Identity{ID: id, Name: name, Serial: serial, MACs: []string{"02:00:00:00:00:01", "02:00:00:00:00:02"}, Agent: id%2 == 0, Modified: serverDate.Add(time.Duration(id) * time.Second)}, Tracking: "IP"}
}

func ids(list []store.Machine) []int64 {
	var out []int64
	for i := range list {
		out = append(out, list[i].ID)
	}
	return out
}

func mustIdentify(t *testing.T, s store.Store, enumeration int64, page ...store.Machine) (known, others []store.Machine) {
	t.Helper()
	known, others, err := s.Identify(ctx, "corp", enumeration, page)
	require.NoError(t, err)
	return known, others
}

func identify(t *testing.T, s store.Store) {
	mustIdentify(t, s, 1, seenAs(1, "a", "SER-1"), seenAs(2, "b", "SER-2"), seenAs(3, "", ""))
	cloud := seenAs(4, "c", "")
	cloud.CloudID, cloud.UUID = "i-1", "U-1"
	mustIdentify(t, s, 1, cloud)
	for name, c := range map[string]struct {
		page store.Machine
		want []int64
	}{
		"serial":       {seenAs(9, "x", "ser-1"), []int64{1}},
		"name":         {seenAs(9, "B", "SER-9"), []int64{2}},
		"cloud id":     {store.Machine{Identity: asset.Identity{ID: 9, CloudID: "I-1"}}, []int64{4}},
		"uuid":         {store.Machine{Identity: asset.Identity{ID: 9, UUID: "u-1"}}, []int64{4}},
		"nothing":      {store.Machine{Identity: asset.Identity{ID: 9}}, nil},
		"only oneself": {seenAs(1, "a", "SER-1"), nil},
	} {
		_, others := mustIdentify(t, s, 1, c.page)
		require.Empty(t, cmp.Diff(c.want, ids(others)), name)
		mustIdentify(t, s, 1, store.Machine{Identity: asset.Identity{ID: 9}})
	}
	_, others := mustIdentify(t, s, 1, seenAs(9, "x", "SER-1"))
	want := seenAs(1, "a", "ser-1")
	want.Tracking = ""
	require.Empty(t, cmp.Diff([]store.Machine{want}, others), "all that was said is kept, in lower case")
	_, others, err := s.Identify(ctx, "branch", 1, []store.Machine{seenAs(9, "a", "SER-1")})
	require.NoError(t, err)
	require.Empty(t, others, "sources are apart")
}

func identifyEnumerations(t *testing.T, s store.Store) {
	first := open(t, s, input("run-1"))
	mustIdentify(t, s, first.Enumeration, seenAs(1, "a", "SER-1"))
	_, others := mustIdentify(t, s, first.Enumeration+1, seenAs(2, "b", "SER-1"))
	require.Empty(t, others, "not finished: a page that is read again must find what it found")
	first.stage(0, 0, true)
	first.finish(store.Page{ID: 1})
	first.close(store.RunCompleted, true)
	_, others = mustIdentify(t, s, first.Enumeration+1, seenAs(2, "b", "SER-1"))
	require.Equal(t, []int64{1}, ids(others))
	mustIdentify(t, s, first.Enumeration+5, seenAs(1, "a", "SER-1"))
	_, others = mustIdentify(t, s, first.Enumeration+1, seenAs(2, "b", "SER-1"))
	require.Equal(t, []int64{1}, ids(others), "seen again as it was, it stays known")
	mustIdentify(t, s, first.Enumeration+5, seenAs(1, "a", "SER-7"))
	_, others = mustIdentify(t, s, first.Enumeration+1, seenAs(2, "b", "SER-7"))
	require.Empty(t, others)
}

func generations(t *testing.T, s store.Store) {
	generation := func() int64 {
		n, err := s.Generation(ctx, "corp", 1)
		require.NoError(t, err)
		return n
	}
	require.Zero(t, generation())
	for _, step := range []struct {
		m    store.Machine
		want int64
	}{
		{seenAs(1, "a", "SER-1"), 0},
		{seenAs(1, "b", "SER-1"), 0},
		{seenAs(1, "b", "SER-2"), 0},
		{seenAs(1, "c", "SER-3"), 1},
		{seenAs(1, "c", "SER-3"), 1},
		{seenAs(1, "a", "SER-1"), 2},
	} {
		known, _ := mustIdentify(t, s, 1, step.m)
		require.Equal(t, step.want, known[0].Generation, "%+v", step.m)
		require.Equal(t, step.want, generation())
	}
	agent := seenAs(1, "z", "SER-9")
	agent.Tracking = "QAGENT"
	known, _ := mustIdentify(t, s, 1, agent)
	require.EqualValues(t, 2, known[0].Generation, "an agent moves with its machine")
	mustIdentify(t, s, 1, seenAs(2, "a", "SER-1"))
	all, err := s.Generations(ctx, "corp", []int64{1, 2, 3})
	require.NoError(t, err)
	require.Equal(t, map[int64]int64{1: 2}, all)
	all, err = s.Generations(ctx, "branch", []int64{1})
	require.NoError(t, err)
	require.Empty(t, all)
}

func drafts(t *testing.T, s store.Store) {
	o := open(t, s, input("run-1"))
	for part, body := range []string{"first", "second", "other"} {
		require.NoError(t, s.PutDraft(ctx, "run-1", o.Epoch, "cis", int64(part%2), []byte(body)))
	}
	for part, want := range []string{"other", "second"} {
		body, err := s.Draft(ctx, "run-1", "cis", int64(part))
		require.NoError(t, err)
		require.Equal(t, want, string(body))
	}
	require.ErrorIs(t, s.PutDraft(ctx, "run-1", o.Epoch+1, "cis", 0, []byte("x")), store.ErrStaleEpoch)
	for _, missing := range []struct {
		run, name string
		part      int64
	}{{"run-1", "cis", 2}, {"run-1", "assets", 0}, {"run-2", "cis", 0}} {
		_, err := s.Draft(ctx, missing.run, missing.name, missing.part)
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	o.close(store.RunCompleted, true)
	_, err := s.Draft(ctx, "run-1", "cis", 0)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func identifyTwice(t *testing.T, s store.Store) {
	page := []store.Machine{seenAs(1, "a", "S"), seenAs(2, "b", "S"), seenAs(1, "other", "T")}
	for range 2 {
		known, others := mustIdentify(t, s, 1, page...)
		require.Equal(t, []int64{1, 2}, ids(known))
		require.Empty(t, others)
	}
}

// stagedPrior stages a record of a body and digest in a run of its own and
// returns what is remembered beside it.
func stagedPrior(t *testing.T, s store.Store, run, body string, outcome record.Outcome, carried []byte) []byte {
	t.Helper()
	o := open(t, s, store.OpenRun{ID: run, WorkflowID: "sync/servers", Schedule: "servers", Source: "corp", Target: "prod", RulesDigest: "r", Overlap: time.Hour, ResumeWithin: time.Hour})
	r := rec("corp/1")
	r.PayloadDigest, r.Body = "d-"+body, []byte(body)
	p := o.stage(0, 1, true, r)
	list, err := s.Staged(ctx, run, p.ID)
	require.NoError(t, err)
	require.Len(t, list, 1)
	st := store.Settlement{Key: "corp/1", Outcome: outcome, Fresh: true, Prior: carried}
	if outcome != record.Failed {
		st.Digest = r.PayloadDigest
	}
	require.NoError(t, s.Settle(ctx, store.Writer{Run: run, Epoch: o.Epoch, Page: p.ID}, []store.Settlement{st}))
	o.finish(p)
	o.close(store.RunCompleted, true)
	return list[0].Prior
}

func prior(t *testing.T, s store.Store) {
	require.Nil(t, stagedPrior(t, s, "run-1", "A", record.Created, nil))
	require.Equal(t, "A", string(stagedPrior(t, s, "run-2", "B", record.Updated, nil)))
	require.Equal(t, "B", string(stagedPrior(t, s, "run-3", "C", record.Updated, nil)))
}

func priorCarried(t *testing.T, s store.Store) {
	stagedPrior(t, s, "run-1", "A", record.Created, nil)
	stagedPrior(t, s, "run-2", "B", record.Updated, []byte("A+B"))
	require.Equal(t, "A+B", string(stagedPrior(t, s, "run-3", "C", record.Updated, nil)))
	require.Equal(t, "C", string(stagedPrior(t, s, "run-4", "D", record.Updated, nil)))
}

func priorOfFailed(t *testing.T, s store.Store) {
	stagedPrior(t, s, "run-1", "A", record.Created, nil)
	require.Equal(t, "A", string(stagedPrior(t, s, "run-2", "B", record.Failed, nil)))
	require.Equal(t, "A", string(stagedPrior(t, s, "run-3", "C", record.Updated, nil)))
}
