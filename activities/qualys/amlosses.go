package qualys

// Loss is something that Asset Management & Tagging cannot give, and what it
// means for CIs.
type Loss struct{ What, Effect string }

// AMLosses lists what is lost when Asset Management & Tagging is the source in
// place of CSAM, for people who choose between the two.
func AMLosses() []Loss {
	return []Loss{
		{"serial number, asset tag and hardware UUID", "CIs are matched by name, adapter or cloud id only; two machines of one name cannot be told apart by serial number"},
		{"categories of operating system and hardware", "classes come from the operating system's raw name, volumes, processor and cloud: switches, phones and printers are known less often"},
		{"operating system product, edition, version, architecture and installation date", "only the name that the sensor reported is written"},
		{"hardware product, family and life cycle", "only manufacturer and model are written"},
		{"life cycle, publisher, edition, licence, category and path of software", "software has a name and a version"},
		{"sockets, cores, threads and number of processors", "a processor has a name and a speed"},
		{"netmask, DNS server and manufacturer of adapters", "adapters have name, MAC address, addresses and gateway"},
		{"first and last sighting of open ports", "ports have number, protocol and service"},
		{"services", "the section stays empty"},
		{"risk score and criticality of tags", "the asset's own criticality score is written"},
		{"location, business information and custom attributes", "these columns stay as they are"},
		{"inventory sources and the sensor's last report", "the tracking method tells the kind of sensor"},
		{"domain role", "domain controllers are servers only by their operating system"},
		{"assets that only the external attack surface (EASM) knows", "they are no host assets and become no CIs"},
		{"instances of Oracle and IBM clouds", "such machines are known to be in a cloud at most; AWS, Azure and GCP instances are read"},
		{"virtual network of Azure instances, region name and Qualys scanner mark of AWS instances", "relations to these networks are not written"},
		{"filters by CSAM fields", "Qualys selects by its own criteria (id, name, os, tagName, updated …), joined by AND; other filters run after the download"},
	}
}
