package asset_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
)

func seed(f *testing.F, values ...string) {
	for _, v := range append(values, "", " ", "\x00", "\xff\xfe", "\u202e\u200b", "İſK", strings.Repeat("é", 300)) {
		f.Add(v)
	}
}

func FuzzText(f *testing.F) {
	seed(f, "plain", "a\tb", "👩‍💻")
	f.Fuzz(func(t *testing.T, raw string) {
		got := asset.Text(raw)
		require.Equal(t, got, asset.Text(got), "cleansed twice")
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, utf8.RuneCountInString(got), 255)
		require.False(t, strings.ContainsFunc(got, unicode.IsControl))
		require.Equal(t, strings.TrimSpace(got), got)
	})
}

func FuzzSplitHost(f *testing.F) {
	seed(f, "HOST1.corp.local.", `\\host`, "10.0.0.1:80", "[::1]", "a . ", "::1.x", "00-1a-2b-3c-4d-5e.lan", "localhost.", "host\u00a0.")
	f.Fuzz(func(t *testing.T, raw string) {
		short, full := asset.SplitHost(raw)
		again, _ := asset.SplitHost(short)
		require.Equal(t, short, again, "the short name of a short name")
		if full != "" {
			s, ful := asset.SplitHost(full)
			require.Equal(t, [2]string{short, full}, [2]string{s, ful}, "the full name split again")
			require.True(t, strings.HasPrefix(full, short+"."))
		}
		require.Equal(t, strings.ToLower(short), short)
		_, err := netip.ParseAddr(short)
		require.Error(t, err, "an address is not a name")
		upper, _ := asset.SplitHost(strings.ToUpper(short))
		if short == strings.ToLower(strings.ToUpper(short)) { // not so for ſ and the like
			require.Equal(t, short, upper, "capitals make no other name")
		}
	})
}

func FuzzSerial(f *testing.F) {
	seed(f, "5B8QXM2", "To be filled by O.E.M.", "0000-0000", "VMware-42 1a")
	f.Fuzz(func(t *testing.T, raw string) {
		got := asset.Serial(raw)
		require.Equal(t, got, asset.Serial(got), "cleansed twice")
		if lower := strings.ToLower(got); len(lower) == len(got) && got != "" {
			require.NotEmpty(t, asset.Serial(lower), "capitals make no junk")
		}
		tag := asset.AssetTag(raw)
		require.Equal(t, tag, asset.AssetTag(tag), "a tag cleansed twice")
		if got != "" {
			require.Equal(t, got, tag, "what is no junk as a serial number is none as a tag")
		}
	})
}

func FuzzUUID(f *testing.F) {
	seed(f, "4C4C4544-0042-3510-8051-B4C04F4D4832", "{4c4c4544-0042-3510-8051-b4c04f4d4832}")
	f.Fuzz(func(t *testing.T, raw string) {
		got := asset.UUID(raw)
		require.Equal(t, got, asset.UUID(got), "cleansed twice")
		require.Contains(t, []int{0, 36}, len(got))
	})
}

func FuzzMAC(f *testing.F) {
	seed(f, "00:1A:2B:3C:4D:5E", "001a.2b3c.4d5e", "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01")
	f.Fuzz(func(t *testing.T, raw string) {
		got := asset.MAC(raw)
		require.Equal(t, got, asset.MAC(got), "cleansed twice")
		if got == "" {
			return
		}
		hw, err := net.ParseMAC(got)
		require.NoError(t, err)
		require.Equal(t, got, hw.String())
		require.Zero(t, hw[0]&1, "a multicast address is no adapter's")
	})
}

func FuzzIP(f *testing.F) {
	seed(f, "10.0.0.1", "2001:DB8::1", "::ffff:10.0.0.1", "fe80::1%eth0", "::ffff:127.0.0.1")
	f.Fuzz(func(t *testing.T, raw string) {
		got := asset.IP(raw)
		require.Equal(t, got, asset.IP(got), "cleansed twice")
		if got != "" {
			a, err := netip.ParseAddr(got)
			require.NoError(t, err)
			require.False(t, a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast())
		}
	})
}

func FuzzManufacturer(f *testing.F) {
	seed(f, "Dell Inc.", "HP ENTERPRISE", "innotek GmbH", "Sun Microsystems", "N/A")
	f.Fuzz(func(t *testing.T, raw string) {
		got := asset.Manufacturer(raw)
		require.Equal(t, got, asset.Manufacturer(got), "cleansed twice")
	})
}

func FuzzCleanse(f *testing.F) {
	f.Add("HOST1.corp.local", "HOST1", "5B8QXM2", "00:1A:2B:3C:4D:5E", "10.0.0.1", "Dell", "64-bit")
	f.Add("\xff", "\u202e", "None", "x", "::1", "", "\x00")
	f.Fuzz(func(t *testing.T, dns, name, serial, mac, ip, maker, os string) {
		a := &asset.Asset{DNSName: dns, Name: name, BIOSSerial: serial, Address: ip, OS: asset.OperatingSystem{Name: os}, Hardware: asset.Hardware{Manufacturer: maker, Model: os},
			Interfaces: []asset.Interface{{Name: name, MAC: mac, IPv4: []string{ip, dns}, Netmask: ip, Gateway: ip + "," + dns}}}
		c := asset.Cleanse(a)
		v := &asset.View{Asset: a, Clean: c}
		for _, p := range asset.Paths() {
			g, _ := asset.Lookup(p)
			if value := g(v); strings.HasPrefix(p, "clean.") {
				require.True(t, utf8.ValidString(value), p)
				require.LessOrEqual(t, utf8.RuneCountInString(value), 255, p)
			}
		}
		require.Equal(t, c.Serial != "" || c.Name != "" || c.MAC != "", asset.HasIdentity(a, c))
	})
}
