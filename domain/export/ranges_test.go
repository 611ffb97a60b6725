package export_test

import (
	"encoding/json"
	"math"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/export"
)

func TestRangesAreReadAndWrittenInTheVendorsForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		form  string
		count int64
	}{
		"10.0.0.1":                 {"10.0.0.1", 1},
		" 10.0.0.1 - 10.0.0.9 ":    {"10.0.0.1-10.0.0.9", 9},
		"10.0.0.7/30":              {"10.0.0.4-10.0.0.7", 4},
		"0.0.0.0/0":                {"0.0.0.0-255.255.255.255", 1 << 32},
		"::ffff:10.0.0.1":          {"10.0.0.1", 1},
		"2001:db8::/127":           {"2001:db8::-2001:db8::1", 2},
		"2001:db8::/16":            {"2001::-2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", math.MaxInt64},
		"10.0.0.255-10.0.1.0":      {"10.0.0.255-10.0.1.0", 2},
		"2001:DB8::1-2001:db8::1":  {"2001:db8::1", 1},
		"10.0.0.1-::ffff:10.0.0.2": {"10.0.0.1-10.0.0.2", 2},
	} {
		r, err := export.ParseRange(text)
		require.NoError(t, err, text)
		require.Equal(t, want.form, r.String(), text)
		require.Equal(t, want.count, r.Count(), text)
	}
}

func TestWhatIsNoRangeIsRefusedWithTheEntry(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                     "not an address",
		"app01":                `"app01" is not an address`,
		"10.0.0":               "not an address",
		"10.0.0.9-10.0.0.1":    "ends before it begins",
		"10.0.0.1-":            "is not a range",
		"10.0.0.1-2001:db8::1": "mixes IPv4 and IPv6",
		"10.0.0.0/33":          "is not a prefix",
		"::ffff:10.0.0.0/120":  "write it as IPv4",
		"fe80::1%eth0":         "not an address",
		"10.0.0.1-5":           "is not a range",
	} {
		_, err := export.ParseRange(text)
		require.ErrorContains(t, err, want, text)
	}
	_, err := export.ParseSet([]string{"10.0.0.0/8, 10.1.1.1", "", "nonsense"})
	require.ErrorContains(t, err, `"nonsense"`)
}

func TestARangeSurvivesJSON(t *testing.T) {
	t.Parallel()
	in := export.Scope{Network: "7", Ranges: []export.Range{mustRange(t, "10.0.0.1-10.0.0.3"), mustRange(t, "10.0.0.9")}, Addresses: 4}
	b, err := json.Marshal(in)
	require.NoError(t, err)
	require.JSONEq(t, `{"network":"7","ranges":["10.0.0.1-10.0.0.3","10.0.0.9"],"addresses":4}`, string(b))
	var out export.Scope
	require.NoError(t, json.Unmarshal(b, &out))
	require.Equal(t, in, out)
	require.Error(t, json.Unmarshal([]byte(`{"ranges":["x"]}`), &out))
}

func mustRange(t require.TestingT, text string) export.Range {
	r, err := export.ParseRange(text)
	require.NoError(t, err)
	return r
}

// universes are runs of 24 addresses; two lie at the ends of their families.
var universes = []string{"10.0.0.250", "0.0.0.0", "255.255.255.232", "2001:db8::ffff:ffff:ffff:fff8", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffe8"}

func universe(t require.TestingT, from string) []netip.Addr {
	a, err := netip.ParseAddr(from)
	require.NoError(t, err)
	out := make([]netip.Addr, 24)
	for i := range out {
		out[i], a = a, a.Next()
		require.True(t, out[i].IsValid())
	}
	return out
}

// members is a set as the test, apart from the code under test, sees it.
func members(s export.Set, all []netip.Addr) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for _, a := range all {
		for _, r := range s.Ranges() {
			if r.From.Compare(a) <= 0 && a.Compare(r.To) <= 0 {
				out[a] = true
			}
		}
	}
	return out
}

func TestSetsCalculateLikeMapsOfAddresses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := universe(t, rapid.SampledFrom(universes).Draw(t, "universe"))
		draw := func(label string) (export.Set, map[netip.Addr]bool) {
			var list []export.Range
			naive := map[netip.Addr]bool{}
			for range rapid.IntRange(0, 6).Draw(t, label) {
				i := rapid.IntRange(0, len(all)-1).Draw(t, "from")
				j := rapid.IntRange(i, min(len(all)-1, i+6)).Draw(t, "to")
				list = append(list, export.Range{From: all[i], To: all[j]})
				for _, a := range all[i : j+1] {
					naive[a] = true
				}
			}
			return export.NewSet(list...), naive
		}
		s, inS := draw("s")
		u, inU := draw("u")
		n := rapid.IntRange(0, 30).Draw(t, "n")
		first, rest := s.Split(int64(n))
		taken := 0
		for _, a := range all {
			require.Equal(t, inS[a], s.Contains(a))
			require.Equal(t, inS[a] || inU[a], s.Union(u).Contains(a))
			require.Equal(t, inS[a] && !inU[a], s.Subtract(u).Contains(a))
			require.Equal(t, inS[a] && taken < n, first.Contains(a))
			require.Equal(t, inS[a] && taken >= n, rest.Contains(a))
			if inS[a] {
				taken++
			}
		}
		for _, x := range []export.Set{s, s.Union(u), s.Subtract(u), first, rest} {
			require.EqualValues(t, len(members(x, all)), x.Count())
			for i, r := range x.Ranges() {
				require.False(t, r.To.Less(r.From))
				if i > 0 {
					require.True(t, x.Ranges()[i-1].To.Next().Less(r.From), "ranges that touch are one")
				}
			}
		}
	})
}

func TestASetOfBothFamiliesKeepsThemApart(t *testing.T) {
	t.Parallel()
	s, err := export.ParseSet([]string{"255.255.255.255", "::", "10.0.0.0/8"})
	require.NoError(t, err)
	require.Len(t, s.Ranges(), 3)
	require.False(t, s.Contains(netip.MustParseAddr("::1")))
	require.True(t, s.Contains(netip.MustParseAddr("::")))
	require.EqualValues(t, 1<<24+2, s.Count())
	require.Empty(t, export.NewSet(export.Range{}, export.Range{From: netip.MustParseAddr("10.0.0.2"), To: netip.MustParseAddr("10.0.0.1")}).Ranges())
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "10.0.0.1-10.0.0.9", "10.0.0.0/24", "2001:db8::/64", "::ffff:1.2.3.4", "fe80::1%1", "-", "/", "1-2-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := export.ParseRange(text)
		if err != nil {
			return
		}
		again, err := export.ParseRange(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
		require.False(t, r.To.Less(r.From))
		require.Positive(t, r.Count())
	})
}
