package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/starter/cli"
)

// branch adds a second source with the same assets under other native keys, and
// a schedule of it with the given lines.
func (s *stack) branch(lines string) string {
	return strings.Replace(s.document(), "servicenow:\n", `  - name: branch
    apiUrl: ${env:QBRIDGE_QUALYS_API_URL}
    gatewayUrl: ${env:QBRIDGE_QUALYS_GATEWAY_URL}
    auth: {username: "${env:QBRIDGE_SECRET_QUALYS_USER}", password: "${env:QBRIDGE_SECRET_QUALYS_PASSWORD}"}

servicenow:
`, 1) + "  - {name: branch, source: branch, target: dev, manual: true, " + lines + "}\n"
}

func TestCIsThatWereThereBeforeAreNotTouchedInMetadataOnlyMode(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "300", "--seed", "4")
	s.mustApply()
	code, first := s.sync("--full")
	require.Zero(t, code)
	digest, posts := s.digest(), s.calls(s.sims.ServiceNow.URL, irePath)

	code, out := s.apply(s.branch("existing: metadata-only"))
	require.Zero(t, code, out)
	for range 2 {
		code, text, errs := s.cli("run", "start", "branch", "--full", "--wait", "-o", "json")
		require.Zero(t, code, errs)
		require.Contains(t, text, `"status": "completed"`)
		require.Contains(t, text, `"created": 0,`)
		require.Contains(t, text, `"updated": 0,`)
	}
	require.Equal(t, posts, s.calls(s.sims.ServiceNow.URL, irePath), "nothing was posted: IRE would take over the discovery source")
	require.Equal(t, digest, s.digest())
	code, text, errs := s.cli("run", "show", "latest")
	require.Zero(t, code, errs)
	require.Contains(t, text, "existing CI is protected")
	require.Positive(t, first.Created)
}

func TestSectionsAreAskedForAndWrittenOnlyWhenTheyAreOn(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "60", "--seed", "9")
	on := strings.Replace(s.document(), "manual: true", "manual: true\n    sections: {software: true, volumes: true, cloudDetails: true, model: true, location: true, owner: true}", 1) +
		"mappings:\n  - main:\n      - name: mine\n        for: [cmdb_ci_hardware]\n        columns: [{to: short_description, from: [clean.os]}]\n"
	rows := func(table string) int {
		var d struct {
			Classes map[string]int `json:"classes"`
		}
		s.get(s.sims.ServiceNow.URL+"/_sim/digest", &d)
		return d.Classes[table]
	}
	s.mustApply()
	code, _ := s.sync("--full")
	require.Zero(t, code)
	for _, table := range []string{"cmdb_ci_spkg", "cmdb_software_instance", "cmdb_ci_file_system"} {
		require.Zero(t, rows(table), table)
	}
	code, out := s.apply(on)
	require.Zero(t, code, out)
	code, res := s.sync()
	require.Zero(t, code)
	require.Equal(t, "full", s.mode(res.Run), "another selection of sections reads everything")
	require.Zero(t, res.Failed+res.Rejected, "%+v", res.Counters)
	for _, table := range []string{"cmdb_ci_spkg", "cmdb_software_instance", "cmdb_ci_file_system"} {
		require.Positive(t, rows(table), table)
	}
	digest, posts := s.digest(), s.calls(s.sims.ServiceNow.URL, irePath)
	code, res = s.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, 60, res.Unchanged+res.Skipped)
	require.Equal(t, posts, s.calls(s.sims.ServiceNow.URL, irePath))
	require.Equal(t, digest, s.digest())
}

// mode returns how a run chose its assets.
func (s *stack) mode(run string) string {
	var view struct {
		Mode string `json:"mode"`
	}
	s.get(s.url+"/api/v1/runs/"+run, &view)
	return view.Mode
}

func TestUpdateOnlyCreatesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "100", "--seed", "4")
	code, out := s.apply(s.branch("existing: full, operation: update"))
	require.Zero(t, code, out)
	code, text, errs := s.cli("run", "start", "branch", "--full", "--wait", "-o", "json")
	require.Zero(t, code, errs)
	require.Contains(t, text, `"created": 0,`)
	code, text, _ = s.cli("run", "show", "latest")
	require.Zero(t, code)
	require.Contains(t, text, "no match (operation: update)")
}

func TestACIThatAPersonDeletedComesBack(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "20", "--seed", "6")
	s.mustApply()
	code, first := s.sync("--full")
	require.Zero(t, code)
	digest := s.digest()
	require.Less(t, must(postForm(s.sims.ServiceNow.URL+"/_sim/reset", "")), 300, "the instance is restored to an empty state")
	require.NotEqual(t, digest, s.digest())
	code, res := s.sync("--full")
	require.Zero(t, code)
	require.Equal(t, first.Created, res.Created, "the sample of linked CIs shows that the memory cannot be trusted: %+v", res.Counters)
	require.Equal(t, digest, s.digest())
}

func TestASharedCIThatAPersonDeletedComesBackWithTheAssetsThatNeedIt(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "150", "--seed", "61")
	s.mustApply()
	code, _ := s.sync("--full")
	require.Zero(t, code)
	centres := s.rows("cmdb_ci_logical_datacenter")
	require.NotEmpty(t, centres)
	for id := range centres {
		s.table(http.MethodDelete, "cmdb_ci_logical_datacenter/"+id, "")
	}
	_, err := postForm(s.sims.Qualys.GatewayURL+"/_sim/mutate?k=150", "")
	require.NoError(t, err)
	code, res := s.sync()
	require.Zero(t, code, "%+v", res.Counters)
	require.Zero(t, res.Failed)
	require.NotEmpty(t, s.rows("cmdb_ci_logical_datacenter"))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAnUnknownScheduleIsRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "5")
	s.mustApply()
	code, _, errs := s.cli("run", "start", "nosuch")
	require.Equal(t, cli.ExitUsage, code)
	require.Equal(t, "qbridge: there is no schedule \"nosuch\"; revision r1 has inventory\n", errs)
}

// rows reads all rows of a table of the instance, by sys_id.
func (s *stack) rows(table string) map[string]map[string]string {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.sims.ServiceNow.URL+"/api/now/table/"+table+"?sysparm_limit=10000&sysparm_exclude_reference_link=true", nil)
	require.NoError(s.t, err)
	req.SetBasicAuth(s.sims.ServiceNow.Username, s.sims.ServiceNow.Password)
	req.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	var out struct {
		Result []map[string]string `json:"result"`
	}
	require.NoError(s.t, json.NewDecoder(res.Body).Decode(&out))
	byID := map[string]map[string]string{}
	for _, r := range out.Result {
		byID[r["sys_id"]] = r
	}
	return byID
}

func TestACMDBThatOthersKeepIsNotTrampled(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "200", "--seed", "6", "--other-cis", "120")
	code, out := s.apply(strings.Replace(s.document(), "existing: full", "existing: metadata-only", 1))
	require.Zero(t, code, out)
	theirs := s.rows("cmdb_ci_computer")
	require.Len(t, theirs, 120, "computers and servers of other sources")
	code, first := s.sync("--full")
	require.Zero(t, code)
	require.True(t, first.Balanced())
	require.Zero(t, first.Failed+first.Rejected, "%+v", first.Counters)
	after := s.rows("cmdb_ci_computer")
	for id, row := range theirs {
		require.Equal(t, row, after[id], "a CI of another source")
	}
	machines := map[string]string{} // by name; some of their serial numbers are junk
	for id, row := range after {
		name := strings.ToLower(row["name"])
		require.Empty(t, machines[name], "%s is there twice: %v and %v", name, row, after[machines[name]])
		machines[name] = id
	}
	code, text, errs := s.cli("run", "show", "latest", "--outcome", "skipped")
	require.Zero(t, code, errs)
	kept := strings.Count(text, "existing CI is protected") + strings.Count(text, "terminated instances are never created")
	require.GreaterOrEqual(t, kept, 60, "half of theirs are in Qualys too: %s", text)
}

func TestATrialMovesNothingElse(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "400", "--seed", "40")
	s.mustApply()
	untouched := s.digest()
	code, trial := s.sync("--sample", "20")
	require.Zero(t, code)
	require.EqualValues(t, 20, trial.Fetched)
	require.EqualValues(t, 20, trial.Pending+trial.Skipped, "%+v", trial.Counters)
	require.Equal(t, untouched, s.digest(), "nothing is written")
	code, listed, errs := s.cli("staged", "list", "--schedule", "inventory/sample")
	require.Zero(t, code, errs)
	require.Contains(t, listed, "create")
	code, _, errs = s.cli("staged", "approve", "--schedule", "inventory/sample", "--all", "--snapshot", "1000", "--by", "ann")
	require.Equal(t, cli.ExitUsage, code, "what a trial shows is not written")
	require.Contains(t, errs, "inventory")
	code, all := s.sync()
	require.Zero(t, code)
	require.EqualValues(t, 400, all.Fetched, "the first run after a trial reads everything")
	require.Zero(t, all.Pending+all.Unchanged, "%+v", all.Counters)
	code, again := s.sync("--sample", "20")
	require.Zero(t, code)
	require.EqualValues(t, 20, again.Fetched)

	_, err := postForm(s.sims.Qualys.GatewayURL+"/_sim/mutate?k=7", "")
	require.NoError(t, err)
	code, trial = s.sync("--since", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
	require.Zero(t, code)
	require.Less(t, trial.Fetched, int64(20), "only what has changed")
	require.Positive(t, trial.Created+trial.Updated)
	code, next := s.sync()
	require.Zero(t, code)
	require.EqualValues(t, trial.Fetched, next.Fetched, "the watermark did not move")
	require.Zero(t, next.Created+next.Updated, "%+v", next.Counters)
	code, _, errs = s.cli("run", "start", "inventory", "--since", "yesterday")
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, "is not an instant")
}
