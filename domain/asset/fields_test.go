package asset_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
)

func get(t *testing.T, v *asset.View, path string) string {
	t.Helper()
	g, ok := asset.Lookup(path)
	require.True(t, ok, "path %s is unknown", path)
	return g(v)
}

func TestEveryPathOfAnEmptyAssetIsEmpty(t *testing.T) {
	t.Parallel()
	v := &asset.View{Asset: &asset.Asset{}, Clean: &asset.Clean{}}
	require.True(t, slices.IsSorted(asset.Paths()))
	for _, p := range asset.Paths() {
		require.Empty(t, get(t, v, p), p)
	}
	for _, name := range asset.ListNames() {
		l, ok := asset.LookupList(name)
		require.True(t, ok)
		require.Zero(t, l.Len(v), name)
		require.Equal(t, name, l.Name)
		require.NotEmpty(t, l.Paths(), name)
		require.NotEmpty(t, l.Section, "list %s must say which section makes it complete", name)
	}
	_, ok := asset.Lookup("operatingSystem.catagory1")
	require.False(t, ok)
	_, ok = asset.LookupList("adaptors")
	require.False(t, ok)
}

func TestPathsPrintNumbersTimesAndBooleans(t *testing.T) {
	t.Parallel()
	zurich := time.FixedZone("CET", 3600)
	a := &asset.Asset{
		ID: 20345678, Name: "APP01", TotalMemoryMB: 32767, LastBoot: time.Date(2026, 2, 1, 4, 0, 0, 0, zurich), BIOSSerial: "None",
		OS: asset.OperatingSystem{Category1: "Windows"}, Hardware: asset.Hardware{Category1: "Virtualized"},
		Cloud: asset.Cloud{Provider: asset.CloudAWS, InstanceID: "i-1"}, Processor: asset.Processor{SpeedMHz: 2095},
		Interfaces: []asset.Interface{{Name: "eth0", MAC: "00:1A:2B:3C:4D:5E", IPv4: []string{"10.0.0.1"}, Netmask: "255.0.0.0"}},
		Volumes:    []asset.Volume{{Name: "C:", Free: 53687091200, Size: 128849018880}},
	}
	v := &asset.View{Asset: a, Clean: asset.Cleanse(a)}
	for path, want := range map[string]string{
		"assetId": "20345678", "assetName": "APP01", "totalMemory": "32767", "lastBoot": "2026-02-01T03:00:00Z", "biosSerialNumber": "None", "clean.serial": "",
		"operatingSystem.category1": "Windows", "cloud.provider": "AWS", "cloud.instanceId": "i-1", "processor.speed": "2095",
		"clean.name": "app01", "clean.virtual": "true", "clean.mac": "00:1a:2b:3c:4d:5e", "clean.ip": "10.0.0.1",
	} {
		require.Equal(t, want, get(t, v, path), path)
	}
	for list, elements := range map[string]map[string]string{
		"adapters":  {"name": "eth0", "mac": "00:1a:2b:3c:4d:5e", "ip": "10.0.0.1", "netmask": "255.0.0.0", "gateway": ""},
		"addresses": {"ip": "10.0.0.1", "version": "4", "netmask": "255.0.0.0", "mac": "00:1a:2b:3c:4d:5e"},
		"volumes":   {"name": "C:", "free": "53687091200", "size": "128849018880"},
	} {
		l, ok := asset.LookupList(list)
		require.True(t, ok)
		require.Equal(t, 1, l.Len(v))
		for path, want := range elements {
			g, ok := l.Lookup(path)
			require.True(t, ok, "%s has no %s", list, path)
			require.Equal(t, want, g(v, 0), "%s.%s", list, path)
		}
	}
}

func TestHasTellsAnEmptySectionFromAMissingOne(t *testing.T) {
	t.Parallel()
	a := &asset.Asset{Present: []asset.Section{asset.SectionSoftware}}
	require.True(t, a.Has(asset.SectionSoftware))
	require.False(t, a.Has(asset.SectionOpenPorts))
}

func TestAnAssetThatOnlyOthersReportIsUnmanaged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sources  []string
		tracking string
		want     string
	}{
		"an agent makes it managed":                     {sources: []string{"PASSIVE_SENSOR", "QAGENT"}},
		"a scan makes it managed":                       {sources: []string{"IP"}},
		"a cloud connector makes it managed":            {sources: []string{"instance_id"}},
		"passive sensors alone do not":                  {sources: []string{"PASSIVE_SENSOR"}, want: "PASSIVE_SENSOR"},
		"third parties do not, however many":            {sources: []string{"SERVICENOW", "WEBHOOK"}, want: "SERVICENOW, WEBHOOK"},
		"a source that is not known does not":           {sources: []string{"EASM"}, tracking: "QAGENT", want: "EASM"},
		"without sources the tracking method decides":   {tracking: "NETBIOS"},
		"a tracking method that is none of Qualys' own": {tracking: "PASSIVE_SENSOR", want: "PASSIVE_SENSOR"},
		"an asset that says nothing counts as managed":  {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &asset.Asset{TrackingMethod: c.tracking}
			for _, s := range c.sources {
				a.Inventory = append(a.Inventory, asset.InventorySource{Source: s})
			}
			require.Equal(t, c.want, a.Unmanaged())
		})
	}
}
