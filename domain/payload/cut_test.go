package payload_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/domain/payload"
)

var knownIDs = payload.SharedIDs{"aws/a1": "id-a1", "aws/a1/r1": "id-a1-r1"}

func drawLimits(t *rapid.T) payload.Limits {
	return payload.Limits{
		Lanes: rapid.IntRange(1, 5).Draw(t, "lanes"), Items: rapid.IntRange(1, 60).Draw(t, "items"),
		Bytes: rapid.SampledFrom([]int{1, 4000, 20000, 1 << 20}).Draw(t, "bytes"),
	}
}

func TestCutPutsEveryRecordWithAllItsPartsIntoOnePayload(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := randomRecords(t)
		refs := payload.Resolved{{Table: "core_company", Name: "Dell"}: "id-dell"}
		payloads := payload.Cut(records, knownIDs, refs, drawLimits(t))

		want, got := map[string]int{}, map[string]int{}
		for i := range records {
			countRecord(&records[i], want)
		}
		ids := map[string]bool{}
		for i := range payloads {
			p := &payloads[i]
			require.False(t, ids[p.ID], "two payloads are called %s", p.ID)
			ids[p.ID] = true
			countPayload(t, p, got)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("what is sent is not what was given (-want +got):\n%s", diff)
		}
	})
}

// countRecord counts the items, relations and resolved references of a record.
func countRecord(r *payload.Input, into map[string]int) {
	into["item "+r.Key+" of "+r.Key]++
	for _, d := range r.Parts.Dependents {
		into["item "+d.Key+" of "+r.Key]++
	}
	shared := map[string]bool{}
	for _, s := range r.Parts.Shared {
		shared[s.Key] = true
	}
	for _, rel := range r.Parts.Relations {
		if !shared[rel.Parent] || !shared[rel.Child] {
			into["relation "+rel.Parent+" "+rel.Type+" "+rel.Child]++
		}
	}
	if r.Parts.References[0].Name == "Dell" {
		into["manufacturer of "+r.Key]++
	}
}

func countPayload(t *rapid.T, p *payload.Payload, into map[string]int) {
	keys := map[string]bool{}
	used := map[int]bool{}
	for _, r := range p.Relations {
		into["relation "+p.Items[r.Parent].Key+" "+r.Type+" "+p.Items[r.Child].Key]++
		used[r.Parent], used[r.Child] = true, true
	}
	for i := range p.Items {
		it := &p.Items[i]
		require.False(t, keys[it.Key], "two items of a payload share the source key %s", it.Key)
		keys[it.Key] = true
		if it.Role == payload.RoleShared {
			require.Equal(t, knownIDs[it.Key], it.SysID)
			require.Empty(t, it.Columns, "a shared item is a stub")
			require.Empty(t, it.Owner)
			require.True(t, used[i], "nothing in the payload needs %s", it.Key)
			continue
		}
		into["item "+it.Key+" of "+it.Owner]++
		require.Equal(t, it.Role == payload.RoleMain, it.Key == it.Owner)
		if it.Value("manufacturer") == "id-dell" {
			into["manufacturer of "+it.Key]++
		}
	}
}

func TestCutKeepsToItsLimits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limits := drawLimits(t)
		for _, p := range payload.Cut(randomRecords(t), knownIDs, nil, limits) {
			require.NotEmpty(t, p.Items, "a payload is empty")
			require.True(t, p.Lane >= 0 && p.Lane < limits.Lanes)
			if len(p.Records()) == 1 {
				continue // a record stays whole, however large
			}
			require.LessOrEqual(t, len(p.Items), limits.Items)
			require.LessOrEqual(t, encodedSize(&p), limits.Bytes, "the estimate is too low")
		}
	})
}

func TestCutSendsWhatMayBeOneMachineOneAfterTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := randomRecords(t)
		type place struct{ lane, at int }
		where := map[string]place{}
		for i, p := range payload.Cut(records, knownIDs, nil, drawLimits(t)) {
			for _, key := range p.Records() {
				where[key] = place{p.Lane, i}
			}
		}
		for i := range records {
			for k := range i {
				a, b := &records[k], &records[i]
				for id := range identities(a) {
					if !identities(b)[id] {
						continue
					}
					require.Equal(t, where[a.Key].lane, where[b.Key].lane, "%s and %s share %s", a.Key, b.Key, id)
					require.NotEqual(t, where[a.Key].at, where[b.Key].at, "%s and %s share %s", a.Key, b.Key, id)
				}
			}
		}
	})
}

func TestCutDoesNotDependOnTheOrderOfRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records, limits := randomRecords(t), drawLimits(t)
		before := text(payload.Cut(records, knownIDs, nil, limits))
		shuffled := rapid.Permutation(records).Draw(t, "order")
		first := ""
		if len(shuffled) > 0 {
			first = shuffled[0].Key
		}
		if diff := cmp.Diff(before, text(payload.Cut(shuffled, knownIDs, nil, limits))); diff != "" {
			t.Fatalf("another order gave other payloads:\n%s", diff)
		}
		if len(shuffled) > 0 {
			require.Equal(t, first, shuffled[0].Key, "the caller's slice was reordered")
		}
		one, two := payload.SharedPayload(records, nil), payload.SharedPayload(shuffled, nil)
		require.Empty(t, cmp.Diff(one, two))
	})
}

func TestCutMakesAMultipleOfTheLanes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                   string
		records, parts         int
		limits                 payload.Limits
		payloads, most, fewest int // expected number and items
	}{
		{"nothing to write", 0, 0, payload.Limits{Lanes: 4, Items: 250, Bytes: 4 << 20}, 0, 0, 0},
		{"one record needs one payload", 1, 3, payload.Limits{Lanes: 4, Items: 250, Bytes: 4 << 20}, 1, 4, 4},
		{"a page of bare servers", 300, 0, payload.Limits{Lanes: 4, Items: 250, Bytes: 4 << 20}, 4, 75, 75},
		{"a page of servers with four parts", 300, 4, payload.Limits{Lanes: 4, Items: 250, Bytes: 4 << 20}, 8, 205, 170},
		{"a page in one lane", 300, 4, payload.Limits{Lanes: 1, Items: 250, Bytes: 4 << 20}, 6, 250, 250},
		{"small payloads", 40, 1, payload.Limits{Lanes: 2, Items: 10, Bytes: 4 << 20}, 8, 10, 10},
		{"records larger than a payload stand alone", 6, 20, payload.Limits{Lanes: 2, Items: 10, Bytes: 4 << 20}, 6, 21, 21},
		{"the size limit splits too", 8, 0, payload.Limits{Lanes: 2, Items: 250, Bytes: 1}, 8, 1, 1},
		{"limits that were not set count as one", 3, 0, payload.Limits{}, 3, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var records []payload.Input
			for i := range c.records {
				records = append(records, rec(fmt.Sprintf("c/%04d", i), c.parts, fmt.Sprintf("name=host-%04d", i)))
			}
			got := payload.Cut(records, nil, nil, c.limits)
			require.Len(t, got, c.payloads)
			for _, p := range got {
				require.LessOrEqual(t, len(p.Items), c.most)
				require.GreaterOrEqual(t, len(p.Items), c.fewest)
			}
		})
	}
}

func TestCutComparesIdentitiesWithoutCase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		a, b     payload.Input
		together bool // in one payload
	}{
		{"nothing in common", rec("c/1", 1, "name=a"), rec("c/2", 1, "name=b"), true},
		{"one name in another case", rec("c/1", 1, "name=WEB-1"), rec("c/2", 1, "name=web-1"), false},
		{"one serial number", rec("c/1", 1, "serial_number=SN1"), rec("c/2", 1, "serial_number=sn1"), false},
		{"one MAC", rec("c/1", 1, "mac_address=02:00:00:00:00:01"), rec("c/2", 1, "mac_address=02:00:00:00:00:01"), false},
		{"one management address", rec("c/1", 0, "ip_address=10.0.0.9"), rec("c/2", 0, "ip_address=10.0.0.9"), false},
		{"one address as a part is no identity", rec("c/1", 2, "name=a"), rec("c/2", 2, "name=b"), true},
		{"a name that equals a serial number", rec("c/1", 0, "name=x1"), rec("c/2", 0, "serial_number=x1"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := payload.Cut([]payload.Input{c.a, c.b}, nil, nil, payload.Limits{Lanes: 1, Items: 250, Bytes: 1 << 20})
			require.Equal(t, c.together, len(got) == 1)
		})
	}
}

func TestCutFillsResolvedReferencesAndLeavesTheOthersOut(t *testing.T) {
	t.Parallel()
	r := rec("c/1", 1, "name=a")
	r.Parts.References = []cmdb.Reference{
		{Item: "c/1", Column: "manufacturer", Table: "core_company", Name: "Dell", Create: true},
		{Item: "c/1", Column: "location", Table: "cmn_location", Name: "Nowhere"},
		{Item: "c/1/ip/10.0.0.0", Column: "nic", Table: "cmdb_ci_network_adapter", Name: "eth0"},
	}
	refs := payload.Resolved{
		{Table: "core_company", Name: "Dell", Create: true}:      "id-dell",
		{Table: "cmdb_ci_network_adapter", Name: "eth0"}:         "id-eth0",
		{Table: "core_company", Name: "Unrelated", Create: true}: "id-other",
	}
	got := payload.Cut([]payload.Input{r}, nil, refs, payload.Limits{Lanes: 1, Items: 250, Bytes: 1 << 20})
	require.Len(t, got, 1)
	require.Empty(t, cmp.Diff([]cmdb.Column{column("name", "a"), column("manufacturer", "id-dell")}, got[0].Items[0].Columns))
	require.Equal(t, "id-eth0", got[0].Items[1].Value("nic"))
	require.Empty(t, got[0].Items[1].Value("manufacturer"), "a reference belongs to one item")
	require.Empty(t, r.Parts.Native.Value("manufacturer"), "the record itself stays as it was staged")
}

func BenchmarkApplyAndCut(b *testing.B) {
	m, err := mapping.Default()
	require.NoError(b, err)
	type prepared struct {
		asset *asset.Asset
		clean *asset.Clean
	}
	var assets []prepared
	for i := range 300 {
		a := &asset.Asset{
			ID: int64(i), Name: fmt.Sprintf("host-%d", i), BIOSSerial: fmt.Sprintf("SN%05dX", i), Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250+1),
			OS: asset.OperatingSystem{ProductName: "Linux", Version: "9"}, Hardware: asset.Hardware{Manufacturer: "Dell", ProductName: "PowerEdge", Model: "R750"},
		}
		for k := range 4 {
			a.Interfaces = append(a.Interfaces, asset.Interface{Name: fmt.Sprintf("eth%d", k), MAC: fmt.Sprintf("b4:96:91:%02x:%02x:%02x", k, i/256, i%256),
				IPv4: []string{fmt.Sprintf("10.%d.%d.%d", k, i/250, i%250+1)}})
		}
		if i%2 == 0 {
			a.Cloud = asset.Cloud{Provider: asset.CloudAWS, InstanceID: fmt.Sprintf("i-%d", i), AccountID: fmt.Sprint(i % 6), Region: "us-east-1"}
		}
		assets = append(assets, prepared{a, asset.Cleanse(a)})
	}
	b.ReportAllocs()
	for b.Loop() {
		records := make([]payload.Input, 0, len(assets))
		for _, a := range assets {
			p := m.Apply(mapping.Input{Connection: "corp", Asset: a.asset, Clean: a.clean, Class: "cmdb_ci_linux_server"})
			records = append(records, payload.Input{Key: p.Native.Key, Parts: &p})
		}
		if got := payload.Cut(records, nil, nil, payload.Limits{Lanes: 4, Items: 250, Bytes: 4 << 20}); len(got) < 4 {
			b.Fatal("too few payloads")
		}
	}
}
