package record_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
)

func TestEveryOutcomeIsCountedOnce(t *testing.T) {
	t.Parallel()
	var c record.Counters
	for i, o := range record.Outcomes() {
		require.True(t, c.Count(o, int64(i+1)), o)
		require.EqualValues(t, i+1, c.Of(o))
	}
	require.False(t, c.Count("lost", 1))
	require.EqualValues(t, 36, c.Sum())
	require.False(t, c.Balanced())
	c.Fetched = 36
	require.True(t, c.Balanced())
	sum := c
	sum.Add(c)
	require.EqualValues(t, 72, sum.Fetched)
	require.True(t, sum.Balanced())
	require.EqualValues(t, 3, c.Written())
}

func parts() *record.Parts {
	return &record.Parts{
		Native: &cmdb.Item{Key: "corp/1", Class: "cmdb_ci_server", Columns: []cmdb.Column{
			{Name: "name", Value: "a"}, {Name: "os", Value: "b"}, {Name: "last_seen", Value: "today", Volatile: true}},
			Lookup: []cmdb.Row{{Table: "cmdb_serial_number", Columns: []cmdb.Column{{Name: "serial_number", Value: "1"}}}, {Table: "cmdb_serial_number", Columns: []cmdb.Column{{Name: "serial_number", Value: "2"}}}}},
		Dependents: []cmdb.Item{{Key: "corp/1/nic/a"}, {Key: "corp/1/nic/b"}},
		Shared:     []cmdb.Item{{Key: "aws/1"}, {Key: "aws/2"}},
		Relations:  []cmdb.Relation{{Parent: "corp/1", Child: "corp/1/nic/a", Type: "Owns::Owned by"}, {Parent: "corp/1", Child: "corp/1/nic/b", Type: "Owns::Owned by"}},
		References: []cmdb.Reference{{Item: "corp/1", Column: "manufacturer", Name: "Dell"}, {Item: "corp/1", Column: "model_id", Name: "R640"}},
		Tables:     []cmdb.Row{{Table: "x", Columns: []cmdb.Column{{Name: "k", Value: "1"}}}, {Table: "y"}},
	}
}

func TestTheDigestIgnoresOrder(t *testing.T) {
	t.Parallel()
	want := record.Digest(parts())
	rapid.Check(t, func(rt *rapid.T) {
		p := parts()
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		shuffle(r, p.Native.Columns)
		shuffle(r, p.Native.Lookup)
		shuffle(r, p.Dependents)
		shuffle(r, p.Shared)
		shuffle(r, p.Relations)
		shuffle(r, p.References)
		shuffle(r, p.Tables)
		require.Equal(t, want, record.Digest(p))
	})
}

func shuffle[T any](r *rand.Rand, list []T) {
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func TestTheDigestSeesEveryChangeButVolatileColumns(t *testing.T) {
	t.Parallel()
	base := record.Digest(parts())
	for name, change := range map[string]func(*record.Parts){
		"a column":     func(p *record.Parts) { p.Native.Columns[0].Value = "z" },
		"the class":    func(p *record.Parts) { p.Native.Class = "cmdb_ci_computer" },
		"a lookup":     func(p *record.Parts) { p.Native.Lookup[0].Columns[0].Value = "9" },
		"a dependent":  func(p *record.Parts) { p.Dependents = p.Dependents[:1] },
		"shared":       func(p *record.Parts) { p.Shared[0].Key = "aws/3" },
		"a relation":   func(p *record.Parts) { p.Relations[0].Type = "Contains::Contained by" },
		"a reference":  func(p *record.Parts) { p.References[0].Name = "HP" },
		"a table row":  func(p *record.Parts) { p.Tables[0].Columns[0].Value = "2" },
		"no main item": func(p *record.Parts) { p.Native = nil },
	} {
		p := parts()
		change(p)
		require.NotEqual(t, base, record.Digest(p), name)
	}
	p := parts()
	p.Native.Columns[2].Value = "tomorrow"
	require.Equal(t, base, record.Digest(p), "a volatile column is no change")
	require.Equal(t, "tomorrow", p.Native.Value("last_seen"), "the digest does not touch the parts")
}
