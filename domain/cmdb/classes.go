package cmdb

import (
	"maps"
	"slices"
)

// parents is the part of ServiceNow's class hierarchy that mappings refer to. A
// class that is not listed counts as a direct child of cmdb_ci; an instance's
// own hierarchy can be read from its CMDB Meta API.
var parents = map[string]string{
	"cmdb_ci_hardware":              "cmdb_ci",
	"cmdb_ci_computer":              "cmdb_ci_hardware",
	"cmdb_ci_pc_hardware":           "cmdb_ci_computer",
	"cmdb_ci_server":                "cmdb_ci_computer",
	"cmdb_ci_win_server":            "cmdb_ci_server",
	"cmdb_ci_linux_server":          "cmdb_ci_server",
	"cmdb_ci_unix_server":           "cmdb_ci_server",
	"cmdb_ci_aix_server":            "cmdb_ci_server",
	"cmdb_ci_solaris_server":        "cmdb_ci_server",
	"cmdb_ci_hpux_server":           "cmdb_ci_server",
	"cmdb_ci_osx_server":            "cmdb_ci_server",
	"cmdb_ci_storage_server":        "cmdb_ci_server",
	"cmdb_ci_lb":                    "cmdb_ci_server",
	"cmdb_ci_lb_bigip":              "cmdb_ci_lb",
	"cmdb_ci_virtualization_server": "cmdb_ci_server",
	"cmdb_ci_esx_server":            "cmdb_ci_virtualization_server",
	"cmdb_ci_hyper_v_server":        "cmdb_ci_virtualization_server",
	"cmdb_ci_netgear":               "cmdb_ci_hardware",
	"cmdb_ci_ip_switch":             "cmdb_ci_netgear",
	"cmdb_ci_ip_router":             "cmdb_ci_netgear",
	"cmdb_ci_ip_firewall":           "cmdb_ci_netgear",
	"cmdb_ci_wap_network":           "cmdb_ci_netgear",
	"cmdb_ci_printer":               "cmdb_ci_hardware",
	"cmdb_ci_ups":                   "cmdb_ci_hardware",
	"cmdb_ci_pdu":                   "cmdb_ci_hardware",
	"cmdb_ci_handheld_computing":    "cmdb_ci_hardware",
	"cmdb_ci_iot":                   "cmdb_ci_hardware",
	"cmdb_ci_ip_camera":             "cmdb_ci_iot",
	"cmdb_ci_unclassed_hardware":    "cmdb_ci_hardware",
	"cmdb_ci_ip_phone":              "cmdb_ci",
	"cmdb_ci_incomplete_ip":         "cmdb_ci",
	"cmdb_ci_vm_instance":           "cmdb_ci",
	"cmdb_ci_network_adapter":       "cmdb_ci",
	"cmdb_ci_ip_address":            "cmdb_ci",
	"cmdb_ci_logical_datacenter":    "cmdb_ci",
	"cmdb_ci_aws_datacenter":        "cmdb_ci_logical_datacenter",
	"cmdb_ci_azure_datacenter":      "cmdb_ci_logical_datacenter",
	"cmdb_ci_google_datacenter":     "cmdb_ci_logical_datacenter",
	"cmdb_ci_availability_zone":     "cmdb_ci",
	"cmdb_ci_network":               "cmdb_ci",
	"cmdb_ci_cloud_subnet":          "cmdb_ci",
	"cmdb_ci_compute_template":      "cmdb_ci",
	"cmdb_ci_os_template":           "cmdb_ci",
	"cmdb_ci_nic":                   "cmdb_ci",
	"cmdb_ci_disk":                  "cmdb_ci",
	"cmdb_ci_file_system":           "cmdb_ci",
	"cmdb_ci_spkg":                  "cmdb_ci",
	"cmdb_ci_cloud_service_account": "cmdb_ci",
	"cmdb_ci_certificate":           "cmdb_ci",
	"cmdb_ci_appl":                  "cmdb_ci",
}

// IsA reports whether a class is another one or descends from it.
func IsA(class, ancestor string) bool {
	for class != "" {
		if class == ancestor {
			return true
		}
		parent, known := parents[class]
		if !known && class != "cmdb_ci" {
			parent = "cmdb_ci"
		}
		class = parent
	}
	return false
}

// Classes returns the classes of the hierarchy, sorted.
func Classes() []string {
	return append(slices.Sorted(maps.Keys(parents)), "cmdb_ci")
}

// KnownClass reports whether a class stands in the hierarchy.
func KnownClass(class string) bool {
	_, ok := parents[class]
	return ok || class == "cmdb_ci"
}

// SameBranch reports whether one class descends from the other, or whether one of
// them is not known here.
func SameBranch(a, b string) bool {
	return !KnownClass(a) || !KnownClass(b) || IsA(a, b) || IsA(b, a)
}
