package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every row is there, and every test that it names exists: a renamed test would
// else look as if it had not run.
func TestTheMatrixIsCompleteAndNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	list, err := rows()
	require.NoError(t, err)
	known := map[string]bool{}
	files, err := exec.Command("git", "-C", "../..", "ls-files", "--cached", "--others", "--exclude-standard", "*_test.go").Output()
	require.NoError(t, err)
	for _, f := range strings.Fields(string(files)) {
		src, err := os.ReadFile(filepath.Join("..", "..", f))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(src, -1) {
			known[string(m[1])] = true
		}
	}
	var ids []string
	for _, r := range list {
		ids = append(ids, r.ID)
		require.True(t, len(r.Tests) > 0 || r.Missing != "", "row %s says nothing", r.ID)
		for _, name := range r.Tests {
			require.True(t, known[name], "row %s names %s, which does not exist", r.ID, name)
		}
	}
	var want []string
	for _, part := range []struct {
		letter string
		n      int
	}{{"Q", 23}, {"S", 17}, {"T", 22}} {
		for i := range part.n {
			want = append(want, fmt.Sprint(part.letter, i+1))
		}
	}
	require.Equal(t, want, ids)
}

func TestTheOutputIsThatOfAPlainRun(t *testing.T) {
	t.Parallel()
	events := `{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:3: wrong\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- FAIL: TestB (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Test":"TestD","Output":"panic: hung\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
a word of the toolchain
`
	var out strings.Builder
	table := filepath.Join(t.TempDir(), "table.md")
	failed, err := run(strings.NewReader(events), &out, table)
	require.NoError(t, err)
	require.True(t, failed)
	require.Equal(t, "    b_test.go:3: wrong\n--- FAIL: TestB (0.00s)\nFAIL\tp\t0.1s\npanic: hung\na word of the toolchain\n", out.String())
	failed, err = run(strings.NewReader(`{"Action":"pass","Package":"p","Test":"TestB"}`), &out, table)
	require.NoError(t, err)
	require.False(t, failed)
	results := map[string]string{}
	_, err = follow(strings.NewReader(events), &out, results)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"TestA": "passed", "TestB": "failed", "TestC": "did not run"}, results)
}

func TestARowIsAsGoodAsItsWorstTest(t *testing.T) {
	t.Parallel()
	list := []row{{ID: "A", Tests: []string{"T1", "T2"}}, {ID: "B", Tests: []string{"T1", "T3"}, Missing: "much"}, {ID: "C", Missing: "all"}, {ID: "D", Tests: []string{"T1", "T4"}}}
	text := render(list, map[string]string{"T1": "passed", "T2": "passed", "T3": "failed"})
	require.Contains(t, text, "| A |  | T1, T2 | passed |")
	require.Contains(t, text, "| B |  | T1, T3 | failed; missing: much |")
	require.Contains(t, text, "| C |  |  | not covered; missing: all |")
	require.Contains(t, text, "| D |  | T1, T4 | did not run |")
}
