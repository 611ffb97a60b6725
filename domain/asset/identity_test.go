package asset_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
)

func TestThePrimaryIsTheAgentThenTheCloudThenTheNewest(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		name string
		same []asset.Identity
		want int
	}{
		{"none", nil, -1},
		{"agent before newer scan", []asset.Identity{{ID: 1, Modified: day(9)}, {ID: 2, Agent: true, Modified: day(1)}}, 1},
		{"cloud before newer scan", []asset.Identity{{ID: 1, Modified: day(9)}, {ID: 2, CloudID: "i-1"}}, 1},
		{"agent before cloud", []asset.Identity{{ID: 1, CloudID: "i-1"}, {ID: 2, Agent: true}}, 1},
		{"newest", []asset.Identity{{ID: 1, Modified: day(1)}, {ID: 2, Modified: day(2)}}, 1},
		{"smallest id among equals", []asset.Identity{{ID: 2}, {ID: 1}}, 1},
	} {
		require.Equal(t, c.want, asset.Primary(c.same), c.name)
	}
}

func TestMachinesAreJoinedByWhatIdentifiesThem(t *testing.T) {
	t.Parallel()
	got := asset.Machines([]asset.Identity{
		{ID: 1, Serial: "S1"}, {ID: 2, UUID: "u"}, {ID: 3, Serial: "s1", UUID: "u"}, {ID: 4, Name: "x"}, {ID: 5, Name: "x"},
		{ID: 6, CloudID: "i-1", UUID: "image"}, {ID: 7, CloudID: "i-2", UUID: "image"},
	})
	require.Equal(t, [][]int{{0, 1, 2}, {3}, {4}, {5}, {6}}, got)
}

func TestNamesOfDifferentMachinesAreShared(t *testing.T) {
	t.Parallel()
	got := asset.SharedNames([]asset.Identity{
		{Name: "a", Serial: "1"}, {Name: "A", Serial: "2"}, {Name: "b", Serial: "1"}, {Name: "b", Serial: "1"},
		{Name: "c", MACs: []string{"m1"}}, {Name: "c", MACs: []string{"m2"}}, {Name: "d", MACs: []string{"m1"}}, {Name: "d", MACs: []string{"m2", "m1"}}, {Name: "e"}, {Name: "e"},
	})
	require.Equal(t, map[string]bool{"a": true, "c": true}, got)
}

func TestAKeyMovesWhenSerialAndNameBothChangeUnderAnAddress(t *testing.T) {
	t.Parallel()
	old := asset.Identity{Serial: "S1", Name: "a"}
	for _, c := range []struct {
		method string
		now    asset.Identity
		want   bool
	}{
		{"IP", asset.Identity{Serial: "S2", Name: "b"}, true}, {"DNS Name", asset.Identity{Serial: "S2", Name: "b"}, true}, {"NETBIOS", asset.Identity{Serial: "S2", Name: "b"}, true},
		{"IP", asset.Identity{Serial: "S1", Name: "b"}, false}, {"IP", asset.Identity{Serial: "S2", Name: "A"}, false},
		{"IP", asset.Identity{Name: "b"}, false}, {"QAGENT", asset.Identity{Serial: "S2", Name: "b"}, false}, {"", asset.Identity{Serial: "S2", Name: "b"}, false},
	} {
		require.Equal(t, c.want, asset.KeyMoved(c.method, old, c.now), "%s %v", c.method, c.now)
	}
}

func TestTheFormOfNamesIsASetting(t *testing.T) {
	t.Parallel()
	a := &asset.Asset{Name: "WEB-1", DNSName: "Web-1.Corp.example.org"}
	for _, c := range []struct {
		naming asset.Naming
		want   string
	}{
		{asset.Naming{}, "web-1"}, {asset.Naming{Case: asset.CaseUpper}, "WEB-1"}, {asset.Naming{Form: asset.FormFull}, "web-1.corp.example.org"},
		{asset.Naming{Form: asset.FormAsIs, Case: asset.CaseAsIs}, "Web-1.Corp.example.org"}, {asset.Naming{Case: asset.CaseAsIs}, "Web-1"}, {asset.Naming{Never: []string{"WEB-1"}}, ""},
	} {
		require.Equal(t, c.want, asset.CleanseNamed(a, c.naming).Name, "%+v", c.naming)
	}
}

func FuzzSoftwareKey(f *testing.F) {
	f.Add("Firefox", "1.0")
	f.Add(strings.Repeat("ä", 400), strings.Repeat("9", 300))
	f.Fuzz(func(t *testing.T, name, version string) {
		k := asset.SoftwareKey(&asset.Software{FullName: name, Version: version})
		if n := len([]rune(k)); n > 255 {
			t.Fatalf("%d characters: %q", n, k)
		}
		if k != "" && !strings.Contains(k, "_:::_") {
			t.Fatalf("%q", k)
		}
	})
}

func TestAzureIdsAndImages(t *testing.T) {
	t.Parallel()
	c := asset.Cloud{Provider: asset.CloudAzure, AccountID: "s", ResourceGroup: "g", Name: "n", ImagePublisher: "p", ImageOffer: "o"}
	require.Equal(t, "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/n", asset.AzureResourceID(&c))
	require.Equal(t, "p:o", asset.Image(&c))
	require.Empty(t, asset.AzureResourceID(&asset.Cloud{Provider: asset.CloudAWS}))
	require.Empty(t, asset.Image(&asset.Cloud{ImagePublisher: "p"}))
	require.Equal(t, "Foo_:::_NULL", asset.SoftwareKey(&asset.Software{FullName: "Foo"}))
}
