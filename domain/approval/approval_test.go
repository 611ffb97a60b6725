package approval_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/approval"
)

func TestADecisionThatCannotBeRightIsRefused(t *testing.T) {
	t.Parallel()
	good := approval.Decision{Verdict: approval.Approve, Selector: approval.Selector{All: true}, Snapshot: 1, By: "ann"}
	require.NoError(t, good.Check())
	for want, change := range map[string]func(*approval.Decision){
		"none of approve, reject, hold, retry": func(d *approval.Decision) { d.Verdict = "maybe" },
		"exactly one of":                       func(d *approval.Decision) { d.IDs = []string{"corp/1"} },
		"by exactly one":                       func(d *approval.Decision) { d.All = false },
		"are more than 1000":                   func(d *approval.Decision) { d.All, d.IDs = false, strings.Split(strings.Repeat("a,", 1000)+"a", ",") },
		"no snapshot":                          func(d *approval.Decision) { d.Snapshot = 0 },
		"who decided":                          func(d *approval.Decision) { d.By = " " },
		"needs a reason":                       func(d *approval.Decision) { d.Verdict = approval.Reject },
		`did you mean "class"?`:                func(d *approval.Decision) { d.All, d.Filter = false, "cls=x" },
		"has no value":                         func(d *approval.Decision) { d.All, d.Filter = false, "class=" },
		"stands twice":                         func(d *approval.Decision) { d.All, d.Filter = false, "class=a class=b" },
		"operation":                            func(d *approval.Decision) { d.All, d.Filter = false, "operation=delete" },
	} {
		d := good
		change(&d)
		require.ErrorContains(t, d.Check(), want)
	}
}

func TestTheDigestOfAPlanIsWhatIsShown(t *testing.T) {
	t.Parallel()
	plan := func() *approval.Plan {
		return &approval.Plan{Operation: approval.Update, SysID: "1", From: "a", To: "b", Changes: []approval.Change{{Column: "os", Old: "x", New: "y"}, {Column: "ram"}}}
	}
	want := plan().Digest("p")
	same := plan()
	same.Changes[0], same.Changes[1] = same.Changes[1], same.Changes[0]
	require.Equal(t, want, same.Digest("p"))
	same.Changes[1].Old = "z"
	require.Equal(t, want, same.Digest("p"), "an old value may move")
	for name, change := range map[string]func(*approval.Plan){
		"another CI":     func(p *approval.Plan) { p.SysID = "2" },
		"another class":  func(p *approval.Plan) { p.To = "c" },
		"from elsewhere": func(p *approval.Plan) { p.From = "c" },
		"another action": func(p *approval.Plan) { p.Operation = approval.Create },
		"another column": func(p *approval.Plan) { p.Changes = p.Changes[:1] },
	} {
		p := plan()
		change(p)
		require.NotEqual(t, want, p.Digest("p"), name)
	}
	require.NotEqual(t, want, plan().Digest("other payload"))
}

func TestRulesLetOnlyWhatTheyNamePass(t *testing.T) {
	t.Parallel()
	auto := approval.Auto{Update: []string{"os", "ram"}, Create: []string{"cmdb_ci_linux_server"}}
	update := func(columns ...string) *approval.Plan {
		p := &approval.Plan{Operation: approval.Update, From: "a", To: "a"}
		for _, c := range columns {
			p.Changes = append(p.Changes, approval.Change{Column: c})
		}
		return p
	}
	require.True(t, auto.Allows(update("os")))
	require.True(t, auto.Allows(update("ram", "os")))
	require.False(t, auto.Allows(update("os", "name")))
	require.False(t, auto.Allows(update()))
	other := update("os")
	other.To = "b"
	require.False(t, auto.Allows(other), "a change of class is never small")
	require.True(t, auto.Allows(&approval.Plan{Operation: approval.Create, To: "cmdb_ci_linux_server"}))
	require.False(t, auto.Allows(&approval.Plan{Operation: approval.Create, To: "cmdb_ci_win_server"}))
	require.False(t, auto.Allows(&approval.Plan{Operation: approval.Metadata, To: "cmdb_ci_linux_server"}))
	require.False(t, approval.Auto{}.Allows(update("os")))
}
