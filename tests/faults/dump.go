//go:build faults

package faults

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// clocks are columns in which equal CMDBs may differ.
var clocks = []string{"sys_id", "sys_created_on", "sys_updated_on", "sys_created_by", "sys_updated_by", "sys_mod_count", "last_discovered", "first_discovered", "last_scan", "sys_tags"}

// contents returns the CMDB as sorted lines of text, without clocks and with
// names in place of sys_ids.
func (w *world) contents() []string {
	w.t.Helper()
	var out []string
	var d struct {
		Classes map[string]int `json:"classes"`
	}
	w.control(http.MethodGet, serviceNowHost, "/_sim/digest", "", &d)
	tables := append(slices.Sorted(maps.Keys(d.Classes)), "cmdb_rel_ci", "sys_object_source")
	names := map[string]string{}
	rows := map[string][]map[string]string{}
	for _, t := range append(tables, "core_company") {
		rows[t] = w.table(t, "")
		for _, r := range rows[t] {
			names[r["sys_id"]] = r["name"]
		}
	}
	for _, r := range rows["sys_object_source"] { // a source key says more than a name
		names[r["target_sys_id"]] = r["id"]
	}
	for _, t := range tables {
		for _, r := range rows[t] {
			if r["sys_class_name"] != "" && r["sys_class_name"] != t {
				continue // listed with its own class
			}
			var cells []string
			for _, c := range slices.Sorted(maps.Keys(r)) {
				v := r[c]
				if v == "" || slices.Contains(clocks, c) {
					continue
				}
				if n, ok := names[v]; ok {
					v = "→" + n
				}
				cells = append(cells, c+"="+v)
			}
			out = append(out, t+": "+strings.Join(cells, " "))
		}
	}
	slices.Sort(out)
	return out
}

// difference returns the first lines in which two CMDBs differ.
func difference(want, got []string) string {
	count := map[string]int{}
	for _, l := range want {
		count[l]++
	}
	for _, l := range got {
		count[l]--
	}
	var diff []string
	for _, l := range slices.Sorted(maps.Keys(count)) {
		switch n := count[l]; {
		case n > 0:
			diff = append(diff, "- "+l)
		case n < 0:
			diff = append(diff, "+ "+l)
		}
	}
	const shown = 12
	if len(diff) > shown {
		diff = append(diff[:shown], fmt.Sprintf("… and %d more lines", len(diff)-shown))
	}
	return strings.Join(diff, "\n")
}
