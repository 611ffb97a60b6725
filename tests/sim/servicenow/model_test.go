package servicenow_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// metaClass is the part of a CMDB Meta answer that the model tests look at.
type metaClass struct {
	Name, Parent string
	Children     []string
	Attributes   []struct {
		Element, Type string
		MaxLength     string `json:"max_length"`
		IsMandatory   string `json:"is_mandatory"`
	}
	RelationshipRules []struct {
		Parent, Child string
		RelationType  string `json:"relation_type"`
	} `json:"relationship_rules"`
	IdentificationRules struct {
		Name          string
		AppliesTo     string `json:"applies_to"`
		IsIndependent bool   `json:"is_independent"`
		Identifiers   []struct{ Attributes string }
		RelatedRules  []struct {
			Table           string
			ReferencedField string `json:"referenced_field"`
		} `json:"related_rules"`
	} `json:"identification_rules"`
}

func (i *instance) meta(class string) metaClass {
	w := i.send(http.MethodGet, "/api/now/cmdb/meta/"+class, "")
	require.Equal(i.t, http.StatusOK, w.Code, class+": "+w.Body.String())
	var out struct{ Result metaClass }
	require.NoError(i.t, json.Unmarshal(w.Body.Bytes(), &out))
	return out.Result
}

// hasColumns checks columns written as element[:type][(length)].
func hasColumns(t *testing.T, m metaClass, columns string) {
	t.Helper()
	have := map[string]string{}
	for _, a := range m.Attributes {
		have[a.Element] = a.Element
		have[a.Element+":"+a.Type] = a.Element
		have[fmt.Sprintf("%s:%s(%s)", a.Element, a.Type, a.MaxLength)] = a.Element
	}
	for _, c := range strings.Fields(columns) {
		require.Contains(t, have, c, m.Name)
	}
}

// CMDB tables and class models: every class named there, its parent, its columns
// with type and length, its identification rule (the class that defines it, the
// criteria of the entries, "dependent" where it is) and the relations that tie a
// dependent class to its hosts (parent >> child).
func TestClassesOfTheDataModel(t *testing.T) {
	t.Parallel()
	const hardware = "cmdb_ci_hardware: serial_number,serial_number_type|serial_number|name|mac_address,name"
	i := mustInstance(t, servicenow.Options{})
	for _, c := range []struct{ class, parent, columns, rule, relations string }{
		// CMDB table property descriptions, Configuration Item.
		{"cmdb_ci", "cmdb", `asset:reference(32) asset_tag:string(40) assigned assigned_to:reference assignment_group attributes attestation_score attestation_status attested attested_by attested_date can_print
			category change_control checked_in checked_out comments:string(4000) company correlation_id cost cost_cc cost_center delivery_date department discovery_source dns_domain due due_in duplicate_of:reference
			environment fault_count:integer first_discovered:glide_date_time fqdn gl_account install_date install_status:integer(40) invoice_number ip_address justification last_discovered:glide_date_time lease_id
			life_cycle_stage life_cycle_stage_status location:reference mac_address:string(18) maintenance_schedule managed_by managed_by_group manufacturer:reference model_id:reference model_number monitor:boolean(40) name:string(255)
			operational_status order_date owned_by po_number purchase_date schedule serial_number:string(255) short_description:string(1000) skip_sync start_date subcategory support_group supported_by unverified vendor warranty_expiration`, "", ""},
		// CMDB classes, Hardware, Computer and Server.
		{"cmdb_ci_hardware", "cmdb_ci", "hardware_status hardware_substatus default_gateway", hardware, ""},
		{"cmdb_ci_computer", "cmdb_ci_hardware", `cd_rom cd_speed chassis_type cpu_core_count:integer cpu_core_thread cpu_count cpu_manufacturer:reference cpu_name cpu_speed cpu_type disk_space floppy form_factor object_id os
			os_address_width os_domain os_service_pack os_version ram:integer virtual:boolean`, hardware, ""},
		{"cmdb_ci_server", "cmdb_ci_computer", "classification firewall_status host_name used_for dr_backup:reference", hardware, ""},
		{"cmdb_ci_linux_server", "cmdb_ci_server", "kernel_release", hardware, ""},
		{"cmdb_ci_win_server", "cmdb_ci_server", "", hardware, ""},
		{"cmdb_ci_aix_server", "cmdb_ci_server", "", hardware, ""},
		{"cmdb_ci_lb_cisco_css", "cmdb_ci_lb", "", hardware, ""},
		{"cmdb_ci_lb_cisco_gss", "cmdb_ci_lb", "", hardware, ""},
		{"cmdb_ci_lb_ace", "cmdb_ci_lb", "", hardware, ""},
		{"cmdb_ci_lb_alteon", "cmdb_ci_lb", "", hardware, ""},
		{"cmdb_ci_esx_server", "cmdb_ci_virtualization_server", "", "cmdb_ci_esx_server: serial_number,serial_number_type|correlation_id|serial_number|name", ""},
		{"cmdb_ci_hyper_v_server", "cmdb_ci_virtualization_server", "", hardware, ""},
		{"cmdb_ci_printer", "cmdb_ci_hardware", "name ip_address mac_address manufacturer model_id assigned_to last_discovered", hardware, ""},
		{"cmdb_ci_handheld_computing", "cmdb_ci_hardware", "imei iccid meid carrier phone_number os os_version disk_space root_access ram", hardware, ""},
		// CMDB CI class models, Internet of Things and operational technology.
		{"cmdb_ci_wearable", "cmdb_ci_iot", "", hardware, ""},
		{"cmdb_ci_multimedia", "cmdb_ci_iot", "", hardware, ""},
		{"cmdb_ci_iot_gateway", "cmdb_ci_converged_infra", "", hardware, ""},
		{"cmdb_ci_ot_rtu", "cmdb_ci_ot_control", "", "cmdb_ci_ot: serial_number,serial_number_type|serial_number|mac_address|name|product_instance_identifier", ""},
		{"cmdb_ci_ot_historian", "cmdb_ci_ot_supervisory", "", "cmdb_ci_ot: serial_number,serial_number_type|serial_number|mac_address|name|product_instance_identifier", ""},
		{"cmdb_ci_ot_industrial_sensor", "cmdb_ci_ot_field_device", "", "cmdb_ci_ot: serial_number,serial_number_type|serial_number|mac_address|name|product_instance_identifier", ""},
		// CMDB tables, storage: no rule is documented.
		{"cmdb_ci_raid", "cmdb_ci_storage_device", "", "", ""},
		{"cmdb_ci_disk", "cmdb_ci", "name computer:reference device_id device_interface disk_space drive_type file_system free_space manufacturer model_id serial_number short_description size size_bytes storage_type volume_serial_number last_discovered", "cmdb_ci_disk: dependent name", "cmdb_ci_computer >> cmdb_ci_disk"},
		{"cmdb_ci_file_system", "cmdb_ci", "name computer installed_on file_system free_space_bytes size_bytes disk_space label media_type mount_point install_date", "cmdb_ci_file_system: dependent name", "cmdb_ci_computer >> cmdb_ci_file_system"},
		{"cmdb_ci_storage_volume", "cmdb_ci", "object_id size", "cmdb_ci_storage_volume: dependent object_id", "cmdb_ci_storage_volume >> cmdb_ci_logical_datacenter"},
		{"cmdb_ci_storage_mapping", "cmdb_ci", "object_id", "cmdb_ci_storage_mapping: dependent object_id", "cmdb_ci_vm_instance >> cmdb_ci_storage_mapping"},
		// Service Graph Connectors, tables populated: adapters and addresses.
		{"cmdb_ci_network_adapter", "cmdb_ci", "name mac_address ip_address netmask ip_default_gateway dhcp_enabled:boolean mac_manufacturer cmdb_ci:reference manufacturer model_id install_status operational_status discovery_source last_discovered", "cmdb_ci_network_adapter: dependent mac_address,name|mac_address|name", "cmdb_ci_hardware >> cmdb_ci_network_adapter"},
		{"cmdb_ci_ip_address", "cmdb_ci", "name ip_address ip_version netmask nic:reference owned_by_cmdb_ci:reference network_partition_identifier install_status operational_status last_discovered", "cmdb_ci_ip_address: dependent ip_address,netmask,network_partition_identifier",
			"cmdb_ci_hardware >> cmdb_ci_ip_address, cmdb_ci_cloud_database >> cmdb_ci_ip_address, cmdb_ci_cloud_load_balancer >> cmdb_ci_ip_address, cmdb_ci_cloud_webserver >> cmdb_ci_ip_address"},
		// Service Graph Connectors, tables populated: software.
		{"cmdb_ci_spkg", "cmdb_ci", "key name version vendor manufacturer discovery_source", "cmdb_ci_spkg: key", ""},
		{"cmdb_ci_appl", "cmdb_ci", "cl_port running_process_command running_process_key_parameters", "cmdb_ci_appl: dependent cl_port,sys_class_name|running_process_command,running_process_key_parameters,sys_class_name", "cmdb_ci_appl >> cmdb_ci_hardware"},
		{"cmdb_ci_service", "cmdb_ci", "name", "cmdb_ci_service: name", ""},
		// Service Graph Connectors, tables populated: clouds.
		{"cmdb_ci_vm_instance", "cmdb_ci_vm_object", "name object_id vm_inst_id state cpus memory disks disks_size nics ip_address fqdn install_status operational_status termination_protection monitor placement_group_id", "cmdb_ci_vm_instance: dependent object_id",
			"cmdb_ci_vm_instance >> cmdb_ci_logical_datacenter, cmdb_ci_virtualization_server >> cmdb_ci_vm_instance, cmdb_ci_computer >> cmdb_ci_vm_instance"},
		{"cmdb_ci_ec2_instance", "cmdb_ci_vm_instance", "object_id", "cmdb_ci_vm_instance: dependent object_id", "cmdb_ci_vm_instance >> cmdb_ci_logical_datacenter"},
		{"cmdb_ci_cloud_service_account", "cmdb_ci", "name account_id object_id datacenter_type organization_id account_email is_master_account parent_account install_status operational_status", "cmdb_ci_cloud_service_account: object_id|account_id", ""},
		{"cmdb_ci_aws_datacenter", "cmdb_ci_logical_datacenter", "name object_id region install_status operational_status", "cmdb_ci_logical_datacenter: dependent object_id|region", "cmdb_ci_logical_datacenter >> cmdb_ci_cloud_service_account"},
		{"cmdb_ci_azure_datacenter", "cmdb_ci_logical_datacenter", "name object_id region", "cmdb_ci_logical_datacenter: dependent object_id|region", ""},
		{"cmdb_ci_google_datacenter", "cmdb_ci_logical_datacenter", "name object_id region account_id datacenter_type", "cmdb_ci_logical_datacenter: dependent object_id|region", ""},
		{"cmdb_ci_oci_datacenter", "cmdb_ci_logical_datacenter", "name object_id region", "cmdb_ci_logical_datacenter: dependent object_id|region", ""},
		{"cmdb_ci_ibm_datacenter", "cmdb_ci_logical_datacenter", "name object_id region", "cmdb_ci_logical_datacenter: dependent object_id|region", ""},
		{"cmdb_ci_resource_group", "cmdb_ci", "name object_id", "cmdb_ci_resource_group: dependent object_id", "cmdb_ci_resource_group >> cmdb_ci_logical_datacenter"},
		{"cmdb_ci_availability_zone", "cmdb_ci", "object_id", "cmdb_ci_availability_zone: dependent object_id", "cmdb_ci_logical_datacenter >> cmdb_ci_availability_zone"},
		{"cmdb_ci_network", "cmdb_ci", "name object_id cidr state install_status operational_status", "cmdb_ci_network: dependent object_id", "cmdb_ci_network >> cmdb_ci_logical_datacenter"},
		{"cmdb_ci_cloud_subnet", "cmdb_ci", "name object_id cidr state gateway subnet_mask available_ip_count broadcast_address", "cmdb_ci_cloud_subnet: dependent object_id", "cmdb_ci_network >> cmdb_ci_cloud_subnet"},
		{"cmdb_ci_nic", "cmdb_ci", "name object_id mac_address ip_address private_ip public_ip public_dns private_dns primary is_static state dns_domain host_name ip_default_gateway netmask manufacturer cmdb_ci", "cmdb_ci_nic: dependent object_id", "cmdb_ci_nic >> cmdb_ci_logical_datacenter"},
		{"cmdb_ci_compute_template", "cmdb_ci", "name object_id cores vcpus memory_mb local_storage_gb zone", "cmdb_ci_compute_template: dependent object_id", "cmdb_ci_compute_template >> cmdb_ci_logical_datacenter"},
		{"cmdb_ci_os_template", "cmdb_ci", "name object_id offer version vendor guest_os image_source image_type root_device_type", "cmdb_ci_os_template: dependent object_id", "cmdb_ci_os_template >> cmdb_ci_logical_datacenter"},
		{"cmdb_ci_compute_security_group", "cmdb_ci", "object_id", "cmdb_ci_compute_security_group: dependent object_id", "cmdb_ci_compute_security_group >> cmdb_ci_logical_datacenter"},
		{"cmdb_ci_docker_image", "cmdb_ci", "image_id", "cmdb_ci_docker_image: image_id", ""},
		// CMDB CI class models, TLS certificates.
		{"cmdb_ci_certificate", "cmdb_ci", `name fingerprint fingerprint_algorithm serial_number version signature_algorithm key_size:integer subject_common_name subject_distinguished_name subject_organization subject_organizational_unit
			subject_country subject_state subject_locality subject_email subject_alternative_name:glide_list issuer:reference root_issuer:reference issuer_common_name issuer_distinguished_name valid_from:glide_date_time valid_to:glide_date_time
			state is_ca:boolean is_self_signed:boolean renewal_tracking service_type`, "cmdb_ci_certificate: fingerprint", ""},
	} {
		m := i.meta(c.class)
		require.Equal(t, c.parent, m.Parent, c.class)
		hasColumns(t, m, c.columns)
		rule, independent := "", m.IdentificationRules.IsIndependent
		if r := m.IdentificationRules; r.Name != "" {
			var criteria []string
			for _, e := range r.Identifiers {
				criteria = append(criteria, e.Attributes)
			}
			rule = r.AppliesTo + ": " + map[bool]string{true: "", false: "dependent "}[independent] + strings.Join(criteria, "|")
		}
		require.Equal(t, c.rule, rule, c.class)
		ties := map[string]bool{}
		for _, r := range m.RelationshipRules {
			ties[r.Parent+" >> "+r.Child] = true
		}
		for _, tie := range strings.Split(c.relations, ", ") {
			require.True(t, tie == "" || ties[tie], c.class+": "+tie)
		}
	}
}

// CMDB tables and the Service Graph Connector for Qualys, tables populated: the
// tables that are no classes of CIs hold the documented columns.
func TestTablesOfTheDataModel(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	for table, columns := range map[string]string{
		"cmdb_serial_number":     "serial_number serial_number_type valid absent cmdb_ci",
		"cmdb_software_instance": "name software installed_on install_date sccm_group_id sccm_timestamp",
		"cmdb_sam_sw_install":    "display_name publisher version discovery_source installed_on install_date last_scanned prod_id revision assigned_to sccm_group_id sccm_timestamp",
		"cmdb_key_value":         "key value tag configuration_item",
		"cmdb_rel_ci":            "parent child type connection_strength percent_outage port",
		"cmdb_rel_type":          "name parent_descriptor child_descriptor",
		"cmdb_tcp":               "name port computer cmdb_ci",
		"cmdb_running_process":   "name pid computer cmdb_ci",
		"certificate_domain":     "name",
		"sn_disco_certmgmt_cmdb_installed_certificate": "name",
		"sn_disco_certmgmt_cert_url":                   "url",
		"sn_sec_sgc_qualys_asset_cloud_tag":            "key value qualys_asset configuration_item",
		"sn_sec_sgc_qualys_asset_software_details":     "token1 token2 unique_key id install_path last_use_date qualys_asset configuration_item",
		"sn_sec_sgc_qualys_asset_nic_details":          "configuration_item ip_v4 ip_v6 addresses interface_id mac_vendor_intro_date type qualys_asset",
		"sn_sec_sgc_qualys_asset_open_port_details":    "port protocol description detected_service first_found last_updated service_id qualys_asset",
		"sn_sec_sgc_qualys_asset_tag":                  "tag_id tag_name background_color foreground_color business_impact criticality_score qualys_asset",
		"sn_sec_sgc_qualys_asset_processor_details":    "processor_description processor_corespersocket processor_multithreadingstatus processor_noofsocket processor_numcpus processor_speed qualys_asset",
		"sn_sec_sgc_qualys_asset_service_details":      "name description status qualys_asset",
		"sn_sec_sgc_qualys_asset_details": `asset_name activated_modules agent_error_status agent_last_checked_in platform status asset_uuid aws_region_name azure_virtual_network bios_serial_number business_applist_data
			lastlocation_name subdomain easm_tags hardware_lifecycle_lifecycleconfidence hardware_lifecycle_obsoletedate hardware_taxonomy_id aws_has_agent hosting_category1 criticality_isdefault last_pc_scan_date_scanner
			missing_software os_lifecycle_eos_supportstage os_market_version os_taxonomy_name risk_score sensor_last_updated_date tracking_method whois`,
	} {
		id := i.create(table, `{}`)
		shown := i.rows(table + "?sysparm_query=sys_id=" + id + "&sysparm_fields=" + strings.Join(strings.Fields(columns), ","))
		require.Len(t, shown, 1, table)
		for _, c := range strings.Fields(columns) {
			require.Contains(t, shown[0], c, table)
		}
	}
}

// CMDB Meta API: tables that are no classes of CIs are 404, unless the setting
// for the other reading is on.
func TestMetaOfTablesThatAreNoClasses(t *testing.T) {
	t.Parallel()
	strict := mustInstance(t, servicenow.Options{})
	require.Equal(t, http.StatusNotFound, strict.send(http.MethodGet, "/api/now/cmdb/meta/cmdb_serial_number", "").Code)
	i := mustInstance(t, servicenow.Options{Settings: servicenow.Settings{MetaOfRecords: true}})
	hasColumns(t, i.meta("cmdb_serial_number"), "serial_number:string(255) serial_number_type valid:boolean cmdb_ci:reference")
	hasColumns(t, i.meta("cmdb_running_process"), "parameters:string(4000)")
	require.Equal(t, http.StatusNotFound, i.send(http.MethodGet, "/api/now/cmdb/meta/sys_user", "").Code)
}

// CMDB, related entries: what a class's payload may bring as related records.
func TestRelatedEntriesOfTheDataModel(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	for class, want := range map[string]string{
		"cmdb_ci_computer":    "cmdb_print_queue_instance.installed_on cmdb_software_instance.installed_on cmdb_key_value.configuration_item",
		"cmdb_ci_ot_plc":      "cmdb_key_value.configuration_item cmdb_key_value_v2.configuration_item cmdb_software_instance.installed_on cmdb_firmware_install.configuration_item cmdb_ot_entity.configuration_item cmdb_backup_storage_information.configuration_item",
		"cmdb_ci_certificate": "cmdb_key_value.configuration_item",
	} {
		var got []string
		for _, r := range i.meta(class).IdentificationRules.RelatedRules {
			got = append(got, r.Table+"."+r.ReferencedField)
		}
		require.ElementsMatch(t, strings.Fields(want), got, class)
	}
	got := i.enhanced(items(ci("cmdb_ci_server", "k", `"name":"a"`, `"related":[{"className":"sn_sec_sgc_qualys_asset_tag","values":{"tag_id":"1"}}]`)))
	require.Equal(t, "IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING", got.Items[0].errorCode())
}

// CMDB, chains of dependents: each cloud's datacenter below its account, and
// what hangs on virtual machines.
func TestCloudsOfTheDataModel(t *testing.T) {
	t.Parallel()
	for _, cloud := range []string{"aws", "azure", "google", "oci", "ibm"} {
		i, dc := mustInstance(t, servicenow.Options{}), "cmdb_ci_"+cloud+"_datacenter"
		body := related([]string{ci("cmdb_ci_cloud_service_account", "a", `"name":"a","object_id":"a","datacenter_type":"`+dc+`"`), ci(dc, "d", `"name":"d","object_id":"eu-1"`),
			ci("cmdb_ci_resource_group", "g", `"name":"g","object_id":"g"`), ci("cmdb_ci_vm_instance", "v", `"name":"v","object_id":"v"`), ci("cmdb_ci_storage_mapping", "s", `"name":"s","object_id":"s"`)},
			rel("d", "a", "Hosted on::Hosts"), rel("g", "d", "Hosted on::Hosts"), rel("v", "d", "Hosted on::Hosts"), rel("v", "s", "Contains::Contained by"))
		for _, want := range []string{"INSERT", "NO_CHANGE"} {
			for _, it := range i.ire("", "", body).Items {
				require.Equal(t, want, it.Operation, it.ClassName)
			}
		}
	}
}

// Table API, sysparm_display_value: a choice shows its label, its value stays.
func TestChoicesHaveDisplayValues(t *testing.T) {
	t.Parallel()
	i := mustInstance(t, servicenow.Options{})
	id := i.create("cmdb_ci_server", `{"name":"a","install_status":"7","operational_status":"77"}`)
	row := i.rows("cmdb_ci_server?sysparm_fields=install_status,operational_status&sysparm_display_value=all")[0]
	require.Equal(t, map[string]any{"display_value": "Retired", "value": "7"}, row["install_status"])
	require.Equal(t, map[string]any{"display_value": "77", "value": "77"}, row["operational_status"])
	require.Equal(t, "7", i.rows("cmdb_ci_server?sysparm_query=sys_id=" + id + "&sysparm_fields=install_status")[0]["install_status"])
	kinds := i.rows("sys_choice?sysparm_query=name=cmdb_serial_number^element=serial_number_type^ORDERBYsequence&sysparm_fields=value")
	require.Len(t, kinds, 5)
	require.Equal(t, "system", kinds[0]["value"])
}
