// Command servicenow prints the update set with the tables that qbridge writes
// beside CIs: what Qualys knows of an asset or certificate and no CI column holds. It is made
// from the default mapping, so the two cannot disagree:
//
//	go run ./deploy/servicenow > deploy/servicenow/qbridge-tables.xml
//
// On an instance: System Update Sets › Retrieved Update Sets › Import Update Set
// from XML, then preview and commit.
package main

import (
	"crypto/md5" //nolint:gosec // sys_ids are 32 hex digits, not secrets
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/mapping"
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "servicenow:", err)
		os.Exit(1)
	}
}

// stamp stands in the update set instead of the time it was made at, so that the
// same mapping gives the same file.
const stamp = "2026-01-01 00:00:00"

func write(out io.Writer) error {
	m, err := mapping.Default()
	if err != nil {
		return err
	}
	set := sysID("update set")
	var b strings.Builder
	b.WriteString(xml.Header)
	fmt.Fprintf(&b, "<unload unload_date=%q>\n", stamp)
	fmt.Fprintf(&b, "<sys_remote_update_set action=\"INSERT_OR_UPDATE\"><application_name>Global</application_name><application_scope>global</application_scope>"+
		"<description>Tables that qbridge writes beside CIs. They extend nothing and change no other table.</description>"+
		"<name>qbridge tables</name><release_date/><remote_sys_id>%s</remote_sys_id><state>loaded</state><sys_id>%s</sys_id></sys_remote_update_set>\n", set, set)
	for _, t := range append(m.OwnTables(), certs.Table()) {
		label := labelOf(t.Name)
		update(&b, set, "sys_db_object_"+sysID(t.Name), "Table", label, t.Name, fmt.Sprintf(
			`<record_update table="sys_db_object"><sys_db_object action="INSERT_OR_UPDATE"><label>%s</label><name>%s</name><super_class/><sys_id>%s</sys_id></sys_db_object></record_update>`,
			label, t.Name, sysID(t.Name)))
		update(&b, set, "sys_dictionary_"+t.Name+"_null", "Dictionary", label, t.Name, dictionary(t.Name, label, mapping.TableColumn{Type: "collection"}, false))
		for _, c := range t.Columns {
			update(&b, set, "sys_dictionary_"+t.Name+"_"+c.Name, "Dictionary", labelOf(c.Name), t.Name, dictionary(t.Name, labelOf(c.Name), c, c.Name == display(&t)))
		}
	}
	b.WriteString("</unload>\n")
	_, err = io.WriteString(out, b.String())
	return err
}

// display is the column that names a row: the first that identifies it beside
// the CI.
func display(t *mapping.Table) string {
	if len(t.By) > 1 {
		return t.By[1]
	}
	return t.Columns[len(t.Columns)-1].Name
}

// update writes one record of the set; its payload is a document of its own.
func update(b *strings.Builder, set, name, kind, target, table, payload string) {
	fmt.Fprintf(b, "<sys_update_xml action=\"INSERT_OR_UPDATE\"><action>INSERT_OR_UPDATE</action><application>global</application><category>customer</category>"+
		"<name>%s</name><payload>", name)
	_ = xml.EscapeText(b, []byte(`<?xml version="1.0" encoding="UTF-8"?>`+payload)) // a Builder never fails
	fmt.Fprintf(b, "</payload><remote_update_set>%s</remote_update_set><replace_on_upgrade>false</replace_on_upgrade><sys_id>%s</sys_id>"+
		"<table>%s</table><target_name>%s</target_name><type>%s</type></sys_update_xml>\n", set, sysID(name), table, target, kind)
}

func dictionary(table, label string, c mapping.TableColumn, display bool) string {
	length := 255
	switch c.Type {
	case "reference":
		length = 32
	case "glide_date_time", "glide_date":
		length = 40
	}
	out := fmt.Sprintf(`<record_update table="sys_dictionary"><sys_dictionary action="INSERT_OR_UPDATE" element="%s" table="%s"><active>true</active>`+
		`<column_label>%s</column_label><display>%t</display><element>%s</element><internal_type>%s</internal_type><mandatory>false</mandatory>`, c.Name, table, label, display, c.Name, c.Type)
	if c.Type != "collection" {
		out += fmt.Sprintf("<max_length>%d</max_length>", length)
	}
	if c.Reference != "" {
		out += fmt.Sprintf("<reference>%s</reference><reference_cascade_rule>cascade</reference_cascade_rule>", c.Reference)
	}
	return out + fmt.Sprintf("<name>%s</name><sys_id>%s</sys_id></sys_dictionary></record_update>", table, sysID(table+"."+c.Name))
}

// labelOf makes "Qbridge open port" of u_qbridge_open_port.
func labelOf(name string) string {
	s := strings.ReplaceAll(strings.TrimPrefix(name, "u_"), "_", " ")
	return strings.ToUpper(s[:1]) + s[1:]
}

// sysID is the same for the same name, so that installing a later release
// changes records instead of adding them.
func sysID(name string) string {
	sum := md5.Sum([]byte("qbridge/" + name)) //nolint:gosec // no secret
	return hex.EncodeToString(sum[:])
}
