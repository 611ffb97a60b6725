package activities

import (
	"context"
	"fmt"
	"strings"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/certs"
	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
)

// candidate is a CI that has the serial number of a record that we never wrote.
type candidate struct{ sysID, class, name, status, operational, duplicateOf string }

// Statuses of a CI that is out of use.
const (
	installRetired     = "7"
	operationalRetired = "6"
)

// hold leaves out records that would make a second CI of something the CMDB has
// in another branch of the class tree, where no identification rule looks, and
// those whose CI is retired or marked as a duplicate: writing would revive it.
// Both are for a person to decide. Only records that were never written are
// looked at, by their serial numbers, in one call.
func (w *pageWriter) hold(ctx context.Context, records []payload.Input) ([]payload.Input, error) {
	byserial := map[string][]payload.Input{}
	for _, r := range records {
		if r.Parts.Native.Class == certs.Class { // authorities number certificates each for itself
			continue
		}
		serial := strings.ToLower(r.Parts.Native.Value("serial_number"))
		if _, linked := w.links[r.Key]; serial != "" && !linked && !w.prior[r.Key] && strings.IndexFunc(serial, notInLists) < 0 {
			byserial[serial] = append(byserial[serial], r)
		}
	}
	if len(byserial) == 0 {
		return records, nil
	}
	found, err := w.candidates(ctx, byserial)
	if err != nil {
		return nil, err
	}
	held := map[string]string{}
	var doubtful []payload.Input
	apart := map[string]candidate{}
	for serial, list := range found {
		for _, r := range byserial[serial] {
			for _, c := range list {
				switch {
				case c.status == installRetired || c.operational == operationalRetired:
					held[r.Key] = fmt.Sprintf("conflict: %s %q (%s) has this serial number and is retired; it is not revived", c.class, c.name, c.sysID)
				case c.duplicateOf != "":
					held[r.Key] = fmt.Sprintf("conflict: %s %q (%s) has this serial number and is a duplicate of %s", c.class, c.name, c.sysID, c.duplicateOf)
				case !cmdb.SameBranch(c.class, r.Parts.Native.Class) && apart[r.Key].sysID == "":
					apart[r.Key] = c
					doubtful = append(doubtful, r)
				}
			}
		}
	}
	if len(doubtful) > 0 { // would IRE find it all the same?
		known, err := w.ask(ctx, doubtful)
		if err != nil {
			return nil, err
		}
		for _, r := range doubtful {
			if c := apart[r.Key]; known[r.Key] == nil && held[r.Key] == "" {
				held[r.Key] = fmt.Sprintf("conflict: %s %q (%s) has this serial number, the rules say %s; writing would make a second CI", c.class, c.name, c.sysID, r.Parts.Native.Class)
			}
		}
	}
	var out []payload.Input
	var skipped []store.Settlement
	for _, r := range records {
		if why := held[r.Key]; why != "" {
			skipped = append(skipped, store.Settlement{Key: r.Key, Outcome: record.Skipped, Reason: why})
			continue
		}
		out = append(out, r)
	}
	return out, w.settle(ctx, skipped)
}

// candidates returns the CIs with given serial numbers, in lower case.
func (w *pageWriter) candidates(ctx context.Context, serials map[string][]payload.Input) (map[string][]candidate, error) {
	out := map[string][]candidate{}
	var values []string
	for _, list := range serials {
		values = append(values, list[0].Parts.Native.Value("serial_number"))
	}
	w.calls.Add(1)
	q := servicenow.TableQuery{
		Query:  servicenow.Where("serial_number").In(values...),
		Fields: []string{"sys_class_name", "name", "serial_number", "install_status", "operational_status", "duplicate_of"},
	}
	for row, err := range w.target.Client.Rows(ctx, "cmdb_ci", q) {
		if err != nil {
			return nil, err
		}
		serial := strings.ToLower(row["serial_number"])
		out[serial] = append(out[serial], candidate{row["sys_id"], row["sys_class_name"], row["name"], row["install_status"], row["operational_status"], row["duplicate_of"]})
	}
	return out, nil
}
