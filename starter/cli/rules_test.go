package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

const jumpHosts = `rules:
  computer:
    - {id: jump-hosts, priority: 1, when: [{field: name, startsWith: jump}], class: cmdb_ci_server}
`

func TestRuleTestsAreRunAndTellWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good := "  - {name: jump hosts, asset: {name: jump01}, class: cmdb_ci_server}\n"
	code, out, errs := (&world{}).run(t, "rules", "test", file("good.yaml", jumpHosts+"ruleTests:\n"+good))
	require.Zero(t, code, errs)
	require.Contains(t, out, "ok    jump hosts\n1 passed, 0 failed\n")

	code, out, _ = (&world{}).run(t, "rules", "test", file("bad.yaml", jumpHosts+"ruleTests:\n"+good+"  - {name: printers, asset: {name: jump02, operatingSystem.category1: Windows}, class: cmdb_ci_printer}\n"))
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, out, `FAIL  printers: it is cmdb_ci_server by rule "jump-hosts", and should be cmdb_ci_printer`)
	require.Contains(t, out, "1 passed, 1 failed")

	code, _, errs = (&world{}).run(t, "rules", "test", file("none.yaml", jumpHosts))
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, "has no ruleTests")
}

func TestCoverageAsksForEveryPageAndShowsWhatAnEditWouldMove(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", "quickstart.yaml"))
	require.NoError(t, err)
	windows := func(name string) contract.InputsView {
		return contract.InputsView{Key: "corp/" + name, Class: "cmdb_ci_win_server", Inputs: classify.Inputs{Identity: true, Name: name, OSCategory1: "Windows", OSCategory2: "Server"}}
	}
	w := &world{api: map[string]any{
		contract.PathConfig:                                        contract.ConfigView{Revision: "r1", Document: string(example)},
		contract.PathInputs + "?schedule=inventory":                contract.InputsPage{Assets: []contract.InputsView{windows("jump01"), windows("web")}, Next: "corp/2"},
		contract.PathInputs + "?after=corp%2F2&schedule=inventory": contract.InputsPage{Assets: []contract.InputsView{{Key: "corp/3", Class: "cmdb_ci_unclassed_hardware", Inputs: classify.Inputs{Identity: true, Name: "x", HWCategory1: "Kitchen"}}}},
	}}
	code, out, errs := w.run(t, "rules", "coverage")
	require.Zero(t, code, errs)
	require.Regexp(t, `computer +\d+ +windows-server +cmdb_ci_win_server +2 +2`, out)
	require.Contains(t, out, "3 assets, 0 without identity; of 3 with a category the rules know 2 (66.67 %)")
	require.Regexp(t, `– +Kitchen +1 +cmdb_ci_unclassed_hardware +has-name`, out)
	require.NotContains(t, out, "becomes")

	path := filepath.Join(t.TempDir(), "edit.yaml")
	require.NoError(t, os.WriteFile(path, []byte(jumpHosts), 0o600))
	code, out, errs = w.run(t, "rules", "coverage", "--schedule", "inventory", path)
	require.Zero(t, code, errs)
	require.Contains(t, out, "1 × cmdb_ci_win_server becomes cmdb_ci_server")

	code, _, errs = w.run(t, "rules", "coverage", "--schedule", "other")
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, "name a schedule with --schedule: inventory")
}

func TestRulesOfAnotherConnectorAreImportedWithAReport(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rules.csv")
	require.NoError(t, os.WriteFile(path, []byte("Name,OS category,Hardware category 1,Target class\nkiosks,Windows,,cmdb_ci_computer\nodd,,,cmdb_ci_server\n"), 0o600))
	code, out, errs := (&world{}).run(t, "rules", "import", path)
	require.Zero(t, code, errs)
	require.Contains(t, errs, "1 imported, 1 not understood")
	require.Contains(t, errs, "it has no condition")
	document := file(t, "rules.yaml", out)
	code, out, errs = (&world{}).run(t, "validate", document)
	require.Equal(t, cli.ExitUsage, code, "the rest of the configuration is missing, the rules are fine: %s%s", out, errs)
	require.Contains(t, out, "is incomplete")
	require.NotContains(t, out, "rules")
	require.NoError(t, os.WriteFile(path, []byte("no,table\n"), 0o600))
	code, _, errs = (&world{}).run(t, "rules", "import", path)
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, "has no column of conditions")
}
