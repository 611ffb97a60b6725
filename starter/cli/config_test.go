package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // golden files show local times
	os.Exit(m.Run())
}

func TestValidateNamesThePlaceAndTheRemedy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to, want string
	}{
		"an unknown key":            {"platform:", "platfrm:", `did you mean "platform"?`},
		"a literal secret":          {"${env:QBRIDGE_SECRET_QUALYS_PASSWORD}", "hunter2", "qualys[0].auth.password: is a literal"},
		"a target that is unknown":  {"target: prod", "target: prd", `did you mean "prod"?`},
		"an address without TLS":    {"https://example", "http://example", "is not encrypted; write https://host"},
		"no time to run":            {", every: 1h", "", "set exactly one of every, calendar, once, manual"},
		"a proxy with a password":   {"platform: US2", "platform: US2\n    proxy: http://u:hunter2@proxy:3128", "holds credentials; write ${env:QBRIDGE_SECRET_…}"},
		"an interval of no meaning": {"every: 1h", "every: soon", `"soon" is not a duration`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := (&world{}).run(t, "validate", file(t, "q.yaml", strings.Replace(document, c.from, c.to, 1)))
			require.Equal(t, cli.ExitUsage, code)
			require.Contains(t, out+errs, c.want)
			require.NotContains(t, out+errs, "hunter2")
			require.Equal(t, 1, strings.Count(out+errs, "\n"), "one line: %s%s", out, errs)
		})
	}
}

func TestValidateReadsFilesFoldersAndStandardInput(t *testing.T) {
	t.Parallel()
	cut := strings.Index(document, "schedules:")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "connections.yaml"), []byte(document[:cut]), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "schedules.yml"), []byte(document[cut:]), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("not: yaml: at: all"), 0o600))
	for name, args := range map[string][]string{
		"a folder":                     {dir},
		"its files":                    {filepath.Join(dir, "connections.yaml"), filepath.Join(dir, "schedules.yml")},
		"a folder and one of its file": {dir, filepath.Join(dir, "schedules.yml")},
		"standard input":               {"-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := (&world{stdin: document}).run(t, append([]string{"validate"}, args...)...)
			require.Zero(t, code, out+errs)
			require.Equal(t, "valid: 1 source, 1 target, 1 schedule\n", out)
		})
	}
}

func TestTheExamplesAreValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../deploy/examples/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		code, out, errs := (&world{}).run(t, "validate", f)
		require.Zero(t, code, "%s: %s%s", f, out, errs)
	}
}

func TestValidateAsJSON(t *testing.T) {
	t.Parallel()
	code, out, errs := (&world{}).run(t, "validate", "-o", "json", file(t, "q.yaml", strings.Replace(document, "target: prod", "target: prd", 1)))
	require.Equal(t, cli.ExitUsage, code)
	require.Empty(t, errs)
	golden(t, "validate.json", out)
}

func TestUsageErrorsHaveExitCodeTwoAndOneLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a file that is not there":  {[]string{"validate", "nowhere.yaml"}, "nowhere.yaml: no such file"},
		"an empty folder":           {[]string{"validate", t.TempDir()}, "no *.yaml file"},
		"no file":                   {[]string{"apply"}, "apply needs FILE"},
		"an output of no meaning":   {[]string{"version", "-o", "xml"}, "use table or json"},
		"a flag of no meaning":      {[]string{"version", "--fast"}, "unknown flag: --fast"},
		"an age of no meaning":      {[]string{"run", "list", "--since", "yesterday"}, `--since: "yesterday" is neither`},
		"a status of no meaning":    {[]string{"run", "list", "--status", "done"}, "use one of running, completed"},
		"an outcome of no meaning":  {[]string{"run", "list", "--outcome", "fine"}, "use one of [created updated"},
		"a limit out of range":      {[]string{"run", "list", "--limit", "0"}, "use 1 to 1000"},
		"an outcome of a run's":     {[]string{"run", "show", "run-1", "--outcome", "fine"}, "use one of [created updated"},
		"a Temporal profile's typo": {[]string{"run", "start", "servers"}, "TEMPORAL_*"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{temporal: &fakeTemporal{}}
			if name == "a Temporal profile's typo" {
				w.env = map[string]string{"TEMPORAL_CONFIG_FILE": file(t, "temporal.toml", "[profile.default]\naddress = \"a:1\"\n"), "TEMPORAL_PROFILE": "prd"}
			}
			code, out, errs := w.run(t, c.args...)
			require.Equal(t, cli.ExitUsage, code, out+errs)
			require.Contains(t, errs, c.want)
			require.Empty(t, out)
			require.Equal(t, 1, strings.Count(errs, "\n"), errs)
		})
	}
}

func TestApplyStoresTheRevisionRegistersAttributesAndCreatesSchedules(t *testing.T) {
	t.Parallel()
	f := &fakeTemporal{Workers: true, Result: contract.ApplyResult{Revision: "r1", Changed: true, Checks: []contract.Check{
		{Connection: "corp", Capability: "log in", OK: true, Message: "2000 assets"},
	}}}
	code, out, errs := (&world{temporal: f}).run(t, "apply", file(t, "q.yaml", document))
	require.Zero(t, code, errs)
	golden(t, "apply.txt", out)

	require.Empty(t, cmp.Diff([]any{contract.ApplyInput{Document: document, Author: "tester"}}, f.inputs), "the author's own text is applied")
	require.Equal(t, contract.ConfigWorkflowID, f.started[0].ID)
	require.True(t, f.started[0].WorkflowExecutionErrorWhenAlreadyStarted)
	require.Len(t, f.Attrs, len(contract.SearchAttributes()))
	require.Equal(t, []string{"create qbridge/servers"}, f.Schedule.Writes)
}

func TestApplyGoesOnWhereSearchAttributesMayNotBeRegistered(t *testing.T) {
	t.Parallel()
	f := &fakeTemporal{Workers: true, Forbidden: true, Result: contract.ApplyResult{Revision: "r1"}}
	code, out, errs := (&world{temporal: f}).run(t, "apply", "-o", "json", file(t, "q.yaml", document))
	require.Zero(t, code, errs)
	golden(t, "apply.json", out)
}

func TestApplyPrintsProblemsAndTouchesNoSchedule(t *testing.T) {
	t.Parallel()
	result := contract.ApplyResult{Problems: []contract.Problem{
		{Place: "qualys[0] corp: log in", Message: "the password is \x1b[31mrefused", Remedy: "check the user name and password"},
	}}
	f := &fakeTemporal{Workers: true, Result: result}
	code, out, errs := (&world{temporal: f}).run(t, "apply", file(t, "q.yaml", document))
	require.Equal(t, cli.ExitUsage, code)
	require.Empty(t, out)
	require.Equal(t, "qbridge: qualys[0] corp: log in: the password is [31mrefused; check the user name and password\n", errs)
	require.Empty(t, f.Schedule.Writes)

	code, out, errs = (&world{temporal: f}).run(t, "apply", "-o", "json", file(t, "q.yaml", document))
	require.Equal(t, cli.ExitUsage, code)
	require.Empty(t, errs)
	var got contract.ApplyResult
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Empty(t, cmp.Diff(result, got))
}

func TestApplyStartsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		temporal *fakeTemporal
		document string
		code     int
		want     string
	}{
		"with a configuration that is wrong": {&fakeTemporal{Workers: true}, strings.Replace(document, "prod}", "x}", 1), cli.ExitUsage, "schedules"},
		"without a Temporal server":          {nil, document, cli.ExitFailed, "no Temporal server at localhost:7233: start one (make run), or set TEMPORAL_ADDRESS"},
		"without a worker":                   {&fakeTemporal{}, document, cli.ExitFailed, "no worker polls task queue qbridge: start one"},
		"while another apply runs":           {&fakeTemporal{Workers: true, Running: true}, document, cli.ExitFailed, "another apply is running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := c.document
			if name == "with a configuration that is wrong" {
				text = strings.Replace(document, "target: prod", "target: prd", 1)
			}
			code, out, errs := (&world{temporal: c.temporal}).run(t, "apply", file(t, "q.yaml", text))
			require.Equal(t, c.code, code)
			require.Empty(t, out)
			require.Contains(t, errs, c.want)
			require.Equal(t, 1, strings.Count(errs, "\n"), errs)
			if c.temporal != nil {
				require.Empty(t, c.temporal.started)
				require.Empty(t, c.temporal.Schedule.Writes)
			}
		})
	}
}

// applied is a world in which the document is active and its schedule exists.
func applied(t *testing.T) *world {
	t.Helper()
	f := &fakeTemporal{Workers: true, Result: contract.ApplyResult{Revision: "r1", Changed: true}}
	w := &world{temporal: f, api: map[string]any{contract.PathConfig: contract.ConfigView{Revision: "r1", Document: document}}}
	code, _, errs := w.run(t, "apply", file(t, "q.yaml", document))
	require.Zero(t, code, errs)
	f.Schedule.Writes = nil
	return w
}

func TestDiff(t *testing.T) {
	t.Parallel()
	edited := strings.NewReplacer("every: 1h", "every: 2h", "platform: US2", "platform: US3").Replace(document) +
		"  - {name: weekly, source: corp, target: prod, calendar: weekly sun 03:00}\n"
	for name, c := range map[string]struct {
		document string
		change   func(*world)
		golden   string
		code     int
	}{
		"of what is active is empty, comments and order aside": {
			document: "# a comment\n" + strings.Replace(document, "source: corp, target: prod", "target: prod, source: corp", 1), golden: "diff-none.txt",
		},
		"tells what apply would change": {document: edited, golden: "diff-changes.txt"},
		"before the first apply": {
			document: document, golden: "diff-first.txt",
			change: func(w *world) { w.api, w.temporal = map[string]any{}, &fakeTemporal{} },
		},
		"tells drift by its exit code": {
			document: document, golden: "diff-drift.txt", code: cli.ExitDrift,
			change: func(w *world) {
				w.temporal.Schedule.Schedules["qbridge/servers"].Policy.Overlap = enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
			},
		},
		"tells a pause of an operator": {
			document: document, golden: "diff-held.txt",
			change: func(w *world) {
				w.temporal.Schedule.Schedules["qbridge/servers"].State = &client.ScheduleState{Paused: true, Note: "change freeze"}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := applied(t)
			if c.change != nil {
				c.change(w)
			}
			code, out, errs := w.run(t, "diff", file(t, "q.yaml", c.document))
			require.Equal(t, c.code, code, errs)
			require.Empty(t, errs)
			golden(t, c.golden, out)
			require.Empty(t, w.temporal.Schedule.Writes)
		})
	}
}

func TestDiffAsJSON(t *testing.T) {
	t.Parallel()
	w := applied(t)
	code, out, errs := w.run(t, "diff", "-o", "json", file(t, "q.yaml", strings.Replace(document, "every: 1h", "every: 2h", 1)))
	require.Zero(t, code, errs)
	golden(t, "diff.json", out)
}
