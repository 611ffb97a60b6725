package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/samber/lo"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// tagged is a stack whose subscription knows the departments of its assets, and a
// schedule that makes a tag of each.
type tagged struct {
	*bridge
	departments map[string]string // name → sys_id
}

// attribute is the document's attribute of departments.
func (s *stack) attribute(more, schedule string) string {
	return s.owners("") + `
  - name: departments
    direction: servicenow-to-qualys
    kind: tags
    source: dev
    target: corp
    manual: true
` + schedule + `
tagging:
  - name: department
    table: cmdb_ci_server
    column: department
    parent: CMDB departments
    child: "Department {{value}}"
    rule: "asset.businessInfo.department:{{value}}"
    color: "#0A64C8"
` + more
}

// newTagged gives the servers of a synced CMDB four departments.
func newTagged(t *testing.T, more, schedule string) *tagged {
	t.Helper()
	g := &tagged{bridge: newBridge(t, ""), departments: map[string]string{}}
	g.applied(g.attribute(more, schedule))
	for i, name := range []string{"Accounts North", "Legal & Tax", "IT \"Core\": ops", "Zürich 🚀"} {
		g.departments[name] = g.row("cmn_department", thing{"name": name})
		g.own(thing{"department": g.departments[name]}, g.cis[i])
	}
	code, _, errs := g.write() // what the rules look at
	require.Zero(t, code, errs)
	return g
}

func (g *tagged) start() (int, contract.RunResult, string) {
	g.t.Helper()
	var res contract.RunResult
	code, out, errs := g.cli("run", "start", "departments", "--wait", "-o", "json")
	if code == cli.ExitOK || code == cli.ExitPartial {
		require.NoError(g.t, json.Unmarshal([]byte(out), &res), "%s%s", out, errs)
		require.True(g.t, res.Balanced(), "%+v", res.Counters)
	}
	return code, res, errs
}

type tagRow struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Parent   int64  `json:"parentTagId"`
	Color    string `json:"color"`
	RuleText string `json:"ruleText"`
}

// tags calls the tagging API as somebody else would.
func (g *tagged) tags(verb, body string) []tagRow {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodPost, g.sims.Qualys.APIURL+"/qps/rest/2.0/"+verb, strings.NewReader(body))
	require.NoError(g.t, err)
	req.SetBasicAuth(g.sims.Qualys.Username, g.sims.Qualys.Password)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(g.t, err)
	var answer struct {
		Response struct {
			Code string `json:"responseCode"`
			Data []struct {
				Tag tagRow `json:"Tag"`
			} `json:"data"`
		} `json:"ServiceResponse"`
	}
	require.NoError(g.t, json.Unmarshal([]byte(g.body(res)), &answer))
	require.Equal(g.t, "SUCCESS", answer.Response.Code)
	return lo.Map(answer.Response.Data, func(d struct {
		Tag tagRow `json:"Tag"`
	}, _ int,
	) tagRow {
		return d.Tag
	})
}

func (g *tagged) all() []tagRow {
	return g.tags("search/am/tag", `{"ServiceRequest":{"preferences":{"limitResults":1000}}}`)
}

// children returns the names below the parent, sorted.
func (g *tagged) children() []string {
	g.t.Helper()
	all := g.all()
	parents := lo.Filter(all, func(t tagRow, _ int) bool { return t.Name == "CMDB departments" })
	require.Len(g.t, parents, 1)
	below := lo.FilterMap(all, func(t tagRow, _ int) (string, bool) { return t.Name, t.Parent == parents[0].ID })
	slices.Sort(below)
	return below
}

var fourDepartments = []string{"Department Accounts North", "Department IT \"Core\": ops", "Department Legal & Tax", "Department Zürich 🚀"}

// members returns the ids of the assets of a tag.
func (g *tagged) members(name string) []string {
	var out []string
	for id, a := range g.inventory() {
		list, _ := a["tagList"].(map[string]any)
		tags, _ := list["tag"].([]any)
		for _, x := range tags {
			if tag, _ := x.(map[string]any); tag["tagName"] == name {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestDepartmentsBecomeTagsOfExactlyTheirAssets(t *testing.T) {
	t.Parallel()
	g := newTagged(t, "    onGone: delete\n", "")
	before := len(g.all())
	code, res, errs := g.start()
	require.Zero(t, code, errs)
	require.EqualValues(t, 5, res.Created, "%+v", res.Counters)
	require.Equal(t, fourDepartments, g.children())
	require.Len(t, g.all(), before+5)
	for i, name := range []string{"Accounts North", "Legal & Tax", "IT \"Core\": ops", "Zürich 🚀"} {
		want := []string{g.assetOf(g.cis[i])}
		g.eventually("the members of "+name, func() error {
			if got := g.members("Department " + name); !slices.Equal(want, got) {
				return fmt.Errorf("%v, want %v", got, want)
			}
			return nil
		})
	}
	code, res, _ = g.start()
	require.Zero(t, code)
	require.EqualValues(t, 5, res.Unchanged, "a second run changes nothing: %+v", res.Counters)

	fifth := g.row("cmn_department", thing{"name": "Sales"})
	g.own(thing{"department": fifth}, g.cis[4])
	g.own(thing{"department": ""}, g.cis[0])
	code, res, _ = g.start()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Created, "%+v", res.Counters)
	require.EqualValues(t, 1, res.Updated, "the value that is gone: %+v", res.Counters)
	require.Equal(t, append(fourDepartments[1:3:3], "Department Sales", "Department Zürich 🚀"), g.children())

	sales := lo.Filter(g.all(), func(t tagRow, _ int) bool { return t.Name == "Department Sales" })[0]
	g.tags(fmt.Sprintf("update/am/tag/%d", sales.ID), `{"ServiceRequest":{"data":{"Tag":{"name":"Mine now","color":"#FF0000"}}}}`)
	code, res, _ = g.start()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Updated, "drift is repaired: %+v", res.Counters)
	require.Contains(t, g.children(), "Department Sales")
	_, text, _ := g.cli("tags", "plan", "departments")
	require.Contains(t, text, "changed by hand")
	g.replayAll()
}

func TestTagsWaitForApprovalAndRefuseWhatNoRuleCanSay(t *testing.T) {
	t.Parallel()
	g := newTagged(t, "", "    approval: manual\n    drift: report\n")
	tick := g.row("cmn_department", thing{"name": "back`tick"})
	g.own(thing{"department": tick}, g.cis[4])
	long := g.row("cmn_department", thing{"name": strings.Repeat("x", 1100)})
	g.own(thing{"department": long}, g.cis[5])
	before := len(g.all())
	code, res, errs := g.start()
	require.Zero(t, code, errs)
	require.EqualValues(t, 5, res.Pending, "%+v", res.Counters)
	require.EqualValues(t, 2, res.Skipped, "%+v", res.Counters)
	require.Len(t, g.all(), before)
	_, out, _ := g.cli("tags", "plan", "departments", "-o", "json")
	var plan contract.TagPlan
	require.NoError(t, json.Unmarshal([]byte(out), &plan))
	_, text, _ := g.cli("tags", "plan", "departments")
	for _, want := range []string{"CMDB departments", "Department Accounts North", "refused: the value has a back-tick", "refused: its tag's name would have 1111 characters", "staged approve --schedule departments --all"} {
		require.Contains(t, text, want)
	}
	code, text, errs = g.cli("staged", "approve", "--schedule", "departments", "--all", "--snapshot", fmt.Sprint(plan.Snapshot), "--by", "ann")
	require.Zero(t, code, "%s%s", text, errs)
	g.eventually("the tags are made", func() error {
		if n := len(g.all()); n != before+5 {
			return fmt.Errorf("%d of %d", n-before, 5)
		}
		return nil
	})
	require.Equal(t, fourDepartments, g.children())
	sales := lo.Filter(g.all(), func(t tagRow, _ int) bool { return t.Name == "Department Accounts North" })[0]
	g.tags(fmt.Sprintf("update/am/tag/%d", sales.ID), `{"ServiceRequest":{"data":{"Tag":{"color":"#FF0000"}}}}`)
	code, res, _ = g.start()
	require.Zero(t, code)
	require.Zero(t, res.Pending+res.Written(), "drift is reported, not repaired: %+v", res.Counters)
	_, text, _ = g.cli("tags", "plan", "departments")
	require.Contains(t, text, "drift: ")
	g.replayAll()
}

func TestATagOfOthersIsLeftAlone(t *testing.T) {
	t.Parallel()
	g := newTagged(t, "", "")
	parent := g.tags("create/am/tag", `{"ServiceRequest":{"data":{"Tag":{"name":"CMDB departments"}}}}`)[0]
	theirs := g.tags("create/am/tag", fmt.Sprintf(`{"ServiceRequest":{"data":{"Tag":{"name":"Department Accounts North","parentTagId":%d}}}}`, parent.ID))[0]
	code, res, errs := g.start()
	require.Zero(t, code, errs)
	require.EqualValues(t, 3, res.Created, "the parent is used as it is, three children are made: %+v", res.Counters)
	require.EqualValues(t, 1, res.Skipped, "%+v", res.Counters)
	_, text, _ := g.cli("tags", "plan", "departments")
	require.Contains(t, text, "foreign: ")
	require.Contains(t, g.all(), tagRow{ID: theirs.ID, Name: theirs.Name, Parent: parent.ID, Color: theirs.Color})
}

func TestNoTagIsMadeTwiceWhateverBreaks(t *testing.T) {
	t.Parallel()
	for _, at := range []crash.Point{crash.AfterStage, crash.AfterIntent, crash.AfterPost, crash.AfterSettle, crash.AfterFinish} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			g := newTagged(t, "", "")
			before := len(g.all())
			g.faults(g.sims.Qualys.APIURL, "on qps.*.tag share 10% do drop_after_commit")
			g.doom(string(at) + "=kill")
			code, out, errs := g.cli("run", "start", "departments")
			require.Zero(t, code, "%s%s", out, errs)
			g.perished()
			g.startWorker()
			code, out, errs = g.cli("run", "watch", "departments")
			require.Zero(t, code, "%s%s", out, errs)
			g.faults(g.sims.Qualys.APIURL, "")
			require.Equal(t, fourDepartments, g.children())
			require.Len(t, g.all(), before+5)
			code, res, _ := g.start()
			require.Zero(t, code)
			require.EqualValues(t, 5, res.Unchanged, "%+v", res.Counters)
			g.replayAll()
		})
	}
}

func TestWithoutAPermissionForTagsNothingIsMade(t *testing.T) {
	t.Parallel()
	for right, name := range map[string]string{"create-tag": "Create User Tag", "tag-rules": "Modify Dynamic Tag Rules"} {
		t.Run(right, func(t *testing.T) {
			t.Parallel()
			g := newTagged(t, "", "")
			before := len(g.all())
			user, err := json.Marshal(thing{"username": g.sims.Qualys.Username, "without": []string{right}})
			require.NoError(t, err)
			res, err := http.Post(g.sims.Qualys.APIURL+"/_sim/users", "application/json", strings.NewReader(string(user)))
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			code, out, errs := g.cli("run", "start", "departments", "--wait")
			require.Equal(t, cli.ExitFailed, code, "%s%s", out, errs)
			require.Contains(t, out+errs, name)
			_, text, _ := g.cli("doctor")
			require.Contains(t, text, name)
			require.Len(t, g.all(), before)
		})
	}
}
