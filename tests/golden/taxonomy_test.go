package golden_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// taxonomy lists the category pairs of hardware and operating systems that public
// documents and answers of the CSAM API v2 show. A pair that ends in "/ " stands for
// a first level whose second levels are not known.
var taxonomy = map[string][]string{
	"hardware": {
		"Computers / Notebook", "Computers / Server", "Computers / Desktop", "Computers / Unidentified", "Computers / Tablet", "Computers / Thin Client",
		"Computers / Mini PC", "Computers / All-in-One", "Computers / Blade Server", "Computers / Chassis",
		"Virtualized / Virtual Machine", "Virtualized / Cloud Instance", "Virtualized / Hypervisor",
		"Printers / Multi-Function Printer (MFP)", "Printers / Laser Printer", "Printers / Label Printer",
		"Networking Device / Unidentified", "Networking Device / Switch", "Networking Device / Router", "Networking Device / Firewall Device",
		"Networking Device / Wireless Access Point", "Networking Device / Load Balancer", "Networking Device / Wireless LAN Controller", "Networking Device / VPN Gateway",
		"Storage Devices / NAS", "Storage Devices / SAN", "Communication Device / IP Phone", "Mobile / Smartphone", "Industrial Control Systems / PLC",
		"IoT / ", "Power Supply / UPS", "Audio Visual / IP Camera", "Building Automation / ", "Medical / ", "Not Applicable / ", "Unidentified / Unidentified",
	},
	"operatingSystem": {
		"Windows / Server", "Windows / Client", "Linux / Server", "Linux / Client", "Linux / Unidentified", "Mac / Client", "Unix / Server",
		"Network Operating System / ", "Virtualization / Hypervisor", "Mobile / Phone", "Firmware / ", "Embedded / ", "Unidentified / Unidentified",
	},
}

func TestEveryKnownCategoryPairHasAGoldenAsset(t *testing.T) {
	t.Parallel()
	for object, rows := range taxonomy {
		var seen []string
		for _, c := range load(t) {
			one, _ := at(c.Asset, object, "category1").(string)
			two, _ := at(c.Asset, object, "category2").(string)
			seen = append(seen, one+" / "+two)
		}
		all := strings.Join(seen, "\n") + "\n"
		for _, row := range rows {
			if !strings.HasSuffix(row, " / ") {
				row += "\n"
			}
			require.Contains(t, "\n"+all, "\n"+row, "no golden asset has this category of %s", object)
		}
	}
}
