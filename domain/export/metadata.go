package export

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/record"
)

// assetFields are the fields of an asset's business metadata with the most
// characters that each takes. Source: CSAM API, import asset business metadata;
// the page gives the street no limit, 255 is that of the place's name.
var assetFields = map[string]int{
	"operationalStatus": 128, "environment": 128, "company": 128, "department": 128,
	"ownedBy": 255, "managedBy": 255, "supportedBy": 255, "supportGroup": 255,
	"assignedLocation.name": 255, "assignedLocation.street": 255,
	"assignedLocation.city": 128, "assignedLocation.state": 128, "assignedLocation.country": 128,
}

// applicationFields are the fields of a business application beside its id and
// dates. Source: CSAM API, import business application metadata.
var applicationFields = map[string]int{
	"name": 255, "businessCriticality": 255, "status": 255, "environment": 255, "usedFor": 255, "operationalStatus": 255,
	"ownedBy": 255, "managedBy": 255, "supportedBy": 255, "supportGroup": 255,
}

// maxApplicationID is how many characters an id of a business application takes.
const maxApplicationID = 40

// FlagApplicationID says that an application was left out, because its id cannot
// be shortened without becoming another one's.
const FlagApplicationID = "the id of the business application is longer than 40 characters"

// FlagNoApplication says that an application was left out because Qualys has not
// taken it yet.
const FlagNoApplication = "Qualys does not have the business application"

// AssetFields lists the fields of an asset's business metadata.
func AssetFields() []string { return slices.Sorted(maps.Keys(assetFields)) }

// ApplicationFields lists the fields of a business application.
func ApplicationFields() []string { return slices.Sorted(maps.Keys(applicationFields)) }

// Metadata is the business metadata of an asset as it is sent. A field that is
// there and empty is cleared; one that is not there is left as it is.
type Metadata struct {
	Values map[string]string `json:"values"`
	// Applications are the ids of business applications, ascending. nil leaves
	// them as they are, an empty list takes them all away.
	Applications []string `json:"applications"`
}

// NewMetadata makes the metadata of a CI's asset from display values by field and
// the ids of the applications that it serves. Values are cleansed and cut to what
// the field takes, each cut with a flag that names the CI. The error is a field
// that does not exist.
func NewMetadata(ci string, values map[string]string, applications []string) (Metadata, []record.Flag, error) {
	fitted, flags, err := fit(ci, values, assetFields)
	if err != nil {
		return Metadata{}, nil, err
	}
	m := Metadata{Values: fitted}
	if applications != nil {
		m.Applications = []string{}
	}
	for _, id := range applications {
		switch id = asset.TextTo(id, whole); {
		case id == "":
		case utf8.RuneCountInString(id) > maxApplicationID:
			flags = append(flags, record.Flag{Item: ci, Column: "businessAppIds", Why: FlagApplicationID})
		default:
			m.Applications = append(m.Applications, id)
		}
	}
	slices.Sort(m.Applications)
	m.Applications = slices.Compact(m.Applications)
	return m, flags, nil
}

// whole is a limit that no value of a CMDB reaches.
const whole = 1 << 24

// fit cleanses values and cuts them to their fields.
func fit(item string, values map[string]string, limits map[string]int) (map[string]string, []record.Flag, error) {
	out := make(map[string]string, len(values))
	var flags []record.Flag
	for _, field := range slices.Sorted(maps.Keys(values)) {
		limit, ok := limits[field]
		if !ok {
			return nil, nil, fmt.Errorf("export: there is no field %q; did you mean %q?", field, classify.Nearest(field, slices.Sorted(maps.Keys(limits))))
		}
		full := asset.TextTo(values[field], whole)
		out[field] = asset.TextTo(full, limit)
		if utf8.RuneCountInString(full) > limit {
			flags = append(flags, record.Flag{Item: item, Column: field, Why: record.FlagCut})
		}
	}
	return out, flags, nil
}

// Digest stands for what would be sent.
func (m Metadata) Digest() string { return digestOf(m) }

// Known leaves out applications that Qualys does not have: an asset must not name
// one before it is there. It returns the ones left out.
func (m Metadata) Known(has func(id string) bool) (Metadata, []string) {
	var missing []string
	if m.Applications != nil {
		kept := []string{}
		for _, id := range m.Applications {
			if has(id) {
				kept = append(kept, id)
			} else {
				missing = append(missing, id)
			}
		}
		m.Applications = kept
	}
	return m, missing
}

// MetadataOf returns what an asset shows of the metadata that was written: anything
// but streets.
func MetadataOf(a *asset.Asset) Metadata {
	b, l := &a.Business, &a.AssignedLocation
	return Metadata{Applications: a.Applications, Values: map[string]string{
		"operationalStatus": b.OperationalStatus, "environment": b.Environment, "company": b.Company, "department": b.Department,
		"ownedBy": b.OwnedBy, "managedBy": b.ManagedBy, "supportedBy": b.SupportedBy, "supportGroup": b.SupportGroup,
		"assignedLocation.name": l.Name, "assignedLocation.city": l.City, "assignedLocation.state": l.State, "assignedLocation.country": l.Country,
	}}
}

// Unconfirmed returns the fields that were sent and are not shown as sent,
// ascending: none means that the write is confirmed. What seen does not hold cannot
// be confirmed and is passed over.
func (m Metadata) Unconfirmed(seen Metadata) []string {
	var out []string
	for field, want := range m.Values {
		if got, ok := seen.Values[field]; ok && strings.TrimSpace(got) != want {
			out = append(out, field)
		}
	}
	if m.Applications != nil && seen.Applications != nil && !slices.Equal(m.Applications, slices.Sorted(slices.Values(seen.Applications))) {
		out = append(out, "businessAppIds")
	}
	slices.Sort(out)
	return out
}

// Application is a business application as it is sent.
type Application struct {
	ID      string            `json:"id"`
	Values  map[string]string `json:"values"`
	Created time.Time         `json:"created"`
	Updated time.Time         `json:"updated"`
}

// NewApplication makes an application from display values by field. Values are
// cleansed and cut with a flag, as in NewMetadata. Errors: a field that does not
// exist, and what the vendor requires and is missing.
func NewApplication(id string, values map[string]string, created, updated time.Time) (Application, []record.Flag, error) {
	id = asset.TextTo(id, whole)
	switch n := utf8.RuneCountInString(id); {
	case n == 0:
		return Application{}, nil, errors.New("export: a business application has no id")
	case n > maxApplicationID:
		return Application{}, nil, fmt.Errorf("export: the id of business application %q has %d characters, at most %d are taken", asset.TextTo(id, maxApplicationID)+"…", n, maxApplicationID)
	}
	fitted, flags, err := fit(id, values, applicationFields)
	if err != nil {
		return Application{}, nil, err
	}
	if fitted["name"] == "" {
		return Application{}, nil, fmt.Errorf("export: business application %s has no name", id)
	}
	if created.IsZero() {
		created = updated
	}
	if updated.IsZero() {
		updated = created
	}
	if created.IsZero() {
		return Application{}, nil, fmt.Errorf("export: business application %s has neither a date of creation nor of its last update", id)
	}
	return Application{ID: id, Values: fitted, Created: created.UTC(), Updated: updated.UTC()}, flags, nil
}

// Digest stands for what would be sent, without its dates: a CI is updated for
// many reasons that do not matter here.
func (a Application) Digest() string {
	a.Created, a.Updated = time.Time{}, time.Time{}
	return digestOf(a)
}

// Entry is something to send, with the key under which its digest is kept.
type Entry[T interface{ Digest() string }] struct {
	Key  string `json:"key"`
	Item T      `json:"item"`
}

// Changed returns the entries whose digest is not the one last sent, by key, and
// how many are unchanged. sent holds digests by key.
func Changed[T interface{ Digest() string }](list []Entry[T], sent map[string]string) (changed []Entry[T], unchanged int) {
	for _, e := range list {
		if sent[e.Key] == e.Item.Digest() {
			unchanged++
			continue
		}
		changed = append(changed, e)
	}
	return changed, unchanged
}

// digestOf returns 32 hex digits over the JSON of a value, whose maps are written
// in the order of their keys.
func digestOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // texts and times only
		panic("export: digest: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
