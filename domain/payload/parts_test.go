package payload_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

func TestSharedPayloadWritesWhatTheTargetDoesNotKnowOnce(t *testing.T) {
	t.Parallel()
	one, two, bare := rec("c/1", 0, "name=a"), rec("c/2", 0, "name=b"), rec("c/3", 0, "name=c")
	inCloud(one.Parts, "a1", "r1", "i-1")
	inCloud(two.Parts, "a1", "r2", "i-2")
	for _, c := range []struct {
		name    string
		records []payload.Input
		known   payload.SharedIDs
		want    []string // key, sys_id, object_id
		hosted  []string
	}{
		{"nothing shared", []payload.Input{bare}, nil, nil, nil},
		{"nothing known", []payload.Input{two, one, bare}, nil, []string{"aws/a1  a1", "aws/a1/r1  r1", "aws/a1/r2  r2"}, []string{"aws/a1/r1 aws/a1", "aws/a1/r2 aws/a1"}},
		{"the account is known and becomes a stub", []payload.Input{one}, payload.SharedIDs{"aws/a1": "id-1"}, []string{"aws/a1 id-1 ", "aws/a1/r1  r1"}, []string{"aws/a1/r1 aws/a1"}},
		{"all known", []payload.Input{one, bare}, payload.SharedIDs{"aws/a1": "id-1", "aws/a1/r1": "id-2"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := payload.SharedPayload(c.records, c.known)
			if c.want == nil {
				require.Nil(t, p)
				return
			}
			var got, hosted []string
			for i := range p.Items {
				it := &p.Items[i]
				require.Equal(t, payload.RoleShared, it.Role)
				got = append(got, it.Key+" "+it.SysID+" "+it.Value("object_id"))
			}
			for _, r := range p.Relations {
				require.Equal(t, "Hosted on::Hosts", r.Type)
				hosted = append(hosted, p.Items[r.Parent].Key+" "+p.Items[r.Child].Key)
			}
			require.Empty(t, cmp.Diff(c.want, got))
			require.Empty(t, cmp.Diff(c.hosted, hosted))
			require.Empty(t, p.Records(), "shared items belong to no record")
		})
	}
}

func TestSharedPayloadTakesTheFirstRecordWhereRecordsDisagree(t *testing.T) {
	t.Parallel()
	one, two := rec("c/1", 0, "name=a"), rec("c/2", 0, "name=b")
	inCloud(one.Parts, "a1", "r1", "i-1")
	inCloud(two.Parts, "a1", "r1", "i-2")
	two.Parts.Shared[1].Columns[0].Value = "R1"
	a := payload.SharedPayload([]payload.Input{one, two}, nil)
	b := payload.SharedPayload([]payload.Input{two, one}, nil)
	require.Empty(t, cmp.Diff(a, b))
	require.Equal(t, "r1", a.Items[1].Value("object_id"))
}

func TestHalvingEndsAtTheLoneRecordAndLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := randomRecords(t)
		want, got := map[string]int{}, map[string]int{}
		for _, p := range payload.Cut(records, knownIDs, nil, payload.Limits{Lanes: 1, Items: 1000, Bytes: 1 << 20}) {
			countPayload(t, &p, want)
			pending, ids := []payload.Payload{p}, map[string]bool{}
			for len(pending) > 0 {
				next := pending[0]
				pending = pending[1:]
				require.False(t, ids[next.ID], "two payloads are called %s", next.ID)
				ids[next.ID] = true
				a, b, ok := payload.Halve(&next)
				if !ok {
					require.Len(t, next.Records(), 1)
					countPayload(t, &next, got)
					continue
				}
				require.LessOrEqual(t, max(len(a.Records()), len(b.Records())), (len(next.Records())+1)/2)
				require.Equal(t, []int{next.Lane, next.Lane}, []int{a.Lane, b.Lane})
				pending = append(pending, a, b)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("halving lost or doubled something (-want +got):\n%s", diff)
		}
	})
}

func TestOnlyKeepsTheSharedItemsThatTheRecordsNeed(t *testing.T) {
	t.Parallel()
	one, two := rec("c/1", 1, "name=a"), rec("c/2", 1, "name=b")
	inCloud(one.Parts, "a1", "r1", "i-1")
	all := payload.Cut([]payload.Input{one, two}, knownIDs, nil, payload.Limits{Lanes: 1, Items: 100, Bytes: 1 << 20})
	require.Len(t, all, 1)
	keys := func(p payload.Payload) []string {
		var out []string
		for i := range p.Items {
			out = append(out, p.Items[i].Key)
		}
		slices.Sort(out)
		return out
	}
	require.Empty(t, cmp.Diff([]string{"aws/a1/r1", "c/1", "c/1/ip/10.0.0.0", "c/1/vm"}, keys(all[0].Only("x", map[string]bool{"c/1": true}))))
	require.Empty(t, cmp.Diff([]string{"c/2", "c/2/ip/10.0.0.0"}, keys(all[0].Only("y", map[string]bool{"c/2": true}))))
	none := all[0].Only("z", nil)
	require.Empty(t, none.Items)
	require.Empty(t, none.Relations)
}

func TestChooseFollowsThePolicy(t *testing.T) {
	t.Parallel()
	const both, create, update = config.OperationCreateAndUpdate, config.OperationCreate, config.OperationUpdate
	const full, protect = config.ExistingFull, config.ExistingMetadataOnly
	for _, c := range []struct {
		operation, existing string
		match               payload.Match
		ask                 bool
		skip                string
	}{
		{both, full, payload.MatchUnknown, false, ""},
		{both, full, payload.MatchNone, false, ""},
		{both, full, payload.MatchOurs, false, ""},
		{both, full, payload.MatchTheirs, false, ""},
		{both, protect, payload.MatchUnknown, true, ""},
		{both, protect, payload.MatchNone, false, ""},
		{both, protect, payload.MatchOurs, false, ""},
		{both, protect, payload.MatchTheirs, false, payload.SkipProtected},
		{create, full, payload.MatchUnknown, true, ""},
		{create, full, payload.MatchNone, false, ""},
		{create, full, payload.MatchOurs, false, payload.SkipExists},
		{create, full, payload.MatchTheirs, false, payload.SkipExists},
		{create, protect, payload.MatchTheirs, false, payload.SkipExists},
		{update, full, payload.MatchUnknown, true, ""},
		{update, full, payload.MatchNone, false, payload.SkipNoMatch},
		{update, full, payload.MatchOurs, false, ""},
		{update, full, payload.MatchTheirs, false, ""},
		{update, protect, payload.MatchOurs, false, ""},
		{update, protect, payload.MatchTheirs, false, payload.SkipProtected},
	} {
		ask, skip := payload.Choose(payload.Policy{Operation: c.operation, Existing: c.existing}, c.match)
		require.Equal(t, c.ask, ask, "%+v", c)
		require.Equal(t, c.skip, skip, "%+v", c)
	}
}

func TestMatchOfALinkFollowsItsOrigin(t *testing.T) {
	t.Parallel()
	require.Equal(t, payload.MatchUnknown, payload.MatchOf(false, record.OriginMatched))
	require.Equal(t, payload.MatchTheirs, payload.MatchOf(true, record.OriginMatched))
	require.Equal(t, payload.MatchOurs, payload.MatchOf(true, record.OriginCreated))
	require.Equal(t, payload.MatchOurs, payload.MatchOf(true, record.OriginAdopted))
}
