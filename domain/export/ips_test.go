package export_test

import (
	"cmp"
	"fmt"
	"math/rand"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/export"
)

// scope makes a scope of a network from texts.
func scope(t require.TestingT, network string, ranges ...string) export.Scope {
	s, err := export.ParseSet(ranges)
	require.NoError(t, err)
	return export.Scope{Network: network, Ranges: s.Ranges(), Addresses: s.Count()}
}

// ci makes a server with addresses; one that begins with ~ is leased.
func ci(id string, addresses ...string) export.CI {
	c := export.CI{SysID: id, Name: "host-" + id, Class: "cmdb_ci_linux_server"}
	for _, a := range addresses {
		text, leased := strings.CutPrefix(a, "~")
		c.Addresses = append(c.Addresses, export.Address{Text: text, DHCP: leased})
	}
	return c
}

func whole(known ...export.Scope) export.Subscription {
	return export.Subscription{Whole: true, Known: known}
}

func settings() export.IPSettings {
	return export.IPSettings{Registration: export.Registration{VM: true}}
}

func reasons(list []export.Verdict) map[string]export.Reason {
	out := map[string]export.Reason{}
	for _, v := range list {
		out[v.CI+" "+v.Address] = v.Reason
	}
	return out
}

func texts(list []export.Scope) []string {
	var out []string
	for _, s := range list {
		for _, r := range s.Ranges {
			out = append(out, s.Network+"/"+r.String())
		}
	}
	return out
}

func TestThirtyCIsBecomeExactlyTheMissingRanges(t *testing.T) {
	t.Parallel()
	var cis []export.CI
	for i := range 30 {
		a := fmt.Sprintf("10.0.0.%d", i+1)
		switch {
		case i >= 26 && i < 29:
			a = fmt.Sprintf("10.0.0.%d", i-5) // of CIs 21 to 23
		case i == 29:
			a = "169.254.7.7"
		}
		cis = append(cis, ci(fmt.Sprintf("%02d", i+1), a))
	}
	sub := whole(scope(t, "", "10.0.0.1-10.0.0.10"))
	sub.Excluded = []export.Scope{scope(t, "", "10.0.0.12", "10.0.0.15")}
	plan, verdicts, err := export.PlanIPs(cis, sub, settings())
	require.NoError(t, err)
	require.Equal(t, []string{"/10.0.0.11", "/10.0.0.13-10.0.0.14", "/10.0.0.16-10.0.0.26"}, texts(plan.Add))
	require.Equal(t, map[export.Reason]int64{
		export.ReasonAdd: 14, export.ReasonKnown: 10, export.ReasonExcluded: 2, export.ReasonDuplicate: 3, export.ReasonUnusable: 1,
	}, plan.Counts.By)
	require.True(t, plan.Counts.Balanced())
	require.Equal(t, export.CICounts{Read: 30, Adding: 14}, plan.CIs)
	require.Equal(t, export.Licence{Before: 10, After: 24}, plan.Licence)
	require.EqualValues(t, 14, plan.Addresses())
	require.Equal(t, export.ReasonDuplicate, reasons(verdicts)["28 10.0.0.22"])

	again, _, err := export.PlanIPs(cis, whole(append(sub.Known, plan.Add...)...), settings())
	require.NoError(t, err)
	require.Equal(t, []string{"/10.0.0.12", "/10.0.0.15"}, texts(again.Add), "only what was excluded, and is not any more")
}

func TestEachAddressGetsItsReason(t *testing.T) {
	t.Parallel()
	echo, laptop, elsewhere := ci("echo", "10.1.0.1"), ci("laptop", "10.1.0.2"), ci("elsewhere", "10.1.0.3")
	echo.FromQualys, laptop.Class, elsewhere.Network = true, "cmdb_ci_pc_hardware", "Plant 7"
	s := settings()
	s.Exclude = []string{"10.9.0.0/16"}
	_, verdicts, err := export.PlanIPs([]export.CI{
		echo, laptop, elsewhere,
		ci("odd", "web01", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "fe80::1", "2001:db8::1", "::ffff:10.1.0.9", "", " "),
		ci("leased", "~10.1.0.4"), ci("both", "10.1.0.5", "~10.1.0.5"), ci("own", "10.9.1.1"), ci("twice", "10.1.0.6", "10.1.0.6"),
	}, whole(), s)
	require.NoError(t, err)
	require.Equal(t, map[string]export.Reason{
		"echo 10.1.0.1": export.ReasonEcho, "laptop 10.1.0.2": export.ReasonClient, "elsewhere 10.1.0.3": export.ReasonNoNetwork,
		"odd web01": export.ReasonInvalid, "odd 0.0.0.0": export.ReasonUnusable, "odd 127.0.0.1": export.ReasonUnusable, "odd 224.0.0.1": export.ReasonUnusable,
		"odd 255.255.255.255": export.ReasonUnusable, "odd fe80::1": export.ReasonUnusable, "odd 2001:db8::1": export.ReasonIPv6, "odd ::ffff:10.1.0.9": export.ReasonAdd,
		"leased 10.1.0.4": export.ReasonDHCP, "both 10.1.0.5": export.ReasonDHCP, "own 10.9.1.1": export.ReasonOwnExclude, "twice 10.1.0.6": export.ReasonAdd,
	}, reasons(verdicts))

	s.IncludeDHCP, s.ClientClasses, s.Networks = true, []string{}, map[string]string{"Plant 7": "1007"}
	plan, verdicts, err := export.PlanIPs([]export.CI{laptop, elsewhere, ci("leased", "~10.1.0.4")}, whole(), s)
	require.NoError(t, err)
	require.Equal(t, map[string]export.Reason{"laptop 10.1.0.2": export.ReasonAdd, "elsewhere 10.1.0.3": export.ReasonAdd, "leased 10.1.0.4": export.ReasonAdd}, reasons(verdicts))
	require.Equal(t, []string{"/10.1.0.2", "/10.1.0.4", "1007/10.1.0.3"}, texts(plan.Add))
}

func TestAnAddressOfTwoNetworksIsReportedAndGoesToNone(t *testing.T) {
	t.Parallel()
	a, b, c := ci("a", "10.0.0.1"), ci("b", "10.0.0.1"), ci("c", "10.0.0.2")
	b.Network, c.Network = "plant", "plant"
	s := settings()
	s.Networks = map[string]string{"plant": "7"}
	sub := whole(scope(t, "0", "10.0.0.2"))
	plan, verdicts, err := export.PlanIPs([]export.CI{a, b, c}, sub, s)
	require.NoError(t, err)
	require.Empty(t, plan.Add)
	require.Equal(t, []export.Conflict{
		{Address: "10.0.0.1", Networks: []string{"", "7"}, CIs: []string{"a", "b"}, Claims: 2},
		{Address: "10.0.0.2", Networks: []string{"", "7"}, CIs: []string{"c"}, Claims: 1},
	}, plan.Conflicts, "also with a network that has the address already")
	require.Equal(t, "default", verdicts[1].With)

	shared := whole(scope(t, "0", "10.0.0.2"), scope(t, "7", "10.0.0.2"))
	_, verdicts, err = export.PlanIPs([]export.CI{c}, shared, s)
	require.NoError(t, err)
	require.Equal(t, map[string]export.Reason{"c 10.0.0.2": export.ReasonKnown}, reasons(verdicts), "what its own network has is no conflict")

	s.Overlap = export.OverlapSeparate
	plan, _, err = export.PlanIPs([]export.CI{a, b, c}, sub, s)
	require.NoError(t, err)
	require.Equal(t, []string{"/10.0.0.1", "7/10.0.0.1-10.0.0.2"}, texts(plan.Add))
}

func TestAPlanShowsSamplesOfWhatTooManyClaim(t *testing.T) {
	t.Parallel()
	var cis []export.CI
	for i := range 3000 {
		c := ci(fmt.Sprintf("%04d", i), "172.17.0.1", fmt.Sprintf("10.1.%d.%d", i/2/250, i/2%250))
		if i%2 == 1 {
			c.Network = "plant"
		}
		cis = append(cis, c)
	}
	s := settings()
	s.Networks = map[string]string{"plant": "7"}
	plan, verdicts, err := export.PlanIPs(cis, whole(), s)
	require.NoError(t, err)
	require.Len(t, plan.Conflicts, export.MaxConflicts)
	last := plan.Conflicts[len(plan.Conflicts)-1]
	require.Equal(t, 2, last.Claims)
	require.Len(t, verdicts, 6000)
	require.Equal(t, map[export.Reason]int64{export.ReasonConflict: 3002, export.ReasonDuplicate: 2998}, plan.Counts.By)
	bridge, _, err := export.PlanIPs([]export.CI{cis[0], cis[1], cis[2], cis[3], cis[4], cis[5], cis[6]}, whole(), s)
	require.NoError(t, err)
	shared := bridge.Conflicts[len(bridge.Conflicts)-1]
	require.Equal(t, export.Conflict{Address: "172.17.0.1", Networks: []string{"", "7"}, CIs: []string{"0000", "0001", "0002", "0003", "0004"}, Claims: 7}, shared)
}

func TestAnExclusionOfOneNetworkHoldsThereOnly(t *testing.T) {
	t.Parallel()
	a, b := ci("a", "10.0.0.1", "10.0.0.3"), ci("b", "10.0.0.2", "10.0.0.4")
	b.Network = "plant"
	s := settings()
	s.Networks = map[string]string{"plant": "7"}
	sub := whole()
	sub.Excluded = []export.Scope{scope(t, "0", "10.0.0.1-10.0.0.2"), scope(t, "", "10.0.0.3-10.0.0.4")}
	plan, _, err := export.PlanIPs([]export.CI{a, b}, sub, s)
	require.NoError(t, err)
	require.Equal(t, []string{"7/10.0.0.2"}, texts(plan.Add))
}

func TestACeilingStopsBeforeItIsCrossed(t *testing.T) {
	t.Parallel()
	var cis []export.CI
	for i := range 20 {
		cis = append(cis, ci(fmt.Sprint("n", i), fmt.Sprintf("10.0.0.%d", i+1)))
	}
	for name, c := range map[string]struct {
		maxAdd, licence int64
		add, left       []string
		stopped         string
	}{
		"a plan of at most 15":            {15, 0, []string{"/10.0.0.1-10.0.0.15"}, []string{"/10.0.0.16-10.0.0.20"}, "ceiling of 15 addresses would be crossed: 5"},
		"a licence with 12 left":          {15, 112, []string{"/10.0.0.1-10.0.0.12"}, []string{"/10.0.0.13-10.0.0.20"}, "licence of 112 addresses, of which 100 are used"},
		"a licence that is exceeded":      {0, 60, nil, []string{"/10.0.0.1-10.0.0.20"}, "20 missing addresses are left over"},
		"a ceiling that is just enough":   {20, 120, []string{"/10.0.0.1-10.0.0.20"}, nil, ""},
		"no ceiling at all":               {0, 0, []string{"/10.0.0.1-10.0.0.20"}, nil, ""},
		"a ceiling lower than a licence":  {1, 200, []string{"/10.0.0.1"}, []string{"/10.0.0.2-10.0.0.20"}, "19 missing"},
		"a licence used to the last host": {0, 100, nil, []string{"/10.0.0.1-10.0.0.20"}, "of which 100 are used"},
	} {
		s := settings()
		s.MaxAdd, s.Licence = c.maxAdd, c.licence
		plan, _, err := export.PlanIPs(cis, whole(scope(t, "", "10.7.0.1-10.7.0.100")), s)
		require.NoError(t, err, name)
		require.Equal(t, c.add, texts(plan.Add), name)
		require.Equal(t, c.left, texts(plan.LeftOver), name)
		require.Contains(t, plan.Stopped, c.stopped, name)
		require.Equal(t, c.stopped == "", plan.Stopped == "", name)
		require.True(t, plan.Counts.Balanced(), name)
	}
}

func TestAPlanIsRefusedWhereItCouldNotBeRight(t *testing.T) {
	t.Parallel()
	_, _, err := export.PlanIPs(nil, export.Subscription{}, settings())
	require.ErrorIs(t, err, export.ErrPartialView)
	for name, c := range map[string]struct {
		change func(*export.IPSettings)
		want   string
	}{
		"no module":              {func(s *export.IPSettings) { s.Registration.VM = false }, "at least one of vm"},
		"an unknown tracking":    {func(s *export.IPSettings) { s.Registration.Tracking = "AGENT" }, `"AGENT"`},
		"a long user field":      {func(s *export.IPSettings) { s.Registration.UserFields = []string{"", strings.Repeat("é", 129)} }, "user field 2 has 129"},
		"a long comment":         {func(s *export.IPSettings) { s.Registration.Comment = strings.Repeat("x", 4001) }, "4001"},
		"an owner that is bytes": {func(s *export.IPSettings) { s.Registration.Owner = "\xff" }, "UTF-8"},
		"an odd exclusion":       {func(s *export.IPSettings) { s.Exclude = []string{"server room"} }, `"server room"`},
		"a negative ceiling":     {func(s *export.IPSettings) { s.Licence = -1 }, "negative"},
		"an unknown overlap":     {func(s *export.IPSettings) { s.Overlap = "merge" }, `"merge"`},
	} {
		s := settings()
		c.change(&s)
		_, _, err := export.PlanIPs(nil, whole(), s)
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestTheDigestIsOfWhatWouldBeWritten(t *testing.T) {
	t.Parallel()
	digest := func(change func(*export.IPSettings), cis ...export.CI) string {
		s := settings()
		change(&s)
		p, _, err := export.PlanIPs(cis, whole(), s)
		require.NoError(t, err)
		return p.Digest
	}
	same := func(*export.IPSettings) {}
	want := digest(same, ci("a", "10.0.0.1"), ci("b", "10.0.0.2"))
	require.Len(t, want, 32)
	require.Equal(t, want, digest(same, ci("b", "10.0.0.1"), ci("x", "10.0.0.2", "127.0.0.1")), "whose addresses they are is no matter")
	require.Equal(t, want, digest(func(s *export.IPSettings) { s.Registration.Tracking = export.TrackIP }, ci("a", "10.0.0.1"), ci("b", "10.0.0.2")))
	require.NotEqual(t, want, digest(same, ci("a", "10.0.0.1")))
	require.NotEqual(t, want, digest(func(s *export.IPSettings) { s.Registration.PC = true }, ci("a", "10.0.0.1"), ci("b", "10.0.0.2")))
}

func TestCallsHoldSoManyRangesAndAnInterruptedPlanGoesOn(t *testing.T) {
	t.Parallel()
	plan, _, err := export.PlanIPs([]export.CI{ci("a", "10.0.0.1", "10.0.0.3", "10.0.0.5", "10.0.0.6", "10.0.0.9")}, whole(), settings())
	require.NoError(t, err)
	calls := export.Calls(plan.Add, 3)
	require.Len(t, calls, 2)
	require.EqualValues(t, 4, calls[0].Addresses)
	require.EqualValues(t, 1, calls[1].Addresses)
	require.Equal(t, []string{"/10.0.0.9"}, texts(plan.Remaining([]export.Scope{{Ranges: calls[0].Ranges}})))
	require.Empty(t, plan.Remaining(plan.Add))
	require.Len(t, export.Calls(plan.Add, 0), 4, "at least one range a call")
}

// drawn is a random estate in a small address space.
func drawn(t *rapid.T) ([]export.CI, export.Subscription, export.IPSettings) {
	host := func(label string) string { return fmt.Sprintf("10.0.0.%d", rapid.IntRange(0, 30).Draw(t, label)) }
	s := settings()
	s.Networks = map[string]string{"plant": "7", "lab": "8"}
	s.MaxAdd = int64(rapid.IntRange(0, 12).Draw(t, "maxAdd"))
	if rapid.Bool().Draw(t, "separate") {
		s.Overlap = export.OverlapSeparate
	}
	var cis []export.CI
	for i := range rapid.IntRange(0, 25).Draw(t, "cis") {
		c := ci(fmt.Sprintf("ci%02d", i))
		c.Network = rapid.SampledFrom([]string{"", "", "plant", "lab", "moon"}).Draw(t, "network")
		c.FromQualys = rapid.IntRange(0, 9).Draw(t, "echo") == 0
		for range rapid.IntRange(0, 3).Draw(t, "addresses") {
			c.Addresses = append(c.Addresses, export.Address{Text: host("address"), DHCP: rapid.IntRange(0, 9).Draw(t, "dhcp") == 0})
		}
		cis = append(cis, c)
	}
	sub := whole()
	for _, n := range []string{"0", "7", "8"} {
		for range rapid.IntRange(0, 3).Draw(t, "known") {
			sub.Known = append(sub.Known, scope(t, n, host("known")))
		}
	}
	for _, n := range []string{"", "0", "7"} {
		for range rapid.IntRange(0, 1).Draw(t, "excluded") {
			sub.Excluded = append(sub.Excluded, scope(t, n, host("exclusion")))
		}
	}
	return cis, sub, s
}

// naive says, address by address, what must be added: network → addresses.
func naive(cis []export.CI, sub export.Subscription, s export.IPSettings) map[string][]netip.Addr {
	ids := map[string]string{"": "", "plant": "7", "lab": "8"}
	has := func(list []export.Scope, a netip.Addr, networks ...string) bool {
		return slices.ContainsFunc(list, func(sc export.Scope) bool {
			return slices.Contains(networks, sc.Network) && members(export.NewSet(sc.Ranges...), []netip.Addr{a})[a]
		})
	}
	out := map[string][]netip.Addr{}
	for i := range 31 {
		a := netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i))
		claimed := map[string]bool{}
		for _, c := range cis {
			id, ok := ids[c.Network]
			mentioned, leased := false, false
			for _, x := range c.Addresses {
				mentioned, leased = mentioned || x.Text == a.String(), leased || x.Text == a.String() && x.DHCP
			}
			zero := cmp.Or(id, "0")
			if ok && mentioned && !leased && !c.FromQualys && !has(sub.Excluded, a, "", zero) {
				claimed[id] = true
			}
		}
		for id := range claimed {
			elsewhere := len(claimed) > 1
			for _, other := range []string{"0", "7", "8"} {
				elsewhere = elsewhere || other != cmp.Or(id, "0") && has(sub.Known, a, other)
			}
			if !has(sub.Known, a, cmp.Or(id, "0")) && (s.Overlap == export.OverlapSeparate || !elsewhere) {
				out[id] = append(out[id], a)
			}
		}
	}
	return out
}

func TestAPlanAddsExactlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cis, sub, s := drawn(t)
		plan, verdicts, err := export.PlanIPs(cis, sub, s)
		require.NoError(t, err)
		require.True(t, plan.Counts.Balanced())
		require.EqualValues(t, len(verdicts), plan.Counts.Claims)
		want := naive(cis, sub, s)
		var missing int64
		for _, n := range []string{"", "7", "8"} {
			var got []export.Range
			for _, sc := range append(slices.Clone(plan.Add), plan.LeftOver...) {
				if sc.Network == n {
					got = append(got, sc.Ranges...)
				}
			}
			all := export.NewSet(got...)
			require.EqualValues(t, len(want[n]), all.Count(), "network %q", n)
			for _, a := range want[n] {
				require.True(t, all.Contains(a), "network %q lacks %s", n, a)
			}
			missing += all.Count()
		}
		if s.MaxAdd > 0 {
			missing = min(missing, s.MaxAdd)
		}
		require.Equal(t, missing, plan.Addresses(), "as many as the ceiling allows")
		require.Equal(t, plan.Counts.By[export.ReasonAdd] == 0, plan.Addresses() == 0)

		rand.New(rand.NewSource(1)).Shuffle(len(cis), func(i, j int) { cis[i], cis[j] = cis[j], cis[i] })
		shuffled, _, err := export.PlanIPs(cis, sub, s)
		require.NoError(t, err)
		require.Equal(t, plan, shuffled, "the order of the CIs is no matter")

		sub.Known = append(sub.Known, plan.Add...)
		require.Empty(t, plan.Remaining(sub.Known))
		next, _, err := export.PlanIPs(cis, sub, s)
		require.NoError(t, err)
		require.LessOrEqual(t, next.Addresses(), int64(len(verdicts)))
		if len(plan.LeftOver) == 0 {
			require.Empty(t, next.Add, "nothing is added twice")
		}
	})
}
