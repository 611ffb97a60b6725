package qualys

import (
	"errors"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// tag is a tag of the subscription. The estate's own tags are static ones.
type tag struct {
	ID          int64     `json:"id"`
	Name        string    `json:"name"`
	Parent      int64     `json:"parent,omitempty"`
	RuleType    string    `json:"ruleType,omitempty"`
	RuleText    string    `json:"ruleText,omitempty"`
	Provider    string    `json:"provider,omitempty"`
	Color       string    `json:"color,omitempty"`
	Description string    `json:"description,omitempty"`
	Criticality int       `json:"criticality,omitempty"`
	Created     time.Time `json:"created"`
	Modified    time.Time `json:"modified"`
	// Ready is when the rule has been evaluated; until then the tag has the members of the rule before.
	Ready time.Time `json:"ready"`

	system        bool
	rule, earlier predicate
}

const static = "STATIC"

// assignment is what a call of update hostasset did to static tags.
type assignment struct {
	Kind   string  `json:"kind"`
	Assets []int64 `json:"assets"`
	Tags   []int64 `json:"tags"`
}

// tagStore holds what was done to tags since the first start; as long as nothing was, assets keep the estate's tags.
type tagStore struct {
	now     func() time.Time
	estate  *estate.Estate
	touched atomic.Bool

	mu   sync.RWMutex
	tags map[int64]*tag
	// hand says of an asset which static tags were put on (true) or taken off (false) by hand.
	hand map[int64]map[int64]bool
	next int64
}

func newTagStore(e *estate.Estate, now func() time.Time) *tagStore {
	t := &tagStore{now: now, estate: e}
	t.reset()
	return t
}

func (t *tagStore) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tags, t.hand = map[int64]*tag{}, map[int64]map[int64]bool{}
	founded := time.Date(2025, 1, 1, 8, 0, 0, 0, time.UTC)
	for i := range estate.TagCount {
		name := estate.TagName(i)
		t.tags[estate.TagID(i)] = &tag{
			ID: estate.TagID(i), Name: name, RuleType: static, Created: founded, Modified: founded, Criticality: 2,
			system: name == "Cloud Agent" || name == "Business Units" || name == "Unassigned Business Unit",
		}
	}
	t.next = estate.TagID(10_000)
	t.touched.Store(false)
}

// put adds or replaces a tag. A rule that is the same as before needs no time.
func (t *tagStore) put(n tag) error {
	rule, err := compileRule(n, t.now)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n.rule = rule
	if old := t.tags[n.ID]; old != nil {
		n.system = old.system
		n.earlier = old.rule
		if t.now().Before(old.Ready) {
			n.earlier = old.earlier
		}
	}
	t.tags[n.ID] = &n
	t.next = max(t.next, n.ID+1)
	t.touched.Store(true)
	return nil
}

func (t *tagStore) drop(ids []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		delete(t.tags, id)
	}
	t.touched.Store(true)
}

func (t *tagStore) assign(a assignment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.touched.Store(true)
	for _, id := range a.Assets {
		hand := t.hand[id]
		if hand == nil {
			hand = map[int64]bool{}
			t.hand[id] = hand
		}
		if a.Kind == "set" {
			for other, n := range t.tags {
				if n.RuleType == static && !n.system {
					hand[other] = false
				}
			}
		}
		for _, tagID := range a.Tags {
			hand[tagID] = a.Kind != "remove"
		}
	}
}

// sorted returns copies of all tags, ascending by id.
func (t *tagStore) sorted() []tag {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]tag, 0, len(t.tags))
	for _, id := range slices.Sorted(maps.Keys(t.tags)) {
		out = append(out, *t.tags[id])
	}
	return out
}

// of returns the tags of an asset, ascending by id. Dynamic tags follow the estate: once a rule has been evaluated,
// assets join and leave as they change.
func (t *tagStore) of(a *estate.Asset) []estate.Label {
	t.mu.RLock()
	defer t.mu.RUnlock()
	has := map[int64]bool{}
	for _, own := range a.Tags {
		has[estate.TagID(own)] = true
	}
	maps.Copy(has, t.hand[a.ID])
	now := t.now()
	for id, n := range t.tags {
		if n.RuleType == static {
			continue
		}
		rule := n.rule
		if now.Before(n.Ready) {
			rule = n.earlier
		}
		has[id] = rule != nil && rule(t.estate, a)
	}
	out := []estate.Label{}
	for _, id := range slices.Sorted(maps.Keys(has)) {
		if n := t.tags[id]; has[id] && n != nil {
			out = append(out, estate.Label{ID: id, Name: n.Name})
		}
	}
	return out
}

// show gives the asset the tags it has now, for the answers of the inventory.
func (t *tagStore) show(a *estate.Asset) {
	if t.touched.Load() {
		a.Labels, a.Tags = t.of(a), nil
	}
}

// errDisabled refuses rules that the subscription is not enabled for.
var errDisabled = errors.New("the rule type is not enabled for the subscription")

// compileRule makes the rule of a dynamic tag; nil for a static one. The syntax of ASSET_SEARCH and of tag sets is not
// public, and the estate has no vulnerabilities: such tags are accepted and stay empty.
func compileRule(n tag, now func() time.Time) (predicate, error) {
	if n.RuleType == static {
		return nil, nil
	}
	if n.RuleText == "" {
		return nil, errors.New("ruleText is mandatory for a dynamic tag")
	}
	if (n.Provider != "") != (n.RuleType == "CLOUD_ASSET") {
		return nil, errors.New("provider belongs to CLOUD_ASSET, which needs it")
	}
	switch n.RuleType {
	case "GLOBAL_ASSET_VIEW", "CLOUD_ASSET", "BUSINESS_INFORMATION":
		return parseQQL(n.RuleText, now)
	case "OS_REGEX", "NAME_CONTAINS", "INSTALLED_SOFTWARE":
		return textRule(n.RuleType, n.RuleText)
	case "NETWORK_RANGE":
		return rangeRule(n.RuleText)
	case "OPEN_PORTS":
		return portRule(n.RuleText)
	case "VULN_EXIST", "ASSET_SEARCH", "TAG_SET":
		return func(*estate.Estate, *estate.Asset) bool { return false }, nil
	case "GROOVY":
		return nil, errDisabled
	}
	return nil, errors.New("unknown ruleType " + n.RuleType)
}

func textRule(kind, text string) (predicate, error) {
	if kind == "OS_REGEX" {
		// A pattern describes the whole text, as the vendor's examples with .* at both ends show.
		text = "^(?:" + text + ")$"
	}
	re, err := regexp.Compile("(?is)" + text)
	if err != nil {
		return nil, errors.New("ruleText is not a regular expression")
	}
	return func(e *estate.Estate, a *estate.Asset) bool {
		switch kind {
		case "OS_REGEX":
			return a.OS.Full != "" && re.MatchString(a.OS.Full)
		case "NAME_CONTAINS":
			return re.MatchString(a.Name)
		}
		found := false
		e.SoftwareNames(a, func(name, _, _, _, _ string) bool {
			found = re.MatchString(name)
			return !found
		})
		return found
	}, nil
}

func rangeRule(text string) (predicate, error) {
	var spans []span
	for part := range strings.SplitSeq(text, ",") {
		s, err := parseSpan(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		spans = append(spans, s)
	}
	inside := func(ip netip.Addr) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return s.first.Compare(ip) <= 0 && ip.Compare(s.last) <= 0 })
	}
	return func(_ *estate.Estate, a *estate.Asset) bool { return inside(a.Address) }, nil
}

// span is a range of addresses, both ends included.
type span struct{ first, last netip.Addr }

func parseSpan(text string) (span, error) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, err1 := netip.ParseAddr(strings.TrimSpace(low))
	last, err2 := netip.ParseAddr(strings.TrimSpace(high))
	if err1 != nil || err2 != nil || last.Less(first) || !first.Is4() || !last.Is4() {
		return span{}, errors.New("invalid address or range: " + text)
	}
	return span{first, last}, nil
}

func portRule(text string) (predicate, error) {
	want := map[int]bool{}
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > 65535 {
			return nil, errors.New("invalid port: " + part)
		}
		want[n] = true
	}
	return func(_ *estate.Estate, a *estate.Asset) bool {
		return slices.ContainsFunc(a.Ports(), func(p estate.Port) bool { return want[p.Number] })
	}, nil
}

// nextID is an id above every id that was given out.
func (t *tagStore) nextID() int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.next
}

// replay repeats what the journal says was done to tags.
func (t *tagStore) replay(line journalLine) error {
	switch {
	case line.Tag != nil:
		return t.put(*line.Tag)
	case line.Untag != nil:
		t.drop(line.Untag)
	case line.Assign != nil:
		t.assign(*line.Assign)
	}
	return nil
}
