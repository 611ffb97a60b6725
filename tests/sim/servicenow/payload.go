package servicenow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// payload is a parsed IRE request body.
type payload struct {
	items     []*item
	relations []*relation
	refItems  []refItem
	// lockedItem is the item that a planned fault lets run into a lock, -1 for none.
	lockedItem int
}

// head is what a transaction gets done before its quota cancels it: the first n
// items and the relations among them.
func (p *payload) head(n int) *payload {
	out := &payload{items: p.items[:min(n, len(p.items))], lockedItem: p.lockedItem}
	ids := p.ids()
	for _, ref := range p.refItems {
		if ids[ref.Referenced].main < n && ids[ref.ReferencedBy].main < n {
			out.refItems = append(out.refItems, ref)
		}
	}
	for _, r := range p.relations {
		if r.parentRef.ok && r.childRef.ok && r.parentRef.main < n && r.childRef.main < n {
			out.relations = append(out.relations, r)
		}
	}
	return out
}

// item is one CI, lookup record or related record of a payload.
type item struct {
	className  string
	internalID string
	values     map[string]string
	display    map[string]string
	lookup     []*item
	related    []*item
	settings   itemSettings
	source     sourceInfo
	classFlags map[string]bool // classUpgrade, classDowngrade, classSwitch when sent
	raw        json.RawMessage
}

type itemSettings struct {
	withoutUpgrade, withoutDowngrade, withoutSwitch, skipRestrictions bool
}

// sourceInfo is sys_object_source_info.
type sourceInfo struct {
	name, key, feed, recency string
}

func (s sourceInfo) complete() bool { return s.name != "" && s.key != "" }

type relation struct {
	parent, child       ref
	kind                string
	sourceName, feed    string
	raw                 json.RawMessage
	parentRef, childRef endpoint
}

// ref is an end of a relation as sent: an index or an internal id.
type ref struct {
	index int
	id    string
	byID  bool
}

func (r ref) String() string {
	if r.byID {
		return r.id
	}
	return strconv.Itoa(r.index)
}

// endpoint is what an end of a relation resolves to: top-level item main, or
// its sub-th lookup or related record.
type endpoint struct {
	main, sub int // sub is -1 for the item itself
	ok        bool
}

type refItem struct {
	Referenced     string `json:"referenced"`
	ReferencedBy   string `json:"referencedBy"`
	ReferenceField string `json:"referenceField"`
}

// errPayload marks a body that cannot be mapped at all; its text is what the
// instance's JSON library says.
var errPayload = errors.New("servicenow: payload")

type itemJSON struct {
	ClassName  string                     `json:"className"`
	InternalID text                       `json:"internal_id"`
	Values     map[string]json.RawMessage `json:"values"`
	Display    map[string]json.RawMessage `json:"display_values"`
	Lookup     []json.RawMessage          `json:"lookup"`
	Related    []json.RawMessage          `json:"related"`
	Settings   map[string]flexBool        `json:"settings"`
	Source     *sourceJSON                `json:"sys_object_source_info"`
	Upgrade    *flexBool                  `json:"classUpgrade"`
	Downgrade  *flexBool                  `json:"classDowngrade"`
	Switch     *flexBool                  `json:"classSwitch"`
}

type sourceJSON struct {
	Name    text `json:"source_name"`
	Key     text `json:"source_native_key"`
	Feed    text `json:"source_feed"`
	Recency text `json:"source_recency_timestamp"`
}

type relationJSON struct {
	Parent   json.RawMessage `json:"parent"`
	Child    json.RawMessage `json:"child"`
	ParentID *text           `json:"parent_id"`
	ChildID  *text           `json:"child_id"`
	Type     string          `json:"type"`
	Source   *sourceJSON     `json:"sys_rel_source_info"`
}

// text accepts what a lenient string field accepts: any JSON scalar.
type text string

// UnmarshalJSON takes strings, numbers, booleans and null.
func (t *text) UnmarshalJSON(b []byte) error {
	v, err := scalar(b)
	*t = text(v)
	return err
}

// flexBool accepts true, "true", false, "false".
type flexBool bool

// UnmarshalJSON takes a boolean or its text.
func (f *flexBool) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true":
		*f = true
	case "false", "null", "":
		*f = false
	default:
		return fmt.Errorf("%w: Cannot deserialize value of type `java.lang.Boolean` from String %s: only \"true\" or \"false\" recognized", errPayload, b)
	}
	return nil
}

func scalar(b []byte) (string, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || string(b) == "null" {
		return "", nil
	}
	switch b[0] {
	case '"':
		var s string
		err := json.Unmarshal(b, &s)
		return s, err
	case '{':
		return "", fmt.Errorf("%w: Cannot deserialize value of type `java.lang.String` from Object value (token `JsonToken.START_OBJECT`)", errPayload)
	case '[':
		return "", fmt.Errorf("%w: Cannot deserialize value of type `java.lang.String` from Array value (token `JsonToken.START_ARRAY`)", errPayload)
	}
	return string(b), nil
}

// parsePayload reads an IRE body. Keys that the documentation does not list
// are ignored; a data source inside the body is one of them.
func parsePayload(body []byte) (*payload, error) {
	var top struct {
		Items     []json.RawMessage `json:"items"`
		Relations []json.RawMessage `json:"relations"`
		RefItems  []refItem         `json:"referenceItems"`
	}
	if err := json.Unmarshal(body, &top); err != nil {
		return nil, err
	}
	p := &payload{refItems: top.RefItems, lockedItem: -1}
	for _, raw := range top.Items {
		it, err := parseItem(raw, true)
		if err != nil {
			return nil, err
		}
		p.items = append(p.items, it)
	}
	for _, raw := range top.Relations {
		r, err := parseRelation(raw)
		if err != nil {
			return nil, err
		}
		p.relations = append(p.relations, r)
	}
	p.resolve()
	return p, nil
}

func parseItem(raw json.RawMessage, top bool) (*item, error) {
	var j itemJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, err
	}
	it := &item{className: j.ClassName, internalID: string(j.InternalID), raw: raw}
	var err error
	if it.values, err = scalars(j.Values); err != nil {
		return nil, err
	}
	if it.display, err = scalars(j.Display); err != nil {
		return nil, err
	}
	if j.Source != nil {
		it.source = sourceInfo{string(j.Source.Name), string(j.Source.Key), string(j.Source.Feed), string(j.Source.Recency)}
	}
	if !top {
		return it, nil
	}
	it.settings = itemSettings{bool(j.Settings["updateWithoutUpgrade"]), bool(j.Settings["updateWithoutDowngrade"]),
		bool(j.Settings["updateWithoutSwitch"]), bool(j.Settings["skipReclassificationRestrictionRules"])}
	it.classFlags = map[string]bool{}
	for name, v := range map[string]*flexBool{"upgrade": j.Upgrade, "downgrade": j.Downgrade, "switch": j.Switch} {
		if v != nil {
			it.classFlags[name] = bool(*v)
		}
	}
	if it.lookup, err = parseSubs(j.Lookup); err != nil {
		return nil, err
	}
	it.related, err = parseSubs(j.Related)
	return it, err
}

func parseSubs(raws []json.RawMessage) ([]*item, error) {
	out := make([]*item, 0, len(raws))
	for _, raw := range raws {
		it, err := parseItem(raw, false)
		if err != nil {
			return nil, err
		}
		out = append(out, it)
	}
	return out, nil
}

func scalars(in map[string]json.RawMessage) (map[string]string, error) {
	out := make(map[string]string, len(in))
	for k, raw := range in {
		v, err := scalar(raw)
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, nil
}

func parseRelation(raw json.RawMessage) (*relation, error) {
	var j relationJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, err
	}
	r := &relation{kind: j.Type, raw: raw}
	if j.Source != nil {
		r.sourceName, r.feed = string(j.Source.Name), string(j.Source.Feed)
	}
	var err error
	if r.parent, err = parseRef(j.ParentID, j.Parent); err != nil {
		return nil, err
	}
	r.child, err = parseRef(j.ChildID, j.Child)
	return r, err
}

func parseRef(id *text, raw json.RawMessage) (ref, error) {
	if id != nil && *id != "" {
		return ref{id: string(*id), byID: true}, nil
	}
	v, err := scalar(raw)
	if err != nil {
		return ref{}, err
	}
	if v == "" {
		return ref{index: -1}, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return ref{}, fmt.Errorf("%w: Cannot deserialize value of type `java.lang.Integer` from String %q: not a valid `java.lang.Integer` value", errPayload, v)
	}
	return ref{index: int(n)}, nil
}

// resolve finds what every end of every relation points at.
func (p *payload) resolve() {
	ids := p.ids()
	find := func(r ref) endpoint {
		if r.byID {
			return ids[r.id]
		}
		return endpoint{main: r.index, sub: -1, ok: r.index >= 0 && r.index < len(p.items)}
	}
	for _, r := range p.relations {
		r.parentRef, r.childRef = find(r.parent), find(r.child)
	}
}

// ids maps every internal_id of the payload: items, lookup and related records
// share one namespace, the first holder of an id wins.
func (p *payload) ids() map[string]endpoint {
	ids := map[string]endpoint{}
	put := func(id string, e endpoint) {
		if _, taken := ids[id]; id != "" && !taken {
			ids[id] = e
		}
	}
	for i, it := range p.items {
		put(it.internalID, endpoint{i, -1, true})
	}
	for i, it := range p.items {
		for j, sub := range it.subs() {
			put(sub.internalID, endpoint{i, j, true})
		}
	}
	return ids
}

// subs are the lookup records, then the related ones: the order of subIndex.
func (it *item) subs() []*item {
	if len(it.related) == 0 {
		return it.lookup
	}
	return append(append(make([]*item, 0, len(it.lookup)+len(it.related)), it.lookup...), it.related...)
}

// quoted is the item as error messages print it, in part when it is large.
// With a source it is the item as the engine received it at that time.
func (it *item) quoted(source string, received time.Time) string {
	return clip(it.encoded(source, received))
}

// encoded is the item as JSON, without its lookup and related records.
func (it *item) encoded(source string, received time.Time) string {
	values := map[string]string{}
	for k, v := range it.values {
		values[k] = v
	}
	out := map[string]any{"className": it.className, "values": values, "lookup": []any{}, "related": []any{}, "settings": map[string]any{}}
	if source != "" {
		values["discovery_source"] = source
		out["sys_ire_info"] = map[string]string{"ire_received_time": received.UTC().Format(timeLayout)}
	}
	if it.internalID != "" {
		out["internal_id"] = it.internalID
	}
	if it.source.complete() {
		info := map[string]string{"source_name": it.source.name, "source_native_key": it.source.key}
		for name, v := range map[string]string{"source_feed": it.source.feed, "source_recency_timestamp": it.source.recency} {
			if v != "" {
				info[name] = v
			}
		}
		out["sys_object_source_info"] = info
	}
	b, err := json.Marshal(out)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// quoteLimit bounds what one message quotes of a payload. Every dependent of a
// failed host quotes its host: without a bound the answer to ten megabytes
// could be hundreds of gigabytes.
const quoteLimit = 8 << 10

func clip(text string) string {
	if len(text) <= quoteLimit {
		return text
	}
	return strings.ToValidUTF8(text[:quoteLimit], "") + "..."
}

// sortedKeys gives the columns of an item in a fixed order.
func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
