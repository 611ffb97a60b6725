package asset

import (
	"slices"
	"strings"
	"time"
)

// Identity is what tells machines apart, as far as one asset says it. Values are
// cleansed.
type Identity struct {
	ID       int64 // assetId
	Name     string
	Serial   string
	UUID     string
	CloudID  string
	MACs     []string
	Agent    bool      // an agent on the machine reports it
	Modified time.Time // when Qualys last changed it
}

// IdentityOf returns the identity of an asset.
func IdentityOf(a *Asset, c *Clean) Identity {
	id := Identity{
		ID: a.ID, Name: c.Name, Serial: c.Serial, UUID: c.UUID, CloudID: a.Cloud.InstanceID, Modified: a.Modified,
		Agent: a.AgentID != "" || strings.Contains(strings.ToUpper(a.TrackingMethod), "AGENT"),
	}
	for i := range c.Adapters {
		id.MACs = append(id.MACs, c.Adapters[i].MAC)
	}
	return id
}

// Primary returns the index of the asset that writes the native columns of a
// machine which several assets describe, or -1 for none: an agent knows most,
// then comes what a cloud names, then what changed last; among equals the
// smallest id, so that the order does not matter. The others write only their
// metadata row.
func Primary(same []Identity) int {
	best := -1
	for i := range same {
		if best < 0 || comparePrimary(&same[i], &same[best]) < 0 {
			best = i
		}
	}
	return best
}

func comparePrimary(a, b *Identity) int {
	switch {
	case a.Agent != b.Agent:
		return first(a.Agent)
	case (a.CloudID != "") != (b.CloudID != ""):
		return first(a.CloudID != "")
	case !a.Modified.Equal(b.Modified):
		return first(a.Modified.After(b.Modified))
	default:
		return first(a.ID < b.ID)
	}
}

func first(yes bool) int {
	if yes {
		return -1
	}
	return 1
}

// Machines groups assets that describe one machine: they share a cloud id, a
// hardware UUID or a serial number, directly or through others. Assets with
// different cloud ids are different machines although images repeat serials and
// UUIDs. Groups and members keep the order of ids. Names and addresses
// join nothing: two machines can have the same.
func Machines(ids []Identity) [][]int {
	group := make([]int, len(ids))
	owner := map[string]int{}
	cloud := make([]string, len(ids)) // by root
	root := func(i int) int {
		for group[i] != i {
			i = group[i]
		}
		return i
	}
	for i := range ids {
		group[i], cloud[i] = i, ids[i].CloudID
	}
	// Cloud ids join first: whether a serial may join depends on them.
	for _, kind := range []func(*Identity) string{
		func(x *Identity) string { return prefixed("cloud ", x.CloudID) },
		func(x *Identity) string { return prefixed("uuid ", x.UUID) },
		func(x *Identity) string { return prefixed("serial ", x.Serial) },
	} {
		for i := range ids {
			token := kind(&ids[i])
			if token == "" {
				continue
			}
			k, seen := owner[token]
			if !seen {
				owner[token] = i
				continue
			}
			a, b := root(k), root(i)
			if a == b || (cloud[a] != "" && cloud[b] != "" && cloud[a] != cloud[b]) {
				continue
			}
			low, high := min(a, b), max(a, b)
			group[high] = low
			if cloud[low] == "" {
				cloud[low] = cloud[high]
			}
		}
	}
	var out [][]int
	at := map[int]int{}
	for i := range ids {
		r := root(i)
		if k, ok := at[r]; ok {
			out[k] = append(out[k], i)
			continue
		}
		at[r] = len(out)
		out = append(out, []int{i})
	}
	return out
}

func prefixed(kind, value string) string {
	if value == "" {
		return ""
	}
	return kind + strings.ToLower(value)
}

// SharedNames returns the names, in lower case, that assets of different
// machines have: their serial numbers differ, or they have adapters and none in
// common. Such a name identifies nothing and must not be offered to IRE.
func SharedNames(ids []Identity) map[string]bool {
	byName := map[string][]int{}
	for i := range ids {
		if n := strings.ToLower(ids[i].Name); n != "" {
			byName[n] = append(byName[n], i)
		}
	}
	out := map[string]bool{}
	for name, list := range byName {
		for k := 1; k < len(list) && !out[name]; k++ {
			for _, j := range list[:k] {
				if different(&ids[list[k]], &ids[j]) {
					out[name] = true
					break
				}
			}
		}
	}
	return out
}

// different reports whether two identities with the same name cannot be one
// machine.
func different(a, b *Identity) bool {
	if a.Serial != "" && b.Serial != "" {
		return !strings.EqualFold(a.Serial, b.Serial)
	}
	if len(a.MACs) == 0 || len(b.MACs) == 0 {
		return false
	}
	return !slices.ContainsFunc(a.MACs, func(m string) bool { return slices.Contains(b.MACs, m) })
}

// KeyMoved reports whether an asset id now describes another machine, so that
// its source key must be dropped or the record held: Qualys tracks the asset by
// IP, DNS or NetBIOS name, and serial number and name both changed. Missing
// values are no change.
func KeyMoved(trackingMethod string, before, now Identity) bool {
	return trackedByAddress(trackingMethod) && changed(before.Serial, now.Serial) && changed(before.Name, now.Name)
}

func changed(before, now string) bool {
	return before != "" && now != "" && !strings.EqualFold(before, now)
}

// trackedByAddress reports whether a tracking method follows an address or a
// name and not the machine: IP, DNSNAME, NETBIOS in their spellings.
func trackedByAddress(method string) bool {
	switch strings.ToUpper(strings.Map(letter, method)) {
	case "IP", "IPADDRESS", "DNS", "DNSNAME", "DNSHOSTNAME", "NETBIOS", "NETBIOSNAME", "NETBIOSHOSTNAME":
		return true
	}
	return false
}

func letter(r rune) rune {
	if (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') {
		return r
	}
	return -1
}

// Naming says in which form names become CIs' names.
type Naming struct {
	Form string // FormShort (default), FormFull, FormAsIs
	Case string // CaseLower (default), CaseUpper, CaseAsIs
	// Never lists further names, in any case, that machines have until somebody
	// names them. They are never offered for identification.
	Never []string
}

// Forms and cases of names.
const (
	FormShort = "short"
	FormFull  = "full"
	FormAsIs  = "as-is"
	CaseLower = "lower"
	CaseUpper = "upper"
	CaseAsIs  = "as-is"
)

// CleanseNamed cleanses an asset like Cleanse and gives its name the form that
// the setting asks for. An asset without a full name keeps the short one.
func CleanseNamed(a *Asset, n Naming) *Clean {
	c := Cleanse(a)
	if c.Name == "" {
		return c
	}
	if never(n.Never, c.Name) || never(n.Never, c.FQDN) {
		c.Name, c.FQDN, c.Domain = "", "", ""
		return c
	}
	raw := rawName(a, c.Name)
	switch {
	case n.Form == FormFull && c.FQDN != "":
		c.Name = c.FQDN
	case n.Form == FormAsIs && raw != "":
		c.Name = raw
	}
	switch n.Case {
	case CaseUpper:
		c.Name = strings.ToUpper(c.Name)
	case CaseAsIs:
		if len(raw) >= len(c.Name) && strings.EqualFold(raw[:len(c.Name)], c.Name) {
			c.Name = raw[:len(c.Name)]
		}
	default:
		c.Name = strings.ToLower(c.Name)
	}
	return c
}

func never(list []string, name string) bool {
	return name != "" && slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) })
}

// rawName returns the reported name that the short name was taken from.
func rawName(a *Asset, short string) string {
	for _, raw := range [...]string{a.FQDN, a.DNSName, a.NetBIOS, a.Name} {
		if s, _ := SplitHost(raw); s == short {
			return strings.Trim(Text(raw), `\.`)
		}
	}
	return ""
}
