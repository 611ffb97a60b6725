package tagging

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Face is what can be seen and changed of a tag.
type Face struct {
	Name        string `json:"name"`
	RuleType    string `json:"ruleType"`
	RuleText    string `json:"ruleText,omitempty"`
	Provider    string `json:"provider,omitempty"`
	Color       string `json:"color,omitempty"`
	Criticality int    `json:"criticality"`
}

// Actual is a tag of the subscription.
type Actual struct {
	ID, Parent  int64 // Parent 0 is a root
	Description string
	Face
}

// Owned is a tag that is ours, with what was last written, by which a change made
// by hand is told from one of the settings.
type Owned struct {
	Key     string `json:"key"`
	Parent  int64  `json:"parent"`
	Written Face   `json:"written"`
}

// What is done about a tag of ours that was changed by hand.
const (
	DriftRepair = "repair" // default
	DriftReport = "report"
)

// Settings of a difference.
type Settings struct {
	Drift string
	// Unanswered are the keys of tags whose creation was sent and never answered: a
	// tag of that name in that place is the one.
	Unanswered map[string]bool
}

// Op is what a change does to one tag.
type Op string

// Operations, in the order in which they are applied; of the deletions those that
// free a name come first.
const (
	OpCreate   Op = "create"
	OpRename   Op = "rename"
	OpRule     Op = "rule"
	OpRecolour Op = "recolour"
	OpScore    Op = "score" // criticality
	OpRetire   Op = "retire"
	OpDelete   Op = "delete"
)

// Change is one change of one tag: one call. A creation carries the whole face, any
// other change what it changes.
type Change struct {
	Op  Op     `json:"op"`
	Key string `json:"key"`
	ID  int64  `json:"id,omitempty"` // 0 for a creation
	// ParentID is the tag to create below; where ParentKey is set and ParentID is 0,
	// an earlier creation makes it.
	ParentID    int64  `json:"parentId,omitempty"`
	ParentKey   string `json:"parentKey,omitempty"`
	Face        Face   `json:"face"`
	Description string `json:"description,omitempty"` // of a creation; marks the tag as ours
	Was         string `json:"was,omitempty"`         // for a reader
	Drift       bool   `json:"drift,omitempty"`       // undoes a change made by hand
}

// Kinds of reports: what is not done, and why.
const (
	ReportForeign   = "foreign"   // a tag that is not ours is in the way
	ReportDrift     = "drift"     // changed by hand, and left so
	ReportMoved     = "moved"     // stands below another tag; the vendor cannot move it back
	ReportOrphan    = "orphan"    // its attribute is not configured any more
	ReportHeld      = "held"      // nothing is retired, because no value was read
	ReportKept      = "kept"      // its value is gone and the policy keeps it
	ReportWaits     = "waits"     // its parent cannot be used
	ReportDuplicate = "duplicate" // a second tag of ours for one key
)

// Report is something that a person should know.
type Report struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
	ID   int64  `json:"id,omitempty"`
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Difference is what leads from the actual tree to the desired one.
type Difference struct {
	Changes []Change `json:"changes"`
	Reports []Report `json:"reports"`
	// Owned are the tags of ours as they were found, to be kept before anything is
	// changed: among them those whose creation was not answered.
	Owned  map[int64]Owned `json:"owned"`
	Digest string          `json:"digest"` // of the changes
}

// Mark returns what stands in the description of a tag of ours.
func Mark(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "qbridge:" + hex.EncodeToString(sum[:6])
}

// After returns what is kept of a tag once a change of it was answered; id is the
// new tag's for a creation. ok is false when the tag is gone.
func (c *Change) After(before Owned, id int64, parent int64) (owned Owned, ok bool) {
	f := &before.Written
	switch c.Op {
	case OpCreate:
		return Owned{Key: c.Key, Parent: parent, Written: c.Face}, id != 0
	case OpDelete:
		return Owned{}, false
	case OpRename:
		f.Name = c.Face.Name
	case OpRule, OpRetire:
		f.RuleType, f.RuleText, f.Provider = c.Face.RuleType, c.Face.RuleText, c.Face.Provider
	case OpRecolour:
		f.Color = c.Face.Color
	case OpScore:
		f.Criticality = c.Face.Criticality
	}
	return before, true
}

// place is where the children of a parent go.
type place struct {
	id     int64
	usable bool // false: nothing is done below
}

type differ struct {
	want     *Desired
	settings Settings
	actual   map[int64]*Actual
	ids      []int64 // ascending
	kids     map[int64][]int64
	ours     map[int64]Owned
	byKey    map[string]int64 // of ours that are there
	lost     map[string]int64 // of ours that are not
	places   map[string]place
	seen     map[string]bool // keys that have their place in the tree

	creates, others, retires []Change
	renames, deletes         map[int64]Change
	out                      *Difference
}

// Diff computes what is missing between the actual tree and the desired one. owned
// are the tags of ours by id. Applying the changes in their order gives the desired
// tree, and a difference taken then is empty; what stands in the way of that is in
// the reports. Nothing is ever changed of a tag that is not ours.
func Diff(want *Desired, actual []Actual, owned map[int64]Owned, s Settings) *Difference {
	x := &differ{
		want: want, settings: s, actual: make(map[int64]*Actual, len(actual)), kids: map[int64][]int64{}, ours: map[int64]Owned{}, byKey: map[string]int64{},
		lost: map[string]int64{}, places: map[string]place{}, seen: map[string]bool{}, renames: map[int64]Change{}, deletes: map[int64]Change{}, out: &Difference{},
	}
	for i := range actual {
		a := actual[i]
		a.Face = a.Face.normal()
		x.actual[a.ID] = &a
	}
	x.ids = slices.Sorted(maps.Keys(x.actual))
	for _, id := range x.ids {
		x.kids[x.actual[id].Parent] = append(x.kids[x.actual[id].Parent], id)
	}
	x.possess(owned)
	for i := range want.Tags {
		if t := &want.Tags[i]; t.ParentKey == "" {
			x.parent(t)
		}
	}
	for i := range want.Tags {
		if t := &want.Tags[i]; t.ParentKey != "" {
			x.child(t)
		}
	}
	x.gone()
	x.order()
	x.out.Owned = x.ours
	x.out.Digest = digest(x.out.Changes)
	return x.out
}

func digest(changes []Change) string {
	b, err := json.Marshal(changes)
	if err != nil { // texts and numbers only
		panic("tagging: digest: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// normal returns a face in the form in which faces compare.
func (f Face) normal() Face {
	f.RuleType, f.RuleText = cmp.Or(strings.ToUpper(strings.TrimSpace(f.RuleType)), RuleStatic), strings.TrimSpace(f.RuleText)
	f.Criticality = cmp.Or(f.Criticality, defaultScore)
	if f.Color = strings.ToUpper(f.Color); len(f.Color) == 4 {
		f.Color = "#" + strings.Repeat(f.Color[1:2], 2) + strings.Repeat(f.Color[2:3], 2) + strings.Repeat(f.Color[3:4], 2)
	}
	return f
}

// possess notes which tags are ours, one per key.
func (x *differ) possess(owned map[int64]Owned) {
	for _, id := range slices.Sorted(maps.Keys(owned)) {
		o := owned[id]
		o.Written = o.Written.normal()
		switch there := x.actual[id]; {
		case there == nil:
			x.lost[o.Key] = id
			x.ours[id] = o
		case x.byKey[o.Key] != 0:
			x.report(ReportDuplicate, o.Key, id, "a second tag of ours has the same purpose: delete one by hand")
			x.ours[id] = o
		default:
			x.byKey[o.Key], x.ours[id] = id, o
		}
	}
}

func (x *differ) report(kind, key string, id int64, format string, args ...any) {
	name := ""
	if a := x.actual[id]; a != nil {
		name = a.Name
	}
	x.out.Reports = append(x.out.Reports, Report{Kind: kind, Key: key, ID: id, Name: name, Why: fmt.Sprintf(format, args...)})
}

// find returns the tag of ours for a key, if it stands below parent taking one
// over whose creation was not answered.
func (x *differ) find(t *Tag, parent int64) int64 {
	if id := x.byKey[t.Key]; id != 0 {
		return id
	}
	for _, id := range x.kids[parent] {
		a := x.actual[id]
		if _, ours := x.ours[id]; ours {
			continue
		}
		if strings.Contains(a.Description, Mark(t.Key)) || x.settings.Unanswered[t.Key] && strings.EqualFold(a.Name, t.Name) {
			x.byKey[t.Key], x.ours[id] = id, Owned{Key: t.Key, Parent: parent, Written: a.Face}
			return id
		}
	}
	return 0
}

// parent finds the place for the children of a parent.
func (x *differ) parent(t *Tag) {
	x.seen[t.Key] = true
	if id := x.find(t, 0); id != 0 {
		x.places[t.Key] = place{id: id, usable: true}
		x.compare(t, id)
		return
	}
	theirs, many := x.foreign(t.Name)
	switch {
	case many:
		x.report(ReportForeign, t.Key, theirs, "several tags are named %q: give the parent a name of its own", t.Name)
	case theirs != 0:
		x.places[t.Key] = place{id: theirs, usable: true}
	case x.mayCreate(t):
		x.places[t.Key] = place{usable: true}
		x.create(t, 0)
	}
}

// foreign returns the tag of others by a name: at the root, else the only one
// anywhere.
func (x *differ) foreign(name string) (id int64, many bool) {
	var exact, root, below []int64
	for _, id := range x.ids {
		a := x.actual[id]
		if _, ours := x.ours[id]; ours || !strings.EqualFold(a.Name, name) {
			continue
		}
		switch {
		case a.Parent != 0:
			below = append(below, id)
		case a.Name == name:
			exact = append(exact, id)
		default:
			root = append(root, id)
		}
	}
	for _, list := range [][]int64{exact, root, below} {
		if len(list) > 0 {
			return list[0], len(list) > 1
		}
	}
	return 0, false
}

// mayCreate reports whether a tag that is not there may be made: one that was
// deleted by hand only where drift is repaired.
func (x *differ) mayCreate(t *Tag) bool {
	id, lost := x.lost[t.Key]
	if !lost {
		return true
	}
	if x.settings.Drift == DriftReport {
		x.out.Reports = append(x.out.Reports, Report{Kind: ReportDrift, Key: t.Key, ID: id, Name: t.Name, Why: "it was deleted by hand"})
		return false
	}
	delete(x.ours, id)
	return true
}

func (x *differ) create(t *Tag, parent int64) {
	_, lost := x.lost[t.Key]
	x.creates = append(x.creates, Change{
		Op: OpCreate, Key: t.Key, ParentID: parent, ParentKey: t.ParentKey, Drift: lost,
		Face: Face{Name: t.Name, RuleType: t.RuleType, RuleText: t.RuleText, Provider: t.Provider, Color: t.Color, Criticality: t.Criticality},
		// The mark is looked for later; the words are for whoever reads the tag.
		Description: "Managed by qbridge, do not edit. " + Mark(t.Key),
	})
}

// child compares the tag of a value.
func (x *differ) child(t *Tag) {
	x.seen[t.Key] = true
	p := x.places[t.ParentKey]
	if !p.usable {
		x.out.Reports = append(x.out.Reports, Report{Kind: ReportWaits, Key: t.Key, Name: t.Name, Why: "the parent tag cannot be used"})
		return
	}
	id := x.byKey[t.Key]
	if id == 0 && p.id != 0 {
		id = x.find(t, p.id)
	}
	switch {
	case id == 0 && x.mayCreate(t):
		x.create(t, p.id)
	case id == 0:
	case x.actual[id].Parent != p.id:
		x.report(ReportMoved, t.Key, id, "it does not stand below its parent: move it back by hand, or delete it")
	default:
		x.compare(t, id)
	}
}
