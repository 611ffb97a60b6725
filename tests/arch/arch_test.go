// Package arch_test holds the direction of dependencies: who may import whom, on
// transitive imports, with the reason in each failure.
package arch_test

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/qbridge/qbridge"

// rule forbids imports, direct or not, to packages below a path.
type rule struct {
	from    string   // packages below this path
	never   []string // import path prefixes
	except  []string // of ours that are allowed although a prefix forbids them
	because string
}

var rules = []rule{
	{from: "domain", never: []string{module + "/"}, except: []string{module + "/domain"},
		because: "domain is pure: it imports nothing of ours outside domain"},
	{from: "domain", never: []string{"net/http", "go.temporal.io", "database/sql", "os/exec"},
		because: "domain has no I/O and no Temporal"},
	{from: "workflows/contract", never: []string{module + "/"}, except: []string{module + "/domain", module + "/workflows/contract"},
		because: "the contract is shared by all sides and imports only domain"},
	{from: "workflows", never: []string{module + "/worker", module + "/starter", module + "/tests", module + "/deploy"},
		because: "workflows orchestrate activities and know nothing of processes"},
	{from: "activities", never: []string{module + "/worker", module + "/starter", module + "/tests", module + "/deploy"},
		because: "activities are wired by worker/app, not the other way round"},
	{from: "activities/qualys", never: []string{"go.temporal.io", module + "/activities/store", module + "/activities/servicenow", module + "/workflows"},
		because: "an API client never knows Temporal or another client"},
	{from: "activities/servicenow", never: []string{"go.temporal.io", module + "/activities/store", module + "/activities/qualys", module + "/workflows"},
		because: "an API client never knows Temporal or another client"},
	{from: "activities/transport", never: []string{module + "/"}, except: []string{module + "/activities/transport"},
		because: "the transport is below everything"},
	{from: "starter", never: []string{module + "/activities", module + "/worker", module + "/tests"},
		because: "the command line starts workflows by name and holds no credentials"},
	{from: "tests/sim", never: []string{module + "/"}, except: []string{module + "/tests/sim"},
		because: "the simulators are a second, independent reading of the vendors' documents"},
}

func TestDependenciesPointInOneDirection(t *testing.T) {
	t.Parallel()
	for pkg, deps := range imports(t) {
		path := strings.TrimPrefix(pkg, module+"/")
		for _, r := range rules {
			if path != r.from && !strings.HasPrefix(path, r.from+"/") {
				continue
			}
			for _, dep := range deps {
				if below(dep, r.never) && !below(dep, r.except) {
					t.Errorf("%s imports %s: %s", path, dep, r.because)
				}
			}
		}
	}
}

func TestOnlyTheCompositionRootWiresClientsAndStore(t *testing.T) {
	t.Parallel()
	for pkg, deps := range imports(t) {
		path := strings.TrimPrefix(pkg, module+"/")
		switch {
		case path == "worker", path == "worker/app", strings.HasPrefix(path, "activities/store"), strings.HasPrefix(path, "tests/"):
			continue
		}
		for _, dep := range deps {
			if dep == module+"/activities/store/sql" {
				t.Errorf("%s imports the SQL store: only worker/app wires it", path)
			}
		}
	}
}

func TestClientsKnowTheDomainOnlyInConvert(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"qualys", "servicenow"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "activities", client, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			if strings.HasSuffix(f, "convert.go") || strings.HasSuffix(f, "_test.go") {
				continue
			}
			src, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, im := range src.Imports {
				path, err := strconv.Unquote(im.Path.Value)
				require.NoError(t, err)
				if strings.HasPrefix(path, module+"/domain") && path != module+"/domain/jsontext" { // which knows bytes, not assets
					t.Errorf("%s imports %s: wire types and domain meet in convert.go only", f, path)
				}
			}
		}
	}
}

func TestTopLevelFoldersAreFixed(t *testing.T) {
	t.Parallel()
	want := map[string]bool{"workflows": true, "activities": true, "worker": true, "starter": true, "domain": true, "deploy": true, "tests": true, "bin": true, "var": true}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !want[e.Name()] {
			t.Errorf("folder %s: top-level folders are fixed", e.Name())
		}
	}
}

// imports returns the transitive imports of every package, tests left out.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	require.NoError(t, err)
	list := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		list[fields[0]] = fields[1:]
	}
	require.NotEmpty(t, list)
	return list
}

func below(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if path == strings.TrimSuffix(p, "/") || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}
