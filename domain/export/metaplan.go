package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/record"
)

// Bearer is a CI whose metadata goes to Qualys.
type Bearer struct {
	Subject
	Name string `json:"name"`
	// Fields are display values by field.
	Fields map[string]string `json:"fields"`
	// Applications are the ids of the business applications that it serves; nil:
	// they are not looked at.
	Applications []string `json:"applications"`
}

// Holder is an asset with the metadata that it shows.
type Holder struct {
	Subject
	Shown Metadata
}

// HolderOf returns an asset that was read with all sections of business metadata
// and identity: what it does not show of applications it does not have.
func HolderOf(a *asset.Asset) Holder {
	h := Holder{Subject: SubjectOf(a), Shown: MetadataOf(a)}
	if h.Shown.Applications == nil {
		h.Shown.Applications = []string{}
	}
	return h
}

// Change is a field that a write would change, as it is shown and as it would be.
type Change struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

// AssetChange is what is staged of an asset: what would be written, for which CI,
// how the CI was found to be the asset, and what differed when it was planned.
type AssetChange struct {
	Asset    string   `json:"asset,omitempty"` // id
	CI       string   `json:"ci"`              // sys_id
	By       string   `json:"by,omitempty"`    // "link", or the identifier
	Metadata Metadata `json:"metadata"`
	Changes  []Change `json:"changes,omitempty"`
	// Again says that it was written before and Qualys does not show it: somebody
	// changed it since, or it never arrived.
	Again bool `json:"again,omitempty"`
}

// ApplicationChange is what is staged of a business application.
type ApplicationChange struct {
	SysID       string      `json:"sysId"`
	Application Application `json:"application"`
	Changes     []Change    `json:"changes,omitempty"`
	New         bool        `json:"new,omitempty"` // Qualys does not show it
}

// MetadataVerdict is what becomes of one CI at one asset, or of a CI without any.
type MetadataVerdict struct {
	AssetChange
	Name  string // of the CI
	Flags []record.Flag
	// Skip says why nothing is written.
	Skip string
	// Same says that the asset has all of it already.
	Same bool
}

// MetadataInput is what a plan of business metadata is made of.
type MetadataInput struct {
	CIs    []Bearer
	Assets []Holder
	Links  map[string][]string // asset ids by sys_id
	Order  []Identifier
	// Clear clears fields that the CMDB has no value for, whoever wrote them.
	Clear bool
	// Wrote returns what was last written of an asset, nil when nothing was.
	Wrote func(asset string) *Metadata
	// Has reports whether Qualys has a business application.
	Has func(id string) bool
}

// PlanMetadata decides what is written of every CI: one verdict for each asset of a
// CI, or one that says why there is none, in the order of the CIs. The error is an
// identifier or a field that does not exist.
func PlanMetadata(in *MetadataInput) ([]MetadataVerdict, error) {
	cis, assets := make([]Subject, len(in.CIs)), make([]Subject, len(in.Assets))
	shown := make(map[string]*Metadata, len(in.Assets))
	for i := range in.CIs {
		cis[i] = in.CIs[i].Subject
	}
	for i := range in.Assets {
		assets[i] = in.Assets[i].Subject
		shown[assets[i].Key] = &in.Assets[i].Shown
	}
	matches, err := Correlate(cis, assets, in.Links, in.Order)
	if err != nil {
		return nil, err
	}
	var out []MetadataVerdict
	for i := range matches {
		m, ci := &matches[i], &in.CIs[i]
		v := MetadataVerdict{AssetChange: AssetChange{CI: m.CI, By: m.By}, Name: ci.Name}
		if len(m.Ambiguous) > 0 {
			v.Skip = fmt.Sprintf("ambiguous: %s (%s)", m.Why, strings.Join(m.Ambiguous, ", "))
		} else if len(m.Assets) == 0 {
			v.Skip = m.Why
		}
		if v.Skip != "" {
			out = append(out, v)
			continue
		}
		full, flags, err := NewMetadata(ci.Key, ci.Fields, ci.Applications)
		if err != nil {
			return nil, err
		}
		for _, id := range m.Assets {
			v.Asset, v.Flags = id, slices.Clone(flags)
			in.decide(&v, full, shown[id])
			out = append(out, v)
		}
	}
	return out, nil
}

// decide compares what a CI says with what its asset shows and what was written.
func (in *MetadataInput) decide(v *MetadataVerdict, full Metadata, shown *Metadata) {
	wrote := in.Wrote(v.Asset)
	m, missing := full.Known(in.Has)
	for _, id := range missing {
		v.Flags = append(v.Flags, record.Flag{Item: v.CI, Column: "businessAppIds", Why: FlagNoApplication + " " + id})
	}
	v.Metadata = m.wanted(wrote, in.Clear)
	if len(v.Metadata.Values) == 0 && v.Metadata.Applications == nil {
		v.Skip = "the CI has no business metadata"
		return
	}
	v.Changes = v.Metadata.Against(*shown, wrote)
	v.Same = len(v.Changes) == 0
}

// wanted leaves out what the CMDB has no value for, unless it is to be cleared or
// was written before: what was written is ours to take back.
func (m Metadata) wanted(wrote *Metadata, clearAll bool) Metadata {
	if clearAll {
		return m
	}
	if wrote == nil {
		wrote = &Metadata{}
	}
	out := Metadata{Values: maps.Clone(m.Values), Applications: m.Applications}
	maps.DeleteFunc(out.Values, func(field, value string) bool {
		_, ours := wrote.Values[field]
		return value == "" && !ours
	})
	if len(m.Applications) == 0 && wrote.Applications == nil {
		out.Applications = nil
	}
	return out
}

// Against returns the fields that a write would change, ascending. What an asset
// does not show is compared with what was written last, nil when nothing was.
func (m Metadata) Against(shown Metadata, wrote *Metadata) []Change {
	differs := m.Unconfirmed(shown)
	for field, value := range m.Values {
		if _, can := shown.Values[field]; can {
			continue
		}
		if wrote == nil && value != "" || wrote != nil && wrote.Values[field] != value {
			differs = append(differs, field)
		}
	}
	slices.Sort(differs)
	var out []Change
	for _, field := range differs {
		c := Change{Field: field, Old: shown.Values[field], New: m.Values[field]}
		if field == "businessAppIds" {
			c.Old, c.New = strings.Join(shown.Applications, ", "), strings.Join(m.Applications, ", ")
		}
		out = append(out, c)
	}
	return out
}

// Wanted leaves out what the CMDB has no value for, as for assets: wrote is what was
// last written, nil when nothing was.
func (a Application) Wanted(wrote *Application, clearAll bool) Application {
	if clearAll {
		return a
	}
	if wrote == nil {
		wrote = &Application{}
	}
	a.Values = maps.Clone(a.Values)
	maps.DeleteFunc(a.Values, func(field, value string) bool {
		_, ours := wrote.Values[field]
		return value == "" && !ours
	})
	return a
}

// Against returns the fields of an application that a write would change. seen is
// what an asset shows of it, nil when none does: then what was written counts.
func (a Application) Against(seen map[string]string, wrote *Application) []Change {
	var out []Change
	for _, field := range slices.Sorted(maps.Keys(a.Values)) {
		old, value := seen[field], a.Values[field]
		if seen == nil && wrote != nil {
			old = wrote.Values[field]
		}
		if strings.TrimSpace(old) != value {
			out = append(out, Change{Field: field, Old: old, New: value})
		}
	}
	return out
}

// ApplicationOf returns what an asset shows of a business application, by field.
func ApplicationOf(a *asset.BusinessApplication) map[string]string {
	return map[string]string{
		"name": a.Name, "businessCriticality": a.Criticality, "status": a.Status, "environment": a.Environment, "usedFor": a.UsedFor,
		"operationalStatus": a.OperationalStatus, "ownedBy": a.OwnedBy, "managedBy": a.ManagedBy, "supportedBy": a.SupportedBy, "supportGroup": a.SupportGroup,
	}
}
