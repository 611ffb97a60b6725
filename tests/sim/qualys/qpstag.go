package qualys

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func tagCriteria() map[string]qpsClass {
	return map[string]qpsClass{
		"id": qpsInteger, "name": qpsText, "parent": qpsInteger, "ruleType": qpsKeyword, "provider": qpsKeyword, "color": qpsText,
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func simple(id int64, name string) elem {
	e := objectElem("TagSimple", numberElem("id", strconv.FormatInt(id, 10)))
	e.addText("name", name)
	return e
}

func tagRecord(t tag, all []tag) qpsRecord {
	return qpsRecord{id: t.ID, elem: func() elem { return tagElem(t, all) }, field: func(name string) []string {
		switch name {
		case "id":
			return []string{strconv.FormatInt(t.ID, 10)}
		case "name":
			return []string{t.Name}
		case "parent":
			return []string{strconv.FormatInt(t.Parent, 10)}
		case "ruleType":
			return []string{t.RuleType}
		case "provider":
			return []string{t.Provider}
		}
		return []string{t.Color}
	}}
}

func tagElem(t tag, all []tag) elem {
	e := objectElem("Tag", numberElem("id", strconv.FormatInt(t.ID, 10)), textElem("name", t.Name))
	if t.Parent != 0 {
		e.add(numberElem("parentTagId", strconv.FormatInt(t.Parent, 10)))
	}
	e.add(textElem("created", stamp(t.Created)), textElem("modified", stamp(t.Modified)))
	e.addText("color", t.Color)
	e.addText("description", t.Description)
	e.add(numberElem("criticalityScore", strconv.Itoa(t.Criticality)))
	e.addText("ruleText", t.RuleText)
	e.add(textElem("ruleType", t.RuleType))
	e.addText("provider", t.Provider)
	var children []elem
	for _, c := range all {
		if c.Parent == t.ID {
			children = append(children, simple(c.ID, c.Name))
		}
	}
	if children != nil {
		e.add(listOf("children", children...))
	}
	return e
}

var tagColor = regexp.MustCompile(`^#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)

// fill takes the writable members of a request.
func (t *tag) fill(n *node) *qpsFailure {
	for name, to := range map[string]*string{
		"name": &t.Name, "ruleType": &t.RuleType, "ruleText": &t.RuleText, "provider": &t.Provider, "color": &t.Color, "description": &t.Description,
	} {
		if v, ok := n.value(name); ok {
			*to = v
		}
	}
	if v, ok := n.value("parentTagId"); ok {
		id, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return invalid400("Invalid value for parentTagId ("+v+").", "Specify the value as Long.")
		}
		t.Parent = id
	}
	if v, ok := n.value("criticalityScore"); ok {
		score, err := strconv.Atoi(v)
		if err != nil || score < 1 || score > 5 {
			return invalid400("Invalid value for criticalityScore ("+v+").", "Specify a value from 1 to 5.")
		}
		t.Criticality = score
	}
	return nil
}

// sound checks a tag against the others; it must hold before the tag is stored.
func (t *tag) sound(all []tag, now time.Time) *qpsFailure {
	switch {
	case t.Name == "" || len([]rune(t.Name)) > 1024:
		return invalid400("Tag name is mandatory and has at most 1024 characters.", "Specify a name.")
	case t.Color != "" && !tagColor.MatchString(t.Color):
		return invalid400("Invalid color ("+t.Color+").", "Specify #RGB or #RRGGBB.")
	case t.Provider != "" && !slices.Contains([]string{"EC2", "AZURE", "GCP", "IBM", "OCI", "Alibaba"}, t.Provider):
		return invalid400("Invalid provider ("+t.Provider+").", "Specify a provider of CLOUD_ASSET.")
	}
	parent := t.Parent == 0
	for _, other := range all {
		parent = parent || other.ID == t.Parent && other.ID != t.ID
		if other.ID != t.ID && other.Parent == t.Parent && other.Name == t.Name {
			return invalid400("A tag with name '"+t.Name+"' already exists.", "Specify another name.")
		}
	}
	if !parent {
		return invalid400("Parent tag "+strconv.FormatInt(t.Parent, 10)+" does not exist.", "Specify an existing tag.")
	}
	if _, err := compileRule(*t, func() time.Time { return now }); err != nil {
		return invalid400("Invalid rule: "+err.Error()+".", "Correct ruleType and ruleText.")
	}
	return nil
}

// keep journals and stores tags, all or none.
func (s *Server) keep(changed []tag) *qpsFailure {
	for i := range changed {
		if err := s.record(journalLine{Tag: &changed[i]}); err != nil {
			return &qpsFailure{"INTERNAL_ERROR", err.Error(), ""}
		}
		if err := s.tags.put(changed[i]); err != nil {
			return &qpsFailure{"INTERNAL_ERROR", err.Error(), ""}
		}
	}
	return nil
}

// createTag serves create/am/tag, children included.
func (s *Server) createTag(c *qpsCall) ([]elem, *qpsFailure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := c.request.data.child("Tag")
	if in == nil {
		return nil, invalid400("The request has no data.", "Specify data with a Tag.")
	}
	now := s.opts.Now().UTC()
	all := s.tags.sorted()
	next := s.tags.nextID()
	t := tag{ID: next, RuleType: static, Criticality: 2, Created: now, Modified: now, Ready: now.Add(s.opts.TagDelay)}
	if f := t.fill(in); f != nil {
		return nil, f
	}
	if f := t.sound(all, now); f != nil {
		return nil, f
	}
	made := []tag{t}
	more, f := t.children(in.child("children"), append(all, t), now, next+1)
	if f == nil {
		made = append(made, more...)
		f = s.keep(made)
	}
	if f != nil {
		return nil, f
	}
	return []elem{numberElem("count", "1"), listElem("data", tagElem(t, s.tags.sorted()))}, nil
}

// children makes the static tags that children.set and children.add name.
func (t *tag) children(n *node, all []tag, now time.Time, next int64) (made []tag, f *qpsFailure) {
	for _, kind := range []string{"set", "add"} {
		for _, in := range n.child(kind).all("TagSimple") {
			if id, ok := in.value("id"); ok {
				return nil, invalid400("Child "+id+" cannot be moved.", "Specify names of new children.")
			}
			child := tag{ID: next, Parent: t.ID, RuleType: static, Criticality: 2, Created: now, Modified: now}
			child.Name, _ = in.value("name")
			if f := child.sound(all, now); f != nil {
				return nil, f
			}
			next++
			made, all = append(made, child), append(all, child)
		}
	}
	return made, nil
}

// changeTags serves update, delete and evaluate of the tags that the id or the filters name.
func (s *Server) changeTags(c *qpsCall) ([]elem, *qpsFailure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.tags.sorted()
	var chosen []tag
	for _, t := range all {
		if c.request.match(tagRecord(t, all)) {
			chosen = append(chosen, t)
		}
	}
	if len(chosen) == 0 && c.id != "" {
		return nil, notFound("Tag", c.id)
	}
	var f *qpsFailure
	switch c.op {
	case "update":
		f = s.updateTags(c, chosen, all)
	case "delete":
		f = s.deleteTags(chosen, all)
	default:
		// Evaluation is only queued. Members of dynamic tags follow the estate anyway, so nothing is left to do.
	}
	if f != nil {
		return nil, f
	}
	data := listElem("data")
	for _, t := range chosen {
		data.add(objectElem("Tag", numberElem("id", strconv.FormatInt(t.ID, 10))))
	}
	return []elem{numberElem("count", strconv.Itoa(len(chosen))), data}, nil
}

func (s *Server) updateTags(c *qpsCall, chosen, all []tag) *qpsFailure {
	in := c.request.data.child("Tag")
	if in == nil {
		return invalid400("The request has no data.", "Specify data with a Tag.")
	}
	children := in.child("children")
	removed := children.child("remove").all("TagSimple")
	if removed != nil && (children.child("set") != nil || children.child("add") != nil) {
		return invalid400("Children cannot be added and removed in one call.", "Send two calls.")
	}
	now := s.opts.Now().UTC()
	var changed, gone []tag
	for _, t := range chosen {
		before := t
		if f := t.fill(in); f != nil {
			return f
		}
		t.Modified = now
		if t.RuleType != before.RuleType || t.RuleText != before.RuleText || t.Provider != before.Provider {
			t.Ready = now.Add(s.opts.TagDelay)
		}
		if f := t.sound(all, now); f != nil {
			return f
		}
		more, f := t.children(children, all, now, s.tags.nextID()+int64(len(changed)))
		if f != nil {
			return f
		}
		changed = append(append(changed, t), more...)
		for _, r := range removed {
			id, _ := r.value("id")
			at := slices.IndexFunc(all, func(o tag) bool { return strconv.FormatInt(o.ID, 10) == id && o.Parent == t.ID })
			if at < 0 {
				return invalid400("Tag "+id+" is not a child.", "Specify ids of children.")
			}
			gone = append(gone, all[at])
		}
	}
	if f := s.keep(changed); f != nil {
		return f
	}
	return s.deleteTags(gone, all)
}

// deleteTags removes tags and everything below them. The trees that the platform manages cannot be removed.
func (s *Server) deleteTags(chosen, all []tag) *qpsFailure {
	gone := map[int64]bool{}
	for _, t := range chosen {
		gone[t.ID] = true
	}
	for grown := true; grown; {
		grown = false
		for _, t := range all {
			if gone[t.Parent] && !gone[t.ID] {
				gone[t.ID], grown = true, true
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for _, t := range all {
		if gone[t.ID] && t.system {
			return invalid400("Tag '"+t.Name+"' is managed by the system.", "Choose another tag.")
		}
	}
	ids := slices.Sorted(maps.Keys(gone))
	if err := s.record(journalLine{Untag: ids}); err != nil {
		return &qpsFailure{"INTERNAL_ERROR", err.Error(), ""}
	}
	s.tags.drop(ids)
	return nil
}

// tagAssets serves update/am/hostasset: static tags put on, taken off or replaced, one of these in a call.
func (s *Server) tagAssets(c *qpsCall) ([]elem, *qpsFailure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags := c.request.data.child("HostAsset").child("tags")
	if tags == nil {
		return nil, invalid400("The request has no tags.", "Specify data with a HostAsset and its tags.")
	}
	var a assignment
	for _, kind := range []string{"add", "remove", "set"} {
		if tags.child(kind) != nil {
			if a.Kind != "" {
				return nil, invalid400("Only one of add, remove and set is allowed.", "Send several calls.")
			}
			a.Kind = kind
		}
	}
	if a.Kind == "" {
		return nil, invalid400("The request has no tags.", "Specify add, remove or set.")
	}
	all := s.tags.sorted()
	for _, n := range tags.child(a.Kind).all("TagSimple") {
		id, _ := n.value("id")
		at := slices.IndexFunc(all, func(t tag) bool { return strconv.FormatInt(t.ID, 10) == strings.TrimSpace(id) })
		if at < 0 {
			return nil, invalid400("Tag "+id+" does not exist.", "Specify ids of existing tags.")
		}
		if all[at].RuleType != static || all[at].system {
			return nil, invalid400("Tag "+id+" is not static.", "Only static tags can be assigned.")
		}
		a.Tags = append(a.Tags, all[at].ID)
	}
	data := listElem("data")
	s.qpsEach(c, func(rec qpsRecord) bool {
		a.Assets = append(a.Assets, rec.id)
		data.add(objectElem("HostAsset", numberElem("id", strconv.FormatInt(rec.id, 10))))
		return true
	})
	if len(a.Assets) == 0 {
		if c.id != "" {
			return nil, notFound("HostAsset", c.id)
		}
		return []elem{numberElem("count", "0")}, nil
	}
	if err := s.record(journalLine{Assign: &a}); err != nil {
		return nil, &qpsFailure{"INTERNAL_ERROR", err.Error(), ""}
	}
	s.tags.assign(a)
	return []elem{numberElem("count", strconv.Itoa(len(a.Assets))), data}, nil
}
