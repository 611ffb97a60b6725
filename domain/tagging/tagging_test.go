package tagging_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/tagging"
)

// groups is the attribute of most tests.
func groups(change ...func(*tagging.Attribute)) tagging.Attribute {
	a := tagging.Attribute{
		Name: "support-group", Table: "cmdb_ci_server", Column: "support_group.name", Parent: "Support group",
		Rule: "asset.businessInfo.supportGroup:{{value}}", Color: "#FF8800",
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

func values(texts ...string) []tagging.Value {
	var out []tagging.Value
	for _, t := range texts {
		out = append(out, tagging.Value{Text: t, CIs: 1})
	}
	return out
}

func none(string) bool { return false }

func desire(t require.TestingT, a tagging.Attribute, texts ...string) *tagging.Desired {
	d, err := tagging.Desire([]tagging.Attribute{a}, map[string][]tagging.Value{a.Name: values(texts...)}, none)
	require.NoError(t, err)
	return d
}

// ops are the changes in short.
func ops(d *tagging.Difference) []string {
	var out []string
	for _, c := range d.Changes {
		text := string(c.Op) + " " + c.Face.Name
		if c.Op == tagging.OpRule || c.Op == tagging.OpRetire {
			text = string(c.Op) + " " + c.Face.RuleText
		}
		out = append(out, strings.TrimSpace(text))
	}
	return out
}

func kinds(d *tagging.Difference) []string {
	var out []string
	for _, r := range d.Reports {
		out = append(out, r.Kind+" "+r.Name)
	}
	return out
}

func TestAnAttributeBecomesAParentAndATagPerValue(t *testing.T) {
	t.Parallel()
	d := desire(t, groups(), "Windows L2", "Linux L2", " linux l2 ", "", "Network")
	require.Empty(t, d.Refused)
	require.Empty(t, cmp.Diff([]tagging.Tag{
		{Key: "^support group", Name: "Support group", RuleType: "STATIC", Color: "#FF8800", Criticality: 2},
		child("Linux L2"), child("Network"), child("Windows L2"),
	}, d.Tags), "values that differ in case only are one")
}

func child(value string) tagging.Tag {
	return tagging.Tag{
		Key: "support-group/" + strings.ToLower(value), ParentKey: "^support group", Attribute: "support-group", Name: value,
		RuleType: "GLOBAL_ASSET_VIEW", RuleText: "asset.businessInfo.supportGroup:`" + value + "`", Color: "#FF8800", Criticality: 2,
	}
}

func TestValuesAreWrittenIntoRulesAsTheirTypeNeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ ruleType, template, value, want, refused string }{
		"quotes":                     {"", "x:{{value}}", `O"Brien's`, "x:`O\"Brien's`", ""},
		"a back-tick":                {"", "x:{{value}}", "a`b", "", "has a back-tick"},
		"a backslash":                {"", "x:{{value}}", `CORP\jdoe`, "", "set backslash to literal or escaped"},
		"a colon":                    {"", "x:{{value}}", "tier: 1", "x:`tier: 1`", ""},
		"an emoji":                   {"", "x:{{value}}", "Ops 😀", "x:`Ops 😀`", ""},
		"an attempt at another rule": {"", "x:{{value}}", "a` or asset.name:`b", "", "has a back-tick"},
		"words of the language":      {"", "x:{{value}}", "a or (not b)", "x:`a or (not b)`", ""},
		"twice in one rule":          {"", "x:{{value}} or y:{{value}}", "a", "x:`a` or y:`a`", ""},
		"a regular expression":       {"OS_REGEX", ".*{{value}}.*", "C++ (R)", `.*C\+\+ \(R\).*`, ""},
		"a network":                  {"NETWORK_RANGE", "{{value}}", "10.0.0.0/30, 10.0.0.9", "10.0.0.0-10.0.0.3,10.0.0.9", ""},
		"no network":                 {"NETWORK_RANGE", "{{value}}", "server room", "", "no address"},
		"ports":                      {"OPEN_PORTS", "{{value}}", "80, 443", "80,443", ""},
		"no port":                    {"OPEN_PORTS", "{{value}}", "70000", "", "no list of numbers"},
		"no vulnerability":           {"VULN_EXIST", "{{value}}", "QID 7", "", "no list of numbers"},
		"1,100 characters":           {"", "x:{{value}}", strings.Repeat("é", 1100), "", "would have 1100 characters, at most 1024"},
		"1,024 characters":           {"", "x:{{value}}", strings.Repeat("é", 1024), "x:`" + strings.Repeat("é", 1024) + "`", ""},
		"more than Qualys keeps":     {"", "x:{{value}}", strings.Repeat("x", 129), "", ""},
	} {
		limit := 0
		if name == "more than Qualys keeps" {
			limit, c.refused = 128, "of which Qualys keeps 128"
		}
		d := desire(t, groups(func(a *tagging.Attribute) { a.RuleType, a.Rule, a.ValueLimit = c.ruleType, c.template, limit }), c.value)
		if c.refused != "" {
			require.Len(t, d.Refused, 1, name)
			require.Contains(t, d.Refused[0].Why, c.refused, name)
			require.LessOrEqual(t, len([]rune(d.Refused[0].Value)), 100, name)
			require.Len(t, d.Tags, 1, name)
			continue
		}
		require.Empty(t, d.Refused, name)
		require.Equal(t, c.want, d.Tags[1].RuleText, name)
	}
}

func TestABackslashIsWrittenAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	for backslash, want := range map[string]string{"literal": "x:`CORP\\jdoe`", "escaped": "x:`CORP\\\\jdoe`"} {
		d := desire(t, groups(func(a *tagging.Attribute) { a.Backslash, a.Rule = backslash, "x:{{value}}" }), `CORP\jdoe`)
		require.Empty(t, d.Refused)
		require.Equal(t, want, d.Tags[1].RuleText)
	}
}

func TestAWrongAttributeIsRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*tagging.Attribute){
		"is not a name":              func(a *tagging.Attribute) { a.Name = "Support Group" },
		"table and column":           func(a *tagging.Attribute) { a.Column = "" },
		"parent must be":             func(a *tagging.Attribute) { a.Parent = " x" },
		"same name":                  func(a *tagging.Attribute) { a.Child = "all" },
		"same assets":                func(a *tagging.Attribute) { a.Rule = "x:y" },
		"stands between quotes":      func(a *tagging.Attribute) { a.Rule = "x:\"{{value}}\"" },
		"none of GLOBAL_ASSET_VIEW":  func(a *tagging.Attribute) { a.RuleType = "GROOVY" },
		"static tag has no rule":     func(a *tagging.Attribute) { a.RuleType = "STATIC" },
		"write #RRGGBB":              func(a *tagging.Attribute) { a.Color = "red" },
		"from 1 to 5":                func(a *tagging.Attribute) { a.Criticality = 6 },
		"literal, escaped":           func(a *tagging.Attribute) { a.Backslash = "both" },
		"must not be negative":       func(a *tagging.Attribute) { a.MinCIs = -1 },
		"none of keep":               func(a *tagging.Attribute) { a.OnGone = "remove" },
		"only with a goneRule":       func(a *tagging.Attribute) { a.RuleType, a.Rule, a.OnGone = "OPEN_PORTS", "{{value}}", "deactivate" },
		"provider must be one of":    func(a *tagging.Attribute) { a.RuleType = "CLOUD_ASSET" },
		"and is for no other":        func(a *tagging.Attribute) { a.Provider = "EC2" },
		"stands twice":               nil,
		"is not a name: use up to 4": func(a *tagging.Attribute) { a.Name = "" },
	} {
		list := []tagging.Attribute{groups(), groups()}
		if change != nil {
			list = []tagging.Attribute{groups(change)}
		}
		_, err := tagging.Desire(list, nil, none)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, groups(func(a *tagging.Attribute) { a.Rule = "x:'it\\'s' and y:{{value}}" }).Check())
}

func TestThereAreNoMoreChildrenThanAllowedAndThoseThatAreThereGoFirst(t *testing.T) {
	t.Parallel()
	a := groups(func(a *tagging.Attribute) { a.MaxChildren, a.MinCIs = 2, 3 })
	list := []tagging.Value{{Text: "b", CIs: 3}, {Text: "a", CIs: 3}, {Text: "z", CIs: 1}, {Text: "few", CIs: 2}}
	d, err := tagging.Desire([]tagging.Attribute{a}, map[string][]tagging.Value{a.Name: list}, func(key string) bool { return key == "support-group/z" })
	require.NoError(t, err)
	require.Len(t, d.Tags, 3)
	require.Equal(t, "z", d.Tags[1].Name, "a tag that is there is kept below the minimum too")
	require.Equal(t, "a", d.Tags[2].Name)
	require.Equal(t, []tagging.Refusal{
		{Attribute: a.Name, Value: "b", Why: "the attribute has more than 2 values (maxChildren)"},
		{Attribute: a.Name, Value: "few", Why: "2 CIs have it, fewer than 3 (minCIs)"},
	}, d.Refused)
}

func TestAFifthValueAddsOneTag(t *testing.T) {
	t.Parallel()
	w := &world{next: 100}
	w.apply(t, desire(t, groups(), "a", "b", "c", "d"), tagging.Settings{})
	require.Len(t, w.tags, 5)
	d := w.apply(t, desire(t, groups(), "a", "b", "c", "d", "e"), tagging.Settings{})
	require.Equal(t, []string{"create e"}, ops(d))
	require.Equal(t, w.idOf("Support group"), d.Changes[0].ParentID)
	require.Empty(t, w.diff(desire(t, groups(), "a", "b", "c", "d", "e"), tagging.Settings{}).Changes)
}

func TestAVanishedValueFollowsThePolicy(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string][]string{"keep": nil, "deactivate": {"retire asset.assetId:0"}, "delete": {"delete b"}} {
		a := groups(func(a *tagging.Attribute) { a.OnGone = policy })
		w := &world{next: 100}
		w.apply(t, desire(t, a, "a", "b"), tagging.Settings{})
		d := w.apply(t, desire(t, a, "a"), tagging.Settings{})
		require.Equal(t, want, ops(d), policy)
		if policy == "keep" {
			require.Equal(t, []string{"kept b"}, kinds(d))
		}
		back := w.apply(t, desire(t, a, "a", "b"), tagging.Settings{})
		require.Equal(t, map[string][]string{"keep": nil, "deactivate": {"rule asset.businessInfo.supportGroup:`b`"}, "delete": {"create b"}}[policy], ops(back), policy)
		require.Empty(t, back.Reports, "bringing a value back is no drift")
	}
}

func TestNothingIsRetiredWhenNoValueWasRead(t *testing.T) {
	t.Parallel()
	a := groups(func(a *tagging.Attribute) { a.OnGone = "delete" })
	w := &world{next: 100}
	w.apply(t, desire(t, a, "a", "b"), tagging.Settings{})
	d := w.diff(desire(t, a), tagging.Settings{})
	require.Empty(t, d.Changes)
	require.Equal(t, []string{"held a", "held b"}, kinds(d))

	a.Retire = true
	d = w.apply(t, desire(t, a), tagging.Settings{})
	require.Equal(t, []string{"delete a", "delete b", "delete Support group"}, ops(d), "an attribute that ends takes its parent with it, last")
	require.Empty(t, w.tags)
}

func TestAnAttributeThatIsNotConfiguredAnyMoreIsReported(t *testing.T) {
	t.Parallel()
	w := &world{next: 100}
	w.apply(t, desire(t, groups(), "a"), tagging.Settings{})
	other := groups(func(a *tagging.Attribute) { a.Name, a.Parent = "other", "Other" })
	d := w.diff(desire(t, other, "x"), tagging.Settings{})
	require.Equal(t, []string{"create Other", "create x"}, ops(d))
	require.Equal(t, []string{"orphan a", "orphan Support group"}, kinds(d))
}

func TestTagsOfOthersAreNeverTouched(t *testing.T) {
	t.Parallel()
	theirs := tagging.Actual{ID: 1, Face: tagging.Face{Name: "Support group", Color: "#000000"}}
	taken := tagging.Actual{ID: 2, Parent: 1, Face: tagging.Face{Name: "LINUX", RuleType: "STATIC"}}
	w := &world{next: 100, tags: map[int64]tagging.Actual{1: theirs, 2: taken}}
	d := w.apply(t, desire(t, groups(), "Linux", "Windows"), tagging.Settings{})
	require.Equal(t, []string{"create Windows"}, ops(d), "their parent is used as it is")
	require.Equal(t, []string{"foreign LINUX"}, kinds(d))
	require.Equal(t, theirs, w.tags[1])
	require.Equal(t, taken, w.tags[2])

	a := groups(func(a *tagging.Attribute) { a.OnGone = "delete" })
	id := w.idOf("Windows")
	w.tags[7] = tagging.Actual{ID: 7, Parent: id, Face: tagging.Face{Name: "below ours"}}
	d = w.diff(desire(t, a, "Linux"), tagging.Settings{})
	require.Empty(t, d.Changes, "what stands below would be deleted too")
	require.Equal(t, []string{"foreign Windows", "foreign LINUX"}, kinds(d))
}

func TestAnAmbiguousParentIsNotUsed(t *testing.T) {
	t.Parallel()
	w := &world{next: 100, tags: map[int64]tagging.Actual{
		1: {ID: 1, Face: tagging.Face{Name: "A"}}, 2: {ID: 2, Face: tagging.Face{Name: "B"}},
		3: {ID: 3, Parent: 1, Face: tagging.Face{Name: "Support group"}}, 4: {ID: 4, Parent: 2, Face: tagging.Face{Name: "Support group"}},
	}}
	d := w.diff(desire(t, groups(), "x"), tagging.Settings{})
	require.Empty(t, d.Changes)
	require.Equal(t, []string{"foreign Support group", "waits x"}, kinds(d))
	delete(w.tags, 4)
	d = w.diff(desire(t, groups(), "x"), tagging.Settings{})
	require.Equal(t, []string{"create x"}, ops(d))
	require.EqualValues(t, 3, d.Changes[0].ParentID, "the only tag of the name, however deep")
}

func TestWhatWasChangedByHandIsRepairedOrReported(t *testing.T) {
	t.Parallel()
	for drift, want := range map[string][]string{
		tagging.DriftRepair: {"rename a", "create c", "rule asset.businessInfo.supportGroup:`b`", "recolour", "score"}, tagging.DriftReport: nil,
	} {
		w := &world{next: 100}
		w.apply(t, desire(t, groups(), "a", "b", "c"), tagging.Settings{})
		w.edit("a", func(x *tagging.Actual) { x.Name = "A-team" })
		w.edit("b", func(x *tagging.Actual) { x.RuleText, x.Color, x.Criticality = "asset.name:x", "#000", 5 })
		delete(w.tags, w.idOf("c"))
		d := w.apply(t, desire(t, groups(), "a", "b", "c"), tagging.Settings{Drift: drift})
		require.Equal(t, want, ops(d), drift)
		for _, c := range d.Changes {
			require.True(t, c.Drift, c.Op)
		}
		require.Equal(t, drift == tagging.DriftReport, len(d.Reports) == 5, "%v", d.Reports)
	}
}

func TestAChangeOfTheSettingsIsNoDrift(t *testing.T) {
	t.Parallel()
	w := &world{next: 100}
	w.apply(t, desire(t, groups(), "a"), tagging.Settings{})
	changed := groups(func(a *tagging.Attribute) {
		a.Child, a.Color, a.Criticality, a.Rule = "SG {{value}}", "#00f", 4, "z:{{value}}"
	})
	d := w.apply(t, desire(t, changed, "a"), tagging.Settings{Drift: tagging.DriftReport})
	require.Equal(t, []string{"rename SG a", "rule z:`a`", "recolour", "recolour", "score", "score"}, ops(d))
	require.Empty(t, d.Reports)
}

func TestATagThatServesAnotherPurposeNowIsNotDeleted(t *testing.T) {
	t.Parallel()
	a := groups(func(a *tagging.Attribute) { a.OnGone = "delete" })
	for name, edit := range map[string]func(*tagging.Actual){
		"another name": func(x *tagging.Actual) { x.Name = "mine" }, "another rule": func(x *tagging.Actual) { x.Name, x.RuleText = "mine", "asset.name:x" },
	} {
		w := &world{next: 100}
		w.apply(t, desire(t, a, "a", "b"), tagging.Settings{})
		w.edit("b", edit)
		d := w.diff(desire(t, a, "a"), tagging.Settings{})
		require.Empty(t, d.Changes, name)
		require.Equal(t, []string{"drift mine"}, kinds(d), name)
	}
}

func TestNothingIsMadeBelowAParentThatCannotBe(t *testing.T) {
	t.Parallel()
	other := groups(func(a *tagging.Attribute) { a.Name, a.Parent = "other", "Other" })
	both := func(list ...tagging.Attribute) *tagging.Desired {
		d, err := tagging.Desire(list, map[string][]tagging.Value{"support-group": values("a"), "other": values("x")}, none)
		require.NoError(t, err)
		return d
	}
	w := &world{next: 100}
	w.apply(t, both(groups()), tagging.Settings{})
	w.edit("Support group", func(x *tagging.Actual) { x.Name = "Other" })
	d := w.diff(both(groups(), other), tagging.Settings{Drift: tagging.DriftReport})
	require.Empty(t, d.Changes)
	require.Equal(t, []string{"drift Other", "foreign Other", "waits x"}, kinds(d))
	d = w.apply(t, both(groups(), other), tagging.Settings{})
	require.Equal(t, []string{"rename Support group", "create Other", "create x"}, ops(d))
}

func TestAValueThatIsRefusedNowKeepsItsTag(t *testing.T) {
	t.Parallel()
	a := groups(func(a *tagging.Attribute) { a.OnGone = "delete" })
	w := &world{next: 100}
	w.apply(t, desire(t, a, "a", "b", "c"), tagging.Settings{})
	a.MaxChildren = 2
	want := desire(t, a, "a", "b", "c")
	require.Len(t, want.Refused, 1)
	require.Empty(t, w.diff(want, tagging.Settings{}).Changes)
}

func TestATagThatWasMovedByHandIsReported(t *testing.T) {
	t.Parallel()
	w := &world{next: 100, tags: map[int64]tagging.Actual{1: {ID: 1, Face: tagging.Face{Name: "Elsewhere"}}}}
	a := groups(func(a *tagging.Attribute) { a.OnGone = "delete" })
	w.apply(t, desire(t, a, "a", "b"), tagging.Settings{})
	w.edit("a", func(x *tagging.Actual) { x.Parent = 1 })
	require.Equal(t, []string{"moved a"}, kinds(w.diff(desire(t, a, "a", "b"), tagging.Settings{})))
	d := w.diff(desire(t, a, "b"), tagging.Settings{})
	require.Empty(t, d.Changes)
	require.Equal(t, []string{"moved a"}, kinds(d))
}

func TestACreationThatWasNotAnsweredIsNotRepeated(t *testing.T) {
	t.Parallel()
	w := &world{next: 100}
	w.apply(t, desire(t, groups(), "a"), tagging.Settings{})
	want := desire(t, groups(), "a", "b")
	create := w.diff(want, tagging.Settings{}).Changes[0]
	marked := tagging.Actual{ID: 900, Parent: create.ParentID, Description: create.Description, Face: create.Face}
	plain := marked
	plain.Description = ""
	for name, c := range map[string]struct {
		there    tagging.Actual
		settings tagging.Settings
		changes  []string
		reports  []string
	}{
		"the mark is there":                     {marked, tagging.Settings{}, nil, nil},
		"no mark, but the creation was sent":    {plain, tagging.Settings{Unanswered: map[string]bool{create.Key: true}}, nil, nil},
		"neither mark nor creation: not ours":   {plain, tagging.Settings{}, nil, []string{"foreign b"}},
		"another tag's creation was unanswered": {plain, tagging.Settings{Unanswered: map[string]bool{"support-group/x": true}}, nil, []string{"foreign b"}},
	} {
		after := &world{next: 1000, tags: map[int64]tagging.Actual{}, owned: w.owned}
		for id, a := range w.tags {
			after.tags[id] = a
		}
		after.tags[900] = c.there
		d := after.diff(want, c.settings)
		require.Equal(t, c.changes, ops(d), name)
		require.Equal(t, c.reports, kinds(d), name)
		_, ours := d.Owned[900]
		require.Equal(t, c.reports == nil, ours, name)
	}
}

func TestNamesThatChangePlacesPassThroughAThird(t *testing.T) {
	t.Parallel()
	w := &world{next: 100}
	w.apply(t, desire(t, groups(), "a", "b"), tagging.Settings{})
	w.edit("a", func(x *tagging.Actual) { x.Name = "tmp" })
	w.edit("b", func(x *tagging.Actual) { x.Name = "a" })
	w.edit("tmp", func(x *tagging.Actual) { x.Name = "b" })
	d := w.apply(t, desire(t, groups(), "a", "b"), tagging.Settings{})
	require.Equal(t, []string{"rename a ~102", "rename b", "rename a"}, ops(d))
}

func TestADeletionThatFreesANameComesFirstAndAnyOtherLast(t *testing.T) {
	t.Parallel()
	a := groups(func(a *tagging.Attribute) { a.OnGone = "delete" })
	w := &world{next: 100}
	w.apply(t, desire(t, a, "T a", "z"), tagging.Settings{})
	a.Child = "T {{value}}"
	d := w.apply(t, desire(t, a, "a", "b"), tagging.Settings{})
	require.Equal(t, []string{"delete T a", "create T a", "create T b", "delete z"}, ops(d))
}
