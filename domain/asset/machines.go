package asset

import (
	"slices"
	"strings"
)

// Roles says which of the assets of a page describe a machine that another asset
// describes better, and which names tell nothing.
type Roles struct {
	// Primary maps the id of an asset to that of the asset that writes the CI of
	// its machine, where that is another one.
	Primary map[int64]int64
	// Shared holds, in lower case, the names that different machines have.
	Shared map[string]bool
}

// RolesOf looks at the assets of a page beside those known already that may be
// the same machine or have the same name. Known ones that are on the page too
// count as the page says.
func RolesOf(page, known []Identity) Roles {
	all := slices.Clone(page)
	here := make(map[int64]bool, len(page))
	for i := range page {
		here[page[i].ID] = true
	}
	for i := range known {
		if !here[known[i].ID] {
			all = append(all, known[i])
		}
	}
	slices.SortFunc(all, func(a, b Identity) int { return int(min(1, max(-1, a.ID-b.ID))) })
	out := Roles{Primary: map[int64]int64{}, Shared: SharedNames(all)}
	for _, group := range Machines(all) {
		if len(group) < 2 {
			continue
		}
		same := make([]Identity, len(group))
		for k, i := range group {
			same[k] = all[i]
		}
		first := same[Primary(same)].ID
		for k := range same {
			if same[k].ID != first && here[same[k].ID] {
				out.Primary[same[k].ID] = first
			}
		}
	}
	return out
}

// SharesName reports whether different machines have the asset's name.
func (r Roles) SharesName(name string) bool { return name != "" && r.Shared[strings.ToLower(name)] }
