package record_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/record"
)

// machine has packages 1…n and two adapters.
func machine(packages int, nics []string, complete ...string) record.Parts {
	p := record.Parts{Native: &cmdb.Item{Key: "corp/1", Class: "cmdb_ci_server"}, Complete: complete}
	for i := range packages {
		p.Native.Related = append(p.Native.Related, cmdb.Row{Table: "cmdb_software_instance", Key: fmt.Sprintf("corp/1/sw/%02d", i), Section: "software"})
	}
	for _, n := range nics {
		p.Dependents = append(p.Dependents, cmdb.Item{Key: "corp/1/nic/" + n, Class: "cmdb_ci_network_adapter", Section: "networkInterfaces"})
	}
	return p
}

func TestVanishedRetiresOnlyWhatACompleteSectionLost(t *testing.T) {
	t.Parallel()
	prior := machine(40, []string{"a", "b"}, "software", "networkInterfaces")
	lost := []string{"item corp/1/nic/b", "row corp/1/sw/37", "row corp/1/sw/38", "row corp/1/sw/39"}
	other := machine(0, nil, "software", "networkInterfaces")
	other.Native.Key = "corp/2"
	for _, c := range []struct {
		name string
		now  record.Parts
		want []string
	}{
		{"three of forty packages and one of two adapters", machine(37, []string{"a"}, "software", "networkInterfaces"), lost},
		{"only adapters were complete", machine(0, []string{"a"}, "networkInterfaces"), lost[:1]},
		{"a null list or a section that is off", machine(0, nil), nil},
		{"nothing lost", machine(41, []string{"a", "b", "c"}, "software", "networkInterfaces"), nil},
		{"another CI", other, nil},
		{"a record without a CI", record.Parts{Complete: []string{"software"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, v := range record.Vanished(prior, c.now) {
				got = append(got, string(v.Gone)+" "+v.Key)
			}
			require.Empty(t, cmp.Diff(c.want, got))
		})
	}
}

func TestVanishedEndsRelationsToSharedItemsAndKeepsTheItems(t *testing.T) {
	t.Parallel()
	rel := cmdb.Relation{Parent: "corp/1", Child: "net/1", Type: "A::B"}
	prior, now := machine(0, nil), machine(0, nil, "nets")
	prior.Shared = []cmdb.Item{{Key: "net/1", Class: "cmdb_ci_network", Section: "nets"}}
	prior.Relations = []cmdb.Relation{rel}
	require.Empty(t, cmp.Diff([]record.Item{{Gone: record.GoneRelation, Section: "nets", Key: "net/1", Class: "cmdb_ci_network", Relation: &rel}}, record.Vanished(prior, now)))
	now.Complete = nil
	require.Empty(t, record.Vanished(prior, now))
}
