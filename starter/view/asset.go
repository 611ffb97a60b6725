package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Assets prints what qbridge knows of an asset.
func (p Printer) Assets(list contract.AssetList) {
	for i, a := range list.Assets {
		if i > 0 {
			p.Line("")
		}
		p.Line("asset     %s %q in schedule %s", a.Key, a.Name, a.Schedule)
		p.Line("class     %s", dash(a.Class))
		if a.Class == string(record.KindMetadata) {
			p.Line("CI        %s", dash(a.SysID))
		} else {
			p.Line("CI        %s", ciOf(a.SysID, a.Target, a.Origin))
		}
		p.Line("outcome   %s%s", dash(string(a.Outcome)), because(a.Reason))
		p.Line("version   %d, staged %s, written %s", a.Version, when(a.StagedAt), when(a.WrittenAt))
		if a.Rule != "" {
			p.Line("by        rule %q of revision %s, run %s, page %d", a.Rule, a.Revision, a.Run, a.Page)
		}
		p.parts(a.Parts)
		if len(a.History) > 0 {
			p.Line("")
			rows := make([][]string, 0, len(a.History))
			for _, h := range a.History {
				rows = append(rows, []string{when(h.At), string(h.Outcome), h.Reason, h.Run})
			}
			p.table([]string{"WHEN", "OUTCOME", "REASON", "RUN"}, rows)
		}
		if len(a.Decisions) > 0 {
			p.Line("")
			rows := make([][]string, 0, len(a.Decisions))
			for _, d := range a.Decisions {
				rows = append(rows, []string{when(d.At), d.Verdict, d.By, d.Reason, fmt.Sprint(d.Version), dash(string(d.Outcome)), dash(d.Run)})
			}
			p.table([]string{"WHEN", "DECISION", "BY", "REASON", "VERSION", "OUTCOME", "RUN"}, rows)
		}
	}
}

// payload prints what is sent for an asset, with many equal parts as a number:
// asset show prints each.
func (p Printer) payload(parts *record.Parts) {
	if parts == nil {
		return
	}
	p.Line("")
	if parts.Primary != "" {
		p.Line("payload: rows only, for %s describes the same machine and writes its CI", parts.Primary)
	} else if parts.Native != nil {
		p.Line("payload:")
		p.item("  ", parts.Native)
		for _, row := range parts.Native.Lookup {
			p.Line("  lookup %s: %s", row.Table, columns(row.Columns))
		}
		for _, ref := range parts.References {
			p.Line("  reference %s: %s %q", ref.Column, ref.Table, ref.Name)
		}
	}
	var order []string
	count := map[string]int{}
	add := func(what string) {
		if count[what]++; count[what] == 1 {
			order = append(order, what)
		}
	}
	for i := range parts.Dependents {
		add("dependent " + parts.Dependents[i].Class)
	}
	for i := range parts.Shared {
		add("shared " + parts.Shared[i].Class)
	}
	for _, r := range parts.Relations {
		add("relation " + r.Type)
	}
	if parts.Native != nil {
		for i := range parts.Native.Related {
			add("row of " + parts.Native.Related[i].Table)
		}
	}
	for i := range parts.Tables {
		add("row of " + parts.Tables[i].Table)
	}
	for _, what := range order {
		p.Line("  %d × %s", count[what], what)
	}
	if parts.SharedName {
		p.Line("  the name is not offered for identification: other machines have it too")
	}
	for _, f := range parts.Flags {
		p.Line("  %s of %s: %s", f.Column, f.Item, f.Why)
	}
}

func (p Printer) parts(parts *record.Parts) {
	if parts == nil {
		return
	}
	p.Line("")
	for i := range parts.Tables {
		p.row("", &parts.Tables[i])
	}
	if parts.Native == nil {
		return
	}
	p.item("", parts.Native)
	for _, row := range parts.Native.Lookup {
		p.Line("  lookup %s: %s", row.Table, columns(row.Columns))
	}
	for i := range parts.Native.Related {
		p.row("  ", &parts.Native.Related[i])
	}
	for _, ref := range parts.References {
		p.Line("  reference %s: %s %q", ref.Column, ref.Table, ref.Name)
	}
	for i := range parts.Dependents {
		p.item("  ", &parts.Dependents[i])
	}
	for i := range parts.Shared {
		p.item("  shared ", &parts.Shared[i])
	}
	for _, r := range parts.Relations {
		p.Line("  %s —[%s]→ %s", r.Parent, r.Type, r.Child)
	}
}

func (p Printer) item(indent string, it *cmdb.Item) {
	p.Line("%s%s %s: %s", indent, it.Class, it.Key, columns(it.Columns))
}

func (p Printer) row(indent string, r *cmdb.Row) {
	p.Line("%srow of %s: %s", indent, r.Table, columns(r.Columns))
}

func columns(cols []cmdb.Column) string {
	out := make([]string, 0, len(cols))
	for _, c := range cols {
		out = append(out, fmt.Sprintf("%s=%q", c.Name, c.Value))
	}
	return strings.Join(out, " ")
}

// Explain prints why an asset became what it is.
func (p Printer) Explain(list contract.ExplainList) {
	for i := range list.Explanations {
		if i > 0 {
			p.Line("")
		}
		p.explain(&list.Explanations[i])
	}
}

func (p Printer) explain(e *contract.ExplainView) {
	if e.Direction == config.DirectionToQualys {
		p.explainBusiness(e)
		return
	}
	p.Line("asset %s %q in schedule %s", e.Key, e.Name, e.Schedule)
	p.Line("→ %s", conclusion(e))
	p.Line("")
	p.cleansing(e)
	p.decision(e)
	p.payload(e.Parts)
	if len(e.Identification) > 0 {
		p.identification(e)
	}
	for _, m := range e.Warnings {
		p.Line("  %s: %s", orElse(m.Code, "warning"), m.Text)
	}
	if len(e.Masked) > 0 {
		p.Line("  not written, reconciliation rules give these columns to another source: %s", strings.Join(e.Masked, ", "))
	}
	p.Line("")
	p.Line("CI        %s", ciOf(e.SysID, e.Target, e.Origin))
	p.Line("outcome   %s%s", dash(string(e.Outcome)), because(e.Reason))
}

// explainBusiness prints what a schedule to Qualys makes of an asset.
func (p Printer) explainBusiness(e *contract.ExplainView) {
	p.Line("asset %s in schedule %s, from the CMDB to Qualys", e.Key, e.Schedule)
	p.Line("→ business metadata of CI %q, %s%s", e.Name, dash(string(e.Outcome)), because(e.Reason))
	p.Line("")
	if b := e.Business; b != nil {
		p.Line("CI        %s, found by %s", dash(b.CI), dash(b.By))
		differs := map[string]export.Change{}
		for _, c := range b.Changes {
			differs[c.Field] = c
		}
		var rows [][]string
		add := func(field, value string) {
			now := "the same"
			if c, ok := differs[field]; ok {
				now = dash(c.Old)
			}
			rows = append(rows, []string{"  " + field, dash(value), now})
		}
		for _, field := range slices.Sorted(maps.Keys(b.Metadata.Values)) {
			add(field, b.Metadata.Values[field])
		}
		if b.Metadata.Applications != nil {
			add("businessAppIds", strings.Join(b.Metadata.Applications, ", "))
		}
		if len(rows) > 0 {
			p.table([]string{"  FIELD", "CMDB SAYS", "QUALYS SHOWED"}, rows)
		}
	}
	if e.Parts != nil {
		for _, f := range e.Parts.Flags {
			p.Line("  %s: %s", f.Column, f.Why)
		}
	}
	p.Line("")
	p.Line("outcome   %s%s", dash(string(e.Outcome)), because(e.Reason))
}

func (p Printer) cleansing(e *contract.ExplainView) {
	if len(e.Cleansing) == 0 {
		return
	}
	rows := make([][]string, 0, len(e.Cleansing))
	for _, s := range e.Cleansing {
		rows = append(rows, []string{"  " + s.Field, dash(s.Raw), dash(s.Clean)})
	}
	p.table([]string{"  VALUE", "QUALYS SAYS", "CLEANSED"}, rows)
	p.Line("")
}

func (p Printer) identification(e *contract.ExplainView) {
	p.Line("")
	p.Line("IRE: %s, %s", orElse(e.Operation, "identified"), identifiedBy(e))
	for _, at := range e.Identification {
		p.Line("  %-10s %s [%s]%s", at.Result, orElse(at.Identifier, "source key"), strings.Join(at.Attributes, ", "), onTable(at.Table))
	}
}

// conclusion is the whole story in a line: what it is, what became of it.
func conclusion(e *contract.ExplainView) string {
	s := orElse(e.Trace.Decision.Class, "no class")
	if e.Outcome != "" {
		s += ", " + string(e.Outcome) + because(e.Reason)
	}
	if e.SysID != "" {
		s += ", CI " + e.SysID
	}
	return s
}

// decision prints the winning rule and why every other one lost.
func (p Printer) decision(e *contract.ExplainView) {
	d := e.Trace.Decision
	if d.Skip != "" {
		p.Line("class: none — %s (rules of revision %s)", d.Skip, e.Revision)
	} else {
		p.Line("class: %s, by rule %q of the %s table (revision %s)", d.Class, d.Rule, d.Table, e.Revision)
		for _, b := range e.Trace.Because {
			p.Line("  because %s", b)
		}
	}
	rows := make([][]string, 0, len(e.Trace.Losers))
	for _, l := range e.Trace.Losers {
		rows = append(rows, []string{"  " + l.Rule, fmt.Sprint(l.Priority), l.Class, l.Why})
	}
	if len(rows) > 0 {
		p.Line("")
		p.table([]string{"  RULES THAT DID NOT DECIDE", "PRIORITY", "CLASS", "WHY NOT"}, rows)
	}
}

func identifiedBy(e *contract.ExplainView) string {
	for _, at := range e.Identification {
		if at.Result == "MATCHED" {
			return "matched by " + orElse(at.Identifier, "source key")
		}
	}
	return "nothing matched: the CI is new"
}

func onTable(t string) string {
	if t == "" {
		return ""
	}
	return " on " + t
}

func ciOf(sysID, target string, origin record.Origin) string {
	if sysID == "" {
		return "none in " + target
	}
	return fmt.Sprintf("%s in %s (%s)", sysID, target, origin)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}

func dash(s string) string { return orElse(s, "–") }

func orElse(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
