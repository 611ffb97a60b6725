package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
)

// All lists the reports.
func All() []Report {
	text := func(pairs ...string) []Column {
		var out []Column
		for i := 0; i+1 < len(pairs); i += 2 {
			name, number := strings.CutPrefix(pairs[i], "#")
			out = append(out, Column{Name: name, Title: pairs[i+1], Number: number})
		}
		return out
	}
	return []Report{
		{ID: "classes", Title: "Assets by class and source", About: "How many records each integration brings, by the class that its rules choose.",
			Columns: text("integration", "Integration", "target", "Target", "class", "Class", "#records", "Records"), rows: classes},
		{ID: "coverage", Title: "Coverage", About: "Which assets are in Qualys only and why, which are in both, which of these disagree, and which CIs Qualys does not know, as far as a schedule of addresses has looked.",
			Columns: text("integration", "Integration", "where", "Where", "reason", "Reason", "#records", "Records"), rows: coverage},
		{ID: "end-of-life", Title: "Past end of life or support", About: "Operating systems and hardware whose end of life or of support has passed. It needs the section metadata.",
			Columns: text("integration", "Integration", "key", "Asset", "name", "Name", "class", "Class", "what", "What", "product", "Product", "end", "End", "date", "Since"), rows: endOfLife},
		{ID: "software", Title: "Software by publisher and licence", About: "Installations by publisher and licence category. It needs the section software or softwareDetails; licence categories need the latter.",
			Columns: text("publisher", "Publisher", "licence", "Licence category", "#installations", "Installations", "#assets", "Assets"), rows: software},
		{ID: "stale", Title: "Stale CIs", About: "CIs that were written and that Qualys has not confirmed for some days (default 30).",
			Columns: text("integration", "Integration", "key", "Asset", "name", "Name", "class", "Class", "written", "Last written", "#days", "Days ago"), rows: stale},
		{ID: "unmatched", Title: "Unmatched categories", About: "Categories that no rule knows: their assets got a class from a fallback.",
			Columns: text("integration", "Integration", "os", "Operating system", "hardware", "Hardware", "class", "Class", "rule", "Rule", "#assets", "Assets"), rows: unmatched},
		{ID: "certificates", Title: "Certificates", About: "What ends within some days (default 90), or has ended.",
			Columns: text("integration", "Integration", "ends", "Ends", "name", "Name", "issuer", "Issuer", "#hosts", "Hosts", "key", "Certificate"), rows: certificates},
		{ID: "decisions", Title: "Decisions", About: "Who decided what, and whether they were signed in.",
			Columns: text("integration", "Integration", "at", "When", "verdict", "Verdict", "by", "By", "authenticated", "Signed in", "about", "About", "#decided", "Records", "reason", "Reason", "hash", "Hash"), rows: decisions},
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func classes(ctx context.Context, s *Source, r Request, yield func(...string) error) error {
	counts, err := s.Store.CountHeads(ctx)
	if err != nil {
		return err
	}
	sums := map[[3]string]int64{}
	for _, c := range counts {
		if c.Kind == record.KindAsset && (r.Schedule == "" || r.Schedule == c.Schedule) {
			sums[[3]string{c.Schedule, c.Target, c.Class}] += c.Heads
		}
	}
	for _, k := range sorted(sums) {
		if err := yield(k[0], k[1], cmp.Or(k[2], "no class"), itoa(sums[k])); err != nil {
			return err
		}
	}
	return nil
}

// sorted are the keys of counts, in order.
func sorted[K [2]string | [3]string | [5]string](counts map[K]int64) []K {
	out := make([]K, 0, len(counts))
	for k := range counts {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b K) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return out
}

// Where an asset is, in the report of coverage.
const (
	inQualys   = "in Qualys only"
	inBoth     = "in both"
	disagree   = "in both, disagreeing"
	inCMDB     = "in the CMDB only"
	unknownYet = "not known"
)

func coverage(ctx context.Context, s *Source, r Request, yield func(...string) error) error {
	list, err := s.schedules(ctx, r)
	if err != nil {
		return err
	}
	outbound := false
	for i := range list {
		sched := &list[i]
		sums := map[[2]string]int64{}
		switch {
		case sched.Kind == config.KindExport:
			outbound = true
			err = s.unknownToQualys(ctx, sched, sums)
		case !sched.ToQualys() && sched.Kind != config.KindCertificates:
			err = s.heads(ctx, sched.Name, func(h *store.HeadRow) error {
				if h.Kind == record.KindAsset {
					sums[whereIs(h)]++
				}
				return nil
			})
		}
		if err != nil {
			return err
		}
		for _, k := range sorted(sums) {
			if err := yield(sched.Name, k[0], k[1], itoa(sums[k])); err != nil {
				return err
			}
		}
	}
	if outbound {
		return nil
	}
	return yield("", inCMDB, unknownYet+": a schedule of kind export compares the addresses of CIs with Qualys", "0")
}

// whereIs tells where an asset is, and why.
func whereIs(h *store.HeadRow) [2]string {
	reason := h.Reason
	if at := strings.IndexAny(reason, "0123456789\""); at > 0 { // the same reason of many assets
		reason = strings.TrimRight(reason[:at], " :(,")
	}
	switch written := !h.WrittenAt.IsZero(); {
	case h.State == record.StateFailed || h.Outcome == record.Failed:
		return where(written, cmp.Or(reason, "failed"))
	case h.State == record.StatePending || h.State == record.StateHeld || h.State == record.StateRejected || h.State == record.StateExpired || h.State == record.StateApproved || h.State == record.StateStaged:
		return where(written, string(h.State))
	case h.Outcome == record.Skipped || h.Outcome == record.Filtered:
		return where(written, cmp.Or(reason, string(h.Outcome)))
	}
	return [2]string{inBoth, ""}
}

// where is the place of an asset whose last version is not in the CMDB.
func where(written bool, reason string) [2]string {
	if written {
		return [2]string{disagree, reason}
	}
	return [2]string{inQualys, reason}
}

// unknownToQualys counts what the last plan of addresses says of CIs.
func (s *Source) unknownToQualys(ctx context.Context, sched *config.Schedule, sums map[[2]string]int64) error {
	list, err := s.Store.Snapshot(ctx, sched.Name, sched.Target, record.KindAddresses, "", 1)
	if err != nil || len(list) == 0 {
		return err
	}
	plan, err := s.Bodies.AddressPlan(list[0].Body)
	if err != nil {
		return err
	}
	for _, v := range plan.Verdicts {
		sums[[2]string{inCMDB, string(v.Reason)}]++
	}
	return nil
}

func endOfLife(ctx context.Context, s *Source, r Request, yield func(...string) error) error {
	list, err := s.inventory(ctx, r)
	if err != nil {
		return err
	}
	today := s.Now().UTC().Format(time.DateOnly)
	for i := range list {
		if err := s.bodies(ctx, &list[i], func(rec *store.Record, b *activities.Body) error {
			if b.Parts == nil {
				return nil
			}
			columns := ends(b.Parts)
			for _, e := range []struct{ column, what, product, end string }{
				{"u_os_eol_date", "operating system", cmp.Or(b.Inputs.OSProductName, b.Inputs.OSName), "end of life"},
				{"u_os_eos_date", "operating system", cmp.Or(b.Inputs.OSProductName, b.Inputs.OSName), "end of support"},
				{"u_hardware_eol_date", "hardware", cmp.Or(b.Inputs.HWModel, b.Inputs.HWProductName), "end of life"},
				{"u_hardware_eos_date", "hardware", cmp.Or(b.Inputs.HWModel, b.Inputs.HWProductName), "end of support"},
			} {
				day := columns[e.column]
				if day = day[:min(len(day), len(time.DateOnly))]; day == "" || day > today {
					continue
				}
				if err := yield(list[i].Name, rec.Key, b.Name, rec.Class, e.what, e.product, e.end, day); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// ends are the dates of ends among the rows beside a CI.
func ends(p *record.Parts) map[string]string {
	out := map[string]string{}
	look := func(rows []cmdb.Row) {
		for i := range rows {
			for _, c := range rows[i].Columns {
				if strings.HasSuffix(c.Name, "_eol_date") || strings.HasSuffix(c.Name, "_eos_date") {
					if strings.HasPrefix(c.Name, "u_os_") || strings.HasPrefix(c.Name, "u_hardware_") {
						out[c.Name] = c.Value
					}
				}
			}
		}
	}
	look(p.Tables)
	if p.Native != nil {
		look(p.Native.Related)
	}
	return out
}

func software(ctx context.Context, s *Source, r Request, yield func(...string) error) error {
	list, err := s.inventory(ctx, r)
	if err != nil {
		return err
	}
	installations, assets := map[[2]string]int64{}, map[[2]string]int64{}
	for i := range list {
		if err := s.bodies(ctx, &list[i], func(_ *store.Record, b *activities.Body) error {
			seen := map[[2]string]bool{}
			for k, n := range installed(b.Parts) {
				installations[k] += n
				seen[k] = true
			}
			for k := range seen {
				assets[k]++
			}
			return nil
		}); err != nil {
			return err
		}
	}
	for _, k := range sorted(installations) {
		if err := yield(cmp.Or(k[0], "not known"), cmp.Or(k[1], "not known"), itoa(installations[k]), itoa(assets[k])); err != nil {
			return err
		}
	}
	return nil
}

// installed counts the software of an asset by publisher and licence category. Where
// details are written they say both; else the packages say who publishes them.
func installed(p *record.Parts) map[[2]string]int64 {
	out, plain := map[[2]string]int64{}, map[[2]string]int64{}
	if p == nil {
		return out
	}
	rows := slices.Clone(p.Tables)
	if p.Native != nil {
		rows = append(rows, p.Native.Related...)
	}
	for i := range rows {
		columns := map[string]string{}
		for _, c := range rows[i].Columns {
			columns[c.Name] = c.Value
		}
		publisher, ok := columns["u_publisher"]
		if _, detail := columns["u_install_path"]; ok || detail {
			out[[2]string{publisher, columns["u_license_category"]}]++
		} else if publisher, ok := columns["publisher"]; ok {
			plain[[2]string{publisher, ""}]++
		}
	}
	if len(out) == 0 {
		out = plain
	}
	if len(out) > 0 {
		return out
	}
	for i := range p.Shared {
		if p.Shared[i].Class == "cmdb_ci_spkg" { // packages are shared by name and version, and say nothing else
			out[[2]string{"", ""}]++
		}
	}
	return out
}

func stale(ctx context.Context, s *Source, r Request, yield func(...string) error) error {
	list, err := s.inventory(ctx, r)
	if err != nil {
		return err
	}
	now := s.Now()
	before := now.AddDate(0, 0, -cmp.Or(r.Days, 30))
	for i := range list {
		for after := ""; ; {
			page, err := s.Store.ListHeads(ctx, store.HeadFilter{Schedule: list[i].Name, WrittenBefore: before, After: after, Limit: headsAtATime})
			if err != nil {
				return err
			}
			for _, h := range page.Heads {
				if h.Kind != record.KindAsset {
					continue
				}
				if err := yield(h.Schedule, h.Key, h.Name, h.Class, h.WrittenAt.UTC().Format(time.RFC3339), itoa(int64(now.Sub(h.WrittenAt).Hours()/24))); err != nil {
					return err
				}
			}
			if after = page.Next; after == "" {
				break
			}
		}
	}
	return nil
}

func unmatched(ctx context.Context, s *Source, r Request, yield func(...string) error) error {
	list, err := s.inventory(ctx, r)
	if err != nil {
		return err
	}
	for i := range list {
		c, err := s.coverage(ctx, list[i].Name)
		if err != nil {
			return err
		}
		for _, p := range c.Unknown {
			if err := yield(list[i].Name, p.OS, p.Hardware, cmp.Or(p.Class, "no class"), p.Rule, itoa(p.Assets)); err != nil {
				return err
			}
		}
	}
	return nil
}

func certificates(ctx context.Context, s *Source, r Request, yield func(...string) error) error {
	f := store.CertificateFilter{Schedule: r.Schedule, Until: s.Now().AddDate(0, 0, cmp.Or(r.Days, 90)), Limit: headsAtATime}
	for {
		list, err := s.Store.ListCertificates(ctx, f)
		if err != nil {
			return err
		}
		for _, c := range list.Certificates {
			if err := yield(c.Schedule, c.ValidTo.UTC().Format(time.DateOnly), c.Name, c.Issuer, itoa(c.Hosts), c.Key); err != nil {
				return err
			}
		}
		if f.After = list.Next; f.After == "" {
			return nil
		}
	}
}

func decisions(ctx context.Context, s *Source, r Request, yield func(...string) error) error {
	list, err := s.schedules(ctx, r)
	if err != nil {
		return err
	}
	for i := range list {
		for after := int64(0); ; {
			lines, err := s.Store.DecisionLog(ctx, list[i].Name, after, headsAtATime)
			if err != nil {
				return err
			}
			for _, l := range lines {
				var e struct {
					At, Verdict, By, Authenticated, Reason, Filter string
					All                                            bool
					IDs                                            []string
					Decided                                        int64
				}
				if err := json.Unmarshal([]byte(l.Entry), &e); err != nil {
					return err
				}
				about := e.Filter
				switch {
				case e.All:
					about = "all that waited"
				case len(e.IDs) > 0:
					about = fmt.Sprintf("%d chosen", len(e.IDs))
				}
				if err := yield(list[i].Name, e.At, e.Verdict, e.By, cmp.Or(e.Authenticated, "no"), about, itoa(e.Decided), e.Reason, l.Hash); err != nil {
					return err
				}
				after = l.N
			}
			if len(lines) < headsAtATime {
				break
			}
		}
	}
	return nil
}
