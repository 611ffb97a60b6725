package estate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

func mustNew(t require.TestingT, o estate.Options) *estate.Estate {
	e, err := estate.New(o)
	require.NoError(t, err)
	return e
}

// all returns every existing asset.
func all(e *estate.Estate) []*estate.Asset {
	r := e.Reader()
	var out []*estate.Asset
	for i := range e.Size() {
		if a, ok := r.Asset(i); ok {
			out = append(out, a)
		}
	}
	return out
}

// digest is the JSON of the whole estate.
func digest(e *estate.Estate) string {
	var b []byte
	for _, a := range all(e) {
		b = append(e.AppendJSON(b, a, estate.View{}), '\n')
	}
	return string(b)
}

func decode(t require.TestingT, e *estate.Estate, a *estate.Asset) map[string]any {
	var m map[string]any
	require.NoError(t, json.Unmarshal(e.AppendJSON(nil, a, estate.View{}), &m))
	return m
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]estate.Options{
		"estate: 4000001 assets, want 1 to 4000000":        {Assets: 4_000_001},
		"estate: -1 assets, want 1 to 4000000":             {Assets: -1},
		"estate: 11 malformed assets among 10":             {Assets: 10, Bad: 11},
		`estate: unknown profile "fat", want lean or full`: {Profile: "fat"},
	} {
		_, err := estate.New(o)
		require.EqualError(t, err, want)
	}
}

func TestTheSameSeedIsTheSameEstateAndAnotherSeedIsNot(t *testing.T) {
	t.Parallel()
	o := estate.Options{Assets: 300, Seed: 9}
	first := digest(mustNew(t, o))
	require.Equal(t, first, digest(mustNew(t, o)))
	o.Seed = 10
	require.NotEqual(t, first, digest(mustNew(t, o)))
}

func TestAnAssetDoesNotDependOnTheOrderOfReadingNorOnTheSizeOfTheEstate(t *testing.T) {
	t.Parallel()
	small, large := mustNew(t, estate.Options{Assets: 500}), mustNew(t, estate.Options{Assets: 900_000})
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(0, 499).Draw(rt, "index")
		a, _ := small.Reader().Asset(i)
		walker := large.Reader()
		_, _ = walker.Asset(rapid.IntRange(0, 899_999).Draw(rt, "before"))
		b, _ := walker.Asset(i)
		require.Equal(rt, string(small.AppendJSON(nil, a, estate.View{})), string(large.AppendJSON(nil, b, estate.View{})))
	})
}

func TestIDsAscendWithGapsAndLeadBackToTheirIndex(t *testing.T) {
	t.Parallel()
	e := mustNew(t, estate.Options{Assets: 5000})
	gaps := 0
	for i := range 5000 {
		id := e.IDAt(i)
		index, ok := e.IndexOf(id)
		require.True(t, ok)
		require.Equal(t, i, index)
		require.Equal(t, i+1, e.After(id))
		require.Equal(t, i, e.After(id-1))
		if i > 0 {
			require.Greater(t, id, e.IDAt(i-1))
			if id > e.IDAt(i-1)+1 {
				gaps++
			}
			_, ok = e.IndexOf(id - 1)
			require.Equal(t, id-1 == e.IDAt(i-1), ok)
		}
	}
	require.Greater(t, gaps, 4000)
	require.Equal(t, 0, e.After(0))
	require.Equal(t, 5000, e.After(1<<60))
}

func TestEveryAssetIsValidJSONWithTheVendorsKeys(t *testing.T) {
	t.Parallel()
	for _, profile := range []estate.Profile{estate.Lean, estate.Full} {
		e := mustNew(t, estate.Options{Assets: 1000, Profile: profile, Bad: 10})
		var keys int
		for i, a := range all(e) {
			m := decode(t, e, a)
			if i == 0 {
				keys = len(m)
			}
			require.Len(t, m, keys, "asset %d", i)
			require.Equal(t, float64(a.ID), m["assetId"])
			require.NotEmpty(t, m["assetName"], "asset %d", i)
		}
	}
}

// key is an identity that two machines must not share; the junk that is planted on purpose is told apart by its form.
func identities(a *estate.Asset) []string {
	var out []string
	if len(a.Serial) > 6 && !strings.ContainsAny(a.Serial, ".") && a.Serial != "00000000" && a.Serial != "123456789" &&
		!strings.HasPrefix(a.Serial, "Default") && !strings.HasPrefix(a.Serial, "Not ") && !strings.HasPrefix(a.Serial, "System") {
		out = append(out, "serial "+a.Serial)
	}
	if a.HardwareUUID != "" && !strings.HasPrefix(a.HardwareUUID, "00000000-") {
		out = append(out, "uuid "+a.HardwareUUID)
	}
	for _, n := range a.NICs {
		out = append(out, "mac "+strings.ToLower(n.MAC)[8:])
		for _, ip := range n.V4 {
			out = append(out, "ip "+ip.String())
		}
	}
	if a.Host != "" {
		out = append(out, "name "+a.Host)
	}
	if a.Cloud != nil {
		out = append(out, "instance "+a.Cloud.Instance)
	}
	return out
}

func TestNoTwoMachinesShareAnIdentity(t *testing.T) {
	t.Parallel()
	e := mustNew(t, estate.Options{Assets: 12_000, Seed: 3})
	e.Mutate(500, time.UnixMilli(1_780_000_000_000))
	owner := map[string]int{}
	for _, a := range all(e) {
		for _, k := range identities(a) {
			if m, taken := owner[k]; taken {
				require.Equal(t, m, a.Machine, k)
			}
			owner[k] = a.Machine
		}
	}
}

func TestThreePercentOfMachinesAppearMoreThanOnceAndOnePercentCameBack(t *testing.T) {
	t.Parallel()
	e := mustNew(t, estate.Options{Assets: 10_000})
	roles := map[estate.Role]int{}
	byMachine := map[int][]*estate.Asset{}
	for _, a := range all(e) {
		roles[a.Role]++
		byMachine[a.Machine] = append(byMachine[a.Machine], a)
	}
	require.InDelta(t, 300, roles[estate.Agent], 10)
	require.InDelta(t, 300, roles[estate.Scanned], 10)
	require.InDelta(t, 100, roles[estate.Interface], 5)
	require.InDelta(t, 100, roles[estate.Returned], 5)
	for _, group := range byMachine {
		if len(group) == 1 {
			continue
		}
		first := group[0]
		for _, twin := range group[1:] {
			switch twin.Role {
			case estate.Scanned:
				require.Equal(t, first.Serial, twin.Serial)
				require.Equal(t, first.HardwareUUID, twin.HardwareUUID)
				require.Equal(t, first.NICs[1].MAC, twin.NICs[0].MAC)
				require.Empty(t, twin.AgentID)
			case estate.Interface:
				require.Empty(t, twin.Serial)
				require.Equal(t, first.NICs[2].MAC, twin.NICs[0].MAC)
			case estate.Returned:
				require.Equal(t, estate.Former, first.Role)
				require.Equal(t, first.Serial, twin.Serial)
				require.NotEqual(t, first.AgentID, twin.AgentID)
				require.Greater(t, twin.ID, first.ID)
				require.Greater(t, twin.Modified, first.Modified)
			default:
				t.Fatalf("asset %d shares a machine in role %d", twin.Index, twin.Role)
			}
		}
	}
}

func TestTheCompanyHasEveryKindOfMachine(t *testing.T) {
	t.Parallel()
	kinds := map[estate.Kind]int{}
	systems, hardware := map[string]bool{}, map[string]bool{}
	for _, a := range all(mustNew(t, estate.Options{Assets: 5000})) {
		kinds[a.Kind]++
		systems[a.OS.Product] = true
		hardware[a.Hardware.Category()] = true
	}
	for _, k := range []estate.Kind{
		estate.WindowsServer, estate.LinuxServer, estate.UnixServer, estate.MacServer, estate.WindowsClient, estate.MacClient,
		estate.LinuxClient, estate.Hypervisor, estate.Switch, estate.Router, estate.Firewall, estate.LoadBalancer, estate.AccessPoint,
		estate.NetworkDevice, estate.Printer, estate.Phone, estate.Camera, estate.UPS, estate.PDU, estate.Storage, estate.Mobile,
		estate.IoT, estate.AWS, estate.Azure, estate.GCP, estate.UnknownLinux, estate.UnknownMachine, estate.BareIP, estate.External,
	} {
		require.Positive(t, kinds[k], k)
	}
	for _, s := range []string{"ESXi", "AIX", "Solaris", "HP-UX", "macOS Sonoma", "Windows Server 2022", "Hyper-V Server 2019", "Unidentified"} {
		require.True(t, systems[s], s)
	}
	require.True(t, hardware["Printers / Multi-Function Printer (MFP)"])
}

func TestRealInventoriesHoldJunk(t *testing.T) {
	t.Parallel()
	e := mustNew(t, estate.Options{Assets: 3000})
	text := digest(e)
	for _, junk := range []string{
		`"biosSerialNumber":"None"`, `"biosSerialNumber":"To be filled by O.E.M."`, `"biosSerialNumber":"00000000"`, `"Not Announced"`,
		`"lastCheckedIn":0`, `"lastCheckedIn":-1`, `"1970-01-01T00:00:00.000Z"`, `"networkInterfaceListData":null`, `"activations":null`,
		`"openPortListData":null`, `"id":-`, `<script>`, `🚀`, `^ORsys_idISNOTEMPTY`, `\"Quoted\" O'Neil`, `"productUrl":",,"`,
		`"hwUUID":"00000000-0000-0000-0000-000000000000"`,
	} {
		require.Contains(t, text, junk)
	}
	twoAddresses, long, beyond, heavy := false, false, false, 0
	for _, a := range all(e) {
		var m struct {
			AssetName  string
			Interfaces struct {
				List []struct{ AddressIpV4 string } `json:"networkInterface"`
			} `json:"networkInterfaceListData"`
			Software struct {
				List []struct{ ID int64 } `json:"software"`
			} `json:"softwareListData"`
		}
		require.NoError(t, json.Unmarshal(e.AppendJSON(nil, a, estate.View{}), &m))
		long = long || len(m.AssetName) > 255
		for _, n := range m.Interfaces.List {
			twoAddresses = twoAddresses || strings.Contains(n.AddressIpV4, ", ")
		}
		for _, s := range m.Software.List {
			beyond = beyond || s.ID > 1<<53
		}
		if len(m.Software.List) >= 3000 {
			heavy++
		}
	}
	require.True(t, twoAddresses)
	require.True(t, long)
	require.True(t, beyond)
	require.Equal(t, 6, heavy)
}

func TestAComputersRecordHasTheSizeOfItsProfile(t *testing.T) {
	t.Parallel()
	for profile, want := range map[estate.Profile]int{estate.Lean: 13_500, estate.Full: 60_000} {
		e := mustNew(t, estate.Options{Assets: 2000, Profile: profile})
		bytes, software, n := 0, 0, 0
		for _, a := range all(e) {
			if a.Software.Count == 0 || a.Software.Packages > 0 {
				continue
			}
			n++
			software += a.Software.Count
			bytes += len(e.AppendJSON(nil, a, estate.View{}))
		}
		require.InDelta(t, want, bytes/n, float64(want)/6, profile)
		require.InDelta(t, 38, software/n, 5)
	}
}

func TestBadPlantsExactlyThatManyAssetsThatAreJSONAndCannotBeUnderstood(t *testing.T) {
	t.Parallel()
	software, known := estate.FieldByToken("software")
	require.True(t, known)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 400).Draw(rt, "assets")
		bad := rapid.IntRange(0, min(n, 40)).Draw(rt, "bad")
		e := mustNew(rt, estate.Options{Assets: n, Bad: bad})
		got := 0
		for _, a := range all(e) {
			var m map[string]any
			require.NoError(rt, json.Unmarshal(e.AppendJSON(nil, a, estate.View{Hide: software}), &m))
			_, osText := m["operatingSystem"].(string)
			_, memory := m["totalMemory"].(map[string]any)
			_, nics := m["networkInterfaceListData"].([]any)
			_, hardware := m["hardware"].(float64)
			_, modified := m["lastModifiedDate"].(map[string]any)
			broken := osText || memory || nics || hardware || modified
			require.Equal(rt, broken, a.Defect > 0)
			if broken {
				got++
			}
		}
		require.Equal(rt, bad, got)
	})
}

func TestMutateChangesAddsAndRemovesAndMovesTheDates(t *testing.T) {
	t.Parallel()
	e := mustNew(t, estate.Options{Assets: 1000})
	before := map[int64]string{}
	for _, a := range all(e) {
		before[a.ID] = string(e.AppendJSON(nil, a, estate.View{}))
	}
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	m := e.Mutate(100, at)
	require.Empty(t, cmp.Diff(estate.Mutation{Generation: 1, Changed: 100, Added: 10, Removed: 5}, m))
	require.Equal(t, 1005, e.Live())
	changed, added := 0, 0
	for _, a := range all(e) {
		now := string(e.AppendJSON(nil, a, estate.View{}))
		was, existed := before[a.ID]
		delete(before, a.ID)
		switch {
		case !existed:
			added++
			require.Equal(t, at.UnixMilli(), a.Created)
		case was != now:
			changed++
			require.Equal(t, at.UnixMilli(), a.Modified)
		}
	}
	require.Equal(t, []int{100, 10, 5}, []int{changed, added, len(before)})
	touched, only := e.TouchedSince(at.UnixMilli())
	require.True(t, only)
	require.Len(t, touched, 115)
}

func TestReplayingMutationsGivesTheSameEstateAndResetForgetsThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		o := estate.Options{Assets: rapid.IntRange(1, 250).Draw(rt, "assets"), Seed: rapid.Uint64Range(1, 99).Draw(rt, "seed")}
		a, b := mustNew(rt, o), mustNew(rt, o)
		fresh := digest(a)
		for g, k := range rapid.SliceOfN(rapid.IntRange(1, 300), 0, 4).Draw(rt, "mutations") {
			at := time.UnixMilli(1_780_000_000_000 + int64(g)*1000)
			require.Equal(rt, a.Mutate(k, at), b.Mutate(k, at))
			require.Positive(rt, a.Live())
		}
		require.Equal(rt, digest(a), digest(b))
		a.Reset()
		require.Equal(rt, fresh, digest(a))
	})
}

func TestHiddenMembersAreNullAndTheKeysStay(t *testing.T) {
	t.Parallel()
	e := mustNew(t, estate.Options{Assets: 50})
	for _, a := range all(e) {
		whole := decode(t, e, a)
		var m map[string]any
		require.NoError(t, json.Unmarshal(e.AppendJSON(nil, a, estate.View{Hide: estate.AllFields}), &m))
		require.Len(t, m, len(whole))
		for k, v := range m {
			switch k {
			case "assetId", "assetUUID", "hostId", "lastModifiedDate", "agentId", "createdDate", "sensorLastUpdatedDate", "assetType",
				"address", "dnsName", "assetName", "netbiosName", "hwUUID", "biosSerialNumber", "biosAssetTag":
				require.Equal(t, whole[k], v, k)
			default:
				require.Nil(t, v, k)
			}
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	for _, profile := range []estate.Profile{estate.Lean, estate.Full} {
		b.Run(string(profile), func(b *testing.B) {
			e := mustNew(b, estate.Options{Assets: 1_000_000, Profile: profile})
			r := e.Reader()
			var buf []byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a, _ := r.Asset(i % 1_000_000)
				buf = e.AppendJSON(buf[:0], a, estate.View{})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "assets/s")
		})
	}
}

func ExampleEstate_AppendJSON() {
	e, err := estate.New(estate.Options{Assets: 10})
	if err != nil {
		panic(err)
	}
	a, _ := e.Reader().Asset(0)
	out := e.AppendJSON(nil, a, estate.View{Hide: estate.AllFields})
	fmt.Println(json.Valid(out), bytes.HasPrefix(out, []byte(`{"assetId":100000`)))
	// Output: true true
}
