package export

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/classify"
)

// Identifier is a kind of value by which a CI and an asset may be known to be the
// same machine. The names are those of the connector's identity attributes.
type Identifier string

// Identifiers.
const (
	ByInstance Identifier = "instanceUuid" // id of a cloud instance
	ByUUID     Identifier = "hardwareUuid"
	BySerial   Identifier = "serialNumber"
	ByMAC      Identifier = "macAddress"
	ByFQDN     Identifier = "fqdn"
	ByNetBIOS  Identifier = "netBiosName"
	ByHostName Identifier = "hostName"
	ByIP       Identifier = "ipAddress"
)

// Identifiers lists all identifiers, the most telling first.
func Identifiers() []Identifier {
	return []Identifier{ByInstance, ByUUID, BySerial, ByMAC, ByFQDN, ByNetBIOS, ByHostName, ByIP}
}

// DefaultIdentifiers are those that name one machine wherever it stands: short
// names and addresses repeat between sites.
func DefaultIdentifiers() []Identifier {
	return []Identifier{ByInstance, ByUUID, BySerial, ByMAC, ByFQDN}
}

// CheckIdentifiers says what is wrong with an ordered list of identifiers.
func CheckIdentifiers(order []Identifier) error {
	var names []string
	for _, id := range Identifiers() {
		names = append(names, string(id))
	}
	for i, id := range order {
		if !slices.Contains(Identifiers(), id) {
			return fmt.Errorf("export: there is no identifier %q; did you mean %q?", id, classify.Nearest(string(id), names))
		}
		if slices.Contains(order[:i], id) {
			return fmt.Errorf("export: identifier %q stands twice", id)
		}
	}
	return nil
}

// cleanse returns a value as it is sent, or "" for one that identifies nothing.
func (id Identifier) cleanse(raw string) string {
	switch id {
	case ByUUID:
		return asset.UUID(raw)
	case BySerial:
		return asset.Serial(raw)
	case ByMAC:
		return asset.MAC(raw)
	case ByIP:
		return asset.IP(raw)
	case ByFQDN:
		_, full := asset.SplitHost(raw)
		return full
	case ByNetBIOS, ByHostName:
		short, _ := asset.SplitHost(raw)
		return short
	}
	return asset.Text(raw)
}

// Subject is a CI or an asset with the values that may identify it.
type Subject struct {
	Key    string // sys_id of a CI, id of an asset
	Values map[Identifier][]string
}

// values returns the usable values of a kind, each once whatever its case.
func (s *Subject) values(id Identifier) []string {
	var out []string
	for _, raw := range s.Values[id] {
		same := func(v string) bool { return strings.EqualFold(v, id.cleanse(raw)) }
		if v := id.cleanse(raw); v != "" && !slices.ContainsFunc(out, same) {
			out = append(out, v)
		}
	}
	return out
}

// SubjectOf returns an asset with what may identify it.
func SubjectOf(a *asset.Asset) Subject {
	v := map[Identifier][]string{
		ByInstance: {a.Cloud.InstanceID}, ByUUID: {a.HardwareUUID}, BySerial: {a.BIOSSerial}, ByFQDN: {a.FQDN, a.DNSName},
		ByNetBIOS: {a.NetBIOS}, ByHostName: {a.Name, a.DNSName}, ByIP: {a.Address}, ByMAC: nil,
	}
	for i := range a.Interfaces {
		in := &a.Interfaces[i]
		v[ByMAC] = append(v[ByMAC], in.MAC)
		v[ByIP] = append(append(v[ByIP], in.IPv4...), in.IPv6...)
	}
	return Subject{Key: strconv.FormatInt(a.ID, 10), Values: v}
}

// Match is what a CI was found to be.
type Match struct {
	CI string `json:"ci"`
	// Assets is the asset, or the assets of one machine that a link names; empty
	// when there is none, or it is not certain which.
	Assets []string `json:"assets,omitempty"`
	By     string   `json:"by,omitempty"` // "link", or the identifier
	// Ambiguous are the assets between which the identifier does not decide, and
	// Why says in words why nothing is written.
	Ambiguous []string `json:"ambiguous,omitempty"`
	Why       string   `json:"why,omitempty"`
}

// ByLink is Match.By for a correlation that was stored.
const ByLink = "link"

// Correlate finds the assets of CIs: by the stored link, as long as the asset is
// there, then by the identifiers in their order, of which the first that finds
// anything decides. Whatever is not certain is reported and never a match: several
// assets, an asset that a link gives to another CI, an asset that two CIs find.
// links holds asset ids by sys_id. The answer has one Match per CI, in their order.
func Correlate(cis, assets []Subject, links map[string][]string, order []Identifier) ([]Match, error) {
	if err := CheckIdentifiers(order); err != nil {
		return nil, err
	}
	x := newIndex(assets, order)
	owner := map[string]string{} // asset → CI, by link
	for ci, ids := range links {
		for _, id := range ids {
			if x.exists[id] && (owner[id] == "" || ci < owner[id]) {
				owner[id] = ci
			}
		}
	}
	out := make([]Match, len(cis))
	found := map[string][]int{} // asset → matches by identifier
	for i := range cis {
		out[i] = x.match(&cis[i], links[cis[i].Key], owner)
		if out[i].By != ByLink && len(out[i].Assets) == 1 {
			found[out[i].Assets[0]] = append(found[out[i].Assets[0]], i)
		}
	}
	for id, same := range found {
		for _, i := range same {
			if len(same) > 1 {
				out[i] = Match{CI: out[i].CI, By: out[i].By, Ambiguous: []string{id}, Why: fmt.Sprintf("%d CIs find asset %s by %s", len(same), id, out[i].By)}
			}
		}
	}
	return out, nil
}

// index finds assets by canonical values.
type index struct {
	order   []Identifier
	exists  map[string]bool
	byValue map[Identifier]map[string][]string
}

func newIndex(assets []Subject, order []Identifier) *index {
	x := &index{order: order, exists: make(map[string]bool, len(assets)), byValue: map[Identifier]map[string][]string{}}
	for _, id := range order {
		x.byValue[id] = map[string][]string{}
	}
	for i := range assets {
		a := &assets[i]
		if x.exists[a.Key] {
			continue
		}
		x.exists[a.Key] = true
		for _, id := range order {
			for _, v := range a.values(id) {
				v = strings.ToLower(v)
				x.byValue[id][v] = append(x.byValue[id][v], a.Key)
			}
		}
	}
	return x
}

func (x *index) match(ci *Subject, linked []string, owner map[string]string) Match {
	m := Match{CI: ci.Key}
	for _, id := range linked {
		switch {
		case !x.exists[id]:
		case owner[id] != ci.Key:
			return Match{CI: ci.Key, By: ByLink, Ambiguous: []string{id}, Why: fmt.Sprintf("asset %s is linked to CI %s too", id, owner[id])}
		case !slices.Contains(m.Assets, id):
			m.Assets = append(m.Assets, id)
		}
	}
	if len(m.Assets) > 0 {
		slices.Sort(m.Assets)
		m.By = ByLink
		return m
	}
	for _, id := range x.order {
		var hits []string
		for _, v := range ci.values(id) {
			hits = append(hits, x.byValue[id][strings.ToLower(v)]...)
		}
		slices.Sort(hits)
		switch hits = slices.Compact(hits); {
		case len(hits) == 0:
			continue
		case len(hits) > 1:
			return Match{CI: ci.Key, By: string(id), Ambiguous: hits, Why: fmt.Sprintf("%d assets have the same %s", len(hits), id)}
		case owner[hits[0]] != "":
			return Match{CI: ci.Key, By: string(id), Ambiguous: hits, Why: fmt.Sprintf("asset %s has the same %s but is linked to CI %s", hits[0], id, owner[hits[0]])}
		}
		return Match{CI: ci.Key, By: string(id), Assets: hits}
	}
	m.Why = "no asset has an identifier of the CI"
	return m
}
