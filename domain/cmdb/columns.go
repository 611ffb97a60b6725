package cmdb

import (
	"slices"
	"strings"
)

// columns lists the element names of classes and tables that mappings may write,
// without those that a class inherits. System columns are left out: IRE refuses
// them.
var columns = map[string]string{
	"cmdb_ci": "asset asset_tag assigned assigned_to assignment_group attributes category comments company correlation_id " +
		"cost_center department discovery_source dns_domain environment first_discovered fqdn install_date install_status ip_address " +
		"justification last_discovered life_cycle_stage life_cycle_stage_status location mac_address maintenance_schedule managed_by " +
		"managed_by_group manufacturer model_id model_number monitor name operational_status owned_by purchase_date serial_number " +
		"short_description start_date subcategory support_group supported_by vendor warranty_expiration",
	"cmdb_ci_hardware": "hardware_status hardware_substatus default_gateway",
	"cmdb_ci_computer": "cd_rom cd_speed chassis_type cpu_core_count cpu_core_thread cpu_count cpu_manufacturer cpu_name cpu_speed cpu_type " +
		"disk_space floppy form_factor object_id os os_address_width os_domain os_service_pack os_version ram virtual",
	"cmdb_ci_server":                "classification firewall_status host_name used_for dr_backup",
	"cmdb_ci_linux_server":          "kernel_release",
	"cmdb_ci_handheld_computing":    "imei iccid meid carrier phone_number os os_version disk_space root_access ram",
	"cmdb_ci_network_adapter":       "netmask ip_default_gateway dhcp_enabled mac_manufacturer cmdb_ci",
	"cmdb_ci_ip_address":            "ip_version netmask nic owned_by_cmdb_ci network_partition_identifier",
	"cmdb_ci_disk":                  "computer device_id device_interface disk_space drive_type file_system free_space size size_bytes storage_type volume_serial_number",
	"cmdb_ci_file_system":           "computer installed_on file_system free_space_bytes size_bytes disk_space label media_type mount_point",
	"cmdb_ci_spkg":                  "key version",
	"cmdb_ci_vm_instance":           "object_id vm_inst_id state cpus memory disks disks_size nics termination_protection placement_group_id",
	"cmdb_ci_cloud_service_account": "account_id object_id datacenter_type organization_id account_email is_master_account parent_account",
	"cmdb_ci_logical_datacenter":    "object_id region account_id datacenter_type",
	"cmdb_ci_availability_zone":     "object_id",
	"cmdb_ci_network":               "object_id cidr state",
	"cmdb_ci_cloud_subnet":          "object_id cidr state gateway subnet_mask available_ip_count broadcast_address",
	"cmdb_ci_nic":                   "object_id private_ip public_ip public_dns private_dns primary is_static state host_name ip_default_gateway netmask cmdb_ci",
	"cmdb_ci_compute_template":      "object_id cores vcpus memory_mb local_storage_gb zone",
	"cmdb_ci_os_template":           "object_id offer version guest_os image_source image_type root_device_type",
	"cmdb_ci_certificate": "fingerprint fingerprint_algorithm version signature_algorithm key_size subject_common_name subject_distinguished_name " +
		"subject_organization subject_organizational_unit subject_country subject_state subject_locality subject_email subject_alternative_name " +
		"issuer root_issuer issuer_common_name issuer_distinguished_name valid_from valid_to state is_ca is_self_signed renewal_tracking service_type",
	"cmdb_serial_number":     "serial_number serial_number_type valid absent cmdb_ci",
	"cmdb_software_instance": "name software installed_on install_date",
	"cmdb_sam_sw_install":    "display_name publisher version discovery_source installed_on install_date last_scanned prod_id revision assigned_to",
	"cmdb_key_value":         "key value tag configuration_item",
}

// KnownColumn reports whether a class or table has a column, its own or an
// inherited one. Columns that a customer or an application added (u_, x_) and
// columns of tables that are not listed here are taken on trust.
func KnownColumn(class, column string) bool {
	if strings.HasPrefix(column, "u_") || strings.HasPrefix(column, "x_") {
		return true
	}
	if !listed(class) {
		return true
	}
	return slices.Contains(Columns(class), column)
}

// listed reports whether the columns of a class or table are known here.
func listed(class string) bool {
	_, table := columns[class]
	return table || KnownClass(class)
}

// Columns returns the known columns of a class or table with those that it
// inherits.
func Columns(class string) []string {
	var out []string
	for c := class; c != ""; {
		out = append(out, strings.Fields(columns[c])...)
		c = parents[c] // tables that are not CIs have no parent here
	}
	return out
}

// Field is what an instance says about a column (CMDB Meta API).
type Field struct {
	Length  int      // in characters; 0 means the default of 255
	Choices []string // the only values allowed; empty: any
}

// Schema holds the columns of an instance: class → column. A class's entry holds
// inherited columns too, as the Meta API lists them.
type Schema map[string]map[string]Field

// Has reports whether the schema describes the class, so that a column it does
// not list is known to be missing.
func (s Schema) Has(class string) bool {
	_, ok := s[class]
	return ok
}

// Field returns a column of a class.
func (s Schema) Field(class, column string) (Field, bool) {
	f, ok := s[class][column]
	return f, ok
}
