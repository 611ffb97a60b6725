package servicenow

import "sort"

// order puts hosts before what depends on them and referenced items before
// those that refer to them; otherwise the payload's order stays.
func (r *run) order() []*outcome {
	out := make([]*outcome, 0, len(r.items))
	visited := make([]bool, len(r.items)) // perhaps still on the way up
	r.breakLoops()
	var visit func(i int)
	visit = func(i int) {
		if visited[i] {
			return
		}
		o := r.items[i]
		visited[i] = true
		if o.host >= 0 {
			visit(o.host)
		}
		for _, ref := range o.refs {
			visit(ref.to.main)
		}
		out = append(out, o)
	}
	for i := range r.items {
		visit(i)
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

// breakLoops fails every item whose chain of hosts leads back to itself.
func (r *run) breakLoops() {
	var looped []*outcome
	for _, o := range r.items {
		at := o
		for range r.items {
			if at.host < 0 {
				break
			}
			if at = r.items[at.host]; at == o {
				looped = append(looped, o)
				break
			}
		}
	}
	for _, o := range looped {
		o.fail("QUALIFICATION_LOOP", "Qualification chain has loop that contains relation '%s'", o.hostRel.raw)
		o.host = -1
	}
}
