package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/mapping"
	"github.com/qbridge/qbridge/starter/cli"
)

func TestMappingShowPrintsColumnSourceAndTransform(t *testing.T) {
	t.Parallel()
	code, out, errs := (&world{}).run(t, "mapping", "show", "cmdb_ci_win_server")
	require.Zero(t, code, errs)
	require.Regexp(t, `main +cmdb_ci_win_server +ram +totalMemory`, out)
	require.Regexp(t, `manufacturer +clean.manufacturer +sys_id of core_company`, out)
	require.Regexp(t, `software-instance +cmdb_software_instance .* software \(off\)`, out)

	code, _, errs = (&world{}).run(t, "mapping", "show", "cmdb_ci_winserver")
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, `did you mean "cmdb_ci_win_server"?`)
}

func TestAConfigurationExtendsTheMapping(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", "quickstart.yaml"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "qbridge.yaml")
	write := func(source string) {
		text := string(example) + "mappings:\n  - main:\n      - name: mine\n        for: [cmdb_ci_computer]\n        columns: [{to: short_description, from: [" + source + "]}]\n"
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	write("clean.os")
	code, out, errs := (&world{}).run(t, "mapping", "show", "cmdb_ci_win_server", path, "-o", "json")
	require.Zero(t, code, errs)
	var lines []mapping.Line
	require.NoError(t, json.Unmarshal([]byte(out), &lines))
	require.Contains(t, lines, mapping.Line{Part: "main", Target: "cmdb_ci_win_server", Column: "short_description", Source: "clean.os"})

	write("nosuch.path")
	code, _, errs = (&world{}).run(t, "mapping", "show", "cmdb_ci_win_server", path)
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, errs, `unknown path "nosuch.path"`)
	require.Len(t, strings.Split(strings.TrimSpace(errs), "\n"), 1)
}
