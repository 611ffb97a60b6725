package payload_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

func TestSharedItemsAreCutAndRelatedOnesStayTogether(t *testing.T) {
	t.Parallel()
	p := &record.Parts{Native: &cmdb.Item{Key: "c/1"}, Shared: []cmdb.Item{{Key: "acc"}, {Key: "dc"}, {Key: "known"}},
		Relations: []cmdb.Relation{{Parent: "dc", Child: "acc", Type: "A::B"}}}
	for i := range 7 {
		p.Shared = append(p.Shared, cmdb.Item{Key: fmt.Sprintf("spkg/%d", i)})
	}
	got := payload.SharedPayloads([]payload.Input{{Key: "c/1", Parts: p}}, payload.SharedIDs{"known": "id"}, 4)
	require.Len(t, got, 3)
	keys := map[string]bool{}
	for _, q := range got {
		require.LessOrEqual(t, len(q.Items), 4)
		for _, it := range q.Items {
			keys[it.Key] = true
		}
	}
	require.Len(t, keys, 9, "everything but the known one")
	r := got[0].Relations[0]
	require.Equal(t, "dc acc", got[0].Items[r.Parent].Key+" "+got[0].Items[r.Child].Key)
	require.Nil(t, payload.SharedPayloads(nil, nil, 4))
}

func TestLinksOfRelatedRowsBecomeColumns(t *testing.T) {
	t.Parallel()
	p := &record.Parts{Native: &cmdb.Item{Key: "c/1", Related: []cmdb.Row{{Table: "t", Links: []cmdb.Link{{Column: "software", Item: "spkg/1"}, {Column: "x", Item: "no"}}}}},
		Shared: []cmdb.Item{{Key: "spkg/1"}}}
	got := payload.Cut([]payload.Input{{Key: "c/1", Parts: p}}, payload.SharedIDs{"spkg/1": "id"}, nil, payload.Limits{})
	require.Len(t, got[0].Items, 1, "a package that only a link names has no stub")
	require.Equal(t, []cmdb.Column{{Name: "software", Value: "id"}}, got[0].Items[0].Related[0].Columns)
	require.Len(t, p.Native.Related[0].Links, 2, "the record keeps its links")
}

func TestARecordThatMayOnlyUpdateNeverCreates(t *testing.T) {
	t.Parallel()
	gone := &record.Parts{UpdateOnly: true}
	p := payload.Policy{Operation: config.OperationCreateAndUpdate, Existing: config.ExistingFull}
	_, skip := payload.Choose(p.For(gone), payload.MatchNone)
	require.Equal(t, payload.SkipNoMatch, skip)
	require.Equal(t, p, p.For(&record.Parts{}))
	create := payload.Policy{Operation: config.OperationCreate}
	require.Equal(t, payload.SkipTerminated, create.Refuses(gone))
	require.Empty(t, create.Refuses(&record.Parts{}))
}
