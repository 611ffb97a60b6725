package asset_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
)

func TestWhatEveryBoardOfAVendorSaysIsNobodysNumber(t *testing.T) {
	t.Parallel()
	for _, shared := range []string{"7783-7084-3265-9085-8269-3286-77", "OracleCloud.com", "Amazon EC2", "ATN12345678901234567"} {
		require.Empty(t, asset.AssetTag(shared), "tag %q", shared)
		require.Empty(t, asset.Serial(shared), "serial number %q", shared)
	}
	require.Equal(t, "Amazon Web Services", asset.Manufacturer("Amazon EC2"), "as a maker it says something")
	require.Empty(t, asset.UUID("00020003-0004-0005-0006-000700080009"), "AMI's UUID in the other byte order")
}

func TestWhatNobodyNamedHasNoName(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"-", "--", "?", "_", "*", "-.corp.local", "DiskStation", "pfSense.localdomain", "MacBook-Pro.local", "fedora"} {
		short, full := asset.SplitHost(raw)
		require.Equal(t, [2]string{}, [2]string{short, full}, "of %q", raw)
	}
	short, _ := asset.SplitHost("pfsense-hq-01")
	require.Equal(t, "pfsense-hq-01", short, "somebody named it")
}

func TestLeadingZerosThatASystemLeavesOutOfAMACAreAdded(t *testing.T) {
	t.Parallel()
	table(t, asset.MAC, map[string]string{
		"0:14:4f:1:2:3":         "00:14:4f:01:02:03",
		"0-14-4F-A-B-C":         "00:14:4f:0a:0b:0c",
		"0:0:0:0:0:0":           "",
		"1:2:3:4:5:6":           "", // multicast
		"0:0:5e:0:1:2":          "", // VRRP
		"0:14:4f:1:2":           "",
		"0:14:4f:1:2:3:4":       "",
		"0:14:4f:123:2:3":       "",
		"0144f123":              "",
		"0:14:4f:1:2:g":         "",
		" 0:14:4f:1:2:3":        "",
		"00:14:4f:01:02:03\x00": "",
	})
}
