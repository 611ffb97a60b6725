package asset

import (
	"slices"
	"strings"
)

// makers maps the lower-case beginning of a manufacturer to one spelling.
var makers = []struct{ prefix, name string }{
	{"acer", "Acer"}, {"alibaba", "Alibaba Cloud"}, {"amazon", "Amazon Web Services"}, {"american power conversion", "APC"}, {"apc", "APC"}, {"apple", "Apple"}, {"arista", "Arista Networks"}, {"aruba", "Aruba Networks"},
	{"asustek", "ASUS"}, {"asus", "ASUS"}, {"axis", "Axis Communications"}, {"brother", "Brother"}, {"canon", "Canon"}, {"check point", "Check Point"},
	{"cisco", "Cisco Systems"}, {"dell", "Dell"}, {"emc", "EMC"}, {"f5", "F5 Networks"}, {"fortinet", "Fortinet"}, {"fujitsu", "Fujitsu"},
	{"google", "Google"}, {"hewlett packard enterprise", "HPE"}, {"hewlett-packard enterprise", "HPE"}, {"hpe", "HPE"}, {"hp enterprise", "HPE"},
	{"hewlett-packard", "HP"}, {"hewlett packard", "HP"}, {"hp", "HP"}, {"huawei", "Huawei"},
	{"innotek", "innotek GmbH"}, {"intel", "Intel"}, {"international business machines", "IBM"}, {"ibm", "IBM"}, {"juniper", "Juniper Networks"}, {"lenovo", "Lenovo"},
	{"lexmark", "Lexmark"}, {"microsoft", "Microsoft"}, {"netapp", "NetApp"}, {"network appliance", "NetApp"}, {"nutanix", "Nutanix"}, {"oracle", "Oracle"},
	{"palo alto", "Palo Alto Networks"}, {"parallels", "Parallels"}, {"qemu", "QEMU"}, {"red hat", "Red Hat"}, {"schneider", "Schneider Electric"},
	{"polycom", "Polycom"}, {"samsung", "Samsung"}, {"siemens", "Siemens"}, {"sonicwall", "SonicWall"},
	{"sun microsystems", "Oracle"}, {"supermicro", "Supermicro"}, {"toshiba", "Toshiba"}, {"super micro", "Supermicro"}, {"ubiquiti", "Ubiquiti"},
	{"vmware", "VMware"}, {"xen", "Xen"}, {"xerox", "Xerox"}, {"zebra", "Zebra Technologies"},
}

// Manufacturer returns one spelling for each well-known maker and the cleansed
// text for others; "Unidentified" and junk give "".
func Manufacturer(raw string) string {
	s := Text(raw)
	l := strings.ToLower(s)
	if junk(s) {
		return ""
	}
	for _, m := range makers {
		rest, ok := strings.CutPrefix(l, m.prefix)
		if ok && (rest == "" || !isWord(rest[0])) {
			return m.name
		}
	}
	return s
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

// virtualMakers make only virtual hardware.
var virtualMakers = map[string]bool{
	"VMware": true, "Xen": true, "Amazon Web Services": true, "QEMU": true, "KVM": true, "innotek GmbH": true, "Parallels": true, "Red Hat": true,
}

// virtualProducts occur in the names of virtual hardware whose maker also makes
// real machines.
var virtualProducts = []string{"virtual machine", "virtual platform", "virtualbox", "google compute engine", "hvm domu", "openstack", "ahv"}

// Virtual reports whether the machine is virtual: by its hardware category, its
// maker, its model, or because a cloud runs it. A hypervisor is not.
func Virtual(h Hardware, c Cloud) bool {
	if c.Provider != CloudNone || (strings.EqualFold(h.Category1, "Virtualized") && !strings.EqualFold(h.Category2, "Hypervisor")) {
		return true
	}
	if virtualMakers[Manufacturer(h.Manufacturer)] {
		return true
	}
	product := strings.ToLower(h.ProductName + " " + h.Model)
	return slices.ContainsFunc(virtualProducts, func(p string) bool { return strings.Contains(product, p) })
}
