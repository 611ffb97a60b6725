package servicenow

import "sort"

// order puts hosts before what depends on them and referenced items before
// those that refer to them; otherwise the payload's order stays.
func (r *run) order() []*outcome {
	out := make([]*outcome, 0, len(r.items))
	state := make([]int8, len(r.items))
	var visit func(i int, hard bool, from *outcome)
	visit = func(i int, hard bool, from *outcome) {
		o := r.items[i]
		if state[i] == 1 {
			if hard && from.host == i {
				from.fail("QUALIFICATION_LOOP", "Qualification chain has loop that contains relation '%s'", from.hostRel.raw)
				from.host = -1
			}
			return
		}
		if state[i] == 2 {
			return
		}
		state[i] = 1
		if o.host >= 0 {
			visit(o.host, true, o)
		}
		for _, ref := range o.refs {
			visit(ref.to.main, false, o)
		}
		state[i] = 2
		out = append(out, o)
	}
	for i := range r.items {
		visit(i, false, r.items[i])
	}
	// References may pull an item before its host when both form a circle:
	// a stable sort by depth of the host chain repairs that.
	depth := func(o *outcome) int {
		d := 0
		for o.host >= 0 && d < len(r.items) {
			o, d = r.items[o.host], d+1
		}
		return d
	}
	if len(r.p.refItems) > 0 {
		sort.SliceStable(out, func(i, j int) bool { return depth(out[i]) < depth(out[j]) })
	}
	return out
}
