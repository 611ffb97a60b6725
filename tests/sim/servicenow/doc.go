// Package servicenow simulates one ServiceNow instance: the identification and
// reconciliation engine (IRE), the CMDB behind it, and the platform APIs that an
// integration meets. No tenant can be reached from a test, so this package is
// what decides whether a client works; it is written from the vendor's public
// documents alone, reads them strictly and shares nothing with any client.
//
//	request ─▶ faults ─▶ stats ─▶ auth ─▶ route ─┬─ /identifyreconcile…  payload ─▶ insert locks ─▶ latency ─▶ run ─▶ answer
//	                                             ├─ /table /stats /cmdb/meta /cmdb/instance /import /batch
//	                                             └─ /_sim/…  control API, no authentication
//	run:   validate ─▶ bind hosts ─▶ merge duplicates ─▶ identify ─▶ insert | update ─▶ lookups ─▶ relations      (one tx)
//	store: tables ─▶ rows (packed) ─▶ indexes;  tx = undo log + one journal frame
//
// Classes, columns, identification rules and properties are data (folder data);
// rules change at run time through POST /_sim/rules, properties through the
// sys_properties table. README.md lists what is modelled, on what evidence, and
// which behaviours are settings because public documents disagree.
package servicenow
