package activities

import (
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/workflows/contract"
)

// cleanSteps lists the values that cleansing looked at, for explain.
func cleanSteps(a *asset.Asset, c *asset.Clean) []contract.CleanStep {
	steps := []contract.CleanStep{
		{Field: "name", Raw: join(a.FQDN, a.DNSName, a.NetBIOS, a.Name), Clean: c.Name},
		{Field: "fqdn", Raw: join(a.FQDN, a.DNSName), Clean: c.FQDN},
		{Field: "serial number", Raw: a.BIOSSerial, Clean: c.Serial},
		{Field: "hardware UUID", Raw: a.HardwareUUID, Clean: c.UUID},
		{Field: "asset tag", Raw: a.BIOSAssetTag, Clean: c.AssetTag},
		{Field: "manufacturer", Raw: a.Hardware.Manufacturer, Clean: c.Manufacturer},
		{Field: "model", Raw: join(a.Hardware.ProductName, a.Hardware.Model), Clean: c.Model},
		{Field: "operating system", Raw: join(a.OS.ProductName, a.OS.Name), Clean: c.OS},
		{Field: "address", Raw: a.Address, Clean: c.IP},
	}
	var rawMACs, macs []string
	for _, in := range a.Interfaces {
		rawMACs = append(rawMACs, in.MAC)
	}
	for _, ad := range c.Adapters {
		macs = append(macs, ad.MAC)
	}
	steps = append(steps, contract.CleanStep{Field: "MAC addresses", Raw: join(rawMACs...), Clean: join(macs...)})
	out := steps[:0]
	for _, s := range steps {
		if s.Raw != "" || s.Clean != "" {
			s.Raw = asset.Text(s.Raw)
			out = append(out, s)
		}
	}
	return out
}

// join lists the values that are there, each once.
func join(values ...string) string {
	var out []string
	for _, v := range values {
		if v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return strings.Join(out, ", ")
}
