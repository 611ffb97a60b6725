package classify

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Imported tells what became of a line of an imported table.
type Imported struct {
	Line   int    `json:"line"`
	Name   string `json:"name"`
	Rule   string `json:"rule,omitempty"` // id of the rule that it became
	Table  string `json:"table,omitempty"`
	Result string `json:"result"` // imported | default | inactive | not understood
	Why    string `json:"why,omitempty"`
}

// Results of an import.
const (
	ImportedRule      = "imported"
	ImportedDefault   = "default"  // a default rule does the same
	ImportedInactive  = "inactive" // kept, switched off as it was
	ImportedNotAtAll  = "not understood"
	maxImportedLines  = 10_000
	importedStep      = 10
	importedRulesName = "imported"
)

// importColumns are the columns of the rule tables of ServiceNow's connector (one
// column per condition) and of Qualys' app (conditions as an encoded query), by what
// their headers say without spaces and signs. Labels and element names both occur.
var importColumns = map[string]string{
	"osname": "operatingSystem.name", "operatingsystem": "operatingSystem.name", "operatingsystemname": "operatingSystem.name",
	"oscategory": "operatingSystem.category1", "oscategory1": "operatingSystem.category1", "operatingsystemcategory1": "operatingSystem.category1",
	"oscategory2": "operatingSystem.category2", "operatingsystemcategory2": "operatingSystem.category2",
	"ospublisher": "operatingSystem.publisher", "operatingsystempublisher": "operatingSystem.publisher",
	"osproductname": "operatingSystem.productName", "operatingsystemproductname": "operatingSystem.productName",
	"hardwarecategory": "hardware.category1", "hardwarecategory1": "hardware.category1", "hardwarecategory2": "hardware.category2",
	"hardwaremanufacturer": "hardware.manufacturer", "manufacturer": "hardware.manufacturer", "hardwaremodel": "hardware.model", "hardwareproductname": "hardware.productName",
	"isvolumeinfopresent": "volumes", "volumeinfopresent": "volumes", "isprocessorpresent": "processor", "processorpresent": "processor",
	"cloudprovider": "cloud.provider", "cloudprovidertype": "cloud.provider",
	"targetciclass": "=class", "targetclass": "=class", "ciclass": "=class", "class": "=class", "sysclassname": "=class",
	"name": "=name", "rulename": "=name", "active": "=active", "priority": "=priority", "order": "=priority",
	"rules": "=query", "rule": "=query", "conditions": "=query", "condition": "=query", "filter": "=query",
	"deprecated": "=deprecated",
}

// ImportCSV reads a table of class rules that ServiceNow's connector or Qualys' app
// exported. What cannot be understood for certain is reported and left out: a rule
// is never guessed. The error is that of a file which is no such table.
func ImportCSV(data []byte) (Tables, []Imported, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		return Tables{}, nil, errors.New("classify: the file is no CSV with a header")
	}
	columns := make([]string, len(header))
	conditions, class := false, false
	for i, h := range header {
		columns[i] = importColumns[bare(h)]
		conditions = conditions || columns[i] != "" && (columns[i][0] != '=' || columns[i] == "=query")
		class = class || columns[i] == "=class"
	}
	if !conditions || !class {
		return Tables{}, nil, fmt.Errorf("classify: the header %q has no column of conditions (such as OS category, Hardware category 1, Rules) or no target class", strings.Join(header, ","))
	}
	im := &importer{columns: columns, header: header, ids: map[string]bool{}, defaults: Default()}
	for line := 2; ; line++ {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return im.out, im.report, nil
		}
		if err != nil {
			return Tables{}, nil, fmt.Errorf("classify: %w", err)
		}
		if line > maxImportedLines {
			return Tables{}, nil, fmt.Errorf("classify: the file has more than %d lines", maxImportedLines)
		}
		im.line(line, row)
	}
}

var notLetters = regexp.MustCompile(`[^a-z0-9]+`)

func bare(s string) string { return notLetters.ReplaceAllString(strings.ToLower(s), "") }

type importer struct {
	columns, header []string
	ids             map[string]bool
	defaults, out   Tables
	report          []Imported
}

func (im *importer) line(n int, row []string) {
	res := Imported{Line: n, Result: ImportedRule}
	rule := Rule{Priority: (n - 1) * importedStep}
	var why []string
	for i, v := range row {
		if v = strings.TrimSpace(v); i >= len(im.columns) || v == "" {
			continue
		}
		switch c := im.columns[i]; c {
		case "":
			if !strings.HasPrefix(bare(im.header[i]), "sys") { // bookkeeping of the platform
				why = append(why, fmt.Sprintf("column %q is not known", im.header[i]))
			}
		case "=name":
			res.Name = v
		case "=class":
			rule.Class = classNamed(v)
			if rule.Class == "" {
				why = append(why, fmt.Sprintf("class %q is not known", v))
			}
		case "=priority":
			p, err := strconv.Atoi(v)
			if err != nil {
				why = append(why, fmt.Sprintf("priority %q is not a number", v))
			}
			rule.Priority = p
		case "=active", "=deprecated":
			b, err := strconv.ParseBool(strings.ToLower(v))
			if err != nil {
				why = append(why, fmt.Sprintf("%q is neither true nor false", v))
			}
			if b == (c == "=deprecated") {
				off := false
				rule.Active, res.Result = &off, ImportedInactive
			}
		case "=query":
			list, problems := encodedConditions(v)
			rule.When, why = append(rule.When, list...), append(why, problems...)
		case "volumes", "processor":
			b, err := strconv.ParseBool(strings.ToLower(v))
			if err != nil {
				why = append(why, fmt.Sprintf("%s: %q is neither true nor false", im.header[i], v))
			}
			rule.When = append(rule.When, Condition{Field: c, Present: &b})
		default:
			rule.When = append(rule.When, valueCondition(c, v))
		}
	}
	im.add(res, rule, why)
}

// add keeps a rule, unless it is not understood or a default does the same.
func (im *importer) add(res Imported, rule Rule, why []string) {
	if rule.Class == "" && len(why) == 0 {
		why = append(why, "it has no target class")
	}
	if len(rule.When) == 0 && len(why) == 0 {
		why = append(why, "it has no condition")
	}
	if len(why) > 0 {
		res.Result, res.Why = ImportedNotAtAll, strings.Join(why, "; ")
		im.report = append(im.report, res)
		return
	}
	table, list, defaults := TableComputer, &im.out.Computer, im.defaults.Computer
	if onlyHardware(rule.When) {
		table, list, defaults = TableHardware, &im.out.Hardware, im.defaults.Hardware
	}
	res.Table = table
	for _, d := range defaults {
		if rule.Active == nil && d.Class == rule.Class && reflect.DeepEqual(d.When, rule.When) {
			res.Result, res.Rule, res.Why = ImportedDefault, d.ID, "the default rule "+d.ID+" does the same"
			im.report = append(im.report, res)
			return
		}
	}
	rule.ID = im.id(res.Name, rule.Class)
	res.Rule = rule.ID
	*list = append(*list, rule)
	im.report = append(im.report, res)
}

// id makes an id of a rule's name.
func (im *importer) id(name, class string) string {
	if name == "" {
		name = class
	}
	base := importedRulesName + "-" + strings.Trim(notLetters.ReplaceAllString(strings.ToLower(name), "-"), "-")
	id := base
	for n := 2; im.ids[id]; n++ {
		id = base + "-" + strconv.Itoa(n)
	}
	im.ids[id] = true
	return id
}

func onlyHardware(when []Condition) bool {
	for _, c := range when {
		if !strings.HasPrefix(c.Field, "hardware.") {
			return false
		}
	}
	return true
}

// valueCondition is a cell: a value, several by commas, or one with wildcards.
func valueCondition(field, v string) Condition {
	switch {
	case strings.HasPrefix(v, "*") && strings.HasSuffix(v, "*") && len(v) > 2:
		return Condition{Field: field, Contains: strings.Trim(v, "*")}
	case strings.HasSuffix(v, "*") && len(v) > 1:
		return Condition{Field: field, StartsWith: strings.TrimSuffix(v, "*")}
	case strings.Contains(v, ",") && field != "hardware.manufacturer":
		var list []string
		for part := range strings.SplitSeq(v, ",") {
			list = append(list, strings.TrimSpace(part))
		}
		return Condition{Field: field, In: list}
	}
	return Condition{Field: field, Equals: v}
}

// encodedOperators are those of an encoded query that a condition can say, longest
// first.
var encodedOperators = []struct {
	sign string
	make func(v string) Condition
}{
	{"ISNOTEMPTY", func(string) Condition { t := true; return Condition{Present: &t} }},
	{"ISEMPTY", func(string) Condition { f := false; return Condition{Present: &f} }},
	{"STARTSWITH", func(v string) Condition { return Condition{StartsWith: v} }},
	{"ENDSWITH", func(v string) Condition { return Condition{Matches: "(?i)" + regexp.QuoteMeta(v) + "$"} }},
	{"NOT LIKE", func(v string) Condition { return Condition{Contains: v, Not: true} }},
	{"LIKE", func(v string) Condition { return Condition{Contains: v} }},
	{"IN", func(v string) Condition { return Condition{In: strings.Split(v, ",")} }},
	{"!=", func(v string) Condition { return Condition{Equals: v, Not: true} }},
	{"=", func(v string) Condition { return Condition{Equals: v} }},
}

// encodedConditions reads an encoded query whose parts must all hold.
func encodedConditions(q string) (list []Condition, problems []string) {
	q = strings.TrimSuffix(q, "^EQ")
	if strings.Contains(q, "^OR") || strings.Contains(q, "^NQ") {
		return nil, []string{"alternatives (^OR, ^NQ) are rules of their own here: split it"}
	}
	for part := range strings.SplitSeq(q, "^") {
		c, ok := encodedCondition(part)
		if !ok {
			problems = append(problems, fmt.Sprintf("condition %q is not understood", part))
			continue
		}
		list = append(list, c)
	}
	return list, problems
}

func encodedCondition(part string) (Condition, bool) {
	end := strings.IndexFunc(part, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.' })
	if end <= 0 {
		return Condition{}, false
	}
	field := importColumns[bare(strings.TrimPrefix(part[:end], "u_"))]
	if field == "" || field[0] == '=' {
		return Condition{}, false
	}
	for _, o := range encodedOperators {
		if v, ok := strings.CutPrefix(part[end:], o.sign); ok {
			c := o.make(v)
			c.Field = field
			return c, v != "" || c.Present != nil
		}
	}
	return Condition{}, false
}

// labels are what forms call classes, without spaces and signs; exports show them
// in place of tables.
var labels = map[string]string{
	"computer": "cmdb_ci_computer", "server": "cmdb_ci_server", "windowsserver": "cmdb_ci_win_server", "linuxserver": "cmdb_ci_linux_server", "unixserver": "cmdb_ci_unix_server",
	"aixserver": "cmdb_ci_aix_server", "solarisserver": "cmdb_ci_solaris_server", "hpuxserver": "cmdb_ci_hpux_server", "osxserver": "cmdb_ci_osx_server",
	"esxserver": "cmdb_ci_esx_server", "hypervserver": "cmdb_ci_hyper_v_server", "storageserver": "cmdb_ci_storage_server", "loadbalancer": "cmdb_ci_lb",
	"networkgear": "cmdb_ci_netgear", "ipswitch": "cmdb_ci_ip_switch", "iprouter": "cmdb_ci_ip_router", "ipfirewall": "cmdb_ci_ip_firewall", "wirelessaccesspoint": "cmdb_ci_wap_network",
	"printer": "cmdb_ci_printer", "ups": "cmdb_ci_ups", "pdu": "cmdb_ci_pdu", "ipphone": "cmdb_ci_ip_phone", "ipcamera": "cmdb_ci_ip_camera",
	"handheldcomputingdevice": "cmdb_ci_handheld_computing", "unclassedhardware": "cmdb_ci_unclassed_hardware", "virtualmachineinstance": "cmdb_ci_vm_instance",
}

// classNamed returns a class by its table or its label, "" for neither.
func classNamed(v string) string {
	if tableShape.MatchString(v) {
		return v
	}
	return labels[bare(v)]
}

var tableShape = regexp.MustCompile(`^(cmdb|u|x|sn)_[a-z0-9_]+$`)
